"""What a report is made of: what is known of a run, and the parts of the page that are made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.models.base import Message
from probes.pages.parts import Picture, WordTable
from probes.plan import Result

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """One run with all that a report says of it.

    `rows`: what the row functions of its probe found, by the names of the tables in the machine forms; `tables`: the
    same in words. `prompts`: the messages of each trial by its id, as far as they could be made again, and `no_prompts`
    why not. `answered_before`: how many trials were answered by an earlier run. `read_from`: the name of the file whose
    exported rows these are, and `left_out` how many trials of the plan are not in it.
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
    read_from: str = ""
    left_out: int = 0

    @property
    def models(self) -> list[str]:
        """The names of the models, in the order of the run."""
        return list(self.identities)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Models of some runs side by side, as `runs compare` finds them; or `refused`, why they are not.

    `letters`: what each contender is called in figures and tables, with its name. `differences` and `costs` are the
    rows of the comparison; a difference has its `pair` ("A less B") and `where` it is of ("1,000 tokens", nothing for
    all questions together) in words. `outcomes`: what was compared, in words, the declared one first.
    """

    probe: str
    runs: Sequence[str]
    letters: Mapping[str, str] = field(default_factory=dict)
    differences: Sequence[Row] = ()
    costs: Sequence[Row] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[WordTable] = ()
    refused: str = ""


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
    """The part of the page that is about one run, in the order in which it is shown; what is empty is left out.

    `findings`: sentences by the table under which they stand.
    """

    id: str
    title: str
    question: str
    findings: Sequence[tuple[str, Sequence[str]]]
    findings_left_out: int
    method: Sequence[tuple[str, str]]
    plan: Sequence[tuple[str, str]]
    pictures: Sequence[Picture]
    tables: Sequence[tuple[WordTable, str, bool]]
    exchanges: Sequence[Exchange]
    exchanges_left_out: str
    limits: Sequence[str]
    origins: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The part of the page that sets models side by side; with `refused` it holds nothing else.

    `grounds`: which trials they are compared on, what was left out, and what stands against comparing them.
    """

    title: str
    question: str
    refused: str
    grounds: Sequence[str]
    findings: Sequence[tuple[str, Sequence[str]]]
    findings_left_out: int
    pictures: Sequence[Picture]
    tables: Sequence[tuple[WordTable, str, bool]]
