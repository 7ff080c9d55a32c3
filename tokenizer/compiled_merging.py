"""Learn merges with the compiled engine."""

import secrets
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

from tokenizer.errors import UserError
from tokenizer.kernels import counting, merging, pairs
from tokenizer.kernels.memory import Fields, allocate, borrow
from tokenizer.reference import Merge

Numbers = npt.NDArray[np.int64]

_FIRST_ROWS = 1 << 17
_FIRST_FLOOR = 16  # how many times rarer a pair may be than a token is on average, at first
_LOWER = 8  # by how much the floor is lowered
_SPARE_PLACES = (
    1.0  # room for places of pairs that arise, beside each that there is; memory that is not used is no cost
)
_WORK = 1 << 21  # places that are looked at between two looks at the world; some tenths of a second
_LOW = (1 << 32) - 1


def learn_merges(
    pre_tokens: Fields,
    wanted: int,
    *,
    occurrences: int,
    byte_ids: Sequence[int],
    first_id: int,
    min_frequency: int,
    max_token_bytes: int | None,
    never: AbstractSet[bytes],
) -> Iterator[list[Merge]]:
    """The first merges of `reference.train_merges`, as many at a time as a fraction of a second brings.

    Args:
        pre_tokens: a table of `kernels.counting`; it is emptied.
        wanted: how many merges.
        occurrences: how many pre-tokens there are, roughly.
        byte_ids: this and the following as in `reference.train_merges`.
        first_id: the same.
        min_frequency: the same.
        max_token_bytes: the same.
        never: the same.
    """
    lowest = min(max(1, min_frequency), 1 << 62)
    words = _Words(pre_tokens, wanted, byte_ids, first_id, max_token_bytes, never)
    if words[pairs.WANTED] == 0:
        return
    words.count_pairs(max(lowest, int(occurrences / (_FIRST_FLOOR * wanted))))
    told = 0
    while True:
        status = merging.learn_merges(words.address, _WORK)
        yield words.merges(told)
        told = words[pairs.DONE]
        if status == merging.FINISHED or (status == merging.LOWER and words[pairs.FLOOR] <= lowest):
            return
        if status == merging.LOWER:
            words.count_pairs(max(lowest, words[pairs.FLOOR] // _LOWER))
        elif status == merging.PLACES_FULL:
            words.count_pairs(words[pairs.FLOOR])
        elif status == merging.ROWS_FULL:
            words.make_rows()
        elif status == merging.ASK:
            words.answer(never)


class _Words(Fields):
    """The state of `kernels.merging`."""

    def __init__(
        self,
        pre_tokens: Fields,
        wanted: int,
        byte_ids: Sequence[int],
        first_id: int,
        max_token_bytes: int | None,
        never: AbstractSet[bytes],
    ) -> None:
        super().__init__(pairs.FIELDS)
        self._first_id = first_id
        self._token_bytes = {one: bytes([byte]) for byte, one in enumerate(byte_ids)}
        self[pairs.SEED] = secrets.randbits(63)
        self._lay_out(pre_tokens, byte_ids)
        self[pairs.NEXT_ID] = first_id
        wanted = self[pairs.WANTED] = min(wanted, self.cells)  # each merge uses up a cell
        tokens = first_id + wanted
        self[pairs.SIZES] = allocate(4 * tokens)
        self.buffer(pairs.SIZES).view(np.int32)[list(byte_ids)] = 1
        self[pairs.NEAR] = allocate(pairs.NEAR_ROW * tokens)
        self[pairs.TOUCHED] = allocate(4 * tokens)
        self[pairs.MERGES] = allocate(pairs.RESULT * wanted)
        self[pairs.MOST_BYTES] = min(max_token_bytes or (1 << 62), 1 << 62)
        ask_sizes = allocate(1 + max(map(len, never), default=0))
        ask_sizes.array[[len(token) for token in never]] = 1
        self[pairs.ASK_SIZES], self[pairs.ASK_LAST] = ask_sizes, ask_sizes.array.size - 1
        self._rows = _FIRST_ROWS

    def _lay_out(self, pre_tokens: Fields, byte_ids: Sequence[int]) -> None:
        rows = pre_tokens.buffer(counting.ROWS).view(np.int64).reshape(-1, 4)
        sizes = rows[:, 1] >> 32
        self[pairs.TOKENS] = int(np.dot(rows[:, 0], sizes))
        is_word = sizes >= 2
        self.cells = int(sizes.sum(where=is_word)) + pairs.HEADER * int(np.count_nonzero(is_word)) + 1
        if self.cells >= 1 << 31:
            raise UserError(
                f"all distinct pre-tokens together have {self.cells:,} bytes, which is too much",
                hint="leave out long ones (max_pretoken_bytes), or take a split that cuts more",
            )
        self[pairs.CELLS] = allocate(4 * self.cells)
        ids = borrow(np.array(byte_ids, np.int32))
        self[pairs.CELLS_END] = pairs.lay_out_words(pre_tokens.address, ids.address, self[pairs.CELLS])
        pre_tokens[counting.ROWS] = pre_tokens[counting.POOL] = 0  # that memory is needed for the pairs

    def count_pairs(self, floor: int) -> None:
        """Count all pairs, those from the floor on exactly, and list their places."""
        self[pairs.FLOOR] = floor
        for field in (pairs.PLACES, pairs.LOG, pairs.HEAP):  # given back before there are new ones
            self[field] = 0
        self[pairs.SIEVE] = allocate(8 << pairs.SIEVE_BITS)
        while True:
            self._make_table(self._rows)
            places = pairs.count_pairs(self.address)
            if places >= 0 and 2 * self[pairs.USED] <= self[pairs.LIMIT]:
                break
            self._rows *= 4
            self.buffer(pairs.SIEVE).array[:] = 0
        rows = self._pair_rows()
        most = int(rows[:, 3].max(where=rows[:, 1] >= floor, initial=0))
        room = allocate(pairs.PLACE * (places + int(_SPARE_PLACES * places) + 2 * most))
        self[pairs.PLACES], self[pairs.PLACES_END] = room, room.address + room.array.size
        self[pairs.LOG] = allocate(pairs.LOG_ROW * 2 * most)
        self[pairs.HEAP] = allocate(pairs.HEAP_ROW * self[pairs.LIMIT])
        pairs.place_pairs(self.address)

    def make_rows(self) -> None:
        """Make room in the table of pairs."""
        old = Fields(pairs.FIELDS)
        old[pairs.ROWS], old[pairs.MASK] = self.buffer(pairs.ROWS), self[pairs.MASK]
        old[pairs.FLOOR] = self[pairs.FLOOR]
        alive = int(np.count_nonzero(self._pair_rows()[:, 1] >= self[pairs.FLOOR]))
        while _limit(self._rows) < 2 * alive + 2 * self[pairs.NEXT_ID] + 2:
            self._rows *= 2
        self._make_table(self._rows)
        self[pairs.HEAP] = allocate(pairs.HEAP_ROW * self[pairs.LIMIT])
        pairs.move_pairs(old.address, self.address)

    def answer(self, never: AbstractSet[bytes]) -> None:
        """Say whether the pair on top of the heap may be merged."""
        key = int(self.buffer(pairs.HEAP).view(np.int64)[1])
        left, right = _pair(key)
        token = self._bytes_of(left) + self._bytes_of(right)
        self[pairs.REFUSED if token in never else pairs.ALLOWED] = key

    def merges(self, first: int) -> list[Merge]:
        """The merges that were made, from the first one on."""
        rows = self.buffer(pairs.MERGES).view(np.int64).reshape(-1, 4)[first : self[pairs.DONE]].tolist()
        return [Merge(_pair(key), count, words, tokens) for key, count, words, tokens in rows]

    def _bytes_of(self, token: int) -> bytes:
        if token not in self._token_bytes:
            key = int(self.buffer(pairs.MERGES).view(np.int64)[4 * (token - self._first_id)])
            left, right = _pair(key)
            self._token_bytes[token] = self._bytes_of(left) + self._bytes_of(right)
        return self._token_bytes[token]

    def _make_table(self, rows: int) -> None:
        self[pairs.ROWS] = allocate(pairs.PAIR_ROW * rows)
        self[pairs.MASK] = rows - 1
        self[pairs.LIMIT] = _limit(rows)

    def _pair_rows(self) -> Numbers:
        rows: Numbers = self.buffer(pairs.ROWS).view(np.int64).reshape(-1, 4)
        return rows


def _limit(rows: int) -> int:
    """How many rows of a hash table may be in use."""
    return rows * 5 // 8


def _pair(key: int) -> tuple[int, int]:
    return (key >> 32) - 1, key & _LOW
