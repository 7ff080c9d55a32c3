"""What two tokenizers have in common: boundaries in the same text, and tokens."""

from itertools import repeat

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


def shared_tokens(some: Lens, other: Lens) -> tuple[Numbers, Numbers]:
    """The tokens of the same bytes in two vocabularies, special ones left out: their ids in both."""
    if len(some.tokens) > len(other.tokens):  # fewer are looked up
        ids, their_ids = shared_tokens(other, some)
        return their_ids, ids
    elsewhere = np.fromiter(map(other.tokens.get, some.tokens, repeat(-1)), np.int64, len(some.tokens))
    is_shared = elsewhere >= 0
    return some.ids[is_shared], elsewhere[is_shared]


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
