"""Read the tokenizer that a GGUF file of model weights carries in its metadata (`tokenizer.ggml.*`).

The file names its split (`pre`) and does not spell it, so only splits that are known here exactly are read; they are
those of llama.cpp. The weights themselves are not touched: the file is mapped, and nothing after the metadata is read.
"""

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.files import LARGEST, brief, check_regular
from tokenizer.formats.kept import Description, kept_or_read
from tokenizer.formats.vocabulary import bytes_of_letters, check_alphabet, merges_by_id
from tokenizer.packed import MergesById
from tokenizer.packed_cache import is_settled, state
from tokenizer.splits import Split

_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_PREFIX = "tokenizer.ggml."
_LONGEST_KEY = 1 << 16  # bytes, as llama.cpp has it
_LONGEST_LIST = 1 << 24  # values that are looked at one by one; vocabularies have some hundred thousand
_WANTED = ("model", "pre", "tokens", "merges", "token_type")

# How a token's `token_type` is told: ordinary text, found on request, found always.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 1, 2, 3, 4, 5

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s"
_SHORT_FORMS = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
_LLAMA3 = (
    rf"{_SHORT_FORMS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace("{1,3}", "")
_DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# What llama.cpp makes of `pre`: the patterns that cut, one after another.
_SPLITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "mpt", "jais", "exaone4", "trillion"), (_GPT2,)),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), (r"\p{N}", _GPT2)
    ),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "dbrx", "smaug-bpe", "glm4"), (_LLAMA3,)),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen"), (_QWEN2,)),
    "deepseek-v3": (r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", _DEEPSEEK3),
}
_WHOLE_PIECES = frozenset(("llama-bpe", "llama3", "llama-v3", "falcon3"))


def read(path: Path, name: str) -> Tokenizer:
    """Read the tokenizer of a model; of one that was read before it is opened from the cache.

    Raises:
        UserError: the file is malformed (with the byte where), or its tokenizer is none that can be given exactly.
    """

    def read_now() -> Description:
        found = read_metadata(path, lambda key: key.startswith(_PREFIX) and key.removeprefix(_PREFIX) in _WANTED)
        values = {key.removeprefix(_PREFIX): value for key, value in found.items()}
        return _Vocabulary(values, str(path)).description()

    check_regular(path)
    return kept_or_read(name, lambda: state(path), read_now) if is_settled(path) else read_now().tokenizer(name)


