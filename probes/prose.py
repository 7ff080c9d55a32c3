"""Text made up by a seeded grammar: paragraphs that keep to one trade, one person, one place and one season.

The words and the frames are in `data/`: what belongs to no trade (frames, seasons, names), and one entry a trade (its
places, people, things, deeds, events). There are two styles, prose and dated minutes, in two languages. A frame is:

    {thing}            one of the options called "thing", of the trade if it has such, else of everyone
    {thing.s}          the same, inflected, as `probes.english` and `probes.german` say
    [ {manner}]        there or not, as chance has it
    (slowly|at once)   one of these
"""

import functools
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from probes import english, german
from probes.draws import Draws

Style = Literal["prose", "minutes"]
Language = Literal["en", "de"]

ENGLISH_PRONOUNS = (("she", "her", "her"), ("he", "his", "him"))
GERMAN_PRONOUNS = (("sie", "ihr", "sie"), ("er", "ihm", "ihn"))
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


def frame_words(frame: Frame) -> str:
    """The words of a frame that stand in no gap, those of every choice among them.

    Example: frame_words(parse_frame("a {thing}[ now]")).split() == ["a", "now"]
    """
    pieces = [
        part if isinstance(part, str) else " ".join(map(frame_words, part.options)) if isinstance(part, Choice) else ""
        for part in frame
    ]
    return " ".join(pieces)


@dataclass(frozen=True)
class Words:
    """Everything the grammar can say.

    `pronouns` of a woman and of a man, for the gaps {they}, {their} and {them}; in German these are nominative, dative
    and accusative. `inflect` and `finish` are the language's: a form of an option, and the last touch to a sentence.
    """

    common: Options
    seasons: tuple[Options, ...]
    trades: tuple[Options, ...]
    pronouns: tuple[tuple[str, str, str], tuple[str, str, str]]
    inflect: Callable[[str, str, Callable[[str], str]], str]
    finish: Callable[[str], str]


@functools.cache
def load_words(style: Style = "prose", language: Language = "en") -> Words:
    """The vocabulary of a style and a language that is shipped with the package."""
    words = _read(f"{style}_{language}.json")
    english_speech = language == "en"
    return Words(
        common=_options(words["common"]),
        seasons=tuple(_options(season) for season in words["seasons"]),
        trades=tuple(_options(trade) for trade in words["trades"]),
        pronouns=ENGLISH_PRONOUNS if english_speech else GERMAN_PRONOUNS,
        inflect=english.Inflection(_read("irregular_en.json")) if english_speech else german.inflect,
        finish=english.with_articles if english_speech else german.finished,
    )


def _read(name: str) -> Any:
    return json.loads((Path(__file__).parent / "data" / name).read_text(encoding="utf-8"))


def _options(lists: Mapping[str, Any]) -> Options:
    """Options by name; single words may be written as one string with commas."""
    return {
        name: tuple(parse_frame(text) for text in (given.split(", ") if isinstance(given, str) else given))
        for name, given in lists.items()
    }


class Prose:
    """One text in the making: what has been said already, and how each list of options is shuffled just now."""

    def __init__(self, seed: str, words: Words | None = None) -> None:
        self._draws = Draws(seed)
        self._words = words or load_words()
        self._scope: dict[str, Sequence[Frame]] = {}  # what a gap of that name may hold, in this paragraph
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
        scope = self._scope = {**common, **season, **trade}
        sex = 0 if self._draws.uniform() < 0.5 else 1
        pronouns = self._words.pronouns[sex]
        name = self._draw(common[("woman", "man")[sex]])
        fixed = {"name": name, "other": self._draw(trade["people"]), "place": self._draw(trade["place"])}
        fixed |= dict(zip(("they", "their", "them"), ((word,) for word in pronouns), strict=True))
        scope |= {slot: (frame,) for slot, frame in fixed.items()}
        frames = ["open", *["middle"] * (3 + self._draws.below(5))]
        if self._draws.uniform() < 0.5:
            frames.append("close")
        for kind in frames:
            named = kind == "open" or self._draws.uniform() < 0.15
            scope["who"] = (fixed["name" if named else "they"],)
            yield self._new_sentence(common[kind])

    def _new_sentence(self, frames: Sequence[Frame]) -> str:
        """A sentence that repeats no long run of words of an earlier one."""
        for _ in range(TRIES):
            sentence = self._sentence(self._draw(frames))
            words = sentence.split()
            starts = range(max(len(words) - RUN_WORDS, 0) + 1)
            runs = {zlib.crc32(" ".join(words[start : start + RUN_WORDS]).encode()) for start in starts}
            if self._said.isdisjoint(runs):
                break
        self._said |= runs
        return sentence

    def _sentence(self, frame: Frame) -> str:
        text = self._words.finish(self._expand(frame))
        return text[0].upper() + text[1:]

    def _expand(self, frame: Frame) -> str:
        pieces: list[str] = []
        for part in frame:
            if isinstance(part, str):
                pieces.append(part)
            elif isinstance(part, Choice):
                pieces.append(self._expand(self._draws.choice(part.options)))
            else:
                pieces.append(self._fill(part.name, part.form))
        return "".join(pieces)

    def _fill(self, name: str, form: str = "") -> str:
        """One of the options of that name, in a form."""
        return self._words.inflect(self._expand(self._draw(self._scope[name])), form, self._fill)

    def _draw(self, options: Sequence[Frame]) -> Frame:
        """One of the options, as from a shuffled pack of cards: none comes again before all have come."""
        if len(options) == 1:
            return options[0]
        if not self._decks.get(id(options)):
            self._decks[id(options)] = self._draws.shuffled(options)
        return self._decks[id(options)].pop()
