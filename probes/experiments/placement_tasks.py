"""What a placement experiment says: its instruction, and what stands in the instruction's place in the controls.

The words are data, probes/data/placement.toml. Whatever stands in an instruction's place has as many characters, so
that the text stands as far from the beginning and from the end; how many tokens that is, differs from model to model.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import cycle, permutations
from pathlib import Path
from typing import Any, Literal

from tokenizer.errors import UsageError

Framing = Literal["document", "transcript", "chat"]
Task = Literal["summary", "focused", "format", "extraction"]
Facts = Literal["planted", "given"]
OWN = "own"  # the task of an instruction from a file
LEAST_OWN, MOST_OWN = 12, 20_000  # characters of such an instruction
FITTED = 140  # characters that are left to the sentence of fitted length

# Words that point to a place in the prompt, which is another one in another arm; whole words, in any case.
POINTING = {
    "en": "above below beneath following preceding foregoing previous previously aforementioned hereafter",
    "de": "oben unten obig folgend nachfolgend nachstehend vorstehend vorangehend vorhergehend vorherig obenstehend "
    "untenstehend umseitig",
}
_GERMAN_ENDINGS = "(?:e[mnrs]?)?"  # obig, obige, obigen, ...
_POINTING = re.compile(
    rf"\b(?:{'|'.join(POINTING['en'].split())}|(?:{'|'.join(POINTING['de'].split())}){_GERMAN_ENDINGS})\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said around a text: the instruction, what stands in its place in controls, the line that reminds of it.

    `constraints`: what a program can check of an answer: bullets, most_words, required, forbidden, closing.
    """

    task: str
    instruction: str
    padding: str
    irrelevant: str
    reminder: str
    constraints: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TaskData:
    """One task as the data have it: an instruction with gaps, its constraints, and how long answers may be."""

    instruction: str
    max_tokens: int
    constraints: Mapping[str, Any] | None


@cache
def load_data() -> dict[str, Any]:
    """All that probes/data/placement.toml holds."""
    return tomllib.loads(files("probes").joinpath("data/placement.toml").read_text(encoding="utf-8"))


def load_task(name: object) -> TaskData | None:
    """A task by its name; None where there is none of that name."""
    found = load_data()["tasks"].get(name) if isinstance(name, str) else None
    return found and TaskData(found["instruction"], found["max_tokens"], found.get("constraints"))


def task_wording(task: Task, framing: Framing, facts: Facts) -> Wording:
    """What one of our tasks says of a text in one framing.

    `facts`: whether the facts are ours (planted), or those of the user's own text (given).

    Example: task_wording("summary", "chat", "planted").instruction
        -> "Summarise the conversation between the user and the assistant in at most five sentences."
    """
    data = load_data()
    found = TaskData(**{"constraints": None, **data["tasks"][task]})
    gaps = {"text": data["text"][framing], "facts": data["keep"][facts], **_said(found.constraints or {})}
    instruction = found.instruction.format(**gaps)
    written = data["written"].get(task, {}).get(framing, {}) if facts == "planted" else {}
    return _with_controls(task, instruction, found.constraints, written.get("padding"))


def own_wording(path: Path) -> Wording:
    """The user's own instruction, from a file, and controls as long as it is.

    Raises:
        UsageError: it cannot be read, is too short or too long, or points to a place in the prompt.
    """
    return _with_controls(OWN, read_instruction(path), None, None)


def read_instruction(path: Path) -> str:
    """The text of an instruction file, without the space around it.

    Raises:
        UsageError: the file cannot be read or is no text; it is too short or too long; it holds a word of `POINTING`.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").strip()
    except OSError as err:
        what = f"cannot read the instruction file {path}: {err.strerror or err}"
        raise UsageError(what, hint="name a text file with one instruction") from err
    except UnicodeDecodeError as err:
        raise UsageError(f"the instruction file {path} is not UTF-8 text", hint="save it as UTF-8 text") from err
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in text):
        raise UsageError(f"the instruction file {path} holds control characters", hint="save it as plain text")
    if not LEAST_OWN <= len(text) <= MOST_OWN:
        what = f"the instruction file {path} has {len(text):,} characters"
        raise UsageError(what, hint=f"an instruction has from {LEAST_OWN} to {MOST_OWN:,} characters")
    if (found := _POINTING.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise UsageError(
            f"{path}, line {line}: {found[0]!r} points to a place, and the instruction stands in several",
            hint="name the text instead, e.g. `the document that stands inside the document tags`",
        )
    return text


def _said(constraints: Mapping[str, Any]) -> dict[str, str]:
    """The constraints as an instruction says them: words in quotation marks, several joined by "and"."""
    return {
        key: " and ".join(f'"{word}"' for word in ([value] if isinstance(value, str) else value))
        if isinstance(value, str | list)
        else str(value)
        for key, value in constraints.items()
    }


def _with_controls(task: str, instruction: str, constraints: Mapping[str, Any] | None, written: str | None) -> Wording:
    data = load_data()
    length = len(instruction)
    padding = written or fitted(length, **data["padding"])
    irrelevant = fitted(length, **data["irrelevant"])
    return Wording(task, instruction, padding, irrelevant, data["reminder"], constraints)


def fitted(length: int, *, sentences: Sequence[str], begins: Sequence[str], words: Sequence[str]) -> str:
    """A text of exactly so many characters: sentences over and over, then one that words make as long as is needed.

    Raises:
        ValueError: the words are none that make it so long, which ours are from LEAST_OWN characters on.

    Example: fitted(23, sentences=[], begins=["There are"], words=["ink", "pens"]) -> "There are ink and pens."
    """
    pieces: list[str] = []
    left = length
    for sentence in cycle(sentences):
        if left - len(sentence) - 1 < FITTED // 2:
            break
        pieces.append(sentence)
        left -= len(sentence) + 1
    last = next((text for begin in begins for text in _listings(left, begin, words)), None)
    if last is None:
        raise ValueError(f"no text of {length} characters")
    return " ".join([*pieces, last])


def _listings(length: int, begin: str, words: Sequence[str]) -> Iterator[str]:
    """Sentences of exactly so many characters that begin so and then list words: the first ones, and two that fit."""
    room = length - len(begin) - bool(begin) - len(".")
    for count in range(len(words) - 1):
        listed, rest = words[:count], words[count:]
        left = room - sum(len(word) + len(", ") for word in listed)
        if left < 0:
            return
        for word in rest:
            if not listed and len(word) == left:
                yield _sentence(begin, [word])
        for one, other in permutations(rest, 2):
            if len(one) + len(" and ") + len(other) == left:
                yield _sentence(begin, [*listed, one, other])


def _sentence(begin: str, words: Sequence[str]) -> str:
    listed = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    text = f"{begin} {listed}." if begin else f"{listed}."
    return text[0].upper() + text[1:]
