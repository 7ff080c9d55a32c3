"""Another program has the store locked in the middle of a run: it is waited for, until a second Ctrl-C."""

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.runner import LOCKED, Interrupted, Summary
from probes.store import Store
from tests.probes.runner_helpers import PLAN, ScriptedModel, attempts, run


class OtherProgram:
    """A second connection to the store, which takes the write lock and gives it back."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)

    def lock(self) -> None:
        self.connection.execute("begin immediate")

    def release(self) -> None:
        self.connection.execute("rollback")


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose own patience is shorter than every lock here."""
    monkeypatch.setattr("probes.writer.LOCK_TOLD_S", 0.2)
    with Store.open(path, busy_timeout_s=0) as opened:
        yield opened


@pytest.fixture
def other(path: Path, store: Store) -> Iterator[OtherProgram]:
    program = OtherProgram(path)
    yield program
    program.connection.close()


def model_that_meets_a_lock(other: OtherProgram, calls: int = 4) -> ScriptedModel:
    """Its first calls are answered when all of them are in flight and the store is locked."""
    met = asyncio.Event()

    async def meet() -> None:
        if model.at_once == calls and not met.is_set():
            other.lock()
            met.set()
        await met.wait()

    model = ScriptedModel(pause=meet)
    return model


def interrupt(times: int) -> None:
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def when_told(*acts: Callable[[], object]) -> tuple[list[str], Callable[[str], None]]:
    """What was said, and a `say` that does this then; were the event loop blocked, it would never be called."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        for act in acts:
            asyncio.get_running_loop().call_soon(act)

    return said, say


def test_the_lock_is_waited_for_and_told_once_and_no_answer_is_lost(store: Store, other: OtherProgram) -> None:
    said, say = when_told(other.release)
    model = model_that_meets_a_lock(other)
    assert run(store, PLAN, model, say=say) == Summary(done=12, failed=0, missing=0, reused=0, lost=0)
    assert Counter(model.calls) == Counter(f"question {number}" for number in range(12))
    assert said == [LOCKED.format(store.path)]


def test_the_first_interrupt_waits_on_and_sends_nothing_more(store: Store, other: OtherProgram) -> None:
    _, say = when_told(lambda: interrupt(1), other.release)
    model = model_that_meets_a_lock(other)
    with pytest.raises(Interrupted, match=r"4 of 12 trials are answered and kept$"):
        run(store, PLAN, model, say=say)
    assert len(model.calls) == 4
    assert attempts(store) == [("ok", None)] * 4


def test_what_waits_for_the_lock_is_not_sent_after_an_interrupt(store: Store, other: OtherProgram) -> None:
    _, say = when_told(lambda: interrupt(1), other.release)
    model = ScriptedModel()
    reports: list[object] = []

    def lock_at_the_start(progress: object) -> None:
        reports.append(progress)
        if len(reports) == 1:
            other.lock()

    with pytest.raises(Interrupted, match="0 of 12"):
        run(store, PLAN, model, say=say, on_progress=lock_at_the_start)
    assert model.calls == []
    assert attempts(store) == []


def test_the_second_interrupt_ends_it_and_says_what_is_not_kept(store: Store, other: OtherProgram) -> None:
    told_at: list[float] = []
    _, say = when_told(lambda: told_at.append(time.monotonic()), lambda: interrupt(2))
    with pytest.raises(Interrupted, match=r"0 of 12 .*; answered but not kept, .* locked: 4$") as caught:
        run(store, PLAN, model_that_meets_a_lock(other), say=say)
    assert time.monotonic() - told_at[0] < 2
    assert caught.value.exit_code == 130
    assert caught.value.summary == Summary(done=0, failed=0, missing=12, reused=0, lost=0)
    other.release()
    assert attempts(store) == [("started", None)] * 4  # for the next process to find


def test_a_lock_that_goes_right_after_the_second_interrupt_costs_nothing(store: Store, other: OtherProgram) -> None:
    _, say = when_told(lambda: interrupt(2), other.release)
    with pytest.raises(Interrupted, match=r"4 of 12 trials are answered and kept$"):
        run(store, PLAN, model_that_meets_a_lock(other), say=say)
    assert attempts(store) == [("ok", None)] * 4


def test_a_third_interrupt_ends_it_as_well(store: Store, other: OtherProgram) -> None:
    _, say = when_told(lambda: interrupt(3))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(store, PLAN, model_that_meets_a_lock(other), say=say)
    assert time.monotonic() - started < 2


def test_being_cancelled_from_outside_does_not_wait_for_the_lock(store: Store, other: OtherProgram) -> None:
    def cancel() -> None:
        next(task for task in asyncio.all_tasks() if task.get_coro().__name__ == "whole").cancel()

    _, say = when_told(cancel)
    with pytest.raises(asyncio.CancelledError):
        run(store, PLAN, model_that_meets_a_lock(other), say=say)


@pytest.mark.skipif(os.name != "posix", reason="signals are another matter here")
def test_an_interrupt_is_heard_while_a_locked_store_is_opened(path: Path, other: OtherProgram) -> None:
    other.lock()
    hurry = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    hurry.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Store.open(path, busy_timeout_s=30)
    hurry.join()
    assert time.monotonic() - started < 2
    other.release()
