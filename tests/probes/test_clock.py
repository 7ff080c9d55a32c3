"""The wall clock jumps in the middle of a run: nothing that was answered is lost, and nothing is asked twice."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from probes.budget import Limits
from probes.runner import run_plan
from probes.store import Store
from tests.probes.runner_helpers import ScriptedModel, plan_of

DAY = 86_400.0
QUESTIONS, IN_FLIGHT = 16, 4


@pytest.mark.parametrize("jump", [-3 * DAY, -3600.0, 3600.0, 3 * DAY])
def test_a_jump_of_the_clock_loses_nothing_and_asks_nothing_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Two stores on one file stand for two processes; the second begins after the jump, while the first is calling."""
    offset = [0.0]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset[0])
    monkeypatch.setattr("probes.runner.RENEW_LEASE_S", 0.02)
    monkeypatch.setattr("probes.runner.HELD_POLL_S", 0.01)
    plan = plan_of(*(f"question {number}" for number in range(QUESTIONS)))

    async def whole() -> tuple[ScriptedModel, ScriptedModel]:
        in_flight, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            in_flight.set()
            await go_on.wait()

        first, second = ScriptedModel(pause=slow), ScriptedModel(pause=lambda: asyncio.sleep(0.001))
        with Store.open(path) as one, Store.open(path) as other:
            other._worker = "another process"  # they share a number here; names tell them apart
            other._host = "another host"
            run = one.begin_run(plan, [first])
            earlier = asyncio.create_task(run_plan(one, run, plan, [first], limits=Limits(jobs=IN_FLIGHT)))
            await in_flight.wait()
            await asyncio.sleep(0.01)
            offset[0] = jump
            later = asyncio.create_task(
                run_plan(other, other.begin_run(plan, [second]), plan, [second], limits=Limits(jobs=IN_FLIGHT))
            )
            while len(second.calls) < QUESTIONS - IN_FLIGHT:  # noqa: ASYNC110 - it takes all but what the first has in flight
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.1)  # several looks at the first one's lease
            go_on.set()
            assert [(each.done, each.lost) for each in await asyncio.gather(earlier, later)] == [(QUESTIONS, 0)] * 2
        return first, second

    first, second = asyncio.run(asyncio.wait_for(whole(), 20))
    assert Counter(first.calls + second.calls) == Counter(f"question {number}" for number in range(QUESTIONS))
    assert len(first.calls) >= IN_FLIGHT
