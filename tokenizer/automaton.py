r"""Turn a split pattern into a table by which text is cut without a regex engine, in one look at each code point.

A split pattern is nearly always alternatives of runs of classes, and at most asks what the next character is, as in
`\s+(?!\S)`. So where a match ends can be told by a deterministic automaton. Its states are rows of threads of the
pattern, those that a backtracking engine would try first in front, and a match drops the threads behind it: in this
way RE2 finds the match that Perl finds (Cox, "Regular Expression Matching in the Wild", 2010). A look at the next
character is settled when that character comes.

A pattern that looks further, or back, has no automaton here; `splits.py` cuts by it all the same.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from tokenizer import patterns
from tokenizer import unicode_classes as classes
from tokenizer.patterns import Dialect, Part

END = 0  # the symbol at the end of a text; those of code points are numbered from 1
DEAD, START = 0, 1  # the states in which an attempt to match has ended, and begins
_MOST_SYMBOLS = 255
_MOST_STEPS = 2000  # of the pattern, with all repetitions spelled out; real ones have fewer than a hundred
_MOST_STATES = 300  # real ones have a few dozen

_AHEAD = {"(?=": True, "(?!": False}
_LINE_END = r"(?=\n|\Z)"  # as `patterns.parse` spells `$` of Hugging Face's dialect
_NEWLINE: classes.Ranges = ((10, 10),)


@dataclass(frozen=True)
class Automaton:
    """The table of one pattern.

    Attributes:
        symbols: the symbol of every code point; a byte that is not UTF-8 has that of 0xDC00 and its value.
        width: how many symbols there are, END included.
        table: what state and symbol lead to, `width` entries for each state from 0 on: the next state doubled, and 1
            more if a match ends before the symbol.

    Example: automaton("a|bc", "tiktoken").step(START, the symbol of "a") gives a state that matches with any symbol
    """

    symbols: bytes
    width: int
    table: "array[int]"

    @property
    def states(self) -> range:
        """All states in which an attempt goes on."""
        return range(START, len(self.table) // self.width)

    def step(self, state: int, symbol: int) -> tuple[int, bool]:
        """The next state, and whether a match ends before the symbol."""
        entry = self.table[state * self.width + symbol]
        return entry >> 1, bool(entry & 1)


class _Unsupported(Exception):
    """An automaton cannot do this pattern."""


@lru_cache(maxsize=16)  # a megabyte each
def automaton(pattern: str, dialect: Dialect) -> Automaton | None:
    r"""The automaton of a pattern that `patterns.parse` takes; None if it needs more than an automaton can do.

    That is look-behind, looking further than one character ahead, atomic groups, and matches of empty text.

    Example: automaton(r"\d+|(?<=a)b", "tiktoken") is None
    """
    try:
        return _determined(_Compiler(patterns.parse(pattern, dialect)))
    except (_Unsupported, RecursionError):
        return None


# --------------------------------------------------------------------------------------------- pattern to threads


@dataclass(frozen=True)
class _Take:
    """Take a character of a class and go on."""

    ranges: classes.Ranges
    following: int


@dataclass(frozen=True)
class _Peek:
    """Go on if the next character is of a class, or, perhaps, if there is none."""

    ranges: classes.Ranges
    at_end: bool
    following: int


@dataclass(frozen=True)
class _Fork:
    """Go on in several ways, of which the first is the best."""

    ways: tuple[int, ...]


_MATCH = 0  # the step at which a pattern has matched
_Step = _Take | _Peek | _Fork


# What a pattern consists of.
@dataclass(frozen=True)
class _Class:
    ranges: classes.Ranges


@dataclass(frozen=True)
class _Ahead:
    ranges: classes.Ranges
    at_end: bool


@dataclass(frozen=True)
class _Row:
    items: tuple["_Node", ...]


@dataclass(frozen=True)
class _Choice:
    ways: tuple["_Node", ...]


@dataclass(frozen=True)
class _Repeat:
    item: "_Node"
    least: int
    most: int | None
    manner: str  # "" greedy, "?" lazy, "+" possessive


_Node = _Class | _Ahead | _Row | _Choice | _Repeat


class _Compiler:
    """Spells a pattern out as steps; `entry` is the first of them."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._position = 0
        self.steps: list[_Step] = [_Fork(())]  # _MATCH, which leads nowhere
        self.entry = self._compile(self._choice(), _MATCH)

    # Reading: each method goes on at the position, and leaves it behind what it read.

    def _next(self) -> Part | None:
        return self._parts[self._position] if self._position < len(self._parts) else None

    def _choice(self) -> _Node:
        ways = [self._row()]
        while self._next() == "|":
            self._position += 1
            ways.append(self._row())
        return ways[0] if len(ways) == 1 else _Choice(tuple(ways))

    def _row(self) -> _Node:
        items = []
        while (part := self._next()) is not None and part not in ("|", ")"):
            self._position += 1
            items.append(self._repeated(self._item(part)))
        return items[0] if len(items) == 1 else _Row(tuple(items))

    def _item(self, part: Part) -> _Node:
        if not isinstance(part, str):
            return _Class(part)
        if part == r"\Z":
            return _Ahead((), at_end=True)
        if part == _LINE_END:
            return _Ahead(_NEWLINE, at_end=True)
        if part != "(?:" and part not in _AHEAD:
            raise _Unsupported(part)
        inside = self._choice()
        self._position += 1  # the bracket that closes it
        return inside if part == "(?:" else _looked_for(inside, wanted=_AHEAD[part])

    def _repeated(self, item: _Node) -> _Node:
        part = self._next()
        if not isinstance(part, str) or part[0] not in "*+?{":
            return item
        self._position += 1
        manner = self._next()
        if manner == "?" or manner == "+":  # noqa: PLR1714 - so that the type is known
            self._position += 1
        else:
            manner = ""
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(part) or _bounds(part)
        if _may_be_empty(item):
            raise _Unsupported("engines differ in what they do with a repetition of nothing")
        return _Repeat(item, least, most, manner)

    # Spelling out, from behind: each method takes the step that follows and gives the one that comes first.

    def _add(self, step: _Step) -> int:
        if len(self.steps) == _MOST_STEPS:
            raise _Unsupported("too long")
        self.steps.append(step)
        return len(self.steps) - 1

    def _compile(self, node: _Node, following: int) -> int:
        match node:
            case _Class(ranges):
                return self._add(_Take(ranges, following))
            case _Ahead(ranges, at_end):
                return self._add(_Peek(ranges, at_end, following))
            case _Row(items):
                for item in reversed(items):
                    following = self._compile(item, following)
                return following
            case _Choice(ways):
                return self._add(_Fork(tuple(self._compile(way, following) for way in ways)))
            case _Repeat():
                return self._compile_repeat(node, following)

    def _compile_repeat(self, node: _Repeat, following: int) -> int:
        leave = following
        if node.manner == "+" and node.most != node.least:  # leave only where no more can be taken
            if not isinstance(node.item, _Class):
                raise _Unsupported("a possessive repetition of a group")
            leave = self._add(_Peek(classes.complement(node.item.ranges), at_end=True, following=following))
        if node.most is None:
            again = self._add(_Fork(()))
            self.steps[again] = self._fork(self._compile(node.item, again), leave, node)
            entry = again
        else:
            entry = following
            for _ in range(node.most - node.least):
                entry = self._add(self._fork(self._compile(node.item, entry), leave, node))
        for _ in range(node.least):
            entry = self._compile(node.item, entry)
        return entry

    @staticmethod
    def _fork(more: int, leave: int, node: _Repeat) -> _Fork:
        return _Fork((leave, more) if node.manner == "?" else (more, leave))


