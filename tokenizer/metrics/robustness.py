"""How steady tokens are: when a word has a typo, and when a text grows by a character."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import regex  # type: ignore[import-untyped] # it has no stubs among our dependencies

from tokenizer.encoding import Tokenizer
from tokenizer.metrics.corpus import Corpus
from tokenizer.metrics.figures import Ratio
from tokenizer.splits import as_text, piece_bytes

WORDS = 300  # different ones that get typos
LEAST_LETTERS = 4
EXCERPTS = 20  # of a text that is read character by character
EXCERPT = 60  # characters


def swapped(word: str, draw: random.Random) -> str:
    """Two different neighbours of a word change places; a word of one letter only stays.

    Example: swapped("ab", random.Random(1)) == "ba"
    """
    places = [place for place in range(len(word) - 1) if word[place] != word[place + 1]]
    if not places:
        return word
    place = draw.choice(places)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def shortened(word: str, draw: random.Random) -> str:
    """A word loses a letter."""
    place = draw.randrange(len(word))
    return word[:place] + word[place + 1 :]


def doubled(word: str, draw: random.Random) -> str:
    """A word has a letter twice."""
    place = draw.randrange(len(word))
    return word[: place + 1] + word[place:]


def other_case(word: str, _: random.Random) -> str:
    """A word begins with a large letter in place of a small one, or the other way round."""
    return word[0].swapcase() + word[1:]


TYPOS: dict[str, Callable[[str, random.Random], str]] = {
    "swap": swapped,
    "omit": shortened,
    "double": doubled,
    "case": other_case,
}


def some_words(corpus: Corpus, seed: int) -> list[str]:
    """Different words of four letters or more out of the texts, 300 at the most, drawn by the seed."""
    found = set(regex.findall(rf"[\p{{L}}\p{{M}}]{{{LEAST_LETTERS},40}}", as_text(corpus.data)))
    words = sorted(found)
    return random.Random(f"{seed} words").sample(words, min(WORDS, len(words)))


def typo_figures(tokenizer: Tokenizer, words: Sequence[str], kind: str, seed: int) -> dict[str, Ratio]:
    """What one typo in each word does to its tokens, the word standing after a space; after Chai et al. 2024.

    `changed` is the edit distance (Levenshtein) between the tokens before and after over the longer of the two, `grown`
    the tokens after over those before; both are ratios of totals. Words that the typo leaves as they are do not count.
    """
    draw = random.Random(f"{seed} {kind}")
    pairs = [(word, TYPOS[kind](word, draw)) for word in words]
    changed = [f" {one}" for pair in pairs if pair[0] != pair[1] for one in pair]
    ids = _ids(tokenizer, changed)
    cut = list(zip(ids[::2], ids[1::2], strict=True))
    sizes = np.array([[len(before), len(after)] for before, after in cut], np.float64).reshape(-1, 2)
    distances = np.array([edit_distance(before, after) for before, after in cut], np.float64)
    return {"changed": Ratio(distances, sizes.max(axis=1)), "grown": Ratio(sizes[:, 1], sizes[:, 0])}


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [ids.tolist() for ids in tokenizer.encode_batch(map(piece_bytes, texts), disallowed_special=())]


def edit_distance(some: Sequence[int], other: Sequence[int]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence of the other (Levenshtein 1966).

    Example: edit_distance([1, 2, 3], [1, 3, 4]) == 2
    """
    some, other = _without_common_ends(some, other)
    row = list(range(len(other) + 1))
    for number, one in enumerate(some, start=1):
        before, row[0] = row[0], number
        for place, two in enumerate(other, start=1):
            before, row[place] = row[place], min(before + (one != two), row[place] + 1, row[place - 1] + 1)
    return row[-1]


def _without_common_ends(some: Sequence[int], other: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """What lies between the beginning and the end that two sequences share: one typo leaves little of them."""
    most = min(len(some), len(other))
    start = next((place for place in range(most) if some[place] != other[place]), most)
    end = next((place for place in range(most - start) if some[-1 - place] != other[-1 - place]), most - start)
    return some[start : len(some) - end], other[start : len(other) - end]


def excerpts(corpus: Corpus, seed: int) -> list[str]:
    """Stretches of 60 characters that begin with a word, 20 at the most, drawn by the seed and sorted."""
    starts = corpus.words.starts
    draw = random.Random(f"{seed} excerpts")
    chosen = sorted(draw.sample(range(len(starts)), min(EXCERPTS, len(starts))))
    ends = np.minimum(starts[chosen] + 4 * EXCERPT, corpus.ends[corpus.document_of(starts[chosen] + 1)])
    spans = zip(starts[chosen].tolist(), ends.tolist(), strict=True)
    return [as_text(corpus.data[start:end])[:EXCERPT] for start, end in spans]


def prefix_instability(tokenizer: Tokenizer, texts: Sequence[str]) -> Ratio:
    """Beginnings of a text whose tokens are not the first tokens of the beginning one character longer.

    There are as many beginnings as characters less one. A model that goes on from a prompt's end meets such a place as
    tokens it was not trained on (the partial-token problem, arXiv 2601.23223).

    Example: with "a b" cut as a|·b, and "a " as a|·, the beginning "a " is stable; where "ab" is a token, "a" is not
    """
    unstable = []
    for text in texts:
        cuts = _ids(tokenizer, [text[:end] for end in range(1, len(text) + 1)])
        unstable.append(sum(some != other[: len(some)] for some, other in pairwise(cuts)))
    beginnings = [max(len(text) - 1, 0) for text in texts]
    return Ratio(np.array(unstable, np.float64), np.array(beginnings, np.float64))
