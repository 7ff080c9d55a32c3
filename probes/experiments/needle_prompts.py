"""How a text and its question are put to a model: our own way, and the ways of the well-known benchmarks.

Each benchmark puts the instruction elsewhere, which alone moves its figures. A style has its order of parts and its
kind of wording, in our words, so that an old number can be set beside a controlled one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from probes.experiments.needle_parts import Question, Task
from probes.models.base import Message

Place = Literal["before", "after", "bookend"]
TEXT = "{text}"


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """One way to ask. `parts` are parted by blank lines; by where the question stands, which is the cell's `place`.

    The gaps: {text}; {question} and {reply}, how to answer; {things}, what is hidden, in the plural; {stem}, the
    beginning of an answer; {example}, a short text with a question and its answer, as a model for the real ones.
    """

    summary: str
    parts: Mapping[Place, tuple[str, ...]]
    system: str = ""


STYLES: Mapping[str, PromptStyle] = {
    "ours": PromptStyle(
        "nothing but the text and the question, where --place says",
        {
            "before": ("{question} {reply}", TEXT),
            "after": (TEXT, "{question} {reply}"),
            "bookend": ("{question} {reply}", TEXT, "{question} {reply}"),
        },
    ),
    "kamradt": PromptStyle(
        "a system message about a helpful assistant, the text, the question with a warning not to stray",
        {"after": (TEXT, "{question} Keep to what the text says, and say it only once. {reply}")},
        system="You are a friendly assistant who answers the questions of a busy reader in few words.",
    ),
    "ruler": PromptStyle(
        "an announcement to remember what is hidden, the text, the question, the beginning of the answer",
        {
            "after": (
                "Some {things} are hidden in the text that follows. Learn them by heart: there will be a test on them.",
                TEXT,
                "{question} {reply}",
                "{stem}",
            )
        },
    ),
    "litm": PromptStyle(
        "one sentence about the task, the text, the question, the beginning of the answer",
        {
            "after": ("Find in the text below what the question asks for.", TEXT, "{question} {reply}", "{stem}"),
            "bookend": (
                "Find in the text below what the question asks for.",
                "{question} {reply}",
                TEXT,
                "{question} {reply}",
                "{stem}",
            ),
        },
    ),
    "longbench": PromptStyle(
        "the same instruction before and after the text, the question at the end",
        {
            "after": (
                "Use the text to answer the question. {reply}",
                f"Text: {TEXT}",
                "Use the text to answer the question. {reply}",
                "Question: {question}",
                "Answer:",
            )
        },
    ),
    "babilong": PromptStyle(
        "the instruction and a worked example before the text, the question after it",
        {
            "after": (
                "Some {things} are hidden in a text, and a question about them follows it. {reply} An example:",
                "{example}",
                "Now the real text.",
                f"<text>\n{TEXT}\n</text>",
                "Question: {question}",
            )
        },
    ),
}


def places_of(style: str, asked: Sequence[Place]) -> list[Place]:
    """Where the question stands in a style: where it is asked to stand, or else where the style has it."""
    known = STYLES[style].parts
    return [place for place in asked if place in known] or [next(iter(known))]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: its messages, and where in the last of them the text begins (None: there is no text).

    `shared`: how many characters at its beginning hold nothing of the question.
    """

    messages: tuple[Message, ...]
    text_start: int | None
    shared: int


def arrange(style: str, place: Place, task: Task, question: Question, text: str | None) -> Prompt:
    """The prompt that asks a question about a text in some style; without a text it is the closed book."""
    chosen = STYLES[style]
    filled = {
        "question": question.text,
        "reply": question.reply,
        "things": task.things,
        "stem": question.stem,
        "example": task.example,
    }
    templates: Sequence[str] = chosen.parts[place]
    if text is None:  # what is said twice around a text need not be said twice without it
        templates = list(dict.fromkeys(part for part in templates if TEXT not in part))
    pieces: list[str] = []
    text_start: int | None = None
    shared: int | None = None
    length = 0
    for template in templates:
        before, here, after = template.partition(TEXT)
        opening, closing = before.format(**filled), after.format(**filled)
        if here:
            text_start = length + len(opening)
        elif shared is None and any(gap in template for gap in ("{question}", "{stem}")):
            shared = length
        pieces.append(f"{opening}{text if here else ''}{closing}")
        length += len(pieces[-1]) + 2
    user = Message("user", "\n\n".join(pieces))
    system = (Message("system", chosen.system),) if chosen.system else ()
    return Prompt((*system, user), text_start, shared or 0)
