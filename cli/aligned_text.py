"""A text over one row of boundaries for each tokenizer, character under character, without colours.

    text    ·The·harbour
    gpt2    |---|---|---
    o200k   |---|-------
                    ^

`|` a token begins here, `:` one begins inside this character, `+` both, `-` none; `^` the tokenizers differ.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from cli.chosen_tokenizer import shown, shown_cut
from cli.line_breaks import with_whole_tokens

LABEL = 14  # columns of a tokenizer's name at the most
RIGHT_TO_LEFT = {"R", "AL", "AN", "RLE", "RLO", "RLI"}
LEGEND = "| a token begins, : one begins inside the character, + both"
CUT_LEGEND = "Where letters run from right to left nothing can stand under them: there | is between tokens."


@dataclass(frozen=True)
class Cell:
    """A character with the marks on it: as it is shown, its terminal cells, where it begins, and its bytes."""

    shown: str
    width: int
    start: int
    size: int


class Aligned(NamedTuple):
    """The lines, what their signs mean, and how many bytes they show."""

    lines: list[str]
    legend: list[str]
    size: int


def aligned(data: bytes, boundaries: Sequence[tuple[str, frozenset[int]]], width: int, count: int) -> Aligned:
    """At most `count` groups of a line of text and the rows under it.

    Args:
        data: the text.
        boundaries: each tokenizer's name, and where in the text its tokens begin.
        width: columns.
        count: how many lines of text.

    Where letters run from right to left a terminal may show them in another order than they are in, and nothing could
    stand under them; such a line shows each tokenizer's cut instead.
    """
    label = min(max([len("text"), *(len(name) for name, _ in boundaries)]), LABEL)
    room = max(width - label - 2, 8)
    lines: list[str] = []
    rows = _rows(data, room, count)
    for row in rows:
        lines += [""] if lines else []
        lines += _group(data, row, boundaries, label, room)
    are_cut = {_runs_from_right_to_left(row) for row in rows}
    legend = [words for words, is_cut in ((LEGEND, False), (CUT_LEGEND, True)) if is_cut in are_cut]
    return Aligned(lines, legend, rows[-1][-1].start + rows[-1][-1].size if rows else 0)


def _rows(data: bytes, room: int, count: int) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    used = 0
    for cell in _cells(data[: 4 * room * count]):  # a column has four bytes at the most, marks left out
        if not rows or used + cell.width > room:
            if len(rows) == count:
                break
            rows.append([])
            used = 0
        rows[-1].append(cell)
        used += cell.width
    return rows


def _cells(data: bytes) -> list[Cell]:
    from rich.cells import cell_len

    clusters: list[str] = []
    for character in data.decode("utf-8", "surrogateescape"):
        if clusters and unicodedata.category(character) in {"Mn", "Mc", "Me"} and not _is_selector(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    cells = []
    start = 0
    for cluster in clusters:
        raw = cluster.encode("utf-8", "surrogateescape")
        text = shown(raw)
        cells.append(Cell(text, max(cell_len(text), 1), start, len(raw)))
        start += len(raw)
    return cells


def _is_selector(character: str) -> bool:
    """Whether it only chooses how the character before it looks, in a width that terminals do not agree about."""
    return "\ufe00" <= character <= "\ufe0f"


def _group(
    data: bytes, row: Sequence[Cell], boundaries: Sequence[tuple[str, frozenset[int]]], label: int, room: int
) -> list[str]:
    """One line of text and what stands under it."""
    if _runs_from_right_to_left(row):
        return [line for name, begins in boundaries for line in _cut_lines(name, _cut(data, row, begins), label, room)]
    marks = [[_mark(cell, begins) for cell in row] for _, begins in boundaries]
    lines = [f"{'text':<{label}}  {''.join(cell.shown for cell in row)}"]
    for (name, _), each in zip(boundaries, marks, strict=True):
        ruled = "".join(mark + "-" * (cell.width - 1) for mark, cell in zip(each, row, strict=True))
        lines.append(f"{_label(name, label)}  {ruled}")
    differ = [len({each[place] for each in marks}) > 1 for place in range(len(row))]
    if any(differ):
        pointed = "".join(("^" if here else " ").ljust(cell.width) for here, cell in zip(differ, row, strict=True))
        lines.append(f"{'':<{label}}  {pointed}".rstrip())
    return lines


def _runs_from_right_to_left(row: Sequence[Cell]) -> bool:
    return any(unicodedata.bidirectional(sign) in RIGHT_TO_LEFT for cell in row for sign in cell.shown)


def _cut_lines(name: str, cut: str, label: int, room: int) -> list[str]:
    """A cut behind a tokenizer's name, over as many lines as it takes."""
    parts = with_whole_tokens(cut, room).split("\n")
    return [f"{_label(name if number == 0 else '', label)}  {part}" for number, part in enumerate(parts)]


def _label(name: str, width: int) -> str:
    """A name in so many columns; of a longer one the end, which tells files apart."""
    return f"{name:<{width}}" if len(name) <= width else f"…{name[1 - width :]}"


def _mark(cell: Cell, begins: frozenset[int]) -> str:
    """What stands under a character."""
    inside = any(place in begins for place in range(cell.start + 1, cell.start + cell.size))
    if cell.start in begins:
        return "+" if inside else "|"
    return ":" if inside else "-"


def _cut(data: bytes, row: Sequence[Cell], begins: frozenset[int]) -> str:
    start, end = row[0].start, row[-1].start + row[-1].size
    edges = [start, *sorted(place for place in begins if start < place < end), end]
    return shown_cut([data[edge:after] for edge, after in pairwise(edges)])
