"""What the figures of both probes share: settings in words, curves and forest plots with their tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.pages.figures import Point, curves
from probes.pages.parts import Picture, WordTable
from probes.report import figures
from probes.report.data import Row
from probes.stats import LEVEL, p_words, scale_of

FOREST_ROWS = 24  # differences in one figure; more stand in further ones
P_KEYS = ("p_holm", "p_corrected")  # corrected p-values by their keys; what has none has a plain one at most
# What makes a setting, in the rows of either probe; the names that are not in a row are passed over.
SETTING = (
    *("model", "task", "length_tokens", "framing", "document", "layout", "place", "structure", "context"),
    *("prompt_style", "temperature", "sampling"),
)
USUAL: Mapping[str, Sequence[Any]] = {
    "task": ("multi-key", "focused"),
    "layout": ("-",),
    "place": ("after",),
    "structure": ("plain",),
    "context": ("whole",),
    "prompt_style": ("ours",),
    "framing": ("document",),
    "document": ("generated",),
}
_WORDS = {
    "length_tokens": "{:,} tokens",
    "place": "question {}",
    "temperature": "temperature {:g}",
    "prompt_style": "style {}",
    "context": "{} context",
}
INTERVALS = "95% intervals over texts: Wilson's where each text is a plain yes or no, else the bootstrap"
Rows = Mapping[str, Sequence[Row]]


def setting_words(row: Row, *, without: Sequence[str] = ()) -> str:
    """A setting in a title: the model, the length, and of the rest what is not as usual.

    Example: "sim/u-shape, single, 1,000 tokens, question before"
    """
    parts = []
    for name in SETTING:
        value = row.get(name)
        if name in without or value is None or value in USUAL.get(name, ()):
            continue
        words = _WORDS.get(name, "{}")
        parts.append(words.format(value))
    return ", ".join(parts)


def grouped(rows: Sequence[Row], *, without: Sequence[str] = (), also: Sequence[str] = ()) -> list[list[Row]]:
    """Rows of one setting each, but for what is left out of it; `also` tells further groups apart."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row.get(name) for name in (*SETTING, *also) if name not in without)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def setting_part(row: Row, name: str) -> str:
    """One part of a setting, where it tells rows apart: "1,000 tokens", "before"."""
    value = row.get(name)
    return "the model's" if value is None else f"{value:,} tokens" if name == "length_tokens" else str(value)


@dataclass(frozen=True, slots=True)
class Compared:
    """A row to be drawn in a forest plot: what is compared, where, and which key holds the difference."""

    label: str
    where: str
    row: Row
    key: str = "difference"

    @property
    def unit(self) -> str:
        """What the difference is told in, points or nats."""
        return scale_of(str(self.row.get("outcome", "")))[1]

    def drawn(self, p_key: str) -> figures.Difference:
        """The difference in its unit."""
        scale, value = scale_of(str(self.row.get("outcome", "")))[0], self.row[self.key]
        low, high = (value if self.row[end] is None else self.row[end] for end in ("low", "high"))
        p_value = self.row.get(p_key)
        label = f"{self.label}\n{self.where}" if self.where else self.label
        p = "-" if p_value is None else p_words(p_value)
        clear = p_value is not None and p_value < 1 - LEVEL and low * high > 0
        clear = clear and self.row.get("verdict") != "missing"  # answers that are missing could turn it round
        return figures.Difference(label, scale * value, scale * low, scale * high, p, clear)


def forests(
    title: str, differences: Sequence[Compared], *, declared: bool, per: str = "", more: str = ""
) -> Iterator[Picture]:
    """Forest plots of differences of one outcome, so many to a figure as can be read.

    `per` ends the unit, `more` the sentences under the figure.
    """
    known = [each for each in differences if each.row.get(each.key) is not None]
    for start in range(0, len(known), FOREST_ROWS):
        part = known[start : start + FOREST_ROWS]
        p_key = next((key for key in P_KEYS if any(each.row.get(key) is not None for each in part)), "p_value")
        short = {"Benjamini-Hochberg": "BH"}.get(_correction(part), _correction(part))
        p_title = {"p_holm": "p (Holm)", "p_corrected": f"p ({short})"}.get(p_key, "p")
        unit = f"difference in {part[0].unit}{per}"
        drawn = [each.drawn(p_key) for each in part]
        table = WordTable(
            title,
            ("contrast", unit, "95% interval", p_title, "n"),
            [
                (
                    each.label.replace("\n", ", "),
                    f"{each.value:+.2f}",
                    f"{each.low:+.2f} to {each.high:+.2f}",
                    each.p,
                    n,
                )
                for each, n in zip(drawn, (str(each.row["blocks"]) for each in part), strict=True)
            ],
        )
        clear = sum(each.clear for each in drawn)
        yield Picture(
            figures.forest(drawn, unit=unit, p_title=p_title),
            f"Forest plot. {clear} of {len(drawn)} differences are clear.",
            table,
            f"{n_words([each.row for each in part], 'blocks')}. 95% intervals over texts, not corrected. "
            f"{_test_words(part, p_key)} A filled mark: both the interval "
            f"and the test tell the difference from zero.{more}",
            exploratory=not declared,
        )


