"""What goes wrong with hosted models, and which of our errors it becomes. The SDKs are the real ones."""

import asyncio
import datetime as dt
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from email.utils import format_datetime
from typing import Any

import anthropic
import httpx2
import pytest

from probes.models.base import (
    AccessDenied,
    ContextTooLong,
    Message,
    ModelError,
    RateLimited,
    Request,
    RequestRejected,
    Transient,
)
from probes.models.options import ModelOptions
from tests.probes.hosted_helpers import (
    ANTHROPIC,
    OPENAI,
    SAY_HELLO,
    Wire,
    anthropic_events,
    ask,
    error,
    events,
    json_reply,
    model_on,
    openai_chunk,
    openai_events,
    whole,
)

BOTH = pytest.mark.parametrize("kind", [ANTHROPIC, OPENAI])
SSE = {"content-type": "text/event-stream"}
EITHER_WAY = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
pytestmark = pytest.mark.usefixtures("keys")


def failure(kind: str, *replies: Any, request: Request = SAY_HELLO, stream: bool = True) -> ModelError:
    """The error that one call ends in, after exactly one request."""
    wire = Wire(*replies)
    with pytest.raises(ModelError) as caught:
        ask(model_on(wire, kind, options=ModelOptions(stream=stream)), request)
    assert len(wire.requests) == 1
    return caught.value


@BOTH
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, RequestRejected), (401, AccessDenied), (402, AccessDenied), (403, AccessDenied), (404, RequestRejected),
        (408, Transient), (409, Transient), (413, RequestRejected), (422, RequestRejected), (429, RateLimited),
        (500, Transient), (502, Transient), (503, Transient), (504, Transient), (529, Transient),
    ],
)  # fmt: skip
def test_each_status_is_one_kind_of_error_after_one_request(kind: str, status: int, expected: type[ModelError]) -> None:
    found = failure(kind, error(kind, status, "the reason given"))
    assert type(found) is expected
    assert str(found) == f"{kind}/model-1: {status}: the reason given"
    assert found.hint


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (OPENAI, 429, {"code": "insufficient_quota", "type_": "insufficient_quota"}),
        (OPENAI, 429, {"code": "billing_hard_limit_reached"}),
        (OPENAI, 400, {"message": "API key not valid. Please pass a valid API key."}),
        (
            ANTHROPIC,
            400,
            {"message": "Your credit balance is too low to access the API.", "type_": "invalid_request_error"},
        ),
    ],
)
def test_no_money_or_no_right_is_access_denied_whatever_the_status(kind: str, status: int, said: Any) -> None:
    assert type(failure(kind, error(kind, status, **said))) is AccessDenied


@pytest.mark.parametrize(
    ("kind", "message", "type_"),
    [
        (OPENAI, "This model's maximum context length is 128000 tokens. However, your messages resulted in more.", "x"),
        (OPENAI, "Your input exceeds the context window of this model.", "invalid_request_error"),
        (OPENAI, "no words at all", "context_length_exceeded"),
        (OPENAI, "the request exceeds the available context size, try increasing it", "exceed_context_size_error"),
        (OPENAI, "The decoder prompt (length 5000) is longer than the maximum model length of 4096.", "x"),
        (OPENAI, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "x"),
        (OPENAI, "This model's maximum prompt length is 131072 but the request contains 200000 tokens.", "x"),
        (ANTHROPIC, "prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
        (ANTHROPIC, "input length and `max_tokens` exceed context limit: 199000 + 4096 > 200000", "x"),
    ],
)  # fmt: skip
def test_a_prompt_that_is_too_long_in_each_providers_words(kind: str, message: str, type_: str) -> None:
    assert type(failure(kind, error(kind, 400, message, type_=type_))) is ContextTooLong


def test_the_forms_in_which_servers_put_errors() -> None:
    bodies: list[tuple[Any, type[ModelError], str]] = [
        ([{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}], RequestRejected, "bad"),
        ({"object": "error", "message": "bad", "type": "BadRequestError", "code": 400}, RequestRejected, "bad"),
        ({"error": "bad", "error_type": "validation"}, RequestRejected, "bad"),
        ({"detail": "bad"}, RequestRejected, "bad"),
        ({}, RequestRejected, "no reason given"),
    ]
    for body, expected, words in bodies:
        found = failure(OPENAI, json_reply(body, 400))
        assert (type(found), str(found)) == (expected, f"openai/model-1: 400: {words}")
    page = httpx2.Response(502, content="<html>Bad Gateway</html>", headers={"content-type": "text/html"})
    assert "Bad Gateway" in str(failure(OPENAI, page))
    assert type(failure(OPENAI, error(OPENAI, 429, "Request too large for gpt on tokens per min"))) is RequestRejected


@BOTH
def test_how_long_to_wait_is_what_the_server_says(kind: str) -> None:
    def wait(*replies: httpx2.Response) -> float | None:
        found = failure(kind, *replies)
        assert isinstance(found, RateLimited)
        return found.retry_after

    assert wait(error(kind, 429)) is None
    assert wait(error(kind, 429, retry_after="7")) == 7
    assert wait(error(kind, 429, retry_after="0.5")) == 0.5
    assert wait(error(kind, 429, retry_after="soon")) is None
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=100)
    assert 90 < (wait(error(kind, 429, retry_after=format_datetime(soon, usegmt=True))) or 0) <= 100
    assert wait(error(kind, 429, retry_after=format_datetime(soon - dt.timedelta(hours=1), usegmt=True))) == 0
    overloaded = failure(kind, error(kind, 529, retry_after="3"))
    assert isinstance(overloaded, Transient)
    assert overloaded.retry_after == 3


