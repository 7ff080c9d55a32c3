"""The text in colours: tokens with their signs, those that share a character together in one segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import bidirectional

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


def by_direction(parts: Sequence[list[Shown]]) -> list[tuple[bool, list[list[Shown]]]]:
    """The segments in stretches, of which it is told whether they are read from right to left.

    Inside such a stretch the bytes of a character stand on the left of it, where a reader of its script looks for them.
    Spaces, digits and signs belong to it if letters from right to left stand on both sides of them.
    """
    stretches: list[tuple[bool, list[list[Shown]]]] = [(False, [])]
    waiting: list[list[Shown]] = []  # they are of the stretch before them if it goes on, else of the next one
    for part in parts:
        leftward = _leftward(part)
        if stretches[-1][0] and leftward is None:
            waiting.append(part)
            continue
        if leftward not in (None, stretches[-1][0]):
            stretches.append((bool(leftward), []))
        stretches[-1][1].extend([*waiting, part])
        waiting = []
    return [stretch for stretch in (*stretches, (False, waiting)) if stretch[1]]


def _leftward(part: list[Shown]) -> bool | None:
    """Whether the letters of a segment are read from right to left; a line end says no, and signs alone say nothing."""
    runs = [run for token in part for run in token.runs]
    classes = {bidirectional(letter) for run in runs if run.kind in ("text", "whole") for letter in run.shown}
    if classes & {"R", "AL"}:
        return True
    return False if "L" in classes or any(run.original == "\n" for run in runs) else None


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