def _bounds(braces: str) -> tuple[int, int | None]:
    """How often at least and at most.

    Example: _bounds("{2,}") == (2, None); _bounds("{3}") == (3, 3)
    """
    least, comma, most = braces[1:-1].partition(",")
    return int(least or 0), (int(most) if most else None) if comma else int(least)


def _looked_for(inside: _Node, *, wanted: bool) -> _Ahead:
    """What the next character must be for a look ahead to find this, or not to find it."""
    ranges: classes.Ranges = ()
    at_end = False
    for way in inside.ways if isinstance(inside, _Choice) else (inside,):
        match way:
            case _Class(found):
                ranges = classes.union(ranges, found)
            case _Ahead((), True):
                at_end = True
            case _:
                raise _Unsupported("it looks further than one character ahead")
    return _Ahead(ranges, at_end) if wanted else _Ahead(classes.complement(ranges), not at_end)


def _may_be_empty(node: _Node) -> bool:
    match node:
        case _Class():
            return False
        case _Ahead():
            return True
        case _Row(items):
            return all(map(_may_be_empty, items))
        case _Choice(ways):
            return any(map(_may_be_empty, ways))
        case _Repeat(item, least, _, _):
            return least == 0 or _may_be_empty(item)


# ---------------------------------------------------------------------------------------------- threads to a table


