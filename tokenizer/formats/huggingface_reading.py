"""Read Hugging Face's `tokenizer.json`, if it is byte-level BPE and we can give exactly its ids.

Whatever would change ids and is not done here (normalizers, dropout, prefixes ...) is refused with the key that asks
for it. Post-processors are passed over: ids are those of `encode(text, add_special_tokens=False)`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tokenizer.byte_alphabet import from_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.formats.files import AGAIN, brief, parse_json, read_bytes
from tokenizer.formats.huggingface import PATTERNS
from tokenizer.formats.kept import LARGE, Description, kept_or_read
from tokenizer.formats.vocabulary import bytes_of_letters, check_alphabet, check_ids, merges_by_id
from tokenizer.packed import MergesById, in_order_of_ids
from tokenizer.splits import MODEL_PATTERNS, NAMED_PATTERNS, NO_SPLIT, Split, make_split

_KEYS = frozenset(
    "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model".split()
)
_LONGEST_PATTERN = 5000  # characters; real ones have a few hundred
_LONGEST_ADDED = 1000  # characters; real ones have a few dozen
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # as ByteLevel spells it
# What ByteLevel's neighbour `Digits` takes for a digit: \p{N}, and numerals that were added to Unicode later on.
_DIGIT = r"[\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}]"
# Patterns that leave no character of any text unmatched, so that it makes no difference what becomes of the rest.
_COMPLETE = frozenset({*NAMED_PATTERNS.values(), *PATTERNS.values(), *MODEL_PATTERNS.values(), _GPT2})


def read(path: Path, name: str) -> Tokenizer:
    """Read a file; a large one that was read before is opened from the cache.

    Raises:
        UserError: it cannot be read, is malformed, or holds what we cannot do; the message names the place.
    """
    content, source = read_bytes(path), str(path)

    def read_now() -> Description:
        return _File(parse_json(content, source), source).description()

    return read_now().tokenizer(name) if len(content) < LARGE else kept_or_read(name, lambda: content, read_now)


class _File:
    """The content of one file and how to complain about it."""

    def __init__(self, content: Any, source: str) -> None:
        self.source = source
        self.content = self.mapping(content, "the file")
        self.model = self.mapping(self.content.get("model"), "model")

    def malformed(self, key: str, what: str) -> NoReturn:
        raise UserError(f"{self.source}: {key} {what}", hint=AGAIN)

    def unsupported(self, key: str, value: Any) -> NoReturn:
        raise UserError(
            f"{self.source}: {key} is {brief(value)}, which would change ids and is not supported",
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

    def flag(self, holder: Mapping[str, Any], key: str, where: str, *, absent: bool | None = False) -> bool:
        value = holder.get(key, absent)
        if not isinstance(value, bool):
            self.malformed(f"{where}.{key}", f"should be true or false and is {brief(value)}")
        return value

    def description(self) -> Description:
        self.check_plain()
        ids = check_ids(self.model.get("vocab"), self.source, "model.vocab")
        merges = self.merges(ids)
        specials, literals = self.added_tokens(ids, {*merges.lefts, *merges.made})
        ordinary = dict(in_order_of_ids(ids))
        for text in specials:
            ordinary.pop(text, None)
        vocabulary = bytes_of_letters(ordinary, self.source, "model.vocab")
        check_alphabet(vocabulary, self.source, "model.vocab")
        return Description(
            split=self.split(),
            vocabulary=vocabulary,
            special_tokens=specials,
            literal_tokens=literals,
            merges=merges,
            whole_pieces=self.flag(self.model, "ignore_merges", "model"),
        )

    def check_plain(self) -> None:
        if unknown := self.content.keys() - _KEYS:
            self.malformed("the file", f"has the key {brief(min(unknown))}, which no tokenizer.json has")
        if self.model.get("type", "BPE") != "BPE":  # the oldest files do not say it
            self.unsupported("model.type", self.model["type"])
        normalizer = self.content.get("normalizer")
        if normalizer not in (None, {"type": "Sequence", "normalizers": []}):
            self.unsupported("normalizer", normalizer)
        for key in ("truncation", "padding"):
            if self.content.get(key) is not None:
                self.unsupported(key, self.content[key])
        for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
            if self.model.get(key):
                self.unsupported(f"model.{key}", self.model[key])
        decoder = self.content.get("decoder")
        if decoder is not None and self.mapping(decoder, "decoder").get("type") != "ByteLevel":
            self.unsupported("decoder", decoder)

    def merges(self, ids: Mapping[str, int]) -> MergesById:
        """The merges, best first; of one that stands twice the second counts, as in `tokenizers`."""
        lefts, rights, places = [], [], []
        for place, entry in enumerate(self.items(self.model.get("merges"), "model.merges")):
            if isinstance(entry, str) and entry.startswith("#version"):
                continue
            pair = entry.split(" ") if isinstance(entry, str) else entry
            left, right = pair if isinstance(pair, list) and len(pair) == 2 else ("", "")
            if not (left and right and isinstance(left, str) and isinstance(right, str)):
                self.malformed(f"model.merges[{place}]", f"should be two tokens and is {brief(entry)}")
            lefts.append(left)
            rights.append(right)
            places.append(place)

        def absent(place: int, text: str) -> NoReturn:
            self.malformed(
                f"model.merges[{places[place]}]", f"needs the token {brief(text)}, which is not in model.vocab"
            )

        merges = merges_by_id(lefts, rights, ids, absent)
        if len({*merges.made}) == len(merges.made):
            return merges
        return MergesById(*zip(*reversed(dict.fromkeys(reversed([*zip(*merges, strict=True)]))), strict=True))

    def added_tokens(self, ids: Mapping[str, int], merged: set[int]) -> tuple[dict[str, int], set[str]]:
        """The added tokens with their ids, and those among them that are not special but always read.

        Args:
            ids: of all tokens of the vocabulary.
            merged: the ids of what merges make, and of their left parts.
        """
        specials: dict[str, int] = {}
        literals = set()
        found_first: dict[str, str] = {}  # those that are not `normalized`: they are looked for in the whole text
        found_later: dict[str, str] = {}  # the others: they are looked for in what is left
        last = -1
        for place, entry in enumerate(self.items(self.content.get("added_tokens") or [], "added_tokens")):
            key = f"added_tokens[{place}]"
            token = self.mapping(entry, key)
            text = self.added_text(token.get("content"), key)
            if ids.get(text) in merged:
                self.unsupported(f"{key}.content", text)
            for flag in ("single_word", "lstrip", "rstrip"):
                if self.flag(token, flag, key, absent=None):
                    self.unsupported(f"{key}.{flag}", token[flag])
            # A token that is not in the vocabulary gets the next free id, whatever the file says.
            given = ids.get(text, specials.get(text, max(len(ids), last + 1)))
            if token.get("id") != given:
                self.malformed(
                    f"{key}.id", f"is {brief(token.get('id'))}, but {brief(text)} gets the id {given} when it is read"
                )
            if text in specials:
                self.malformed(f"{key}.content", f"is {brief(text)}, which is added already")
            specials[text] = given
            last = max(last, given)
            if not self.flag(token, "special", key, absent=None):
                literals.add(text)
            later = self.flag(token, "normalized", key, absent=None)
            (found_later if later else found_first)[text] = key
        for text in _in_the_way(found_first, found_later):
            self.unsupported(f"{found_later[text]}.normalized", True)
        return specials, literals

    def added_text(self, text: Any, key: str) -> str:
        if not isinstance(text, str) or not text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self.malformed(f"{key}.content", "should be text")
        if len(text) > _LONGEST_ADDED or _is_letter(text):
            self.unsupported(f"{key}.content", text)
        return text

    def split(self) -> Split:
        key = "pre_tokenizer"
        found = self.mapping(self.content.get(key), key)
        steps: Sequence[Any] = [found]
        keys = [key]
        if found.get("type") == "Sequence":
            steps = self.items(found.get("pretokenizers"), f"{key}.pretokenizers")
            keys = [f"{key}.pretokenizers[{place}]" for place in range(len(steps))]
        if not steps:
            self.unsupported(f"{key}.pretokenizers", steps)
        *cutting, last = (self.mapping(step, where) for step, where in zip(steps, keys, strict=True))
        patterns = [self.pattern(step, where) for step, where in zip(cutting, keys, strict=False)]
        cuts_itself = self.byte_level(last, keys[-1])
        if cuts_itself and not patterns:
            return make_split("gpt2")
        if cuts_itself:
            patterns.append(_GPT2)
        *before, pattern = patterns or [NO_SPLIT]
        named = next((name for name, known in PATTERNS.items() if known == pattern), None)
        if named and not before:
            return make_split(named)
        return Split("regex", pattern, "huggingface", tuple(before))

    def byte_level(self, step: Mapping[str, Any], key: str) -> bool:
        """Check the ByteLevel step, which must be the last; whether it splits, too."""
        if step.get("type") != "ByteLevel":
            self.unsupported(f"{key}.type", step.get("type"))
        if self.flag(step, "add_prefix_space", key, absent=True):
            self.unsupported(f"{key}.add_prefix_space", True)
        return self.flag(step, "use_regex", key, absent=True)

    def pattern(self, step: Mapping[str, Any], key: str) -> str:
        """The regex whose matches, and what lies between them, are the pieces of a step."""
        if step.get("type") == "Digits":
            return _DIGIT if self.flag(step, "individual_digits", key, absent=None) else f"{_DIGIT}+"
        if step.get("type") != "Split":
            self.unsupported(f"{key}.type", step.get("type"))
        pattern = step.get("pattern")
        if not isinstance(pattern, dict) or len(pattern) != 1:
            self.unsupported(f"{key}.pattern", pattern)
        ((kind, text),) = pattern.items()
        if kind not in ("Regex", "String") or not isinstance(text, str) or not text or len(text) > _LONGEST_PATTERN:
            self.unsupported(f"{key}.pattern", pattern)
        if kind == "String":
            text = "".join(f"\\x{{{ord(letter):x}}}" for letter in text)
        removed = step.get("behavior") == "Removed" and self.flag(step, "invert", key) and text in _COMPLETE
        if step.get("behavior") != "Isolated" and not removed:
            self.unsupported(f"{key}.behavior", step.get("behavior"))
        try:
            Split("regex", text, "huggingface")
        except UsageError as err:
            self.malformed(f"{key}.pattern.{kind}", f"cannot be read: {err}")
        return text


def _is_letter(text: str) -> bool:
    """Whether a text is what an ordinary vocabulary writes for one byte."""
    try:
        return len(from_letters(text)) == 1
    except KeyError:
        return False


def _in_the_way(found_first: Iterable[str], found_later: Iterable[str]) -> list[str]:
    """Those of the later tokens that looking for all tokens at once could find in the place of an earlier one.

    Example: of the earlier "<|a|>", the later "x<|a|>" and "a<|"; but not "|>": wherever both are, "<|a|>" begins first
    """
    earlier = sorted(found_first)
    known, lengths = set(earlier), {len(text) for text in earlier}

    def is_in_the_way(text: str) -> bool:
        for start in range(len(text)):
            if any(text[start : start + length] in known for length in lengths):
                return True
            rest = text[start:]  # may one of the earlier begin with it?
            place = bisect_left(earlier, rest)
            if start and place < len(earlier) and earlier[place].startswith(rest):
                return True
        return False

    return list(filter(is_in_the_way, found_later))
