"""The texts of a placement experiment, with their facts: made up, or the user's own.

A conversation is one string here, a turn after the other, each with its speaker's name in front; what parts the turns
is a control character that no text holds. So facts are planted alike in prose and in turns, and the same conversation
has them at the same places, whether a model gets it as a transcript or as turns of a chat.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import cast

from probes.experiments.common import Ruler, ensure_absent
from probes.experiments.placement_frames import GAP, Said
from probes.experiments.placement_tasks import Framing, load_data
from probes.haystack import SPEAKERS, Haystack, generated_haystack, generated_transcript, place
from probes.models.base import Role
from probes.sentences import sentence_ends
from probes.statements import Statement, draw_statements
from tokenizer.errors import UserError

FACTS = 10
THING = "quota"
KINDS = ("decision", "commitment", "incidental")
TURN = "\x1e"  # a space to Python, as a newline is, so that statements are planted before it as before a newline
TRIES = 50


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a text: whom or what it is about, its value, how it is said, and the stem that asks for its value."""

    name: str
    value: str
    sentence: str
    stem: str
    kind: str | None = None


@dataclass(frozen=True)
class Source:
    """A text before anything is planted in it.

    `roles`: of each turn the role and the speaker's name; none in prose. `tokens`: what it counts in its framing.
    `name`: of a text of the user's. `given`: the facts that it holds already, in its order, with the character at which
    each one's sentence begins.
    """

    haystack: Haystack
    roles: tuple[tuple[Role, str], ...] = ()
    tokens: int | None = None
    name: str | None = None
    given: tuple[tuple[int, Fact], ...] = ()

    @property
    def turn_starts(self) -> list[int]:
        """Where the words of each turn begin, after the speaker's name; [0] for prose."""
        if not self.roles:
            return [0]
        turns = self.haystack.text.split(TURN)
        begins = accumulate((len(turn) + len(TURN) for turn in turns[:-1]), initial=0)
        return [begin + len(prefix(speaker)) for begin, (_, speaker) in zip(begins, self.roles, strict=True)]


@dataclass(frozen=True)
class Material:
    """A text with its facts, in one framing.

    `tokens`: of the text without planted facts. `facts` are in the order of the text, and `positions` say where each
    one's sentence begins, as a share of the text's characters. `turns`: of a chat. `is_given`: the facts are the text's
    own.
    """

    text: str
    tokens: int
    facts: tuple[Fact, ...]
    positions: tuple[float, ...]
    turns: tuple[Said, ...] = ()
    speakers: tuple[str, ...] = ()
    name: str | None = None
    is_given: bool = False

    @cached_property
    def kinds(self) -> tuple[str, ...] | None:
        """The kind of each fact; None where they have none."""
        kinds = tuple(fact.kind for fact in self.facts if fact.kind)
        return kinds if len(kinds) == len(self.facts) else None


