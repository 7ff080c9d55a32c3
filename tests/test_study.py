"""The study's driver and tables, on simulated readers; its speed part on the real model, a little."""

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.experiment_runs import make_plan
from cli.main import needlepoint
from probes.experiment_file import read_experiment_file
from tests.study import PARTS, keep_rows, study
from tests.study_effects import difference
from tests.study_predictions import PREDICTION_TABLES
from tests.study_speed import SPEED, measure_speed, speeds
from tests.study_tables import TABLES, tables

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "samples" / "study"
TINY = """
models = ["local/smollm2-135m"]
[[experiment]]
probe = "needle"
task = "{task}"
lengths = [150, 200]
blocks = 2
"""


def run_study(place: Path, *names: str, model: str = "sim/perfect") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.study", *names, "--model", model, "--files", str(place / "files")]
    command += ["--store", str(place / "store"), "--output", str(place / "rows")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def calls(place: Path) -> int:
    with closing(sqlite3.connect(place / "store" / "runs.db")) as store:
        count: int = store.execute("select count(*) from attempts").fetchone()[0]
    return count


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny experiment files are, and what came of them with a perfect reader."""
    place = tmp_path_factory.mktemp("study")
    (place / "files").mkdir()
    for name, task in (("multi-key-spread", "multi-key"), ("multi-key-clustered", "multi-key"), ("chain", "chain")):
        (place / "files" / f"{name}.toml").write_text(TINY.format(task=task), encoding="utf-8")
    return place


def test_parts_are_run_written_out_and_done_again_from_the_store(place):
    done = run_study(place, "multi-key-spread", "multi-key-clustered")
    assert done.returncode == 0, done.stderr
    assert "part 2 of 2: multi-key-clustered" in done.stderr
    rows = place / "rows" / "multi-key-spread.jsonl.gz"
    first, asked = rows.read_bytes(), calls(place)
    assert asked > 20
    again = run_study(place, "multi-key-spread")
    assert again.returncode == 0, again.stderr
    assert (rows.read_bytes(), calls(place)) == (first, asked), "what is finished is left alone"
    rows.unlink()
    restored = run_study(place, "multi-key-spread")
    assert restored.returncode == 0, restored.stderr
    assert len(gzip.decompress(rows.read_bytes()).splitlines()) == len(gzip.decompress(first).splitlines())
    assert calls(place) == asked, "what is answered is not asked again"


def test_the_table_of_positions_is_made_from_the_rows(place, capsys):
    if not (place / "rows").exists():
        run_study(place, "multi-key-spread", "multi-key-clustered")
    tables("positions", rows=place / "rows")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] in ("150, spread", "200, spread")
        assert cells[1:6] == ["100% (0%)"] * 5
        assert cells[8:] == ["0/2", "2"]


def test_a_part_that_cannot_be_run_stops_the_study(place):
    done = run_study(place, "count")
    assert done.returncode != 0
    assert "count.toml" in done.stderr
    assert CliRunner().invoke(study, ["nonsense"]).exit_code == 2


def test_every_part_has_its_file_and_every_file_its_part():
    files = {part.file for part in PARTS if part.name != SPEED}
    assert {path.name for path in STUDY.glob("*.toml")} == files
    for name in files:
        read = read_experiment_file(STUDY / name)
        assert read.models == ("local/smollm2-135m",)
        assert len(read.experiments) == 1, "one run a part"
    assert sum(part.minutes for part in PARTS) <= 8 * 60, "a night"


def test_the_study_has_the_texts_that_it_should():
    def options(name: str) -> object:
        return read_experiment_file(STUDY / f"{name}.toml").experiments[0][1]

    spread, clustered, single = (
        options(name) for name in ("multi-key-spread", "multi-key-clustered", "single-likelihood")
    )
    assert (spread.lengths, spread.blocks, spread.layout) == ((500, 1000, 2000), 30, ("spread",))
    assert (clustered.lengths, clustered.blocks, len(clustered.layout)) == ((1000,), 20, 3)
    assert (single.lengths, single.task, single.measure) == (spread.lengths, "single", ("likelihood",))
    for each in (spread, clustered):
        assert "absent" in each.controls


def test_the_study_has_the_contrasts_that_it_should() -> None:
    def options(name: str) -> Any:
        return read_experiment_file(STUDY / f"{name}.toml").experiments[0][1]

    ends, pilot, places = options("ends-by-lift"), options("kv-pilot"), options("kv-places")
    assert (ends.blocks, ends.measure, ends.controls) == (60, ("answer", "likelihood"), ("absent",))
    assert (places.blocks, len(places.depths), set(places.place)) == (60, 3, {"after", "bookend", "before"})
    assert pilot == places.model_copy(update={"blocks": 5, "seed": pilot.seed}), (
        "the pilot is as the whole, but shorter"
    )
    assert pilot.seed != places.seed, "and of other texts"
    for name in ("effective-single", "effective-multi-key"):
        assert (min(options(name).lengths), max(options(name).lengths)) == (250, 4000)
    assert options("headings").structure == ("plain", "headings")
    own, told = options("placement-kinds-chat"), options("placement-kinds-transcript")
    assert own == told.model_copy(update={"framing": "chat"})
    assert (own.facts, own.measure) == ("typed", ("margin",))
    arms = options("placement-arms")
    assert (arms.lengths, arms.blocks) == ((400, 800, 1600), 20)
    assert {"irrelevant-before", "irrelevant-after"} < set(arms.place)
    assert len(arms.lengths) > 1, "so that the interaction with the length is declared"
    chat, transcript = options("placement-chat"), options("placement-transcript")
    assert chat == transcript.model_copy(update={"framing": "chat"})


def test_pairs_of_the_study_are_twenty() -> None:
    found = read_experiment_file(STUDY / "kv-pilot.toml").experiments[0][1]
    asked = make_plan(found.model_copy(update={"controls": (), "place": ("after",)}))
    assert {trial.request.messages[0].content.count('": "') for trial in asked.trials} == {20}


PARTS_OF_TABLES = {
    "ends": ("ends-by-lift",),
    "places": ("kv-places", "kv-pilot"),
    "effective": ("effective-single", "effective-multi-key"),
    "arms": ("placement-arms",),
    "framings": ("placement-transcript", "placement-chat"),
}
SHORT = {"placement-arms": "120, 240", "placement-chat": "160", "placement-transcript": "160", "ends-by-lift": "150"}


@pytest.fixture(scope="module")
def short_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of every part with contrasts: short texts, answered by simulated readers with a known bias."""
    place = tmp_path_factory.mktemp("short")
    for name in (part for parts in PARTS_OF_TABLES.values() for part in parts):
        blocks = 1 if "placement" in name else 2  # of which there are a hundred questions in each arm
        text = re.sub(r"blocks = \d+", f"blocks = {blocks}", (STUDY / f"{name}.toml").read_text(encoding="utf-8"))
        if name in SHORT:
            text = re.sub(r"lengths = .*", f"lengths = [{SHORT[name]}]", text)
        text = text.replace("1000, 2000, 4000]", "1000]")
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
        reader = "sim/recency" if "placement" in name else "sim/u-shape?edge=1&middle=0"
        store, rows = ["-d", str(place / "runs.db")], str(place / f"{name}.jsonl")
        for command in (
            ["probe", "run", str(place / f"{name}.toml"), "-m", reader, *store, "-o", str(place / "tables.json")],
            ["runs", "export", "latest", *store, "-o", rows],
        ):
            done = CliRunner().invoke(needlepoint, command)
            assert done.exit_code == 0, done.output
        keep_rows(Path(rows), place / f"{name}.jsonl.gz")
    return place


def shown(name: str, rows: Path, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    tables(name, rows=rows)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()[2:]]


def test_the_ends_are_compared_by_both_measures_of_lift(short_rows, capsys):
    given, lift, nats = shown("ends", short_rows, capsys)
    assert given[1].startswith("+100 [")
    assert lift[1].startswith("+100 [")
    assert float(nats[1].split()[0]) > 0
    assert {line[3] for line in (given, lift, nats)} == {"2"}


def test_the_places_of_the_question_are_shown_with_the_pilot_apart(short_rows, capsys):
    lines = shown("places", short_rows, capsys)
    assert [line[0] for line in lines][:3] == ["after", "bookend", "before"]
    assert lines[3][0] == "after (pilot)"
    assert all(line[1:4] == ["100%", "0%", "100%"] for line in lines)
    contrasts = shown("place_contrasts", short_rows, capsys)
    assert [line[0] for line in contrasts] == ["before less after", "bookend less after", "bookend less before"]
    assert all(line[1].startswith("+0 [") for line in contrasts)


def test_effective_lengths_are_those_of_the_rates(short_rows, capsys):
    single, several = shown("effective", short_rows, capsys)
    assert (single[0], several[0]) == ("single", "multi-key")
    assert single[1].startswith("67%")
    assert single[6].startswith("none"), "two of three are below RULER's bar"
    assert single[7].startswith("1,000+"), "but as many as in the shortest text"


def test_the_arms_and_framings_are_shown_with_their_contrasts(short_rows, capsys):
    arms = shown("arms", short_rows, capsys)
    assert {line[0] for line in arms} >= {"before", "irrelevant-before", "irrelevant-after", "bookend"}
    assert all(len(line) == 1 + 2 + 2 for line in arms)
    contrasts = {line[0]: line[1:] for line in shown("arm_contrasts", short_rows, capsys)}
    assert "after less before, nats" in contrasts
    assert "after less irrelevant-after, points" in contrasts
    framings = shown("framings", short_rows, capsys)
    assert {(line[0], line[1]) for line in framings} >= {("chat", "before"), ("transcript", "after")}
    both = {line[0]: line[1:] for line in shown("framing_contrasts", short_rows, capsys)}
    assert all(" [" in cell for cell in both["after less before, points"])
    assert all(re.fullmatch(r"\d+% \[\d+-\d+\] \(100%\)", line[3]) for line in framings)


def test_coverage_of_a_model_that_writes_no_summaries_is_no_difference() -> None:
    row = {"outcome": "coverage_rate", "difference": 0.1, "low": 0.05, "high": 0.15, "p_holm": 0.01}
    assert difference(row | {"measurable": True}) == "+10 [+5, +15], p = 0.010"
    assert difference(row | {"measurable": False}) == "not measurable"


def test_what_is_not_there_is_said(tmp_path, capsys):
    tables(*TABLES, rows=tmp_path)
    of_parts = len(TABLES) - len(PREDICTION_TABLES)  # predictions have lines without rows, too
    assert capsys.readouterr().out.count("`make study` writes it") == of_parts


def test_speeds_are_tokens_a_second():
    timings = {"prompt_n": 500, "prompt_ms": 2000.0, "predicted_n": 32, "predicted_ms": 640.0}
    assert speeds(timings) == {"prefill_tokens_per_s": 250.0, "decode_tokens_per_s": 50.0}


@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
def test_speed_is_measured_once(tmp_path, capsys):
    kept, output = tmp_path / "kept.jsonl", tmp_path / "speed.jsonl"
    for _ in range(2):
        measure_speed("local/smollm2-135m", kept, output, lengths=(120,), repeats=1)
    (row,) = (json.loads(line) for line in output.read_text(encoding="utf-8").splitlines())
    assert kept.read_text(encoding="utf-8") == output.read_text(encoding="utf-8")
    assert row["prefill_tokens_per_s"] > row["decode_tokens_per_s"] > 1
    assert 50 < row["prompt_tokens"] < 300
    assert 10**8 < row["resident_bytes"] < 10**9
    tables(SPEED, rows=tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 3
