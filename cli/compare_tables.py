"""What a comparison of models looks like: whole rows for programs, and few columns for people.

People read of contenders by letters, which the first table explains, so that long names of models fit a terminal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.needle_tables import setting_part
from cli.output import Table
from cli.tables import Row, machine_table, numbers, people_table, percent, signed
from probes.comparison.compare import Comparison
from probes.comparison.outcomes import Outcome
from probes.comparison.words import (
    count_clear,
    method_sentence,
    pair_sentences,
    scale_of,
    short_sentences,
    trials_sentences,
)
from probes.stats import p_words

NAMES = {  # of the figures that an answer takes, over a column
    "usd_per_1000_trials": "$ per 1,000 trials",
    "latency_s": "latency, s",
    "first_token_s": "first token, s",
    "input_tokens": "prompt tokens",
    "output_tokens": "answer tokens",
    "tokens_per_character": "tokens a character",
    "cached_rate": "cached share",
}


def comparison_tables(
    command: str, comparisons: Sequence[Comparison], meta: Mapping[str, Any], gates: Sequence[Row] = ()
) -> tuple[list[Table], list[Table]]:
    """All that comparisons found, both ways."""
    found = {
        "contender": [row for each in comparisons for row in each.contender_rows],
        "difference": [row for each in comparisons for row in each.difference_rows],
        "contender_cost": [row for each in comparisons for row in each.cost_rows],
        "gate": gates,
    }
    titles = {"contender": "Contenders", "difference": "Differences", "contender_cost": "Costs", "gate": "Gate"}
    machine = [machine_table(command, name, rows, title=titles[name], meta=meta) for name, rows in found.items()]
    several = len(comparisons) > 1
    return machine, [table for each in comparisons for table in _for_people(command, each, several=several)]


def _for_people(command: str, comparison: Comparison, *, several: bool) -> list[Table]:
    letters = letters_of(comparison)
    where = f", {comparison.probe}" if several else ""
    rows = [row for row in comparison.difference_rows if row["verdict"] != "not_measurable"]
    tables = [_contender_table(command, comparison, letters, where)]
    if declared := [row for row in rows if row["declared"]]:
        tables.append(_pair_table(command, comparison.outcomes[0], declared, letters, where))
    order = [outcome.name for outcome in comparison.outcomes]
    others = [row for row in rows if row["factor"] is None and not row["declared"]]
    if others := sorted(others, key=lambda row: order.index(row["outcome"])):
        tables.append(_others_table(command, comparison.outcomes, others, letters, where))
    for outcome in comparison.outcomes:
        if detail := [row for row in rows if row["outcome"] == outcome.name and row["factor"]]:
            tables.append(_detail_table(command, outcome, detail, letters, where))
    return [*tables, _cost_table(command, comparison, letters, where)]


def letters_of(comparison: Comparison) -> dict[str, str]:
    """What each contender is called in the tables, by its label."""
    return {each.label: letter(number) for number, each in enumerate(comparison.contenders)}


def letter(number: int) -> str:
    """What a contender is called in a table: A to Z, then 27, 28, ..."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _contender_table(command: str, comparison: Comparison, letters: Mapping[str, str], where: str) -> Table:
    """Who is compared, and what each comes to in the outcomes that matter most."""
    values = {(row["contender"], row["outcome"]): row for row in comparison.contender_rows}
    rows = [{"label": each.label, "baseline": each.is_baseline} for each in comparison.contenders]
    columns: list[Any] = [("contender", lambda row: f"{letters[row['label']]}  {row['label']}")]
    for outcome in comparison.outcomes:
        if outcome.in_detail:
            name, unit = outcome.name.rsplit("_", 1)
            title = name if unit == "rate" else f"{name} ({unit})"
            columns.append((title, lambda row, name=outcome.name: _value(values[row["label"], name])))
    first = {row["label"]: values[row["label"], outcome.name] for row in rows for outcome in comparison.outcomes[:1]}
    columns.append(("blocks", lambda row: f"{first[row['label']]['blocks']:,}" if first else "0"))
    if any(row["missing"] for row in first.values()):
        columns.append(("unanswered", lambda row: f"{first[row['label']]['missing']:,}"))
    return people_table(command, f"Contenders{where}", rows, columns, notes=trials_sentences(comparison))


def _value(row: Row) -> str:
    if row["value"] is None:
        return "-"
    if row["measurable"] is False:
        return "not measurable"
    if row["outcome"].endswith("_rate"):
        return f"{percent(row['value'])} [{100 * row['low']:.0f}-{100 * row['high']:.0f}]"
    return signed(row, "value")


def _pair_table(command: str, outcome: Outcome, rows: Sequence[Row], letters: Mapping[str, str], where: str) -> Table:
    """The declared comparison: the overall difference of each pair, and what it says."""
    columns: list[Any] = [
        ("pair", lambda row: pair_words(row, letters)),
        *_difference_columns(rows),
        ("detectable", lambda row: "?" if not row["detectable"] else _scaled(row, "detectable")),
    ]
    title = f"{outcome.words[:1].upper()}{outcome.words[1:]}{where}"
    return people_table(command, title, rows, columns, notes=pair_sentences(rows, outcome))


