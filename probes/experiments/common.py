"""What the experiments share: the ruler, and the check that an answer stands nowhere but where it was planted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.statements import Statement
from tokenizer.errors import UserError

LONGEST = 10_000_000  # tokens; more than any model reads


def listed(value: Any) -> Any:
    """A list, also where a single value was given: 300 -> (300,)."""
    return (value,) if isinstance(value, str | int | float | Path) else value


def check_distinct(values: Sequence[Any]) -> None:
    """Raise ValueError where one value is given twice: it would count the same texts twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice")


def check_lengths(lengths: Sequence[int]) -> None:
    """Raise ValueError for lengths that no text can have, or that one text cannot have twice."""
    if min(lengths) < 100:
        raise ValueError("a text needs at least 100 tokens to hold its statements apart")
    if max(lengths) > LONGEST:
        raise ValueError(f"a text may have {LONGEST:,} tokens at the most")
    check_distinct(lengths)


@dataclass(frozen=True, slots=True)
class Ruler:
    """The tokenizer by which lengths are planned: its name, and how it counts."""

    name: str
    count: Callable[[str], int]


def ensure_absent(text: str, statements: Sequence[Statement]) -> None:
    """Raise where the text already holds a name or a value that is about to be planted in it.

    Raises:
        UserError: naming the word, which can only happen in a user's own text.
    """
    ensure_words_absent(text, (word for statement in statements for word in (statement.name, statement.value)))


def ensure_words_absent(text: str, words: Iterable[str]) -> None:
    """Raise where the text already holds one of the words, which answer what will be asked about it.

    Raises:
        UserError: naming the word, which can only happen with a text or needles of the user's.
    """
    for word in words:
        if word in text:
            raise UserError(
                f"the haystack already holds {word!r}, which was to be planted",
                hint="choose other needles with another --seed, or take the word out of the text",
            )
