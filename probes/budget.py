"""What a run may cost, in money and in tokens, and what it has cost so far.

The most that a call can cost is set aside before it is sent and replaced by what it did cost afterwards, so that calls
in flight together cannot go beyond the limit. What fits only once others have ended waits for them.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from probes.prices import NANO

MOST_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a run may go. None is no limit.

    `jobs`: calls in flight at once, for each model, at the most. `max_attempts`: calls for one trial, the first
    included. `timeout_s`: for one call; `trial_timeout_s`: for one trial from its first call on, waiting included.
    `max_cost_nano_usd` and `max_tokens_total` (input and output) count from the first start of the run on.
    `allow_unpriced`: under a limit of money, models whose price is unknown may be asked all the same.
    """

    jobs: int = 16
    max_attempts: int = MOST_ATTEMPTS
    timeout_s: float | None = None
    trial_timeout_s: float | None = None
    max_cost_nano_usd: int | None = None
    max_tokens_total: int | None = None
    allow_unpriced: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in nano-dollars and tokens; `nano_usd` is None where the price is unknown."""

    nano_usd: int | None
    tokens: int


NOTHING = Amount(0, 0)


class Reservation:
    """What is set aside for one call, and what is to be booked in its place when the call has ended."""

    def __init__(self, most: Amount) -> None:
        self.most = most
        self.spent = self.maybe = NOTHING

    def settle(self, nano_usd: int | None, tokens: int | None) -> None:
        """Book what the call did cost; what nobody knows of it is booked as open, at its most."""
        self.spent = Amount(nano_usd, tokens or 0)
        self.maybe = Amount(self.most.nano_usd if nano_usd is None else 0, self.most.tokens if tokens is None else 0)

    def leave_open(self) -> None:
        """Nobody knows whether the call was billed: its most stays set aside."""
        self.maybe = self.most


class Budget:
    """The account of one run.

    `spent_nano_usd` and `tokens` are what its answers cost; `unpriced` counts answers whose price is unknown;
    `maybe_nano_usd` is the most that calls may have cost of which nobody knows whether they were billed.

    Example:
        async with budget.reserved(Amount(nano_usd=40_000, tokens=900)) as reservation:
            if reservation is None: ...  # it does not fit any more
            reservation.settle(nano_usd=31_250, tokens=711)
    """

    def __init__(self, max_nano_usd: int | None = None, max_tokens: int | None = None) -> None:
        self.max_nano_usd, self.max_tokens = max_nano_usd, max_tokens
        self.spent_nano_usd = self.maybe_nano_usd = 0
        self.tokens = self.maybe_tokens = 0
        self.unpriced = 0
        self._reserved: list[Amount] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def reserved(self, most: Amount) -> AsyncIterator[Reservation | None]:
        """Set the most that one call can cost aside while it lasts; None where the limits leave no room for it.

        Waits as long as calls in flight may still turn out cheaper than what was set aside for them.
        """
        while not self._fits(most):
            if not self._reserved:
                yield None
                return
            await self._changed.wait()
        reservation = Reservation(most)
        self._reserved.append(most)
        try:
            yield reservation
        finally:
            self._reserved.remove(most)
            self._book(reservation)

    def refusal(self, name: str, most: Amount) -> str:
        """Why the next call of a model is not sent, in words."""
        if not self._has_money(most):
            maybe = f", and up to {usd(self.maybe_nano_usd)} more may have been billed" if self.maybe_nano_usd else ""
            return (
                f"the next call of {name} may cost up to {usd(most.nano_usd or 0)}, and {usd(self.spent_nano_usd)} of"
                f" --max-cost {usd(self.max_nano_usd or 0)} are spent{maybe}"
            )
        maybe = f", and up to {self.maybe_tokens:,} more may have been" if self.maybe_tokens else ""
        return (
            f"the next call of {name} may take about {most.tokens:,} tokens, and {self.tokens:,} of"
            f" --max-tokens-total {self.max_tokens or 0:,} are used{maybe}"
        )

    def _fits(self, most: Amount) -> bool:
        return self._has_money(most) and self._has_tokens(most)

    def _has_money(self, most: Amount) -> bool:
        if self.max_nano_usd is None or not most.nano_usd:
            return True
        reserved = sum(one.nano_usd or 0 for one in self._reserved)
        return self.spent_nano_usd + self.maybe_nano_usd + reserved + most.nano_usd <= self.max_nano_usd

    def _has_tokens(self, most: Amount) -> bool:
        if self.max_tokens is None:
            return True
        reserved = sum(one.tokens for one in self._reserved)
        return self.tokens + self.maybe_tokens + reserved + most.tokens <= self.max_tokens

    def _book(self, reservation: Reservation) -> None:
        spent, maybe = reservation.spent, reservation.maybe
        self.spent_nano_usd += spent.nano_usd or 0
        self.unpriced += spent.nano_usd is None
        self.tokens += spent.tokens
        self.maybe_nano_usd += maybe.nano_usd or 0
        self.maybe_tokens += maybe.tokens
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def usd(nano_usd: int) -> str:
    """An amount of money for people: cents where that says enough, else three digits that are not zero.

    Example: usd(1_234_000_000) -> "$1.23"; usd(31_250) -> "$0.0000313"; usd(0) -> "$0.00"
    """
    amount = nano_usd / NANO
    decimals = 2 if nano_usd == 0 or amount >= 1 else 2 - math.floor(math.log10(amount))
    return f"${amount:,.{decimals}f}"
