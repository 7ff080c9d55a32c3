"""Count pre-tokens in open hash tables.

A table is reached through one row of numbers and addresses: the field names below are places in it. Its rows have 32
bytes: how often the pre-token occurs (0: the row is free), its length and the lower half of its hash, and sixteen
bytes of key. Up to sixteen bytes are their own key: the first eight and the last eight of them, which may overlap;
of fewer than eight there are zeros after them. The key of a longer pre-token is its place in the table's pool of bytes,
and its hash.

Each thread counts into a near table of fixed size, which stays in the processor's cache; when it is full, it is poured
into the far one, which they share and which grows.
"""

from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import (
    copy,
    load_i64,
    load_u8,
    load_u32,
    multiply_fold,
    prefetch,
    store_i64,
)
from tokenizer.kernels.scanning import find_pieces

(
    ROWS,  # the address of the rows
    MASK,  # how many there are, a power of two, less one
    USED,  # rows in use
    LIMIT,  # rows that may be in use
    POOL,  # the address of the pool
    POOL_USED,  # its bytes in use
    POOL_SIZE,
    SEED,  # a secret, so that nobody can write text whose pre-tokens have equal hashes
    DATA,  # the text that is being counted
    DATA_SIZE,
    POSITION,  # how far it is counted, in bytes
    PARTS,  # the address of the ends of its parts, which no piece crosses
    PART,  # the part which POSITION is in
    SPLIT,  # a value of `scanning.SPLITS`
    CLASSES,  # the address of `scanning.class_table()`
    GIVEN,  # the address of the ends of all pieces, if somebody else has cut the text
    GIVEN_COUNT,
    GIVEN_NEXT,  # the first piece that is not yet counted
    ENDS,  # the address of room for BATCH piece ends
    UNFIT_END,  # the end of the piece at POSITION if the pool had no room for it
    OCCURRENCES,  # pieces counted so far, those left out included
    MOST_BYTES,  # longer pieces are left out
    LEFT_OUT,  # how many were
    TOLD,  # the address of places and lengths of pieces left out, 16 bytes each
    TOLD_COUNT,
    TOLD_FROM,  # tell only pieces at least so long
) = range(0, 8 * 26, 8)
FIELDS = 26

DONE, FULL, TELL = range(3)
ROW = 32
INLINE = 16  # bytes
BATCH = 1024
MOST_TOLD = 64
_AHEAD = 16
_MIX = 0x9E3779B97F4A7C15 - (1 << 64)  # an odd number without a pattern in its bits
_HASH_BITS = 0xFFFFFFFF


# ------------------------------------------------------------------------------------------------------- one piece


@helper
def _first_bytes(p: int, size: int, stop: int) -> int:
    """Up to seven bytes as a number; reads nothing from `stop` on."""
    if p + 8 <= stop:
        return load_i64(p) & ((1 << (8 * size)) - 1)
    value = 0
    for place in range(size):
        value |= load_u8(p + place) << (8 * place)
    return value


@helper
def _hash_long(p: int, size: int, seed: int) -> int:
    """The hash of more than sixteen bytes."""
    value = seed ^ size
    last = p + size - 16
    while p < last:
        value = multiply_fold(load_i64(p) ^ value, load_i64(p + 8) ^ seed ^ _MIX)
        p += 16
    return multiply_fold(load_i64(last) ^ value, load_i64(last + 8) ^ seed ^ _MIX)


@helper
def _is_equal(p: int, q: int, size: int) -> bool:
    """Whether more than sixteen bytes are the same at both places."""
    for place in range(0, size - 8, 8):
        if load_i64(p + place) != load_i64(q + place):
            return False
    return load_i64(p + size - 8) == load_i64(q + size - 8)


@helper
def _free_row(rows: int, mask: int, value: int) -> int:
    """The row for a hash that is not in the table."""
    slot = value & mask
    while load_i64(rows + ROW * slot) != 0:
        slot = (slot + 1) & mask
    return rows + ROW * slot


