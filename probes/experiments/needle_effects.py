"""What two levels of a factor, or two places in the text, make of one outcome: one difference a block.

right_rate    the rate of right answers
given_rate    of several planted values: how often that of a position is given when it is asked for
lift_rate     the same less how often it is given when something else is asked for: what finding adds to preference
lift_nats     log p(value | its key asked) - log p(value | absent key asked), on the same shared text
margin_nats   log p(right value) - log of the mean p of the other planted values, where no absent key was asked for
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf
from typing import Any, NamedTuple

from probes.experiments.needle_factors import ENDS, SIDES
from probes.experiments.needle_likelihood import Held
from probes.experiments.needle_results import Item, Scored, Setting, block_means, by_setting, several_keys
from probes.stats import PairedDifference, mcnemar, paired_difference

RIGHT, GIVEN, LIFT, LIFT_NATS, MARGIN_NATS = "right_rate", "given_rate", "lift_rate", "lift_nats", "margin_nats"
NATS = (LIFT_NATS, MARGIN_NATS)  # all others are rates, from 0 to 1


class Observed(NamedTuple):
    """One outcome of one question of one block; `position`: where its needle stands, by number or depth.

    `value` is None where it cannot be said, because a call failed or an answer was cut, here or, for outcomes that
    take a whole block, elsewhere in the block. `low` and `high` are what it can be at the least and at the most then.
    """

    setting: Setting
    block: int
    item: Item
    position: float | None
    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One contrast: the difference of each block that counts.

    `one_answer`: a block holds one plain yes or no on either side. `missing`: values that cannot be said. `worst`: the
    mean difference if all that is missing spoke for the one side, or for the other; None where that has no limit.
    """

    level: Any
    base: Any
    differences: Mapping[int, float]
    one_answer: bool
    missing: int
    worst: tuple[float, float] | None

    @property
    def values(self) -> list[float]:
        """The differences in the order of their blocks."""
        return [self.differences[block] for block in sorted(self.differences)]

    def tested(self, outcome: str, *, seed: int, tests: int) -> PairedDifference | None:
        """The mean difference with interval and p-value; None where no block counts.

        Signs are flipped, or where a block holds one answer a side, McNemar's exact mid-p.
        """
        values = self.values
        found = paired_difference(values, seed=seed, tests=tests, most=greatest(outcome, values))
        if found is None or found.blocks < 2 or not self.is_mcnemars(outcome):
            return found
        return replace(found, p_value=mcnemar(sum(value > 0 for value in values), sum(value < 0 for value in values)))

    def is_mcnemars(self, outcome: str) -> bool:
        """Whether a block is one right or wrong answer on either side, which is what McNemar's test is for."""
        return self.one_answer and outcome in (RIGHT, GIVEN)


def greatest(outcome: str, values: Iterable[float]) -> float:
    """The largest difference that there can be: none for nats, 1 for rates.

    Two lifts, which are differences themselves, can differ by 2, but only where what is not found is given unasked all
    the time: 1 is taken unless a difference is larger.
    """
    if outcome in NATS:
        return inf
    return 2.0 if any(abs(value) > 1 for value in values) else 1.0


# ------------------------------------------------------------------------------------------------ what was observed


def observe_answers(scored: Sequence[Scored]) -> list[Observed]:
    """Whether each answer to a question with an answer in the text is right, in the order of the plan."""
    return [
        Observed(each.setting, each.block, each.item, each.cell["depth"], *_known(float(each.hit), known=each.counts))
        for group in by_setting(scored).values()
        for each in group
    ]


def observe_positions(scored: Sequence[Scored]) -> dict[str, list[Observed]]:
    """The same by the place of the needle, for every task that has one: what its outcome there is.

    One needle: right. Several keys: given and lift, over the blocks in which every question was answered. Several
    values asked for at once: which of them are given. A count has no places.
    """
    found: dict[str, list[Observed]] = {RIGHT: [], GIVEN: [], LIFT: []}
    keyed = several_keys(scored)
    for setting, group in keyed.items():
        for _, block in groupby(sorted(group, key=lambda each: each.block), key=lambda each: each.block):
            for given, lift in _key_positions(setting, list(block), {each.asked for each in group}):
                found[GIVEN].append(given)
                found[LIFT].append(lift)
    for setting, group in by_setting(scored).items():
        if setting in keyed:
            continue
        if all(each.cell["answer"] in ("all", "names") for each in group):
            found[GIVEN] += _listed_positions(setting, group)
        else:
            found[RIGHT] += observe_answers([each for each in group if each.cell["depth"] is not None])
    return found


def observe_likelihoods(held: Mapping[Setting, Sequence[Held]]) -> dict[str, list[Observed]]:
    """The lift of each planted value, or its margin where no absent key was asked for to compare with."""
    found: dict[str, list[Observed]] = {LIFT_NATS: [], MARGIN_NATS: []}
    for setting, values in held.items():
        lifted = any(each.lift is not None for each in values)
        outcome, name = (LIFT_NATS, "lift") if lifted else (MARGIN_NATS, "margin")
        several = len({each.position for each in values}) > 1
        for each in values:
            value = getattr(each, name)
            position = float(each.position) if several else each.depth
            limits = (value, value) if value is not None else (-inf, inf)
            found[outcome].append(Observed(setting, each.block, (each.depth, each.position), position, value, *limits))
    return found


def _known(value: float, *, known: bool, least: float = 0.0, most: float = 1.0) -> tuple[float | None, float, float]:
    return (value, value, value) if known else (None, least, most)


