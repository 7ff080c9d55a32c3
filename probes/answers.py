"""What an answer says, however it says it: values past their spelling, numbers as numbers, and whether it declines.

Everything here works on `normalised` text: one spelling of dashes, quotes, spaces and digits, in small letters.
"""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

# What joins or parts nothing a reader sees, what only refers to a note, and characters with a plain twin.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x2060, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_NOTE_MARKS = dict.fromkeys(map(ord, "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉"), " ")
_PLAIN = {
    **dict.fromkeys(map(ord, "‐‑‒–−﹣－"), "-"),  # noqa: RUF001 - these dashes are meant
    **dict.fromkeys(map(ord, "—―"), " - "),  # parts a sentence: never a minus
    **dict.fromkeys(map(ord, "‘’‚‛ʼ′`´"), "'"),  # noqa: RUF001 - these quotes are meant
    **dict.fromkeys(map(ord, "“”„‟«»″"), '"'),
    ord("№"): "# ",  # else two letters that stand before a number
    0x66C: ",",  # the Arabic thousands separator
    0x66B: ".",  # and decimal point
}
_BEFORE_COMPATIBILITY = {**_INVISIBLE, **_NOTE_MARKS, **_PLAIN}
_TYPESET = re.compile(r"\{,\}|\\([,;:! ])")  # 48{,}213 and 48\,213

_THOUGHT = re.compile(r"</(?:think|thinking|reasoning)>")
_THINKING = re.compile(r"<(?:think|thinking|reasoning)>")
_QUESTION_LINE = re.compile(r"^[^\w\n]*(?:question|q|user|human|frage|f)[*_]*:", re.MULTILINE)
_ANSWER_LINE = re.compile(
    r"^[^\w\n]*(?:the |die )?(?:final |correct |endgültige |richtige )?(?:answer|antwort)"
    r"(?: is| ist| lautet)?[*_]*:[*_]*",
    re.MULTILINE,
)

_LETTER = "a-z\\d\u00df-\u024f\u0370-\u052f"  # Latin, Greek, Cyrillic: scripts that part their words by spaces
_MARK = "\ue000"  # takes the place of a value while what stands around it is looked at
Span = tuple[int, int]  # from a character to before another

_NUMBER = re.compile(r"0|[1-9]\d*|(?:0|[1-9]\d*)\.\d+")
_NUMERAL = re.compile(
    rf"""(?<![{_LETTER}])(?<!\d[.,'_])          # not inside a word or a longer number
         (?P<minus>(?<![^\s(])-)?
         (?P<whole>\d{{1,3}}(?:(?P<separator>[,.' _])\d{{3}})(?:(?P=separator)\d{{3}})*|\d+)
         (?:[.,](?P<decimals>\d+))?
         (?![{_LETTER}])""",
    re.VERBOSE,
)
_DIGIT = rf"[\d{_MARK}]"  # the same value once more is a number, too
_BEFORE = rf"(?<![{_LETTER}{_MARK}])(?<!{_DIGIT}[.,'_])(?<! -)"
_AFTER = rf"(?![{_LETTER}{_MARK}])(?![.,'_]{_DIGIT})"
# What may stand around a whole number whose thousands are set apart so; three zeros behind it might be thousands.
_AROUND_WHOLE = {
    separator: re.compile(rf"{before}{_BEFORE}{_MARK}(?:[{marks}]0{{1,2}}(?!{_DIGIT}))?{_AFTER}{after}")
    for separator, marks, before, after in (
        ("", ".,", "", ""),
        (",", ".", "", ""),
        (".", ",", "", ""),
        ("'", ".,", "", ""),
        ("_", ".,", "", ""),
        (" ", ".,", rf"(?<!{_DIGIT} )", r"(?! \d{3}(?!\d))"),
    )
}
_AROUND_DECIMALS = re.compile(f"{_BEFORE}{_MARK}0*{_AFTER}")
# What joins a word to more of a name, as in VAR_A_1, and not what only sets it in italics, as in _Odalys_.
_AROUND_WORD = re.compile(
    rf"(?<![{_LETTER}{_MARK}])(?<![{_LETTER}{_MARK}]_){_MARK}(?![{_LETTER}{_MARK}])(?!_[{_LETTER}{_MARK}])"
)
_LIST_MARK = re.compile(r"^[^\w\n]*\d{1,3}[.)]\s+(?=\S)", re.MULTILINE)

