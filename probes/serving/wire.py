"""What the two protocols have in common: a question that was read from a body, and the answer to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from probes.models.base import Completion, Message, Request, Role
from probes.models.sim_tokens import count_prompt
from probes.serving.prompt_cache import Cached, Piece, PromptCache

NO_LIMIT = 1_000_000  # tokens of an answer, where nobody names a limit


@dataclass(frozen=True, slots=True)
class Question:
    """One body that asks for an answer. `pieces` are the prompt as the client cut it, for the cache."""

    request: Request
    model: str
    pieces: tuple[Piece, ...]
    stream: bool = False
    include_usage: bool = True
    top_logprobs: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt in the server's tokens."""
        return count_prompt(self.request.messages)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the reader's completion, and what the protocols say beside it.

    `reasoning_tokens` are made up and count to the output; `refused`: the model declined.
    """

    question: Question
    completion: Completion
    number: int
    cached: Cached
    output_tokens: int = 0
    reasoning_tokens: int = 0
    refused: bool = False

    @property
    def stop_sequence(self) -> str | None:
        """The stop sequence that ended the text, if one did."""
        sequence: str | None = self.completion.raw.get("stop_sequence")
        return sequence


class Rejection(Exception):
    """A body that cannot be answered: becomes an error in the protocol's form.

    `kind` is the protocol's own word for it, `parameter` the field that is wrong.
    """

    def __init__(self, message: str, *, status: int = 400, kind: str = "", parameter: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.parameter = parameter


Body = Mapping[str, Any]
Usage = dict[str, Any] | None


class Wire(Protocol):
    """One provider's protocol."""

    wrong_usage: Mapping[str, Any]  # counts that no model can have

    def read(self, body: Body) -> Question:
        """Read a body; Rejection where it is not as the protocol wants it."""
        ...

    def cached(self, pieces: tuple[Piece, ...], cache: PromptCache) -> Cached:
        """What the cache has of the prompt, as this provider looks."""
        ...

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The tokens of an answer."""
        ...

    def plain(self, answer: Answer, usage: Usage) -> dict[str, Any]:
        """The answer in one piece; without usage where it is None."""
        ...

    def events(self, answer: Answer, usage: Usage) -> list[bytes]:
        """The answer as server-sent events."""
        ...

    def error(self, rejection: Rejection) -> dict[str, Any]:
        """The body of an error."""
        ...

    def failure(self, kind: str, question: Question, window: int) -> Rejection:
        """The error for a kind of failure that has a status; `window` is what the prompt does not fit."""
        ...

    def models(self, names: tuple[str, ...], window: int | None) -> dict[str, Any]:
        """The list of models."""
        ...

    def model(self, name: str, window: int | None) -> dict[str, Any]:
        """One model of the list."""
        ...


def dumps(value: Any) -> bytes:
    """A JSON body as providers send it: UTF-8, no spaces. Half a surrogate pair goes as an escape, so all is valid."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def pieces_of(role: str, content: Any, where: str) -> list[Piece]:
    """The text of one message's content, which is a string or a list of text parts.

    Raises:
        Rejection: it is neither.
    """
    if isinstance(content, str):
        return [Piece(role, content)]
    if not isinstance(content, list):
        raise Rejection(f"{where}: Input should be a valid string or a list of parts", parameter=where)
    pieces = []
    for number, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise Rejection(f"{where}.{number}: this server reads text only", parameter=where)
        pieces.append(Piece(role, part["text"], marked=part.get("cache_control") is not None))
    return pieces


def messages_of(messages: Any, roles: Mapping[str, Role]) -> tuple[list[Message], list[Piece]]:
    """The turns of a conversation, and the pieces that they are made of; `roles` translates the protocol's words.

    Raises:
        Rejection: there are none, or one of them is no turn.
    """
    if not isinstance(messages, list) or not messages:
        raise Rejection("messages: at least one message is required", parameter="messages")
    turns: list[Message] = []
    pieces: list[Piece] = []
    for number, message in enumerate(messages):
        role = roles.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise Rejection(f"messages.{number}.role: Input should be one of {sorted(roles)}", parameter="messages")
        found = pieces_of(role, message.get("content"), f"messages.{number}.content")
        turns.append(Message(role, "".join(piece.text for piece in found)))
        pieces.extend(found)
    return turns, pieces


def whole_number(body: Body, name: str, default: int | None) -> int:
    """A limit from the body, at least 1.

    Raises:
        Rejection: it is absent and has no default, or is no such number.
    """
    value = body.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        problem = "Field required" if value is None else "Input should be a whole number of at least 1"
        raise Rejection(f"{name}: {problem}", parameter=name)
    return value


def stop_sequences(value: Any, name: str) -> tuple[str, ...]:
    """The stop sequences of a body: none, one, or a list of them.

    Raises:
        Rejection: they are something else.
    """
    sequences = [value] if isinstance(value, str) else value or []
    if not isinstance(sequences, list) or not all(isinstance(each, str) and each for each in sequences):
        raise Rejection(f"{name}: Input should be texts that are not empty", parameter=name)
    return tuple(sequences)


def temperature_of(body: Body, most: float) -> float | None:
    """The temperature of a body, if it has one.

    Raises:
        Rejection: it is no number from 0 to `most`.
    """
    value = body.get("temperature")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Rejection(f"temperature: Input should be a number from 0 to {most:g}", parameter="temperature")
    return float(value)


def parse(body: bytes) -> dict[str, Any]:
    """A body's JSON object.

    Raises:
        Rejection: it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejection("the body is not JSON") from None
    if not isinstance(value, dict):
        raise Rejection("the body is not a JSON object")
    return value


def broken(event: bytes) -> bytes:
    """An event whose data stops in the middle of its JSON."""
    return event[: len(event) // 2].rstrip(b"\n") + b"\n\n"
