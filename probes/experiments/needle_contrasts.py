"""What a factor does to an outcome: the same questions of the same blocks under two of its levels.

Depth, the place of the question and the length of the text are declared before a run; every other comparison is
exploratory, and said to be. One difference a block, tested by flipping signs, or by McNemar's exact mid-p where a block
is one answer; the contrasts of one factor, outcome and setting are one family, corrected after Holm.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from probes.equivalence import equivalence
from probes.experiments.needle_effects import (
    NATS,
    RIGHT,
    Compared,
    Observed,
    compare_levels,
    compare_positions,
    greatest,
    observe_answers,
    observe_likelihoods,
    observe_positions,
)
from probes.experiments.needle_factors import DECLARED, FACTORS, level_pairs, nearest_side
from probes.experiments.needle_likelihood import Held
from probes.experiments.needle_results import Row, Scored, Setting
from probes.stats import PairedDifference, holm, interaction

EQUIVALENCE_POINTS = 5.0  # unless a plan says otherwise, an effect that lies inside this many points is none
SIGN_FLIP, MCNEMAR, CORRECTION = "sign-flip permutation", "McNemar mid-p", "Holm"
_EQUIVALENCE = ("equivalence_low", "equivalence_high", "equivalence_p", "equivalent", "no_effect_beyond")


class Family(NamedTuple):
    """The contrasts of one factor, outcome and setting; `setting` has None for what varies."""

    factor: str
    outcome: str
    setting: Mapping[str, Any]
    contrasts: tuple[Compared, ...]


def contrast_rows(
    scored: Sequence[Scored],
    *,
    seed: int,
    held: Mapping[Setting, Sequence[Held]] | None = None,
    points: float = EQUIVALENCE_POINTS,
    declared: Collection[str] = DECLARED,
) -> list[Row]:
    """One row a contrast: the difference of an outcome over blocks, its test, and whether it is as good as none.

    Only questions with a value under both levels count. `declared` is False for what is exploratory. `equivalent`: the
    90 % interval lies inside plus and minus `points`, for rates; `no_effect_beyond` is the smallest margin inside which
    it would. `worst_low`, `worst_high`: the difference if all that is missing spoke for one side. `nearest`: which side
    of the text is nearer to the question.
    """
    rows = []
    for family in families(scored, held or {}):
        outcome, tests = family.outcome, len(family.contrasts)
        tested = [(each, each.tested(outcome, seed=seed, tests=tests)) for each in family.contrasts]
        found = [(each, difference) for each, difference in tested if difference is not None]
        corrected = holm([difference.p_value for _, difference in found])
        for (compared, difference), p_holm in zip(found, corrected, strict=True):
            test = MCNEMAR if compared.is_mcnemars(outcome) else SIGN_FLIP
            row = _row(family, compared, difference, p_holm, declared)
            row |= {"outcome": outcome, "unit": "block", "test": test, "correction": CORRECTION, "tests": len(found)}
            row |= _equivalence_columns(compared, outcome, seed=seed, points=points)
            row |= {"nearest": nearest_side(str(family.setting["place"])), "missing": compared.missing}
            low, high = compared.worst or (None, None)
            rows.append(row | {"worst_low": low, "worst_high": high})
    return rows


def length_interaction_rows(
    scored: Sequence[Scored],
    *,
    seed: int,
    held: Mapping[Setting, Sequence[Held]] | None = None,
    declared: Collection[str] = DECLARED,
) -> list[Row]:
    """One row a contrast, where there are several lengths: how its difference changes, `per_doubling` of the length.

    The same block at two lengths is one block. The rows of one factor, outcome and setting are one family.
    """
    grouped: dict[Any, dict[float, Family]] = defaultdict(dict)
    for family in families(scored, held or {}):
        if (length := family.setting["length_tokens"]) is not None:
            common = tuple((name, value) for name, value in family.setting.items() if name != "length_tokens")
            grouped[family.factor, family.outcome, common][length] = family
    rows = []
    for (factor, outcome, common), lengths in grouped.items():
        by_pair: dict[tuple[Any, Any], dict[float, Mapping[int, float]]] = defaultdict(dict)
        contrasts = {}
        for length, family in lengths.items():
            for each in family.contrasts:
                if each.differences:
                    by_pair[each.level, each.base][length] = each.differences
                    contrasts[each.level, each.base] = each
        several = {pair: levels for pair, levels in by_pair.items() if len(levels) > 1}
        slopes = {pair: _slope(levels, outcome, seed=seed, tests=len(several)) for pair, levels in several.items()}
        found = [(pair, slope) for pair, slope in slopes.items() if slope is not None]
        whole = Family(factor, outcome, {**dict(common), "length_tokens": None}, ())
        corrected = holm([slope.p_value for _, slope in found])
        for (pair, slope), p_holm in zip(found, corrected, strict=True):
            row = _row(whole, contrasts[pair], slope, p_holm, declared)
            row = {("per_doubling" if key == "difference" else key): value for key, value in row.items()}
            row |= {"outcome": outcome, "unit": "block", "test": SIGN_FLIP, "correction": CORRECTION}
            rows.append(row | {"tests": len(found), "lengths": sorted(by_pair[pair])})
    return rows


def families(scored: Sequence[Scored], held: Mapping[Setting, Sequence[Held]]) -> Iterator[Family]:
    """Every family of contrasts that a run has: by the place of the needle, then by each factor."""
    likelihoods = observe_likelihoods(held)
    for outcome, observed in (observe_positions(scored) | likelihoods).items():
        for setting, group in _by_setting(observed).items():
            if not setting.layout.startswith("cluster") and (contrasts := compare_positions(group)):
                yield Family("depth", outcome, setting._asdict(), tuple(contrasts))
    for outcome, observed in ({RIGHT: observe_answers(scored)} | likelihoods).items():
        groups = _by_setting(observed)
        for factor in FACTORS:
            settings: dict[Any, dict[Any, list[Observed]]] = defaultdict(dict)
            for setting, group in groups.items():
                settings[setting.without(factor)][getattr(setting, factor)] = group
            for common, levels in settings.items():
                pairs = level_pairs(factor, levels)
                if pairs:
                    contrasts = [compare_levels(levels[level], levels[base], (level, base)) for level, base in pairs]
                    yield Family(factor, outcome, {factor: None, **dict(common)}, tuple(contrasts))


def depth_differences(group: Iterable[Scored]) -> dict[tuple[str, str], list[float]]:
    """For one needle at several depths: the differences of the ends and the middle, and of the end and the beginning.

    Only blocks that were answered at every depth count.
    """
    observed = observe_positions(list(group))[RIGHT]
    return {(each.level, each.base): list(each.differences.values()) for each in compare_positions(observed)}


def _by_setting(observed: Iterable[Observed]) -> dict[Setting, list[Observed]]:
    groups: dict[Setting, list[Observed]] = defaultdict(list)
    for each in observed:
        groups[each.setting].append(each)
    return groups


def _row(
    family: Family, compared: Compared, difference: PairedDifference, p_holm: float, declared: Collection[str]
) -> Row:
    """What every row of differences says, in the order of the first version: later keys come after these."""
    row: Row = {"model": family.setting["model"], "task": family.setting["task"], "factor": family.factor}
    row |= {"level": compared.level, "base": compared.base} | difference.row() | {"p_holm": p_holm}
    row |= {"declared": family.factor in declared}
    return row | {key: family.setting.get(key) for key in Setting._fields if key not in row}


def _slope(
    levels: Mapping[float, Mapping[int, float]], outcome: str, *, seed: int, tests: int
) -> PairedDifference | None:
    most = greatest(outcome, (value for differences in levels.values() for value in differences.values()))
    return interaction(levels, seed=seed, tests=tests, most=most)


def _equivalence_columns(compared: Compared, outcome: str, *, seed: int, points: float) -> Row:
    """Whether a difference of rates is as good as none; nats have no margin that anyone declared."""
    is_rate = outcome not in NATS
    margin = points / 100 if is_rate else math.inf
    values = compared.values
    found = equivalence(values, margin=margin, seed=seed, most=greatest(outcome, values))
    row: Row = {"equivalence_margin": margin if is_rate else None}
    if found is None or found.blocks < 2:
        return row | dict.fromkeys(_EQUIVALENCE)
    answers = (found.p_value, found.equivalent) if is_rate else (None, None)
    figures = (found.interval90.low, found.interval90.high, *answers, found.smallest_margin)
    return row | dict(zip(_EQUIVALENCE, figures, strict=True))
