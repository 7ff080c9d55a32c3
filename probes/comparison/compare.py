"""The whole comparison: contenders of some runs of one probe, and every row about them and their pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.comparison.contenders import (
    ComparedRun,
    Contender,
    Key,
    contenders_of,
    identical_trials,
    is_same_answer,
    pairs_of,
)
from probes.comparison.costs import cost_rows
from probes.comparison.differences import Design, block_means, correct, pair_rows, worst_mean
from probes.comparison.outcomes import COVERAGE, OUTCOMES, Outcome, Read, read_outcomes
from probes.experiments.placement_outcomes import LeastMeasurable
from probes.stats import mean_interval, rate_interval

Row = dict[str, Any]
EQUIVALENCE_POINTS = 5.0  # unless the first run says otherwise, rates that are nearer than this are the same


@dataclass(frozen=True, slots=True)
class Comparison:
    """Contenders of one probe and the rows about them.

    `common`: the keys of the trials that all of them were asked. `outcomes`: what all of them were measured by; the
    first is the declared one. `kept`: how many identical trials have one and the same answer in some pair.
    `unmeasurable`: the contenders that write too few summaries for a coverage, with the arm where they write fewest.
    """

    probe: str
    contenders: Sequence[Contender]
    common: Sequence[Key]
    outcomes: Sequence[Outcome]
    contender_rows: Sequence[Row]
    difference_rows: Sequence[Row]
    cost_rows: Sequence[Row]
    kept: int
    unmeasurable: Mapping[str, LeastMeasurable]

    @property
    def blocks(self) -> int:
        """How many blocks the identical trials are of."""
        return len({self.contenders[0].trials[key].result.trial.block for key in self.common})

    def overall(self, outcome: Outcome) -> list[Row]:
        """The overall difference of each pair in one outcome."""
        whole = (row for row in self.difference_rows if row["factor"] is None)
        return [row for row in whole if row["outcome"] == outcome.name]


def compare(runs: Sequence[ComparedRun], baseline: Sequence[ComparedRun] = ()) -> Comparison:
    """Compare all contenders of runs of one probe, each with each other; with a baseline, each with the baseline's.

    A single contender is compared with nobody, and has its own rows only.

    Raises:
        UserError: nothing was asked of all contenders alike, or it is unclear which model of the baseline is meant.
    """
    probe, spec = runs[0].probe, runs[0].spec
    contenders = contenders_of(runs, baseline)
    common = identical_trials(contenders)
    reads = [read_outcomes(probe, each.results(common)) for each in contenders]
    outcomes = [outcome for outcome in OUTCOMES[probe] if all(outcome.name in read.readings for read in reads)]
    pairs = pairs_of(contenders)
    points = (spec.get("declared") or {}).get("equivalence_points", EQUIVALENCE_POINTS)
    design = Design(spec["seed"], points / 100, len(pairs))
    rows: list[Row] = []
    for first, second in pairs:
        names: Row = {"probe": probe, "first": contenders[first].label, "second": contenders[second].label}
        for outcome in outcomes:
            one, other = (reads[number].readings[outcome.name] for number in (first, second))
            found = pair_rows(probe, outcome, one, other, design, declared=outcome is outcomes[0])
            rows += [names | row for row in found]
    least = {each.label: read.least_measurable for each, read in zip(contenders, reads, strict=True)}
    unmeasurable = {label: found for label, found in least.items() if found and not found.measurable}
    correct(rows, unmeasurable)
    contender_rows = [
        _contender_row(probe, contender, read, outcome, len(common), design.seed)
        for outcome in outcomes
        for contender, read in zip(contenders, reads, strict=True)
    ]
    costs = cost_rows(probe, contenders, common)
    kept = max((_kept(contenders[first], contenders[second], common) for first, second in pairs), default=0)
    return Comparison(probe, contenders, common, outcomes, contender_rows, rows, costs, kept, unmeasurable)


def _kept(first: Contender, second: Contender, common: Sequence[Key]) -> int:
    return sum(is_same_answer(first.trials[key].result, second.trials[key].result) for key in common)


def _contender_row(probe: str, contender: Contender, read: Read, outcome: Outcome, common: int, seed: int) -> Row:
    """What one contender comes to in one outcome, over the identical trials."""
    reading = read.readings[outcome.name]
    blocks = list(block_means(reading).values())
    interval = rate_interval(blocks, seed=seed) if outcome.is_rate else mean_interval(blocks, seed=seed)
    least = read.least_measurable if outcome is COVERAGE else None
    return {
        "probe": probe,
        "contender": contender.label,
        "model": contender.model,
        "runs": list(contender.runs),
        "is_baseline": contender.is_baseline,
        "trials": len(contender.trials),
        "identical_trials": common,
        "outcome": outcome.name,
        "questions": len(reading),
        "missing": sum(each.value is None for each in reading.values()),
        "blocks": len(blocks),
        "unit": "block",
        "value": interval.estimate if interval else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "worst_low": worst_mean(reading, 0.0) if outcome.is_rate else None,
        "worst_high": worst_mean(reading, 1.0) if outcome.is_rate else None,
        "measurable": least.measurable if least else None,
    }
