"""From the results of a needle run to its tables and sentences."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cli import needle_tables
from cli.output import Table
from cli.tables import Row, machine_table
from probes.experiments import (
    needle_contrasts,
    needle_controls,
    needle_ends,
    needle_likelihood,
    needle_rates,
    needle_results,
    needle_sentences,
)
from probes.experiments.needle_factors import DECLARED
from probes.plan import Result
from probes.scoring import SCORER

Rows = list[dict[str, Any]]
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
    "length_interaction": "Contrasts against the length",
    "temperature": "By temperature",
    "effective_length": "Effective length",
}


def needle_findings(
    command: str, results: Sequence[Result], meta: Mapping[str, Any]
) -> tuple[list[Table], list[Table]]:
    """The whole rows of every table for programs, and tables in words for people.

    `meta` holds the run's spec: its seed, what was declared, and how many points are as good as no effect.
    """
    scored = needle_results.score_needles(results, meta.get("scorer", SCORER))
    found = needle_rows(results, scored, meta)
    machine = [
        machine_table(command, name, found[name], title=title, meta=meta) for name, title in NEEDLE_TITLES.items()
    ]
    people = [
        *_position_tables(command, scored, found, meta["seed"]),
        *_depth_tables(command, found),
        *_control_tables(command, found),
        *_likelihood_tables(command, found["likelihood"]),
        *_contrast_tables(command, found["contrast"]),
        *_interaction_tables(command, found["length_interaction"]),
        *_temperature_tables(command, found["temperature"]),
    ]
    return machine, people


def needle_rows(
    results: Sequence[Result], scored: Sequence[needle_results.Scored], meta: Mapping[str, Any]
) -> dict[str, Rows]:
    """The rows of every table, by the names of NEEDLE_TITLES."""
    seed: int = meta["seed"]
    known, held = needle_controls.known_items(scored), needle_likelihood.read_likelihoods(results)
    declared, points = declared_factors(meta), meta.get("equivalence", needle_contrasts.EQUIVALENCE_POINTS)
    return {
        "position": needle_results.position_rows(scored),
        "confusion": needle_results.confusion_rows(scored),
        "order_depth": needle_results.order_depth_rows(scored),
        "ends_less_middle": needle_ends.ends_rows(scored, seed=seed),
        "retrieval": needle_rates.retrieval_rows(scored, seed=seed, known=known),
        "control": needle_controls.control_rows(scored, seed=seed),
        "likelihood": needle_likelihood.likelihood_rows(results, seed=seed),
        "contrast": needle_contrasts.contrast_rows(scored, seed=seed, held=held, points=points, declared=declared),
        "length_interaction": needle_contrasts.length_interaction_rows(scored, seed=seed, held=held, declared=declared),
        "temperature": needle_rates.temperature_rows(scored, seed=seed),
        "effective_length": needle_rates.effective_length_rows(scored, seed=seed),
    }


def declared_factors(spec: Mapping[str, Any]) -> Collection[str]:
    """The factors whose contrasts a run declared; those of earlier runs, which did not say, are always the same."""
    declared = spec.get("declared")
    return DECLARED if declared is None else {contrast["factor"] for contrast in declared["contrasts"]}


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
            compared = needle_ends.compare_ends(group, seed=seed)
        notes = needle_ends.absent_sentences(compared) if compared else []
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
    for rows in _grouped(found["effective_length"]):
        if _setting(rows[0]) in {setting._replace(length_tokens=None) for setting in settings}:  # type: ignore[arg-type]
            words = setting_words(_setting(rows[0]), length=False)
            notes = needle_rates.effective_length_sentences(rows)
            tables.append(needle_tables.effective_length_table(command, f"Effective length: {words}", rows, notes))
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
        lengths = _of(found["effective_length"], key)
        notes = [needle_rates.precision_sentence(group)]
        if several and all(row["depth"] is not None for row in group):
            tables += needle_tables.heat_maps(command, words, group, notes)
        else:
            tables.append(needle_tables.retrieval_table(command, f"Found: {words}", group, notes))
        if lengths:
            notes = needle_rates.effective_length_sentences(lengths)
            tables.append(needle_tables.effective_length_table(command, f"Effective length: {words}", lengths, notes))
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
    """A table for each model, task, factor and outcome, over all its settings; in words each where there are few."""
    tables = []
    for group in _grouped(rows, by=("model", "task", "factor", "outcome")):
        families = _grouped(group)
        if len(families) == 1:
            words = setting_words(_setting(group[0]), length=group[0]["factor"] != "length_tokens")
            notes = needle_sentences.contrast_sentences(group)
        else:
            words = f"{group[0]['model']}, {group[0]['task']}"
            notes = needle_sentences.families_sentences(group, families=len(families))
        kind = "Paired" if group[0]["declared"] else "Exploratory, paired"
        title = f"{kind}, {_factor_words(group[0])}: {words}"
        tables.append(needle_tables.contrast_table(command, title, group, notes))
    return tables


def _interaction_tables(command: str, rows: Sequence[Row]) -> list[Table]:
    """How each contrast changes with the length; a table for each model, task, factor and outcome."""
    tables = []
    for group in _grouped(rows, by=("model", "task", "factor", "outcome")):
        families = _grouped(group)
        words = f"{group[0]['model']}, {group[0]['task']}"
        notes = (
            needle_sentences.interaction_sentences(group)
            if len(families) == 1
            else needle_sentences.families_sentences(group, families=len(families))
        )
        kind = "" if group[0]["declared"] else "Exploratory, "
        title = f"{kind}{_factor_words(group[0])} against length: {words}"
        tables.append(needle_tables.interaction_table(command, title[:1].upper() + title[1:], group, notes))
    return tables


def _factor_words(row: Row) -> str:
    """A factor and, where it is not the rate of right answers, its outcome, as in a title."""
    name = str(row["factor"]).removesuffix("_tokens").replace("_", " ")
    outcome = {"right_rate": "", "given_rate": ", given when asked"}.get(row["outcome"])
    return name + (f", {row['outcome'].partition('_')[0]}" if outcome is None else outcome)


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


def _of(rows: Sequence[Row], key: Row) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in key.items())]
