"""The statements that experiments plant: invented names, one form, values that stand nowhere else.

statement   "The passcode for Brenmoor is 48213."
question    "What is the passcode for Brenmoor?"
stem        "The passcode for Brenmoor is"
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from probes.draws import Draws

_FIRST_SYLLABLES = (
    "Bren Castel Dorv Elth Farrow Gald Harst Ilven Jorr Kelt Lund Marl Norv Ostr Pell Quill Rost Selm Tarn Ulv Vash "
    "Wend Yarl Zell Ambr Corv Drest Fenl Grost Holv"
).split()
_LAST_SYLLABLES = "moor in a ick by ford ost wick ane holt en mere ary und ell stow ia gate or esk".split()
_MIDDLE_SYLLABLES = "an el ing or us ent ar il om ert und eth".split()  # only names of distractors have one


@dataclass(frozen=True, slots=True)
class Statement:
    """One planted fact: a thing, the invented name it belongs to, and its value."""

    thing: str
    name: str
    value: str

    @property
    def stem(self) -> str:
        """The statement without its value."""
        return f"The {self.thing} for {self.name} is"

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.stem} {self.value}."

    @property
    def question(self) -> str:
        """The question that the statement answers."""
        return f"What is the {self.thing} for {self.name}?"


def draw_statements(thing: str, count: int, digits: int, seed: str) -> tuple[Statement, ...]:
    """Draw statements about one thing, no two with the same name, first syllable or value.

    `digits` is the length of every value; no value begins with 0. The same seed gives the same statements.
    """
    draws = Draws(seed)
    names = [first + draws.choice(_LAST_SYLLABLES) for first in draws.sample(_FIRST_SYLLABLES, count)]
    values = draws.sample(range(10 ** (digits - 1), 10**digits), count)
    return tuple(Statement(thing, name, str(value)) for name, value in zip(names, values, strict=True))


def distractor_statements(thing: str, digits: int, seed: str, avoid: Collection[Statement]) -> Iterator[Statement]:
    """Statements of the same form without end, about names that no needle has, with other values than `avoid` has.

    A name comes again only after some thousands, and then with another value. The same seed gives the same statements.
    """
    draws = Draws(seed)
    taken = {statement.value for statement in avoid}
    starts = {statement.name[:3] for statement in avoid}
    firsts = [first for first in _FIRST_SYLLABLES if first[:3] not in starts] or _FIRST_SYLLABLES
    lowest, below = 10 ** (digits - 1), 10**digits
    while True:
        names = [first + middle + last for first in firsts for middle in _MIDDLE_SYLLABLES for last in _LAST_SYLLABLES]
        for name in draws.shuffled(names):
            value = str(lowest + draws.below(below - lowest))
            if value not in taken:
                yield Statement(thing, name, value)
