"""Very many tokens, by arrays: what is shown of them, and their lines. One by one that takes three times as long.

Few of a million tokens are different ones. Whatever is the same for all equal ones is made once, and has a number.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from cli.token_lines import AT_ONCE, Block, Brushes, Made, parts_of
from cli.token_pieces import Shape, shape_alone, shape_of_end, shape_of_first, shapes_together
from tokenizer import engines

Numbers = npt.NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ManyShapes(Sequence[Shape]):
    """What is shown of each token.

    Attributes:
        kinds: the different shapes.
        which: of each token, the place of its shape among them.
    """

    def __init__(self, kinds: Sequence[Shape], which: Numbers) -> None:
        self.kinds, self.which = kinds, which

    @classmethod
    def of(cls, shown: Sequence[Shape]) -> "ManyShapes":
        """Those that were made one by one, too."""
        return shown if isinstance(shown, cls) else cls(*_numbered(shown))

    @overload
    def __getitem__(self, place: int) -> Shape: ...
    @overload
    def __getitem__(self, place: slice) -> "ManyShapes": ...
    def __getitem__(self, place: int | slice) -> "Shape | ManyShapes":
        if isinstance(place, slice):
            return ManyShapes(self.kinds, self.which[place])
        return self.kinds[int(self.which[place])]

    def __iter__(self) -> Iterator[Shape]:
        return map(self.kinds.__getitem__, self.which.tolist())

    def __len__(self) -> int:
        return self.which.size


def shapes(tokens: Sequence[bytes], text: bytes) -> ManyShapes:
    """The same as `cli.token_pieces.shapes`; `text` is all tokens in one, ASCII in place of bytes of no character."""
    different, token = _numbered(tokens)
    starts = np.cumsum(np.concatenate([[0], np.array([len(each) for each in different])[token]]))
    begins = np.frombuffer(text + b".", np.uint8) & 0xC0 != 0x80  # whether a character does, at each byte
    character = np.cumsum(begins)[starts] - 1  # in which one each token begins
    inside = ~begins[starts]
    firsts = np.flatnonzero(inside[1:] & ~inside[:-1])  # of each stretch whose tokens share characters
    ends = np.flatnonzero(inside[:-1] & ~inside[1:]) + 1
    is_one = character[ends] - character[firsts] == 1  # character, in which only the first token is shown otherwise
    alone = ~inside[1:] & ~inside[:-1]
    sharing, share_one = np.flatnonzero(~alone), np.repeat(is_one, ends - firsts)
    openers, followers = firsts[is_one], sharing[share_one & inside[sharing]]
    opened = np.frombuffer(text.decode().encode("utf-32-le"), "<u4")[character[openers]].astype(np.int64)
    pairs, pair = np.unique(opened * len(different) + token[openers], return_inverse=True)
    others = zip(firsts[~is_one].tolist(), ends[~is_one].tolist(), strict=True)
    together, place = _numbered([shape for some in others for shape in shapes_together(tuple(tokens[slice(*some)]))])

    def shape_of_pair(number: int) -> Shape:
        point, share = divmod(int(pairs[number]), len(different))
        return shape_of_first(chr(point), different[share])

    kinds = _Distinct[Shape]()
    which = np.empty(len(tokens), np.int64)
    which[alone] = kinds.add(token[alone], lambda number: shape_alone(different[number]))
    which[openers] = kinds.add(pair, shape_of_pair)
    which[followers] = kinds.add(token[followers], lambda number: shape_of_end(different[number]))
    which[sharing[~share_one]] = kinds.add(place, together.__getitem__)
    return ManyShapes(kinds.values, which)


def joined(shown: Sequence[Shape], draw: Callable[[Shape], bytes]) -> bytes:
    """The same as `cli.token_lines.joined`."""
    many = ManyShapes.of(shown)
    return _joiner([draw(kind) for kind in many.kinds])(many.which)


def drawn_lines(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int | None, gap: bytes, brushes: Brushes
) -> Iterator[bytes]:
    """The same as `cli.token_lines.drawn_lines`."""
    blocks, which, tints = _blocks(shown, ids, width, len(brushes))
    space = b" " * len(gap.decode())
    starts, ends = _lines(blocks, which, width, len(space))
    is_last = np.zeros(which.size, np.int64)
    is_last[ends - 1] = 1

    def draw(code: int) -> bytes:
        block, tint = divmod(code // 2, len(brushes))
        return _ended(brushes[tint](blocks[block]), gap, is_last=code % 2 == 1)

    pieces = _Distinct[bytes]()
    drawn = pieces.add((which * len(brushes) + tints) * 2 + is_last, draw)
    if ids is not None:
        numbers = pieces.add(
            which * 2 + is_last, lambda code: _ended(blocks[code // 2].number, space, is_last=code % 2 == 1)
        )
        # A line's numbers stand behind its tokens.
        both, sizes, places = np.empty(2 * which.size, np.int64), ends - starts, np.arange(which.size)
        both[places + np.repeat(starts, sizes)], both[places + np.repeat(ends, sizes)] = drawn, numbers
        drawn, ends = both, 2 * ends
    join = _joiner(pieces.values)
    start = 0
    for end in sorted({*ends[AT_ONCE - 1 :: AT_ONCE].tolist(), drawn.size}):
        yield join(drawn[start:end])
        start = end


def _ended(drawn: bytes, gap: bytes, *, is_last: bool) -> bytes:
    return drawn.rstrip(b" ") + b"\n" if is_last else drawn + gap


def _blocks(
    shown: Sequence[Shape], ids: Sequence[int] | None, width: int | None, tints: int
) -> tuple[list[Block], Numbers, Numbers]:
    """The different blocks, which of them the tokens and their parts are, and the tint of each of these."""
    many = ManyShapes.of(shown)
    if ids is None:
        whole, which = list(map(Block, many.kinds)), many.which
    else:
        number = np.array(ids, np.int64)
        more = int(number.max()) + 1
        pairs, which = np.unique(many.which * more + number, return_inverse=True)
        whole = [Block(many.kinds[pair // more], pair % more) for pair in pairs.tolist()]
    parts = [parts_of(block, width) for block in whole]
    blocks = [part for each in parts for part in each]
    counts = np.array([len(each) for each in parts])
    sizes = counts[which]  # parts of each token
    firsts = np.repeat(np.cumsum(counts)[which] - sizes, sizes)  # of each part, the first one of its token
    before = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return blocks, firsts + np.arange(before.size) - before, np.repeat(np.arange(which.size) % tints, sizes)


def _lines(blocks: Sequence[Block], which: Numbers, width: int | None, gap: int) -> tuple[Numbers, Numbers]:
    """Before which block each line begins, and before which it ends."""
    ending = np.array([block.shape.ends_line for block in blocks])
    ends = np.union1d(np.flatnonzero(ending[which]) + 1, [which.size])
    if width is not None:
        edges = np.concatenate([[0], np.cumsum(np.array([block.width + gap for block in blocks])[which])])
        fitting = np.searchsorted(edges, edges[:-1] + (width + gap), side="right") - 1
        places = np.arange(which.size)
        line_end = ends[np.searchsorted(ends, places, side="right")]
        follow = np.minimum(np.maximum(fitting, places + 1), line_end).tolist()  # where a line from here would end
        broken = [follow[0]]
        while broken[-1] < len(follow):
            broken.append(follow[broken[-1]])
        ends = np.array(broken)
    return np.concatenate([[0], ends[:-1]]), ends


def _numbered(keys: Sequence[Key]) -> tuple[list[Key], Numbers]:
    """The different ones, and which of them each is."""
    number: Made[Key, int] = Made(lambda _: len(number))
    which = np.fromiter(map(number.__getitem__, keys), np.int64, len(keys))
    return list(number), which


class _Distinct(Generic[Value]):
    """Values that many places have, each made once, with a number for each.

    Attributes:
        values: of all numbers.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []

    def add(self, codes: Numbers, make: Callable[[int], Value]) -> Numbers:
        """The numbers of what is made of codes, all of which are small."""
        used = np.zeros(int(codes.max(initial=-1)) + 1, bool)
        used[codes] = True
        numbers = np.cumsum(used) + (len(self.values) - 1)
        self.values += map(make, np.flatnonzero(used).tolist())
        found: Numbers = numbers[codes]
        return found


def _joiner(pieces: Sequence[bytes]) -> Callable[[Numbers], bytes]:
    """What joins pieces by their numbers."""
    if (compiled := engines.compiled_module("tokenizer.compiled_decoding")) is None:
        return lambda numbers: b"".join(map(pieces.__getitem__, numbers.tolist()))
    join: Callable[[Numbers], bytes] = compiled.Decoder.of(pieces).decode
    return join
