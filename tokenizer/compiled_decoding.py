"""Ids to bytes by `tokenizer/kernels/decoding.py`: those of a vocabulary, or of any other numbered pieces of text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenizer.kernels import decoding
from tokenizer.kernels.memory import Buffer, allocate, borrow


class Decoder:
    """Joins pieces of text that are told by their ids.

    Args:
        table: for each id, where its bytes are; as the kernel takes it.
        pool: the bytes of all pieces, and the margin after them.

    Example:
        Decoder.of([b"to", b"ken"]).decode(np.array([0, 1, 1])) == b"tokenken"
    """

    def __init__(self, table: Buffer, pool: Buffer) -> None:
        self._table, self._pool = table, pool

    @classmethod
    def of(cls, pieces: Sequence[bytes]) -> "Decoder":
        """Of pieces whose ids are their places."""
        data, sizes = b"".join(pieces), np.fromiter(map(len, pieces), np.int64, len(pieces))
        return cls(decoding_table(np.arange(sizes.size), np.cumsum(sizes) - sizes, sizes), decoding_pool(data))

    def decode(self, ids: npt.NDArray[np.integer[Any]]) -> bytes:
        """The bytes of ids.

        Raises:
            KeyError: an id that no piece has; its argument is this id.
        """
        size = self._table.array.size // 8
        given = np.ascontiguousarray(ids)
        if given.dtype != np.int32:
            given = np.where((given < 0) | (given >= size), size, given).astype(np.int32)
        lent = borrow(given)
        total = decoding.decoded_size(self._table.address, size, lent.address, given.size)
        if total < 0:
            raise KeyError(int(ids[-1 - total]))
        room = allocate(total + decoding.MARGIN)
        decoding.decode(self._table.address, self._pool.address, lent.address, given.size, room.address)
        return room.array[:total].tobytes()


def decoding_table(ids: npt.NDArray[np.int64], places: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Buffer:
    """Where the bytes of each id are in the pool, and how many."""
    table = allocate(8 * (int(ids.max(initial=-1)) + 1))
    table.view(np.int64)[ids] = places << 32 | sizes + 1
    return table


def decoding_pool(data: bytes) -> Buffer:
    """Bytes with the margin after them."""
    pool = allocate(len(data) + decoding.MARGIN)
    pool.array[: len(data)] = np.frombuffer(data, np.uint8)
    return pool
