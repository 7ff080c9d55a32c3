"""The figures of a text and its tokens: how long they are, how often they come, and how many there are where."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cli.token_page.measured import Cut
from probes.pages.figures import STYLES, WIDTH, Margins, Point, curves, dress, svg
from probes.pages.parts import Picture, WordTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 16  # bytes; longer tokens stand together
STRETCHES = 20  # of the text
FEWEST = 40  # tokens in a text whose stretches say something
MARGINS = Margins(left=0.62, right=0.12, bottom=0.45, top=0.08)
LEGEND = 0.25  # inches below
STEEP = 0.06  # inches below for each letter of a name that stands nearly upright


def pictures(cut: Cut) -> Iterator[Picture]:
    """The figures of a text that has tokens, in the order of the page."""
    if not len(cut.ids):
        return
    yield lengths(cut)
    yield frequencies(cut)
    yield coverage(cut)
    if len(cut.ids) >= FEWEST:
        yield along(cut)


def lengths(cut: Cut) -> Picture:
    """How many bytes the tokens have: those of the text, and each different one once."""
    sizes = np.minimum([len(kind.data) for kind in cut.kinds], LONGEST)
    top = int(sizes.max())
    in_text = np.bincount(sizes, cut.counts, minlength=top + 1)[1:]
    once = np.bincount(sizes, minlength=top + 1)[1:].astype(np.float64)
    names = [f"{size} or more" if size == LONGEST else str(size) for size in range(1, top + 1)]
    ticks = [f"{LONGEST}+" if size == LONGEST else str(size) for size in range(1, top + 1)]
    shares = in_text / in_text.sum(), once / once.sum()
    table = WordTable(
        "How long the tokens are",
        ("bytes", "tokens of the text", "share", "different tokens", "share"),
        [
            (name, f"{here:,.0f}", f"{100 * share:.1f}%", f"{kinds:,.0f}", f"{100 * each:.1f}%")
            for name, here, share, kinds, each in zip(names, in_text, shares[0], once, shares[1], strict=True)
        ],
    )
    drawn = _columns(
        ticks,
        [("tokens of the text", shares[0]), ("different tokens", shares[1])],
        axes=("bytes in a token", "share of tokens, %"),
    )
    commonest = names[int(shares[0].argmax())]
    return Picture(
        drawn,
        f"Histogram. Most tokens of the text, {100 * shares[0].max():.0f}%, have {commonest} bytes.",
        table,
        f"n: {len(cut.ids):,} tokens of the text, of which {len(cut.kinds):,} are different.",
    )


def frequencies(cut: Cut) -> Picture:
    """How many of the different tokens come once, twice, three or four times, and so on by doubling."""
    classes = np.ceil(np.log2(cut.counts)).astype(np.int64)  # 1, 2, 3-4, 5-8 ...
    numbers = np.bincount(classes)
    names = [_class_name(number) for number in range(len(numbers))]
    tokens = np.bincount(classes, cut.counts)
    table = WordTable(
        "How often the different tokens come",
        ("times", "different tokens", "share of them", "tokens of the text", "share of them"),
        [
            (
                name,
                f"{kinds:,}",
                f"{100 * kinds / len(cut.kinds):.1f}%",
                f"{here:,.0f}",
                f"{100 * here / len(cut.ids):.1f}%",
            )
            for name, kinds, here in zip(names, numbers.tolist(), tokens, strict=True)
        ],
    )
    drawn = _columns(
        names,
        [("tokens of the text", tokens / tokens.sum()), ("different tokens", numbers / numbers.sum())],
        axes=("times in the text", "share of tokens, %"),
    )
    return Picture(
        drawn,
        f"Histogram. {numbers[0]:,} of {len(cut.kinds):,} different tokens come once.",
        table,
        f"n: {len(cut.kinds):,} different tokens, {len(cut.ids):,} tokens of the text. "
        "How often a token comes depends on the length of the text.",
    )


def _class_name(number: int) -> str:
    """Example: 0 -> "1", 1 -> "2", 2 -> "3-4", 3 -> "5-8"."""
    return str(2**number) if number < 2 else f"{2 ** (number - 1) + 1:,}-{2**number:,}"


def coverage(cut: Cut) -> Picture:
    """Which share of the text's tokens the k most frequent different tokens are."""
    kinds = len(cut.kinds)
    places = np.unique(np.round(np.geomspace(1, kinds, 16)).astype(np.int64))
    shares = np.cumsum(cut.counts)[places - 1] / len(cut.ids)
    enough = int(np.searchsorted(np.cumsum(cut.counts), len(cut.ids) / 2)) + 1
    table = WordTable(
        "What the most frequent tokens cover",
        ("most frequent tokens", "share of the text's tokens"),
        [(f"{place:,}", f"{100 * share:.1f}%") for place, share in zip(places.tolist(), shares, strict=True)],
    )
    top = 10 ** np.arange(0, 1 + int(np.log10(kinds)))
    drawn = curves(
        [("share", [Point(float(place), float(share)) for place, share in zip(places, shares, strict=True)])],
        axes=("most frequent different tokens", "share of the text's tokens, %"),
        rate=True,
        limits=(-0.04, 1.04),
        ticks=[(float(place), f"{place:,}") for place in top.tolist()],
        logarithmic=True,
        margins=MARGINS,
    )
    half = "The most frequent one makes" if enough == 1 else f"The {enough:,} most frequent ones make"
    return Picture(
        drawn,
        f"Curve. {half} half of the text.",
        table,
        f"n: {len(cut.ids):,} tokens. {half} up half of them.",
    )


