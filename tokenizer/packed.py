"""Published ranks in a form that costs next to nothing to open, kept in the cache.

A `.tiktoken` file is a hundred thousand lines of base64, which take a quarter of a second to check and to read. Here
they are a hash table in one file, looked up where it stands. Two kinds of files in `ranks/` of the cache:

    HASH.packed    the ranks of the `.tiktoken` file of that SHA-256
    NUMBER.seen    that a certain file, known by path, size, time and inode, has such a content

Nothing depends on them: what is missing, damaged or cannot be written is made again from the ranks themselves.
"""

import os
import struct
import time
from array import array
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import suppress
from itertools import pairwise
from operator import index
from pathlib import Path
from typing import Any
from zlib import crc32

from tokenizer.errors import UserError
from tokenizer.places import cache_directory

# The checksum of all that follows, magic with the format's version, a number by which a machine of the other byte
# order is known, how many tokens there are, and how many slots. Then for each token the place of its first byte in the
# file, and the end of the last; the slots; the tokens. A slot is 0 or a rank plus 1.
_HEADER = struct.Struct("=I16sIII")
_MAGIC = b"needlepoint 1\n\0\0"
_ORDER = 0x01020304
_NUMBER = 4  # bytes

_MANY_LOOKUPS = 30_000  # then a dictionary of all tokens has paid for itself
_SETTLED_S = 2.0  # a file that was written just now may change again within the same tick of the file system's clock


class PackedRanks(Mapping[bytes, int]):
    """The ranks in the bytes of a packed file. Looking up a few tokens reads nothing else.

    Attributes:
        highest: the highest rank; all from 0 on are there.

    Example: PackedRanks(pack({b"a": 0, b"b": 1})).get(b"b") == 1

    Raises:
        ValueError: the bytes are no packed file, or are damaged.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size:
            raise ValueError("too short")
        checksum, magic, order, count, slots = _HEADER.unpack_from(data)
        tokens = _HEADER.size + _NUMBER * (count + 1 + slots)  # where they begin
        if (magic, order) != (_MAGIC, _ORDER) or slots & (slots - 1) or slots <= count or len(data) < tokens:
            raise ValueError("not a packed file")
        view = memoryview(data)
        if crc32(view[_NUMBER:]) != checksum:
            raise ValueError("damaged")
        self.highest: int = count - 1
        self._data = data
        self._places = view[_HEADER.size : tokens - _NUMBER * slots].cast("I")
        self._slots = view[tokens - _NUMBER * slots : tokens].cast("I")
        self._last_slot = slots - 1
        self._lookups = 0
        self._whole: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self.highest + 1

    def __getitem__(self, token: bytes) -> int:
        rank: int | None = self.get(token)
        if rank is None:
            raise KeyError(token)
        return rank

    def __contains__(self, token: object) -> bool:
        return isinstance(token, bytes) and self.get(token) is not None

    def get(self, token: bytes, default: Any = None) -> Any:
        """The rank of a token, or the default."""
        if self._whole:
            return self._whole.get(token, default)
        self._lookups += 1
        if self._lookups > _MANY_LOOKUPS:
            return self.whole().get(token, default)
        slots, places = self._slots, self._places
        slot = crc32(token) & self._last_slot
        while number := slots[slot]:
            if self._data[places[number - 1] : places[number]] == token:
                return number - 1
            slot = (slot + 1) & self._last_slot
        return default

    def token(self, rank: int) -> bytes:
        """The token of a rank.

        Raises:
            KeyError: there is no such rank.
        """
        try:
            place = index(rank)
        except TypeError:
            raise KeyError(rank) from None
        if not 0 <= place <= self.highest:
            raise KeyError(rank)
        return self._data[self._places[place] : self._places[place + 1]]

    def tokens(self) -> bytes:
        """All tokens, one behind the other, in the order of their ranks."""
        return self._data[self._places[0] : self._places[-1]]

    def places(self) -> memoryview:
        """Where each token begins in the file, and where the last one ends."""
        return self._places

    def whole(self) -> dict[bytes, int]:
        """All of it as a dictionary, which is made once."""
        if not self._whole:
            spans = enumerate(pairwise(self._places.tolist()))
            self._whole = {self._data[start:end]: rank for rank, (start, end) in spans}
        return self._whole

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.whole())

    def keys(self) -> KeysView[bytes]:
        """The tokens in the order of their ranks."""
        return self.whole().keys()

    def values(self) -> ValuesView[int]:
        """The ranks."""
        return self.whole().values()

    def items(self) -> ItemsView[bytes, int]:
        """Tokens with their ranks."""
        return self.whole().items()


def pack(ranks: Mapping[bytes, int]) -> bytes:
    """Make the bytes of a packed file. The ranks must be 0, 1, 2 ... in any order."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    slot_count = 1 << (2 * len(tokens)).bit_length()  # no more than half of them are taken, so that searches are short
    slots = array("I", bytes(_NUMBER * slot_count))
    places = array("I", [_HEADER.size + _NUMBER * (len(tokens) + 1 + slot_count)])
    for number, token in enumerate(tokens, start=1):
        slot = crc32(token) & (slot_count - 1)
        while slots[slot]:
            slot = (slot + 1) & (slot_count - 1)
        slots[slot] = number
        places.append(places[-1] + len(token))
    header = _HEADER.pack(0, _MAGIC, _ORDER, len(tokens), slot_count)[_NUMBER:]
    checked = b"".join((header, places.tobytes(), slots.tobytes(), *tokens))
    return struct.pack("=I", crc32(checked)) + checked


def recall(source: Path, sha256: str) -> PackedRanks | None:
    """The ranks of a file that was remembered and has not changed since; None if they must be read again.

    Args:
        source: the file that carries the ranks.
        sha256: what the hash of its `.tiktoken` content must be.
    """
    with suppress(OSError, UserError, ValueError):
        directory = cache_directory("ranks")
        if _content(_seen_file(directory, source)) == _seen(source, sha256):
            return PackedRanks(_content(directory / f"{sha256}.packed"))
    return None


def _content(path: Path) -> bytes:
    """The bytes of a file; of a pipe or a device, which may have no end, none."""
    return path.read_bytes() if path.is_file() else b""


def remember(source: Path, sha256: str, ranks: Mapping[bytes, int]) -> None:
    """Keep the ranks that were read from a file, and whose `.tiktoken` content has this hash; silently, if possible."""
    with suppress(OSError, UserError, ValueError):
        if time.time() - source.stat().st_mtime < _SETTLED_S:
            return
        directory = cache_directory("ranks")
        _write(directory / f"{sha256}.packed", pack(ranks))
        _write(_seen_file(directory, source), _seen(source, sha256))


def _seen(source: Path, sha256: str) -> bytes:
    status = source.stat()
    return f"{sha256} {status.st_size} {status.st_mtime_ns} {status.st_ino} ".encode() + os.fsencode(source.absolute())


def _seen_file(directory: Path, source: Path) -> Path:
    return directory / f"{crc32(os.fsencode(source.absolute())):08x}.seen"


def _write(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it at the same time finds the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
