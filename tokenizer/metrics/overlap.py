"""What two tokenizers have in common: boundaries in the same text, and tokens."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, compress, count, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer.metrics.corpus import Corpus, Encoded, Lens, Numbers
from tokenizer.metrics.figures import Ratio, one_ratio


class Boundaries(NamedTuple):
    """Where a tokenizer's tokens end inside documents; the end of a document is no boundary that anyone chose.

    Attributes:
        places: in bytes, ascending.
        marks: for each byte and the end, whether it is one of them.
        counts: how many are in each document.
    """

    places: Numbers
    marks: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.float64]

    @classmethod
    def of(cls, corpus: Corpus, encoded: Encoded) -> "Boundaries":
        """The boundaries of documents that were encoded."""
        marks = corpus.marked(encoded.ends)
        marks[corpus.ends] = False
        places = encoded.ends[marks[encoded.ends]]
        return cls(places, marks, corpus.in_documents(places))


def boundary_agreement(corpus: Corpus, some: Boundaries, other: Boundaries) -> dict[str, Ratio]:
    """The boundaries that two tokenizers share, in each document.

    `f1` is twice the shared ones over the sum of both, `precision` shared over those of the first, `recall` shared over
    those of the other. Boundaries are places in bytes, inside documents.
    """
    both = corpus.in_documents(some.places[other.marks[some.places]])
    return {
        "f1": Ratio(2 * both, some.counts + other.counts),
        "precision": Ratio(both, some.counts),
        "recall": Ratio(both, other.counts),
    }


def shared_tokens(lenses: Sequence[Lens]) -> Iterator[tuple[Numbers, Numbers]]:
    """The tokens of the same bytes in every two of some vocabularies, special ones left out: their ids in both.

    The two come in the order of `itertools.combinations`.
    """
    largest = max(lenses, key=lambda lens: len(lens.tokens))
    further = defaultdict[bytes, int](count(largest.tokenizer.vocab_size).__next__)

    def numbers(lens: Lens) -> Numbers:
        """For each token its id in the largest vocabulary, and one behind all of them if it is not there."""
        if lens is largest:
            return lens.ids
        found = np.fromiter(map(largest.tokens.get, lens.tokens, repeat(-1)), np.int64, len(lens.tokens))
        absent = found < 0
        found[absent] = list(map(further.__getitem__, compress(lens.tokens, absent.tolist())))
        return found

    every = [(lens, numbers(lens)) for lens in lenses]
    for (some, one), (other, two) in combinations(every, 2):
        ids = np.full(largest.tokenizer.vocab_size + len(further), -1)
        ids[one] = some.ids
        is_shared = ids[two] >= 0
        yield ids[two][is_shared], other.ids[is_shared]


def vocabulary_overlap(some: Lens, other: Lens, shared: tuple[Numbers, Numbers]) -> dict[str, Ratio]:
    """How large a part of two vocabularies their `shared_tokens` are.

    `jaccard` are the shared ones over those of either, `contained` over those of the first; `same_id` those that have
    the same id in both over the shared ones.
    """
    both = len(shared[0])
    return {
        "jaccard": one_ratio(both, len(some.tokens) + len(other.tokens) - both),
        "contained": one_ratio(both, len(some.tokens)),
        "same_id": one_ratio(int(np.count_nonzero(shared[0] == shared[1])), both),
    }


def used_overlap(corpus: Corpus, some: Lens, encoded: Encoded, shared: Numbers, other: Lens) -> Ratio:
    """Tokens of a text that are tokens of the other vocabulary, too, over all tokens of it, in each document.

    `shared` are the ids of ordinary tokens that both have; special ones that are always read may be such of the other.
    """
    known = np.zeros(some.tokenizer.vocab_size, np.bool_)
    known[shared] = True
    for token in some.tokenizer.literal_tokens:
        known[some.tokenizer.special_tokens[token]] = token.encode() in other.tokens
    weights = known[encoded.ids]
    return Ratio(corpus.in_documents(encoded.ends, weights), corpus.in_documents(encoded.ends))


def utilisation(used: int, size: int) -> Ratio:
    """Different tokens that a text uses over all that text could use. It grows with the text."""
    return one_ratio(used, size)
