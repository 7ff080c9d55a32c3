"""The forms of words that simulated readers know: questions, statements, beginnings of answers, and instructions.

The words of the needle tasks are those of `needle_forms`, in every language; which sentence answers a question that
shares no word with it is what `probes.paraphrases` says.
"""

import re
from collections.abc import Mapping
from functools import cache
from itertools import cycle

from probes.experiments.needle_forms import FORMS
from probes.paraphrases import load_pairs

# What stands in the gaps of a form. A value is a word; inside quotation marks it is whatever they hold.
_GAPS = {"name": r"[^\n\"?!.=]{1,80}?", "source": r"[^\n\"?!.=]{1,80}?", "value": r"\w[\w-]*"}
_QUOTED_GAPS = {"name": r"[^\"\n]{1,200}", "value": r"[^\"\n]{1,200}"}
# A statement about any thing, with a number for its value, and a question about any thing; by language.
FACTS = {
    "en": re.compile(r"\b(?:The|that the) (?P<name>[^.?!\n]{1,80}?) is (?P<value>\d+)(?=\.(?!\d))"),
    "de": re.compile(r"\b(?:Der|Die|Das) (?P<name>[^.?!\n]{1,80}?) ist (?P<value>\d+)(?=\.(?!\d))"),
}
_ASKED_FACTS = {
    "en": re.compile(r"\bWhat is the (?P<name>[^?\n]{1,80})\?"),
    "de": re.compile(r"\b(?:Wie lautet|Was ist) (?:der|die|das) (?P<name>[^?\n]{1,80})\?"),
}
# The same with any value, for one name that is known.
ANY_VALUE = {
    "en": r"\bthe {name} is (?P<value>[^\n]{{1,200}}?)(?=[.?!](?:\s|$)|\n|$)",
    "de": r"\b(?:der|die|das) {name} ist (?P<value>[^\n]{{1,200}}?)(?=[.?!](?:\s|$)|\n|$)",
}
OTHER_QUESTION = re.compile(r"(?:^|(?<=[.?!:]\s)|(?<=\n))[^\W\d_][^.?!\n]{2,300}\?")
INSTRUCTION = re.compile(
    r"^(?:Summari[sz]e|List|Name|Give|Fasse|Nenne|Count|Write|Translate|Describe|Repeat|Zähle|Please do what)\b[^\n]*",
    re.MULTILINE,
)
# An instruction about a whole text, or to write something else: then questions are a part of what the text says.
OVERRULING = re.compile(r"Summari[sz]e|List every|Fasse|Write")
REMINDER = re.compile(r"Please do what")
FOR_FACTS = re.compile(r"Summari[sz]e|List|Name|Give|Fasse|Nenne")
# Beginnings of an answer that say nothing of what is asked, as "The answer is".
POINTING = tuple(form.stem for forms in FORMS.values() for form in forms.values() if "{" not in form.stem)
_FACT_STEMS = {
    "en": re.compile(r"\bThe (?P<name>[^.?!\n]{1,80}) is$"),
    "de": re.compile(r"\b(?:Der|Die|Das) (?P<name>[^.?!\n]{1,80}) ist$"),
}


def _pattern(template: str) -> re.Pattern[str]:
    """A form as a pattern: its words as they are, and a group for each gap."""
    gaps = _QUOTED_GAPS if '"{' in template else _GAPS
    parts = re.split(r"\{(\w+)\}", template)
    pieces = [
        f"(?P<{part}>{gaps[part]})" if gap else re.escape(part)
        for part, gap in zip(parts, cycle((False, True)), strict=False)
    ]
    return re.compile("".join(pieces))


@cache
def planted(task: str) -> tuple[re.Pattern[str], ...]:
    """The statements of a task in every language, without doubles."""
    forms = FORMS[task].values()
    templates = dict.fromkeys(text for form in forms for text in (form.statement, form.link) if text)
    return tuple(_pattern(template) for template in templates)


@cache
def question_forms() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Every question that a form asks, with its task and language; the general question last."""
    forms = [
        (task, language, _pattern(form.question))
        for task, languages in FORMS.items()
        for language, form in languages.items()
        if form.question and task != "single"
    ]
    return (*forms, *(("single", language, pattern) for language, pattern in _ASKED_FACTS.items()))


@cache
def stems() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Every beginning of an answer that says by itself what comes next; the general one last."""
    forms = [
        (task, language, re.compile(_pattern(form.stem).pattern + "$"))
        for task, languages in FORMS.items()
        for language, form in languages.items()
        if "{" in form.stem and task != "single"
    ]
    return (*forms, *(("single", language, pattern) for language, pattern in _FACT_STEMS.items()))


@cache
def paraphrases() -> Mapping[str, tuple[str, re.Pattern[str]]]:
    """By question: the words of the sentence that answers it, as far as they stand together, and its pattern."""
    return {
        pair.question: (
            max(pair.statement.split("{}"), key=len),
            re.compile(r"(?P<value>\w+)".join(map(re.escape, pair.statement.split("{}")))),
        )
        for pair in load_pairs()
    }