def test_geminis_way_to_say_how_long_to_wait() -> None:
    body = [{"error": {"code": 429, "message": "quota", "details": [{"@type": "x"}, {"retryDelay": "23.5s"}]}}]
    found = failure(OPENAI, json_reply(body, 429))
    assert isinstance(found, RateLimited)
    assert found.retry_after == 23.5


@BOTH
@EITHER_WAY
@pytest.mark.parametrize(
    "reply",
    [
        httpx2.Response(200, content=b""),
        httpx2.Response(200, content=b"", headers={"content-type": "application/json"}),
        httpx2.Response(200, content=b"", headers=SSE),
        httpx2.Response(200, content=b'{"half', headers={"content-type": "application/json"}),
        httpx2.Response(200, content=b"<html>hello</html>", headers={"content-type": "text/html"}),
        httpx2.Response(200, content=b"data: {half\n\n", headers=SSE),
        httpx2.Response(200, content=b"event: message_start\ndata: [1]\n\n", headers=SSE),
        httpx2.Response(200, content=b"data: \xff\xfe\n\n", headers=SSE),
        json_reply({}),
        json_reply({"choices": [], "content": None}),
        json_reply({"choices": [{"message": 3}], "content": [{"type": "text"}]}),
        json_reply([1, 2]),
        json_reply("text"),
    ],
)  # fmt: skip
def test_a_broken_or_empty_200_is_a_failed_attempt_and_never_an_empty_answer(
    kind: str, stream: bool, reply: httpx2.Response
) -> None:
    for strict in (True, False):
        with pytest.raises(Transient):
            ask(model_on(Wire(reply), kind, options=ModelOptions(stream=stream), strict=strict))


@BOTH
def test_a_stream_without_its_last_event_is_a_failed_attempt_wherever_it_ends(kind: str) -> None:
    pieces: list[Any] = anthropic_events() if kind == ANTHROPIC else openai_events()
    needed = len(pieces) if kind == ANTHROPIC else len(pieces) - 2  # after the finish reason come counts and a mark
    for length in range(needed):
        assert type(failure(kind, events(*pieces[:length]))) is Transient
    assert ask(model_on(Wire(events(*pieces[:needed])), kind)).text == "Hello."


@pytest.mark.parametrize("said", ["error", "abort"])
def test_a_server_that_gives_up_in_good_order_has_not_answered(said: str) -> None:
    with pytest.raises(Transient):
        ask(model_on(Wire(events(*openai_events(finish=said))), OPENAI, strict=False))


class BreaksOff(httpx2.AsyncByteStream):
    """The beginning of a stream, and then a dropped connection."""

    def __init__(self, content: bytes, how: Exception) -> None:
        self.content, self.how = content, how

    async def __aiter__(self) -> Any:
        yield self.content
        raise self.how


@BOTH
@pytest.mark.parametrize(
    "how", [httpx2.RemoteProtocolError("peer closed connection"), httpx2.ReadTimeout("slow"), httpx2.ReadError("gone")]
)
def test_a_connection_that_breaks_in_the_middle_is_transient(kind: str, how: Exception) -> None:
    model = model_on(Wire(whole(kind)), kind)
    content = whole(kind).content[:200]

    async def broken(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=BreaksOff(content, how))

    model.client_options["http_client"] = httpx2.AsyncClient(transport=httpx2.MockTransport(broken))
    with pytest.raises(Transient):
        ask(model)


@BOTH
@pytest.mark.parametrize(
    "how", [httpx2.ConnectError("refused"), httpx2.ConnectTimeout("slow"), httpx2.ReadTimeout("slow")]
)
def test_no_connection_is_transient(kind: str, how: Exception) -> None:
    found = failure(kind, how)
    assert type(found) is Transient
    assert type(how).__name__ in str(found)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("overloaded_error", Transient), ("api_error", Transient), ("rate_limit_error", RateLimited),
        ("invalid_request_error", RequestRejected), ("authentication_error", AccessDenied),
    ],
)  # fmt: skip
def test_an_error_in_the_middle_of_anthropics_stream(type_: str, expected: type[ModelError]) -> None:
    event = ("error", {"type": "error", "error": {"type": type_, "message": "later"}})
    assert type(failure(ANTHROPIC, events(*anthropic_events()[:4], event))) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"message": "x", "code": 502}, Transient), ({"message": "x", "code": "429"}, RateLimited),
        ({"message": "x", "type": "server_error"}, Transient),
        ({"message": "x", "code": "insufficient_quota"}, AccessDenied),
        ({"message": "x", "code": "context_length_exceeded"}, ContextTooLong), ("only words", Transient),
    ],
)  # fmt: skip
def test_an_error_inside_a_200(said: Any, expected: type[ModelError]) -> None:
    for pieces in ([(None, {"error": said})], [(None, openai_chunk({"content": "Hel"})), (None, {"error": said})]):
        assert type(failure(OPENAI, events(*pieces))) is expected
    with pytest.raises(ModelError) as caught:
        ask(model_on(Wire(json_reply({"error": said})), OPENAI, options=ModelOptions(stream=False), strict=False))
    assert type(caught.value) is expected


