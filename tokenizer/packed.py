"""A vocabulary in a form that costs next to nothing to open: tables in one file, looked up where they stand.

To read a hundred thousand tokens from text, and to check them, takes a quarter of a second to a whole one. Here they
are a hash table, and so are the merges, if there are any. A packed file is all numbers of 32 bits, but for its ends:

    header    the checksum of all that follows, magic with the format's version, a number by which a machine of the
              other byte order is known, how many tokens there are, how many slots, how many merges and one more (0:
              they are not listed), and how many bytes the details have
    tokens    for each its id; then for each the place of its first byte in the file, and the end of the last; they are
              in the order of their ids, and their places in this order are what all other tables speak of
    slots     0, or a token and one more; where a token stands is told by its checksum
    merges    for each the token that it makes, its left part, its right part, and the next merge that makes the same,
              and one more, or 0; then for each token the first merge that makes it, and one more, or 0
    bytes     those of the tokens one behind the other, and the details, JSON
"""

import json
import struct
from array import array
from bisect import bisect_left
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from itertools import accumulate, pairwise
from operator import index, itemgetter
from typing import Any, NamedTuple, TypeVar, overload
from zlib import crc32

_HEADER = struct.Struct("=I16sIIIII")
_MAGIC = b"needlepoint 2\n\0\0"
_ORDER = 0x01020304
_NUMBER = 4  # bytes

Token = TypeVar("Token", bytes, str)  # in bytes, or in the letters of the byte alphabet

_MANY_LOOKUPS = 30_000  # then a dictionary of all tokens has paid for itself


class PackedVocabulary(Mapping[bytes, int]):
    """Tokens and their ids in the bytes of a packed file. Looking up a few reads nothing else.

    Attributes:
        highest: the highest id.
        ids: of each token, ascending.
        places: where each token begins in the file, and where the last one ends.
        data: the file.
    """

    def __init__(self, data: bytes, ids: memoryview, places: memoryview, slots: memoryview) -> None:
        self.data, self.ids, self.places = data, ids, places
        self.highest: int = ids[-1] if ids else -1
        self._slots = slots
        self._last_slot = len(slots) - 1
        self._lookups = 0
        self._whole: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, token: bytes) -> int:
        one: int | None = self.get(token)
        if one is None:
            raise KeyError(token)
        return one

    def __contains__(self, token: object) -> bool:
        return isinstance(token, bytes) and self.get(token) is not None

    def get(self, token: bytes, default: Any = None) -> Any:
        """The id of a token, or the default."""
        if self._whole:
            return self._whole.get(token, default)
        self._lookups += 1
        if self._lookups > _MANY_LOOKUPS:
            return self.whole().get(token, default)
        found = self.find(token)
        return default if found is None else self.ids[found]

    def find(self, token: bytes) -> int | None:
        """The place of a token in the order of ids."""
        slots, places = self._slots, self.places
        slot = crc32(token) & self._last_slot
        while number := slots[slot]:
            if self.data[places[number - 1] : places[number]] == token:
                return int(number) - 1
            slot = (slot + 1) & self._last_slot
        return None

    def at(self, place: int) -> bytes:
        """The token at a place in the order of ids."""
        return self.data[self.places[place] : self.places[place + 1]]

    def token(self, one: int) -> bytes:
        """The token of an id.

        Raises:
            KeyError: no token has it.
        """
        try:
            wanted = index(one)
        except TypeError:
            raise KeyError(one) from None
        ids = self.ids
        if 0 <= wanted < len(ids) and ids[wanted] == wanted:  # no hole before it
            return self.at(wanted)
        place = bisect_left(ids, wanted)
        if place == len(ids) or ids[place] != wanted:
            raise KeyError(one)
        return self.at(place)

    def tokens(self) -> list[bytes]:
        """All tokens in the order of their ids."""
        return [self.data[start:end] for start, end in pairwise(self.places.tolist())]

    def whole(self) -> dict[bytes, int]:
        """All of it as a dictionary, which is made once."""
        if not self._whole:
            self._whole = dict(zip(self.tokens(), self.ids.tolist(), strict=True))
        return self._whole

    def know(self, vocabulary: Mapping[bytes, int]) -> None:
        """Take what somebody else has for the dictionary of all tokens."""
        self._whole = dict(in_order_of_ids(vocabulary))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.whole())

    def keys(self) -> KeysView[bytes]:
        """The tokens in the order of their ids."""
        return self.whole().keys()

    def values(self) -> ValuesView[int]:
        """The ids."""
        return self.whole().values()

    def items(self) -> ItemsView[bytes, int]:
        """Tokens with their ids."""
        return self.whole().items()


