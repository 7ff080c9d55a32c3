"""Cut UTF-8 into pre-tokens by the automaton of any pattern that has one, as `tokenizer/automaton.py` makes it.

Mostly the character that shows where a piece has ended is the first or the second of the next piece, or the text ends
there. So a second table goes from piece to piece without a branch. Where a match ends further back, or it is not sure
that anything matches, the first table finds the match in an attempt of its own.
"""

from tokenizer.kernels.characters import look
from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import between64, load_i32, load_i64, load_u8, store_i64, trailing_zeros

# What belongs to an automaton, in bytes from its address. A row of a table is what belongs to a state: a 32-bit entry
# for each symbol. The first row is that of the end of an attempt.
SYMBOLS = 0  # the symbol of each code point, a byte each
START = 8  # where the row of the start is, in bytes from its table
TABLE = 16  # entries: where the next row is, doubled, and 1 more if a match ends before the symbol
CHAIN = 24  # entries: where the next row is, shifted by FLAGS, and flags if a piece ends on the way there; or LEAVE
FIRSTS = 32  # how many ranges of bytes there are with which a match may begin; 0 if that says little
RANGES = 40  # those ranges: the first and the last byte of each, 64 bits each
AUTOMATON_FIELDS = 6
LEAVE = -1  # an entry of the chain: what is to be done here must be found out in an attempt
ENDS, BEFORE, FLAGS = 1, 2, 2  # a piece ends before the symbol; this is one symbol earlier; how many flags there are

# How far the cutting is: the text that is being cut, the place in it where the next match is looked for, the end of the
# last piece, and how many pieces there are. At the beginning all are 0.
TEXT, POSITION, CUT, COUNT = (8 * place for place in range(4))
PROGRESS_FIELDS = 4

_PATIENCE = 1 << 24  # bytes looked at until Python is asked whether to go on: some patterns look at them often


@helper
def _next_candidate(firsts: int, ranges: int, p: int, stop: int) -> int:
    """The next place where a match may begin, as far as whole blocks of 64 bytes tell."""
    while p + 64 <= stop:
        found = 0
        for place in range(ranges, ranges + 16 * firsts, 16):
            found |= between64(p, load_i64(place), load_i64(place + 8))
        if found != 0:
            return p + trailing_zeros(found)
        p += 64
    return p


@helper
def _match(automaton: int, p: int, stop: int) -> tuple[int, int]:
    """The end of the match at p, or p if there is none; and where the attempt ended."""
    symbols, table = load_i64(automaton + SYMBOLS), load_i64(automaton + TABLE)
    row, place, match_end = load_i64(automaton + START), p, p
    while row != 0:
        symbol, size = look(symbols, place, stop)
        entry = load_i32(table + row + 4 * symbol)
        if entry & 1:
            match_end = place
        row = entry >> 1
        place += size
    return match_end, place


@helper
def _chain(
    automaton: int, p: int, near: int, data: int, text_ends: int, texts: int, text: int, ends: int, count: int
) -> tuple[int, int]:
    """Write the ends of pieces that follow each other from p on, where one begins, through the ends of texts.

    No piece is looked for from `near` on; what else is as in `cut_texts`.

    Returns:
        The text in which the chain ends, or how many there are, and how many pieces there are then.
    """
    symbols, chain = load_i64(automaton + SYMBOLS), load_i64(automaton + CHAIN)
    while text < texts and p < near:
        stop = data + load_i64(text_ends + 8 * text)
        limit = min(stop, near)
        row, before = load_i64(automaton + START), p
        while p < limit:
            byte = load_u8(p)
            if byte < 0x80:
                symbol, size = load_u8(symbols + byte), 1
            else:
                symbol, size = look(symbols, p, stop)
            entry = load_i32(row + (chain + 4 * symbol))  # in this order: only the row is waited for
            if entry < 0:
                return text, count
            store_i64(ends + 8 * count, (before if entry & BEFORE else p) - data)  # which may not count
            count += entry & ENDS
            row = entry >> FLAGS
            before = p
            p += size
        if p < stop:
            return text, count
        entry = load_i32(row + chain)  # the symbol of the end is 0
        if entry < 0:
            return text, count
        if entry & ENDS:
            store_i64(ends + 8 * count, p - data)
            count += 1
        text += 1
    return text, count


@helper
def _add_piece(ends: int, count: int, start: int, end: int) -> int:
    """Write where a piece ends if there is anything in it; return how many there are then."""
    store_i64(ends + 8 * count, end)  # which may not count
    return count + (start < end)


@kernel("int64(int64, int64, int64, int64, int64, int64)")
def cut_texts(automaton: int, data: int, text_ends: int, texts: int, ends: int, progress: int) -> int:
    """Cut texts that lie one behind the other; go on where `progress` says.

    Args:
        automaton: the address of what belongs to it.
        data: the address of the first text.
        text_ends: where each text ends, in bytes from data, as 64-bit integers.
        texts: how many there are.
        ends: the address of the results: for each piece its end, in bytes from data; there must be room for one more
            than there are bytes.
        progress: the address of how far this is.

    Returns:
        1 when all is cut, 0 if this should be called again.
    """
    firsts, ranges, symbols = (
        load_i64(automaton + FIRSTS),
        load_i64(automaton + RANGES),
        load_i64(automaton + SYMBOLS),
    )
    text, count = load_i64(progress + TEXT), load_i64(progress + COUNT)
    p, cut = data + load_i64(progress + POSITION), data + load_i64(progress + CUT)
    looked_at = 0
    while text < texts and looked_at < _PATIENCE:
        if p == cut:
            text, count = _chain(automaton, p, p + _PATIENCE, data, text_ends, texts, text, ends, count)
            if count > 0:
                cut = data + load_i64(ends + 8 * count - 8)
            looked_at += cut - p
            p = cut
            if text == texts:
                break
        stop = data + load_i64(text_ends + 8 * text)
        match_end = p
        while p < stop and match_end == p and looked_at < _PATIENCE:
            if firsts > 0:
                p = _next_candidate(firsts, ranges, p, stop)
            match_end, attempt_end = _match(automaton, p, stop)
            looked_at += attempt_end - p
            if match_end == p:
                p += look(symbols, p, stop)[1]
                match_end = p
        if match_end > p or p >= stop:
            count = _add_piece(ends, count, cut - data, p - data)  # what lies between two matches is a piece, too
            count = _add_piece(ends, count, p - data, match_end - data)
            p = cut = match_end
        text += p >= stop
    store_i64(progress + TEXT, text)
    store_i64(progress + POSITION, p - data)
    store_i64(progress + CUT, cut - data)
    store_i64(progress + COUNT, count)
    return text == texts
