"""The figures of a placement run: coverage and margin over the tenths of the text, forest plots of its contrasts."""

from collections.abc import Iterator, Sequence

from probes.pages.parts import Picture
from probes.report.data import Row
from probes.report.picture_parts import (
    SETTING,
    Compared,
    Rows,
    curves_picture,
    forests,
    grouped,
    n_words,
    point_of,
    setting_words,
)

UNMEASURABLE = "Not measurable on this model: too few of its answers are summaries, so no difference is told. "
OUTCOMES = {
    "logprob": "raw log-probability",
    "coverage matched": "coverage of answers cut to one length",
    "coverage adjusted": "coverage adjusted for the length of the answers",
    "constraint": "constraints followed",
}


def placement_pictures(rows: Rows) -> Iterator[Picture]:
    """Every figure that the rows of a placement run can fill."""
    yield from _decile_curves(rows)
    yield from _placement_forests(rows)


def _decile_curves(rows: Rows) -> Iterator[Picture]:
    """Coverage and margin over the tenths of the text: an arm and its control in each figure, on one scale."""
    pairs = list(dict.fromkeys((row["arm"], row["control"]) for row in rows.get("contrast", ())))
    unmeasurable = {_setting(row) for row in rows.get("arm", ()) if row.get("measurable") is False}
    for group in grouped(rows.get("decile", ())):
        arms = list(dict.fromkeys(row["arm"] for row in group))
        shown = [pair for pair in pairs if set(pair) <= set(arms)]
        alone = [arm for arm in arms if not any(arm in pair for pair in shown)]
        panels = [*shown, *(tuple(alone[start : start + 3]) for start in range(0, len(alone), 3))]
        for kind, value in (("coverage", "coverage_rate"), ("margin", "margin_nats")):
            known = [row for row in group if row.get(value) is not None]
            told = UNMEASURABLE if kind == "coverage" and _setting(group[0]) in unmeasurable else ""
            for panel in panels if known else ():
                yield from _panel(known, kind, value, panel, told)


def _panel(rows: Sequence[Row], kind: str, value: str, arms: Sequence[str], told: str) -> Iterator[Picture]:
    """The curves of some arms, on the scale of all rows; nothing where none of them was measured."""
    lines = {
        arm: [point_of(row["decile"], row, value, f"{kind}_low", f"{kind}_high") for row in rows if row["arm"] == arm]
        for arm in arms
        if any(row["arm"] == arm for row in rows)
    }
    if not lines:
        return
    bands = any(point.low is not None for points in lines.values() for point in points)
    said = "Bands are 95% intervals over texts. " if bands else ""
    rate = kind == "coverage"
    yield curves_picture(
        f"{kind.capitalize()} by tenth of the text, {' and '.join(lines)}: {setting_words(rows[0])}",
        lines,
        along="tenth of the text",
        up="facts covered, %" if rate else "margin, nats",
        rate=rate,
        limits=None if rate else _limits(rows, kind, value),
        ticks=[(tenth, str(tenth)) for tenth in sorted({row["decile"] for row in rows})],
        reading=f"{n_words(rows, f'{kind}_blocks')} in each point. {said}{told}No test in this figure.",
    )


def _setting(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in SETTING)


def _limits(rows: Sequence[Row], kind: str, value: str) -> tuple[float, float]:
    """One scale for all figures of a setting: from the lowest value or limit to the highest, and a little more."""
    ends = [row.get(key) for row in rows for key in (value, f"{kind}_low", f"{kind}_high")]
    known = [end for end in ends if end is not None and abs(end) != float("inf")]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _placement_forests(rows: Rows) -> Iterator[Picture]:
    """The contrasts of each outcome, and how they change with the length; none where answers are no summaries."""
    for name, key, per in (("contrast", "difference", ""), ("length_interaction", "per_doubling", " per doubling")):
        found = [row for row in rows.get(name, ()) if row.get("measurable") is not False]
        for group in grouped(found, also=("outcome", "declared")):
            what = str(group[0]["outcome"]).removesuffix("_rate").removesuffix("_nats").replace("_", " ")
            kind = "How differences change with the length" if per else "Differences"
            title = f"{kind}, {OUTCOMES.get(what, what)}: {setting_words(group[0])}"
            compared = [Compared(_pair(row), "", row, key) for row in group]
            yield from forests(title, compared, declared=bool(group[0].get("declared", True)), per=per)


def _pair(row: Row) -> str:
    """Example: "after less before"; the difference of two differences stands on two lines."""
    if " " in f"{row['arm']}{row['control']}":
        return f"({row['arm']})\nless ({row['control']})"
    return f"{row['arm']} less {row['control']}"
