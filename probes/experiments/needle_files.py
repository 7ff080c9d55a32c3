"""The user's own needles: a TOML or JSONL file of statements, each with its question and its answer.

[[needle]]
needle = "The heron clock was mended by Ida Fenwick."
question = "Who mended the heron clock?"
answer = "Ida Fenwick"

In a .jsonl file every line is such an object: {"needle": "...", "question": "...", "answer": "..."}.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.scoring import mentions
from probes.toml_files import parse_toml
from tokenizer.errors import UsageError, UserError

KEYS = ("needle", "question", "answer")
MOST_NEEDLES = 1000  # each answer is looked for in all of the file
MOST_CHARACTERS = 1_000_000
_IN_NUMBERS = re.compile("(?<=\\d)[,.\u00a0\u202f \u2019'](?=\\d)")
SHAPE = "each needle has a needle, a question and an answer; see samples/own-needles.toml"


@dataclass(frozen=True, slots=True)
class OwnNeedle:
    """One statement of the user's, what is asked about it, and the words in it that answer."""

    needle: str
    question: str
    answer: str


def read_needles(path: Path) -> tuple[OwnNeedle, ...]:
    """Every needle of a file, in its order, checked.

    Raises:
        UsageError: the file cannot be read, is too large or has another shape; a needle lacks a part; an answer does
            not stand in its needle, or stands in its question or in another needle, where it would be given away.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"the needles file {path} is no file", hint=SHAPE)
        _check_size(path.stat().st_size / 4 if path.exists() else 0, path)  # a character has four bytes at the most
        text = path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise UsageError(f"cannot read the needles file {path}: {err.strerror or err}", hint=SHAPE) from err
    except UnicodeDecodeError as err:
        raise UsageError(f"the needles file {path} is not UTF-8 text", hint="save it as UTF-8 text") from err
    _check_size(len(text), path)
    entries = _json_lines(text, path) if path.suffix in (".jsonl", ".ndjson") else _toml_tables(text, path)
    if not entries:
        raise UsageError(f"the needles file {path} holds no needle", hint=SHAPE)
    if len(entries) > MOST_NEEDLES:
        raise UsageError(
            f"the needles file {path} holds {len(entries):,} needles, and {MOST_NEEDLES:,} are the most",
            hint="a run asks for one or a few in each block: take as many as there are --blocks",
        )
    needles = tuple(_read_needle(entry, f"{path}, needle {number}") for number, entry in enumerate(entries, 1))
    _check_answers(needles, path)
    return needles


def _check_size(characters: float, path: Path) -> None:
    if characters > MOST_CHARACTERS:
        raise UsageError(
            f"the needles file {path} is longer than {MOST_CHARACTERS:,} characters",
            hint="a needle is a statement or two; a whole text goes to --haystack",
        )


def _toml_tables(text: str, path: Path) -> list[Any]:
    raw = parse_toml(text, path, hint="or name it .jsonl, with one JSON object a line")
    tables = raw.pop("needle", [])
    if raw or not isinstance(tables, list):
        what = f"{next(iter(raw))!r} has no place in {path}" if raw else f"needle is no table in {path}"
        raise UsageError(what, hint="begin each needle with a line [[needle]]")
    return tables


def _json_lines(text: str, path: Path) -> list[Any]:
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                entries.append(json.loads(line))
            except (ValueError, RecursionError) as err:
                raise UsageError(f"{path}, line {number} is not JSON: {err}", hint=SHAPE) from err
    return entries


def _read_needle(entry: Any, where: str) -> OwnNeedle:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where} is no table of a needle, a question and an answer", hint=SHAPE)
    for key in entry:
        if key not in KEYS:
            raise UsageError(f"{where}: unknown key {str(key)!r}", hint=f"known are {', '.join(KEYS)}")
    for key in KEYS:
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise UsageError(f"{where} has no {key}", hint=SHAPE)
        if any("\ud800" <= letter <= "\udfff" for letter in entry[key]):
            raise UsageError(f"{where}: the {key} holds half a character", hint="write it in UTF-8")
    return OwnNeedle(*(" ".join(entry[key].split()) for key in KEYS))


def _check_answers(needles: tuple[OwnNeedle, ...], path: Path) -> None:
    """Raise where an answer is not in its needle, or stands anywhere else."""
    parts = [f"{own.needle}\n{own.question}\n" for own in needles]
    whole = "".join(parts)
    plain, start = _plain(whole), 0
    for number, (own, part) in enumerate(zip(needles, parts, strict=True), 1):
        where, end = f"{path}, needle {number}", start + len(part)
        if not mentions(own.needle, own.answer):
            raise UsageError(
                f"{where}: the answer does not stand in the needle", hint="answer with words of the needle"
            )
        if mentions(own.question, own.answer):
            raise UsageError(f"{where}: the question gives the answer away", hint="take the answer out of the question")
        if own.needle.casefold() in own.question.casefold():
            raise UsageError(f"{where}: the needle stands in its own question", hint="ask without repeating the needle")
        again = plain.count(_plain(own.answer)) > _plain(part).count(_plain(own.answer))  # far faster than a pattern
        if again and any(not start <= offset < end for offset in mentions(whole, own.answer)):
            raise UsageError(
                f"{where}: its answer also stands in another needle of the file, or is given twice",
                hint="let every answer stand in one needle only",
            )
        start = end


def _plain(text: str) -> str:
    """A text without case and without separators in its numbers: what is mentioned in a text stands in this, too."""
    return _IN_NUMBERS.sub("", text.casefold())


def ensure_unanswered(text: str, needles: Sequence[OwnNeedle]) -> None:
    """Raise where a haystack answers by itself.

    Raises:
        UserError: naming the answer that stands in the haystack.
    """
    for own in needles:
        if mentions(text, own.answer):
            raise UserError(
                f"the haystack already holds the answer {own.answer!r}",
                hint="take it out of the text, choose another --seed, or ask for something else",
            )
