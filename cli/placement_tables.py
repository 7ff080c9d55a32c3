"""From the results of a placement run to its tables and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from cli.curves import decile_curves
from cli.output import Table
from cli.placement_contrast_tables import (
    Columns,
    contrast_tables,
    length_tables,
    noise_tables,
    points,
    setting_words,
    table_if_any,
)
from cli.tables import Row, machine_table, numbers, percent, signed
from probes.experiments import placement_contrasts, placement_results, placement_sentences
from probes.experiments.placement_options import INSTRUCTED
from probes.experiments.placement_outcomes import Blocks, Outcomes, Setting, least_measurable
from probes.plan import Result

Rows = list[dict[str, Any]]
# The tables of a placement run by their names in the machine forms, in their order.
PLACEMENT_TITLES = {
    "arm": "By arm",
    "contrast": "Contrasts",
    "decile": "By tenth of the text",
    "position": "Where in the text",
    "kind": "By kind of fact",
    "constraint": "Constraints",
    "length_interaction": "Contrasts against the length",
    "noise": "Arms against samples",
    "cost": "What an answer took",
}
OVER_BLOCKS = "Means over blocks (texts), with 95% intervals that resample blocks"


def placement_findings(
    command: str, results: Sequence[Result], meta: Mapping[str, Any]
) -> tuple[list[Table], list[Table]]:
    """The whole rows of every table for programs, and tables in words for people.

    `meta` holds the run's spec: its seed, and what was declared. The results must hold their prompts.
    """
    outcomes = placement_results.read_outcomes(results)
    found = placement_rows(results, outcomes, meta)
    machine = [
        machine_table(command, name, found[name], title=title, meta=meta) for name, title in PLACEMENT_TITLES.items()
    ]
    people: list[Table] = []
    for setting, blocks in outcomes.items():
        here = {name: _of(rows, setting) for name, rows in found.items()}
        people += _setting_tables(command, setting, blocks, here)
    return machine, people + length_tables(command, outcomes, found["length_interaction"])


def placement_rows(results: Sequence[Result], outcomes: Outcomes, meta: Mapping[str, Any]) -> dict[str, Rows]:
    """The rows of every table, by the table's name."""
    seed, declared = meta["seed"], placement_contrasts.Declared.of_spec(meta)
    return {
        "arm": placement_results.arm_rows(outcomes, seed=seed),
        "contrast": placement_contrasts.contrast_rows(outcomes, seed=seed, declared=declared),
        "decile": placement_results.decile_rows(outcomes, seed=seed),
        "position": placement_results.position_rows(outcomes, seed=seed),
        "kind": placement_results.kind_rows(outcomes, seed=seed),
        "constraint": placement_results.constraint_rows(outcomes, seed=seed),
        "length_interaction": placement_contrasts.length_rows(outcomes, seed=seed, declared=declared),
        "noise": placement_contrasts.noise_rows(outcomes, seed=seed, declared=declared),
        "cost": placement_results.cost_rows(results),
    }


def _of(rows: Sequence[dict[str, Any]], setting: Setting) -> Rows:
    """The rows of one setting; those over several lengths are of none."""
    return [row for row in rows if all(row.get(key) == value for key, value in setting._asdict().items())]


def _setting_tables(command: str, setting: Setting, blocks: Blocks, found: Mapping[str, Rows]) -> list[Table]:
    """Everything about one setting: margins, answers, places, kinds, constraints, contrasts, noise, cost."""
    words = setting_words(setting)
    least = least_measurable(blocks)
    unmeasurable = placement_sentences.measurable_sentence(least)
    summaries = placement_results.instructed_summaries({setting: blocks})
    tables = [
        *_margin_tables(command, words, found["arm"]),
        *_answer_tables(command, words, found["arm"], summaries, unmeasurable),
        *_place_tables(command, words, found["decile"], found["position"]),
        *_kind_tables(command, words, found["kind"]),
        *_constraint_tables(command, words, found["constraint"]),
        *contrast_tables(command, words, found["contrast"]),
    ]
    if unmeasurable is None:
        tables += noise_tables(command, words, found["noise"])
    return tables + _cost_tables(command, words, found["cost"])


