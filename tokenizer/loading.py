"""Load several tokenizers: of large files that were never read before, two at the same time."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizer.encoding import Tokenizer
from tokenizer.packed_cache import NotKept, can_keep, only_kept
from tokenizer.processors import usable_processors
from tokenizer.registry import RANKS, file_of, load_tokenizer

_READ = "import sys; from tokenizer import load_tokenizer; load_tokenizer(sys.argv[1])"


def load_tokenizers(names: Iterable[str | None]) -> list[Tokenizer]:
    """The tokenizers of these names, each as `load_tokenizer` loads it.

    To read a large file for the first time takes a quarter of a second or more. Where several have to be read, another
    process reads the largest meanwhile, and leaves it in the cache.

    Raises:
        UserError, UsageError: as `load_tokenizer`.
    """
    asked = list(names)
    loaded = {name: _load_kept(name) for name in asked}
    unread = [name for name, found in loaded.items() if name and found is None]
    largest = max(unread, key=_size, default="")
    others = [name for name in unread if _file(name) != _file(largest)]
    if others and can_keep() and usable_processors() > 1:
        with _read_elsewhere(largest):
            loaded |= {name: load_tokenizer(name) for name in others}
    return [load_tokenizer(name) if (found := loaded[name]) is None else found for name in asked]


def _load_kept(name: str | None) -> Tokenizer | None:
    """A tokenizer that is in the cache, or needs none; None if a large file has to be read for it."""
    try:
        with only_kept():
            return load_tokenizer(name)
    except NotKept:
        return None


def _file(name: str) -> Path:
    """What is read; a published vocabulary goes by its name."""
    return Path(name) if name in RANKS else file_of(name).resolve()


def _size(name: str) -> int:
    return RANKS[name].size if name in RANKS else file_of(name).stat().st_size


@contextmanager
def _read_elsewhere(name: str) -> Iterator[None]:
    """Let a process of its own read a file and keep what it read; in the end wait for it.

    Whatever goes wrong there is of no consequence: what is not kept is read again.
    """
    nothing = subprocess.DEVNULL
    command = [sys.executable, "-P", "-c", _READ, name]  # -P: a `tokenizer` in the current directory is not ours
    try:
        child = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)  # noqa: S603 - our own code
    except OSError:
        yield
        return
    with child:
        try:
            yield
        except BaseException:
            child.kill()
            raise