@helper
def _row_of_short(rows: int, mask: int, tag: int, low: int, high: int) -> int:
    """The row of a pre-token that is its own key, or the free row where it belongs."""
    slot = (tag & _HASH_BITS) & mask
    while True:
        row = rows + ROW * slot
        if load_i64(row + 16) == low and load_i64(row + 24) == high and load_i64(row + 8) == tag:
            return row
        if load_i64(row) == 0:
            return row
        slot = (slot + 1) & mask


@helper
def _row_of_long(table: int, p: int, size: int, tag: int, value: int) -> int:
    """The row of the long pre-token at p, or the free row where it belongs."""
    rows, mask, pool = load_i64(table + ROWS), load_i64(table + MASK), load_i64(table + POOL)
    slot = value & mask
    while True:
        row = rows + ROW * slot
        if load_i64(row) == 0:
            return row
        if load_i64(row + 24) == value and load_i64(row + 8) == tag and _is_equal(p, pool + load_i64(row + 16), size):
            return row
        slot = (slot + 1) & mask


@helper
def _add_long(table: int, p: int, size: int, tag: int, value: int, count: int) -> bool:
    """Count the long pre-token at p; False if it is new and there is no room for its bytes."""
    row = _row_of_long(table, p, size, tag, value)
    if load_i64(row) == 0:
        used = load_i64(table + POOL_USED)
        if used + size > load_i64(table + POOL_SIZE):
            return False
        copy(load_i64(table + POOL) + used, p, size)
        store_i64(table + POOL_USED, used + size)
        store_i64(table + USED, load_i64(table + USED) + 1)
        store_i64(row + 8, tag)
        store_i64(row + 16, used)
        store_i64(row + 24, value)
    store_i64(row, load_i64(row) + count)
    return True


# --------------------------------------------------------------------------------------------------------- a text


@helper
def _leave_out(table: int, start: int, size: int) -> None:
    store_i64(table + LEFT_OUT, load_i64(table + LEFT_OUT) + 1)
    if size >= load_i64(table + TOLD_FROM):
        told = load_i64(table + TOLD_COUNT)
        store_i64(load_i64(table + TOLD) + 16 * told, start)
        store_i64(load_i64(table + TOLD) + 16 * told + 8, size)
        store_i64(table + TOLD_COUNT, told + 1)


@helper
def _count_batch(table: int, ends: int, number: int) -> int:
    """Count some pieces from POSITION on, and return why there may be no next ones yet."""
    rows, mask, seed = load_i64(table + ROWS), load_i64(table + MASK), load_i64(table + SEED)
    most, data = load_i64(table + MOST_BYTES), load_i64(table + DATA)
    stop = data + load_i64(table + DATA_SIZE)
    p = data + load_i64(table + POSITION)
    used, status = 0, DONE
    if load_i64(table + USED) + number > load_i64(table + LIMIT):
        return FULL
    for place in range(number):
        after = data + load_i64(ends + 8 * place)
        size = after - p
        if size > most:
            _leave_out(table, p - data, size)
            if load_i64(table + TOLD_COUNT) == MOST_TOLD:
                status = TELL
                number = place + 1
        elif size <= INLINE:
            if size < 8:
                low, high = _first_bytes(p, size, stop), 0
            else:
                low, high = load_i64(p), load_i64(after - 8)
            value = multiply_fold(low ^ seed, high ^ seed ^ (_MIX + size))
            tag = size << 32 | (value & _HASH_BITS)
            row = _row_of_short(rows, mask, tag, low, high)
            count = load_i64(row)
            store_i64(row, count + 1)
            if count == 0:
                used += 1
                store_i64(row + 8, tag)
                store_i64(row + 16, low)
                store_i64(row + 24, high)
        else:
            value = _hash_long(p, size, seed)
            if not _add_long(table, p, size, size << 32 | (value & _HASH_BITS), value, 1):
                store_i64(table + UNFIT_END, after - data)
                status = FULL
                number = place
                break
        p = after
        if status != DONE:
            break
    store_i64(table + USED, load_i64(table + USED) + used)
    store_i64(table + OCCURRENCES, load_i64(table + OCCURRENCES) + number)
    store_i64(table + GIVEN_NEXT, load_i64(table + GIVEN_NEXT) + number)
    store_i64(table + POSITION, p - data)
    return status