# --------------------------------------------------------------------------------------------------- what arms hold


def _arm(row: Row) -> str:
    return str(row["arm"])


def _margin_tables(command: str, words: str, rows: Sequence[Row]) -> list[Table]:
    margins = [row for row in rows if row["margin_blocks"]]
    columns: Columns = [
        ("arm", _arm),
        ("margin (nats)", partial(_with_interval, "margin", "nats")),
        ("log-probability", lambda row: f"{row['logprob_nats']:.2f}"),
        *numbers(("margin_blocks", "blocks")),
    ]
    notes = [f"{OVER_BLOCKS}. The margin is primary; the raw log-probability of the right value stands beside it."]
    return table_if_any(command, f"Availability of the facts: {words}", margins, columns, notes)


def _answer_tables(
    command: str, words: str, rows: Sequence[Row], summaries: Sequence[Any], unmeasurable: str | None
) -> list[Table]:
    """What answers keep, and what they are like; nothing where none was asked for."""
    rows = [row for row in rows if row["coverage_blocks"] or row["error"] or row["refusal"]]
    kept: Columns = [
        ("arm", _arm),
        ("coverage", partial(_with_interval, "coverage", "rate")),
        *numbers(("coverage_blocks", "blocks")),
        ("misbound", lambda row: percent(row["misbound_rate"])),
        ("altered", lambda row: _figure(row["altered"], ".1f")),
        ("order", lambda row: _figure(row["order_tau"], "+.2f") if row["order_blocks"] else "-"),
        ("words", lambda row: _figure(row["words"], ".0f")),
    ]
    about = "altered: numbers an answer beside a fact's name that the text does not hold. order: Kendall's tau-b of the"
    notes = [f"{OVER_BLOCKS}. {about} facts told, 1 as in the text."]
    notes += [_cut_words(rows)] if any(row["truncated"] for row in rows) else []
    notes += [_lost_words(rows)] if any(row["error"] or row["refusal"] for row in rows) else []
    notes += [unmeasurable] if unmeasurable else []
    manner: Columns = [
        ("arm", _arm),
        ("summaries", lambda row: f"{row['summaries']}/{row['answers']}"),
        ("copied", lambda row: percent(row["copied_rate"])),
        ("repeats", lambda row: percent(row["repeated_rate"])),
        *numbers(("refusal", "refused"), ("truncated", "cut"), ("error", "errors")),
    ]
    if any(row["continued"] is not None for row in rows):
        manner.insert(
            2, ("continued the dialogue", lambda row: "-" if row["continued"] is None else str(row["continued"]))
        )
    said = ["summaries: answers in words of their own. copied, repeats: shares of the answers' eight-word runs."]
    if any(each.readable for each in summaries) and _tell_manner(rows, unmeasurable):
        said.append(placement_sentences.manner_sentence(summaries))
    return [
        *table_if_any(command, f"Answers: {words}", rows, kept, notes),
        *table_if_any(command, f"What the answers are like: {words}", rows, manner, said),
    ]


def _tell_manner(rows: Sequence[Row], unmeasurable: str | None) -> bool:
    return unmeasurable is not None or any(row["continued"] is not None for row in rows)


def _cut_words(rows: Sequence[Row]) -> str:
    cut, all_of_them = sum(row["truncated"] for row in rows), sum(row["answers"] for row in rows)
    return f"{cut} of {all_of_them} answers were cut at the token limit; they count as far as they go."


def _lost_words(rows: Sequence[Row]) -> str:
    """What calls that failed and refusals leave open; they are in no rate."""
    lost = [row for row in rows if row["error"] or row["refusal"]]
    bounds = [
        f"{row['arm']} {100 * row['coverage_worst_low']:.0f} to {100 * row['coverage_worst_high']:.0f}%"
        for row in lost
        if row["coverage_worst_low"] is not None
    ]
    count = sum(row["error"] + row["refusal"] for row in lost)
    left_out = "1 failed call or refusal is" if count == 1 else f"{count} failed calls and refusals are"
    return f"{left_out} in no rate. Whatever they had kept, coverage is: {', '.join(bounds)}."


