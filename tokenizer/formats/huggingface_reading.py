"""Read Hugging Face's `tokenizer.json`, if it is byte-level BPE and we can give exactly its ids.

Whatever would change ids and is not done here (normalizers, dropout, prefixes ...) is refused with the key that asks
for it. Post-processors are passed over: ids are those of `encode(text, add_special_tokens=False)`.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tokenizer.byte_alphabet import BYTES_BY_LETTER, from_letters, to_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.formats.huggingface import PATTERNS
from tokenizer.splits import Split, make_split

_EVERYTHING = r"[\s\S]+"  # the split of a file that has none


def load(path: Path, name: str) -> Tokenizer:
    """Read a file.

    Raises:
        UserError: it cannot be read, is malformed, or holds what we cannot do; the message names the place.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as err:
        raise UserError(f"cannot read {path}: {err.strerror or err}", hint="check the file and its rights") from err
    except json.JSONDecodeError as err:
        raise UserError(
            f"{path} is not JSON: line {err.lineno}, column {err.colno}: {err.msg}",
            hint="a tokenizer is a tokenizer.json file, or one of the names gpt2, cl100k, o200k, small",
        ) from err
    except (UnicodeDecodeError, RecursionError) as err:
        raise UserError(f"{path} is not JSON text", hint="a tokenizer is a tokenizer.json file") from err
    return _File(content, str(path)).tokenizer(name)


