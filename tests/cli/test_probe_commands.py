"""The probe commands through the command line: shapes, exit codes, what is kept, and errors with a way out."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from probes.experiment_file import OPTIONS

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, arguments)


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found) == ["schema", "meta", "rows"]
    return found["rows"]


def test_a_needle_run_gives_its_tables_as_json() -> None:
    result = run("probe", "needle", "-m", "sim/perfect", "-n", "3", "--lengths", "150", "--json")
    found = rows(result)
    positions = [row for row in found if row["table"] == "position"]
    assert [row["position"] for row in positions] == [1, 2, 3, 4, 5]
    assert all((row["asked_rate"], row["not_asked_rate"], row["asked_n"]) == (1.0, 0.0, 3) for row in positions)
    named = ["position", "confusion", "order_depth", "ends_less_middle", "retrieval", "control", "contrast"]
    assert list(dict.fromkeys(row["table"] for row in found)) == named
    meta = json.loads(result.stdout)["meta"]
    assert json.loads(result.stdout)["schema"] == "needlepoint.probe.needle/1"
    assert (meta["blocks"], meta["lengths"], meta["ruler"]) == (3, [150], "small")


def test_a_placement_run_gives_its_tables_as_json() -> None:
    command = ["probe", "placement", "-m", "sim/recency", "-n", "2", "--lengths", "120", "--place", "before"]
    found = rows(run(*command, "--place", "after", "--json"))
    assert [row["arm"] for row in found if row["table"] == "arm"] == ["before", "after"]
    contrasts = [row for row in found if row["table"] == "contrast" and row["declared"]]
    assert [(row["outcome"], row["arm"], row["control"]) for row in contrasts] == [
        ("margin_nats", "after", "before"),
        ("coverage_rate", "after", "before"),
    ]
    before, after = (
        [row["decile"] for row in found if row["table"] == "decile" and row["arm"] == arm]
        for arm in ("before", "after")
    )
    assert before == after
    assert (before[0], before[-1]) == (1, 10)


def test_a_transcript_can_be_asked_for_by_option_and_in_a_file(tmp_path: Path) -> None:
    command = ["probe", "placement", "-m", "sim/perfect", "-n", "1", "--lengths", "120", "--measure", "coverage"]
    documents = rows(run(*command, "--json"))
    transcripts = rows(run(*command, "--framing", "transcript", "--json"))
    assert [{row["continued"] for row in each if row["table"] == "arm"} for each in (documents, transcripts)] == [
        {None},
        {0},
    ]
    path = tmp_path / "study.toml"
    path.write_text(
        '[[experiment]]\nprobe = "placement"\nframing = "transcript"\n'
        'blocks = 1\nlengths = 120\nmeasure = "coverage"\n',
        encoding="utf-8",
    )
    assert "6 of them kept from before" in run("probe", "run", str(path), "-m", "sim/perfect").stderr
    path.write_text('[[experiment]]\nprobe = "placement"\nframing = "letter"\n', encoding="utf-8")
    refused = run("probe", "run", str(path), "-m", "sim/perfect")
    assert refused.exit_code == 2
    assert "framing" in refused.stderr


def test_a_terminal_is_told_by_arm_how_many_answers_continue_the_dialogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.tables.on_terminal", lambda: True)
    monkeypatch.setattr("cli.output.on_terminal", lambda: True)
    monkeypatch.setattr("probes.models.sim.SimulatedModel._text", lambda *_: "Ana: It rained.")
    command = ["probe", "placement", "-m", "sim/perfect", "-n", "2", "--lengths", "120", "--measure", "coverage"]
    shown = run(*command, "--framing", "transcript").stdout
    assert re.search(r"^bookend +0/2 +2 ", shown, re.MULTILINE)  # no summaries, but dialogues
    assert "In all 6 answers to the instruction the model went on with the dialogue" in " ".join(shown.split())
    assert "dialogue" not in run(*command).stdout


def test_several_models_and_lengths_stand_side_by_side() -> None:
    command = ["probe", "needle", "-m", "sim/perfect", "-m", "sim/guesser", "--lengths", "120,160", "-n", "1", "--csv"]
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    positions = [line for line in result.stdout.splitlines() if line.startswith("position,")]
    assert len(positions) == 2 * 2 * 5


def test_the_same_command_again_calls_nothing_and_shows_the_same() -> None:
    command = ["probe", "needle", "-m", "sim/u-shape", "-n", "2", "--lengths", "150", "--jsonl"]
    first, second = run(*command), run(*command)
    assert first.stdout == second.stdout
    assert "kept from before" not in first.stderr
    assert "16 trials answered (16 of them kept from before)" in second.stderr


def test_more_blocks_reuse_what_fewer_have_answered() -> None:
    command = ["probe", "needle", "-m", "sim/u-shape", "--lengths", "150", "--jsonl"]
    run(*command, "-n", "2")
    assert "24 trials answered (16 of them kept from before)" in run(*command, "-n", "3").stderr


def test_failed_trials_are_counted_apart_exit_3_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stamina._core._smart_sleep", lambda _seconds: asyncio.sleep(0))
    command = ["probe", "needle", "-m", "sim/flaky?fail=1", "-n", "1", "--lengths", "150", "--jsonl"]
    result = run(*command)
    assert result.exit_code == 3
    positions = [json.loads(line) for line in result.stdout.splitlines() if '"table": "position"' in line]
    assert all((row["error"], row["asked_n"], row["asked_rate"]) == (1, 0, None) for row in positions)
    assert "8 trials have no answer; run the same command again" in result.stderr


def test_an_experiment_file_runs_its_experiments_and_keeps_them_where_it_says(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'models = ["sim/perfect"]\nstore = "mine.db"\n'
        '[[experiment]]\nprobe = "needle"\nblocks = 1\nlengths = [150]\n'
        '[[experiment]]\nprobe = "placement"\nblocks = 1\nlengths = [120]\nmeasure = ["coverage"]\n',
        encoding="utf-8",
    )
    result = run("probe", "run", str(path))
    assert result.exit_code == 0, result.stderr
    assert "asked_rate" in result.stdout
    assert "coverage_rate" in result.stdout
    listed = rows(run("runs", "list", "-d", str(tmp_path / "mine.db"), "--json"))
    assert [(row["probe"], row["models"], row["trials"], row["answered"]) for row in listed] == [
        ("placement", "sim/perfect", 6, 6),
        ("needle", "sim/perfect", 8, 8),
    ]


def test_what_the_file_says_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.toml"
    entry = '[[experiment]]\nprobe = "needle"\nblocks = 1\nlengths = 150\n'
    path.write_text(f'models = ["sim/perfect"]\n{entry}', encoding="utf-8")
    monkeypatch.setenv("NEEDLEPOINT_MODEL", "sim/guesser")
    assert {row["model"] for row in rows(run("probe", "run", str(path), "--json"))} == {"sim/perfect"}
    assert {row["model"] for row in rows(run("probe", "run", str(path), "-m", "sim/recency", "--json"))} == {
        "sim/recency"
    }
    path.write_text(entry, encoding="utf-8")
    assert {row["model"] for row in rows(run("probe", "run", str(path), "--json"))} == {"sim/guesser"}


@pytest.mark.parametrize("name", ["needle.toml", "placement.toml"])
def test_the_samples_run(name: str) -> None:
    result = run("probe", "run", str(ROOT / "samples" / name), "-m", "sim/u-shape")
    assert result.exit_code == 0, result.stderr


def test_a_run_can_be_shown_again_without_a_call() -> None:
    shown = run("probe", "needle", "-m", "sim/u-shape", "-n", "2", "--lengths", "150", "--jsonl").stdout
    again = run("runs", "show", "latest", "--jsonl")
    assert again.exit_code == 0, again.stderr
    assert again.stdout == shown


def test_needles_can_be_hidden_in_a_text_of_ones_own(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text(" ".join(f"Sentence {word} stands here by itself." for word in "abcdefghij" * 20), encoding="utf-8")
    result = run(
        "probe", "needle", "-m", "sim/perfect", "-n", "1", "--lengths", "150", "--haystack", str(text), "--json"
    )
    positions = [row for row in rows(result) if row["table"] == "position"]
    assert all(row["asked_rate"] == 1.0 for row in positions)


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["needle"], 2, "no model to ask", "-m local/smollm2-135m"),
        (["needle", "-m", "sim/perfct"], 2, "perfct", "perfect"),
        (["needle", "-m", "nothing"], 2, "nothing", ""),
        (["needle", "-m", "sim/perfect", "--lengths", "many"], 2, "lengths", "--help"),
        (["needle", "-m", "sim/perfect", "--lengths", "12"], 2, "at least 100 tokens", "--help"),
        (["needle", "-m", "sim/perfect", "--layout", "ring"], 2, "neither spread nor cluster@DEPTH", "--help"),
        (["needle", "-m", "sim/perfect", "-n", "0"], 2, "--blocks", "--help"),
        (["needle", "-m", "sim/perfect", "--ruler", "cl200k"], 1, "cl200k", "cl100k"),
        (["needle", "-m", "sim/perfect", "--haystack", "missing.txt"], 1, "missing.txt", ""),
        (["placement", "-m", "sim/perfect", "--place", "beside"], 2, "beside", "--help"),
        (["placement", "-m", "sim/perfect", "--framing", "letter"], 2, "letter", "--help"),
        (["placement", "-m", "sim/perfect", "-d", "nowhere/at/all.db"], 1, "nowhere", ""),
        (["run", "missing.toml"], 1, "missing.toml", ""),
    ],
)
def test_nonsense_gets_two_lines_and_the_right_code(
    arguments: list[str], code: int, error: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("probe", *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert error in lines[0]
    assert hint in lines[1]


def test_a_store_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database, but somebody's notes" * 100, encoding="utf-8")
    before = path.read_bytes()
    result = run("probe", "needle", "-m", "sim/perfect", "-n", "1", "-d", str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "command", [["probe"], ["probe", "needle"], ["probe", "placement"], ["probe", "run"], ["runs"]]
)
def test_every_help_opens_with_a_sentence_and_examples(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    examples = re.findall(r"^ +needlepoint (?:probe|runs) .+$", result.stdout, flags=re.MULTILINE)
    assert 2 <= len(examples) <= 4


@pytest.mark.parametrize("name", ["needle", "placement"])
def test_the_defaults_in_the_help_are_the_defaults(name: str) -> None:
    text = " ".join(run("probe", name, "--help").stdout.split())
    options = OPTIONS[name]()
    for words, value in (
        ("in tokens of the ruler, e.g. 500,1k,2k (k is 1,000).", options.lengths[0]),
        ("How many blocks, each with texts of its own, at each length.", options.blocks),
        ("The most tokens that an answer may have.", options.max_tokens),
    ):
        assert f"{words} [default: {value}" in text
    assert f"default: {options.seed}" in text


def test_a_pipe_gets_whole_rows_and_progress_stays_out_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "probe", "needle", "-m", "sim/u-shape", "-n", "2", "--lengths", "150"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    blocks = done.stdout.split("# ")
    assert len(blocks) == 1 + 7  # with rows: positions, confusion, order, ends, right answers, controls, contrasts
    header, *body = blocks[1].splitlines()[1:]
    assert header.split("\t")[:4] == ["model", "length_tokens", "layout", "position"]
    assert len([line for line in body if line]) == 5
    assert "trials" in done.stderr
    assert "trials" not in done.stdout
