"""The picture of a text cut into tokens: coloured on a terminal, `to|ken|iz` in a pipe.

White space is made visible. A character whose bytes lie in several tokens is shown once, followed by a chip of
hexadecimal bytes for each of these tokens: 🌍⟨F0 9F⟩|⟨8C⟩|⟨8D⟩.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, get_args

import click

from cli.amounts import how_many
from cli.machine_forms import RowsByColumn
from cli.output import Column, Table, new_console, on_terminal, print_exactly, print_sentence
from cli.progress import say
from cli.token_lines import Block, drawn_lines, joined, lines
from cli.token_pieces import Kind, Shape, shapes
from cli.token_texts import words_of
from cli.visible import visible

if TYPE_CHECKING:
    from rich.color import ColorSystem
    from rich.console import Console

# Four light tints that stay apart for people with any colour blindness, in this cyclic order; all carry black text.
BACKGROUNDS = ("#77aadd", "#eedd88", "#99ddff", "#ee8866")
INK = "#000000"
FAINT_INK = "#444444"
BARS = ("|", "¦", "‖")  # between tokens, where there are no colours: the first that the text does not hold itself


@dataclass(frozen=True)
class Picture:
    """A text through a tokenizer: their names, and the tokens' ids and bytes."""

    source: str
    tokenizer: str
    ids: Sequence[int]
    tokens: Sequence[bytes]

    @cached_property
    def data(self) -> bytes:
        """The text."""
        return b"".join(self.tokens)


def bar_between(data: bytes) -> str:
    """What to put between the tokens of a text: a bar, and another one where it holds bars.

    Example: bar_between(b"a||") == "¦"
    """
    return next((bar for bar in BARS if bar.encode() not in data), BARS[0])


def plain_text(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int | None, plain_spaces: bool, bar: str = BARS[0]
) -> bytes:
    """The picture without colours, in UTF-8: a bar between tokens, a new line where the text has one.

    A line that is full ends with a bar if a token ends there, too.

    Example: "How| is| this| cut|?"; with ids the tokens stand in columns, and their ids in a line below.
    """
    if ids is not None:
        return b"".join(drawn_lines(shown, ids, width=width, gap=bar.encode(), brushes=[_signs]))
    words = attrgetter("plain" if plain_spaces else "signs")
    if width is None:  # nobody asks how wide they are
        text = joined(shown, lambda shape: (words(shape) + ("\n" if shape.ends_line else bar)).encode())
        return text.removesuffix(bar.encode()) + b"\n" if text.endswith(bar.encode()) else text
    # Two tints are enough to tell whether a line goes on with a part of the same token.
    broken = list(lines(shown, None, width=max(1, width - len(bar)), gap=len(bar), tints=2))
    parts: list[str] = []
    for line, after in zip_longest(broken, broken[1:]):
        ends_token = after is not None and after.tints[0] != line.tints[-1]
        is_full = ends_token and not line.blocks[-1].shape.ends_line
        parts += [bar.join([words(block.shape) for block in line.blocks]), bar if is_full else "", "\n"]
    return "".join(parts).encode()


def _signs(block: Block) -> bytes:
    return (block.shape.signs + " " * (block.width - block.shape.width)).encode()


def coloured_lines(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int, colours: "ColorSystem"
) -> Iterator[bytes]:
    """The lines of `picture_lines` in as many colours as a terminal has, with their codes."""
    brushes = [_brush(tint, colours) for tint in range(len(BACKGROUNDS))]
    return drawn_lines(shown, ids, width=width, gap=b"" if ids is None else b" ", brushes=brushes)


def _brush(tint: int, colours: "ColorSystem") -> Callable[[Block], bytes]:
    """What draws tokens on one of the backgrounds, over their whole width, with the codes for its colours."""
    codes = {kind: _codes(kind, tint, colours) for kind in get_args(Kind)}

    def draw(block: Block) -> bytes:
        drawn = [run.shown.join(codes[run.kind]) for run in block.shape.runs]
        return "".join(drawn).encode() + b" " * (block.width - block.shape.width)

    return draw


def _codes(kind: Kind, tint: int, colours: "ColorSystem") -> list[str]:
    """What stands before and after some characters to give them their colours."""
    from rich.style import Style

    line = "underline " if tint % 2 else ""  # of two neighbours one, for whoever sees no colours
    style = f"{line}{FAINT_INK if kind == 'sign' else INK} on {BACKGROUNDS[tint]}"
    return Style.parse("bold" if kind == "whole" else style).render("-", color_system=colours).split("-")


def print_pictures(pictures: Sequence[Picture], *, ids: bool) -> None:
    """Print picture after picture, each with a line that sums it up; in a pipe that line goes to stderr."""
    for number, picture in enumerate(pictures):
        if number:
            click.echo()
        if len(pictures) > 1:
            click.echo(visible(f"# {picture.source}, {picture.tokenizer}"))
        bar, shown = bar_between(picture.data), shapes(picture.tokens, picture.data)
        numbers = picture.ids if ids else None
        if on_terminal():
            _draw(shown, numbers, bar=bar)
            click.echo()
            print_sentence(summary(picture))
        else:
            print_exactly(plain_text(shown, numbers, width=None, plain_spaces=True, bar=bar))
            say(summary(picture))


def _draw(shown: Sequence[Shape], ids: Sequence[int] | None, *, bar: str) -> None:
    console = new_console()
    for some in picture_lines(console, shown, ids, width=console.width, bar=bar):
        print_exactly(some)


def picture_lines(
    console: "Console", shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int, bar: str = BARS[0]
) -> Iterator[bytes]:
    """The picture as this console can show it: in colours, with the codes for them, or with bars where it has none.

    It comes in UTF-8, some lines at a time, each with its line end.
    """
    from rich.console import COLOR_SYSTEMS

    if console.color_system is not None and not console.no_color:
        return coloured_lines(shown, ids, width=width, colours=COLOR_SYSTEMS[console.color_system])
    return iter([plain_text(shown, ids, width=width, plain_spaces=False, bar=bar)])


def summary(picture: Picture) -> str:
    """One line of figures: "4 tokens, 12 bytes, 12 characters, 3.00 bytes per token, tokenizer gpt2"."""
    size, count = len(picture.data), len(picture.tokens)
    characters = len(picture.data.decode("utf-8", "surrogateescape"))
    parts = [how_many(count, "token"), how_many(size, "byte"), how_many(characters, "character")]
    if count:
        parts.append(f"{size / count:.2f} bytes per token")
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
        columns["start_byte"] += ends[:-1]
        columns["end_byte"] += ends[1:]
    columns |= words_of(list(chain.from_iterable(picture.tokens for picture in pictures)))
    return Table("tok show", [Column(key, key) for key in columns], RowsByColumn(columns), meta=meta)
