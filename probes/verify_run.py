"""Is a kept run what it says it is? Its prompts made again, its requests, its answers' texts, its file, its calls."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from probes.identity import identity_hash, prompt_hash
from probes.models.base import Message, canonical_json
from probes.plan import Plan
from probes.store import plan_moved_on, trial_identities
from probes.store_reading import StoreReader
from probes.store_rows import RunRow, TrialRow

Kind = Literal["file", "request", "prompt", "call"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `position` is None where it concerns no single trial.

    `file`: SQLite or a text's hash says so; `request`: a trial is not what its id says; `prompt`: it cannot be made
    again as it was sent; `call`: it was in flight when its process ended.
    """

    kind: Kind
    position: int | None
    trial: str | None
    what: str


def verify_run(store: StoreReader, run: RunRow, plan: Plan | None, why_no_plan: str = "") -> list[Finding]:
    """Everything that is wrong with a run; nothing is changed and no model is called.

    `plan` is the run's, made again from its spec; None where that failed, for the reason `why_no_plan`.
    """
    trials = store.trials(run.id)
    found = [Finding("file", None, None, what) for what in store.damage(run.id)]
    found += _wrong_requests(trials)
    if plan is None:
        found.append(Finding("prompt", None, None, f"the prompts cannot be made again: {why_no_plan}"))
    else:
        found += _wrong_prompts(store, run, trials, plan)
    own = {trial.result.trial_id for trial in trials}
    for call in store.dead_calls():
        if call.trial_id in own:
            what = f"call {call.id} of {call.started_utc} was in flight when its process ended"
            found.append(Finding("call", None, call.trial_id, what))
    return found


def known_prompts(store: StoreReader, trials: Iterable[TrialRow], plan: Plan | None) -> dict[str, tuple[Message, ...]]:
    """The messages as sent, by their hash: kept ones, and those of the plan made again. What is neither is not there.

    A prompt with another hash never stands in for the one that was sent.
    """
    wanted = {trial.prompt_hash for trial in trials}
    made_again = {prompt_hash(trial.request): trial.request.messages for trial in (plan.trials if plan else ())}
    found = {name: made_again.get(name) or store.kept_prompt(name) for name in wanted}
    return {name: messages for name, messages in found.items() if messages is not None}


def changed_files(run: RunRow) -> list[str]:
    """Files that the run's texts came from and that are gone, or were written to after the run was begun.

    Where the prompts of a run cannot be made again, these are why; with none, the program has changed.
    """
    begun = datetime.fromisoformat(run.created_utc)
    return [name for name in files_of(run.spec) if (when := _written(Path(name))) is None or when > begun]


def files_of(spec: Mapping[str, Any]) -> list[str]:
    """The user's own files that a run's prompts are made of."""
    several = [name for key in ("haystack", "document") for name in spec.get(key) or []]
    single = [spec[key] for key in ("needles", "instruction_file") if spec.get(key)]
    return [*map(str, several), *map(str, single)]


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _wrong_requests(trials: Iterable[TrialRow]) -> list[Finding]:
    found = []
    for trial in trials:
        trial_id = trial.result.trial_id
        whose = "the answer belongs to another request" if trial.result.completion else "it is another request"
        if identity_hash(trial.request_json) != trial_id:
            found.append(Finding("request", trial.position, trial_id, f"the trial's id is not that of it: {whose}"))
        elif json.loads(trial.request_json)["prompt"] != trial.prompt_hash:
            found.append(Finding("request", trial.position, trial_id, "the prompt's hash is not that of the request"))
    return found


def _wrong_prompts(store: StoreReader, run: RunRow, trials: list[TrialRow], plan: Plan) -> list[Finding]:
    named = [{"name": name, "identity": identity} for name, identity in zip(run.models, run.identities, strict=True)]
    expected = trial_identities(plan_moved_on(plan, run.fresh_offset or 0), named)
    found = []
    if len(expected) != len(trials):
        what = f"the plan made again has {len(expected)} trials, the run has {len(trials)}"
        found.append(Finding("prompt", None, None, what))
    for trial, identity in zip(trials, expected, strict=False):
        trial_id = trial.result.trial_id
        if identity["prompt"] != trial.prompt_hash:
            if store.kept_prompt(trial.prompt_hash) is None:
                what = "the prompt made again is not the one that was sent"
                found.append(Finding("prompt", trial.position, trial_id, what))
        elif identity_hash(canonical_json(identity)) != trial_id:
            what = "the prompt is the same, but what else was sent has changed"
            found.append(Finding("request", trial.position, trial_id, what))
    return found
