"""The smallest differences that a plan can show, by its declared contrasts and how many texts it has.

Nothing is known yet of the answers, so something has to be assumed: that two arms answer one question in five
differently, and that questions about one text are a little alike (see `probes/stats.py`).
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from probes.experiments.needle_contrasts import DECLARED, level_pairs, level_words
from probes.experiments.needle_results import Setting, whole_cell
from probes.experiments.placement import CONTRASTS, FACTS
from probes.plan import Plan
from probes.stats import DISCORDANT, detectable_difference, planned_difference, wilson


@dataclass(frozen=True, slots=True)
class Detectable:
    """One declared contrast of a plan.

    `blocks` texts with `answers` questions each in both arms; `tests` contrasts share the 5 %. `difference`: the
    smallest true one, as a share of all answers, that is found four times in five; None: none can be.
    """

    contrast: str
    blocks: int
    answers: int
    tests: int
    difference: float | None


def detectable_differences(plan: Plan) -> Iterator[Detectable]:
    """The declared contrasts of a plan, each once for all its lengths and settings that have as many texts."""
    found = _placement(plan) if plan.probe == "placement" else _needle(plan)
    yield from dict.fromkeys(found)


def widest_rate(blocks: int) -> float:
    """Half the width of the 95 % interval of a rate of one half, with one answer a text.

    Example: widest_rate(10) -> 0.26
    """
    interval = wilson(blocks // 2, blocks)
    return 1.0 if interval is None else (interval.high - interval.low) / 2


def _placement(plan: Plan) -> Iterator[Detectable]:
    arms: dict[Any, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for trial in plan.trials:
        if trial.cell["measure"] == "coverage":
            arms[trial.cell["length_tokens"]][trial.cell["arm"]].add(trial.block)
    for blocks in arms.values():
        pairs = {pair: words for pair, words in CONTRASTS.items() if set(pair) <= set(blocks)}
        for (arm, control), words in pairs.items():
            count = len(blocks[arm] & blocks[control])
            difference = planned_difference(count, FACTS, tests=len(pairs))
            yield Detectable(f"{words}: coverage", count, FACTS, len(pairs), difference)


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

    Example: "Before against after: 27 points or more can be seen with 10 texts."
    """
    name = f"{found.contrast[:1].upper()}{found.contrast[1:]}"
    texts = f"{found.blocks} text{'' if found.blocks == 1 else 's'}"
    if found.difference is None:
        return f"{name}: {texts} can show no difference at all; use more --blocks."
    return f"{name}: {math.ceil(100 * found.difference)} points or more can be seen with {texts}."


ASSUMED = (
    "That is found four times in five, at p < 0.05, if the two answer "
    f"{100 * DISCORDANT:.0f}% of the questions differently."
)
