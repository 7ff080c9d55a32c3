"""Vocabularies that were read before, packed, in the cache.

There are two kinds of files in `vocabularies/` of the cache:

    HASH.packed    what the file with this SHA-256 holds; of a published vocabulary, its `.tiktoken` file
    NUMBER.seen    that a certain file, known by path, size, times and inode, carries such a `.tiktoken` content

Nothing depends on them: what is missing, damaged or cannot be written is made again from the files themselves.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from zlib import crc32

from tokenizer.errors import UserError
from tokenizer.packed import Packed, PackedVocabulary, pack, unpack
from tokenizer.places import cache_directory

_SETTLED_S = 2.0  # a file that was written just now may change again within the same tick of the file system's clock
_only_kept = ContextVar("only_kept", default=False)
_MOST_KEPT = 32  # vocabularies; of more the one that was not used for the longest time goes


class NotKept(Exception):
    """A vocabulary is not in the cache, and nothing else shall be read."""


@contextmanager
def only_kept() -> Iterator[None]:
    """Meanwhile `recall` and `recall_ranks` raise NotKept where else they give None, so that no large file is read."""
    before = _only_kept.set(True)
    try:
        yield
    finally:
        _only_kept.reset(before)


def _check_may_be_read() -> None:
    if _only_kept.get():
        raise NotKept


def can_keep() -> bool:
    """Whether there is a place where vocabularies can be kept."""
    try:
        return os.access(_directory(), os.W_OK)
    except (OSError, UserError):
        return False


def recall(sha256: str) -> Packed | None:
    """What was kept for a content with this hash; None if there is nothing."""
    try:
        path = _directory() / f"{sha256}.packed"
        found = unpack(_content(path))
    except (OSError, UserError, ValueError):
        _check_may_be_read()
        return None
    with suppress(OSError):  # a cache of somebody else's
        os.utime(path)
    return found


def keep(sha256: str, packed: bytes) -> None:
    """Keep what `pack` made of a content with this hash; silently, if possible."""
    with suppress(OSError, UserError):
        directory = _directory()
        _write(directory / f"{sha256}.packed", packed)
        newest = sorted(directory.glob("*.packed"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest[_MOST_KEPT:]:
            path.unlink(missing_ok=True)


def recall_ranks(source: Path, sha256: str) -> PackedVocabulary | None:
    """The ranks of a file that was remembered and has not changed since; None if they must be read again.

    Args:
        source: the file that carries the ranks.
        sha256: what the hash of its `.tiktoken` content must be.
    """
    with suppress(OSError, UserError):
        if _content(_seen_file(source)) == _seen(source, sha256) and (found := recall(sha256)):
            return found.vocabulary
    _check_may_be_read()
    return None


def remember_ranks(source: Path, sha256: str, ranks: Mapping[bytes, int]) -> PackedVocabulary:
    """Pack the ranks that were read from a file, and keep them, silently, if possible.

    Args:
        source: the file.
        sha256: the hash of its `.tiktoken` content.
        ranks: what was read; packed, they are quicker to work with.
    """
    packed = pack(ranks)
    with suppress(OSError, UserError):
        if is_settled(source):
            keep(sha256, packed)
            _write(_seen_file(source), _seen(source, sha256))
    return unpack(packed, ranks).vocabulary


def state(source: Path) -> bytes:
    """What is different as soon as a file is another one or was written again, if it `is_settled`.

    Raises:
        OSError: there is no such file.
    """
    status = source.stat()
    numbers = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
    return " ".join(map(str, numbers)).encode() + b" " + os.fsencode(source.absolute())


def is_settled(source: Path) -> bool:
    """Whether a file was not written to at this very moment.

    Raises:
        OSError: there is no such file.
    """
    return time.time() - source.stat().st_mtime >= _SETTLED_S


def _directory() -> Path:
    return cache_directory("vocabularies")


def _content(path: Path) -> bytes:
    """The bytes of a file; of a pipe or a device, which may have no end, none."""
    return path.read_bytes() if path.is_file() else b""


def _seen(source: Path, sha256: str) -> bytes:
    return sha256.encode() + b" " + state(source)


def _seen_file(source: Path) -> Path:
    return _directory() / f"{crc32(os.fsencode(source.absolute())):08x}.seen"


def _write(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it at the same time finds the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
