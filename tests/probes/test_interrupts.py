"""The runner when it is stopped: Ctrl-C once and twice, and being cancelled."""

import asyncio
import signal
import threading
from pathlib import Path

import pytest

from probes.budget import Limits
from probes.interrupts import interrupts
from probes.models.base import (
    Request,
    Traits,
    Transient,
)
from probes.runner import run_plan
from probes.standing import Interrupted, Progress, Summary
from probes.store import Store
from tests.probes.runner_helpers import PLAN, ScriptedModel, attempts, run


def test_the_first_interrupt_drains_and_the_handler_is_put_back(store: Store) -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[Progress] = []
    interrupted: list[bool] = []

    async def interrupt_at_the_third() -> None:
        await asyncio.sleep(0)
        if len(model.calls) == 3 and not interrupted:
            interrupted.append(True)
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.01)

    model = ScriptedModel(pause=interrupt_at_the_third)
    with pytest.raises(Interrupted, match=r"of 12 trials are answered") as caught:
        run(store, PLAN, model, jobs=3, on_progress=seen.append)
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) == before
    summary = caught.value.summary
    assert 3 <= summary.done == len(model.calls) < 12
    assert summary.missing == 12 - summary.done
    assert summary.lost == 0
    assert any(one.stopping for one in seen)
    assert not model.closed
    assert run(store, PLAN, model) == Summary(12, 0, 0, summary.done, 0)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_prompts_are_counted_sends_nothing(store: Store, times: int) -> None:
    class SlowToCount(ScriptedModel):
        async def count_prompt_tokens(self, request: Request) -> int | None:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.01 if times == 1 else 60)
            return await super().count_prompt_tokens(request)

    model = SlowToCount(traits=Traits(window=100))
    with pytest.raises(Interrupted):
        run(store, PLAN, model)
    assert len(model.counted) == 2 - times
    assert model.calls == []
    assert model.closed == (times == 2)


def test_an_interrupt_ends_the_wait_before_another_attempt(store: Store) -> None:
    async def interrupted_sleep(_seconds: float) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

    model = ScriptedModel(script=lambda *_: Transient("down"))
    with pytest.raises(Interrupted):
        run(store, PLAN, model, jobs=1, waits=interrupted_sleep)
    assert len(model.calls) == 1


def test_an_interrupt_after_the_loop_was_closed_under_it_is_pythons_own() -> None:
    heard: list[int] = []

    async def endless() -> None:
        with interrupts(heard.append):
            await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    coroutine = endless()

    async def begin() -> None:
        coroutine.send(None)

    loop.run_until_complete(begin())
    loop.close()
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        coroutine.close()
    assert heard == []


def test_outside_the_main_thread_signals_are_left_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    summaries: list[Summary] = []

    def in_a_thread() -> None:
        with Store.open(tmp_path / "thread.db") as store:
            summaries.append(run(store, PLAN, ScriptedModel()))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join(30)
    assert summaries == [Summary(12, 0, 0, 0, 0)]
    assert signal.getsignal(signal.SIGINT) == before


def test_being_cancelled_from_outside_leaves_no_attempt_open(store: Store) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    model = ScriptedModel(pause=hang)

    async def cancelled() -> None:
        begun = store.begin_run(PLAN, [model])
        task = asyncio.create_task(run_plan(store, begun, PLAN, [model], limits=Limits(jobs=4)))
        while model.at_once < 4:  # noqa: ASYNC110 - a poll that ends as soon as the calls are in flight
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancelled(), 10))
    assert attempts(store) == [("lost", None)] * 4
    assert model.closed
