"""How predictable ids are: bits by the counts of other text, and how evenly the vocabulary is used."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tokenizer.metrics.corpus import Corpus, Ids, Lens, Numbers
from tokenizer.metrics.figures import Floats, Ratio, one_ratio

LENGTH_BYTES = 1  # how a token's length is written before it, where the vocabulary is paid for


class IdModel:
    """Probabilities of ids by the counts of some documents, alone (unigram) and after the id before (bigram).

    What was not seen is smoothed as by Witten and Bell (1991, their method C), which has no constant to choose. With
    N ids of T different kinds, and V that there could be:

        unigram  p(t)   = (count(t) + T / V) / (N + T)
        bigram   p(t|s) = (count(st) + T(s) p(t)) / (count(s) + T(s)),  T(s) the kinds of ids seen after s

    so probabilities add up to 1. After an id never seen, and where nothing was, the bigram is the unigram. A document
    begins after a sign of its own.

    Args:
        documents: ids of the documents that are counted.
        size: V.
        highest: one more than the highest id that there could be.

    Example: IdModel([np.array([0, 0, 1])], size=4, highest=4).unigram(np.array([0]))[0] == (2 + 2 / 4) / (3 + 2)
    """

    def __init__(self, documents: list[Ids], *, size: int, highest: int) -> None:
        ids, before = _with_ids_before(documents, highest)
        self._size, self._highest = size, highest
        self._counts = np.bincount(ids, minlength=highest)
        self._total, self._kinds = len(ids), int(np.count_nonzero(self._counts))
        self._pairs, self._pair_counts = np.unique(before * (highest + 1) + ids, return_counts=True)
        self._before_counts = np.bincount(before, minlength=highest + 1)
        self._kinds_after = np.bincount(self._pairs // (highest + 1), minlength=highest + 1)

    def unigram(self, ids: npt.NDArray[np.integer]) -> Floats:
        """The probability of each id."""
        if not self._total:
            return np.full(len(ids), 1 / self._size)
        counts = self._counts[ids].astype(np.float64)
        return np.asarray((counts + self._kinds / self._size) / (self._total + self._kinds), np.float64)

    def bigram(self, ids: npt.NDArray[np.integer], before: Numbers) -> Floats:
        """The probability of each id after the one before it; `highest` stands for a document's beginning."""
        alone = self.unigram(ids)
        if not self._total:
            return alone
        wanted = before * (self._highest + 1) + ids
        places = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        counts = np.where(self._pairs[places] == wanted, self._pair_counts[places], 0)
        seen, kinds = self._before_counts[before], self._kinds_after[before]
        return np.where(seen > 0, (counts + kinds * alone) / np.maximum(seen + kinds, 1), alone)

    def bits(self, documents: list[Ids], *, order: int) -> Floats:
        """The bits of each document, by single ids (order 1) or by pairs (order 2)."""
        ids, before = _with_ids_before(documents, self._highest)
        probabilities = self.unigram(ids) if order == 1 else self.bigram(ids, before)
        holders = np.repeat(np.arange(len(documents)), [len(one) for one in documents])
        return np.bincount(holders, -np.log2(probabilities), minlength=len(documents)).astype(np.float64)


def _with_ids_before(documents: list[Ids], beginning: int) -> tuple[Numbers, Numbers]:
    """All ids, and for each the one before it in its document."""
    ids = np.concatenate([np.zeros(0, np.int64), *documents]).astype(np.int64)
    before = np.concatenate([[beginning], ids[:-1]])[: len(ids)].astype(np.int64)
    sizes = np.array([len(one) for one in documents], np.int64)
    before[(np.cumsum(sizes) - sizes)[sizes > 0]] = beginning
    return ids, before


@dataclass(frozen=True)
class HeldOut:
    """The ids of the last fifth of each document, in bits by the counts of the first four fifths of all of them.

    Attributes:
        corpus: the documents.
        lens: the tokenizer.
        counted: the ids of each document's first four fifths.
        ids: those of each document's last fifth.
    """

    corpus: Corpus
    lens: Lens
    counted: list[Ids]
    ids: list[Ids]

    @classmethod
    def of(cls, corpus: Corpus, lens: Lens) -> "HeldOut":
        """Encode both parts; what takes as long again, to count them, is left until the bits are asked for."""
        first, last = (lens.encode(part) for part in corpus.parts)
        return cls(corpus, lens, first, last)

    @cached_property
    def unigram(self) -> Ratio:
        """Bits by single ids over the bytes of the last fifth, in each document."""
        return self._bits(order=1)

    @cached_property
    def bigram(self) -> Ratio:
        """Likewise by pairs."""
        return self._bits(order=2)

    def _bits(self, order: int) -> Ratio:
        sizes = np.array([len(one) for one in self.corpus.parts[1]], np.float64)
        return Ratio(self._model.bits(self.ids, order=order), sizes)

    @cached_property
    def _model(self) -> IdModel:
        return IdModel(self.counted, size=self.lens.vocabulary_size, highest=self.lens.tokenizer.vocab_size)


def vocabulary_bits(lens: Lens, ids: Ids | None = None) -> int:
    """The bits that write down the ordinary tokens, or those that are used: each its length as a byte, and its bytes.

    Example: of the tokens a and bc (2 + 3) * 8 == 40
    """
    written = lens.ids if ids is None else np.unique(ids)
    return 8 * int((lens.sizes(written) + LENGTH_BYTES).sum())


def renyi_entropy(counts: npt.NDArray[np.integer], alpha: float) -> float:
    """The Renyi entropy of ids by how often each was used, of order alpha, in bits: log2(sum p^alpha) / (1 - alpha).

    At 1 it is Shannon's, -sum p log2 p; at infinity -log2 of the largest p.

    Examples: of np.array([1, 1, 2]) it is 1.5 at 1, and -log2(0.0625 + 0.0625 + 0.25) at 2
    """
    used = counts[counts > 0]
    if not len(used):
        return 0.0
    shares = used / used.sum()
    if alpha == 1:
        return float(-(shares * np.log2(shares)).sum()) + 0.0
    if math.isinf(alpha):
        return float(-np.log2(shares.max())) + 0.0
    largest = shares.max()  # taken out of the sum, which else could come to nothing
    inside = float(np.log2(((shares / largest) ** alpha).sum())) + alpha * float(np.log2(largest))
    return inside / (1 - alpha) + 0.0


def efficiency(counts: npt.NDArray[np.integer], size: int, alpha: float) -> Ratio:
    """Entropy of order alpha over that of a vocabulary of this size evenly used (Zouhar et al. 2023, alpha 2.5)."""
    return one_ratio(renyi_entropy(counts, alpha), math.log2(size) if counts.any() else 0.0)
