"""What the run store asks its file, and how rows become results again."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from probes.identity import request_without_prompt, sha256_bytes
from probes.models.base import Completion, ContextTooLong, RequestRejected, StopReason, TokenLogprob, Usage
from probes.plan import PlannedTrial, Result

BLOB_TAG = "b1:"
DAMAGED = "damaged"  # the error kind of a trial whose answer is no longer what was received
PERMANENT_ERRORS = (RequestRejected.kind, ContextTooLong.kind)

TrialState = Literal["answered", "failed", "rejected", "missing"]
AttemptStatus = Literal["started", "ok", "error", "lost"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of `runs list`. `failed`: no answer and the last call failed; `lost`: calls cut off in flight.

    `models` are the names asked for and `identities` what they stood for, both in the order of the run.
    `fresh_offset`: how far a run with --fresh moved its sample numbers on; None for all others. `known_nano_usd` is
    what its own calls cost as far as that is known, `unknown_cost_calls` how many of them it leaves out.
    """

    id: str
    probe: str
    spec: Mapping[str, Any]
    models: tuple[str, ...]
    identities: tuple[Mapping[str, Any], ...]
    code_version: str
    created_utc: str
    fresh_offset: int | None
    trials: int
    answered: int
    failed: int
    lost: int
    known_nano_usd: int
    unknown_cost_calls: int


@dataclass(frozen=True, slots=True)
class CallCounts:
    """The calls made in one run, by what became of them. Tokens are None where a server did not say."""

    ok: int
    error: int
    lost: int
    prompt_tokens: int | None
    prompt_tokens_evaluated: int | None
    latency_s: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of one run cost, in US dollars times 10 to the 9.

    `known_nano_usd`: of the answers whose price was known; `unknown_calls`: answers and lost calls without one.
    `lost_at_most_nano_usd`: what calls had reserved of which nobody knows whether they were billed: the lost ones, and
    those that failed with `maybe_billed`. Tokens are those that servers reported, so they may be too few.
    """

    known_nano_usd: int
    unknown_calls: int
    lost_at_most_nano_usd: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One call: `error_kind` and the redacted `error_text` where it failed; costs are None where they are unknown."""

    id: int
    trial_id: str
    run_id: str
    worker: str
    status: AttemptStatus
    started_utc: str
    latency_s: float | None
    error_kind: str | None
    error_text: str | None
    request_id: str | None
    cost_nano_usd: int | None
    price_json: str | None
    reserved_nano_usd: int | None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One position of a run with all that is known of it.

    `answered_by`: the run whose call was answered, which may be an earlier one; `cost_nano_usd` is of that call.
    `calls`: how many this run made for the trial.
    """

    position: int
    result: Result
    request_json: str
    prompt_hash: str
    state: TrialState
    answered_by: str | None
    cost_nano_usd: int | None
    calls: int


class Score(NamedTuple):
    """A scorer's verdict on one answer. `value` is None where it could not be judged."""

    trial_id: str
    outcome: str
    value: float | None
    detail: Mapping[str, Any]


UNFINISHED = """
    select id from runs where plan_hash = ? and fresh_offset is null and exists (
        select 1 from run_trials where run_id = runs.id and trial_id not in (select trial_id from completions))
    order by rowid desc limit 1"""

FRESH_RUNS = "select id, fresh_offset from runs where plan_hash = ? and fresh_offset is not null order by rowid desc"

RUNS = """
    select runs.*, count(position) as trials, count(completions.trial_id) as answered,
        count(case when completions.trial_id is null and last.status = 'error' then 1 end) as failed,
        (select count(*) from attempts where run_id = runs.id and status = 'lost') as lost,
        (select coalesce(sum(cost_nano_usd), 0) from attempts where run_id = runs.id) as known_nano_usd,
        (select count(*) from attempts where run_id = runs.id and cost_nano_usd is null
            and (status = 'ok' or status = 'lost' and coalesce(reserved_nano_usd, 1) > 0)) as unknown_cost_calls
    from runs left join run_trials on run_trials.run_id = runs.id
        left join completions on completions.trial_id = run_trials.trial_id
        left join attempts as last on last.id = (
            select max(id) from attempts where trial_id = run_trials.trial_id)
    group by runs.id order by runs.rowid desc"""

TRIALS = """
    select run_trials.*, request_json, prompt_hash, completions.*, blobs.body as text, made.latency_s, made.request_id,
        made.run_id as answered_by, made.cost_nano_usd, last.status, last.error_kind, last.error_text,
        (select count(*) from attempts where attempts.trial_id = run_trials.trial_id
            and +attempts.run_id = run_trials.run_id) as calls -- the plus: by the index of trials, not of runs
    from run_trials join trials on trials.id = run_trials.trial_id
        left join completions on completions.trial_id = run_trials.trial_id
        left join blobs on blobs.hash = completions.text_hash
        left join attempts as made on made.id = completions.attempt_id
        left join attempts as last on completions.trial_id is null and last.id = (
            select max(id) from attempts where trial_id = run_trials.trial_id)
    where run_trials.run_id = ? order by position"""

STATES = """
    select completions.trial_id is not null as answered, last.status, last.error_kind
    from run_trials left join completions using (trial_id) left join attempts as last on last.id = (
            select max(id) from attempts where trial_id = run_trials.trial_id)
    where run_trials.run_id = ? order by position"""

