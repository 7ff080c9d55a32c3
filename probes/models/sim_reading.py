"""What a simulated reader sees in a prompt: the questions, the instructions, the statements, and where each stands.

Beside the words of the needle tasks (`sim_forms`) a reader understands any "What is the X?" with its "The X is Y.", any
"Wie lautet der X?" with its "Der X ist Y.", and, of any other question, which sentence of the text has its names and
most of its words.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from probes.experiments.needle_forms import FORMS
from probes.models.base import Message
from probes.models.sim_forms import (
    ANY_VALUE,
    FACTS,
    FOR_FACTS,
    INSTRUCTION,
    OTHER_QUESTION,
    OVERRULING,
    POINTING,
    REMINDER,
    paraphrases,
    planted,
    question_forms,
    stems,
)

INSTRUCTIONS = ("summary", "reminder", "other")
ABOUT_THE_TEXT = (*FORMS, "any", "summary", "reminder")  # whatever can be asked but "other"
_SENTENCE = re.compile(r"[^\s.?!][^.?!\n]*[.?!]?")
_WORD = re.compile(r"[^\W\d_]{3,}|\d+")
_EMPTY_WORDS = frozenset(
    "the and for are was were has have had what which who whom whose where when why how does did that this with from "
    "into they them their there one ones all any can could would should must will you your our its his her not but "
    "text above below give say tell mentioned der die das den dem des ein eine einer eines ist sind war wer wem wen "
    "wessen was wie wo wann warum welche welcher welches und oder mit von für auf hat haben".split()
)
_SHARED_WORDS = 0.6  # of a question's words that a sentence must have to be its answer
_STEM_LETTERS = 4  # words that begin with the same four letters count as one word


@dataclass(frozen=True, slots=True)
class Found:
    """A statement in the prompt: which task's form it has, whom it is about, what it says, where it stands.

    `start` and `end` are characters of the prompt. `source`: the variable whose value this one takes.
    """

    task: str
    about: str
    value: str
    start: int
    end: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in the prompt, or an instruction: whom it is about, and where it stands.

    The task is one of `FORMS`, "any" for a question in other words, "summary" for an instruction to give the facts and
    "other" for any other instruction; "reminder" for a line that reminds of an instruction.
    """

    task: str
    about: str
    start: int
    end: int
    language: str = "en"


