"""What the tables of a needle run look like for people: few columns, each rate with its counts and its interval."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cli.heat_map import heat_map
from cli.output import Table
from cli.tables import Row, counted, numbers, people_table, percent, signed
from probes.experiments.needle_factors import level_name
from probes.experiments.needle_sentences import scaling
from probes.stats import p_words

UNCOUNTED = (("refusal", "refused"), ("truncated", "cut"), ("error", "errors"))


def position_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Given when asked and when not, by position."""
    return people_table(
        command,
        title,
        rows,
        [
            ("position", lambda row: f"{row['position']} at {percent(row['depth'])}"),
            ("given when asked", lambda row: counted(row, "asked")),
            ("given when not asked", lambda row: counted(row, "not_asked")),
            *numbers(*UNCOUNTED),
        ],
        notes=notes,
    )


def confusion_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Asked against answered."""
    positions = [key.removeprefix("given_") for key in rows[0] if re.fullmatch(r"given_\d+", key)]
    given = [(f"given_{place}", place if number else f"gave {place}") for number, place in enumerate(positions)]
    kinds = [("several", "several"), ("no_value", "other"), ("abstained", "absent"), ("truncated", "cut")]
    if any(row["given_other"] for row in rows):
        kinds.insert(0, ("given_other", "elsewhere"))
    return people_table(
        command,
        title,
        rows,
        [("asked for", lambda row: str(row["asked"])), *numbers(*given, *kinds, ("error", "errors"), ("n", "n"))],
        notes=notes,
    )


def order_tables(command: str, setting: str, rows: Sequence[Row]) -> list[Table]:
    """The same cells twice: depths side by side for each order, and orders side by side for each depth.

    Where a spread and a cluster meet in a cell, the cluster is shown: its neighbours along the depth are of its kind.
    """
    orders, depths = (sorted({row[key] for row in rows}) for key in ("order", "depth"))
    cells = {(row["order"], row["depth"]): row for row in sorted(rows, key=lambda row: row["layout"] != "spread")}

    def cell(order: int, depth: float) -> str:
        return counted(cells[order, depth], "asked") if (order, depth) in cells else "."

    by_depth = people_table(
        command,
        f"By depth, order among the needles held{setting}",
        [{"order": order} for order in orders],
        [
            ("order", lambda row: f"{row['order']} of {len(orders)}"),
            *((f"at {percent(depth)}", lambda row, depth=depth: cell(row["order"], depth)) for depth in depths),
        ],
    )
    by_order = people_table(
        command,
        f"By order among the needles, depth held{setting}",
        [{"depth": depth} for depth in depths],
        [
            ("depth", lambda row: percent(row["depth"])),
            *((f"needle {order}", lambda row, order=order: cell(order, row["depth"])) for order in orders),
        ],
    )
    return [by_depth, by_order]


def heat_maps(command: str, setting: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> list[Table]:
    """Depths against lengths: the rate of right answers and of how many blocks; on a terminal as a heat map."""
    lengths = sorted({row["length_tokens"] for row in rows})
    cells = {(row["depth"], row["length_tokens"]): row for row in rows}
    columns: list[Any] = [("depth", lambda row: percent(row["depth"]))]
    for length in lengths:
        columns.append((f"{length:,}", lambda row, length=length: heat(cells.get((row["depth"], length)))))
    depths = [{"depth": depth} for depth in sorted({row["depth"] for row in rows})]
    table = people_table(command, f"Found: {setting}", depths, columns, notes=notes)
    picture = lambda width, blocks: heat_map(rows, width, blocks=blocks)  # noqa: E731 - a picture is a function
    return [replace(table, picture=picture, picture_only=True)]


def heat(row: Row | None) -> str:
    """One cell of a heat map in words: "80% of 10"; "-" where nothing was answered."""
    return "-" if row is None or row["rate"] is None else f"{percent(row['rate'])} of {row['n']}"


def rate_words(row: Row) -> str:
    """A rate with its interval: "80% [49-94]"; "-" where nothing was answered."""
    if row["rate"] is None:
        return "-"
    return f"{percent(row['rate'])} [{100 * row['low']:.0f}-{100 * row['high']:.0f}]"


def retrieval_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Right answers by depth, or of a whole setting, with what became of the others."""
    several_lengths = len({row["length_tokens"] for row in rows}) > 1
    columns: list[Any] = []
    if several_lengths:
        columns.append(("length", lambda row: f"{row['length_tokens']:,}"))
    if any(row["depth"] is not None for row in rows) or not columns:
        columns.append(("depth", lambda row: "any" if row["depth"] is None else percent(row["depth"])))
    columns += [("right", rate_words), *numbers(("n", "blocks"))]
    if any(row["share_rate"] is not None for row in rows):
        columns.append(("share given", lambda row: "-" if row["share_rate"] is None else percent(row["share_rate"])))
    if any(row["lenient_rate"] != row["rate"] for row in rows):
        columns.append(("leniently", lambda row: "-" if row["lenient_rate"] is None else percent(row["lenient_rate"])))
    if any(row["known"] for row in rows):
        columns.append(("known", lambda row: f"{row['known']:,}"))
        columns.append(("without known", lambda row: _or_dash(row["rate_without_known"])))
    columns += numbers(*UNCOUNTED)
    return people_table(command, title, rows, columns, notes=notes)


