"""The study's driver and tables, on simulated readers; its speed part on the real model, a little."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from probes.experiment_file import read_experiment_file
from tests.study import PARTS, study
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
    rows = place / "rows" / "multi-key-spread.jsonl"
    first, asked = rows.read_text(encoding="utf-8"), calls(place)
    assert asked > 20
    again = run_study(place, "multi-key-spread")
    assert again.returncode == 0, again.stderr
    assert (rows.read_text(encoding="utf-8"), calls(place)) == (first, asked), "what is finished is left alone"
    rows.unlink()
    restored = run_study(place, "multi-key-spread")
    assert restored.returncode == 0, restored.stderr
    assert len(rows.read_text(encoding="utf-8").splitlines()) == len(first.splitlines())
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
    assert sum(part.minutes for part in PARTS) <= 120


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


def test_what_is_not_there_is_said(tmp_path, capsys):
    tables(*TABLES, rows=tmp_path)
    assert capsys.readouterr().out.count("`make study` writes it") == len(TABLES)


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
