"""Prose made up by a seeded grammar: paragraphs that keep to one trade, one person, one place and one season.

The words and the frames are in `data/prose.json` (frames, seasons, names and what belongs to no trade) and
`data/trades.json` (one entry a trade: its places, people, things, deeds, events). A frame is a string:

    {thing}            one of the options called "thing", of the trade if it has such, else of everyone
    {thing.s}          the same, inflected: `s` (plural, or third person), `past`, `ing`
    [ {manner}]        there or not, as chance has it
    (slowly|at once)   one of these

The word that inflects is the last one of an option, or those marked with a star: "*sweep the {floor} and *rest".
"""

import functools
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.draws import Draws

RUN_WORDS = 8  # no sentence repeats so many words in a row of an earlier one
TRIES = 20  # before a sentence that repeats is let pass: only a very long text needs that


@dataclass(frozen=True, slots=True)
class Slot:
    """A gap in a frame, to be filled with one of the options of that name."""

    name: str
    form: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Several ways on, of which one is taken."""

    options: tuple["Frame", ...]


Frame = tuple[str | Slot | Choice, ...]
Options = Mapping[str, Sequence[Frame]]

_PIECE = re.compile(r"\{(?P<slot>\w+)(?:\.(?P<form>\w+))?\}|(?P<mark>[\[\]()|])|(?P<words>[^\[\]()|{}]+)")


def parse_frame(text: str) -> Frame:
    """A frame as its parts.

    Example: parse_frame("a {thing.s}[ now]") ->
        ("a ", Slot("thing", "s"), Choice(((), (" now",))))
    """
    stack: list[list[list[str | Slot | Choice]]] = [[[]]]  # open brackets -> alternatives of each -> parts
    for piece in _PIECE.finditer(text):
        mark = piece["mark"]
        if mark == "[":
            stack.append([[], []])
        elif mark == "(":
            stack.append([[]])
        elif mark == "|":
            stack[-1].append([])
        elif mark:
            options = stack.pop()
            stack[-1][-1].append(Choice(tuple(tuple(option) for option in options)))
        else:
            stack[-1][-1].append(Slot(piece["slot"], piece["form"] or "") if piece["slot"] else piece["words"])
    return tuple(stack[0][0])


@dataclass(frozen=True)
class Words:
    """Everything the grammar can say. Irregular forms by form, then word: {"past": {"write": "wrote"}, ...}."""

    common: Options
    seasons: tuple[Options, ...]
    trades: tuple[Options, ...]
    irregular: Mapping[str, Mapping[str, str]]


@functools.cache
def load_words() -> Words:
    """The vocabulary that is shipped with the package."""
    folder = Path(__file__).parent / "data"
    prose = json.loads((folder / "prose.json").read_text(encoding="utf-8"))
    trades = json.loads((folder / "trades.json").read_text(encoding="utf-8"))
    return Words(
        common=_options(prose["common"]),
        seasons=tuple(_options(season) for season in prose["seasons"]),
        trades=tuple(_options(trade) for trade in trades),
        irregular=prose["irregular"],
    )


def _options(lists: Mapping[str, Any]) -> Options:
    """Options by name; single words may be written as one string with commas."""
    return {
        name: tuple(parse_frame(text) for text in (given.split(", ") if isinstance(given, str) else given))
        for name, given in lists.items()
    }


class Prose:
    """One text in the making: what has been said already, and how each list of options is shuffled just now."""

    def __init__(self, seed: str) -> None:
        self._draws = Draws(seed)
        self._words = load_words()
        self._decks: dict[int, list[Frame]] = {}  # id of a list of the vocabulary -> what is left of it
        self._said: set[int] = set()  # fingerprints of the runs of RUN_WORDS words

    def sentences(self) -> Iterator[str]:
        """Sentences without end, each with the space or the blank line that parts it from the one before."""
        gap = ""
        while True:
            for sentence in self._paragraph():
                yield gap + sentence
                gap = " "
            gap = "\n\n"

    def _paragraph(self) -> Iterator[str]:
        common = self._words.common
        trade, season = self._draws.choice(self._words.trades), self._draws.choice(self._words.seasons)
        scope: dict[str, Sequence[Frame]] = {**common, **season, **trade}
        pronouns = ("she", "her", "her") if self._draws.uniform() < 0.5 else ("he", "his", "him")
        name = self._draw(common["woman" if pronouns[0] == "she" else "man"])
        fixed = {"name": name, "other": self._draw(trade["people"]), "place": self._draw(trade["place"])}
        fixed |= dict(zip(("they", "their", "them"), ((word,) for word in pronouns), strict=True))
        scope |= {slot: (frame,) for slot, frame in fixed.items()}
        frames = ["open", *["middle"] * (3 + self._draws.below(5))]
        if self._draws.uniform() < 0.5:
            frames.append("close")
        for kind in frames:
            named = kind == "open" or self._draws.uniform() < 0.15
            scope["who"] = (fixed["name" if named else "they"],)
            yield self._new_sentence(common[kind], scope)

    def _new_sentence(self, frames: Sequence[Frame], scope: Options) -> str:
        """A sentence that repeats no long run of words of an earlier one."""
        for _ in range(TRIES):
            sentence = self._sentence(self._draw(frames), scope)
            words = sentence.split()
            starts = range(max(len(words) - RUN_WORDS, 0) + 1)
            runs = {zlib.crc32(" ".join(words[start : start + RUN_WORDS]).encode()) for start in starts}
            if self._said.isdisjoint(runs):
                break
        self._said |= runs
        return sentence

    def _sentence(self, frame: Frame, scope: Options) -> str:
        text = with_articles(self._expand(frame, scope))
        return text[0].upper() + text[1:]

    def _expand(self, frame: Frame, scope: Options) -> str:
        pieces: list[str] = []
        for part in frame:
            if isinstance(part, str):
                pieces.append(part)
            elif isinstance(part, Choice):
                pieces.append(self._expand(self._draws.choice(part.options), scope))
            else:
                text = self._expand(self._draw(scope[part.name]), scope)
                pieces.append(self._inflect(text, part.form) if part.form else text.replace("*", ""))
        return "".join(pieces)

    def _inflect(self, text: str, form: str) -> str:
        if "*" not in text:
            start = text.rfind(" ") + 1
            return text[:start] + inflected(text[start:], form, self._words.irregular)
        return re.sub(r"\*([\w-]+)", lambda word: inflected(word[1], form, self._words.irregular), text)

    def _draw(self, options: Sequence[Frame]) -> Frame:
        """One of the options, as from a shuffled pack of cards: none comes again before all have come."""
        if len(options) == 1:
            return options[0]
        if not self._decks.get(id(options)):
            self._decks[id(options)] = self._draws.shuffled(options)
        return self._decks[id(options)].pop()


_VOWEL_SOUND = re.compile(r"\b([Aa]) (?=[aeio]|u(?!ni[cfoqtv]|s[eu]|te)|hour|honest|heir)(?!on(?:e|ce)\b|eu|ewe)")

# What an ending becomes, the first that fits; the short syllable is that of "trim", which doubles its last letter.
_SHORT = r"^((?:qu|[^aeiou])*[aeiou])([bdgklmnprtvz])$"
_ENDINGS = {
    "s": ((r"([^aeiou])y$", r"\1ies"), (r"(s|x|z|ch|sh)$", r"\1es"), (r"$", "s")),
    "past": ((r"e$", "ed"), (r"([^aeiou])y$", r"\1ied"), (_SHORT, r"\1\2\2ed"), (r"$", "ed")),
    "ing": ((r"ie$", "ying"), (r"([^eoy])e$", r"\1ing"), (_SHORT, r"\1\2\2ing"), (r"$", "ing")),
}


def with_articles(text: str) -> str:
    """Every article "a" as the word after it asks.

    Example: with_articles("A old mill, a useful hour") == "An old mill, a useful hour"
    """
    return _VOWEL_SOUND.sub(r"\1n ", text)


def inflected(word: str, form: str, irregular: Mapping[str, Mapping[str, str]]) -> str:
    """A regular or irregular form of an English word: `s` (plural, or third person), `past`, `ing`.

    Example: inflected("trim", "ing", {"ing": {}}) == "trimming"
    """
    if word in irregular[form]:
        return irregular[form][word]
    pattern, ending = next(rule for rule in _ENDINGS[form] if re.search(rule[0], word))
    return re.sub(pattern, ending, word, count=1)
