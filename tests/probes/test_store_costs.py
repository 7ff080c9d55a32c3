"""What calls cost, what was kept of each, samples that move on, prompts that are kept, and runs that go on."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from probes import store_rows
from probes.identity import prompt_hash, trial_id
from probes.models.base import Completion, Message, RequestRejected, Transient, Usage
from probes.store import Run, Store
from tests.probes.store_helpers import PLAN, StillModel, answer, asks, plan_of, sql
from tokenizer.errors import UserError

PRICE = json.dumps({"input_usd": "3"})


def claimed(store: Store, run: Run, position: int, reserved: int | None) -> int:
    attempt = store.claim(run, run.trial_ids[position], reserved_nano_usd=reserved)
    assert attempt is not None
    return attempt


def test_what_a_run_spent_is_known_unknown_or_at_most(store: Store) -> None:
    run = store.begin_run(plan_of(*(asks(f"question {number}") for number in range(6))), [StillModel()])
    usage = Usage(input_tokens=100, output_tokens=5)
    known, unknown, lost, timed_out, refused, lost_unpriced = (
        claimed(store, run, position, reserved) for position, reserved in enumerate([900, None, 800, 70, 6, None])
    )
    store.finish(known, Completion("a", "stop", usage), cost_nano_usd=412, price_json=PRICE)
    store.finish(unknown, Completion("b", "stop", usage))
    store.abandon(lost)
    store.abandon(lost_unpriced)
    store.fail(timed_out, Transient("no answer within 60 seconds"), latency_s=60.0, maybe_billed=True)
    store.fail(refused, RequestRejected("no"), latency_s=0.1)
    spent = store.spent(run.id)
    assert (spent.known_nano_usd, spent.unknown_calls, spent.lost_at_most_nano_usd) == (412, 2, 870)
    assert (spent.input_tokens, spent.output_tokens) == (200, 10)
    row = store.runs()[0]
    assert (row.known_nano_usd, row.unknown_cost_calls) == (412, 3)


def test_an_answer_that_is_used_again_costs_nothing_again(store: Store) -> None:
    run = store.begin_run(PLAN, [StillModel()])
    for position in range(3):
        store.finish(claimed(store, run, position, 9), Completion("a", "stop"), cost_nano_usd=7)
    again = store.begin_run(PLAN, [StillModel()])
    assert again.id != run.id
    assert (store.spent(run.id).known_nano_usd, store.spent(again.id).known_nano_usd) == (21, 0)
    assert {trial.answered_by for trial in store.trials(again.id)} == {run.id}
    assert [(trial.cost_nano_usd, trial.calls) for trial in store.trials(again.id)] == [(7, 0)] * 3
    assert [result.cost_nano_usd for result in store.results(again.id)] == [7] * 3


def test_a_late_answer_to_a_lost_call_is_paid_and_no_longer_maybe(store: Store) -> None:
    run = store.begin_run(PLAN, [StillModel()])
    attempt = claimed(store, run, 0, 50)
    store.abandon(attempt)
    assert store.spent(run.id).lost_at_most_nano_usd == 50
    store.finish(attempt, Completion("late", "stop"), cost_nano_usd=40)
    assert (store.spent(run.id).known_nano_usd, store.spent(run.id).lost_at_most_nano_usd) == (40, 0)


def test_every_call_is_told_with_what_became_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "topsecretvalue")
    run = store.begin_run(PLAN, [StillModel()])
    store.fail(claimed(store, run, 1, 5), Transient("bad key topsecretvalue"), latency_s=0.5)
    store.finish(
        claimed(store, run, 1, 5),
        Completion("a", "stop", latency_s=1.5, request_id="req_9", dropped=("temperature", "seed")),
        cost_nano_usd=3,
        price_json=PRICE,
    )
    answer(store, run, 0)
    failed, ok = store.attempts(run.id, run.trial_ids[1])
    assert (failed.status, failed.error_kind, failed.error_text) == ("error", "transient", "bad key [redacted]")
    assert (failed.latency_s, failed.cost_nano_usd, failed.reserved_nano_usd) == (0.5, None, None)
    assert (ok.status, ok.latency_s, ok.request_id, ok.cost_nano_usd, ok.price_json) == ("ok", 1.5, "req_9", 3, PRICE)
    assert ok.started_utc.endswith("Z")
    assert [one.trial_id for one in store.attempts(run.id)] == [run.trial_ids[1]] * 2 + [run.trial_ids[0]]
    completion = store.results(run.id)[1].completion
    assert completion is not None
    assert completion.dropped == ("temperature", "seed")


def test_fresh_moves_samples_on_past_what_is_answered(store: Store) -> None:
    plan = plan_of(asks("Where?", sample=0), asks("Where?", sample=1))
    first = store.begin_run(plan, [StillModel()])
    answer(store, first, 0, "old")
    answer(store, first, 1, "old")
    fresh = store.begin_run(plan, [StillModel()], fresh=True)
    assert not fresh.resumed
    assert [trial.request.sample for trial in fresh.plan.trials] == [2, 3]
    assert fresh.trial_ids == tuple(trial_id(StillModel().identity, trial.request) for trial in fresh.plan.trials)
    assert store.pending(fresh.id) == [0, 1]
    assert [one.completion.text for one in store.results(first.id) if one.completion] == ["old", "old"]
    answer(store, fresh, 0, "new")

    continued = store.begin_run(plan, [StillModel()], fresh=True)
    assert (continued.id, continued.resumed, continued.plan) == (fresh.id, True, fresh.plan)
    answer(store, fresh, 1, "new")
    assert [trial.request.sample for trial in store.begin_run(plan, [StillModel()], fresh=True).plan.trials] == [4, 5]
    # Without --fresh the first answers are found, as ever.
    plain = store.begin_run(plan, [StillModel()])
    assert [one.completion.text for one in store.results(plain.id, plan) if one.completion] == ["old", "old"]
    assert store.results(fresh.id, plan)[0].trial.request == fresh.plan.trials[0].request


def test_fresh_passes_over_a_sample_that_only_one_model_has_answered(store: Store) -> None:
    plan, two = plan_of(asks("Where?")), StillModel("fake/two", {"model": "two"})
    answer(store, store.begin_run(plan, [two]), 0)
    run = store.begin_run(plan, [StillModel(), two], fresh=True)
    assert run.plan.trials[0].request.sample == 1
    assert store.begin_run(plan, [StillModel()], fresh=True).plan.trials[0].request.sample == 0


def test_a_fresh_run_that_was_refused_for_good_is_not_continued(store: Store) -> None:
    plan = plan_of(asks("Where?"))
    answer(store, store.begin_run(plan, [StillModel()]), 0)
    fresh = store.begin_run(plan, [StillModel()], fresh=True)
    store.fail(claimed(store, fresh, 0, None), RequestRejected("no"))
    assert store.begin_run(plan, [StillModel()], fresh=True).id != fresh.id


def test_a_run_goes_on_from_its_plan_made_again(store: Store) -> None:
    run = store.begin_run(PLAN, [StillModel()])
    answer(store, run, 0)
    resumed = store.resume_run(run.id[:-1], PLAN)
    assert (resumed.id, resumed.resumed, resumed.trial_ids) == (run.id, True, run.trial_ids)
    with pytest.raises(UserError, match="cannot be made again"):
        store.resume_run(run.id, plan_of(asks("Where is the ferry?"), asks("Where is the lamp?"), asks("Other?")))
    fresh = store.begin_run(PLAN, [StillModel()], fresh=True)
    assert store.resume_run(fresh.id, PLAN).plan == fresh.plan


def test_prompts_are_kept_only_when_asked_for(store: Store, path: Path) -> None:
    text = "Wo ist 猫? " * 500
    plan = plan_of(replace(asks(text), messages=(Message("system", "kurz"), Message("user", text))), asks("b"))
    store.begin_run(plan, [StillModel()])
    wanted = prompt_hash(plan.trials[0].request)
    assert store.kept_prompt(wanted) is None
    assert sql(path, "select count(*) from blobs") == [(0,)]
    store.begin_run(plan, [StillModel()], keep_prompts=True)
    assert store.kept_prompt(wanted) == plan.trials[0].request.messages
    [(longest,)] = sql(path, "select max(length(body)) from blobs where codec = 'zlib'")
    assert longest < len(text.encode()) / 10


def test_no_question_goes_through_a_whole_table_for_each_trial(store: Store) -> None:
    for query in (store_rows.TRIALS, store_rows.STATES, store_rows.SPENT, store_rows.CALLS):
        steps = [row["detail"] for row in store._rows(f"explain query plan {query}", "some run")]
        assert steps
        assert not [step for step in steps if step.startswith("SCAN") or "AUTOMATIC" in step], query
        inner = steps[1:]  # what is done again for each trial finds its rows by the trial
        assert not [step for step in inner if "attempts_by_run" in step], query


def test_what_a_server_says_around_an_answer_is_kept_without_keys(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "planted-secret-value")
    run = store.begin_run(PLAN, [StillModel()])
    said = "x \ud800 Bearer planted-secret-value"
    store.finish(
        claimed(store, run, 0, None),
        Completion("a", "stop", model=said, request_id=said, raw={"headers": {"id": said}}),
    )
    completion = store.results(run.id)[0].completion
    assert completion is not None
    assert (completion.model, completion.request_id) == ("x ? Bearer [redacted]",) * 2
    kept = [zlib.decompress(body) for (body,) in sql(path, "select body from blobs where codec = 'zlib'")]
    assert len(kept) == 1
    assert b"planted" not in kept[0] + path.read_bytes()
