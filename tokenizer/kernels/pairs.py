"""The words of a corpus as rows of ids, and how often which ids are neighbours in them.

The words (distinct pre-tokens of two bytes or more) lie one behind the other as cells of 32 bits: two negative cells
that hold how often the word occurs, then a cell for each byte. A token has its id in its first and its last cell, so
that its neighbours can be found from both sides; what is between is never looked at, but that the beginning of a former
right part is wiped out. A negative cell ends the last word.

Every pair of neighbours that is frequent enough to matter soon (`FLOOR`) has a row in an open hash table: key, count,
and the list of the places where it was found when it arose. All places of a pair arise at once, with the newer of its
two tokens, so lists only lose entries, and in a list the places ascend. Those that hold the pair no more are passed
over. Pairs wait in a heap with the counts that they had; one whose count has fallen goes down when it comes to the top.
When the heap is empty the floor is lowered and all pairs are counted again; that also clears up when there is no room.

The state of a training is reached through one row of numbers and addresses: the field names below are places in it.
"""

from tokenizer.kernels import counting
from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import (
    copy,
    load_i32,
    load_i64,
    load_u8,
    load_u32,
    multiply_fold,
    shift_right,
    store_i32,
    store_i64,
)

(
    CELLS,  # the address of the first cell
    CELLS_END,  # and of the one that ends the last word
    ROWS,  # pairs: key (0: free), count, address of the first place, number of places, 64 bits each
    MASK,  # how many rows there are, a power of two, less one
    USED,
    LIMIT,
    SEED,
    SIEVE,  # sums of the counts of all pairs that have SIEVE_BITS of their hashes in common
    FLOOR,  # pairs that are rarer have no place in the table
    HEAP,  # count and key of each pair that waits
    HEAP_SIZE,
    PLACES,  # room for places: the word (upper half) and the token's beginning, both as numbers of cells
    PLACES_END,
    LOG,  # what a merge found: neighbour, side and place
    SIZES,  # the bytes of each token, 32 bits each
    NEAR,  # for each token what a merge found beside it: NEAR_ROW
    TOUCHED,  # tokens of which something was found
    NEXT_ID,
    MERGES,  # results: key, count, words, tokens of each merge
    DONE,
    WANTED,
    TOKENS,  # tokens in the corpus
    MOST_BYTES,  # no token may be longer
    ASK_SIZES,  # for each size up to ASK_LAST whether tokens of that size must be asked about
    ASK_LAST,
    ALLOWED,  # the key of a pair that may be merged after all
    REFUSED,  # and of one that must not
) = range(0, 8 * 27, 8)
FIELDS = 27

PAIR_ROW, HEAP_ROW, PLACE, LOG_ROW, NEAR_ROW, RESULT = 32, 16, 8, 16, 32, 32
HEADER = 2  # cells before each word
SIEVE_BITS = 18
_MIX = 0x9E3779B97F4A7C15 - (1 << 64)  # an odd number without a pattern in its bits
LOW = (1 << 32) - 1
_COUNT_BITS = 30  # of a word's count in each of its two negative cells
_TO_SIEVE, _TO_TABLE, _TO_LISTS = range(3)  # what `_visit_pairs` does: sum up, count, and list the places


# ---------------------------------------------------------------------------------------------------------- words


@kernel("int64(int64, int64, int64)")
def lay_out_words(table: int, byte_ids: int, cells: int) -> int:
    """Write the words of a table of pre-tokens as cells.

    Args:
        table: the address of the fields of a table of `counting`.
        byte_ids: the address of the ids of the 256 bytes, 32 bits each.
        cells: the address of room for them.

    Returns:
        The address of the cell that ends the last word.
    """
    rows, pool = load_i64(table + counting.ROWS), load_i64(table + counting.POOL)
    for place in range(load_i64(table + counting.MASK) + 1):
        row = rows + counting.ROW * place
        count = load_i64(row)
        size = load_u32(row + 12)
        if count == 0 or size < 2:
            continue
        store_i32(cells, -1 - (count & ((1 << _COUNT_BITS) - 1)))
        store_i32(cells + 4, -1 - (count >> _COUNT_BITS))
        cells += 4 * HEADER
        long_bytes = pool + load_i64(row + 16)
        for at in range(size):
            if size > counting.INLINE:
                byte = load_u8(long_bytes + at)
            elif at < 8:
                byte = load_u8(row + 16 + at)
            else:
                byte = load_u8(row + 32 - size + at)
            store_i32(cells, load_i32(byte_ids + 4 * byte))
            cells += 4
    store_i32(cells, -1)
    return cells


