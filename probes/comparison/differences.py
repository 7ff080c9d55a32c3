"""How two contenders differ, with intervals and tests: overall, by the levels of each factor, and in their effects.

One difference a block: repeats of a question are averaged first, then the questions that both answered, then blocks.
The overall difference in the first outcome is declared, and corrected over the pairs of contenders (Holm 1979); all
other rows are exploratory, and corrected together for false discoveries (Benjamini and Hochberg 1995).
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.comparison.outcomes import COVERAGE, EFFECTS, Outcome, Reading, in_order, read_effect
from probes.equivalence import equivalence
from probes.experiments.needle_contrasts import MCNEMAR, SIGN_FLIP
from probes.missing import worst_case_differences
from probes.stats import LEVEL, holm, interaction, mcnemar, paired_difference

Row = dict[str, Any]
Pair = tuple[int, float | None, float | None]  # block, and what either side's answer is worth
SLOPE = "per doubling of the length"
HOLM, FALSE_DISCOVERIES = "Holm", "Benjamini-Hochberg"


@dataclass(frozen=True, slots=True)
class Design:
    """What holds for all comparisons: the seed of resampling, and how near two rates must be to be called the same.

    `declared`: how many comparisons are, on which it depends what can be detected.
    """

    seed: int
    same_within: float
    declared: int


def pair_rows(
    probe: str, outcome: Outcome, first: Reading, second: Reading, design: Design, *, declared: bool
) -> list[Row]:
    """The rows of one pair and outcome, each of one block or more in which both have an answer.

    `declared`: whether the overall row is; no other is.
    """
    most = 1.0 if outcome.is_rate else math.inf
    found = _difference(_paired(first, second), design, most=most, tests=design.declared if declared else 1)
    rows = [_where(outcome, declared=declared) | found] if found else []
    if not outcome.in_detail or not found:
        return rows
    for factor, levels in _factors(first).items():
        for level in levels:
            here = _paired(_at(first, factor, level), _at(second, factor, level))
            if found := _difference(here, design, most=most):
                rows.append(_where(outcome, factor=factor, level=level) | found)
    if slope := _slope(first, second, design, most=most):
        rows.append(_where(outcome, factor="length_tokens", effect=SLOPE) | slope)
    for effect in EFFECTS[probe]:
        both = _paired(read_effect(effect, first), read_effect(effect, second))
        if found := _difference(both, design, most=2 * most, least=-most):
            rows.append(_where(outcome, factor=effect.factor, effect=effect.name) | found)
    return rows


def _where(
    outcome: Outcome, *, effect: str | None = None, factor: str | None = None, level: Any = None, declared: bool = False
) -> Row:
    """What a row is about: an effect, one level of a factor, or with neither all questions together."""
    return {"outcome": outcome.name, "effect": effect, "factor": factor, "level": level, "declared": declared}


def _paired(first: Reading, second: Reading) -> list[Pair]:
    """The questions of both; None for the side that has no answer."""
    pairs: list[Pair] = []
    for question, either in {**first, **second}.items():
        one, other = first.get(question), second.get(question)
        pairs.append((either.block, one.value if one else None, other.value if other else None))
    return pairs


def _by_block(pairs: Iterable[Pair]) -> dict[int, list[tuple[float, float]]]:
    """The answers of each block that both have."""
    blocks: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for block, first, second in pairs:
        if first is not None and second is not None:
            blocks[block].append((first, second))
    return blocks


def _difference(
    pairs: Sequence[Pair], design: Design, *, most: float, least: float = 0.0, tests: int = 1
) -> Row | None:
    """The mean difference over blocks with all that is known of it; None where both have an answer nowhere.

    `most` is the largest difference there can be, infinite for nats; a value of a rate lies between `least` and 1.
    """
    blocks = _by_block(pairs)
    means = [(_mean([a for a, _ in values]), _mean([b for _, b in values])) for values in blocks.values()]
    differences = [first - second for first, second in means]
    found = paired_difference(differences, seed=design.seed, tests=tests, most=most)
    if found is None:
        return None
    row: Row = {
        "questions": len(pairs),
        "missing": sum(first is None or second is None for _, first, second in pairs),
        "first_value": _mean([first for first, _ in means]),
        "second_value": _mean([second for _, second in means]),
        **found.row(),
        "unit": "block",
        "test": SIGN_FLIP,
    }
    answers = [pair for values in blocks.values() for pair in values]
    if most == 1.0 and len(answers) == len(blocks) and all({*pair} <= {0.0, 1.0} for pair in answers):
        row |= {"test": MCNEMAR, "p_value": mcnemar(answers.count((1.0, 0.0)), answers.count((0.0, 1.0)))}
    return row | _worst_case(pairs, least, most) | _equivalence(differences, design, most=most)


def _worst_case(pairs: Sequence[Pair], least: float, most: float) -> Row:
    """The lowest and the highest that the difference could be, had every answer come back; unknown for nats."""
    if not math.isfinite(most):
        return {"worst_low": None, "worst_high": None}
    sides = [[pair[side] for pair in pairs] for side in (1, 2)]
    bounds = worst_case_differences(*sides, least=least, most=1.0)
    blocks = [block for block, _, _ in pairs]
    low, high = (_mean_of_blocks(zip(blocks, bound, strict=True)) for bound in bounds)
    return {"worst_low": low, "worst_high": high}


def _equivalence(differences: Sequence[float], design: Design, *, most: float) -> Row:
    """Whether two rates are the same within a few points, which an interval of 90 % must show; unknown for all else.

    `no_effect_beyond`: the smallest margin for which it would.
    """
    found = equivalence(differences, margin=design.same_within, seed=design.seed, most=most) if most == 1.0 else None
    return {
        "equivalence_points": 100 * design.same_within if found else None,
        "equivalence_low": found.interval90.low if found else None,
        "equivalence_high": found.interval90.high if found else None,
        "equivalent": found.equivalent if found else None,
        "no_effect_beyond": found.smallest_margin if found else None,
    }


def _slope(first: Reading, second: Reading, design: Design, *, most: float) -> Row | None:
    """By how much more the two differ for each doubling of the length; None with a single length."""
    by_length = {}
    for length in _factors(first).get("length_tokens", ()):
        here = _by_block(_paired(*(_at(side, "length_tokens", length) for side in (first, second))))
        by_length[length] = {block: _mean([a - b for a, b in values]) for block, values in here.items()}
    found = interaction(by_length, seed=design.seed, most=most)
    if found is None:
        return None
    pairs = _paired(first, second)
    missing = sum(one is None or two is None for _, one, two in pairs)
    row: Row = {"questions": len(pairs), "missing": missing, "first_value": None, "second_value": None}
    row |= found.row() | {"unit": "block", "test": SIGN_FLIP, "worst_low": None, "worst_high": None}
    return row | _equivalence([], design, most=math.inf)


def _factors(reading: Reading) -> dict[str, list[Any]]:
    """The factors of which there are several levels, with these."""
    levels: dict[str, list[Any]] = defaultdict(list)
    for each in reading.values():
        for name, level in each.levels:
            levels[name].append(level)
    return {name: ordered for name, found in levels.items() if len(ordered := in_order(found)) > 1}


def _at(reading: Reading, factor: str, level: Any) -> Reading:
    return {question: each for question, each in reading.items() if (factor, level) in each.levels}


def block_means(reading: Reading) -> dict[int, float]:
    """The mean of the questions of each block that has an answer."""
    blocks: dict[int, list[float]] = defaultdict(list)
    for each in reading.values():
        if each.value is not None:
            blocks[each.block].append(each.value)
    return {block: _mean(values) for block, values in blocks.items()}


def worst_mean(reading: Reading, value: float) -> float:
    """The mean over blocks, had every missing answer been worth `value`."""
    return _mean_of_blocks((each.block, value if each.value is None else each.value) for each in reading.values())


def _mean_of_blocks(values: Iterable[tuple[int, float]]) -> float:
    blocks: dict[int, list[float]] = defaultdict(list)
    for block, value in values:
        blocks[block].append(value)
    return _mean([_mean(each) for each in blocks.values()])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# ---------------------------------------------------------------------------------------------- families and verdicts


def correct(rows: Sequence[Row], unmeasurable: Container[str] = ()) -> None:
    """Put the corrected p-value and the verdict into each row: two families, what is declared and what is not.

    `unmeasurable` are the contenders whose coverage is none.
    """
    for declared, correction in ((True, HOLM), (False, FALSE_DISCOVERIES)):
        family = [row for row in rows if row["declared"] == declared]
        for row, corrected in zip(family, _corrected([row["p_value"] for row in family], correction), strict=True):
            row |= {"p_corrected": corrected, "correction": correction, "tests": len(family)}
            without = row["first"] in unmeasurable or row["second"] in unmeasurable
            row["verdict"] = "not_measurable" if without and row["outcome"] == COVERAGE.name else verdict(row)


def _corrected(p_values: Sequence[float], correction: str) -> list[float]:
    if correction == HOLM or not p_values:
        return holm(p_values)
    from scipy.stats import false_discovery_control

    return [float(each) for each in false_discovery_control(p_values)]


def verdict(row: Mapping[str, Any]) -> str:
    """What a row says: first or second (that one has more), missing, same, or not_told_apart.

    `missing`: the answers that both gave tell the two apart, but those that are missing could turn it round. A row that
    speaks of the coverage of who writes no summaries is `not_measurable`, which is put there in place of this.
    """
    if row["p_corrected"] < 1 - LEVEL and row["low"] * row["high"] > 0:
        ahead = 1 if row["difference"] > 0 else -1
        worst = row["worst_low"] if ahead > 0 else row["worst_high"]
        if worst is not None and worst * ahead <= 0:
            return "missing"
        return "first" if ahead > 0 else "second"
    return "same" if row["equivalent"] else "not_told_apart"
