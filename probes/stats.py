"""The statistics behind every table, on scipy: the block is the unit, and every interval has a level of 95 %."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

Block = TypeVar("Block")
LEVEL = 0.95
POWER = 0.80
ROUNDING = 1e-12  # what is smaller is no difference but how a computer adds
LEAST_P = 0.001  # smaller ones are not told apart in words


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
    Blocks that are all alike leave nothing to resample: then Wilson's, for as many blocks. Where a mean above 0.9 hides
    a few blocks that are far below it (a correlation of 0.3 inside blocks), the bootstrap covers in 89 to 95 cases of
    100: no interval knows of bad blocks that it has not met, and Wilson's, which covers, is three times as wide where
    blocks do not differ.

    Example: rate_interval([1.0] * 10, seed=1) -> about Interval(1.0, 0.72, 1.0)
    """
    total, count = sum(shares), len(shares)
    if count == 0:
        return None
    if all(share in (0.0, 1.0) for share in shares) or max(shares) - min(shares) < ROUNDING:
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

    The test flips signs: every way up to fourteen blocks, else 20,000 ways drawn by `seed`. The interval is that of
    `difference_interval`.
    """
    differences = [0.0 if abs(difference) < ROUNDING else difference for difference in differences]
    interval = difference_interval(differences, seed=seed, most=most)
    if interval is None:
        return None
    if len(differences) == 1:
        return PairedDifference(1, interval, 1.0, None)
    import numpy as np

    from probes.resampling import sign_flip_p

    values = np.asarray(differences, dtype=float)
    spread = float(values.std(ddof=1))
    if all_plain(differences, most):
        spread = adjusted_difference(differences, most)[1] * len(differences) ** 0.5
    detectable = detectable_difference(spread, len(differences), tests=tests)
    return PairedDifference(len(differences), interval, sign_flip_p(values, seed), detectable)


def difference_interval(
    differences: Sequence[float], *, seed: int, most: float = math.inf, level: float = LEVEL
) -> Interval | None:
    """The mean of one paired difference a block, with its interval over blocks; None where there is no block.

    That of `mean_interval`. For rates, which `most` limits, also the adjusted one of `adjusted_difference`: alone where
    every block is a plain better, worse or alike, or all blocks are alike, which does not make it certain that the next
    one will be; and the farther limit of the two where a third of the blocks or more do not differ at all. There the
    few that do may differ much, and resampling alone covers in 83 to 90 cases of 100.

    Example: difference_interval([0.0] * 20, seed=1, most=1.0) -> Interval(0.0, -0.13, 0.13)
    """
    plain = len(differences) > 1 and all_plain(differences, most)
    resampled = None if plain else mean_interval(differences, seed=seed, least=-most, most=most, level=level)
    differing = sum(abs(each) > ROUNDING for each in differences)
    sparse = math.isfinite(most) and 3 * differing <= 2 * len(differences)
    if not plain and (len(differences) < 2 or not sparse):
        return resampled
    from scipy.stats import norm

    centre, error = adjusted_difference(differences, most)
    half = float(norm.ppf((1 + level) / 2)) * error
    mean = sum(differences) / len(differences)
    found = [Interval(mean, max(-most, centre - half), min(most, centre + half)), *([resampled] if resampled else [])]
    return Interval(mean, min(mean, *(each.low for each in found)), max(mean, *(each.high for each in found)))


def all_plain(differences: Sequence[float], most: float) -> bool:
    """Whether each difference is nothing or all there can be, or all are the same: what resampling cannot do."""
    alike = max(differences) - min(differences) < ROUNDING
    return math.isfinite(most) and (alike or all(min(abs(each), abs(abs(each) - most)) < 1e-9 for each in differences))


def adjusted_difference(differences: Sequence[float], most: float) -> tuple[float, float]:
    """The adjusted estimate of a difference of two paired rates and its standard error (Bonett and Price 2012).

    Before the usual formula one block is added that is better and one that is worse (doi.org/10.3102/1076998611411915):
    by `most`, the largest difference there can be, where blocks are plain, else by the largest one there is.
    """
    plain, count = all_plain(differences, most), len(differences) + 2
    step = most if plain else max(map(abs, differences))
    squares = sum(abs(each) * most if plain else each**2 for each in differences) + 2 * step**2
    centre = sum(differences) / count
    return centre, math.sqrt((squares / count - centre**2) / count)


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided mid-p value of the exact McNemar test of two rates measured on the same pairs.

    The arguments count the pairs of which only the first answer is right, and only the second. The mid-p holds its
    level nearly always and is less timid than the exact p (Fagerland, Lydersen and Laake 2013,
    doi.org/10.1186/1471-2288-13-91), which the sign-flip test gives for one answer a block.

    Example: mcnemar(1, 7) -> 0.039
    """
    if only_first == only_second == 0:
        return 1.0
    from scipy.stats import binom

    pairs, fewer = only_first + only_second, min(only_first, only_second)
    as_many = float(binom.pmf(fewer, pairs, 0.5))
    return 1 - as_many / 2 if only_first == only_second else float(2 * binom.cdf(fewer, pairs, 0.5)) - as_many


