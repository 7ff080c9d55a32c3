"""The runner: concurrency, retries, errors, windows, and what it says while it works."""

import asyncio
import random
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from probes.dispatch import dispatch_order
from probes.models.base import (
    AccessDenied,
    Completion,
    ContextTooLong,
    ModelError,
    RateLimited,
    Request,
    RequestRejected,
    Traits,
    Transient,
)
from probes.standing import Progress, Summary
from probes.store import Store
from probes.writer import Writer
from tests.probes.runner_helpers import PLAN, ScriptedModel, Waits, attempts, last_results, plan_of, run
from tokenizer.errors import UsageError, UserError

# ------------------------------------------------------------------------------------------------ concurrency


def test_every_trial_is_asked_once_and_never_again(store: Store) -> None:
    model = ScriptedModel()
    assert run(store, PLAN, model) == Summary(done=12, failed=0, missing=0, reused=0, lost=0)
    assert run(store, PLAN, model) == Summary(done=12, failed=0, missing=0, reused=12, lost=0)
    assert Counter(model.calls) == Counter(f"question {number}" for number in range(12))
    assert attempts(store) == [("ok", None)] * 12


@pytest.mark.parametrize(("jobs", "most", "expected"), [(1, None, 1), (3, None, 3), (8, 2, 2), (2, 8, 2)])
def test_calls_at_a_time_are_bounded(store: Store, jobs: int, most: int | None, expected: int) -> None:
    model = ScriptedModel(traits=Traits(max_concurrency=most), pause=lambda: asyncio.sleep(0.005))
    run(store, PLAN, model, jobs=jobs)
    assert model.most_at_once == expected


def test_models_run_side_by_side(store: Store) -> None:
    """Each model's first call waits for the other's: one after the other would never end."""
    both = threading.Barrier(2)
    met: list[bool] = []

    async def meet() -> None:
        if len(met) < 2:
            await asyncio.to_thread(both.wait, 10)
            met.append(True)

    models = [ScriptedModel(name, traits=Traits(max_concurrency=1), pause=meet) for name in ("a/a", "b/b")]
    assert run(store, PLAN, *models).done == 24


def test_one_request_at_several_positions_is_sent_once(store: Store) -> None:
    model, same = ScriptedModel("fake/one"), ScriptedModel("fake/alias")
    same.identity = model.identity
    seen: list[Progress] = []
    summary = run(store, plan_of("a", "b", "a"), model, same, on_progress=seen.append)
    assert summary == Summary(done=6, failed=0, missing=0, reused=0, lost=0)
    assert sorted(model.calls + same.calls) == ["a", "b"]
    assert (seen[-1].done, seen[-1].total) == (6, 6)


def test_only_the_blocks_asked_for(store: Store) -> None:
    model = ScriptedModel()
    assert run(store, PLAN, model, blocks={1}) == Summary(4, 0, 0, 0, 0)
    assert sorted(model.calls) == [f"question {number}" for number in (4, 5, 6, 7)]
    assert run(store, PLAN, model, blocks=range(3)) == Summary(12, 0, 0, 4, 0)
    assert len(model.calls) == 12
    assert len(store.runs()) == 1


def test_progress_tells_the_truth(store: Store) -> None:
    model = ScriptedModel(script=lambda question, _: RequestRejected("no") if question == "question 3" else None)
    run(store, PLAN, model, blocks={1})
    seen: list[Progress] = []
    run(store, PLAN, model, on_progress=seen.append)
    assert {one.total for one in seen} == {12}
    assert {one.reused for one in seen} == {4}
    assert (seen[0].done, seen[-1].done, seen[-1].failed, seen[-1].in_flight) == (4, 11, 1, 0)
    assert max(one.in_flight for one in seen) == 4
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert not any(one.stopping for one in seen)
    del seen[:]
    run(store, PLAN, model, on_progress=seen.append)
    assert [(one.done, one.failed, one.reused) for one in seen] == [(11, 1, 11)]  # nothing to do is told as well


def test_no_calls_at_a_time_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="0 calls"):
        run(store, PLAN, ScriptedModel(), jobs=0)


# ----------------------------------------------------------------------------------------------------- errors


