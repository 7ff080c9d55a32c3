"""The lines of very many tokens: what `cli/token_lines.py` draws one by one, by arrays, in half of the time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cli.token_lines import AT_ONCE, Block, Brushes, Made, parts_of
from cli.token_pieces import Shape
from tokenizer import engines

Numbers = npt.NDArray[np.int64]


def drawn_lines(
    shown: Sequence[Shape], ids: Sequence[int] | None, *, width: int | None, gap: bytes, brushes: Brushes
) -> Iterator[bytes]:
    """The same as `cli.token_lines.drawn_lines`."""
    blocks, which, tints = _blocks(shown, ids, width, len(brushes))
    space = b" " * len(gap.decode())
    starts, ends = _lines(blocks, which, width, len(space))
    is_last = np.zeros(which.size, np.int64)
    is_last[ends - 1] = 1
    codes = (which * len(brushes) + tints) * 2 + is_last
    pieces = _Pieces()
    drawn = pieces.add(codes, lambda code: brushes[code // 2 % len(brushes)](blocks[code // 2 // len(brushes)]), gap)
    if ids is not None:
        numbers = pieces.add(which * 2 + is_last, lambda code: blocks[code // 2].number, space)
        # A line's numbers stand behind its tokens.
        both, sizes, places = np.empty(2 * which.size, np.int32), ends - starts, np.arange(which.size)
        both[places + np.repeat(starts, sizes)], both[places + np.repeat(ends, sizes)] = drawn, numbers
        drawn, ends = both, 2 * ends
    decode = pieces.decoder()
    start = 0
    for end in sorted({*ends[AT_ONCE - 1 :: AT_ONCE].tolist(), drawn.size}):
        yield decode(drawn[start:end])
        start = end


def _blocks(
    shown: Sequence[Shape], ids: Sequence[int] | None, width: int | None, tints: int
) -> tuple[list[Block], Numbers, Numbers]:
    """The different blocks, which of them the tokens and their parts are, and the tint of each of these."""
    numbered: Made[Any, int] = Made(lambda _: len(numbered))
    keys = map(numbered.__getitem__, shown if ids is None else zip(shown, ids, strict=True))
    which = np.fromiter(keys, np.int64, len(shown))
    parts = [parts_of(Block(key) if ids is None else Block(*key), width) for key in numbered]
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


class _Pieces:
    """Bytes that are drawn very often, with a number for each."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, codes: Numbers, draw: Callable[[int], bytes], gap: bytes) -> npt.NDArray[np.int32]:
        """The numbers of what is drawn for codes: with a gap after it, or where a code is odd a line end."""
        used = np.zeros(int(codes.max()) + 1, bool)
        used[codes] = True
        numbers = np.cumsum(used, dtype=np.int32) + np.int32(len(self._pieces) - 1)
        for code in np.flatnonzero(used).tolist():
            drawn = draw(code)
            self._pieces.append(drawn.rstrip(b" ") + b"\n" if code % 2 else drawn + gap)
        found: npt.NDArray[np.int32] = numbers[codes]
        return found

    def decoder(self) -> Callable[[npt.NDArray[np.int32]], bytes]:
        """What joins pieces by their numbers."""
        if (compiled := engines.compiled_module("tokenizer.compiled_decoding")) is None:
            return lambda numbers: b"".join(map(self._pieces.__getitem__, numbers.tolist()))
        decode: Callable[[npt.NDArray[np.int32]], bytes] = compiled.Decoder.of(self._pieces).decode
        return decode
