"""One call of a model: its time limit, and whether it is worth another one.

The provider says what kind of failure it was, this module decides what follows from it. Nothing else retries.
"""

import asyncio

from probes.models.base import Completion, Model, Request, Transient

MOST_ATTEMPTS = 3
LONGEST_WAIT_S = 30.0


async def call(model: Model, request: Request, timeout_s: float | None) -> Completion:
    """The model's answer, or a ModelError; no answer within `timeout_s` seconds is a Transient one."""
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await model.complete(request)
    except TimeoutError as err:
        if not limit.expired():
            raise  # the model's own, and not translated: a bug in its adapter
        raise Transient(f"{model.name} gave no answer within {timeout_s:g} seconds") from err


def wait_before_next(error: Transient, attempts: int) -> float | None:
    """Seconds to wait after so many attempts of one trial, or None: leave it to a later run.

    One second, then two, or what the server asked for. Who asks for more than half a minute is not waited for.
    """
    wait = float(2 ** (attempts - 1)) if error.retry_after is None else error.retry_after
    return None if attempts >= MOST_ATTEMPTS or wait > LONGEST_WAIT_S else wait
