"""What the options that only one probe has are written with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
Option = Callable[[Command], Command]

FILE = click.Path(path_type=Path, dir_okay=False)
REPEAT = "May be repeated."


def with_options(command: Command, options: Sequence[Option]) -> Command:
    """The command with these options, which its help lists in their order."""
    for option in reversed(options):
        command = option(command)
    return command
