"""What a report is made of: what is known of a run, and the parts of the page that are made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.models.base import Message
from probes.plan import Result

Row = Mapping[str, Any]
WIDE_POINTS = 400.0


@dataclass(frozen=True, slots=True)
class WordTable:
    """A table as people read it: the first column names the row, the notes are the sentences under it."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Material:
    """One run with all that a report says of it.

    `rows`: what the row functions of its probe found, by the names of the tables in the machine forms; `tables`: the
    same in words. `prompts`: the messages of each trial by its id, as far as they could be made again, and `no_prompts`
    why not. `answered_before`: how many trials were answered by an earlier run.
    """

    id: str
    probe: str
    spec: Mapping[str, Any]
    created_utc: str
    code_version: str
    identities: Mapping[str, Mapping[str, Any]]
    results: Sequence[Result]
    rows: Mapping[str, Sequence[Row]]
    tables: Sequence[WordTable]
    prompts: Mapping[str, Sequence[Message]] = field(default_factory=dict)
    no_prompts: str = ""
    answered_before: int = 0

    @property
    def models(self) -> list[str]:
        """The names of the models, in the order of the run."""
        return list(self.identities)


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure: SVG of our own making, what it shows in words, and the same figures as a table.

    `reading` says what n counts, the unit, the intervals, the test and its correction. `exploratory`: it was not
    declared before the first call.
    """

    svg: str
    alt: str
    table: WordTable
    reading: str
    exploratory: bool

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


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that is shown in parts: text, a planted value (`mark`), or how much was left out (`gap`)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One prompt and what came back, shortened where it is long."""

    name: str
    facts: str
    messages: Sequence[tuple[str, Sequence[Piece]]]
    answer: Sequence[Piece]
    answer_facts: str


@dataclass(frozen=True, slots=True)
class RunView:
    """The part of the page that is about one run, in the order in which it is shown; what is empty is left out."""

    id: str
    title: str
    question: str
    findings: Sequence[str]
    method: Sequence[tuple[str, str]]
    plan: Sequence[tuple[str, str]]
    pictures: Sequence[Picture]
    tables: Sequence[tuple[WordTable, str, bool]]
    exchanges: Sequence[Exchange]
    exchanges_left_out: str
    limits: Sequence[str]
    origins: Sequence[tuple[str, str]]
