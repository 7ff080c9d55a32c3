"""What a plan can show before it is run, and how well something is known after it: the block is the unit."""

import math
from dataclasses import dataclass

from probes.stats import LEVEL, POWER, Interval, detectable_difference, fewest_blocks

DISCORDANT = 0.2  # before anything is known: the share of questions that two arms are taken to answer differently
CORRELATION = 0.1  # and how alike the answers inside one block are taken to be


@dataclass(frozen=True, slots=True)
class Precision:
    """How well something is known: half the width of its interval from so many `blocks`, in the unit of the estimate.

    `blocks_needed`: about how many bring that down to `wanted`; no more than there are, where they do already.
    """

    half_width: float
    blocks: int
    wanted: float
    blocks_needed: int


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
    low, high = 0.0, 1.0
    # where the difference is greater than the share taken to differ, all that differs goes one way
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


def precision_after(interval: Interval, blocks: int, *, wanted: float) -> Precision | None:
    """How well a mean or a difference of `blocks` is known, and how many would know it to plus or minus `wanted`.

    More blocks are taken to spread as these do: half of Student's interval is t(0.975) * spread / sqrt(blocks). None
    for a single block, which says nothing of the spread.

    Example: precision_after(Interval(0.1, -0.1, 0.3), 20, wanted=0.1) -> half_width 0.2, blocks_needed 74
    """
    from scipy.stats import t as student

    half = (interval.high - interval.low) / 2
    if blocks < 2 or not math.isfinite(half):
        return None
    spread = half * blocks**0.5 / float(student.ppf((1 + LEVEL) / 2, blocks - 1))
    needed = blocks
    while half > wanted and float(student.ppf((1 + LEVEL) / 2, needed - 1)) * spread / needed**0.5 > wanted:
        needed = max(needed + 1, math.floor((1.96 * spread / wanted) ** 2))
    return Precision(half, blocks, wanted, needed)


def rate_precision_after(interval: Interval, blocks: int, *, wanted: float) -> Precision:
    """How well a rate of `blocks` plain answers is known, and how many would know it to plus or minus `wanted`.

    A rate of 0 or 1 is not that certain: two right and two wrong answers are added first (Agresti and Coull 1998).

    Example: rate_precision_after(wilson(9, 10), 10, wanted=0.1) -> half_width 0.19, blocks_needed 65
    """
    half = (interval.high - interval.low) / 2
    if half <= wanted:
        return Precision(half, blocks, wanted, blocks)
    likely = (interval.estimate * blocks + 2) / (blocks + 4)
    return Precision(half, blocks, wanted, max(blocks_for_precision(wanted, likely), blocks + 1))
