"""A figure: a count over another, kept apart for each document so that its interval can be had."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """Something counted over something else, in each of several units such as documents.

    Example: Ratio(np.array([10.0, 20.0]), np.array([4.0, 6.0])).value == 3.0
    """

    numerators: Floats
    denominators: Floats

    @property
    def numerator(self) -> float:
        """The total of what was counted."""
        return float(self.numerators.sum())

    @property
    def denominator(self) -> float:
        """The total of what it is counted over."""
        return float(self.denominators.sum())

    @property
    def value(self) -> float | None:
        """The ratio of the totals; None where there is nothing to count over."""
        return self.numerator / self.denominator if self.denominator else None

    def of(self, units: slice) -> "Ratio":
        """The same for some of the units."""
        return Ratio(self.numerators[units], self.denominators[units])


def one_ratio(numerator: float, denominator: float) -> Ratio:
    """A ratio of a single unit, which has no interval."""
    return Ratio(np.array([numerator], np.float64), np.array([denominator], np.float64))


@dataclass(frozen=True)
class Figure:
    """One figure of one tokenizer.

    Attributes:
        metric: its name, one of `measuring.METRICS`.
        tokenizer: of which tokenizer; None for a compressor.
        source: of which file; None for all of them together, or where no file is measured.
        against: the tokenizer, file or list that it is measured against, if any.
        ratio: what was counted, and over what.
        units: what the parts are between which `ratio` keeps apart: documents, lines, words ...
    """

    metric: str
    tokenizer: str | None
    source: str | None
    against: str | None
    ratio: Ratio
    units: str = "documents"
