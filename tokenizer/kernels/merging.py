"""Learn merges from counted pre-tokens, as `reference.train_merges` does, in the words and pairs of `pairs.py`."""

from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import load_i32, load_i64, load_u8, load_u32, prefetch, store_i32, store_i64
from tokenizer.kernels.pairs import (
    ALLOWED,
    ASK_LAST,
    ASK_SIZES,
    CELLS,
    DONE,
    FLOOR,
    HEAP,
    HEAP_SIZE,
    LIMIT,
    LOG,
    LOG_ROW,
    LOW,
    MASK,
    MERGES,
    MOST_BYTES,
    NEAR,
    NEAR_ROW,
    NEXT_ID,
    PLACE,
    PLACES,
    PLACES_END,
    REFUSED,
    RESULT,
    ROWS,
    SEED,
    SIZES,
    TOKENS,
    TOUCHED,
    USED,
    WANTED,
    drop_top,
    hash_of,
    pair_key,
    place_of,
    row_of,
    sift_down,
    sift_up,
    word_count,
)

FINISHED, PAUSED, ROWS_FULL, PLACES_FULL, LOWER, ASK = range(6)
# In a NEAR_ROW: the sums of both sides, then the number of places on both sides, which become addresses of free places.
_LEFT, _RIGHT, _PLACES = 0, 8, 16
_AHEAD = 12  # places


@helper
def _note(state: int, touched: int, token: int, side: int, count: int) -> int:
    """Add to what was found beside the pair; return 1 if this token is met for the first time."""
    found = load_i64(state + NEAR) + NEAR_ROW * token
    is_new = load_i64(found + _PLACES) == 0 and load_i64(found + _PLACES + 8) == 0
    if is_new:
        store_i32(load_i64(state + TOUCHED) + 4 * touched, token)
    store_i64(found + side, load_i64(found + side) + count)
    store_i64(found + side + _PLACES, load_i64(found + side + _PLACES) + 1)
    return is_new


@helper
def _join_everywhere(state: int, key: int, new_id: int, places: int, number: int, result: int) -> tuple[int, int]:
    """Join a pair in all words, and note what stood beside it; return how many notes and how many tokens there are.

    Where the pair follows itself, what stood between is noted once, as the new token on the left of the second.
    """
    cells, sizes, log = load_i64(state + CELLS), load_i64(state + SIZES), load_i64(state + LOG)
    left, right = (key >> 32) - 1, key & LOW
    left_cells = 4 * load_i32(sizes + 4 * left)
    right_cells = 4 * load_i32(sizes + 4 * right)
    logged = touched = words = last_word = 0
    tokens = load_i64(state + TOKENS)
    for entry in range(places, places + PLACE * number, PLACE):
        if entry + PLACE * _AHEAD < places + PLACE * number:
            prefetch(cells + 4 * load_u32(entry + PLACE * _AHEAD))
        begin = cells + 4 * load_u32(entry)
        middle = begin + left_cells
        if load_i32(begin) != left or load_i32(middle) != right:
            continue
        word = cells + 4 * load_u32(entry + 4)
        count = word_count(word)
        end = middle + right_cells
        before, after = load_i32(begin - 4), load_i32(end)
        store_i32(middle, -1)
        store_i32(begin, new_id)
        store_i32(end - 4, new_id)
        tokens -= count
        words += word != last_word
        last_word = word
        if before >= 0:
            begin -= 4 * load_i32(sizes + 4 * before)
            touched += _note(state, touched, before, _LEFT, count)
            store_i64(log + LOG_ROW * logged, before << 1)
            store_i64(log + LOG_ROW * logged + 8, place_of(word - cells, begin - cells))
            logged += 1
        if after >= 0 and not (after == left and load_i32(end + left_cells) == right):
            touched += _note(state, touched, after, _RIGHT, count)
            store_i64(log + LOG_ROW * logged, after << 1 | 1)
            store_i64(log + LOG_ROW * logged + 8, load_i64(entry))
            logged += 1
    store_i64(state + TOKENS, tokens)
    store_i64(result + 16, words)
    store_i64(result + 24, tokens)
    return logged, touched


