"""Tokens as blocks in lines: where lines break, and what is drawn of them, with ids in a second line below."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, compress, count, cycle, islice, repeat
from operator import call
from typing import NamedTuple, TypeVar

from cli.token_pieces import MANY, Shape

AT_ONCE = 1000  # lines that are drawn together

Key = TypeVar("Key")
Value = TypeVar("Value")


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


Brushes = Sequence[Callable[[Block], bytes]]  # each draws a token over the width of its block; tokens have them in turn


class Line(NamedTuple):
    """Blocks in one line, and which of the backgrounds each has: parts of one token the same, neighbours others."""

    blocks: Sequence[Block]
    tints: Sequence[int]


def lines(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int | None, gap: int, tints: int
) -> Iterator[Line]:
    """Break what is shown of tokens into lines, only between tokens; a token that is wider than a line over several.

    Args:
        shown: of each token.
        ids: their ids, if they are to stand below them.
        width: the most cells of a line; None: as many as it takes.
        gap: the cells between two tokens.
        tints: how many backgrounds there are, which tokens have in turn.
    """
    every = _in_one_line(shown, ids, width, tints)
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


def _in_one_line(shown: Sequence[Shape], ids: Sequence[int] | None, width: int | None, tints: int) -> Line:
    """All tokens, those that are wider than this in parts, of which the first has the id."""
    tint_of = list(islice(cycle(range(tints)), len(shown)))
    if ids is None:
        blocks = list(map(Made(Block).__getitem__, shown))
    else:
        numbered: Made[tuple[Shape, int], Block] = Made(lambda key: Block(*key))
        blocks = list(map(numbered.__getitem__, zip(shown, ids, strict=True)))
    if width is None or all(each.shape.width <= width for each in set(blocks)):
        return Line(blocks, tint_of)
    parts = list(map(Made(partial(parts_of, width=width)).__getitem__, blocks))
    return Line(list(chain.from_iterable(parts)), list(chain.from_iterable(map(repeat, tint_of, map(len, parts)))))


def parts_of(block: Block, width: int | None) -> list[Block]:
    """A block in parts of at most so many cells, of which the first has the id; most are one part."""
    if width is None or block.shape.width <= width:
        return [block]
    first, *rest = block.shape.parts(width)
    number = block.number.rstrip(b" ")
    return [Block(first, int(number) if number else None), *map(Block, rest)]


def joined(shown: Sequence[Shape], draw: Callable[[Shape], bytes]) -> bytes:
    """What is drawn of each token, all in one."""
    if len(shown) >= MANY:
        from cli import many_tokens  # late: it imports NumPy

        return many_tokens.joined(shown, draw)
    return b"".join(map(Made(draw).__getitem__, shown))


def drawn_lines(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int | None, gap: bytes, brushes: Brushes
) -> Iterator[bytes]:
    """Tokens in lines, and their ids in a line below each; some lines at a time, with their line ends.

    Args:
        shown: of each token.
        ids: their ids, if they are to stand there.
        width: the most cells of a line; None: as many as it takes.
        gap: what stands between two tokens, one cell or none.
        brushes: what draws them.
    """
    if len(shown) >= MANY:
        from cli import many_tokens  # late: it imports NumPy

        yield from many_tokens.drawn_lines(shown, ids, width=width, gap=gap, brushes=brushes)
        return
    draw = [Made(brush).__getitem__ for brush in brushes]
    space = b" " * len(gap.decode())
    every = lines(shown, ids, width=width, gap=len(space), tints=len(brushes))
    while some := list(islice(every, AT_ONCE)):
        rows: list[bytes] = []
        for line in some:
            rows.append(gap.join(map(call, map(draw.__getitem__, line.tints), line.blocks)))
            if ids is not None:
                rows.append(space.join([block.number for block in line.blocks]))
        yield b"".join([row.rstrip(b" ") + b"\n" for row in rows])
