"""What the controls say: the question without the text, in a text of a few sentences, and with no answer in the text.

closed-book   a right answer without the text is known or guessed, not read: the item is flagged
short         what is wrong here already is not the fault of a long text
absent        a planted value that is given here is preferred, not found
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from probes.experiments.needle_rates import Item, hit_rate, item_of
from probes.experiments.needle_results import Row, Scored, block_shares, outcome_counts
from probes.stats import blocks_words, rate_interval

CONTROLS = ("closed-book", "short", "absent")
FEWEST = 5  # with fewer blocks that nothing went wrong means nothing, and with one that something did, neither
OFTEN = 0.2  # a control that goes wrong more often than this casts doubt on everything beside it
EASY = 0.9  # a task that even a short text does not bring to this rate is hard by itself


class Asked(NamedTuple):
    """What the controls are told apart by; the length of a text that is not there does not count."""

    model: str
    task: str
    prompt_style: str
    temperature: float | None
    control: str


def knows(answer: Scored) -> bool:
    """Whether an answer without the text gives what the text would have said."""
    cell = answer.cell
    if cell["answer"] == "one" and cell["asked"] is not None:
        return cell["asked"] in answer.score.given
    return answer.hit and bool(cell["right"] or cell["expected"])


def known_items(scored: Sequence[Scored]) -> set[Item]:
    """The items that were answered without the text: right answers to them say nothing about reading."""
    return {item_of(each) for each in scored if each.cell["control"] == "closed-book" and each.counts and knows(each)}


def control_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """One row for each control of each model and task.

    `rate` is that of right answers: for `closed-book` what the text would have said is given although the text is not
    there; for `absent` no planted value is given. `with_text_rate` is the rate in the texts of the run, for comparison.
    `given_planted`: answers that give a planted value, None where none is planted, as numbers are not that are to be
    counted; `abstained`: answers that say there is none.
    """
    groups: dict[Asked, dict[str, Scored]] = defaultdict(dict)
    for each in scored:
        if each.cell["control"] in CONTROLS:
            cell = each.cell
            asked = Asked(each.result.model, cell["task"], cell["prompt_style"], cell["temperature"], cell["control"])
            groups[asked][each.result.trial_id] = each  # one request may stand in the plan for several lengths
    rows = []
    for asked, by_trial in sorted(groups.items(), key=lambda item: (*item[0][:3], str(item[0][3]), item[0].control)):
        group = list(by_trial.values())
        counted = [each for each in group if each.counts]
        right = {id(each): float(knows(each) if asked.control == "closed-book" else each.hit) for each in counted}
        blocks = block_shares(counted, right)
        interval = rate_interval(list(blocks.values()), seed=seed)
        with_text = hit_rate([each for each in scored if _in_text(each, asked)], seed=seed)
        row: Row = {**asked._asdict(), "n": len(blocks), "answers": len(group)}
        row |= {
            "right": round(sum(right.values())),
            "rate": interval.estimate if interval else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "given_planted": _given_planted(counted),
            "abstained": sum(each.score.abstained for each in counted),
            "with_text_rate": with_text.estimate if with_text else None,
            "with_text_low": with_text.low if with_text else None,
            "with_text_high": with_text.high if with_text else None,
        }
        rows.append(row | {name: count for name, count in outcome_counts(group).items() if name not in ("hit", "miss")})
    return rows


def _given_planted(answers: Sequence[Scored]) -> int | None:
    planted = [each for each in answers if each.cell["values"]]
    return sum(bool(each.score.given) for each in planted) if planted else None


def _in_text(answer: Scored, asked: Asked) -> bool:
    cell = answer.cell
    found = (answer.result.model, cell["task"], cell["prompt_style"], cell["temperature"])
    return cell["control"] is None and found == asked[:4]


def control_sentences(row: Mapping[str, Any]) -> list[str]:
    """What one control says, in words chosen by the figures; nothing where it was not answered."""
    answered = row["answers"] - row["truncated"] - row["error"]
    if not answered:
        return []
    return {"closed-book": _closed_book, "short": _short, "absent": _absent}[row["control"]](row, answered)


def _closed_book(row: Mapping[str, Any], answered: int) -> list[str]:
    said = f"Answered {row['right']} of {answered} without the text"
    flagged = "They are flagged as known, and a rate without them stands beside the others."
    if row["n"] < (2 if row["right"] else FEWEST):
        return [f"{said}; {_too_few(row)}.{f' {flagged}' if row['right'] else ''}"]
    if not row["right"]:
        return [f"{said}: nothing is known beforehand, the text is what answers."]
    if row["with_text_low"] is not None and row["low"] > row["with_text_high"]:
        return [f"{said}, more than with it: the text is not what answers, it is in the way."]
    which = "the text is not what answers" if row["rate"] > OFTEN else "for these the text is not what answers"
    return [f"{said}: {which}. {flagged}"]


def _short(row: Mapping[str, Any], answered: int) -> list[str]:
    said = f"In a text of a few sentences {row['right']} of {answered} were right"
    if row["n"] < FEWEST:
        return [f"{said}; {_too_few(row)}."]
    if row["high"] < EASY:
        return [f"{said}: the task is hard for this model even there, so not all that it misses is due to length."]
    if row["with_text_high"] is not None and row["with_text_high"] < row["low"]:
        return [f"{said}: what is missed in the longer texts is missed because of them."]
    if row["rate"] < EASY:
        return [f"{said}: too few to tell whether the task itself is hard for this model."]
    return [f"{said}: the task itself is understood."]


def _absent(row: Mapping[str, Any], answered: int) -> list[str]:
    if row["given_planted"] is None:
        said = f"Asked for what is not there, it was right {row['right']} of {answered} times"
        return [f"{said}; {_too_few(row)}." if row["n"] < FEWEST else f"{said}."]
    said = f"Asked for what is not there, it gave a planted value {row['given_planted']} of {answered} times"
    if row["n"] < (2 if row["given_planted"] else FEWEST):
        return [f"{said}; {_too_few(row)}."]
    if row["given_planted"] > OFTEN * answered:
        return [f"{said}: some of its right answers are no finds."]
    quiet = f" and said so {row['abstained']} times" if row["abstained"] else ""
    return [f"{said}{quiet}."]


def _too_few(row: Mapping[str, Any]) -> str:
    """What must be said of a control that was asked too seldom.

    Example: _too_few({"n": 1}) -> "1 block cannot tell what that means"
    """
    return f"{blocks_words(row['n'])} cannot tell what that means"