@kernel("int64(int64)")
def count_text(table: int) -> int:
    """Count the pieces of the text at DATA from POSITION on.

    Returns:
        DONE: all of it. FULL: the table must be poured out; if UNFIT_END is not 0, its pool had no room for the piece
        that ends there. TELL: pieces were left out and should be looked at.
    """
    ends, parts, given = load_i64(table + ENDS), load_i64(table + PARTS), load_i64(table + GIVEN)
    data, size = load_i64(table + DATA), load_i64(table + DATA_SIZE)
    split, classes = load_i64(table + SPLIT), load_i64(table + CLASSES)
    store_i64(table + UNFIT_END, 0)
    while load_i64(table + POSITION) < size:
        if given != 0:
            first = load_i64(table + GIVEN_NEXT)
            ends = given + 8 * first
            number = min(BATCH, load_i64(table + GIVEN_COUNT) - first)
        else:
            position = load_i64(table + POSITION)
            while load_i64(parts + 8 * load_i64(table + PART)) <= position:
                store_i64(table + PART, load_i64(table + PART) + 1)
            end = load_i64(parts + 8 * load_i64(table + PART))
            number = find_pieces(split, classes, data, position, end, ends, BATCH)
        status = _count_batch(table, ends, number)
        if status != DONE:
            return status
    return DONE


# ------------------------------------------------------------------------------------------------------ two tables


@kernel("int64(int64, int64, int64)")
def pour(near: int, far: int, first: int) -> int:
    """Add the counts of a table to another one, and empty it. Both must have the same SEED.

    Args:
        near: the address of the fields of the table to be emptied.
        far: the address of the other one's.
        first: the row to go on with, or 0.

    Returns:
        The row to go on with when the other table has grown; one more than the last row: all is done.
    """
    rows, pool = load_i64(near + ROWS), load_i64(near + POOL)
    far_rows, far_mask, far_limit = load_i64(far + ROWS), load_i64(far + MASK), load_i64(far + LIMIT)
    last = load_i64(near + MASK)
    for place in range(first, last + 1):
        row = rows + ROW * place
        if place + _AHEAD <= last and load_i64(row + _AHEAD * ROW) != 0:
            prefetch(far_rows + ROW * (load_u32(row + _AHEAD * ROW + 8) & far_mask))
        count = load_i64(row)
        if count == 0:
            continue
        if load_i64(far + USED) >= far_limit:
            return place
        tag, low, high = load_i64(row + 8), load_i64(row + 16), load_i64(row + 24)
        size = tag >> 32
        if size > INLINE:
            if not _add_long(far, pool + low, size, tag, high, count):
                return place
        else:
            target = _row_of_short(far_rows, far_mask, tag, low, high)
            if load_i64(target) == 0:
                store_i64(far + USED, load_i64(far + USED) + 1)
                store_i64(target + 8, tag)
                store_i64(target + 16, low)
                store_i64(target + 24, high)
            store_i64(target, load_i64(target) + count)
        store_i64(row, 0)
    store_i64(near + USED, 0)
    store_i64(near + POOL_USED, 0)
    return last + 1


@kernel("int64(int64, int64, int64)")
def pour_long(far: int, p: int, size: int) -> int:
    """Count one long piece of a text that has no room in a near table; return 0 if there is none in this one either."""
    value = _hash_long(p, size, load_i64(far + SEED))
    if load_i64(far + USED) >= load_i64(far + LIMIT):
        return 0
    if not _add_long(far, p, size, size << 32 | (value & _HASH_BITS), value, 1):
        return 0
    return 1


@kernel("void(int64, int64)")
def move_rows(old: int, new: int) -> None:
    """Put the rows of a table into an empty larger one."""
    rows, last = load_i64(old + ROWS), load_i64(old + MASK)
    new_rows, new_mask = load_i64(new + ROWS), load_i64(new + MASK)
    for place in range(last + 1):
        row = rows + ROW * place
        if place + _AHEAD <= last:
            prefetch(new_rows + ROW * (load_u32(row + _AHEAD * ROW + 8) & new_mask))
        if load_i64(row) != 0:
            copy(_free_row(new_rows, new_mask, load_u32(row + 8)), row, ROW)
