"""The answers and log-probabilities of a placement run put together: by setting, block and arm, samples inside a block.

The block, one text, is the unit of everything that is computed from these. Several samples of one request are averaged
inside their block and never counted in n. What has no value (a call that failed, a refusal) is None, never zero.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from probes.experiments.placement_options import ARMS, INSTRUCTED
from probes.experiments.placement_summary import Summary, read_summary
from probes.plan import Result
from probes.stats import LEVEL, Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from probes.resampling import Floats

SUMMARY_RATE = 0.3  # with fewer summaries among its answers, the coverage of an arm says nothing
FIRST, LAST = 0.2, 0.8  # the ends of a text, for primacy and recency
MIDMOST, MIDDLE = (0.4, 0.6), (0.3, 0.7)  # what primacy and recency, and what both ends are read against


class Setting(NamedTuple):
    """What is not compared inside one table. `length_tokens` of texts of the user's own is their mean."""

    model: str
    length_tokens: int
    framing: str = "document"
    task: str = "focused"
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Margins:
    """The margins of one text in one arm, a value for each fact, and the raw log-probabilities beside them, in nats."""

    margins: tuple[float, ...]
    logprobs: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The text's margin."""
        return sum(self.margins) / len(self.margins)

    @property
    def logprob(self) -> float:
        """The text's mean log-probability."""
        return sum(self.logprobs) / len(self.logprobs)


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """Everything known of one text in one arm.

    `summaries` are by sample, those of calls that failed too; what was never asked has none. `margins` is None where
    it was not asked, or not all of it came back. `positions`: where each fact stands in the text, 0 to 1; `kinds`: what
    kind each is, empty where there are none.
    """

    summaries: Mapping[int, Summary]
    margins: Margins | None
    positions: tuple[float, ...]
    kinds: tuple[str, ...] = ()

    @property
    def read(self) -> list[Summary]:
        """The answers that count in rates."""
        return [each for each in self.summaries.values() if each.readable]

    def kept_rates(self) -> tuple[float, ...] | None:
        """How often each fact is kept, over the samples; None without an answer to read."""
        read = self.read
        if not read:
            return None
        return tuple(sum(fact in each.covered for each in read) / len(read) for fact in range(len(self.positions)))


Blocks = dict[int, dict[str, ArmOutcome]]  # block -> arm
Outcomes = dict[Setting, Blocks]


def read_outcomes(results: Iterable[Result]) -> Outcomes:
    """Score every answer, and put the log-probabilities of each text and arm together.

    The results must hold their prompts: what is copied and what is altered are told by the text.
    """
    grouped: dict[tuple[Setting, int, str], list[Result]] = defaultdict(list)
    for result in results:
        grouped[setting_of(result), result.trial.cell["block"], result.trial.cell["arm"]].append(result)
    _share_margins(grouped)
    outcomes: Outcomes = defaultdict(lambda: defaultdict(dict))
    for (setting, block, arm), group in grouped.items():
        outcomes[setting][block][arm] = _arm_outcome(group)
    return outcomes


def setting_of(result: Result) -> Setting:
    """The setting of a result; cells of earlier versions do not say what there was only one of."""
    cell = result.trial.cell
    return Setting(
        result.model,
        cell["length_tokens"],
        cell.get("framing", "transcript" if "speakers" in cell else "document"),
        cell.get("task", "focused"),
        cell.get("temperature"),
    )


def _share_margins(grouped: dict[tuple[Setting, int, str], list[Result]]) -> None:
    """Margins have no temperature: where answers were asked for at some, the margins stand in the settings of each."""
    heated: dict[Setting, set[Setting]] = defaultdict(set)
    for setting, _, _ in grouped:
        if setting.temperature is not None:
            heated[setting._replace(temperature=None)].add(setting)
    for key in [key for key in grouped if key[0] in heated]:
        if all(result.trial.cell["measure"] == "margin" for result in grouped[key]):
            shared = grouped.pop(key)
            for setting in heated[key[0]]:
                grouped[setting, key[1], key[2]].extend(shared)


def _arm_outcome(group: Sequence[Result]) -> ArmOutcome:
    cell = group[0].trial.cell
    facts = len(cell["names"])
    tried = [
        each
        for each in group
        if each.trial.cell["measure"] == "coverage" and (each.completion is not None or each.error_kind is not None)
    ]
    return ArmOutcome(
        {each.trial.cell.get("sample", 0): read_summary(each.completion, each.trial) for each in tried},
        _margins([each for each in group if each.trial.cell["measure"] == "margin"], facts),
        tuple(cell.get("positions") or ((fact + 0.5) / facts for fact in range(facts))),
        tuple(cell.get("kinds") or ()),
    )


