"""The statistics behind every table, on scipy: the block is the unit, and every interval has a level of 95 %."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LEVEL = 0.95
POWER = 0.80
LEAST_P = 0.001  # smaller ones are not told apart in words
DISCORDANT = 0.2  # before anything is known: the share of questions that two arms are taken to answer differently
CORRELATION = 0.1  # and how alike the answers inside one block are taken to be


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate and the two ends of its confidence interval, in the unit of what was estimated."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """What paired differences, one a block, say about the mean difference.

    `p_value`: two-sided sign-flip permutation test. `detectable`: the smallest mean difference that a design with as
    many blocks, as much spread and as many tests shows with a power of 80 %; None where no difference could be clear.
    """

    blocks: int
    interval: Interval
    p_value: float
    detectable: float | None

    def row(self) -> dict[str, float | int | None]:
        """The figures as they stand in a table's row."""
        return {
            "blocks": self.blocks,
            "difference": self.interval.estimate,
            "low": self.interval.low,
            "high": self.interval.high,
            "p_value": self.p_value,
            "detectable": self.detectable,
        }

    @property
    def clear(self) -> bool:
        """Whether the data tell the difference from zero: the test and the interval both say so."""
        return self.p_value < 1 - LEVEL and (self.interval.low > 0 or self.interval.high < 0)


@lru_cache(maxsize=4096)
def wilson(successes: int, trials: int) -> Interval | None:
    """A rate with its score interval (Wilson 1927); None where nothing was counted.

    Example: wilson(1, 1) -> about Interval(1.0, 0.21, 1.0): one success out of one says little.
    """
    if trials == 0:
        return None
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(LEVEL, method="wilson")
    return Interval(successes / trials, float(found.low), float(found.high))


def rate_interval(shares: Sequence[float], *, seed: int) -> Interval | None:
    """The mean of one share a block, 0 to 1, with its interval over blocks; None where there is no block.

    Wilson's where every block is a plain yes or no, the bootstrap over blocks where a block holds several answers.
    Blocks that are all alike leave nothing to resample: then Wilson's, for as many blocks.

    Example: rate_interval([1.0] * 10, seed=1) -> about Interval(1.0, 0.72, 1.0)
    """
    total, count = sum(shares), len(shares)
    if count == 0:
        return None
    if all(share in (0.0, 1.0) for share in shares) or max(shares) - min(shares) < 1e-12:
        low, high = wilson(math.floor(total + 1e-9), count), wilson(math.ceil(total - 1e-9), count)
        assert low is not None
        assert high is not None
        return Interval(total / count, low.low, high.high)
    return mean_interval(shares, seed=seed, least=0.0, most=1.0)


def paired_difference(
    differences: Sequence[float], *, seed: int, tests: int = 1, most: float = math.inf
) -> PairedDifference | None:
    """Test and estimate the mean of one difference a block; None where there is no block.

    `tests` is the size of the family that the test belongs to; only `detectable` depends on it, the p-value is not
    corrected here. `most` is the largest difference there can be, 1 for rates: no limit lies beyond it.

    The test flips signs: every way up to fourteen blocks, else 20,000 ways drawn by `seed`.
    """
    interval = mean_interval(differences, seed=seed, least=-most, most=most)
    if interval is None:
        return None
    if len(differences) == 1:
        return PairedDifference(1, interval, 1.0, None)
    import numpy as np
    from scipy import stats

    values = np.asarray(differences, dtype=float)
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(seed)
    )
    detectable = detectable_difference(float(values.std(ddof=1)), len(differences), tests=tests)
    return PairedDifference(len(differences), interval, min(1.0, float(test.pvalue)), detectable)


