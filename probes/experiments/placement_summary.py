"""What one generated answer to a placement prompt holds, read from its text alone: no model judges it.

A fact is kept where its value and its name stand in one statement of the answer: a sentence, or an item of a list.
Where a statement names several facts and their values in turn, each value belongs to the name beside it. A value in a
statement with only another fact's name is mis-bound. Where the text is a transcript, an answer that begins as a turn
of it, with a speaker's name and a colon, is a dialogue continued; what follows the name is not judged.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from probes.answers import as_number, find_numbers, find_values, normalised, without_thinking
from probes.models.base import Completion
from probes.plan import PlannedTrial
from probes.scoring import Outcome, mentions
from probes.sentences import sentence_ends

SCORER = "coverage@3"
COPIED_RUN = 8  # words in a row that no summary shares with its document by accident
MOSTLY = 0.5  # from this share on an answer mostly copies, or mostly repeats itself
_BULLET = re.compile(r"^[ \t]*[-*•‣◦+][ \t]+\S", re.MULTILINE)
_ITEM = re.compile(r"^(?P<indent>[ \t]*)(?:[-*•‣◦+]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
_WORD = re.compile(r"\S*\w\S*")
_TEXT = "document|text|conversation|transcript|dialogue|content"
# How an answer begins that declines to summarise, in normalised text; that a fact is missing is no refusal.
_DECLINES = re.compile(
    rf"""\b(?:
      (?:i\ am|i'm)\ (?:sorry|afraid|unable|not\ able)
    | (?:i|we)\ (?:cannot|can't|can\ not|could\ not|couldn't|won't|will\ not|do\ not|don't)\ (?:\w+\ )?
      (?:help|assist|provide|summari[sz]e|find|see|have|comply|access|do|answer|tell|share|know)
    | (?:there\ is|there's|i\ see|i\ have)\ no\ (?:{_TEXT})
    | no\ (?:{_TEXT})\ (?:was|is|has\ been|to\ summari[sz]e)
    | tut\ mir\ leid | leider\ kann\ ich
    )\b""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one generated answer holds.

    `covered` and `misbound` are numbers of facts, in the order of the text, and `kept_after` says of each covered one
    how many words of the answer it takes to tell it. `facts` is how many were planted. `copied` is the share of the
    answer's eight-word runs that stand in the prompt word for word, `recited` the share that do so outside of
    statements that keep a fact, and `repeated` the share that stood earlier in the answer itself. `continued`: the
    answer begins as a turn of the dialogue; None where the text is none. `altered`: numbers beside a fact's name that
    stand nowhere in the prompt; None where the prompt is not at hand. `constraints`: each constraint of the
    instruction, and whether the answer follows it.
    """

    outcome: Outcome
    covered: tuple[int, ...] = ()
    misbound: tuple[int, ...] = ()
    copied: float = 0.0
    repeated: float = 0.0
    continued: bool | None = None
    facts: int = 10
    kept_after: tuple[int, ...] = ()
    words: int = 0
    altered: tuple[str, ...] | None = None
    constraints: Mapping[str, bool] = field(default_factory=dict)
    recited: float = 0.0

    @property
    def readable(self) -> bool:
        """Whether the answer counts in rates: a call that failed and a refusal are no answers to score."""
        return self.outcome not in ("error", "refusal")

    @property
    def coverage(self) -> float:
        """The share of the facts that are kept."""
        return len(self.covered) / self.facts

    def coverage_within(self, words: int) -> float:
        """The share of the facts that the first so many words of the answer keep."""
        return sum(after <= words for after in self.kept_after) / self.facts

    @property
    def copies(self) -> bool:
        """Whether most of the answer is the prompt's own text."""
        return self.copied >= MOSTLY

    @property
    def repeats(self) -> bool:
        """Whether most of the answer stood earlier in it."""
        return self.repeated >= MOSTLY > self.copied

    @property
    def is_summary(self) -> bool:
        """Whether this is what was asked for at all: words of the answer's own, and not the text or dialogue gone on.

        How much it keeps does not matter here; to quote the sentences that hold the facts is no reciting.
        """
        return self.readable and self.words > 0 and not (self.recited >= MOSTLY or self.repeats or self.continued)

    def order_kept(self) -> float | None:
        """How far the facts stand in the text's order: Kendall's tau-b, 1 as in the text, -1 the other way round.

        None with fewer than two facts kept, or where nothing tells their order.
        """
        if len(set(self.kept_after)) < 2:
            return None
        from scipy.stats import kendalltau

        return float(kendalltau(self.covered, self.kept_after).statistic)


def read_summary(completion: Completion | None, trial: PlannedTrial) -> Summary:
    """Score one answer: which facts it keeps with their names, which it gives to another, and what it is like.

    A refusal keeps nothing and begins by declining; an answer that continues a dialogue is none, whatever its speakers
    decline.
    """
    cell, facts = trial.cell, len(trial.cell["names"])
    if completion is None:
        return Summary("error", facts=facts)
    text = without_thinking(completion.text)
    written = _statements(text)
    statements = [normalised(each) for each in written]
    kept_after, misbound, holding = _read_facts(statements, cell["names"], cell["values"])
    continued = continues(text, cell["speakers"]) if "speakers" in cell else None
    opening = next((each for each in statements if each.strip()), "")
    if completion.stop_reason == "refusal" or not (
        kept_after or misbound or continued or not _DECLINES.search(opening)
    ):
        outcome: Outcome = "refusal"
    elif completion.is_cut:
        outcome = "truncated"
    else:
        outcome = "hit" if kept_after else "miss"
    prompt = "\n".join(message.content for message in trial.request.messages)
    runs = _runs(text)
    rest = _runs(" ".join(each for number, each in enumerate(written) if number not in holding))
    known = f" {' '.join(prompt.lower().split())} "
    return Summary(
        outcome,
        covered=tuple(sorted(kept_after)),
        misbound=misbound,
        copied=sum(f" {run} " in known for run in runs) / len(runs) if runs else 0.0,
        recited=sum(f" {run} " in known for run in rest) / len(runs) if runs else 0.0,
        repeated=1 - len(set(runs)) / len(runs) if runs else 0.0,
        continued=continued,
        facts=facts,
        kept_after=tuple(kept_after[fact] for fact in sorted(kept_after)),
        words=sum(map(_count_words, statements)),
        altered=_altered(statements, cell, prompt) if prompt else None,
        constraints=followed(cell.get("constraints") or {}, text),
    )


def continues(text: str, speakers: Sequence[str]) -> bool:
    """Whether an answer begins with a speaker's name and a colon, as a turn of the dialogue does; marks do not count.

    Example: continues("**Ben:** It rained.", ["Ana", "Ben"]) -> True; continues("Ana and Ben: a summary", ...) -> False
    """
    names = "|".join(map(re.escape, speakers))
    return re.match(rf"[\W_]*(?:{names})[*_\s]*:", text) is not None


def _statements(text: str) -> list[str]:
    """The answer cut where a statement ends: at the end of a sentence, and before each item of a list.

    An item of a list inside a list belongs to the item above it.
    """
    ends = {*sentence_ends(text), len(text)}
    outer: int | None = None
    for item in _ITEM.finditer(text):
        indent = len(item["indent"].expandtabs())
        if outer is None or indent <= outer:
            outer = indent
            ends.add(item.start())
    return [text[start:end] for start, end in pairwise(sorted(ends))]


def _read_facts(
    statements: Sequence[str], names: Sequence[str], values: Sequence[str]
) -> tuple[dict[int, int], tuple[int, ...], set[int]]:
    """The facts that normalised statements keep, with the words it takes to tell each; the facts that are mis-bound.

    Then which statements keep a fact, by their numbers.
    """
    kept: dict[int, int] = {}
    elsewhere: set[int] = set()
    holding: set[int] = set()
    words = 0
    for number, statement in enumerate(statements):
        said, given = find_values(statement, names), find_values(statement, values)
        partner = _partners(said, given)
        for fact, offset in given.items():
            if fact in said and partner.get(fact, fact) == fact:
                last = max(offset, said[fact])
                kept.setdefault(fact, words + _count_words(statement[:last]) + 1)
                holding.add(number)
            elif said:
                elsewhere.add(fact)
        words += _count_words(statement)
    return kept, tuple(sorted(elsewhere - kept.keys())), holding


def _partners(said: Mapping[int, int], given: Mapping[int, int]) -> dict[int, int]:
    """Which name each value belongs to, where names and values take turns; nothing where they do not.

    Example: _partners({0: 0, 1: 20}, {1: 9, 0: 30}) -> {1: 0, 0: 1}: the value of 1 stands beside the name of 0
    """
    names, values = (sorted(found, key=found.__getitem__) for found in (said, given))
    mentioned = sorted([(said[name], "name") for name in names] + [(given[value], "value") for value in values])
    if len(names) != len(values) or any(first[1] == second[1] for first, second in pairwise(mentioned)):
        return {}
    return dict(zip(values, names, strict=True))


def _altered(statements: Sequence[str], cell: Mapping[str, Any], prompt: str) -> tuple[str, ...]:
    """The numbers in statements that name a fact which the prompt does not hold at all; marks of lists are none."""
    planted = {as_number(value) for value in cell["values"]}
    found: dict[str, None] = {}
    for statement in statements:
        bare = _ITEM.sub("", statement, count=1)
        numbers = [format(number, "f") for number, _ in find_numbers(bare) if number not in planted]
        if numbers and find_values(bare, cell["names"]):
            found |= dict.fromkeys(numbers)
    known = normalised(prompt) if found else ""
    return tuple(number for number in found if not find_values(known, [number]) and not mentions(known, number))


def followed(constraints: Mapping[str, Any], text: str) -> dict[str, bool]:
    """Each constraint of a cell, and whether the text follows it.

    `bullets`: exactly so many lines begin with a bullet; `most_words`: no more words, where a word has a letter or a
    digit; `required` and `forbidden`: all of these words stand in the text, and none of those, in any case of letters;
    `closing`: the last line is this one and nothing else, but for emphasis.

    Example: followed({"bullets": 2, "forbidden": ["very"]}, "- One\\n- Very") -> {"bullets": True, "forbidden": True}
    """
    text = text.strip()
    last = text.splitlines()[-1].strip(" \t*_`\"'") if text else ""
    checks: dict[str, Callable[[Any], bool]] = {
        "bullets": lambda wanted: len(_BULLET.findall(text)) == wanted,
        "most_words": lambda wanted: 0 < _count_words(text) <= wanted,
        "required": lambda wanted: all(_holds(text, word) for word in wanted),
        "forbidden": lambda wanted: bool(text) and not any(_holds(text, word) for word in wanted),
        "closing": lambda wanted: last == wanted.strip(),
    }
    return {name: checks[name](wanted) for name, wanted in constraints.items() if name in checks}


def _holds(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _count_words(text: str) -> int:
    return len(_WORD.findall(text))


def _runs(text: str) -> list[str]:
    """Every run of eight words of a text, in order; none in a shorter text."""
    words = text.lower().split()
    return [" ".join(words[start : start + COPIED_RUN]) for start in range(len(words) - COPIED_RUN + 1)]
