"""How a run writes without stopping the event loop: writes that wait together share one transaction, in a thread.

What takes time is the disk, which each commit waits for, and other programs that have the store locked. With four
calls in flight, one wait then serves up to four of them.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from probes.store import Store

T = TypeVar("T")

LOCK_TOLD_S = 3.0
LAST_WAIT_S = 0.5


@dataclass(slots=True)
class _Step:
    """One call of a store method, and later what came of it."""

    act: Callable[[], Any]
    done: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        if self.done.cancelled():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.value)


class Writer:
    """Runs store methods in the order in which they were handed over. Made and used inside a running event loop.

    While it is in use nothing else may use the same Store; other stores on the same file may. Another program that has
    the store locked is waited for, however long it takes, until `give_up`; after some seconds `on_lock` is called once.
    """

    def __init__(self, store: Store, on_lock: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._on_lock = on_lock
        self._lock_is_told = False
        self._wait_until = math.inf
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run-store")
        self._waiting: list[_Step] = []
        self._draining: asyncio.Task[None] | None = None

    async def do(self, act: Callable[[], T]) -> T:
        """Run one store method, in the writer's thread; returns when it is on the disk.

        Cancelling the wait does not take the write back. StoreLocked: only after `give_up`.
        """
        step = _Step(act, self._loop.create_future())
        self._waiting.append(step)
        if self._draining is None:
            self._draining = self._loop.create_task(self._drain())
        return cast("T", await step.done)

    def give_up(self) -> None:
        """Wait half a second more for other programs, for all that is handed over already or still to come."""
        self._wait_until = min(self._wait_until, time.monotonic() + LAST_WAIT_S)

    def close(self) -> None:
        """End the thread, once everything handed over is written or given up."""
        self.give_up()
        self._thread.shutdown()

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await self._loop.run_in_executor(self._thread, self._write, batch)
                except Exception as err:  # noqa: BLE001 - nothing of the batch is on the disk; each waiter must hear of it
                    for step in batch:
                        step.error = err
                for step in batch:
                    step.settle()
        finally:  # a third Ctrl-C cancels this task with all others, and winding up still wants to write
            self._draining = None

    def _write(self, batch: list[_Step]) -> None:
        with self._store.transaction(wait_longer=self._wait_longer):
            for step in batch:
                self._run(step)

    def _run(self, step: _Step) -> None:
        """One step's failure is its own: the store undoes its writes, and the batch goes on."""
        try:
            step.value = step.act()
        except Exception as err:
            if not self._store.is_writing:
                raise  # a full disk: SQLite has undone the whole batch
            step.error = err

    def _wait_longer(self, waited_s: float) -> bool:
        if waited_s > LOCK_TOLD_S and not self._lock_is_told:
            self._lock_is_told = True
            self._loop.call_soon_threadsafe(self._on_lock)
        return time.monotonic() < self._wait_until
