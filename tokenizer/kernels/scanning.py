r"""Cut UTF-8 into pre-tokens by the named splits: the same pieces as `tokenizer/splits.py`, without a regex engine.

Most text is cut 64 bytes at a time (`blocks.py`); the functions here take the rest, piece by piece. Positions are
addresses of bytes, and `stop` is the end of the text.
"""

from tokenizer.kernels.blocks import starts_of_cl100k, starts_of_gpt2, starts_of_o200k
from tokenizer.kernels.characters import (
    DOWNWARD,
    FOLD,
    LETTER,
    LINE_FEED,
    NEWLINE,
    NUMBER,
    OTHER,
    PREFIX,
    SLASH,
    SPACE,
    TAIL,
    UPWARD,
    WHITE,
    class_table,
    contraction_end,
    look,
)
from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import leading_zeros, load_i64, load_u8, store_i64, trailing_zeros

__all__ = ["SPLITS", "class_table", "find_pieces", "safe_cut"]

_GPT2, _CL100K, _O200K, _LLAMA3, _QWEN2 = range(5)
SPLITS = {"gpt2": _GPT2, "cl100k": _CL100K, "o200k": _O200K, "llama3": _LLAMA3, "qwen2": _QWEN2}


@helper
def _run(classes: int, p: int, stop: int, wanted: int) -> int:
    """The end of a run of code points that are in the class."""
    while True:
        kind, size = look(classes, p, stop)
        if not kind & wanted:
            return p
        p += size


# ---------------------------------------------------------------------------------------------------------- pieces


@helper
def _piece_of_gpt2(classes: int, p: int, stop: int) -> int:
    r"""The end of the piece at p: `'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|`, p: none of these."""
    end = contraction_end(p, stop, 0)
    if end > p:
        return end
    start = p + 1 if load_u8(p) == SPACE and p + 1 < stop else p
    kind, size = look(classes, start, stop)
    if kind & WHITE:
        return p
    return _run(classes, start + size, stop, kind & (LETTER | NUMBER | OTHER))


@helper
def _piece_of_cl100k(classes: int, p: int, stop: int, digits: int) -> int:
    r"""The end of the piece at p, or p if it is white space.

    `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+`, or with so many digits.
    """
    end = contraction_end(p, stop, FOLD)
    if end > p:
        return end
    kind, size = look(classes, p, stop)
    after = p + size
    if kind & LETTER:
        return _run(classes, after, stop, LETTER)
    if kind & NUMBER:
        return _number(classes, after, stop) if digits > 1 else after
    following, following_size = look(classes, after, stop)
    if kind & PREFIX and following & LETTER:
        return _run(classes, after + following_size, stop, LETTER)
    if kind & OTHER or (load_u8(p) == SPACE and following & OTHER):
        return _run(classes, _run(classes, after, stop, OTHER), stop, NEWLINE)
    return p


@helper
def _piece_of_o200k(classes: int, p: int, stop: int) -> int:
    r"""The end of the piece at p, or p if it is white space.

    `PREFIX? UPWARD* DOWNWARD+ contraction?|PREFIX? UPWARD+ DOWNWARD* contraction?` are words,
    `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*` follow.
    """
    kind, size = look(classes, p, stop)
    after = p + size
    if kind & NUMBER:
        return _number(classes, after, stop)
    end = _word(classes, p, after, stop, kind)
    if end > p:
        return end
    following, _ = look(classes, after, stop)
    if kind & OTHER or (load_u8(p) == SPACE and following & OTHER):
        return _run(classes, _run(classes, after, stop, OTHER), stop, TAIL)
    return p


@helper
def _word(classes: int, p: int, after: int, stop: int, kind: int) -> int:
    """The end of a word of o200k at p, or p if none begins there; the code point at p ends at `after`.

    With a prefix first, then without one; and with DOWNWARD+ at the end first, then without it.
    """
    start = after if kind & PREFIX else p
    end = _lower_word(classes, start, stop)
    if end == start:
        if start > p and kind & DOWNWARD:  # a mark that was taken for the prefix is a word itself
            end = start
        else:
            end = _run(classes, start, stop, UPWARD)
            if end == start:
                return p
    return contraction_end(end, stop, FOLD)


@helper
def _lower_word(classes: int, p: int, stop: int) -> int:
    """The end of `UPWARD* DOWNWARD+` at p, or p: UPWARD* gives back what DOWNWARD+ needs, which is one code point."""
    given_back = p
    while True:
        kind, size = look(classes, p, stop)
        if not kind & UPWARD:
            return _run(classes, p, stop, DOWNWARD) if kind & DOWNWARD else given_back
        p += size
        if kind & DOWNWARD:
            given_back = p


@helper
def _number(classes: int, p: int, stop: int) -> int:
    r"""The end of `\p{N}{1,3}` whose first code point ends at p."""
    for _ in range(2):
        kind, size = look(classes, p, stop)
        if kind & NUMBER:
            p += size
    return p


@helper
def _white_space(split: int, classes: int, p: int, stop: int) -> int:
    r"""The end of the piece at p where nothing else begins: `\s++$|\s+(?!\S)|\s`, and what the splits add to that.

    cl100k: `\s++$|\s*[\r\n]|\s+(?!\S)|\s`, the others: `\s*[\r\n]+|\s+(?!\S)|\s+`. A run makes three pieces at most, so
    that looking at all of it each time takes linear time.
    """
    first = last = p
    newline_end = 0
    kind, size = look(classes, p, stop)
    while kind & WHITE:
        last = p
        p += size
        if kind & NEWLINE:
            newline_end = p
        kind, size = look(classes, p, stop)
    if newline_end and split != _GPT2 and (split != _CL100K or p < stop):
        return newline_end
    return p if p == stop or last == first else last


