"""What can be said of a needle experiment: one place for the names, the defaults and what does not go together."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from probes.experiments.common import (
    check_distinct,
    checked_lengths,
    checked_temperatures,
    listed,
    parse_number,
    parse_whole,
    read_lengths,
)
from probes.experiments.needle_forms import Language
from probes.experiments.needle_parts import IdStyle, Task
from probes.experiments.needle_prompts import STYLES, Place
from probes.experiments.needle_tasks import find_task
from tokenizer.errors import UserError

Control = Literal["absent", "closed-book", "short"]
CONTROLS: tuple[Control, ...] = ("absent", "closed-book", "short")
Structure = Literal["plain", "headings"]
Measure = Literal["answer", "likelihood"]
HaystackStyle = Literal["prose", "minutes", "repeat", "noise", "needles-only"]
DEPTHS = (0.0, 25.0, 50.0, 75.0, 100.0)
NEEDLES = len(DEPTHS)  # of a text with several, unless --depths says otherwise
MOST_DEPTHS = 200


class NeedleOptions(BaseModel):
    """The options of a needle experiment; the same names in an experiment file and on the command line.

    `lengths`: tokens of the ruler, or shares of the smallest window such as "25%", which with_windows makes numbers.
    `depths`: in percent. `temperature`: () sends none. `distractors`: None is what the task has by itself.
    `equivalence`: how many points of a rate are small enough to be called no effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = "multi-key"
    lengths: tuple[int | str, ...] = Field(default=(1000,), min_length=1)
    depths: tuple[float, ...] = Field(default=DEPTHS, min_length=1, max_length=MOST_DEPTHS)
    layout: tuple[str, ...] = Field(default=("spread",), min_length=1)
    place: tuple[Place, ...] = Field(default=("after",), min_length=1)
    structure: tuple[Structure, ...] = Field(default=("plain",), min_length=1)
    context: tuple[str, ...] = Field(default=("whole",), min_length=1)
    prompt_style: tuple[str, ...] = Field(default=("ours",), min_length=1)
    measure: tuple[Measure, ...] = Field(default=("answer",), min_length=1)
    controls: tuple[Control, ...] = CONTROLS
    distractors: int | None = Field(default=None, ge=0, le=1000)
    ids: IdStyle = "uuid"
    needles: Path | None = None
    haystack: tuple[Path, ...] = ()
    haystack_style: HaystackStyle = "prose"
    language: Language = "en"
    shuffle: bool = False
    temperature: tuple[float, ...] = ()
    samples: int = Field(default=1, ge=1, le=1000)
    equivalence: float = Field(default=5.0, gt=0, le=100)
    blocks: int = Field(default=10, ge=1, le=10_000)
    seed: int = 1
    ruler: str = "small"
    max_tokens: int = Field(default=32, ge=1, le=1_000_000)

    _one_is_a_list = field_validator(
        *("lengths", "layout", "place", "structure", "context", "prompt_style", "measure", "controls"),
        *("haystack", "temperature"),
        mode="before",
    )(listed)

    @model_validator(mode="before")
    @classmethod
    def _what_the_task_needs(cls, values: Any) -> Any:
        """Answers of some tasks are longer than others', unless `max_tokens` says how long they may be."""
        if isinstance(values, dict) and values.get("max_tokens") is None:
            values = {key: value for key, value in values.items() if key != "max_tokens"}
            name = values.get("task", "multi-key")
            if isinstance(name, str):
                values["max_tokens"] = known_task(name).max_tokens
        return values

    _lengths_are_read = field_validator("lengths", mode="before")(read_lengths)
    _lengths_hold_needles = field_validator("lengths")(checked_lengths)
    _temperatures_can_be = field_validator("temperature")(checked_temperatures)

    @field_validator("depths", mode="before")
    @classmethod
    def _read_depths(cls, depths: Any) -> Any:
        if isinstance(depths, str):
            return parse_depths(depths)
        if isinstance(depths, list | tuple):
            return tuple(each.removesuffix("%") if isinstance(each, str) else each for each in depths)
        return listed(depths)

    @field_validator("depths")
    @classmethod
    def _depths_are_shares(cls, depths: tuple[float, ...]) -> tuple[float, ...]:
        for depth in depths:
            if not 0 <= depth <= 100:
                raise ValueError(f"{depth:g} is no depth: depths are percent of the text, from 0 to 100")
        check_distinct(depths)
        return tuple(sorted(depths))

    @field_validator("layout")
    @classmethod
    def _layouts_are_known(cls, layouts: tuple[str, ...]) -> tuple[str, ...]:
        for layout in layouts:
            layout_depths(layout)
        return layouts

    @field_validator("context")
    @classmethod
    def _contexts_are_known(cls, contexts: tuple[str, ...]) -> tuple[str, ...]:
        for context in contexts:
            chunks_of(context)
        return contexts

    @field_validator("prompt_style")
    @classmethod
    def _styles_are_known(cls, styles: tuple[str, ...]) -> tuple[str, ...]:
        for style in styles:
            if style not in STYLES:
                raise ValueError(f"there is no prompt style {style!r}; known are {', '.join(STYLES)}")
        return styles

    @model_validator(mode="after")
    def _all_fits(self) -> Self:
        for name in ("layout", "place", "structure", "context", "prompt_style", "measure", "controls", "temperature"):
            check_distinct(getattr(self, name))
        check_fit(self, known_task(self.task))
        return self


def known_task(name: str) -> Task:
    """The task of this name; a ValueError, as options are checked, where there is none."""
    try:
        return find_task(name)
    except UserError as err:
        raise ValueError(f"{err}; {err.hint}") from err