def _place_tables(command: str, words: str, deciles: Sequence[Row], positions: Sequence[Row]) -> list[Table]:
    """Coverage and margin by tenth of the text, and what they are at its ends, in its middle, and on average."""
    tables: list[Table] = []
    for outcome, title in (("coverage_rate", "Coverage"), ("margin_nats", "Margin in nats")):
        prefix = outcome.split("_", maxsplit=1)[0]
        cells = {(row["arm"], row["decile"]): row for row in deciles if row[f"{prefix}_blocks"]}
        show = partial(_tenth_cell, cells, outcome)
        columns: Columns = [
            ("arm", _arm),
            *((str(tenth), partial(show, tenth)) for tenth in sorted({tenth for _, tenth in cells})),
        ]
        n = {row[f"{prefix}_blocks"] for row in cells.values()}
        notes = [f"Means over {_range(n)} blocks; exploratory, without a test. Intervals are in the machine forms."]
        arms = [{"arm": arm} for arm in dict.fromkeys(arm for arm, _ in cells)]
        unit = " in %" if prefix == "coverage" else ""
        full_title = f"{title}{unit} by tenth of the text: {words}"
        picture = partial(_tenths_picture, deciles, prefix)
        found = table_if_any(command, full_title, arms, columns, notes)
        tables += [replace(table, picture=picture) for table in found]
        tables += _position_tables(command, f"{title} at the ends and in the middle: {words}", positions, outcome)
    return tables


def _tenths_picture(deciles: Sequence[Row], prefix: str, _width: int, blocks: bool) -> list[str]:
    """The arms that hold the instruction as curves; the others have their figures in the table."""
    return decile_curves(deciles, prefix, INSTRUCTED, blocks=blocks)


def _tenth_cell(cells: Mapping[tuple[str, int], Row], outcome: str, tenth: int, row: Row) -> str:
    found = cells.get((row["arm"], tenth))
    if found is None or found[outcome] is None:
        return "-"
    return f"{100 * found[outcome]:.0f}" if outcome == "coverage_rate" else f"{found[outcome]:.1f}"


def _position_tables(command: str, title: str, rows: Sequence[Row], outcome: str) -> list[Table]:
    measures = {"primacy": "beginning", "recency": "end", "middle_deficit": "both ends", "centre_of_mass": "centre"}
    found = {(row["arm"], row["measure"]): row for row in rows if row["outcome"] == outcome}
    columns: Columns = [
        ("arm", _arm),
        *(
            (name, partial(_position_cell, found, measure))
            for measure, name in measures.items()
            if any(key[1] == measure for key in found)
        ),
    ]
    n = {row["blocks"] for row in found.values()}
    scale = "in points" if outcome == "coverage_rate" else "in nats"
    about = f"beginning, end: the first and the last fifth less the midmost fifth, {scale}; both ends: the outer two"
    over = f"{OVER_BLOCKS}, {_range(n)} of them; exploratory, without a test."
    notes = [f"{about} fifths less the middle two. {over}"]
    if any(measure == "centre_of_mass" for _, measure in found):
        notes.append("centre: where in the text that which is kept stands on average, 50% where nothing is preferred.")
    arms = [{"arm": arm} for arm in dict.fromkeys(arm for arm, _ in found)]
    return table_if_any(command, title, arms, columns, notes)


def _position_cell(found: Mapping[tuple[str, str], Row], measure: str, row: Row) -> str:
    each = found.get((row["arm"], measure))
    if each is None:
        return "-"
    if measure == "centre_of_mass":
        limits = f" [{100 * each['low']:.0f}-{100 * each['high']:.0f}]" if each["blocks"] > 1 else ""
        return f"{percent(each['value'])}{limits}"
    return points(each, "value") if each["outcome"] == "coverage_rate" else signed(each, "value", digits=1)


