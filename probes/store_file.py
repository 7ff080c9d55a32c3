"""The run store's file: its tables, how it is opened, and what SQLite's complaints mean in plain words.

Plain tables with plain names, for people will open the file with other tools too. Times are UTC.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizer.errors import UserError

VERSION = 1
APPLICATION_ID = 0x6E64_6C70  # "ndlp": says whose file this is
LOCK_TRY_S = 0.1  # SQLite waits this long at a time, and hears nobody meanwhile
LOCK_PAUSE_S = 0.01  # where it does not wait by itself

WaitLonger = Callable[[float], bool]
"""Asked again and again while another program has the file locked, with the seconds so far: False gives up."""

SCHEMA = (
    """create table blobs (                  -- every long text once, by its content
        hash text primary key,               -- 'b1:' and the SHA-256 of the text
        codec text not null check (codec in ('raw', 'zlib')),
        body blob not null
    ) strict""",
    """create table runs (                   -- one experiment asked for, for all its models
        id text primary key,
        probe text not null,
        spec_json text not null,             -- the experiment after its defaults
        models_json text not null,           -- [{"name": ..., "identity": {...}}, ...] in the order asked for
        plan_hash text not null,             -- the same hash: the same experiment, trial for trial
        code_version text not null,
        created_utc text not null
    ) strict""",
    """create table trials (                 -- one exact request; shared by every run that wants it
        id text primary key,                 -- 't1:' and the SHA-256 of request_json
        request_json text not null,          -- canonical identity: model, prompt hash, sampling, sample, continuation
        prompt_hash text not null            -- of the messages as sent
    ) strict""",
    """create table run_trials (
        run_id text not null references runs,
        position integer not null,           -- place in the plan; the order of calls is another matter
        model text not null,                 -- the name it was asked for by
        block integer not null,
        trial_id text not null references trials,
        cell_json text not null,             -- arm, length, depth, ...: what tables group by
        primary key (run_id, position)
    ) strict, without rowid""",
    """create table workers (                -- processes that have ever called a model
        id text primary key,                 -- host:pid:nonce
        host text not null,
        pid integer not null,
        lease_until real not null            -- seconds since 1970; refreshed while alive, expired means dead
    ) strict""",
    """create table attempts (               -- every call, written before it is sent
        id integer primary key,
        trial_id text not null references trials,
        run_id text not null references runs,
        worker text not null references workers,
        status text not null check (status in ('started', 'ok', 'error', 'lost')),
        started_utc text not null,
        latency_s real,
        error_kind text,
        error_text text,                     -- redacted
        request_id text,
        cost_nano_usd integer,               -- null: the price is unknown, never 0
        price_json text                      -- the prices that were used
    ) strict""",
    "create unique index one_open_attempt on attempts (trial_id) where status = 'started'",
    "create index attempts_by_trial on attempts (trial_id, id)",
    "create index attempts_by_run on attempts (run_id)",
    """create table completions (            -- at most one answer to a trial
        trial_id text primary key references trials,
        attempt_id integer not null references attempts,
        text_hash text not null references blobs,
        stop_reason text not null,
        served_model text,
        input_tokens integer,
        output_tokens integer,
        cache_read_tokens integer,
        cache_write_tokens integer,
        reasoning_tokens integer,
        prompt_tokens_evaluated integer,
        first_token_s real,
        logprobs_json text,                  -- [[token, natural logarithm or null for minus infinity], ...]
        response_hash text references blobs  -- the whole reply
    ) strict""",
    """create table scores (                 -- scoring again never calls a model again
        trial_id text not null references completions,
        scorer text not null,                -- 'name@version'
        outcome text not null check (outcome in ('hit', 'miss', 'refusal', 'truncated')),
        value real,                          -- null: could not be judged
        detail_json text not null,
        primary key (trial_id, scorer)
    ) strict, without rowid""",
)


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
    connection.execute("begin immediate")  # also finds out now, not after the first call, that nothing can be written
    if connection.execute("pragma user_version").fetchone()[0] == 0:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {VERSION}")
    connection.execute("commit")


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
    "IOERR": ("cannot be read or written", "check the disk and run the same command again; finished trials are kept"),
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