@helper
def _settle(state: int, key: int, new_id: int, touched: int, hole: int, hole_end: int) -> None:
    """Take from the pairs that are gone, enter those that arose, and give them room for their places.

    The room of the list that is done with, the hole, is used first.
    """
    rows, mask, seed = load_i64(state + ROWS), load_i64(state + MASK), load_i64(state + SEED)
    near, floor = load_i64(state + NEAR), load_i64(state + FLOOR)
    left, right = (key >> 32) - 1, key & LOW
    for place in range(touched):
        token = load_i32(load_i64(state + TOUCHED) + 4 * place)
        for side in (_LEFT, _RIGHT):
            found = near + NEAR_ROW * token + side
            number = load_i64(found + _PLACES)
            if number == 0:
                continue
            count = load_i64(found)
            if side == _RIGHT:
                gone, arisen = pair_key(right, token), pair_key(new_id, token)
            else:
                gone, arisen = pair_key(right if token == new_id else token, left), pair_key(token, new_id)
            row = row_of(rows, mask, gone, hash_of(gone, seed))
            if load_i64(row) != 0:
                store_i64(row + 8, load_i64(row + 8) - count)
            if count < floor:
                store_i64(found + _PLACES, 0)
                continue
            row = row_of(rows, mask, arisen, hash_of(arisen, seed))
            store_i64(state + USED, load_i64(state + USED) + 1)
            if hole + PLACE * number <= hole_end:
                room = hole
                hole += PLACE * number
            else:
                room = load_i64(state + PLACES)
                store_i64(state + PLACES, room + PLACE * number)
            store_i64(row, arisen)
            store_i64(row + 8, count)
            store_i64(row + 16, room)
            store_i64(row + 24, number)
            store_i64(found + _PLACES, room)
            sift_up(load_i64(state + HEAP), load_i64(state + HEAP_SIZE), count, arisen)
            store_i64(state + HEAP_SIZE, load_i64(state + HEAP_SIZE) + 1)


@helper
def _list_places(state: int, logged: int) -> None:
    """Write the places of the pairs that arose."""
    log, near = load_i64(state + LOG), load_i64(state + NEAR)
    for entry in range(log, log + LOG_ROW * logged, LOG_ROW):
        note = load_i64(entry)
        found = near + NEAR_ROW * (note >> 1) + _PLACES + 8 * (note & 1)
        room = load_i64(found)
        if room != 0:
            store_i64(room, load_i64(entry + 8))
            store_i64(found, room + PLACE)


@helper
def _merge(state: int, row: int, key: int, size: int) -> None:
    """Make the token of a pair, and bring all that is known of other pairs up to date."""
    count, places, number = load_i64(row + 8), load_i64(row + 16), load_i64(row + 24)
    store_i64(row + 8, -(1 << 60))  # what it loses from now on does not matter
    new_id = load_i64(state + NEXT_ID)
    store_i32(load_i64(state + SIZES) + 4 * new_id, size)
    store_i64(state + NEXT_ID, new_id + 1)
    result = load_i64(state + MERGES) + RESULT * load_i64(state + DONE)
    store_i64(state + DONE, load_i64(state + DONE) + 1)
    store_i64(result, key)
    store_i64(result + 8, count)

    logged, touched = _join_everywhere(state, key, new_id, places, number, result)
    _settle(state, key, new_id, touched, places, places + PLACE * number)
    _list_places(state, logged)
    near, tokens = load_i64(state + NEAR), load_i64(state + TOUCHED)
    for place in range(touched):
        found = near + NEAR_ROW * load_i32(tokens + 4 * place)
        for field in range(0, NEAR_ROW, 8):
            store_i64(found + field, 0)


@kernel("int64(int64, int64)")
def learn_merges(state: int, work: int) -> int:
    """Make merges, until about so many places have been looked at.

    Returns:
        FINISHED: there are as many as were wanted. PAUSED: so much work was done. ROWS_FULL: there is not enough room
        in the table and the heap. PLACES_FULL: count the pairs again, there is not enough room for places. LOWER:
        count them again with a lower floor, if there is one. ASK: say whether the pair on top of the heap is ALLOWED
        or REFUSED.
    """
    heap, floor = load_i64(state + HEAP), load_i64(state + FLOOR)
    rows, mask, seed = load_i64(state + ROWS), load_i64(state + MASK), load_i64(state + SEED)
    sizes, ask_last = load_i64(state + SIZES), load_i64(state + ASK_LAST)
    while load_i64(state + DONE) < load_i64(state + WANTED):
        if work <= 0:
            return PAUSED
        if load_i64(state + HEAP_SIZE) == 0:
            return LOWER
        key = load_i64(heap + 8)
        row = row_of(rows, mask, key, hash_of(key, seed))
        count = load_i64(row + 8)
        work -= 8
        if count < floor or key == load_i64(state + REFUSED):
            drop_top(state)
            continue
        if count != load_i64(heap):
            sift_down(heap, load_i64(state + HEAP_SIZE), count, key)
            continue
        size = load_i32(sizes + 4 * ((key >> 32) - 1)) + load_i32(sizes + 4 * (key & LOW))
        if size > load_i64(state + MOST_BYTES):
            drop_top(state)
            continue
        if size <= ask_last and load_u8(load_i64(state + ASK_SIZES) + size) and key != load_i64(state + ALLOWED):
            return ASK
        number = load_i64(row + 24)
        if load_i64(state + USED) + 2 * min(number, load_i64(state + NEXT_ID) + 1) > load_i64(state + LIMIT):
            return ROWS_FULL
        if load_i64(state + PLACES) + 2 * PLACE * number > load_i64(state + PLACES_END):
            return PLACES_FULL
        drop_top(state)
        _merge(state, row, key, size)
        work -= number + 32
    return FINISHED
