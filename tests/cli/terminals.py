"""What a command prints on a terminal."""

import os
import pty
import subprocess
import sys
import termios
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 60  # seconds: one that waits for keys fails its test, and does not hold it up


def on_a_terminal(*arguments: str, columns: int = 80, code: int = 0, **environment: str) -> str:
    """What `needlepoint ...` prints on a terminal of this width, with stdin and stderr on it too.

    `code` is that with which it must end.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    settings = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | environment
    command = [sys.executable, "-m", "cli", *arguments]
    child = subprocess.Popen(command, cwd=ROOT, env=settings, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    limit = threading.Timer(LONGEST, child.kill)
    limit.start()
    printed = b""
    try:
        while chunk := os.read(ours, 65536):
            printed += chunk
    except OSError:  # how a terminal says that nobody is on its other side
        pass
    os.close(ours)
    ended = child.wait(timeout=10)
    limit.cancel()
    assert ended == code, printed.decode()
    return printed.decode().replace("\r\n", "\n")
