r"""Cut 64 bytes at a time: bit n of a 64-bit integer says something of the n-th byte, and no branch looks at any byte.

A class of code points is a mask; shifted to the left by one, it is what follows the class. So "a letter that begins
a run" is `letters & ~(letters << 1)`, and each split is a formula of masks that gives the places where pieces begin.
A formula holds for text that begins where a piece does, and is certain up to the last byte that is not white space
and has a neighbour: what begins there is the beginning of the next block. White space beyond ASCII, numbers beyond
ASCII and a few rare neighbours end the block; `scanning.py` takes the piece that holds them.
"""

from tokenizer.kernels.characters import (
    APOSTROPHE,
    DOWNWARD,
    FOLD,
    LETTER,
    LINE_FEED,
    NUMBER,
    OTHER,
    RETURN,
    SLASH,
    SPACE,
    UPWARD,
    WHITE,
    contraction_end,
    look,
)
from tokenizer.kernels.compiling import helper
from tokenizer.kernels.memory import between64, leading_zeros, shift_right, trailing_zeros

# What begins in the last three bytes is not certain, since a contraction may begin there and not end.
_SIZE = 62

_ZERO, _NINE, _CAPITAL_A, _CAPITAL_Z, _SMALL_A, _SMALL_Z = b"09AZaz"


@helper
def _ascii(p: int) -> tuple[int, int, int, int, int, int, int]:
    """Masks of ASCII: space, newlines, all white space, digits, capital letters, small letters, and all that is not."""
    spaces = between64(p, SPACE, SPACE)
    newlines = between64(p, LINE_FEED, LINE_FEED) | between64(p, RETURN, RETURN)
    white = spaces | between64(p, 0x09, 0x0D)
    numbers = between64(p, _ZERO, _NINE)
    upper = between64(p, _CAPITAL_A, _CAPITAL_Z)
    lower = between64(p, _SMALL_A, _SMALL_Z)
    return spaces, newlines, white, numbers, upper, lower, between64(p, 0x80, 0xFF)


@helper
def _all_if(kind: int, wanted: int) -> int:
    """A mask of ones if a code point is in the class, of zeros if it is not."""
    return -1 if kind & wanted else 0


@helper
def _beyond_ascii(classes: int, p: int, stop: int, far: int) -> tuple[int, int, int, int, int, int]:
    """The masks of the code points whose bytes `far` holds.

    Returns: UPWARD, DOWNWARD, LETTER, OTHER, the bytes that continue a code point, and the first that ends the block.
    """
    upward = downward = letters = other = inner = 0
    while far:
        place = trailing_zeros(far)
        kind, size = look(classes, p + place, stop)
        if kind & (WHITE | NUMBER):
            return upward, downward, letters, other, inner, min(place, _SIZE)
        bits = ((1 << size) - 1) << place
        upward |= bits & _all_if(kind, UPWARD)
        downward |= bits & _all_if(kind, DOWNWARD)
        letters |= bits & _all_if(kind, LETTER)
        other |= bits & _all_if(kind, OTHER)
        inner |= bits & (bits - 1)
        far &= ~bits
    return upward, downward, letters, other, inner, _SIZE


@helper
def _firsts(mask: int) -> int:
    """Where runs begin."""
    return mask & ~(mask << 1)


@helper
def _lasts(mask: int, following: int) -> int:
    """Where runs end that are not followed by the other class."""
    return mask & ~shift_right(mask | following, 1)


@helper
def _groups_of_three(numbers: int) -> int:
    """Where pieces of three digits begin, and what is left of them."""
    group = firsts = _firsts(numbers)
    fourth = numbers & (numbers << 1) & (numbers << 2)
    while group:
        group = (group << 3) & fourth
        firsts |= group
    return firsts


@helper
def _certain(starts: int, white: int, size: int) -> int:
    """The beginnings up to the last byte that is not white space and has a neighbour among the first `size`."""
    certain = ~white & ((1 << (max(size, 1) - 1)) - 1)
    return starts & ((1 << (64 - leading_zeros(certain))) - 1) if certain else 0


@helper
def _cut_contraction(starts: int, place: int, end: int) -> int:
    """No piece begins inside a contraction, and one begins at its end."""
    return (starts & ~((1 << end) - (1 << place))) | 1 << end


@helper
def _cut_contractions(starts: int, letters: int, p: int, stop: int, fold: int) -> int:
    """Make each contraction a piece of its own, as gpt2 and cl100k do."""
    apostrophes = _apostrophes(p) & starts & shift_right(letters, 1)
    while apostrophes:
        place = trailing_zeros(apostrophes)
        end = contraction_end(p + place, stop, fold) - p
        if end > place:
            starts = _cut_contraction(starts, place + 1, end)
        apostrophes &= apostrophes - 1
    return starts


@helper
def _join_contractions(starts: int, letters: int, p: int, stop: int) -> int:
    """Make each contraction a part of the word before it, as o200k does; a word takes no second one."""
    apostrophes = _apostrophes(p) & (letters << 1) & shift_right(letters, 1)
    taken = 0
    while apostrophes:
        place = trailing_zeros(apostrophes)
        end = contraction_end(p + place, stop, FOLD) - p
        if end > place > taken:
            starts = _cut_contraction(starts, place, end)
            taken = end
        apostrophes &= apostrophes - 1
    return starts