# What a model says when it does not give an answer, in English and German, in small letters ("ß" is "ss" there).
_SAID = (
    "mentioned stated given provided specified found listed included present available contained named said shown "
    "revealed disclosed there known applicable"
).replace(" ", "|")
_SAY = (
    "say mention state give provide specify contain include have list name tell appear identify indicate reveal answer "
    "exist occur"
).replace(" ", "|")
_DO = "find answer determine provide tell help assist locate identify say see comply give share".replace(" ", "|")
_GESAGT = (
    "erwähnt genannt angegeben enthalten aufgeführt vorhanden bekannt gefunden ersichtlich gesagt beschrieben "
    "definiert hervor vor finden beantworten sagen helfen ermitteln feststellen"
).replace(" ", "|")
_DECLINES = re.compile(
    rf"""\b(?:
      not\ (?:\w+\ ){{0,3}}(?:{_SAID}|in\ (?:the|this)\ (?:text|document|passage|excerpt|context))
    | (?:does|do|did|is|was|are|has|have)(?:n't|\ not)\ (?:\w+\ ){{0,2}}(?:{_SAY}|{_SAID})
    | (?:can't|cannot|can\ not|could\ not|couldn't)\ (?:\w+\ )?(?:{_DO})
    | no\ (?:\w+\ )?(?:passcode|information|mention|such|answer|value|record|reference|match|evidence|idea|data)
    | (?:there\ (?:is|was|are|were)|there's)\ (?:no|not|nothing)
    | (?:don't|do\ not)\ (?:know|have)
    | unable\ to | unknown | (?:i\ am|i'm)\ (?:sorry|afraid) | nobody | no\ one | none | nowhere | nothing
    | n/a | unanswerable | (?:insufficient|not\ enough)\ information
    | (?:nicht|nirgends|nirgendwo)\ (?:\w+\ ){{0,3}}(?:{_GESAGT}|im\ text|in\ (?:dem|diesem)\ text)
    | (?:steht|lässt\ sich|weiss|weiss\ ich|weiss\ es)\ (?:\w+\ )?nicht
    | (?:nennt|erwähnt|enthält|gibt|gibt\ es|liegt|liegen|habe|finde)\ (?:\w+\ ){{0,3}}kein\w*
    | keine\ (?:\w+\ )?(?:angaben?|informationen|information|antwort|auskunft|erwähnung|ahnung)
    | kein\ (?:\w+\ )?(?:hinweis|wert|eintrag) | kein(?:e[rsnm]?)?\ (?:von|davon) | niemand\w* | nirgend\w*
    | tut\ mir\ leid | leider | unbekannt
    )\b""",
    re.VERBOSE,
)


def normalised(text: str) -> str:
    """A text in one spelling: plain dashes, quotes, spaces and digits, nothing invisible, small letters.

    Example: normalised("“48\u202f213” \u2013 Straße") == '"48 213" - strasse'
    """
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE_COMPATIBILITY)).translate(_PLAIN)
    if not text.isascii():
        text = "".join(
            str(unicodedata.decimal(letter)) if unicodedata.category(letter) == "Nd" else letter for letter in text
        )
    return _TYPESET.sub(lambda found: " " if found[1] else ",", text).casefold()


def without_thinking(text: str) -> str:
    """A text without what a model thinks before it answers; thinking that never ends leaves nothing.

    Example: without_thinking("<think>77120?</think>It is 48213.") == "It is 48213."
    """
    return _THINKING.split(_THOUGHT.split(text)[-1], maxsplit=1)[0].strip()


def final_answer(text: str) -> str:
    """The part of a normalised text that is the answer: no thinking before it, no further question made up after it.

    Where a line begins with "Answer:" (or "Antwort:"), the answer is what follows the last such line's colon, to the
    end of the paragraph. Thinking that never ends leaves no answer.

    Example: final_answer("<think>77120?</think>first 77120, no.\nanswer: 48213") == "48213"
    """
    text = without_thinking(text)
    asked = next((found for found in _QUESTION_LINE.finditer(text) if found.start()), None)
    text = text[: asked.start()].strip() if asked else text
    marks = list(_ANSWER_LINE.finditer(text))
    answer = text[marks[-1].end() :].strip() if marks else ""
    return re.split(r"\n\s*\n", answer, maxsplit=1)[0] if answer else text