@helper
def word_count(word: int) -> int:
    """How often the word occurs whose first cell has this address."""
    return (-1 - load_i32(word - 4)) << _COUNT_BITS | (-1 - load_i32(word - 8))


# ----------------------------------------------------------------------------------------------------------- heap


@helper
def _is_before(count: int, key: int, other_count: int, other_key: int) -> bool:
    return count > other_count or (count == other_count and key < other_key)


@helper
def sift_up(heap: int, place: int, count: int, key: int) -> None:
    """Put a pair into the free place at the end of the heap."""
    while place > 0:
        parent = (place - 1) >> 1
        above = heap + HEAP_ROW * parent
        if not _is_before(count, key, load_i64(above), load_i64(above + 8)):
            break
        store_i64(heap + HEAP_ROW * place, load_i64(above))
        store_i64(heap + HEAP_ROW * place + 8, load_i64(above + 8))
        place = parent
    store_i64(heap + HEAP_ROW * place, count)
    store_i64(heap + HEAP_ROW * place + 8, key)


@helper
def sift_down(heap: int, size: int, count: int, key: int) -> None:
    """Put a pair into the free place at the top of a heap of this size."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        below = heap + HEAP_ROW * child
        if child + 1 < size and _is_before(
            load_i64(below + 16), load_i64(below + 24), load_i64(below), load_i64(below + 8)
        ):
            child += 1
            below += HEAP_ROW
        if not _is_before(load_i64(below), load_i64(below + 8), count, key):
            break
        store_i64(heap + HEAP_ROW * place, load_i64(below))
        store_i64(heap + HEAP_ROW * place + 8, load_i64(below + 8))
        place = child
    store_i64(heap + HEAP_ROW * place, count)
    store_i64(heap + HEAP_ROW * place + 8, key)


@helper
def drop_top(state: int) -> None:
    """Take the best pair from the heap."""
    heap, size = load_i64(state + HEAP), load_i64(state + HEAP_SIZE) - 1
    store_i64(state + HEAP_SIZE, size)
    if size > 0:
        last = heap + HEAP_ROW * size
        sift_down(heap, size, load_i64(last), load_i64(last + 8))


# ---------------------------------------------------------------------------------------------------------- pairs


@helper
def hash_of(key: int, seed: int) -> int:
    """Of a pair; nobody who does not know the seed can make many equal ones."""
    return multiply_fold(key ^ seed, _MIX)


@helper
def pair_key(left: int, right: int) -> int:
    """Never 0, and in the order of (left, right)."""
    return (left + 1) << 32 | right


@helper
def row_of(rows: int, mask: int, key: int, value: int) -> int:
    """The row of a pair, or the free row where it belongs; `value` is the key's hash."""
    slot = value & mask
    while True:
        row = rows + PAIR_ROW * slot
        found = load_i64(row)
        if not found or found == key:
            return row
        slot = (slot + 1) & mask


@helper
def place_of(word: int, token: int) -> int:
    """Distances in bytes from the first cell, as one number."""
    return (word >> 2) << 32 | (token >> 2)


