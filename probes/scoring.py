"""What an answer says about the values that were planted: the value counts, never the wording around it.

A scorer has a name with a version, so that a verdict that is kept says how it came about, and old runs keep theirs:

    value@2         the default: the right value, however it is written, and no other planted value (`probes.answers`)
    value@1         the same with less tolerance, as runs of version 0.1 were scored
    contains@1      the right value is a part of the answer, whatever else is: what older tools count
    exact@1         the answer is the right value and nothing else
    regex:PATTERN   the pattern is found in the answer; {value} in it stands for the right value
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from probes.answers import (
    as_number,
    declines,
    final_answer,
    find_numbers,
    find_values,
    is_value,
    normalised,
    without,
)
from probes.models.base import Completion
from tokenizer.errors import UsageError, UserError

SCORER = "value@2"
PATTERN_SECONDS = 1.0  # what a pattern may take for one answer before it is refused
Outcome = Literal["hit", "miss", "refusal", "truncated", "error"]
OUTCOMES: tuple[Outcome, ...] = ("hit", "miss", "refusal", "truncated", "error")

# What a model says when it does not give an answer. Matched in lower case, with straight apostrophes. Part of value@1.
_ABSTENTIONS = re.compile(
    r"\b(not (mentioned|stated|given|provided|specified|found|listed|included|present|available|in the text)"
    r"|no (passcode|information|mention|such)|(does|do|did)(n't| not) (say|mention|state|give|provide|specify|contain"
    r"|include|have)|(can't|cannot|can not|could not|couldn't) (find|answer|determine|provide|tell|help|assist)"
    r"|unable to|unknown|(i am|i'm) (sorry|afraid)|(i )?(don't|do not) (know|have)|isn't (given|stated|mentioned)"
    r"|there is no)\b"
)


@dataclass(frozen=True, slots=True)
class Score:
    """A verdict on one answer.

    `given`: the planted values that the answer holds, by their number in the list of candidates, in order of mention.
    `abstained`: the answer says that it does not know. `lenient`: the right value is there, whatever else is; where
    nothing is right, that the answer says so, whatever else it says. `share`: how much of what was to be given in full
    (several values, the names of a chain) was given, from 0 to 1; None where one value was asked for.
    """

    outcome: Outcome
    given: tuple[int, ...] = ()
    abstained: bool = False
    lenient: bool = False
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cell says of a right answer: the candidates, which of them are right, and how they are to be given."""

    values: tuple[str, ...]
    right: tuple[int, ...]
    answer: str
    expected: tuple[str, ...]
    name: str

    @classmethod
    def from_cell(cls, cell: Mapping[str, Any]) -> "Wanted":
        """Read a trial's cell."""
        return cls(
            tuple(cell.get("values") or ()),
            tuple(right_of(cell)),
            cell.get("answer") or "one",
            tuple(map(str, cell.get("expected") or ())),
            str(cell.get("name") or ""),
        )

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every value that is right."""
        return (*(self.values[number] for number in self.right), *self.expected)

    @property
    def in_full(self) -> bool:
        """Whether all that is right must be given, and not just one of several that are."""
        return self.answer in ("all", "names")


def right_of(cell: Mapping[str, Any]) -> list[int]:
    """Which of a cell's values are right; one that does not say so is older, and says it by what was asked for.

    Example: right_of({"asked": 2}) -> [2]; right_of({"asked": None}) -> []
    """
    right, asked = cell.get("right"), cell.get("asked")
    if right is None:
        return [] if asked is None else [asked]
    return list(right)


Scorer = Callable[[Completion, Wanted], Score]


def score_cell(completion: Completion | None, cell: Mapping[str, Any], scorer: str = SCORER) -> Score:
    """Score the answer to a trial by its cell. No completion is an `error`, and never a miss.

    Raises:
        UsageError: there is no such scorer.
        ValueError: the trial measures a likelihood, which is no answer and has no verdict.

    Example: score_cell(Completion("It is 48,213.", "stop"), {"values": ["48213"], "right": [0]}).outcome == "hit"
    """
    if cell.get("measure", "answer") != "answer":
        raise ValueError(f"a trial that measures {cell['measure']} has no answer to score")
    score = find_scorer(scorer)
    return Score("error") if completion is None else score(completion, Wanted.from_cell(cell))


@lru_cache(maxsize=64)
def find_scorer(name: str) -> Scorer:
    """The scorer of that name.

    Raises:
        UsageError: there is none, or its pattern is not one.
    """
    if name.startswith("regex:"):
        return _regex_scorer(name.removeprefix("regex:"))
    if name in SCORERS:
        return SCORERS[name]
    nearest = difflib.get_close_matches(name, SCORERS, n=1)
    suggestion = f"did you mean {nearest[0]}? " if nearest else ""
    raise UsageError(
        f"there is no scorer {name!r}", hint=f"{suggestion}the scorers are {', '.join(SCORERS)} and regex:PATTERN"
    )


# --- value@2 ---


def score_by_value(completion: Completion, wanted: Wanted) -> Score:
    """value@2: what the final answer gives must be right, and nothing else of what was planted may be in it."""
    whole = normalised(completion.text)
    answer = final_answer(whole)
    if wanted.answer == "number":
        return _score_number(completion, wanted, answer)
    candidates = list(dict.fromkeys([*wanted.values, *wanted.accepted]))
    in_question = find_values(normalised(wanted.name), candidates) if wanted.name else {}
    accepted = set(wanted.accepted)
    candidates = [value for number, value in enumerate(candidates) if value in accepted or number not in in_question]
    found = {candidates[number] for number in find_values(answer, candidates)}
    given = tuple(number for number in find_values(answer, wanted.values) if wanted.values[number] in found)
    ever = {candidates[number] for number in find_values(whole, candidates)}
    if not accepted:
        return _score_nothing(completion, wanted, answer, given)
    right = len(found & accepted)
    enough = right == len(accepted) if wanted.in_full else right > 0
    return _verdict(
        completion,
        answer,
        given,
        hit=enough and found <= accepted,
        wrong=not found <= accepted,
        lenient=accepted <= ever if wanted.in_full else bool(accepted & ever),
        share=right / len(accepted) if wanted.in_full else None,
    )


def _verdict(
    completion: Completion,
    answer: str,
    given: tuple[int, ...] = (),
    *,
    hit: bool,
    wrong: bool,
    lenient: bool,
    share: float | None = None,
) -> Score:
    """The outcome where something is right: an answer cut short is no miss, and neither is one declined."""
    abstained = not hit and not wrong and not given and (completion.stop_reason == "refusal" or declines(answer))
    if hit:
        outcome: Outcome = "hit"
    elif wrong:
        outcome = "miss"
    elif abstained:
        outcome = "refusal"
    else:
        outcome = "truncated" if completion.is_cut else "miss"
    return Score(outcome, given, abstained, lenient, share)


def _score_nothing(completion: Completion, wanted: Wanted, answer: str, given: tuple[int, ...]) -> Score:
    """The verdict where nothing is right: right is to say so, or to give no value, planted or made up.

    Whether a word is a made-up value cannot be seen, so that only a missing number is as good as saying so. Nothing at
    all is no answer.
    """
    declined = declines(answer)
    abstained = not given and (declined or completion.stop_reason == "refusal")
    if given:
        outcome: Outcome = "miss"
    elif completion.stop_reason == "refusal":
        outcome = "refusal"
    elif declined:
        outcome = "hit"
    elif completion.is_cut:
        outcome = "truncated"
    else:
        numeric = wanted.answer == "number" or all(any(map(str.isdigit, value)) for value in wanted.values)
        no_value = numeric and not any(letter.isdigit() for letter in without(answer, wanted.name))
        outcome = "hit" if answer and no_value else "miss"
    return Score(outcome, given, abstained, declined)


def _score_number(completion: Completion, wanted: Wanted, answer: str) -> Score:
    """The verdict where a number is to be given: it must be the only one in the answer; `lenient` takes the last."""
    answer = without(answer, wanted.name)
    numbers = find_numbers(answer)
    accepted = {as_number(value) for value in wanted.accepted}
    if not accepted:
        return _score_nothing(completion, wanted, answer, ())
    if numbers and completion.is_cut and numbers[-1][1] == len(answer):
        return Score("truncated")  # the number may have gone on
    given = {number for number, _ in numbers}
    return _verdict(
        completion,
        answer,
        hit=len(given) == 1 and given <= accepted,
        wrong=bool(given) and not (len(given) == 1 and given <= accepted),
        lenient=bool(numbers) and numbers[-1][0] in accepted,
    )


# --- contains@1, exact@1, regex:PATTERN ---


def score_by_containing(completion: Completion, wanted: Wanted) -> Score:
    """contains@1: the right value is a part of the answer, in any case of letters; all of them where all are asked."""
    text = completion.text.lower()
    given = tuple(number for number, value in enumerate(wanted.values) if value.lower() in text)
    contained = [value.lower() in text for value in wanted.accepted]
    return _score_found(completion, wanted, contained, given)


def score_exactly(completion: Completion, wanted: Wanted) -> Score:
    """exact@1: the answer is the right value and nothing else but quotes, emphasis and a full stop."""
    text = normalised(completion.text)
    parts = re.split(r"[,;\n]| and | und ", text) if wanted.in_full and len(wanted.accepted) > 1 else [text]
    bare = [part.strip(" \t\r\n\"'*_`.!") for part in parts]
    bare = [part for part in bare if part]
    given = tuple(number for number, value in enumerate(wanted.values) if any(is_value(part, value) for part in bare))
    said = [any(is_value(part, value) for part in bare) for value in wanted.accepted]
    strange = any(not any(is_value(part, value) for value in wanted.accepted) for part in bare)
    return _score_found(completion, wanted, said, given, wrong=bool(wanted.accepted) and bool(bare) and strange)


def _score_found(
    completion: Completion, wanted: Wanted, found: Sequence[bool], given: tuple[int, ...], *, wrong: bool = False
) -> Score:
    """The verdict from which of the right values are there; where nothing is right, no planted value may be."""
    text = normalised(completion.text)
    if not wanted.accepted:
        if given or not text.strip():
            return Score("truncated" if not given and completion.is_cut else "miss", given)
        return Score("hit", given, declines(text), declines(text))
    enough = all(found) if wanted.in_full else any(found)
    share = sum(found) / len(found) if wanted.in_full else None
    hit = enough and not wrong
    others = any(number not in wanted.right for number in given)
    return _verdict(completion, text, given, hit=hit, wrong=not hit and others, lenient=enough, share=share)


def _regex_scorer(pattern: str) -> Scorer:
    """The scorer of a pattern: found is a hit; where nothing is right, a hit is that it is not found."""
    import regex  # type: ignore[import-untyped]

    try:
        regex.compile(pattern.replace("{value}", "x"))
    except regex.error as error:
        raise UsageError(f"the scorer's pattern cannot be read: {error}", hint="see Python's regex syntax") from error

    def score(completion: Completion, wanted: Wanted) -> Score:
        values = "|".join(map(regex.escape, wanted.accepted or wanted.values)) or "(?!)"
        compiled = regex.compile(pattern.replace("{value}", f"(?:{values})"))
        try:
            found = compiled.search(completion.text, timeout=PATTERN_SECONDS) is not None
        except TimeoutError as error:
            raise UserError(
                f"the scorer's pattern needs more than {PATTERN_SECONDS:g} s for one answer",
                hint="write it so that one text can match in one way only, e.g. a+ instead of (a+)+",
            ) from error
        text = normalised(completion.text)
        given = tuple(find_values(text, wanted.values))
        if wanted.accepted:
            return _verdict(completion, text, given, hit=found, wrong=False, lenient=found)
        outcome: Outcome = "miss" if found else "truncated" if completion.is_cut else "hit"
        return Score(outcome, given, abstained=not given and declines(text), lenient=declines(text))

    return score


# --- value@1 ---


def mentions(text: str, value: str) -> list[int]:
    """Character offsets at which a value stands alone in a text.

    A value inside a longer number or word does not count, thousands separators do not hide it.

    Example: mentions("rooms 142 and 42", "42") -> [14]; mentions("48,213 in all", "48213") -> [0]
    """
    return [found.start() for found in _pattern(value).finditer(text)]


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    if value.isdigit():  # a separator may stand before each group of three digits from the right
        groups = "".join(
            ("[,.\u00a0\u202f \u2019']?" if index and (len(value) - index) % 3 == 0 else "") + digit
            for index, digit in enumerate(value)
        )
        return re.compile(rf"(?<!\d)(?<!\d[.,]){groups}(?![.,]?\d)")
    return re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE)


def abstains(text: str) -> bool:
    """Whether an answer says that the text holds no answer, or declines to give one."""
    return bool(_ABSTENTIONS.search(text.lower().replace("\u2019", "'")))


def score_answer(completion: Completion | None, candidates: Sequence[str], asked: int | None) -> Score:
    """Score one answer by the value it gives, as value@1.

    `candidates` are all planted values; `asked` is the number of the right one, None where none is right: then it is a
    hit to give no value, planted or made up. A hit gives the right candidate and no other (`lenient` keeps the weaker
    reading). An answer cut at its token limit before any candidate is `truncated`, not wrong. No completion: `error`.
    """
    if completion is None:
        return Score("error")
    text = completion.text
    first = {number: found[0] for number, value in enumerate(candidates) if (found := mentions(text, value))}
    given = tuple(sorted(first, key=first.__getitem__))
    lenient = asked is not None and asked in given
    abstained = not given and (completion.stop_reason == "refusal" or abstains(text))
    if asked is not None and given == (asked,):
        outcome: Outcome = "hit"
    elif given:
        outcome = "miss"
    elif completion.is_cut and not abstained:
        outcome = "truncated"
    elif asked is None:
        outcome = "hit" if abstained or not any(character.isdigit() for character in text) else "miss"
    else:
        outcome = "refusal" if abstained else "miss"
    return Score(outcome, given, abstained, lenient)


def _score_first_version(completion: Completion, wanted: Wanted) -> Score:
    """value@1 of a cell: it knows one right value at the most."""
    return score_answer(completion, wanted.values, wanted.right[0] if wanted.right else None)


SCORERS: dict[str, Scorer] = {
    "value@1": _score_first_version,
    "value@2": score_by_value,
    "contains@1": score_by_containing,
    "exact@1": score_exactly,
}
