"""Whether texts may be cut where `kernels/scanning.py: safe_cut` cuts them, and their halves be cut by automata."""

from collections.abc import Iterable, Sequence

from tokenizer import unicode_classes as classes
from tokenizer.automaton import DEAD, END, START, Automaton

_ASCII: classes.Ranges = ((0, 0x7F),)
_SLASH: classes.Ranges = ((0x2F, 0x2F),)
_SPACE, _LINE_FEED = b" \n"


def cuts_safely(automata: Sequence[Automaton]) -> bool:
    """Whether the halves of a safe cut have the pieces of the whole, where each automaton cuts the last one's pieces.

    It is so if nothing before the cut depends on what is behind it, for any automaton, and if the last one cuts there.
    """
    return all(_cuts_safely(each, is_last=each is automata[-1]) for each in automata)


def _cuts_safely(automaton: Automaton, *, is_last: bool) -> bool:
    dark = classes.complement(classes.white_space())
    before_spaces = _held(automaton, classes.intersection(dark, _ASCII))
    spaces = {automaton.symbols[_SPACE]}
    before_lines = [START, *_after(automaton, automaton.states, _held(automaton, dark))]
    newline = {automaton.symbols[_LINE_FEED]}
    line_starts = _held(automaton, classes.intersection(dark, classes.complement(_SLASH)))
    return all(
        _is_settled(automaton, states, symbol) and (not is_last or _begins_piece(automaton, states, symbol))
        for states, symbols in (
            (_after(automaton, automaton.states, before_spaces), spaces),
            (_after(automaton, before_lines, newline), line_starts),
        )
        for symbol in symbols
    )


def _held(automaton: Automaton, ranges: classes.Ranges) -> set[int]:
    """The symbols of the code points of a class."""
    found = b"".join(automaton.symbols[first : last + 1] for first, last in ranges)
    return {symbol for symbol in range(1, automaton.width) if bytes([symbol]) in found}


def _after(automaton: Automaton, states: Iterable[int], symbols: Iterable[int]) -> set[int]:
    """The states of all attempts that take one of the symbols; DEAD if one cannot begin with one of them."""
    symbols = list(symbols)
    following = {automaton.step(state, symbol)[0] for state in states for symbol in symbols} - {DEAD}
    return following | {automaton.step(START, symbol)[0] for symbol in symbols}


def _is_settled(automaton: Automaton, states: Iterable[int], symbol: int) -> bool:
    """Whether attempts end before the symbol, with the same result as at the end of a text."""
    return all(automaton.step(state, symbol) == automaton.step(state, END) for state in states)


def _begins_piece(automaton: Automaton, states: Iterable[int], symbol: int) -> bool:
    """Whether a piece begins with the symbol: one before surely ends there, or a match surely begins there."""
    if all(matched for _, matched in (automaton.step(state, symbol) for state in states)):
        return True
    seen, waiting = set(), [automaton.step(START, symbol)[0]]
    while waiting:
        state = waiting.pop()
        if state == DEAD:
            return False
        if state not in seen:
            seen.add(state)
            steps = (automaton.step(state, following) for following in range(automaton.width))
            waiting += [following for following, matched in steps if not matched]
    return True
