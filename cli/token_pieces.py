"""What is shown of each token: its characters, signs for what cannot be seen, and the bytes of cut characters.

Every way of drawing begins here: the terminal's colours, the bars in a pipe, and the page of `tok report`.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from cli.visible import visible

WHITE_SPACE = {" ": "·", "\t": "→", "\n": "⏎"}


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
    shown: list[Piece] = []
    for stretch, runs in shown_stretches(tokens):
        for (token, _), each in zip(stretch, runs, strict=True):
            shown.append(Piece(len(shown), token, each))
    return shown


def shown_stretches(
    tokens: Sequence[tuple[int, bytes]],
) -> Iterator[tuple[list[tuple[int, bytes]], list[tuple[Run, ...]]]]:
    """Stretches of tokens that no cut character joins to others, with what is shown of each token in them.

    Equal stretches share their runs, so that these, which are long in the making, can be known again by `id`.
    """
    known: dict[tuple[bytes, ...], list[tuple[Run, ...]]] = {}
    for stretch in _stretches(tokens):
        key = (stretch[0][1],) if len(stretch) == 1 else tuple(data for _, data in stretch)
        if key not in known:
            known[key] = _runs(key)
        yield stretch, known[key]


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
