"""The text in colours: tokens with their signs, those that share a character together in one segment."""

from collections.abc import Sequence
from dataclasses import dataclass

from cli.token_page.measured import Token
from cli.token_pieces import Run, Shape, shapes
from tokenizer.encoding import Tokenizer

TINTS = 4  # neighbours have different ones
LONGEST_SHOWN = 300  # signs of one token


@dataclass(frozen=True, slots=True)
class Shown:
    """One token in the coloured text: its tint, what is shown of it, its id, and its place for who points at it.

    Of a very long token only the beginning is shown, and `left_out` signs are not.
    """

    tint: int
    runs: Sequence[Run]
    left_out: int
    id: int
    place: str
    special: bool

    @property
    def first_chip(self) -> Run | None:
        """The first of its bytes of a character that it shares, where its id is shown."""
        return next((run for run in self.runs if run.kind == "chip"), None)

    @property
    def begins_with_space(self) -> bool:
        """Whether a line may be broken in front of it, as it may at a space."""
        return bool(self.runs) and self.runs[0].original == " "


def segments(tokens: Sequence[Token], tokenizer: Tokenizer) -> list[list[Shown]]:
    r"""The tokens one by one, but those that share a character as one segment.

    Example: the tokens b"a", b"\xc3", b"\xa9", b"!" make the segments ["a"], ["é⟨C3⟩", "⟨A9⟩"], ["!"]
    """
    specials = frozenset(tokenizer.special_tokens.values())
    found: list[list[Shown]] = []
    for token, shape in zip(tokens, shapes([token.data for token in tokens]), strict=True):
        shown = Shown(
            token.position % TINTS,
            _beginning(shape.runs),
            max(0, sum(len(run.shown) for run in shape.runs) - LONGEST_SHOWN),
            token.id,
            f"token {token.position}, id {token.id}, bytes {token.start} to {token.end}",
            token.id in specials,
        )
        if _goes_on(shape) and found:
            found[-1].append(shown)
        else:
            found.append([shown])
    return found


def _goes_on(shape: Shape) -> bool:
    """Whether it begins inside a character: then its first sign is a chip, and the character stands in front of it."""
    return bool(shape.runs) and shape.runs[0].kind == "chip"


def _beginning(runs: Sequence[Run]) -> list[Run]:
    """The first signs of a token, LONGEST_SHOWN at the most."""
    kept, room = [], LONGEST_SHOWN
    for run in runs:
        if room > 0:
            kept.append(run._replace(shown=run.shown[:room]) if len(run.shown) > room else run)
        room -= len(run.shown)
    return kept
