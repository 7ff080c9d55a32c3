"""Where the sentences of a text end, in the scripts that people are likely to bring."""

import re

_ABBREVIATIONS = frozenset("mr mrs ms dr prof st mt jr sr rev capt sgt cf vs approx e.g i.e".split())
_BEFORE_A_NUMBER = frozenset("no nos fig vol p pp ch sec".split())
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_MARK = re.compile(
    r"""(?:(?<![.!?…])[.!?…]+["'”’»)\]]*(?=\s)  # Latin, Greek, Cyrillic: the marks, what closes with them, a space
         |[。！？]+[」』”’）】]*                  # Chinese and Japanese: no space follows
         |[؟۔।॥]+["'”’»)\]]*                    # Arabic, Urdu, the scripts of India
         |(?<=\S)(?=[^\S\n]*\n\s*\n)             # a paragraph ends also without a mark, as headings do
         |(?<=\S)(?=\s*\Z))""",  # noqa: RUF001 - these marks are meant
    re.VERBOSE,
)


def sentence_ends(text: str) -> tuple[int, ...]:
    """Every offset at which a statement may stand: 0, then after each sentence, before the space that follows it.

    A full stop inside a number, after an abbreviation or an initial, or before a small letter ends no sentence.

    Example: sentence_ends("Mr. Hale paid 3.14. “Good!” He left.") == (0, 19, 27, 36)
    """
    ends = [0]
    for match in _MARK.finditer(text):
        end = match.end()
        if end > ends[-1] and not _goes_on(text, match.start(), end):
            ends.append(end)
    return tuple(ends)


def _goes_on(text: str, mark: int, end: int) -> bool:
    """Whether the sentence goes on after the mark: an abbreviation, an initial, or a small letter follows."""
    following = next((letter for letter in text[end : end + 80] if not letter.isspace()), "")
    if following.islower() and "\n\n" not in text[end : end + 3]:
        return True
    if text[mark:end] != ".":
        return False
    line = text[max(mark - 20, 0) : mark].split()
    word = line[-1].lstrip("(\"'“‘«[") if line else ""  # noqa: RUF001 - opening quotes
    is_initial = _INITIALS.fullmatch(word) and word.isupper() and word != "I"
    abbreviations = _ABBREVIATIONS | _BEFORE_A_NUMBER if following.isdigit() else _ABBREVIATIONS
    return word.lower() in abbreviations or bool(is_initial)
