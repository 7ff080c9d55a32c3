"""How the words of the German grammar inflect.

Two kinds of options do, the rest stands as it is:

    "m Hammer Hämmer"                  a noun: gender, singular, plural
    "das Brett; ab-hobeln; hobelte"    a verb: what it governs; infinitive (a hyphen parts a separable verb); past

Nouns: {thing} der Hammer, .akk den Hammer, .dat dem Hammer, .ein ein Hammer, .ein_akk, .ein_dat; with an adjective of
the list "quality" .adj_akk den alten Hammer, .ein_adj ein alter Hammer, .ein_adj_akk, .ein_adj_dat; .pl, .pl_dat.

Verbs: {deed.inf} das Brett abhobeln, .zu das Brett abzuhobeln, .last das Brett abhobelte, .past hobelte das Brett ab;
what is named after `past` stands behind the verb: {deed.past_who_place} hobelte Anna in der Werkstatt das Brett ab.
"""

import re
from collections.abc import Callable

_NOUN = re.compile(r"([mfn]) (\S+) (\S+)")
_AFTER_COLON = re.compile(r"(?<=: )[a-zäöü]")
_DEFINITE = {
    "nom": {"m": "der", "f": "die", "n": "das"},
    "akk": {"m": "den", "f": "die", "n": "das"},
    "dat": {"m": "dem", "f": "der", "n": "dem"},
}
_INDEFINITE = {
    "nom": {"m": "ein", "f": "eine", "n": "ein"},
    "akk": {"m": "einen", "f": "eine", "n": "ein"},
    "dat": {"m": "einem", "f": "einer", "n": "einem"},
}
# The ending of an adjective after the definite article is -e where the article is that of the nominative, else -en.
_AFTER_EIN = {"nom": {"m": "er", "f": "e", "n": "es"}, "akk": {"m": "en", "f": "e", "n": "es"}}


def inflect(text: str, form: str, fill: Callable[[str], str]) -> str:
    """An option in a form; `fill` gives the words for a gap by its name."""
    noun = _NOUN.fullmatch(text)
    if noun:
        return _noun(noun[1], noun[2], noun[3], form, fill)
    if "; " in text:
        governed, infinitive, past = text.split("; ")
        return _verb(governed, infinitive, past, form.split("_"), fill)
    return text


def finished(text: str) -> str:
    """A sentence with a capital letter after a colon, and with "vom" for "von dem".

    Example: finished("Notiz von dem Wirt: es regnete") == "Notiz vom Wirt: Es regnete"
    """
    return _AFTER_COLON.sub(lambda found: found[0].upper(), text.replace("von dem ", "vom "))


def _noun(gender: str, singular: str, plural: str, form: str, fill: Callable[[str], str]) -> str:
    if form == "pl":
        return plural
    if form == "pl_dat":
        return plural if plural[-1] in "ns" else f"{plural}n"
    *parts, last = (form or "nom").split("_")
    case = last if last in _DEFINITE else "nom"
    indefinite, described = "ein" in (*parts, last), "adj" in (*parts, last)
    article = (_INDEFINITE if indefinite else _DEFINITE)[case][gender]
    if not described:
        return f"{article} {singular}"
    if indefinite and case in _AFTER_EIN:
        ending = _AFTER_EIN[case][gender]
    else:
        ending = "e" if case != "dat" and article in _DEFINITE["nom"].values() else "en"
    return f"{article} {fill('quality')}{ending} {singular}"


def _verb(governed: str, infinitive: str, past: str, form: list[str], fill: Callable[[str], str]) -> str:
    prefix, _, stem = infinitive.rpartition("-")
    kind, *behind = form
    if kind == "past":
        return " ".join([past, *map(fill, behind), governed, *([prefix] if prefix else [])])
    forms = {"inf": prefix + stem, "zu": f"{prefix}zu{stem}" if prefix else f"zu {stem}", "last": prefix + past}
    return f"{governed} {forms[kind]}"
