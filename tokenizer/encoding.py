"""The tokenizer itself: text to ids and back, for vocabularies that were trained here or read from files."""

import math
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tokenizer import reference
from tokenizer.byte_alphabet import BYTES_BY_LETTER
from tokenizer.errors import UsageError, UserError
from tokenizer.packed import BytesOfIds, PackedVocabulary
from tokenizer.plain_encoding import MuchToMerge, PlainEncoder
from tokenizer.processors import usable_processors
from tokenizer.special_tokens import Chosen, SpecialTokens
from tokenizer.splits import Split, as_bytes, as_text, piece_bytes
from tokenizer.streaming import StreamDecoder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokenizer.compiled_encoding import CompiledEncoder

    Ids = npt.NDArray[np.int32]

# Bytes. Plain Python encodes so many, measured with cl100k, while the compiled engine is imported and made ready for a
# vocabulary (0.4 s), and while it is only made ready (0.2 s). Below the last number plain Python is always the quicker.
MUCH_TEXT, SOME_TEXT, SHORT_TEXT = 600_000, 300_000, 300
MUCH_MERGED = 150_000  # likewise of those in pieces that have to be merged: of English few are, of Thai nearly all
_COMPILED = "tokenizer.compiled_encoding"


class Tokenizer:
    """A byte-level BPE tokenizer. Any text or bytes can be encoded, and decode to exactly the same bytes.

    (The vocabularies of a few models lack bytes that their corpus never had. Such bytes are refused, not dropped.)

    A string is encoded as UTF-8; lone surrogates in it become U+FFFD.

    The text of a special token is refused unless the call says what to do with it, because text from elsewhere must
    not be able to speak with the tokenizer's own signs. All that encode take the same two options for that:
    `allowed_special`, those to be read as tokens, and `disallowed_special`, those to be refused, by default all
    others. Each is a collection of special tokens or "all". What is in neither is ordinary text. So
    `disallowed_special=()` reads everything as ordinary text, and `allowed_special="all"` all special tokens as such.

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
        tokenizer = Tokenizer.load("cl100k")
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
        self._plain = PlainEncoder(vocabulary, merges, whole_pieces=whole_pieces, split=split)
        self._encoded_bytes = 0

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name}: {self.vocab_size} ids, split {self.split.name}>"

    # -------------------------------------------------------------------------------------------- load and save

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        split: str | None = None,
        special_tokens: Mapping[str, int | None] | None = None,
    ) -> "Tokenizer":
        """Load small, gpt2, cl100k, o200k or a file; without a name the default one.

        Args:
            name_or_path: which.
            split: for a file that does not say it: gpt2, cl100k, o200k or a regex.
            special_tokens: likewise, with their ids; None for an id that the file has.

        Raises:
            UserError: there is no such tokenizer, it is not on this machine, or its file is wrong.
            UsageError: a split or special tokens for what has its own.
        """
        from tokenizer.registry import load_tokenizer

        name = None if name_or_path is None else str(name_or_path)
        return load_tokenizer(name, split=split, special_tokens=special_tokens)

    def save(self, path: str | Path) -> None:
        """Write a file in the format that its name says, as `tokenizer.formats` lists them.

        A `tokenizer.json` (`NAME.json`) holds everything; the `tokenizers` package loads it and agrees with it.

        Raises:
            UserError: the file cannot be written, or such a file cannot say what this tokenizer does.
        """
        from tokenizer import formats

        formats.write(self, Path(path))

    # ---------------------------------------------------------------------------------------------- what it holds

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id, special tokens included; ids may have holes."""
        return 1 + max((self._highest_ordinary, *self.special_tokens.values()))

    @property
    def layout(self) -> Literal["hf", "bytes", "other"]:
        """The order of ids: `hf` special tokens, letters, merges; `bytes` byte values, merges, special tokens."""
        first = len(self.special_tokens)
        alphabet = [self.vocabulary.get(bytes([byte])) for byte in BYTES_BY_LETTER]
        specials = set(self.special_tokens.values())
        if alphabet == list(range(first, first + 256)) and specials == set(range(first)):
            return "hf"
        by_value = all(self.vocabulary.get(bytes([byte])) == byte for byte in range(256))
        return "bytes" if by_value and min(specials, default=1 << 62) > self._highest_ordinary else "other"

    @cached_property
    def absent_bytes(self) -> bytes:
        """The bytes for which a file had no token; texts that hold one are refused. Mostly there are none."""
        return bytes(byte for byte in range(256) if bytes([byte]) not in self.vocabulary)

    def id_of(self, token: bytes) -> int | None:
        """The id of an ordinary token, if these bytes are one; special tokens are in `special_tokens`."""
        return self.vocabulary.get(token)

    def merge_rank(self, left: bytes, right: bytes) -> int | None:
        """When two neighbouring parts are joined: the lowest rank first; None for parts that never are.

        Example: with cl100k, merge_rank(b"h", b"e") == 383, the id of "he"
        """
        rank = self._plain.rank_of(left, right)
        return None if rank == reference.NEVER else rank

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token; a special token's are its text.

        Raises:
            UserError: no token has this id.
        """
        return self.decode_tokens([token_id])[0]

    # -------------------------------------------------------------------------------------------------- text to ids

    def encode(
        self, text: str | bytes, *, allowed_special: Chosen = (), disallowed_special: Chosen = "all"
    ) -> list[int]:
        """Turn text into ids.

        Example: with gpt2, encode("a<|endoftext|>", allowed_special={"<|endoftext|>"}) == [64, 50256]

        Raises:
            UserError: the text holds a special token that is disallowed.
            UsageError: an option names a token that is not special.
        """
        parts = self._specials.cutter(allowed_special, disallowed_special)(text)
        compiled = self._engine(len(text))
        ids: list[int] = []
        for part, special in parts:
            ids += compiled.encode(part).tolist() if compiled else self._encode_plainly(part)
            if special is not None:
                ids.append(special)
        return ids

    def encode_array(
        self, text: str | bytes, *, allowed_special: Chosen = (), disallowed_special: Chosen = "all", jobs: int = 1
    ) -> "Ids":
        """The ids of `encode` as an array of 32-bit numbers: for long texts several times as quick as a list.

        Args:
            text: the text.
            allowed_special: as everywhere.
            disallowed_special: as everywhere.
            jobs: how many threads may work on a long text.

        Raises:
            UserError, UsageError: as in `encode`.
        """
        return self.encode_batch(
            [text], allowed_special=allowed_special, disallowed_special=disallowed_special, jobs=jobs
        )[0]

    def encode_batch(
        self,
        texts: Iterable[str | bytes],
        *,
        allowed_special: Chosen = (),
        disallowed_special: Chosen = "all",
        jobs: int | None = None,
    ) -> "list[Ids]":
        """What `encode_array` gives of each text, by as many threads as there are processors, or `jobs`.

        Raises:
            UserError, UsageError: as in `encode`.
        """
        import numpy as np

        if isinstance(texts, str | bytes):
            raise UsageError("the texts are one text, not a list of texts", hint="put the text into a list")
        cutter = self._specials.cutter(allowed_special, disallowed_special)
        cut = [cutter(text) for text in texts]
        parts = [part for text in cut for part, _ in text]
        arrays = self._encode_parts(parts, jobs or usable_processors())
        batch = []
        for text in cut:
            pieces = []
            for _, special in text:
                pieces.append(next(arrays))
                if special is not None:
                    pieces.append(np.array([special], np.int32))
            batch.append(pieces[0] if len(pieces) == 1 else np.concatenate(pieces))
        return batch

    def count(self, text: str | bytes, *, allowed_special: Chosen = (), disallowed_special: Chosen = "all") -> int:
        """How many ids `encode` gives.

        Raises:
            UserError, UsageError: as in `encode`.
        """
        parts = self._specials.cutter(allowed_special, disallowed_special)(text)
        compiled = self._engine(len(text))
        total = 0
        for part, special in parts:
            total += compiled.count(part) if compiled else len(self._encode_plainly(part))
            total += special is not None
        return total

    def offsets(
        self,
        text: str | bytes,
        *,
        allowed_special: Chosen = (),
        disallowed_special: Chosen = "all",
        unit: Literal["bytes", "characters"] = "bytes",
    ) -> list[tuple[int, int]]:
        r"""Where each token of `encode` starts and ends in the text.

        In bytes of the UTF-8 the spans lie end to end. In characters a token has every character of which it holds a
        part, so that spans overlap where a character is split; a byte that is not UTF-8 counts as one character, as
        in `text.decode(errors="surrogateescape")`.

        Example: with one token for each byte
            offsets("né") == [(0, 1), (1, 2), (2, 3)]
            offsets("né", unit="characters") == [(0, 1), (1, 2), (1, 2)]

        Raises:
            UserError, UsageError: as in `encode`.
        """
        if unit not in ("bytes", "characters"):
            raise UsageError(f"offsets are not in {unit!r}", hint="units are bytes and characters")
        data = as_bytes(text)
        ids = self.encode(data, allowed_special=allowed_special, disallowed_special=disallowed_special)
        spans = list(pairwise(accumulate((len(self._bytes_of[one]) for one in ids), initial=0)))
        if unit == "bytes":
            return spans
        holder = [place for place, one in enumerate(as_text(data)) for _ in piece_bytes(one)]  # of each byte
        return [(holder[start], holder[end - 1] + 1) for start, end in spans]

    def pre_tokens(self, *texts: str | bytes) -> list[bytes]:
        """The pieces that the split makes of a text, or of several one after the other.

        Special tokens are ordinary text here.
        """
        every = list(filter(None, map(as_bytes, texts)))
        if compiled := self._engine(sum(map(len, every))):
            return compiled.pre_tokens(every)
        return [piece_bytes(piece) for text in every for piece in self.split.pieces(as_text(text))]

    def encode_pieces(self, pieces: Sequence[bytes]) -> list[list[int]]:
        """The ids of each piece of text, taken for a pre-token as it stands.

        Example: with cl100k, encode_pieces([b"hello world"]) == [[15339, 1917]], although the split would cut it

        Raises:
            KeyError: a byte has no token. (`encode` tells where; pieces mostly come from texts that it has seen.)
        """
        compiled = self._engine(sum(map(len, pieces)))
        if compiled is None or self.absent_bytes or not all(pieces):  # the compiled engine knows neither case
            return [self._plain.encode_piece(piece) for piece in pieces]
        ids, ends = compiled.encode_pieces(pieces)
        every = ids.tolist()
        return [every[start:end] for start, end in pairwise([0, *ends.tolist()])]

    # -------------------------------------------------------------------------------------------------- ids to text

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; where they do not add up to UTF-8, U+FFFD stands.

        Raises:
            UserError: no token has one of the ids.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The exact bytes of the ids.

        Raises:
            UserError: no token has one of the ids.
        """
        try:
            return self._joined(ids)
        except KeyError as err:
            raise self._unknown(err) from None

    def decode_tokens(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes of each of the ids.

        Example: with cl100k, decode_tokens([15339, 1917]) == [b"hello", b" world"]

        Raises:
            UserError: no token has one of the ids.
        """
        try:
            return list(map(self._bytes_of.__getitem__, ids))
        except KeyError as err:
            raise self._unknown(err) from None

    def _unknown(self, err: KeyError) -> UserError:
        one = err.args[0]
        is_hole = isinstance(one, int) and 0 <= one < self.vocab_size
        hint = ", with holes" if is_hole else "; was the text encoded with another tokenizer?"
        return UserError(
            f"{self.name} has no token with the id {one!r}", hint=f"its ids run from 0 to {self.vocab_size - 1}{hint}"
        )

    def _joined(self, ids: Iterable[int]) -> bytes:
        if compiled := self.__dict__.get("_compiled"):  # not worth making for this, but quick once it is there
            import numpy as np

            if isinstance(ids, np.ndarray) and ids.ndim == 1 and ids.dtype.kind in "iu":
                decoded: bytes = compiled.decode(ids)
                return decoded
        numbers = ids.tolist() if hasattr(ids, "tolist") else list(ids)  # an array's numbers are slow one by one
        return reference.decode(numbers, self._bytes_of)

    def stream_decoder(self) -> StreamDecoder:
        """For ids that come one by one: gives text as soon as it is sure, and never half a character.

        Example:
            decoder = tokenizer.stream_decoder()
            for one in ids:
                print(decoder.feed(one), end="")
            print(decoder.finish())
        """
        return StreamDecoder(self.token_bytes)

    # --------------------------------------------------------------------------------------------------- the engines

    @cached_property
    def _specials(self) -> SpecialTokens:
        return SpecialTokens(self.name, self.special_tokens, self.literal_tokens, self.absent_bytes)

    @cached_property
    def _highest_ordinary(self) -> int:
        if isinstance(self.vocabulary, PackedVocabulary):
            return self.vocabulary.highest
        return max(self.vocabulary.values())

    @cached_property
    def _bytes_of(self) -> dict[int, bytes]:
        specials = {one: token.encode() for token, one in self.special_tokens.items()}
        if isinstance(self.vocabulary, PackedVocabulary):
            return BytesOfIds(self.vocabulary, specials)
        return {one: token for token, one in self.vocabulary.items()} | specials

    def _engine(self, size: int) -> "CompiledEncoder | None":
        """The compiled engine, if so much was encoded by now that getting it ready pays, and if it can be had."""
        self._encoded_bytes += size
        much = SOME_TEXT if _COMPILED in sys.modules else MUCH_TEXT
        is_much = self._encoded_bytes >= much or self._plain.merged_bytes > self._most_merged
        return self._compiled if size >= SHORT_TEXT and is_much else None

    @cached_property
    def _most_merged(self) -> float:
        """How much plain Python may merge before the compiled engine pays; no end to it if that is far from ready."""
        from tokenizer import engines

        return MUCH_MERGED if engines.were_compiled() else math.inf

    @cached_property
    def _compiled(self) -> "CompiledEncoder | None":
        from tokenizer import engines

        module = engines.compiled_module(_COMPILED)
        if module is None:
            return None
        try:
            encoder: CompiledEncoder = module.CompiledEncoder(
                self.vocabulary, self.special_tokens, self.merges, whole_pieces=self.whole_pieces, split=self.split
            )
        except module.Unsupported as err:
            engines.regret(f"the compiled engine cannot do {self.name} ({err}); plain Python does, slowly")
            return None
        return encoder

    def _encode_parts(self, parts: Sequence[str | bytes], jobs: int) -> "Iterator[Ids]":
        import numpy as np

        compiled = self._engine(sum(map(len, parts)))
        if compiled is None:
            yield from (np.array(self._encode_plainly(part), np.int32) for part in parts)
        elif len(parts) == 1:
            yield compiled.encode(parts[0], jobs)
        else:
            ids, ends = compiled.encode_many(parts, jobs)
            yield from (ids[start:end] for start, end in pairwise([0, *ends.tolist()]))

    def _encode_plainly(self, part: str | bytes) -> list[int]:
        """The ids by plain Python, unless it finds so much to merge that the compiled engine pays after all."""
        data = as_bytes(part)
        try:
            return self._plain.encode(data, most_merged=self._most_merged if len(data) >= SHORT_TEXT else math.inf)
        except MuchToMerge:
            if compiled := self._compiled:
                ids: list[int] = compiled.encode(data).tolist()
                return ids
            self._most_merged = math.inf
            return self._plain.encode(data)
