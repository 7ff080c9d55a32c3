"""What two tokenizers have in common: boundaries in the same text, and tokens."""

from operator import eq

import numpy as np

from tokenizer.metrics.corpus import Corpus, Encoded, Lens, Numbers
from tokenizer.metrics.figures import Ratio, one_ratio


def inner_boundaries(corpus: Corpus, encoded: Encoded) -> Numbers:
    """Where tokens end inside documents; the end of a document is no boundary that anyone chose."""
    return encoded.ends[~corpus.marked(corpus.ends)[encoded.ends]]


def boundary_agreement(corpus: Corpus, some: Encoded, other: Encoded) -> dict[str, Ratio]:
    """The boundaries that two tokenizers share, in each document.

    `f1` is twice the shared ones over the sum of both, `precision` shared over those of the first, `recall` shared over
    those of the other. Boundaries are places in bytes, inside documents.
    """
    first, second = inner_boundaries(corpus, some), inner_boundaries(corpus, other)
    both = corpus.in_documents(first[corpus.marked(second)[first]])
    one, two = corpus.in_documents(first), corpus.in_documents(second)
    return {"f1": Ratio(2 * both, one + two), "precision": Ratio(both, one), "recall": Ratio(both, two)}


def vocabulary_overlap(some: Lens, other: Lens) -> dict[str, Ratio]:
    """Tokens of the same bytes in two vocabularies; special tokens are left out.

    `jaccard` are the shared ones over those of either, `contained` over those of the first; `same_id` those that have
    the same id in both over the shared ones.
    """
    first, second = (dict(lens.tokenizer.vocabulary.items()) for lens in (some, other))
    found = list(map(second.get, first))
    shared = len(found) - found.count(None)
    same = sum(map(eq, found, first.values()))
    return {
        "jaccard": one_ratio(shared, len(first) + len(second) - shared),
        "contained": one_ratio(shared, len(first)),
        "same_id": one_ratio(same, shared),
    }


def used_overlap(corpus: Corpus, some: Lens, encoded: Encoded, other: Lens) -> Ratio:
    """Tokens of a text that are tokens of the other vocabulary, too, over all tokens of it, in each document."""
    known = np.zeros(some.tokenizer.vocab_size, np.bool_)
    used = np.flatnonzero(np.bincount(encoded.ids))
    vocabulary = other.tokenizer.vocabulary
    known[used] = [token in vocabulary for token in some.tokenizer.decode_tokens(used.tolist())]
    weights = known[encoded.ids]
    return Ratio(corpus.in_documents(encoded.ends, weights), corpus.in_documents(encoded.ends))


def utilisation(used: int, size: int) -> Ratio:
    """Different tokens that a text uses over all that text could use. It grows with the text."""
    return one_ratio(used, size)
