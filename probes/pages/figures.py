"""The figures of a page, drawn by matplotlib without a screen and given as SVG text.

They hold no date and no random id, so that the same figures make the same bytes. Text and axes take the colours of the
page around them, light or dark; series are told apart by line and mark as well as by colour (Okabe and Ito's palette,
which most colour-blind readers can tell apart).
"""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

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
WIDTH = 4.6  # inches, about the width of a phone
LONGEST_LABEL = 60
READABLE = 0.7  # how far a figure may shrink with the page
RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "needlepoint",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_PAGE_RC = RC | {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "grid.color": FAINT,
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
}


class Margins(NamedTuple):
    """The room around the axes, in inches."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a curve with its interval; None where there is none."""

    x: float
    value: float | None
    low: float | None = None
    high: float | None = None


def curves(
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    axes: tuple[str, str],
    rate: bool,
    limits: tuple[float, float] | None = None,
    ticks: Sequence[tuple[float, str]] = (),
    logarithmic: bool = False,
    margins: Margins | None = None,
) -> str:
    """Lines with a band where there is an interval; each told apart by colour, line and mark.

    `axes`: what is shown along and up; `rate`: up are rates, shown in per cent; `limits` hold the same scale in several
    figures; `ticks`: where along the axis which words stand; `margins`: as `svg` takes them.
    """

    def draw(figure: "Figure") -> None:
        ax = figure.add_subplot()
        scale = 100 if rate else 1
        for (name, points), (colour, mark, line) in zip(series, _styles(len(series)), strict=False):
            known = [point for point in points if point.value is not None]
            along, up = [point.x for point in known], [scale * (point.value or 0.0) for point in known]
            ax.plot(
                along, up, color=colour, marker=mark, linestyle=line, label=short(name), markersize=4.5, linewidth=1.6
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
        dress(ax, axes)
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=3.2)

    return svg(draw, WIDTH, 2.9 + 0.2 * ((len(series) + 1) // 2), margins)


def _styles(count: int) -> list[tuple[str, str, Any]]:
    return [STYLES[number % len(STYLES)] for number in range(count)]


def bars(rows: Sequence[tuple[str, float, str]], *, unit: str) -> str:
    """Horizontal bars, each with its name and its figure in words."""

    def draw(figure: "Figure") -> None:
        ax = figure.add_subplot()
        ax.barh(range(len(rows)), [value for _, value, _ in rows], color=STYLES[0][0], height=0.6)
        for number, (_, value, words) in enumerate(rows):
            ax.annotate(words, (value, number), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_yticks(range(len(rows)), [short(name) for name, _, _ in rows])
        ax.invert_yaxis()
        ax.margins(x=0.22)
        dress(ax, (unit, ""))

    return svg(draw, WIDTH, 0.3 * len(rows) + 0.8)


def dress(ax: "Axes", axes: tuple[str, str]) -> None:
    """Name the axes, along and up, and draw a faint grid."""
    ax.set(xlabel=axes[0], ylabel=axes[1])
    ax.grid(visible=True, linewidth=0.5)
    ax.set_axisbelow(True)


def short(label: str) -> str:
    """A label that leaves room for the figure; it stands in full in the figure's table."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 3]}..."


def need_matplotlib(what: str = "a report") -> None:
    """Raise a UserError that says how to get matplotlib, which `what` needs, where there is none."""
    try:
        import matplotlib as mpl  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UserError(f"{what} needs matplotlib", hint="pip install 'needlepoint[report]'") from error


def svg(draw: Callable[["Figure"], None], width: float, height: float, margins: Margins | None = None) -> str:
    """The SVG element of a figure, sized in inches, to stand inside HTML.

    Without margins as much room is left as what stands there needs, for which all has to be measured twice.
    """
    need_matplotlib()
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    with rc_context(_PAGE_RC):
        figure = Figure(figsize=(width, height), layout=None if margins else "constrained")
        canvas = FigureCanvasSVG(figure)
        if margins:
            left, right, bottom, top = margins
            figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
        draw(figure)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():  # a letter that our font lacks is drawn by the browser, in another
            warnings.filterwarnings("ignore", message="Glyph")
            # `savefig` would draw all twice
            canvas.print_svg(written, metadata=nothing)  # type: ignore[no-untyped-call]
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
