r"""minbpe's `.model` files: a version, the split pattern, the special tokens, and the merges as pairs of ids.

    minbpe v1
    PATTERN                  empty: no split at all
    2                        the number of special tokens
    <|end|> 258              each with its id
    <|start|> 259
    116 104                  the merges, best first: this one makes the id 256
    256 101                  and this one 257

The ids of the bytes are their values. Text that the pattern does not match is dropped by minbpe, and kept here.
"""

import re
from pathlib import Path
from typing import NoReturn

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.formats.files import AGAIN, LARGEST, brief, read_bytes
from tokenizer.formats.recipes import check_no_holes, check_no_literals, check_pieces, merges_of, readable
from tokenizer.formats.tiktoken import single_pattern
from tokenizer.formats.vocabulary import LARGEST_ID
from tokenizer.splits import NAMED_PATTERNS, NO_SPLIT, Split, make_split

_VERSION = "minbpe v1"
_LONGEST_ID = 10  # digits
_ANCHORS = re.compile(r"\$|\\[zZ]")  # they mean something else to Python, in which minbpe is written


def read(path: Path, name: str) -> Tokenizer:
    """Read a file.

    Raises:
        UserError: what is wrong, and in which line.
    """
    return _File(read_bytes(path), str(path)).tokenizer(name)


class _File:
    """The lines of one file and how to complain about them."""

    def __init__(self, content: bytes, source: str) -> None:
        self.source = source
        try:
            text = content.decode()
        except UnicodeDecodeError as err:
            raise UserError(f"{source} is not text: byte {err.start} is not UTF-8", hint=AGAIN) from err
        self.lines = re.split(r"\r\n|\r|\n", text)
        if self.lines[-1] == "":
            self.lines.pop()
        self.place = 0

    def wrong(self, what: str) -> NoReturn:
        raise UserError(f"{self.source}: line {self.place}: {what}", hint=AGAIN)

    def next_line(self) -> str:
        if self.place >= len(self.lines):
            self.place += 1
            self.wrong("the file ends too early")
        self.place += 1
        return self.lines[self.place - 1].strip()

    def number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
            self.wrong(f"{brief(text)} should be a whole number")
        return int(text)

    def tokenizer(self, name: str) -> Tokenizer:
        if self.next_line() != _VERSION:
            self.wrong(f"should be {_VERSION!r}; other .model files (SentencePiece) are not read")
        split = self.split(self.next_line())
        specials = self.special_tokens(self.number(self.next_line()))
        merges, vocabulary = self.merges()
        for place, (token, one) in enumerate(specials.items(), start=4):
            if one < len(vocabulary):
                self.place = place
                self.wrong(f"the special token {token!r} has the id {one}, which an ordinary token has")
        return Tokenizer(
            name=name,
            split=split,
            vocabulary=vocabulary,
            special_tokens=specials,
            merges=merges,
            whole_pieces=False,
        )

    def split(self, pattern: str) -> Split:
        if not pattern:
            return Split("regex", NO_SPLIT)
        named = next((known for known, text in NAMED_PATTERNS.items() if text == pattern), None)
        if named:
            return make_split(named)
        if anchor := _ANCHORS.search(pattern):
            self.wrong(f"{anchor.group()!r} in a pattern means something else to minbpe, and is not supported")
        try:
            return Split("regex", pattern)
        except UsageError as err:
            self.wrong(str(err))

    def special_tokens(self, count: int) -> dict[str, int]:
        specials: dict[str, int] = {}
        taken: set[int] = set()
        for _ in range(count):
            words = self.next_line().split()
            if len(words) != 2:
                self.wrong("should be a special token and its id")
            if words[0] in specials:
                self.wrong(f"the special token {words[0]!r} stands twice")
            one = self.number(words[1])
            if one in taken or one >= LARGEST_ID:
                self.wrong(f"the id {one} {'stands twice' if one in taken else 'is too large'}")
            taken.add(one)
            specials[words[0]] = one
        return specials

    def merges(self) -> tuple[list[tuple[bytes, bytes]], dict[bytes, int]]:
        tokens = [bytes([byte]) for byte in range(256)]
        ids = {token: one for one, token in enumerate(tokens)}
        merges = []
        room = LARGEST  # a few merges that double their token each time would fill any memory
        while self.place < len(self.lines):
            words = self.next_line().split()
            if len(words) != 2:
                self.wrong("should be a merge, two ids")
            left, right = map(self.number, words)
            if max(left, right) >= len(tokens):
                self.wrong(f"the merge names the id {max(left, right)}, but only ids below {len(tokens)} are made yet")
            room -= len(tokens[left]) + len(tokens[right])
            if room < 0:
                self.wrong(f"the merges make tokens of more than {LARGEST >> 20} MB, which no vocabulary has")
            token = tokens[left] + tokens[right]
            if token in ids:
                self.wrong(f"the merge makes {readable(token)}, which the id {ids[token]} is already")
            ids[token] = len(tokens)
            tokens.append(token)
            merges.append((tokens[left], tokens[right]))
        return merges, ids


def to_bytes(tokenizer: Tokenizer) -> tuple[bytes, list[str]]:
    """The content of a file, and what its reader must know.

    Raises:
        UserError: minbpe would give other ids.
    """
    check_no_literals(tokenizer)
    check_pieces(tokenizer)
    check_no_holes(tokenizer)
    for byte in range(256):
        one = tokenizer.vocabulary[bytes([byte])]
        if one != byte:
            raise UserError(
                f"ids would change: in minbpe's files the byte {byte:#04x} has the id {byte}, and here {one}",
                hint="train with --layout bytes, or write a tokenizer.json",
            )
    merges = merges_of(tokenizer)
    ids = tokenizer.vocabulary
    for place, (left, right) in enumerate(merges):
        if ids[left + right] != 256 + place or max(ids[left], ids[right]) >= 256 + place:
            raise UserError(
                f"ids would change: merge {place} makes {readable(left + right)}, which has the id "
                f"{ids[left + right]} and not {256 + place}",
                hint="write a tokenizer.json, which holds merges and ids apart",
            )
    if 256 + len(merges) != len(ids):
        raise UserError(
            f"ids would change: no merge makes the token of the id {256 + len(merges)}", hint="write a tokenizer.json"
        )
    pattern = _pattern_line(tokenizer.split)
    specials = sorted(tokenizer.special_tokens.items(), key=lambda entry: entry[1])
    for token, _ in specials:
        if any(letter.isspace() for letter in token):
            raise UserError(f"minbpe's files cannot hold white space in {token!r}", hint="write a tokenizer.json")
    lines = [_VERSION, pattern, str(len(specials)), *(f"{token} {one}" for token, one in specials)]
    lines += [f"{ids[left]} {ids[right]}" for left, right in merges]
    notes = ["minbpe does not use the pattern in its files: give it to RegexTokenizer(pattern=...) before load()"]
    return "".join(f"{line}\n" for line in lines).encode(), notes if pattern else []


def _pattern_line(split: Split) -> str:
    pattern = single_pattern(split)
    if pattern == NO_SPLIT:
        return ""
    if pattern != pattern.strip() or "\n" in pattern or "\r" in pattern:
        raise UserError(
            f"minbpe's files cannot hold the split pattern {pattern!r}: its white space would be lost",
            hint=r"write it as an escape: \x20, \n",
        )
    if pattern not in NAMED_PATTERNS.values() and (anchor := _ANCHORS.search(pattern)):
        raise UserError(
            f"ids would change: {anchor.group()!r} in the split pattern means something else to minbpe",
            hint="write a tokenizer.json",
        )
    return pattern