def along(cut: Cut) -> Picture:
    """Bytes per token in each twentieth of the text."""
    edges = np.linspace(0, len(cut.text.data), STRETCHES + 1).round().astype(np.int64)
    before = np.searchsorted(cut.ends, edges, "right")  # tokens that have ended by then
    numbers = np.diff(before)
    values = [
        None if not number else float(size / number) for size, number in zip(np.diff(edges), numbers, strict=True)
    ]
    middles = (edges[:-1] + edges[1:]) / 2 / len(cut.text.data)
    table = WordTable(
        "Bytes per token along the text",
        ("bytes of the text", "tokens that end there", "bytes per token"),
        [
            (f"{start:,} to {end:,}", f"{number:,}", "none" if value is None else f"{value:.2f}")
            for start, end, number, value in zip(
                edges[:-1].tolist(), edges[1:].tolist(), numbers.tolist(), values, strict=True
            )
        ],
    )
    known = [value for value in values if value is not None]
    drawn = curves(
        [("", [Point(float(place), value) for place, value in zip(middles, values, strict=True)])],
        axes=("place in the text", "bytes per token"),
        rate=False,
        limits=(0, 1.08 * max(known)),
        ticks=[(part / 4, f"{25 * part}%") for part in range(5)],
        margins=MARGINS,
    )
    return Picture(
        drawn,
        f"Curve. From {min(known):.2f} to {max(known):.2f} bytes per token.",
        table,
        f"n: {STRETCHES} stretches of {len(cut.text.data) / STRETCHES:,.0f} bytes. "
        "Where it is low, the text needs many tokens.",
    )


def _columns(names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], *, axes: tuple[str, str]) -> str:
    """A histogram of shares: the first series as columns, the second as marks, so that they differ by form."""
    longest = max(map(len, names))
    steep = longest > 3 and longest * len(names) > 40

    def draw(figure: "Figure") -> None:
        ax = figure.add_subplot()
        places = range(len(names))
        (name, shares), (other, marks) = series
        ax.bar(places, [100 * share for share in shares], color=STYLES[0][0], width=0.7, label=name)
        ax.plot(places, [100 * share for share in marks], STYLES[1][1], color=STYLES[1][0], markersize=5.5, label=other)
        ax.set_xticks(places, names, rotation=60 if steep else 0)
        ax.set_ylim(bottom=0)
        dress(ax, axes)
        figure.legend(loc="lower center", ncols=2, frameon=False)

    room = LEGEND + STEEP * steep * longest
    return svg(draw, WIDTH, 3.1, MARGINS._replace(bottom=MARGINS.bottom + room))
