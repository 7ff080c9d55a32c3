"""Text to ids. Most words of a text have been seen before, so encoding is mostly looking up.

The pieces of a text go through in batches, each twice: first their keys are made and the cache lines of their rows are
fetched, then they are looked up, and by then the lines are there. What is not found is cut into tokens and remembered.

A cache row has 32 bytes. Two rows side by side are one line of the processor's cache, and two lines are a bucket: a
piece is in one of the two rows of its line, or in the other line of the bucket if there was no room, or nowhere, so
that no text can make searches long.

    0   low     bytes 0 to 7 of the piece, or its hash if it has more than 15
    8   high    bytes 8 to 14, then its size; or LONG_KEY and where in the pool its size and bytes are; 0: an empty row
    16  ids     three, 32 bits each; or where in the pool they are, if there are more
    28  count   of the ids
"""

from tokenizer.kernels.backtracking import backtrack
from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.joining import HEAP_SCRATCH, SHORT, merge_long, merge_short
from tokenizer.kernels.memory import (
    copy,
    load_i32,
    load_i64,
    prefetch,
    shift_right,
    store_i32,
    store_i64,
)
from tokenizer.kernels.scanning import find_pieces
from tokenizer.kernels.vocabulary import (
    IDS,
    LINEAR,
    LONG_KEY,
    NODES,
    SHORT_KEY,
    TOKEN_SHIFT,
    TOKENS,
    equal_bytes,
    find_token,
    key_hash,
    long_hash,
)

(
    VOCABULARY,  # the tables of vocabulary.py
    SPLIT,
    CLASSES,
    ROWS,
    ROW_SHIFT,  # by how much a hash is shifted to be the number of a line
    NEW,  # how many pieces of the last batch were not found
    FORGOTTEN,  # how many rows made room for others
    MOST_FORGOTTEN,  # so many, and there should be more lines
    POOL,
    POOL_SIZE,
    POOL_USED,
    MASKS,  # for each size from 0 to 15, the bits of low and high that belong to a piece
    KEYS,  # of the batch: low, high, line, start and size of each piece
    ENDS,  # of the batch
    SCRATCH,  # for cutting a piece into tokens
    SCRATCH_SIZE,
    WANTED,  # the size of scratch, or of room for ids, without which there is no going on
    DOCUMENT,  # how many documents are done
    PIECE,  # how many pieces
    POSITION,  # how many bytes
    COUNT,  # how many ids they gave
) = range(0, 8 * 21, 8)
FIELDS = 21

BATCH = 512  # pieces
KEY_ROW = 40
LINE = 64
BUCKET = 128
MARGIN = 16  # bytes after the last id that may be written over
LONGEST = 256  # bytes; longer pieces are not remembered

DONE, NEEDS_ROOM, NEEDS_SCRATCH, NEEDS_NODES, NEEDS_LINES = 0, 1, 2, 3, 4


# ------------------------------------------------------------------------------------------------- cut and remember


@kernel("int64(int64, int64, int64, int64)")
def cut_piece(worker: int, piece: int, size: int, out: int) -> int:
    """Cut a piece into tokens and write their ids; return how many, or minus what is needed first."""
    vocabulary = load_i64(worker + VOCABULARY)
    scratch = load_i64(worker + SCRATCH)
    if size > SHORT and load_i64(vocabulary + LINEAR):
        store_i64(worker + WANTED, (size >> 3) + 1)
        if load_i64(worker + SCRATCH_SIZE) < (size >> 3) + 1:
            return -NEEDS_SCRATCH
        if load_i64(vocabulary + NODES) == 0:
            return -NEEDS_NODES
        return backtrack(vocabulary, piece, size, scratch, out)
    if size <= SHORT:
        count = merge_short(vocabulary, piece, size, scratch)
    else:
        store_i64(worker + WANTED, HEAP_SCRATCH * size)
        if load_i64(worker + SCRATCH_SIZE) < HEAP_SCRATCH * size:
            return -NEEDS_SCRATCH
        count = merge_long(vocabulary, piece, size, scratch)
    ids = load_i64(vocabulary + IDS)
    for place in range(0, 4 * count, 4):
        store_i32(out + place, load_i32(ids + 4 * load_i32(scratch + place)))
    return count


@helper
def _take_from_pool(worker: int, size: int) -> int:
    """Where in the pool there is so much room. A full pool starts afresh, and so do the rows."""
    place = load_i64(worker + POOL_USED)
    if place + size > load_i64(worker + POOL_SIZE):
        rows = load_i64(worker + ROWS)
        for row in range(rows, rows + (LINE << (64 - load_i64(worker + ROW_SHIFT))), 32):
            store_i64(row + 8, 0)
        place = 0
    store_i64(worker + POOL_USED, place + size)
    return place


@helper
def _copy_row(target: int, source: int) -> None:
    for offset in range(0, 32, 8):
        store_i64(target + offset, load_i64(source + offset))


