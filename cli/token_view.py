"""The picture of a text cut into tokens: coloured on a terminal, `to|ken|iz` in a pipe.

White space is made visible. A character whose bytes lie in several tokens is shown once, followed by a chip of
hexadecimal bytes for each of these tokens: 🌍⟨F0 9F⟩|⟨8C⟩|⟨8D⟩.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.amounts import how_many
from cli.machine_forms import RowsByColumn
from cli.output import Column, Table, on_terminal
from cli.progress import say
from cli.token_pieces import Piece, Run, pieces, shown_stretches
from cli.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Four light tints that stay apart for people with any colour blindness, in this cyclic order; all carry black text.
BACKGROUNDS = ("#77aadd", "#eedd88", "#99ddff", "#ee8866")
INK = "#000000"
FAINT_INK = "#444444"
BARS = ("|", "¦", "‖")  # between tokens, where there are no colours: the first that the text does not hold itself


class Picture(NamedTuple):
    """A text through a tokenizer: their names, and the tokens' ids and bytes."""

    source: str
    tokenizer: str
    ids: Sequence[int]
    tokens: Sequence[bytes]

    @property
    def pairs(self) -> list[tuple[int, bytes]]:
        """Each id with its bytes."""
        return list(zip(self.ids, self.tokens, strict=True))


def lines(shown: Sequence[Piece], *, width: int | None, ids: bool, gap: int) -> Iterator[list[Piece]]:
    """Break the pieces into lines of at most `width` cells (None: as long as they like), only between tokens.

    A token that is wider than a line is cut over several. `gap` is the room between two tokens.
    """
    line: list[Piece] = []
    used = 0
    for piece in shown:
        for part in _fitting(piece, width):
            cells = column_width(part, ids=ids)
            if line and width is not None and used + gap + cells > width:
                yield line
                line, used = [], 0
            used += cells + (gap if line else 0)
            line.append(part)
        if piece.ends_line:
            yield line
            line, used = [], 0
    if line:
        yield line


def column_width(piece: Piece, *, ids: bool) -> int:
    """The cells that a token takes; with ids under it, as many as the wider of the two."""
    return max(piece.width, len(piece.number)) if ids else piece.width


def _fitting(piece: Piece, width: int | None) -> list[Piece]:
    if width is None or piece.width <= width:
        return [piece]
    from rich.cells import cell_len, chop_cells

    parts: list[list[Run]] = [[]]
    used = 0
    for run in piece.runs:
        for sign in filter(None, chop_cells(run.shown, 1)):  # one by one
            if used + cell_len(sign) > width and parts[-1]:
                parts.append([])
                used = 0
            used += cell_len(sign)
            joined = parts[-1].pop().shown if parts[-1] and parts[-1][-1].kind == run.kind == "text" else ""
            parts[-1].append(run._replace(shown=joined + sign))
    return [piece._replace(runs=tuple(runs), continued=i > 0) for i, runs in enumerate(parts)]


def bar_between(tokens: Iterable[bytes]) -> str:
    """What to put between tokens: a bar, and another one where the text holds bars.

    Example: bar_between([b"a", b"||"]) == "¦"
    """
    text = b"".join(tokens)
    return next((bar for bar in BARS if bar.encode() not in text), BARS[0])


def plain_text(shown: Sequence[Piece], *, width: int | None, ids: bool, plain_spaces: bool, bar: str = BARS[0]) -> str:
    """The picture without colours: a bar between tokens, a new line where the text has one.

    Example: "How| is| this| cut|?"; with ids the tokens stand in columns, and their ids in a line below.
    """
    drawn = []
    for line in lines(shown, width=width, ids=ids, gap=1):
        words = [piece.words(plain_spaces=plain_spaces and not ids) for piece in line]
        if not ids:
            drawn.append(bar.join(words))
            continue
        columns = [column_width(piece, ids=True) for piece in line]
        padded = [word + " " * (cells - piece.width) for word, cells, piece in zip(words, columns, line, strict=True)]
        numbers = [f"{piece.number:<{cells}}" for cells, piece in zip(columns, line, strict=True)]
        drawn += [bar.join(padded).rstrip(" "), " ".join(numbers).rstrip(" ")]
    return "".join(f"{line}\n" for line in drawn)


