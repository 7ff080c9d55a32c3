"""How a run writes without stopping the event loop: writes that wait together share one commit, made in a thread.

The statements themselves take microseconds and stay in the loop's own thread; what takes milliseconds is the disk,
which each commit waits for. With four calls in flight, one wait then serves up to four of them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from probes.store import Store

T = TypeVar("T")


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

    While it is in use nothing else may write through the same Store; other stores on the same file may.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run-store")
        self._waiting: list[_Step] = []
        self._draining: asyncio.Task[None] | None = None

    async def do(self, act: Callable[[], T]) -> T:
        """Run one store method; returns when it is on the disk. Cancelling the wait does not take the write back."""
        step = _Step(act, self._loop.create_future())
        self._waiting.append(step)
        if self._draining is None:
            self._draining = self._loop.create_task(self._drain())
        return cast("T", await step.done)

    def close(self) -> None:
        """End the thread, once everything handed over is written."""
        self._thread.shutdown()

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._write(batch)
            except Exception as err:  # noqa: BLE001 - nothing of the batch is on the disk, and each waiter must hear of it
                for step in batch:
                    step.error = err
            for step in batch:
                step.settle()
        self._draining = None

    async def _write(self, batch: list[_Step]) -> None:
        with ExitStack() as transaction:
            transaction.enter_context(self._store.transaction())
            for step in batch:
                self._run(step)
            commit = transaction.pop_all().close  # all that leaving the transaction still has to do
        await self._loop.run_in_executor(self._thread, commit)

    def _run(self, step: _Step) -> None:
        """One step's failure is its own: the store undoes its writes, and the batch goes on."""
        try:
            step.value = step.act()
        except Exception as err:
            if not self._store.is_writing:
                raise  # a full disk: SQLite has undone the whole batch
            step.error = err
