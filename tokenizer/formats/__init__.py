"""File formats of tokenizers: which there are, and which of them a path means.

| format         | path                                                       | says split | marks specials |
| tokenizer.json | `NAME.json`; a directory that holds a tokenizer.json       | yes        | yes            |
| merges.txt     | `vocab.json` or `merges.txt`, which lie side by side (also | no         | no             |
|                | `encoder.json`, `vocab.bpe`); a directory that holds them  |            |                |
| tiktoken       | `NAME.tiktoken`                                            | no         | no             |
| minbpe         | `NAME.model`                                               | yes        | yes            |
| gguf           | `NAME.gguf`, a model's weights; is only read               | by name    | yes            |

A file whose name says nothing is known by how it begins. Split and special tokens that a format does not hold must be
given when it is read: they are never guessed.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.formats.files import check_regular, write_files
from tokenizer.formats.files import is_file as is_file
from tokenizer.splits import Split

Format = Literal["tokenizer.json", "merges.txt", "tiktoken", "minbpe", "gguf"]

_BY_SUFFIX: dict[str, Format] = {
    ".json": "tokenizer.json",
    ".tiktoken": "tiktoken",
    ".model": "minbpe",
    ".gguf": "gguf",
}
_BEGINNINGS: tuple[tuple[bytes, Format], ...] = (
    (b"GGUF", "gguf"),
    (b"minbpe v1", "minbpe"),
    (b"#version", "merges.txt"),
    (b"{", "tokenizer.json"),
)
_PAIRS = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}
_WITH_ID = re.compile(r"(.+)=([0-9]{1,10})", re.DOTALL)
SILENT = ("merges.txt", "tiktoken")  # the formats that say neither how text is split nor which tokens are special


@dataclass(frozen=True)
class Given:
    """What the user adds to a file that does not say it.

    Attributes:
        split: how text is cut.
        special_tokens: their ids; None where the file's vocabulary has the id.
    """

    split: Split | None = None
    special_tokens: Mapping[str, int | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.split is not None or bool(self.special_tokens)


def given_special_tokens(texts: Sequence[str]) -> dict[str, int | None]:
    """Special tokens that are given as TOKEN or TOKEN=ID.

    Example: given_special_tokens(["<|end|>=300", "<|pad|>"]) == {"<|end|>": 300, "<|pad|>": None}

    Raises:
        UsageError: one is given twice.
    """
    found = ((_WITH_ID.fullmatch(text), text) for text in texts)
    given = {match[1] if match else text: int(match[2]) if match else None for match, text in found}
    if len(given) < len(texts):
        raise UsageError("a special token is given twice", hint="give each once, with one id")
    return given


def format_of(path: Path) -> Format:
    """Which format a path means; if its name does not say it, the beginning of the file does.

    Example: format_of(Path("mine/vocab.json")) == "merges.txt"

    Raises:
        UserError: neither does.
    """
    if path.name in _PAIRS or path.name in _PAIRS.values():
        return "merges.txt"
    if is_file(path) and path.is_dir():
        return "tokenizer.json" if (path / "tokenizer.json").exists() else "merges.txt"
    if path.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix.lower()]
    if is_file(path):
        check_regular(path)
        with path.open("rb") as file:
            beginning = file.read(16).lstrip()
        for start, known in _BEGINNINGS:
            if beginning.startswith(start):
                return known
    raise UserError(
        f"the name {path} does not say what format it is",
        hint="names end in .json, .tiktoken, .model or .gguf; a directory holds vocab.json and merges.txt",
    )


def read(path: Path, name: str, given: Given | None = None) -> Tokenizer:
    """Read a tokenizer, whatever its format; `name` is what it shall be called.

    Raises:
        UserError: the file cannot be read, is malformed, or asks for what this tool cannot do exactly.
        UsageError: something is given that the file says itself.
    """
    given = given or Given()
    found = format_of(path)
    if given and found not in SILENT:
        raise UsageError(
            f"{path} says itself how it splits text and which tokens are special",
            hint="leave out --split and --special; they are for .tiktoken files and for vocab.json with merges.txt",
        )
    if found == "tokenizer.json":
        from tokenizer.formats import huggingface_reading

        return huggingface_reading.read(path / "tokenizer.json" if path.is_dir() else path, name)
    if found == "merges.txt":
        from tokenizer.formats import merges_text

        return merges_text.read(*_pair(path), name, split_of(given, path), given.special_tokens)
    if found == "tiktoken":
        from tokenizer.formats import tiktoken

        return tiktoken.read(path, name, split_of(given, path), given.special_tokens)
    if found == "minbpe":
        from tokenizer.formats import minbpe

        return minbpe.read(path, name)
    from tokenizer.formats import gguf

    return gguf.read(path, name)


def write(tokenizer: Tokenizer, path: Path) -> list[str]:
    """Write a tokenizer in the format that the path's name means; tell what the format cannot hold.

    Raises:
        UserError: nothing is written, because the format would change ids, or because the file cannot be written.
    """
    found = format_of(path)
    if found == "tokenizer.json" and path.is_dir():
        path = path / "tokenizer.json"
    if found == "tokenizer.json":
        from tokenizer.formats import huggingface

        content, notes = huggingface.to_bytes(tokenizer), []
    elif found == "tiktoken":
        from tokenizer.formats import tiktoken

        content, notes = tiktoken.to_bytes(tokenizer), _left_out(tokenizer, path)
    elif found == "minbpe":
        from tokenizer.formats import minbpe

        content, notes = minbpe.to_bytes(tokenizer)
    elif found == "merges.txt":
        from tokenizer.formats import merges_text

        vocabulary, merges = merges_text.to_bytes(tokenizer)
        vocabulary_path, merges_path = _pair(path, for_writing=True)
        write_files({vocabulary_path: vocabulary, merges_path: merges})
        return _left_out(tokenizer, path)
    else:
        raise UserError(
            f"{path} would be a model's weights, which this tool does not write",
            hint="write a tokenizer.json; llama.cpp's converter takes it from there",
        )
    write_files({path: content})
    return notes


def split_of(given: Given, path: Path) -> Split:
    """The split that was given for a file that has none.

    Raises:
        UserError: none was.
    """
    if given.split is None:
        raise UserError(
            f"{path} does not say how it splits text",
            hint=f"say it behind the name: '{path}?split=gpt2' (or cl100k, o200k, a regex); for good, make a "
            f"tokenizer.json: needlepoint tok convert {path} FILE.json --split gpt2, with --special for special tokens",
        )
    return given.split


def _left_out(tokenizer: Tokenizer, path: Path) -> list[str]:
    """What must be given when the file is read again."""
    split = tokenizer.split.name if tokenizer.split.name != "regex" else tokenizer.split.pattern
    specials = [f"&special={token}={one}" for token, one in tokenizer.special_tokens.items()]
    behind = shlex.quote(f"{path}?split={split}{''.join(specials[:5])}")
    what = "the split nor which tokens are special" if specials else "the split"
    notes = [f"{path} does not hold {what}; say it behind its name when you read it: -t {behind}"]
    if len(specials) > 5:
        notes.append(f"{len(specials) - 5} more special tokens are to be said there")
    return notes


def _pair(path: Path, *, for_writing: bool = False) -> tuple[Path, Path]:
    """The vocabulary's and the merges' file that a path means."""
    folder = path.parent if path.name in (*_PAIRS, *_PAIRS.values()) else path
    for vocabulary, merges in _PAIRS.items():
        if path.name in (vocabulary, merges) or (not for_writing and is_file(folder / vocabulary)):
            return folder / vocabulary, folder / merges
    if not for_writing:
        raise UserError(
            f"the directory {path} holds no tokenizer",
            hint="it should hold a tokenizer.json, or a vocab.json and a merges.txt",
        )
    return folder / "vocab.json", folder / "merges.txt"
