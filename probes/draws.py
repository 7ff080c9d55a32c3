"""Seeded draws that are the same on every machine and Python version.

Only `random.Random(text).random()` is documented to keep its sequence, so everything else is built on it.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Draws:
    """A stream of draws that a text starts: Draws("needle/1/0") always draws the same."""

    def __init__(self, seed: str) -> None:
        self._uniform = random.Random(seed).random

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._uniform()

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return int(self._uniform() * limit)

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different places of the sequence, in the order drawn (Fisher-Yates, only the moved places kept)."""
        moved: dict[int, int] = {}
        drawn: list[Item] = []
        for index in range(count):
            other = index + self.below(len(items) - index)
            drawn.append(items[moved.get(other, other)])
            moved[other] = moved.get(index, index)
        return drawn

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """All of the items in a drawn order; the same as a sample of them all, but quicker."""
        drawn, uniform, size = list(items), self._uniform, len(items)
        for index in range(size):
            other = index + int(uniform() * (size - index))
            drawn[index], drawn[other] = drawn[other], drawn[index]
        return drawn
