"""From the results of a run to its tables and sentences: the same for the command that ran it and for `runs show`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cli import needle_tables
from cli.output import Column, OutputOptions, Table
from cli.tables import (
    Row,
    emit_both,
    machine_table,
    placement_arm_tables,
    placement_contrast_tables,
    placement_dialogue_table,
)
from probes.experiments import (
    needle_contrasts,
    needle_controls,
    needle_likelihood,
    needle_rates,
    needle_results,
    placement_results,
)
from probes.plan import Result
from probes.scoring import SCORER

Tables = tuple[list[Table], list[Table]]  # whole rows for programs; tables in words for people
# The tables of a needle run by their names in the machine forms, in their order.
NEEDLE_TITLES = {
    "position": "Given when asked and when not",
    "confusion": "Asked against answered",
    "order_depth": "By order and depth",
    "ends_less_middle": "Ends less middle",
    "retrieval": "Right answers",
    "control": "Controls",
    "likelihood": "Likelihood of the values",
    "contrast": "Paired contrasts",
    "temperature": "By temperature",
    "effective_length": "Effective length",
}


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
    seed = meta["seed"]
    scored = needle_results.score_needles(results, meta.get("scorer", SCORER))
    known = needle_controls.known_items(scored)
    found: dict[str, list[dict[str, Any]]] = {
        "position": needle_results.position_rows(scored),
        "confusion": needle_results.confusion_rows(scored),
        "order_depth": needle_results.order_depth_rows(scored),
        "ends_less_middle": needle_results.ends_rows(scored, seed=seed),
        "retrieval": needle_rates.retrieval_rows(scored, seed=seed, known=known),
        "control": needle_controls.control_rows(scored, seed=seed),
        "likelihood": needle_likelihood.likelihood_rows(results, seed=seed),
        "contrast": needle_contrasts.contrast_rows(scored, seed=seed),
        "temperature": needle_rates.temperature_rows(scored, seed=seed),
        "effective_length": needle_rates.effective_length_rows(scored, seed=seed),
    }
    machine = [
        machine_table(command, name, found[name], title=title, meta=meta) for name, title in NEEDLE_TITLES.items()
    ]
    people = [
        *_position_tables(command, scored, found, seed),
        *_depth_tables(command, found),
        *_control_tables(command, found),
        *_likelihood_tables(command, found["likelihood"]),
        *_contrast_tables(command, found["contrast"]),
        *_temperature_tables(command, found["temperature"]),
    ]
    return machine, people


def _position_tables(
    command: str, scored: Sequence[needle_results.Scored], found: Mapping[str, Sequence[Row]], seed: int
) -> list[Table]:
    """For tasks with several keys: what is given when asked and when not, and what was asked against what was given."""
    tables: list[Table] = []
    settings = needle_results.several_keys(scored)
    spread = any(not setting.layout.startswith("cluster") for setting in settings)
    one_layout = len({setting.layout for setting in settings}) == 1
    hints = []
    if one_layout and "-" not in {setting.layout for setting in settings}:
        other = "cluster@50" if spread else "spread"
        hints = [f"With one layout order and depth cannot be told apart; add another, e.g. --layout {other}."]
    for setting, group in settings.items():
        words, key = setting_words(setting), setting._asdict()
        compared = None
        if not setting.layout.startswith("cluster"):
            compared = needle_results.compare_ends(group, seed=seed)
        notes = needle_results.ends_sentences(compared) if compared else []
        if cut := sum(each.score.outcome == "truncated" for each in group):
            notes.append(f"{cut} of {len(group)} answers were cut and stand in no rate; give more with --max-tokens.")
        notes.append(needle_rates.precision_sentence(_of(found["retrieval"], key)))
        rows = _of(found["position"], key)
        tables.append(needle_tables.position_table(command, f"Given when asked: {words}", rows, notes))
        rows = _of(found["confusion"], key)
        tables.append(needle_tables.confusion_table(command, f"Asked against answered: {words}", rows, hints))
    if len({setting.layout for setting in settings}) > 1:
        for rows in _grouped(found["order_depth"], without=("order", "depth", "layout")):
            tables += needle_tables.order_tables(command, f": {setting_words(_setting(rows[0]), layout=False)}", rows)
    return tables


def _depth_tables(command: str, found: Mapping[str, Sequence[Row]]) -> list[Table]:
    """For all other tasks: right answers by depth, and by length where there are several."""
    with_positions = {_setting(row) for row in found["position"]}
    rows = [row for row in found["retrieval"] if _setting(row) not in with_positions]
    tables: list[Table] = []
    for group in _grouped(rows, without=("depth", "length_tokens")):
        several = len({row["length_tokens"] for row in group}) > 1
        words = setting_words(_setting(group[0]), length=not several)
        key = {name: group[0][name] for name in needle_results.Setting._fields if name != "length_tokens"}
        notes = needle_rates.effective_length_sentences(_of(found["effective_length"], key))
        notes.append(needle_rates.precision_sentence(group))
        if several and all(row["depth"] is not None for row in group):
            tables += needle_tables.heat_maps(command, words, group, notes)
        else:
            tables.append(needle_tables.retrieval_table(command, f"Found: {words}", group, notes))
    return tables


def _control_tables(command: str, found: Mapping[str, Sequence[Row]]) -> list[Table]:
    """The controls of each model and task; the absent key stands among the positions already, where there are some."""
    shown = {(row["model"], row["task"]) for row in found["position"]}
    rows = [row for row in found["control"] if row["control"] != "absent" or (row["model"], row["task"]) not in shown]
    tables = []
    for group in _grouped(rows, by=("model", "task")):
        notes = [sentence for row in group for sentence in needle_controls.control_sentences(row)]
        title = f"Controls: {group[0]['model']}, {group[0]['task']}"
        tables.append(needle_tables.control_table(command, title, group, notes))
    return tables


def _likelihood_tables(command: str, rows: Sequence[Row]) -> list[Table]:
    return [
        needle_tables.likelihood_table(
            command,
            f"Likelihood of the values in nats: {setting_words(_setting(group[0]))}",
            group,
            needle_likelihood.likelihood_sentences(group),
        )
        for group in _grouped(rows, without=("depth",))
    ]


def _contrast_tables(command: str, rows: Sequence[Row]) -> list[Table]:
    """A table for each model, task and factor, over all its settings; in words each where there are few."""
    tables = []
    for group in _grouped(rows, by=("model", "task", "factor")):
        factor, families = group[0]["factor"], _grouped(group)
        kind = "Paired" if group[0]["declared"] else "Exploratory, paired"
        name = factor.removesuffix("_tokens").replace("_", " ")
        if len(families) == 1:
            words = setting_words(_setting(group[0]), length=factor != "length_tokens")
            notes = needle_contrasts.contrast_sentences(group)
        else:
            words = f"{group[0]['model']}, {group[0]['task']}"
            notes = needle_contrasts.families_sentences(group, families=len(families))
        tables.append(needle_tables.contrast_table(command, f"{kind}, {name}: {words}", group, notes))
    return tables


def _temperature_tables(command: str, rows: Sequence[Row]) -> list[Table]:
    return [
        needle_tables.temperature_table(command, f"By temperature: {group[0]['model']}, {group[0]['task']}", group)
        for group in _grouped(rows, by=("model", "task"))
    ]


def setting_words(setting: needle_results.Setting, *, length: bool = True, layout: bool = True) -> str:
    """A setting in a title: model, length and layout, and of the rest what is not as usual.

    Example: "sim/u-shape, 1,000 tokens, spread, question before"
    """
    parts = [setting.model]
    parts += [setting.task] if setting.task != "multi-key" else []
    parts += [f"{setting.length_tokens:,} tokens"] if length and setting.length_tokens is not None else []
    parts += [setting.layout] if layout and setting.layout != "-" else []
    usual = {"place": "after", "structure": "plain", "context": "whole", "prompt_style": "ours", "temperature": None}
    parts += [
        needle_tables.setting_part(name, getattr(setting, name))
        for name in usual
        if getattr(setting, name) not in (usual[name], None)
    ]
    return ", ".join(parts)


def _setting(row: Row) -> needle_results.Setting:
    return needle_results.Setting._make(row.get(name) for name in needle_results.Setting._fields)


def _grouped(rows: Sequence[Row], *, without: Sequence[str] = (), by: Sequence[str] = ()) -> list[list[Row]]:
    """Rows that agree in `by`, or in all that makes a setting but `without`, in their order."""
    names = by or [name for name in needle_results.Setting._fields if name not in without]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
    return list(groups.values())


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


def _of(rows: Sequence[Row], key: Row) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in key.items())]
