"""Lay out a vocabulary as the tables of `tokenizer/kernels/vocabulary.py`."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer.compiled_decoding import Decoder, decoding_pool, decoding_table
from tokenizer.kernels import vocabulary as tables
from tokenizer.kernels.encoding import LONGEST
from tokenizer.kernels.joining import HEAP_SCRATCH, SHORT_SCRATCH, derive_pairs
from tokenizer.kernels.memory import Buffer, Fields, allocate, borrow
from tokenizer.kernels.vocabulary import enter_pairs
from tokenizer.packed import PackedMerges, PackedVocabulary

Numbers64 = npt.NDArray[np.int64]
Numbers = dict[bytes, int]
Merges = Sequence[tuple[bytes, bytes]]

_LONGEST_TOKEN = 1 << 20  # bytes; those of all together have a limit, too
_BYTES = tuple(bytes([byte]) for byte in range(256))
_NO_ID = -1  # of a byte that has no token, and is in no text that is encoded


class Unsupported(Exception):
    """The kernels cannot do this vocabulary exactly; the Python engine can."""


class Vocabulary:
    """The tables of one vocabulary; the arguments are those of `CompiledEncoder`.

    Attributes:
        fields: their addresses, as kernels take them.
        bytes: the bytes of all tokens, special ones included.
        decoder: ids to bytes.
        one_recipe_each: every token of several bytes is made by one merge of two others, and by no other way.
    """

    def __init__(
        self,
        vocabulary: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        merges: Merges | None,
        *,
        whole_pieces: bool,
    ) -> None:
        rows = _rows(vocabulary, special_tokens, merges)
        sizes, places = rows.sizes, np.cumsum(rows.sizes) - rows.sizes
        self.bytes = decoding_pool(rows.data)
        usable = rows.ids != _NO_ID
        self.decoder = Decoder(decoding_table(rows.ids[usable], places[usable], sizes[usable]), self.bytes)
        self._lock = threading.Lock()
        self._count = rows.numbered
        self._sizes, self._places = sizes[: self._count], np.ascontiguousarray(places[: self._count])
        self.fields = Fields(tables.FIELDS)
        self.fields[tables.BYTES] = self.bytes
        self.fields[tables.NUMBERS] = self._count
        self.fields[tables.IDS] = _int32(rows.ids[: self._count])
        self.fields[tables.SIZES] = _int32(self._sizes)
        recipes = self.fields[tables.RECIPES] = allocate(tables.RECIPE_ROW * self._count)
        recipes.view(np.int32)[tables.SIZE // 4 :: tables.RECIPE_ROW // 4] = self._sizes
        linear = self.one_recipe_each = self._enter_merges(rows, merges)
        # A piece that is a token needs no merging if merging surely gives this token, or if nobody asks for merging.
        sure = self._count if linear else 0
        known = sizes.size - len(special_tokens) if whole_pieces else sure
        if (sizes[sure:known] > LONGEST).any():
            raise Unsupported("it has tokens of more than 256 bytes that are not made of two others")
        self._enter_tokens(places[:known], sizes[:known], rows.ids[:known])

    def make_nodes(self) -> None:
        """Make the table by which the longest token at a place is found; only long pieces need it."""
        with self._lock:
            if self.fields[tables.NODES]:
                return
            by_size, places = borrow(np.argsort(self._sizes, kind="stable")), borrow(self._places)
            bits = (self._count * 5 // 4).bit_length()  # of most vocabularies there is room for all beginnings then
            made = False
            while not made:
                bits += 1
                nodes = allocate(8 << bits)
                room = min(tables.MOST_BYTES - 1, self._count + (1 << bits - 1))
                made = bool(
                    tables.enter_nodes(
                        self.fields.address, nodes.address, 64 - bits, by_size.address, places.address, room
                    )
                )
            self.fields[tables.NODE_SHIFT] = 64 - bits
            self.fields[tables.NODES] = nodes  # last, for it is what other threads look at

    def _enter_merges(self, rows: "_Rows", merges: Merges | None) -> bool:
        """Fill the table of merges; return whether each token has one recipe."""
        self._make_pair_tables(self._count, np.arange(self._count), linear=True)
        places, scratch = borrow(self._places), allocate(max(SHORT_SCRATCH, HEAP_SCRATCH * int(self._sizes.max())))
        derived = derive_pairs(self.fields.address, places.address, scratch.address)
        if derived == self._count and (rows.recipes is None or self._derived_are(rows.recipes())):
            return True
        if merges is None:
            pairs, made = self._pairs_by_sum(), np.arange(self._count)
        else:
            numbers = rows.numbers()
            pairs = _pairs_by_merge(numbers, merges)
            made = np.array([*range(256), *(numbers[left + right] for left, right in merges)])
        if max(len(pairs), made.size) >= tables.MOST_NUMBERS:
            raise Unsupported("it has too many merges")
        self._make_pair_tables(len(pairs), made, linear=False)
        entries = borrow(pairs)
        enter_pairs(self.fields.address, entries.address, len(pairs))
        return False

    def _pairs_by_sum(self) -> Numbers64:
        """Every two tokens whose sum is a token: their numbers, and that of the sum for the rank."""
        self.make_nodes()
        most = min(int(self._sizes.sum()), tables.MOST_NUMBERS)
        places, rows = borrow(self._places), allocate(24 * most)
        count = tables.find_sums(self.fields.address, places.address, rows.address, most)
        self.fields[tables.NODES] = 0  # only long pieces may need them again
        return rows.view(np.int64).reshape(-1, 3)[:count]

    def _make_pair_tables(self, count: int, made: Numbers64, *, linear: bool) -> None:
        bits = max(8, (2 * count).bit_length())
        self.fields[tables.PAIRS] = allocate((8 << bits) + (1 << bits - 1))
        self.fields[tables.PAIR_SHIFT] = 64 - bits
        self.fields[tables.BYTE_PAIRS] = allocate(4 << 16)
        self.fields[tables.MADE] = _int32(made)
        self.fields[tables.LINEAR] = linear

    def _derived_are(self, recipes: Numbers64) -> bool:
        """Whether the recipes that were derived are those that are given, in their order."""
        derived = self.fields.buffer(tables.RECIPES).view(np.int32).reshape(self._count, -1)[256:, :2]
        return np.array_equal(derived, recipes)

    def _enter_tokens(self, places: Numbers64, sizes: Numbers64, ids: Numbers64) -> None:
        which = np.flatnonzero((sizes > 0) & (sizes <= LONGEST))
        rows = allocate(tables.TOKEN_ROW * (which.size + 1))
        rows.view(np.int64)[2::2] = places[which]
        rows.view(np.int32)[6::4] = sizes[which]
        rows.view(np.int32)[7::4] = ids[which]
        bits = (2 * which.size + 1).bit_length()
        self.fields[tables.TOKEN_ROWS] = rows
        self.fields[tables.TOKENS] = allocate(8 << bits)
        self.fields[tables.TOKEN_SHIFT] = 64 - bits
        scratch = allocate(16)
        tables.enter_tokens(self.fields.address, which.size + 1, scratch.address)


class _Rows(NamedTuple):
    """All tokens, those that merging knows first: by their number, the single bytes in front.

    Attributes:
        data: their bytes, one token behind the other; a byte that has no token is there as well.
        sizes: the bytes of each.
        ids: the id of each.
        numbered: how many merging knows; ordinary tokens that nothing makes follow, and then the special ones.
        numbers: gives the numbers of these tokens, which seldom need to be looked up.
        recipes: gives the two numbers of each merge that is listed, -1 for a part that nothing makes; None: they are
            not listed.
    """

    data: bytes
    sizes: Numbers64
    ids: Numbers64
    numbered: int
    numbers: Callable[[], Numbers]
    recipes: Callable[[], Numbers64] | None


def _rows(vocabulary: Mapping[bytes, int], special_tokens: Mapping[str, int], merges: Merges | None) -> _Rows:
    rows = None
    if isinstance(vocabulary, PackedVocabulary):
        if merges is None:
            rows = _rows_of_packed(vocabulary, None)
        elif isinstance(merges, PackedMerges) and merges.vocabulary is vocabulary:
            rows = _rows_of_packed(vocabulary, merges)
    rows = rows or _rows_of_any(dict(vocabulary.items()), merges)
    _check_ids(special_tokens.values())
    special = [token.encode() for token in special_tokens]
    sizes = np.concatenate([rows.sizes, np.fromiter(map(len, special), np.int64)])
    if sizes.sum() >= tables.MOST_BYTES // 4 or sizes.max() > _LONGEST_TOKEN:
        raise Unsupported("its tokens are too long")
    ids = np.concatenate([rows.ids, np.fromiter(special_tokens.values(), np.int64)])
    return rows._replace(data=rows.data + b"".join(special), sizes=sizes, ids=ids)


def _rows_of_packed(vocabulary: PackedVocabulary, merges: PackedMerges | None) -> _Rows | None:
    """The ordinary tokens of a packed file, without looking at them one by one."""
    places, ids = np.array(vocabulary.places, np.int64), np.array(vocabulary.ids, np.int64)
    data, starts, sizes = np.frombuffer(vocabulary.data, np.uint8), places[:-1], np.diff(places)
    if (sizes == 0).any():
        return None
    _check_ids([vocabulary.highest])
    if merges is None:
        made = np.flatnonzero(sizes > 1)
    else:
        every = np.array(merges.made, np.int64)
        made = every[np.array(merges.first, np.int64)[every] == np.arange(1, every.size + 1)]
    single = np.flatnonzero(sizes == 1)
    number = np.full(sizes.size, -1)
    number[single] = data[starts[single]]
    number[made] = np.arange(256, 256 + made.size)
    longer = np.concatenate([made, np.flatnonzero(number < 0)])
    ids_of_bytes = np.full(256, _NO_ID)
    ids_of_bytes[number[single]] = ids[single]
    begins, ends = places[longer], places[longer + 1]
    apart = begins[1:] != ends[:-1]  # most stand in the file as they are wanted here, and are taken together
    stretches = zip(
        begins[np.append(True, apart)[: longer.size]].tolist(),
        ends[np.append(apart, True)[: longer.size]].tolist(),
        strict=True,
    )
    parts = None if merges is None else np.stack([np.array(merges.lefts), np.array(merges.rights)], axis=1)
    return _Rows(
        data=b"".join((*_BYTES, *(vocabulary.data[start:end] for start, end in stretches))),
        sizes=np.concatenate([np.ones(256, np.int64), sizes[longer]]),
        ids=np.concatenate([ids_of_bytes, ids[longer]]),
        numbered=256 + made.size,
        numbers=lambda: dict(zip([*_BYTES, *map(vocabulary.at, made.tolist())], range(256 + made.size), strict=True)),
        recipes=None if parts is None else lambda: number[parts],
    )


def _rows_of_any(ids: Mapping[bytes, int], merges: Merges | None) -> _Rows:
    """The ordinary tokens of any vocabulary."""
    if len(set(ids.values())) < len(ids):
        raise Unsupported("two of its tokens have one id")
    _check_ids(ids.values())
    numbers = _numbers_by_rank(ids) if merges is None else _numbers_by_merge(ids, merges)
    tokens = [*numbers, *(token for token in ids if token not in numbers)]
    return _Rows(
        data=b"".join(tokens),
        sizes=np.fromiter(map(len, tokens), np.int64),
        ids=np.fromiter((ids.get(token, _NO_ID) for token in tokens), np.int64),
        numbered=len(numbers),
        numbers=lambda: numbers,
        recipes=None if merges is None else lambda: _numbers_of_parts(numbers, merges),
    )


def _numbers_of_parts(numbers: Numbers, merges: Merges) -> Numbers64:
    found = [(numbers.get(left, -1), numbers.get(right, -1)) for left, right in merges]
    return np.array(found, np.int64).reshape(-1, 2)


def _check_ids(ids: Collection[int]) -> None:
    if min(ids, default=0) < 0 or max(ids, default=0) >= tables.MOST_NUMBERS:
        raise Unsupported("some of its ids are too large")


def _numbers_by_rank(ids: Mapping[bytes, int]) -> Numbers:
    longer = sorted((token for token in ids if len(token) > 1), key=ids.__getitem__)
    return {token: number for number, token in enumerate([*_BYTES, *longer])}


def _numbers_by_merge(ids: Mapping[bytes, int], merges: Merges) -> Numbers:
    made = [left + right for left, right in merges]
    if not all(map(ids.__contains__, made)):
        raise Unsupported("a merge whose token is not in the vocabulary")
    distinct = dict.fromkeys([*_BYTES, *made])
    return dict(zip(distinct, range(len(distinct)), strict=True))


def _pairs_by_merge(numbers: Numbers, merges: Merges) -> Numbers64:
    """The given merges: both numbers, and the rank. A part that nothing makes is never there to be joined."""
    pairs = {
        (numbers[left], numbers[right]): rank
        for rank, (left, right) in enumerate(merges, start=256)
        if left in numbers and right in numbers
    }
    return np.array([(left, right, rank) for (left, right), rank in pairs.items()], np.int64).reshape(-1, 3)


def _int32(values: npt.NDArray[np.integer[Any]]) -> Buffer:
    buffer = allocate(4 * values.size)
    buffer.view(np.int32)[: values.size] = values
    return buffer
