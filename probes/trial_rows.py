"""Trials as rows that stand alone: what `runs show --answers` and `runs export` give, and what each key means."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from probes.plan import Result
from probes.prices import NANO
from probes.scoring import SCORER, score_cell
from probes.store_rows import RunRow, TrialRow, logprobs_to_json

SCHEMA = "needlepoint.trial/1"
CELL = "cell_"
MEANINGS = {
    "schema": f"{SCHEMA}; within it keys are only added",
    "run": "id of the run",
    "probe": "needle, placement or judge",
    "code_version": "version of needlepoint that planned the run",
    "created_utc": "when the run was begun",
    "position": "place in the plan, from 0: model after model, trial after trial",
    "trial": "id of the exact request: t1: and the SHA-256 of `request` as canonical JSON",
    "model": "name by which the model was asked for",
    "block": "number of the text, the unit of all statistics",
    "cell_*": "one key for each fact of the trial's cell that is a word or a number",
    "state": "answered, failed (may be tried again), rejected (for good) or missing",
    "scorer": "name and version of the scorer that `outcome` and the next three are by",
    "outcome": "hit, miss, refusal, truncated or error, for judges read and unreadable in place of hit and miss; null "
    "where there is nothing to judge",
    "given": "the planted values that the answer gives, by their number in the cell's values; for judges, the values "
    "that the judge finds stated",
    "lenient": "whether the right value is there, whatever else is",
    "share": "how much of what was to be given in full was given, 0-1",
    "contradicted": "the values that a judge finds contradicted, by their number; in judges' runs only",
    "rating": "a judge's rating of the answer, 1 to 5; in judges' runs only",
    "answer": "text of the answer",
    "logprob_nats": "log-probability of the whole continuation, where that was measured",
    "logprobs": "[[token, natural logarithm of its probability], ...]; null for minus infinity",
    "stop_reason": "why the answer ended: stop, max_tokens, refusal, context_full or other",
    "served_model": "what the server called the model",
    "input_tokens": "tokens of the prompt, by the server",
    "output_tokens": "tokens of the answer",
    "cache_read_tokens": "tokens of the prompt that came from a cache",
    "cache_write_tokens": "tokens of the prompt that were put into one",
    "reasoning_tokens": "tokens of the answer that nobody sees",
    "prompt_tokens_evaluated": "tokens of the prompt that were computed",
    "latency_s": "seconds of the call that was answered",
    "first_token_s": "seconds of it before the first token",
    "cost_usd": "what that call cost; null where the price is unknown, never 0",
    "calls": "calls that this run made for the trial",
    "answered_by": "run whose call was answered; an earlier one where its answer was used again",
    "dropped": "parameters that the model does not take and that were left out",
    "error_kind": "what went wrong with the last call, in a word",
    "error_text": "and in a sentence, without keys",
    "cell": "the whole cell, as JSON",
    "request": "identity of the request: the model's, the prompt's hash, and what else was sent",
    "spec": "the experiment after its defaults",
}
JUDGES_ONLY = ("contradicted", "rating")
FULL_ONLY = ("schema", "run", "probe", "code_version", "created_utc", "logprobs", "cell", "request", "spec")


class Judged(NamedTuple):
    """What a scorer says of a trial; all None where there is nothing to judge: no call yet, or no answer wanted.

    What only judges say (`JUDGES_ONLY`) is None for all other probes.
    """

    scorer: str | None = None
    outcome: str | None = None
    given: Sequence[int] | None = None
    lenient: bool | None = None
    share: float | None = None
    contradicted: Sequence[int] | None = None
    rating: int | None = None


def judged(probe: str, result: Result, scorer: str | None = None) -> Judged:
    """The verdict on one trial, by the probe's own scorer unless a needle's answer is to be read by another.

    UsageError: there is no such scorer.
    """
    if result.completion is None and result.error_kind is None:
        return Judged()
    cell = result.trial.cell
    if probe == "needle":
        if cell.get("measure", "answer") != "answer":
            return Judged()
        score = score_cell(result.completion, cell, scorer or SCORER)
        return Judged(scorer or SCORER, score.outcome, score.given, score.lenient, score.share)
    if probe == "judge":
        return _by_a_judge(result)
    if cell["measure"] != "coverage":
        return Judged()
    from probes.experiments import placement_results  # late: it brings all statistics along

    summary = placement_results.read_summary(result.completion, result.trial)
    return Judged(placement_results.SCORER, summary.outcome, summary.covered)


def _by_a_judge(result: Result) -> Judged:
    from probes.experiments import judge_results

    read = judge_results.read_judged(result)
    verdict = Judged(judge_results.SCORER, read.outcome)
    if read.said is None:
        return verdict
    said = read.said
    return verdict._replace(given=said.stated, contradicted=said.contradicted, rating=said.rating)


def full_row(run: RunRow, trial: TrialRow) -> dict[str, Any]:
    """One trial with everything that `MEANINGS` says, so that it can be read back without a store."""
    row = trial_row(run.probe, trial)
    head = {
        "schema": SCHEMA,
        "run": run.id,
        "probe": run.probe,
        "code_version": run.code_version,
        "created_utc": run.created_utc,
    }
    completion = trial.result.completion
    logprobs = logprobs_to_json(completion.logprobs) if completion else None
    tail = {
        "logprobs": json.loads(logprobs) if logprobs else None,
        "cell": dict(trial.result.trial.cell),
        "request": json.loads(trial.request_json),
        "spec": dict(run.spec),
    }
    return in_order({**head, **row, **tail})


def trial_row(probe: str, trial: TrialRow) -> dict[str, Any]:
    """One trial as people who look at answers want it: all but what is the same in the whole run."""
    result, completion = trial.result, trial.result.completion
    verdict = judged(probe, result)._asdict()
    if probe != "judge":
        verdict = {key: value for key, value in verdict.items() if key not in JUDGES_ONLY}
    row: dict[str, Any] = {
        "position": trial.position,
        "trial": result.trial_id,
        "model": result.model,
        "block": result.trial.block,
        **flat_cell(result.trial.cell),
        "state": trial.state,
        **verdict,
        "cost_usd": None if trial.cost_nano_usd is None else trial.cost_nano_usd / NANO,
        "calls": trial.calls,
        "answered_by": trial.answered_by,
        "error_kind": result.error_kind,
        "error_text": result.error_text,
    }
    if completion is not None:
        measured = result.trial.request.continuation is not None and completion.logprobs is not None
        row |= {
            "answer": completion.text,
            "logprob_nats": sum(one.logprob for one in completion.logprobs or ()) if measured else None,
            "stop_reason": completion.stop_reason,
            "served_model": completion.model,
            "input_tokens": completion.usage.input_tokens,
            "output_tokens": completion.usage.output_tokens,
            "cache_read_tokens": completion.usage.cache_read_tokens,
            "cache_write_tokens": completion.usage.cache_write_tokens,
            "reasoning_tokens": completion.usage.reasoning_tokens,
            "prompt_tokens_evaluated": completion.usage.prompt_tokens_evaluated,
            "latency_s": completion.latency_s,
            "first_token_s": completion.first_token_s,
            "dropped": list(completion.dropped),
        }
    return in_order(row)


def flat_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a cell that are words or numbers, as `cell_KEY`. Lists stand in the whole cell only."""
    return {
        f"{CELL}{key}": value for key, value in cell.items() if key != "block" and not isinstance(value, list | dict)
    }


def keys_of(rows: Sequence[Mapping[str, Any]], *, full: bool) -> list[str]:
    """The keys of all rows in the order of `MEANINGS`; those of cells in the order in which they first come."""
    cells = list(dict.fromkeys(key for row in rows for key in row if key.startswith(CELL)))
    absent = [key for key in JUDGES_ONLY if not any(key in row for row in rows)]
    known = [key for key in MEANINGS if key not in absent and (full or key not in FULL_ONLY)]
    return [key for name in known for key in (cells if name == f"{CELL}*" else [name])]


def in_order(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its keys in the order of `MEANINGS`."""
    return {key: row[key] for key in keys_of([row], full=True) if key in row}
