"""The picture of a text cut into tokens: coloured on a terminal, `to|ken|iz` in a pipe.

White space is made visible. A character whose bytes lie in several tokens is shown once, followed by a chip of
hexadecimal bytes for each of these tokens: 🌍⟨F0 9F⟩|⟨8C⟩|⟨8D⟩.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, chain, compress, count, cycle, islice, repeat, zip_longest
from operator import attrgetter, call
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

import click

from cli.amounts import how_many
from cli.machine_forms import RowsByColumn
from cli.output import Column, Table, on_terminal, print_exactly
from cli.progress import say
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
_AT_ONCE = 500  # lines that are written together

Key = TypeVar("Key")
Value = TypeVar("Value")


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


class Made(dict[Key, Value]):
    """What a function makes of each key, made once: `functools.cache`, but for a million keys in half of the time."""

    def __init__(self, make: Callable[[Key], Value]) -> None:
        self._make = make

    def __missing__(self, key: Key) -> Value:
        value = self[key] = self._make(key)
        return value


class Block:
    """A token, or a part of a wide one, as it stands in a picture. Equal ones are one, as they are soon looked up.

    Attributes:
        shape: what is shown of it.
        width: terminal cells, enough for its id, too.
        number: the id below it, or nothing, and spaces over the width, as bytes.
    """

    __slots__ = ("number", "shape", "width")

    def __init__(self, shape: Shape, token_id: int | None = None) -> None:
        number = "" if token_id is None else str(token_id)
        self.shape = shape
        self.width = max(shape.width, len(number))
        self.number = number.ljust(self.width).encode()


class Line(NamedTuple):
    """Blocks in one line, and which of the backgrounds each has: parts of one token the same, neighbours others."""

    blocks: Sequence[Block]
    tints: Sequence[int]


def lines(shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int | None, gap: int) -> Iterator[Line]:
    """Break what is shown of tokens into lines, only between tokens; a token that is wider than a line over several.

    Args:
        shown: of each token.
        ids: their ids, if they are to stand below them.
        width: the most cells of a line; None: as many as it takes.
        gap: the cells between two tokens.
    """
    every = _in_one_line(shown, ids, width)
    edges = [] if width is None else list(accumulate([block.width + gap for block in every.blocks], initial=0))
    ending = {block for block in set(every.blocks) if block.shape.ends_line}
    start = 0
    for line_end in (*compress(count(1), map(ending.__contains__, every.blocks)), len(every.blocks)):
        while start < line_end:
            end = line_end
            if width is not None:
                fitting = bisect_right(edges, edges[start] + width + gap, start) - 1
                end = min(line_end, max(fitting, start + 1))
            yield Line(every.blocks[start:end], every.tints[start:end])
            start = end


def _in_one_line(shown: Sequence[Shape], ids: Sequence[int] | None, width: int | None) -> Line:
    """All tokens, those that are wider than this in parts, of which the first has the id."""
    tints: list[int] = list(islice(cycle(range(len(BACKGROUNDS))), len(shown)))
    if ids is None:
        blocks = list(map(Made(Block).__getitem__, shown))
    else:
        numbered: Made[tuple[Shape, int], Block] = Made(lambda key: Block(*key))
        blocks = list(map(numbered.__getitem__, zip(shown, ids, strict=True)))
    if width is None or all(each.shape.width <= width for each in set(blocks)):
        return Line(blocks, tints)
    parts = list(map(Made(partial(_parts, width=width)).__getitem__, blocks))
    return Line(list(chain.from_iterable(parts)), list(chain.from_iterable(map(repeat, tints, map(len, parts)))))


def _parts(block: Block, width: int) -> list[Block]:
    if block.shape.width <= width:
        return [block]
    first, *rest = block.shape.parts(width)
    number = block.number.rstrip(b" ")
    return [Block(first, int(number) if number else None), *map(Block, rest)]


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
        signs: Made[Block, bytes] = Made(
            lambda block: (block.shape.signs + " " * (block.width - block.shape.width)).encode()
        )
        every = lines(shown, ids, width=width, gap=len(bar))
        return b"".join([_with_numbers(line, map(signs.__getitem__, line.blocks), bar) for line in every])
    words = attrgetter("plain" if plain_spaces else "signs")
    if width is None:  # nobody asks how wide they are
        piece: Made[Shape, bytes] = Made(lambda shape: (words(shape) + ("\n" if shape.ends_line else bar)).encode())
        text = b"".join(map(piece.__getitem__, shown))
        return text.removesuffix(bar.encode()) + b"\n" if text[-1:] != b"\n" and text else text
    broken = list(lines(shown, None, width=max(1, width - len(bar)), gap=len(bar)))
    parts: list[str] = []
    for line, after in zip_longest(broken, broken[1:]):
        ends_token = after is not None and after.tints[0] != line.tints[-1]
        is_full = ends_token and not line.blocks[-1].shape.ends_line
        parts += [bar.join([words(block.shape) for block in line.blocks]), bar if is_full else "", "\n"]
    return "".join(parts).encode()


def _with_numbers(line: Line, drawn: Iterable[bytes], gap: str) -> bytes:
    """A line of tokens, which are drawn over their whole width, and a line of their ids below."""
    numbers = (b" " * len(gap)).join([block.number for block in line.blocks])
    return b"%b\n%b\n" % (gap.encode().join(drawn).rstrip(b" "), numbers.rstrip(b" "))


def coloured_lines(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int, colours: "ColorSystem"
) -> Iterator[bytes]:
    """The lines of `picture_lines` in as many colours as a terminal has, with their codes."""
    brushes = [Made(_brush(tint, colours)).__getitem__ for tint in range(len(BACKGROUNDS))]
    gap = "" if ids is None else " "
    for line in lines(shown, ids, width=width, gap=len(gap)):
        drawn = map(call, map(brushes.__getitem__, line.tints), line.blocks)
        yield b"".join(drawn) + b"\n" if ids is None else _with_numbers(line, drawn, gap)


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
        bar = bar_between(picture.data)
        numbers = picture.ids if ids else None
        if on_terminal():
            _draw(shapes(picture.tokens), numbers, bar=bar)
            click.echo(visible(f"\n{summary(picture)}"))
        else:
            text = plain_text(shapes(picture.tokens), numbers, width=None, plain_spaces=True, bar=bar)
            click.echo(text.decode(), nl=False)
            say(summary(picture))


def _draw(shown: Sequence[Shape], ids: Sequence[int] | None, *, bar: str) -> None:
    from rich.console import Console

    console = Console()
    drawn = picture_lines(console, shown, ids, width=console.width, bar=bar)
    while some := list(islice(drawn, _AT_ONCE)):
        print_exactly(b"".join(some))


def picture_lines(
    console: "Console", shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int, bar: str = BARS[0]
) -> Iterator[bytes]:
    """The picture as this console can show it: in colours, with the codes for them, or with bars where it has none.

    It comes line by line in UTF-8, with ids two lines at a time, each with its line end.
    """
    from rich.console import COLOR_SYSTEMS

    if console.color_system is not None and not console.no_color:
        return coloured_lines(shown, ids, width=width, colours=COLOR_SYSTEMS[console.color_system])
    return iter(plain_text(shown, ids, width=width, plain_spaces=False, bar=bar).splitlines(keepends=True))


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
        for key, words in words_of(picture.tokens).items():
            columns[key] += words
        columns["start_byte"] += ends[:-1]
        columns["end_byte"] += ends[1:]
    return Table("tok show", [Column(key, key) for key in columns], RowsByColumn(columns), meta=meta)
