"""Where needlepoint keeps its files: one function a place; those that are written to exist.

`NEEDLEPOINT_HOME` puts all of them under one directory; otherwise the system's own places are used.
"""

import os
from pathlib import Path
from typing import Literal

from tokenizer.errors import UserError


def data_directory(*parts: str) -> Path:
    """What the user would miss: `runs.db`, `models/`, `ranks/`."""
    return _place("data", parts)


def cache_directory(*parts: str) -> Path:
    """What can be made again at any time."""
    return _place("cache", parts)


def config_directory() -> Path:
    """Where the user's own settings are, `config.toml`. It is only read, so it need not exist."""
    return _base("config")


def _base(kind: Literal["data", "cache", "config"]) -> Path:
    home = os.environ.get("NEEDLEPOINT_HOME")
    if home:
        try:
            return Path(home).expanduser() / kind
        except RuntimeError as err:  # `~nobody`
            raise UserError(f"NEEDLEPOINT_HOME is {home!r}: {err}", hint="write the whole path") from err
    import platformdirs  # late: `--help` needs no directory

    return Path(getattr(platformdirs, f"user_{kind}_dir")("needlepoint"))


def _place(kind: Literal["data", "cache"], parts: tuple[str, ...]) -> Path:
    place = _base(kind).joinpath(*parts)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else None
        raise UserError(
            f"cannot make the directory {place}: {reason or err}",
            hint="set NEEDLEPOINT_HOME to a directory that you may write to",
        ) from err
    return place
