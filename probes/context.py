"""Less of a text than the whole: the stretches around its statements, or the text in numbered excerpts."""

from collections.abc import Sequence
from dataclasses import dataclass

from probes.sentences import sentence_ends
from tokenizer.errors import UserError

LEFT_OUT = "[...]"  # stands where text was left out
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """A text made from pieces of another; `offsets`: where each of the statements begins in it."""

    text: str
    offsets: tuple[int, ...]


def focused(text: str, spans: Sequence[Span], around: int = 3) -> Cut:
    """The stretches around the statements at `spans`: each with so many sentences before and after it.

    Stretches that meet become one; a mark stands where text was left out.

    Example: focused("One. Two. Three. Four. Five.", [(10, 16)], around=0).text == "[...]\n\nThree.\n\n[...]"
    """
    ends = _cuttable_ends(text, spans)
    kept: list[Span] = []
    for start, end in sorted(_stretch(ends, span, around) for span in spans):
        if kept and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((start, end))
    labels = [""] * len(kept)
    if kept and text[: kept[0][0]].strip():
        labels[0] = f"{LEFT_OUT}\n\n"
    labels[1:] = [f"\n\n{LEFT_OUT}\n\n"] * (len(kept) - 1)
    after = f"\n\n{LEFT_OUT}" if kept and text[kept[-1][1] :].strip() else ""
    return _joined(text, kept, labels, after, spans)


def numbered_excerpts(text: str, count: int, spans: Sequence[Span], label: str = "Excerpt") -> Cut:
    """The whole text in `count` pieces of about one length, each under its number, cut where sentences end.

    No statement at `spans` is cut in two.

    Raises:
        UserError: the text has too few sentences for so many pieces.

    Example: numbered_excerpts("One. Two.", 2, []).text == "Excerpt 1:\nOne.\n\nExcerpt 2:\nTwo."
    """
    ends = _cuttable_ends(text, spans)
    if count < 1 or count >= len(ends):
        raise UserError(
            f"a text of {len(ends) - 1} sentences cannot be cut into {count} excerpts",
            hint="ask for fewer, and for one at least",
        )
    cuts = [0]
    for number in range(1, count):
        # Enough sentences must be left for the pieces to come.
        possible = [end for end in ends[number : len(ends) - (count - number)] if end > cuts[-1]]
        wanted = len(text) * number / count
        cuts.append(min(possible, key=lambda end: abs(end - wanted)))
    pieces = list(zip(cuts, [*cuts[1:], len(text)], strict=True))
    labels = [f"{'' if number == 1 else chr(10) * 2}{label} {number}:\n" for number in range(1, count + 1)]
    return _joined(text, pieces, labels, "", spans)


def _cuttable_ends(text: str, spans: Sequence[Span]) -> list[int]:
    """The ends of sentences at which the text may be cut: none inside a statement."""
    return [end for end in sentence_ends(text) if not any(start < end < stop for start, stop in spans)]


def _stretch(ends: Sequence[int], span: Span, around: int) -> Span:
    """From so many sentences before a statement to as many after it."""
    first = max(index for index, end in enumerate(ends) if end <= span[0])
    last = next((index for index, end in enumerate(ends) if end >= span[1]), len(ends) - 1)
    return ends[max(first - around, 0)], ends[min(last + around, len(ends) - 1)]


def _joined(text: str, pieces: Sequence[Span], labels: Sequence[str], after: str, spans: Sequence[Span]) -> Cut:
    """The pieces, each without the space around it and under its label, and where the statements are then."""
    made: list[str] = []
    shifts: list[tuple[Span, int]] = []  # a piece -> how far its characters moved
    length = 0
    for (start, end), label in zip(pieces, labels, strict=True):
        body = text[start:end]
        stripped = body.lstrip()
        begin = end - len(stripped)
        made += [label, stripped.rstrip()]
        shifts.append(((begin, end), length + len(label) - begin))
        length += len(label) + len(made[-1])
    offsets = tuple(next(start + shift for (begin, end), shift in shifts if begin <= start < end) for start, _ in spans)
    return Cut("".join(made) + after, offsets)