def test_transient_failures_are_tried_again_with_growing_waits(store: Store) -> None:
    waits = Waits()
    model = ScriptedModel(script=lambda question, call: Transient("broke") if question == "a" and call < 6 else None)
    seen: list[Progress] = []
    assert run(store, plan_of("a"), model, waits=waits, on_progress=seen.append) == Summary(1, 0, 0, 0, 0)
    assert attempts(store) == [("error", "transient")] * 5 + [("ok", None)]
    assert all(least <= wait <= least + 1 for least, wait in zip([1, 2, 4, 8, 16], waits.seconds, strict=True))
    assert seen[-1].retries == 5


def test_there_are_no_more_attempts_than_asked_for(store: Store) -> None:
    model = ScriptedModel(script=lambda *_: Transient("down"))
    assert run(store, plan_of("a"), model) == Summary(0, 1, 0, 0, 0)
    assert len(model.calls) == 6
    assert run(store, plan_of("a"), model, max_attempts=1) == Summary(0, 1, 0, 0, 0)
    assert len(model.calls) == 6 + 1


def test_a_server_may_say_how_long_to_wait_but_not_any_length(store: Store) -> None:
    waits, said = Waits(), list[str]()
    script = {"a": RateLimited("wait", retry_after=7.5), "b": RateLimited("wait", retry_after=3600)}
    model = ScriptedModel(script=lambda question, call: script[question] if call == 1 else None)
    assert run(store, plan_of("a", "b"), model, waits=waits, say=said.append) == Summary(1, 1, 0, 0, 0)
    assert waits.seconds == [7.5]
    assert said == [
        "fake/one: a trial is left for a later run, as it asks to wait 3,600 s, and a trial may take 1,200 s in all"
    ]
    assert run(store, plan_of("a", "b"), ScriptedModel()) == Summary(2, 0, 0, 1, 0)


def test_a_trial_has_a_time_limit_in_all(store: Store) -> None:
    now = [0.0]

    async def take_40_s() -> None:
        now[0] += 40

    said: list[str] = []
    model = ScriptedModel(pause=take_40_s, script=lambda *_: Transient("down"))
    options = {"trial_timeout_s": 100.0, "clock": lambda: now[0], "say": said.append}
    assert run(store, plan_of("a"), model, **options) == Summary(0, 1, 0, 0, 0)
    assert len(model.calls) == 3
    assert said == ["fake/one: a trial is left for a later run, as the 100 s that a trial may take in all are over"]


def test_a_later_run_repeats_what_failed_for_a_time_and_keeps_what_was_answered(store: Store) -> None:
    ill = ScriptedModel(script=lambda question, _: None if question == "question 5" else Transient("down"))
    assert run(store, PLAN, ill) == Summary(1, 11, 0, 0, 0)
    assert len(ill.calls) == 1 + 6 * 11
    assert [one.completion is None for one in last_results(store)].count(True) == 11
    healthy = ScriptedModel()
    assert run(store, PLAN, healthy) == Summary(12, 0, 0, 1, 0)
    assert "question 5" not in healthy.calls
    assert len(healthy.calls) == 11
    assert len(store.runs()) == 1


def test_a_rejected_request_is_asked_again_only_on_demand(store: Store) -> None:
    picky = ScriptedModel(script=lambda question, _: RequestRejected("no") if question == "question 5" else None)
    assert run(store, PLAN, picky) == Summary(11, 1, 0, 0, 0)
    assert run(store, PLAN, picky) == Summary(11, 1, 0, 11, 0)
    assert picky.calls.count("question 5") == 1
    assert run(store, PLAN, ScriptedModel(), retry_errors=True) == Summary(12, 0, 0, 11, 0)
    assert len(store.runs()) == 1


def test_a_failure_of_one_trial_does_not_stop_the_others(store: Store) -> None:
    model = ScriptedModel(script=lambda question, _: ModelError("crashed") if question == "question 5" else None)
    assert run(store, PLAN, model) == Summary(11, 1, 0, 0, 0)
    assert model.calls.count("question 5") == 1


