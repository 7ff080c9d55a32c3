"""What a needle run found: rates by position with their control, what was asked against what was given, and sentences.

A rate counts the answers that give exactly one planted value. Its n holds hits, misses and refusals; answers cut short
and calls that failed are counted apart, and never as wrong answers.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from probes.experiments.needle import NEEDLES
from probes.plan import Result
from probes.scoring import Score, score_answer
from probes.stats import (
    PairedDifference,
    difference_words,
    fewest_blocks,
    paired_difference,
    too_few_words,
    wilson,
)
from probes.store import Score as Verdict

Row = dict[str, Any]
ENDS = (0, NEEDLES - 1)
MIDDLE = tuple(range(1, NEEDLES - 1))


@dataclass(frozen=True, slots=True)
class Scored:
    """One result and the verdict on it."""

    result: Result
    score: Score

    @property
    def asked(self) -> int | None:
        """The position asked for, first to last from 0; None where the answer is not there."""
        asked: int | None = self.result.trial.cell["asked"]
        return asked

    @property
    def counts(self) -> bool:
        """Whether this is an answer at all: complete, and not an error."""
        return self.score.outcome in ("hit", "miss", "refusal")

    @property
    def given(self) -> int | None:
        """The one position whose value the answer gives; None for none or several."""
        return self.score.given[0] if len(self.score.given) == 1 else None


def score_needles(results: Iterable[Result]) -> list[Scored]:
    """Score the trials that were tried; those not yet tried are left out."""
    return [
        Scored(each, score_answer(each.completion, each.trial.cell["values"], each.trial.cell["asked"]))
        for each in results
        if each.completion is not None or each.error_kind is not None
    ]


def verdicts(scored: Iterable[Scored]) -> list[Verdict]:
    """What is kept of each answer's score; errors are no answers and have none."""
    return [
        Verdict(
            each.result.trial_id,
            each.score.outcome,
            float(each.score.outcome == "hit"),
            {"given": list(each.score.given), "abstained": each.score.abstained, "lenient": each.score.lenient},
        )
        for each in scored
        if each.result.completion is not None
    ]


def position_rows(scored: Sequence[Scored]) -> list[Row]:
    """One row a position: how often its value is given when asked for, and when something else is asked for."""
    rows = []
    for (model, length, layout), group in by_setting(scored).items():
        for position in range(NEEDLES):
            asked = [each for each in group if each.asked == position]
            others = [each for each in group if each.asked != position and each.counts]
            answered = [each for each in asked if each.counts]
            outcomes = Counter(each.score.outcome for each in asked)
            rows.append(
                {
                    "model": model,
                    "length_tokens": length,
                    "layout": layout,
                    "position": position + 1,
                    "depth": asked[0].result.trial.cell["depth"] if asked else None,
                    **_rate("asked", answered, position),
                    **_rate("not_asked", others, position),
                    "lenient": sum(each.score.lenient for each in answered),
                    **{outcome: outcomes[outcome] for outcome in ("hit", "miss", "refusal", "truncated", "error")},
                }
            )
    return rows


def confusion_rows(scored: Sequence[Scored]) -> list[Row]:
    """One row a question: how often each position was given, and what else came back."""
    rows = []
    for (model, length, layout), group in by_setting(scored).items():
        for asked in (*range(NEEDLES), None):
            asked_now = [each for each in group if each.asked == asked]
            counts = Counter(_answer_kind(each) for each in asked_now)
            rows.append(
                {
                    "model": model,
                    "length_tokens": length,
                    "layout": layout,
                    "asked": "absent" if asked is None else asked + 1,
                    **{f"given_{position + 1}": counts[str(position)] for position in range(NEEDLES)},
                    **{kind: counts[kind] for kind in ("several", "no_value", "abstained", "truncated", "error")},
                    "n": len(asked_now),
                }
            )
    return rows


def order_depth_rows(scored: Sequence[Scored]) -> list[Row]:
    """One row for each order among the needles, depth and layout: hold order or depth, read along the other.

    Layouts are not pooled: they hide the same needles in the same texts, and one text must not count twice.
    """
    cells: dict[tuple[str, int, int, float, str], list[Scored]] = defaultdict(list)
    for each in scored:
        cell = each.result.trial.cell
        if each.asked is not None and each.counts:
            cells[each.result.model, cell["length_tokens"], each.asked, cell["depth"], cell["layout"]].append(each)
    return [
        {"model": model, "length_tokens": length, "order": order + 1, "depth": depth, "layout": layout}
        | _rate("asked", group, order)
        for (model, length, order, depth, layout), group in sorted(cells.items())
    ]


def ends_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """Two rows a setting: the ends less the middle, in what is given when asked for, and in its lift."""
    rows = []
    for (model, length, layout), group in by_setting(scored).items():
        found = compare_ends(group, seed=seed)
        for outcome, difference in (("given_rate", found.given), ("lift_rate", found.lift)) if found else ():
            setting = {"model": model, "length_tokens": length, "layout": layout, "outcome": outcome}
            rows.append(setting | difference.row())
    return rows


