"""What intervals must cover, computed from a reader's documented parameters and the plan's texts alone.

Nothing here goes through a reader or through the tables: rates of documents that differ come from Gauss-Hermite
quadrature over the documented log-odds, places of facts from searching the prompts for their sentences.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, fsolve
from scipy.special import expit, logit
from scipy.stats import t as student

from probes.plan import Plan, PlannedTrial

CERTAINTY = 0.98  # the documented probability of a value that is noticed
FACTS = 10
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
Array = np.ndarray


def _rates(rate: float, deviation: float) -> Array:
    """The rate of a reader over documents whose log-odds deviate by so much, at the nodes of the quadrature."""
    return expit(logit(rate) + deviation * _NODES) if 0 < rate < 1 else np.full_like(_NODES, rate)


def margins(rates: Array) -> Array:
    """The margin of a value that is noticed at this rate among ten, in nats: log p(right) / p(another)."""
    available = CERTAINTY * rates
    return np.log((1 - available) / FACTS + available) - np.log((1 - available) / FACTS)


def plainly(rates: Array) -> Array:
    """The outcome coverage: a fact is told as often as it is noticed."""
    return rates


@dataclass(frozen=True)
class Moments:
    """Mean and variance over documents of one outcome of a fact, and the mean of a draw's own variance."""

    mean: float
    variance: float
    inside: float


def moments(rate: float, deviation: float, outcome: Callable[[Array], Array] = plainly) -> Moments:
    """What a fact's outcome is over documents. A told fact is a draw, a margin has no luck of its own."""
    rates = _rates(rate, deviation)
    values = outcome(rates)
    mean = float(_WEIGHTS @ values)
    inside = float(_WEIGHTS @ (rates * (1 - rates))) if outcome is plainly else 0.0
    return Moments(mean, float(_WEIGHTS @ (values - mean) ** 2), inside)


def mean(rate: float, deviation: float, outcome: Callable[[Array], Array] = plainly) -> float:
    """The mean outcome over documents. Example: mean(0.6, 0.0) -> 0.6."""
    return moments(rate, deviation, outcome).mean


def spread_of_difference(
    first: float, second: float, noise: float, outcome: Callable[[Array], Array] = plainly
) -> float:
    """The standard deviation of one block's difference of two arms that share nothing but their text.

    For readers whose prompts differ by `noise` and whose documents do not (`spread=0`): then arms are independent.
    """
    arms = [moments(rate, noise, outcome) for rate in (first, second)]
    return math.sqrt(sum(arm.inside / FACTS + arm.variance for arm in arms))


def detectable_rate(otherwise: float, noise: float, blocks: int, outcome: Callable[[Array], Array] = plainly) -> float:
    """The rate whose true difference to `otherwise` is just what so many blocks find with a power of 80 % at 5 %.

    The paired t test's formula, written out again: (t(0.975) + t(0.8)) * deviation / sqrt(blocks).
    """
    quantiles = float(student.ppf(0.975, blocks - 1) + student.ppf(0.8, blocks - 1))

    def missing(rate: float) -> float:
        difference = mean(rate, noise, outcome) - mean(otherwise, noise, outcome)
        return difference - quantiles * spread_of_difference(rate, otherwise, noise, outcome) / blocks**0.5

    return float(brentq(missing, otherwise + 1e-6, 0.999))


def rates_with(difference: float, discordant: float, correlation: float) -> tuple[float, float, float]:
    """Two rates and a noise such that a plan's assumptions hold: the share answered differently, and how alike.

    Rates before the noise; their means over documents are `difference` apart, two arms answer `discordant` of the
    questions differently, and the covariance of two differences in a document is `correlation` times that.
    """

    def unmet(unknown: Sequence[float]) -> list[float]:
        rates = [float(expit(each)) for each in unknown[:2]]
        low, high = (moments(rate, abs(unknown[2])) for rate in rates)
        differing = low.mean * (1 - high.mean) + high.mean * (1 - low.mean)
        alike = low.variance + high.variance
        return [high.mean - low.mean - difference, differing - discordant, alike - correlation * discordant]

    low, high, noise = fsolve(unmet, [1.5, 2.5, 1.0])
    return float(expit(low)), float(expit(high)), abs(float(noise))


# ------------------------------------------------------------------------------------------- places in the prompts


def prompts(plan: Plan, arm: str, length: int | None = None) -> Iterator[PlannedTrial]:
    """One trial of each block in one arm."""
    seen = set()
    for trial in plan.trials:
        key = (trial.block, trial.cell["length_tokens"])
        if trial.cell["arm"] == arm and key not in seen and length in (None, trial.cell["length_tokens"]):
            seen.add(key)
            yield trial


def places(trial: PlannedTrial) -> list[tuple[int, int]]:
    """Where each fact's sentence begins and ends in the prompt."""
    prompt = trial.request.messages[0].content
    sentences = [
        f"quota for {name} is {value}." for name, value in zip(trial.cell["names"], trial.cell["values"], strict=True)
    ]
    starts = [prompt.index(sentence) - len("The ") for sentence in sentences]
    return [(start, start + len("The ") + len(each)) for start, each in zip(starts, sentences, strict=True)]


def recency_rates(trial: PlannedTrial, near: float, far: float) -> list[float]:
    """The rate of each fact for a reader that notices the last tenth of a prompt more."""
    length = len(trial.request.messages[0].content)
    return [near if (start + end) / 2 / length > 0.9 else far for start, end in places(trial)]


def distance_rates(trial: PlannedTrial, near: float, half: float, *, to_answer: bool) -> list[float]:
    """The rate of each fact for a reader to which only a distance counts.

    To the nearest thing that is asked, or to the end of the prompt, where the answer begins: also where nothing is.
    """
    prompt = trial.request.messages[0].content
    opening, closing = prompt.index("<document>"), prompt.index("</document>") + len("</document>")
    asked = [] if trial.cell["arm"] in ("none", "padded-before", "padded-after") else [opening - 2, closing + 2]
    distances = []
    for start, end in places(trial):
        ways = [len(prompt) - end] if to_answer or not asked else []
        if not ways and opening > 0:
            ways.append(start - asked[0])
        if not (to_answer or not asked) and closing < len(prompt):
            ways.append(asked[1] - end)
        distances.append(min(ways))
    return [near * 0.5 ** (distance / half) for distance in distances]


def slope(values: dict[int, float]) -> float:
    """The slope of a line through values over the logarithm of lengths, to the base of two."""
    return float(np.polyfit(np.log2(list(values)), list(values.values()), 1)[0])
