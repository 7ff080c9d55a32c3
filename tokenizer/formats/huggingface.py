"""Write a tokenizer as Hugging Face's `tokenizer.json`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizer.byte_alphabet import to_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.agreement import check_agreement
from tokenizer.reference import NEVER, encode_piece
from tokenizer.splits import NAMED_PATTERNS, Split

# The named patterns as Hugging Face's engine must be told them. There `{1,3}+` would mean a repeated group, and `$`
# the end of a line. The pattern of gpt2 is built into its ByteLevel step and needs no spelling.
PATTERNS = {
    "cl100k": NAMED_PATTERNS["cl100k"].replace("{1,3}+", "{1,3}").replace("$", r"\z"),
    "o200k": NAMED_PATTERNS["o200k"],
}


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write the tokenizer, as a whole or not at all.

    Raises:
        UserError: the file cannot be written, or the tokenizer cannot be said in this format.
    """
    text = json.dumps(to_json(tokenizer), ensure_ascii=False, indent=1)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as err:
        raise UserError(
            f"cannot write {path}: {err.strerror or err}", hint="choose another file or directory to write to"
        ) from err
    finally:
        temporary.unlink(missing_ok=True)


def to_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of the file.

    Special tokens stand in the vocabulary, too: an added token that does not is given another id when it is read.
    """
    merges = tokenizer.merges if tokenizer.merges is not None else recover_merges(tokenizer.vocabulary)
    vocabulary = {to_letters(token): one for token, one in tokenizer.vocabulary.items()}
    for token in tokenizer.special_tokens:
        if token in vocabulary:
            raise UserError(
                f"the special token {token!r} is written like an ordinary token in a tokenizer.json",
                hint="take another text for the special token, as <|end|>",
            )
    vocabulary |= tokenizer.special_tokens
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": one,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": token not in tokenizer.literal_tokens,
            }
            for token, one in sorted(tokenizer.special_tokens.items(), key=lambda entry: entry[1])
        ],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(tokenizer.split),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": tokenizer.whole_pieces,
            "vocab": dict(sorted(vocabulary.items(), key=lambda entry: entry[1])),
            "merges": [[to_letters(left), to_letters(right)] for left, right in merges],
        },
    }


def recover_merges(vocabulary: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The merges behind ranks: the two parts into which a token falls when it may not be made itself.

    Example: the ranks b"a": 0, b"b": 1, ..., b"ab": 256, b"aba": 257 have the merges (a, b) and (ab, a).

    Raises:
        UserError: a token that no two earlier ones make; merges cannot say it.
    """
    merges = []
    for token in sorted((token for token in vocabulary if len(token) > 1), key=vocabulary.__getitem__):
        limit = vocabulary[token]

        def rank_of(left: bytes, right: bytes, limit: int = limit) -> int:
            rank = vocabulary.get(left + right, NEVER)
            return rank if rank < limit else NEVER

        parts = encode_piece(token, rank_of)
        if len(parts) != 2:
            raise UserError(
                f"the token {token!r} is not made of two others, which a tokenizer.json cannot say",
                hint="keep this vocabulary in the file it came in",
            )
        merges.append((parts[0], parts[1]))
    return merges


def _pre_tokenizer(split: Split) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if split.name == "gpt2":
        return byte_level | {"use_regex": True}
    pattern = PATTERNS.get(split.name, split.pattern)
    if split.name == "regex" and split.dialect == "tiktoken":
        check_agreement(split)
    isolated = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [isolated, byte_level | {"use_regex": False}]}
