"""What a needle run found: rates by position with their control, what was asked against what was given, and sentences.

A rate counts the answers that give exactly one planted value. Its n holds hits, misses and refusals; answers cut short
and calls that failed are counted apart, and never as wrong answers. Repeats of one request are averaged before anything
else, so that they never count as further texts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from probes.plan import Result
from probes.scoring import OUTCOMES, SCORER, Score, right_of, score_cell
from probes.stats import rate_interval
from probes.store import Score as Verdict

Row = dict[str, Any]
Item = tuple[Any, ...]  # a question inside its block
FEW_VALUES = 10  # with more planted values than these, only the positions that were asked for get rows of their own
# What the cells of earlier versions did not say, because there was nothing else.
_DEFAULTS: Mapping[str, Any] = {
    "task": "multi-key",
    "place": "after",
    "structure": "plain",
    "context": "whole",
    "prompt_style": "ours",
    "temperature": None,
    "layout": "-",
    "sample": 0,
    "measure": "answer",
    "depth": None,
    "name": None,
    "values": (),
    "answer": "one",
    "expected": (),
}


class Setting(NamedTuple):
    """Everything that was the same for a group of answers; `layout` is "-" where a text has one needle."""

    model: str
    task: str
    length_tokens: int
    place: str
    structure: str
    context: str
    prompt_style: str
    temperature: float | None
    layout: str

    def without(self, factor: str) -> "tuple[tuple[str, Any], ...]":
        """The names and values of everything but one factor: what two levels of it have in common."""
        return tuple((name, value) for name, value in self._asdict().items() if name != factor)


@dataclass(frozen=True, slots=True)
class Scored:
    """One result, its cell with nothing left out, and the verdict on it."""

    result: Result
    cell: Mapping[str, Any]
    score: Score

    @property
    def setting(self) -> Setting:
        """The setting that it belongs to."""
        return Setting(self.result.model, *(self.cell[field] for field in Setting._fields[1:]))

    @property
    def block(self) -> int:
        """The number of its text, the unit of all statistics."""
        return self.result.trial.block

    @property
    def asked(self) -> int | None:
        """The position asked for, first to last from 0; None where the answer is not there."""
        asked: int | None = self.cell["asked"]
        return asked

    @property
    def item(self) -> Item:
        """The question inside its block: the same for repeats of one request, and for the same needle in other arms."""
        return self.cell["layout"], self.cell["depth"], self.asked, self.cell["name"] if self.asked is None else None

    @property
    def counts(self) -> bool:
        """Whether this is an answer at all: complete, and not an error."""
        return self.score.outcome in ("hit", "miss", "refusal")

    @property
    def hit(self) -> bool:
        """Whether the answer is right, and nothing but right."""
        return self.score.outcome == "hit"

    @property
    def given(self) -> int | None:
        """The one position whose value the answer gives; None for none or several."""
        return self.score.given[0] if len(self.score.given) == 1 else None


def whole_cell(cell: Mapping[str, Any]) -> Row:
    """A cell with what earlier versions left out.

    Example: whole_cell({"asked": 2, "layout": "spread", ...})["right"] -> [2]
    """
    control = "absent" if cell["asked"] is None and "control" not in cell else None
    needles = len(cell.get("values", ()))
    return {**_DEFAULTS, "control": control, "needles": needles, **cell, "right": right_of(cell)}


def score_needles(results: Iterable[Result], scorer: str = SCORER) -> list[Scored]:
    """Score the answers that were tried; those not yet tried, and log-probabilities, are left out."""
    cells = ((each, whole_cell(each.trial.cell)) for each in results)
    return [
        Scored(each, cell, score_cell(each.completion, cell, scorer))
        for each, cell in cells
        if cell["measure"] == "answer" and (each.completion is not None or each.error_kind is not None)
    ]


def verdicts(scored: Iterable[Scored]) -> list[Verdict]:
    """What is kept of each answer's score; errors are no answers and have none."""
    return [
        Verdict(
            each.result.trial_id,
            each.score.outcome,
            float(each.hit),
            {
                "given": list(each.score.given),
                "abstained": each.score.abstained,
                "lenient": each.score.lenient,
                "share": each.score.share,
            },
        )
        for each in scored
        if each.result.completion is not None
    ]


def by_setting(scored: Iterable[Scored], *, controls: Sequence[str | None] = (None,)) -> dict[Setting, list[Scored]]:
    """The answers of each setting, in the order of the plan; of the controls only those named."""
    groups: dict[Setting, list[Scored]] = defaultdict(list)
    for each in scored:
        if each.cell["control"] in controls:
            groups[each.setting].append(each)
    return dict(groups)


def several_keys(scored: Iterable[Scored]) -> dict[Setting, list[Scored]]:
    """The settings in which one of several planted values was asked for, with the questions that have no answer."""
    return {
        setting: group
        for setting, group in by_setting(scored, controls=(None, "absent")).items()
        if all(each.cell["answer"] == "one" for each in group) and group[0].cell["needles"] > 1
    }


