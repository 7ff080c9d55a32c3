"""The general category of every code point, frozen as tiktoken and Hugging Face's tokenizers know it.

Unicode grows: what is unassigned to one regex engine is a letter to the next, and then the same text is cut into
different tokens. So no class is ever taken from the running Python; all come from `data/unicode_categories.txt`,
which was made once by asking tiktoken about each code point.

A class is a tuple of ranges `(first, last)`, both ends included, sorted, and neither touching nor overlapping.
"""

from functools import cache
from itertools import chain
from pathlib import Path

Ranges = tuple[tuple[int, int], ...]

LAST_CODE_POINT = 0x10FFFF
UNICODE_VERSION = "16.0"  # of the table: U+105C0, new in 16.0, is a letter in it, and U+16EA0, new in 17.0, is nothing
_TABLE = Path(__file__).with_name("data") / "unicode_categories.txt"

# What tiktoken's `\w` holds beside categories: the two joiners and the circled, parenthesized and squared letters.
_OTHER_WORD: Ranges = (
    (0x200C, 0x200D),
    (0x24B6, 0x24E9),
    (0x1F130, 0x1F149),
    (0x1F150, 0x1F169),
    (0x1F170, 0x1F189),
)


@cache
def category_runs() -> tuple[tuple[str, int, int], ...]:
    """Every run of neighbours of one category, in order, as (category, first, last).

    Example: category_runs()[:3] == (("Cc", 0x00, 0x1F), ("Zs", 0x20, 0x20), ("Po", 0x21, 0x23))
    """
    runs = []
    first = 0
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        for entry in line.split():
            name, length = entry[:2], entry[2:]
            after = first + int(length, base=16)
            runs.append((name, first, after - 1))
            first = after
    return tuple(runs)


@cache
def category(name: str) -> Ranges:
    """The code points of a general category such as "Lu", or of a whole group of them such as "L".

    Surrogates, "Cs", belong to no class: here they stand for bytes that are not UTF-8.

    Raises:
        KeyError: there is no such category.
    """
    found = [ranges for each, ranges in _runs_by_category().items() if name and each.startswith(name) and each != "Cs"]
    if not found:
        raise KeyError(name)
    return union(*found)


@cache
def _runs_by_category() -> dict[str, Ranges]:
    runs: dict[str, list[tuple[int, int]]] = {}
    for name, first, last in category_runs():
        runs.setdefault(name, []).append((first, last))
    return {name: tuple(ranges) for name, ranges in runs.items()}


@cache
def white_space() -> Ranges:
    r"""The 25 code points of `\s`: separators, tab to carriage return, and next line; not U+001C to U+001F."""
    return union(category("Z"), ((0x09, 0x0D), (0x85, 0x85)))


@cache
def word(dialect: str = "tiktoken") -> Ranges:
    r"""The code points of `\w`, of which tiktoken and Hugging Face's tokenizers have slightly different ideas."""
    tiktoken = union(*map(category, ("L", "M", "Nd", "Nl", "Pc")), _OTHER_WORD)
    if dialect == "tiktoken":
        return tiktoken
    without_joiners = intersection(tiktoken, complement(((0x200C, 0x200D),)))
    return union(without_joiners, ((0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE)))


def union(*classes: Ranges) -> Ranges:
    """All code points that are in any of the classes.

    Example: union(((1, 3), (9, 9)), ((4, 5),)) == ((1, 5), (9, 9))
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted(chain.from_iterable(classes)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def complement(ranges: Ranges) -> Ranges:
    """All code points that are not in the class, which must be sorted and joined.

    Example: complement(((0, 64), (66, 0x10FFFF))) == ((65, 65),)
    """
    outside = []
    start = 0
    for first, last in ranges:
        if start < first:
            outside.append((start, first - 1))
        start = last + 1
    if start <= LAST_CODE_POINT:
        outside.append((start, LAST_CODE_POINT))
    return tuple(outside)


def intersection(some: Ranges, other: Ranges) -> Ranges:
    """All code points that are in both classes.

    Example: intersection(((1, 5), (8, 9)), ((4, 8),)) == ((4, 5), (8, 8))
    """
    return complement(union(complement(some), complement(other)))


def clip(ranges: Ranges, limit: int) -> Ranges:
    """The part of the class that is not above the limit.

    Example: clip(((65, 90), (0xC0, 0xD6)), 0x7F) == ((65, 90),)
    """
    return tuple((first, min(last, limit)) for first, last in ranges if first <= limit)