class Reading:
    """One prompt, read: every question and instruction, and the statements that a question needs."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self._planted: dict[str, tuple[Found, ...]] = {}

    @cached_property
    def questions(self) -> tuple[Asked, ...]:
        """Every question and instruction, in the order of the prompt."""
        found = list(_asked(self.prompt))
        if any(each.task in INSTRUCTIONS and OVERRULING.match(each.about) for each in found):
            found = [each for each in found if each.task in INSTRUCTIONS]
        if not found:
            found = list(_asked_paraphrases(self.prompt)) or list(_other_questions(self.prompt))
        return tuple(sorted(found, key=lambda asked: asked.start))

    @property
    def question(self) -> Asked | None:
        """What is to be done: the last question, or the last instruction where nothing is asked.

        A reminder of an instruction that is not there asks for nothing that could be read.
        """
        asked = [each for each in self.questions if each.task not in INSTRUCTIONS]
        wanted = asked or [each for each in self.questions if each.task != "reminder"]
        return wanted[-1] if wanted else None

    @cached_property
    def text_span(self) -> tuple[int, int]:
        """Where the text begins and ends: the longest stretch that no question breaks, with its paragraph's rest.

        Instructions do not count: what is said around a document is part of what a summary is made of.
        """
        longest, start = (0, 0), 0
        for asked in (*self.questions, None):
            if asked is not None and asked.task in INSTRUCTIONS:
                continue
            end = asked.start if asked else len(self.prompt)
            if end - start > longest[1] - longest[0]:
                longest = (start, end)
            if asked is not None:
                paragraph_end = self.prompt.find("\n\n", asked.end)
                start = len(self.prompt) if paragraph_end < 0 else paragraph_end + 2
        start, end = longest
        return start, start + max(len(self.prompt[start:end].rstrip()), 1)

    def depth(self, found: Found) -> float:
        """Where a statement stands in the text, by its middle: 0 first, 1 last."""
        start, end = self.text_span
        return ((found.start + found.end) / 2 - start) / (end - start)

    def distance(self, found: Found) -> int:
        """Characters between a statement and the nearest question or instruction, or the prompt's end without one."""
        asked = [(each.start, each.end) for each in self.questions] or [(len(self.prompt), len(self.prompt))]
        return min(max(start - found.end, found.start - end, 0) for start, end in asked)

    def distance_to_answer(self, found: Found) -> int:
        """Characters between a statement and the prompt's end, where the answer begins."""
        return len(self.prompt.rstrip()) - found.end

    def ends_with(self, tasks: Collection[str], within: int) -> bool:
        """Whether something of these tasks is the last thing in the prompt, but for that many characters."""
        end = len(self.prompt.rstrip())
        return any(each.end >= end - within for each in self.questions if each.task in tasks)

    @cached_property
    def facts(self) -> tuple[Found, ...]:
        """Every statement of the form "The X is 5.", in order."""
        found = [_found("single", match) for pattern in FACTS.values() for match in pattern.finditer(self.prompt)]
        return tuple(sorted(found, key=lambda each: each.start))

    @cached_property
    def worth_telling(self) -> tuple[Found, ...]:
        """What a summary could tell: the facts, or in a text without any of that form its sentences with a number."""
        if self.facts:
            return self.facts
        told = [match for match in _SENTENCE.finditer(self.prompt) if re.search(r"\d", match[0])]
        return tuple(
            Found("any", "", match[0], match.start(), match.end())
            for match in told
            if not any(each.start < match.end() and match.start() < each.end for each in self.questions)
        )

    def statements(self, task: str) -> tuple[Found, ...]:
        """Every statement that a task plants, in order, whomever it is about."""
        if task not in self._planted:
            self._planted[task] = self._all_statements(task)
        return self._planted[task]

    def _all_statements(self, task: str) -> tuple[Found, ...]:
        if task == "single":
            return self.facts
        if task == "paraphrase":
            found_pairs = [found for question in paraphrases() for found in _paraphrased(question, self.prompt)]
            return tuple(sorted(found_pairs, key=lambda each: each.start))
        found = {each.start: each for pattern in planted(task) for each in _all_found(task, pattern, self.prompt)}
        return tuple(found[start] for start in sorted(found))

    def answers(self, asked: Asked) -> list[Found]:
        """The statements that fit a question, in order."""
        if asked.task == "single":
            fitting = [found for found in self.facts if found.about == asked.about]
            fitting = fitting or list(_with_any_value(asked, self.prompt))
            return fitting or _nearest_sentence(self.prompt[asked.start : asked.end], self.prompt)
        if asked.task == "any":
            return _nearest_sentence(asked.about, self.prompt)
        if asked.task == "paraphrase":
            return list(_paraphrased(asked.about, self.prompt))
        if asked.task == "chain":
            return _chain(asked.about, self.statements("chain"))
        return [found for found in self.statements(asked.task) if found.about == asked.about]

    def candidates(self, asked: Asked) -> tuple[Found, ...]:
        """The statements of the same kind as those that a question asks for, in order."""
        if asked.task == "any":
            return tuple(self.answers(asked))
        found = self.statements(asked.task)
        return found or (tuple(self.answers(asked)) if asked.task == "single" else ())

    def asked_by(self, stem: str) -> Asked | None:
        """What the beginning of an answer, in the model's own mouth, leaves open; a stem may point to the question."""
        if not any(stem.endswith(pointing) for pointing in POINTING):
            for task, language, pattern in stems():
                if (match := pattern.search(stem)) is not None:
                    groups = match.groupdict()
                    return Asked(task, groups.get("name") or groups["value"], 0, 0, language)
        return self.question


# Prompts are asked about many times in a row, with one value after the other; long ones are few, as memory is not.
_read_short, _read_long = lru_cache(maxsize=512)(Reading), lru_cache(maxsize=4)(Reading)
_SHORT = 20_000  # characters


def read(messages: Sequence[Message]) -> tuple[Reading, str | None]:
    """What stands in a prompt, and the beginning of the answer where the last turn is the reader's own.

    Turns of the reader's own that came before are a part of the prompt: a conversation is read from both sides.
    """
    stem = messages[-1].content if messages[-1].role == "assistant" else None
    turns = messages if stem is None else messages[:-1]
    prompt = "\n\n".join(message.content for message in turns)
    return (_read_short if len(prompt) <= _SHORT else _read_long)(prompt), stem


def value_form(value: str) -> str:
    """A continuation without what may stand around a value in it.

    Example: value_form(" 48213.") -> "48213"
    """
    return value.strip().rstrip(".").strip('"')


def _found(task: str, match: re.Match[str]) -> Found:
    groups = match.groupdict()
    about = groups.get("name") or ""
    value = groups.get("value") or (about if task == "chain" else "")
    return Found(task, about, value, match.start(), match.end(), groups.get("source") or "")


