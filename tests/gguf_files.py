"""Write the metadata of a GGUF file by hand, right or wrong."""

import struct
from collections.abc import Sequence
from typing import Any

from tokenizer import Tokenizer
from tokenizer.byte_alphabet import to_letters

U32, I32, FLOAT, TEXT, ARRAY = 4, 5, 6, 8, 9


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def texts(values: Sequence[str]) -> bytes:
    return struct.pack("<IQ", TEXT, len(values)) + b"".join(map(text, values))


def numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f"<IQ{len(values)}i", I32, len(values), *values)


def entries_of(tokenizer: Tokenizer, pre: str) -> dict[str, tuple[int, bytes]]:
    """What a model's file says of this tokenizer, among other things."""
    tokens = {one: to_letters(token) for token, one in tokenizer.vocabulary.items()}
    tokens |= {one: token for token, one in tokenizer.special_tokens.items()}
    special = set(tokenizer.special_tokens.values())
    merges = [f"{to_letters(left)} {to_letters(right)}" for left, right in tokenizer.merges or ()]
    return {
        "general.name": (TEXT, text("a model")),
        "general.scales": (ARRAY, struct.pack("<IQ2f", FLOAT, 2, 0.5, 1.5)),
        "tokenizer.ggml.model": (TEXT, text("gpt2")),
        "tokenizer.ggml.pre": (TEXT, text(pre)),
        "tokenizer.ggml.tokens": (ARRAY, texts([tokens[one] for one in range(len(tokens))])),
        "tokenizer.ggml.token_type": (ARRAY, numbers([3 if one in special else 1 for one in range(len(tokens))])),
        "tokenizer.ggml.merges": (ARRAY, texts(merges)),
        "tokenizer.ggml.eos_token_id": (U32, struct.pack("<I", 0)),
    }


def file_of(entries: dict[str, tuple[int, bytes]], *, version: int = 3, count: int | None = None) -> bytes:
    body = b"".join(entry(key, kind, value) for key, (kind, value) in entries.items())
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries) if count is None else count) + body + bytes(64)


def gguf_file(tokenizer: Tokenizer, pre: str = "gpt-2", /, **changed: Any) -> bytes:
    """A file of a tokenizer; each keyword replaces one of the tokenizer's keys: a kind and a value, or None."""
    entries = entries_of(tokenizer, pre) | {f"tokenizer.ggml.{key}": value for key, value in changed.items()}
    return file_of({key: value for key, value in entries.items() if value is not None})
