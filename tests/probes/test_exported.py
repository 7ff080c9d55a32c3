"""Rows of a run, read back from every form, are the results that the store gives."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import needlepoint
from cli.options import is_export
from probes.exported import read_rows, read_runs
from probes.models.base import RequestRejected, TokenLogprob
from probes.plan import Plan, PlannedTrial
from probes.store import Store
from probes.trial_rows import JUDGES_ONLY, MEANINGS, judged, trial_row
from tests.probes.store_helpers import FULL_ANSWER, StillModel, asks
from tokenizer.errors import UserError

CELL = {"block": 0, "depth": 0.5, "asked": 1, "name": "42", "values": ["47", "48"], "layout": "spread", "note": None}
PLAN = Plan(
    "needle",
    {"seed": 1, "blocks": 1, "lengths": [100], "haystack": []},
    (
        PlannedTrial(0, asks("a"), CELL),
        PlannedTrial(1, asks("b", temperature=0.5, stop=("x",)), {**CELL, "block": 1, "only": "here"}),
        PlannedTrial(1, asks("c", continuation=" 47"), {**CELL, "block": 1, "measure": "likelihood"}),
        PlannedTrial(2, asks("d"), {**CELL, "block": 2}),
        PlannedTrial(2, asks("e"), {**CELL, "block": 2}),
    ),
)


@pytest.fixture
def filled(path: Path) -> Path:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for position, text in enumerate(["It is 48.", "", "=1+1,\"'\r\n\té猫"]):
            attempt = store.claim(run, run.trial_ids[position])
            assert attempt is not None
            store.finish(attempt, replace(FULL_ANSWER, text=text, dropped=("seed",)), cost_nano_usd=1_500)
        attempt = store.claim(run, run.trial_ids[3])
        assert attempt is not None
        store.fail(attempt, RequestRejected('no, "never"'))
    return path


def exported(store: Path, target: Path) -> Path:
    done = CliRunner().invoke(needlepoint, ["runs", "export", "latest", "-d", str(store), "-o", str(target)])
    assert done.exit_code == 0, done.stderr
    return target


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_rows_are_read_back_as_they_were(filled: Path, tmp_path: Path, form: str) -> None:
    with Store.open(filled) as store:
        expected = store.results(store.find_run("latest").id)
    found = read_rows(exported(filled, tmp_path / f"rows.{form}"))
    for one, other in zip(found, expected, strict=True):
        completion = other.completion and replace(other.completion, request_id=None)
        if form == "csv" and completion and completion.logprobs:  # half a surrogate pair has no place in CSV's JSON
            assert one.completion is not None
            completion = replace(completion, logprobs=one.completion.logprobs)
        assert one == replace(other, completion=completion)


def test_rows_may_be_packed(filled: Path, tmp_path: Path) -> None:
    for form in ("jsonl", "json", "csv"):
        plain = exported(filled, tmp_path / f"rows.{form}")
        packed = tmp_path / f"packed.{form}.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        assert read_rows(packed) == read_rows(plain)
        assert is_export(str(packed))
    whole = packed.read_bytes()
    for damaged in (b"no gzip", whole[:-20], whole[:40] + bytes(40) + whole[80:]):
        packed.write_bytes(damaged)
        with pytest.raises(UserError, match=r"packed\.csv\.gz"):
            read_rows(packed)


def test_rows_of_two_runs_may_share_a_file_in_any_order(filled: Path, tmp_path: Path) -> None:
    first = exported(filled, tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    with Store.open(filled) as store:
        store.begin_run(replace(PLAN, spec={**PLAN.spec, "seed": 2}), [StillModel()])
    second = exported(filled, tmp_path / "more.jsonl").read_text(encoding="utf-8").splitlines()
    both = tmp_path / "both.jsonl"
    both.write_text("\n".join([*reversed(second), *first]), encoding="utf-8")
    runs = read_runs(both)
    assert [run.spec["seed"] for run in runs] == [2, 1]
    assert [[one.trial.block for one in run.results] for run in runs] == [[0, 1, 1, 2, 2]] * 2


def test_a_row_says_what_its_keys_mean(filled: Path, tmp_path: Path) -> None:
    lines = exported(filled, tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    first, second, measured, refused, missing = map(json.loads, lines)
    assert first["schema"] == "needlepoint.trial/1"
    flat = {key.removeprefix("cell_") for key in first if key.startswith("cell_")}
    assert flat == {"depth", "asked", "name", "layout", "note", "only", "measure"}
    assert {key for key in first if not key.startswith("cell_")} == set(MEANINGS) - {"cell_*", *JUDGES_ONLY}
    assert (first["outcome"], first["given"], first["cost_usd"], first["calls"]) == ("hit", [1], 1.5e-6, 1)
    assert (second["answer"], second["cell_only"], first["cell_only"]) == ("", "here", None)
    assert (measured["outcome"], measured["logprob_nats"]) == (None, None)  # minus infinity is no JSON
    assert (refused["state"], refused["outcome"], refused["error_kind"]) == ("rejected", "error", "rejected")
    assert (missing["state"], missing["outcome"], missing["calls"], missing["cost_usd"]) == ("missing", None, 0, None)


def test_a_likelihood_is_the_sum_of_its_tokens(filled: Path) -> None:
    with Store.open(filled) as store:
        trial = store.trials(store.find_run("latest").id)[2]
    assert trial.result.completion is not None
    tokens = (TokenLogprob(" 4", -0.25), TokenLogprob("7", -1.5))
    result = replace(trial.result, completion=replace(trial.result.completion, logprobs=tokens))
    assert trial_row("needle", replace(trial, result=result))["logprob_nats"] == -1.75
    assert judged("needle", result).outcome is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no row"),
        ("not json", "Expecting value"),
        ("[1]", "line 1"),
        ('{"run": "x"}', "line 1: 'schema' is missing"),
        ('\n\n{"run": "x"', "line 3: Expecting"),
        ('{"run": "x", "schema": "needlepoint.trial/2"}', "its schema is 'needlepoint.trial/2'"),
    ],
)
def test_what_is_no_exported_row_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=reason) as caught:
        read_rows(path)
    assert "runs export" in (caught.value.hint or "")
    with pytest.raises(UserError, match="cannot read"):
        read_rows(tmp_path / "missing.jsonl")


def changed(lines: list[str], number: int, **values: object) -> list[str]:
    """The rows with some values of one of them replaced; `cell` adds to its cell."""
    row = json.loads(lines[number])
    cell = {**row["cell"], **dict(values.pop("cell", {}))}  # type: ignore[call-overload]
    row |= {f"cell_{key}": value for key, value in cell.items() if f"cell_{key}" in row}
    return [*lines[:number], json.dumps({**row, "cell": cell, **values}), *lines[number + 1 :]]


@pytest.mark.parametrize(
    ("line", "values", "reason"),
    [
        (1, {"outcome": "perhaps"}, "its outcome is 'perhaps', and known are hit, miss, refusal, truncated, error"),
        (2, {"state": "done"}, "its state is 'done'"),
        (2, {"state": "missing"}, "its state is missing, and it has an answer"),
        (4, {"state": "answered"}, "its state is answered, and it has no answer"),
        (1, {"stop_reason": "bored"}, "its stop_reason is 'bored'"),
        (1, {"probe": "pin"}, "its probe is 'pin'"),
        (1, {"trial": "t1:0"}, "its trial id is not that of its request"),
        (1, {"position": -1}, "its position is -1"),
        (1, {"input_tokens": 1.5}, "its input_tokens is 1.5, and no whole number from 0 on"),
        (1, {"latency_s": float("nan")}, "its latency_s is nan"),
        (1, {"cost_usd": -0.5}, "its cost_usd is -0.5"),
        (1, {"cell": {"depth": -0.25}}, "its cell_depth is -0.25, and no number from 0 to 1"),
        (1, {"cell": {"depth": 25}}, "its cell_depth is 25"),
        (1, {"cell": {"length_tokens": True}}, "its cell_length_tokens is True"),
        (1, {"cell": {"asked": 2}}, "its cell asks for value 2, and there are 2"),
        (1, {"cell": {"right": [-1]}}, "its cell asks for value -1"),
        (1, {"cell": {"block": 7}}, "its block is 0, and its cell has 7"),
        (1, {"cell_depth": 0.75}, "its cell_depth is 0.75, and its cell has 0.5 there"),
        (1, {"model": ["sim"]}, r"its model is \['sim'\], which no run has there"),
        (1, {"cell": {"values": ["47", 48]}}, r"its cell values is \['47', 48\], which no run has there"),
        (1, {"spec": {"blocks": 1}}, "its spec has no seed"),
        (1, {"spec": {"seed": 1, "lengths": 5}}, "its spec lengths is 5, which no run has there"),
        (2, {"position": 0}, "position 0 of run .* was there already, in line 1"),
        (2, {"created_utc": "2020-01-01T00:00:00Z"}, "it says other things of run"),
    ],
)
def test_a_row_that_no_run_can_have_is_refused_with_its_line(
    filled: Path, tmp_path: Path, line: int, values: dict[str, object], reason: str
) -> None:
    path = exported(filled, tmp_path / "rows.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(changed(lines, line - 1, **values)), encoding="utf-8")
    with pytest.raises(UserError, match=rf"line {line}: {reason}"):
        read_rows(path)


def test_a_row_that_is_there_twice_and_a_trial_with_two_answers_are_refused(filled: Path, tmp_path: Path) -> None:
    path = exported(filled, tmp_path / "rows.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, "", lines[1]]), encoding="utf-8")
    with pytest.raises(UserError, match=r"line 7: position 1 of run .* was there already, in line 2"):
        read_rows(path)
    path.write_text("\n".join(changed([*lines, lines[0]], 5, position=9)), encoding="utf-8")
    assert len(read_rows(path)) == 6, "one request may stand at two positions, with one answer"
    path.write_text("\n".join(changed([*lines, lines[0]], 5, position=9, answer="It is 47.")), encoding="utf-8")
    with pytest.raises(UserError, match="line 6: the same trial has another answer in line 1"):
        read_rows(path)


def test_the_line_of_a_row_of_csv_is_that_in_which_it_begins(filled: Path, tmp_path: Path) -> None:
    path = exported(filled, tmp_path / "rows.csv")  # the third answer has a line end in it
    text = path.read_bytes().decode("utf-8", "surrogatepass")
    path.write_bytes(text.replace(",rejected,", ",reject,", 1).encode("utf-8", "surrogatepass"))
    before = text[: text.index(",rejected,")].count("\n")
    with pytest.raises(UserError, match=rf"line {before + 1}: its state is 'reject'"):
        read_rows(path)
