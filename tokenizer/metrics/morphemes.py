"""Whether boundaries of tokens are boundaries of morphemes, by small lists cut by hand."""

from functools import cache
from pathlib import Path

import numpy as np

from tokenizer.encoding import Tokenizer
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


def morpheme_boundaries(tokenizer: Tokenizer, words: tuple[tuple[str, ...], ...]) -> dict[str, Ratio]:
    """The boundaries inside each word, which stands after a space, against those between its parts.

    `precision` is shared over the tokens' boundaries, `recall` shared over the parts', `f1` twice the shared over both.
    Words are the units. (How well this agrees with what models can do is disputed: Arnett et al. 2025.)

    Example: un|break|able cut as ·un|bre|akable: one shared, of two and of two
    """
    shared, ours, gold = (np.zeros(len(words)) for _ in range(3))
    for number, parts in enumerate(words):
        between = set(np.cumsum([len(part.encode()) for part in parts])[:-1].tolist())
        size = len("".join(parts).encode())
        ends = {end - 1 for _, end in tokenizer.offsets(" " + "".join(parts), disallowed_special=())}
        cuts = {end for end in ends if 0 < end < size}
        shared[number], ours[number], gold[number] = len(cuts & between), len(cuts), len(between)
    return {"precision": Ratio(shared, ours), "recall": Ratio(shared, gold), "f1": Ratio(2 * shared, ours + gold)}
