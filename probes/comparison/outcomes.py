"""What models are compared by: one value a question, read from the answers of one contender.

A question is asked in one block under some levels (a length, a depth, a place or an arm, ...); repeats of it are
averaged. Its value is None where there is no answer to judge: the call failed or was never made, or the answer was cut
short, and for placements also where it was a refusal. None is never a miss.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from probes.experiments.needle_likelihood import KINDS, read_likelihoods
from probes.experiments.needle_results import Scored, Setting, whole_cell
from probes.experiments.placement_outcomes import LeastMeasurable, arms_in, block_value, least_measurable
from probes.experiments.placement_outcomes import read_outcomes as read_placement_outcomes
from probes.plan import Result
from probes.scoring import SCORER, score_cell

Levels = tuple[tuple[str, Any], ...]
Question = Hashable
# What the cells of earlier placement runs did not say, because there was nothing else.
_PLACEMENT_DEFAULTS: Mapping[str, Any] = {"task": "focused", "temperature": None, "sample": 0, "document": "generated"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that contenders are compared by. `better` is -1 where less of it is better.

    The name ends in its unit: a rate lies between 0 and 1, nats have no bounds. `words` name it in a sentence, after
    "more" or "less", and in a title. `in_detail`: it is also told by length, depth, place, ..., and how effects differ.
    """

    name: str
    words: str
    better: int = 1
    in_detail: bool = True

    @property
    def is_rate(self) -> bool:
        """Whether it is a share between 0 and 1."""
        return self.name.endswith("_rate")


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of one question, or None where it has none."""

    block: int
    levels: Levels
    value: float | None


Reading = dict[Question, Measured]
# In the order in which they are told. The first that all contenders have is the declared one.
COVERAGE = Outcome("coverage_rate", "coverage of the facts")
OUTCOMES: Mapping[str, tuple[Outcome, ...]] = {
    "needle": (
        Outcome("right_rate", "right answers"),
        Outcome("unasked_rate", "values given that were not asked for", better=-1, in_detail=False),
        Outcome("lift_nats", "lift of a value by its own question"),
        Outcome("margin_nats", "margin of the right value", in_detail=False),
        Outcome("likeliest_rate", "right values that are the likeliest", in_detail=False),
    ),
    "placement": (Outcome("margin_nats", "margin of the facts"), COVERAGE),
}


class Read(NamedTuple):
    """What the results of one contender say, by the names of `OUTCOMES`; what was not measured is absent.

    `least_measurable`: for placements the arm whose answers are summaries least often, as without summaries there is no
    coverage; the results must hold their prompts for that.
    """

    readings: Mapping[str, Reading]
    least_measurable: LeastMeasurable | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """A contrast inside each contender: the mean under some levels of a factor less that under others.

    `sides` says of all levels that a group has which stand first and which second; None where it has no such contrast.
    """

    name: str
    factor: str
    sides: Callable[[Sequence[Any]], tuple[Sequence[Any], Sequence[Any]] | None]


def _after_less_before(levels: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]] | None:
    return (["after"], ["before"]) if {"after", "before"} <= set(levels) else None


def _ends_less_middle(levels: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]] | None:
    depths = sorted(levels)
    return ([depths[0], depths[-1]], depths[1:-1]) if len(depths) > 2 else None


EFFECTS: Mapping[str, tuple[Effect, ...]] = {
    "needle": (
        Effect("after less before", "place", _after_less_before),
        Effect("ends less middle", "depth", _ends_less_middle),
    ),
    "placement": (Effect("after less before", "arm", _after_less_before),),
}


def whole(probe: str, cell: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's cell with what earlier versions left out, so that runs of then and of now can be told the same."""
    if probe == "needle":
        return whole_cell(cell)
    framing = "transcript" if "speakers" in cell else "document"
    return {**_PLACEMENT_DEFAULTS, "framing": framing, **cell}


def read_outcomes(probe: str, results: Sequence[Result]) -> Read:
    """Everything that the results of one contender say of it."""
    found = _read_needles(results) if probe == "needle" else _read_placements(results)
    return found._replace(readings={name: reading for name, reading in found.readings.items() if reading})


