"""From the results of a run to its tables and sentences: the same for the command that ran it and for `runs show`."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.output import OutputOptions, Table
from cli.tables import (
    emit_both,
    machine_table,
    needle_confusion_table,
    needle_order_tables,
    needle_position_table,
    placement_arm_tables,
    placement_contrast_tables,
)
from probes.experiments import needle_results, placement_results
from probes.plan import Result

Tables = tuple[list[Table], list[Table]]  # whole rows for programs; tables in words for people


def emit_experiment(
    command: str, probe: str, results: Sequence[Result], meta: Mapping[str, Any], output: OutputOptions
) -> None:
    """Show what a run found, in the form that was asked for."""
    make = {"needle": _needle_tables, "placement": _placement_tables}[probe]
    machine, people = make(command, results, meta)
    emit_both(machine, people, output)


def _needle_tables(command: str, results: Sequence[Result], meta: Mapping[str, Any]) -> Tables:
    scored = needle_results.score_needles(results)
    positions = needle_results.position_rows(scored)
    confusion = needle_results.confusion_rows(scored)
    cells = needle_results.order_depth_rows(scored)
    machine = [
        machine_table(command, "position", positions, title="Given when asked and when not", meta=meta),
        machine_table(command, "confusion", confusion, title="Asked against answered"),
        machine_table(command, "order_depth", cells, title="By order and depth"),
    ]
    people: list[Table] = []
    one_layout = len({row["layout"] for row in positions}) == 1
    hints = ["Here order and depth go together; another --layout, e.g. cluster@50, tells them apart."]
    for (model, length, layout), group in needle_results.by_setting(scored).items():
        setting = f"{model}, {length:,} tokens, {layout}"
        found = needle_results.compare_ends(group, seed=meta["seed"]) if layout == "spread" else None
        notes = needle_results.ends_sentences(found) if found else []
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
    for model, length in outcomes:
        setting = f"{model}, {length:,} tokens"
        key = {"model": model, "length_tokens": length}
        people += placement_arm_tables(command, setting, _of(arms, key))
        sentences = placement_results.contrast_sentences
        people += placement_contrast_tables(command, setting, _of(contrasts, key), sentences)
    return machine, people


def _of(rows: Sequence[Mapping[str, Any]], key: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in key.items())]