@pytest.mark.parametrize("error", [AccessDenied("no money"), ZeroDivisionError("a bug")])
def test_no_access_and_bugs_stop_the_run_and_keep_what_was_in_flight(store: Store, error: Exception) -> None:
    first = dispatch_order(PLAN.trials, Traits(), 11)[0]
    model = ScriptedModel(script=lambda question, _: error if question == f"question {first}" else None)
    with pytest.raises(type(error)) as caught:
        run(store, PLAN, model, jobs=4)
    assert caught.value is error
    statuses = Counter(status for status, _ in attempts(store))
    assert statuses["error"] == 1
    assert 1 <= statuses["ok"] < 11
    assert set(statuses) == {"ok", "error"}
    assert run(store, PLAN, ScriptedModel()).done == 12


def test_a_call_that_takes_too_long_is_given_up_and_tried_again(store: Store) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    assert run(store, plan_of("a"), ScriptedModel(pause=hang), timeout_s=0.01) == Summary(0, 1, 0, 0, 0)
    assert attempts(store) == [("error", "transient")] * 6
    assert "no answer within 0.01 seconds" in last_results(store)[0].error_text


def test_a_time_limit_of_the_models_own_is_a_bug(store: Store) -> None:
    with pytest.raises(TimeoutError):
        run(store, plan_of("a"), ScriptedModel(script=lambda *_: TimeoutError()), timeout_s=5)
    assert attempts(store) == [("error", "bug")]


def test_a_store_that_fails_stops_the_run_and_keeps_what_it_has(store: Store) -> None:
    """The disk fills up after the first calls; several writes then wait for one commit."""

    async def fill_the_disk() -> None:
        await asyncio.sleep(0.002)
        if len(model.calls) > 4:
            pages = store._connection.execute("pragma page_count").fetchone()[0]
            store._connection.execute(f"pragma max_page_count = {pages}")

    model = ScriptedModel(pause=fill_the_disk)
    answer = model.complete

    async def long_answer(request: Request) -> Completion:
        return replace(await answer(request), text=random.Random(len(model.calls)).randbytes(40_000).hex())

    model.complete = long_answer  # type: ignore[method-assign]
    said: list[str] = []
    with pytest.raises(UserError, match="disk is full"):
        run(store, PLAN, model, say=said.append)
    statuses = Counter(status for status, _ in attempts(store))
    assert set(statuses) == {"ok", "lost"}
    [words] = said
    kept_out = int(words.removeprefix("answered but not kept, as the run store could not be written: "))
    assert 1 <= kept_out <= statuses["lost"]
    assert sum(one.completion is not None for one in last_results(store)) == statuses["ok"]
    assert len(model.calls) < 12


def test_writes_that_wait_together_share_a_commit_and_fail_alone(store: Store) -> None:
    begun = store.begin_run(PLAN, [ScriptedModel()])
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)

    async def write() -> list[Any]:
        writer = Writer(store)
        claims = [writer.do(partial(store.claim, begun, trial)) for trial in begun.trial_ids[:3]]
        unknown = writer.do(partial(store.claim, begun, "no such trial"))
        try:
            return await asyncio.gather(*claims, unknown, return_exceptions=True)
        finally:
            writer.close()

    *claimed, error = asyncio.run(write())
    assert claimed == [1, 2, 3]
    assert isinstance(error, sqlite3.IntegrityError)
    assert [statement.casefold() for statement in statements].count("commit") == 1
    assert attempts(store) == [("started", None)] * 3


# ------------------------------------------------------------------------------------------------------ windows


def test_what_cannot_fit_is_refused_before_anything_is_sent(store: Store) -> None:
    plan = plan_of("a short one", "one two three four five six seven eight nine ten", "another short one")
    small, large = ScriptedModel(traits=Traits(window=17)), ScriptedModel("fake/large", traits=Traits(window=18))
    with pytest.raises(ContextTooLong, match=r"window of 17 tokens; the longest prompt has 10 .* may have 8"):
        run(store, plan, large, small)
    assert small.calls == large.calls == []
    assert attempts(store) == []
    assert run(store, plan, large).done == 3


def test_only_a_few_of_the_longest_that_are_still_to_be_sent_are_counted(store: Store) -> None:
    plan = plan_of(*("word " * number for number in range(1, 9)), per_block=4)
    model = ScriptedModel(traits=Traits(window=100))
    run(store, plan, model, blocks={0})
    assert sorted(map(len, model.counted)) == [10, 15, 20]
    run(store, plan, model)
    assert sorted(map(len, model.counted))[3:] == [30, 35, 40]
