"""What the experiments share: the ruler, and the check that an answer stands nowhere but where it was planted."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar

from probes.statements import Statement
from tokenizer.errors import UsageError, UserError

LONGEST = 10_000_000  # tokens; more than any model reads
LENGTH_EXAMPLES = "write tokens, e.g. 500, 2k or 1.5k (k is 1,000), or a share of the window, e.g. 25%"
_WHOLE = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_LENGTH = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?([km%]?)")


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


def read_lengths(lengths: Any) -> Any:
    """A list of lengths as it was given, each read by `parse_length`; anything else is left as it is."""
    return tuple(parse_length(each) for each in lengths) if isinstance(lengths, list | tuple) else lengths


def checked_lengths(lengths: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The lengths, of which those that are shares of a window are not known yet; raise as `check_lengths`."""
    check_distinct(lengths)
    check_lengths([length for length in lengths if isinstance(length, int)] or [1000])
    return lengths


def checked_temperatures(temperatures: tuple[float, ...]) -> tuple[float, ...]:
    """The temperatures; raise ValueError for one that no model takes."""
    for temperature in temperatures:
        if not 0 <= temperature <= 5:
            raise ValueError(f"{temperature:g} is no temperature: it lies between 0 and 5")
    return temperatures


def parse_number(text: str) -> float:
    """A number as people write it in a list, in the digits 0 to 9: float() also takes "1_0", "nan" and those of others.

    Example: parse_number(" 12.5") -> 12.5

    Raises:
        ValueError: it is none.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no number")
    return float(text)


def parse_whole(text: str) -> int | None:
    """A whole number from 0 on in the digits 0 to 9; None where it is none.

    Example: parse_whole("12") -> 12; parse_whole("-1") -> None
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def parse_length(length: Any) -> Any:
    """A length as it is planned: a number of tokens, in thousands (k) or millions (m) if so written, or a share.

    Example: parse_length("500") -> 500; parse_length("1.5k") -> 1500; parse_length("25 %") -> "25%"

    Raises:
        ValueError: it is none of these.
    """
    if not isinstance(length, str):
        return length
    found = _LENGTH.fullmatch(length.strip().lower())
    if found is None:
        raise ValueError(f"{length!r} is no length; {LENGTH_EXAMPLES}")
    number, unit = Fraction(found[1]), found[2]
    if unit == "%":
        if not 0 < number <= 100:
            raise ValueError(f"{length!r} is no share of a window; write for example 25%")
        return f"{float(number):g}%"
    tokens = number * {"": 1, "k": 1_000, "m": 1_000_000}[unit]
    if tokens.denominator != 1:
        raise ValueError(f"{length!r} is no whole number of tokens; {LENGTH_EXAMPLES}")
    return int(tokens)


class WithLengths(Protocol):
    """Options of an experiment, of which some are lengths."""

    @property
    def lengths(self) -> tuple[int | str, ...]:
        """Tokens of the ruler, or shares of a window such as "25%"."""
        ...

    def model_copy(self, *, update: dict[str, Any]) -> Any:
        """The same options with others in some places."""
        ...


Lengthy = TypeVar("Lengthy", bound=WithLengths)


def with_windows(options: Lengthy, windows: Sequence[int | None]) -> Lengthy:
    """The options with every share of a window as tokens, by the smallest of the models' windows.

    Raises:
        UsageError: there is a share, and no model says how large its window is.
    """
    if not any(isinstance(length, str) for length in options.lengths):
        return options
    known = [window for window in windows if window]
    if not known:
        raise UsageError(
            "--lengths is a share of the window, and no model says how large its window is",
            hint="give --lengths in tokens, or say the window with --window",
        )
    lengths = [
        round(min(known) * float(length.removesuffix("%")) / 100) if isinstance(length, str) else length
        for length in options.lengths
    ]
    try:
        check_lengths(lengths)
    except ValueError as err:
        raise UsageError(f"--lengths as shares of {min(known):,} tokens: {err}", hint="give other shares") from err
    changed: Lengthy = options.model_copy(update={"lengths": tuple(lengths)})
    return changed


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