class BytesOfIds(dict[int, bytes]):
    """The bytes of ids: of special tokens from the beginning, of ordinary ones when they are first asked for."""

    def __init__(self, vocabulary: PackedVocabulary, special: Mapping[int, bytes]) -> None:
        super().__init__(special)
        self._vocabulary = vocabulary

    def __missing__(self, one: int) -> bytes:
        token = self[one] = self._vocabulary.token(one)
        return token


class PackedMerges(Sequence[tuple[bytes, bytes]]):
    """The merges of a packed file, best first.

    Attributes:
        vocabulary: the tokens of the same file.
        made: for each merge the token that it makes, as its place in the order of ids.
        lefts: likewise the left part.
        rights: likewise the right part.
        first: for each token the first merge that makes it, and one more; 0 if there is none.
    """

    def __init__(
        self,
        vocabulary: PackedVocabulary,
        made: memoryview,
        lefts: memoryview,
        rights: memoryview,
        following: memoryview,
        first: memoryview,
    ) -> None:
        self.vocabulary = vocabulary
        self.made, self.lefts, self.rights, self.first = made, lefts, rights, first
        self._following = following
        self._lookups = 0
        self._all: list[tuple[bytes, bytes]] = []
        self._ranks: dict[tuple[bytes, bytes], int] = {}

    def __len__(self) -> int:
        return len(self.made)

    @overload
    def __getitem__(self, place: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[bytes, bytes]]: ...
    def __getitem__(self, place: int | slice) -> tuple[bytes, bytes] | list[tuple[bytes, bytes]]:
        if isinstance(place, slice):
            return self.whole()[place]
        return self.vocabulary.at(self.lefts[place]), self.vocabulary.at(self.rights[place])

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.whole())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.whole() == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def whole(self) -> list[tuple[bytes, bytes]]:
        """All of them as a list, which is made once."""
        if not self._all:
            tokens = self.vocabulary.tokens()
            pairs = zip(self.lefts.tolist(), self.rights.tolist(), strict=True)
            self._all = [(tokens[left], tokens[right]) for left, right in pairs]
        return self._all

    def rank(self, left: bytes, right: bytes, default: int) -> int:
        """Which merge joins two parts, or the default."""
        if self._ranks:
            return self._ranks.get((left, right), default)
        self._lookups += 1
        if self._lookups > _MANY_LOOKUPS:
            self._ranks = {pair: rank for rank, pair in enumerate(self.whole())}
            return self._ranks.get((left, right), default)
        made = self.vocabulary.find(left + right)
        number = 0 if made is None else self.first[made]
        places = self.vocabulary.places
        while number:
            part = self.lefts[number - 1]
            if places[part + 1] - places[part] == len(left):  # of what is made alike, the length tells the parts
                return int(number) - 1
            number = self._following[number - 1]
        return default

    def recipe(self, token: bytes) -> tuple[bytes, bytes] | None:
        """The parts of the first merge that makes a token."""
        made = self.vocabulary.find(token)
        number = 0 if made is None else self.first[made]
        return self[number - 1] if number else None


class Packed(NamedTuple):
    """What a packed file holds; `merges` is None where they are not listed."""

    vocabulary: PackedVocabulary
    merges: PackedMerges | None
    details: Any


class MergesById(NamedTuple):
    """Merges, best first, as three rows of ids: the left part of each, the right part, and what they make."""

    lefts: Sequence[int]
    rights: Sequence[int]
    made: Sequence[int]