def _margins(results: Sequence[Result], facts: int) -> Margins | None:
    """The margins of one text in one arm; None unless every log-probability is there."""
    missing = any(each.completion is None or each.completion.logprobs is None for each in results)
    if missing or len(results) < facts**2:  # each of the values after the question for each of the facts
        return None
    logprobs: dict[int, dict[int, float]] = defaultdict(dict)
    for each in results:
        assert each.completion is not None
        assert each.completion.logprobs is not None
        cell = each.trial.cell
        logprobs[cell["asked"]][cell["offered"]] = sum(token.logprob for token in each.completion.logprobs)
    pairs = sorted(logprobs.items())
    margins = tuple(margin(offered[asked], _without(offered, asked)) for asked, offered in pairs)
    return Margins(margins, tuple(offered[asked] for asked, offered in pairs))


def margin(right: float, others: Sequence[float]) -> float:
    """Log p(right) - log of the mean p of the others, all given as natural logarithms.

    Example: margin(log 0.5, [log 0.1, log 0.3]) -> log(0.5 / 0.2) = 0.916
    """
    highest = max(others)
    mean = sum(math.exp(other - highest) for other in others) / len(others)
    return right - highest - math.log(mean)


def _without(values: Mapping[int, float], key: int) -> list[float]:
    return [value for number, value in values.items() if number != key]


# --------------------------------------------------------------------------------------------- values of one block


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def block_value(found: ArmOutcome | None, outcome: str) -> float | None:
    """One outcome of one text in one arm, samples averaged; None where there is none.

    `outcome`: margin_nats, logprob_nats, coverage_rate, or constraint_rate (the share of the constraints followed).
    """
    if found is None:
        return None
    if outcome in ("margin_nats", "logprob_nats"):
        if found.margins is None:
            return None
        return found.margins.mean if outcome == "margin_nats" else found.margins.logprob
    return mean(answer_value(summary, outcome) for summary in found.summaries.values())


def answer_value(summary: Summary | None, outcome: str) -> float | None:
    """One outcome of one answer; None where it was not tried, failed or refused."""
    if summary is None or not summary.readable:
        return None
    if outcome == "constraint_rate":
        return mean(map(float, summary.constraints.values()))
    return summary.coverage


def matched_values(first: ArmOutcome | None, second: ArmOutcome | None) -> tuple[float, float] | None:
    """The coverage of two arms at matched length: both answers cut after as many words as the shorter one has.

    A longer answer has room for more; this is what is left of a difference without that room. Samples are paired by
    their numbers. None where no pair can be read.
    """
    if first is None or second is None:
        return None
    pairs = [
        (one.coverage_within(shorter), other.coverage_within(shorter))
        for sample, one in first.summaries.items()
        if (other := second.summaries.get(sample)) is not None and one.readable and other.readable
        for shorter in [min(one.words, other.words)]
    ]
    if not pairs:
        return None
    return sum(pair[0] for pair in pairs) / len(pairs), sum(pair[1] for pair in pairs) / len(pairs)


# ------------------------------------------------------------------------------------------ where in the text


def fact_values(found: ArmOutcome, outcome: str) -> tuple[float, ...] | None:
    """One value a fact, in the order of the text: how often it is kept, or its margin."""
    if outcome == "coverage_rate":
        return found.kept_rates()
    return found.margins.margins if found.margins else None


def position_values(found: ArmOutcome, outcome: str) -> dict[str, float | None]:
    """Primacy, recency and middle deficit of one text in one arm, in the outcome's unit.

    primacy: the first fifth less the midmost fifth; recency: the last fifth less the midmost; middle_deficit: the two
    outer fifths less the middle two fifths. None where the text has no fact at one of the two places.
    """
    values = fact_values(found, outcome)
    if values is None:
        return {}
    placed = list(zip(found.positions, values, strict=True))
    first = mean(value for position, value in placed if position < FIRST)
    last = mean(value for position, value in placed if position >= LAST)
    midmost = mean(value for position, value in placed if MIDMOST[0] <= position < MIDMOST[1])
    middle = mean(value for position, value in placed if MIDDLE[0] <= position < MIDDLE[1])
    ends = mean(value for position, value in placed if position < FIRST or position >= LAST)
    return {"primacy": _less(first, midmost), "recency": _less(last, midmost), "middle_deficit": _less(ends, middle)}


