"""The figures of a needle run: heat maps, curves by depth and length, forest plots of its contrasts."""

from collections.abc import Iterator
from typing import Any

from probes.experiments.needle_factors import level_name
from probes.pages.figures import Point
from probes.pages.parts import Picture, WordTable
from probes.report import figures
from probes.report.data import Row
from probes.report.picture_parts import (
    INTERVALS,
    SETTING,
    Compared,
    Rows,
    curves_picture,
    forests,
    grouped,
    n_words,
    percent,
    point_of,
    range_words,
    setting_part,
    setting_words,
)


def needle_pictures(rows: Rows) -> Iterator[Picture]:
    """Every figure that the rows of a needle run can fill."""
    for make in (_heat_maps, _asked_curves, _depth_curves, _length_curves, _lift_curves, _needle_forests):
        yield from make(rows)


def _heat_maps(rows: Rows) -> Iterator[Picture]:
    """Depth against length, where there are several of both."""
    for group in grouped(rows.get("retrieval", ()), without=("length_tokens",)):
        depths = sorted({row["depth"] for row in group if row["depth"] is not None})
        lengths = sorted({row["length_tokens"] for row in group})
        if len(depths) < 2 or len(lengths) < 2:
            continue
        found = {(row["depth"], row["length_tokens"]): row for row in group}
        cells = [[_cell(found.get((depth, length))) for length in lengths] for depth in depths]
        names = [percent(depth) for depth in depths], [f"{length:,}" for length in lengths]
        few = sum(cell.n < figures.FEW for row in cells for cell in row)
        total = len(depths) * len(lengths)
        grey = f" {few} of {total} cells have fewer than {figures.FEW} texts: grey, with a dotted edge." if few else ""
        table = WordTable(
            f"Right answers by depth and length: {setting_words(group[0], without=('length_tokens',))}",
            ("depth", *(f"{name} tokens" for name in names[1])),
            [(name, *map(_cell_words, row)) for name, row in zip(names[0], cells, strict=True)],
        )
        reading = f"In each cell the rate of right answers, its interval and n, the texts. {INTERVALS}. No test."
        yield Picture(
            figures.heat_map(*names, cells, axes=("depth of the needle", "length of the text, tokens")),
            f"Heat map. {range_words(cell.rate for row in cells for cell in row)}",
            table,
            reading + grey,
            exploratory=True,
        )


def _cell(row: Row | None) -> figures.Cell:
    return figures.Cell(row["rate"], row["low"], row["high"], row["n"]) if row else figures.Cell(None, None, None, 0)


def _cell_words(cell: figures.Cell) -> str:
    if cell.rate is None:
        return "none"
    return f"{percent(cell.rate)} [{100 * (cell.low or 0):.0f}-{100 * (cell.high or 0):.0f}], n {cell.n}"


def _asked_curves(rows: Rows) -> Iterator[Picture]:
    """By position: given when asked for, and given when something else is asked for."""
    for group in grouped(rows.get("position", ())):
        if len(group) < 2 or any(row["depth"] is None for row in group):
            continue
        lines = {
            words: [point_of(row["depth"], row, f"{kind}_rate", f"{kind}_low", f"{kind}_high") for row in group]
            for words, kind in (("given when asked for", "asked"), ("given when not asked for", "not_asked"))
        }
        most = max(row["asked_n"] for row in group)
        yield curves_picture(
            f"Given when asked and when not: {setting_words(group[0])}",
            lines,
            along="depth of the needle",
            up="share of the questions, %",
            rate=True,
            reading=f"n: up to {most} questions in each point. {INTERVALS}. No test in this figure.",
        )


def _depth_curves(rows: Rows) -> Iterator[Picture]:
    """Right answers by depth, where there is one length; the places of the question as lines of one figure."""
    with_positions = {_setting(row) for row in rows.get("position", ())}
    single = [
        row for row in rows.get("retrieval", ()) if row["depth"] is not None and _setting(row) not in with_positions
    ]
    for group in grouped(single, without=("place", "length_tokens")):
        if len({row["depth"] for row in group}) < 3 or len({row["length_tokens"] for row in group}) > 1:
            continue  # several lengths are a heat map
        lines: dict[str, list[Point]] = {}
        for row in sorted(group, key=lambda row: row["depth"]):
            lines.setdefault(f"question {row['place']}", []).append(point_of(row["depth"], row, "rate", "low", "high"))
        yield curves_picture(
            f"Right answers by depth: {setting_words(group[0], without=('place',))}",
            lines,
            along="depth of the needle",
            up="right answers, %",
            rate=True,
            reading=f"{n_words(group, 'n')} in each point. {INTERVALS}. No test in this figure.",
        )


