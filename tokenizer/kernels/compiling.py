"""Turn functions into machine code, once for each machine.

Compiled code is kept under a directory whose name is the hash of this package's files: Numba itself would not notice
a change in a helper that stands in another file.
"""

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

from tokenizer.errors import UserError
from tokenizer.places import cache_directory

P = ParamSpec("P")
R = TypeVar("R")

_settings: Any = numba.config

CHECKED = os.environ.get("NEEDLEPOINT_CHECKED_KERNELS") == "1"


def _silent(_text: str) -> None:
    """Nobody wants to know."""


announce: Callable[[str], None] = _silent  # where news of a long compilation goes; a command sets it


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function that Python calls: without the interpreter's lock, and kept for the next process.

    Example: kernel("int64(int64, int64)")
    """

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        directory = _code_directory()
        before = _settings.CACHE_DIR
        _settings.CACHE_DIR = directory or ""
        try:
            if not directory or not any(Path(directory).rglob(f"*.{function.__name__}-*.nbi")):
                _announce_compilation()
            make = numba.njit(signature, nogil=True, cache=bool(directory), error_model="numpy")
            return cast("Callable[P, R]", make(function))
        finally:
            _settings.CACHE_DIR = before

    return compiled


def helper(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only kernels call, always into its caller: three times as fast as a call."""
    return cast("Callable[P, R]", numba.njit(forceinline=True, error_model="numpy")(function))


@cache
def _announce_compilation() -> None:
    announce("compiling the tokenizer's engine for this machine, once; this takes some seconds")


@cache
def _code_directory() -> str | None:
    """Where compiled code of exactly these sources is kept, or None where nothing can be written.

    Checked code is never kept: it holds the address of its own table of buffers.
    """
    if CHECKED:
        return None
    digest = hashlib.sha256(f"{numba.__version__} {platform.python_version()}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    try:
        place = cache_directory("kernels", digest.hexdigest()[:16])
        with tempfile.TemporaryFile(dir=place):  # a directory that exists may still not be writable
            return str(place)
    except (UserError, OSError):
        return None
