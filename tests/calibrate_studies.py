"""One simulated study in memory, from plan to tables, and what is counted over many of them."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from scipy.stats import binom

from probes.experiments.common import Ruler
from probes.experiments.needle_contrasts import contrast_rows as needle_contrasts
from probes.experiments.needle_results import score_needles
from probes.experiments.placement_results import (
    Declared,
    arm_rows,
    contrast_rows,
    length_rows,
    position_rows,
    read_outcomes,
)
from probes.models.base import ModelError
from probes.models.sim import simulated_model
from probes.plan import Plan, Result

LEVEL, POWER, BOUND = 0.95, 0.80, 0.99
SEED = 1  # of the resampling; what differs from study to study is the reader's luck
WORDS = Ruler("words", lambda text: len(text.split()))
Row = Mapping[str, Any]
What = Literal["covers", "silent", "finds", "claims", "holds"]


def answers(plan: Plan, name: str) -> list[Result]:
    """What a simulated reader makes of a plan; calls that fail are errors."""
    model = simulated_model(name)
    results = []
    for number, trial in enumerate(plan.trials):
        try:
            results.append(Result(name, str(number), trial, model.attempt(trial.request)))
        except ModelError as err:
            results.append(Result(name, str(number), trial, None, err.kind))
    return results


class Study:
    """One study: a reader's answers to a plan, and the tables that are asked for."""

    def __init__(self, plan: Plan, reader: str, seed: int) -> None:
        self.plan = plan
        self.reader = f"{reader}{'&' if '?' in reader else '?'}seed={seed}"
        self.results = answers(plan, self.reader)
        self._declared = Declared.of_spec(plan.spec) if plan.probe == "placement" else None

    @cached_property
    def _outcomes(self) -> Any:
        return read_outcomes(self.results)

    @cached_property
    def contrasts(self) -> list[Row]:
        """The contrasts of a placement or of a needle study."""
        if self.plan.probe == "needle":
            return list(needle_contrasts(score_needles(self.results), seed=SEED))
        return contrast_rows(self._outcomes, seed=SEED, declared=self._declared)

    @cached_property
    def arms(self) -> list[Row]:
        """The rows of the arms."""
        return arm_rows(self._outcomes, seed=SEED)

    @cached_property
    def positions(self) -> list[Row]:
        """Primacy, recency and the like."""
        return position_rows(self._outcomes, seed=SEED)

    @cached_property
    def lengths(self) -> list[Row]:
        """How contrasts change with the length."""
        return length_rows(self._outcomes, seed=SEED, declared=self._declared)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one study says of one quantity."""

    estimate: float | None = None
    low: float = -math.inf
    high: float = math.inf
    p_value: float = 1.0
    detectable: float | None = None
    claimed: bool = False  # that there is no effect worth the name
    holds: bool = True  # what must be so in every study


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to count over studies.

    covers   the interval holds the truth: it may miss in 5 % of the studies
    silent   there is no effect: a p-value below 5 % is a false positive, in 5 % of the studies
    finds    there is an effect of just the size that can be shown: found in 80 % of the studies
    claims   there is an effect as large as the margin of equivalence: "no effect" may be said in 5 % of them
    holds    it must be so in every study
    """

    what: What
    quantity: str
    truth: float | None
    read: Callable[[Study], Figure]


@dataclass(frozen=True, slots=True)
class Effect:
    """One planted effect: the reader, the plan it answers, and the checks."""

    name: str
    reader: str
    plan: Plan
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """What a check came to in so many studies, and what it may come to: both ends belong to the bound."""

    check: Check
    estimate: float | None
    detectable: float | None
    studies: int
    count: int
    least: int
    most: int

    @property
    def kept(self) -> bool:
        """Whether the count is within its bound."""
        return self.least <= self.count <= self.most


