"""What the place of an instruction does: differences between two arms on the same texts, and what they rest on.

Blocks are compared with themselves, so the test is by flipping signs and the interval resamples blocks. The contrasts
that were declared before the run are one family a setting and outcome, corrected after Holm; all else is exploratory.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Self

from probes.equivalence import equivalence
from probes.experiments.placement_options import declared_contrasts
from probes.experiments.placement_outcomes import (
    ArmOutcome,
    Blocks,
    Mass,
    Outcomes,
    Setting,
    answer_value,
    arms_in,
    block_value,
    centre_shift,
    kept_mass,
    least_measurable,
    matched_values,
    mean,
    shift_values,
)
from probes.matched_length import difference_at_equal_length
from probes.missing import paired_worst_case
from probes.stats import PairedDifference, difference_interval, holm, interaction, paired_difference

Row = dict[str, Any]
Pair = tuple[str, str]
NATS = ("margin_nats", "logprob_nats")
DECLARED = ("margin_nats", "coverage_rate")  # what is said of other outcomes is exploratory
# In the order of tables: the primary outcome and the raw one beside it, then what is read from written answers.
OUTCOMES = (*NATS, "coverage_rate", "coverage_matched_rate", "coverage_adjusted_rate", "constraint_rate")
AT_LENGTH = ("coverage_matched_rate", "coverage_adjusted_rate")  # what is left of a difference in coverage
NET_CONTROLS = ("padded", "irrelevant")
_EQUIVALENCE = ("equivalence_low", "equivalence_high", "equivalence_p", "equivalent", "no_effect_beyond")
TEST, CORRECTION = "sign-flip permutation", "Holm"


@dataclass(frozen=True, slots=True)
class Declared:
    """What was laid down before the first call. `contrasts` None: whatever the arms that are there allow.

    `equivalence` is the share of the facts that is small enough to be called no effect.
    """

    contrasts: tuple[Pair, ...] | None = None
    equivalence: float = 0.05
    length: bool = False

    @classmethod
    def of_spec(cls, spec: Mapping[str, Any]) -> Self:
        """What the spec of a run declares; specs of earlier versions name their contrasts and nothing else."""
        declared = spec.get("declared") or {}
        pairs = declared.get("contrasts", spec.get("contrasts"))
        return cls(
            None if pairs is None else tuple((arm, control) for arm, control in pairs),
            declared.get("equivalence_points", 5) / 100,
            "length" in declared.get("interactions", ()),
        )

    def among(self, arms: Sequence[str]) -> list[Pair]:
        """The declared contrasts whose two arms are there."""
        pairs = declared_contrasts(arms) if self.contrasts is None else self.contrasts
        return [pair for pair in pairs if set(pair) <= set(arms)]


def contrast_rows(outcomes: Outcomes, *, seed: int, declared: Declared | None = None) -> list[Row]:
    """One row a contrast and outcome, with the p-values of a setting's declared contrasts corrected after Holm.

    `difference` is the arm's mean less the control's, over blocks that have both. `worst_low` and `worst_high`: where
    the difference would lie if every missing answer had been the worst or the best that it can be. `equivalent`:
    whether the 90 % interval lies inside plus and minus `equivalence_margin`. `coverage_matched_rate`: both answers cut
    after as many words as the shorter one has; `coverage_adjusted_rate`: what a line over their lengths leaves at equal
    length. `centre_of_mass`: its shift, exploratory. Rows that compare two differences ("after less padded-after")
    follow the others, and are exploratory.
    """
    declared = declared or Declared()
    rows = []
    for setting, blocks in outcomes.items():
        arms = arms_in(blocks)
        pairs = declared.among(arms)
        least = least_measurable(blocks)
        for outcome in OUTCOMES:
            made = _family(blocks, pairs, outcome, declared, seed) + _net_rows(blocks, arms, outcome, declared, seed)
            measurable = None if outcome in NATS or least is None else least.measurable
            rows += [_head(setting, row) | {"measurable": measurable} | rest_of(setting) for row in made]
        for row in _shift_rows(blocks, pairs, seed):
            rows.append(_head(setting, row) | {"measurable": least.measurable if least else None} | rest_of(setting))
    return rows


def _head(setting: Setting, row: Row) -> Row:
    return {"model": setting.model, "length_tokens": setting.length_tokens} | row


def rest_of(setting: Setting) -> Row:
    """What of a setting stands at the end of a row."""
    return {"framing": setting.framing, "task": setting.task, "temperature": setting.temperature}


def _family(blocks: Blocks, pairs: Sequence[Pair], outcome: str, declared: Declared, seed: int) -> list[Row]:
    """The rows of one outcome in one setting: one family of tests."""
    values = {pair: block_differences(blocks, pair, outcome) for pair in pairs}
    tests = sum(bool(differences) for differences in values.values())
    most = math.inf if outcome in NATS else 1.0
    found = []
    for pair, differences in values.items():
        if outcome == "coverage_adjusted_rate":
            difference = _adjusted(blocks, pair, differences, seed=seed, tests=tests)
        else:
            difference = paired_difference(list(differences.values()), seed=seed, tests=tests, most=most)
        if difference is not None:
            found.append((pair, difference))
    corrected = holm([difference.p_value for _, difference in found])
    return [
        _row(outcome, pair, difference, p_holm)
        | _equivalence([] if outcome in AT_LENGTH[1:] else list(values[pair].values()), outcome, declared, seed, most)
        | _missing(blocks, pair, outcome)
        | {"declared": outcome in DECLARED, "unit": "block", "test": TEST, "correction": CORRECTION, "tests": tests}
        for (pair, difference), p_holm in zip(found, corrected, strict=True)
    ]


def _adjusted(
    blocks: Blocks, pair: Pair, differences: Mapping[int, float], *, seed: int, tests: int
) -> PairedDifference | None:
    """The difference in coverage that a line over the answers' lengths leaves at equal length.

    None where one arm's answers are the longer ones in every block: the line would have to be drawn on from there.
    """
    if not differences:
        return None
    words = []
    for block in differences:
        first, second = (mean(each.words for each in blocks[block][arm].read) or 0 for arm in pair)
        words.append((round(first), round(second)))
    if not min(first - second for first, second in words) <= 0 <= max(first - second for first, second in words):
        return None
    found = difference_at_equal_length(list(differences.values()), words, seed=seed, tests=tests)
    return None if found is None else found.difference


def _row(outcome: str, pair: Pair, difference: PairedDifference, p_holm: float | None) -> Row:
    return {"outcome": outcome, "arm": pair[0], "control": pair[1]} | difference.row() | {"p_holm": p_holm}


def _net_rows(blocks: Blocks, arms: Sequence[str], outcome: str, declared: Declared, seed: int) -> list[Row]:
    """What the instruction after the text adds to its control, less what it adds before: neither length nor distance.

    Both `after` and `padded-after` move the text away from the end of the prompt; their difference does not.
    """
    rows = []
    for kind in NET_CONTROLS:
        after, before = ("after", f"{kind}-after"), ("before", f"{kind}-before")
        if outcome in AT_LENGTH or not {*after, *before} <= set(arms):
            continue
        first, second = block_differences(blocks, after, outcome), block_differences(blocks, before, outcome)
        differences = [first[block] - second[block] for block in first if block in second]
        most = math.inf if outcome in NATS else 2.0
        found = paired_difference(differences, seed=seed, most=most)
        if found is not None:
            pair = (" less ".join(after), " less ".join(before))
            rows.append(
                _row(outcome, pair, found, found.p_value)
                | _equivalence(differences, outcome, declared, seed, most)
                | {"missing": None, "worst_low": None, "worst_high": None}
                | {"declared": False, "unit": "block", "test": TEST, "correction": None, "tests": 1}
            )
    return rows


def block_differences(blocks: Blocks, pair: Pair, outcome: str) -> dict[int, float]:
    """The arm's value less the control's, for each block that has both."""
    differences = {}
    for block, arms in blocks.items():
        if outcome == "coverage_matched_rate":
            values: Sequence[float | None] = matched_values(*map(arms.get, pair)) or (None, None)
        else:
            name = "coverage_rate" if outcome == "coverage_adjusted_rate" else outcome
            values = [block_value(arms.get(arm), name) for arm in pair]
        if values[0] is not None and values[1] is not None:
            differences[block] = values[0] - values[1]
    return differences


def _equivalence(differences: Sequence[float], outcome: str, declared: Declared, seed: int, most: float) -> Row:
    """Whether the data say that there is no effect worth the name; nats have no margin that anyone declared.

    `no_effect_beyond`: the smallest margin for which they would say so. `most`: the largest difference there can be.
    """
    is_rate = outcome not in NATS
    margin = declared.equivalence if is_rate else None
    found = equivalence(differences, margin=margin or math.inf, seed=seed, most=most)
    row: Row = {"equivalence_margin": margin}
    if found is None or found.blocks < 2:
        return row | dict.fromkeys(_EQUIVALENCE)
    figures = (found.interval90.low, found.interval90.high, found.p_value if is_rate else None)
    answer = (found.equivalent if is_rate else None, found.smallest_margin)
    return row | dict(zip(_EQUIVALENCE, (*figures, *answer), strict=True))


def _missing(blocks: Blocks, pair: Pair, outcome: str) -> Row:
    """How many answers of the two arms have no value, and where the difference would lie with any that they can have.

    Answers that were never asked for are not missing; log-probabilities have no worst value.
    """
    if outcome in NATS:
        missing = sum(
            block_value(arms[arm], outcome) is None
            for arms in blocks.values()
            if set(pair) <= set(arms)
            for arm in pair
        )
        return {"missing": missing, "worst_low": None, "worst_high": None}
    if outcome in AT_LENGTH:
        return {"missing": None, "worst_low": None, "worst_high": None}
    sides: tuple[list[float | None], list[float | None]] = ([], [])
    for arms in blocks.values():
        first, second = (arms[arm].summaries if arm in arms else {} for arm in pair)
        for sample in first.keys() & second.keys():
            sides[0].append(answer_value(first[sample], outcome))
            sides[1].append(answer_value(second[sample], outcome))
    low, high = paired_worst_case(*sides, least=0.0, most=1.0) or (None, None)
    missing = sum(value is None for side in sides for value in side)
    return {"missing": missing, "worst_low": low, "worst_high": high}


def _shift_rows(blocks: Blocks, pairs: Sequence[Pair], seed: int) -> list[Row]:
    """How far the centre of what is kept moves between two arms, in shares of the text, over blocks that have both.

    The interval is that of the shift itself, a difference of two ratios; the test goes by what each block adds to it.
    """
    masses = {pair: _masses(blocks, pair) for pair in pairs}
    shifts = {pair: shift for pair, both in masses.items() if (shift := centre_shift(both, seed=seed)) is not None}
    rows, tested = [], []
    for (arm, control), shift in shifts.items():
        values = shift_values(masses[arm, control])
        found = paired_difference(values, seed=seed, tests=len(shifts))
        assert found is not None  # as there is a shift
        row: Row = {"outcome": "centre_of_mass", "arm": arm, "control": control} | found.row()
        rows.append(row | {"difference": shift.estimate, "low": shift.low, "high": shift.high})
        tested.append(found.p_value)
    family = {"declared": False, "unit": "block", "test": TEST, "correction": CORRECTION, "tests": len(shifts)}
    return [row | {"p_holm": p_holm} | family for row, p_holm in zip(rows, holm(tested), strict=True)]


def _masses(blocks: Blocks, pair: Pair) -> list[tuple[Mass, Mass]]:
    """What is kept and where, in both arms of each block that has them."""
    found = [tuple(kept_mass(arms.get(arm)) for arm in pair) for arms in blocks.values()]
    return [(first, second) for first, second in found if first and second]


# ------------------------------------------------------------------------------------------------------- length


def length_rows(outcomes: Outcomes, *, seed: int, declared: Declared | None = None) -> list[Row]:
    """Whether a contrast changes with the length of the text: its slope for each doubling, one row a contrast.

    Blocks of one number are one block at all lengths. Holm's correction is over the contrasts of one outcome.
    """
    declared = declared or Declared()
    groups: dict[Setting, dict[int, Blocks]] = defaultdict(dict)
    for setting, blocks in outcomes.items():
        groups[setting._replace(length_tokens=0)][setting.length_tokens] = blocks
    rows = []
    for setting, by_length in groups.items():
        if len(by_length) < 2:
            continue
        for outcome in DECLARED:
            found = _slopes(by_length, outcome, declared, seed)
            corrected = holm([slope.p_value for _, _, slope in found])
            for (pair, lengths, slope), p_holm in zip(found, corrected, strict=True):
                rows.append(
                    {"model": setting.model}
                    | {"outcome": outcome, "arm": pair[0], "control": pair[1], "lengths": lengths}
                    | {"per_doubling": slope.interval.estimate, "low": slope.interval.low, "high": slope.interval.high}
                    | {"blocks": slope.blocks, "p_value": slope.p_value, "p_holm": p_holm}
                    | {"detectable": slope.detectable, "declared": declared.length, "tests": len(found)}
                    | {"unit": "block", "test": TEST, "correction": CORRECTION}
                    | rest_of(setting)
                )
    return rows


def _slopes(
    by_length: Mapping[int, Blocks], outcome: str, declared: Declared, seed: int
) -> list[tuple[Pair, list[int], PairedDifference]]:
    arms = [
        arm for arm in arms_in(next(iter(by_length.values()))) if all(arm in arms_in(b) for b in by_length.values())
    ]
    most = math.inf if outcome in NATS else 1.0
    known = {}
    for pair in declared.among(arms):
        differences = {length: block_differences(blocks, pair, outcome) for length, blocks in sorted(by_length.items())}
        levels = {float(length): values for length, values in differences.items() if values}
        if len(levels) > 1:
            known[pair] = levels
    slopes = {pair: interaction(levels, seed=seed, tests=len(known), most=most) for pair, levels in known.items()}
    return [(pair, [*map(int, known[pair])], slope) for pair, slope in slopes.items() if slope is not None]


# -------------------------------------------------------------------------------------------------------- noise


def noise_rows(outcomes: Outcomes, *, seed: int, declared: Declared | None = None) -> list[Row]:
    """Whether two arms differ more than two answers to one and the same prompt do; only where there are samples.

    `arms_difference`: the mean absolute difference in coverage between an answer of one arm and one of the other, on
    the same text; `samples_difference`: between two answers of one arm. Their difference, `excess`, is zero on average
    where the arms do not matter (half the energy distance, Szekely and Rizzo 2013), with its interval over blocks.
    """
    declared = declared or Declared()
    rows = []
    for setting, blocks in outcomes.items():
        for pair in declared.among(arms_in(blocks)):
            found = [each for arms in blocks.values() if (each := _noise(arms, pair)) is not None]
            excess = difference_interval([between - within for between, within in found], seed=seed, most=1.0)
            if excess is None:
                continue
            between, within = (sum(each[side] for each in found) / len(found) for side in (0, 1))
            rows.append(
                {"model": setting.model, "length_tokens": setting.length_tokens, "arm": pair[0], "control": pair[1]}
                | {"blocks": len(found), "arms_difference": between, "samples_difference": within}
                | {"excess": excess.estimate, "low": excess.low, "high": excess.high, "unit": "block", "test": None}
                | rest_of(setting)
            )
    return rows


def _noise(arms: Mapping[str, ArmOutcome], pair: Pair) -> tuple[float, float] | None:
    """The mean differences in one block: between arms, and between samples of an arm; None without two of each."""
    sides = [[each.coverage for each in arms[arm].read] if arm in arms else [] for arm in pair]
    if min(map(len, sides)) < 2:
        return None
    between = [abs(first - second) for first, second in product(*sides)]
    within = [[abs(first - second) for first, second in combinations(side, 2)] for side in sides]
    return sum(between) / len(between), sum(sum(each) / len(each) for each in within) / 2
