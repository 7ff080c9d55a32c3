"""The figures of a report, drawn by matplotlib without a screen and given as SVG text.

They hold no date and no random id, so that the same figures make the same bytes. Text and axes take the colours of the
page around them, light or dark; series are told apart by line and mark as well as by colour (Okabe and Ito's palette,
which most colour-blind readers can tell apart), and rates are shaded in cividis, which gets lighter from 0 to 1 in grey
print too.
"""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizer.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#123456", "#654321"  # stand for the page's own colours until the SVG is written
STYLES = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", (0, (5, 1))),
    ("#56B4E9", "P", (0, (1, 1))),
)
FEW = 5  # cells of fewer texts are grey
WIDTH = 4.6  # inches, about the width of a phone
LONGEST_LABEL = 60
READABLE = 0.7  # how far a figure may shrink with the page
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a curve with its interval; None where there is none."""

    x: float
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a heat map: a rate from 0 to 1 with its interval, of n texts; None where nothing was answered."""

    rate: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of a forest plot: a difference with its interval, its p-value in words, and whether it is a clear one."""

    label: str
    value: float
    low: float
    high: float
    p: str
    clear: bool


def heat_map(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]], *, axes: tuple[str, str]
) -> str:
    """Rates as shaded cells, each with its figure, its interval and n; grey with a dotted edge where n is under five.

    `rows` and `columns` name them, `axes` is what they are of: ("depth", "tokens").
    """

    def draw(figure: "Figure") -> None:
        from matplotlib import colormaps
        from matplotlib.patches import Rectangle

        ax = figure.add_subplot()
        ax.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
        for number, row in enumerate(cells):
            for place, cell in enumerate(row):
                colour = colormaps["cividis"](cell.rate) if cell.rate is not None and cell.n >= FEW else None
                square = Rectangle((place + 0.015, number + 0.015), 0.97, 0.97, linewidth=0.6, edgecolor=INK)
                square.set(facecolor=colour or FAINT, linestyle="-" if colour else ":")
                ax.add_patch(square)
                text = INK if colour is None else "#000000" if _is_light(colour) else "#ffffff"
                for words, down, size in _cell_lines(cell):
                    ax.text(place + 0.5, number + down, words, ha="center", va="center", color=text, fontsize=size)
        ax.set_xticks([place + 0.5 for place in range(len(columns))], columns)
        ax.set_yticks([number + 0.5 for number in range(len(rows))], rows)
        ax.set(xlabel=axes[1], ylabel=axes[0])
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)

    return _svg(draw, max(WIDTH, 0.95 * len(columns) + 0.9), 0.5 * len(rows) + 0.8)


def _cell_lines(cell: Cell) -> list[tuple[str, float, float]]:
    """The lines of a cell: words, how far down they stand, and their size in points."""
    if cell.rate is None:
        return [("none", 0.5, 9)]
    limits = "" if cell.low is None or cell.high is None else f"{100 * cell.low:.0f}-{100 * cell.high:.0f}, "
    return [(_percent(cell.rate), 0.34, 11), (f"{limits}n {cell.n}", 0.72, 7.5)]


def _is_light(colour: Sequence[float]) -> bool:
    """Whether black is read better than white on a colour, by the relative luminance of WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) > 0.179


