"""Why a piece of text is cut as it is: its merges one by one, what else could have been merged, and what was missed."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

from tokenizer.encoding import Tokenizer
from tokenizer.splits import as_text, piece_bytes

LONGEST_PIECE = 256  # bytes; the steps of a longer one are too many to read

Why = Literal["crossed", "otherwise", "never"]


class Candidate(NamedTuple):
    """A merge that was possible: its two parts, its rank, and the byte of the piece where the left part begins."""

    rank: int
    start: int
    left: bytes
    right: bytes

    @property
    def token(self) -> bytes:
        """What it makes."""
        return self.left + self.right

    @property
    def end(self) -> int:
        """Where the right part ends."""
        return self.start + len(self.token)


@dataclass(frozen=True, slots=True)
class Step:
    """One merge that was done, and those that lost against it, being of higher rank or farther right, best first."""

    done: Candidate
    lost: tuple[Candidate, ...]


class Missed(NamedTuple):
    """A token of the vocabulary that stands in the piece, too, and is longer than what was made there instead.

    `step` is the number (from 0) of the merge after which it could not come about any more. `why`: that merge
    `crossed` its beginning or end, or joined its inside `otherwise` than its own recipe does; or merging its bytes
    `never` makes it, wherever they stand, and there is no such step.
    """

    token: bytes
    start: int
    why: Why
    step: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All about one pre-token.

    `split_step` and `alternative`: what matched it, as in `splits.MatchedPiece`. `whole`: it is in the vocabulary
    and so is one token, whatever the steps would make of it. `steps` is None for a piece of more than LONGEST_PIECE
    bytes, of which `tokens` are known all the same.
    """

    piece: bytes
    split_step: int | None
    alternative: int | None
    whole: bool
    steps: tuple[Step, ...] | None
    tokens: tuple[bytes, ...]
    missed: tuple[Missed, ...]


def explain(tokenizer: Tokenizer, data: bytes) -> Iterator[Explanation]:
    """Explain each pre-token of a text; special tokens in it are ordinary text.

    Example: with cl100k, " disestablish" becomes " dis", "establish", and " dise" is missed, because the step that
        joined "st" and the later "est" ... crossed its end

    Raises:
        UserError: the text holds a byte that has no token.
    """
    tokenizer.count(data, disallowed_special=())  # which refuses such a byte
    for text, split_step, alternative in tokenizer.split.matched_pieces(as_text(data)):
        piece = piece_bytes(text)
        whole = tokenizer.whole_pieces and tokenizer.id_of(piece) is not None
        if len(piece) > LONGEST_PIECE:
            tokens = tuple(map(tokenizer.token_bytes, tokenizer.encode(piece, disallowed_special=())))
            yield Explanation(piece, split_step, alternative, whole, None, tokens, ())
            continue
        steps, parts = merge_steps(tokenizer, piece)
        tokens = (piece,) if whole else parts
        missed = tuple(_missed(tokenizer, piece, tokens, steps))
        yield Explanation(piece, split_step, alternative, whole, steps, tokens, missed)


def merge_steps(tokenizer: Tokenizer, piece: bytes) -> tuple[tuple[Step, ...], tuple[bytes, ...]]:
    """The merges of a piece in their order, and the parts that are left when no two can be merged.

    It is `reference.encode_piece` with nothing forgotten.
    """
    parts = [piece[start : start + 1] for start in range(len(piece))]
    steps = []
    while candidates := _candidates(tokenizer, parts):
        done, *lost = candidates
        steps.append(Step(done, tuple(lost)))
        at = list(accumulate(map(len, parts), initial=0)).index(done.start)
        parts[at : at + 2] = [done.token]
    return tuple(steps), tuple(parts)


def first_crossing(steps: Iterable[Step], cuts: AbstractSet[int]) -> Candidate | None:
    """The first merge that joins what a cut of the piece keeps apart: the reason why merging does not end there.

    `cuts` are the bytes of the piece at which tokens begin. None: no merge does; all cuts are those that BPE leaves.

    Example: with cl100k, " action" is not " ac" and "tion", because "c" and "t" are merged before " ac" can come about
    """
    ordered = sorted(cuts)
    for step in steps:
        following = bisect_right(ordered, step.done.start)
        if following < len(ordered) and ordered[following] < step.done.end:
            return step.done
    return None


def _candidates(tokenizer: Tokenizer, parts: list[bytes]) -> list[Candidate]:
    """All merges that are possible, the one to do first."""
    found = []
    start = 0
    for left, right in pairwise(parts):
        rank = tokenizer.merge_rank(left, right)
        if rank is not None:
            found.append(Candidate(rank, start, left, right))
        start += len(left)
    return sorted(found)


def _missed(tokenizer: Tokenizer, piece: bytes, tokens: tuple[bytes, ...], steps: tuple[Step, ...]) -> Iterator[Missed]:
    """Longer tokens than those the piece was cut into, the longest first, none inside another.

    One that begins where a token begins must be longer than that; another, longer than all that it overlaps.
    """
    cuts = list(accumulate(map(len, tokens), initial=0))
    spans = []
    for start in range(len(piece)):
        for end in range(len(piece), start + 1, -1):
            overlapped = [last - first for first, last in pairwise(cuts) if first < end and start < last]
            enough = overlapped[0] if start in cuts else max(overlapped)
            if len(overlapped) > 1 and end - start > enough and tokenizer.id_of(piece[start:end]) is not None:
                spans.append((start, end))
                break
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if not any(first <= start and end <= last and (first, last) != (start, end) for first, last in spans):
            yield _why_missed(tokenizer, piece[start:end], start, steps)


def _why_missed(tokenizer: Tokenizer, token: bytes, start: int, steps: tuple[Step, ...]) -> Missed:
    end = start + len(token)
    own_steps, parts = merge_steps(tokenizer, token)
    if parts != (token,):
        return Missed(token, start, "never", None)
    own = {(start + step.done.start, start + step.done.end) for step in own_steps}
    for number, step in enumerate(steps):
        first, last = step.done.start, step.done.end
        if first < start < last or first < end < last:
            return Missed(token, start, "crossed", number)
        if start <= first and last <= end and (first, last) not in own:
            return Missed(token, start, "otherwise", number)
    raise AssertionError("merging would have made it")
