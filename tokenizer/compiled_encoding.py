"""The compiled encoder: text to ids and back by `tokenizer/kernels`, with the buffers that these need.

Import this only for long texts: it imports NumPy and Numba.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tokenizer.compiled_vocabulary import Unsupported, Vocabulary
from tokenizer.kernels import decoding, encoding
from tokenizer.kernels.joining import SHORT_SCRATCH
from tokenizer.kernels.memory import Buffer, Fields, allocate, borrow
from tokenizer.kernels.scanning import SPLITS, class_table, safe_cut
from tokenizer.splits import NAMED_PATTERNS, Split

__all__ = ["CompiledEncoder", "Unsupported"]

Ids = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]
Part = TypeVar("Part")
Result = TypeVar("Result")

_LINE_BITS = (12, 14, 16, 17, 18, 19)  # a thread's word cache: 2^12 lines are 256 KB, 2^19 are 32 MB
_FORGOTTEN_PART = 16  # the cache grows when as many rows as this part of its lines had to make room for others
_POOL_SIZE = 1 << 25  # bytes, for what does not fit into its rows
_LEAST_PART = 1 << 18  # bytes; a smaller part of a text is not worth a thread
_PARTS = 4  # for each thread, so that none waits long for the last
_KEPT_ROOM = 1 << 16  # ids; texts that need no more use the room of the thread


class CompiledEncoder:
    """Encode and decode with one vocabulary. May be used by several threads at once.

    Words are remembered between calls, up to a fixed amount of memory for each thread.

    Args:
        vocabulary: ordinary tokens and their ids.
        special_tokens: special tokens and their ids; only for decoding.
        merges: the pairs that may be joined, best first; None if any two parts may whose sum is in the vocabulary.
        whole_pieces: a piece that is in the vocabulary is that token, whatever the merges say.
        split: how text is cut into pieces.

    Raises:
        Unsupported: this vocabulary cannot be done exactly here.

    Example:
        encoder = CompiledEncoder(ranks, {}, None, whole_pieces=True, split=make_split("cl100k"))
        encoder.encode(b"hello world").tolist() == [15339, 1917]
    """

    def __init__(
        self,
        vocabulary: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        merges: Sequence[tuple[bytes, bytes]] | None,
        *,
        whole_pieces: bool,
        split: Split,
    ) -> None:
        self._vocabulary = Vocabulary(vocabulary, special_tokens, merges, whole_pieces=whole_pieces)
        self._split = split
        named = NAMED_PATTERNS.get(split.name) == split.pattern and not split.before
        self._named_split = SPLITS.get(split.name) if named else None
        self._idle: list[_Worker] = []

    def encode(self, data: bytes | memoryview, jobs: int = 1) -> Ids:
        """The ids of a text; special tokens in it are ordinary text. `jobs` threads give the same ids as one."""
        parts = [ids for _, ids in self._in_parts(data, jobs, keep=True)]
        return parts[0] if len(parts) == 1 else self._joined(parts, jobs)

    def count(self, data: bytes | memoryview, jobs: int = 1) -> int:
        """How many ids `encode` gives, without the memory for them."""
        return sum(count for count, _ in self._in_parts(data, jobs, keep=False))

    def encode_many(self, documents: Sequence[bytes | memoryview], jobs: int = 1) -> tuple[Ids, Numbers]:
        """The ids of documents one after the other, and where those of each end.

        Example: encode_many([b"hello world", b"hello"]) gives [15339, 1917, 15339] and [2, 3]
        """
        shares = _shares(documents, jobs)
        results = self._by_threads(self._encode_documents, shares, jobs)
        if len(results) == 1:
            return results[0]
        before = [0, *accumulate(ids.size for ids, _ in results)]
        ends = [ends + start for (_, ends), start in zip(results, before, strict=False)]
        return self._joined([ids for ids, _ in results], jobs), np.concatenate(ends)

    def decode(self, ids: npt.NDArray[np.integer[Any]]) -> bytes:
        """The bytes of ids.

        Raises:
            KeyError: an id that no token has; its argument is this id.
        """
        table, pool = self._vocabulary.decoding, self._vocabulary.bytes
        size = table.array.size // 8
        given = np.ascontiguousarray(ids)
        if given.dtype != np.int32:
            given = np.where((given < 0) | (given >= size), size, given).astype(np.int32)
        lent = borrow(given)
        total = decoding.decoded_size(table.address, size, lent.address, given.size)
        if total < 0:
            raise KeyError(int(ids[-1 - total]))
        room = allocate(total + decoding.MARGIN)
        decoding.decode(table.address, pool.address, lent.address, given.size, room.address)
        return room.array[:total].tobytes()

    def _encode_documents(self, worker: "_Worker", documents: Sequence[bytes | memoryview]) -> tuple[Ids, Numbers]:
        ends = np.fromiter(accumulate(map(len, documents)), np.int64, len(documents))
        given = None
        if self._named_split is None:
            starts = [0, *ends.tolist()]
            given = [start + end for one, start in zip(documents, starts, strict=False) for end in self._ends(one)]
        return worker.encode_many(b"".join(documents), ends, given)

    def _in_parts(self, data: bytes | memoryview, jobs: int, *, keep: bool) -> list[tuple[int, Ids]]:
        """How many ids parts of a text have, which no piece crosses, and those ids, if they are to be kept."""

        def encode(worker: _Worker, part: memoryview) -> tuple[int, Ids]:
            given = None if self._named_split is not None else self._ends(part)
            return worker.encode_one(part, given, keep=keep)

        view = memoryview(data)
        is_cut = jobs > 1 and len(view) >= 2 * _LEAST_PART
        cuts = self._cuts(view, max(_LEAST_PART, len(view) // (jobs * _PARTS))) if is_cut else [0, len(view)]
        return self._by_threads(encode, [view[start:end] for start, end in pairwise(cuts)], jobs)

    def _joined(self, arrays: list[Ids], jobs: int) -> Ids:
        """The same as np.concatenate, by several threads."""
        ends = list(accumulate(ids.size for ids in arrays))
        joined = np.empty(ends[-1], np.int32)
        targets = np.split(joined, ends[:-1])
        self._by_threads(lambda _, part: np.copyto(*part), list(zip(targets, arrays, strict=True)), jobs)
        return joined

    def _by_threads(self, work: Callable[["_Worker", Part], Result], parts: Sequence[Part], jobs: int) -> list[Result]:
        """The results of some work on each part, in their order.

        Every thread begins with neighbouring parts and a worker, always the same ones for the same text, so that it
        meets words that this worker remembers. When it has no more it helps the others.
        """
        jobs = min(jobs, len(parts))
        results: list[Any] = [None] * len(parts)
        shares = [deque(range(len(parts) * job // jobs, len(parts) * (job + 1) // jobs)) for job in range(jobs)]

        def run(worker: _Worker, own: deque[int]) -> None:
            while (number := _next_part(own, shares)) is not None:
                results[number] = work(worker, parts[number])

        with self._workers(jobs) as workers:
            if jobs == 1:
                run(workers[0], shares[0])
            else:
                with ThreadPoolExecutor(jobs) as pool:
                    try:
                        list(pool.map(run, workers, shares))
                    finally:
                        for share in shares:  # after Ctrl-C no thread begins with another part
                            share.clear()
        return results

    def _cuts(self, data: memoryview, step: int) -> list[int]:
        """Places about so many bytes apart where the text may be cut, from its start to its end."""
        cuts = [0]
        if self._named_split is not None:
            for end in range(step, len(data) - step // 2, step):
                lent = borrow(data[cuts[-1] : end])
                cut = safe_cut(lent.address, lent.array.size)
                if cut > 0:
                    cuts.append(cuts[-1] + cut)
        return [*cuts, len(data)]

    def _ends(self, data: bytes | memoryview) -> list[int]:
        return [end for _, end in self._split.split_spans(bytes(data))]

    @contextmanager
    def _workers(self, count: int) -> Iterator[list["_Worker"]]:
        """Take so many workers that nobody uses, and new ones if there are not enough."""
        workers: list[_Worker] = []
        try:
            for _ in range(count):
                with suppress(IndexError):
                    workers.append(self._idle.pop(0))
            while len(workers) < count:
                workers.append(_Worker(self._vocabulary, self._named_split))
            yield workers
        finally:
            self._idle[:0] = workers


class _Worker:
    """The word cache and scratch memory that one thread uses at a time."""

    def __init__(self, vocabulary: Vocabulary, split: int | None) -> None:
        masks = allocate(16 * 16)
        masks.array[:] = np.frombuffer(b"".join((b"\xff" * size).ljust(16, b"\0") for size in range(16)), np.uint8)
        self._vocabulary = vocabulary
        self._kept_room = _room(_KEPT_ROOM)
        self._only_end, self._only_count = Fields(1), Fields(1)
        fields = self._fields = Fields(encoding.FIELDS)
        fields[encoding.VOCABULARY] = vocabulary.fields.address
        fields[encoding.SPLIT] = -1 if split is None else split
        fields[encoding.CLASSES] = class_table()
        fields[encoding.POOL] = allocate(_POOL_SIZE)
        fields[encoding.POOL_SIZE] = _POOL_SIZE
        fields[encoding.MASKS] = masks
        fields[encoding.KEYS] = allocate(encoding.KEY_ROW * encoding.BATCH)
        fields[encoding.ENDS] = allocate(8 * encoding.BATCH)
        self._make_scratch(SHORT_SCRATCH)
        self._more_lines()

    def encode_one(self, data: bytes | memoryview, given: list[int] | None, *, keep: bool) -> tuple[int, Ids]:
        """How many ids a text has, and those ids, or none if they are not to be kept.

        `given` are the ends of all pieces, if something else has cut the text.
        """
        self._only_end[0] = len(data)
        ids = self._encode(data, self._only_end.address, 1, self._only_count.address, given, keep=keep)
        return self._only_count[0], ids

    def encode_many(self, data: bytes, ends: Numbers, given: list[int] | None) -> tuple[Ids, Numbers]:
        """The ids of documents that lie one behind the other, and where those of each end."""
        if ends.size == 0:
            return np.empty(0, np.int32), ends
        document_ends, counts = borrow(ends), allocate(8 * ends.size)
        ids = self._encode(data, document_ends.address, ends.size, counts.address, given, keep=True)
        return ids, counts.view(np.int64)

    def _encode(
        self,
        data: bytes | memoryview,
        ends: int,
        documents: int,
        counts: int,
        given: list[int] | None,
        *,
        keep: bool,
    ) -> Ids:
        fields, size, text = self._fields, len(data), borrow(data)
        piece_ends = borrow(np.array(given, np.int64)) if given else None
        room = _room(size // 2) if keep and size > _KEPT_ROOM else self._kept_room
        for field in (encoding.DOCUMENT, encoding.PIECE, encoding.POSITION, encoding.COUNT):
            fields[field] = 0
        while True:
            most = (room.array.size - encoding.MARGIN) // 4
            status = encoding.encode_documents(
                fields.address,
                text.address,
                ends,
                documents,
                piece_ends.address if piece_ends else 0,
                counts,
                room.address,
                most if keep else -most,
            )
            if status == encoding.DONE:
                break
            if status == encoding.NEEDS_ROOM:
                kept = 4 * fields[encoding.COUNT] if keep else 0
                larger = _room(max(fields[encoding.WANTED], min(2 * most, size)))
                larger.array[:kept] = room.array[:kept]
                room = larger
            elif status == encoding.NEEDS_SCRATCH:
                self._make_scratch(2 * fields[encoding.WANTED])
            elif status == encoding.NEEDS_LINES:
                self._more_lines()
            else:
                self._vocabulary.make_nodes()
        ids = room.array[: 4 * fields[encoding.COUNT] if keep else 0].view(np.int32)
        return ids.copy() if room is self._kept_room else ids

    def _make_scratch(self, size: int) -> None:
        self._fields[encoding.SCRATCH] = allocate(size)
        self._fields[encoding.SCRATCH_SIZE] = size

    def _more_lines(self) -> None:
        """Give the cache its first lines, or many more than it has."""
        fields, size, aligned = self._fields, encoding.LINE, encoding.BUCKET
        rows = fields[encoding.ROWS]
        bits_before = 64 - fields[encoding.ROW_SHIFT] if rows else 0
        bits = next(bits for bits in _LINE_BITS if bits > bits_before)
        lines = allocate((size << bits) + aligned)
        address = lines.address + -lines.address % aligned
        if rows:
            encoding.move_rows(rows, 1 << bits_before, address, 64 - bits)
        self._lines = lines
        fields[encoding.ROWS] = address
        fields[encoding.ROW_SHIFT] = 64 - bits
        fields[encoding.FORGOTTEN] = 0
        fields[encoding.MOST_FORGOTTEN] = (1 << bits) // _FORGOTTEN_PART if bits < _LINE_BITS[-1] else 1 << 62


def _room(most: int) -> Buffer:
    """Room for so many ids."""
    return allocate(4 * most + encoding.MARGIN)


def _next_part(own: deque[int], shares: list[deque[int]]) -> int | None:
    """Take the first part of the own share, or the last one of another; None if there are no more."""
    with suppress(IndexError):
        return own.popleft()
    for share in shares:
        with suppress(IndexError):
            return share.pop()
    return None


def _shares(documents: Sequence[bytes | memoryview], jobs: int) -> list[Sequence[bytes | memoryview]]:
    """Cut a list of documents into parts of about the same size, several for each thread."""
    total = sum(map(len, documents))
    step = max(_LEAST_PART, total // (jobs * _PARTS)) if jobs > 1 else total
    cuts, size = [0], 0
    for place, document in enumerate(documents, start=1):
        size += len(document)
        if size >= step:
            cuts.append(place)
            size = 0
    if cuts[-1] < len(documents):
        cuts.append(len(documents))
    return [documents[start:end] for start, end in pairwise(cuts)]
