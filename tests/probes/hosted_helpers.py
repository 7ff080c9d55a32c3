"""Hosted models with the real SDK classes on top of a transport that the test plays, and bodies of both protocols."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from probes.models.base import Completion, Message, Request
from probes.models.endpoints import Endpoint, find_endpoint
from probes.models.hosted import HostedModel, hosted_model
from probes.models.options import ModelOptions

ANTHROPIC, OPENAI = "anthropic", "openai"
SAY_HELLO = Request((Message("user", "Say hello."),), max_tokens=16)

Reply = httpx2.Response | Exception


class Wire:
    """A transport that gives the replies in turn, the last one again and again, and keeps what was sent."""

    def __init__(self, *replies: Reply | Callable[[httpx2.Request], Reply]) -> None:
        self.replies = list(replies)
        self.sent: list[dict[str, Any]] = []
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.sent.append(json.loads(request.content))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        reply = reply(request) if callable(reply) and not isinstance(reply, httpx2.Response) else reply
        if isinstance(reply, Exception):
            raise reply
        return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)


def model_on(
    wire: Wire, kind: str, *, options: ModelOptions | None = None, endpoint: Endpoint | None = None, strict: bool = True
) -> HostedModel:
    """A model whose SDK client is the real one, with strict validation, over this wire."""
    found = endpoint or find_endpoint(kind)
    assert found is not None
    model = hosted_model(found, "model-1", options or ModelOptions())
    transport = httpx2.MockTransport(wire)
    model.client_options = {
        "http_client": httpx2.AsyncClient(transport=transport),
        "_strict_response_validation": strict,
    }
    return model


def ask(model: HostedModel, request: Request = SAY_HELLO) -> Completion:
    """One call from the outside."""

    async def once() -> Completion:
        try:
            return await model.complete(request)
        finally:
            await model.aclose()

    return asyncio.run(once())


def json_reply(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    """A reply with a JSON body; a header's `_` stands for `-`."""
    return httpx2.Response(
        status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def events(*pieces: tuple[str | None, Any]) -> httpx2.Response:
    """A stream of server-sent events: pairs of a name, or None, and what is sent."""
    lines = []
    for name, data in pieces:
        lines += [f"event: {name}"] if name else []
        lines += [f"data: {data if isinstance(data, str) else json.dumps(data)}", ""]
    return httpx2.Response(200, content="\n".join([*lines, ""]), headers={"content-type": "text/event-stream"})


def _block(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"content_block_{kind}", "index": 0, **more}


def anthropic_events(
    text: Iterable[str] = ("Hel", "lo."), stop: str = "end_turn", usage: Any = None, more: Any = None
) -> list[tuple[str | None, Any]]:
    """The events of a whole answer in Anthropic's protocol."""
    start = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "model-1-served", "content": [],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 1, **(usage or {})},
    }  # fmt: skip
    return [
        ("message_start", {"type": "message_start", "message": start}),
        ("content_block_start", _block("start", content_block={"type": "text", "text": ""})),
        ("ping", {"type": "ping"}),
        *(("content_block_delta", _block("delta", delta={"type": "text_delta", "text": part})) for part in text),
        ("content_block_stop", _block("stop")),
        (
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": stop, "stop_sequence": None},
                "usage": {"output_tokens": 5, **(more or {})},
            },
        ),
        ("message_stop", {"type": "message_stop"}),
    ]  # fmt: skip


def anthropic_message(text: str = "Hello.", stop: str = "end_turn", **usage: Any) -> dict[str, Any]:
    """A whole answer in Anthropic's protocol."""
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "model-1-served",
        "content": [{"type": "text", "text": text}], "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 5, **usage},
    }  # fmt: skip


def openai_chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a stream in OpenAI's protocol; without delta and finish one without choices."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish, "logprobs": more.pop("logprobs", None)}]
    return {
        "id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": "model-1-served",
        "choices": choices if delta or finish else [], **more,
    }  # fmt: skip


OPENAI_USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def openai_events(
    text: Iterable[str] = ("Hel", "lo."), finish: str = "stop", usage: Any = OPENAI_USAGE
) -> list[tuple[None, Any]]:
    """The chunks of a whole answer in OpenAI's protocol."""
    return [
        (None, openai_chunk({"role": "assistant", "content": ""})),
        *((None, openai_chunk({"content": part})) for part in text),
        (None, openai_chunk(finish=finish)),
        (None, openai_chunk(usage=usage)),
        (None, "[DONE]"),
    ]


def openai_completion(message: Any = None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A whole answer in OpenAI's protocol."""
    said = {"role": "assistant", "content": "Hello.", "refusal": None, **(message or {})}
    choice = {"index": 0, "message": said, "finish_reason": finish, "logprobs": more.pop("logprobs", None)}
    return {
        "id": "chat_1", "object": "chat.completion", "created": 1, "model": "model-1-served",
        "choices": [choice], "usage": more.pop("usage", OPENAI_USAGE), **more,
    }  # fmt: skip


def whole(kind: str) -> httpx2.Response:
    """A whole streamed answer."""
    return events(*(anthropic_events() if kind == ANTHROPIC else openai_events()))


def error(
    kind: str, status: int, message: str = "no", *, type_: str = "some_error", code: str | None = None, **headers: str
) -> httpx2.Response:
    """An error in the provider's own form."""
    if kind == ANTHROPIC:
        return json_reply({"type": "error", "error": {"type": type_, "message": message}}, status, **headers)
    return json_reply({"error": {"message": message, "type": type_, "param": None, "code": code}}, status, **headers)
