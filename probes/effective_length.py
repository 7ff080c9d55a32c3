"""Up to which length a model still finds what it is asked for: the effective context length, by two definitions.

Absolute, as RULER has it: the rate stays at or above a fixed bar (Hsieh et al. 2024, arXiv 2404.06654). Relative, as
NoLiMa has it: it stays at or above 85 % of the base score, the rate in the shortest texts (Modarressi et al. 2025,
arXiv 2502.05167, whose base texts have 250, 500 and 1,000 tokens). Either way all shorter lengths have to pass, too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # the start of a command loads no numpy
    import numpy as np
    from numpy.typing import NDArray

    from probes.resampling import Floats

RULER_RATE = 0.856  # Llama-2-7B at 4,000 tokens, RULER's bar
NOLIMA_SHARE = 0.85  # of the base score, NoLiMa's bar
NOLIMA_BASE = 1_024  # the longest text that counts as short
DRAWS = 9999


@dataclass(frozen=True, slots=True)
class EffectiveLength:
    """The longest tested length up to which the rate passes `bar`, and its limits of 95 %; None: not even the shortest.

    `longest` is the longest that was tested: an effective length as long may be longer. `bar` is the rate to pass,
    `base` the base score that it was taken from (relative only). `blocks`: the fewest and the most at any length.
    """

    definition: Literal["ruler", "nolima"]
    tokens: int | None
    low: int | None
    high: int | None
    bar: float
    base: float | None
    longest: int
    blocks: tuple[int, int]

    def row(self) -> dict[str, Any]:
        """The figures as they stand in a table's row; 0 where not even the shortest length passes."""
        return {
            "definition": self.definition,
            "bar_rate": self.bar,
            "base_rate": self.base,
            "longest_tokens": self.longest,
            "effective_tokens": self.tokens or 0,
            "surely_tokens": self.low or 0,
            "possibly_tokens": self.high or 0,
            "fewest_blocks": self.blocks[0],
            "most_blocks": self.blocks[1],
        }


def effective_length(
    rates: Mapping[int, Mapping[int, float]],
    *,
    seed: int,
    threshold: float | None = None,
    share: float = NOLIMA_SHARE,
    base: Collection[int] | None = None,
) -> EffectiveLength | None:
    """The effective length of one model and task, from a rate of 0 to 1 for each length in tokens and block.

    With `threshold` by the absolute definition; else by the relative one, `share` of the mean rate over the lengths
    `base`: those up to 1,000 tokens, or the shortest. A block number at several lengths is one block. None where fewer
    than two lengths were tested, or the base score is nothing.

    The limits resample blocks with random weights (the Bayesian bootstrap, Rubin 1981), half a block that is all right
    and half a block that is all wrong among them: so blocks that are all alike do not make it certain, and for plain
    answers at one length the rates are those of Jeffreys' interval (Brown, Cai and DasGupta 2001). They are tested
    lengths, too. NoLiMa takes the best short length of each question as its base; from one answer each that is too high
    by chance alone, so the mean is taken here.

    Example: effective_length({500: {1: 1.0, 2: 1.0}, 1000: {1: 1.0, 2: 0.0}}, seed=1, threshold=0.856).tokens -> 500
    """
    lengths = sorted(length for length, blocks in rates.items() if blocks)
    if len(lengths) < 2:
        return None
    import numpy as np

    numbers = sorted({block for length in lengths for block in rates[length]})
    found = np.array([[rates[length].get(block, np.nan) for length in lengths] for block in numbers])
    short = np.isin(lengths, _base_lengths(lengths, base))
    measured, drawn = np.nanmean(found, axis=0, keepdims=True), _drawn_rates(found, seed)
    base_rate = float(measured[:, short].mean())
    if threshold is None and base_rate == 0.0:
        return None
    if threshold is not None:
        bar, drawn_bars = threshold, threshold
    else:
        bar, drawn_bars = share * base_rate, share * drawn[:, short].mean(axis=1, keepdims=True)
    (passed,) = _passed(measured, bar)
    low, high = np.quantile(_passed(drawn, drawn_bars), [0.025, 0.975], method="inverted_cdf")
    names = [None, *lengths]
    counts = [len(rates[length]) for length in lengths]
    return EffectiveLength(
        definition="nolima" if threshold is None else "ruler",
        tokens=names[passed],
        low=names[min(low, passed)],
        high=names[max(high, passed)],
        bar=bar,
        base=base_rate if threshold is None else None,
        longest=lengths[-1],
        blocks=(min(counts), max(counts)),
    )


def _base_lengths(lengths: Sequence[int], base: Collection[int] | None) -> list[int]:
    """The tested lengths that the base score is measured at: the shortest, where none of those meant was tested."""
    meant = [length for length in lengths if (length <= NOLIMA_BASE if base is None else length in base)]
    return meant or [lengths[0]]


def _drawn_rates(found: "Floats", seed: int) -> "Floats":
    """The rates at each length, resampled; `found` has a row a block, not a number where a block has no rate."""
    import numpy as np

    known = np.isfinite(found)
    rows = np.vstack([np.where(known, found, 0.0), np.ones(found.shape[1]), np.zeros(found.shape[1])])
    there = np.vstack([known.astype(float), np.ones((2, found.shape[1]))])
    weights = _weights(len(found), seed)
    right, all_weights = (
        np.stack([np.einsum("db,b->d", weights, column) for column in table.T], axis=-1) for table in (rows, there)
    )
    drawn: Floats = right / all_weights
    return drawn


@lru_cache(maxsize=4)
def _weights(blocks: int, seed: int) -> "Floats":
    """The random weights of so many blocks, then of the half block that is all right and of that all wrong."""
    import numpy as np

    return np.random.default_rng(seed).gamma([1.0] * blocks + [0.5, 0.5], size=(DRAWS, blocks + 2))


def _passed(rates: "Floats", bars: "Floats | float") -> "NDArray[np.intp]":
    """How many lengths pass, shortest first, until one does not; `rates` has a row for each set of rates."""
    import numpy as np

    passed: NDArray[np.intp] = np.minimum.accumulate(rates >= bars - 1e-12, axis=1).sum(axis=1)
    return passed
