"""Instruction placement: the same instruction before a document, after it, or at both ends, each with its control.

The document is prose, or the transcript of a conversation. Ten facts stand in it, one in each tenth. Generated answers
tell which facts a summary keeps. For models that give log-probabilities, the margin of each fact tells how available it
is: the same stem is put in the model's mouth in every arm, and the right value is compared with those of the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from probes.experiments.common import Ruler, check_distinct, check_lengths, ensure_absent, listed
from probes.haystack import SPEAKERS, generated_haystack, generated_transcript, place
from probes.models.base import Message, Request
from probes.plan import Plan, PlannedTrial
from probes.statements import Statement, draw_statements

FACTS = 10
THING = "quota"

Framing = Literal["document", "transcript"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What is said around a text: the tag it stands in, the instruction, and the control's padding.

    The padding has as many characters as the instruction, and nothing in them: it asks for nothing and tells nothing
    of the text.
    """

    tag: str
    instruction: str
    padding: str


FRAMES: dict[Framing, Frame] = {
    "document": Frame(
        tag="document",
        instruction="Summarise the document that stands inside the document tags in at most five sentences, "
        "and keep every quota with the name it is for.",
        padding="This page was set in plain type, printed on plain paper and kept on a shelf with other pages, "
        "and nobody had much to say about them.",
    ),
    "transcript": Frame(
        tag="transcript",
        instruction="Summarise the conversation that stands inside the transcript tags in at most five sentences, "
        "and keep every quota with the name it is for.",
        padding="This page was set in plain type, printed on plain paper and kept on a small shelf with other pages, "
        "and nobody had much to say about them.",
    ),
}

Arm = Literal["none", "padded-before", "before", "padded-after", "after", "bookend"]
ARMS: tuple[Arm, ...] = ("none", "padded-before", "before", "padded-after", "after", "bookend")
INSTRUCTED: tuple[Arm, ...] = ("before", "after", "bookend")
# The declared contrasts, in words.
CONTRASTS: dict[tuple[Arm, Arm], str] = {
    ("before", "padded-before"): "The instruction before the text, against neutral words there",
    ("after", "padded-after"): "The instruction after the text, against neutral words there",
    ("bookend", "none"): "The instruction at both ends, against the bare text",
    ("after", "before"): "The instruction after the text, against before it",
}
Measure = Literal["coverage", "margin"]


class PlacementOptions(BaseModel):
    """What can be said of a placement experiment; the same names in an experiment file and on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    framing: Framing = "document"
    place: tuple[Arm, ...] = Field(default=ARMS, min_length=1)
    measure: tuple[Measure, ...] = Field(default=("coverage", "margin"), min_length=1)
    lengths: tuple[int, ...] = Field(default=(400,), min_length=1)
    blocks: int = Field(default=10, ge=1, le=10_000)
    seed: int = 1
    ruler: str = "small"
    max_tokens: int = Field(default=160, ge=1, le=1_000_000)

    _one_is_a_list = field_validator("place", "measure", "lengths", mode="before")(listed)

    @field_validator("lengths")
    @classmethod
    def _lengths_hold_facts(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        check_lengths(lengths)
        return lengths

    @field_validator("place", "measure")
    @classmethod
    def _each_is_given_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        check_distinct(values)
        return values


def williams_row(row: int, size: int = FACTS) -> tuple[int, ...]:
    """One row of a Williams square of even order (Williams 1949).

    Over all rows every item takes every place once, and every ordered pair of neighbours occurs once.

    Example: williams_row(0, 4) -> (0, 3, 1, 2); williams_row(1, 4) -> (1, 0, 2, 3)
    """
    first = [0]
    for step in range(1, size):
        first.append((step // 2) if step % 2 == 0 else size - 1 - step // 2)
    return tuple((item + row) % size for item in first)


def plan_placement(options: PlacementOptions, ruler: Ruler) -> Plan:
    """Every request of the experiment, in the order of lengths, blocks, arms, and within an arm answer before margins.

    Ten blocks in a row share their facts, and the square moves each fact through every tenth of the document.
    """
    trials = [
        trial
        for length in options.lengths
        for block in range(options.blocks)
        for trial in _block_trials(options, ruler, length, block)
    ]
    spec = options.model_dump(mode="json") | {
        "outcome": "margin where the model gives log-probabilities, coverage otherwise",
        "contrasts": [list(pair) for pair in CONTRASTS],
    }
    return Plan("placement", spec, tuple(trials))


def _block_trials(options: PlacementOptions, ruler: Ruler, length: int, block: int) -> Iterator[PlannedTrial]:
    drawn = draw_statements(THING, FACTS, digits=2, seed=f"placement/{options.seed}/{block // FACTS}")
    facts = [drawn[number] for number in williams_row(block % FACTS)]
    generated = generated_transcript if options.framing == "transcript" else generated_haystack
    haystack = generated(f"document/{options.seed}/{block}", length, ruler.count)
    ensure_absent(haystack.text, facts)
    tokens = ruler.count(haystack.text)
    depths = [(decile + 0.5) / FACTS for decile in range(FACTS)]
    document = place(haystack, [fact.text for fact in facts], depths)
    for arm in options.place:
        prompt = arrange(arm, document.text, FRAMES[options.framing])
        cell: dict[str, Any] = {
            "block": block,
            "length_tokens": length,
            "document_tokens": tokens,
            "arm": arm,
            "names": [fact.name for fact in facts],
            "values": [fact.value for fact in facts],
        }
        if options.framing == "transcript":
            cell["speakers"] = list(SPEAKERS)
        if "coverage" in options.measure:
            request = Request((Message("user", prompt),), max_tokens=options.max_tokens)
            yield PlannedTrial(block, request, cell | {"measure": "coverage"})
        if "margin" in options.measure:
            yield from _margin_trials(block, prompt, facts, cell)


def _margin_trials(block: int, prompt: str, facts: Sequence[Statement], cell: dict[str, Any]) -> Iterator[PlannedTrial]:
    for asked, fact in enumerate(facts):
        messages = (Message("user", prompt), Message("assistant", fact.stem))
        for offered, other in enumerate(facts):
            request = Request(messages, continuation=f" {other.value}")
            yield PlannedTrial(block, request, cell | {"measure": "margin", "asked": asked, "offered": offered})


def arrange(arm: Arm, text: str, frame: Frame) -> str:
    """The prompt of one arm: the text in tags, and the instruction or as many neutral characters around it."""
    before = {"before": frame.instruction, "bookend": frame.instruction, "padded-before": frame.padding}.get(arm)
    after = {"after": frame.instruction, "bookend": frame.instruction, "padded-after": frame.padding}.get(arm)
    tagged = f"<{frame.tag}>\n{text}\n</{frame.tag}>"
    return "\n\n".join(filter(None, [before, tagged, after]))