def _less(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


class Mass(NamedTuple):
    """What one text in one arm adds to a centre of mass: how much is kept, and that times where it stands."""

    weight: float
    moment: float


def kept_mass(found: ArmOutcome | None) -> Mass | None:
    """How much of one text is kept, and where; None without an answer to read."""
    rates = found.kept_rates() if found else None
    if rates is None or found is None:
        return None
    return Mass(sum(rates), sum(rate * position for rate, position in zip(rates, found.positions, strict=True)))


def centre_of_mass(masses: Sequence[Mass], *, seed: int) -> Interval | None:
    """Where in the texts that which is kept stands on average, 0 to 1, with its interval over blocks.

    A ratio of sums, so that a text of which little is kept weighs little: sum(weight * position) / sum(weight). None
    where nothing is kept.
    """
    return _ratio_interval(masses, lambda means: means[..., 1] / means[..., 0], least=0.0, seed=seed)


def centre_shift(masses: Sequence[tuple[Mass, Mass]], *, seed: int) -> Interval | None:
    """How far one centre of mass lies behind another, over the same blocks; None where one keeps nothing at all."""
    rows = [(*first, *second) for first, second in masses]
    return _ratio_interval(
        rows, lambda means: means[..., 1] / means[..., 0] - means[..., 3] / means[..., 2], least=-1.0, seed=seed
    )


def shift_values(masses: Sequence[tuple[Mass, Mass]]) -> list[float]:
    """What each block says of the shift, as one number: their mean is the shift, so that its test may flip their signs.

    The linear part of a difference of two ratios (Taylor linearization, as for ratios in surveys): a block's moment
    less the centre times its weight, over the mean weight, in either arm. Both arms must keep something.

    Example: shift_values([(Mass(2, 1.0), Mass(2, 0.6)), (Mass(2, 1.2), Mass(2, 0.4))]) -> about [0.2, 0.4]
    """
    blocks = len(masses)
    weights = [sum(both[side].weight for both in masses) / blocks for side in (0, 1)]
    centres = [sum(both[side].moment for both in masses) / blocks / weights[side] for side in (0, 1)]

    def apart(mass: Mass, side: int) -> float:
        return (mass.moment - centres[side] * mass.weight) / weights[side]

    return [centres[0] - centres[1] + apart(first, 0) - apart(second, 1) for first, second in masses]


def _ratio_interval(
    rows: Sequence[tuple[float, ...]], statistic: "Callable[[Floats], Floats]", *, least: float, seed: int
) -> Interval | None:
    """A figure of the blocks' means, with its interval by resampling blocks; one block has none."""
    import numpy as np

    from probes.resampling import interval_limits

    values = np.asarray(rows, dtype=float)
    if not len(values) or not values[:, ::2].sum(axis=0).all():
        return None
    if len(values) == 1:
        return Interval(float(statistic(values[0])), least, 1.0)
    estimate, low, high = interval_limits(statistic, values, seed, LEVEL)
    return Interval(estimate, max(least, low), min(1.0, high))


# ------------------------------------------------------------------------------------------------------ whole arms


def arms_in(blocks: Mapping[int, Mapping[str, ArmOutcome]]) -> list[str]:
    """The arms that some block has, in the order of tables."""
    return in_order({arm for block in blocks.values() for arm in block})


def in_order(there: Collection[str]) -> list[str]:
    """Some arms in the order of tables; those of other versions come last."""
    return [arm for arm in ARMS if arm in there] + sorted(set(there) - set(ARMS))


def in_arm(blocks: Mapping[int, Mapping[str, ArmOutcome]], arm: str) -> list[ArmOutcome]:
    """What is known of one arm, block after block."""
    return [block[arm] for block in blocks.values() if arm in block]


def answers(found: Iterable[ArmOutcome]) -> list[Summary]:
    """All answers of some blocks, those of calls that failed too."""
    return [summary for each in found for summary in each.summaries.values()]


class LeastMeasurable(NamedTuple):
    """The arm whose answers are summaries least often, and how often they are."""

    arm: str
    summaries: int
    answers: int

    @property
    def rate(self) -> float:
        """The share of the answers that are summaries."""
        return self.summaries / self.answers

    @property
    def measurable(self) -> bool:
        """Whether enough of its answers are summaries for its coverage to mean anything."""
        return self.rate >= SUMMARY_RATE


def least_measurable(blocks: Mapping[int, Mapping[str, ArmOutcome]]) -> LeastMeasurable | None:
    """Of the arms that hold the instruction, the one whose answers are summaries least often; None without answers.

    Calls that failed are no answers; refusals are, and they are no summaries.
    """
    rates = []
    for arm in INSTRUCTED:
        given = [each for each in answers(in_arm(blocks, arm)) if each.outcome != "error"]
        if given:
            rates.append(LeastMeasurable(arm, sum(each.is_summary for each in given), len(given)))
    return min(rates, key=lambda each: each.rate, default=None)
