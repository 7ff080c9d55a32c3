"""What a person sees while something takes its time; all of it on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from cli.visible import visible

SECONDS_BETWEEN_DRAWINGS = 0.1
SECONDS_BETWEEN_LINES = 10


class Advance(Protocol):
    """Tell how much is done by now, and optionally a word about it."""

    def __call__(self, done: int, note: str = "") -> None:
        """Say that `done` units of the whole are done (not how many more)."""


def say(text: str) -> None:
    """Print one line on stderr, where there is one; above the bar, when there is one."""
    if sys.stderr is not None:
        print(visible(text), file=sys.stderr, flush=True)  # noqa: T201 - stderr is where messages belong


@contextmanager
def progress_bar(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Show how far the work inside has come: a bar on a terminal, which vanishes; elsewhere a line for every 10 %.

    `total` counts units; where it is None, nobody knows it, and a line comes every ten seconds. With the unit "bytes"
    amounts are shown as kB, MB, GB.

    Example:
        with progress_bar("training", total=1792, unit="merges") as advance:
            advance(896, "newest: ing")
    """
    if sys.stderr.isatty():
        with _drawn_bar(label, total, unit) as advance:
            yield advance
    elif total is None:
        yield _TimedLines(label, unit)
    else:
        yield _TenthLines(label, total, unit)


@contextmanager
def _drawn_bar(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    def fixed(width: int) -> Column:
        return Column(no_wrap=True, min_width=width)  # so that a narrow terminal cuts the note and nothing else

    text = TextColumn("{task.description}", markup=False, table_column=fixed(len(label)))
    widest = len(f"{_of(total or 0, total, unit)}  99,999/s")
    state = TextColumn("{task.fields[state]}", markup=False, table_column=fixed(widest))
    left = TimeRemainingColumn(table_column=fixed(len("0:00:00")))
    word = TextColumn("{task.fields[note]}", markup=False)
    progress = Progress(text, BarColumn(), state, left, word, console=Console(stderr=True), transient=True)
    started = drawn = time.monotonic()
    with progress:
        task = progress.add_task(label, total=total, state="", note="")

        first: int | None = None

        def advance(done: int, note: str = "") -> None:
            nonlocal drawn, first
            now = time.monotonic()
            first = done if first is None else first  # what was there before tells nothing about the speed
            if now - drawn < SECONDS_BETWEEN_DRAWINGS and done != total:
                return
            drawn = now
            words = [_of(done, total, unit), _rate(done - first, now - started, unit)]
            progress.update(task, completed=done, state="  ".join(filter(None, words)), note=visible(note))

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


class _TimedLines:
    """Prints a line whenever some seconds have passed, for work of which nobody knows the end."""

    def __init__(self, label: str, unit: str) -> None:
        self.label, self.unit = label, unit
        self.started = self.told = time.monotonic()

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told = now
        words = [_of(done, None, self.unit), _rate(done, now - self.started, self.unit), note]
        say(f"{self.label}: {', '.join(filter(None, words))}")


def _of(done: int, total: int | None, unit: str) -> str:
    if total is None:
        return size(done) if unit == "bytes" else f"{done:,} {unit}"
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
