"""From the results of a run to its tables and sentences: the same for the command that ran it and for `runs show`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cli.output import Column, OutputOptions, Table
from cli.tables import (
    emit_both,
    machine_table,
    needle_confusion_table,
    needle_order_tables,
    needle_position_table,
    placement_arm_tables,
    placement_contrast_tables,
    placement_dialogue_table,
)
from probes.experiments import needle_results, placement_results
from probes.plan import Result

Tables = tuple[list[Table], list[Table]]  # whole rows for programs; tables in words for people


def experiment_tables(command: str, probe: str, results: Sequence[Result], meta: Mapping[str, Any]) -> Tables:
    """What a run found, both ways."""
    make = {"needle": _needle_tables, "placement": _placement_tables}[probe]
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


def _needle_tables(command: str, results: Sequence[Result], meta: Mapping[str, Any]) -> Tables:
    scored = needle_results.score_needles(results)
    positions = needle_results.position_rows(scored)
    confusion = needle_results.confusion_rows(scored)
    cells = needle_results.order_depth_rows(scored)
    spread = [each for each in scored if each.result.trial.cell["layout"] == "spread"]
    ends = needle_results.ends_rows(spread, seed=meta["seed"])
    machine = [
        machine_table(command, "position", positions, title="Given when asked and when not", meta=meta),
        machine_table(command, "confusion", confusion, title="Asked against answered"),
        machine_table(command, "order_depth", cells, title="By order and depth"),
        machine_table(command, "ends_less_middle", ends, title="Ends less middle"),
    ]
    people: list[Table] = []
    one_layout = len({row["layout"] for row in positions}) == 1
    other = "cluster@50" if spread else "spread"
    hints = [f"With one layout order and depth cannot be told apart; add another, e.g. --layout {other}."]
    for (model, length, layout), group in needle_results.by_setting(scored).items():
        setting = f"{model}, {length:,} tokens, {layout}"
        found = needle_results.compare_ends(group, seed=meta["seed"]) if layout == "spread" else None
        notes = needle_results.ends_sentences(found) if found else []
        if cut := sum(each.score.outcome == "truncated" for each in group):
            notes.append(f"{cut} of {len(group)} answers were cut and stand in no rate; give more with --max-tokens.")
        key = {"model": model, "length_tokens": length, "layout": layout}
        people.append(needle_position_table(command, f"Given when asked: {setting}", _of(positions, key), notes))
        rows = _of(confusion, key)
        title = f"Asked against answered: {setting}"
        people.append(needle_confusion_table(command, title, rows, hints if one_layout else ()))
    if not one_layout:
        for model, length in dict.fromkeys((row["model"], row["length_tokens"]) for row in cells):
            rows = _of(cells, {"model": model, "length_tokens": length})
            people += needle_order_tables(command, f": {model}, {length:,} tokens", rows)
    return machine, people


def _placement_tables(command: str, results: Sequence[Result], meta: Mapping[str, Any]) -> Tables:
    outcomes = placement_results.read_outcomes(results)
    arms = placement_results.arm_rows(outcomes, seed=meta["seed"])
    contrasts = placement_results.contrast_rows(outcomes, seed=meta["seed"])
    machine = [
        machine_table(command, "arm", arms, title="By arm", meta=meta),
        machine_table(command, "contrast", contrasts, title="Declared contrasts"),
        machine_table(command, "decile", placement_results.decile_rows(outcomes), title="By tenth of the document"),
    ]
    people = []
    for (model, length), blocks in outcomes.items():
        setting = f"{model}, {length:,} tokens"
        key = {"model": model, "length_tokens": length}
        people += placement_arm_tables(command, setting, _of(arms, key))
        if any(row["continued"] is not None for row in _of(arms, key)):
            instructed = placement_results.instructed_summaries({(model, length): blocks})
            note = placement_results.manner_sentence(instructed) if instructed else ""
            people.append(placement_dialogue_table(command, setting, _of(arms, key), note))
        sentences = placement_results.contrast_sentences
        people += placement_contrast_tables(command, setting, _of(contrasts, key), sentences)
    return machine, people


def _of(rows: Sequence[Mapping[str, Any]], key: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in key.items())]
