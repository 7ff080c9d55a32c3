"""The way from plain Python to the compiled engine, and what a person is told on it.

The compiled engine is imported late, because that takes half a second, and may be missing: Numba does not exist for
every machine. Plain Python gives the same answers then.
"""

import importlib
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizer.errors import UserError
from tokenizer.places import cache_directory


def _silent(_text: str) -> None:
    """Nobody wants to know."""


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


# Where news goes; the command line sets both.
announce: Callable[[str], None] = _silent  # of a long compilation
regret: Callable[[str], None] = _warn  # that the slow engine must do


@cache
def compiled_module(name: str) -> Any:
    """Import a module that needs Numba; None where that fails, which is told once.

    Example: compiled_module("tokenizer.kernels.encoding")
    """
    try:
        return importlib.import_module(name)
    except Exception as err:  # noqa: BLE001 - what compilers raise on odd machines is of every kind
        _regret_once(f"{type(err).__name__}: {err}".partition("\n")[0])
        return None


def were_compiled() -> bool:
    """Whether kernels were compiled on this machine before, so that a compiled engine is ready in a blink."""
    try:
        return any(cache_directory("kernels").glob("*/*"))
    except (UserError, OSError):
        return False


@cache
def _regret_once(reason: str) -> None:
    regret(f"the compiled engine cannot be used ({reason}); plain Python gives the same results, slowly")
