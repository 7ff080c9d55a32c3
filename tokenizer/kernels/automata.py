"""Cut UTF-8 into pre-tokens by the automaton of any pattern that has one, as `tokenizer/automaton.py` makes it.

Mostly the character that shows where a piece has ended is the first or the second of the next piece. So a second table
goes from piece to piece without a branch. Where a match ends further back, or nothing matches, the first table finds
the match in an attempt of its own.
"""

from tokenizer.kernels.characters import look
from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import between64, load_i32, load_i64, load_u8, store_i64, trailing_zeros

# What belongs to an automaton, in bytes from its address. A row of a table is what belongs to a state: a 32-bit entry
# for each symbol. The first row is that of the end of an attempt.
SYMBOLS = 0  # the symbol of each code point, a byte each
START = 8  # where the row of the start is, in bytes from its table
TABLE = 16  # entries: where the next row is, doubled, and 1 more if a match ends before the symbol
CHAIN = 24  # entries: where the next row is, shifted by FLAGS, and a flag if a piece ends on the way there; or LEAVE
FIRSTS = 32  # how many ranges of bytes there are with which a match may begin; 0 if that says little
RANGES = 40  # those ranges: the first and the last byte of each, 64 bits each
AUTOMATON_FIELDS = 6
LEAVE = 1  # an entry of the chain: what is to be done here must be found out in an attempt
ENDS_HERE, ENDS_BEFORE, FLAGS = 2, 4, 3  # a piece ends before the symbol, or one symbol before that; bits of flags

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
def _chain(automaton: int, p: int, near: int, stop: int, base: int, ends: int, count: int) -> int:
    """Write the ends, counted from base, of pieces that follow each other from p on; return how many there are then.

    The text ends at stop; no piece is looked for from `near` on.
    """
    symbols, chain = load_i64(automaton + SYMBOLS), load_i64(automaton + CHAIN)
    row, before = load_i64(automaton + START), p
    while p < near:
        byte = load_u8(p)
        if byte < 0x80:
            symbol, size = load_u8(symbols + byte), 1
        else:
            symbol, size = look(symbols, p, stop)
        entry = load_i32(row + (chain + 4 * symbol))  # in this order: only the row is waited for
        if entry & LEAVE:
            break
        store_i64(ends + 8 * count, (before if entry & ENDS_BEFORE else p) - base)  # which may not count
        count += (entry & (ENDS_HERE | ENDS_BEFORE)) != 0
        row = entry >> FLAGS
        before = p
        p += size
    return count


@kernel("int64(int64, int64, int64, int64, int64, int64)")
def cut_texts(automaton: int, data: int, text_ends: int, texts: int, ends: int, progress: int) -> int:
    """Cut texts that lie one behind the other; go on where `progress` says.

    Args:
        automaton: the address of what belongs to it.
        data: the address of the first text.
        text_ends: where each text ends, in bytes from data, as 64-bit integers.
        texts: how many there are.
        ends: the address of the results: for each piece its end, in bytes from data; there must be room for as many as
            there are bytes.
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
        stop = data + load_i64(text_ends + 8 * text)
        while p < stop and looked_at < _PATIENCE:
            if firsts > 0:
                p = _next_candidate(firsts, ranges, p, stop)
            match_end, attempt_end = _match(automaton, p, stop)
            looked_at += attempt_end - p
            if match_end == p:
                p += look(symbols, p, stop)[1]
                continue
            if cut < p:  # what lies between two matches is a piece, too
                store_i64(ends + 8 * count, p - data)
                count += 1
            store_i64(ends + 8 * count, match_end - data)
            near = min(stop, match_end + _PATIENCE)
            count = _chain(automaton, match_end, near, stop, data, ends, count + 1)
            p = cut = data + load_i64(ends + 8 * count - 8)
            looked_at += p - match_end
        if p >= stop:
            if cut < stop:
                store_i64(ends + 8 * count, stop - data)
                count += 1
            p = cut = stop
            text += 1
    store_i64(progress + TEXT, text)
    store_i64(progress + POSITION, p - data)
    store_i64(progress + CUT, cut - data)
    store_i64(progress + COUNT, count)
    return text == texts
