"""What a person sees while something takes its time; all of it on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from cli.visible import visible

SECONDS_BETWEEN_DRAWINGS = 0.1


class Advance(Protocol):
    """Tell how much is done by now, and optionally a word about it."""

    def __call__(self, done: int, note: str = "") -> None:
        """Say that `done` units of the whole are done (not how many more)."""


def say(text: str) -> None:
    """Print one line on stderr, where there is one; above the bar, when there is one."""
    if sys.stderr is not None:
        print(visible(text), file=sys.stderr, flush=True)  # noqa: T201 - stderr is where messages belong


@contextmanager
def progress_bar(label: str, total: int, unit: str) -> Iterator[Advance]:
    """Show how far the work inside has come: a bar on a terminal, which vanishes; elsewhere a line for every 10 %.

    `total` counts units; with the unit "bytes" amounts are shown as kB, MB, GB.

    Example:
        with progress_bar("training", total=1792, unit="merges") as advance:
            advance(896, "newest: ing")
    """
    if sys.stderr.isatty():
        with _drawn_bar(label, total, unit) as advance:
            yield advance
    else:
        yield _TenthLines(label, total, unit)


@contextmanager
def _drawn_bar(label: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}", markup=False)
    state = TextColumn("{task.fields[state]}", markup=False)
    console = Console(stderr=True)
    progress = Progress(text, BarColumn(), state, TimeRemainingColumn(), console=console, transient=True)
    started = drawn = time.monotonic()
    with progress:
        task = progress.add_task(label, total=total, state="")

        first: int | None = None

        def advance(done: int, note: str = "") -> None:
            nonlocal drawn, first
            now = time.monotonic()
            first = done if first is None else first  # what was there before tells nothing about the speed
            if now - drawn < SECONDS_BETWEEN_DRAWINGS and done < total:
                return
            drawn = now
            words = [_of(done, total, unit), _rate(done - first, now - started, unit), visible(note)]
            progress.update(task, completed=done, state="  ".join(filter(None, words)))

        yield advance


class _TenthLines:
    """Prints a line whenever another tenth is done."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.started = time.monotonic()
        self.tenths_told = 0
        self.first: int | None = None  # what was there before tells nothing about the speed

    def __call__(self, done: int, note: str = "") -> None:
        self.first = done if self.first is None else self.first
        tenths = 10 * done // self.total if self.total else 10
        if tenths <= self.tenths_told:
            return
        self.tenths_told = tenths
        elapsed = time.monotonic() - self.started
        new = done - self.first
        words = [_of(done, self.total, self.unit), _rate(new, elapsed, self.unit)]
        if new and done < self.total:
            words.append(f"{elapsed * (self.total - done) / new:.0f} s left")
        words.append(note)
        say(f"{self.label}: {10 * tenths} %, {', '.join(filter(None, words))}")


def _of(done: int, total: int, unit: str) -> str:
    if unit == "bytes":
        return f"{size(done)} of {size(total)}"
    return f"{done:,} of {total:,} {unit}"


def _rate(done: int, elapsed_s: float, unit: str) -> str:
    if done <= 0 or elapsed_s <= 0:
        return ""
    rate = done / elapsed_s
    if unit == "bytes":
        return f"{size(int(rate))}/s"
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


def size(count: int) -> str:
    """Bytes in the unit that reads best, decimal: 98362432 -> "98.4 MB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.99995 * scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