def mean_interval(
    values: Sequence[float], *, seed: int, least: float = -math.inf, most: float = math.inf
) -> Interval | None:
    """The mean of one value a block, with its interval over blocks; None where there is no block.

    No limit lies outside `least` to `most`, which are 0 and 1 for rates.

    The bias-corrected and accelerated bootstrap (Efron 1987); Student's below six blocks, where resampling has too
    little to draw from; without limits for a single block.
    """
    if not values:
        return None
    import numpy as np
    from scipy import stats

    sample = np.asarray(values, dtype=float)
    count, mean, spread = len(sample), float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else 0.0
    if count == 1:
        return Interval(mean, least, most)
    if spread < 1e-12:  # identical values leave nothing to resample
        return Interval(mean, mean, mean)
    if count < 6:
        half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread / count**0.5
        return Interval(mean, max(least, mean - half), min(most, mean + half))
    drawn = stats.bootstrap(
        (sample,), np.mean, confidence_level=LEVEL, n_resamples=9999, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(mean, float(drawn.low), float(drawn.high))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family of tests, corrected by Holm's step-down procedure (Holm 1979), in their order.

    Example: holm([0.01, 0.04, 0.03]) -> [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def detectable_difference(spread: float, blocks: int, *, tests: int = 1) -> float | None:
    """The smallest true mean difference that `blocks` paired differences show at 5 % with a power of 80 %.

    `spread` is the standard deviation of one difference. The usual formula for a paired t test:
    (t(0.975) + t(0.8)) * spread / sqrt(blocks), with blocks - 1 degrees of freedom (Miller 2024, arXiv 2411.00640);
    for the smallest p-value of several tests 5 % is shared among them. None with too few blocks for any clear result.
    """
    if blocks < fewest_blocks(tests):
        return None
    from scipy import stats

    quantiles = stats.t.ppf(1 - (1 - LEVEL) / 2 / tests, blocks - 1) + stats.t.ppf(POWER, blocks - 1)
    return float(quantiles * spread / blocks**0.5)


def mcnemar_power(difference: float, pairs: int, *, discordant: float = DISCORDANT, tests: int = 1) -> float:
    """How often the exact McNemar test finds a true difference between two rates, both measured on the same pairs.

    `discordant` is the share of pairs whose two answers differ, `difference` at the most. With one answer a block the
    sign-flip test is this test. For the smallest p-value of several `tests` 5 % is shared among them.

    Example: mcnemar_power(0.2, 57, discordant=0.3) -> 0.77
    """
    import numpy as np
    from scipy.stats import binom

    differing = np.arange(pairs + 1)
    least = binom.isf((1 - LEVEL) / 2 / tests, differing, 0.5)  # more than so many one way are clear
    towards = (1 + difference / discordant) / 2
    clear = binom.sf(least, differing, towards) + binom.sf(least, differing, 1 - towards)
    return float(np.sum(binom.pmf(differing, pairs, discordant) * clear))


def planned_difference(
    blocks: int, answers: int = 1, *, discordant: float = DISCORDANT, correlation: float = CORRELATION, tests: int = 1
) -> float | None:
    """The smallest true difference between two rates that a plan shows at 5 % with a power of 80 %; None for none.

    Each of `blocks` holds `answers` questions, all asked in both arms. `discordant` is the share of questions taken to
    be answered differently, `correlation` how alike the differences inside a block are taken to be: the design effect
    is 1 + (answers - 1) * correlation. One answer a block: exact McNemar; several: as `detectable_difference`.

    Example: planned_difference(200) -> 0.091; planned_difference(5) -> None
    """
    if blocks < fewest_blocks(tests):
        return None
    if answers > 1:
        spread = math.sqrt(discordant * (1 + (answers - 1) * correlation) / answers)
        difference = detectable_difference(spread, blocks, tests=tests)
        return difference if difference is not None and difference <= 1 else None
    low, high = (
        0.0,
        1.0,
    )  # where the difference is greater than the share taken to differ, all that differs goes one way
    while high - low > 1e-4:
        middle = (low + high) / 2
        power = mcnemar_power(middle, blocks, discordant=max(discordant, middle), tests=tests)
        low, high = (low, middle) if power >= POWER else (middle, high)
    return high


def blocks_for_precision(half_width: float, rate: float = 0.5) -> int:
    """How many blocks of one answer bring the 95 % interval of a rate down to plus or minus `half_width`, about.

    Example: blocks_for_precision(0.1) -> 97; blocks_for_precision(0.1, rate=0.9) -> 35
    """
    from scipy.stats import norm

    return math.ceil(rate * (1 - rate) * float(norm.ppf((1 + LEVEL) / 2) / half_width) ** 2)


def fewest_blocks(tests: int = 1) -> int:
    """The fewest blocks with which a sign-flip test, one of so many, can reach 5 %: tests * 2 / 2**blocks < 0.05.

    Example: fewest_blocks(1) -> 6, fewest_blocks(4) -> 8
    """
    blocks = 1
    while tests * 2 / 2**blocks >= 1 - LEVEL:
        blocks += 1
    return blocks


def too_few_words(blocks: int, tests: int = 1) -> str:
    """What must be said where no result could have been clear."""
    among = f" in {tests} contrasts" if tests > 1 else ""
    return f"{_blocks(blocks)} cannot tell any difference from chance{among}; {fewest_blocks(tests)} can."


def difference_words(interval: Interval, p_value: float, blocks: int, *, scale: float, unit: str, digits: int) -> str:
    """A difference for people, scaled into its unit.

    Example: "+12 points, 95% interval +3 to +20, p = 0.021, 10 blocks"; a single block has only its difference.
    """
    value, low, high = (f"{scale * each:+.{digits}f}" for each in (interval.estimate, interval.low, interval.high))
    p_is = f"p {p_words(p_value)}" if p_value < LEAST_P else f"p = {p_words(p_value)}"
    limits = f"95% interval {low} to {high}" if low != high else "alike in all blocks"
    test = f"{limits}, {p_is}, " if blocks > 1 else ""
    return f"{value} {unit}, {test}{_blocks(blocks)}"


def p_words(p_value: float) -> str:
    """A p-value for people. Examples: 0.0214 -> "0.021", 0.00002 -> "< 0.001"."""
    return f"< {LEAST_P}" if p_value < LEAST_P else f"{p_value:.3f}"


def _blocks(count: int) -> str:
    return f"{count} block{'' if count == 1 else 's'}"
