"""The user's own documents and conversations, with or without the facts that they hold.

    .txt     a document
    .json    a document or a conversation, or a list of them
    .jsonl   one on each line

    {"text": "The council met. Ida Fenwick will mend the roof by Friday.",
     "facts": [{"name": "roof", "value": "Friday"}, {"name": "Fenwick", "value": "mend"}]}

    {"turns": [{"role": "user", "speaker": "Ida", "text": "When do we meet?"},
               {"role": "assistant", "text": "On Friday."}]}

`facts` may be left out; then ours are planted. A fact's `value` stands word for word in the text, and its `name` is
what an answer must name beside it. `kind` is decision, commitment or incidental. `sentence` or `turn` (from 1) say
which one is meant where the value stands in several. `title` and `schema` may be there; `content` is read as `text` in
a turn, and `item` as `name` in a fact.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from probes.experiments.common import Ruler
from probes.experiments.placement_tasks import Framing
from probes.experiments.placement_texts import KINDS, Fact, Source, conversation_source, text_source, with_tokens
from probes.models.base import Role
from probes.scoring import mentions
from probes.sentences import sentence_ends
from tokenizer.errors import UsageError

SHAPE = 'a text is {"text": "..."}, a conversation {"turns": [{"role": "user", "text": "..."}, ...]}'
FACT_SHAPE = 'a fact is {"name": "roof", "value": "Friday"}, with "kind" and "sentence" where they are known'
SUFFIXES = (".txt", ".json", ".jsonl", ".ndjson")
LONGEST_SPEAKER = 80


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn as the file has it; a text is a single one, without role and speaker."""

    role: Role
    speaker: str
    text: str


