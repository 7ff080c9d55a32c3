"""What an answer says about the values that were planted: the value counts, never the wording around it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from probes.models.base import Completion

SCORER = "value@1"
Outcome = Literal["hit", "miss", "refusal", "truncated", "error"]
OUTCOMES: tuple[Outcome, ...] = ("hit", "miss", "refusal", "truncated", "error")

# What a model says when it does not give an answer. Matched in lower case, with straight apostrophes.
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
    `abstained`: the answer says that it does not know. `lenient`: the right value is there, whatever else is.
    """

    outcome: Outcome
    given: tuple[int, ...] = ()
    abstained: bool = False
    lenient: bool = False


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
    """Score one answer by the value it gives.

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
    elif completion.stop_reason in ("max_tokens", "context_full") and not abstained:
        outcome = "truncated"
    elif asked is None:
        outcome = "hit" if abstained or not any(character.isdigit() for character in text) else "miss"
    else:
        outcome = "refusal" if abstained else "miss"
    return Score(outcome, given, abstained, lenient)