def read_metadata(path: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """The values of those keys that are wanted, of all that stand in the metadata.

    Example: read_metadata(path, {"llama.context_length"}.__contains__) -> {"llama.context_length": 8192}

    Raises:
        UserError: the metadata is malformed or cut short (with the byte where).
    """
    check_regular(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Metadata(content, str(path)).read(wanted)
    except (OSError, ValueError) as err:  # an empty file cannot be mapped
        raise UserError(f"cannot read {path}: {err}", hint="check the file and its rights") from err


class _Metadata:
    """One pass over the metadata. Every length is checked against what is left of the file before it is used."""

    def __init__(self, content: mmap.mmap, source: str) -> None:
        self.content = content
        self.source = source
        self.position = 0
        self.room = LARGEST  # bytes that may still be taken

    def wrong(self, what: str, position: int | None = None) -> NoReturn:
        at = self.position if position is None else position
        raise UserError(
            f"{self.source}: byte {at}: {what}", hint="the file is damaged or cut short, or no GGUF file; get it again"
        )

    def take(self, size: int) -> bytes:
        start = self.position
        if size > len(self.content) - start:
            self.wrong(f"{size} bytes should follow, and the file ends at {len(self.content)}")
        self.room -= size
        if self.room < 0:
            self.wrong(f"the metadata has more than {LARGEST >> 20} MB, which no vocabulary has")
        self.position = start + size
        return self.content[start : self.position]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, longest: int = LARGEST) -> str:
        start = self.position
        size = self.number("<Q")
        if longest < size <= len(self.content) - self.position:
            self.wrong(f"a text of {size} bytes is far too long", start)
        data = self.take(size)
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.wrong("a text is not UTF-8", start)

    def read(self, wanted: Callable[[str], bool]) -> dict[str, Any]:
        """The values of the keys that are wanted."""
        if self.take(4) != b"GGUF":
            self.wrong("a GGUF file begins with GGUF", 0)
        version = self.number("<I")
        if version not in _VERSIONS:
            self.wrong(f"the version is {version}; versions 2 and 3, little endian, are read", 4)
        self.number("<Q")  # how many tensors there are
        found: dict[str, Any] = {}
        for _ in range(self.number("<Q")):
            start = self.position
            key = self.text(_LONGEST_KEY)
            if not key:
                self.wrong("a key is empty", start)
            kind = self.number("<I")
            if key in found:
                self.wrong(f"the key {key} stands twice", start)
            if wanted(key):
                found[key] = self.value(kind)
            else:
                self.skip(kind)
        return found

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            element, count = self.array()
            return [self.value(element) for _ in self.each(count)]
        return self.number(self.form(kind))

    def skip(self, kind: int) -> None:
        if kind == _TEXT:
            self.take_nothing(self.number("<Q"))
        elif kind == _ARRAY:
            element, count = self.array()
            if element == _TEXT:
                for _ in self.each(count):
                    self.take_nothing(self.number("<Q"))
            else:
                self.take_nothing(count * struct.calcsize(self.form(element)))
        else:
            self.take_nothing(struct.calcsize(self.form(kind)))

    def take_nothing(self, size: int) -> None:
        """Pass over bytes without copying them."""
        if size > len(self.content) - self.position:
            self.wrong(f"{size} bytes should follow, and the file ends at {len(self.content)}")
        self.position += size

    def array(self) -> tuple[int, int]:
        start = self.position
        element, count = self.number("<I"), self.number("<Q")
        if element == _ARRAY:
            self.wrong("a list of lists is not supported", start)
        smallest = 8 if element == _TEXT else struct.calcsize(self.form(element))
        if count * smallest > len(self.content) - self.position:
            self.wrong(f"a list of {count} values does not fit into the file", start)
        return element, count

    def each(self, count: int) -> range:
        if count > _LONGEST_LIST:
            self.wrong(f"a list of {count} values is far too long")
        return range(count)

    def form(self, kind: int) -> str:
        if kind not in _NUMBERS:
            self.wrong(f"there is no value of type {kind}", self.position - 4)
        return _NUMBERS[kind]


class _Vocabulary:
    """The tokenizer's keys and how to complain about them."""

    def __init__(self, found: dict[str, Any], source: str) -> None:
        self.found = found
        self.source = source

    def wrong(self, key: str, what: str) -> NoReturn:
        raise UserError(f"{self.source}: {_PREFIX}{key} {what}", hint="the file is damaged or was written wrongly")

    def unsupported(self, key: str, what: str) -> NoReturn:
        raise UserError(
            f"{self.source}: {_PREFIX}{key} {what}",
            hint="use the tokenizer.json that the model came with, if it is byte-level BPE",
        )

    def items(self, key: str, kind: type) -> list[Any]:
        found = self.found.get(key)
        if not isinstance(found, list) or not all(type(item) is kind for item in found):
            self.wrong(key, f"should be a list of {'texts' if kind is str else 'whole numbers'}")
        return found

    def description(self) -> Description:
        if self.found.get("model") != "gpt2":
            self.unsupported("model", f"is {brief(self.found.get('model'))}; only byte-level BPE, gpt2, can be read")
        pre = self.found.get("pre")
        if not isinstance(pre, str) or pre not in _SPLITS:
            self.unsupported("pre", f"is {brief(pre)}; it can be read with one of: {', '.join(_SPLITS)}")
        ordinary, specials, literals = self.tokens()
        vocabulary = bytes_of_letters(ordinary, self.source, f"{_PREFIX}tokens")
        check_alphabet(vocabulary, self.source, f"{_PREFIX}tokens")
        *before, pattern = _SPLITS[pre]
        return Description(
            split=Split("regex", pattern, "huggingface", tuple(before)),
            vocabulary=vocabulary,
            special_tokens=specials,
            literal_tokens=literals,
            merges=self.merges(ordinary),
            whole_pieces=pre in _WHOLE_PIECES,
        )

    def tokens(self) -> tuple[dict[str, int], dict[str, int], set[str]]:
        """Ordinary tokens, special ones, and those of the special ones that are always read."""
        tokens, types = self.items("tokens", str), self.items("token_type", int)
        if len(types) != len(tokens):
            self.wrong("token_type", f"has {len(types)} values for {len(tokens)} tokens")
        first: dict[str, int] = {}
        ordinary, specials, literals = {}, {}, set()
        for one, (text, kind) in enumerate(zip(tokens, types, strict=True)):
            if not text:
                self.wrong(f"tokens[{one}]", "is empty")
            if first.setdefault(text, one) != one:
                self.wrong(f"tokens[{one}]", f"is {brief(text)}, which tokens[{first[text]}] is, too")
            if kind in (_NORMAL, _UNUSED):
                ordinary[text] = one
            elif kind in (_CONTROL, _UNKNOWN, _USER_DEFINED):
                specials[text] = one
            else:
                self.unsupported(f"token_type[{one}]", f"is {kind}, which byte-level BPE does not have")
            if kind == _USER_DEFINED:
                literals.add(text)
        return ordinary, specials, literals

    def merges(self, ordinary: dict[str, int]) -> MergesById:
        lefts, rights = [], []
        lines = self.items("merges", str)
        for place, line in enumerate(lines):
            left, space, right = line.partition(" ")
            if not (left and space and right):
                self.wrong(f"merges[{place}]", f"should be two tokens and is {brief(line)}")
            lefts.append(left)
            rights.append(right)

        def absent(place: int, text: str) -> NoReturn:
            self.wrong(f"merges[{place}]", f"needs {brief(text)}, which is no ordinary token")

        merges = merges_by_id(lefts, rights, ordinary, absent)
        if len({*lines}) < len(lines):
            first: dict[str, int] = {}
            place = next(place for place, line in enumerate(lines) if first.setdefault(line, place) != place)
            line = lines[place]
            self.wrong(f"merges[{place}]", f"is {brief(line)}, which merges[{first[line]}] is, too")
        return merges