def read_sources(paths: Sequence[Path], framing: Framing, ruler: Ruler) -> list[Source]:
    """Every document or conversation of the files, in their order, checked.

    Raises:
        UsageError: a file cannot be read or has another shape, with the place in it; a fact is not in its text; a text
            is given twice, or does not go with the framing.
    """
    sources: list[Source] = []
    seen: dict[str, str] = {}
    names: Counter[str] = Counter()
    for path in paths:
        for where, entry in _entries(path):
            source = _read_entry(entry, where, framing)
            text = source.haystack.text
            if text in seen:
                raise UsageError(f"{where} is the same text as {seen[text]}", hint="give every text once")
            seen[text] = where
            name = where.removeprefix(f"{path.parent}/")
            names[name] += 1
            name += f" ({names[name]})" if names[name] > 1 else ""
            sources.append(with_tokens(replace(source, name=name), framing, ruler))
    return sources


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """The objects of a file, each with its place in words."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"the document {path} is none of {', '.join(SUFFIXES[:3])}", hint=SHAPE)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as err:
        raise UsageError(f"cannot read the document {path}: {err.strerror or err}", hint=SHAPE) from err
    except UnicodeDecodeError as err:
        raise UsageError(f"the document {path} is not UTF-8 text (byte {err.start})", hint="save it as UTF-8") from err
    if path.suffix.lower() == ".txt":
        yield str(path), {"text": text}
        return
    if path.suffix.lower() == ".json":
        found = _parsed(text, str(path))
        several = found if isinstance(found, list) else None
        entries = [(f"{path}, text {number}", each) for number, each in enumerate(several or (), 1)]
        entries = entries if several is not None else [(str(path), found)]
    else:
        lines = [(f"{path}, line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        entries = [(where, _parsed(line, where)) for where, line in lines]
    if not entries:
        raise UsageError(f"the document {path} holds no text", hint=SHAPE)
    yield from entries


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise UsageError(f"{where} is not JSON: {err}", hint=SHAPE) from err


def _read_entry(entry: Any, where: str, framing: Framing) -> Source:
    """One text or conversation, with the facts that it holds."""
    _check_keys(entry, where, ("text", "turns", "facts", "title", "schema"), SHAPE)
    if ("text" in entry) == ("turns" in entry):
        both = "both text and turns" if "text" in entry else "neither text nor turns"
        raise UsageError(f"{where} has {both}", hint=SHAPE)
    is_conversation = "turns" in entry
    if is_conversation == (framing == "document"):
        what, takes = ("conversation", "texts") if is_conversation else ("text", "conversations")
        other = "--framing transcript or --framing chat" if is_conversation else "--framing document"
        raise UsageError(f"{where} is a {what}, and --framing {framing} takes {takes}", hint=f"ask with {other}")
    turns = _read_turns(entry["turns"], where) if is_conversation else [_Turn("user", "", _text(entry, "text", where))]
    _check_turns(turns, where, framing)
    source = (
        conversation_source([(turn.role, turn.speaker, turn.text) for turn in turns])
        if is_conversation
        else text_source(turns[0].text)
    )
    if "facts" not in entry:
        return source
    facts = _read_facts(entry["facts"], turns, where, is_conversation=is_conversation)
    starts = source.turn_starts
    return replace(source, given=tuple((starts[turn] + start, fact) for turn, start, fact in facts))


# ------------------------------------------------------------------------------------------------------------- turns


def _read_turns(turns: Any, where: str) -> list[_Turn]:
    if not isinstance(turns, list) or not turns:
        raise UsageError(f"{where}: turns is no list of turns", hint=SHAPE)
    return [_read_turn(turn, f"{where}, turn {number}") for number, turn in enumerate(turns, 1)]


def _read_turn(turn: Any, where: str) -> _Turn:
    _check_keys(turn, where, ("role", "speaker", "text", "content"), SHAPE)
    role = turn.get("role")
    if role not in ("user", "assistant"):
        hint = "the role is user or assistant; leave out what a system was told" if role == "system" else SHAPE
        raise UsageError(f"{where}: the role is {_said(role)}, which is neither user nor assistant", hint=hint)
    speaker = _text(turn, "speaker", where) if "speaker" in turn else str(role).capitalize()
    if len(speaker) > LONGEST_SPEAKER or ":" in speaker or "\n" in speaker:
        raise UsageError(
            f"{where}: the speaker is no name that can stand before a colon",
            hint=f"a name has one line, no colon, and at most {LONGEST_SPEAKER} characters",
        )
    return _Turn(cast("Role", role), speaker, _text(turn, _either(turn, "text", "content", where), where))


def _check_turns(turns: Sequence[_Turn], where: str, framing: Framing) -> None:
    """Raise where the turns cannot be put into the framing."""
    closing = f"</{framing}>"
    for number, turn in enumerate(turns, 1):
        place = f"{where}, turn {number}" if turn.speaker else where
        if framing != "chat":
            if closing in turn.text:
                raise UsageError(f"{place} holds {closing}, which ends the text", hint="take it out of the text")
        elif turn.role != ("user", "assistant")[(number - 1) % 2]:
            what = "is the assistant's" if number == 1 else f"is a second turn running of the {turn.role}"
            raise UsageError(
                f"{place} {what}, and a chat begins with the user and alternates",
                hint="join turns that belong together, or ask with --framing transcript",
            )


# ------------------------------------------------------------------------------------------------------------- facts


def _read_facts(
    facts: Any, turns: Sequence[_Turn], where: str, *, is_conversation: bool
) -> list[tuple[int, int, Fact]]:
    """The facts in the order of the text, each with the number of its turn and where its sentence begins there."""
    if not isinstance(facts, list) or len(facts) < 2:
        raise UsageError(f"{where}: facts is no list of two facts at least", hint=FACT_SHAPE)
    found = []
    for number, entry in enumerate(facts, 1):
        place = f"{where}, fact {number}"
        _check_keys(entry, place, ("name", "item", "value", "kind", "sentence", "turn"), FACT_SHAPE)
        fact = _read_fact(entry, place)
        inside = range(len(turns))
        if "turn" in entry:
            turn = entry["turn"]
            if not is_conversation or not isinstance(turn, int) or turn is True or not 1 <= turn <= len(turns):
                what = f"it has {len(turns)}" if is_conversation else "it has none"
                raise UsageError(f"{place}: {_said(turn)} is no turn of the text", hint=f"{what}; turns count from 1")
            inside = range(turn - 1, turn)
        stands = _standing(fact, [(turn, turns[turn].text) for turn in inside], place)
        found.append((*stands, fact))
    _check_together([fact for *_, fact in found], where)
    return [(turn, start, fact) for turn, start, _, fact in sorted(found, key=lambda each: each[:3])]


def _read_fact(entry: Mapping[str, Any], where: str) -> Fact:
    name = _line(entry, _either(entry, "name", "item", where), where)
    value = _line(entry, "value", where)
    kind = entry.get("kind")
    if kind is not None and kind not in KINDS:
        raise UsageError(f"{where}: {_said(kind)} is no kind of fact", hint=f"the kinds are {', '.join(KINDS)}")
    sentence = _text(entry, "sentence", where) if "sentence" in entry else ""
    if sentence and not mentions(sentence, value):
        raise UsageError(f"{where}: its value does not stand in its sentence", hint=FACT_SHAPE)
    return Fact(name, value, sentence, f"{name[0].upper()}{name[1:]}:", kind)


def _standing(fact: Fact, texts: Sequence[tuple[int, str]], where: str) -> tuple[int, int, int]:
    """In which turn a fact stands, where its sentence begins there, and where its value does.

    Of several places it is the first whose sentence also has the name, or else the first.
    """
    places: list[tuple[bool, int, int, int]] = []
    for turn, text in texts:
        if fact.sentence:
            start = text.find(fact.sentence)
            if start >= 0:
                return turn, start, start + mentions(fact.sentence, fact.value)[0]
            continue
        ends = sentence_ends(text)
        for offset in mentions(text, fact.value):
            begin = max(end for end in ends if end <= offset)
            stop = min((end for end in ends if end > offset), default=len(text))
            begin += len(text[begin:]) - len(text[begin:].lstrip())
            places.append((not mentions(text[begin:stop], fact.name), turn, begin, offset))
    if not places:
        what = "sentence" if fact.sentence else "value"
        raise UsageError(f"{where}: its {what} does not stand in the text", hint="it must be there word for word")
    _, turn, begin, offset = min(places)
    return turn, begin, offset


def _check_together(facts: Sequence[Fact], where: str) -> None:
    """Raise where two facts cannot be told apart, or where only some have a kind."""
    for what, words in (("name", [fact.name for fact in facts]), ("value", [fact.value for fact in facts])):
        folded = [word.casefold() for word in words]
        for number, word in enumerate(folded):
            if word in folded[:number]:
                raise UsageError(
                    f"{where}, fact {number + 1} has the {what} of fact {folded.index(word) + 1}",
                    hint=f"every fact has a {what} of its own",
                )
    bare = next((number for number, fact in enumerate(facts, 1) if fact.kind is None), None)
    if bare is not None and any(fact.kind for fact in facts):
        raise UsageError(f"{where}, fact {bare} has no kind, and others have", hint="give all of them a kind, or none")


# ------------------------------------------------------------------------------------------------------------ values


def _check_keys(entry: Any, where: str, known: Sequence[str], hint: str) -> None:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where} is no JSON object", hint=hint)
    for key in entry:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            better = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
            raise UsageError(f"{where}: unknown key {_said(key)}", hint=better)


def _either(entry: Mapping[str, Any], key: str, other: str, where: str) -> str:
    """Under which of two keys, which mean the same, something stands."""
    if key in entry and other in entry:
        raise UsageError(f"{where} has both {key} and {other}", hint=f"they mean the same; write {key}")
    return other if other in entry else key


def _line(entry: Mapping[str, Any], key: str, where: str) -> str:
    return " ".join(_text(entry, key, where).split())


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    """The words of a key, without the space around them."""
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} has no {key}", hint=FACT_SHAPE if key in ("name", "item", "value") else SHAPE)
    text = value.replace("\r\n", "\n").strip()
    for letter in text:
        if (letter < " " and letter not in "\n\t") or "\ud800" <= letter <= "\udfff":
            what = "half a character" if letter > " " else "a control character"
            raise UsageError(f"{where}: the {key} holds {what}", hint="save it as plain UTF-8 text")
    return text


def _said(value: Any) -> str:
    """A value of the file in an error, cut where it is long."""
    shown = json.dumps(value, ensure_ascii=True) if value is not None else "missing"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
