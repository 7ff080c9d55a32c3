r"""Rewrite a split regex so that Python's `re` reads it as tiktoken does, or as Hugging Face's tokenizers do.

The three engines agree on most of the language and differ in a few places; all differences are settled here:

* Classes (`\p{L} \s \d \w [...] .`) become explicit ranges of the frozen table, so no engine's Unicode matters.
* `^ $ \A \z \Z \b \B` get the meaning that the dialect gives them.
* `(?i:...)` is spelled out letter by letter: `(?i:s)` is `[Ss\u017F]`.
* `{1,3}+` takes without giving back in tiktoken's dialect, and means `(?:...{1,3})+` in Hugging Face's.

What the engines do not share (back-references, nested sets, scripts) is refused with its position.

Ranges are kept apart from the text around them until the pattern is compiled for a text of known extent: for an
ASCII text the ranges above U+007F are left out, which makes `re` about ten times as fast.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tokenizer import unicode_classes as classes
from tokenizer.errors import UsageError

Dialect = Literal["tiktoken", "huggingface"]
Part = str | classes.Ranges  # text for `re` as it stands, or a set of code points

_ONE_CHARACTER = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_GROUPS = ("(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>")
_REPEAT = re.compile(r"\{(?:\d+(?:,\d*)?|,\d+)\}")
_HEX = re.compile(r"x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})")
_FAMILIES = ("Ss\u017f", "Kk\u212a", *(upper + upper.lower() for upper in "ABCDEFGHIJLMNOPQRTUVWXYZ"))
_FOLD_TO_ASCII = ((0x17F, 0x17F), (0x212A, 0x212A))
_PROPERTY = re.compile(r"[pP](?:\{(\w+)\}|([A-Z]))")


def parse(pattern: str, dialect: Dialect) -> tuple[Part, ...]:
    r"""Read a split regex of the dialect.

    Example: parse(r"\r|[a-c]", "tiktoken") == (((13, 13),), "|", ((97, 99),))

    Raises:
        UsageError: what is wrong, and at which position of the pattern (counted from 0).
    """
    return _Reader(pattern, dialect).read()


def render(parts: tuple[Part, ...], limit: int) -> str:
    """The text for `re.compile`, good for texts that hold no code point above the limit."""
    return "".join(part if isinstance(part, str) else _render_set(classes.clip(part, limit)) for part in parts)


def _render_set(ranges: classes.Ranges) -> str:
    if not ranges:
        return r"[^\x00-\U0010FFFF]"  # nothing at all
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return f"\\U{ranges[0][0]:08X}"  # `re` is quicker with a character than with a set
    return "[" + "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in ranges) + "]"


@dataclass
class _Group:
    opened_at: int  # position in the pattern, for messages
    first_part: int
    ignores_case: bool
    looks_around: bool


class _Reader:
    """One pass over a pattern, from left to right."""

    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self.pattern = pattern
        self.dialect = dialect
        self.position = 0
        self.parts: list[Part] = []
        self.groups: list[_Group] = []
        self.ignores_case = False
        self.atom: int | None = None  # index of the part where what may be repeated begins
        self.consumes = False  # has anything been read that takes a character

    def fail(self, what: str, position: int | None = None, hint: str = "") -> UsageError:
        at = self.position if position is None else position
        return UsageError(
            f"the split pattern is wrong at position {at}: {what}",
            hint=hint or "write one of gpt2, cl100k, o200k, or a regular expression as tiktoken takes it",
        )

    def read(self) -> tuple[Part, ...]:
        if self.pattern.startswith("(?i)"):
            self.position, self.ignores_case = 4, True
        steps: dict[str, Callable[[], None]] = {
            "\\": self.read_escape, "[": self.read_set, "(": self.open_group, ")": self.close_group,
            "*": self.read_repeat, "+": self.read_repeat, "?": self.read_repeat, "{": self.read_repeat,
            "|": self.read_bar, "^": self.read_anchor, "$": self.read_anchor, ".": self.read_dot,
        }  # fmt: skip
        while self.position < len(self.pattern):
            steps.get(self.pattern[self.position], self.read_character)()
        if self.groups:
            raise self.fail("a group is not closed", self.groups[-1].opened_at)
        if not self.consumes:
            raise self.fail("the pattern can only match empty text", 0)
        return tuple(self.parts)

    def add_set(self, ranges: classes.Ranges) -> None:
        self.atom = len(self.parts)
        self.parts.append(ranges)
        if not any(group.looks_around for group in self.groups):
            self.consumes = True

    def add_assertion(self, text: str) -> None:
        self.atom = None
        self.parts.append(text)

    def read_character(self) -> None:
        point = ord(self.pattern[self.position])
        self.add_set(self.with_other_case(((point, point),)))
        self.position += 1

    def read_dot(self) -> None:
        self.add_set(classes.complement(((10, 10),)))
        self.position += 1

    def read_bar(self) -> None:
        self.add_assertion("|")
        self.position += 1

    def read_anchor(self) -> None:
        of_text = {"^": r"\A", "$": r"\Z"}
        of_line = {"^": r"(?:\A|(?<=\n)(?!\Z))", "$": r"(?=\n|\Z)"}
        self.add_assertion((of_text if self.dialect == "tiktoken" else of_line)[self.pattern[self.position]])
        self.position += 1

    def open_group(self) -> None:
        opener = next((group for group in _GROUPS if self.pattern.startswith(group, self.position)), "(")
        if opener == "(" and self.pattern.startswith("(?", self.position):
            raise self.fail("this kind of group is not supported", hint=f"groups are {' '.join(_GROUPS)} and (")
        group = _Group(self.position, len(self.parts), self.ignores_case, opener[2:3] in ("=", "!", "<"))
        self.groups.append(group)
        self.parts.append("(?:" if opener in ("(", "(?i:") else opener)
        self.ignores_case = self.ignores_case or opener == "(?i:"
        self.position += len(opener)
        self.atom = None

    def close_group(self) -> None:
        if not self.groups:
            raise self.fail("a group is closed that was not opened", hint=r"write \) for the character itself")
        group = self.groups.pop()
        self.ignores_case = group.ignores_case
        self.parts.append(")")
        self.atom = None if group.looks_around else group.first_part
        self.position += 1

    def read_repeat(self) -> None:
        if self.atom is None:
            raise self.fail("there is nothing to repeat", hint="write a backslash before the character itself")
        repeat = self.pattern[self.position]
        braces = repeat == "{"
        if braces:
            found = _REPEAT.match(self.pattern, self.position)
            if not found:
                raise self.fail("a repetition is {2}, {2,} or {2,5}", hint=r"write \{ for the character itself")
            repeat = found.group()
            low, _, high = repeat[1:-1].partition(",")
            if high and int(low or 0) > int(high):
                raise self.fail(f"{repeat} asks for more at least than at most")
        self.position += len(repeat)
        following = self.pattern[self.position : self.position + 1]
        self.parts.append(repeat)
        if following and following in "+?":
            exact = braces and "," not in repeat
            if self.dialect == "huggingface" and ((braces and following == "+") or (exact and following == "?")):
                self.parts.insert(self.atom, "(?:")
                self.parts.append(")")
            self.parts.append(following)
            self.position += 1
        self.atom = None

    def read_escape(self) -> None:
        letter = self.pattern[self.position + 1 : self.position + 2]
        if letter in {"A", "z", "Z", "b", "B"}:
            self.add_assertion(self.assertion(letter))
            self.position += 2
        else:
            ranges, is_character = self.escaped_set()
            self.add_set(self.with_other_case(ranges) if is_character else ranges)

    def assertion(self, letter: str) -> str:
        if letter in "bB":
            inside = _render_set(classes.word(self.dialect))
            edge = f"(?:(?<={inside})(?!{inside})|(?<!{inside})(?={inside}))"
            return edge if letter == "b" else f"(?!{edge})"
        return {"A": r"\A", "z": r"\Z", "Z": r"(?=\n?\Z)"}[letter]

    def escaped_set(self) -> tuple[classes.Ranges, bool]:
        """Read one escape; also tell whether it is a single character."""
        start = self.position
        self.position += 2
        letter = self.pattern[start + 1 : self.position]
        shorthand: dict[str, Callable[[], classes.Ranges]] = {
            "s": classes.white_space,
            "d": lambda: classes.category("Nd"),
            "w": lambda: classes.word(self.dialect),
        }
        if letter and letter in "sdwSDW":
            ranges = shorthand[letter.lower()]()
            return (classes.complement(ranges) if letter.isupper() else ranges), False
        if letter and letter in "pP":
            return self.property_set(start), False
        if hexadecimal := _HEX.match(self.pattern, start + 1):
            point = int(hexadecimal[hexadecimal.lastindex or 0], 16)
            if point > classes.LAST_CODE_POINT:
                raise self.fail("there is no such code point", start)
            self.position = hexadecimal.end()
        elif letter in _ONE_CHARACTER:
            point = _ONE_CHARACTER[letter]
        elif letter and not (letter.isascii() and letter.isalnum()):
            point = ord(letter)
        else:
            raise self.fail(f"the escape \\{letter} is not supported", start)
        return ((point, point),), True

    def property_set(self, start: int) -> classes.Ranges:
        found = _PROPERTY.match(self.pattern, start + 1)
        name = (found[1] or found[2]) if found else ""
        try:
            ranges = classes.category(name)
        except KeyError:
            raise self.fail(
                f"no such class: \\{self.pattern[start + 1]}{{{name}}}",
                start,
                hint=r"classes are general categories: \p{L}, \p{Lu}, \p{N}, \p{M}, \p{P}, \p{S}, \p{Z}, \p{C} ...",
            ) from None
        if self.ignores_case and name in {"Lu", "Ll", "Lt"}:
            raise self.fail(r"a class of one case where case is ignored", start, hint=r"write \p{L}")
        assert found
        self.position = found.end()
        return classes.complement(ranges) if self.pattern[start + 1] == "P" else ranges

    def read_set(self) -> None:
        start = self.position
        self.position += 1
        negated = self.pattern.startswith("^", self.position)
        self.position += negated
        members: list[classes.Ranges] = []
        while not self.pattern.startswith("]", self.position):
            if self.position >= len(self.pattern):
                raise self.fail("a set is not closed", start)
            members.append(self.read_member())
        if not members:
            raise self.fail("a set is empty", start, hint=r"write \] for the character itself")
        self.position += 1
        ranges = classes.union(*members)
        self.add_set(classes.complement(ranges) if negated else ranges)

    def read_member(self) -> classes.Ranges:
        """One character, range or class inside a set."""
        start = self.position
        if self.pattern.startswith(("[", "&&", "--", "~~"), start):
            raise self.fail("sets inside sets are not supported", hint="write a backslash before the character itself")
        first, is_character = self.member_end()
        goes_on = self.pattern.startswith("-", self.position) and not self.pattern.startswith("-]", self.position)
        if not goes_on:
            return self.with_other_case(first) if is_character else first
        self.position += 1
        last, last_is_character = self.member_end()
        if not is_character or not last_is_character or first[0][0] > last[0][0]:
            raise self.fail("a range must go from a character up to a character", start)
        return self.with_other_case(((first[0][0], last[0][0]),))

    def member_end(self) -> tuple[classes.Ranges, bool]:
        if self.pattern.startswith("\\", self.position):
            return self.escaped_set()
        if self.position >= len(self.pattern):
            raise self.fail("a set is not closed")
        point = ord(self.pattern[self.position])
        self.position += 1
        return ((point, point),), True

    def with_other_case(self, ranges: classes.Ranges) -> classes.Ranges:
        """Add the other case where case is ignored; the long s and the Kelvin sign count as letters of ASCII."""
        if not self.ignores_case:
            return ranges
        members = ranges
        if members != classes.clip(ranges, 0x7F):  # or else no table need be asked which of them have cases
            members = classes.intersection(ranges, classes.union(*map(classes.category, ("Lu", "Ll", "Lt"))))
        if any(last > 0x7F and (first, last) not in _FOLD_TO_ASCII for first, last in members):
            raise self.fail("case is ignored for ASCII letters only", hint="write both cases, as in [Éé]")
        points = {point for first, last in members for point in range(first, last + 1)}
        variants = {ord(letter) for family in _FAMILIES if points & set(map(ord, family)) for letter in family}
        return classes.union(ranges, tuple((point, point) for point in variants))