class _File:
    """The content of one file and how to complain about it."""

    def __init__(self, content: Any, source: str) -> None:
        self.source = source
        self.content = self.mapping(content, "the file")
        self.model = self.mapping(self.content.get("model"), "model")

    def malformed(self, key: str, what: str) -> NoReturn:
        raise UserError(
            f"{self.source}: {key} {what}", hint="the file is damaged or not a byte-level BPE tokenizer; get it again"
        )

    def unsupported(self, key: str, value: Any) -> NoReturn:
        shown = textwrap.shorten(json.dumps(value, ensure_ascii=False), 80)
        raise UserError(
            f"{self.source}: {key} is {shown}, which would change ids and is not supported",
            hint="byte-level BPE without normalizer can be read; use the `tokenizers` package for this file",
        )

    def mapping(self, value: Any, key: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.malformed(key, "should be an object {...}")
        return value

    def items(self, value: Any, key: str) -> list[Any]:
        if not isinstance(value, list):
            self.malformed(key, "should be a list [...]")
        return value

    def tokenizer(self, name: str) -> Tokenizer:
        self.check_plain()
        ids = self.token_ids()
        specials, literals = self.added_tokens(ids)
        merges = self.merges(ids)
        in_merges = {part for left, right in merges for part in (left, right, left + right)}
        vocabulary: dict[bytes, int] = {}
        for text, one in ids.items():
            if text in specials and text not in in_merges:
                continue
            try:
                vocabulary[from_letters(text)] = one
            except KeyError as err:
                self.malformed(f"model.vocab[{text!r}]", f"holds {err.args[0]!r}, which stands for no byte")
        for byte in BYTES_BY_LETTER:
            if bytes([byte]) not in vocabulary:
                letter = to_letters(bytes([byte]))
                self.malformed("model.vocab", f"has no token {letter!r} for the byte {byte:#04x}")
        return Tokenizer(
            name=name,
            split=self.split(),
            vocabulary=vocabulary,
            special_tokens=specials,
            merges=[(from_letters(left), from_letters(right)) for left, right in merges],
            whole_pieces=bool(self.model.get("ignore_merges")),
            literal_tokens=literals,
        )

    def check_plain(self) -> None:
        if self.model.get("type") != "BPE":
            self.unsupported("model.type", self.model.get("type"))
        for key in ("normalizer", "truncation", "padding"):
            if self.content.get(key) is not None:
                self.unsupported(key, self.content[key])
        for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
            if self.model.get(key):
                self.unsupported(f"model.{key}", self.model[key])
        decoder = self.content.get("decoder")
        if decoder is not None and self.mapping(decoder, "decoder").get("type") != "ByteLevel":
            self.unsupported("decoder", decoder)

    def token_ids(self) -> dict[str, int]:
        ids = self.mapping(self.model.get("vocab"), "model.vocab")
        text_of: dict[int, str] = {}
        for text, one in ids.items():
            if type(one) is not int or one < 0:
                self.malformed(f"model.vocab[{text!r}]", f"should be an id, a number from 0 on, and is {one!r}")
            if one in text_of:
                self.malformed(f"model.vocab[{text!r}]", f"has the id {one}, which {text_of[one]!r} has, too")
            text_of[one] = text
        return ids

    def added_tokens(self, ids: Mapping[str, int]) -> tuple[dict[str, int], set[str]]:
        """The added tokens with their ids, and those among them that are not special but always read."""
        specials: dict[str, int] = {}
        literals = set()
        for place, entry in enumerate(self.items(self.content.get("added_tokens") or [], "added_tokens")):
            key = f"added_tokens[{place}]"
            token = self.mapping(entry, key)
            text = token.get("content")
            if not isinstance(text, str) or not text or any("\ud800" <= letter <= "\udfff" for letter in text):
                self.malformed(f"{key}.content", "should be text")
            for flag in ("single_word", "lstrip", "rstrip"):
                if token.get(flag):
                    self.unsupported(f"{key}.{flag}", token[flag])
            # A token that is not in the vocabulary gets the next free id, whatever the file says.
            following = max(len(ids), max(specials.values(), default=-1) + 1)
            given = ids.get(text, specials.get(text, following))
            if token.get("id") != given:
                self.malformed(f"{key}.id", f"is {token.get('id')!r}, but {text!r} gets the id {given} when it is read")
            specials[text] = given
            if not token.get("special"):
                literals.add(text)
        return specials, literals

    def merges(self, ids: Mapping[str, int]) -> list[tuple[str, str]]:
        merges = []
        for place, entry in enumerate(self.items(self.model.get("merges"), "model.merges")):
            if isinstance(entry, str) and entry.startswith("#version"):
                continue
            pair = entry.split(" ") if isinstance(entry, str) else entry
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                self.malformed(f"model.merges[{place}]", f"should be two tokens and is {entry!r}")
            left, right = pair
            for part in (left, right, left + right):
                if part not in ids:
                    self.malformed(f"model.merges[{place}]", f"needs the token {part!r}, which is not in model.vocab")
            merges.append((left, right))
        return merges

    def split(self) -> Split:
        key = "pre_tokenizer"
        found = self.mapping(self.content.get(key), key)
        if found.get("type") != "Sequence":
            return self.byte_level(found, key) or Split("regex", _EVERYTHING, "huggingface")
        steps: Sequence[Any] = self.items(found.get("pretokenizers"), f"{key}.pretokenizers")
        keys = [f"{key}.pretokenizers[{place}]" for place in range(len(steps))]
        if len(steps) == 1:
            return self.byte_level(self.mapping(steps[0], keys[0]), keys[0]) or Split("regex", _EVERYTHING)
        if len(steps) != 2:
            self.unsupported(f"{key}.pretokenizers", steps)
        split = self.regex_split(self.mapping(steps[0], keys[0]), keys[0])
        if self.byte_level(self.mapping(steps[1], keys[1]), keys[1]):
            self.unsupported(f"{keys[1]}.use_regex", True)
        return split

    def byte_level(self, step: Mapping[str, Any], key: str) -> Split | None:
        """Check a ByteLevel step; the split it makes itself, if it makes one."""
        if step.get("type") != "ByteLevel":
            self.unsupported(f"{key}.type", step.get("type"))
        if step.get("add_prefix_space", True):
            self.unsupported(f"{key}.add_prefix_space", True)
        return make_split("gpt2") if step.get("use_regex", True) else None

    def regex_split(self, step: Mapping[str, Any], key: str) -> Split:
        pattern = step.get("pattern")
        if step.get("type") != "Split":
            self.unsupported(f"{key}.type", step.get("type"))
        if step.get("behavior") != "Isolated":
            self.unsupported(f"{key}.behavior", step.get("behavior"))
        if not isinstance(pattern, dict) or not isinstance(pattern.get("Regex"), str):
            self.unsupported(f"{key}.pattern", pattern)
        text = pattern["Regex"]
        named = next((name for name, known in PATTERNS.items() if known == text), None)
        if named:
            return make_split(named)
        try:
            return Split("regex", text, "huggingface")
        except UsageError as err:
            self.malformed(f"{key}.pattern.Regex", f"cannot be read: {err}")
