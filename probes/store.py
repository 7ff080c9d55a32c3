"""The run store: what was asked, every call that was made for it, and every answer, in one SQLite file.

A call is written down before it is sent and its answer is one transaction, so a kill at any moment costs at most the
calls in flight, and those are listed as `lost`. An answer belongs to its exact request (`probes/identity.py`): every
run that asks the same thing again finds it, whatever else changed.

    begin_run | resume_run -> claim -> (the call) -> finish | fail | abandon -> results -> save_scores

What only reads is in `probes/store_reading.py`, the tables are in `probes/store_schema.py`.
"""

import json
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from probes import store_rows
from probes.identity import identity_hash, prompt_text, request_identity, sha256_text
from probes.models.base import Completion, Model, ModelError, canonical_json
from probes.plan import Plan
from probes.redaction import redacted
from probes.store_reading import LEASE_S as LEASE_S  # noqa: PLC0414
from probes.store_reading import StoreReader
from probes.store_rows import PERMANENT_ERRORS as PERMANENT_ERRORS  # noqa: PLC0414 - these are the store's face
from probes.store_rows import AttemptRow as AttemptRow  # noqa: PLC0414
from probes.store_rows import CallCounts as CallCounts  # noqa: PLC0414
from probes.store_rows import RunRow as RunRow  # noqa: PLC0414
from probes.store_rows import Score as Score  # noqa: PLC0414
from probes.store_rows import Spent as Spent  # noqa: PLC0414
from probes.store_rows import TrialRow as TrialRow  # noqa: PLC0414
from probes.store_rows import TrialState as TrialState  # noqa: PLC0414
from tokenizer.errors import UserError


@dataclass(frozen=True, slots=True)
class Run:
    """A run as begun or resumed. `trial_ids` stand in plan order: model after model, trial after trial.

    `plan` is what is to be sent: the plan as given, or for a fresh run with its sample numbers moved on.
    """

    id: str
    resumed: bool
    trial_ids: tuple[str, ...]
    plan: Plan


