"""Tokenizers that were read from a file before: opened from the cache, packed, in place of reading the file again."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tokenizer.encoding import Tokenizer
from tokenizer.packed import MergesById, Packed, pack, unpack
from tokenizer.packed_cache import keep, recall
from tokenizer.splits import Split

LARGE = 1 << 20  # bytes; a smaller file is read in no time


class Description(NamedTuple):
    """What a file says of a tokenizer, checked.

    Attributes:
        split: as in a `Tokenizer`, as all that follows if nothing else is said.
        vocabulary: with the smallest id first.
        special_tokens: of these a merge may have one for its right part.
        literal_tokens: those of the special tokens that are always read.
        merges: by the ids of their parts.
        whole_pieces: whether a pre-token that is in the vocabulary is that token.
    """

    split: Split
    vocabulary: dict[bytes, int]
    special_tokens: dict[str, int]
    literal_tokens: set[str]
    merges: MergesById
    whole_pieces: bool

    def tokenizer(self, name: str) -> Tokenizer:
        """The tokenizer itself."""
        tokens = dict(zip(self.vocabulary.values(), self.vocabulary, strict=True))
        lefts = [tokens[left] for left in self.merges.lefts]
        return Tokenizer(
            name=name,
            split=self.split,
            vocabulary=self.vocabulary,
            special_tokens=self.special_tokens,
            merges=[(left, tokens[made][len(left) :]) for left, made in zip(lefts, self.merges.made, strict=True)],
            whole_pieces=self.whole_pieces,
            literal_tokens=self.literal_tokens,
        )

    def packed(self) -> bytes:
        """The same in the form that is kept.

        Raises:
            KeyError: a special token is part of a merge.
        """
        details = {
            "split": [self.split.name, self.split.pattern, self.split.dialect, self.split.before],
            "special_tokens": self.special_tokens,
            "literal_tokens": sorted(self.literal_tokens),
            "whole_pieces": self.whole_pieces,
        }
        return pack(self.vocabulary, self.merges, details)


def kept_or_read(name: str, content: Callable[[], bytes], read: Callable[[], Description]) -> Tokenizer:
    """The tokenizer of a file from the cache if it is there, or else read, and kept.

    Args:
        name: what it shall be called.
        content: gives what is in the file, or what is different as soon as something else is in it.
        read: reads it; what this raises is raised, and nothing is kept then.
    """
    before = content()
    key = sha256(_readers() + before).hexdigest()
    if found := recall(key):
        return _unpacked(found, name)
    description = read()
    try:
        packed = description.packed()
    except KeyError:  # it has a merge of a special token
        return description.tokenizer(name)
    with suppress(OSError):  # it may be gone by now
        if content() == before:  # and was not written to meanwhile
            keep(key, packed)
    return _unpacked(unpack(packed, description.vocabulary), name)  # what was read is slower to work with


def kept_ranks(content: bytes, read: Callable[[], Mapping[bytes, int]]) -> Mapping[bytes, int]:
    """The ranks that are in a content from the cache if they are there, or else read, and kept.

    `read` reads them; what it raises is raised, and nothing is kept then.
    """
    key = sha256(_readers() + content).hexdigest()
    if found := recall(key):
        return found.vocabulary
    ranks = read()
    packed = pack(ranks)
    keep(key, packed)
    return unpack(packed, ranks).vocabulary


@cache
def _readers() -> bytes:
    """A hash of the code that reads files: with other code the same file may be read in another way."""
    here = Path(__file__).parent
    sources = [here.parent / "byte_alphabet.py", here.parent / "packed.py", *sorted(here.glob("*.py"))]
    return sha256(b"".join(source.read_bytes() for source in sources)).digest()


def _unpacked(found: Packed, name: str) -> Tokenizer:
    split, pattern, dialect, before = found.details["split"]
    return Tokenizer(
        name=name,
        split=Split(split, pattern, dialect, tuple(before)),
        vocabulary=found.vocabulary,
        special_tokens=found.details["special_tokens"],
        merges=found.merges,
        whole_pieces=found.details["whole_pieces"],
        literal_tokens=found.details["literal_tokens"],
    )