@helper
def _empty_row(line: int) -> int:
    """The first row without a piece, of a line and then of the other in its bucket; 0 if there is none."""
    for half in (line, line ^ LINE):
        for row in (half, half + 32):
            if load_i64(row + 8) == 0:
                return row
    return 0


@kernel("void(int64, int64, int64, int64)")
def move_rows(rows: int, lines: int, target: int, shift: int) -> None:
    """Copy all rows to where they belong in an empty table of more lines."""
    for row in range(rows, rows + LINE * lines, 32):
        low, high = load_i64(row), load_i64(row + 8)
        if high != 0:
            line = target + LINE * shift_right(key_hash(low, high if high >= 0 else LONG_KEY), shift)
            _copy_row(_empty_row(line), row)  # there is one: what meets in a bucket was in one bucket before


@helper
def _remember(worker: int, line: int, low: int, high: int, piece: int, size: int, out: int, count: int) -> None:
    """Put a piece and its ids into its bucket, where one of the others makes room, each in turn."""
    pool = load_i64(worker + POOL)
    key_room = ((size + 7) & -8) + 8 if size > SHORT_KEY else 0
    id_room = ((4 * count + 15) & -16) if count > 3 else 0
    place = 0
    if key_room + id_room > 0:
        place = _take_from_pool(worker, key_room + id_room)
    row = _empty_row(line)
    if row == 0:
        forgotten = load_i64(worker + FORGOTTEN)
        row = (line & -BUCKET) + 32 * (forgotten & 3)
        store_i64(worker + FORGOTTEN, forgotten + 1)
    store_i64(row, low)
    store_i64(row + 8, high)
    if key_room > 0:
        store_i64(row + 8, LONG_KEY | place)
        store_i64(pool + place, size)
        copy(pool + place + 8, piece, size)
    if id_room > 0:
        store_i64(row + 16, place + key_room)
        copy(pool + place + key_room, out, 4 * count)
    else:
        copy(row + 16, out, 4 * count)
    store_i32(row + 28, count)


@kernel("int64(int64, int64, int64, int64)")
def encode_unknown(worker: int, key: int, data: int, out: int) -> int:
    """Encode a piece that was not found, and remember it; return how many ids, or minus what is needed first."""
    low, high, line = load_i64(key), load_i64(key + 8), load_i64(key + 16)
    piece, size = data + load_i64(key + 24), load_i64(key + 32)
    store_i64(worker + NEW, load_i64(worker + NEW) + 1)
    if size > LONGEST:
        return cut_piece(worker, piece, size, out)
    token = find_token(load_i64(worker + VOCABULARY), low, key_hash(low, high), piece, size)
    if token >= 0:
        store_i32(out, token)
        count = 1
    else:
        count = cut_piece(worker, piece, size, out)
    if count > 0:
        _remember(worker, line, low, high, piece, size, out, count)
    return count


# ----------------------------------------------------------------------------------------------------------- batches


@helper
def _make_keys(worker: int, data: int, stop: int, start: int, ends: int, count: int) -> None:
    """Make the keys of the pieces of a batch, and let the lines where they may be come nearer."""
    rows, shift = load_i64(worker + ROWS), load_i64(worker + ROW_SHIFT)
    masks, key = load_i64(worker + MASKS), load_i64(worker + KEYS)
    vocabulary = load_i64(worker + VOCABULARY)
    tokens, token_shift = load_i64(vocabulary + TOKENS), load_i64(vocabulary + TOKEN_SHIFT)
    many_are_new = load_i64(worker + NEW) > BATCH // 64
    store_i64(worker + NEW, 0)
    for place in range(ends, ends + 8 * count, 8):
        end = load_i64(place)
        size = end - start
        piece = data + start
        if size <= SHORT_KEY:
            mask = masks + 16 * size
            if start + 16 <= stop:
                low = load_i64(piece) & load_i64(mask)
                high = load_i64(piece + 8) & load_i64(mask + 8) | size << 56
            else:
                store_i64(key, 0)
                store_i64(key + 8, size << 56)
                copy(key, piece, size)
                low, high = load_i64(key), load_i64(key + 8)
        elif size <= LONGEST:
            low, high = long_hash(piece, size), LONG_KEY
        else:
            low, high = 0, LONG_KEY
        hashed = key_hash(low, high)
        line = rows + LINE * shift_right(hashed, shift)
        prefetch(line)
        if many_are_new:
            prefetch(tokens + 8 * shift_right(hashed, token_shift))
        store_i64(key, low)
        store_i64(key + 8, high)
        store_i64(key + 16, line)
        store_i64(key + 24, start)
        store_i64(key + 32, size)
        key += KEY_ROW
        start = end


@helper
def _is_row_of(pool: int, high: int, key: int, data: int) -> int:
    """Whether a row with the same hash is that of a long piece."""
    if high >= 0:
        return False
    place, size = pool + (high ^ LONG_KEY), load_i64(key + 32)
    return load_i64(place) == size and equal_bytes(place + 8, data + load_i64(key + 24), size)


