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

from tokenizer import text_parts
from tokenizer.compiled_splits import CompiledSplit
from tokenizer.compiled_vocabulary import Unsupported, Vocabulary
from tokenizer.kernels import encoding
from tokenizer.kernels.joining import SHORT_SCRATCH
from tokenizer.kernels.memory import Buffer, Fields, allocate, allocate_table, borrow
from tokenizer.kernels.scanning import class_table
from tokenizer.splits import Split, as_bytes
from tokenizer.text_parts import Ids, Joined, Text, cut_places, next_part, shares_of

__all__ = ["CompiledEncoder", "Unsupported"]

Numbers = npt.NDArray[np.int64]
Part = TypeVar("Part")
Result = TypeVar("Result")

_LINE_BITS = (12, 14, 16, 18, 19)  # a thread's word cache: 2^12 lines are 256 KB, 2^19 are 32 MB
_MANY_LINES, _LONG_TEXT = 16, 1 << 20  # what the cache begins with where its first text has so many bytes
_FORGOTTEN_PART = 16  # the cache grows when as many rows as this part of its lines had to make room for others
_POOL_SIZE = 1 << 25  # bytes, for what does not fit into its rows
_STRETCH = 1 << 13  # characters that become bytes at a time, for which a thread has memory at hand


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
        self._split = CompiledSplit(split)
        self._idle: list[_Worker] = []

    def encode(self, text: Text, jobs: int = 1) -> Ids:
        """The ids of a text; special tokens in it are ordinary text. `jobs` threads give the same ids as one."""
        joined = Joined([text])
        self._in_parts(text, jobs, joined)
        return joined.ids

    def count(self, text: Text, jobs: int = 1) -> int:
        """How many ids `encode` gives, without the memory for them."""
        return sum(self._in_parts(text, jobs, None))

    def encode_many(self, documents: Sequence[Text], jobs: int = 1) -> tuple[Ids, Numbers]:
        """The ids of documents one after the other, and where those of each end.

        Example: encode_many([b"hello world", b"hello"]) gives [15339, 1917, 15339] and [2, 3]
        """
        joined = Joined(documents)

        def encode(worker: _Worker, number: int, share: Sequence[Text]) -> Numbers:
            data, ends, given = self._laid_out(share)
            ids, counts = worker.encode_many(data, ends, given)
            joined.add(number, ids)
            return counts

        counts = self._by_threads(encode, shares_of(documents), sum(map(len, documents)), jobs)
        before = accumulate((int(one[-1]) for one in counts), initial=0)
        ends = [one + start for one, start in zip(counts, before, strict=False)]
        return joined.ids, np.concatenate(ends) if ends else np.empty(0, np.int64)

    def encode_pieces(self, pieces: Sequence[bytes]) -> tuple[Ids, Numbers]:
        """The ids of pieces that are not cut any more, one after the other, and where those of each end.

        Example: encode_pieces([b"hello world", b"hello"]) gives [15339, 1917, 15339] and [2, 3], for cl100k has no
            token "hello world"
        """
        ends = np.fromiter(accumulate(map(len, pieces)), np.int64, len(pieces))
        with self._workers(1, int(ends[-1]) if pieces else 0) as (worker,):
            ids, counts = worker.encode_many(b"".join(pieces), ends, ends)
            return ids.copy(), counts

    def pre_tokens(self, texts: Sequence[bytes]) -> list[bytes]:
        """The pieces that the split makes of texts, none of which is empty, one after the other."""
        data = b"".join(texts)
        ends = self._split.piece_ends(data, np.cumsum([*map(len, texts)], dtype=np.int64)).tolist()
        return [data[start:end] for start, end in pairwise([0, *ends])]

    def decode(self, ids: npt.NDArray[np.integer[Any]]) -> bytes:
        """The bytes of ids.

        Raises:
            KeyError: an id that no token has; its argument is this id.
        """
        return self._vocabulary.decoder.decode(ids)

    def _laid_out(self, documents: Sequence[Text]) -> tuple[bytes, Numbers, Numbers | None]:
        """Documents one behind the other, where each ends, and where their pieces end, if the kernels cannot tell."""
        each = [as_bytes(document) for document in documents]
        ends = np.fromiter(accumulate(map(len, each)), np.int64, len(each))
        data = b"".join(each)
        return data, ends, None if self._split.scanner is not None else self._split.piece_ends(data, ends)

    def _in_parts(self, text: Text, jobs: int, joined: "Joined | None") -> list[int]:
        """How many ids parts of a text have, which no piece crosses; the ids go where they are joined."""

        def encode(worker: _Worker, number: int, place: tuple[int, int]) -> int:
            data = source[slice(*place)] if isinstance(source, memoryview) else worker.utf8(source, *place)
            given = None
            if self._split.scanner is None:
                given = self._split.piece_ends(data, np.array([len(data)]))
            count, ids = worker.encode_one(data, given, keep=joined is not None)
            if joined is not None:
                joined.add(number, ids)
            return count

        source = memoryview(text) if isinstance(text, bytes) else text
        cuts = cut_places(source) if self._split.cuts_safely else [0, len(text)]
        return self._by_threads(encode, list(pairwise(cuts)), len(text), jobs)

    def _by_threads(
        self, work: Callable[["_Worker", int, Part], Result], parts: Sequence[Part], size: int, jobs: int
    ) -> list[Result]:
        """The results of some work on each part and its number, in their order; `size` is that of all parts together.

        Thread by thread takes the next part, with a worker of its own, always the same ones for the same text, so that
        it meets words that this worker remembers. When it has no more it helps the others.
        """
        jobs = min(jobs, len(parts))
        results: list[Any] = [None] * len(parts)
        shares = [deque(range(job, len(parts), jobs)) for job in range(jobs)]

        def run(worker: _Worker, own: deque[int]) -> None:
            while (number := next_part(own, shares)) is not None:
                results[number] = work(worker, number, parts[number])

        with self._workers(jobs, size) as workers:
            if jobs == 1:
                run(workers[0], shares[0])
            elif jobs > 1:
                with ThreadPoolExecutor(jobs) as pool:
                    try:
                        list(pool.map(run, workers, shares))
                    finally:
                        for share in shares:  # after Ctrl-C no thread begins with another part
                            share.clear()
        return results

    @contextmanager
    def _workers(self, count: int, size: int) -> Iterator[list["_Worker"]]:
        """Take so many workers that nobody uses, and new ones, for a text of this size, if there are not enough."""
        workers: list[_Worker] = []
        try:
            for _ in range(count):
                with suppress(IndexError):
                    workers.append(self._idle.pop(0))
            while len(workers) < count:
                workers.append(_Worker(self._vocabulary, self._split.scanner, size))
            yield workers
        finally:
            self._idle[:0] = workers