@dataclass(frozen=True, slots=True)
class EndsAndMiddle:
    """The ends against the middle, one difference a block.

    `given`: rate given when asked for. `lift`: the same less the rate given when not asked for, which is what finding
    adds to mere preference. `absent_given`, `absent_ends`, `absent`: questions without an answer that got a planted
    value, one from an end, and all of them.
    """

    given: PairedDifference
    lift: PairedDifference
    absent_given: int
    absent_ends: int
    absent: int


def compare_ends(scored: Sequence[Scored], *, seed: int) -> EndsAndMiddle | None:
    """Compare the ends with the middle, for one setting, over the blocks in which every question was answered.

    None without such a block.
    """
    blocks: dict[int, list[Scored]] = defaultdict(list)
    for each in scored:
        blocks[each.result.trial.block].append(each)
    given_differences, lift_differences = [], []
    for group in blocks.values():
        if len(group) != NEEDLES + 1 or not all(each.counts for each in group):
            continue
        given = [_share(group, position, asked=True) for position in range(NEEDLES)]
        lift = [given[position] - _share(group, position, asked=False) for position in range(NEEDLES)]
        given_differences.append(_ends_less_middle(given))
        lift_differences.append(_ends_less_middle(lift))
    given_difference = paired_difference(given_differences, seed=seed, most=1.0)
    lift_difference = paired_difference(lift_differences, seed=seed, most=2.0)
    if given_difference is None or lift_difference is None:
        return None
    absent = [each for each in scored if each.asked is None and each.counts]
    return EndsAndMiddle(
        given_difference,
        lift_difference,
        absent_given=sum(bool(each.score.given) for each in absent),
        absent_ends=sum(each.given in ENDS for each in absent),
        absent=len(absent),
    )


def ends_sentences(found: EndsAndMiddle) -> list[str]:
    """What the comparison of ends and middle says, in words chosen by the figures."""
    given, lift = found.given, found.lift
    sentences = [
        _difference_sentence(
            "Asked for, the two ends were given {points} points {more} often than the three in the middle",
            given,
            otherwise="Between the ends and the middle there is no clear difference in what is given when asked for",
        ),
        _difference_sentence(
            "Less what is given unasked, the ends are still {points} points {more}",
            lift,
            otherwise="Less what is given unasked, there is no clear difference left between ends and middle",
        ),
    ]
    if found.absent:
        said = f"Asked for a value that is not there, the model gave a planted one {found.absent_given} of"
        ends = f", {found.absent_ends} of these from an end" if found.absent_given else ""
        sentences.append(f"{said} {found.absent} times{ends}.")
    if given.blocks < fewest_blocks():
        sentences.append(too_few_words(given.blocks))
    return sentences


def _difference_sentence(clear: str, found: PairedDifference, *, otherwise: str) -> str:
    estimate = found.interval.estimate
    figures = f"({difference_words(found.interval, found.p_value, found.blocks, scale=100, unit='points', digits=0)})"
    if not found.clear:
        return f"{otherwise} {figures}."
    more = "more" if estimate > 0 else "less"
    return f"{clear.format(points=round(abs(100 * estimate)), more=more)} {figures}."


def by_setting(scored: Sequence[Scored]) -> dict[tuple[str, int, str], list[Scored]]:
    """The results of each model, length and layout, in the order of the plan."""
    groups: dict[tuple[str, int, str], list[Scored]] = defaultdict(list)
    for each in scored:
        cell = each.result.trial.cell
        groups[each.result.model, cell["length_tokens"], cell["layout"]].append(each)
    return groups


def _rate(prefix: str, answered: Sequence[Scored], position: int) -> Row:
    given = sum(each.given == position for each in answered)
    interval = wilson(given, len(answered))
    return {
        f"{prefix}_n": len(answered),
        f"{prefix}_given": given,
        f"{prefix}_rate": interval.estimate if interval else None,
        f"{prefix}_low": interval.low if interval else None,
        f"{prefix}_high": interval.high if interval else None,
    }


def _answer_kind(each: Scored) -> str:
    if each.score.outcome in ("truncated", "error"):
        return each.score.outcome
    if each.given is not None:
        return str(each.given)
    if each.score.given:
        return "several"
    return "abstained" if each.score.abstained else "no_value"


def _share(group: Sequence[Scored], position: int, *, asked: bool) -> float:
    chosen = [each for each in group if (each.asked == position) == asked]
    return sum(each.given == position for each in chosen) / len(chosen)


def _ends_less_middle(values: Sequence[float]) -> float:
    return sum(values[end] for end in ENDS) / len(ENDS) - sum(values[inner] for inner in MIDDLE) / len(MIDDLE)