def _determined(compiler: _Compiler) -> Automaton:
    """The table of all rows of threads that can come to be."""
    steps = compiler.steps
    symbols, width, members = _symbols([step.ranges for step in steps if not isinstance(step, _Fork)])
    passed = [_symbols_passed(step, members) for step in steps]
    numbers: dict[tuple[int, ...], int] = {(): DEAD, (compiler.entry,): START}
    rows = list(numbers)
    table = array("i")
    for threads in rows:  # which grows on the way
        for symbol in range(width):
            following, matched = _followed(steps, passed, threads, symbol)
            if following not in numbers:
                if len(rows) == _MOST_STATES:
                    raise _Unsupported("too many states")
                numbers[following] = len(rows)
                rows.append(following)
            table.append(2 * numbers[following] + matched)
    if any(entry & 1 for entry in table[START * width : (START + 1) * width]):
        raise _Unsupported("it can match empty text")
    return Automaton(symbols, width, table)


def _symbols(sets: Iterable[classes.Ranges]) -> tuple[bytes, int, dict[classes.Ranges, frozenset[int]]]:
    """The symbol of each code point, the same for those that are in the same sets; how many; and those of each set."""
    distinct = list(dict.fromkeys(sets))
    changes: dict[int, int] = {0: 0, classes.LAST_CODE_POINT + 1: 0}  # where which sets begin or end, as bits
    for bit, ranges in enumerate(distinct):
        for first, last in ranges:
            changes[first] = changes.get(first, 0) ^ 1 << bit
            changes[last + 1] = changes.get(last + 1, 0) ^ 1 << bit
    number_of: dict[int, int] = {}
    runs = []
    inside = 0
    for first, after in pairwise(sorted(changes)):
        inside ^= changes[first]
        number = number_of.setdefault(inside, len(number_of) + 1)
        if number > _MOST_SYMBOLS:
            raise _Unsupported("too many classes")
        runs.append(bytes([number]) * (after - first))
    members = {
        ranges: frozenset(number for sets, number in number_of.items() if sets >> bit & 1)
        for bit, ranges in enumerate(distinct)
    }
    return b"".join(runs), 1 + len(number_of), members


def _symbols_passed(step: _Step, members: Mapping[classes.Ranges, frozenset[int]]) -> frozenset[int]:
    """The symbols with which a thread gets past a step, where that depends on the symbol."""
    match step:
        case _Fork():
            return frozenset()
        case _Take(ranges, _):
            return members[ranges]
        case _Peek(ranges, at_end, _):
            return members[ranges] | ({END} if at_end else frozenset())


def _followed(
    steps: Sequence[_Step], passed: Sequence[frozenset[int]], threads: Sequence[int], symbol: int
) -> tuple[tuple[int, ...], bool]:
    """The threads behind a symbol, the best first, and whether a match ends before it."""
    following: dict[int, None] = {}
    seen = set()
    waiting = [*reversed(threads)]
    while waiting:
        number = waiting.pop()
        if number == _MATCH:
            return tuple(following), True
        if number in seen:
            continue
        seen.add(number)
        step = steps[number]
        if isinstance(step, _Fork):
            waiting += reversed(step.ways)
        elif symbol in passed[number]:
            if isinstance(step, _Peek):
                waiting.append(step.following)
            else:
                following[step.following] = None
    return tuple(following), False
