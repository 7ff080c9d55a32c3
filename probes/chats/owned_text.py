"""Text that remembers which of its characters came from which message; plain text is nobody's."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, SupportsIndex

NOBODY = -1


class Owned(str):
    """A string with the owner of each of its characters: a message's number, or NOBODY.

    What templates do to a message (join, strip, cut, split, replace, change case) keeps the owners. What is not known
    here gives a plain string: the text is right and nobody's.

    Example: ("<b>" + Owned.by("word ", 3).strip() + "</b>").runs() -> [(-1, 3), (3, 4), (-1, 4)]
    """

    __slots__ = ("owners",)
    owners: "array[int]"

    @classmethod
    def made(cls, text: str, owners: "array[int]") -> "Owned":
        """A text with these owners, one for each character."""
        owned = cls(text)
        owned.owners = owners
        return owned

    @classmethod
    def by(cls, text: str, owner: int) -> "Owned":
        """A text that is all one owner's."""
        return cls.made(text, array("i", [owner]) * len(text))

    @classmethod
    def joined(cls, parts: Iterable[Any]) -> "Owned":
        """Texts one after the other; what is no text is turned into it."""
        texts = [part if isinstance(part, str) else str(part) for part in parts]
        owners = array("i")
        for text in texts:
            owners += owners_of(text)
        return cls.made("".join(texts), owners)

    def runs(self) -> list[tuple[int, int]]:
        """Owners one after the other, each with the number of its characters."""
        return [(owner, sum(1 for _ in run)) for owner, run in groupby(self.owners)]

    def __str__(self) -> str:
        return self

    def __add__(self, other: str, /) -> "Owned":
        return Owned.joined((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> "Owned":
        return Owned.joined((other, self)) if isinstance(other, str) else NotImplemented

    def __getitem__(self, key: SupportsIndex | slice, /) -> "Owned":
        place = key if isinstance(key, slice) else slice(key.__index__(), key.__index__() + 1 or None)
        return Owned.made(str.__getitem__(self, key), self.owners[place])

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def lstrip(self, characters: str | None = None, /) -> "Owned":
        """As of a string."""
        return self[len(self) - len(str.lstrip(self, characters)) :]

    def rstrip(self, characters: str | None = None, /) -> "Owned":
        """As of a string."""
        return self[: len(str.rstrip(self, characters))]

    def strip(self, characters: str | None = None, /) -> "Owned":
        """As of a string."""
        return self.lstrip(characters).rstrip(characters)

    def removeprefix(self, prefix: str, /) -> "Owned":
        """As of a string."""
        return self[len(self) - len(str.removeprefix(self, prefix)) :]

    def removesuffix(self, suffix: str, /) -> "Owned":
        """As of a string."""
        return self[: len(str.removesuffix(self, suffix))]

    def _parts(self, parts: Iterable[str]) -> list["Owned"]:
        """Parts that stand in this order in the text, each found from the end of the one before on."""
        found = []
        end = 0
        for part in parts:
            start = self.find(part, end)
            end = start + len(part)
            found.append(self[start:end])
        return found

    def _between(self, parts: Iterable[str], separator: str | None) -> list["Owned"]:
        """Parts with the separator between each two; None stands for white space."""
        if separator is None:
            return self._parts(parts)
        found = []
        start = 0
        for part in parts:
            found.append(self[start : start + len(part)])
            start += len(part) + len(separator)
        return found

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list["Owned"]:  # type: ignore[override]
        """As of a string."""
        return self._between(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list["Owned"]:  # type: ignore[override]
        """As of a string."""
        return self._between(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list["Owned"]:  # type: ignore[override]
        """As of a string."""
        return self._parts(str.splitlines(self, keepends))

    def partition(self, sep: str, /) -> tuple["Owned", "Owned", "Owned"]:
        """As of a string."""
        before, middle, after = self._between(str.partition(self, sep), "")
        return before, middle, after

    def rpartition(self, sep: str, /) -> tuple["Owned", "Owned", "Owned"]:
        """As of a string."""
        before, middle, after = self._between(str.rpartition(self, sep), "")
        return before, middle, after

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        """As of a string; what is put in keeps its own owners."""
        if not old:
            return str.replace(self, old, new, count)
        parts: list[str] = []
        for number, part in enumerate(self.split(old, count)):
            parts += [new, part] if number else [part]
        return Owned.joined(parts)

    def _changed(self, change: Callable[[str], str]) -> str:
        text = change(self)
        return Owned.made(text, self.owners) if len(text) == len(self) else text

    def lower(self) -> str:
        """As of a string."""
        return self._changed(str.lower)

    def upper(self) -> str:
        """As of a string."""
        return self._changed(str.upper)

    def title(self) -> str:
        """As of a string."""
        return self._changed(str.title)

    def capitalize(self) -> str:
        """As of a string."""
        return self._changed(str.capitalize)


def owners_of(text: str) -> "array[int]":
    """The owner of each character of any string."""
    return text.owners if isinstance(text, Owned) else array("i", [NOBODY]) * len(text)
