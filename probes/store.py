"""The run store: what was asked, every call that was made for it, and every answer, in one SQLite file.

A call is written down before it is sent and its answer is one transaction, so a kill at any moment costs at most the
calls in flight, and those are listed as `lost`. An answer belongs to its exact request (`probes/identity.py`): every
run that asks the same thing again finds it, whatever else changed.

    begin_run -> claim -> (the call) -> finish | fail | abandon -> results -> save_scores
"""

import json
import os
import platform
import secrets
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from probes import store_rows
from probes.identity import identity_hash, prompt_hash, request_identity, sha256_text
from probes.models.base import (
    Completion,
    ContextTooLong,
    Model,
    ModelError,
    RequestRejected,
    canonical_json,
)
from probes.plan import Plan, PlannedTrial, Result
from probes.redaction import redacted
from probes.store_file import PatientConnection, WaitLonger, connect, translated
from tokenizer.errors import UserError

LEASE_S = 60.0
PERMANENT_ERRORS = (RequestRejected.kind, ContextTooLong.kind)
_PROCESS = secrets.token_hex(4)  # tells this process from an earlier one with the same number

TrialState = Literal["answered", "failed", "rejected", "missing"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as begun or resumed. `trial_ids` stand in plan order: model after model, trial after trial."""

    id: str
    resumed: bool
    trial_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of `runs list`. `failed`: no answer and the last call failed; `lost`: calls cut off in flight."""

    id: str
    probe: str
    spec: Mapping[str, Any]
    models: tuple[str, ...]
    created_utc: str
    trials: int
    answered: int
    failed: int
    lost: int


@dataclass(frozen=True, slots=True)
class CallCounts:
    """The calls made in one run, by what became of them. Tokens are None where a server did not say."""

    ok: int
    error: int
    lost: int
    prompt_tokens: int | None
    prompt_tokens_evaluated: int | None
    latency_s: float


class Score(NamedTuple):
    """A scorer's verdict on one answer. `value` is None where it could not be judged."""

    trial_id: str
    outcome: str
    value: float | None
    detail: Mapping[str, Any]


class Store:
    """One run store. Use `Store.open`, as a context manager; every method is a transaction of its own.

    Several processes, and several stores in one, may have the same file open; one Store has one writer.
    """

    def __init__(self, path: Path, connection: PatientConnection) -> None:
        self.path = path
        self._connection = connection
        self._depth = 0
        self._host = platform.node()
        self._worker = f"{self._host}:{os.getpid()}:{_PROCESS}"

    @classmethod
    def open(cls, path: Path, *, busy_timeout_s: float = 10.0) -> Self:
        """Open the store, creating it where there is none.

        UserError: locked by another program for longer than `busy_timeout_s`, damaged, not ours, of a newer version,
        read-only, or in a directory that does not exist. The file is then as it was.
        """
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

    def _write(self, statement: str, *values: object) -> int | None:
        return self._connection.execute(statement, values).lastrowid

    # ------------------------------------------------------------------------------------------------- runs

    def begin_run(self, plan: Plan, models: Sequence[Model]) -> Run:
        """Write the whole plan down, or continue the newest unfinished run that asks for exactly the same.

        The same means: probe, spec, models with their identities, and every trial with its cell. A new run finds the
        answers of earlier ones by their trial ids.
        """
        planned = [
            (model.name, trial, canonical_json(request_identity(model.identity, trial.request)))
            for model in models
            for trial in plan.trials
        ]
        trial_ids = tuple(identity_hash(identity) for _, _, identity in planned)
        named = canonical_json([{"name": model.name, "identity": dict(model.identity)} for model in models])
        cells = [[trial.block, dict(trial.cell)] for trial in plan.trials]
        plan_hash = sha256_text(canonical_json([plan.probe, dict(plan.spec), named, trial_ids, cells]))
        with self.transaction():
            self.renew_lease()
            unfinished = self._rows(store_rows.UNFINISHED, plan_hash)
            if unfinished:
                return Run(unfinished[0]["id"], resumed=True, trial_ids=trial_ids)
            run = Run(_new_run_id(), resumed=False, trial_ids=trial_ids)
            self._write(
                "insert into runs values (?, ?, ?, ?, ?, ?, ?)",
                *(run.id, plan.probe, canonical_json(dict(plan.spec)), named, plan_hash, _code_version(), _now()),
            )
            self._write_trials(run, planned)
        return run

    def _write_trials(self, run: Run, planned: Sequence[tuple[str, PlannedTrial, str]]) -> None:
        rows = list(zip(run.trial_ids, planned, strict=True))
        self._connection.executemany(
            "insert into trials values (?, ?, ?) on conflict do nothing",
            ((trial_id, identity, json.loads(identity)["prompt"]) for trial_id, (_, _, identity) in rows),
        )
        self._connection.executemany(
            "insert into run_trials values (?, ?, ?, ?, ?, ?)",
            (
                (run.id, position, model, trial.block, trial_id, canonical_json(dict(trial.cell)))
                for position, (trial_id, (model, trial, _)) in enumerate(rows)
            ),
        )

    def runs(self) -> list[RunRow]:
        """All runs, newest first."""
        return [
            RunRow(
                id=row["id"],
                probe=row["probe"],
                spec=json.loads(row["spec_json"]),
                models=tuple(model["name"] for model in json.loads(row["models_json"])),
                created_utc=row["created_utc"],
                trials=row["trials"],
                answered=row["answered"],
                failed=row["failed"],
                lost=row["lost"],
            )
            for row in self._rows(store_rows.RUNS)
        ]

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

    def renew_lease(self) -> None:
        """Say that this process lives for another minute, and mark as lost what dead processes had in flight."""
        with self.transaction():
            self._write(
                "insert into workers values (?, ?, ?, ?) on conflict do update set lease_until = excluded.lease_until",
                *(self._worker, self._host, os.getpid(), time.time() + LEASE_S),
            )
            waiting = self._rows(
                "select * from workers where id in (select worker from attempts where status = 'started')"
            )
            for worker in waiting:
                if not self._is_alive(worker):
                    self._write(
                        "update attempts set status = 'lost' where status = 'started' and worker = ?", worker["id"]
                    )

    def _is_alive(self, worker: sqlite3.Row) -> bool:
        if worker["id"] == self._worker:
            return True
        if worker["lease_until"] < time.time():
            return False
        if worker["host"] != self._host or os.name != "posix":
            return True  # cannot be asked; its lease will tell
        # A worker with our own number and another id was an earlier process.
        return worker["pid"] != os.getpid() and _process_exists(worker["pid"])

    def claim(self, run: Run, trial_id: str) -> int | None:
        """Take a trial for one call and write the attempt down; only then may the call be sent.

        None: it is answered already, or someone's call for it is in flight (`is_answered` tells which).
        """
        with self.transaction():
            taken = self._rows(
                "select 1 from completions where trial_id = ?1"
                " union all select 1 from attempts where trial_id = ?1 and status = 'started'",
                trial_id,
            )
            if taken:
                return None
            return self._write(
                "insert into attempts (trial_id, run_id, worker, status, started_utc) values (?, ?, ?, 'started', ?)",
                *(trial_id, run.id, self._worker, _now()),
            )

    def is_answered(self, trial_id: str) -> bool:
        """Whether there is a completion for this trial, from whichever run."""
        return bool(self._rows("select 1 from completions where trial_id = ?", trial_id))

    def finish(self, attempt_id: int, completion: Completion) -> None:
        """Keep an answer. It was paid for, so it is kept even where the attempt had been given up as lost."""
        raw = json.dumps(completion.raw, default=str) if completion.raw else None
        with self.transaction():
            self._write(
                "update attempts set status = 'ok', latency_s = ?, request_id = ? where id = ?",
                *(completion.latency_s, completion.request_id, attempt_id),
            )
            self._write(
                "insert into completions select trial_id, id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? from attempts"
                " where id = ? on conflict do nothing",
                *(self._keep_blob(completion.text, "raw"), completion.stop_reason, completion.model),
                *astuple(completion.usage),
                *(completion.first_token_s, store_rows.logprobs_to_json(completion.logprobs)),
                *(raw and self._keep_blob(raw, "zlib"), attempt_id),
            )

    def fail(self, attempt_id: int, error: Exception) -> None:
        """Keep what went wrong, without keys, never as an answer. What is no ModelError is a bug: kind `bug`."""
        kind = error.kind if isinstance(error, ModelError) else "bug"
        text = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
        with self.transaction():
            self._write(
                "update attempts set status = 'error', error_kind = ?, error_text = ? where id = ?",
                *(kind, redacted(text), attempt_id),
            )

    def abandon(self, attempt_id: int) -> None:
        """Give up one call in flight: nobody will know what became of it."""
        with self.transaction():
            self._write("update attempts set status = 'lost' where id = ? and status = 'started'", attempt_id)

    def abandon_all(self, run: Run) -> None:
        """Give up every call that this process still has in flight for the run."""
        with self.transaction():
            self._write(
                "update attempts set status = 'lost' where run_id = ? and worker = ? and status = 'started'",
                *(run.id, self._worker),
            )

    def _keep_blob(self, text: str, codec: Literal["raw", "zlib"]) -> str:
        name = "b1:" + sha256_text(text)
        body = text.encode("utf-8", "surrogatepass")
        self._write(
            "insert into blobs values (?, ?, ?) on conflict do nothing",
            *(name, codec, zlib.compress(body, 6) if codec == "zlib" else body),
        )
        return name

    # ---------------------------------------------------------------------------------------------- answers

    def states(self, run_id: str) -> list[TrialState]:
        """What became of each position: answered, failed (may be tried again), rejected (for good), or missing."""
        return [
            "answered"
            if row["answered"]
            else "missing"
            if row["status"] != "error"
            else "rejected"
            if row["error_kind"] in PERMANENT_ERRORS
            else "failed"
            for row in self._rows(store_rows.STATES, run_id)
        ]

    def pending(self, run_id: str, *, retry_errors: bool = False) -> list[int]:
        """The positions that a runner should ask for: no answer yet, and not rejected unless `retry_errors`."""
        settled = {"answered"} if retry_errors else {"answered", "rejected"}
        return [position for position, state in enumerate(self.states(run_id)) if state not in settled]

    def results(self, run_id: str, plan: Plan | None = None) -> list[Result]:
        """Every trial of the run in plan order, with its completion or its last error, or neither yet.

        The prompts are not in the store: without the plan `trial.request.messages` is empty, everything else is as it
        was sent. With the plan, made again, each trial is whole; a UserError where a prompt's hash is not the one kept.
        The whole reply (`completion.raw`) is kept but not loaded here.
        """
        rows = self._rows(store_rows.RESULTS, run_id)
        if plan is None:
            return [store_rows.result(row) for row in rows]
        results = []
        for position, row in enumerate(rows):
            trial = plan.trials[position % len(plan.trials)]
            if json.loads(row["request_json"])["prompt"] != prompt_hash(trial.request):
                raise UserError(
                    f"the prompts of run {run_id} cannot be made again: they have changed since it was planned",
                    hint="use the version of needlepoint that made the run, or run the experiment again",
                )
            results.append(replace(store_rows.result(row), trial=trial))
        return results

    def calls(self, run_id: str) -> CallCounts:
        """How many calls this run made, and how many prompt tokens were sent and really computed."""
        row = self._rows(store_rows.CALLS, run_id)[0]
        return CallCounts(**dict(row))

    def save_scores(self, scorer: str, scores: Iterable[Score]) -> None:
        """Keep a scorer's verdicts, in place of its earlier ones on the same answers."""
        with self.transaction():
            self._connection.executemany(
                "insert or replace into scores values (?, ?, ?, ?, ?)",
                (
                    (score.trial_id, scorer, score.outcome, score.value, canonical_json(dict(score.detail)))
                    for score in scores
                ),
            )

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


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_run_id() -> str:
    """Sortable, and short enough to type. Example: '20261121-142501-3f9a'."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _code_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("needlepoint")
    except PackageNotFoundError:
        return "not installed"