def piped_text(tokens: Sequence[tuple[int, bytes]], bar: str) -> str:
    """What a pipe gets: the same as `plain_text` without ids and width, but quick for a long text."""
    known: dict[int, tuple[str, bool]] = {}
    drawn: list[str] = []
    line: list[str] = []
    for _, runs in shown_stretches(tokens):
        for each in runs:
            if id(each) not in known:
                piece = Piece(0, 0, each)
                known[id(each)] = piece.words(plain_spaces=True), piece.ends_line
            word, ends_line = known[id(each)]
            line.append(word)
            if ends_line:
                drawn.append(bar.join(line))
                line = []
    if line:
        drawn.append(bar.join(line))
    return "".join(f"{each}\n" for each in drawn)


def coloured_lines(shown: Sequence[Piece], *, width: int, ids: bool) -> Iterator["Text"]:
    """The picture in colours, a Rich text for each line; with ids a second line under each."""
    from rich.text import Text

    for line in lines(shown, width=width, ids=ids, gap=int(ids)):
        drawn, numbers = Text(), Text()
        for piece in line:
            background = BACKGROUNDS[piece.position % len(BACKGROUNDS)]
            for run in piece.runs:
                drawn.append(run.shown, style=_style(run, background))
            if ids:
                cells = column_width(piece, ids=True)
                drawn.append(" " * (cells - piece.width + 1))
                numbers.append(f"{piece.number:<{cells}} ")
        drawn.rstrip()
        yield drawn
        if ids:
            numbers.rstrip()
            yield numbers


def _style(run: Run, background: str) -> str:
    if run.kind == "whole":
        return "bold"
    return f"{FAINT_INK if run.kind == 'sign' else INK} on {background}"


def print_pictures(pictures: Sequence[Picture], *, ids: bool) -> None:
    """Print picture after picture, each with a line that sums it up; in a pipe that line goes to stderr."""
    for number, picture in enumerate(pictures):
        if number:
            click.echo()
        if len(pictures) > 1:
            click.echo(visible(f"# {picture.source}, {picture.tokenizer}"))
        bar = bar_between(picture.tokens)
        if on_terminal():
            _draw(pieces(picture.pairs), ids=ids, bar=bar)
            click.echo(visible(f"\n{summary(picture)}"))
        else:
            if ids:
                text = plain_text(pieces(picture.pairs), width=None, ids=True, plain_spaces=True, bar=bar)
            else:
                text = piped_text(picture.pairs, bar)
            click.echo(text, nl=False)
            say(summary(picture))


def _draw(shown: Sequence[Piece], *, ids: bool, bar: str) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for line in picture_lines(console, shown, width=console.width, ids=ids, bar=bar):
        console.print(line, soft_wrap=True)  # the lines are already cut to the width


def picture_lines(
    console: "Console", shown: Sequence[Piece], *, width: int, ids: bool, bar: str = BARS[0]
) -> Iterator["Text"]:
    """The picture as this console can show it: in colours, or with bars where it has none."""
    from rich.text import Text

    if console.color_system is not None and not console.no_color:
        return coloured_lines(shown, width=width, ids=ids)
    return map(Text, plain_text(shown, width=width, ids=ids, plain_spaces=False, bar=bar).splitlines())


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
        texts = {data: token_texts(data) for data in set(picture.tokens)}  # tokens come again and again
        ends = array("q", accumulate(map(len, picture.tokens), initial=0))
        columns["source"] += [picture.source] * count
        columns["tokenizer"] += [picture.tokenizer] * count
        columns["position"].extend(range(count))
        columns["id"].extend(picture.ids)
        for key in ("text", "bytes_hex"):
            shown = {data: words[key] for data, words in texts.items()}
            columns[key] += map(shown.__getitem__, picture.tokens)
        columns["start_byte"] += ends[:-1]
        columns["end_byte"] += ends[1:]
    return Table("tok show", [Column(key, key) for key in columns], RowsByColumn(columns), meta=meta)


def token_texts(data: bytes) -> dict[str, str | None]:
    """A token's text, which is unknown when its bytes are no whole characters, and its bytes in hexadecimal."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"text": text, "bytes_hex": data.hex()}
