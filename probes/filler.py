"""Filler that says nothing: words without meaning, one sentence over and over, and headings for sections."""

import re
from collections.abc import Iterator
from functools import cache

from probes.draws import Draws
from probes.prose import Language, frame_words, load_words

REPEATED: dict[Language, tuple[str, ...]] = {
    "en": (
        "The tide comes in and the tide goes out.",
        "Rain falls on the roof and on the road.",
        "The clock ticks and the kettle hums.",
        "Clouds pass over the hills and are gone.",
    ),
    "de": (
        "Die Flut kommt und die Flut geht.",
        "Der Regen fällt auf das Dach und auf die Straße.",
        "Die Uhr tickt und der Kessel summt.",
        "Wolken ziehen über die Hügel und sind fort.",
    ),
}
HEADINGS: dict[Language, list[str]] = {
    "en": (
        "Around the house|Odds and ends|Work in hand|What else happened|From day to day|Small matters|Near and far|"
        "Before the weekend|Things seen|Things heard|Tools and materials|A few remarks|The usual round|Old habits|"
        "Open doors|Weather and ways|Comings and goings|In passing|Left over|Further notes|Early and late|"
        "Neighbours|By the way|Loose ends"
    ).split("|"),
    "de": (
        "Rund ums Haus|Dies und das|Laufende Arbeiten|Was sonst geschah|Von Tag zu Tag|Kleine Dinge|Nah und fern|"
        "Vor dem Wochenende|Gesehenes|Gehörtes|Werkzeug und Material|Einige Bemerkungen|Der übliche Gang|"
        "Alte Gewohnheiten|Offene Türen|Wetter und Wege|Kommen und Gehen|Am Rande|Nachträge|Weitere Notizen|"
        "Früh und spät|Nachbarschaft|Nebenbei|Offene Fragen"
    ).split("|"),
}


def repeated_sentences(seed: str, language: Language) -> Iterator[str]:
    """One drawn sentence without end, with the space that parts it from the one before."""
    sentence = Draws(seed).choice(REPEATED[language])
    yield sentence
    while True:
        yield f" {sentence}"


def noise_sentences(seed: str, language: Language) -> Iterator[str]:
    """Words of the language in a drawn order, cut into sentences of six to fourteen that mean nothing."""
    draws = Draws(seed)
    words = _words(language)
    gap = ""
    while True:
        sentence = " ".join(draws.choice(words) for _ in range(6 + draws.below(9)))
        yield f"{gap}{sentence[0].upper()}{sentence[1:]}."
        gap = " "


def section_headings(seed: str, language: Language) -> Iterator[str]:
    """Headings without end, each of them before any comes again."""
    draws = Draws(seed)
    while True:
        yield from draws.shuffled(HEADINGS[language])


@cache
def _words(language: Language) -> tuple[str, ...]:
    """The words that our prose in that language is made of, without the names of people."""
    words = load_words("prose", language)
    lists = [
        *(options for name, options in words.common.items() if name not in ("woman", "man")),
        *(options for scope in (*words.seasons, *words.trades) for options in scope.values()),
    ]
    found = {
        word for options in lists for option in options for word in re.findall(r"[^\W\d_]{2,}", frame_words(option))
    }
    return tuple(sorted(found - {name for kind in ("woman", "man") for (name,) in words.common[kind]}))