@helper
def _visit_pairs(state: int, step: int) -> int:
    """Go through all pairs of neighbours once; return 0, or 1 if the table is too small."""
    rows, mask, seed = load_i64(state + ROWS), load_i64(state + MASK), load_i64(state + SEED)
    sieve, sizes, floor = load_i64(state + SIEVE), load_i64(state + SIZES), load_i64(state + FLOOR)
    cells, last = load_i64(state + CELLS), load_i64(state + CELLS_END)
    cell = cells
    while cell < last:
        cell += 4 * HEADER
        word, count = cell, word_count(cell)
        left = load_i32(cell)
        while left >= 0:
            begin = cell
            cell += 4 * load_i32(sizes + 4 * left)
            right = load_i32(cell)
            if right >= 0:
                key = pair_key(left, right)
                value = hash_of(key, seed)
                total = sieve + 8 * shift_right(value, 64 - SIEVE_BITS)
                if step == _TO_SIEVE:
                    store_i64(total, load_i64(total) + count)
                elif load_i64(total) >= floor:  # else the pair is rarer
                    row = row_of(rows, mask, key, value)
                    if step == _TO_TABLE:
                        if not _count(state, row, key, count):
                            return 1
                    else:
                        _list(row, place_of(word - cells, begin - cells))
            left = right
    return 0


@helper
def _list(row: int, place: int) -> None:
    room, number = load_i64(row + 16), load_i64(row + 24)
    if room != 0:
        store_i64(room + PLACE * number, place)
        store_i64(row + 24, number + 1)


@helper
def _count(state: int, row: int, key: int, count: int) -> bool:
    if load_i64(row) == 0:
        used = load_i64(state + USED)
        if used == load_i64(state + LIMIT):
            return False
        store_i64(state + USED, used + 1)
        store_i64(row, key)
    store_i64(row + 8, load_i64(row + 8) + count)
    store_i64(row + 24, load_i64(row + 24) + 1)
    return True


@kernel("int64(int64)")
def count_pairs(state: int) -> int:
    """Count all pairs of neighbours into an empty table and an empty sieve.

    Returns:
        The number of places that the pairs from FLOOR on have together; -1 if the table is too small.
    """
    rows, floor = load_i64(state + ROWS), load_i64(state + FLOOR)
    store_i64(state + USED, 0)
    _visit_pairs(state, _TO_SIEVE)
    if _visit_pairs(state, _TO_TABLE):
        return -1
    places = 0
    for row in range(rows, rows + PAIR_ROW * (load_i64(state + MASK) + 1), PAIR_ROW):
        if load_i64(row + 8) >= floor:
            places += load_i64(row + 24)
    return places


@kernel("void(int64)")
def place_pairs(state: int) -> None:
    """After `count_pairs`, with room for the places: list where the pairs are, and put them into an empty heap."""
    rows, floor = load_i64(state + ROWS), load_i64(state + FLOOR)
    heap, waiting, free = load_i64(state + HEAP), 0, load_i64(state + PLACES)
    for row in range(rows, rows + PAIR_ROW * (load_i64(state + MASK) + 1), PAIR_ROW):
        if load_i64(row + 8) >= floor:
            store_i64(row + 16, free)
            free += PLACE * load_i64(row + 24)
            sift_up(heap, waiting, load_i64(row + 8), load_i64(row))
            waiting += 1
        store_i64(row + 24, 0)  # counts up again while the list is filled
    store_i64(state + PLACES, free)
    store_i64(state + HEAP_SIZE, waiting)
    _visit_pairs(state, _TO_LISTS)


@kernel("void(int64, int64)")
def move_pairs(old: int, new: int) -> None:
    """Put the pairs that still matter from one state's table into the empty table and heap of another."""
    rows, floor = load_i64(old + ROWS), load_i64(old + FLOOR)
    new_rows, mask, seed = load_i64(new + ROWS), load_i64(new + MASK), load_i64(new + SEED)
    heap, used = load_i64(new + HEAP), 0
    for place in range(load_i64(old + MASK) + 1):
        row = rows + PAIR_ROW * place
        if load_i64(row + 8) >= floor:
            key = load_i64(row)
            copy(row_of(new_rows, mask, key, hash_of(key, seed)), row, PAIR_ROW)
            sift_up(heap, used, load_i64(row + 8), key)
            used += 1
    store_i64(new + USED, used)
    store_i64(new + HEAP_SIZE, used)