@helper
def _find_row(pool: int, key: int, data: int) -> int:
    """The row of a piece, or 0 if it has none. The other line of a bucket is used only when this one is full."""
    low, high, line = load_i64(key), load_i64(key + 8), load_i64(key + 16)
    for half in (line, line ^ LINE):
        for row in (half, half + 32):
            found = load_i64(row + 8)
            if found == 0:
                return 0
            if load_i64(row) == low and (found == high if high >= 0 else _is_row_of(pool, found, key, data)):
                return row
    return 0


@helper
def _write_ids(pool: int, row: int, out: int) -> int:
    """Write the ids of a row, and whatever follows them there up to 16 bytes; return how many they are."""
    ids, more = load_i64(row + 16), load_i64(row + 24)
    count = more >> 32
    if count <= 3:
        store_i64(out, ids)
        store_i64(out + 8, more)
    else:
        for offset in range(0, 4 * count, 16):
            store_i64(out + offset, load_i64(pool + ids + offset))
            store_i64(out + offset + 8, load_i64(pool + ids + offset + 8))
    return count


@kernel("int64(int64, int64, int64, int64, int64, int64)")
def encode_batch(worker: int, data: int, stop: int, ends: int, count: int, out: int) -> int:
    """Encode the pieces of a batch, from POSITION on; POSITION, PIECE and COUNT go on with each.

    There must be room for as many ids as they have bytes, and a margin. Return DONE, or what is needed before the piece
    at POSITION can be encoded.
    """
    _make_keys(worker, data, stop, load_i64(worker + POSITION), ends, count)
    pool, keys = load_i64(worker + POOL), load_i64(worker + KEYS)
    first, done, status = out, 0, DONE
    while done < count:
        key = keys + KEY_ROW * done
        row = _find_row(pool, key, data)
        number = _write_ids(pool, row, out) if row != 0 else encode_unknown(worker, key, data, out)
        if number < 0:
            status = -number
            break
        out += 4 * number
        done += 1
    if done > 0:
        store_i64(worker + POSITION, load_i64(ends + 8 * done - 8))
    store_i64(worker + PIECE, load_i64(worker + PIECE) + done)
    store_i64(worker + COUNT, load_i64(worker + COUNT) + ((out - first) >> 2))
    return status


@helper
def _next_batch(worker: int, data: int, end: int, given: int) -> int:
    """Find the ends of the next pieces of a document, and return how many there are."""
    if given == 0:
        split, classes = load_i64(worker + SPLIT), load_i64(worker + CLASSES)
        return find_pieces(split, classes, data, load_i64(worker + POSITION), end, load_i64(worker + ENDS), BATCH)
    given += 8 * load_i64(worker + PIECE)
    count = 0
    while count < BATCH and load_i64(given + 8 * count) < end:
        count += 1
    return min(count + 1, BATCH)


@kernel("int64(int64, int64, int64, int64, int64, int64, int64, int64)")
def encode_documents(
    worker: int, data: int, document_ends: int, documents: int, given: int, counts: int, out: int, most: int
) -> int:
    """Encode documents that lie one behind the other; go on where DOCUMENT, POSITION, PIECE and COUNT say.

    Args:
        worker: the tables and places above.
        data: the address of the first document.
        document_ends: where each ends, in bytes from data, 64 bits each.
        documents: how many there are.
        given: where all their pieces end, if something else has cut them; 0 if SPLIT is to do it.
        counts: for the results: how many ids there are up to the end of each document, 64 bits each.
        out: room for ids, 32 bits each.
        most: for how many; if this is negative, ids are only counted, and there is room for so many at a time.

    Returns:
        DONE, or what is needed before this can be called again to go on.
    """
    stop = load_i64(document_ends + 8 * documents - 8)
    while load_i64(worker + DOCUMENT) < documents:
        document = load_i64(worker + DOCUMENT)
        end = load_i64(document_ends + 8 * document)
        while load_i64(worker + POSITION) < end:
            if load_i64(worker + FORGOTTEN) > load_i64(worker + MOST_FORGOTTEN):
                return NEEDS_LINES
            pieces = _next_batch(worker, data, end, given)
            ends = load_i64(worker + ENDS) if given == 0 else given + 8 * load_i64(worker + PIECE)
            used = load_i64(worker + COUNT) if most >= 0 else 0
            wanted = used + load_i64(ends + 8 * pieces - 8) - load_i64(worker + POSITION)
            if wanted > abs(most):
                store_i64(worker + WANTED, wanted)
                return NEEDS_ROOM
            status = encode_batch(worker, data, stop, ends, pieces, out + 4 * used)
            if status != DONE:
                return status
        store_i64(counts + 8 * document, load_i64(worker + COUNT))
        store_i64(worker + DOCUMENT, document + 1)
    return DONE
