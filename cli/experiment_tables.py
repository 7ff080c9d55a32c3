"""From the results of a run to its tables and sentences: the same for the command that ran it and for `runs show`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cli.judge_tables import judge_findings
from cli.needle_findings import needle_findings
from cli.output import Column, OutputOptions, Table
from cli.placement_tables import placement_findings
from cli.tables import emit_both
from probes.plan import Result

Tables = tuple[list[Table], list[Table]]  # whole rows for programs; tables in words for people


def experiment_tables(command: str, probe: str, results: Sequence[Result], meta: Mapping[str, Any]) -> Tables:
    """What a run found, both ways."""
    make = {"needle": needle_findings, "placement": placement_findings, "judge": judge_findings}[probe]
    return make(command, results, meta)


def emit_experiments(found: Sequence[Tables], output: OutputOptions) -> None:
    """Show what one or several runs found, as one output in the form that was asked for.

    With several, each row begins with the number of its experiment, and `meta` holds that of each.
    """
    if len(found) == 1:
        machine, people = found[0]
        emit_both(machine, people, output)
        return
    meta = {f"experiment_{number}": machine[0].meta for number, (machine, _) in enumerate(found, 1)}
    numbered = [
        replace(
            table,
            columns=[Column("experiment", "experiment"), *table.columns],
            rows=[{"experiment": number, **row} for row in table.rows],
            meta=meta,
        )
        for number, (machine, _) in enumerate(found, 1)
        for table in machine
    ]
    emit_both(numbered, [table for _, people in found for table in people], output)
