"""Where needlepoint keeps its files: one function a place, each a directory that exists.

`NEEDLEPOINT_HOME` puts all of them under one directory; otherwise the system's own places are used.
"""

import os
from pathlib import Path

from tokenizer.errors import UserError


def data_directory(*parts: str) -> Path:
    """What the user would miss: `runs.db`, `models/`, `ranks/`."""
    return _place("data", parts)


def cache_directory(*parts: str) -> Path:
    """What can be made again at any time."""
    return _place("cache", parts)


def _place(kind: str, parts: tuple[str, ...]) -> Path:
    home = os.environ.get("NEEDLEPOINT_HOME")
    if home:
        try:
            base = Path(home).expanduser() / kind
        except RuntimeError as err:  # `~nobody`
            raise UserError(f"NEEDLEPOINT_HOME is {home!r}: {err}", hint="write the whole path") from err
    else:
        import platformdirs  # late: `--help` needs no directory

        base = Path(
            platformdirs.user_data_dir("needlepoint") if kind == "data" else platformdirs.user_cache_dir("needlepoint")
        )
    place = base.joinpath(*parts)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else None
        raise UserError(
            f"cannot make the directory {place}: {reason or err}",
            hint="set NEEDLEPOINT_HOME to a directory that you may write to",
        ) from err
    return place
