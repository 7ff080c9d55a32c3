"""Curves in the terminal: values over the tenths of a text, with their intervals, drawn in characters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
TENTHS = 10
LEVELS = 11  # lines of a chart: a rate in steps of ten points
STEP = 5  # columns of one tenth
LABEL = 7  # columns of the scale
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
