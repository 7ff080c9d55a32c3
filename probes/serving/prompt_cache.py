"""What of a prompt an earlier one had already in common, counted as each provider counts it.

OpenAI's servers share the beginnings of prompts by themselves, in blocks. Anthropic's share what a request marks with
`cache_control`, up to the end of a marked piece. Providers begin at about a thousand tokens; here the shortest prompt
is shared too, so that a test can be short.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from probes.models.sim_tokens import TOKEN_CHARACTERS, count_tokens

BLOCK_TOKENS = 16
_BLOCK = BLOCK_TOKENS * TOKEN_CHARACTERS
_MOST_ENTRIES = 1_000_000


class Piece(NamedTuple):
    """A part of a prompt: whose turn it is in, its text, and whether the prompt up to its end is to be kept."""

    role: str
    text: str
    marked: bool = False


class Cached(NamedTuple):
    """How many tokens of a prompt came from the cache, and how many were newly put there because they were marked."""

    read: int = 0
    written: int = 0


class PromptCache:
    """Remembers the beginnings of prompts, each as the hash of all that came before."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}  # in order of age

    def share(self, pieces: Iterable[Piece]) -> Cached:
        """How much of the prompt an earlier one began with, in blocks of 16 tokens; all of it is kept from now on.

        At least one token is always new: a model must compute something to answer.
        """
        beginning = tokens = last = 0
        sharing = True
        for role, text, _ in pieces:
            beginning = hash((beginning, role))
            for start in range(0, len(text), _BLOCK):
                block = text[start : start + _BLOCK]
                beginning = hash((beginning, block))
                sharing = sharing and beginning in self._known
                if sharing:
                    last = count_tokens(block)
                    tokens += last
                else:
                    self._keep(beginning)
        return Cached(read=tokens - last if sharing else tokens)

    def share_marked(self, pieces: Sequence[Piece]) -> Cached:
        """How much of the prompt was read from the cache and written to it; nothing of what no mark covers."""
        marks = [number for number, piece in enumerate(pieces) if piece.marked]
        beginning = tokens = read = 0
        to_keep: list[int] = []
        for role, text, marked in pieces[: marks[-1] + 1] if marks else ():
            beginning = hash((beginning, role, text))
            tokens += count_tokens(text)
            if beginning in self._known:
                read = tokens
            if marked:
                to_keep.append(beginning)
        for each in to_keep:
            self._keep(each)
        return Cached(read, tokens - read)

    def _keep(self, beginning: int) -> None:
        self._known[beginning] = None
        if len(self._known) > _MOST_ENTRIES:
            del self._known[next(iter(self._known))]