def _setting(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in SETTING)


def _length_curves(rows: Rows) -> Iterator[Picture]:
    """Right answers by length, for tasks that have no depth."""
    plain = [row for row in rows.get("retrieval", ()) if row["depth"] is None]
    for group in grouped(plain, without=("place", "length_tokens")):
        lengths = sorted({row["length_tokens"] for row in group})
        if len(lengths) < 2:
            continue
        lines: dict[str, list[Point]] = {}
        for row in sorted(group, key=lambda row: row["length_tokens"]):
            point = point_of(row["length_tokens"], row, "rate", "low", "high")
            lines.setdefault(f"question {row['place']}", []).append(point)
        yield curves_picture(
            f"Right answers by length: {setting_words(group[0], without=('place', 'length_tokens'))}",
            lines,
            along="length of the text, tokens",
            up="right answers, %",
            rate=True,
            reading=f"{n_words(group, 'n')} in each point. {INTERVALS}. No test in this figure.",
            ticks=[(length, f"{length:,}") for length in lengths],
            logarithmic=True,
        )


def _lift_curves(rows: Rows) -> Iterator[Picture]:
    """Lift and margin of the values by depth, from log-probabilities."""
    known = [row for row in rows.get("likelihood", ()) if row["depth"] is not None]
    for group in grouped(known):
        lines = {
            kind: [point_of(row["depth"], row, f"{kind}_nats", f"{kind}_low", f"{kind}_high") for row in group]
            for kind in ("lift", "margin")
            if any(row[f"{kind}_nats"] is not None for row in group)
        }
        if len(group) < 2 or not lines:
            continue
        yield curves_picture(
            f"Likelihood of the values: {setting_words(group[0])}",
            lines,
            along="depth of the needle",
            up="nats",
            rate=False,
            reading=f"{n_words(group, 'n')} in each point. 95% intervals by the bootstrap over texts. No test here.",
        )


def _needle_forests(rows: Rows) -> Iterator[Picture]:
    """The contrasts of each factor and outcome, how they change with the length, and the ends less the middle."""
    for name, key, per in (("contrast", "difference", ""), ("length_interaction", "per_doubling", " per doubling")):
        for group in grouped(rows.get(name, ()), without=SETTING[2:], also=("factor", "outcome", "declared")):
            factor = str(group[0]["factor"])
            varying = [part for part in SETTING if part != factor and len({row.get(part) for row in group}) > 1]
            compared = [
                Compared(
                    f"{level_name(row['level'])} less {level_name(row['base'])}",
                    ", ".join(setting_part(row, part) for part in varying),
                    row,
                    key,
                )
                for row in group
            ]
            outcome = _outcome_words(str(group[0].get("outcome", "right_rate")))
            by = factor.removesuffix("_tokens").replace("_", " ") + (" against the length" if per else "")
            title = f"Differences in {outcome} by {by}: {group[0]['model']}, {group[0]['task']}"
            yield from forests(title, compared, declared=bool(group[0]["declared"]), per=per)
    if any(row.get("outcome") for row in rows.get("contrast", ())):
        return  # these hold the ends less the middle, too
    for group in grouped(rows.get("ends_less_middle", ()), without=("length_tokens", "layout")):
        compared = [
            Compared(
                _outcome_words(row["outcome"]),
                ", ".join(setting_part(row, part) for part in ("length_tokens", "layout")),
                row,
            )
            for row in group
        ]
        title = f"Ends less middle: {setting_words(group[0], without=('length_tokens', 'layout'))}"
        yield from forests(title, compared, declared=False)


def _outcome_words(outcome: str) -> str:
    """Example: "lift_rate" -> "what is given less unasked"; "lift_nats" -> "lift"."""
    known = {
        "right_rate": "right answers",
        "hit_rate": "right answers",
        "given_rate": "what is given when asked",
        "lift_rate": "what is given less unasked",
    }
    return known.get(outcome, outcome.removesuffix("_rate").removesuffix("_nats").replace("_", " "))
