"""Cut one piece into tokens by joining the neighbours of lowest rank, the leftmost first, while any can be.

Two ways to the same result: looking at every pair for short pieces, a heap for long ones. They need scratch memory,
and leave the numbers of the tokens in it, 32 bits each.
"""

from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import (
    leading_zeros,
    least16,
    load_i32,
    load_i64,
    load_u8,
    shift_right,
    store_i32,
    store_i64,
    trailing_zeros,
)
from tokenizer.kernels.vocabulary import (
    BYTES,
    LEFT,
    LINEAR,
    MADE,
    NEVER,
    NUMBERS,
    PAIR_SHIFT,
    PAIRS,
    RECIPE_ROW,
    RECIPES,
    RIGHT,
    SIZES,
    byte_pair_rank,
    enter_pair,
    find_pair,
)

SHORT = 64  # bytes; one bit of a number for each
SHORT_SCRATCH = 8 * SHORT
HEAP_SCRATCH = 24  # for each byte of the piece
_PLACE_BITS = 6  # of a place in a short piece
_POSITION_BITS = 40


@helper
def _start_short(vocabulary: int, piece: int, size: int, parts: int, ranks: int, never: int) -> int:
    """Write the bytes of a piece and the ranks of their merges; return where the ranks end, in full rows of sixteen."""
    for place in range(size):
        store_i32(parts + 4 * place, load_u8(piece + place))
    for place in range(size - 1):
        store_i32(ranks + 4 * place, byte_pair_rank(vocabulary, piece + place) << _PLACE_BITS | place)
    end = ranks + ((4 * size + 63) & -64)
    for place in range(ranks + 4 * size - 4, end, 4):
        store_i32(place, never)
    return end


@helper
def _gather(parts: int, alive: int) -> int:
    """Move the parts whose bits are set to the front; return how many they are."""
    count = 0
    while alive != 0:
        store_i32(parts + 4 * count, load_i32(parts + 4 * trailing_zeros(alive)))
        alive &= alive - 1
        count += 1
    return count


@kernel("int64(int64, int64, int64, int64)")
def merge_short(vocabulary: int, piece: int, size: int, parts: int) -> int:
    """Cut a piece of at most SHORT bytes into parts, SHORT_SCRATCH bytes of scratch; return how many it has.

    A part stays where its first byte is; `alive` has a bit for each. With every part stands the rank of its merge with
    the next one and, below that, its own place, so that the least of these numbers is the merge to do.
    """
    pairs, shift = load_i64(vocabulary + PAIRS), load_i64(vocabulary + PAIR_SHIFT)
    made, linear = load_i64(vocabulary + MADE), load_i64(vocabulary + LINEAR)
    ranks, never = parts + 4 * SHORT, NEVER << _PLACE_BITS
    ranks_end = _start_short(vocabulary, piece, size, parts, ranks, never)
    alive = shift_right(-1, 64 - size)
    while True:
        best = least16(ranks)
        for row in range(ranks + 64, ranks_end, 64):
            best = min(best, least16(row))
        if best >= never:
            return _gather(parts, alive)
        at, joined = best & (SHORT - 1), best >> _PLACE_BITS
        if not linear:
            joined = load_i32(made + 4 * joined)
        after = alive & (-2 << at)
        gone = trailing_zeros(after)
        alive ^= 1 << gone
        after ^= 1 << gone
        store_i32(parts + 4 * at, joined)
        store_i32(ranks + 4 * gone, never)
        rank = NEVER
        if after != 0:
            rank = find_pair(pairs, shift, joined, load_i32(parts + 4 * trailing_zeros(after)))
        store_i32(ranks + 4 * at, rank << _PLACE_BITS | at)
        before = alive & ((1 << at) - 1)
        if before != 0:
            previous = 63 - leading_zeros(before)
            rank = find_pair(pairs, shift, load_i32(parts + 4 * previous), joined)
            store_i32(ranks + 4 * previous, rank << _PLACE_BITS | previous)


@helper
def _push(heap: int, count: int, entry: int) -> None:
    place = count
    while place > 0:
        parent = (place - 1) >> 1
        other = load_i64(heap + 8 * parent)
        if other <= entry:
            break
        store_i64(heap + 8 * place, other)
        place = parent
    store_i64(heap + 8 * place, entry)