def _kind_tables(command: str, words: str, rows: Sequence[Row]) -> list[Table]:
    tables: list[Table] = []
    for prefix, unit, title in (("coverage", "rate", "Coverage"), ("margin", "nats", "Margin in nats")):
        cells = {(row["arm"], row["kind"]): row for row in rows if row[f"{prefix}_blocks"]}
        columns: Columns = [
            ("arm", _arm),
            *(
                (kind, partial(_kind_cell, cells, kind, prefix, unit))
                for kind in dict.fromkeys(kind for _, kind in cells)
            ),
        ]
        n = {row[f"{prefix}_blocks"] for row in cells.values()}
        notes = [f"{OVER_BLOCKS}, {_range(n)} of them; exploratory, without a test."]
        arms = [{"arm": arm} for arm in dict.fromkeys(arm for arm, _ in cells)]
        tables += table_if_any(command, f"{title} by kind of fact: {words}", arms, columns, notes)
    return tables


def _kind_cell(cells: Mapping[tuple[str, str], Row], kind: str, prefix: str, unit: str, row: Row) -> str:
    found = cells.get((row["arm"], kind))
    return "-" if found is None else _with_interval(prefix, unit, found)


def _constraint_tables(command: str, words: str, rows: Sequence[Row]) -> list[Table]:
    cells = {(row["arm"], row["constraint"]): row for row in rows}
    columns: Columns = [
        ("arm", _arm),
        *(
            (name.replace("_", " "), partial(_constraint_cell, cells, name))
            for name in dict.fromkeys(name for _, name in cells)
        ),
    ]
    about = "Intervals over blocks are in the machine forms; no test here."
    notes = [f"Answers that follow each constraint of the instruction, of those that could be read. {about}"]
    arms = [{"arm": arm} for arm in dict.fromkeys(arm for arm, _ in cells)]
    return table_if_any(command, f"Constraints followed: {words}", arms, columns, notes)


def _constraint_cell(cells: Mapping[tuple[str, str], Row], name: str, row: Row) -> str:
    found = cells.get((row["arm"], name))
    return "-" if found is None else f"{found['followed']}/{found['answers']}"


# -------------------------------------------------------------------------------------------------------------- cost


def _cost_tables(command: str, words: str, rows: Sequence[Row]) -> list[Table]:
    tables: list[Table] = []
    for measure, title in (("coverage", "a written answer"), ("margin", "a log-probability")):
        here = [row for row in rows if row["measure"] == measure]
        columns: Columns = [
            ("arm", _arm),
            ("tokens in", lambda row: _figure(row["input_tokens"], ",.0f")),
            ("cached", lambda row: _figure(row["cache_read_tokens"], ",.0f")),
            ("out", lambda row: _figure(row["output_tokens"], ",.0f")),
            ("USD", lambda row: _figure(row["cost_usd"], ".6f")),
            ("seconds", lambda row: _figure(row["latency_s"], ".2f")),
            ("first token", lambda row: _figure(row["first_token_s"], ".2f")),
            *numbers(("answers", "answers")),
        ]
        if not any(row["cost_usd"] for row in here):
            columns = [column for column in columns if column[0] != "USD"]
        columns = [
            column
            for column in columns
            if column[0] not in ("cached", "first token") or any(column[1](row) != "?" for row in here)
        ]
        notes = ["Tokens and money: means an answer. Seconds, and those to the first token: medians. No test."]
        tables += table_if_any(command, f"What {title} took: {words}", here, columns, notes)
    return tables


# ------------------------------------------------------------------------------------------------------------- words


def _with_interval(prefix: str, unit: str, row: Row) -> str:
    """A mean with its interval: "41% [33-50]", "2.31 [1.90, 2.74]"; "-" where there is none."""
    value = row[f"{prefix}_{unit}"]
    if value is None:
        return "-"
    low, high = row[f"{prefix}_low"], row[f"{prefix}_high"]
    several = row[f"{prefix}_blocks"] > 1
    if unit == "rate":
        return percent(value) + (f" [{100 * low:.0f}-{100 * high:.0f}]" if several else "")
    return f"{value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if several else "")


def _figure(value: float | None, form: str) -> str:
    return "?" if value is None else format(value, form)


def _range(counts: set[int]) -> str:
    """How many blocks: "10", or "8 to 10" where not all have as many."""
    return str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}" if counts else "0"
