"""Amounts as people write them: 4096, 32k, 1m for tokenizers, 33M and 1.1B for models; and as they read them."""

import re
from decimal import Decimal
from typing import Any

import click

MOST_PARAMETERS = 10**15


def how_many(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun, of which `more` is the plural where it does not end in s.

    Examples: (1, "token") -> "1 token", (1200, "token") -> "1,200 tokens", (2, "retry", "retries") -> "2 retries"
    """
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


class Amount(click.ParamType[int]):
    """A whole number from 1 on; k stands for 1024, m for 1024 * 1024. Example: "32k" -> 32768."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"0*([1-9][0-9]{0,11})([km]?)", value.lower(), re.ASCII)
        if match is None:
            self.fail(f"{value!r} is not a number from 1 on, such as 4096, 32k or 1m", param, ctx)
        return int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[match[2]]


class Amounts(click.ParamType[tuple[int, ...]]):
    """Several amounts. Example: "1k,2k,5000" -> (1024, 2048, 5000)."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Read the numbers; each counts once, the smallest first."""
        if isinstance(value, tuple):
            return value
        return tuple(sorted({Amount().convert(word.strip(), param, ctx) for word in value.split(",")}))


class ParameterCount(click.ParamType[int]):
    """How many parameters a model has, 1 or more; K, M, B and T are thousands of each other. Example: "1.1B"."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([kmbt]?)", value.lower(), re.ASCII)
        count = (
            int(Decimal(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}[match[2]]) if match else 0
        )
        if not 1 <= count <= MOST_PARAMETERS:
            self.fail(f"{value!r} is not a number of parameters, such as 33M, 1.1B or 124000000", param, ctx)
        return count
