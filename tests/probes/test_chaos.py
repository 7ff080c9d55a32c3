"""A third of the calls fails in every way that passes, over HTTP and through the real SDKs: the table is the same."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from probes.budget import Limits
from probes.experiments.common import Ruler
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.needle_results import score_needles, verdicts
from probes.models import load_model
from probes.models.base import Model
from probes.plan import Plan
from probes.runner import run_plan
from probes.serving.server import Server, serving
from probes.store import Store

TRIALS = 2_000  # half of them for each of two protocols
READER = "sim/u-shape"
NAMES = ("openai/a-model", "anthropic/a-model")

# What a client meets, and how often; all of it passes. `silence` costs a whole time limit each time.
FAILURES = {
    "rate-limit": 0.02,
    "rate-limit-bare": 0.01,
    "overloaded": 0.04,
    "server-error": 0.05,
    "dropped": 0.04,
    "dropped-midway": 0.04,
    "half-stream": 0.04,
    "broken-json": 0.04,
    "empty-body": 0.04,
    "silence": 0.003,
    "refused": 0.01,
}
TIMEOUT_S = 1.5


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "any")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A thousand questions about short texts."""
    ruler = Ruler("words", lambda text: len(text.split()))
    whole = plan_needle(NeedleOptions(lengths=(100,), blocks=1 + TRIALS // 2 // 6, ruler="words"), ruler)
    return Plan(whole.probe, whole.spec, whole.trials[: TRIALS // 2])


def asked(servers: list[Server]) -> list[Model]:
    one, other = servers
    return [load_model(NAMES[0], base_url=f"{one.url}/v1"), load_model(NAMES[1], base_url=other.url)]


def answer_all(store: Store, plan: Plan, servers: list[Server]) -> dict[str, Any]:
    """Run the plan on both models, and give what came of it: answers by position, and verdicts."""
    models = asked(servers)
    run = store.begin_run(plan, models)
    limits = Limits(jobs=16, max_attempts=40, timeout_s=TIMEOUT_S, trial_timeout_s=1e9)
    clock = itertools.count(step=6)  # at each look the cooldown of the gate is over

    async def whole() -> None:
        try:
            summary = await run_plan(store, run, plan, models, limits=limits, clock=lambda: next(clock))
        finally:
            for model in models:
                await model.aclose()
        assert (summary.done, summary.failed, summary.missing, summary.lost) == (TRIALS, 0, 0, 0)

    with patch("stamina._core._smart_sleep", lambda _seconds: asyncio.sleep(0)):
        asyncio.run(whole())
    results = store.results(run.id, plan)
    return {
        "run": run.id,
        "answers": [[one.completion and one.completion.text for one in results if one.model == name] for name in NAMES],
        "outcomes": {verdict.outcome for verdict in verdicts(score_needles(results))},
    }


def calm_answers(plan: Plan) -> list[str]:
    """What the reader behind both servers says when nothing fails and nothing is in between."""
    reader = load_model(READER)

    async def whole() -> list[str]:
        return [(await reader.complete(trial.request)).text for trial in plan.trials]

    return asyncio.run(whole())


# A stream that a timeout cuts off is sometimes closed by the HTTP library while it is still being read.
@pytest.mark.filterwarnings(
    "ignore:.*(AsyncResponseStream|Response.aiter_raw).*:pytest.PytestUnraisableExceptionWarning"
)
def test_two_thousand_trials_come_through_a_third_of_failures(plan: Plan, tmp_path: Path) -> None:
    assert len(plan.trials) == TRIALS // 2
    calm = calm_answers(plan)
    with (
        serving(READER, failures=FAILURES, seed=2) as one,
        serving(READER, failures=FAILURES, seed=3) as other,
        Store.open(tmp_path / "stormy.db") as store,
    ):
        stormy = answer_all(store, plan, [one, other])
        failed = one.failed + other.failed
        attempts = store.attempts(stormy["run"])

    assert stormy["answers"] == [calm, calm]
    assert not stormy["outcomes"] & {"error", "truncated"}

    assert set(failed) == set(FAILURES), "a kind of failure never happened"
    assert failed.total() > 0.25 * (one.calls + other.calls)
    by_status = Counter(attempt.status for attempt in attempts)
    assert by_status == {"ok": TRIALS, "error": len(attempts) - TRIALS}
    kinds = Counter(attempt.error_kind for attempt in attempts if attempt.status == "error")
    assert kinds["rate_limited"] == failed["rate-limit"] + failed["rate-limit-bare"]
    # On a slow machine an answer can be late without the server's doing.
    assert failed.total() <= kinds.total() <= failed.total() + 20
    assert set(kinds) == {"rate_limited", "transient"}
    per_trial = Counter(attempt.trial_id for attempt in attempts if attempt.status == "ok")
    assert set(per_trial.values()) == {1}
    assert len(per_trial) == TRIALS


@pytest.mark.parametrize(
    ("kind", "outcome"), [("context-length", "rejected"), ("quota", "stopped"), ("denied", "stopped")]
)
def test_what_will_not_pass_is_never_tried_again(plan: Plan, tmp_path: Path, kind: str, outcome: str) -> None:
    few = Plan(plan.probe, plan.spec, plan.trials[:6])
    with serving(READER, failures={kind: 1.0}) as server, Store.open(tmp_path / "runs.db") as store:
        models = asked([server, server])
        run = store.begin_run(few, models)

        async def whole() -> str:
            try:
                summary = await run_plan(store, run, few, models, limits=Limits(jobs=1))
            except Exception as err:  # noqa: BLE001 - its kind is what is asked for
                return "stopped" if getattr(err, "kind", "") == "access_denied" else repr(err)
            finally:
                for model in models:
                    await model.aclose()
            return "rejected" if summary.failed == len(run.trial_ids) else repr(summary)

        assert asyncio.run(whole()) == outcome
        trials = Counter(attempt.trial_id for attempt in store.attempts(run.id))
        assert set(trials.values()) == {1}
        assert server.calls == len(trials)
        assert all(result.completion is None for result in store.results(run.id, few))
