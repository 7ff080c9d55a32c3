"""tiktoken's `.tiktoken` files: one token a line, `base64 rank`, and nothing else (no pattern, no special tokens)."""

import binascii
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.files import read_bytes
from tokenizer.formats.kept import LARGE, kept_ranks
from tokenizer.formats.recipes import check_no_holes, check_no_literals, check_ranks
from tokenizer.formats.vocabulary import LARGEST_ID, check_special
from tokenizer.patterns import parse
from tokenizer.splits import Split

_LONGEST_RANK = 10  # digits
_NO_SEPARATORS = bytes({*range(256)} - {*b" \n"})


def read(path: Path, name: str, split: Split, special_tokens: Mapping[str, int | None]) -> Tokenizer:
    """Read a file; a large one that was read before is opened from the cache.

    Its split and special tokens are what the user says they are.

    Raises:
        UserError: it is malformed, or the special tokens do not fit it.
    """
    content = read_bytes(path)

    def read_now() -> dict[bytes, int]:
        return parse_ranks(content, str(path))

    vocabulary = read_now() if len(content) < LARGE else kept_ranks(content, read_now)
    specials: dict[str, int] = {}
    for token, one in special_tokens.items():
        if one is None:
            raise UserError(
                f"{path} does not say the id of the special token {token!r}", hint=f"say it: --special '{token}=ID'"
            )
        for taken in (vocabulary.values(), specials.values()):
            check_special(token, one, taken, str(path))
        specials[token] = one
    return Tokenizer(
        name=name, split=split, vocabulary=vocabulary, special_tokens=specials, merges=None, whole_pieces=True
    )


def to_bytes(tokenizer: Tokenizer) -> bytes:
    """Write the ranks; split and special tokens are left out.

    Raises:
        UserError: ranks would give other ids than this tokenizer's merges.
    """
    check_no_literals(tokenizer)
    check_no_holes(tokenizer)
    check_ranks(tokenizer)
    single_pattern(tokenizer.split)
    return format_ranks(tokenizer.vocabulary)


def single_pattern(split: Split) -> str:
    """The split as the one regex that tiktoken takes.

    Raises:
        UserError: it is cut in several steps, or its regex means something else to tiktoken.
    """
    if split.before:
        raise UserError(
            f"ids would change: the text is split in {len(split.before) + 1} steps, and this format has one pattern",
            hint="write a tokenizer.json, which can hold several",
        )
    if parse(split.pattern, "tiktoken") != parse(split.pattern, split.dialect):
        raise UserError(
            f"ids would change: tiktoken would read the split pattern {split.pattern!r} in another way",
            hint="write a tokenizer.json, from which the pattern came",
        )
    return split.pattern


def parse_ranks(content: bytes, source: str) -> dict[bytes, int]:
    r"""Read the lines of a `.tiktoken` file; `source` names it in messages.

    No rank may stand twice, and all 256 single bytes must be there. Some may be absent: that of a special token is in
    p50k_base.

    Example: a file whose first line is `IQ== 0` gives {b"!": 0, ...}

    Raises:
        UserError: what is wrong, and in which line.
    """
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if lines and not lines.endswith(b"\n"):
        lines += b"\n"
    count = lines.count(b"\n")
    if lines.translate(None, _NO_SEPARATORS) != b" \n" * count:
        raise _first_bad_line(content, source)
    words = lines.replace(b"\n", b" ").split(b" ")[:-1]
    try:
        tokens = list(map(partial(binascii.a2b_base64, strict_mode=True), words[::2]))
        ranks = dict(zip(tokens, list(map(int, words[1::2])), strict=True))
    except ValueError:
        raise _first_bad_line(content, source) from None
    given = set(ranks.values())
    if len(given) != count or min(given, default=0) < 0 or max(given, default=0) >= LARGEST_ID or b"" in ranks:
        raise _first_bad_line(content, source)
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise _wrong(source, f"has no token for the byte {missing[0]:#04x}")
    return ranks


def format_ranks(ranks: Mapping[bytes, int]) -> bytes:
    """Write ranks as a `.tiktoken` file, in the order of their ranks."""
    by_rank = sorted(ranks, key=ranks.__getitem__)
    return b"".join(binascii.b2a_base64(token, newline=False) + b" %d\n" % ranks[token] for token in by_rank)


def _wrong(source: str, what: str) -> UserError:
    return UserError(f"{source} {what}", hint="fetch or copy the file again; it should be as tiktoken publishes it")


def _first_bad_line(content: bytes, source: str) -> UserError:
    """Go through the file again, slowly, for the message."""
    tokens: dict[bytes, int] = {}
    line_of_rank: dict[int, int] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        where = f"is wrong in line {number}"
        token_text, _, rank_text = line.partition(b" ")
        try:
            token = binascii.a2b_base64(token_text, strict_mode=True)
        except ValueError:
            return _wrong(source, f"{where}: the token is not base64")
        if not token or not rank_text.isdigit() or len(rank_text) > _LONGEST_RANK:
            return _wrong(source, f"{where}: it should be a token in base64, one space, and a rank")
        rank = int(rank_text)
        if token in tokens:
            return _wrong(source, f"{where}: the token is already in line {tokens[token]}")
        if rank in line_of_rank:
            return _wrong(source, f"{where}: the rank {rank} is already in line {line_of_rank[rank]}")
        if rank >= LARGEST_ID:
            return _wrong(source, f"{where}: the rank {rank} is too large")
        tokens[token] = line_of_rank[rank] = number
    raise AssertionError("no line is wrong")
