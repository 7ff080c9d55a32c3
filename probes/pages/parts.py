"""The parts of which any page is made: tables and figures, in the words in which people read them."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDE_POINTS = 400.0


@dataclass(frozen=True, slots=True)
class WordTable:
    """A table as people read it: the first column names the row, the notes are the sentences under it."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure: SVG of our own making, what it shows in words, and the same figures as a table.

    `reading` says what n counts, the unit, the intervals, the test and its correction. `exploratory`: it was not
    declared before the first call; what is only described, as on the page about tokens, leaves it out.
    """

    svg: str
    alt: str
    table: WordTable
    reading: str
    exploratory: bool = True

    @property
    def title(self) -> str:
        """The figure's title, which is its table's as well."""
        return self.table.title

    @property
    def is_wide(self) -> bool:
        """Whether it is wider than a phone, and so stands alone on a line."""
        return self.width > WIDE_POINTS

    @property
    def width(self) -> float:
        """The width in points, as drawn."""
        return float(self.svg.split('width="', 1)[1].split("pt", 1)[0])
