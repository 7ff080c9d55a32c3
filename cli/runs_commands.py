"""`needlepoint runs`: what was run, and its tables again, without calling any model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cli.options import OrderedGroup, store_option
from cli.output import Column, OutputOptions, Table, output_options
from cli.tables import emit_both


@click.group(cls=OrderedGroup)
def runs() -> None:
    """See what was run so far, and its results again.

    \b
    needlepoint runs list
    needlepoint runs show latest
    needlepoint runs show latest --json
    """


@runs.command("list")
@store_option
@output_options
def list_runs(store: Path | None, output: OutputOptions) -> None:
    """List the runs in the store, newest first.

    Failed trials are tried again by the same command; lost are calls that a kill or a second Ctrl-C cut off.

    \b
    needlepoint runs list
    needlepoint runs list -d project.db --json
    """
    with _open(store) as opened:
        rows = [
            {
                "run": row.id,
                "probe": row.probe,
                "models": ", ".join(row.models),
                "texts": _texts(row.spec),
                "created_utc": row.created_utc,
                "trials": row.trials,
                "answered": row.answered,
                "failed": row.failed,
                "lost": row.lost,
            }
            for row in opened.runs()
        ]
    columns = [
        Column("run", "Run"),
        Column("probe", "Probe"),
        Column("models", "Models"),
        Column("texts", "Texts"),
        Column("created_utc", "Created (UTC)"),
        *(Column(key, key.capitalize(), align="right") for key in ("trials", "answered", "failed", "lost")),
    ]
    notes = [] if rows else ["No run yet; try: needlepoint probe needle -m sim/u-shape -n 20"]
    table = Table("runs list", columns, rows, title="Runs", notes=notes)
    # A run's id begins with its date, so people need no column for it; the row fits eighty columns then.
    shorter = replace(table, columns=[column for column in columns if column.key != "created_utc"])
    emit_both([table], [shorter], output)


@runs.command("show")
@click.argument("run", default="latest")
@store_option
@output_options
def show_run(run: str, store: Path | None, output: OutputOptions) -> None:
    """Show the tables of a run again: `latest`, or the beginning of its id.

    \b
    needlepoint runs show
    needlepoint runs show latest --json
    needlepoint runs show 2026 -d project.db
    """
    from cli.experiment_runs import plan_again
    from cli.experiment_tables import emit_experiments, experiment_tables

    with _open(store) as opened:
        found = opened.find_run(run)
        meta = {"run": found.id, **found.spec}
        # A needle is scored from the answer alone, which also works where a haystack of the user's own has gone.
        plan = plan_again(found.probe, found.spec) if found.probe == "placement" else None
        tables = experiment_tables("runs show", found.probe, opened.results(found.id, plan), meta)
    emit_experiments([tables], output)


def _texts(spec: Mapping[str, Any]) -> str:
    """How many texts of which lengths: "10 x 500, 1000"."""
    return f"{spec['blocks']} x {', '.join(str(length) for length in spec['lengths'])}"


def _open(path: Path | None) -> Any:
    from cli.experiment_runs import default_store
    from probes.store import Store

    return Store.open(path or default_store())