def _or_dash(rate: float | None) -> str:
    return "-" if rate is None else percent(rate)


def control_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """The controls of one model and task."""
    columns: list[Any] = [("control", lambda row: row["control"])]
    if len({row["prompt_style"] for row in rows}) > 1:
        columns.append(("style", lambda row: row["prompt_style"]))
    if len({row["temperature"] for row in rows}) > 1:
        columns.append(("temperature", _temperature))
    columns += [("right", rate_words), *numbers(("n", "blocks"))]
    if any(row["given_planted"] is not None for row in rows):
        columns.append(("gave planted", lambda row: "-" if row["given_planted"] is None else str(row["given_planted"])))
    columns += numbers(("abstained", "said absent"), ("truncated", "cut"), ("error", "errors"))
    return people_table(command, title, rows, columns, notes=notes)


def contrast_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Paired differences between the levels of one factor, in points or in nats."""
    columns: list[Any] = [
        *_where(rows, besides=(rows[0]["factor"],)),
        ("contrast", lambda row: f"{level_name(row['level'])} less {level_name(row['base'])}"),
        *_difference_columns(rows),
        ("detectable", _detectable),
    ]
    if any(row["equivalent"] for row in rows):
        points = 100 * next(row["equivalence_margin"] for row in rows if row["equivalent"])
        columns.append((f"within {points:g}", lambda row: "yes" if row["equivalent"] else "not told"))
    return people_table(command, title, rows, columns, notes=notes)


def interaction_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """By how much a difference changes each time the length doubles."""
    columns: list[Any] = [
        *_where(rows, besides=(rows[0]["factor"], "length_tokens")),
        ("contrast", lambda row: f"{level_name(row['level'])} less {level_name(row['base'])}"),
        *_difference_columns(rows, "per_doubling", " a doubling"),
    ]
    return people_table(command, title, rows, columns, notes=notes)


def _difference_columns(rows: Sequence[Row], key: str = "difference", per: str = "") -> list[Any]:
    return [
        (f"{scaling(rows[0])[1]}{per}", lambda row: _difference(row, key)),
        ("p (Holm)", lambda row: p_words(row["p_holm"])),
        *numbers(("blocks", "blocks")),
    ]


def _difference(row: Row, key: str) -> str:
    """A difference with its interval: points without decimals, nats with two."""
    scale, _, digits = scaling(row)
    return signed({**row, **{name: scale * row[name] for name in (key, "low", "high")}}, key, digits=digits)


def _detectable(row: Row) -> str:
    scale, _, digits = scaling(row)
    return f"{scale * row['detectable']:.{digits}f}" if row["detectable"] else "?"


def effective_length_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Up to which length a task is done, by each definition."""
    columns: list[Any] = [
        ("definition", lambda row: {"ruler": "RULER, absolute", "nolima": "NoLiMa, relative"}[row["definition"]]),
        ("bar", lambda row: f"{100 * row['bar_rate']:.1f}%"),
        ("tokens", lambda row: _tokens(row, "effective_tokens")),
        ("95% from", lambda row: _tokens(row, "surely_tokens")),
        ("to", lambda row: _tokens(row, "possibly_tokens")),
        *numbers(("most_blocks", "blocks")),
    ]
    return people_table(command, title, rows, columns, notes=notes)


