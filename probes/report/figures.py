"""The figures that only a report of runs has, heat maps and forest plots; curves and bars are those of any page.

Rates are shaded in cividis, which gets lighter from 0 to 1 in grey print too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes.pages.figures import FAINT, INK, STYLES, WIDTH, dress, short, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 5  # cells of fewer texts are grey


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

    return svg(draw, max(WIDTH, 0.95 * len(columns) + 0.9), 0.5 * len(rows) + 0.8)


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
        ax.set_yticks(range(len(rows)), ["\n".join(map(short, row.label.splitlines())) for row in rows])
        ax.set_ylim(len(rows) - 0.4, -1.2)
        dress(ax, (unit, ""))
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)

    widest = max(len(short(line)) for row in rows for line in row.label.splitlines())
    lines = sum(row.label.count("\n") + 1 for row in rows)
    return svg(draw, max(WIDTH, 2.7 + 0.062 * widest), 0.16 * lines + 0.18 * len(rows) + 0.9)


def _percent(rate: float) -> str:
    return f"{100 * rate:.0f}%"