@helper
def _pop(heap: int, count: int) -> int:
    """Take the least entry of `count`."""
    least = load_i64(heap)
    count -= 1
    entry = load_i64(heap + 8 * count)
    place = 0
    while 2 * place + 1 < count:
        child = 2 * place + 1
        if child + 1 < count and load_i64(heap + 8 * child + 8) < load_i64(heap + 8 * child):
            child += 1
        other = load_i64(heap + 8 * child)
        if entry <= other:
            break
        store_i64(heap + 8 * place, other)
        place = child
    store_i64(heap + 8 * place, entry)
    return least


@helper
def _wait(heap: int, count: int, rank: int, start: int) -> int:
    """Put a possible merge into the heap; return how many are there."""
    if rank == NEVER:
        return count
    _push(heap, count, rank << _POSITION_BITS | start)
    return count + 1


@helper
def _gather_starts(starting: int, size: int) -> int:
    """Move the numbers of tokens to the front; return how many they are."""
    count = 0
    for place in range(starting, starting + 4 * size, 4):
        if load_i32(place) >= 0:
            store_i32(starting + 4 * count, load_i32(place))
            count += 1
    return count


@kernel("int64(int64, int64, int64, int64)")
def merge_long(vocabulary: int, piece: int, size: int, scratch: int) -> int:
    """Cut a piece of any size in n log n; return how many tokens it has. Scratch: HEAP_SCRATCH for each byte.

    Every byte has two cells: the number of the token that starts with it, or -1, and that of the one that ends with it.
    A merge waits in the heap as rank and start; it still holds if the tokens there now have this rank.
    """
    pairs, shift = load_i64(vocabulary + PAIRS), load_i64(vocabulary + PAIR_SHIFT)
    made, sizes = load_i64(vocabulary + MADE), load_i64(vocabulary + SIZES)
    starting, ending, heap = scratch, scratch + 4 * size, scratch + 8 * size
    waiting = 0
    for place in range(size):
        store_i32(starting + 4 * place, load_u8(piece + place))
        store_i32(ending + 4 * place, load_u8(piece + place))
    for place in range(size - 1):
        waiting = _wait(heap, waiting, byte_pair_rank(vocabulary, piece + place), place)
    while waiting > 0:
        entry = _pop(heap, waiting)
        waiting -= 1
        start, rank = entry & ((1 << _POSITION_BITS) - 1), entry >> _POSITION_BITS
        left = load_i32(starting + 4 * start)
        if left < 0:
            continue
        middle = start + load_i32(sizes + 4 * left)
        if middle == size:
            continue
        right = load_i32(starting + 4 * middle)
        if find_pair(pairs, shift, left, right) != rank:
            continue
        joined = load_i32(made + 4 * rank)
        end = middle + load_i32(sizes + 4 * right)
        store_i32(starting + 4 * middle, -1)
        store_i32(starting + 4 * start, joined)
        store_i32(ending + 4 * end - 4, joined)
        if start > 0:
            before = load_i32(ending + 4 * start - 4)
            rank = find_pair(pairs, shift, before, joined)
            waiting = _wait(heap, waiting, rank, start - load_i32(sizes + 4 * before))
        if end < size:
            rank = find_pair(pairs, shift, joined, load_i32(starting + 4 * end))
            waiting = _wait(heap, waiting, rank, start)
    return _gather_starts(starting, size)


@kernel("int64(int64, int64, int64)")
def derive_pairs(vocabulary: int, places: int, scratch: int) -> int:
    """Find the merge behind each token: the two parts into which it falls by the merges of those before it.

    Merges and recipes are added as they are found.

    Args:
        vocabulary: the tables.
        places: where the bytes of each number are, 64 bits each.
        scratch: for the longest token.

    Returns:
        The first number that is not made of two others; the count of numbers if all are.
    """
    count = load_i64(vocabulary + NUMBERS)
    for number in range(256, count):
        token = load_i64(vocabulary + BYTES) + load_i64(places + 8 * number)
        size = load_i32(load_i64(vocabulary + SIZES) + 4 * number)
        if size <= SHORT:
            parts = merge_short(vocabulary, token, size, scratch)
        else:
            parts = merge_long(vocabulary, token, size, scratch)
        if parts != 2:
            return number
        left, right = load_i32(scratch), load_i32(scratch + 4)
        enter_pair(vocabulary, left, right, number)
        recipe = load_i64(vocabulary + RECIPES) + RECIPE_ROW * number
        store_i32(recipe + LEFT, left)
        store_i32(recipe + RIGHT, right)
    return count