@BOTH
def test_a_bug_stays_a_bug(kind: str) -> None:
    wire = Wire(ZeroDivisionError("a bug"))
    with pytest.raises((ZeroDivisionError, anthropic.APIConnectionError)) as caught:
        ask(model_on(wire, kind))
    assert "a bug" in "".join(traceback.format_exception(caught.value))
    model = model_on(Wire(whole(kind)), kind)
    model._parameters = lambda _request: {"temperature": object()}  # type: ignore[method-assign]
    with pytest.raises(TypeError):
        ask(model)


@BOTH
def test_a_call_that_is_cut_off_stays_cut_off(kind: str) -> None:
    started = asyncio.Event()

    async def hang(_request: httpx2.Request) -> httpx2.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def cut() -> None:
        model = model_on(Wire(whole(kind)), kind)
        model.client_options["http_client"] = httpx2.AsyncClient(transport=httpx2.MockTransport(hang))
        task = asyncio.create_task(model.complete(SAY_HELLO))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.aclose()
        await model.aclose()

    asyncio.run(cut())


def quoting(key: str) -> list[Callable[[str], Any]]:
    """Replies of servers that repeat the key, or send it back in a header."""
    return [
        lambda kind: error(kind, 401, f"Incorrect API key provided: {key}."),
        lambda kind: error(kind, 500, f"crash with Authorization: Bearer {key}", x_api_key=key),
        lambda kind: error(kind, 400, key),
        lambda _kind: httpx2.Response(503, content=f"<p>{key}</p>", headers={"content-type": "text/html"}),
        lambda _kind: httpx2.ConnectError(f"Illegal header value b'Bearer {key}'"),
    ]


@BOTH
@EITHER_WAY
def test_the_key_goes_to_the_server_and_nowhere_else(
    kind: str, stream: bool, keys: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # the SDKs' own DEBUG shows what servers send, to those who turn it on
    seen = []
    for reply in quoting(keys):
        wire = Wire(reply(kind))
        model = model_on(wire, kind, options=ModelOptions(stream=stream))
        with pytest.raises(ModelError) as caught:
            ask(model)
        assert keys in str(wire.requests[0].headers.raw)
        seen += [
            *traceback.format_exception(caught.value),
            repr(caught.value),
            repr(vars(caught.value)),
            caught.value.hint,
        ]
        seen += [repr(model), repr(model.identity), repr(model.endpoint)]
    good = whole(kind) if stream else None
    if good:
        good.headers.update({"x-request-id": "r", "authorization": f"Bearer {keys}", "x-echo": keys})
        answer = ask(model_on(Wire(good), kind))
        seen += [repr(answer), repr(answer.raw)]
    assert keys not in "".join(seen) + caplog.text


@pytest.mark.parametrize("key", ["sk two words", "sk-line\nend", "sk-ü", "  "])
def test_what_cannot_be_a_key_is_told_without_repeating_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    wire = Wire(whole(OPENAI))
    with pytest.raises(AccessDenied) as caught:
        ask(model_on(wire, OPENAI))
    assert wire.requests == []
    assert not key.strip() or key not in str(caught.value) + caught.value.hint


def test_an_error_never_holds_the_whole_prompt() -> None:
    prompt = "many words " * 500
    found = failure(
        OPENAI, error(OPENAI, 400, f"bad: {prompt}"), request=replace(SAY_HELLO, messages=(Message("user", prompt),))
    )
    assert len(str(found)) <= 500


@BOTH
@EITHER_WAY
def test_a_prompt_is_not_sent_on_to_another_address(kind: str, stream: bool) -> None:
    moved = httpx2.Response(307, headers={"location": "http://127.0.0.1:9/steal"})
    found = failure(kind, moved, stream=stream)
    assert type(found) is RequestRejected
    assert "--base-url" in found.hint


def test_answers_that_are_no_text_or_too_deep_fail_one_call() -> None:
    number = openai_events(text=[5])  # type: ignore[list-item]
    deep = [(None, "[" * 100_000)]
    for reply in (events(*number), events(*deep)):
        with pytest.raises(Transient, match="could not be read"):
            ask(model_on(Wire(reply), OPENAI, strict=False))


def test_counts_beyond_all_measure_are_no_counts() -> None:
    usage = {"prompt_tokens": 10**30, "completion_tokens": 2**62, "total_tokens": 1}
    completion = ask(model_on(Wire(events(*openai_events(usage=usage))), OPENAI))
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (None, None)
