"""Count the pre-tokens of a corpus and learn merges from the counts: what every engine does, and the plain one."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from heapq import nsmallest
from itertools import islice
from typing import Literal, Protocol

from tokenizer import reference
from tokenizer.corpus import Chunk
from tokenizer.splits import Split, as_text, piece_bytes

LONGEST = 10  # how many of the longest pre-tokens are told
SHOWN_BYTES = 200  # and how much of each


class PreTokens(Protocol):
    """The pre-tokens of a corpus and how often each occurs: first `add` all its text, then ask and `learn`.

    Attributes:
        engine: which engine this is.
        occurrences: how many pre-tokens there are, those left out included.
        distinct: how many different ones, without those left out.
        learned_bytes: what all occurrences have together, without those left out.
        left_out: occurrences of pre-tokens that are too long to be learned from.
        safe_cut: where long documents may be cut for `add`, see `stretches`; None: nowhere.
    """

    engine: Literal["compiled", "python"]
    occurrences: int
    distinct: int
    learned_bytes: int
    left_out: int
    safe_cut: Callable[[bytes], int] | None

    def add(self, text: bytes) -> None:
        """Count the pre-tokens of a text, which begins and ends where one does."""

    def finish(self) -> None:
        """No more text comes."""

    def longest(self) -> list[tuple[bytes, int]]:
        """The beginnings of the longest pre-tokens, and how many bytes each has, the longest first."""

    def learn(
        self,
        wanted: int,
        *,
        byte_ids: Sequence[int],
        first_id: int,
        min_frequency: int,
        max_token_bytes: int | None,
        never: AbstractSet[bytes],
    ) -> Iterator[list[reference.Merge]]:
        """As `reference.train_merges`, at most `wanted` merges, some at a time."""


class PlainPreTokens:
    """The pre-tokens in a dictionary."""

    engine: Literal["compiled", "python"] = "python"
    safe_cut: Callable[[bytes], int] | None = None

    def __init__(self, split: Split, max_bytes: int | None) -> None:
        self.occurrences = self.distinct = self.learned_bytes = self.left_out = 0
        self._split = split
        self._max_bytes = max_bytes
        self._counts: Counter[bytes] = Counter()

    def add(self, text: bytes) -> None:
        """Count the pieces of a text."""
        self._counts.update(map(piece_bytes, self._split.pieces(as_text(text))))

    def finish(self) -> None:
        """Set apart what is too long."""
        self.occurrences = self._counts.total()
        self._longest = longest_of((piece[:SHOWN_BYTES], len(piece)) for piece in self._counts)
        if self._max_bytes is not None:
            for piece in [piece for piece in self._counts if len(piece) > self._max_bytes]:
                self.left_out += self._counts.pop(piece)
        self.distinct = len(self._counts)
        self.learned_bytes = sum(len(piece) * count for piece, count in self._counts.items())

    def longest(self) -> list[tuple[bytes, int]]:
        """The longest, those left out included."""
        return self._longest

    def learn(
        self,
        wanted: int,
        *,
        byte_ids: Sequence[int],
        first_id: int,
        min_frequency: int,
        max_token_bytes: int | None,
        never: AbstractSet[bytes],
    ) -> Iterator[list[reference.Merge]]:
        """The merges, one by one."""
        merges = reference.train_merges(
            self._counts,
            byte_ids=byte_ids,
            first_id=first_id,
            min_frequency=min_frequency,
            max_token_bytes=max_token_bytes,
            never=never,
        )
        for merge in islice(merges, wanted):
            yield [merge]


def longest_of(found: Iterable[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """The longest of (beginning, length), in an order that depends on nothing else.

    Example: longest_of([(b"a", 1), (b"bc", 2), (b"aa", 2)]) == [(b"aa", 2), (b"bc", 2), (b"a", 1)]
    """
    return nsmallest(LONGEST, found, key=lambda one: (-one[1], one[0]))


def stretches(chunks: Iterable[Chunk], safe_cut: Callable[[bytes], int] | None) -> Iterator[bytes]:
    """Join and cut chunks so that every stretch begins and ends where a pre-token does: whole documents, or less.

    Args:
        chunks: as a corpus is read; the last one ends its document.
        safe_cut: the last place in some bytes where a pre-token surely begins, 0 if there is none; None: never cut.
    """
    waiting: list[bytes] = []
    known = size = 0  # bytes that wait: those in which no cut was found, and all
    for chunk in chunks:
        waiting.append(chunk.data)
        size += len(chunk.data)
        if chunk.ends_document:
            yield b"".join(waiting)
            waiting, known, size = [], 0, 0
        elif safe_cut and size >= 2 * known:  # doubling keeps the work linear where nothing can be cut
            text = b"".join(waiting)
            cut = safe_cut(text)
            if cut:
                yield text[:cut]
            waiting, size = [text[cut:]], len(text) - cut
            known = 0 if cut else size
    if waiting:
        yield b"".join(waiting)
