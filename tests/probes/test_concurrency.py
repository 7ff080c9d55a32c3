"""How many calls are in flight: growth, cuts, and fairness, with a clock that the test moves."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from probes.concurrency import Gate
from probes.models.base import RateLimited, Transient
from probes.standing import Progress
from probes.store import Store
from tests.probes.runner_helpers import ScriptedModel, plan_of, run


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def go(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 5))


async def busy_round(gate: Gate, calls: int) -> None:
    """So many calls at once, all answered while every one of them still holds its slot."""
    async with AsyncExitStack() as stack:
        for _ in range(calls):
            await stack.enter_async_context(gate.slot())
        for _ in range(calls):
            gate.succeeded()


def test_the_limit_grows_by_one_after_each_full_round_up_to_its_ceiling() -> None:
    async def steps() -> None:
        gate = Gate(6)
        limits = [gate.limit]
        for _ in range(4):
            await busy_round(gate, gate.limit)
            limits.append(gate.limit)
        assert limits == [4, 5, 6, 6, 6]

    go(steps())


def test_calls_that_leave_slots_empty_say_nothing() -> None:
    async def steps() -> None:
        gate = Gate(16)
        for _ in range(50):
            await busy_round(gate, 3)
        assert gate.limit == 4

    go(steps())


def test_a_complaint_halves_the_limit_once_for_all_that_were_in_flight() -> None:
    async def steps() -> None:
        clock = Clock()
        gate = Gate(64, clock=clock)
        while gate.limit < 16:
            await busy_round(gate, gate.limit)
        for _ in range(16):
            gate.rate_limited()
        assert gate.limit == 8
        clock.now += 4.9
        gate.rate_limited()
        assert gate.limit == 8
        clock.now += 0.2
        gate.rate_limited(retry_after=60)
        assert gate.limit == 4
        clock.now += 59
        gate.rate_limited()
        assert gate.limit == 4
        for _ in range(9):
            clock.now += 61
            gate.rate_limited()
        assert gate.limit == 1

    go(steps())


def test_a_complaint_spoils_the_round() -> None:
    async def steps() -> None:
        gate = Gate(64, clock=Clock())
        async with AsyncExitStack() as stack:
            for _ in range(4):
                await stack.enter_async_context(gate.slot())
            for _ in range(3):
                gate.succeeded()
            gate.rate_limited()
            assert gate.limit == 2
            gate.succeeded()
        assert gate.limit == 2

    go(steps())


@pytest.mark.parametrize("ceiling", [1, 3])
def test_never_more_than_the_limit_and_first_come_first_served(ceiling: int) -> None:
    async def steps() -> None:
        gate, order, at_once = Gate(ceiling), list[int](), list[int]()

        async def call(number: int) -> None:
            async with gate.slot():
                order.append(number)
                at_once.append(gate.in_flight)
                await asyncio.sleep(0)

        await asyncio.gather(*(call(number) for number in range(20)))
        assert order == list(range(20))
        assert max(at_once) == ceiling
        assert gate.in_flight == 0

    go(steps())


def test_who_is_cancelled_while_waiting_takes_no_slot_along() -> None:
    async def steps() -> None:
        gate = Gate(1)

        async def hold() -> None:
            async with gate.slot():
                await asyncio.sleep(60)

        holder = asyncio.create_task(hold())
        waiters = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(0.001)
        waiters[0].cancel()
        holder.cancel()  # its slot goes to the second waiter, which is cancelled in the same moment
        await asyncio.sleep(0)
        waiters[1].cancel()
        await asyncio.wait([holder, *waiters[:2]])
        await asyncio.sleep(0.001)
        assert gate.in_flight == 1
        waiters[2].cancel()
        await asyncio.wait(waiters)
        assert gate.in_flight == 0

    go(steps())


def test_a_call_that_waits_for_its_next_attempt_holds_no_slot(store: Store) -> None:
    """One slot is left; while one trial waits its minute, all the others are answered."""

    async def long_wait(_seconds: float) -> None:
        while len(set(model.calls)) < 30:  # noqa: ASYNC110 - ends as soon as the others had their turn
            await asyncio.sleep(0.001)

    model = ScriptedModel(
        script=lambda question, call: RateLimited("wait", retry_after=60) if (question, call) == ("q0", 1) else None
    )
    seen: list[Progress] = []
    plan = plan_of(*(f"q{number}" for number in range(30)), per_block=1)
    assert run(store, plan, model, jobs=2, waits=long_wait, on_progress=seen.append).done == 30
    assert min(one.limit for one in seen) == 1


def test_the_runner_slows_down_when_told_and_only_then(store: Store) -> None:
    plan = plan_of(*(f"q{number}" for number in range(200)))
    broken = ScriptedModel(script=lambda _, call: Transient("broke") if call == 1 else None)
    seen: list[Progress] = []
    assert run(store, plan, broken, jobs=12, on_progress=seen.append).done == 200
    assert max(one.limit for one in seen) > 4
    assert min(one.limit for one in seen) == 4
    told = ScriptedModel("fake/two", script=lambda _, call: RateLimited("slowly") if call == 1 else None)
    del seen[:]
    assert run(store, plan, told, jobs=12, clock=Clock(), on_progress=seen.append).done == 200
    assert min(one.limit for one in seen) == 2
