"""Special tokens in a text: where they are read as tokens, where they are refused, and where they are only text."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

from tokenizer.errors import UsageError, UserError

Chosen = Collection[str] | Literal["all"]
Data = TypeVar("Data", bytes, memoryview, bytes | memoryview)


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

    def cut(self, data: Data, allowed: Chosen, disallowed: Chosen) -> Iterator[tuple[Data, int | None]]:
        """Cut a text at the special tokens that are read as tokens: ordinary text, then the id after it, if any.

        Where several could start, the longest is read.

        Args:
            data: the text.
            allowed: those to be read as tokens.
            disallowed: those not to be met; "all" means all that are not allowed. What is neither is ordinary text.

        Raises:
            UserError: the text holds one that is disallowed, or a byte that is absent.
            UsageError: a name that is no special token.
        """
        self._refuse_absent(data)
        readable = self._named(allowed) | self.literal
        refused = self._named(disallowed) - (readable if disallowed == "all" else self.literal)
        if refused and (found := _pattern(refused).search(data)):
            raise UserError(
                f"the text holds {found.group().decode()!r}, a special token of {self.owner}, at byte {found.start()}",
                hint="--allow-special (allowed_special=) reads it as the token, "
                "--special-as-text (disallowed_special=) as ordinary text",
            )
        start = 0
        for match in _pattern(readable).finditer(data) if readable else ():
            yield data[start : match.start()], self.ids[match.group().decode()]
            start = match.end()
        yield data[start:], None

    def _refuse_absent(self, data: bytes | memoryview) -> None:
        if self.absent and (found := re.search(b"[" + re.escape(self.absent) + b"]", data)):
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


@lru_cache(maxsize=64)
def _pattern(tokens: frozenset[str]) -> re.Pattern[bytes]:
    longest_first = sorted((token.encode() for token in tokens), key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, longest_first)))
