"""Tokenizers that were read from a file before: opened from the cache, packed, in place of reading the file again."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from tokenizer import byte_alphabet
from tokenizer.encoding import Tokenizer
from tokenizer.packed import Packed, pack, unpack
from tokenizer.packed_cache import keep, recall
from tokenizer.splits import Split


def kept_or_read(name: str, content: Callable[[], bytes], read: Callable[[], Tokenizer]) -> Tokenizer:
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
    tokenizer = read()
    try:
        packed = _packed(tokenizer)
    except KeyError:  # it has a merge of a special token
        return tokenizer
    with suppress(OSError):  # it may be gone by now
        if content() == before:  # and was not written to meanwhile
            keep(key, packed)
    return _unpacked(unpack(packed), name)  # what was read is slower to work with


@cache
def _readers() -> bytes:
    """A hash of the code that reads files: with other code the same file may be read in another way."""
    sources = [Path(byte_alphabet.__file__), *sorted(Path(__file__).parent.glob("*.py"))]
    return sha256(b"".join(source.read_bytes() for source in sources)).digest()


def _packed(tokenizer: Tokenizer) -> bytes:
    split = tokenizer.split
    details = {
        "split": [split.name, split.pattern, split.dialect, split.before],
        "special_tokens": tokenizer.special_tokens,
        "literal_tokens": sorted(tokenizer.literal_tokens),
        "whole_pieces": tokenizer.whole_pieces,
    }
    return pack(tokenizer.vocabulary, tokenizer.merges, details)


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
