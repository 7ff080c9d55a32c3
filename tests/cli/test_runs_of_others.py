"""Runs that are not as they were, rows that are no run, other scorers: what `needlepoint runs` says of them."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.experiment_runs import plan_again
from cli.main import needlepoint
from probes.models import load_model
from probes.models.base import Completion
from probes.store import Store
from tests.probes.store_helpers import sql

QUICK = ("-n", "2", "--lengths", "150")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, arguments)


def rows(*arguments: str) -> list[dict[str, object]]:
    result = run(*arguments, "--jsonl")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def needle(tmp_path: Path) -> Path:
    """The store of a needle run in which the first answer is that of no other trial."""
    path = tmp_path / "runs.db"
    assert run("probe", "needle", "-m", "sim/perfect", *QUICK, "-d", str(path)).exit_code == 0
    return path


def test_a_damaged_answer_is_no_answer_and_told_wherever_it_is_read(needle: Path, tmp_path: Path) -> None:
    before = rows("runs", "show", "--answers", "-d", str(needle))
    text = str(before[0]["answer"])
    count = sum(row["answer"] == text for row in before)
    digits = "".join(str((int(letter) + 1) % 10) if letter.isdigit() else letter for letter in text)
    sql(needle, f"update blobs set body = cast('{digits}' as blob) where body = cast('{text}' as blob)")
    for command in (["show"], ["show", "--answers"], ["score", "latest", "--scorer", "exact@1"], ["export"]):
        result = run("runs", *command, "-d", str(needle))
        assert result.exit_code == 0
        assert f"warning: {count} of {len(before)} answers in {needle} are damaged and count as errors" in result.stderr
        assert "(positions 0" in result.stderr
        assert digits not in result.stdout
    shown = rows("runs", "show", "--answers", "-d", str(needle))[0]
    assert (shown["outcome"], shown["state"], shown["error_kind"]) == ("error", "rejected", "damaged")
    errors = [row["error"] for row in rows("runs", "show", "-d", str(needle)) if row["table"] == "position"]
    assert sum(map(int, map(str, errors))) >= 1
    verified = run("runs", "verify", "-d", str(needle))
    assert (verified.exit_code, "is not what its hash says" in verified.stdout) == (1, True)
    again = run("probe", "needle", "-m", "sim/perfect", *QUICK, "-d", str(needle))
    assert "damaged" not in again.stdout
    assert "failed: the answer in the run store is no longer the one that was received; `runs verify` tells more (" in (
        again.stderr
    )
    target = tmp_path / "rows.jsonl"
    assert run("runs", "export", "-d", str(needle), "-o", str(target)).exit_code == 0
    assert run("runs", "show", str(target)).exit_code == 0


def test_bytes_that_are_no_text_are_damage_and_no_traceback(needle: Path) -> None:
    sql(needle, "update blobs set body = x'ff00'")
    result = run("runs", "show", "-d", str(needle))
    assert (result.exit_code, "are damaged" in result.stderr) == (0, True)


def test_the_list_says_what_was_asked(needle: Path) -> None:
    done = run(
        "probe", "placement", "-m", "sim/recency", *QUICK, "--framing", "transcript", "--measure", "coverage",
        "-d", str(needle),
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    placement, multi = rows("runs", "list", "-d", str(needle))
    assert (placement["probe"], placement["framing"]) == ("placement", "transcript")
    assert (multi["probe"], multi["task"], multi["framing"]) == ("needle", "multi-key", None)


def test_the_list_for_people_names_the_task(needle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.tables.on_terminal", lambda: True)
    monkeypatch.setattr("cli.output.on_terminal", lambda: True)
    shown = " ".join(run("runs", "list", "-d", str(needle)).stdout.split())
    assert "needle, multi-key" in shown


def test_what_another_scorer_says_bears_its_name(needle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows("runs", "score", "--scorer", "exact@1", "-d", str(needle))
    assert {row["scorer"] for row in found} == {"exact@1"}
    assert not [row for row in rows("runs", "show", "-d", str(needle)) if "scorer" in row]
    monkeypatch.setattr("cli.tables.on_terminal", lambda: True)
    monkeypatch.setattr("cli.output.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "400")
    lines = run("runs", "score", "--scorer", "exact@1", "-d", str(needle)).stdout.splitlines()
    titles = [line for line in lines if "sim/perfect" in line]
    assert titles
    assert all(line.startswith("By exact@1: ") for line in titles)
    sentences = [line for line in lines if line.rstrip().endswith(".")]
    assert sentences
    assert all(line.startswith("By exact@1: ") for line in sentences), sentences


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["verify"], "`needlepoint runs show rows.jsonl` checks its rows"),
        (["score", "--scorer", "exact@1"], "score the run where it was made"),
        (["export"], "`needlepoint runs show rows.jsonl` shows its tables"),
        (["resume"], "where it was made"),
    ],
)
def test_a_file_of_rows_is_for_show_alone(command: list[str], hint: str) -> None:
    name, *options = command
    result = run("runs", name, "rows.jsonl", *options)
    error, told = result.stderr.splitlines()
    assert result.exit_code == 2
    assert error == "error: rows.jsonl is a file of exported rows, and this command takes a run of the store"
    assert hint in told
    assert "needlepoint runs list" in told


def test_control_characters_are_kept_and_exported_exactly_and_shown_escaped(tmp_path: Path) -> None:
    """JSON spells them, also those that only some terminals obey; CSV has no spelling for them and holds them raw."""
    hostile, path = "\x1b[2J\x07\x9b31m\x7f\u202e\x00 ok", tmp_path / "runs.db"
    with Store.open(path) as store:
        begun = store.begin_run(plan_again("needle", {"blocks": 1, "lengths": [150]}), [load_model("sim/perfect")])
        for trial_id in begun.trial_ids:
            attempt = store.claim(begun, trial_id)
            assert attempt is not None
            store.finish(attempt, Completion(hostile, "stop"))
    assert sql(path, "select distinct body from blobs") == [(hostile.encode(),)]
    text = run("runs", "export", "--jsonl", "-d", str(path)).stdout_bytes
    assert not [byte for byte in text if byte < 0x20 and byte != 0x0A] + [byte for byte in text if byte == 0x7F]
    assert b"\xc2\x9b" not in text
    assert json.loads(text.splitlines()[0])["answer"] == hostile
    table = run("runs", "export", "--csv", "-d", str(path)).stdout_bytes.decode()
    assert next(csv.DictReader(io.StringIO(table, newline="")))["answer"] == hostile
    piped = run("runs", "show", "--answers", "-d", str(path)).stdout
    assert not [letter for letter in piped if ord(letter) < 0x20 and letter not in "\t\n"]