def _others_table(
    command: str, outcomes: Sequence[Outcome], rows: Sequence[Row], letters: Mapping[str, str], where: str
) -> Table:
    """The overall differences in all other outcomes, each in its own unit."""
    columns: list[Any] = [("outcome", _outcome_words)]
    if len(letters) > 2:
        columns.append(("pair", lambda row: pair_words(row, letters)))
        sides = ("first", "second")
    else:
        where = f"{where}, {pair_words(rows[0], letters)}"
        sides = (letters[rows[0]["first"]], letters[rows[0]["second"]])
    columns.append((sides[0], lambda row: _scaled(row, "first_value")))
    columns.append((sides[1], lambda row: _scaled(row, "second_value")))
    columns += [("difference", _difference), *_difference_columns(rows)[1:]]
    notes = [sentence for outcome in outcomes for sentence in short_sentences(rows, outcome)]
    notes += [f"Clear in {count_clear(rows)} of {len(rows)}.", method_sentence(rows)]
    return people_table(command, f"Exploratory, other outcomes{where}", rows, columns, notes=notes)


def _outcome_words(row: Row) -> str:
    """Example: "coverage, points"."""
    return f"{row['outcome'].rsplit('_', 1)[0]}, {scale_of(row['outcome'])[1]}"


def _detail_table(command: str, outcome: Outcome, rows: Sequence[Row], letters: Mapping[str, str], where: str) -> Table:
    """The differences by levels of factors, and those of effects: exploratory, all of them."""
    columns: list[Any] = [("where", detail_words)]
    if len({(row["first"], row["second"]) for row in rows}) > 1:
        columns.append(("pair", lambda row: pair_words(row, letters)))
    else:
        where = f"{where}, {pair_words(rows[0], letters)}"
    columns += _difference_columns(rows)
    notes = [f"Clear in {count_clear(rows)} of {len(rows)}.", method_sentence(rows)]
    return people_table(command, f"Exploratory, {outcome.words} in detail{where}", rows, columns, notes=notes)


def _difference_columns(rows: Sequence[Row]) -> list[Any]:
    unit = scale_of(rows[0]["outcome"])[1]
    test = "p (Holm)" if rows[0]["declared"] else "p (BH)"
    return [
        (unit, _difference),
        (test, lambda row: p_words(row["p_corrected"])),
        *numbers(("blocks", "blocks")),
    ]


def _difference(row: Row) -> str:
    scale, _, digits = scale_of(row["outcome"])
    return signed(
        {**row, **{key: scale * row[key] for key in ("difference", "low", "high")}}, "difference", digits=digits
    )


def _scaled(row: Row, key: str) -> str:
    scale, _, digits = scale_of(row["outcome"])
    return f"{scale * row[key]:.{digits}f}"


def pair_words(row: Row, letters: Mapping[str, str]) -> str:
    """Which two a row is about, by their letters. Example: "A less B"."""
    return f"{letters[row['first']]} less {letters[row['second']]}"


def detail_words(row: Row) -> str:
    """Which questions an exploratory row is of, or which effect.

    Example: "1,000 tokens", "depth 50%", "arm before", "effect: place after less before"
    """
    factor, level, effect = row["factor"], row["level"], row["effect"]
    name = factor.removesuffix("_tokens").replace("_", " ")
    if effect is not None:
        return effect if name in effect else f"{name}: {effect}"
    if factor == "depth":
        return f"depth {percent(level)}"
    return setting_part(factor, level) if factor in ("length_tokens", "place", "temperature") else f"{name} {level}"


def _cost_table(command: str, comparison: Comparison, letters: Mapping[str, str], where: str) -> Table:
    """What an answer took: a row a figure, a column a contender."""
    known: dict[str, dict[str, Row]] = {}
    for row in comparison.cost_rows:
        if row["median"] is not None:
            known.setdefault(row["figure"], {})[row["contender"]] = row
    columns: list[Any] = [("of one answer", lambda row: NAMES[row["figure"]])]
    for label, short in letters.items():
        columns.append((short, lambda row, label=label: _took(known[row["figure"]].get(label))))
    notes = ["Medians over blocks with their 95% intervals; ? is not known."]
    if any(row["low"] is None for rows in known.values() for row in rows.values()):
        notes.append("An interval takes six blocks.")
    if any(row["median"] for row in known.get("cached_rate", {}).values()):
        notes.append("Times depend on what a call found in the cache, and so on the order of the calls.")
    return people_table(
        command, f"What answers took{where}", [{"figure": name} for name in known], columns, notes=notes
    )


def _took(row: Row | None) -> str:
    if row is None:
        return "?"
    show = percent if row["figure"] == "cached_rate" else _short
    if row["low"] is None or row["high"] is None or show(row["low"]) == show(row["high"]):
        return show(row["median"])
    return f"{show(row['median'])} [{show(row['low'])}, {show(row['high'])}]"


def _short(value: float) -> str:
    """Three figures: 0.01234 -> "0.0123", 1234.5 -> "1,234"."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
