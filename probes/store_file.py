"""The run store's file: how it is opened, and what SQLite's complaints mean in plain words."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from probes.store_schema import APPLICATION_ID, VERSION, bring_up_to_date
from tokenizer.errors import UserError

LOCK_TRY_S = 0.1  # SQLite waits this long at a time, and hears nobody meanwhile
LOCK_PAUSE_S = 0.01  # where it does not wait by itself

WaitLonger = Callable[[float], bool]
"""Asked again and again while another program has the file locked, with the seconds so far: False gives up."""


class StoreLocked(UserError):
    """Another program has the store locked, and was waited for long enough."""


class PatientConnection(sqlite3.Connection):
    """A connection that waits for other programs in small steps: Ctrl-C is heard, and `wait_longer` decides."""

    wait_longer: WaitLonger

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        """As SQLite's own; no statement has done anything as long as the file is locked."""
        started = time.monotonic()
        while True:
            try:
                return super().execute(statement, values)
            except sqlite3.OperationalError as err:
                if _first_word(err) != "BUSY" or not self.wait_longer(time.monotonic() - started):
                    raise
            time.sleep(LOCK_PAUSE_S)

    @contextmanager
    def waiting(self, wait_longer: WaitLonger | None) -> Iterator[None]:
        """Let another one decide meanwhile, if there is one."""
        usual = self.wait_longer
        self.wait_longer = wait_longer or usual
        try:
            yield
        finally:
            self.wait_longer = usual


def connect(path: Path, busy_timeout_s: float) -> PatientConnection:
    """Open or create the store at `path`; a file that is not ours is left as it is and refused with a UserError."""
    if sqlite3.sqlite_version_info < (3, 37):
        raise UserError(
            f"this Python's SQLite is {sqlite3.sqlite_version}; the run store needs 3.37 or newer",
            hint="use a newer Python",
        )
    if not path.parent.is_dir():
        raise UserError(
            f"cannot open the run store {path}: the directory {path.parent} does not exist",
            hint="make the directory, or name another file with --store FILE",
        )
    with translated(path):
        # A run writes in a helper thread (probes/writer.py) while its own thread leaves the connection alone.
        connection = sqlite3.connect(
            path, timeout=LOCK_TRY_S, isolation_level=None, check_same_thread=False, factory=PatientConnection
        )
        connection.wait_longer = lambda waited_s: waited_s < busy_timeout_s
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is before anything in it is touched, then set it up."""
    _check_is_ours(connection, path)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma foreign_keys = on")
    # Readers and a writer side by side. A file system that cannot do it keeps its own mode, slower and as safe.
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    bring_up_to_date(connection)


def _check_is_ours(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("begin")  # the three must be of one moment: another process may be creating the store
    version, application, tables = (
        connection.execute(question).fetchone()[0]
        for question in ("pragma user_version", "pragma application_id", "select count(*) from sqlite_master")
    )
    connection.execute("commit")
    if application == APPLICATION_ID and version > VERSION:
        raise UserError(
            f"the run store {path} was made by a newer version of needlepoint (format {version} > {VERSION})",
            hint="update needlepoint, or name another file with --store FILE",
        )
    if application != APPLICATION_ID and (application or version or tables):
        raise UserError(
            f"{path} is a database of another program, not a run store",
            hint="name another file with --store FILE; nothing in this one was changed",
        )


_LOCKED = ("is locked by another program", "close what has it open (a database browser?) and run the command again")
_COMPLAINTS = {
    # SQLite's name, up to its first word: (what it means, what to do)
    "BUSY": _LOCKED,
    "LOCKED": _LOCKED,
    "NOTADB": ("is not a run store", "name another file with --store FILE; nothing in this one was changed"),
    "CORRUPT": ("is damaged", "keep a copy of the file, try `sqlite3 FILE .recover`, or start anew with --store FILE"),
    "READONLY": ("may not be written", "change the rights of the file and its directory, or use --store FILE"),
    "CANTOPEN": ("cannot be opened", "check that it is a file that you may read and write, or use --store FILE"),
    "PERM": ("may not be written", "change the rights of the file and its directory, or use --store FILE"),
    "FULL": ("cannot grow: the disk is full", "make room and run the same command again; finished trials are kept"),
    "IOERR": (
        "cannot be read or written",
        "check the disk and its free room, and run the same command again; finished trials are kept",
    ),
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the file into a UserError; what it says about our statements is a bug and stays."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as err:
        name = _first_word(err)
        if name not in _COMPLAINTS:
            raise
        meaning, hint = _COMPLAINTS[name]
        kind = StoreLocked if _COMPLAINTS[name] is _LOCKED else UserError
        raise kind(f"the run store {path} {meaning}", hint=hint) from err


def _first_word(error: sqlite3.Error) -> str:
    """Of SQLite's name for it. Example: "BUSY" for SQLITE_BUSY and SQLITE_BUSY_SNAPSHOT."""
    return getattr(error, "sqlite_errorname", "SQLITE_").removeprefix("SQLITE_").partition("_")[0]