def check_fit(options: NeedleOptions, task: Task) -> None:
    """Raise ValueError where options do not go with the task, or with one another."""
    ours_alone = options.prompt_style == ("ours",)
    made_up = options.haystack_style in ("repeat", "noise", "needles-only")
    about_the_text = (options.haystack, options.shuffle, options.haystack_style, options.structure, options.context)
    own = options.needles is not None
    for refused, why in (
        (
            options.layout != ("spread",) and not task.several,
            f"--layout is for several needles in one text, and a text of the task {task.name} is asked about one",
        ),
        (
            task.makes_text and about_the_text != ((), False, "prose", ("plain",), ("whole",)),
            f"the task {task.name} makes its own text: nothing can be said about haystack, structure or context",
        ),
        (options.distractors is not None and task.distractors is None, f"the task {task.name} takes no --distractors"),
        (options.ids != "uuid" and task.name != "kv", f"--ids is for the task kv, and the task {task.name} has none"),
        (own and not task.takes_own_needles, f"the task {task.name} has its own needles; --needles is not for it"),
        (
            own and bool(options.distractors),
            "--distractors are like the tool's own needles, and --needles brings others",
        ),
        (
            own and options.haystack_style == "needles-only",
            "--haystack-style needles-only is made of the tool's own needles, and --needles brings others",
        ),
        (
            "likelihood" in options.measure and not task.likelihood,
            f"a likelihood is that of one value, and the answers of the task {task.name} are no single values",
        ),
        (options.language not in task.languages, f"the task {task.name} does not speak {options.language!r}"),
        (
            bool(options.haystack) and options.haystack_style != "prose",
            "--haystack-style is for texts that are made up, and --haystack brings one",
        ),
        (options.shuffle and made_up, f"--shuffle changes nothing about a text of the style {options.haystack_style}"),
        (options.language != "en" and not ours_alone, "prompt styles other than ours are written in English"),
        (
            not any(place in STYLES[style].parts for style in options.prompt_style for place in options.place),
            f"--place is for our prompt style; {', '.join(options.prompt_style)} has its own place for the question",
        ),
    ):
        if refused:
            raise ValueError(why)


def parse_depths(text: str) -> tuple[float, ...]:
    """Depths in percent: a list, so many at equal steps, or so many that crowd at both ends.

    Example: parse_depths("0,50,100") -> (0.0, 50.0, 100.0); parse_depths("linear:3") -> the same;
    parse_depths("sigmoid:5") -> (0.0, 7.59, 50.0, 92.41, 100.0)

    Raises:
        ValueError: it is none of these, or a share of one where percent are meant.
    """
    kind, colon, count = text.partition(":")
    many = parse_whole(count)
    if colon and kind in ("linear", "sigmoid") and many is not None and 1 <= many <= MOST_DEPTHS:
        steps = [100 * step / (many - 1) for step in range(many)] if many > 1 else [50.0]
        if kind == "sigmoid":
            inner = [100 / (1 + math.exp(-(step - 50) / 10)) for step in steps[1:-1]]
            steps = [steps[0], *inner, steps[-1]] if len(steps) > 1 else steps
        return tuple(round(step, 2) for step in steps)
    try:
        depths = tuple(parse_number(part.strip().removesuffix("%")) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{text!r} is no list of depths; write 0,25,50 in percent, linear:N or sigmoid:N with N up to {MOST_DEPTHS}"
        ) from None
    refuse_shares([depth for depth, part in zip(depths, text.split(","), strict=True) if "%" not in part])
    return depths


def refuse_shares(depths: Any) -> None:
    """Refuse depths that a person seems to have written as shares of one: half a percent of a text is no usual place.

    Raises:
        ValueError: one of them lies between 0 and 1.

    Example: refuse_shares([0, 50, 100]) -> None; refuse_shares([0.5]) raises
    """
    for depth in depths if isinstance(depths, list | tuple) else [depths]:
        if isinstance(depth, float) and 0 < depth < 1:
            raise ValueError(
                f"depths are in percent of the text, so {depth:g} is next to its beginning; write {100 * depth:g} for "
                f'{100 * depth:g} percent, or "{depth:g}%" if that is meant'
            )


def layout_depths(layout: str, depths: Sequence[float] = DEPTHS) -> tuple[float, ...]:
    """The depth of each needle, first to last, as a share of the haystack; `depths` in percent.

    Example: layout_depths("spread") -> (0.0, 0.25, 0.5, 0.75, 1.0); layout_depths("cluster@50") -> five times 0.5

    Raises:
        ValueError: for anything but `spread` and `cluster@DEPTH` with a depth from 0 to 100.
    """
    if layout == "spread":
        return tuple(depth / 100 for depth in depths)
    kind, _, depth = layout.partition("@")
    percent = parse_whole(depth)
    if kind == "cluster" and percent is not None and percent <= 100:
        return (percent / 100,) * len(depths)
    raise ValueError(f"layout {layout!r} is neither spread nor cluster@DEPTH with a depth from 0 to 100")


def chunks_of(context: str) -> int | None:
    """Into how many excerpts a text is cut; None where it is not.

    Example: chunks_of("chunks:8") -> 8; chunks_of("whole") -> None

    Raises:
        ValueError: for anything but `whole`, `focused` and `chunks:N` with N from 2 on.
    """
    if context in ("whole", "focused"):
        return None
    kind, _, count = context.partition(":")
    many = parse_whole(count)
    if kind == "chunks" and many is not None and 2 <= many <= 10_000:
        return many
    raise ValueError(f"context {context!r} is none of whole, focused and chunks:N with N from 2 on")
