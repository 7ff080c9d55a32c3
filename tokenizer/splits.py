r"""Cut text into pre-tokens: the pieces inside which merges happen and across which they never do.

The patterns have their names from the vocabularies that use them, and are spelled exactly as tiktoken ships them.
An older spelling of cl100k, llama3 here, is in wide use that gives the same ids but cuts white space at the end of a
text differently (`\s++$` takes it whole), so the two are different patterns here.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from tokenizer import patterns
from tokenizer.errors import UsageError

NAMED_PATTERNS = {
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    "cl100k": (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
        r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
    "o200k": (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
}

# Patterns of many models, as their `tokenizer.json` spell them: an older one of cl100k, and one that takes each digit.
MODEL_PATTERNS = {
    "llama3": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}

NO_SPLIT = r"[\s\S]+"  # the pattern of a vocabulary that does not split: a text is one piece


def as_bytes(text: str | bytes) -> bytes:
    r"""The UTF-8 of a text; bytes stay as they are, lone surrogates become U+FFFD, as in tiktoken.

    Example: as_bytes("a\ud800") == b"a\xef\xbf\xbd"

    Raises:
        UsageError: it is neither.
    """
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise UsageError(f"{type(text).__name__} is no text", hint="give text as str or bytes")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def as_text(data: bytes) -> str:
    r"""Decode UTF-8 so that nothing is lost: each byte that is not UTF-8 becomes one code point outside every class.

    Example: as_text(b"a\xff") == "a\udcff"
    """
    return data.decode("utf-8", "surrogateescape")


def piece_bytes(piece: str) -> bytes:
    r"""The bytes of a piece of what `as_text` gave.

    Example: piece_bytes("a\udcff") == b"a\xff"
    """
    return piece.encode("utf-8", "surrogateescape")


def between_characters(data: bytes, place: int) -> int:
    """The last place up to a given one that is inside no character.

    Example: between_characters("aé".encode(), 2) == 1
    """
    least = max(place - 3, 0)
    while least < place < len(data) and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


class MatchedPiece(NamedTuple):
    """A piece with the first step of its split that matched all of it, and that step's alternative, both from 0.

    Both are None for what lies between matches.
    """

    text: str
    step: int | None = None
    alternative: int | None = None


@dataclass(frozen=True)
class Split:
    r"""A way of cutting text: a name, the regex, and whose reading of the regex is meant.

    Where a vocabulary cuts in several steps, `before` holds the patterns that cut first: each cuts every piece of the
    step before it as if it were a text of its own, and `pattern` is the last.

    Example: Split("gpt2", NAMED_PATTERNS["gpt2"]).pieces("It's 3 pm") == ["It", "'s", " 3", " pm"]

    Raises:
        UsageError: the pattern cannot be read, or can only match empty text.
    """

    name: str
    pattern: str
    dialect: patterns.Dialect = "tiktoken"
    before: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.steps:
            _compile(pattern, self.dialect, 0x7F)

    def pieces(self, text: str) -> list[str]:
        """Cut a text that `as_text` may have given; joined, the pieces are the text again.

        What the pattern does not match becomes pieces of its own.
        """
        if not self.before:
            return _cut(_compile(self.pattern, self.dialect, _extent(text)), text)
        pieces = [text] if text else []
        for pattern in self.steps:
            expression = _compile(pattern, self.dialect, _extent(text))
            pieces = [smaller for piece in pieces for smaller in _cut(expression, piece)]
        return pieces

    def matches(self, text: str) -> bool:
        """Whether the pattern matches anything in a text."""
        return any(_compile(pattern, self.dialect, _extent(text)).search(text) for pattern in self.steps)

    @property
    def steps(self) -> tuple[str, ...]:
        """The patterns of all steps, the first step first."""
        return (*self.before, self.pattern)

    def matched_pieces(self, text: str) -> list[MatchedPiece]:
        """The pieces, each with what matched it."""
        found = [MatchedPiece(text)] if text else []
        for step, pattern in enumerate(self.steps):
            expression = _compile(pattern, self.dialect, _extent(text))
            each = [_compile(one, self.dialect, _extent(text)) for one in alternatives(pattern)]
            before, found = found, []
            for whole in before:
                start = 0
                for piece in _cut(expression, whole.text):
                    ends = [match.end() if (match := one.match(whole.text, start)) else None for one in each]
                    start += len(piece)
                    if piece == whole.text and whole.step is not None:  # a later step left it as it was
                        found.append(whole)
                    elif start in ends:
                        found.append(MatchedPiece(piece, step, ends.index(start)))
                    else:
                        found.append(MatchedPiece(piece))
        return found

    def split_spans(self, data: bytes) -> list[tuple[int, int]]:
        """The pieces of any bytes as (start, end) in bytes."""
        spans = []
        start = 0
        for piece in self.pieces(as_text(data)):
            end = start + len(piece_bytes(piece))
            spans.append((start, end))
            start = end
        return spans


def make_split(name_or_pattern: str) -> Split:
    r"""A named split, or one by the user's own regex.

    Example: make_split("gpt2").name == "gpt2"; make_split(r"\S+|\s+").name == "regex"

    Raises:
        UsageError: no such name, or the regex cannot be used.
    """
    if name_or_pattern in NAMED_PATTERNS:
        return Split(name_or_pattern, NAMED_PATTERNS[name_or_pattern])
    if re.fullmatch(r"[A-Za-z0-9_.-]+", name_or_pattern):  # nobody means a regex of plain letters
        import difflib

        nearest = difflib.get_close_matches(name_or_pattern.lower(), NAMED_PATTERNS, n=1, cutoff=0.3)
        raise UsageError(
            f"no split is named {name_or_pattern!r}",
            hint=(f"did you mean {nearest[0]}? " if nearest else "")
            + f"splits are {', '.join(NAMED_PATTERNS)}, or a regular expression",
        )
    return Split("regex", name_or_pattern)


def _extent(text: str) -> int:
    """The end of the part of Unicode that holds the text; its pattern is compiled for no more than that."""
    if text.isascii():
        return 0x7F
    highest = ord(max(text))
    return next(limit for limit in (0x7FF, 0xFFFF, 0x10FFFF) if highest <= limit)


@cache
def alternatives(pattern: str) -> tuple[str, ...]:
    r"""The alternatives of a pattern, of which the first that matches at a place cuts there.

    They lie between the bars that stand in no group and in no set.

    Example: alternatives(r"\d+|[a-z|]+") == (r"\d+", "[a-z|]+")
    """
    cuts, depth, in_set, position = [-1], 0, False, 0
    while position < len(pattern):
        sign = pattern[position]
        if sign == "\\":
            position += 1
        elif in_set:
            in_set = sign != "]"
        elif sign == "[":
            in_set = True
            position += pattern.startswith("^", position + 1)
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "|" and depth == 0:
            cuts.append(position)
        position += 1
    return tuple(pattern[start + 1 : end] for start, end in pairwise([*cuts, len(pattern)]))


@cache
def _compile(pattern: str, dialect: patterns.Dialect, limit: int) -> re.Pattern[str]:
    parts = patterns.parse(pattern, dialect)
    try:
        return re.compile(patterns.render(parts, limit))
    except (re.error, OverflowError, RecursionError) as err:
        raise UsageError(
            f"the split pattern cannot be used: {getattr(err, 'msg', None) or err}",
            hint="look-behind needs a fixed width; repetitions and nesting have limits",
        ) from err


def _cut(expression: re.Pattern[str], text: str) -> list[str]:
    pieces: list[str] = expression.findall(text)
    if all(pieces) and sum(map(len, pieces)) == len(text):
        return pieces
    return _pieces_with_gaps(expression, text)


def _pieces_with_gaps(expression: re.Pattern[str], text: str) -> list[str]:
    """Matches and what lies between them; an empty match cuts, unless it touches the match before it.

    Example: _pieces_with_gaps(re.compile("a+|(?=c)"), "baabcd") == ["b", "aa", "b", "cd"]
    """
    cuts = [0]
    position = 0
    last_end = -1
    while position <= len(text) and (match := expression.search(text, position)):
        start, end = match.span()
        if start == end == last_end:
            position = end + 1
            continue
        cuts += (start, end)
        position = last_end = end
    cuts.append(len(text))
    return [text[start:end] for start, end in pairwise(cuts) if start < end]