def curves(
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    axes: tuple[str, str],
    rate: bool,
    limits: tuple[float, float] | None = None,
    ticks: Sequence[tuple[float, str]] = (),
    logarithmic: bool = False,
) -> str:
    """Lines with a band where there is an interval; each told apart by colour, line and mark.

    `axes`: what is shown along and up; `rate`: up are rates, shown in per cent; `limits` hold the same scale in several
    figures; `ticks`: where along the axis which words stand.
    """

    def draw(figure: "Figure") -> None:
        ax = figure.add_subplot()
        scale = 100 if rate else 1
        for (name, points), (colour, mark, line) in zip(series, _styles(len(series)), strict=False):
            known = [point for point in points if point.value is not None]
            along, up = [point.x for point in known], [scale * (point.value or 0.0) for point in known]
            ax.plot(
                along, up, color=colour, marker=mark, linestyle=line, label=_short(name), markersize=4.5, linewidth=1.6
            )
            band = [point for point in known if point.low is not None and point.high is not None]
            lows, highs = (
                [scale * (point.low or 0.0) for point in band],
                [scale * (point.high or 0.0) for point in band],
            )
            if len(band) > 1:
                ax.fill_between([point.x for point in band], lows, highs, color=colour, alpha=0.18, linewidth=0)
            ax.vlines([point.x for point in band], lows, highs, color=colour, linewidth=0.8, alpha=0.8)
        if logarithmic:
            ax.set_xscale("log")
        if ticks:
            ax.set_xticks([place for place, _ in ticks], [words for _, words in ticks])
            ax.minorticks_off()
        if limits is not None:
            ax.set_ylim(scale * limits[0], scale * limits[1])
        _dress(ax, axes)
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=3.2)

    return _svg(draw, WIDTH, 2.9 + 0.2 * ((len(series) + 1) // 2))


def _ends(points: Sequence[Point]) -> tuple[list[float | None], list[float | None]]:
    return [point.low for point in points], [point.high for point in points]


def _styles(count: int) -> list[tuple[str, str, Any]]:
    return [STYLES[number % len(STYLES)] for number in range(count)]


def forest(rows: Sequence[Difference], *, unit: str, p_title: str) -> str:
    """Differences with their intervals about a line at zero; filled where they are clear, p beside them."""

    def draw(figure: "Figure") -> None:
        ax = figure.add_subplot()
        ax.axvline(0, color=INK, linewidth=0.9)
        for number, row in enumerate(rows):
            ax.hlines(number, row.low, row.high, color=STYLES[0][0], linewidth=1.8)
            face = STYLES[0][0] if row.clear else "none"
            ax.plot([row.value], [number], marker="s", color=STYLES[0][0], markerfacecolor=face, markersize=6)
            ax.text(1.02, number, row.p, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
        ax.text(1.02, -0.85, p_title, transform=ax.get_yaxis_transform(), va="center", fontsize=8, fontweight="bold")
        ax.set_yticks(range(len(rows)), ["\n".join(map(_short, row.label.splitlines())) for row in rows])
        ax.set_ylim(len(rows) - 0.4, -1.2)
        _dress(ax, (unit, ""))
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)

    widest = max(len(_short(line)) for row in rows for line in row.label.splitlines())
    lines = sum(row.label.count("\n") + 1 for row in rows)
    return _svg(draw, max(WIDTH, 2.7 + 0.062 * widest), 0.16 * lines + 0.18 * len(rows) + 0.9)


def bars(rows: Sequence[tuple[str, float, str]], *, unit: str) -> str:
    """Horizontal bars, each with its name and its figure in words."""

    def draw(figure: "Figure") -> None:
        ax = figure.add_subplot()
        ax.barh(range(len(rows)), [value for _, value, _ in rows], color=STYLES[0][0], height=0.6)
        for number, (_, value, words) in enumerate(rows):
            ax.annotate(words, (value, number), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_yticks(range(len(rows)), [_short(name) for name, _, _ in rows])
        ax.invert_yaxis()
        ax.margins(x=0.22)
        _dress(ax, (unit, ""))

    return _svg(draw, WIDTH, 0.3 * len(rows) + 0.8)


def _dress(ax: "Axes", axes: tuple[str, str]) -> None:
    ax.set(xlabel=axes[0], ylabel=axes[1])
    ax.grid(visible=True, linewidth=0.5)
    ax.set_axisbelow(True)


def _short(label: str) -> str:
    """A label that leaves room for the figure; it stands in full in the figure's table."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 3]}..."


def _percent(rate: float) -> str:
    return f"{100 * rate:.0f}%"


def need_matplotlib() -> None:
    """Raise a UserError that says how to get matplotlib, where there is none."""
    try:
        import matplotlib as mpl  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UserError("a report needs matplotlib", hint="pip install 'needlepoint[report]'") from error


def _svg(draw: Callable[["Figure"], None], width: float, height: float) -> str:
    """The SVG element of a figure, sized in inches, to stand inside HTML."""
    need_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    written = io.StringIO()
    with rc_context(_RC | {"svg.hashsalt": "needlepoint"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():  # a letter that our font lacks is drawn by the browser, in another
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return _for_html(written.getvalue())


def _for_html(svg: str) -> str:
    """Only what is drawn, without the prologue, metadata, style sheet and names of a file, in the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    named = {INK: "var(--ink)", FAINT: "var(--line)"}
    named |= {colour.lower(): f"var(--series-{number})" for number, (colour, _, _) in enumerate(STYLES, 1)}
    for colour, name in named.items():
        svg = svg.replace(colour, name)
    width = float(svg.split('width="', 1)[1].split("pt", 1)[0])  # a wide one is scrolled rather than shrunk
    return svg.replace("<svg", f'<svg style="min-width: {READABLE * width:.0f}pt"', 1).strip()
