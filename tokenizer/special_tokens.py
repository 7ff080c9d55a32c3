"""Special tokens in a text: where they are read as tokens, where they are refused, and where they are only text."""

import heapq
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from tokenizer.errors import UsageError, UserError
from tokenizer.splits import as_bytes

Chosen = Collection[str] | Literal["all"]
Text = str | bytes

_SHORT = 2000  # characters; looking for first letters does not pay
_MOST_LETTERS = 8  # by which special tokens begin: a text is searched for each of them
_FEW = 20  # letters that may begin a special token are looked at one by one, ...
_SELDOM = 200  # ... and more of them only while so many characters lie between them


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a tokenizer.

    Attributes:
        owner: the tokenizer's name, for messages.
        ids: their texts and ids.
        literal: those that are always read as tokens, and never refused.
        absent: bytes that no token of the vocabulary holds; a text with one of them is refused.
    """

    owner: str
    ids: Mapping[str, int]
    literal: frozenset[str]
    absent: bytes = b""

    def cutter(self, allowed: Chosen, disallowed: Chosen) -> Callable[[Text], list[tuple[Text, int | None]]]:
        """What cuts texts at the special tokens that are read as tokens: ordinary text, then the id after it, if any.

        Where several could start, the longest is read.

        Args:
            allowed: those to be read as tokens.
            disallowed: those not to be met; "all" means all that are not allowed. What is neither is ordinary text.

        Returns:
            A function that raises UserError if its text holds one that is disallowed, or a byte that is absent, and
            UsageError if it is no text.

        Raises:
            UsageError: a name that is no special token.
        """
        readable = self._named(allowed) | self.literal
        refused = self._named(disallowed) - (readable if disallowed == "all" else self.literal)

        def cut(text: Text) -> list[tuple[Text, int | None]]:
            if not isinstance(text, str):
                text = as_bytes(text)
            self._refuse_absent(text)
            for found in _found(refused, text):
                self._refuse(text, found)
            parts: list[tuple[Text, int | None]] = []
            start = 0
            for found in _found(readable, text):
                parts.append((text[start : found.start()], self.ids[_name(found)]))
                start = found.end()
            parts.append((text[start:], None))
            return parts

        return cut

    def _refuse(self, text: Text, found: "re.Match[Any]") -> None:
        place = len(as_bytes(text[: found.start()]))
        raise UserError(
            f"the text holds {_name(found)!r}, a special token of {self.owner}, at byte {place}",
            hint="--allow-special (allowed_special=) reads it as the token, "
            "--special-as-text (disallowed_special=) as ordinary text",
        )

    def _refuse_absent(self, text: Text) -> None:
        if self.absent and (found := re.search(b"[" + re.escape(self.absent) + b"]", as_bytes(text))):
            byte, place = found.group()[0], found.start()
            raise UserError(
                f"{self.owner} has no token for the byte {byte:#04x}, at byte {place} of the text",
                hint="take the byte out, or use a tokenizer that has all 256",
            )

    def _named(self, chosen: Chosen) -> frozenset[str]:
        if isinstance(chosen, str) and chosen != "all":
            raise UsageError(f"{chosen!r} is one text, not a collection", hint='give a set of special tokens, or "all"')
        named = frozenset(self.ids if chosen == "all" else chosen)
        if unknown := named - frozenset(self.ids):
            raise UsageError(
                f"{min(unknown)!r} is not a special token of {self.owner}",
                hint=f"its special tokens are: {' '.join(self.ids) or 'none'}",
            )
        return named


def _found(tokens: frozenset[str], text: Text) -> "Iterator[re.Match[Any]]":
    """Where tokens stand in a text, from left to right."""
    if not tokens:
        return iter(())
    kind = type(text)
    pattern, letters = _pattern(tokens, kind), _first_letters(tokens, kind)
    if len(text) < _SHORT or len(letters) > _MOST_LETTERS:
        return pattern.finditer(text)
    return _found_by_letters(pattern, letters, text)


def _found_by_letters(pattern: re.Pattern[Any], letters: list[Any], text: Text) -> "Iterator[re.Match[Any]]":
    end = 0
    for number, place in enumerate(heapq.merge(*(_places(letter, text) for letter in letters))):
        if number > _FEW and place < _SELDOM * number:  # so many such letters that they are no help
            yield from pattern.finditer(text, max(place, end))
            return
        if place >= end and (found := pattern.match(text, place)):
            yield found
            end = found.end()


def _places(letter: Any, text: Any) -> Iterator[int]:
    place = text.find(letter)
    while place >= 0:
        yield place
        place = text.find(letter, place + 1)


@lru_cache(maxsize=64)
def _first_letters(tokens: frozenset[str], kind: type[Text]) -> list[Any]:
    letters = {token[0] for token in tokens}
    return list(letters) if issubclass(kind, str) else [letter.encode() for letter in letters]


def _name(found: "re.Match[Any]") -> str:
    name = found.group()
    return name if isinstance(name, str) else name.decode()


@lru_cache(maxsize=64)
def _pattern(tokens: frozenset[str], kind: type[Text]) -> re.Pattern[Any]:
    longest_first = sorted((token.encode() for token in tokens), key=len, reverse=True)
    pattern = b"|".join(map(re.escape, longest_first))
    return re.compile(pattern.decode() if issubclass(kind, str) else pattern)