def find_values(text: str, values: Sequence[str]) -> dict[int, int]:
    """Which values stand in a normalised text, by their number, with the offset of the first mention; in that order.

    A value inside a longer word or number does not count, nor one inside another value that is mentioned.

    Example: find_values("rooms 142 and 48,213", ["42", "48213"]) == {1: 14}
    """
    spans = {number: _spans(text, value) for number, value in enumerate(values)}
    every = {span for found in spans.values() for span in found}
    first: dict[int, int] = {}
    for number, found in spans.items():
        alone = [start for start, end in found if not any(_inside((start, end), other) for other in every)]
        if alone:
            first[number] = alone[0]
    return dict(sorted(first.items(), key=lambda item: item[1]))


def is_value(text: str, value: str) -> bool:
    """Whether a normalised text is just this value.

    Example: is_value("48,213.0", "48213")
    """
    return (0, len(text)) in _spans(text, value)


def find_numbers(text: str) -> list[tuple[Decimal, int]]:
    """Every number that a normalised text writes in digits, with the offset at which it ends; marks of lists are none.

    Number words are left alone: "one" and "a" mean too much else.

    Example: find_numbers("of 1,200 there are 7.0") == [(Decimal("1200"), 8), (Decimal("7"), 22)]
    """
    marks = [found.span() for found in _LIST_MARK.finditer(text)]
    skipped = marks if len(marks) > 1 else []
    return [
        (_number(found), found.end())
        for found in _NUMERAL.finditer(text)
        if not any(start <= found.start() < end for start, end in skipped)
    ]


def as_number(value: str) -> Decimal | None:
    """The number that a value is, None where it is another kind of word; a code with a leading zero is no number."""
    value = normalised(value)
    return Decimal(value).normalize() if _NUMBER.fullmatch(value) else None


def declines(text: str) -> bool:
    """Whether a normalised text says, in English or German, that there is no answer, or declines to give one."""
    return bool(_DECLINES.search(text))


def without(text: str, name: str) -> str:
    """A normalised text without the mentions of a name, whose digits are then not taken for an answer."""
    for start, end in sorted(_spans(text, name), reverse=True):
        text = f"{text[:start]} {text[end:]}"
    return text


def _spans(text: str, value: str) -> list[Span]:
    """Where a value stands for itself in normalised text.

    To compile a pattern for each value would take longer than all the rest: a mark takes the value's place instead,
    and what may stand around it is said by patterns that are the same for all values.
    """
    text = text.replace(_MARK, "\ufffd")
    if len(words := _words_of(value)) > 1:
        return [match.span() for match in _words_pattern(words).finditer(text)] if words[0] in text else []
    found: list[Span] = []
    for spelling, around in _spellings(value):
        if spelling not in text:
            continue
        marked, longer = text.replace(spelling, _MARK), len(spelling) - 1
        before = last = 0  # marks before a match, which all shorten what stands before it
        for match in around.finditer(marked):
            before += marked.count(_MARK, last, match.start())
            last = match.start()
            found.append((match.start() + before * longer, match.end() + (before + 1) * longer))
    return found


@lru_cache(maxsize=16_384)
def _words_of(value: str) -> tuple[str, ...]:
    """The words of a value in one spelling."""
    return tuple(normalised(value).split())


@lru_cache(maxsize=16_384)
def _spellings(value: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The ways to write a value, each with the pattern of what may stand around it."""
    value = normalised(value).strip()
    if not _NUMBER.fullmatch(value):
        return ((value, _AROUND_WORD),) if value else ()
    whole, _, decimals = value.partition(".")
    decimals = decimals.rstrip("0")
    head = len(whole) % 3 or 3
    groups = [whole[:head], *(whole[start : start + 3] for start in range(head, len(whole), 3))]
    ways = [("", ".,"), *([(",", "."), (".", ","), ("'", ".,"), ("_", ".,"), (" ", ".,")] if len(groups) > 1 else [])]
    if decimals:
        return tuple(
            (f"{separator.join(groups)}{mark}{decimals}", _AROUND_DECIMALS)
            for separator, marks in ways
            for mark in marks
        )
    return tuple((separator.join(groups), _AROUND_WHOLE[separator]) for separator, _ in ways)


@lru_cache(maxsize=1024)
def _words_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """What finds a value of several words, whatever space is between them."""
    return re.compile(_AROUND_WORD.pattern.replace(f"){_MARK}(", ")" + r"\s+".join(map(re.escape, words)) + "("))


def _inside(span: Span, other: Span) -> bool:
    """Whether a span is a part, and not the whole, of another."""
    return other[0] <= span[0] and span[1] <= other[1] and other != span


def _number(found: re.Match[str]) -> Decimal:
    whole = re.sub(r"\D", "", found["whole"])
    return Decimal(f"{'-' if found['minus'] else ''}{whole}.{found['decimals'] or 0}").normalize()
