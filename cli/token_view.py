"""The picture of a text cut into tokens: coloured on a terminal, `to|ken|iz` in a pipe.

White space is made visible. A character whose bytes lie in several tokens is shown once, followed by a chip of
hexadecimal bytes for each of these tokens: 🌍⟨F0 9F⟩|⟨8C⟩|⟨8D⟩.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, chain, cycle, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.amounts import how_many
from cli.machine_forms import RowsByColumn
from cli.output import Column, Table, on_terminal, print_exactly
from cli.progress import say
from cli.token_pieces import Run, Shape, shapes
from cli.visible import visible

if TYPE_CHECKING:
    from rich.color import ColorSystem
    from rich.console import Console

# Four light tints that stay apart for people with any colour blindness, in this cyclic order; all carry black text.
BACKGROUNDS = ("#77aadd", "#eedd88", "#99ddff", "#ee8866")
INK = "#000000"
FAINT_INK = "#444444"
_AT_ONCE = 500  # lines that are written together
BARS = ("|", "¦", "‖")  # between tokens, where there are no colours: the first that the text does not hold itself


class Picture(NamedTuple):
    """A text through a tokenizer: their names, and the tokens' ids and bytes."""

    source: str
    tokenizer: str
    ids: Sequence[int]
    tokens: Sequence[bytes]


class Line(NamedTuple):
    """Tokens in one line: what is shown of each, which colour it has, its id below it or "", and the cells it takes."""

    shapes: Sequence[Shape]
    tints: Sequence[int]
    numbers: Sequence[str]
    widths: Sequence[int]

    def part(self, start: int, end: int) -> "Line":
        """Some of them."""
        return Line(self.shapes[start:end], self.tints[start:end], self.numbers[start:end], self.widths[start:end])


def lines(shown: Iterable[Shape], ids: Sequence[int] | None, *, width: int | None, gap: int) -> Iterator[Line]:
    """Break what is shown of tokens into lines, only between tokens; a token that is wider than a line over several.

    Args:
        shown: of each token; it is read to its end before the first line is there.
        ids: their ids, if they are to stand below them.
        width: the most cells of a line; None: as many as it takes.
        gap: the cells between two tokens.
    """
    every = _in_one_line(list(shown), ids, width)
    edges = [] if width is None else list(accumulate((cells + gap for cells in every.widths), initial=0))
    line_ends = [end for end, shape in enumerate(every.shapes, start=1) if shape.ends_line]
    start = 0
    for line_end in (*line_ends, len(every.shapes)):
        while start < line_end:
            end = line_end
            if width is not None:
                fitting = bisect_right(edges, edges[start] + width + gap, start) - 1
                end = min(line_end, max(fitting, start + 1))
            yield every.part(start, end)
            start = end


def _in_one_line(shown: list[Shape], ids: Sequence[int] | None, width: int | None) -> Line:
    """All tokens, those that are wider than this in parts, of which the first has the id."""
    tints: list[int] = list(islice(cycle(range(len(BACKGROUNDS))), len(shown)))
    numbers = [""] * len(shown) if ids is None else list(map(str, ids))
    kinds = set() if width is None else set(shown)
    if width is not None and any(one.width > width for one in kinds):
        parts = {one: one.parts(width) if one.width > width else [one] for one in kinds}
        sizes = [len(parts[shape]) for shape in shown]
        shown = list(chain.from_iterable(map(parts.__getitem__, shown)))
        tints = list(chain.from_iterable(map(repeat, tints, sizes)))
        numbers = list(chain.from_iterable(map(repeat, numbers, sizes)))
        for start, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
            if size > 1:
                numbers[start + 1 : start + size] = [""] * (size - 1)
    if width is None and ids is None:  # nobody asks how wide they are
        return Line(shown, tints, numbers, [0] * len(shown))
    widths = [shape.width for shape in shown]
    return Line(shown, tints, numbers, widths if ids is None else list(map(max, widths, map(len, numbers))))


def bar_between(tokens: Iterable[bytes]) -> str:
    """What to put between tokens: a bar, and another one where the text holds bars.

    Example: bar_between([b"a", b"||"]) == "¦"
    """
    text = b"".join(tokens)
    return next((bar for bar in BARS if bar.encode() not in text), BARS[0])


def plain_text(
    shown: Iterable[Shape], ids: Sequence[int] | None, *, width: int | None, plain_spaces: bool, bar: str = BARS[0]
) -> str:
    """The picture without colours: a bar between tokens, a new line where the text has one.

    A line that is full ends with a bar if a token ends there, too.

    Example: "How| is| this| cut|?"; with ids the tokens stand in columns, and their ids in a line below.
    """
    words = attrgetter("plain" if plain_spaces else "signs")
    column = cache(lambda shape, cells: shape.signs + " " * (cells - shape.width))
    drawn: list[str] = []
    before: Line | None = None
    most = width if width is None or ids is not None else max(1, width - len(bar))
    for line in lines(shown, ids, width=most, gap=len(bar)):
        if ids is None:
            if before and not before.shapes[-1].ends_line and before.tints[-1] != line.tints[0]:  # no part of one token
                drawn[-1] += bar
            drawn.append(bar.join(map(words, line.shapes)))
            before = line
        else:
            drawn += _with_numbers(line, map(column, line.shapes, line.widths), bar)
    return "".join(f"{line}\n" for line in drawn)


def _with_numbers(line: Line, columns: Iterable[str], gap: str) -> list[str]:
    """A line of tokens that are drawn as these columns, and a line of their ids below."""
    numbers = map(str.ljust, line.numbers, line.widths)
    return [gap.join(columns).rstrip(" "), (" " * len(gap)).join(numbers).rstrip(" ")]


