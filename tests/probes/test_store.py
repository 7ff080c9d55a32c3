"""The run store: write order, what is read back, and scores."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from probes.identity import trial_id
from probes.models.base import (
    AccessDenied,
    Completion,
    ContextTooLong,
    RateLimited,
    RequestRejected,
    Transient,
    Usage,
)
from probes.plan import Plan
from probes.store import Score, Store
from tests.probes.store_helpers import FULL_ANSWER, PLAN, StillModel, answer, asks, plan_of, sql
from tokenizer.errors import UserError


def test_an_answer_comes_back_as_it_was(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[1])
        assert attempt is not None
        store.finish(attempt, FULL_ANSWER)
    with Store.open(path) as store:
        first, second, _ = store.results(run.id)
    assert first.completion is None
    assert first.error_kind is None
    assert second.completion == replace(FULL_ANSWER, raw={})
    assert second.trial_id == run.trial_ids[1]
    assert second.model == "fake/one"
    assert second.trial == replace(PLAN.trials[1], request=replace(PLAN.trials[1].request, messages=()))


def test_every_field_of_a_request_but_the_prompt_comes_back(path: Path) -> None:
    request = asks("x", temperature=0.5, seed=3, stop=("a", "b"), extra={"k": [1]}, continuation=" 47", sample=4)
    with Store.open(path) as store:
        run = store.begin_run(plan_of(request), [StillModel()])
        assert store.results(run.id)[0].trial.request == replace(request, messages=())


def test_texts_are_kept_once_and_whole_replies_compressed(path: Path) -> None:
    reply = {"text": "again and again " * 200}
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for trial in run.trial_ids:
            attempt = store.claim(run, trial)
            assert attempt is not None
            store.finish(attempt, Completion("same", "stop", raw=reply))
    rows = sql(path, "select codec, length(body) from blobs order by codec")
    assert [codec for codec, _ in rows] == ["raw", "zlib"]
    assert rows[1][1] < 300


def test_the_attempt_is_on_the_disk_before_the_call(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert sql(path, "select id, trial_id, status from attempts") == [(attempt, run.trial_ids[0], "started")]


def test_a_trial_is_claimed_once(path: Path) -> None:
    with Store.open(path) as store, Store.open(path) as other:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        assert other.claim(run, run.trial_ids[0]) is None
        assert not other.is_answered(run.trial_ids[0])
        store.finish(attempt, Completion("a", "stop"))
        assert other.claim(run, run.trial_ids[0]) is None
        assert other.is_answered(run.trial_ids[0])


def test_the_file_itself_refuses_a_second_open_attempt(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        store.claim(run, run.trial_ids[0])
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        sql(path, "insert into attempts select 99, trial_id, run_id, worker, status, '', null, null, null, null, null, "
                  "null, null from attempts")  # fmt: skip


def test_an_identical_plan_continues_the_unfinished_run_and_then_reuses(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        answer(store, run, 0)
        again = store.begin_run(PLAN, [StillModel()])
        assert (again.id, again.resumed, again.trial_ids) == (run.id, True, run.trial_ids)
        answer(store, run, 1)
        answer(store, run, 2)
        new = store.begin_run(PLAN, [StillModel()])
        assert new.id != run.id
        assert not new.resumed
        assert store.pending(new.id) == []
        assert [one.completion for one in store.results(new.id)] == [one.completion for one in store.results(run.id)]
        assert store.calls(new.id).ok == 0
        assert [row.id for row in store.runs()] == [new.id, run.id]


@pytest.mark.parametrize(
    ("plan", "model"),
    [
        (replace(PLAN, spec={"seed": 2}), StillModel()),
        (replace(PLAN, probe="placement"), StillModel()),
        (replace(PLAN, trials=PLAN.trials[:2]), StillModel()),
        (replace(PLAN, trials=(replace(PLAN.trials[0], cell={}), *PLAN.trials[1:])), StillModel()),
        (PLAN, StillModel(identity={"adapter": "fake/2"})),
        (PLAN, StillModel(name="fake/other-name")),
    ],
)
def test_any_other_plan_is_another_run(path: Path, plan: Plan, model: StillModel) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        assert store.begin_run(plan, [model]).id != run.id


def test_positions_go_model_after_model(path: Path) -> None:
    models = [StillModel(), StillModel("fake/two", {"model": "two"})]
    with Store.open(path) as store:
        run = store.begin_run(PLAN, models)
        assert [one.model for one in store.results(run.id)] == ["fake/one"] * 3 + ["fake/two"] * 3
        assert run.trial_ids[4] == trial_id(models[1].identity, PLAN.trials[1].request)
        assert [one.trial.cell["arm"] for one in store.results(run.id)] == ["arm 0", "arm 1", "arm 2"] * 2


def test_errors_are_never_answers(path: Path) -> None:
    errors = [Transient("the line broke"), RequestRejected("bad field"), ContextTooLong("too long")]
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for trial, error in zip(run.trial_ids, errors, strict=True):
            attempt = store.claim(run, trial)
            assert attempt is not None
            store.fail(attempt, error)
        assert [one.completion for one in store.results(run.id)] == [None] * 3
        assert [one.error_kind for one in store.results(run.id)] == ["transient", "rejected", "context_too_long"]
        assert store.results(run.id)[0].error_text == "the line broke"
        assert store.states(run.id) == ["failed", "rejected", "rejected"]
        assert store.pending(run.id) == [0]
        assert store.pending(run.id, retry_errors=True) == [0, 1, 2]
        row = store.runs()[0]
        assert (row.trials, row.answered, row.failed, row.lost) == (3, 0, 3, 0)
        answer(store, run, 0)
        assert store.results(run.id)[0].error_kind is None
        assert store.runs()[0].failed == 2
        attempt = store.claim(run, run.trial_ids[1])
        assert attempt is not None
        store.abandon(attempt)
        assert store.states(run.id) == ["answered", "missing", "rejected"]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RateLimited("slow down"), "rate_limited", "slow down"),
        (AccessDenied("no"), "access_denied", "no"),
        (ZeroDivisionError("division by zero"), "bug", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_went_wrong_is_named(path: Path, error: Exception, kind: str, text: str) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        store.fail(attempt, error)
        result = store.results(run.id)[0]
    assert (result.error_kind, result.error_text) == (kind, text)


def test_a_late_answer_to_a_lost_attempt_is_kept(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        store.abandon(attempt)
        assert store.calls(run.id).lost == 1
        second = answer(store, run, 0, "the second call was quicker")
        assert second != attempt
        store.finish(attempt, Completion("too late", "stop"))
        completion = store.results(run.id)[0].completion
        assert completion is not None
        assert completion.text == "the second call was quicker"
        assert store.calls(run.id).lost == 0


def test_calls_and_tokens_are_counted_for_their_run_alone(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for position, usage in enumerate([Usage(100, prompt_tokens_evaluated=100), Usage(120)]):
            attempt = store.claim(run, run.trial_ids[position])
            assert attempt is not None
            store.finish(attempt, Completion("x", "stop", usage, latency_s=0.5))
        calls = store.calls(run.id)
        assert (calls.ok, calls.error, calls.lost) == (2, 0, 0)
        assert (calls.prompt_tokens, calls.prompt_tokens_evaluated, calls.latency_s) == (220, None, 1.0)
        other = store.calls(store.begin_run(replace(PLAN, spec={}), [StillModel()]).id)
        assert (other.ok, other.prompt_tokens, other.latency_s) == (0, 0, 0.0)


def test_scores_are_replaced_not_piled_up(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for position in range(2):
            answer(store, run, position)
        first, second, third = run.trial_ids
        store.save_scores("match@1", [Score(first, "miss", 0.0, {}), Score(second, "refusal", None, {"why": "é"})])
        store.save_scores("match@1", [Score(first, "hit", 1.0, {"value": "47"})])
        store.save_scores("other@1", [Score(first, "miss", None, {})])
        assert store.scores(run.id, "match@1") == {
            first: Score(first, "hit", 1.0, {"value": "47"}),
            second: Score(second, "refusal", None, {"why": "é"}),
        }
        with pytest.raises(sqlite3.IntegrityError):  # nothing to judge without an answer
            store.save_scores("match@1", [Score(third, "miss", 0.0, {})])


def test_runs_are_found_by_the_beginning_of_their_id(path: Path) -> None:
    with Store.open(path) as store:
        with pytest.raises(UserError, match="no run"):
            store.find_run("latest")
        first = store.begin_run(PLAN, [StillModel()])
        last = store.begin_run(replace(PLAN, spec={"seed": 9}), [StillModel()])
        assert store.find_run("latest").id == last.id
        assert store.find_run(first.id).spec == {"seed": 1, "blocks": 1}
        assert store.find_run(first.id).models == ("fake/one",)
        with pytest.raises(UserError, match="2 runs begin with"):
            store.find_run("2")
        for nothing in ("zz", ""):
            with pytest.raises(UserError, match="no run"):
                store.find_run(nothing)
