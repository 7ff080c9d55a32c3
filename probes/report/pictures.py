"""Which figures a run has: from the rows of its tables to heat maps, curves, forest plots and bars.

A table that is not there, or has no row for a figure, makes none. Every figure comes with what it shows in words.
"""

from collections.abc import Iterator, Sequence

from probes.pages import figures
from probes.pages.parts import Picture, WordTable
from probes.report.data import Row
from probes.report.needle_pictures import needle_pictures
from probes.report.picture_parts import Rows, between, grouped, setting_part, setting_words
from probes.report.placement_pictures import placement_pictures


def pictures(probe: str, rows: Rows) -> list[Picture]:
    """Every figure that the rows of a run can fill, in the order of the page."""
    make = {"needle": needle_pictures, "placement": placement_pictures}.get(probe)
    return [*(make(rows) if make else ()), *_work_bars(rows)]


def _work_bars(rows: Rows) -> Iterator[Picture]:
    """Seconds and dollars of an answer, by arm or setting; log-probabilities have figures of their own."""
    without = ("length_tokens", "place")
    asked = [row for row in rows.get("cost", ()) if not row.get("control")]  # a control is another task
    for group in grouped(asked, without=without, also=("measure",)):
        for key, title, form in (
            ("latency_s", "Seconds for an answer, the median", "{:.3g} s"),
            ("first_token_s", "Seconds to the first token, the median", "{:.3g} s"),
            ("cost_usd", "Dollars for an answer, the mean", "${:.3g}"),
        ):
            known = [(_name(row, group), float(row[key]), row) for row in group if row.get(key) is not None]
            if len(known) < 2 or not any(value for _, value, _ in known):
                continue
            bars = [(name, value, form.format(value)) for name, value, _ in known]
            measured = "" if group[0].get("measure") in (None, "coverage", "answer") else f", {group[0]['measure']}"
            full_title = f"{title}{measured}: {setting_words(group[0], without=without)}"
            yield Picture(
                figures.bars(bars, unit="US dollars" if key == "cost_usd" else "seconds"),
                f"Bars. From {form.format(min(value for _, value, _ in bars))} to "
                f"{form.format(max(value for _, value, _ in bars))}.",
                WordTable(full_title, ("of", key.replace("_", " ")), [(name, words) for name, _, words in bars]),
                f"n: {between([row['answers'] for _, _, row in known])} answers in each bar. No interval and no test.",
                exploratory=True,
            )


def _name(row: Row, group: Sequence[Row]) -> str:
    """What tells a row from the others of its group: its arm, and its length and place where there are several."""
    parts = [str(row["arm"])] if "arm" in row else []
    several = [name for name in ("length_tokens", "place") if len({each.get(name) for each in group}) > 1]
    return ", ".join([*parts, *(setting_part(row, name) for name in several)]) or str(row["model"])
