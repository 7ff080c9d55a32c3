"""How far two readers agree who each say yes or no of the same things, with intervals that resample blocks."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from probes.stats import LEVEL, Interval, wilson

if TYPE_CHECKING:
    from probes.resampling import Floats


class Counts(NamedTuple):
    """Things of which two readers say yes or no: both yes, only the first, only the second, neither."""

    both: int
    only_first: int
    only_second: int
    neither: int


class Agreement(NamedTuple):
    """The share of all things of which two readers say the same, and Cohen's kappa; None where it is not defined."""

    rate: Interval
    kappa: Interval | None


def agreement(blocks: Sequence[Counts], *, seed: int) -> Agreement | None:
    """How far two readers agree on all things of some blocks together, each figure with its 95 % interval over blocks.

    Kappa is (observed - chance) / (1 - chance), where chance is how often they would agree if each kept its share of
    yes and gave it blindly (Cohen 1960, doi.org/10.1177/001316446002000104); it is not defined where both say the same
    of everything. Intervals are bootstraps over blocks, as in `stats.mean_interval`. Blocks that all agree alike leave
    nothing to resample: then the share of agreement has Wilson's interval, for as many blocks, and kappa what follows
    from it at the same chance. None where there is nothing to agree on.

    Example: agreement([Counts(20, 5, 10, 15)], seed=1) -> a rate of 0.7 and a kappa of 0.4
    """
    import numpy as np

    rows = np.asarray([each for each in blocks if sum(each)], dtype=float)
    if not len(rows):
        return None
    same = observed(rows)
    alike = len(rows) == 1 or float(same.max() - same.min()) < 1e-12
    totals = rows.sum(axis=0)
    rate = _alike_interval(float(observed(totals)), len(rows)) if alike else _interval(observed, rows, 0.0, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(kappa(totals))
    if not math.isfinite(estimate):
        return Agreement(rate, None)
    if alike:
        by_chance = chance(totals)
        low, high = ((end - by_chance) / (1 - by_chance) for end in (rate.low, rate.high))
        return Agreement(rate, Interval(estimate, max(-1.0, float(low)), min(1.0, float(high))))
    return Agreement(rate, _interval(kappa, rows, -1.0, seed))


def observed(counts: "Floats") -> "Floats":
    """The share of the things of which both say the same, from counts or their means along the last axis."""
    share: Floats = (counts[..., 0] + counts[..., 3]) / counts.sum(axis=-1)
    return share


def chance(counts: "Floats") -> "Floats":
    """The share of which both would say the same if each gave its share of yes blindly."""
    total = counts.sum(axis=-1)
    first, second = (counts[..., 0] + counts[..., 1]) / total, (counts[..., 0] + counts[..., 2]) / total
    share: Floats = first * second + (1 - first) * (1 - second)
    return share


def kappa(counts: "Floats") -> "Floats":
    """Cohen's kappa of counts as in `Counts`, or their means, along the last axis; not a number without any spread.

    Example: kappa(array([20, 5, 10, 15])) -> 0.4
    """
    by_chance = chance(counts)
    figure: Floats = (observed(counts) - by_chance) / (1 - by_chance)
    return figure


def _interval(statistic: Callable[["Floats"], "Floats"], rows: "Floats", least: float, seed: int) -> Interval:
    from probes.resampling import interval_limits

    estimate, low, high = interval_limits(statistic, rows, seed, LEVEL)
    return Interval(estimate, max(least, low), min(1.0, high))


def _alike_interval(rate: float, blocks: int) -> Interval:
    """The interval of a share that is the same in all blocks: Wilson's around so many blocks that agree in full."""
    low, high = wilson(math.floor(rate * blocks + 1e-9), blocks), wilson(math.ceil(rate * blocks - 1e-9), blocks)
    assert low is not None
    assert high is not None
    return Interval(rate, low.low, high.high)
