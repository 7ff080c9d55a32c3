"""The tokenizer itself: text to ids and back, for vocabularies that were trained here or read from files."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from tokenizer import reference
from tokenizer.byte_alphabet import BYTES_BY_LETTER
from tokenizer.errors import UsageError, UserError
from tokenizer.splits import Split, as_bytes, as_text, piece_bytes

_REMEMBERED_PIECES = 1 << 16  # then the memory starts afresh; at some 200 bytes a piece this is about 13 MB


class Tokenizer:
    """A byte-level BPE tokenizer. Any text or bytes can be encoded, and decode to exactly the same bytes.

    The text of a special token is refused in `encode` unless the call says what to do with it, because text from
    elsewhere must not be able to speak with the tokenizer's own signs.

    Attributes:
        name: what to call it in tables and messages.
        split: how text is cut into pre-tokens.
        vocabulary: ordinary tokens and their ids.
        special_tokens: special tokens and their ids; never the result of merging.
        merges: the pairs that may be joined, best first; None if any two parts may whose sum is in the vocabulary,
            the smaller id first (as in tiktoken).
        whole_pieces: a pre-token that is in the vocabulary is that token, whatever the merges say.
        literal_tokens: those of the special tokens that are always read as tokens, and never refused.

    Example:
        tokenizer = load_tokenizer("cl100k")
        tokenizer.encode("hello world") == [15339, 1917]
        tokenizer.decode([15339, 1917]) == "hello world"
    """

    def __init__(
        self,
        *,
        name: str,
        split: Split,
        vocabulary: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        merges: Sequence[tuple[bytes, bytes]] | None,
        whole_pieces: bool,
        literal_tokens: Collection[str] = (),
    ) -> None:
        self.name = name
        self.split = split
        self.vocabulary = vocabulary
        self.special_tokens = special_tokens
        self.merges = merges
        self.whole_pieces = whole_pieces
        self.literal_tokens = frozenset(literal_tokens)
        self._rank_of = _rank_by_sum(vocabulary) if merges is None else _rank_by_pair(merges)
        self._remembered: dict[str, list[int]] = {}

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name}: {self.vocab_size} ids, split {self.split.name}>"

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id, special tokens included; ids may have holes."""
        return 1 + max((*self.vocabulary.values(), *self.special_tokens.values()))

    @property
    def layout(self) -> Literal["hf", "bytes", "other"]:
        """The order of ids: `hf` special tokens, letters, merges; `bytes` byte values, merges, special tokens."""
        first = len(self.special_tokens)
        alphabet = [self.vocabulary[bytes([byte])] for byte in BYTES_BY_LETTER]
        specials = set(self.special_tokens.values())
        if alphabet == list(range(first, first + 256)) and specials == set(range(first)):
            return "hf"
        by_value = all(self.vocabulary[bytes([byte])] == byte for byte in range(256))
        return "bytes" if by_value and min(specials, default=1 << 62) > max(self.vocabulary.values()) else "other"

    def encode(
        self,
        text: str | bytes,
        *,
        allowed_special: Collection[str] | Literal["all"] = (),
        special_as_text: bool = False,
    ) -> list[int]:
        """Turn text into ids.

        Args:
            text: a string (lone surrogates become U+FFFD), or any bytes.
            allowed_special: the special tokens to read as tokens where they stand in the text.
            special_as_text: read the others as ordinary text instead of refusing them.

        Raises:
            UserError: the text holds a special token about which nothing was said.
            UsageError: `allowed_special` names a token that is not special.
        """
        ids: list[int] = []
        for segment, special in self._segments(as_bytes(text), allowed_special, special_as_text=special_as_text):
            ids += self._encode_ordinary(as_text(segment))
            if special is not None:
                ids.append(special)
        return ids

    def count(
        self,
        text: str | bytes,
        *,
        allowed_special: Collection[str] | Literal["all"] = (),
        special_as_text: bool = False,
    ) -> int:
        """How many ids `encode` gives."""
        return len(self.encode(text, allowed_special=allowed_special, special_as_text=special_as_text))

    def offsets(
        self,
        text: str | bytes,
        *,
        allowed_special: Collection[str] | Literal["all"] = (),
        special_as_text: bool = False,
    ) -> list[tuple[int, int]]:
        r"""Where each token of `encode` starts and ends, in bytes of the UTF-8 text.

        Example: with one token for each byte, offsets("é") == [(0, 1), (1, 2)]
        """
        spans = []
        start = 0
        for one in self.encode(text, allowed_special=allowed_special, special_as_text=special_as_text):
            end = start + len(self.token_bytes(one))
            spans.append((start, end))
            start = end
        return spans

    def pre_tokens(self, text: str | bytes) -> list[bytes]:
        """The pieces that the split makes of a text; special tokens are ordinary text here."""
        return [piece_bytes(piece) for piece in self.split.pieces(as_text(as_bytes(text)))]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; where they do not add up to UTF-8, U+FFFD stands."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The exact bytes of the ids.

        Raises:
            UserError: no token has this id.
        """
        ids = list(ids)
        try:
            return reference.decode(ids, self._bytes_of)
        except KeyError as err:
            raise UserError(
                f"{self.name} has no token with the id {err.args[0]}",
                hint=f"its ids run from 0 to {self.vocab_size - 1}; was the text encoded with another tokenizer?",
            ) from None

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token; a special token's are its text.

        Raises:
            UserError: no token has this id.
        """
        return self.decode_bytes([token_id])

    def id_of(self, token: bytes) -> int | None:
        """The id of an ordinary token, if these bytes are one; special tokens are in `special_tokens`."""
        return self.vocabulary.get(token)

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json` which the `tokenizers` package loads and agrees with.

        Raises:
            UserError: the file cannot be written, or such a file cannot say what this tokenizer does.
        """
        from tokenizer.formats import huggingface

        huggingface.save(self, Path(path))

    @cached_property
    def _bytes_of(self) -> dict[int, bytes]:
        ordinary = {one: token for token, one in self.vocabulary.items()}
        return ordinary | {one: token.encode() for token, one in self.special_tokens.items()}

    def _encode_ordinary(self, text: str) -> list[int]:
        remembered = self._remembered
        ids: list[int] = []
        for piece in self.split.pieces(text):
            known = remembered.get(piece)
            if known is None:
                known = self._encode_piece(piece_bytes(piece))
                if len(piece) < reference.LONG_PIECE:
                    if len(remembered) >= _REMEMBERED_PIECES:
                        remembered.clear()
                    remembered[piece] = known
            ids += known
        return ids

    def _encode_piece(self, piece: bytes) -> list[int]:
        if self.whole_pieces and piece in self.vocabulary:
            return [self.vocabulary[piece]]
        return [self.vocabulary[part] for part in reference.encode_piece(piece, self._rank_of)]

    def _segments(
        self, data: bytes, allowed_special: Collection[str] | Literal["all"], *, special_as_text: bool
    ) -> Iterator[tuple[bytes, int | None]]:
        """Cut at the special tokens that may be read: ordinary text, then the id of the token after it, if any.

        Where several could start, the longest is read.
        """
        readable = set(self.special_tokens) if allowed_special == "all" else set(allowed_special)
        if unknown := readable - set(self.special_tokens):
            raise UsageError(
                f"{min(unknown)!r} is not a special token of {self.name}",
                hint=f"its special tokens are: {' '.join(self.special_tokens) or 'none'}",
            )
        readable |= self.literal_tokens
        if not special_as_text:
            self._refuse(data, set(self.special_tokens) - readable)
        start = 0
        if readable:
            longest_first = sorted((token.encode() for token in readable), key=len, reverse=True)
            for match in re.finditer(b"|".join(map(re.escape, longest_first)), data):
                yield data[start : match.start()], self.special_tokens[match.group().decode()]
                start = match.end()
        yield data[start:], None

    def _refuse(self, data: bytes, tokens: Iterable[str]) -> None:
        found = [(data.find(token.encode()), token) for token in tokens if token.encode() in data]
        if found:
            position, token = min(found)
            raise UserError(
                f"the text holds {token!r}, a special token of {self.name}, at byte {position}",
                hint="--allow-special reads it as the token, --special-as-text as ordinary text",
            )


def _rank_by_sum(vocabulary: Mapping[bytes, int]) -> Callable[[bytes, bytes], int]:
    def rank_of(left: bytes, right: bytes) -> int:
        return vocabulary.get(left + right, reference.NEVER)

    return rank_of


def _rank_by_pair(merges: Sequence[tuple[bytes, bytes]]) -> Callable[[bytes, bytes], int]:
    ranks = {pair: rank for rank, pair in enumerate(merges)}

    def rank_of(left: bytes, right: bytes) -> int:
        return ranks.get((left, right), reference.NEVER)

    return rank_of
