"""Where several tokenizers cut a text differently."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from tokenizer.metrics.corpus import Corpus, Encoded, Numbers


@dataclass(frozen=True)
class Difference:
    """A stretch between two places where all tokenizers have a boundary, and between which they differ.

    Attributes:
        document: its number, from 0.
        start: where it begins, in bytes from the beginning of the first document.
        end: where it ends.
        cuts: its tokens by each tokenizer.
        times: how many stretches with these bytes are cut differently.
    """

    document: int
    start: int
    end: int
    cuts: tuple[tuple[bytes, ...], ...]
    times: int


class Differences:
    """All stretches that tokenizers cut differently.

    Args:
        corpus: the texts.
        encodings: the same texts by each tokenizer.

    Example: of a|bc|d and a|b|cd the one difference is bcd
    """

    def __init__(self, corpus: Corpus, encodings: Sequence[Encoded]) -> None:
        self._corpus, self._encodings = corpus, encodings
        boundaries = np.zeros(int(corpus.sizes.sum()) + 1, np.int64)
        for one in encodings:
            boundaries[one.ends] += 1
        is_shared = boundaries == len(encodings)
        is_shared[0] = True
        self._edges = np.flatnonzero(is_shared)
        stretch_of = np.cumsum(is_shared) - 1  # of the bytes behind an edge; an edge ends the stretch before its own
        inner = np.flatnonzero((boundaries > 0) & ~is_shared)
        self._stretches = np.flatnonzero(np.bincount(stretch_of[inner], minlength=1))
        tokens = np.array(
            [np.bincount(stretch_of[one.ends - 1], minlength=len(self._edges))[self._stretches] for one in encodings]
        )
        self._most, self._spreads = tokens.max(axis=0), tokens.max(axis=0) - tokens.min(axis=0)

    def __len__(self) -> int:
        return len(self._stretches)

    @property
    def size(self) -> int:
        """The bytes of all these stretches."""
        return int((self._edges[self._stretches + 1] - self._edges[self._stretches]).sum())

    def first(self, count: int) -> list[Difference]:
        """The first ones in the text, each text once."""
        return self._some(np.arange(len(self)), count)

    def largest(self, count: int) -> list[Difference]:
        """Those where the most and the fewest tokens lie farthest apart, each text once; among equals the first."""
        return self._some(np.lexsort((self._stretches, -self._most, -self._spreads)), count)

    @cached_property
    def _texts(self) -> list[bytes]:
        """The bytes of each stretch."""
        starts, ends = self._edges[self._stretches].tolist(), self._edges[self._stretches + 1].tolist()
        data = self._corpus.data
        return [data[start:end] for start, end in zip(starts, ends, strict=True)]

    @cached_property
    def _times(self) -> Counter[bytes]:
        return Counter(self._texts)

    def _some(self, order: Numbers, count: int) -> list[Difference]:
        chosen: dict[bytes, int] = {}
        for place in order.tolist():
            if len(chosen) == count:
                break
            chosen.setdefault(self._texts[place], place)
        return [self._difference(place, self._times[data]) for data, place in chosen.items()]

    def _difference(self, place: int, times: int) -> Difference:
        start, end = (int(self._edges[self._stretches[place] + more]) for more in (0, 1))
        cuts = tuple(tokens_between(self._corpus, one, start, end) for one in self._encodings)
        return Difference(int(self._corpus.document_of(np.array([end]))[0]), start, end, cuts, times)


def tokens_between(corpus: Corpus, encoded: Encoded, start: int, end: int) -> tuple[bytes, ...]:
    """The tokens from one place to another, both of them boundaries."""
    first, last = np.searchsorted(encoded.ends, [start, end], "right")
    edges = [start, *encoded.ends[first:last].tolist()]
    return tuple(corpus.data[edge:after] for edge, after in pairwise(edges))
