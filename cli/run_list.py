"""The table of `needlepoint runs list`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cli.output import Column, Table
from probes.prices import NANO

if TYPE_CHECKING:
    from probes.store import RunRow


def run_list(found: "Sequence[RunRow]") -> Table:
    """A row for each run, with all that a script may want."""
    rows = [_list_row(row) for row in found]
    columns = [
        Column("run", "Run"),
        Column("probe", "Probe"),
        Column("models", "Models"),
        Column("texts", "Texts"),
        Column("created_utc", "Created (UTC)"),
        *(Column(key, key.capitalize(), align="right") for key in ("trials", "answered", "failed", "lost")),
        Column("cost_usd", "Cost", align="right"),
        Column("unknown_cost_calls", "Unknown cost", align="right"),
        Column("task", "Task"),
        Column("framing", "Framing"),
        Column("judged_run", "Judged run"),
    ]
    notes = [] if rows else ["No run yet; try: needlepoint probe needle -m sim/u-shape -n 20"]
    return Table("runs list", columns, rows, title="Runs", notes=notes)


def for_people(table: Table) -> Table:
    """What fits eighty columns: no date, as a run's id begins with it, and no column that says nothing."""
    rows = [
        {
            **row,
            "answered": f"{row['answered']}/{row['trials']}",
            "cost": _cost_words(row),
            "probe": f"judge of {row['judged_run']}"
            if row["judged_run"]
            else ", ".join(filter(None, [row["probe"], row["framing"], row["task"]])),
        }
        for row in table.rows
    ]
    columns = [column for column in table.columns if column.key in ("run", "probe", "models", "texts", "answered")]
    for key in ("failed", "lost"):
        if any(row[key] for row in rows):
            columns.append(Column(key, key.capitalize(), align="right"))
    if any(row["cost_usd"] != 0 for row in rows):
        columns.append(Column("cost", "Cost", align="right"))
    return replace(table, columns=columns, rows=rows)


def _list_row(row: "RunRow") -> dict[str, Any]:
    unknown = row.unknown_cost_calls
    return {
        "run": row.id,
        "probe": row.probe,
        "models": ", ".join(row.models),
        "texts": _texts(row.spec),
        "created_utc": row.created_utc,
        "trials": row.trials,
        "answered": row.answered,
        "failed": row.failed,
        "lost": row.lost,
        "cost_usd": None if unknown and not row.known_nano_usd else row.known_nano_usd / NANO,
        "unknown_cost_calls": unknown,
        "task": _words(row.spec.get("task")),
        "framing": _words(row.spec.get("framing")),
        "judged_run": row.spec.get("judged_run"),
    }


def _words(value: Any) -> str | None:
    """What a spec says of a run, one word or several; None where it has no word for it."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _cost_words(row: Mapping[str, Any]) -> str:
    """Example: "$0.0123", "$0.0123 + ?" where the price of some calls is unknown, "?" where it is of all."""
    if row["cost_usd"] is None:
        return "?"
    known = f"${row['cost_usd']:.4f}" if row["cost_usd"] else "-"
    return f"{known} + ?" if row["unknown_cost_calls"] else known


def _texts(spec: Mapping[str, Any]) -> str:
    """How many texts of which lengths: "10 x 500, 1000"."""
    return f"{spec['blocks']} x {', '.join(str(length) for length in spec['lengths'])}"
