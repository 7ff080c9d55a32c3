"""Whether boundaries of tokens are boundaries of morphemes, by small lists cut by hand."""

from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from tokenizer.metrics.corpus import Lens
from tokenizer.metrics.figures import Ratio

LANGUAGES = ("english", "german")
_DATA = Path(__file__).parents[1] / "data"


@cache
def gold_words(language: str) -> tuple[tuple[str, ...], ...]:
    """The words of our list, each as its parts.

    Example: ("un", "break", "able") in gold_words("english")
    """
    lines = (_DATA / f"morphemes-{language}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("|")) for line in lines if line and not line.startswith("#"))


def morpheme_boundaries(lens: Lens, words: tuple[tuple[str, ...], ...]) -> dict[str, Ratio]:
    """The boundaries inside each word, which stands after a space, against those between its parts.

    `precision` is shared over the tokens' boundaries, `recall` shared over the parts', `f1` twice the shared over both.
    Words are the units. (How well this agrees with what models can do is disputed: Arnett et al. 2025.)

    Example: un|break|able cut as ·un|bre|akable: one shared, of two and of two
    """
    shared, ours, gold = (np.zeros(len(words)) for _ in range(3))
    tokens = lens.encode([f" {''.join(parts)}".encode() for parts in words])
    for number, (parts, ids) in enumerate(zip(words, tokens, strict=True)):
        *between, size = accumulate(len(part.encode()) for part in parts)
        ends = accumulate(lens.sizes(ids).tolist(), initial=-1)  # from the word on, which a space stands before
        cuts = {end for end in ends if 0 < end < size}
        shared[number], ours[number], gold[number] = len(cuts.intersection(between)), len(cuts), len(between)
    return {"precision": Ratio(shared, ours), "recall": Ratio(shared, gold), "f1": Ratio(2 * shared, ours + gold)}
