"""What a page shows of a run that was read: its tables, and the prompts of its trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.experiment_tables import experiment_tables
from cli.output import Table
from cli.read_runs import ReadRun
from probes.models.base import Message
from probes.plan import Result
from probes.report import Material, WordTable


def material_of(run: ReadRun) -> Material:
    """Everything that a page shows of a run."""
    rows, tables = _tables(run.probe, run.id, run.spec, run.results)
    prompts = _prompts_of(run)
    known = len(prompts) == len({each.trial_id for each in run.results})
    return Material(
        id=run.id,
        probe=run.probe,
        spec=run.spec,
        created_utc=run.created_utc,
        code_version=run.code_version,
        identities=dict(zip((each.model for each in run.results), run.asked, strict=True)),
        results=run.results,
        rows=rows,
        tables=tables,
        prompts=prompts,
        no_prompts="" if known else run.no_plan or "they have changed",
        answered_before=run.answered_before,
        read_from=run.read_from,
        left_out=run.left_out,
    )


def _tables(
    probe: str, run_id: str, spec: Mapping[str, Any], results: Sequence[Result]
) -> tuple[dict[str, Sequence[Mapping[str, Any]]], list[WordTable]]:
    """The tables as `runs show` has them: the rows by their names, and the same in words."""
    machine, people = experiment_tables("runs report", probe, results, {"run": run_id, **spec})
    return {table.key: table.rows for table in machine}, [word_table(table) for table in people]


def _prompts_of(run: ReadRun) -> dict[str, Sequence[Message]]:
    """The prompts by their trials, as far as they are known."""
    sent = zip(run.results, run.hashes, strict=True)
    return {each.trial_id: run.prompts[name] for each, name in sent if name in run.prompts}


def word_table(table: Table) -> WordTable:
    """A table for people, as the page shows it."""
    return WordTable(
        table.title or table.key,
        [column.title for column in table.columns],
        [[str(row.get(column.key, "")) for column in table.columns] for row in table.rows],
        list(table.notes),
    )
