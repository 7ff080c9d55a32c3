"""How words come out: a word is a run of characters without white space, cut as it stands in its text."""

import numpy as np

from tokenizer.metrics.corpus import Corpus, Encoded, Numbers
from tokenizer.metrics.figures import Ratio


def tokens_of_words(corpus: Corpus, encoded: Encoded) -> Numbers:
    """For each word, how many tokens hold some of it.

    A token with the space in front belongs to its word; one that holds parts of two words counts for both.

    Example: "the harbour" cut as the| har|bour -> [1, 2]
    """
    first = np.searchsorted(encoded.ends, corpus.words.starts, "right")
    last = np.searchsorted(encoded.ends, corpus.words.ends - 1, "right")
    return np.asarray(last - first + 1, np.int64)


def fertility(corpus: Corpus, encoded: Encoded) -> Ratio:
    """Tokens per word in each document (Rust et al. 2021), of words in their context and not bare ones."""
    ends = corpus.words.ends
    return Ratio(corpus.in_documents(ends, tokens_of_words(corpus, encoded)), corpus.in_documents(ends))


def continued_words(corpus: Corpus, encoded: Encoded) -> Ratio:
    """Words of two or more tokens over all words, in each document (Rust et al. 2021)."""
    ends = corpus.words.ends
    return Ratio(corpus.in_documents(ends, tokens_of_words(corpus, encoded) >= 2), corpus.in_documents(ends))