@helper
def _apostrophes(p: int) -> int:
    """The apostrophes, but for the last three bytes, where what they may begin would not fit."""
    return between64(p, APOSTROPHE, APOSTROPHE) & ((1 << (_SIZE - 1)) - 1)


@helper
def starts_of_gpt2(classes: int, p: int, stop: int) -> int:
    r"""Where pieces begin: `'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`."""
    spaces, _, white, numbers, upper, lower, far = _ascii(p)
    letters = upper | lower
    other = ~(white | numbers | letters | far)
    size = _SIZE
    if far:
        _, _, far_letters, far_other, _, size = _beyond_ascii(classes, p, stop, far)
        letters |= far_letters
        other |= far_other
    starts = (_firsts(letters) | _firsts(numbers) | _firsts(other)) & ~(spaces << 1)
    starts |= _firsts(white) | _lasts(white, 0)
    starts = _cut_contractions(starts, letters, p, stop, 0)
    return _certain(starts, white, size)


@helper
def starts_of_cl100k(classes: int, p: int, stop: int, digits: int) -> int:
    r"""Where pieces begin.

    `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+` and white space,
    `\s++$|\s*[\r\n]|\s+(?!\S)|\s`; with so many digits, 3 or 1.
    """
    spaces, newlines, white, numbers, upper, lower, far = _ascii(p)
    letters = upper | lower
    other = ~(white | numbers | letters | far)
    inner = 0
    size = _SIZE
    if far:
        _, _, far_letters, far_other, inner, size = _beyond_ascii(classes, p, stop, far)
        letters |= far_letters
        other |= far_other
    signs = _firsts(other) & ~(spaces << 1)
    starts = (_firsts(letters) & ~_after_prefix(white & ~newlines, signs, inner)) | signs
    starts |= _groups_of_three(numbers) if digits > 1 else numbers
    starts |= _white_starts(white, newlines, letters | numbers)
    starts = _cut_contractions(starts, letters, p, stop, FOLD)
    return _certain(starts, white, min(size, _unclear_white(white, newlines)))


@helper
def starts_of_o200k(classes: int, p: int, stop: int) -> int:
    r"""Where pieces begin; letters include marks here.

    `PREFIX? UPWARD* DOWNWARD+ contraction?|PREFIX? UPWARD+ DOWNWARD* contraction?` are words,
    `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*` and white space, `\s*[\r\n]+|\s+(?!\S)|\s+`, follow.
    """
    spaces, newlines, white, numbers, upward, downward, far = _ascii(p)
    letters = upward | downward
    other = ~(white | numbers | letters | far)
    inner = 0
    size = _SIZE
    if far:
        far_upward, far_downward, far_letters, far_other, inner, size = _beyond_ascii(classes, p, stop, far)
        upward |= far_upward
        downward |= far_downward
        letters |= far_upward | far_downward
        other |= far_other & ~letters
        # A mark after a sign belongs to the sign; what follows a capital after an uncased letter decides about both.
        unclear = (letters & ~far_letters & (other << 1)) | (upward & ~downward & ((upward & downward) << 1))
        size = min(size, trailing_zeros(unclear))
    slashes = between64(p, SLASH, SLASH)
    joined = _slashes_after_signs(other, newlines, slashes)
    signs = (_firsts(other) & ~(spaces << 1) & ~joined) | ((slashes + joined) & ~slashes & other)
    starts = (_firsts(letters) & ~_after_prefix(white & ~newlines, signs, inner)) | _groups_of_three(numbers) | signs
    starts |= upward & ~downward & ((downward & ~upward) << 1)
    starts |= _white_starts(white, newlines, letters | numbers)
    starts = _join_contractions(starts, letters, p, stop)
    return _certain(starts, white, min(size, _unclear_white(white, newlines)))


@helper
def _after_prefix(blanks: int, signs: int, inner: int) -> int:
    """What follows a code point that would be the prefix of a word: a blank, or a sign at which a piece begins."""
    return (blanks << 1) | (((signs << 1) + inner) & ~inner)


@helper
def _white_starts(white: int, newlines: int, words: int) -> int:
    r"""Where pieces of white space begin, and the last blank of a run, of `\s*[\r\n]|\s+(?!\S)`.

    Newlines right after signs belong to these.
    """
    blanks = white & ~newlines
    return _firsts(blanks) | _lasts(blanks, newlines) | (newlines & (words << 1))


@helper
def _unclear_white(white: int, newlines: int) -> int:
    r"""Where blanks begin after a newline, if any of those lead to another newline, which decides about them; else 64.

    Adding carries through the blanks to what follows them.
    """
    blanks = white & ~newlines
    led = (blanks & (newlines << 1)) + blanks
    return trailing_zeros(blanks & (newlines << 1)) if led & ~blanks & newlines else 64


@helper
def _slashes_after_signs(other: int, newlines: int, slashes: int) -> int:
    """The slashes which follow newlines that follow signs, and so belong to the piece of these."""
    return ((other << 1) & newlines) + newlines & ~newlines & slashes
