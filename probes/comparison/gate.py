"""A gate for a build: what must be shown for it to pass, and what must be shown for it to fail.

`--fail-under RATE` passes where the data show that the rate is at least RATE: the lower end of its 95 % interval, so
that too few answers never pass; and the rate must still be that with all missing answers counted as wrong. With a
baseline the same holds for the difference to it: -0.05 asks to show that nothing is worse by more than five points.
A baseline alone fails where the data show the contender worse than the baseline.
"""

import math
from collections.abc import Sequence
from typing import Any

from probes.comparison.compare import Comparison
from probes.comparison.outcomes import Outcome
from probes.stats import LEVEL, scale_of
from tokenizer.errors import UsageError

Row = dict[str, Any]


def gate_rows(comparison: Comparison, *, fail_under: float | None, has_baseline: bool) -> list[Row]:
    """One row for each contender that is judged; none where nothing is.

    Raises:
        UsageError: a rate is asked for, and what was measured is none.
    """
    if fail_under is None:
        return [_not_worse(row) for row in comparison.overall(comparison.outcomes[0])] if has_baseline else []
    outcome = next((outcome for outcome in comparison.outcomes if outcome.is_rate and outcome.in_detail), None)
    if outcome is None:
        measured = ", ".join(outcome.words for outcome in comparison.outcomes) or "nothing"
        raise UsageError(
            f"--fail-under is for a rate, and of all contenders there is none: {measured}",
            hint="compare runs with answers, and not only likelihoods",
        )
    if has_baseline:
        rows = comparison.overall(outcome)
        return [_shown(row, outcome, row["first"], row["second"], "difference", fail_under) for row in rows]
    rows = [row for row in comparison.contender_rows if row["outcome"] == outcome.name]
    return [_shown(row, outcome, row["contender"], None, "value", fail_under) for row in rows]


def fewest_that_can_pass(rate: float) -> int:
    """How many blocks, all right, it takes until the lower end of Wilson's interval of 95 % reaches a rate below 1.

    Example: fewest_that_can_pass(0.9) -> 35
    """
    from scipy.stats import norm

    squared = float(norm.ppf((1 + LEVEL) / 2)) ** 2
    return math.ceil(rate * squared / (1 - rate) - 1e-9)


def _shown(row: Row, outcome: Outcome, contender: str, against: str | None, quantity: str, bar: float) -> Row:
    """Whether a rate or a difference is shown to reach the bar, also had every missing answer been wrong."""
    low, worst = row["low"], row["worst_low"]
    reached = low is not None and low >= bar and worst >= bar
    return _row(row, contender, against, outcome.name, quantity, passed=reached) | {"bar": bar}


def _not_worse(row: Row) -> Row:
    """Whether a contender is not shown to be worse than its baseline; missing answers cannot excuse it."""
    worse = row["p_corrected"] < 1 - LEVEL and row["high"] < 0
    return _row(row, row["first"], row["second"], row["outcome"], "difference", passed=not worse) | {"bar": None}


def _row(row: Row, contender: str, against: str | None, outcome: str, quantity: str, *, passed: bool) -> Row:
    """A judgement with its figures; the coverage of who writes no summaries never passes."""
    measurable = row.get("measurable") is not False and row.get("verdict") != "not_measurable"
    return {
        "probe": row["probe"],
        "contender": contender,
        "against": against,
        "outcome": outcome,
        "quantity": "rate" if quantity == "value" else quantity,
        "estimate": row[quantity],
        "low": row["low"],
        "high": row["high"],
        "worst_low": row["worst_low"],
        "blocks": row["blocks"],
        "measurable": measurable,
        "passed": passed and measurable,
    }


def missed(rows: Sequence[Row]) -> list[Row]:
    """The rows of contenders that did not pass."""
    return [row for row in rows if not row["passed"]]


def gate_sentence(row: Row) -> str:
    """What a gate says of one contender."""
    verdict = f"gate {'passed' if row['passed'] else 'missed'}"
    if row["estimate"] is None:
        return f"{verdict}: {row['contender']} has no answer that could be judged"
    if not row["measurable"]:
        return f"{verdict}: too few of the answers are summaries for a coverage of {row['contender']}"
    if row["bar"] is None:
        scale, unit, digits = scale_of(row["outcome"])
        estimate, low, high = (f"{scale * row[key]:+.{digits}f}" for key in ("estimate", "low", "high"))
        said = "is not shown to be worse than" if row["passed"] else "is clearly worse than"
        figures = f"{estimate} {unit}, 95% interval {low} to {high}"
        return f"{verdict}: {row['contender']} {said} {row['against']} ({figures})"
    sign, unit = ("+", " points") if row["quantity"] == "difference" else ("", "%")
    estimate, low, worst, bar = (f"{100 * row[key]:{sign}.1f}{unit}" for key in ("estimate", "low", "worst_low", "bar"))
    what = row["contender"] + (f" less {row['against']}" if row["against"] else "")
    said = f"{verdict}: {what} is {estimate}, at least {low} by its 95% interval"
    if row["passed"]:
        return f"{said}; the bar is {bar}"
    if row["low"] >= row["bar"]:
        return f"{said}, but may be {worst} with the answers that are missing; the bar is {bar}"
    enough = fewest_that_can_pass(row["bar"]) if row["quantity"] == "rate" else 0
    too_few = f"; it takes {enough} blocks, all right, to show that" if row["blocks"] < enough else ""
    return f"{said}; the bar is {bar}{too_few}"