class Store(StoreReader):
    """One run store. Use `Store.open`, as a context manager; every method is a transaction of its own.

    Several processes, and several stores in one, may have the same file open; one Store has one writer.
    """

    def _write(self, statement: str, *values: object) -> int | None:
        return self._connection.execute(statement, values).lastrowid

    # ------------------------------------------------------------------------------------------------- runs

    def begin_run(self, plan: Plan, models: Sequence[Model], *, fresh: bool = False, keep_prompts: bool = False) -> Run:
        """Write the whole plan down, or continue the newest unfinished run that asks for exactly the same.

        The same means: probe, spec, models with their identities, and every trial with its cell. A new run finds the
        answers of earlier ones by their trial ids. A `fresh` one does not: its sample numbers move on to the first
        that have no answer, and nothing is deleted; where a fresh run is unfinished, it continues that one.
        `keep_prompts` keeps the texts of the prompts too, which otherwise are made again from the spec.
        """
        named = _named(models)
        as_planned = trial_identities(plan, named)
        plan_hash = _hash_of(plan, named, as_planned)
        with self.transaction():
            self.renew_lease()
            run_id, offset = self._unfinished(plan_hash, as_planned, fresh=fresh)
            identities = _moved_on(as_planned, offset)
            run = Run(run_id or _new_run_id(), bool(run_id), _ids(identities), plan_moved_on(plan, offset))
            if not run.resumed:
                self._write(
                    "insert into runs values (?, ?, ?, ?, ?, ?, ?, ?)",
                    *(run.id, plan.probe, canonical_json(dict(plan.spec)), canonical_json(named), plan_hash),
                    *(_code_version(), _now(), offset if fresh else None),
                )
                self._write_trials(run, named, identities)
            if keep_prompts:
                self._keep_prompts(plan)
        return run

    def resume_run(self, run_id: str, plan: Plan, *, keep_prompts: bool = False) -> Run:
        """Go on with one run, whose plan was made again from its spec.

        UserError: the plan asks for something else than the run did, or there is no such run.
        """
        row = self.find_run(run_id)
        moved = plan_moved_on(plan, row.fresh_offset or 0)
        named = [
            {"name": name, "identity": identity} for name, identity in zip(row.models, row.identities, strict=True)
        ]
        trial_ids = _ids(trial_identities(moved, named))
        if trial_ids != tuple(trial.result.trial_id for trial in self.trials(row.id)):
            raise UserError(
                f"the prompts of run {row.id} cannot be made again: they have changed since it was planned",
                hint="use the version of needlepoint that made the run, or run the experiment again",
            )
        with self.transaction():
            self.renew_lease()
            if keep_prompts:
                self._keep_prompts(plan)
        return Run(row.id, resumed=True, trial_ids=trial_ids, plan=moved)

    def _unfinished(
        self, plan_hash: str, identities: Sequence[dict[str, Any]], *, fresh: bool
    ) -> tuple[str | None, int]:
        """The run to continue, if there is one, and how far its sample numbers are moved on."""
        if not fresh:
            rows = self._rows(store_rows.UNFINISHED, plan_hash)
            return (rows[0]["id"] if rows else None), 0
        for row in self._rows(store_rows.FRESH_RUNS, plan_hash):
            if self.pending(row["id"]):
                return row["id"], row["fresh_offset"]
        return None, self._first_free_sample(identities)

    def _first_free_sample(self, identities: Sequence[dict[str, Any]]) -> int:
        """How far sample numbers must move on so that nothing of the plan is answered."""
        step = 1 + max((identity["sample"] for identity in identities), default=0)
        offset = 0
        while any(self.is_answered(trial_id) for trial_id in _ids(_moved_on(identities, offset))):
            offset += step
        return offset

    def _write_trials(self, run: Run, named: Sequence[Mapping[str, Any]], identities: Sequence[dict[str, Any]]) -> None:
        self._connection.executemany(
            "insert into trials values (?, ?, ?) on conflict do nothing",
            (
                (trial_id, canonical_json(identity), identity["prompt"])
                for trial_id, identity in zip(run.trial_ids, identities, strict=True)
            ),
        )
        planned = [(model["name"], trial) for model in named for trial in run.plan.trials]
        self._connection.executemany(
            "insert into run_trials values (?, ?, ?, ?, ?, ?)",
            (
                (run.id, position, model, trial.block, trial_id, canonical_json(dict(trial.cell)))
                for position, (trial_id, (model, trial)) in enumerate(zip(run.trial_ids, planned, strict=True))
            ),
        )

    def _keep_prompts(self, plan: Plan) -> None:
        for text in dict.fromkeys(prompt_text(trial.request) for trial in plan.trials):
            self._keep_blob(text, "zlib")

    # ------------------------------------------------------------------------------------------------ calls

    def renew_lease(self) -> None:
        """Say that this process lives for another minute, and mark as lost what dead processes had in flight."""
        with self.transaction():
            self._write(
                "insert into workers values (?, ?, ?, ?) on conflict do update set lease_until = excluded.lease_until",
                *(self._worker, self._host, os.getpid(), time.time() + LEASE_S),
            )
            for worker in {attempt.worker for attempt in self.dead_calls()}:
                self._write("update attempts set status = 'lost' where status = 'started' and worker = ?", worker)

    def claim(self, run: Run, trial_id: str, *, reserved_nano_usd: int | None = None) -> int | None:
        """Take a trial for one call and write the attempt down; only then may the call be sent.

        `reserved_nano_usd`: the most that the call can cost; None: unknown. Returns None where the trial is answered
        already, or someone's call for it is in flight (`is_answered` tells which).
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
                "insert into attempts (trial_id, run_id, worker, status, started_utc, reserved_nano_usd)"
                " values (?, ?, ?, 'started', ?, ?)",
                *(trial_id, run.id, self._worker, _now(), reserved_nano_usd),
            )

    def finish(
        self,
        attempt_id: int,
        completion: Completion,
        *,
        cost_nano_usd: int | None = None,
        price_json: str | None = None,
    ) -> None:
        """Keep an answer. It was paid for, so it is kept even where the attempt had been given up as lost.

        `cost_nano_usd`: what it did cost, None where that is unknown; `price_json`: the prices by which.
        """
        raw = redacted(json.dumps(completion.raw, default=str), whole=True) if completion.raw else None
        # A server can say anything in these, our own key included.
        request_id, served = (text and redacted(text) for text in (completion.request_id, completion.model))
        with self.transaction():
            self._write(
                "update attempts set status = 'ok', latency_s = ?, request_id = ?, cost_nano_usd = ?, price_json = ?"
                " where id = ?",
                *(completion.latency_s, request_id, cost_nano_usd, price_json, attempt_id),
            )
            self._write(
                "insert into completions select trial_id, id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? from attempts"
                " where id = ? on conflict do nothing",
                *(self._keep_blob(completion.text, "raw"), completion.stop_reason, served),
                *astuple(completion.usage),
                *(completion.first_token_s, store_rows.logprobs_to_json(completion.logprobs)),
                raw and self._keep_blob(raw, "zlib"),
                *(canonical_json(list(completion.dropped)) if completion.dropped else None, attempt_id),
            )

    def fail(
        self, attempt_id: int, error: Exception, *, latency_s: float | None = None, maybe_billed: bool = False
    ) -> None:
        """Keep what went wrong, without keys, never as an answer. What is no ModelError is a bug: kind `bug`.

        `maybe_billed`: nobody knows whether the provider charges for it (a call that took too long), so what was
        reserved for it stays; otherwise it cost nothing.
        """
        kind = error.kind if isinstance(error, ModelError) else "bug"
        text = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
        with self.transaction():
            self._write(
                "update attempts set status = 'error', error_kind = ?, error_text = ?, latency_s = ?,"
                " reserved_nano_usd = case when ? then reserved_nano_usd end where id = ?",
                *(kind, redacted(text), latency_s, maybe_billed, attempt_id),
            )

    def forget_unsent(self, run: Run) -> None:
        """Take away a run that was begun just now and refused before anything was sent for it."""
        if run.resumed:
            return
        with self.transaction():
            for table, key in (("run_trials", "run_id"), ("runs", "id")):
                self._write(
                    f"delete from {table} where {key} = ?1"  # noqa: S608 - our own names
                    " and not exists (select 1 from attempts where run_id = ?1)",
                    run.id,
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
        name = store_rows.BLOB_TAG + sha256_text(text)
        body = text.encode("utf-8", "surrogatepass")
        self._write(
            "insert into blobs values (?, ?, ?) on conflict do nothing",
            *(name, codec, zlib.compress(body, 6) if codec == "zlib" else body),
        )
        return name

    # --------------------------------------------------------------------------------------------- verdicts

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


def plan_hash(plan: Plan, models: Sequence[Model]) -> str:
    """What names an experiment with its models, trial for trial: runs with the same one continue each other."""
    named = _named(models)
    return _hash_of(plan, named, trial_identities(plan, named))


def _hash_of(plan: Plan, named: Sequence[Mapping[str, Any]], identities: Sequence[dict[str, Any]]) -> str:
    cells = [[trial.block, dict(trial.cell)] for trial in plan.trials]
    return sha256_text(canonical_json([plan.probe, dict(plan.spec), canonical_json(named), _ids(identities), cells]))


def _named(models: Sequence[Model]) -> list[dict[str, Any]]:
    return [{"name": model.name, "identity": dict(model.identity)} for model in models]


def trial_identities(plan: Plan, named: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The identity of each request of a run, in the order of its positions; `named` as in `runs.models_json`."""
    return [request_identity(model["identity"], trial.request) for model in named for trial in plan.trials]


def plan_moved_on(plan: Plan, offset: int) -> Plan:
    """The same plan with all its sample numbers greater by `offset`."""
    if not offset:
        return plan
    moved = (
        replace(trial, request=replace(trial.request, sample=trial.request.sample + offset)) for trial in plan.trials
    )
    return replace(plan, trials=tuple(moved))


def _moved_on(identities: Sequence[dict[str, Any]], offset: int) -> list[dict[str, Any]]:
    return [{**identity, "sample": identity["sample"] + offset} for identity in identities]


def _ids(identities: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(identity_hash(canonical_json(identity)) for identity in identities)


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
