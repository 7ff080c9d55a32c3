"""Write a tokenizer as Hugging Face's `tokenizer.json`."""

import json
from typing import Any

from tokenizer.byte_alphabet import to_letters
from tokenizer.encoding import Tokenizer
from tokenizer.formats.agreement import check_agreement
from tokenizer.formats.recipes import merges_of
from tokenizer.formats.vocabulary import with_specials
from tokenizer.splits import NAMED_PATTERNS, Split

# The named patterns as Hugging Face's engine must be told them. There `{1,3}+` would mean a repeated group, and `$`
# the end of a line. The pattern of gpt2 is built into its ByteLevel step and needs no spelling.
PATTERNS = {
    "cl100k": NAMED_PATTERNS["cl100k"].replace("{1,3}+", "{1,3}").replace("$", r"\z"),
    "o200k": NAMED_PATTERNS["o200k"],
}


def to_bytes(tokenizer: Tokenizer) -> bytes:
    """The file.

    Raises:
        UserError: the tokenizer cannot be said in this format.
    """
    return (json.dumps(to_json(tokenizer), ensure_ascii=False, indent=1) + "\n").encode()


def to_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of the file.

    Special tokens stand in the vocabulary, too: an added token that does not is given another id when it is read.

    Raises:
        UserError: the tokenizer cannot be said in this format.
    """
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
            "vocab": with_specials(tokenizer),
            "merges": [[to_letters(left), to_letters(right)] for left, right in merges_of(tokenizer)],
        },
    }


def _pre_tokenizer(split: Split) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if split.name == "gpt2":
        return byte_level | {"use_regex": True}
    if split.name == "regex" and split.dialect == "tiktoken":
        check_agreement(split)
    steps = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in (*split.before, PATTERNS.get(split.name, split.pattern))
    ]
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level | {"use_regex": False}]}
