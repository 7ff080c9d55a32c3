"""The compiled encoder: text to ids and back by `tokenizer/kernels`, with the buffers that these need.

Import this only for long texts: it imports NumPy and Numba.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer.compiled_vocabulary import Unsupported, Vocabulary
from tokenizer.kernels import decoding, encoding
from tokenizer.kernels.joining import SHORT_SCRATCH
from tokenizer.kernels.memory import Buffer, allocate, borrow
from tokenizer.kernels.scanning import SPLITS, class_table, safe_cut
from tokenizer.splits import NAMED_PATTERNS, Split

__all__ = ["CompiledEncoder", "Unsupported"]

Ids = npt.NDArray[np.int32]

_FIRST_LINE_BITS = 12  # of the word cache of a thread: 2^12 lines of two rows are 256 KB
_LAST_LINE_BITS = 19  # 32 MB
_FORGOTTEN_PART = 32  # the cache grows when so many times this part of its lines had to make room
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
        if jobs > 1 and len(data) >= 2 * _LEAST_PART:
            parts = self._in_parts(data, jobs, keep=True)
            return np.concatenate([ids for _, ids in parts])
        return self._encode_part(data, keep=True)[1]

    def count(self, data: bytes | memoryview, jobs: int = 1) -> int:
        """How many ids `encode` gives, without the memory for them."""
        if jobs > 1 and len(data) >= 2 * _LEAST_PART:
            return sum(count for count, _ in self._in_parts(data, jobs, keep=False))
        return self._encode_part(data, keep=False)[0]

    def encode_many(self, documents: Sequence[bytes], jobs: int = 1) -> tuple[Ids, npt.NDArray[np.int64]]:
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
        if given.dtype.itemsize != 4:
            given = np.where((given < 0) | (given >= size), size, given).astype(np.int32)
        lent = borrow(given)
        total = decoding.decoded_size(table.address, size, lent.address, given.size)
        if total < 0:
            raise KeyError(int(ids[-1 - total]))
        room = allocate(total + decoding.MARGIN)
        decoding.decode(table.address, pool.address, lent.address, given.size, room.address)
        return room.array[:total].tobytes()

    def _encode_documents(self, documents: Sequence[bytes]) -> tuple[Ids, npt.NDArray[np.int64]]:
        ends = np.fromiter(accumulate(map(len, documents)), np.int64, len(documents))
        given = None
        if self._named_split is None:
            starts = [0, *ends.tolist()]
            given = [
                start + end for one, start in zip(documents, starts, strict=False) for _, end in self._spans(one)
            ]
        with self._worker() as worker:
            ids, counts = worker.encode(b"".join(documents), ends, given, keep=True)
        return ids, counts

    def _encode_part(self, data: bytes | memoryview, *, keep: bool) -> tuple[int, Ids]:
        given = None if self._named_split is not None else [end for _, end in self._spans(data)]
        with self._worker() as worker:
            ids, counts = worker.encode(data, np.array([len(data)]), given, keep=keep)
        return int(counts[0]), ids

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

    def _spans(self, data: bytes | memoryview) -> list[tuple[int, int]]:
        return self._split.split_spans(bytes(data))

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


class _Room(NamedTuple):
    """Room for ids, and how many."""

    buffer: Buffer
    most: int


def _room(most: int) -> _Room:
    return _Room(allocate(4 * most + encoding.MARGIN), most)


class _Worker:
    """The word cache and scratch memory that one thread uses at a time."""

    def __init__(self, vocabulary: Vocabulary, split: int | None) -> None:
        masks = allocate(16 * 16)
        ones = bytes([0xFF])
        masks.array[:] = np.frombuffer(b"".join((ones * size).ljust(16, b"\0") for size in range(16)), np.uint8)
        self._vocabulary = vocabulary
        self._scratch = allocate(SHORT_SCRATCH)
        self._kept_room = _room(_KEPT_ROOM)
        self._fields = {
            encoding.VOCABULARY: vocabulary.fields,
            encoding.CLASSES: class_table(),
            encoding.POOL: allocate(_POOL_SIZE),
            encoding.MASKS: masks,
            encoding.KEYS: allocate(encoding.KEY_ROW * encoding.BATCH),
            encoding.ENDS: allocate(8 * encoding.BATCH),
            encoding.SCRATCH: self._scratch,
        }
        self._state = allocate(8 * encoding.FIELDS)
        self._values = self._state.view(np.int64)
        for field, buffer in self._fields.items():
            self._values[field // 8] = buffer.address
        self._more_lines()
        self._values[encoding.POOL_SIZE // 8] = _POOL_SIZE
        self._values[encoding.SCRATCH_SIZE // 8] = SHORT_SCRATCH
        self._values[encoding.SPLIT // 8] = -1 if split is None else split

    def encode(
        self, data: bytes | memoryview, ends: npt.NDArray[np.int64], given: list[int] | None, *, keep: bool
    ) -> tuple[Ids, npt.NDArray[np.int64]]:
        """The ids of documents one after the other (none if they are not to be kept), and where those of each end."""
        if ends.size == 0 or ends[-1] == 0:
            return np.empty(0, np.int32), np.zeros(ends.size, np.int64)
        lent, document_ends, counts = borrow(data), borrow(ends), allocate(8 * ends.size)
        piece_ends = None if given is None else borrow(np.array(given, np.int64))
        size = int(ends[-1])
        room = _room(size // 2) if keep and size > _KEPT_ROOM else self._kept_room
        self._values[encoding.DOCUMENT // 8 :] = 0
        while True:
            status = encoding.encode_documents(
                self._state.address,
                lent.address,
                document_ends.address,
                ends.size,
                piece_ends.address if piece_ends else 0,
                counts.address,
                room.buffer.address,
                room.most if keep else -room.most,
            )
            if status == encoding.DONE:
                break
            wanted = int(self._values[encoding.WANTED // 8])
            if status == encoding.NEEDS_ROOM:
                room = self._more_room(room, max(wanted, min(2 * room.most, size)), keep=keep)
            elif status == encoding.NEEDS_SCRATCH:
                self._more_scratch(wanted)
            elif status == encoding.NEEDS_LINES:
                self._more_lines()
            else:
                self._vocabulary.make_nodes()
        count = int(self._values[encoding.COUNT // 8]) if keep else 0
        ids = room.buffer.array[: 4 * count].view(np.int32)
        return ids.copy() if room is self._kept_room else ids, counts.view(np.int64)

    def _more_room(self, room: _Room, most: int, *, keep: bool) -> _Room:
        larger = _room(most)
        if keep:
            used = 4 * int(self._values[encoding.COUNT // 8])
            larger.buffer.array[:used] = room.buffer.array[:used]
        return larger

    def _more_lines(self) -> None:
        """Give the cache its first lines, or twice as many as it has."""
        rows, shift = int(self._values[encoding.ROWS // 8]), int(self._values[encoding.ROW_SHIFT // 8])
        bits = 64 - shift + 1 if rows else _FIRST_LINE_BITS
        lines = allocate((encoding.LINE << bits) + encoding.LINE)
        address = lines.address + -lines.address % encoding.LINE
        if rows:
            encoding.move_rows(rows, 1 << bits - 1, address, 64 - bits)
        self._fields[encoding.ROWS] = lines
        self._values[encoding.ROWS // 8] = address
        self._values[encoding.ROW_SHIFT // 8] = 64 - bits
        self._values[encoding.FORGOTTEN // 8] = 0
        self._values[encoding.MOST_FORGOTTEN // 8] = (1 << bits) // _FORGOTTEN_PART if bits < _LAST_LINE_BITS else 1 << 62

    def _more_scratch(self, size: int) -> None:
        size = max(size, 2 * self._scratch.array.size)
        self._scratch = self._fields[encoding.SCRATCH] = allocate(size)
        self._values[encoding.SCRATCH // 8] = self._scratch.address
        self._values[encoding.SCRATCH_SIZE // 8] = size


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
