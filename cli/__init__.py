"""What a person types and sees: commands, tables, pictures. No algorithm lives here."""

import sys
from types import TracebackType


def _told_quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while the command is still being loaded is no failure to trace; Python then ends as interrupted."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("error: interrupted\nhint: nothing was begun; run the same command again\n")
    else:
        sys.__excepthook__(kind, error, trace)


if sys.excepthook is sys.__excepthook__:  # nobody else's
    sys.excepthook = _told_quietly
