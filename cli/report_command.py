"""`needlepoint runs report`: one HTML page about one or several kept runs. No model is called."""

from collections.abc import Sequence
from pathlib import Path

import click

from cli.experiment_tables import experiment_tables
from cli.output import Table, write_atomically
from cli.run_views import made_again, readable_results
from cli.visible import visible
from probes.report import Material, WordTable, render
from probes.store import RunRow, Store
from probes.verify_run import known_prompts


def report_runs(store: Store, names: Sequence[str], *, path: Path | None, most_exchanges: int) -> None:
    """Write the page about the named runs to a file, or to stdout where there is none.

    UserError: there is no such run, its prompts are needed and cannot be made again, or a library is not installed.
    """
    runs = list({run.id: run for run in map(store.find_run, names)}.values())  # a run named twice is shown once
    page = render([material_of(store, run) for run in runs], visible=visible, most_exchanges=most_exchanges)
    data = page.encode("utf-8")
    if path is None:
        click.echo(data, nl=False)
    else:
        write_atomically(path, data)


def material_of(store: Store, run: RunRow) -> Material:
    """All that a report needs of a run: its tables as `runs show` has them, its prompts, answers and costs."""
    trials = store.trials(run.id)
    results = readable_results(store, run, trials)
    machine, people = experiment_tables("runs report", run.probe, results, {"run": run.id, **run.spec})
    if run.probe == "placement":  # these results hold their prompts already
        prompts, missing = {each.trial_id: each.trial.request.messages for each in results}, ""
    else:
        plan, why = made_again(run)
        known = known_prompts(store, trials, plan)
        prompts = {each.result.trial_id: known[each.prompt_hash] for each in trials if each.prompt_hash in known}
        missing = "" if len(prompts) == len({each.result.trial_id for each in trials}) else why or "they have changed"
    return Material(
        id=run.id,
        probe=run.probe,
        spec=run.spec,
        created_utc=run.created_utc,
        code_version=run.code_version,
        identities=dict(zip(run.models, run.identities, strict=True)),
        results=results,
        rows={table.key: table.rows for table in machine},
        tables=[word_table(table) for table in people],
        prompts=prompts,
        no_prompts=missing,
        answered_before=sum(each.answered_by not in (None, run.id) for each in trials),
    )


def word_table(table: Table) -> WordTable:
    """A table for people, as the page shows it."""
    return WordTable(
        table.title or table.key,
        [column.title for column in table.columns],
        [[str(row.get(column.key, "")) for column in table.columns] for row in table.rows],
        list(table.notes),
    )
