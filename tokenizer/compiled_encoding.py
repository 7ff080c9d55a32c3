"""The compiled encoder: text to ids and back by `tokenizer/kernels`, with the buffers that these need.

Import this only for long texts: it imports NumPy and Numba.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any

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

_FIRST_LINE_BITS = 12  # of the word cache of a thread: 2^12 lines of two rows are 256 KB
_LAST_LINE_BITS = 19  # 32 MB
_FORGOTTEN_PART = 32  # the cache grows when so many times this part of its lines had to make room
_POOL_SIZE = 1 << 25  # bytes, for what does not fit into its rows
_LEAST_PART = 1 << 18  # bytes; a smaller part of a text is not worth a thread
_PARTS = 2  # for each thread, so that none waits long for the last
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
        if jobs > 1 and len(data) >= 2 * _LEAST_PART:
            parts = self._in_parts(data, jobs, keep=True)
            return np.concatenate([ids for _, ids in parts])
        return self._encode_part(data, keep=True)[1]

    def count(self, data: bytes | memoryview, jobs: int = 1) -> int:
        """How many ids `encode` gives, without the memory for them."""
        if jobs > 1 and len(data) >= 2 * _LEAST_PART:
            return sum(count for count, _ in self._in_parts(data, jobs, keep=False))
        return self._encode_part(data, keep=False)[0]

    def encode_many(self, documents: Sequence[bytes], jobs: int = 1) -> tuple[Ids, Numbers]:
        """The ids of documents one after the other, and where those of each end.

        Example: encode_many([b"hello world", b"hello"]) gives [15339, 1917, 15339] and [2, 3]
        """
        shares = _shares(documents, jobs)
        if len(shares) <= 1:
            return self._encode_documents(documents)
        with ThreadPoolExecutor(jobs) as pool:
            results = list(pool.map(self._encode_documents, shares))
        before = [0, *accumulate(ids.size for ids, _ in results)]
        ends = [ends + start for (_, ends), start in zip(results, before, strict=False)]
        return np.concatenate([ids for ids, _ in results]), np.concatenate(ends)

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

    def _encode_documents(self, documents: Sequence[bytes]) -> tuple[Ids, Numbers]:
        ends = np.fromiter(accumulate(map(len, documents)), np.int64, len(documents))
        given = None
        if self._named_split is None:
            starts = [0, *ends.tolist()]
            given = [start + end for one, start in zip(documents, starts, strict=False) for end in self._ends(one)]
        with self._worker() as worker:
            return worker.encode_many(b"".join(documents), ends, given)

    def _encode_part(self, data: bytes | memoryview, *, keep: bool) -> tuple[int, Ids]:
        given = None if self._named_split is not None else self._ends(data)
        with self._worker() as worker:
            return worker.encode_one(data, given, keep=keep)

    def _in_parts(self, data: bytes | memoryview, jobs: int, *, keep: bool) -> list[tuple[int, Ids]]:
        """Encode a text by several threads, which take parts of it that no piece crosses."""
        view = memoryview(data)
        with ThreadPoolExecutor(jobs) as pool:
            cuts = self._cuts(view, max(_LEAST_PART, len(view) // (jobs * _PARTS)))
            return list(pool.map(lambda cut: self._encode_part(view[cut[0] : cut[1]], keep=keep), pairwise(cuts)))

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
    def _worker(self) -> Iterator["_Worker"]:
        """Take a worker that nobody uses, or a new one."""
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker(self._vocabulary, self._named_split)
        try:
            yield worker
        finally:
            self._idle.append(worker)


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
        """Give the cache its first lines, or twice as many as it has."""
        fields, size = self._fields, encoding.LINE
        rows = fields[encoding.ROWS]
        bits = 64 - fields[encoding.ROW_SHIFT] + 1 if rows else _FIRST_LINE_BITS
        lines = allocate((size << bits) + size)
        address = lines.address + -lines.address % size
        if rows:
            encoding.move_rows(rows, 1 << bits - 1, address, 64 - bits)
        self._lines = lines
        fields[encoding.ROWS] = address
        fields[encoding.ROW_SHIFT] = 64 - bits
        fields[encoding.FORGOTTEN] = 0
        fields[encoding.MOST_FORGOTTEN] = (1 << bits) // _FORGOTTEN_PART if bits < _LAST_LINE_BITS else 1 << 62


def _room(most: int) -> Buffer:
    """Room for so many ids."""
    return allocate(4 * most + encoding.MARGIN)


def _shares(documents: Sequence[bytes], jobs: int) -> list[Sequence[bytes]]:
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
