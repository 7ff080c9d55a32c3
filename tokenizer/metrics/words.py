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


def word_figures(corpus: Corpus, encoded: Encoded) -> dict[str, Ratio]:
    """What becomes of words in their context, in each document (Rust et al. 2021).

    `tokens_per_word` (fertility) are tokens over words, `continued_words` words of two or more tokens over words.
    """
    ends = corpus.words.ends
    tokens, words = tokens_of_words(corpus, encoded), corpus.in_documents(ends)
    return {
        "tokens_per_word": Ratio(corpus.in_documents(ends, tokens), words),
        "continued_words": Ratio(corpus.in_documents(ends, tokens >= 2), words),
    }
