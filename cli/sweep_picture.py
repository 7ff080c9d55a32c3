"""The curves of `tok sweep` as a picture, SVG or PNG: on white, to stand in a paper or on a page."""

import io
from typing import TYPE_CHECKING

from cli.sweep_tables import Sweep, costs, lengths
from probes.pages.figures import RC, STYLES, dress, need_matplotlib
from tokenizer.vocabulary_size import published_optima

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 6.4, 3.2  # inches of one chart
DOTS_PER_INCH = 150
STEPS = 400  # points of a curve


def picture(sweep: Sweep, form: str) -> bytes:
    """The picture as `svg` or `png`: bytes per token by vocabulary, and with a model what a step costs.

    It holds no date and no random id, so that the same figures make the same bytes.

    Raises:
        UserError: matplotlib is not installed.
    """
    need_matplotlib("a picture")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    charts = 1 if sweep.model is None else 2
    written = io.BytesIO()
    with rc_context(RC):
        figure = Figure(figsize=(WIDTH, HEIGHT * charts), layout="constrained", facecolor="white")
        axes = figure.subplots(charts, squeeze=False)[:, 0]
        _draw_lengths(axes[0], sweep)
        if sweep.model is not None:
            _draw_costs(axes[1], sweep)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type") if form == "svg" else ("Software",))
        figure.savefig(written, format=form, dpi=DOTS_PER_INCH, metadata=nothing)
    return written.getvalue()


def _draw_lengths(ax: "Axes", sweep: Sweep) -> None:
    for (name, line), (colour, mark, dashes) in zip(lengths(sweep), STYLES, strict=False):
        _draw_line(ax, line, sweep.reached, name, (colour, mark, dashes))
    _dress(ax, sweep, "bytes per token")


def _draw_costs(ax: "Axes", sweep: Sweep) -> None:
    assert sweep.model is not None
    line = costs(sweep)
    _draw_line(ax, line, sweep.reached, "step cost of the held-out text", STYLES[0])
    ax.plot([sweep.cheapest], [1.0], "*", color=STYLES[1][0], markersize=11, label=f"least, at {sweep.cheapest:,}")
    for found, (colour, _, dashes) in zip(
        published_optima(sweep.model.params, sweep.model.dim), STYLES[2:], strict=False
    ):
        words = f"Tao et al., {found.approach}: {found.vocab_size:,}"
        words += ", extrapolated" if found.is_extrapolated else ""
        if min(line) <= found.vocab_size <= max(line):
            ax.axvline(found.vocab_size, color=colour, linestyle=dashes, linewidth=1.4, label=words)
        else:
            ax.plot([], [], " ", label=f"{words}, not measured")
    _dress(ax, sweep, "step cost by the least")


def _draw_line(
    ax: "Axes", line: dict[int, float], marked: list[int], name: str, style: tuple[str, str, object]
) -> None:
    """A curve, thinned so that a large vocabulary makes no large file, with a mark at each size that was asked for."""
    first, last = min(line), max(line)
    steps = {round(first * (last / first) ** (step / STEPS)) for step in range(STEPS + 1)} | set(marked)
    places = sorted(steps)
    colour, mark, dashes = style
    ax.plot(
        places, [line[size] for size in places], color=colour, linestyle=dashes, linewidth=1.6, label=name,
        marker=mark, markersize=4.5, markevery=[places.index(size) for size in marked],
    )  # fmt: skip


def _dress(ax: "Axes", sweep: Sweep, up: str) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(sweep.reached, [f"{size:,}" for size in sweep.reached])
    ax.minorticks_off()
    dress(ax, ("tokens in the vocabulary", up))
    ax.legend(frameon=False, fontsize=8)