def williams_row(row: int, size: int = FACTS) -> tuple[int, ...]:
    """One row of a Williams square of even order (Williams 1949).

    Over all rows every item takes every place once, and every ordered pair of neighbours occurs once.

    Example: williams_row(0, 4) -> (0, 3, 1, 2); williams_row(1, 4) -> (1, 0, 2, 3)
    """
    first = [0]
    for step in range(1, size):
        first.append((step // 2) if step % 2 == 0 else size - 1 - step // 2)
    return tuple((item + row) % size for item in first)


def facts_of_block(seed: int, block: int, *, typed: bool, texts: tuple[str, ...] = ()) -> tuple[Fact, ...]:
    """The facts of one block, first tenth of its text to last. Ten blocks in a row, a square, share their facts.

    Typed ones are four of one kind and three of each other; over three squares every kind is equally often in every
    tenth, and a fact keeps its kind within a square, where it visits every tenth. `texts`: none of them may hold a name
    or a value; other facts are drawn until none does.

    Raises:
        UserError: the texts hold something of everything that was drawn.
    """
    square, row = divmod(block, FACTS)
    drawn = _drawn(seed, square, texts)
    sentences = load_data()["facts"]
    found = []
    for number in williams_row(row):
        each = drawn[number]
        kind = KINDS[(number + square) % len(KINDS)] if typed else None
        form = sentences["typed"][kind] if kind else sentences["plain"]
        sentence, stem = (part.format(name=each.name, value=each.value) for part in (form, sentences["stem"]))
        found.append(Fact(each.name, each.value, sentence, stem, kind))
    return tuple(found)


@lru_cache(maxsize=256)
def _drawn(seed: int, square: int, texts: tuple[str, ...]) -> Sequence[Statement]:
    """Names and values of ten facts; longer values where they are to stand in texts with figures of their own."""
    name = f"placement/{seed}/{square}"
    if not texts:
        return draw_statements(THING, FACTS, digits=2, seed=name)
    for attempt in range(TRIES):
        drawn = draw_statements(THING, FACTS, digits=3, seed=f"{name}/{attempt}")
        if not any(word in text for text in texts for each in drawn for word in (each.name, each.value)):
            return drawn
    raise UserError(
        "the documents hold a name or a number of every set of facts that was drawn",
        hint="choose another --seed, or give the documents facts of their own",
    )


def generated_source(framing: Framing, seed: str, length: int, ruler: Ruler) -> Source:
    """A made-up text: prose, or a conversation of two, the same one whether as transcript or as chat."""
    if framing == "document":
        prose = generated_haystack(seed, length, ruler.count)
        return Source(prose, tokens=prose.tokens)
    made = generated_transcript(seed, length, ruler.count)
    text = made.text.replace("\n", TURN)  # a turn of it is one line
    roles: tuple[tuple[Role, str], ...] = (("user", SPEAKERS[0]), ("assistant", SPEAKERS[1]))
    count = text.count(TURN) + 1
    found = Source(
        Haystack(text, made.sentence_ends), tuple(roles[number % 2] for number in range(count)), tokens=made.tokens
    )
    return with_tokens(found, framing, ruler) if framing == "chat" else found


def text_source(text: str) -> Source:
    """A document of the user's."""
    return Source(Haystack(text, sentence_ends(text)))


def conversation_source(turns: Sequence[tuple[Role, str, str]]) -> Source:
    """A conversation of the user's, from each turn's role, speaker and words; facts are planted inside its turns."""
    text = TURN.join(f"{prefix(speaker)}{words}" for _, speaker, words in turns)
    source = Source(Haystack(text, ()), tuple((role, speaker) for role, speaker, _ in turns))
    ends = [
        start + end
        for number, (start, (_, _, words)) in enumerate(zip(source.turn_starts, turns, strict=True))
        for end in sentence_ends(words)
        if end or number == 0
    ]
    return replace(source, haystack=Haystack(text, tuple(ends)))


def with_tokens(source: Source, framing: Framing, ruler: Ruler) -> Source:
    """The source with what it counts in a framing."""
    return replace(source, tokens=ruler.count(_shown(source, framing, source.haystack.text)[0]))


def material(source: Source, framing: Framing, facts: Sequence[Fact]) -> Material:
    """A text in its framing: with the given facts planted in it, one in each tenth, or with its own.

    Raises:
        UserError: a made-up text holds what is to be planted, or one of the user's has too few sentence ends.
    """
    haystack = source.haystack
    if source.given:
        text, starts, facts = haystack.text, [start for start, _ in source.given], [fact for _, fact in source.given]
    else:
        if source.name is not None and len(haystack.sentence_ends) < FACTS:
            raise UserError(
                f"{source.name} has {len(haystack.sentence_ends)} places for a fact, at sentence ends, "
                f"and {FACTS} are to be planted",
                hint="take a longer text, or give the facts that it holds",
            )
        ensure_absent(haystack.text, [Statement(THING, fact.name, fact.value) for fact in facts])
        placed = place(haystack, [fact.sentence for fact in facts], [(tenth + 0.5) / FACTS for tenth in range(FACTS)])
        text, starts = placed.text, list(placed.offsets)
    whole, turns, shifts = _shown(source, framing, text)
    speakers = tuple(dict.fromkeys(name for _, name in source.roles)) if framing == "transcript" else ()
    positions = tuple(round((start + shifts[text.count(TURN, 0, start)]) / len(whole), 6) for start in starts)
    assert source.tokens is not None
    return Material(whole, source.tokens, tuple(facts), positions, turns, speakers, source.name, bool(source.given))


def _shown(source: Source, framing: Framing, text: str) -> tuple[str, tuple[Said, ...], list[int]]:
    """The text as a framing shows it, its turns, and by how many characters each turn's text has moved."""
    if framing != "chat":
        return text.replace(TURN, "\n"), (), [0] * (text.count(TURN) + 1)
    turns = [
        Said(role, speaker, turn.removeprefix(prefix(speaker)))
        for (role, speaker), turn in zip(source.roles, text.split(TURN), strict=True)
    ]
    names = accumulate(len(prefix(turn.speaker)) for turn in turns)
    shifts = [(len(GAP) - len(TURN)) * number - names_so_far for number, names_so_far in enumerate(names)]
    if turns[-1].role == "assistant":
        turns.append(Said("user", turns[0].speaker, cast("str", load_data()["closing_turn"])))
    return GAP.join(turn.text for turn in turns), tuple(turns), shifts


def prefix(speaker: str) -> str:
    """What stands in front of a turn in a transcript.

    Example: prefix("Ana") -> "Ana: "
    """
    return f"{speaker}: "