CALLS = """
    select count(case status when 'ok' then 1 end) as ok, count(case status when 'error' then 1 end) as error,
        count(case status when 'lost' then 1 end) as lost,
        case when count(attempt_id) = count(input_tokens)
            then coalesce(sum(input_tokens), 0) end as prompt_tokens,
        case when count(attempt_id) = count(prompt_tokens_evaluated)
            then coalesce(sum(prompt_tokens_evaluated), 0) end as prompt_tokens_evaluated,
        coalesce(sum(latency_s), 0.0) as latency_s
    from attempts left join completions
        on completions.trial_id = attempts.trial_id and completions.attempt_id = attempts.id
    where run_id = ?"""

SPENT = """
    select coalesce(sum(cost_nano_usd), 0) as known_nano_usd,
        count(case when cost_nano_usd is null and (status = 'ok' or status = 'lost' and reserved_nano_usd is null)
            then 1 end) as unknown_calls,
        coalesce(sum(case when status in ('lost', 'error') then reserved_nano_usd end), 0) as lost_at_most_nano_usd,
        coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(output_tokens), 0) as output_tokens
    from attempts left join completions
        on completions.trial_id = attempts.trial_id and completions.attempt_id = attempts.id
    where run_id = ?"""


def run_row(row: sqlite3.Row) -> RunRow:
    """One row of RUNS."""
    models = json.loads(row["models_json"])
    return RunRow(
        id=row["id"],
        probe=row["probe"],
        spec=json.loads(row["spec_json"]),
        models=tuple(model["name"] for model in models),
        identities=tuple(model["identity"] for model in models),
        code_version=row["code_version"],
        created_utc=row["created_utc"],
        fresh_offset=row["fresh_offset"],
        trials=row["trials"],
        answered=row["answered"],
        failed=row["failed"],
        lost=row["lost"],
        known_nano_usd=row["known_nano_usd"],
        unknown_cost_calls=row["unknown_cost_calls"],
    )


def trial_state(*, answered: bool, status: str | None, error_kind: str | None) -> TrialState:
    """What became of a trial, by whether it has an answer and by its last call."""
    if answered:
        return "answered"
    if status != "error":
        return "missing"
    return "rejected" if error_kind in PERMANENT_ERRORS else "failed"


def pending(states: Sequence[TrialState], *, retry_errors: bool) -> list[int]:
    """The positions that a runner should ask for: no answer yet, and not rejected unless `retry_errors`."""
    settled = {"answered"} if retry_errors else {"answered", "rejected"}
    return [position for position, state in enumerate(states) if state not in settled]


def trial_row(row: sqlite3.Row) -> TrialRow:
    """One row of TRIALS."""
    return TrialRow(
        position=row["position"],
        result=result(row),
        request_json=row["request_json"],
        prompt_hash=row["prompt_hash"],
        state=_state(row),
        answered_by=row["answered_by"],
        cost_nano_usd=row["cost_nano_usd"],
        calls=row["calls"],
    )


def _state(row: sqlite3.Row) -> TrialState:
    if row["text"] is not None and not _is_whole(row):
        return "rejected"
    return trial_state(answered=row["text"] is not None, status=row["status"], error_kind=row["error_kind"])


def _is_whole(row: sqlite3.Row) -> bool:
    return bool(row["text_hash"] == BLOB_TAG + sha256_bytes(row["text"]))


def result(row: sqlite3.Row) -> Result:
    """One row of TRIALS as the planned trial and what became of it.

    An answer whose bytes are no longer those of its hash is none: the trial has failed, as `damaged`.
    """
    failed = row["status"] == "error"
    error_kind, error_text = (row["error_kind"], row["error_text"]) if failed else (None, None)
    has_answer = row["text"] is not None
    if has_answer and not _is_whole(row):
        has_answer, error_kind = False, DAMAGED
        error_text = "the answer in the run store is no longer the one that was received; `runs verify` tells more"
    return Result(
        model=row["model"],
        trial_id=row["trial_id"],
        trial=PlannedTrial(row["block"], request_without_prompt(row["request_json"]), json.loads(row["cell_json"])),
        completion=_completion(row) if has_answer else None,
        error_kind=error_kind,
        error_text=error_text,
        cost_nano_usd=row["cost_nano_usd"],
    )


def _completion(row: sqlite3.Row) -> Completion:
    usage = Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
        prompt_tokens_evaluated=row["prompt_tokens_evaluated"],
    )
    return Completion(
        text=row["text"].decode("utf-8", "surrogatepass"),
        stop_reason=cast("StopReason", row["stop_reason"]),
        usage=usage,
        latency_s=row["latency_s"],
        first_token_s=row["first_token_s"],
        model=row["served_model"],
        request_id=row["request_id"],
        logprobs=logprobs_from_json(row["logprobs_json"]),
        dropped=tuple(json.loads(row["dropped_json"] or "[]")),
    )


def logprobs_to_json(logprobs: tuple[TokenLogprob, ...] | None) -> str | None:
    """JSON has no minus infinity, so null stands for it. Example: [[" 47", -0.25], ["x", null]]."""
    if logprobs is None:
        return None
    return json.dumps([[one.token, None if one.logprob == float("-inf") else one.logprob] for one in logprobs])


def logprobs_from_json(text: str | None) -> tuple[TokenLogprob, ...] | None:
    """What `logprobs_to_json` wrote."""
    if text is None:
        return None
    return tuple(
        TokenLogprob(token, float("-inf") if logprob is None else logprob) for token, logprob in json.loads(text)
    )
