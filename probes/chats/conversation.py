"""A conversation in a file, in the shape that placement files have, and exactly as it stands there.

    {"turns": [{"role": "system", "content": "Be brief."},
               {"role": "user", "content": "When do we meet?"},
               {"role": "assistant", "content": "On Friday."}]}

`text` may stand for `content`. A list of turns by itself is read, too, as is `messages` in place of `turns`. What else
a placement file may hold (`title`, `schema`, `facts`) is passed over; a turn's `speaker` reaches the template as
`name`.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizer.errors import UserError

SHAPE = 'a conversation is {"turns": [{"role": "user", "content": "..."}, ...]}'
ROLES = ("system", "developer", "user", "assistant", "tool")
_TURN_KEYS = ("role", "content", "text", "speaker", "name")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: whose it is, what it says, and the speaker's name where the file has one."""

    role: str
    content: str
    name: str | None = None


def read_conversation(data: bytes, source: str) -> list[Turn]:
    """The turns of a conversation; `source` names the file in errors.

    Example: read_conversation(b'[{"role": "user", "content": "Hi"}]', "x.json") == [Turn("user", "Hi")]

    Raises:
        UserError: it is no JSON, or has another shape (with the place).
    """
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise UserError(f"{source} is not UTF-8 text (byte {err.start})", hint="save it as UTF-8") from err
    except RecursionError as err:
        raise UserError(f"{source} is not JSON of ours: it is nested too deeply", hint=SHAPE) from err
    except ValueError as err:
        raise UserError(f"{source} is not JSON: {err}", hint=SHAPE) from err
    turns = found
    if isinstance(found, Mapping):
        turns = found.get("turns", found.get("messages"))
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise UserError(f"{source} holds no list of turns", hint=SHAPE)
    return [_turn(turn, f"{source}, turn {number}") for number, turn in enumerate(turns, 1)]


def _turn(turn: Any, where: str) -> Turn:
    if not isinstance(turn, Mapping):
        raise UserError(f"{where} is no JSON object", hint=SHAPE)
    for key in turn:
        if key not in _TURN_KEYS:
            nearest = difflib.get_close_matches(key, _TURN_KEYS, n=1)
            better = f"did you mean {nearest[0]!r}?" if nearest else f"a turn has {', '.join(_TURN_KEYS)}"
            raise UserError(f"{where}: unknown key {_said(key)}", hint=better)
    role = turn.get("role")
    if role not in ROLES:
        raise UserError(f"{where}: the role is {_said(role)}", hint=f"a role is one of {', '.join(ROLES)}")
    if "content" in turn and "text" in turn:
        raise UserError(f"{where} has both content and text", hint="they mean the same; write content")
    content, name = turn.get("content", turn.get("text")), turn.get("name", turn.get("speaker"))
    content = _text_of_parts(content, where)
    if not isinstance(content, str) or not isinstance(name, str | None):
        what = "content" if not isinstance(content, str) else "name"
        raise UserError(f"{where}: its {what} is no text", hint=SHAPE)
    for text in (content, name or ""):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UserError(f"{where} holds half a character (a lone surrogate)", hint="save it as UTF-8 text")
    return Turn(str(role), content, name)


def _text_of_parts(content: Any, where: str) -> Any:
    """The text of parts, as the providers' own files have them: {"type": "text", "text": "Hello"}.

    Raises:
        UserError: there are other parts.
    """
    if not isinstance(content, list):
        return content
    texts = [part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(f"{where} is not only text", hint="take out calls of tools, pictures and the like")
    return "".join(map(str, texts))


def _said(value: Any) -> str:
    """A value of the file in an error, cut where it is long."""
    shown = json.dumps(value, ensure_ascii=True) if value is not None else "missing"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
