"""Reading TOML that a user wrote: whatever is wrong with it is an error with its place, never a crash."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizer.errors import UsageError


def parse_toml(
    content: bytes | str, path: Path, *, hint: str, parse_float: Callable[[str], Any] = float
) -> dict[str, Any]:
    """The tables of a TOML file's content.

    Raises:
        UsageError: it is not UTF-8, not TOML, or holds numbers or tables beyond all measure.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"), parse_float=parse_float)
    except (ValueError, RecursionError, ArithmeticError) as err:
        raise UsageError(f"{path} is not TOML: {err}", hint=hint) from err
