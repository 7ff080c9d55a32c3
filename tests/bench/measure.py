"""One measurement in a process of its own: `python -m tests.bench.measure train|encode|one-word ...` prints JSON."""

import json
import mmap
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.engines import ENCODERS, TRAINERS

DOCUMENT = 2_000  # characters
WOKEN = 256 << 20  # bytes


def main(what: str, *arguments: str) -> None:
    """Do the work and print what each pass took."""
    jobs = {"train": _train, "encode": _encode, "one-word": _one_word}
    sys.stdout.write(f"\n{json.dumps(jobs[what](*arguments))}")


def _train(engine: str, path: str, vocab_size: str, passes: str) -> list[dict[str, float]]:
    return [_timed(lambda: TRAINERS[engine](Path(path), int(vocab_size))) for _ in range(int(passes))]


def _encode(engine: str, vocabulary: str, path: str, unit: str, passes: str) -> list[dict[str, float]]:
    """Encode the file's text several times through one object, which is whole but has seen no word before.

    Each time the strings are new ones, as those of another text would be: Python keeps the UTF-8 of a string for which
    an engine has asked once, and an engine that asks gets it for nothing the next time.
    """
    encode = ENCODERS[engine](vocabulary)
    taken = []
    for _ in range(int(passes)):
        text = Path(path).read_text(encoding="utf-8")
        texts = [text] if unit == "whole" else [text[at : at + DOCUMENT] for at in range(0, len(text), DOCUMENT)]
        _wake_memory()
        taken.append(_timed(partial(encode, texts)))
    return taken


def _wake_memory() -> None:
    """Have the machine hand out the memory that the next pass will touch for the first time.

    A virtual machine is lent its large pages one by one as they are touched, half a second for 256 MB, and soon gives
    back those that nothing uses: one pass would pay for that and another one would not, by chance.
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return
    with mmap.mmap(-1, WOKEN, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        with suppress(OSError):  # a kernel may have no large pages
            pages.madvise(mmap.MADV_HUGEPAGE)
        for place in range(0, WOKEN, mmap.PAGESIZE):
            pages[place] = 1
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # and forget it for the peak of memory


def _one_word(engine: str) -> list[dict[str, float]]:
    encode = ENCODERS[engine]("cl100k")
    return [_timed(lambda: encode(["some words"]))]


def _timed(work: Callable[[], Any]) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
    del result
    return taken


if __name__ == "__main__":
    main(*sys.argv[1:])
