"""Ctrl-C while an event loop runs: counted, and told to the loop."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts(on_interrupt: Callable[[int], None]) -> Iterator[None]:
    """Count Ctrl-C for `on_interrupt` (1, then 2) in the event loop; the third is Python's own again.

    A plain handler and not the event loop's: it is the same on every system. In another thread than the main one, or
    where Ctrl-C is ignored (a job in the background), nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield
        return
    loop = asyncio.get_running_loop()
    times = 0

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal times
        times += 1
        if times > 2 or loop.is_closed():  # closed: the run was torn down from outside, and nobody listens any more
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(on_interrupt, times)

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if previous is None else previous)
