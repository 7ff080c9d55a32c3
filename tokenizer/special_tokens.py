"""Special tokens in a text: where they are read as tokens, where they are refused, and where they are only text."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from os.path import commonprefix
from typing import Any, Literal

from tokenizer.errors import UsageError, UserError
from tokenizer.splits import as_bytes

Chosen = Collection[str] | Literal["all"]
Text = str | bytes

_MOST_LETTERS = 4  # by which special tokens begin: a text is searched for each of them
_DEEPEST = 20  # groups inside each other


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

        if not (readable or refused or self.absent):
            return lambda text: [(text if isinstance(text, str) else as_bytes(text), None)]

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


def _found(tokens: frozenset[str], text: Text) -> "Iterable[re.Match[Any]]":
    """Where tokens stand in a text, from left to right, none inside another."""
    likely = [group.pattern for group in _groups(tokens, type(text)) if group.common in text] if tokens else []
    if len(likely) == 1:
        return likely[0].finditer(text)
    for pattern in likely:
        if pattern.search(text):
            return _in_turn(likely, text)
    return ()  # as nearly always, and at once


def _in_turn(patterns: "Sequence[re.Pattern[Any]]", text: Text) -> "Iterator[re.Match[Any]]":
    nearest = [pattern.search(text) for pattern in patterns]
    while found := min(filter(None, nearest), key=re.Match.start, default=None):
        yield found
        for number, (pattern, one) in enumerate(zip(patterns, nearest, strict=True)):
            if one and one.start() < found.end():
                nearest[number] = pattern.search(text, found.end())


def _name(found: "re.Match[Any]") -> str:
    name = found.group()
    return name if isinstance(name, str) else name.decode()


@dataclass(frozen=True)
class _Group:
    """Tokens that are looked for together: what all of them begin with, and the pattern that finds the longest.

    The pattern of a thousand tokens takes long to compile, and is seldom needed.
    """

    common: Any  # a text or bytes, as what it is looked for in
    source: Any

    @cached_property
    def pattern(self) -> "re.Pattern[Any]":
        return re.compile(self.source)


@lru_cache(maxsize=64)
def _groups(tokens: frozenset[str], kind: type[Text]) -> list[_Group]:
    """A group for each letter with which some begin, as one letter is found quickly; of many letters, one for all."""
    if issubclass(kind, str):
        return [_Group(common, source) for common, source in _by_first_letter(tokens)]
    found = _by_first_letter(token.encode().decode("latin-1") for token in tokens)
    return [_Group(common.encode("latin-1"), source.encode("latin-1")) for common, source in found]


def _by_first_letter(texts: Iterable[str]) -> list[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[0], []).append(text)
    sources = list(map(_longest_of, groups.values()))
    if len(sources) > _MOST_LETTERS:
        return [("", "|".join(sources))]
    commons = map(commonprefix, groups.values())
    return list(zip(commons, sources, strict=True))


def _longest_of(texts: Sequence[str], depth: int = _DEEPEST) -> str:
    """A pattern for the longest of some texts that fits: what they have in common, then their rests by first letters.

    So one look at the next letter tells which of a thousand texts may still fit.

    Example: _longest_of(["<a>", "<ab", "<"]) is "<(?:a(?:>|b))?"
    """
    if len(texts) == 1 or depth == 0:
        return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    common = commonprefix(texts)  # noqa: RUF071 - letter by letter is what is meant
    rests: dict[str, list[str]] = {}
    for text in texts:
        rests.setdefault(text[len(common) : len(common) + 1], []).append(text[len(common) :])
    is_one = rests.pop("", None) is not None
    ways = "|".join(_longest_of(group, depth - 1) for group in rests.values())
    return f"{re.escape(common)}(?:{ways})" + "?" * is_one
