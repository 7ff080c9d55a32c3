"""What the needle tasks are made of: a ground to plant in, what is planted, a question, a task.

task.plant(ground) -> Planted (a text with its statements, and every question about it), one or more a block
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from probes.draws import Draws
from probes.experiments.common import ensure_absent, ensure_words_absent
from probes.experiments.needle_files import OwnNeedle
from probes.experiments.needle_forms import Form, Language
from probes.haystack import CountTokens, Haystack, Placed, place
from probes.statements import Statement, distractor_statements, draw_statements

Answer = Literal["one", "all", "number", "names"]
IdStyle = Literal["uuid", "short"]
Item = TypeVar("Item")

THING = "passcode"
DIGITS = 5
MOST_IN_A_DRAW = 30  # names that one draw of statements has
EXAMPLE = """\
Text: "It rained. The passcode for Exampleton is 01234. We left."
Question: What is the passcode for Exampleton?
Answer: 01234"""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a text, and what is right.

    `reply`: how it is to be answered. `stem`: the beginning of an answer. `name`: what is asked for. `asked`: the
    number of the needle asked for, in text order. `right`: which of the text's values answer it. `answer`: how they
    are to be given: the one, all of them, as a number, as names. `expected`: what a right answer
    says, where that is a number or a list of names. `absent`: nothing in the text answers it.
    """

    text: str
    reply: str
    stem: str
    name: str
    asked: int | None = None
    right: tuple[int, ...] = ()
    answer: Answer = "one"
    expected: tuple[str, ...] = ()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Planted:
    """One text with its statements in it, and every question about it.

    `statements`, and in the same order `depths` (as planned, 0 to 1) and the offsets of `placed`: first the needles, as
    many as `needles`, in text order, then the distractors. `values`: the candidates for an answer in that order, if
    there are any. `text_tokens` are counted part by part, which misses the whole by a token or two.
    """

    placed: Placed
    haystack_tokens: int
    text_tokens: int
    statements: tuple[str, ...]
    depths: tuple[float, ...]
    values: tuple[str, ...]
    needles: int
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """One block of one length and layout, for a task to plant in.

    `length`: tokens asked for, None for the shortest text that there can be. `depths`: where needles are to stand,
    ascending. `distractors`: how many statements of the same form about other names. `own`: the user's needles.
    `haystack(drawn)`: the text to plant in; `drawn` are the statements that it must not hold, should it be made of such
    statements. `count`: tokens of a text, by the ruler. `ids`: what keys and values of the task kv look like.
    """

    seed: int
    block: int
    length: int | None
    depths: tuple[float, ...]
    language: Language
    distractors: int
    own: tuple[OwnNeedle, ...]
    haystack: Callable[[Sequence[Statement]], Haystack]
    count: CountTokens
    ids: IdStyle = "uuid"


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of needle experiment.

    `several`: several needles stand in one text, so that --layout applies. `makes_text`: its text is no prose, so that
    nothing about haystacks applies. `likelihood`: one value answers a question, so that its probability can be
    measured. `distractors`: how many unless said otherwise, None for a task that takes
    none. `max_tokens`: what an answer may have unless said otherwise. `things`: what is hidden, in the plural.
    `example`: a short text, a question and its answer. Prompt styles use these two.

    Another package brings a task by an entry point of the group `needlepoint.tasks`: a function that gives a Task.
    """

    name: str
    summary: str
    plant: Callable[[Ground], Iterator[Planted]]
    several: bool = False
    makes_text: bool = False
    likelihood: bool = False
    takes_own_needles: bool = False
    distractors: int | None = 0
    languages: tuple[Language, ...] = ("en",)
    max_tokens: int = 32
    things: str = "facts"
    example: str = EXAMPLE


def statements_for(count: int, seed: str) -> list[Statement]:
    """Statements with different names and values, also more of them than one draw has names for."""
    drawn = draw_statements(THING, min(count, MOST_IN_A_DRAW), digits=DIGITS, seed=seed)
    more = distractor_statements(THING, digits=DIGITS, seed=f"{seed}/more", avoid=drawn)
    return [*drawn, *itertools.islice(more, count - len(drawn))]


def other_statements(drawn: Sequence[Statement], ground: Ground) -> list[Statement]:
    """The distractors of a text: other names, other values than those drawn already.

    They are drawn for themselves, so that the needles are the same however many distractors there are.
    """
    seed = f"distractors/{ground.seed}/{ground.block}"
    others = distractor_statements(THING, digits=DIGITS, seed=seed, avoid=drawn)
    return list(itertools.islice(others, ground.distractors))


def turned(items: Sequence[Item], by: int) -> list[Item]:
    """The items, another one first.

    Example: turned("abc", 4) -> ["b", "c", "a"]
    """
    by %= len(items)
    return [*items[by:], *items[:by]]


def asking(form: Form, name: str, *, value: str = "", **right: object) -> Question:
    """The form's question about a name."""
    text, stem = (part.format(name=name, value=value) for part in (form.question, form.stem))
    return Question(text, form.reply, stem, value or name, **right)  # type: ignore[arg-type]


def asking_one(form: Form, name: str, asked: int | None) -> Question:
    """The question that one needle answers, by its number; None: no needle does."""
    return asking(form, name, asked=asked, right=() if asked is None else (asked,), absent=asked is None)


def plant(
    ground: Ground,
    statements: Sequence[str],
    depths: Sequence[float],
    questions: Sequence[Question],
    *,
    values: Sequence[str],
    distractors: Sequence[str] = (),
    drawn: Sequence[Statement] = (),
    absent: Sequence[str] = (),
) -> Planted:
    """Put the statements into the ground's haystack, and the distractors at places that are drawn.

    `drawn`, `absent`: statements whose names and values, and words that, must not stand in the haystack.

    Raises:
        UserError: one of these words stands in the user's own haystack.
    """
    haystack = ground.haystack(drawn)
    ensure_absent(haystack.text, drawn)
    ensure_words_absent(haystack.text, absent)
    draws = Draws(f"places/{ground.seed}/{ground.block}")
    planted = (*statements, *distractors)
    places = (*depths, *sorted(draws.uniform() for _ in distractors))
    placed = place(haystack, planted, places)
    for statement, offset in zip(planted, placed.offsets, strict=True):
        assert placed.text.startswith(statement, offset)
    tokens = haystack.tokens or ground.count(haystack.text)
    added = sum(ground.count(f" {statement}") for statement in planted)
    return Planted(placed, tokens, tokens + added, planted, places, tuple(values), len(statements), tuple(questions))