class _Worker:
    """The word cache and scratch memory that one thread uses at a time."""

    def __init__(self, vocabulary: Vocabulary, scanner: int | None, size: int) -> None:
        masks = allocate(16 * 16)
        masks.array[:] = np.frombuffer(b"".join((b"\xff" * size).ljust(16, b"\0") for size in range(16)), np.uint8)
        self._vocabulary = vocabulary
        self._room = _room(text_parts.PART // 3)
        self._text = np.empty(0, np.uint8)
        self._only_end, self._only_count = Fields(1), Fields(1)
        fields = self._fields = Fields(encoding.FIELDS)
        fields[encoding.VOCABULARY] = vocabulary.fields.address
        fields[encoding.SPLIT] = -1 if scanner is None else scanner
        fields[encoding.CLASSES] = class_table()
        fields[encoding.POOL] = allocate(_POOL_SIZE)
        fields[encoding.POOL_SIZE] = _POOL_SIZE
        fields[encoding.MASKS] = masks
        fields[encoding.KEYS] = allocate(encoding.KEY_ROW * encoding.BATCH)
        fields[encoding.ENDS] = allocate(8 * encoding.BATCH)
        self._make_scratch(SHORT_SCRATCH)
        self._more_lines(_MANY_LINES if size >= _LONG_TEXT else _LINE_BITS[0])

    def utf8(self, text: str, start: int, end: int) -> bytes | memoryview:
        """The UTF-8 of a part of a text, as `as_bytes` has it, until the next call."""
        room, most, size = self._text, 4 * (end - start), 0
        if room.size < most:
            room = np.empty(most, np.uint8)
            if most <= 8 * text_parts.PART:  # it is longer only where nothing can be cut
                self._text = room
        try:
            for at in range(start, end, _STRETCH):
                data = text[at : min(at + _STRETCH, end)].encode()
                room[size : size + len(data)] = np.frombuffer(data, np.uint8)
                size += len(data)
        except UnicodeEncodeError:  # lone surrogates, two of which may be one character
            return as_bytes(text[start:end])
        return room[:size].data

    def encode_one(self, data: bytes | memoryview, given: Numbers | None, *, keep: bool) -> tuple[int, Ids]:
        """How many ids a text has, and those ids until the next call, or none if they are not to be kept.

        `given` are the ends of all pieces, if something else has cut the text.
        """
        self._only_end[0] = len(data)
        ids = self._encode(data, self._only_end.address, 1, self._only_count.address, given, keep=keep)
        return self._only_count[0], ids

    def encode_many(self, data: bytes, ends: Numbers, given: Numbers | None) -> tuple[Ids, Numbers]:
        """The ids of documents that lie one behind the other, until the next call, and where those of each end."""
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
        given: Numbers | None,
        *,
        keep: bool,
    ) -> Ids:
        fields, size, text = self._fields, len(data), borrow(data)
        piece_ends = None if given is None else borrow(given)
        room = self._room
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
                before = 64 - fields[encoding.ROW_SHIFT]
                self._more_lines(next(bits for bits in _LINE_BITS if bits > before))
            else:
                self._vocabulary.make_nodes()
        if self._room.array.size < room.array.size <= 4 * text_parts.PART + encoding.MARGIN:
            self._room = room
        return room.array[: 4 * fields[encoding.COUNT] if keep else 0].view(np.int32)

    def _make_scratch(self, size: int) -> None:
        self._fields[encoding.SCRATCH] = allocate(size)
        self._fields[encoding.SCRATCH_SIZE] = size

    def _more_lines(self, bits: int) -> None:
        """Give the cache its first lines, or more than it has."""
        fields, size, aligned = self._fields, encoding.LINE, encoding.BUCKET
        rows = fields[encoding.ROWS]
        lines = allocate_table((size << bits) + aligned)
        address = lines.address + -lines.address % aligned
        if rows:
            encoding.move_rows(rows, 1 << (64 - fields[encoding.ROW_SHIFT]), address, 64 - bits)
        self._lines = lines
        fields[encoding.ROWS] = address
        fields[encoding.ROW_SHIFT] = 64 - bits
        fields[encoding.FORGOTTEN] = 0
        fields[encoding.MOST_FORGOTTEN] = (1 << bits) // _FORGOTTEN_PART if bits < _LINE_BITS[-1] else 1 << 62


def _room(most: int) -> Buffer:
    """Room for so many ids."""
    return allocate(4 * most + encoding.MARGIN)