def _all_found(task: str, pattern: re.Pattern[str], prompt: str) -> Iterator[Found]:
    return (_found(task, match) for match in pattern.finditer(prompt))


def _asked(prompt: str) -> Iterator[Asked]:
    """Every question of a known form, and every instruction."""
    taken: set[int] = set()  # ends: the general question also fits those of the forms
    for task, language, pattern in question_forms():
        for match in pattern.finditer(prompt):
            if match.end() not in taken:
                taken.add(match.end())
                if match[0] in paraphrases():
                    yield Asked("paraphrase", match[0], match.start(), match.end())
                    continue
                groups = match.groupdict()
                yield Asked(task, groups.get("name") or groups["value"], match.start(), match.end(), language)
    for start, end in _outer_paragraphs(prompt):
        for match in INSTRUCTION.finditer(prompt, start, end):
            reminder = "reminder" if REMINDER.match(match[0]) else "other"
            task = "summary" if FOR_FACTS.match(match[0]) else reminder
            yield Asked(task, match[0], match.start(), match.end())


def _paraphrased(question: str, prompt: str) -> Iterator[Found]:
    """The sentences that answer a question in other words."""
    words, pattern = paraphrases()[question]
    if words in prompt:  # quick, and nearly always no
        for match in pattern.finditer(prompt):
            yield Found("paraphrase", question, match["value"], match.start(), match.end())


def _asked_paraphrases(prompt: str) -> Iterator[Asked]:
    for question in paraphrases():
        start = prompt.find(question)
        while start >= 0:
            yield Asked("paraphrase", question, start, start + len(question))
            start = prompt.find(question, start + 1)


def _other_questions(prompt: str) -> Iterator[Asked]:
    """A question of no known form: the last one of the outer paragraphs at either end."""
    for start, end in _outer_paragraphs(prompt):
        matches = list(OTHER_QUESTION.finditer(prompt, start, end))
        if matches:
            yield Asked("any", matches[-1][0], matches[-1].start(), matches[-1].end())


def _outer_paragraphs(prompt: str) -> Iterator[tuple[int, int]]:
    """Where the first two paragraphs stand, and the last two: there a prompt says what it wants."""
    starts = [0, *(match.end() for match in re.finditer(r"\n\n+", prompt.rstrip()))]
    if len(starts) <= 4:
        yield 0, len(prompt)
    else:
        yield 0, starts[2]
        yield starts[-2], len(prompt)


def _with_any_value(asked: Asked, prompt: str) -> Iterator[Found]:
    """Statements about what is asked for whose value is not a number."""
    pattern = ANY_VALUE[asked.language].format(name=re.escape(asked.about))
    for match in re.finditer(pattern, prompt, re.IGNORECASE):
        yield Found("single", asked.about, match["value"], match.start(), match.end())


def _nearest_sentence(question: str, prompt: str) -> list[Found]:
    """The sentence that has the question's names and most of its words, if there is one; its value is all of it."""
    names = [word.lower() for word in _WORD.findall(question)[1:] if word[0].isupper() or word[0].isdigit()]
    wanted = _word_stems(question)
    best: tuple[float, re.Match[str] | None] = (0.0, None)
    end = len(prompt.rstrip())
    for sentence in _SENTENCE.finditer(prompt) if wanted else ():
        begun = sentence.end() >= end and sentence[0][-1] not in ".!"  # the beginning of an answer, and no statement
        if begun or "?" in sentence[0] or any(name not in sentence[0].lower() for name in names):
            continue
        share = len(wanted & _word_stems(sentence[0])) / len(wanted)
        if share >= _SHARED_WORDS and share > best[0]:
            best = (share, sentence)
    if (match := best[1]) is None:
        return []
    return [Found("any", question, match[0], match.start(), match.end())]


def _word_stems(text: str) -> set[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return {word[:_STEM_LETTERS] for word in words if word not in _EMPTY_WORDS}


def _chain(value: str, assignments: Sequence[Found]) -> list[Found]:
    """The assignments through which variables get a value: the first by itself, each other from one before."""
    reached: dict[str, Found] = {}
    for found in assignments:
        if not found.source and found.value == value:
            reached[found.about] = found
    growing = True
    while growing:
        new = [each for each in assignments if each.source in reached and each.about not in reached]
        reached |= {each.about: each for each in new}
        growing = bool(new)
    return sorted(reached.values(), key=lambda each: each.start)


def names_reached(value: str, noticed: Iterable[Found]) -> list[str]:
    """The variables that have a value, as far as the noticed assignments tell."""
    return [found.about for found in _chain(value, list(noticed))]
