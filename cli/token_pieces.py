"""What is shown of each token: its characters, signs for what cannot be seen, and the bytes of cut characters.

Every way of drawing begins here: the terminal's colours, the bars in a pipe, and the page of `tok report`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Literal, NamedTuple

from rich.cells import cell_len, chop_cells, get_character_cell_size

from cli.visible import visible

WHITE_SPACE = {" ": "·", "\t": "→", "\n": "⏎"}
_SIGNS = frozenset(WHITE_SPACE.values())  # where they stand in the text themselves, they are spelled out
MANY = 1 << 17  # tokens; fewer are drawn one by one before NumPy is imported
_MOST_KNOWN = 1 << 16  # tokens, and stretches of them, whose shapes are kept
_PLAIN = frozenset(" \t·→")  # what needs no sign where white space has none
_STRETCH = re.compile(rb"(?s:.)[\x80-\xbf]+")  # of tokens' first bytes: one, and those inside characters after it

Kind = Literal["text", "sign", "whole", "chip", "stray"]


class Run(NamedTuple):
    """Some characters shown in one manner.

    `text` is the text itself; `sign` stands for something that cannot be seen, its `original`; `whole` is a character
    that belongs to several tokens and so to none of their colours, `chip` a token's bytes of it; `stray` bytes are no
    part of any character.
    """

    shown: str
    kind: Kind
    original: str = ""


_SPACE = Run(WHITE_SPACE[" "], "sign", " ")


class Shape:
    """What is shown of a token, wherever it stands. Equal tokens share it, as it is long in the making.

    Attributes:
        runs: what it is made of.
        ends_line: the token holds a line end, after which the picture goes on in a new line; of parts, the last does.
    """

    def __init__(self, runs: Sequence[Run], *, ends_line: bool | None = None) -> None:
        self.runs = tuple(runs)
        self.ends_line = "\n" in [run.original for run in runs] if ends_line is None else ends_line
        self._width: int | None = None

    @property
    def width(self) -> int:
        """Terminal cells."""
        if self._width is None:
            self._width = sum([_cells(run.shown) for run in self.runs])
        return self._width

    @property
    def signs(self) -> str:
        """The token without colours, with signs for white space."""
        return "".join([run.shown for run in self.runs])

    @property
    def plain(self) -> str:
        """The same with spaces and tabs as they are."""
        return "".join([run.original if run.original in _PLAIN else run.shown for run in self.runs])

    def parts(self, width: int) -> list["Shape"]:
        """The same in parts of at most so many cells, at least one character each."""
        parts: list[list[Run]] = [[]]
        used = 0
        for run in self.runs:
            for sign in filter(None, chop_cells(run.shown, 1)):  # one by one
                if used + cell_len(sign) > width and parts[-1]:
                    parts.append([])
                    used = 0
                used += cell_len(sign)
                joined = parts[-1].pop().shown if parts[-1] and parts[-1][-1].kind == run.kind == "text" else ""
                parts[-1].append(run._replace(shown=joined + sign))
        return [Shape(part, ends_line=self.ends_line and part is parts[-1]) for part in parts]


def shapes(tokens: Sequence[bytes], data: bytes | None = None) -> Sequence[Shape]:
    r"""What is shown of each token: of those that share a character together, of all others alone.

    `data` is all of them in one, if that is at hand.

    Example: [b"a ", b"\xc3", b"\xa9"] -> "a·", "é⟨C3⟩", "⟨A9⟩".
    """
    whole = b"".join(tokens) if data is None else data
    text = whole.decode("utf-8", "surrogateescape").encode("utf-8", "replace")  # "?" for each byte of no character
    if len(tokens) >= MANY:
        from cli import many_tokens  # late: it imports NumPy

        return many_tokens.shapes(tokens, text)
    shown = list(map(shape_alone, tokens))
    for first, end in _sharing(tokens, text):
        shown[first:end] = shapes_together(tuple(tokens[first:end]))
    return shown


@lru_cache(maxsize=_MOST_KNOWN)
def shape_alone(token: bytes) -> Shape:
    """What is shown of a token that shares no character with others."""
    text = token.decode("utf-8", "surrogateescape")
    word = text.removeprefix(" ")
    if word.isalnum():  # so are most, and they are quick to make
        runs = [Run(word, "text")] if word == text else [_SPACE, Run(word, "text")]
        return Shape(runs, ends_line=False)
    return Shape(*_runs([token]))


@lru_cache(maxsize=_MOST_KNOWN)
def shapes_together(stretch: tuple[bytes, ...]) -> list[Shape]:
    """What is shown of the tokens of a stretch that shares characters."""
    character = b"".join(stretch).decode("utf-8", "surrogateescape")
    if len(character) == 1:  # so are most, and they are quick to make
        return [shape_of_first(character, stretch[0]), *map(shape_of_end, stretch[1:])]
    return [*map(_shape_of, _runs(stretch))]


@lru_cache(maxsize=_MOST_KNOWN)
def _shape_of(runs: tuple[Run, ...]) -> Shape:
    return Shape(runs)  # the ends of many characters are alike


def shape_of_first(character: str, share: bytes) -> Shape:
    """What is shown of the first of several tokens that share one character: it, and the token's own bytes of it."""
    return Shape([_whole(character), _chip(share)], ends_line=False)


@lru_cache(maxsize=_MOST_KNOWN)
def shape_of_end(share: bytes) -> Shape:
    """What is shown of each of the others."""
    return Shape([_chip(share)])


def _sharing(tokens: Sequence[bytes], text: bytes) -> Iterator[tuple[int, int]]:
    """From which token to behind which each stretch goes whose tokens share characters; the shortest ones."""
    starts = accumulate(map(len, tokens), initial=0)
    return map(re.Match.span, _STRETCH.finditer(bytes(map((text + b"?").__getitem__, starts))))


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
            first.append(_whole(character))
            for position, share in shares:
                runs[position].append(_chip(share))
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


def _cells(text: str) -> int:
    return len(text) if text.isascii() else _wide_cells(text)


@lru_cache(maxsize=_MOST_KNOWN)
def _wide_cells(text: str) -> int:
    return get_character_cell_size(text) if len(text) == 1 else cell_len(text)


def _is_broken(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _whole(character: str) -> Run:
    """A character that several tokens share."""
    return Run(character if character.isalnum() else _run(character, follows_text=False).shown, "whole")


@lru_cache(maxsize=1 << 14)
def _chip(share: bytes) -> Run:
    """A token's bytes of such a character."""
    return Run(_hexadecimal(share), "chip")


def _hexadecimal(data: bytes) -> str:
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
        runs.append(Run(_hexadecimal(data), "stray"))


def _run(character: str, *, follows_text: bool) -> Run:
    if character.isalnum():  # so are most, and they are quick to tell
        return Run(character, "text")
    if character in WHITE_SPACE:
        return Run(WHITE_SPACE[character], "sign", character)
    if visible(character) != character:
        return Run(visible(character), "sign", character)
    category = unicodedata.category(character)
    shapeless = category == "Cf" or "\ufe00" <= character <= "\ufe0f"  # joiners, variation selectors
    if character in _SIGNS or character.isspace() or (shapeless and not follows_text):
        return Run(character.encode("unicode_escape").decode(), "sign", character)
    if category.startswith("M") and not follows_text:  # it would sit on the neighbour's last letter
        return Run(f"◌{character}", "text")
    return Run(character, "text")
