"""Does every prompt fit its model's window? Asked before anything is sent, as what cannot fit should cost nothing."""

import heapq
from collections.abc import Awaitable, Callable
from enum import Enum

from probes.lanes import Lane
from probes.models.base import ContextTooLong, Request, Transient
from probes.prompt_tokens import MOST_BYTES_A_TOKEN, prompt_bytes

LONGEST_COUNTED = 3
SHORTER = "choose shorter --lengths or a smaller --max-tokens"


class Fit(Enum):
    """What is known of a lane's prompts: all fit, or it takes the answer to one of them to tell."""

    SURE = "sure"
    IN_DOUBT = "in doubt"


async def check_lengths(lane: Lane, goes_on: Callable[[], bool], *, count: bool = False) -> Fit:
    """Count the longest prompts, where the provider can, or estimate them.

    `count`: also where no window is known, for the sake of the estimate.

    Raises:
        ContextTooLong: one cannot fit; nothing was sent.
    """
    window = lane.model.traits.window
    if window is None and not count:
        return Fit.SURE
    fit = Fit.SURE
    requests = (lane.request(position) for position in lane.waiting)
    for request in heapq.nlargest(LONGEST_COUNTED, requests, key=prompt_bytes):
        if not goes_on():
            return fit
        tokens = await _counted(lane, request)
        if tokens is not None:
            lane.tokens.saw(prompt_bytes(request), tokens)
            _refuse_beyond(lane, request, tokens, "has")
        elif window is not None:
            fit = Fit.IN_DOUBT if fit is Fit.IN_DOUBT else _estimated_fit(lane, request, window)
    return fit


async def _counted(lane: Lane, request: Request) -> int | None:
    try:
        return await lane.model.count_prompt_tokens(request)
    except Transient:
        return None  # then it is estimated; whether the model can be reached, the first call will tell


def _estimated_fit(lane: Lane, request: Request, window: int) -> Fit:
    size = prompt_bytes(request)
    if not lane.tokens.is_guess:
        _refuse_beyond(lane, request, lane.tokens.about(size), "has about")
        return Fit.SURE
    _refuse_beyond(lane, request, int(size / MOST_BYTES_A_TOKEN), "has at least")
    return Fit.SURE if lane.tokens.most(size) + request.max_tokens <= window else Fit.IN_DOUBT


def _refuse_beyond(lane: Lane, request: Request, tokens: int, has: str, *, sent: str = "nothing was sent") -> None:
    window = lane.model.traits.window
    if window is not None and tokens + request.max_tokens > window:
        raise ContextTooLong(
            f"{lane.model.name} has a window of {window} tokens; the longest prompt {has} {tokens}"
            f" and its answer may have {request.max_tokens}",
            hint=f"{SHORTER}; {sent}",
        )


async def measure_by_one_call(lane: Lane, ask: Callable[[int], Awaitable[None]]) -> None:
    """Ask for one trial of the plan, ahead of the others: what its server counts tells how long the others are.

    It is the longest that surely fits, or else the shortest.

    Raises:
        ContextTooLong: by that measure the longest cannot fit; one trial was sent.
    """
    window = lane.model.traits.window or 0

    def fitness(position: int) -> tuple[bool, int]:
        request = lane.request(position)
        size = prompt_bytes(request)
        fits = lane.tokens.most(size) + request.max_tokens <= window
        return fits, size if fits else -size

    position = max(lane.waiting, key=fitness)
    lane.waiting.remove(position)
    await ask(position)
    longest = max(map(lane.request, lane.waiting), key=prompt_bytes, default=None)
    if longest is not None and not lane.tokens.is_guess:
        about = lane.tokens.about(prompt_bytes(longest))
        _refuse_beyond(lane, longest, about, "has about", sent="one trial was sent to measure it")
