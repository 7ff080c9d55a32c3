"""Cut UTF-8 into pre-tokens by the automaton of any pattern that has one, as `tokenizer/automaton.py` makes it."""

from tokenizer.kernels.characters import look
from tokenizer.kernels.compiling import kernel
from tokenizer.kernels.memory import load_i32, load_i64, store_i64

# What belongs to an automaton, in bytes from its address.
TABLE, WIDTH, SYMBOLS = (8 * place for place in range(3))
AUTOMATON_FIELDS = 3

# How far the cutting is: the text that is being cut, the place in it where the next match is looked for, the end of the
# last piece, and how many pieces there are. At the beginning all are 0.
TEXT, POSITION, CUT, COUNT = (8 * place for place in range(4))
PROGRESS_FIELDS = 4

_DEAD, _START = 0, 1  # as in `tokenizer/automaton.py`
_PATIENCE = 1 << 24  # characters looked at until Python is asked whether to go on: some patterns look at them often


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
    table, width, symbols = load_i64(automaton + TABLE), load_i64(automaton + WIDTH), load_i64(automaton + SYMBOLS)
    text, count = load_i64(progress + TEXT), load_i64(progress + COUNT)
    p, cut = data + load_i64(progress + POSITION), data + load_i64(progress + CUT)
    looked_at = 0
    while text < texts and looked_at < _PATIENCE:
        stop = data + load_i64(text_ends + 8 * text)
        while p < stop and looked_at < _PATIENCE:
            state, place, match_end, after_first = _START, p, p, p
            while state != _DEAD:
                symbol, size = look(symbols, place, stop)
                entry = load_i32(table + 4 * (state * width + symbol))
                if entry & 1:
                    match_end = place
                state = entry >> 1
                place += size
                looked_at += 1
                if after_first == p:
                    after_first = place
            if match_end == p:
                p = after_first
                continue
            if cut < p:  # what lies between two matches is a piece, too
                store_i64(ends + 8 * count, p - data)
                count += 1
            store_i64(ends + 8 * count, match_end - data)
            count += 1
            p = cut = match_end
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
