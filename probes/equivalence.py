"""When data say that there is no effect worth speaking of: an equivalence test with a stated margin."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from probes.stats import LEVEL, ROUNDING, Interval, adjusted_difference, all_plain, blocks_words, difference_interval

LEVEL_90 = 2 * LEVEL - 1  # two one-sided tests at 5 % are one interval of 90 %


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether paired differences, one a block, show that the mean difference is smaller than `margin` either way.

    `p_value`: the larger of the two one-sided tests (TOST). `smallest_margin`: any larger one they would show;
    infinite for a single block.
    """

    blocks: int
    margin: float
    interval90: Interval
    p_value: float
    smallest_margin: float

    @property
    def equivalent(self) -> bool:
        """Whether the test and the interval of 90 % both say that the effect is smaller than the margin."""
        inside = max(abs(self.interval90.low), abs(self.interval90.high)) < self.margin
        return inside and self.p_value < 1 - LEVEL

    @property
    def zero_inside(self) -> bool:
        """Whether no difference at all is among what the interval of 90 % leaves open."""
        return self.interval90.low <= 0 <= self.interval90.high


def equivalence(
    differences: Sequence[float], *, margin: float, seed: int, most: float = math.inf
) -> Equivalence | None:
    """Test whether a mean paired difference is smaller than a margin that was stated beforehand; None for no block.

    Two one-sided t tests (Schuirmann 1987), and the interval of 90 % as well; `most` as in `paired_difference`. Where
    the differences are plain or all alike, the tests go by the adjusted standard error, or, without a limit, by signs.

    Example: equivalence([0.02, -0.01, 0.0, 0.01, -0.02, 0.01], margin=0.05, seed=1).equivalent -> True
    """
    interval = difference_interval(differences, seed=seed, most=most, level=LEVEL_90)
    if interval is None:
        return None
    count = len(differences)
    if count == 1:
        return Equivalence(1, margin, interval, 1.0, math.inf)
    ends = max(abs(interval.low), abs(interval.high))
    centre, error, freedom = _test_figures(differences, most)
    if error < ROUNDING:  # all alike without a limit: as many signs that agree
        p_value = 0.5**count if abs(centre) < margin else 1.0
        return Equivalence(count, margin, interval, p_value, ends if 0.5**count < 1 - LEVEL else math.inf)
    from scipy.stats import t as student

    p_value = float(student.sf((margin - abs(centre)) / error, freedom))
    shown = abs(centre) + float(student.ppf(LEVEL, freedom)) * error
    return Equivalence(count, margin, interval, p_value, max(ends, shown))


def _test_figures(differences: Sequence[float], most: float) -> tuple[float, float, float]:
    """The estimate, its standard error and the degrees of freedom that the tests go by."""
    if all_plain(differences, most):
        return *adjusted_difference(differences, most), math.inf
    count, mean = len(differences), sum(differences) / len(differences)
    spread = math.sqrt(sum((each - mean) ** 2 for each in differences) / (count - 1))
    return mean, spread / count**0.5, count - 1


def no_effect_words(found: Equivalence, *, scale: float, unit: str, digits: int) -> str:
    """What an equivalence test says, for people, in words chosen by the figures.

    Examples: "no effect within 5 points (90% interval -2 to +3, 50 blocks)", "an effect, but of less than 5 points
    (...)", "an effect of more than 5 points is not ruled out; one of more than 12 is (...)".
    """
    low, high = (f"{scale * each:+.{digits}f}" for each in (found.interval90.low, found.interval90.high))
    figures = f"(90% interval {low} to {high}, {blocks_words(found.blocks)})"
    margin = f"{scale * found.margin:.{digits}f} {unit}"
    if found.equivalent:
        said = "no effect within" if found.zero_inside else "an effect, but of less than"
        return f"{said} {margin} {figures}"
    said = f"an effect of more than {margin} is not ruled out"
    if not math.isfinite(found.smallest_margin):
        return f"{said} ({blocks_words(found.blocks)})"
    shown = math.ceil(scale * found.smallest_margin * 10**digits - 1e-9) / 10**digits
    return f"{said}; one of more than {shown:.{digits}f} is {figures}"
