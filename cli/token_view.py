"""The picture of a text cut into tokens: coloured on a terminal, `to|ken|iz` in a pipe.

White space is made visible. A character whose bytes lie in several tokens is shown once, followed by a chip of
hexadecimal bytes for each of these tokens: 🌍⟨F0 9F⟩|⟨8C⟩|⟨8D⟩.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from cli.output import Column, Table, on_terminal
from cli.progress import say
from cli.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Four light tints that stay apart for people with any colour blindness, in this cyclic order; all carry black text.
BACKGROUNDS = ("#77aadd", "#eedd88", "#99ddff", "#ee8866")
INK = "#000000"
FAINT_INK = "#444444"
BARS = ("|", "¦", "‖")  # between tokens, where there are no colours: the first that the text does not hold itself
WHITE_SPACE = {" ": "·", "\t": "→", "\n": "⏎"}


class Picture(NamedTuple):
    """A text through a tokenizer: their names, and the tokens as ids with their bytes."""

    source: str
    tokenizer: str
    tokens: Sequence[tuple[int, bytes]]


class Run(NamedTuple):
    """Some characters shown in one manner.

    `text` is the text itself; `sign` stands for something that cannot be seen, its `original`; `whole` is a character
    that belongs to several tokens and so to none of their colours, `chip` a token's bytes of it; `stray` bytes are no
    part of any character.
    """

    shown: str
    kind: Literal["text", "sign", "whole", "chip", "stray"]
    original: str = ""


class Piece(NamedTuple):
    """One token as it is shown; `position` counts tokens from 0 and chooses the colour.

    A token too wide for a line is shown in parts, all but the first of them `continued`.
    """

    position: int
    token: int
    runs: tuple[Run, ...]
    continued: bool = False

    @property
    def number(self) -> str:
        """The id, once for each token."""
        return "" if self.continued else str(self.token)

    @property
    def width(self) -> int:
        """Terminal cells."""
        from rich.cells import cell_len

        return cell_len("".join(run.shown for run in self.runs))

    @property
    def ends_line(self) -> bool:
        """Whether the token holds a line end, after which the picture goes on in a new line."""
        return any(run.original == "\n" for run in self.runs)

    def words(self, *, plain_spaces: bool) -> str:
        """The token without colours; spaces and tabs as they are, or as signs."""
        return "".join(run.original if plain_spaces and run.original in {" ", "\t"} else run.shown for run in self.runs)


def pieces(tokens: Sequence[tuple[int, bytes]]) -> list[Piece]:
    r"""Turn tokens, each an id and its bytes, into what is shown of them.

    Example: [(7, b"a "), (9, b"\xc3"), (8, b"\xa9")] -> "a·", "é⟨C3⟩", "⟨A9⟩".
    """
    known: dict[tuple[bytes, ...], list[tuple[Run, ...]]] = {}  # tokens come again and again
    shown: list[Piece] = []
    for stretch in _stretches(tokens):
        key = (stretch[0][1],) if len(stretch) == 1 else tuple(data for _, data in stretch)
        if key not in known:
            known[key] = _runs(key)
        for (token, _), runs in zip(stretch, known[key], strict=True):
            shown.append(Piece(len(shown), token, runs))
    return shown


def _stretches(tokens: Sequence[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """The tokens in the shortest stretches between which no character is cut: mostly one by one."""
    data = b"".join(token for _, token in tokens)
    stretch: list[tuple[int, bytes]] = []
    place = 0
    for token in tokens:
        if stretch and not (b"\x80" <= token[1][:1] < b"\xc0" and _is_inside_character(data, place)):
            yield stretch
            stretch = []
        stretch.append(token)
        place += len(token[1])
    if stretch:
        yield stretch


def _is_inside_character(data: bytes, place: int) -> bool:
    """Whether a continuation byte belongs to a whole character; else it stands for itself."""
    for start in range(place - 1, max(place - 4, -1), -1):
        if data[start] >= 0xC0:
            size = 2 if data[start] < 0xE0 else 3 if data[start] < 0xF0 else 4
            return start + size > place and _is_whole(data[start : start + size])
        if data[start] < 0x80:
            return False
    return False


def _is_whole(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _runs(tokens: Sequence[bytes]) -> list[tuple[Run, ...]]:
    """What is shown of each token of a stretch."""
    runs: list[list[Run]] = [[] for _ in tokens]
    for character, shares in _characters(tokens):
        first = runs[shares[0][0]]
        if _is_broken(character):
            _append_stray(first, shares[0][1])
        elif len(shares) == 1:
            _append(first, character)
        else:
            first.append(Run(_run(character, follows_text=False).shown, "whole"))
            for position, share in shares:
                runs[position].append(Run(_chip(share), "chip"))
    return [tuple(each) for each in runs]


def _characters(tokens: Sequence[bytes]) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    r"""Each character with the tokens' shares in it; a byte outside UTF-8 comes as half a surrogate pair.

    Example: [b"a\xc3", b"\xa9"] -> ("a", [(0, b"a")]), ("é", [(0, b"\xc3"), (1, b"\xa9")]).
    """
    position, offset = 0, 0  # of the next byte: its token, and where in that token
    for character in b"".join(tokens).decode("utf-8", "surrogateescape"):
        shares = []
        wanted = 1 if _is_broken(character) else len(character.encode())
        while wanted:
            share = tokens[position][offset : offset + wanted]
            if share:
                shares.append((position, share))
            wanted -= len(share)
            offset += len(share)
            if offset == len(tokens[position]):
                position, offset = position + 1, 0
        yield character, shares


def _is_broken(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _chip(data: bytes) -> str:
    return f"⟨{data.hex(' ').upper()}⟩"


def _append(runs: list[Run], character: str) -> None:
    """Add one whole character of a token, joined to the text before it where there is some."""
    follows_text = bool(runs) and runs[-1].kind == "text"
    run = _run(character, follows_text=follows_text)
    if follows_text and run.kind == "text":
        runs[-1] = Run(runs[-1].shown + run.shown, "text")
    else:
        runs.append(run)


def _append_stray(runs: list[Run], data: bytes) -> None:
    """Add a byte that is no part of a character; neighbours share a chip."""
    if runs and runs[-1].kind == "stray":
        runs[-1] = Run(f"{runs[-1].shown[:-1]} {data.hex().upper()}⟩", "stray")
    else:
        runs.append(Run(_chip(data), "stray"))


def _run(character: str, *, follows_text: bool) -> Run:
    if character in WHITE_SPACE:
        return Run(WHITE_SPACE[character], "sign", character)
    if visible(character) != character:
        return Run(visible(character), "sign", character)
    category = unicodedata.category(character)
    shapeless = category == "Cf" or "\ufe00" <= character <= "\ufe0f"  # joiners, variation selectors
    if character.isspace() or (shapeless and not follows_text):
        return Run(character.encode("unicode_escape").decode(), "sign", character)
    if category.startswith("M") and not follows_text:  # it would sit on the neighbour's last letter
        return Run(f"◌{character}", "text")
    return Run(character, "text")


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
    known: dict[tuple[bytes, ...], list[tuple[str, bool]]] = {}
    drawn: list[str] = []
    line: list[str] = []
    for stretch in _stretches(tokens):
        key = (stretch[0][1],) if len(stretch) == 1 else tuple(data for _, data in stretch)
        if key not in known:
            made = [Piece(0, 0, runs) for runs in _runs(key)]
            known[key] = [(piece.words(plain_spaces=True), piece.ends_line) for piece in made]
        for word, ends_line in known[key]:
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
        bar = bar_between(data for _, data in picture.tokens)
        if on_terminal():
            _draw(pieces(picture.tokens), ids=ids, bar=bar)
            click.echo(visible(f"\n{summary(picture)}"))
        else:
            click.echo(_in_a_pipe(picture.tokens, bar, ids=ids), nl=False)
            say(summary(picture))


def _in_a_pipe(tokens: Sequence[tuple[int, bytes]], bar: str, *, ids: bool) -> str:
    if ids:
        return plain_text(pieces(tokens), width=None, ids=True, plain_spaces=True, bar=bar)
    return piped_text(tokens, bar)


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
    data = b"".join(data for _, data in picture.tokens)
    characters = len(data.decode("utf-8", "surrogateescape"))
    count = len(picture.tokens)
    parts = [_counted(count, "token"), _counted(len(data), "byte"), _counted(characters, "character")]
    if count:
        parts.append(f"{len(data) / count:.2f} bytes per token")
    return ", ".join([*parts, f"tokenizer {picture.tokenizer}"])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def token_table(pictures: Sequence[Picture], meta: Mapping[str, Any]) -> Table:
    """A row for each token of each picture, with its place in the text in bytes."""
    keys = ("source", "tokenizer", "position", "id", "text", "bytes_hex", "start_byte", "end_byte")
    rows = []
    for picture in pictures:
        end = 0
        texts: dict[bytes, dict[str, str | None]] = {}  # tokens come again and again
        for position, (token, data) in enumerate(picture.tokens):
            start, end = end, end + len(data)
            if data not in texts:
                texts[data] = token_texts(data)
            rows.append(
                {
                    "source": picture.source,
                    "tokenizer": picture.tokenizer,
                    "position": position,
                    "id": token,
                    **texts[data],
                    "start_byte": start,
                    "end_byte": end,
                }
            )
    return Table("tok show", [Column(key, key) for key in keys], rows, meta=meta)


def token_texts(data: bytes) -> dict[str, str | None]:
    """A token's text, which is unknown when its bytes are no whole characters, and its bytes in hexadecimal."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"text": text, "bytes_hex": data.hex()}
