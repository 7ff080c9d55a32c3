r"""Code points in UTF-8, and the classes of them that the named splits speak of.

Every code point has one class byte, made of the bits below, so that each class in the patterns is a mask:

    \p{L}                   LETTER             [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]   UPWARD
    \p{N}                   NUMBER             [\p{Ll}\p{Lm}\p{Lo}\p{M}]         DOWNWARD
    \s                      WHITE              [^\s\p{L}\p{N}]                   OTHER
    [\r\n]                  NEWLINE            [^\r\n\p{L}\p{N}]                 PREFIX
    [\r\n/]                 TAIL

A byte that is not UTF-8 is one code point, 0xDC00 and its value, which is OTHER. Positions are addresses of bytes, and
`stop` is the end of the text.
"""

from functools import cache

import numpy as np

from tokenizer import unicode_classes
from tokenizer.kernels.compiling import helper
from tokenizer.kernels.memory import Buffer, allocate, load_u8

UPWARD, DOWNWARD, LETTER, NUMBER, BLANK, NEWLINE, OTHER, TAIL = (1 << bit for bit in range(8))
WHITE = BLANK | NEWLINE
PREFIX = BLANK | OTHER

SPACE, APOSTROPHE, SLASH, LINE_FEED, RETURN = b" '/\n\r"
FOLD = 0x20  # the difference between an ASCII letter and the other case of it
_BROKEN = 0xDC00  # and its value: the code point for a byte that is not UTF-8, as `splits.as_text` has it


@cache
def class_table() -> Buffer:
    """The class byte of every code point from 0 to U+10FFFF."""
    category = unicode_classes.category
    table = allocate(unicode_classes.LAST_CODE_POINT + 1)

    def mark(bits: int, *classes: unicode_classes.Ranges) -> None:
        for first, last in unicode_classes.union(*classes):
            table.array[first : last + 1] |= bits

    mark(UPWARD, *map(category, ("Lu", "Lt", "Lm", "Lo", "M")))
    mark(DOWNWARD, *map(category, ("Ll", "Lm", "Lo", "M")))
    mark(LETTER, category("L"))
    mark(NUMBER, category("N"))
    mark(BLANK, unicode_classes.white_space())
    for newline in b"\r\n":
        table.array[newline] = NEWLINE | TAIL
    table.array[SLASH] = TAIL
    table.array[(table.array & np.uint8(LETTER | NUMBER | WHITE)) == 0] |= OTHER
    return table


@helper
def _tail(p: int, stop: int) -> int:
    """The six bits of a continuation byte, or a large negative number where there is none."""
    if p < stop:
        byte = load_u8(p)
        if byte & 0xC0 == 0x80:
            return byte & 0x3F
    return -(1 << 40)


@helper
def look(classes: int, p: int, stop: int) -> tuple[int, int]:
    """The code point at p: its class, and its length in bytes; no class and no bytes at the end of the text."""
    if p >= stop:
        return 0, 0
    byte = load_u8(p)
    if byte < 0x80:
        return load_u8(classes + byte), 1
    if 0xC2 <= byte < 0xE0:
        point = ((byte & 0x1F) << 6) + _tail(p + 1, stop)
        if point >= 0x80:
            return load_u8(classes + point), 2
    elif 0xE0 <= byte < 0xF0:
        point = ((byte & 0x0F) << 12) + (_tail(p + 1, stop) << 6) + _tail(p + 2, stop)
        if point >= 0x800 and point & 0xF800 != 0xD800:
            return load_u8(classes + point), 3
    elif 0xF0 <= byte < 0xF5:
        point = ((byte & 0x07) << 18) + (_tail(p + 1, stop) << 12) + (_tail(p + 2, stop) << 6) + _tail(p + 3, stop)
        if 0x10000 <= point <= 0x10FFFF:
            return load_u8(classes + point), 4
    return load_u8(classes + _BROKEN + byte), 1


# Compiling `ord` or `in` costs more than all of what follows.
_S, _T, _M, _D, _L, _V, _R, _E = b"stmdlvre"


@helper
def contraction_end(p: int, stop: int, fold: int) -> int:
    """The end of `'s 't 'm 'd 'll 've 're` at p, or p if none is there; fold: FOLD for any case, 0 for lower case."""
    if p + 1 >= stop or load_u8(p) != APOSTROPHE:
        return p
    first = load_u8(p + 1) | fold
    if first == _S or first == _T or first == _M or first == _D:  # noqa: PLR1714, SIM109
        return p + 2
    if p + 2 < stop:
        second = load_u8(p + 2)
        if fold and load_u8(p + 1) == 0xC5 and second == 0xBF:  # U+017F, a long s
            return p + 3
        second |= fold
        if first == second == _L or ((first == _V or first == _R) and second == _E):  # noqa: PLR1714, SIM109
            return p + 3
    return p