def _tokens(row: Row, key: str) -> str:
    """A length; none where not even the shortest text reaches the bar, and "or more" where the longest does."""
    if not row[key]:
        return "none"
    return f"{row[key]:,}" + (" or more" if row[key] == row["longest_tokens"] else "")


def _where(rows: Sequence[Row], besides: Sequence[str]) -> list[Any]:
    """A column that tells the settings of the rows apart, where there are several."""
    names = [name for name in _PARTS if name not in besides and len({row[name] for row in rows}) > 1]
    if not names:
        return []
    return [("where", lambda row: ", ".join(setting_part(name, row[name]) for name in names))]


_PARTS = ("length_tokens", "place", "structure", "context", "prompt_style", "temperature", "layout")


def setting_part(name: str, value: Any) -> str:
    """One part of a setting in a few words.

    Example: setting_part("place", "before") -> "question before"; setting_part("length_tokens", 800) -> "800 tokens"
    """
    return {
        "length_tokens": lambda: f"{value:,} tokens",
        "place": lambda: f"question {value}",
        "structure": lambda: "headings" if value == "headings" else f"{value} text",
        "context": lambda: f"{str(value).removeprefix('chunks:')} chunks" if "chunks" in value else f"{value} context",
        "prompt_style": lambda: f"style {value}",
        "temperature": lambda: "temperature of the model's" if value is None else f"temperature {value:g}",
    }.get(name, lambda: str(value))()


def likelihood_table(command: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Lift and margin in nats and how often the right value is the likeliest, by depth."""
    columns: list[Any] = [("depth", lambda row: "all" if row["depth"] is None else percent(row["depth"]))]
    if any(row["lift_nats"] is not None for row in rows):
        columns.append(("lift", lambda row: _nats(row, "lift")))
    if any(row["margin_nats"] is not None for row in rows):
        columns.append(("margin", lambda row: _nats(row, "margin")))
        columns.append(("likeliest", _likeliest))
    columns += numbers(("n", "blocks"))
    return people_table(command, title, rows, columns, notes=notes)


def _nats(row: Row, kind: str) -> str:
    if row[f"{kind}_nats"] is None:
        return "-"
    figures = {"value": row[f"{kind}_nats"], "low": row[f"{kind}_low"], "high": row[f"{kind}_high"], "blocks": row["n"]}
    return signed(figures, "value", digits=1)


def _likeliest(row: Row) -> str:
    if row["likeliest_rate"] is None:
        return "-"
    low, high = (f"{100 * row[f'likeliest_{end}']:.0f}" for end in ("low", "high"))
    return f"{percent(row['likeliest_rate'])} [{low}-{high}]"


def temperature_table(command: str, title: str, rows: Sequence[Row]) -> Table:
    """Right answers by temperature, over all depths and repeats."""
    columns: list[Any] = [
        *_where(rows, besides=("temperature",)),
        ("temperature", _temperature),
        ("right", rate_words),
        *numbers(("n", "blocks"), ("samples", "repeats")),
        ("alike", lambda row: _or_dash(row["alike_rate"])),
        *numbers(*((key, title) for key, title in UNCOUNTED if any(row[key] for row in rows))),
    ]
    return people_table(command, title, rows, columns)


def _temperature(row: Row) -> str:
    return "the model's" if row["temperature"] is None else f"{row['temperature']:g}"
