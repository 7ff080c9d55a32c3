"""What a report needs of a run, from the store or from a file of exported rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.compare_command import compared_run
from cli.experiment_runs import plan_again
from cli.experiment_tables import experiment_tables
from cli.output import Table
from cli.run_views import made_again, readable_results, readable_rows
from probes.comparison.contenders import ComparedRun
from probes.exported import ExportedRun, read_runs
from probes.identity import prompt_hash
from probes.models.base import Message
from probes.plan import Plan, Result
from probes.report import Material, WordTable
from probes.store import RunRow, Store
from probes.verify_run import known_prompts
from tokenizer.errors import UserError

Prompts = Mapping[str, Sequence[Message]]  # messages by the hash of them


@dataclass(frozen=True, slots=True)
class Reported:
    """A run on a page: what is said of it, and what it is compared by."""

    material: Material
    compared: ComparedRun


def kept_run(store: Store, run: RunRow) -> Reported:
    """A run of the store.

    UserError: it is a placement whose prompts cannot be made again, as coverage is read with the texts.
    """
    trials = store.trials(run.id)
    results = readable_results(store, run, trials)
    hashes = [each.prompt_hash for each in trials]
    prompts: Prompts = {name: each.trial.request.messages for name, each in zip(hashes, results, strict=True)}
    why = ""
    if run.probe != "placement":  # these results hold their prompts already
        plan, why = made_again(run, trials)
        prompts = known_prompts(store, trials, plan)
    rows, tables = _tables(run.probe, run.id, run.spec, results)
    shown, missing = _shown(results, hashes, prompts, why)
    material = Material(
        id=run.id,
        probe=run.probe,
        spec=run.spec,
        created_utc=run.created_utc,
        code_version=run.code_version,
        identities=dict(zip(run.models, run.identities, strict=True)),
        results=results,
        rows=rows,
        tables=tables,
        prompts=shown,
        no_prompts=missing,
        answered_before=sum(each.answered_by not in (None, run.id) for each in trials),
    )
    identities = [json.loads(each.request_json)["model"] for each in trials]
    sent = zip(results, hashes, identities, strict=True)
    return Reported(material, compared_run(run.id, run.probe, run.spec, sent, prompts))


def same_rows(one: Reported, other: Reported) -> bool:
    """Whether two files of one run hold the same of it."""
    return (one.material.spec, one.material.results) == (other.material.spec, other.material.results)


def exported_runs(path: Path) -> list[Reported]:
    """The runs in a file of exported rows, which needs no store; their prompts are made again where that can be done.

    UserError: the file holds no such rows, or its run is a placement whose prompts cannot be made again.
    """
    return [_exported(run, path) for run in read_runs(path)]


def _exported(run: ExportedRun, path: Path) -> Reported:
    results = readable_rows(run, path)
    plan, why = _plan_of(run)
    wanted = set(run.prompt_hashes)
    planned = {prompt_hash(each.request): each.request.messages for each in (plan.trials if plan else ())}
    prompts = {name: messages for name, messages in planned.items() if name in wanted}
    identities = dict(zip((each.model for each in results), run.identities, strict=True))
    rows, tables = _tables(run.probe, run.id, run.spec, results)
    shown, missing = _shown(results, run.prompt_hashes, prompts, why)
    material = Material(
        id=run.id,
        probe=run.probe,
        spec=run.spec,
        created_utc=run.created_utc,
        code_version=run.code_version,
        identities=identities,
        results=results,
        rows=rows,
        tables=tables,
        prompts=shown,
        no_prompts=missing,
        answered_before=run.answered_before,
        read_from=path.name,
        left_out=max(0, len(plan.trials) * len(identities) - len(results)) if plan else 0,
    )
    sent = zip(results, run.prompt_hashes, run.identities, strict=True)
    return Reported(material, compared_run(run.id, run.probe, run.spec, sent, prompts))


def _plan_of(run: ExportedRun) -> tuple[Plan | None, str]:
    """The plan that the rows are of, made again, or why it cannot be."""
    try:
        return plan_again(run.probe, run.spec, [each.trial.cell for each in run.results]), ""
    except UserError as err:
        return None, str(err)


def _tables(
    probe: str, run_id: str, spec: Mapping[str, Any], results: Sequence[Result]
) -> tuple[dict[str, Sequence[Mapping[str, Any]]], list[WordTable]]:
    """The tables as `runs show` has them: the rows by their names, and the same in words."""
    machine, people = experiment_tables("runs report", probe, results, {"run": run_id, **spec})
    return {table.key: table.rows for table in machine}, [word_table(table) for table in people]


def _shown(
    results: Sequence[Result], hashes: Sequence[str], prompts: Prompts, why: str
) -> tuple[dict[str, Sequence[Message]], str]:
    """The prompts by their trials, as far as they are known, and why not all of them are."""
    shown = {each.trial_id: prompts[name] for each, name in zip(results, hashes, strict=True) if name in prompts}
    missing = "" if len(shown) == len({each.trial_id for each in results}) else why or "they have changed"
    return shown, missing


def word_table(table: Table) -> WordTable:
    """A table for people, as the page shows it."""
    return WordTable(
        table.title or table.key,
        [column.title for column in table.columns],
        [[str(row.get(column.key, "")) for column in table.columns] for row in table.rows],
        list(table.notes),
    )
