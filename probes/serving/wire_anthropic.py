"""Anthropic's messages, as its SDK speaks them."""

from collections.abc import Mapping
from typing import Any

from probes.models.base import Message, Request, Role
from probes.models.sim_tokens import tokens_of
from probes.serving.prompt_cache import Cached, Piece, PromptCache
from probes.serving.wire import (
    Answer,
    Body,
    Question,
    Rejection,
    Usage,
    dumps,
    messages_of,
    pieces_of,
    stop_sequences,
    temperature_of,
    whole_number,
)

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant"}
_STOP = {"stop": "end_turn", "max_tokens": "max_tokens", "refusal": "refusal"}
_CREATED = "2025-01-01T00:00:00Z"


class AnthropicWire:
    """Messages, plain and streamed."""

    wrong_usage: Mapping[str, Any] = {"input_tokens": -7, "output_tokens": "many"}

    def read(self, body: Body) -> Question:
        """Read the body of a message."""
        return self._question(body, whole_number(body, "max_tokens", None))

    def read_for_counting(self, body: Body) -> Question:
        """Read a body whose tokens are to be counted, which has no limit for an answer."""
        return self._question(body, 1)

    def _question(self, body: Body, max_tokens: int) -> Question:
        if not isinstance(body.get("model"), str):
            raise Rejection("model: Field required", parameter="model")
        turns, pieces = messages_of(body.get("messages"), _ROLES)
        if turns[0].role != "user":
            raise Rejection('messages: first message must use the "user" role', parameter="messages")
        if not all(turn.content for turn in turns):
            raise Rejection("messages: text content blocks must be non-empty", parameter="messages")
        if turns[-1].role == "assistant" and turns[-1].content[-1].isspace():
            raise Rejection("messages: final assistant content cannot end with trailing whitespace")
        if body.get("system"):
            system = pieces_of("system", body["system"], "system")
            turns.insert(0, Message("system", "".join(piece.text for piece in system)))
            pieces = system + pieces
        if body.get("cache_control"):
            pieces[-1] = pieces[-1]._replace(marked=True)
        request = Request(
            tuple(turns),
            max_tokens=max_tokens,
            temperature=temperature_of(body, 1),
            stop=stop_sequences(body.get("stop_sequences"), "stop_sequences"),
        )
        return Question(request, body["model"], tuple(pieces), stream=body.get("stream") is True)

    def cached(self, pieces: tuple[Piece, ...], cache: PromptCache) -> Cached:
        """What the marked pieces, and all before them, share with earlier prompts."""
        return cache.share_marked(pieces)

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The tokens of an answer; those read from the cache and written to it are not among `input_tokens`."""
        read, written = answer.cached
        usage: dict[str, Any] = {
            "input_tokens": max(answer.question.prompt_tokens - read - written, 0),
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": answer.output_tokens + answer.reasoning_tokens,
            "service_tier": "standard",
        }
        if answer.reasoning_tokens:
            usage["output_tokens_details"] = {"thinking_tokens": answer.reasoning_tokens}
        return usage

    def plain(self, answer: Answer, usage: Usage) -> dict[str, Any]:
        """The object `message`."""
        text = "" if answer.refused else answer.completion.text
        content = [{"type": "text", "text": text, "citations": None}] if text else []
        return self._message(answer, usage) | {"content": content} | self._end(answer)

    def events(self, answer: Answer, usage: Usage) -> list[bytes]:
        """The events: the message begins, a block of text in its tokens, why it ended with the usage, the end."""
        begun = usage | {"output_tokens": 1} if usage and isinstance(usage["output_tokens"], int) else usage
        start = self._message(answer, begun) | {"content": [], "stop_reason": None, "stop_sequence": None}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
        text = "" if answer.refused else answer.completion.text
        if text:
            block = {"type": "text", "text": "", "citations": None}
            events += [{"type": "content_block_start", "index": 0, "content_block": block}, {"type": "ping"}]
            for token in tokens_of(text):
                delta = {"type": "text_delta", "text": token}
                events.append({"type": "content_block_delta", "index": 0, "delta": delta})
            events.append({"type": "content_block_stop", "index": 0})
        end: dict[str, Any] = {"type": "message_delta", "delta": self._end(answer)}
        if usage:
            counts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
            details = ("output_tokens_details",)
            end["usage"] = {name: usage[name] for name in counts + details if name in usage}
        events += [end, {"type": "message_stop"}]
        return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), dumps(event)) for event in events]

    def error(self, rejection: Rejection) -> dict[str, Any]:
        """An error's body."""
        kind = rejection.kind or "invalid_request_error"
        return {"type": "error", "error": {"type": kind, "message": str(rejection)}}

    def failure(self, kind: str, question: Question, window: int) -> Rejection:
        """The error for a kind of failure."""
        limited = "This request would exceed your organization's rate limit."
        no_money = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
        status, name, message = {
            "rate-limit": (429, "rate_limit_error", limited),
            "rate-limit-bare": (429, "rate_limit_error", limited),
            "quota": (400, "invalid_request_error", no_money),
            "denied": (401, "authentication_error", "invalid x-api-key"),
            "overloaded": (529, "overloaded_error", "Overloaded"),
            "server-error": (500, "api_error", "Internal server error"),
            "context-length": (
                400,
                "invalid_request_error",
                f"prompt is too long: {question.prompt_tokens} tokens > {window} maximum",
            ),
        }[kind]
        return Rejection(message, status=status, kind=name)

    def models(self, names: tuple[str, ...], window: int | None) -> dict[str, Any]:
        """The list of models, in one page."""
        data = [self.model(name, window) for name in names]
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}

    def model(self, name: str, window: int | None) -> dict[str, Any]:
        """One of them."""
        shown = {"id": name, "type": "model", "display_name": name, "created_at": _CREATED, "lifecycle": "active"}
        return shown | {"max_input_tokens": window}

    def _message(self, answer: Answer, usage: Usage) -> dict[str, Any]:
        head = {"id": f"msg_sim_{answer.number}", "type": "message", "role": "assistant"}
        return head | {"model": answer.question.model} | ({"usage": usage} if usage else {})

    def _end(self, answer: Answer) -> dict[str, Any]:
        reason = "stop_sequence" if answer.stop_sequence else _STOP.get(answer.completion.stop_reason, "end_turn")
        end: dict[str, Any] = {"stop_reason": reason, "stop_sequence": answer.stop_sequence}
        if answer.refused:
            explanation = answer.completion.text
            end["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation}
        return end