def positions_of(group: Sequence[Scored]) -> list[int]:
    """The positions that tables tell apart: all of them, or those asked for where there are too many."""
    count: int = group[0].cell["needles"]
    if count <= FEW_VALUES:
        return list(range(count))
    return sorted({each.asked for each in group if each.asked is not None})


def position_rows(scored: Sequence[Scored]) -> list[Row]:
    """One row a position: how often its value is given when asked for, and when something else is asked for.

    Rates are means over blocks, and so are their intervals; `_n` counts questions.
    """
    rows = []
    for setting, group in several_keys(scored).items():
        for position in positions_of(group):
            asked = [each for each in group if each.asked == position]
            others = [each for each in group if each.asked != position and each.counts]
            answered = [each for each in asked if each.counts]
            rows.append(
                {
                    "model": setting.model,
                    "length_tokens": setting.length_tokens,
                    "layout": setting.layout,
                    "position": position + 1,
                    "depth": asked[0].cell["depth"] if asked else None,
                    **_given_rate("asked", answered, position),
                    **_given_rate("not_asked", others, position),
                    "lenient": sum(each.score.lenient for each in answered),
                    **outcome_counts(asked),
                    **rest_of(setting),
                }
            )
    return rows


def rest_of(setting: Setting) -> Row:
    """What a setting says beyond model, length and layout: the columns that came later, and so stand last."""
    return {
        name: getattr(setting, name)
        for name in ("task", "place", "structure", "context", "prompt_style", "temperature")
    }


def outcome_counts(group: Iterable[Scored]) -> dict[str, int]:
    """How many answers had which outcome."""
    counts = Counter(each.score.outcome for each in group)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def confusion_rows(scored: Sequence[Scored]) -> list[Row]:
    """One row a question: how often each position was given, and what else came back.

    `given_other`: a planted value of a position that has no column of its own.
    """
    rows = []
    for setting, group in several_keys(scored).items():
        positions = positions_of(group)
        for asked in (*positions, None):
            asked_now = [each for each in group if each.asked == asked]
            if asked is None and not asked_now:
                continue  # the control was left out
            counts = Counter(_answer_kind(each) for each in asked_now)
            rows.append(
                {
                    "model": setting.model,
                    "length_tokens": setting.length_tokens,
                    "layout": setting.layout,
                    "asked": "absent" if asked is None else asked + 1,
                    **{f"given_{position + 1}": counts[str(position)] for position in positions},
                    **{kind: counts[kind] for kind in ("several", "no_value", "abstained", "truncated", "error")},
                    "n": len(asked_now),
                    "given_other": sum(counts[kind] for kind in counts if kind.isdigit())
                    - sum(counts[str(position)] for position in positions),
                    **rest_of(setting),
                }
            )
    return rows


def order_depth_rows(scored: Sequence[Scored]) -> list[Row]:
    """One row for each order among the needles, depth and layout: hold order or depth, read along the other.

    Layouts are not pooled: they hide the same needles in the same texts, and one text must not count twice.
    """
    rows = []
    for setting, group in several_keys(scored).items():
        cells: dict[tuple[int, float], list[Scored]] = defaultdict(list)
        for each in group:
            if each.asked is not None and each.counts:
                cells[each.asked, each.cell["depth"]].append(each)
        for (order, depth), answered in cells.items():
            row = {"model": setting.model, "length_tokens": setting.length_tokens, "order": order + 1, "depth": depth}
            row |= {"layout": setting.layout} | _given_rate("asked", answered, order) | rest_of(setting)
            rows.append(row)
    return sorted(rows, key=lambda row: (row["model"], row["length_tokens"], row["order"], row["depth"], row["layout"]))


def block_shares(answers: Iterable[Scored], values: Mapping[int, float]) -> dict[int, float]:
    """One mean a block: repeats of a question are averaged first, then the questions.

    `values` holds what is averaged, by the `id` of each answer.
    """
    return block_means((each.block, each.item, values[id(each)]) for each in answers)


def block_means(values: Iterable[tuple[int, Item, float]]) -> dict[int, float]:
    """One mean a block, of values that come with their block and their question.

    Example: block_means([(0, ("a",), 1.0), (0, ("a",), 0.0), (0, ("b",), 1.0)]) -> {0: 0.75}
    """
    blocks: dict[int, dict[Item, list[float]]] = defaultdict(lambda: defaultdict(list))
    for block, item, value in values:
        blocks[block][item].append(value)
    return {
        block: sum(sum(repeats) / len(repeats) for repeats in questions.values()) / len(questions)
        for block, questions in blocks.items()
    }


def _given_rate(prefix: str, answered: Sequence[Scored], position: int) -> Row:
    """How often a position is given: questions counted once however often they were repeated, intervals over blocks."""
    shares = block_shares(answered, {id(each): float(each.given == position) for each in answered})
    interval = rate_interval(list(shares.values()), seed=1)
    questions = Counter((each.block, each.item) for each in answered)
    given = sum((each.given == position) / questions[each.block, each.item] for each in answered)
    return {
        f"{prefix}_n": len(questions),
        f"{prefix}_given": round(given) if abs(given - round(given)) < 1e-9 else given,
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