@helper
def _store_places(places: int, first: int, ends: int, count: int) -> int:
    """Write where the bits of a mask are, counted from `first`; `count` ends are there before, the result after."""
    while places:
        store_i64(ends + 8 * count, first + trailing_zeros(places))
        count += 1
        places &= places - 1
    return count


@kernel("int64(int64, int64, int64, int64, int64, int64, int64)")
def find_pieces(split: int, classes: int, data: int, start: int, end: int, ends: int, most: int) -> int:
    """Cut a text from a piece's beginning on; write where each piece ends, and return how many did.

    Args:
        split: a value of SPLITS.
        classes: the address of `class_table()`.
        data: the address of the text.
        start: where to begin, in bytes from data; a piece must begin there.
        end: where the text ends, in bytes from data, as if nothing followed.
        ends: the address of the results: for each piece its end, in bytes from data, as 64-bit integers.
        most: how many there is room for. Go on at the last end that was written.
    """
    p = data + start
    stop = data + end
    count = 0
    while p < stop and count < most:
        if p + 64 <= stop and count + 64 <= most:
            if split == _GPT2:
                starts = starts_of_gpt2(classes, p, stop)
            elif split == _O200K:
                starts = starts_of_o200k(classes, p, stop)
            else:
                starts = starts_of_cl100k(classes, p, stop, 1 if split == _QWEN2 else 3)
            starts &= ~1  # the piece at p ends where another begins
            if starts:
                count = _store_places(starts, p - data, ends, count)
                p += 63 - leading_zeros(starts)
                continue
        if split == _GPT2:
            piece_end = _piece_of_gpt2(classes, p, stop)
        elif split == _O200K:
            piece_end = _piece_of_o200k(classes, p, stop)
        else:
            piece_end = _piece_of_cl100k(classes, p, stop, 1 if split == _QWEN2 else 3)
        p = piece_end if piece_end > p else _white_space(split, classes, p, stop)
        store_i64(ends + 8 * count, p - data)
        count += 1
    return count


@kernel("int64(int64, int64, int64, int64, int64, int64)")
def find_pieces_of_texts(split: int, classes: int, data: int, text_ends: int, texts: int, ends: int) -> int:
    """Cut texts that lie one behind the other, each as if nothing followed; return how many pieces they have.

    Args:
        split: a value of SPLITS.
        classes: the address of `class_table()`.
        data: the address of the first text.
        text_ends: where each text ends, in bytes from data, as 64-bit integers.
        texts: how many there are.
        ends: the address of the results, as in `find_pieces`, with room for a piece of every byte.
    """
    start, count = 0, 0
    for place in range(text_ends, text_ends + 8 * texts, 8):
        end = load_i64(place)
        if start < end:
            count += find_pieces(split, classes, data, start, end, ends + 8 * count, end - start)
        start = end
    return count


# ------------------------------------------------------------------------------------------------------ safe cuts


@helper
def _is_dark(byte: int) -> int:
    """Whether an ASCII character is not white space."""
    return byte > SPACE or byte < 0x09 or 0x0D < byte < SPACE


@helper
def _is_ideographic_space(data: int, place: int) -> int:
    """Whether U+3000 stands there, the one white space among much else that begins with E3."""
    return load_u8(data + place) == 0xE3 and load_u8(data + place + 1) == 0x80 and load_u8(data + place + 2) == 0x80


@helper
def _ends_dark(data: int, place: int) -> int:
    """Whether the code point that ends at a place is surely no white space; other white space has C2, E1 or E2."""
    byte = load_u8(data + place - 1)
    if byte < 0x80:
        return _is_dark(byte)
    if place < 3 or load_u8(data + place - 2) == 0xC2 or 0xE1 <= load_u8(data + place - 3) <= 0xE2:
        return False
    return not _is_ideographic_space(data, place - 3)


@helper
def _begins_dark(data: int, place: int, size: int) -> int:
    """Whether what begins at a place is surely neither white space nor a slash."""
    byte = load_u8(data + place)
    if byte < 0x80:
        return _is_dark(byte) and byte != SLASH
    if byte < 0xC3 or 0xE1 <= byte <= 0xE2 or place + 3 > size:
        return False
    return not _is_ideographic_space(data, place)


@kernel("int64(int64, int64)")
def safe_cut(data: int, size: int) -> int:
    r"""The last place where any text with these bytes in it can be cut, and the halves scanned apart, by every split.

    That is before a space, or between a single line feed and what no pattern joins to it, and what stands before
    either must not be white space: the pieces of a run of white space depend on what follows the run.

    Args:
        data: the address of the bytes.
        size: how many there are.

    Returns:
        The place, in bytes from data, greater than 0 and less than size; 0 if there is none.
    """
    for place in range(size - 1, 0, -1):
        before = load_u8(data + place - 1)
        if load_u8(data + place) == SPACE and before < 0x80 and _is_dark(before):
            return place
        if before == LINE_FEED and place > 1 and _ends_dark(data, place - 1) and _begins_dark(data, place, size):
            return place
    return 0
