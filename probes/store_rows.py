"""What the run store asks its file, and how rows become results again."""

import json
import sqlite3
from typing import cast

from probes.identity import request_without_prompt
from probes.models.base import Completion, StopReason, TokenLogprob, Usage
from probes.plan import PlannedTrial, Result

UNFINISHED = """
    select id from runs where plan_hash = ? and exists (
        select 1 from run_trials where run_id = runs.id and trial_id not in (select trial_id from completions))
    order by rowid desc limit 1"""

RUNS = """
    select runs.*, count(position) as trials, count(completions.trial_id) as answered,
        count(case when completions.trial_id is null and last.status = 'error' then 1 end) as failed,
        (select count(*) from attempts where run_id = runs.id and status = 'lost') as lost
    from runs left join run_trials on run_trials.run_id = runs.id
        left join completions on completions.trial_id = run_trials.trial_id
        left join attempts as last on last.id = (
            select max(id) from attempts where trial_id = run_trials.trial_id)
    group by runs.id order by runs.rowid desc"""

STATES = """
    select completions.trial_id is not null as answered, last.status, last.error_kind
    from run_trials left join completions using (trial_id) left join attempts as last on last.id = (
            select max(id) from attempts where trial_id = run_trials.trial_id)
    where run_trials.run_id = ? order by position"""

RESULTS = """
    select run_trials.*, request_json, completions.*, blobs.body as text, made.latency_s, made.request_id,
        last.status, last.error_kind, last.error_text
    from run_trials join trials on trials.id = run_trials.trial_id
        left join completions on completions.trial_id = run_trials.trial_id
        left join blobs on blobs.hash = completions.text_hash
        left join attempts as made on made.id = completions.attempt_id
        left join attempts as last on completions.trial_id is null and last.id = (
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


def result(row: sqlite3.Row) -> Result:
    """One row of RESULTS as the planned trial and what became of it."""
    failed = row["status"] == "error"
    return Result(
        model=row["model"],
        trial_id=row["trial_id"],
        trial=PlannedTrial(row["block"], request_without_prompt(row["request_json"]), json.loads(row["cell_json"])),
        completion=None if row["text"] is None else _completion(row),
        error_kind=row["error_kind"] if failed else None,
        error_text=row["error_text"] if failed else None,
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
        logprobs=_logprobs_from_json(row["logprobs_json"]),
    )


def logprobs_to_json(logprobs: tuple[TokenLogprob, ...] | None) -> str | None:
    """JSON has no minus infinity, so null stands for it. Example: [[" 47", -0.25], ["x", null]]."""
    if logprobs is None:
        return None
    return json.dumps([[one.token, None if one.logprob == float("-inf") else one.logprob] for one in logprobs])


def _logprobs_from_json(text: str | None) -> tuple[TokenLogprob, ...] | None:
    if text is None:
        return None
    return tuple(
        TokenLogprob(token, float("-inf") if logprob is None else logprob) for token, logprob in json.loads(text)
    )
