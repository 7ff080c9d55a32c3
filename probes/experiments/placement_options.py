"""What can be said of a placement experiment: arms, contrasts, tasks, defaults, and what does not go together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from probes.experiments.common import check_distinct, checked_lengths, checked_temperatures, listed, read_lengths
from probes.experiments.placement_tasks import Framing, Task, load_task

Arm = Literal[
    "none",
    "padded-before",
    "irrelevant-before",
    "before",
    "padded-after",
    "irrelevant-after",
    "after",
    "bookend",
    "system",
    "reminder",
    "twice",
]
# Every arm, in the order of tables.
ARMS: tuple[Arm, ...] = get_args(Arm)
DEFAULT_ARMS: tuple[Arm, ...] = ("none", "padded-before", "before", "padded-after", "after", "bookend")
INSTRUCTED: tuple[Arm, ...] = ("before", "after", "bookend", "system", "reminder", "twice")
# What can be contrasted, in words.
CONTRASTS: dict[tuple[Arm, Arm], str] = {
    ("before", "padded-before"): "The instruction before the text, against neutral words there",
    ("after", "padded-after"): "The instruction after the text, against neutral words there",
    ("bookend", "none"): "The instruction at both ends, against the bare text",
    ("after", "before"): "The instruction after the text, against before it",
    ("before", "irrelevant-before"): "The instruction before the text, against another instruction there",
    ("after", "irrelevant-after"): "The instruction after the text, against another instruction there",
    ("bookend", "before"): "The instruction at both ends, against only before the text",
    ("bookend", "after"): "The instruction at both ends, against only after the text",
    ("system", "before"): "The instruction as system message, against before the text",
    ("system", "none"): "The instruction as system message, against the bare text",
    ("reminder", "before"): "The instruction before the text and a reminder after it, against no reminder",
    ("twice", "after"): "The text twice and then the instruction, against the text once",
}
# Contrasts that stand in for another, which is declared instead where its arms are there.
_INSTEAD: dict[tuple[Arm, Arm], tuple[Arm, Arm]] = {
    ("bookend", "before"): ("bookend", "none"),
    ("bookend", "after"): ("bookend", "none"),
    ("system", "none"): ("system", "before"),
}
Measure = Literal["coverage", "margin"]
FactStyle = Literal["plain", "typed"]


def declared_contrasts(arms: Sequence[str]) -> list[tuple[Arm, Arm]]:
    """The contrasts that an experiment with these arms declares, each arm with its control.

    The instruction at both ends is read against the bare text, or where that is not asked against each end alone; the
    system message against the instruction before the text, or else against the bare text.

    Example: declared_contrasts(["before", "after", "bookend"]) -> after against before, bookend against either
    """
    possible = [pair for pair in CONTRASTS if set(pair) <= set(arms)]
    return [pair for pair in possible if _INSTEAD.get(pair) not in possible]


class PlacementOptions(BaseModel):
    """The options of a placement experiment; the same names in an experiment file and on the command line.

    `lengths`: tokens of the ruler, or shares of the smallest window such as "25%", which with_windows makes numbers;
    no texts of the user's are cut to them. `temperature`: () sends none. `equivalence`: how many points of coverage
    are small enough to be called no effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    framing: Framing = "document"
    task: Task = "focused"
    instruction_file: Path | None = None
    place: tuple[Arm, ...] = Field(default=DEFAULT_ARMS, min_length=1)
    measure: tuple[Measure, ...] = Field(default=("coverage", "margin"), min_length=1)
    facts: FactStyle = "plain"
    document: tuple[Path, ...] = ()
    lengths: tuple[int | str, ...] = Field(default=(400,), min_length=1)
    temperature: tuple[float, ...] = ()
    samples: int = Field(default=1, ge=1, le=1000)
    equivalence: float = Field(default=5.0, gt=0, le=100)
    blocks: int = Field(default=10, ge=1, le=10_000)
    seed: int = 1
    ruler: str = "small"
    max_tokens: int = Field(default=160, ge=1, le=1_000_000)

    _one_is_a_list = field_validator("place", "measure", "document", "lengths", "temperature", mode="before")(listed)

    @model_validator(mode="before")
    @classmethod
    def _what_the_task_needs(cls, values: Any) -> Any:
        """Answers to some tasks are longer than others', unless `max_tokens` says how long they may be."""
        if isinstance(values, dict) and values.get("max_tokens") is None:
            values = {key: value for key, value in values.items() if key != "max_tokens"}
            if (task := load_task(values.get("task", "focused"))) is not None:
                values["max_tokens"] = task.max_tokens
        return values

    _lengths_are_read = field_validator("lengths", mode="before")(read_lengths)
    _lengths_hold_facts = field_validator("lengths")(checked_lengths)
    _temperatures_can_be = field_validator("temperature")(checked_temperatures)

    @field_validator("place", "measure", "document", "temperature")
    @classmethod
    def _each_is_given_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        check_distinct(values)
        return values

    @model_validator(mode="after")
    def _all_fits(self) -> Self:
        check_fit(self)
        return self

    def declared(self, *, blocks: int) -> dict[str, Any]:
        """What is laid down before the first call: the primary outcome, the contrasts, the margin, the stopping rule.

        `blocks`: how many the plan has. `equivalence_points` are points of coverage. What tables show beside this is
        exploratory.
        """
        return {
            "primary": "margin" if "margin" in self.measure else "coverage",
            "contrasts": [list(pair) for pair in declared_contrasts(self.place)],
            "interactions": ["length"] if len(self.lengths) > 1 else [],
            "correction": "Holm over the contrasts of one outcome",
            "stopping": "fixed blocks",
            "blocks": blocks,
            "equivalence_points": self.equivalence,
        }


def check_fit(options: PlacementOptions) -> None:
    """Raise ValueError where options do not go with one another."""
    samples_answers = "coverage" in options.measure
    for refused, why in (
        (
            options.instruction_file is not None and options.task != "focused",
            "--instruction-file brings wording of its own, and --task chooses ours: give one of them",
        ),
        (
            bool(options.document) and options.lengths != (400,),
            "--lengths is for texts that are made up; those of --document are as long as they are",
        ),
        (
            options.samples > 1 and not samples_answers,
            "--samples repeats written answers, and --measure margin alone writes none",
        ),
        (
            bool(options.temperature) and not samples_answers,
            "--temperature is for written answers, and --measure margin alone writes none",
        ),
    ):
        if refused:
            raise ValueError(why)