def _key_positions(
    setting: Setting, block: Sequence[Scored], questions: set[int | None]
) -> Iterator[tuple[Observed, Observed]]:
    """What is given at each position of one block, and its lift.

    Nothing for a block of which some question is not there, as in a part of a run's rows or in a run that goes on: it
    was not asked, which is no answer that failed.
    """
    count: int = block[0].cell["needles"]
    if {each.asked for each in block} != questions | set(range(count)):
        return
    complete = all(each.counts for each in block)
    for position in range(count):
        asked = [each for each in block if each.asked == position]
        item = asked[0].item
        answered = [each for each in asked if each.counts]
        given = sum(each.given == position for each in answered)
        limits = (given / len(asked), (given + len(asked) - len(answered)) / len(asked))
        rate, lift = (given / len(answered), _lift(block, position)) if complete else (None, None)
        yield (
            Observed(setting, block[0].block, item, position, rate, *limits),
            Observed(setting, block[0].block, item, position, lift, *((lift, lift) if lift is not None else (-1, 1))),
        )


def _lift(block: Sequence[Scored], position: int) -> float:
    """How much more often a position is given when it is asked for than when it is not."""
    shares = []
    for asked in (True, False):
        chosen = [each for each in block if (each.asked == position) == asked]
        shares.append(sum(each.given == position for each in chosen) / len(chosen))
    return shares[0] - shares[1]


def _listed_positions(setting: Setting, group: Iterable[Scored]) -> Iterator[Observed]:
    """For answers that list values: whether each of the values asked for is among them."""
    for each in group:
        for position in range(each.cell["needles"]):
            value = _known(float(position in each.score.given), known=each.counts)
            yield Observed(setting, each.block, (*each.item, position), position, *value)


# ------------------------------------------------------------------------------------------------ what is compared


def compare_levels(level: Sequence[Observed], base: Sequence[Observed], names: tuple[Any, Any]) -> Compared:
    """One level of a factor less another, over the questions that have a value under both."""
    sides = [[each for each in side if each.value is not None] for side in (level, base)]
    both = _common({(each.block, each.item) for each in side} for side in sides)
    means = [_block_values([each for each in side if (each.block, each.item) in both]) for side in sides]
    asked = _common({(each.block, each.item) for each in side} for side in (level, base))
    limits = [_limits([each for each in side if (each.block, each.item) in asked]) for side in (level, base)]
    return Compared(
        *names,
        differences={block: means[0][block] - means[1][block] for block in means[0]},
        one_answer=all(_one_answer_a_block(side) for side in sides),
        missing=sum(each.value is None for each in (*level, *base)),
        worst=_worst(limits, (1.0, -1.0)),
    )


def compare_positions(observed: Sequence[Observed]) -> list[Compared]:
    """The two ends less what is between them, and the end less the beginning, over blocks with a value at each place.

    With two places only the second; with fewer nothing.
    """
    places: dict[float, list[Observed]] = defaultdict(list)
    for each in observed:
        if each.position is not None:
            places[each.position].append(each)
    ordered = [places[position] for position in sorted(places)]
    known = [[each for each in place if each.value is not None] for place in ordered]
    means, limits = [_block_values(place) for place in known], [_limits(place) for place in ordered]
    blocks = sorted(_common(set(mean) for mean in means))
    missing = sum(each.value is None for place in ordered for each in place)
    found = []
    for names, weights in _position_weights(len(ordered)):
        weighted = [(mean, weight) for mean, weight in zip(means, weights, strict=True) if weight]
        differences = {block: sum(weight * mean[block] for mean, weight in weighted) for block in blocks}
        one_answer = names == SIDES and _one_answer_a_block(known[0]) and _one_answer_a_block(known[-1])
        found.append(Compared(*names, differences, one_answer, missing, _worst(limits, weights)))
    return found


def _position_weights(count: int) -> list[tuple[tuple[str, str], tuple[float, ...]]]:
    """The contrasts of so many places, each with what every place counts in it."""
    if count < 2:
        return []
    sides = (SIDES, (-1.0, *[0.0] * (count - 2), 1.0))
    return [(ENDS, (0.5, *[-1 / (count - 2)] * (count - 2), 0.5)), sides] if count > 2 else [sides]


def _block_values(observed: Iterable[Observed]) -> dict[int, float]:
    return block_means((each.block, each.item, each.value) for each in observed if each.value is not None)


def _limits(observed: Sequence[Observed]) -> tuple[dict[int, float], dict[int, float]]:
    """What the mean of each block can be at the least and at the most."""
    low = block_means((each.block, each.item, each.low) for each in observed)
    return low, block_means((each.block, each.item, each.high) for each in observed)


def _worst(
    limits: Sequence[tuple[Mapping[int, float], Mapping[int, float]]], weights: Sequence[float]
) -> tuple[float, float] | None:
    """The least and the most that a weighted sum of block means can be in the mean over blocks."""
    blocks = _common(set(low) for low, _ in limits)
    if not blocks:
        return None
    low = high = 0.0
    for (least, most), weight in zip(limits, weights, strict=True):
        ends = [weight * sum(side[block] for block in sorted(blocks)) / len(blocks) for side in (least, most) if weight]
        low, high = low + min(ends, default=0.0), high + max(ends, default=0.0)
    return (low, high) if abs(low) < inf and abs(high) < inf else None


def _one_answer_a_block(observed: Sequence[Observed]) -> bool:
    """Whether each block has one value, and that is a plain yes or no."""
    single = len({each.block for each in observed}) == len(observed)
    return single and all(each.value in (0.0, 1.0) for each in observed)


def _common(sets: Iterable[set[Any]]) -> set[Any]:
    found = list(sets)
    return set.intersection(*found) if found else set()