def interaction(
    differences_by_level: Mapping[float, Mapping[int, float]], *, seed: int, tests: int = 1, most: float = math.inf
) -> PairedDifference | None:
    """How a paired difference changes with length: by how much more for each doubling, one slope a block.

    `differences_by_level` gives, for each length, the difference of each block, by its number: the same number at
    several lengths is one block. Its slope is that of the least-squares line over log2(length); blocks at one length
    have none and are left out. None where no block has a slope. `most` is the largest difference there can be.

    Example: interaction({400: {1: 0.1}, 800: {1: 0.2}, 1600: {1: 0.3}}, seed=1) -> an estimate of 0.1
    """
    lines: dict[int, list[tuple[float, float]]] = {}
    for level, differences in differences_by_level.items():
        for block, difference in differences.items():
            lines.setdefault(block, []).append((math.log2(level), difference))
    slopes, steepest = [], 0.0
    for _, line in sorted(lines.items()):
        centre = sum(place for place, _ in line) / len(line)
        squares = sum((place - centre) ** 2 for place, _ in line)
        if squares > 0:
            slopes.append(sum((place - centre) * difference for place, difference in line) / squares)
            steepest = max(steepest, sum(abs(place - centre) for place, _ in line) / squares)
    return paired_difference(slopes, seed=seed, tests=tests, most=most * steepest) if slopes else None


def mean_interval(
    values: Sequence[float],
    *,
    seed: int,
    least: float = -math.inf,
    most: float = math.inf,
    level: float = LEVEL,
) -> Interval | None:
    """The mean of one value a block, with its interval over blocks; None where there is no block.

    No limit lies outside `least` to `most`, which are 0 and 1 for rates.

    The bias-corrected and accelerated bootstrap (Efron 1987), widened for few blocks (Hesterberg 2015); Student's below
    six blocks, where resampling has too little to draw from; without limits for a single block.
    """
    if not values:
        return None
    import numpy as np

    from probes.resampling import interval_limits

    sample = np.asarray(values, dtype=float)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(mean, least, most)
    if float(sample.std(ddof=1)) < ROUNDING:  # identical values leave nothing to resample
        return Interval(mean, mean, mean)
    estimate, low, high = interval_limits(lambda means: means[..., 0], sample[:, np.newaxis], seed, level)
    return Interval(estimate, max(least, low), min(most, high))


def cluster_bootstrap(
    blocks: Sequence[Block],
    statistic: Callable[[Sequence[Block]], float],
    *,
    seed: int,
    least: float = -math.inf,
    most: float = math.inf,
    resamples: int = 1999,
) -> Interval | None:
    """Any figure of all blocks together, with its interval over blocks; None for no block or an undefined figure.

    `statistic` gets a list of blocks, some of them several times, and gives a number, or `math.nan` where it is
    undefined: such a draw counts against both limits. The figure must change little with any one block, as a ratio or a
    centre of mass does; for a longest length see `probes/effective_length.py`. Intervals as in `mean_interval`.

    Example: cluster_bootstrap([(3, 4), (2, 5), ...], lambda all: sum(a for a, _ in all) / sum(b for _, b in all), ...)
    """
    estimate = statistic(blocks) if blocks else math.nan
    if not math.isfinite(estimate):
        return None
    if len(blocks) == 1:
        return Interval(estimate, least, most)
    import numpy as np

    from probes.resampling import FEWEST, bca_limits, jackknife_limits, resampled_counts

    kept = [[*blocks[:left], *blocks[left + 1 :]] for left in range(len(blocks))]
    left_out = np.array([statistic(each) for each in kept], dtype=np.float64)
    if len(blocks) < FEWEST:
        low, high = jackknife_limits(estimate, left_out, LEVEL)
    else:
        counts = resampled_counts(len(blocks), seed, resamples)
        drawn = (np.repeat(np.arange(len(blocks)), times).tolist() for times in counts)
        figures = [statistic([blocks[number] for number in numbers]) for numbers in drawn]
        low, high = bca_limits(np.array(figures, dtype=np.float64), estimate, left_out, LEVEL)
    return Interval(estimate, max(least, low), min(most, high))


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
    return f"{blocks_words(blocks)} cannot tell any difference from chance{among}; {fewest_blocks(tests)} can."


def difference_words(interval: Interval, p_value: float, blocks: int, *, scale: float, unit: str, digits: int) -> str:
    """A difference for people, scaled into its unit.

    Example: "+12 points, 95% interval +3 to +20, p = 0.021, 10 blocks"; a single block has only its difference.
    """
    value, low, high = (f"{scale * each:+.{digits}f}" for each in (interval.estimate, interval.low, interval.high))
    limits = f"95% interval {low} to {high}" if low != high else "alike in all blocks"
    test = f"{limits}, {p_is(p_value)}, " if blocks > 1 else ""
    return f"{value} {unit}, {test}{blocks_words(blocks)}"


def scale_of(outcome: str) -> tuple[int, str, int]:
    """How a difference in an outcome is told, by the outcome's name: times how much, in which unit, how many digits.

    Example: scale_of("right_rate") -> (100, "points", 0); scale_of("margin_nats") -> (1, "nats", 2)
    """
    return (1, "nats", 2) if outcome.endswith("_nats") else (100, "points", 0)


def p_is(p_value: float) -> str:
    """A p-value with its sign. Examples: 0.0214 -> "p = 0.021", 0.00002 -> "p < 0.001"."""
    return f"p {p_words(p_value)}" if p_value < LEAST_P else f"p = {p_words(p_value)}"


def p_words(p_value: float) -> str:
    """A p-value for people. Examples: 0.0214 -> "0.021", 0.00002 -> "< 0.001"."""
    return f"< {LEAST_P}" if p_value < LEAST_P else f"{p_value:.3f}"


def blocks_words(count: int) -> str:
    """How many blocks, in words. Example: "1 block"."""
    return f"{count} block{'' if count == 1 else 's'}"
