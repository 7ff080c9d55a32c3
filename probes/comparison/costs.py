"""What the answers of a contender took: money, time and tokens, for one block and over blocks."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from probes.comparison.contenders import Asked, Contender, Key
from probes.models.base import Completion
from probes.prices import NANO
from probes.stats import LEVEL, Interval

Row = dict[str, Any]
PER = 1000  # prices are told for so many trials


def _tokens_per_character(asked: Asked, completion: Completion) -> float | None:
    tokens = completion.usage.input_tokens
    return tokens / asked.characters if tokens and asked.characters else None


def _cached_share(_asked: Asked, completion: Completion) -> float | None:
    usage = completion.usage
    if not usage.input_tokens or usage.cache_read_tokens is None:
        return None
    return usage.cache_read_tokens / usage.input_tokens


def _price(asked: Asked, _completion: Completion) -> float | None:
    nano = asked.result.cost_nano_usd
    return None if nano is None else PER * nano / NANO


# Each figure of one answer, by its key in the row; None where it is unknown.
FIGURES: Mapping[str, Callable[[Asked, Completion], float | None]] = {
    "usd_per_1000_trials": _price,
    "latency_s": lambda _asked, completion: completion.latency_s,
    "first_token_s": lambda _asked, completion: completion.first_token_s,
    "input_tokens": lambda _asked, completion: completion.usage.input_tokens,
    "output_tokens": lambda _asked, completion: completion.usage.output_tokens,
    "tokens_per_character": _tokens_per_character,
    "cached_rate": _cached_share,
}


def cost_rows(probe: str, contenders: Sequence[Contender], common: Sequence[Key]) -> list[Row]:
    """One row for each contender and figure, over the identical trials that were answered.

    The figure of a block is the mean of its trials; `median` is that over blocks, with its interval. `trials` counts
    those of which the figure is known; `sum` is over them.
    """
    rows = []
    for contender in contenders:
        answered = [
            (contender.trials[key], completion)
            for key in common
            if (completion := contender.trials[key].result.completion) is not None
        ]
        for figure, read in FIGURES.items():
            blocks: dict[int, list[float]] = defaultdict(list)
            for asked, completion in answered:
                value = read(asked, completion)
                if value is not None:
                    blocks[asked.result.trial.block].append(value)
            found = median_interval([sum(values) / len(values) for values in blocks.values()])
            rows.append(
                {
                    "probe": probe,
                    "contender": contender.label,
                    "figure": figure,
                    "answered": len(answered),
                    "trials": sum(map(len, blocks.values())),
                    "blocks": len(blocks),
                    "median": found.estimate if found else None,
                    "low": _known(found.low) if found else None,
                    "high": _known(found.high) if found else None,
                }
            )
    return rows


def median_interval(values: Iterable[float]) -> Interval | None:
    """The median with the interval that its order statistics give, whatever the distribution; None for no value.

    Open (infinite) with fewer than six values, of which no two are a limit at 95 %; see scipy.stats.quantile_test.

    Example: median_interval([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) -> Interval(5.5, 2, 9)
    """
    found = sorted(values)
    if not found:
        return None
    import numpy as np
    from scipy.stats import quantile_test

    limits: Any = quantile_test(np.asarray(found, dtype=float), q=0.0, p=0.5).confidence_interval(LEVEL)
    low = -math.inf if math.isnan(limits.low) else float(limits.low)
    high = math.inf if math.isnan(limits.high) else float(limits.high)
    return Interval(float(np.median(found)), low, high)


def _known(limit: float) -> float | None:
    """A limit, or None where it is open."""
    return limit if math.isfinite(limit) else None
