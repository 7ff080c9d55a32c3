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
from probes.scoring import OUTCOMES, SCORER, Score, score_cell
from probes.stats import (
    PairedDifference,
    difference_words,
    fewest_blocks,
    paired_difference,
    rate_interval,
    too_few_words,
)
from probes.store import Score as Verdict

Row = dict[str, Any]
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
    def item(self) -> tuple[Any, ...]:
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
    asked = cell["asked"]
    control = "absent" if asked is None and "control" not in cell else None
    right = [] if asked is None else [asked]
    return {**_DEFAULTS, "control": control, "right": right, "needles": len(cell.get("values", ())), **cell}


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


def ends_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """Two rows a setting: the ends less the middle, in what is given when asked for, and in its lift."""
    rows = []
    for setting, group in several_keys(scored).items():
        found = compare_ends(group, seed=seed)
        for outcome, difference in (("given_rate", found.given), ("lift_rate", found.lift)) if found else ():
            row: Row = {"model": setting.model, "length_tokens": setting.length_tokens, "layout": setting.layout}
            rows.append(row | {"outcome": outcome} | difference.row() | rest_of(setting))
    return rows


@dataclass(frozen=True, slots=True)
class EndsAndMiddle:
    """The ends against the middle, one difference a block.

    `given`: rate given when asked for. `lift`: the same less the rate given when not asked for, which is what finding
    adds to mere preference. `absent_given`, `absent_ends`, `absent`: questions without an answer that got a planted
    value, one from an end, and all of them. `middle`: how many positions are between the ends.
    """

    given: PairedDifference
    lift: PairedDifference
    absent_given: int
    absent_ends: int
    absent: int
    middle: int


def compare_ends(scored: Sequence[Scored], *, seed: int) -> EndsAndMiddle | None:
    """Compare the ends with the middle, for one setting, over the blocks in which every question was answered.

    None without such a block, and with fewer than three positions.
    """
    scored = [each for each in scored if each.cell["control"] in (None, "absent")]
    count = scored[0].cell["needles"] if scored else 0
    if not 3 <= count <= FEW_VALUES:
        return None
    blocks: dict[int, list[Scored]] = defaultdict(list)
    for each in scored:
        blocks[each.block].append(each)
    questions = set(range(count)) | {each.asked for each in scored}
    given_differences, lift_differences = [], []
    for group in blocks.values():
        if {each.asked for each in group} != questions or not all(each.counts for each in group):
            continue
        given = [_share(group, position, asked=True) for position in range(count)]
        lift = [given[position] - _share(group, position, asked=False) for position in range(count)]
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
        absent_ends=sum(each.given in (0, count - 1) for each in absent),
        absent=len(absent),
        middle=count - 2,
    )


def ends_sentences(found: EndsAndMiddle) -> list[str]:
    """What the comparison of ends and middle says, in words chosen by the figures."""
    given, lift = found.given, found.lift
    middle = {1: "the one", 2: "the two", 3: "the three", 4: "the four"}.get(found.middle, "those")
    sentences = [
        _difference_sentence(
            f"Asked for, the two ends were given {{points}} points {{more}} often than {middle} in the middle",
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


def block_shares(answers: Iterable[Scored], values: Mapping[int, float]) -> dict[int, float]:
    """One mean a block: repeats of a question are averaged first, then the questions.

    `values` holds what is averaged, by the `id` of each answer.
    """
    items: dict[int, dict[tuple[Any, ...], list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in answers:
        items[each.block][each.item].append(values[id(each)])
    return {
        block: sum(sum(repeats) / len(repeats) for repeats in questions.values()) / len(questions)
        for block, questions in items.items()
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


def _share(group: Sequence[Scored], position: int, *, asked: bool) -> float:
    chosen = [each for each in group if (each.asked == position) == asked]
    return sum(each.given == position for each in chosen) / len(chosen)


def _ends_less_middle(values: Sequence[float]) -> float:
    inner = values[1:-1]
    return (values[0] + values[-1]) / 2 - sum(inner) / len(inner)
