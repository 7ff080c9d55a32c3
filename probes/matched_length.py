"""A difference in coverage at equal answer length: longer answers cover more, whatever else they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes.stats import (
    LEVEL,
    ROUNDING,
    Interval,
    PairedDifference,
    detectable_difference,
    fewest_blocks,
    paired_difference,
)

if TYPE_CHECKING:  # the start of a command loads no numpy
    from probes.resampling import Floats


@dataclass(frozen=True, slots=True)
class MatchedDifference:
    """The paired difference that is left between answers of the same number of words.

    `per_doubling`: how much more an answer of twice as many words covers, as estimated; None where nothing tells.
    `length_ratio`: how many times as long the first arm's answers are (geometric mean).
    """

    difference: PairedDifference
    per_doubling: float | None
    length_ratio: float


def difference_at_equal_length(
    differences: Sequence[float], words: Sequence[tuple[int, int]], *, seed: int, tests: int = 1, most: float = 1.0
) -> MatchedDifference | None:
    """What is left of a paired difference, one a block, between two answers of the same length.

    `words` has the numbers of words of the two answers of each block; `tests` and `most` as in `paired_difference`.

    The difference is regressed on the difference in log2(words), block by block; the line's height where the lengths
    are equal is what is left, as in length-controlled AlpacaEval (Dubois et al. 2024, arXiv 2404.04475). Comparing only
    pairs of about the same length would leave few blocks, and those not like the others. Length is part of what an arm
    does: this says what it does beside that, if length acts alike in both arms and along a straight line. The farther
    the lengths are apart, the wider the interval.

    The interval resamples blocks; the test flips the signs of what a line through zero leaves (Freedman and Lane 1983).
    None with fewer than six blocks, and where one arm's answers are longer by the same factor in every block.

    Example: where every answer of twice the length covers 0.2 more, a difference of about 0, and 0.2 per doubling
    """
    import numpy as np

    if len(differences) < fewest_blocks():
        return None
    effects = np.asarray(differences, dtype=float)
    longer = np.log2([max(first, 1) / max(second, 1) for first, second in words])
    length_ratio = float(2 ** longer.mean())
    if np.ptp(effects) < ROUNDING or np.abs(longer).max() < ROUNDING:  # nothing that length could explain
        found = paired_difference(differences, seed=seed, tests=tests, most=most)
        return None if found is None else MatchedDifference(found, None, length_ratio)
    if np.ptp(longer) < ROUNDING:
        return None
    return _regressed(effects, longer, seed=seed, tests=tests, most=most)


def _regressed(effects: "Floats", longer: "Floats", *, seed: int, tests: int, most: float) -> MatchedDifference:
    """The least-squares line of differences over differences in length, its height at zero and its slope."""
    import numpy as np

    from probes.resampling import interval_limits, sign_flip_p

    count, centred = len(effects), longer - longer.mean()
    squares = float(centred @ centred)
    rows = np.stack([longer, effects, longer**2, longer * effects], axis=1)
    height = np.clip(interval_limits(_height, rows, seed, LEVEL), -most, most)
    slope = float(_slope(rows.mean(axis=0)))
    weights = 1 / count - longer.mean() * centred / squares  # of each block in the line's height at zero
    through_zero = effects - longer * float(longer @ effects) / float(longer @ longer)
    through_zero[np.abs(through_zero) < ROUNDING] = 0.0
    left = effects - effects.mean() - slope * centred
    spread = float((left @ left / (count - 2) * (weights @ weights) * count) ** 0.5)
    found = PairedDifference(
        count,
        Interval(*map(float, height)),
        sign_flip_p(weights * through_zero, seed),
        detectable_difference(spread, count, tests=tests),
    )
    return MatchedDifference(found, slope, float(2 ** longer.mean()))


def _slope(means: "Floats") -> "Floats":
    """The slope of the line, from the means of x, y, x squared and xy; not a number where all x are alike."""
    import numpy as np

    squares = means[..., 2] - means[..., 0] ** 2
    slope: Floats = (means[..., 3] - means[..., 0] * means[..., 1]) / np.where(squares > 1e-12, squares, np.nan)
    return slope


def _height(means: "Floats") -> "Floats":
    """The height of the line at x = 0."""
    return means[..., 1] - _slope(means) * means[..., 0]
