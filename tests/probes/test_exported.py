"""Rows of a run, read back from every form, are the results that the store gives."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import needlepoint
from probes.exported import read_rows, read_runs
from probes.models.base import RequestRejected, TokenLogprob
from probes.plan import Plan, PlannedTrial
from probes.store import Store
from probes.trial_rows import MEANINGS, judged, trial_row
from tests.probes.store_helpers import FULL_ANSWER, StillModel, asks
from tokenizer.errors import UserError

CELL = {"block": 0, "depth": 0.5, "asked": 1, "name": "42", "values": ["47", "48"], "layout": "spread", "note": None}
PLAN = Plan(
    "needle",
    {"seed": 1, "blocks": 1, "lengths": [100], "haystack": []},
    (
        PlannedTrial(0, asks("a"), CELL),
        PlannedTrial(1, asks("b", temperature=0.5, stop=("x",)), {**CELL, "block": 1, "only": "here"}),
        PlannedTrial(1, asks("c", continuation=" 47"), {**CELL, "measure": "likelihood"}),
        PlannedTrial(2, asks("d"), CELL),
        PlannedTrial(2, asks("e"), CELL),
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
    assert {key for key in first if not key.startswith("cell_")} == set(MEANINGS) - {"cell_*"}
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
        ("[1]", "row 1"),
        ('{"run": "x"}', "'schema' is missing"),
        ('{"run": "x", "schema": "needlepoint.trial/2"}', "its schema is 'needlepoint.trial/2'"),
        ('{"run": "x", "schema": "needlepoint.trial/1", "trial": "t1:0", "request": {}}', "its trial id is not that"),
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
