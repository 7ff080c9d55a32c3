"""Ids to bytes, by one table: for each id, where its bytes are and one more than how many, 32 bits each.

So 0 means that no token has the id.
"""

from tokenizer.kernels.compiling import kernel
from tokenizer.kernels.memory import copy, load_i64, load_u32, store_i64

MARGIN = 16  # bytes after the last one that may be read and written over


@kernel("int64(int64, int64, int64, int64)")
def decoded_size(table: int, size: int, ids: int, count: int) -> int:
    """How many bytes the ids are, or minus the place (counted from 1) of the first that no token has.

    Args:
        table: the table above.
        size: how many ids it has.
        ids: 32 bits each.
        count: how many.
    """
    total = 0
    for place in range(count):
        one = load_u32(ids + 4 * place)
        entry = load_i64(table + 8 * one) if one < size else 0
        if entry == 0:
            return -1 - place
        total += (entry & 0xFFFFFFFF) - 1
    return total


@kernel("int64(int64, int64, int64, int64, int64)")
def decode(table: int, pool: int, ids: int, count: int, out: int) -> int:
    """Write the bytes of ids which are all known; return where they end. There must be a margin after them."""
    for place in range(ids, ids + 4 * count, 4):
        entry = load_i64(table + 8 * load_u32(place))
        token, size = pool + (entry >> 32), (entry & 0xFFFFFFFF) - 1
        if size <= MARGIN:
            store_i64(out, load_i64(token))
            store_i64(out + 8, load_i64(token + 8))
        else:
            copy(out, token, size)
        out += size
    return out
