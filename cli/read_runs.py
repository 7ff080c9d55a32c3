"""Runs as they are read for a page or a comparison: from the store, or from a file of exported rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.experiment_runs import plan_again
from cli.run_views import made_again, readable_results, readable_rows
from probes.comparison.contenders import ComparedRun, compared_run
from probes.exported import ExportedRun, read_runs
from probes.identity import prompt_hash
from probes.models.base import Message
from probes.plan import Plan, Result
from probes.store import RunRow, Store
from probes.verify_run import known_prompts
from tokenizer.errors import UserError

Prompts = Mapping[str, Sequence[Message]]  # messages by the hash of them


@dataclass(frozen=True, slots=True)
class ReadRun:
    """One run with all that a page or a comparison takes of it.

    `hashes` and `asked` stand beside the results: the hash of each one's prompt, and the identity of the model that
    was asked. `prompts`: the messages by their hashes, as far as they are known, and `no_plan` why the plan that they
    are of cannot be made again. `answered_before`: how many trials were answered by an earlier run. `read_from`: the
    name of the file whose exported rows these are, and `left_out` how many trials of the plan are not in it.
    """

    id: str
    probe: str
    spec: Mapping[str, Any]
    created_utc: str
    code_version: str
    results: Sequence[Result]
    hashes: Sequence[str]
    asked: Sequence[Mapping[str, Any]]
    prompts: Prompts
    no_plan: str = ""
    answered_before: int = 0
    read_from: str = ""
    left_out: int = 0

    def compared(self) -> ComparedRun:
        """The run as it is compared."""
        sent = zip(self.results, self.hashes, self.asked, strict=True)
        return compared_run(self.id, self.probe, self.spec, sent, self.prompts)


def kept_run(store: Store, run: RunRow) -> ReadRun:
    """A run of the store.

    UserError: it is a placement whose prompts cannot be made again, as coverage is read with the texts.
    """
    trials = store.trials(run.id)
    results = readable_results(store, run, trials)
    hashes = [each.prompt_hash for each in trials]
    prompts, why = _prompts_held(results, hashes), ""
    if run.probe != "placement":  # those results hold their prompts already
        plan, why = made_again(run, trials)
        prompts = known_prompts(store, trials, plan)
    return ReadRun(
        id=run.id,
        probe=run.probe,
        spec=run.spec,
        created_utc=run.created_utc,
        code_version=run.code_version,
        results=results,
        hashes=hashes,
        asked=[json.loads(each.request_json)["model"] for each in trials],
        prompts=prompts,
        no_plan=why,
        answered_before=sum(each.answered_by not in (None, run.id) for each in trials),
    )


def exported_runs(path: Path, *, with_plans: bool) -> list[ReadRun]:
    """The runs in a file of exported rows, which needs no store.

    `with_plans`: the plan of each is made again, where that can be done, which tells its prompts and how many of its
    trials are not in the file. Without it, prompts are known of placements only, as coverage is read with the texts.

    UserError: the file holds no such rows, or its run is a placement whose prompts cannot be made again.
    """
    return [_exported(run, path, with_plan=with_plans) for run in read_runs(path)]


def _exported(run: ExportedRun, path: Path, *, with_plan: bool) -> ReadRun:
    results = readable_rows(run, path)
    plan, why = _plan_of(run) if with_plan else (None, "")
    prompts = _prompts_held(results, run.prompt_hashes)
    if plan is not None and run.probe != "placement":
        planned = {prompt_hash(each.request): each.request.messages for each in plan.trials}
        prompts = {name: planned[name] for name in run.prompt_hashes if name in planned}
    models = len({each.model for each in results})
    return ReadRun(
        id=run.id,
        probe=run.probe,
        spec=run.spec,
        created_utc=run.created_utc,
        code_version=run.code_version,
        results=results,
        hashes=run.prompt_hashes,
        asked=run.identities,
        prompts=prompts,
        no_plan=why,
        answered_before=run.answered_before,
        read_from=path.name,
        left_out=max(0, len(plan.trials) * models - len(results)) if plan else 0,
    )


def _plan_of(run: ExportedRun) -> tuple[Plan | None, str]:
    """The plan that the rows are of, made again, or why it cannot be."""
    try:
        return plan_again(run.probe, run.spec, [each.trial.cell for each in run.results]), ""
    except UserError as err:
        return None, str(err)


def _prompts_held(results: Sequence[Result], hashes: Sequence[str]) -> Prompts:
    """The prompts that the results hold themselves."""
    held = zip(hashes, results, strict=True)
    return {name: messages for name, each in held if (messages := each.trial.request.messages)}
