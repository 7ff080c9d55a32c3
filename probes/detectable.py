"""The smallest differences that a plan can show, by its declared contrasts and how many blocks it has.

Nothing is known yet of the answers, so something has to be assumed: that two arms answer one question in five
differently, and that questions about one text are a little alike (see `probes/stats.py`).
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from probes.experiments.needle_factors import DECLARED, level_pairs, level_words
from probes.experiments.needle_results import Setting, whole_cell
from probes.experiments.placement_options import CONTRASTS
from probes.plan import Plan
from probes.power import DISCORDANT, planned_difference
from probes.stats import blocks_words, detectable_difference, wilson


@dataclass(frozen=True, slots=True)
class Detectable:
    """One declared contrast of a plan.

    `blocks` blocks with `answers` questions each in both arms; `tests` contrasts share the 5 %. `difference`: the
    smallest true one, as a share of all answers, that is found four times in five; None: none can be.
    """

    contrast: str
    blocks: int
    answers: int
    tests: int
    difference: float | None


def detectable_differences(plan: Plan) -> Iterator[Detectable]:
    """The declared contrasts of a plan, each once for all its lengths and settings that have as many blocks."""
    if plan.probe == "judge":
        return  # how much its arms differ is in the answers already
    found = _placement(plan) if plan.probe == "placement" else _needle(plan)
    yield from dict.fromkeys(found)


def widest_rate(blocks: int) -> float:
    """Half the width of the 95 % interval of a rate of one half, with one answer a text.

    Example: widest_rate(10) -> 0.26
    """
    interval = wilson(blocks // 2, blocks)
    return 1.0 if interval is None else (interval.high - interval.low) / 2


def _placement(plan: Plan) -> Iterator[Detectable]:
    """What each declared contrast can show at one length; of texts with different numbers of facts, by the fewest."""
    arms: dict[Any, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for trial in plan.trials:
        cell = trial.cell
        if cell["measure"] == "coverage":
            setting = cell["length_tokens"], cell.get("temperature")
            arms[setting][cell["arm"]][trial.block] = len(cell["names"])
    declared = {(arm, control): CONTRASTS[arm, control] for arm, control in plan.spec["contrasts"]}
    steepness = _steepness({length for length, _ in arms})
    for blocks in arms.values():
        for (arm, control), words in declared.items():
            both = blocks[arm].keys() & blocks[control].keys()
            facts = min((blocks[arm][block] for block in both), default=0)
            if facts:
                difference = planned_difference(len(both), facts, tests=len(declared))
                about = len(both), facts, len(declared)
                yield Detectable(f"{words}: coverage", *about, difference)
                if steepness is not None:
                    slope = difference * steepness if difference is not None else None
                    yield Detectable(f"{words}, its change when the text is twice as long: coverage", *about, slope)


def _steepness(lengths: Collection[int]) -> float | None:
    """How many times as wide a block's slope over log2(length) spreads as its difference at one length.

    That is for differences at several lengths that have nothing to do with one another. None for a single length.

    Example: _steepness({400, 800, 1600}) -> 0.71; _steepness({400, 800}) -> 1.41
    """
    places = [math.log2(length) for length in lengths]
    squares = sum((place - sum(places) / len(places)) ** 2 for place in places)
    return 1 / math.sqrt(squares) if squares else None


def _needle(plan: Plan) -> Iterator[Detectable]:
    settings: dict[Setting, dict[int, set[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(set))
    for trial in plan.trials:
        cell = whole_cell(trial.cell)
        if cell["measure"] == "answer" and cell["control"] is None:
            setting = Setting("", *(cell[field] for field in Setting._fields[1:]))
            settings[setting][trial.block].add((cell["depth"], cell["asked"]))
    for setting, blocks in settings.items():
        yield from _ends_and_middle(setting, blocks)
    for factor in DECLARED:
        if factor != "depth":
            yield from _between_levels(factor, settings)


def _ends_and_middle(setting: Setting, blocks: Mapping[int, set[tuple[Any, ...]]]) -> Iterator[Detectable]:
    """The ends of the text against what is between them: different questions, so that nothing pairs their answers."""
    questions = next(iter(blocks.values()))
    depths = len({depth for depth, _ in questions} - {None})
    if depths < 3 or setting.layout.startswith("cluster"):
        return
    tests = 2 if len({asked for _, asked in questions}) == 1 else 1  # one needle: the end against the beginning, too
    spread = 0.5 * math.sqrt(1 / 2 + 1 / (depths - 2))
    difference = detectable_difference(spread, len(blocks), tests=tests)
    possible = difference if difference is not None and difference <= 1 else None
    yield Detectable("the two ends against the middle", len(blocks), len(questions), tests, possible)


def _between_levels(
    factor: str, settings: Mapping[Setting, Mapping[int, set[tuple[Any, ...]]]]
) -> Iterator[Detectable]:
    families: dict[Any, dict[Any, Mapping[int, set[tuple[Any, ...]]]]] = defaultdict(dict)
    for setting, blocks in settings.items():
        families[setting.without(factor)][getattr(setting, factor)] = blocks
    for levels in families.values():
        pairs = level_pairs(factor, levels)
        for level, base in pairs:
            both = set(levels[level]) & set(levels[base])
            answers = max((len(levels[level][block] & levels[base][block]) for block in both), default=0)
            if answers:
                difference = planned_difference(len(both), answers, tests=len(pairs))
                name = f"{level_words(factor, level)} against {level_words(factor, base)}"
                yield Detectable(name, len(both), answers, len(pairs), difference)


def detectable_sentence(found: Detectable) -> str:
    """What one contrast of a plan can show, in words.

    Example: "Before against after: 27 points or more can be seen with 10 blocks."
    """
    name = f"{found.contrast[:1].upper()}{found.contrast[1:]}"
    blocks = blocks_words(found.blocks)
    if found.difference is None:
        return f"{name}: {blocks} can show no difference at all; use more --blocks."
    return f"{name}: {math.ceil(100 * found.difference)} points or more can be seen with {blocks}."


ASSUMED = (
    "That is found four times in five, at p < 0.05, if the two answer "
    f"{100 * DISCORDANT:.0f}% of the questions differently."
)