def coloured_lines(
    shown: Iterable[Shape], ids: Sequence[int] | None, *, width: int, colours: "ColorSystem"
) -> Iterator[str]:
    """The picture in as many colours as a terminal has, with their codes; with ids a second line under each."""
    painted = _Painted(colours)
    gap = "" if ids is None else " "
    for line in lines(shown, ids, width=width, gap=len(gap)):
        columns = map(painted.__getitem__, zip(line.shapes, line.tints, line.widths, strict=True))
        yield from ["".join(columns)] if ids is None else _with_numbers(line, columns, gap)


class _Painted(dict[tuple[Shape, int, int], str]):
    """What is shown of a token on one of the backgrounds in so many cells, with the codes for its colours.

    It is made when it is asked for.
    """

    def __init__(self, colours: "ColorSystem") -> None:
        self._colours = colours

    def __missing__(self, key: tuple[Shape, int, int]) -> str:
        from rich.style import Style

        shape, number, cells = key
        styles = [Style.parse(_style(run, number)) for run in shape.runs]
        runs = zip(styles, shape.runs, strict=True)
        drawn = "".join(style.render(run.shown, color_system=self._colours) for style, run in runs)
        text = self[key] = drawn + " " * (cells - shape.width)
        return text


def _style(run: Run, number: int) -> str:
    if run.kind == "whole":
        return "bold"
    line = "underline " if number % 2 else ""  # of two neighbours one, for whoever sees no colours
    return f"{line}{FAINT_INK if run.kind == 'sign' else INK} on {BACKGROUNDS[number]}"


def print_pictures(pictures: Sequence[Picture], *, ids: bool) -> None:
    """Print picture after picture, each with a line that sums it up; in a pipe that line goes to stderr."""
    for number, picture in enumerate(pictures):
        if number:
            click.echo()
        if len(pictures) > 1:
            click.echo(visible(f"# {picture.source}, {picture.tokenizer}"))
        bar = bar_between(picture.tokens)
        numbers = picture.ids if ids else None
        if on_terminal():
            _draw(shapes(picture.tokens), numbers, bar=bar)
            click.echo(visible(f"\n{summary(picture)}"))
        else:
            text = plain_text(shapes(picture.tokens), numbers, width=None, plain_spaces=True, bar=bar)
            click.echo(text, nl=False)
            say(summary(picture))


def _draw(shown: Iterable[Shape], ids: Sequence[int] | None, *, bar: str) -> None:
    from rich.console import Console

    console = Console()
    drawn = picture_lines(console, shown, ids, width=console.width, bar=bar)
    while some := list(islice(drawn, _AT_ONCE)):
        print_exactly("".join(f"{line}\n" for line in some))


def picture_lines(
    console: "Console", shown: Iterable[Shape], ids: Sequence[int] | None, *, width: int, bar: str = BARS[0]
) -> Iterator[str]:
    """The picture as this console can show it: in colours, with the codes for them, or with bars where it has none."""
    from rich.console import COLOR_SYSTEMS

    if console.color_system is not None and not console.no_color:
        return coloured_lines(shown, ids, width=width, colours=COLOR_SYSTEMS[console.color_system])
    return iter(plain_text(shown, ids, width=width, plain_spaces=False, bar=bar).splitlines())


def summary(picture: Picture) -> str:
    """One line of figures: "4 tokens, 12 bytes, 12 characters, 3.00 bytes per token, tokenizer gpt2"."""
    data = b"".join(picture.tokens)
    characters = len(data.decode("utf-8", "surrogateescape"))
    count = len(picture.tokens)
    parts = [how_many(count, "token"), how_many(len(data), "byte"), how_many(characters, "character")]
    if count:
        parts.append(f"{len(data) / count:.2f} bytes per token")
    return ", ".join([*parts, f"tokenizer {picture.tokenizer}"])


def token_table(pictures: Sequence[Picture], meta: Mapping[str, Any]) -> Table:
    """A row for each token of each picture, with its place in the text in bytes."""
    keys = ("source", "tokenizer", "position", "id", "text", "bytes_hex", "start_byte", "end_byte")
    numbers = ("position", "id", "start_byte", "end_byte")
    columns: dict[str, Any] = {key: array("q") if key in numbers else [] for key in keys}
    for picture in pictures:
        count = len(picture.tokens)
        ends = array("q", accumulate(map(len, picture.tokens), initial=0))
        columns["source"] += [picture.source] * count
        columns["tokenizer"] += [picture.tokenizer] * count
        columns["position"].extend(range(count))
        columns["id"].extend(picture.ids)
        for key, words in words_of(picture.tokens).items():
            columns[key] += words
        columns["start_byte"] += ends[:-1]
        columns["end_byte"] += ends[1:]
    return Table("tok show", [Column(key, key) for key in columns], RowsByColumn(columns), meta=meta)


def words_of(tokens: Sequence[bytes]) -> dict[str, list[str | None]]:
    """The `token_texts` of very many tokens, which come again and again, in columns."""
    kinds = {token: token_texts(token) for token in set(tokens)}
    found = {}
    for key in ("text", "bytes_hex"):
        shown = {token: texts[key] for token, texts in kinds.items()}
        found[key] = list(map(shown.__getitem__, tokens))
    return found


def token_texts(data: bytes) -> dict[str, str | None]:
    """A token's text, which is unknown when its bytes are no whole characters, and its bytes in hexadecimal."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"text": text, "bytes_hex": data.hex()}
