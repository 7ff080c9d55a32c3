"""Lay out a vocabulary as the tables of `tokenizer/kernels/vocabulary.py`."""

import threading
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenizer.kernels import vocabulary as tables
from tokenizer.kernels.decoding import MARGIN
from tokenizer.kernels.encoding import LONGEST
from tokenizer.kernels.joining import HEAP_SCRATCH, SHORT_SCRATCH, derive_pairs
from tokenizer.kernels.memory import Buffer, allocate, borrow

Pairs = dict[tuple[int, int], int]  # left and right number: rank
Numbers = dict[bytes, int]


class Unsupported(Exception):
    """The kernels cannot do this vocabulary exactly; the Python engine can."""


class Vocabulary:
    """The tables of one vocabulary; the arguments are those of `CompiledEncoder`.

    Attributes:
        fields: their addresses, as kernels take them.
        bytes: the bytes of all tokens, special ones included.
        decoding: for each id, where its bytes are; as `kernels/decoding.py` takes it.
        linear: whether each token has one recipe, so that long pieces are cut in linear time.
    """

    def __init__(
        self,
        vocabulary: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        merges: Sequence[tuple[bytes, bytes]] | None,
        *,
        whole_pieces: bool,
    ) -> None:
        ids = dict(vocabulary)
        special = [token.encode() for token in special_tokens]
        _check(ids, list(special_tokens.values()), special)
        numbers = _numbers_by_rank(ids) if merges is None else _numbers_by_merge(ids, merges)
        others = [token for token in ids if token not in numbers]
        rows = [*numbers, *others, *special]
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        places = np.cumsum(sizes) - sizes
        row_ids = np.array([*map(ids.__getitem__, numbers), *map(ids.__getitem__, others), *special_tokens.values()])

        self.bytes = allocate(int(sizes.sum()) + MARGIN)
        self.bytes.array[: int(sizes.sum())] = np.frombuffer(b"".join(rows), np.uint8)
        self.decoding = _decoding_table(row_ids, places, sizes)
        self._lock = threading.Lock()
        self._kept: dict[int, Buffer] = {}
        self.fields = allocate(8 * tables.FIELDS)
        self._values = self.fields.view(np.int64)
        self._count = len(numbers)
        self._sizes, self._places = sizes[: self._count], places[: self._count]
        self._keep(tables.BYTES, self.bytes)
        self._values[tables.NUMBERS // 8] = self._count
        self._keep(tables.IDS, _int32(row_ids[: self._count]))
        self._keep(tables.SIZES, _int32(self._sizes))
        self.linear = self._enter_merges(numbers, ids, merges)
        # A piece that is a token needs no merging, if merging surely gives the token or if nobody asks for it.
        known = len(rows) - len(special) if whole_pieces else self._count if self.linear else 0
        first_unsure = self._count if self.linear else 0
        if whole_pieces and (sizes[first_unsure : len(ids)] > LONGEST).any():
            raise Unsupported("tokens that are longer than the kernels' keys")
        self._enter_tokens(places[:known], sizes[:known], row_ids[:known])

    def make_nodes(self) -> None:
        """Make the table by which the longest token at a place is found; only long pieces need it."""
        with self._lock:
            if self._values[tables.NODES // 8]:
                return
            by_size = borrow(np.argsort(self._sizes, kind="stable"))
            places = borrow(np.ascontiguousarray(self._places))
            bits = (4 * self._count).bit_length()
            made = False
            while not made:
                nodes = allocate(8 << bits)
                trial = borrow(self._values.copy())
                trial.view(np.int64)[tables.NODES // 8] = nodes.address
                trial.view(np.int64)[tables.NODE_SHIFT // 8] = 64 - bits
                room = min(tables.MOST_BYTES - 1, self._count + (1 << bits - 1))
                made = bool(tables.enter_nodes(trial.address, by_size.address, places.address, room))
                bits += 1
            # Other threads look at the address first: it comes last.
            self._values[tables.NODE_SHIFT // 8] = 65 - bits
            self._keep(tables.NODES, nodes)

    def _enter_merges(self, numbers: Numbers, ids: Mapping[bytes, int], merges: Any) -> bool:
        """Fill the table of merges; return whether each token has one recipe."""
        given = None if merges is None else _pairs_by_merge(numbers, merges)
        self._make_pair_tables(self._count)
        self._values[tables.LINEAR // 8] = True
        longest = int(self._sizes.max())
        scratch = allocate(max(SHORT_SCRATCH, HEAP_SCRATCH * longest))
        places = borrow(np.ascontiguousarray(self._places))
        derived = derive_pairs(self.fields.address, places.address, scratch.address)
        if derived == self._count and (given is None or given == self._derived_pairs()):
            return True
        pairs = _pairs_by_sum(numbers) if given is None else given
        made = range(self._count)
        if merges is not None:
            made = [*range(256), *(numbers[left + right] for left, right in merges)]
        if max(len(pairs), len(made)) >= tables.MOST_NUMBERS:
            raise Unsupported("too many merges")
        self._values[tables.LINEAR // 8] = False
        self._make_pair_tables(len(pairs))
        self._keep(tables.MADE, _int32(np.array(made)))
        rows = borrow(np.array([(left, right, rank) for (left, right), rank in pairs.items()], np.int64).reshape(-1))
        tables.enter_pairs(self.fields.address, rows.address, len(pairs))
        return False

    def _make_pair_tables(self, count: int) -> None:
        bits = (2 * count).bit_length()
        self._keep(tables.PAIRS, allocate((8 << bits) + (1 << bits - 1)))
        self._values[tables.PAIR_SHIFT // 8] = 64 - bits
        self._keep(tables.BYTE_PAIRS, allocate(4 << 16))
        self._keep(tables.MADE, _int32(np.arange(self._count)))
        recipes = allocate(tables.RECIPE_ROW * self._count)
        recipes.view(np.int32)[tables.SIZE // 4 :: tables.RECIPE_ROW // 4] = self._sizes
        self._keep(tables.RECIPES, recipes)

    def _derived_pairs(self) -> Pairs:
        recipes = self._kept[tables.RECIPES].view(np.int32).reshape(self._count, -1)[256:, :2].tolist()
        return {(left, right): rank for rank, (left, right) in enumerate(recipes, start=256)}

    def _enter_tokens(self, places: Any, sizes: Any, ids: Any) -> None:
        which = np.flatnonzero((sizes > 0) & (sizes <= LONGEST))
        rows = allocate(tables.TOKEN_ROW * (which.size + 1))
        rows.view(np.int64)[2::2] = places[which]
        rows.view(np.int32)[6::4] = sizes[which]
        rows.view(np.int32)[7::4] = ids[which]
        self._keep(tables.TOKEN_ROWS, rows)
        bits = (2 * which.size).bit_length()
        self._keep(tables.TOKENS, allocate(8 << bits))
        self._values[tables.TOKEN_SHIFT // 8] = 64 - bits
        scratch = allocate(16)
        tables.enter_tokens(self.fields.address, which.size + 1, scratch.address)

    def _keep(self, field: int, buffer: Buffer) -> None:
        self._kept[field] = buffer
        self._values[field // 8] = buffer.address


def _check(ids: Mapping[bytes, int], special_ids: list[int], special: list[bytes]) -> None:
    every = {*ids.values(), *special_ids}
    if len(set(ids.values())) < len(ids) or len(every) >= tables.MOST_NUMBERS or sum(map(len, (*ids, *special))) >= tables.MOST_BYTES:
        raise Unsupported("two tokens of one id, or a huge vocabulary")
    if min(every) < 0 or max(every) >= tables.MOST_BYTES:
        raise Unsupported("ids that are negative or huge")
    if any(bytes([byte]) not in ids for byte in range(256)):
        raise Unsupported("a byte without a token")


def _numbers_by_rank(ids: Mapping[bytes, int]) -> Numbers:
    longer = sorted((token for token in ids if len(token) > 1), key=ids.__getitem__)
    return {token: number for number, token in enumerate([*(bytes([byte]) for byte in range(256)), *longer])}


def _numbers_by_merge(ids: Mapping[bytes, int], merges: Sequence[tuple[bytes, bytes]]) -> Numbers:
    numbers = {bytes([byte]): byte for byte in range(256)}
    for left, right in merges:
        if left + right not in ids:
            raise Unsupported("a merge whose token is not in the vocabulary")
        numbers.setdefault(left + right, len(numbers))
    return numbers


def _pairs_by_merge(numbers: Numbers, merges: Sequence[tuple[bytes, bytes]]) -> Pairs:
    """The given merges; a part that nothing makes is never there to be joined."""
    return {
        (numbers[left], numbers[right]): rank
        for rank, (left, right) in enumerate(merges, start=256)
        if left in numbers and right in numbers
    }


def _pairs_by_sum(numbers: Numbers) -> Pairs:
    """Every two tokens whose sum is a token, with its number for the rank."""
    return {
        (numbers[token[:cut]], numbers[token[cut:]]): number
        for token, number in numbers.items()
        for cut in range(1, len(token))
        if token[:cut] in numbers and token[cut:] in numbers
    }


def _decoding_table(ids: Any, places: Any, sizes: Any) -> Buffer:
    table = allocate(8 * (int(ids.max()) + 1))
    table.view(np.int64)[ids] = places << 32 | sizes + 1
    return table


def _int32(values: npt.NDArray[np.integer[Any]]) -> Buffer:
    buffer = allocate(4 * values.size)
    buffer.view(np.int32)[: values.size] = values
    return buffer
