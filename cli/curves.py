"""Curves in the terminal, drawn in characters: values over the tenths of a text, or over sizes of a vocabulary."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
TENTHS = 10
LEVELS = 11  # lines of a chart: a rate in steps of ten points
STEP = 5  # columns of one tenth
LABEL = 7  # columns of the scale
WIDEST = 76  # columns of a chart over sizes, with its scale
WIDEST_LABEL = 10  # columns that a number under it may have
MARKS = "ox+"  # of the first line, the second, the third


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters of a chart: axis, corner, base and bar."""

    axis: str
    corner: str
    base: str
    bar: str


DRAWN, PLAIN = Signs("┤", "└", "─", "│"), Signs("|", "+", "-", "|")


def decile_curves(rows: Sequence[Row], kind: str, arms: Sequence[str], *, blocks: bool) -> list[str]:
    """A chart of coverage or margin by tenth for up to three arms, in sixty columns; nothing where none was measured.

    `rows` are those of the `decile` table of one setting, `kind` is "coverage" or "margin"; `blocks`: the terminal can
    draw lines.
    """
    value = "coverage_rate" if kind == "coverage" else "margin_nats"
    known = [row for row in rows if row.get(value) is not None]
    shown = [arm for arm in arms if any(row["arm"] == arm for row in known)][: len(MARKS)]
    known = [row for row in known if row["arm"] in shown]
    if not known:
        return []
    low, high = (0.0, 1.0) if kind == "coverage" else _scale(known, value)
    lines = [{row["decile"]: _point(row, kind, value) for row in known if row["arm"] == arm} for arm in shown]
    chart = _chart(lines, low, high, DRAWN if blocks else PLAIN, as_rate=kind == "coverage")
    named = "   ".join(f"{mark} {arm}" for mark, arm in zip(MARKS, shown, strict=False))
    said = "along: tenth of the text; bars: 95% intervals"
    return ["", " " * (LABEL + 1) + named, *chart, " " * (LABEL + 1) + said]


def _scale(rows: Sequence[Row], value: str) -> tuple[float, float]:
    """The lowest and the highest of values and limits; a little apart where all are one."""
    ends = [row.get(key) for row in rows for key in (value, "margin_low", "margin_high")]
    known = [end for end in ends if end is not None and abs(end) != float("inf")]
    return (min(known), max(known)) if min(known) < max(known) else (min(known) - 1, max(known) + 1)


def _point(row: Row, kind: str, value: str) -> tuple[float, float, float]:
    """A value and its limits; itself where it has none."""
    found: float = row[value]
    low, high = (row.get(f"{kind}_{end}") for end in ("low", "high"))
    if low is None or high is None or float("inf") in (-low, high):
        return found, found, found
    return found, low, high


def _chart(
    lines: Sequence[Mapping[int, tuple[float, float, float]]], low: float, high: float, signs: Signs, *, as_rate: bool
) -> list[str]:
    """One chart: a column of its own for each line in each tenth, so that none hides another."""

    def level(value: float) -> int:
        return round((min(max(value, low), high) - low) / (high - low) * (LEVELS - 1))

    grid = [[" "] * (TENTHS * STEP) for _ in range(LEVELS)]
    for number, line in enumerate(lines):
        for tenth, (value, least, most) in line.items():
            column = (tenth - 1) * STEP + 1 + number
            for height in range(level(least), level(most) + 1):
                grid[height][column] = signs.bar
            grid[level(value)][column] = MARKS[number]
    drawn = []
    for height in reversed(range(LEVELS)):
        at = low + (high - low) * height / (LEVELS - 1)
        label = f"{100 * at:.0f}%" if as_rate else f"{at:.2f}"
        drawn.append(f"{label if height % 2 == 0 else '':>{LABEL}} {signs.axis}{''.join(grid[height])}")
    drawn.append(" " * (LABEL + 1) + signs.corner + signs.base * (TENTHS * STEP))
    drawn = [line.rstrip() for line in drawn]
    return [*drawn, " " * (LABEL + 2) + "".join(f" {tenth:<{STEP - 1}}" for tenth in range(1, TENTHS + 1))]


def size_chart(
    series: Sequence[tuple[str, Mapping[int, float]]],
    marked: Sequence[int],
    width: int,
    *,
    blocks: bool,
    named: Mapping[str, int] | None = None,
) -> list[str]:
    """Curves over sizes of a vocabulary, each doubling as far along as any other; nothing for a single size.

    Each series is a name and a value for every size, the first drawn over the others; the sizes in `marked` have a mark
    on the curve and a number under it, where there is room. A sign of `named` stands at the foot of its size, if that
    is within the chart.
    """
    sizes = series[0][1].keys()
    first, last = min(sizes), max(sizes)
    values = [value for _, line in series for value in line.values()]
    low, high = min(values), max(values)
    if first == last or low == high:
        return []
    columns = max(WIDEST_LABEL, min(width, WIDEST) - LABEL - 2)

    def column(size: float) -> int:
        return round(math.log(size / first) / math.log(last / first) * (columns - 1))

    def level(value: float) -> int:
        return round((value - low) / (high - low) * (LEVELS - 1))

    grid = [[" "] * columns for _ in range(LEVELS)]
    for number, (_, line) in reversed(list(enumerate(series))):
        for size, value in line.items():
            grid[level(value)][column(size)] = "·" if blocks else "."
        for size in marked:
            grid[level(line[size])][column(size)] = MARKS[number]
    legend = "   ".join(f"{mark} {name}" for mark, (name, _) in zip(MARKS, series, strict=False))
    signs = DRAWN if blocks else PLAIN
    lines = [
        f"{_level_label(low, high, height)} {signs.axis}{''.join(grid[height])}" for height in reversed(range(LEVELS))
    ]
    foot = [signs.base] * columns
    for sign, size in (named or {}).items():
        if first <= size <= last:
            foot[column(size)] = sign
    lines.append(" " * (LABEL + 1) + signs.corner + "".join(foot))
    lines.append(" " * (LABEL + 2) + _size_labels([(column(size), size) for size in marked], columns))
    return ["", " " * (LABEL + 1) + legend, *(line.rstrip() for line in lines)]


def _level_label(low: float, high: float, height: int) -> str:
    at = low + (high - low) * height / (LEVELS - 1)
    return f"{f'{at:.2f}' if height % 2 == 0 else '':>{LABEL}}"


def _size_labels(places: Sequence[tuple[int, int]], columns: int) -> str:
    """The numbers under a chart, each under its mark; those with no room are left out."""
    text = ""
    for place, size in places:
        label = f"{size // 1024}k" if size % 1024 == 0 else str(size)
        start = min(max(0, place - len(label) // 2), columns - len(label))
        if not text or start > len(text):
            text = f"{text:<{start}}{label}"
    return text
