"""Count pre-tokens with the compiled engine, by several threads.

Import this only for much text: it imports NumPy and Numba.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from heapq import nsmallest
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt

from tokenizer.compiled_merging import learn_merges
from tokenizer.compiled_splits import CompiledSplit
from tokenizer.counting import LONGEST, SHOWN_BYTES, longest_of
from tokenizer.kernels import counting
from tokenizer.kernels.compiling import make_ready
from tokenizer.kernels.memory import Fields, allocate, borrow
from tokenizer.kernels.scanning import class_table, safe_cut
from tokenizer.processors import usable_processors
from tokenizer.reference import Merge
from tokenizer.splits import Split

Numbers = npt.NDArray[np.int64]

LONGEST_PIECE = (1 << 31) - 1  # bytes; the kernels know no longer ones
_NEAR_ROWS = 1 << 15  # one megabyte
_NEAR_POOL = 1 << 18  # bytes
_FAR_ROWS = 1 << 16
_FAR_POOL = 1 << 20
_PART_BYTES = 1 << 20  # small documents go to a thread together


class CompiledPreTokens:
    """The pre-tokens of a corpus in hash tables; see `counting.PreTokens`."""

    engine: Literal["compiled", "python"] = "compiled"

    def __init__(self, split: Split, max_bytes: int | None, jobs: int | None) -> None:
        self.occurrences = self.distinct = self.learned_bytes = self.left_out = 0
        self._split = CompiledSplit(split)
        self.safe_cut: Callable[[bytes], int] | None = _safe_cut if self._split.cuts_safely else None
        self._most_bytes = min(LONGEST_PIECE, max_bytes or LONGEST_PIECE)
        self._jobs = jobs or usable_processors()
        make_ready(counting.count_text, counting.pour)  # here, where Ctrl-C ends a compilation, and not in a thread
        self._pool = ThreadPoolExecutor(self._jobs) if self._jobs > 1 else None
        self._running: deque[Future[None]] = deque()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._lock = threading.Lock()  # for the far table, and for the longest
        self._far = Table(_FAR_ROWS, _FAR_POOL, secrets.randbits(63))
        self._near: list[Table] = []
        self._idle: list[Table] = []
        self._longest: list[tuple[bytes, int]] = []
        self._told: set[tuple[int, int, bytes]] = set()  # of the longest that are left out: size, hash, beginning

    def add(self, text: bytes) -> None:
        """Count the pieces of a text, soon."""
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        if self._waiting_bytes >= _PART_BYTES:
            self._send()

    def finish(self) -> None:
        """Wait for all threads, and bring together what they counted."""
        self._send()
        while self._running:
            self._running.popleft().result()
        if self._pool:
            self._pool.shutdown()
        for near in self._near:
            self._pour(near)
            self.occurrences += near[counting.OCCURRENCES]
            self.left_out += near[counting.LEFT_OUT]
        self._near.clear()
        self._idle.clear()
        self.distinct = self._far[counting.USED]
        self.learned_bytes = self._far.total_bytes()
        self._longest = longest_of([*((start, size) for size, _, start in self._told), *self._far.longest()])

    def longest(self) -> list[tuple[bytes, int]]:
        """The longest, those left out included."""
        return self._longest

    def learn(
        self,
        wanted: int,
        *,
        byte_ids: Sequence[int],
        first_id: int,
        min_frequency: int,
        max_token_bytes: int | None,
        never: AbstractSet[bytes],
    ) -> Iterator[list[Merge]]:
        """The merges, as many at a time as a fraction of a second brings. The counts are gone afterwards."""
        return learn_merges(
            self._far,
            wanted,
            occurrences=self.occurrences,
            byte_ids=byte_ids,
            first_id=first_id,
            min_frequency=min_frequency,
            max_token_bytes=max_token_bytes,
            never=never,
        )

    def _send(self) -> None:
        """Let a thread count what waits; first wait for one if all have enough to do."""
        texts, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self._pool is None:
            self._count(texts)
            return
        if len(self._running) > self._jobs:
            self._running.popleft().result()
        self._running.append(self._pool.submit(self._count, texts))

    def _count(self, texts: list[bytes]) -> None:
        data = b"".join(texts)
        if not data:
            return
        try:
            near = self._idle.pop()
        except IndexError:
            near = self._new_near()
        near[counting.DATA], near[counting.DATA_SIZE] = borrow(data), len(data)
        text_ends = np.fromiter(accumulate(map(len, texts)), np.int64, len(texts))
        near[counting.PARTS] = borrow(text_ends)
        near[counting.POSITION] = near[counting.PART] = near[counting.GIVEN_NEXT] = 0
        if self._split.scanner is None:
            given = self._split.piece_ends(data, text_ends)
            near[counting.GIVEN], near[counting.GIVEN_COUNT] = borrow(given), given.size
        while (status := counting.count_text(near.address)) != counting.DONE:
            if status == counting.TELL:
                self._tell(near, data)
            else:
                self._pour(near)
                self._pour_unfit(near)
        self._tell(near, data)
        self._idle.append(near)

    def _new_near(self) -> "Table":
        near = Table(_NEAR_ROWS, _NEAR_POOL, self._far[counting.SEED])
        near[counting.ENDS] = allocate(8 * counting.BATCH)
        near[counting.TOLD] = allocate(16 * counting.MOST_TOLD)
        near[counting.MOST_BYTES] = self._most_bytes
        if self._split.scanner is not None:
            near[counting.SPLIT] = self._split.scanner
            near[counting.CLASSES] = class_table()
        self._near.append(near)
        return near

    def _pour(self, near: "Table") -> None:
        with self._lock:
            row = 0
            while (row := counting.pour(near.address, self._far.address, row)) <= near[counting.MASK]:
                self._far.grow()

    def _pour_unfit(self, near: "Table") -> None:
        """See to a piece that is too long for any near table."""
        end, start = near[counting.UNFIT_END], near[counting.POSITION]
        size = end - start
        if size <= _NEAR_POOL:
            return
        with self._lock:
            while not counting.pour_long(self._far.address, near[counting.DATA] + start, size):
                self._far.grow(size)
        near[counting.POSITION] = end
        near[counting.OCCURRENCES] += 1
        near[counting.GIVEN_NEXT] += 1

    def _tell(self, near: "Table", data: bytes) -> None:
        """Look whether pieces that were left out are among the longest."""
        told = near.buffer(counting.TOLD).view(np.int64).reshape(-1, 2)[: near[counting.TOLD_COUNT]].tolist()
        near[counting.TOLD_COUNT] = 0
        view = memoryview(data)
        with self._lock:
            for start, size in told:
                self._told.add((size, hash(view[start : start + size]), data[start : start + min(size, SHOWN_BYTES)]))
            self._told = set(nsmallest(LONGEST, self._told, key=lambda one: (-one[0], one[2])))
            near[counting.TOLD_FROM] = min(self._told)[0] if len(self._told) == LONGEST else 0


class Table(Fields):
    """A table of `kernels.counting`: how often each pre-token occurs."""

    def __init__(self, rows: int, pool_bytes: int, seed: int) -> None:
        super().__init__(counting.FIELDS)
        self[counting.SEED] = seed
        self._make_rows(rows)
        self._make_pool(pool_bytes)

    def grow(self, size: int = 0) -> None:
        """Make more room, of rows or for a pre-token of so many bytes, whatever is short."""
        if self[counting.USED] >= self[counting.LIMIT]:
            old = Fields(counting.FIELDS)
            for field in (counting.ROWS, counting.MASK):
                old[field] = self[field]
            rows = self.buffer(counting.ROWS)  # kept alive until they are copied
            self._make_rows(2 * (self[counting.MASK] + 1))
            counting.move_rows(old.address, self.address)
            del rows
        else:
            old_pool = self.buffer(counting.POOL).array
            self._make_pool(2 * old_pool.size + size)
            self.buffer(counting.POOL).array[: old_pool.size] = old_pool

    def total_bytes(self) -> int:
        """The bytes of all occurrences."""
        rows = self._all_rows()
        return int(np.dot(rows[:, 0], rows[:, 1] >> 32))

    def longest(self) -> list[tuple[bytes, int]]:
        """The longest pre-tokens, cut, and how many bytes each has."""
        rows = self._all_rows()
        sizes = np.where(rows[:, 0] > 0, rows[:, 1] >> 32, 0)
        last = max(0, sizes.size - LONGEST)
        shortest = max(1, int(np.partition(sizes, last)[last]))
        return longest_of(
            (self._beginning(rows[place]), int(sizes[place])) for place in np.flatnonzero(sizes >= shortest)
        )

    def _all_rows(self) -> Numbers:
        rows: Numbers = self.buffer(counting.ROWS).view(np.int64).reshape(-1, 4)
        return rows

    def _beginning(self, row: Numbers) -> bytes:
        size, start = int(row[1]) >> 32, int(row[2])
        if size > counting.INLINE:
            return self.buffer(counting.POOL).array[start : start + min(size, SHOWN_BYTES)].tobytes()
        key = row[2:].tobytes()
        return key[:size] if size < 8 else key[:8] + key[24 - size :]

    def _make_rows(self, count: int) -> None:
        self[counting.ROWS] = allocate(counting.ROW * count)
        self[counting.MASK] = count - 1
        self[counting.LIMIT] = count * 3 // 4

    def _make_pool(self, size: int) -> None:
        self[counting.POOL] = allocate(size)
        self[counting.POOL_SIZE] = size


def _safe_cut(text: bytes) -> int:
    lent = borrow(text)
    return safe_cut(lent.address, len(text))