def read_effect(effect: Effect, reading: Reading) -> Reading:
    """The contrast of each question under all its other levels; None where one of its sides has no value."""
    there = [dict(each.levels) for each in reading.values()]
    sides = effect.sides(in_order(levels[effect.factor] for levels in there if effect.factor in levels))
    if sides is None:
        return {}
    groups: dict[tuple[int, Levels], dict[Any, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for each in reading.values():
        levels = dict(each.levels)
        if effect.factor in levels:
            level = levels.pop(effect.factor)
            groups[each.block, tuple(levels.items())][level].append(each.value)
    first, second = sides
    return {
        (block, others): Measured(block, others, _less(_pooled(values, first), _pooled(values, second)))
        for (block, others), values in groups.items()
        if any(level in values for level in first) and any(level in values for level in second)
    }


def in_order(levels: Iterable[Any]) -> list[Any]:
    """The levels of one factor, each once: words as they come, numbers upwards after what is left to the model."""
    found = list(dict.fromkeys(levels))
    if any(isinstance(level, str) for level in found):
        return found
    return sorted(found, key=lambda level: (level is not None, level or 0))


def _pooled(values: Mapping[Any, Sequence[float | None]], levels: Iterable[Any]) -> float | None:
    """The mean over levels that are all there, each of which has all its values."""
    found = [value for level in levels for value in values.get(level, [None])]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if found and len(known) == len(found) else None


def _less(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


# ------------------------------------------------------------------------------------------------------- needles


def _read_needles(results: Sequence[Result]) -> Read:
    right, unasked = _Repeats(), _Repeats()
    for result in results:
        cell = whole_cell(result.trial.cell)
        if cell["measure"] != "answer":
            continue
        each = Scored(result, cell, score_cell(result.completion, cell, SCORER))
        setting = each.setting.without("model")
        levels = _levels({**dict(setting), "depth": cell["depth"]})
        question = (each.block, setting, each.item)
        if cell["control"] is None:
            right.add(question, each.block, levels, float(each.hit) if each.counts else None)
        if cell["control"] in (None, "absent") and cell["needles"] > 1 and cell["answer"] == "one":
            gave_other = float(any(given != each.asked for given in each.score.given))
            unasked.add(question, each.block, levels, gave_other if each.counts else None)
    return Read({"right_rate": right.means(), "unasked_rate": unasked.means()} | _read_held(results))


def _read_held(results: Sequence[Result]) -> dict[str, Reading]:
    """The likelihoods; a question of which something is missing is not there."""
    names = {kind: f"{kind}_{'rate' if kind == 'likeliest' else 'nats'}" for kind in KINDS}
    readings: dict[str, Reading] = {name: {} for name in names.values()}
    for setting, held in read_likelihoods(results).items():
        common = Setting(*setting).without("model")
        for each in held:
            levels = _levels({**dict(common), "depth": each.depth})
            for kind, name in names.items():
                value = getattr(each, kind)
                if value is not None:
                    question = (each.block, common, each.position, each.depth)
                    readings[name][question] = Measured(each.block, levels, value)
    return readings


# ---------------------------------------------------------------------------------------------------- placements


def _read_placements(results: Sequence[Result]) -> Read:
    """Margins and coverage, a question being one text in one arm; an outcome that was not asked for is not there."""
    measured = {result.trial.cell["measure"] for result in results}
    names = [
        name for name, measure in (("margin_nats", "margin"), ("coverage_rate", "coverage")) if measure in measured
    ]
    readings: dict[str, Reading] = {name: {} for name in names}
    least = []
    for setting, blocks in read_placement_outcomes(results).items():
        common = {name: level for name, level in setting._asdict().items() if name != "model"}
        least += [found] if (found := least_measurable(blocks)) else []
        for block, arms in blocks.items():
            for arm in arms_in({block: arms}):
                levels = _levels({"arm": arm, **common})
                for name in names:
                    measured_here = Measured(block, levels, block_value(arms[arm], name))
                    readings[name][block, levels] = measured_here
    return Read(readings, min(least, key=lambda each: each.rate, default=None))


# ------------------------------------------------------------------------------------------------------- repeats


class _Repeats:
    """Gathers the values of questions, and averages the repeats of each."""

    def __init__(self) -> None:
        self._values: dict[Question, tuple[int, Levels, list[float]]] = {}

    def add(self, question: Question, block: int, levels: Levels, value: float | None) -> None:
        _, _, values = self._values.setdefault(question, (block, levels, []))
        if value is not None:
            values.append(value)

    def means(self) -> Reading:
        return {
            question: Measured(block, levels, sum(values) / len(values) if values else None)
            for question, (block, levels, values) in self._values.items()
        }


def _levels(levels: Mapping[str, Any]) -> Levels:
    """The levels that a question has, in a form that can be a key."""
    return tuple((name, level) for name, level in levels.items() if level is not None or name == "temperature")
