"""What the planted effects are made of: plans, and the truths and checks that several of them share."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from probes.experiments.placement import PlacementOptions, plan_placement
from probes.plan import Plan
from tests import calibrate_truth as truth
from tests.calibrate_studies import WORDS, Check, contrast

BLOCKS = 20
MARGIN, COVERAGE = "margin_nats", "coverage_rate"
BOTH = ("coverage", "margin")
SPREAD, NOISE, FLICKER = 0.5, 0.5, 0.5  # how much documents, their prompts and facts there differ, as log-odds
DEVIATION = (SPREAD**2 + NOISE**2 + FLICKER**2) ** 0.5
DIFFER = f"spread={SPREAD}&noise={NOISE}&flicker={FLICKER}"
OUTCOMES: Mapping[str, Callable[[truth.Array], truth.Array]] = {COVERAGE: truth.plainly, MARGIN: truth.margins}


@cache
def placement_plan(
    arms: Sequence[str],
    measures: Sequence[str] = BOTH,
    *,
    blocks: int = BLOCKS,
    lengths: Sequence[int] = (120,),
    framing: str = "document",
) -> Plan:
    """A plan, made once: what differs from study to study is the reader's luck, not the texts."""
    options: Mapping[str, Any] = {"place": arms, "measure": measures, "blocks": blocks, "lengths": lengths}
    return plan_placement(PlacementOptions(**options, framing=framing), WORDS)


def plan_for(outcome: str, arms: Sequence[str], of_answers: Sequence[str] = ()) -> Plan:
    """A plan for one outcome: log-probabilities take a hundred calls an arm, so that more arms are for answers only."""
    more = tuple(of_answers) if outcome == COVERAGE else ()
    return placement_plan((*arms, *more), (word(outcome),))


def word(outcome: str) -> str:
    """What an outcome is called."""
    return "coverage" if outcome == COVERAGE else "margin"


def gain_of(more: float, less: float, outcome: Callable[[truth.Array], truth.Array]) -> float:
    """What a higher rate adds to the mean outcome over documents."""
    return truth.mean(more, DEVIATION, outcome) - truth.mean(less, DEVIATION, outcome)


def nothing(outcome: str, *pairs: tuple[str, str]) -> list[Check]:
    """No difference between the arms of each pair."""
    return [Check("silent", f"{arm} - {control}", 0, contrast(outcome, arm, control)) for arm, control in pairs]


def covered(plan: Plan, outcome: str, pair: tuple[str, str], rates: Callable[[Any], list[float]]) -> Check:
    """The difference between two arms that the places of the facts make."""
    first, second = (mean_of(plan, arm, rates, outcome=OUTCOMES[outcome]) for arm in pair)
    return Check("covers", f"{pair[0]} - {pair[1]}", first - second, contrast(outcome, *pair))


def mean_of(
    plan: Plan,
    arm: str,
    rates: Callable[[Any], list[float]],
    length: int | None = None,
    outcome: Callable[[truth.Array], truth.Array] = truth.plainly,
) -> float:
    """The mean outcome of an arm over its blocks, from the rate of each fact at its place."""
    blocks = [
        np.mean([truth.mean(rate, DEVIATION, outcome) for rate in rates(trial)])
        for trial in truth.prompts(plan, arm, length)
    ]
    return float(np.mean(blocks))


def recency_of(trial: Any, near: float, far: float, outcome: Callable[[truth.Array], truth.Array]) -> float:
    """What the last fifth of a text has beyond the midmost fifth."""
    values = [truth.mean(rate, DEVIATION, outcome) for rate in truth.recency_rates(trial, near, far)]
    placed = list(zip(values, trial.cell["positions"], strict=True))
    last = [value for value, place in placed if place >= 0.8]
    midmost = [value for value, place in placed if 0.4 <= place < 0.6]
    return float(np.mean(last) - np.mean(midmost))


def kept(results: Sequence[Any]) -> float:
    """The mean share of the facts whose sentence stands in an answer."""
    shares = []
    for each in results:
        pairs = zip(each.trial.cell["names"], each.trial.cell["values"], strict=True)
        shares.append(np.mean([f"The quota for {name} is {value}." in each.completion.text for name, value in pairs]))
    return float(np.mean(shares))
