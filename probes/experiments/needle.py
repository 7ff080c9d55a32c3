"""Needle retrieval: several statements of one form in one haystack, a question for each, and one without an answer.

The question whose answer is not there is the control: how often a position is given when it is *not* asked for says
whether a model finds what stands there or merely prefers to give it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from probes.experiments.common import Ruler, check_distinct, check_lengths, ensure_absent, listed
from probes.haystack import Haystack, Placed, generated_haystack, haystack_from_files, place
from probes.models.base import Message, Request
from probes.plan import Plan, PlannedTrial
from probes.statements import Statement, draw_statements
from tokenizer.errors import UserError

NEEDLES = 5
THING = "passcode"
QUESTION = "{question} Answer with the passcode only. If it is not in the text, answer: not in the text."


class NeedleOptions(BaseModel):
    """What can be said of a needle experiment; the same names in an experiment file and on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["multi-key"] = "multi-key"
    lengths: tuple[int, ...] = Field(default=(1000,), min_length=1)
    layout: tuple[str, ...] = Field(default=("spread",), min_length=1)
    blocks: int = Field(default=10, ge=1, le=10_000)
    seed: int = 1
    ruler: str = "small"
    max_tokens: int = Field(default=32, ge=1, le=1_000_000)
    haystack: tuple[Path, ...] = ()

    _one_is_a_list = field_validator("lengths", "layout", "haystack", mode="before")(listed)

    @field_validator("lengths")
    @classmethod
    def _lengths_hold_needles(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        check_lengths(lengths)
        return lengths

    @field_validator("layout")
    @classmethod
    def _layouts_are_known(cls, layouts: tuple[str, ...]) -> tuple[str, ...]:
        for layout in layouts:
            layout_depths(layout)
        check_distinct(layouts)
        return layouts


def layout_depths(layout: str) -> tuple[float, ...]:
    """The depth of each needle, first to last, as a share of the haystack.

    Example: layout_depths("spread") -> (0.0, 0.25, 0.5, 0.75, 1.0); layout_depths("cluster@50") -> five times 0.5

    Raises:
        ValueError: for anything but `spread` and `cluster@DEPTH` with a depth from 0 to 100.
    """
    if layout == "spread":
        return tuple(order / (NEEDLES - 1) for order in range(NEEDLES))
    kind, _, depth = layout.partition("@")
    if kind == "cluster" and depth.isdigit() and int(depth) <= 100:
        return (int(depth) / 100,) * NEEDLES
    raise ValueError(f"layout {layout!r} is neither spread nor cluster@DEPTH with a depth from 0 to 100")


def plan_needle(options: NeedleOptions, ruler: Ruler) -> Plan:
    """Every request of the experiment, in the order of lengths, layouts, blocks and questions.

    Five blocks in a row share their needles, and each needle stands at another position in each of them.

    Raises:
        UserError: where a user's own haystack cannot be read or is too short.
    """
    trials = [
        trial
        for length in options.lengths
        for layout in options.layout
        for block in range(options.blocks)
        for trial in _block_trials(options, ruler, length, layout, block)
    ]
    spec = options.model_dump(mode="json") | {"outcome": "given when asked, by position"}
    return Plan("needle", spec, tuple(trials))


def _block_trials(options: NeedleOptions, ruler: Ruler, length: int, layout: str, block: int) -> Iterator[PlannedTrial]:
    haystack = _haystack(options, ruler, length, block)
    *needles, absent = draw_statements(THING, NEEDLES + 1, digits=5, seed=f"needle/{options.seed}/{block // NEEDLES}")
    turn = block % NEEDLES
    needles = needles[turn:] + needles[:turn]
    ensure_absent(haystack.text, [*needles, absent])
    tokens = ruler.count(haystack.text)
    placed = place(haystack, [needle.text for needle in needles], layout_depths(layout))
    for asked, needle in enumerate([*needles, absent]):
        present = asked < NEEDLES
        cell: dict[str, Any] = {
            "block": block,
            "length_tokens": length,
            "haystack_tokens": tokens,
            "layout": layout,
            "asked": asked if present else None,
            "depth": layout_depths(layout)[asked] if present else None,
            "actual_depth": round(placed.depths[asked], 4) if present else None,
            "offset": placed.offsets[asked] if present else None,
            "name": needle.name,
            "values": [each.value for each in needles],
        }
        yield PlannedTrial(block, _request(options, placed, needle), cell)


def _haystack(options: NeedleOptions, ruler: Ruler, length: int, block: int) -> Haystack:
    seed = f"haystack/{options.seed}/{block}"
    if not options.haystack:
        return generated_haystack(seed, length, ruler.count)
    haystack = haystack_from_files(options.haystack, seed, length, ruler.count)
    tokens, places = ruler.count(haystack.text), len(haystack.sentence_ends)
    if abs(tokens - length) > length / 5 or places < NEEDLES:
        raise UserError(
            f"the haystack has too few sentence ends: the stretch nearest to {length} tokens has {tokens}, and "
            f"{places} places for a needle",
            hint="use a text with sentences, or a greater --lengths",
        )
    return haystack


def _request(options: NeedleOptions, placed: Placed, needle: Statement) -> Request:
    prompt = f"{placed.text}\n\n{QUESTION.format(question=needle.question)}"
    return Request((Message("user", prompt),), max_tokens=options.max_tokens)
