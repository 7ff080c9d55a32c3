"""The reading half of the run store: runs, what became of their trials, the calls made, answers and verdicts."""

import json
import os
import platform
import secrets
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from probes import store_rows
from probes.identity import prompt_hash, sha256_text
from probes.models.base import Message
from probes.plan import Plan, Result
from probes.store_file import PatientConnection, WaitLonger, connect, translated
from probes.store_rows import BLOB_TAG, AttemptRow, CallCounts, RunRow, Score, Spent, TrialRow, TrialState
from tokenizer.errors import UserError

LEASE_S = 60.0  # a process that has not renewed its lease for so long is dead
_PROCESS = secrets.token_hex(4)  # tells this process from an earlier one with the same number


class StoreReader:
    """What a run store can be asked. Use `Store.open`, as a context manager."""

    def __init__(self, path: Path, connection: PatientConnection) -> None:
        self.path = path
        self._connection = connection
        self._depth = 0
        self._host = platform.node()
        self._worker = f"{self._host}:{os.getpid()}:{_PROCESS}"
        self._leases_seen: dict[str, tuple[float, float]] = {}  # by worker, and since when on our own clock

    @classmethod
    def open(cls, path: Path, *, busy_timeout_s: float = 10.0, must_exist: bool = False) -> Self:
        """Open the store, creating it where there is none unless it `must_exist`.

        UserError: locked by another program for longer than `busy_timeout_s`, damaged, not ours, of a newer version,
        read-only, or in a directory that does not exist. The file is then as it was.
        """
        if must_exist and not path.exists():
            raise UserError(
                f"there is no run store {path} yet", hint="run an experiment first: needlepoint probe --help"
            )
        return cls(path, connect(path, busy_timeout_s))

    def close(self) -> None:
        """Give back the file. Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self, *, wait_longer: WaitLonger | None = None) -> Iterator[None]:
        """All or nothing. Inside another transaction it is a savepoint: only its own writes are undone on an error.

        `wait_longer` decides in place of `busy_timeout_s` how long another program's lock is waited for.
        StoreLocked: that was too long, and nothing is written.
        """
        with translated(self.path), self._connection.waiting(wait_longer):
            begin, keep, undo = (
                ("savepoint inner_step", "release inner_step", "rollback to inner_step")
                if self._depth
                else ("begin immediate", "commit", "rollback")
            )
            self._connection.execute(begin)
            self._depth += 1
            try:
                yield
                self._connection.execute(keep)
            except BaseException:
                if self._connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    self._connection.execute(undo)
                raise
            finally:
                self._depth -= 1

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is open; SQLite may end one by itself when the disk is full."""
        return self._connection.in_transaction

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with translated(self.path):
            return self._connection.execute(query, values).fetchall()

    # ------------------------------------------------------------------------------------------------- runs

    def runs(self) -> list[RunRow]:
        """All runs, newest first."""
        return [store_rows.run_row(row) for row in self._rows(store_rows.RUNS)]

    def find_run(self, name: str) -> RunRow:
        """The run called `latest`, or whose id begins with `name`; a UserError where there is none or more than one."""
        runs = self.runs()
        if not runs:
            raise UserError(f"no run in {self.path} yet", hint="run an experiment first: needlepoint probe --help")
        found = runs[:1] if name == "latest" else [run for run in runs if name and run.id.startswith(name)]
        if not found:
            raise UserError(f"no run {name!r} in {self.path}", hint="see what there is: needlepoint runs list")
        if len(found) > 1:
            raise UserError(
                f"{len(found)} runs begin with {name!r}: {', '.join(run.id for run in found[:4])}",
                hint="give more of the id",
            )
        return found[0]

    # ------------------------------------------------------------------------------------------------ calls

    def is_answered(self, trial_id: str) -> bool:
        """Whether there is a completion for this trial, from whichever run."""
        return bool(self._rows("select 1 from completions where trial_id = ?", trial_id))

    def calls(self, run_id: str) -> CallCounts:
        """How many calls this run made, and how many prompt tokens were sent and really computed."""
        row = self._rows(store_rows.CALLS, run_id)[0]
        return CallCounts(**dict(row))

    def spent(self, run_id: str) -> Spent:
        """What the calls of this run cost, from its first start on; answers of earlier runs cost it nothing."""
        return Spent(**dict(self._rows(store_rows.SPENT, run_id)[0]))

    def attempts(self, run_id: str, trial_id: str | None = None) -> list[AttemptRow]:
        """The calls that this run made, first to last; for one trial only, where it is named."""
        rows = self._rows(
            "select * from attempts where run_id = ?1 and (?2 is null or trial_id = ?2) order by id", run_id, trial_id
        )
        return [AttemptRow(**dict(row)) for row in rows]

    def dead_calls(self) -> list[AttemptRow]:
        """Calls written down as in flight whose process is gone; the next run in this store marks them as lost."""
        waiting = self._rows("select * from attempts where status = 'started' order by id")
        workers = {row["id"]: row for row in self._rows("select * from workers")}
        return [AttemptRow(**dict(row)) for row in waiting if not self._is_alive(workers[row["worker"]])]

    def _is_alive(self, worker: sqlite3.Row) -> bool:
        if worker["id"] == self._worker:
            return True
        is_here = worker["host"] == self._host and os.name == "posix"
        # A worker with our own number and another id was an earlier process.
        if is_here and (worker["pid"] == os.getpid() or not _process_exists(worker["pid"])):
            return False
        # It may live, or its number may be another process's now, or its host cannot be asked: then its lease tells,
        # which is a sign of life and no time of day, as clocks jump and differ between hosts.
        now = time.monotonic()
        lease_until, since = self._leases_seen.get(worker["id"], (None, now))
        if lease_until != worker["lease_until"]:
            self._leases_seen[worker["id"]] = (worker["lease_until"], now)
            return True
        return now - since < LEASE_S

    # ---------------------------------------------------------------------------------------------- answers

    def states(self, run_id: str) -> list[TrialState]:
        """What became of each position: answered, failed (may be tried again), rejected (for good), or missing."""
        return [
            store_rows.trial_state(answered=bool(row["answered"]), status=row["status"], error_kind=row["error_kind"])
            for row in self._rows(store_rows.STATES, run_id)
        ]

    def pending(self, run_id: str, *, retry_errors: bool = False) -> list[int]:
        """The positions that a runner should ask for: no answer yet, and not rejected unless `retry_errors`."""
        return store_rows.pending(self.states(run_id), retry_errors=retry_errors)

    def trials(self, run_id: str) -> list[TrialRow]:
        """Every position of the run in plan order, with all that is known of it; prompts are only hashes here."""
        return [store_rows.trial_row(row) for row in self._rows(store_rows.TRIALS, run_id)]

    def results(self, run_id: str, plan: Plan | None = None) -> list[Result]:
        """Every trial of the run in plan order, with its completion or its last error, or neither yet.

        The store keeps a prompt only as its hash. With the plan made again, the trials come with their prompts; where
        these are not the ones that were sent, that is a UserError. A completion's whole reply (`completion.raw`) is
        kept but not loaded here.
        """
        rows = self._rows(store_rows.TRIALS, run_id)
        if plan is None:
            return [store_rows.result(row) for row in rows]
        results = []
        for position, row in enumerate(rows):
            trial = plan.trials[position % len(plan.trials)]
            if row["prompt_hash"] != prompt_hash(trial.request):
                raise UserError(
                    f"the prompts of run {run_id} cannot be made again: they have changed since it was planned",
                    hint="use the version of needlepoint that made the run, or run the experiment again",
                )
            found = store_rows.result(row)
            request = replace(found.trial.request, messages=trial.request.messages)
            results.append(replace(found, trial=replace(found.trial, request=request)))
        return results

    def kept_prompt(self, prompt_hash: str) -> tuple[Message, ...] | None:
        """The messages with this hash, if a run with --keep-prompts kept them."""
        rows = self._rows("select codec, body from blobs where hash = ?", BLOB_TAG + prompt_hash)
        if not rows:
            return None
        return tuple(Message(role, content) for role, content in json.loads(_blob_text(rows[0])))

    def scores(self, run_id: str, scorer: str) -> dict[str, Score]:
        """The verdicts of one scorer on the answers of one run, by trial id."""
        rows = self._rows(
            "select distinct scores.* from run_trials join scores using (trial_id) where run_id = ? and scorer = ?",
            *(run_id, scorer),
        )
        return {
            row["trial_id"]: Score(row["trial_id"], row["outcome"], row["value"], json.loads(row["detail_json"]))
            for row in rows
        }

    def scorers(self, run_id: str) -> list[str]:
        """The scorers whose verdicts on answers of this run are kept, by name."""
        rows = self._rows(
            "select distinct scorer from run_trials join scores using (trial_id) where run_id = ? order by 1", run_id
        )
        return [row["scorer"] for row in rows]

    def damage(self, run_id: str) -> list[str]:
        """What SQLite finds wrong with the file, and texts of this run that are not what their hash says."""
        found = [row[0] for row in self._rows("pragma integrity_check") if row[0] != "ok"]
        orphans = self._rows("pragma foreign_key_check")
        found += [f"a row of {row['table']} refers to no row of {row['parent']}" for row in orphans]
        blobs = self._rows(
            "select distinct blobs.* from run_trials join completions using (trial_id)"
            " join blobs on blobs.hash in (text_hash, response_hash) where run_id = ?",
            run_id,
        )
        return found + [f"the text {row['hash']} is not what its hash says" for row in blobs if not _is_whole(row)]


def _blob_text(row: sqlite3.Row) -> str:
    body = zlib.decompress(row["body"]) if row["codec"] == "zlib" else row["body"]
    return str(body, "utf-8", "surrogatepass")


def _is_whole(row: sqlite3.Row) -> bool:
    try:
        return bool(row["hash"] == BLOB_TAG + sha256_text(_blob_text(row)))
    except (zlib.error, UnicodeDecodeError):
        return False


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