def _test_words(part: Sequence[Compared], p_key: str) -> str:
    """Which test the p-values are of and how they are corrected, as the rows say; rows of old say nothing."""
    if all(each.row.get(p_key) is None for each in part):
        return "No test."
    tests = list(dict.fromkeys(str(each.row.get("test") or "sign-flip permutation") for each in part))
    many = part[0].row.get("tests")
    corrections = {
        "p_holm": "corrected after Holm within each family",
        "p_corrected": f"corrected after {_correction(part)} for {many} comparisons",
    }
    correction = corrections.get(p_key, "not corrected") if many != 1 else "one comparison"
    return f"p: {' or '.join(tests)}, two-sided, {correction}."


def _correction(part: Sequence[Compared]) -> str:
    return str(part[0].row.get("correction"))


def curves_picture(
    title: str,
    lines: Mapping[str, Sequence[Point]],
    *,
    along: str,
    up: str,
    rate: bool,
    reading: str,
    limits: tuple[float, float] | None = None,
    ticks: Sequence[tuple[float, str]] = (),
    logarithmic: bool = False,
) -> Picture:
    """Curves, and the same figures as a table: a row a place, a column a line."""
    places = sorted({point.x for points in lines.values() for point in points})
    if not ticks and rate and all(0 <= place <= 1 for place in places):
        ticks = [(place, percent(place)) for place in places] if len(places) <= 6 else ()
        ticks = ticks or [(share / 4, percent(share / 4)) for share in range(5)]
    names = dict(ticks)
    form = percent if rate else "{:+.2f}".format
    at = {(name, point.x): point for name, points in lines.items() for point in points}
    table = WordTable(
        title,
        (along, *lines),
        [
            (
                names.get(place) or (percent(place) if place <= 1 else f"{place:g}"),
                *(point_words(at.get((name, place)), form) for name in lines),
            )
            for place in places
        ],
    )
    drawn = curves(
        list(lines.items()),
        axes=(along, up),
        rate=rate,
        limits=(-0.04, 1.04) if rate and limits is None else limits,
        ticks=ticks,
        logarithmic=logarithmic,
    )
    said = " ".join(f"{name}: {range_words((p.value for p in points), form)}" for name, points in lines.items())
    return Picture(drawn, f"Curves. {said}", table, reading, exploratory=True)


def point_of(place: float, row: Row, value: str, low: str, high: str) -> Point:
    """A point of a curve out of a row; without an interval where one end is unknown or infinite."""
    ends = [row.get(key) for key in (low, high)]
    known = all(end is not None and abs(end) != float("inf") for end in ends)
    return Point(place, row.get(value), *(ends if known else (None, None)))


def point_words(point: Point | None, form: Callable[[float], str]) -> str:
    """A point in a table, with its interval where it has one; "none" where nothing was answered."""
    if point is None or point.value is None:
        return "none"
    if point.low is None or point.high is None:
        return form(point.value)
    return f"{form(point.value)} [{form(point.low)} to {form(point.high)}]"


def range_words(values: Iterable[float | None], form: Callable[[float], str] | None = None) -> str:
    """The lowest and the highest value, for who does not see the figure: "from 25% to 100%."."""
    known = [value for value in values if value is not None]
    if not known:
        return "nothing was answered."
    say = form or percent
    return f"from {say(min(known))} to {say(max(known))}."


def percent(rate: float) -> str:
    """A rate in words: 0.275 -> "28%"."""
    return f"{100 * rate:.0f}%"


def n_words(rows: Sequence[Row], key: str) -> str:
    """How many texts there are in each point: "n: 8 to 10 texts"."""
    return f"n: {between([row[key] for row in rows])} texts"


def between(counts: Sequence[int]) -> str:
    """Example: "10" where all are the same, "8 to 10" otherwise."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
