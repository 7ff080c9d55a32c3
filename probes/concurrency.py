"""How many calls of one model are in flight: as many as its server takes, found out while the run goes on.

The number starts small, grows by one after each round that used all of it and met no complaint, and is halved when the
server says that it is too many; then it stays for a while. Nothing else changes it: a broken connection says nothing
about the number.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

START = 4
COOLDOWN_S = 5.0


class Gate:
    """Lets a limited number of calls through at a time, in the order in which they came.

    `ceiling`: the limit never grows above it. `limit` and `in_flight` are for reading.

    Example:
        async with gate.slot():
            completion = await model.complete(request)
            gate.succeeded()
    """

    def __init__(self, ceiling: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ceiling = ceiling
        self.limit = min(START, ceiling)
        self.in_flight = 0
        self._clock = clock
        self._calm_at = -float("inf")  # before this moment the limit is not cut again
        self._round = 0  # calls that ended well since the limit last changed, while every slot was in use
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free slot, and hold it."""
        await self._enter()
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    def succeeded(self) -> None:
        """A call that still holds its slot was answered."""
        if self.in_flight < self.limit or self.limit == self.ceiling or self._clock() < self._calm_at:
            return
        self._round += 1
        if self._round >= self.limit:
            self.limit += 1
            self._round = 0
            self._admit()

    def rate_limited(self, retry_after: float | None = None) -> None:
        """The server said: too many. Half as many from now on, once for all calls that were in flight together."""
        self._round = 0
        now = self._clock()
        if now >= self._calm_at:
            self.limit = max(1, self.limit // 2)
            self._calm_at = now + max(retry_after or 0.0, COOLDOWN_S)

    async def _enter(self) -> None:
        if self.in_flight < self.limit and not self._waiting:
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was ours already
                self.in_flight -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