def pack(vocabulary: Mapping[bytes, int], merges: MergesById | None = None, details: Any = None) -> bytes:
    """Make the bytes of a packed file.

    Args:
        vocabulary: the ordinary tokens and their ids.
        merges: the merges, if they are listed.
        details: what else is to be kept, as JSON.

    Example: unpack(pack({b"a": 0, b"b": 1, b"ab": 5}, MergesById([0], [1], [5]))).vocabulary.get(b"ab") == 5

    Raises:
        KeyError: a merge has a part that is no token, or makes none.
    """
    in_order = in_order_of_ids(vocabulary)
    tokens, ids = list(in_order), list(in_order.values())
    slots = _slots(tokens)
    listed = () if merges is None else _merge_tables(ids, merges)
    tables = [slots, *listed]
    start = _HEADER.size + _NUMBER * (2 * len(tokens) + 1 + sum(map(len, tables)))
    places = array("I", accumulate(map(len, tokens), initial=start))
    numbers = [array("I", ids), places, *tables]
    text = json.dumps(details).encode()
    counts = len(tokens), len(slots), 0 if merges is None else 1 + len(merges.made), len(text)
    header = _HEADER.pack(0, _MAGIC, _ORDER, *counts)[_NUMBER:]
    checked = b"".join((header, *(table.tobytes() for table in numbers), *tokens, text))
    return struct.pack("=I", crc32(checked)) + checked


def _slots(tokens: Sequence[bytes]) -> "array[int]":
    size = 1 << (2 * len(tokens)).bit_length()  # no more than half of them are taken, so that searches are short
    slots, last = array("I", bytes(_NUMBER * size)), size - 1
    for number, checksum in enumerate(map(crc32, tokens), start=1):
        slot = checksum & last
        while slots[slot]:
            slot = (slot + 1) & last
        slots[slot] = number
    return slots


def in_order_of_ids(vocabulary: Mapping[Token, int]) -> Mapping[Token, int]:
    """The same vocabulary with the smallest id first, as it mostly comes."""
    ids = list(vocabulary.values())
    return vocabulary if ids == sorted(ids) else dict(sorted(vocabulary.items(), key=itemgetter(1)))


def _merge_tables(ids: Sequence[int], merges: MergesById) -> "list[array[int]]":
    """The five tables of merges, in their order in the file."""
    place = dict(zip(ids, range(len(ids)), strict=True))
    lefts, rights, made = (list(map(place.__getitem__, row)) for row in merges)
    following, first = [], [0] * len(ids)
    for number, one in zip(range(len(made), 0, -1), reversed(made), strict=True):
        following.append(first[one])
        first[one] = number
    return [array("I", table) for table in (made, lefts, rights, following[::-1], first)]


def unpack(data: bytes, known: Mapping[bytes, int] | None = None) -> Packed:
    """Open the bytes of a packed file.

    Args:
        data: the bytes.
        known: the vocabulary that was just packed: where all of it is wanted, it need not be made again.

    Raises:
        ValueError: they are none, or are damaged.
    """
    if len(data) < _HEADER.size:
        raise ValueError("too short")
    checksum, magic, order, tokens, slots, merges, details = _HEADER.unpack_from(data)
    sizes = [tokens, tokens + 1, slots, *([merges - 1] * 4 + [tokens] if merges else [])]
    end = _HEADER.size + _NUMBER * sum(sizes)
    if (magic, order) != (_MAGIC, _ORDER) or slots & (slots - 1) or slots <= tokens or len(data) < end + details:
        raise ValueError("not a packed file")
    view = memoryview(data)
    if crc32(view[_NUMBER:]) != checksum:
        raise ValueError("damaged")
    tables = []
    start = _HEADER.size
    for size in sizes:
        tables.append(view[start : start + _NUMBER * size].cast("I"))
        start += _NUMBER * size
    vocabulary = PackedVocabulary(data, *tables[:3])
    if known is not None:
        vocabulary.know(known)
    listed = PackedMerges(vocabulary, *tables[3:]) if merges else None
    return Packed(vocabulary, listed, json.loads(data[len(data) - details :]))