def bound(what: What, studies: int) -> tuple[int, int]:
    """From how many to how many of so many studies a count may come to, with a probability of 99 % for either end.

    Example: bound("covers", 200) -> (0, 18): an interval of 95 % may miss in 18 of 200 studies
    """
    if what == "holds":
        return 0, 0
    if what == "finds":
        return int(binom.ppf(1 - BOUND, studies, POWER)), int(binom.ppf(BOUND, studies, POWER))
    return 0, int(binom.ppf(BOUND, studies, 1 - LEVEL))


def counted(check: Check, figures: Iterable[Figure]) -> Count:
    """Count what a check counts: misses, findings, claims, or studies in which something did not hold."""
    figures = list(figures)
    count = sum(_counts(check, each) for each in figures)
    estimates = [each.estimate for each in figures if each.estimate is not None]
    detectable = [each.detectable for each in figures if each.detectable is not None]
    return Count(check, _mean(estimates), _mean(detectable), len(figures), count, *bound(check.what, len(figures)))


def _counts(check: Check, figure: Figure) -> bool:
    if check.what == "covers":
        assert check.truth is not None
        return not figure.low - 1e-9 <= check.truth <= figure.high + 1e-9
    if check.what == "holds":
        return not figure.holds
    return figure.claimed if check.what == "claims" else figure.p_value < 1 - LEVEL


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


# ----------------------------------------------------------------------------------------------- what is read where


def contrast(outcome: str, arm: str, control: str, *, p_value: str = "p_value") -> Callable[[Study], Figure]:
    """One contrast of a placement study."""
    return lambda study: _figure(_row(study.contrasts, outcome=outcome, arm=arm, control=control), p_value)


def net(outcome: str, kind: str) -> Callable[[Study], Figure]:
    """What the instruction adds to a control after the text, less what it adds before it."""
    return contrast(outcome, f"after less {kind}-after", f"before less {kind}-before")


def any_contrast(outcome: str) -> Callable[[Study], Figure]:
    """The smallest corrected p-value among the declared contrasts of an outcome."""
    return lambda study: Figure(
        p_value=min(row["p_holm"] for row in study.contrasts if row["outcome"] == outcome and row["declared"])
    )


def per_doubling(outcome: str, arm: str, control: str) -> Callable[[Study], Figure]:
    """How a contrast changes when the text gets twice as long."""

    def read(study: Study) -> Figure:
        row = _row(study.lengths, outcome=outcome, arm=arm, control=control)
        return Figure(row["per_doubling"], row["low"], row["high"], row["p_value"], row["detectable"])

    return read


def of_arm(arm: str, outcome: str) -> Callable[[Study], Figure]:
    """The mean of one arm: outcome is "coverage" or "margin"."""

    def read(study: Study) -> Figure:
        row = _row(study.arms, arm=arm)
        return Figure(
            row["coverage_rate" if outcome == "coverage" else "margin_nats"],
            row[f"{outcome}_low"],
            row[f"{outcome}_high"],
        )

    return read


def position(arm: str, outcome: str, measure: str) -> Callable[[Study], Figure]:
    """Primacy, recency or the middle's deficit in one arm."""

    def read(study: Study) -> Figure:
        row = _row(study.positions, arm=arm, outcome=outcome, measure=measure)
        return Figure(row["value"], row["low"], row["high"])

    return read


def needle_contrast(level: str, base: str) -> Callable[[Study], Figure]:
    """A contrast of places in a needle study."""
    return lambda study: _figure(_row(study.contrasts, outcome="right_rate", level=level, base=base), "p_value")


def _row(rows: Iterable[Row], **wanted: object) -> Row:
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    if len(found) != 1:
        raise LookupError(f"{len(found)} rows with {wanted}")
    return found[0]


def _figure(row: Row, p_value: str) -> Figure:
    ends = [row["low"], row["high"]]
    return Figure(
        row["difference"],
        *(math.inf * sign if end is None else end for end, sign in zip(ends, (-1, 1), strict=True)),
        p_value=1.0 if row[p_value] is None else row[p_value],
        detectable=row["detectable"],
        claimed=bool(row.get("equivalent")),
    )
