"""How the words of the English grammar inflect.

The word that inflects is the last one of an option, or those marked with a star: "*sweep the {floor} and *rest".
"""

import re
from collections.abc import Callable, Mapping

Irregular = Mapping[str, Mapping[str, str]]  # form -> word -> its form

_VOWEL_SOUND = re.compile(r"\b([Aa]) (?=[aeio]|u(?!ni[cfoqtv]|s[eu]|te)|hour|honest|heir)(?!on(?:e|ce)\b|eu|ewe)")
_STARRED = re.compile(r"\*([\w-]+)")

# What an ending becomes, the first that fits; the short syllable is that of "trim", which doubles its last letter.
_SHORT = r"^((?:qu|[^aeiou])*[aeiou])([bdgklmnprtvz])$"
_ENDINGS = {
    "s": ((r"([^aeiou])y$", r"\1ies"), (r"(s|x|z|ch|sh)$", r"\1es"), (r"$", "s")),
    "past": ((r"e$", "ed"), (r"([^aeiou])y$", r"\1ied"), (_SHORT, r"\1\2\2ed"), (r"$", "ed")),
    "ing": ((r"ie$", "ying"), (r"([^eoy])e$", r"\1ing"), (_SHORT, r"\1\2\2ing"), (r"$", "ing")),
}


class Inflection:
    """Gives options their forms: `s` (plural, or third person), `past`, `ing`, or none."""

    def __init__(self, irregular: Irregular) -> None:
        self._irregular = irregular
        self._known: dict[tuple[str, str], str] = {}  # word, form -> the word in that form

    def __call__(self, text: str, form: str, fill: Callable[[str], str]) -> str:  # noqa: ARG002 - as in German
        """An option in a form."""
        if not form:
            return text.replace("*", "")
        if "*" not in text:
            start = text.rfind(" ") + 1
            return text[:start] + self._inflected(text[start:], form)
        return _STARRED.sub(lambda word: self._inflected(word[1], form), text)

    def _inflected(self, word: str, form: str) -> str:
        known = self._known.get((word, form))
        if known is None:
            known = self._known[word, form] = inflected(word, form, self._irregular)
        return known


def with_articles(text: str) -> str:
    """Every article "a" as the word after it asks.

    Example: with_articles("A old mill, a useful hour") == "An old mill, a useful hour"
    """
    return _VOWEL_SOUND.sub(r"\1n ", text)


def inflected(word: str, form: str, irregular: Irregular) -> str:
    """A regular or irregular form of an English word: `s` (plural, or third person), `past`, `ing`.

    Example: inflected("trim", "ing", {"ing": {}}) == "trimming"
    """
    if word in irregular[form]:
        return irregular[form][word]
    pattern, ending = next(rule for rule in _ENDINGS[form] if re.search(rule[0], word))
    return re.sub(pattern, ending, word, count=1)
