"""Cut bytes into pre-tokens with the kernels where they know how, and with the regex engine where they do not.

Import this only for long texts: it imports NumPy.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tokenizer.automaton import DEAD, END, START, Automaton, automaton
from tokenizer.kernels import automata as kernels
from tokenizer.kernels.compiling import make_ready
from tokenizer.kernels.memory import Fields, allocate, borrow
from tokenizer.kernels.scanning import SPLITS, class_table, find_pieces, find_pieces_of_texts
from tokenizer.safe_cuts import cuts_safely
from tokenizer.splits import MODEL_PATTERNS, NAMED_PATTERNS, Split

Numbers = npt.NDArray[np.int64]

# Those that have a scanner; the patterns of models mean the same in both dialects.
_SCANNED = {(pattern, "tiktoken"): name for name, pattern in (NAMED_PATTERNS | MODEL_PATTERNS).items()} | {
    (pattern, "huggingface"): name for name, pattern in MODEL_PATTERNS.items()
}
_BATCH = 1 << 16  # pieces that are scanned at a time
_SHORT = 1 << 20  # bytes of several texts, which are scanned in a moment
_MOST_LINKS = 1000  # states of a chain; real ones have fewer than a hundred
_FEW_RANGES, _FEW_BYTES = 4, 32  # with more, of ASCII, it is not quicker to look for them than to try everywhere

_Link = tuple[int, int | None]  # a state of the chain
_BEGIN: _Link = (-1, None)  # a piece begins here
_GAP: _Link = (-2, None)  # nothing matches from where one began


class CompiledSplit:
    """A split and the fastest way to it. May be used by several threads at once.

    Attributes:
        scanner: the number of its hand-written scanner in `kernels/scanning.py`; None if it has none. With a scanner
            other kernels cut by themselves; without one they must be given what `piece_ends` tells.
        cuts_safely: texts may be cut where `kernels.scanning.safe_cut` says.

    Example: CompiledSplit(make_split("cl100k")).scanner == SPLITS["cl100k"]
    """

    def __init__(self, split: Split) -> None:
        name = None if split.before else _SCANNED.get((split.pattern, split.dialect))
        self.scanner = None if name is None else SPLITS[name]
        self._split = split
        steps = [] if self.scanner is not None else _automata(split)
        self.cuts_safely = self.scanner is not None or (bool(steps) and cuts_safely(steps))
        self._steps = [_fields(step) for step in steps]
        if steps:
            make_ready(kernels.cut_texts)  # here, where Ctrl-C ends a compilation, and not in a thread

    def piece_ends(self, data: bytes | memoryview, text_ends: Numbers) -> Numbers:
        """Where the pieces end of texts that lie one behind the other, and each of which ends where this tells."""
        if self.scanner is not None:
            return _scanned(self.scanner, data, text_ends)
        if self._steps:
            for step in self._steps:
                text_ends = _cut(step, data, text_ends)
            return text_ends
        texts = [(start, bytes(data[start:end])) for start, end in pairwise([0, *text_ends.tolist()])]
        ends = [start + end for start, text in texts for _, end in self._split.split_spans(text)]
        return np.array(ends, np.int64)


def _automata(split: Split) -> list[Automaton]:
    """The automata of the steps of a split; none if one of them has none."""
    found = [automaton(pattern, split.dialect) for pattern in split.steps]
    return [each for each in found if each is not None] if None not in found else []


def _fields(step: Automaton) -> Fields:
    """The automaton as the kernels take it."""
    table = np.array(step.table, np.int32).reshape(-1, step.width)
    row = 4 * step.width  # bytes
    fields = Fields(kernels.AUTOMATON_FIELDS)
    fields[kernels.SYMBOLS] = borrow(step.symbols)
    fields[kernels.START] = START * row
    fields[kernels.TABLE] = borrow(((table >> 1) * row << 1 | table & 1).astype(np.int32))
    firsts = _first_bytes(step)
    are_seldom = len(firsts) <= _FEW_RANGES and sum(min(last, 0x7F) + 1 - first for first, last in firsts) <= _FEW_BYTES
    if are_seldom:
        fields[kernels.FIRSTS] = len(firsts)
        fields[kernels.RANGES] = borrow(np.array(firsts, np.int64))
    fields[kernels.CHAIN] = borrow(np.array(_chain(step, row, gaps=not are_seldom), np.int32))
    return fields


def _chain(step: Automaton, row: int, *, gaps: bool) -> list[int]:
    """The entries of the table that goes from piece to piece, as `kernels/automata.py` has it.

    Its states are those of an attempt, together with the last symbol if a match ended before that. The first one is of
    no use, so that the one in which a piece begins has the number of the start of an attempt. With `gaps` it goes on
    where nothing matches.
    """
    states: dict[_Link, int] = {(DEAD, None): DEAD, _BEGIN: START}
    known = list(states)
    entries = []
    for link in known:  # which grows on the way
        for symbol in range(step.width):
            found = _at_end(step, link) if symbol == END else _linked(step, link, symbol)
            if found is None or (found[0] == _GAP and not gaps):
                entries.append(kernels.LEAVE)
                continue
            following, flags = found
            if following not in states and len(known) >= _MOST_LINKS:
                following = following[0], None  # the chain ends the sooner
            if following not in states:
                states[following] = len(known)
                known.append(following)
            entries.append(states[following] * row << kernels.FLAGS | flags)
    return entries


def _linked(step: Automaton, link: _Link, symbol: int) -> tuple[_Link, int] | None:
    """The next state of the chain, and whether a piece ends on the way there; None where the chain ends."""
    state, last = link
    first, _ = step.step(START, symbol)
    begun = _GAP if first == DEAD else (first, None)
    if link == _BEGIN or link == begun == _GAP:
        return begun, 0
    if link == _GAP:
        matches = all(step.step(first, after)[1] for after in range(step.width))
        return (begun, kernels.ENDS) if matches else None
    following, matched = step.step(state, symbol)
    if following != DEAD:
        return (following, symbol if matched else None), 0
    if matched or last is None:
        return (begun, kernels.ENDS) if matched else None
    following, matched = step.step(step.step(START, last)[0], symbol)
    return ((following, symbol if matched else None), kernels.ENDS | kernels.BEFORE) if following != DEAD else None


def _at_end(step: Automaton, link: _Link) -> tuple[_Link, int] | None:
    """The same where the text ends, and the next one begins."""
    if link == _BEGIN:
        return _BEGIN, 0
    return (_BEGIN, kernels.ENDS) if link == _GAP or step.step(link[0], END)[1] else None


def _first_bytes(step: Automaton) -> list[tuple[int, int]]:
    """Ranges of the bytes with which a match may begin: some of ASCII, and all that are not."""
    may_begin = [byte >= 0x80 or step.step(START, step.symbols[byte])[0] != DEAD for byte in range(256)]
    starts = [byte for byte in range(256) if may_begin[byte] and (byte == 0 or not may_begin[byte - 1])]
    ends = [byte for byte in range(256) if may_begin[byte] and (byte == 255 or not may_begin[byte + 1])]
    return list(zip(starts, ends, strict=True))


def _scanned(scanner: int, data: bytes | memoryview, text_ends: Numbers) -> Numbers:
    text, table = borrow(data), class_table()
    if text_ends.size > 1 and len(data) <= _SHORT:
        room, given = allocate(8 * len(data)), borrow(text_ends)
        count = find_pieces_of_texts(scanner, table.address, text.address, given.address, text_ends.size, room.address)
        return room.view(np.int64)[:count]
    room = allocate(8 * _BATCH)
    found, start = [], 0
    for end in text_ends.tolist():
        while start < end:
            count = find_pieces(scanner, table.address, text.address, start, end, room.address, _BATCH)
            found.append(room.view(np.int64)[:count].copy())
            start = int(found[-1][-1])
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _cut(step: Fields, data: bytes | memoryview, text_ends: Numbers) -> Numbers:
    text, given, progress = borrow(data), borrow(text_ends), Fields(kernels.PROGRESS_FIELDS)
    room = np.empty(len(data) + 1, np.int64)  # of which nothing is taken that is not used
    ends = borrow(room)
    arguments = step.address, text.address, given.address, text_ends.size, ends.address, progress.address
    while not kernels.cut_texts(*arguments):
        pass  # between calls Ctrl-C can come through
    return room[: progress[kernels.COUNT]].copy()
