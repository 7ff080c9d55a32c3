"""One call of a model: its time limit, and the calls that follow when it fails in a way that may pass.

The provider says what kind of failure it was, this module decides what follows from it. Nothing else retries: the SDKs
are told not to.
"""

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterator

import stamina
from stamina.instrumentation import set_on_retry_hooks

from probes.models.base import Completion, Model, RateLimited, Request, Transient

FIRST_WAIT_S, LONGEST_WAIT_S, JITTER_S = 1.0, 30.0, 1.0

set_on_retry_hooks(())  # stamina would log each retry to stderr, across the progress bar; the runner counts them


class Patience:
    """The calls for one trial: how many there may be, how long each may take, and how long to wait in between.

    The time runs from the first call on. `refusal` says why a failure that might pass was the last one.

    Example:
        async for attempt in patience.attempts():
            with attempt:
                return await call(model, request, patience.timeout_s())
    """

    def __init__(
        self,
        max_attempts: int,
        timeout_s: float | None = None,
        trial_timeout_s: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refusal = ""
        self._max_attempts, self._timeout_s, self._trial_timeout_s = max_attempts, timeout_s, trial_timeout_s
        self._clock = clock
        self._started: float | None = None

    def attempts(self) -> AsyncIterable[stamina.Attempt]:
        """Stamina's attempts: one second in between, then two, four, ... and some chance; or what the server said."""
        return stamina.retry_context(
            on=self._wait,
            attempts=self._max_attempts,
            timeout=None,
            wait_initial=FIRST_WAIT_S,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=JITTER_S,
        )

    def timeout_s(self) -> float | None:
        """How long the next call may take, from now on."""
        if self._started is None:
            self._started = self._clock()
        limits = [limit for limit in (self._timeout_s, self._left_s()) if limit is not None]
        return min(limits, default=None)

    def _left_s(self) -> float | None:
        if self._trial_timeout_s is None or self._started is None:
            return None
        return self._trial_timeout_s - (self._clock() - self._started)

    def _wait(self, error: Exception) -> bool | float:
        """Stamina asks after each failure: no more calls, another one, or another one after so many seconds."""
        if not isinstance(error, Transient):
            return False
        left_s, wanted_s = self._left_s(), error.retry_after
        if left_s is not None and left_s <= (wanted_s or 0):
            self.refusal = (
                f"it asks to wait {wanted_s:,.0f} s, and a trial may take {self._trial_timeout_s:,.0f} s in all"
                if wanted_s
                else f"the {self._trial_timeout_s:,.0f} s that a trial may take in all are over"
            )
            return False
        return True if wanted_s is None else wanted_s


def maybe_billed(error: Exception) -> bool:
    """Whether a call that failed may have been answered, and charged for, on the other side.

    Not where its server said that it failed, or was never reached; for all else nobody knows.
    """
    if not isinstance(error, Transient) or isinstance(error, RateLimited):
        return False
    return not never_reached(error) and not any(hasattr(cause, "status_code") for cause in _causes(error))


def never_reached(error: Exception) -> bool:
    """Whether the call never got to a server: there is none at the address, or none that takes connections."""
    return any(type(cause).__name__ in {"ConnectError", "ConnectTimeout"} for cause in _causes(error))


def _causes(error: Exception) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


async def call(model: Model, request: Request, timeout_s: float | None) -> Completion:
    """The model's answer, or a ModelError; no answer within `timeout_s` seconds is a Transient one."""
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await model.complete(request)
    except TimeoutError as err:
        if not limit.expired():
            raise  # the model's own, and not translated: a bug in its adapter
        raise Transient(f"{model.name} gave no answer within {timeout_s:g} seconds") from err
