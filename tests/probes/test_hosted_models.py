"""Hosted models with the real SDKs: what is sent, and what becomes of the answers."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from probes.identity import trial_id
from probes.models import load_model
from probes.models.base import AccessDenied, Message, Request, RequestRejected, TokenLogprob, Usage
from probes.models.endpoints import find_endpoint
from probes.models.options import ModelOptions
from tests.probes.hosted_helpers import (
    ANTHROPIC,
    OPENAI,
    SAY_HELLO,
    Wire,
    anthropic_events,
    anthropic_message,
    ask,
    error,
    events,
    json_reply,
    model_on,
    openai_chunk,
    openai_completion,
    openai_events,
    whole,
)

WHOLE = {ANTHROPIC: anthropic_message(), OPENAI: openai_completion()}
BOTH = pytest.mark.parametrize("kind", [ANTHROPIC, OPENAI])
pytestmark = pytest.mark.usefixtures("keys")


@BOTH
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_the_same_whole_or_in_pieces(kind: str, stream: bool) -> None:
    wire = Wire(whole(kind) if stream else json_reply(WHOLE[kind]))
    answer = ask(model_on(wire, kind, options=ModelOptions(stream=stream)))
    assert (answer.text, answer.stop_reason, answer.model) == ("Hello.", "stop", "model-1-served")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 5)
    assert answer.latency_s > 0
    assert (answer.first_token_s is not None) is stream
    assert answer.dropped == ()
    assert wire.sent[0]["stream"] is stream


def test_what_is_sent_to_anthropic() -> None:
    wire = Wire(whole(ANTHROPIC))
    messages = (Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    request = Request(messages, max_tokens=7, temperature=0.5, seed=3, stop=("END",), extra={"top_k": 5}, logprobs=True)
    answer = ask(
        model_on(wire, ANTHROPIC, options=ModelOptions(extra={"top_k": 1, "metadata": {"user_id": "me"}})), request
    )
    assert wire.sent == [
        {
            "model": "model-1",
            "system": "Be brief.",
            "messages": [
                {"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), "abc", strict=True)
            ],
            "max_tokens": 7,
            "temperature": 0.5,
            "stop_sequences": ["END"],
            "stream": True,
            "top_k": 5,
            "metadata": {"user_id": "me"},
        }
    ]
    assert answer.dropped == ("logprobs", "seed")  # the protocol has no word for them
    assert str(wire.requests[0].url) == "https://api.anthropic.com/v1/messages"


def test_what_is_sent_to_openai() -> None:
    wire = Wire(whole(OPENAI))
    request = Request(
        (Message("system", "Be brief."), Message("user", "a")),
        max_tokens=7, temperature=0.0, seed=3, stop=("END",), extra={"top_p": 0.9}, logprobs=True,
    )  # fmt: skip
    ask(model_on(wire, OPENAI), request)
    assert wire.sent == [
        {
            "model": "model-1",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}],
            "max_completion_tokens": 7,
            "temperature": 0.0,
            "seed": 3,
            "stop": ["END"],
            "logprobs": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            "top_p": 0.9,
        }
    ]
    assert str(wire.requests[0].url) == "https://api.openai.com/v1/chat/completions"


@BOTH
def test_nothing_is_sent_that_was_not_asked_for(kind: str) -> None:
    wire = Wire(whole(kind))
    ask(model_on(wire, kind))
    assert wire.sent[0].keys() - {"model", "messages", "stream", "stream_options"} == {
        "max_tokens" if kind == ANTHROPIC else "max_completion_tokens"
    }


def test_a_compatible_server_gets_max_tokens_and_nobody_elses_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    for name, limit, organization in (("openai", "max_completion_tokens", "org-mine"), ("gemini", "max_tokens", None)):
        wire = Wire(whole(OPENAI))
        ask(model_on(wire, name))
        assert wire.sent[0][limit] == 16
        assert wire.requests[0].headers.get("openai-organization") == organization


def test_the_limit_goes_by_its_other_name_where_the_server_wants_that() -> None:
    refusal = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    wire = Wire(error(OPENAI, 400, refusal, code="unsupported_parameter"), whole(OPENAI))
    model = model_on(wire, "gemini")
    assert ask(model).dropped == ()
    assert "max_completion_tokens" not in wire.sent[0]
    assert (wire.sent[1]["max_completion_tokens"], "max_tokens" in wire.sent[1]) == (16, False)


def test_a_server_that_takes_no_limit_at_all_is_not_asked_without_one() -> None:
    wire = Wire(
        error(OPENAI, 400, "'max_tokens' is not supported"), error(OPENAI, 400, "'max_completion_tokens' is unknown")
    )
    with pytest.raises(RequestRejected):
        ask(model_on(wire, "gemini"))
    assert len(wire.sent) == 2


@pytest.mark.parametrize(
    ("kind", "status", "said", "dropped"),
    [
        (ANTHROPIC, 400, "temperature: Extra inputs are not permitted", "temperature"),
        (ANTHROPIC, 400, "`temperature` is deprecated for this model.", "temperature"),
        (ANTHROPIC, 400, "`stop_sequences` is not supported with this model", "stop"),
        (OPENAI, 400, "Unsupported value: 'temperature' does not support 0 with this model.", "temperature"),
        (OPENAI, 400, "Unsupported parameter: 'logprobs' is not supported with this model.", "logprobs"),
        (OPENAI, 422, "Unknown field 'seed'", "seed"),
    ],
)
def test_a_parameter_that_the_model_refuses_is_left_out_from_then_on(
    kind: str, status: int, said: str, dropped: str
) -> None:
    wire = Wire(error(kind, status, said, type_="invalid_request_error"), whole(kind))
    model = model_on(wire, kind)
    request = replace(
        SAY_HELLO, temperature=0.0, stop=("END",), **({} if kind == ANTHROPIC else {"seed": 1, "logprobs": True})
    )

    async def twice() -> list[Any]:
        return [await model.complete(request), await model.complete(request), await model.complete(SAY_HELLO)]

    first, second, plain = asyncio.run(twice())
    assert (first.text, first.dropped, second.dropped, plain.dropped) == ("Hello.", (dropped,), (dropped,), ())
    field = "stop_sequences" if (kind, dropped) == (ANTHROPIC, "stop") else dropped
    assert [field in sent for sent in wire.sent] == [True, False, False, False]
    assert all(sent.keys() & {"temperature", "stop", "stop_sequences"} for sent in wire.sent[:3])  # the others stayed


@BOTH
def test_a_value_out_of_range_and_a_refused_extra_are_errors(kind: str) -> None:
    for said in ("temperature: Input should be less than or equal to 1", "`top_k` is not supported with this model"):
        wire = Wire(error(kind, 400, said))
        with pytest.raises(RequestRejected, match=r"less than|top_k"):
            ask(model_on(wire, kind), replace(SAY_HELLO, temperature=1.5, extra={"top_k": 3}))
        assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("kind", "said", "stop_reason"),
    [
        (ANTHROPIC, "stop_sequence", "stop"), (ANTHROPIC, "max_tokens", "max_tokens"),
        (ANTHROPIC, "refusal", "refusal"),
        (ANTHROPIC, "model_context_window_exceeded", "context_full"), (ANTHROPIC, "pause_turn", "other"),
        (OPENAI, "length", "max_tokens"), (OPENAI, "content_filter", "refusal"), (OPENAI, "tool_calls", "other"),
    ],
)  # fmt: skip
def test_stop_reasons(kind: str, said: str, stop_reason: str) -> None:
    pieces = anthropic_events(stop=said) if kind == ANTHROPIC else openai_events(finish=said)
    answer = ask(model_on(Wire(events(*pieces)), kind))
    assert (answer.stop_reason, answer.raw["finished"]) == (stop_reason, said)


def test_a_refusal_in_words_is_a_refusal() -> None:
    streamed = events(
        (None, openai_chunk({"refusal": "I will"})),
        (None, openai_chunk({"refusal": " not."}, "stop")),
        (None, "[DONE]"),
    )
    for reply, stream in (
        (streamed, True),
        (json_reply(openai_completion({"content": None, "refusal": "I will not."})), False),
    ):
        answer = ask(model_on(Wire(reply), OPENAI, options=ModelOptions(stream=stream)))
        assert (answer.text, answer.stop_reason) == ("I will not.", "refusal")


def test_anthropics_cached_tokens_belong_to_the_prompt() -> None:
    cached = {"cache_read_input_tokens": 900, "cache_creation_input_tokens": 90}
    details = {"output_tokens_details": {"thinking_tokens": 3}}
    expected = Usage(
        input_tokens=1001, output_tokens=5, cache_read_tokens=900, cache_write_tokens=90, reasoning_tokens=3
    )
    streamed = events(*anthropic_events(usage=cached, more=details))
    assert ask(model_on(Wire(streamed), ANTHROPIC)).usage == expected
    whole_message = json_reply(anthropic_message(**cached, **details))
    assert ask(model_on(Wire(whole_message), ANTHROPIC, options=ModelOptions(stream=False))).usage == expected


def test_openais_details_and_reasoning_that_is_only_in_the_total() -> None:
    said = {
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }  # fmt: skip
    answer = ask(model_on(Wire(events(*openai_events(usage=said))), OPENAI))
    assert answer.usage == Usage(100, 20, cache_read_tokens=64, cache_write_tokens=8, reasoning_tokens=12)
    hidden = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 150}
    answer = ask(model_on(Wire(events(*openai_events(usage=hidden))), OPENAI))
    assert answer.usage == Usage(100, 50, reasoning_tokens=30)


def test_counts_that_the_server_does_not_give_are_unknown_and_not_zero() -> None:
    silent = events((None, openai_chunk({"content": "Hello."}, "stop")), (None, "[DONE]"))
    assert ask(model_on(Wire(silent), OPENAI)).usage == Usage()
    body = openai_completion()
    del body["usage"]
    assert ask(model_on(Wire(json_reply(body)), OPENAI, options=ModelOptions(stream=False))).usage == Usage()


def test_log_probabilities_of_every_token() -> None:
    def said(*tokens: tuple[str, float]) -> dict[str, Any]:
        return {"content": [{"token": t, "logprob": p, "bytes": None, "top_logprobs": []} for t, p in tokens]}

    pieces = [
        (None, openai_chunk({"content": "Hel"}, logprobs=said(("Hel", -0.25)))),
        (None, openai_chunk({"content": "lo"}, logprobs=said(("l", -1.0), ("o", -2.0)))),
        (None, openai_chunk(finish="stop")),
        (None, "[DONE]"),
    ]
    expected = (TokenLogprob("Hel", -0.25), TokenLogprob("l", -1.0), TokenLogprob("o", -2.0))
    request = replace(SAY_HELLO, logprobs=True)
    assert ask(model_on(Wire(events(*pieces)), OPENAI), request).logprobs == expected
    body = openai_completion(logprobs=said(("Hel", -0.25), ("l", -1.0), ("o", -2.0)))
    assert (
        ask(model_on(Wire(json_reply(body)), OPENAI, options=ModelOptions(stream=False)), request).logprobs == expected
    )
    assert ask(model_on(Wire(whole(OPENAI)), OPENAI)).logprobs is None


def test_a_shared_beginning_is_marked_to_be_kept_and_the_text_stays_the_same() -> None:
    text = "A long shared text. And the question?"
    request = Request((Message("user", text),), max_tokens=16, cache_prefix=20)
    for options, marked in ((ModelOptions(cache_prompts=True), True), (ModelOptions(), False)):
        wire = Wire(whole(ANTHROPIC))
        ask(model_on(wire, ANTHROPIC, options=options), request)
        content = wire.sent[0]["messages"][0]["content"]
        if not marked:
            assert content == text
            continue
        assert [block["text"] for block in content] == [text[:20], text[20:]]
        assert [block.get("cache_control") for block in content] == [{"type": "ephemeral"}, None]


def test_a_shared_beginning_ends_with_a_paragraph_if_it_holds_one_in_its_second_half() -> None:
    for text, prefix, cut in (("A long text.\n\nWhat is the", 20, 14), ("A\n\nlong text. What is the", 20, 20)):
        wire = Wire(whole(ANTHROPIC))
        request = Request((Message("user", text),), max_tokens=16, cache_prefix=prefix)
        ask(model_on(wire, ANTHROPIC, options=ModelOptions(cache_prompts=True)), request)
        assert [block["text"] for block in wire.sent[0]["messages"][0]["content"]] == [text[:cut], text[cut:]]


def test_no_empty_block_is_left_behind_a_shared_beginning() -> None:
    wire = Wire(whole(ANTHROPIC))
    request = Request((Message("user", "All of it.\n"),), max_tokens=16, cache_prefix=10)
    ask(model_on(wire, ANTHROPIC, options=ModelOptions(cache_prompts=True)), request)
    assert wire.sent[0]["messages"][0]["content"] == [
        {"type": "text", "text": "All of it.\n", "cache_control": {"type": "ephemeral"}}
    ]


def test_prompts_are_counted_by_the_provider() -> None:
    wire = Wire(json_reply({"input_tokens": 42}))
    model = model_on(wire, ANTHROPIC)
    request = Request((Message("system", "s"), Message("user", "a")), max_tokens=16)
    assert asyncio.run(model.count_prompt_tokens(request)) == 42
    assert wire.sent == [{"model": "model-1", "system": "s", "messages": [{"role": "user", "content": "a"}]}]
    assert wire.requests[0].url.path == "/v1/messages/count_tokens"


def test_prompts_are_counted_by_a_server_that_can() -> None:
    vllm = Wire(json_reply({"count": 9, "max_model_len": 4096, "tokens": [0] * 9}))
    assert asyncio.run(model_on(vllm, "vllm").count_prompt_tokens(SAY_HELLO)) == 9
    assert (str(vllm.requests[0].url), vllm.sent[0]["messages"]) == (
        "http://127.0.0.1:8000/tokenize", [{"role": "user", "content": "Say hello."}],
    )  # fmt: skip
    llamacpp = Wire(json_reply({"prompt": "<user>Say hello.<end>"}), json_reply({"tokens": [1, 2, 3]}))
    assert asyncio.run(model_on(llamacpp, "llamacpp").count_prompt_tokens(SAY_HELLO)) == 3
    assert [request.url.path for request in llamacpp.requests] == ["/apply-template", "/tokenize"]
    assert llamacpp.sent[1]["content"] == "<user>Say hello.<end>"


def test_a_server_that_cannot_count_is_asked_once() -> None:
    wire = Wire(error(ANTHROPIC, 404, "Not Found"))
    model = model_on(wire, ANTHROPIC)

    async def twice() -> list[int | None]:
        return [await model.count_prompt_tokens(SAY_HELLO), await model.count_prompt_tokens(SAY_HELLO)]

    assert asyncio.run(twice()) == [None, None]
    assert len(wire.sent) == 1
    assert asyncio.run(model_on(Wire(RuntimeError("not to be called")), OPENAI).count_prompt_tokens(SAY_HELLO)) is None


@BOTH
@pytest.mark.parametrize(
    "request_",
    [
        replace(SAY_HELLO, continuation="yes"),
        replace(SAY_HELLO, max_tokens=0),
        Request((Message("user", "a"), Message("system", "b")), max_tokens=1),
        Request((Message("user", "a"), Message("assistant", "b")), max_tokens=1),
    ],
    ids=["continuation", "no tokens", "late system text", "begun answer"],
)
def test_what_the_protocol_cannot_do_is_refused_before_it_is_sent(kind: str, request_: Request) -> None:
    possible = {ANTHROPIC: "assistant", OPENAI: "system"}[kind]  # as the last turn
    wire = Wire(whole(kind))
    if request_.continuation is None and request_.max_tokens and request_.messages[-1].role == possible:
        ask(model_on(wire, kind), request_)
        return
    with pytest.raises(RequestRejected):
        ask(model_on(wire, kind), request_)
    assert wire.sent == []


def test_little_is_kept_of_a_reply() -> None:
    reply = whole(OPENAI)
    reply.headers.update({"x-request-id": "req_7", "set-cookie": "secret=1", "x-ratelimit-remaining-tokens": "5"})
    answer = ask(model_on(Wire(reply), OPENAI))
    assert answer.request_id == "req_7"
    assert answer.raw == {
        "finished": "stop",
        "headers": {"x-request-id": "req_7", "x-ratelimit-remaining-tokens": "5"},
        "id": "chat_1",
    }


def test_what_a_model_is_called_in_what_is_kept() -> None:
    def identity(name: str, **options: Any) -> Any:
        return load_model(name, options=ModelOptions(**options)).identity

    assert identity("openai/gpt-9") == {"adapter": "openai.chat/1", "endpoint": "api.openai.com", "model": "gpt-9"}
    assert identity("anthropic/c") == {"adapter": "anthropic.messages/1", "endpoint": "api.anthropic.com", "model": "c"}
    assert identity("openai/gpt-9", extra={"top_p": 0.5})["extra"] == {"top_p": 0.5}
    same = [
        identity("openai/gpt-9", **each) for each in ({}, {"window": 5}, {"stream": False}, {"cache_prompts": True})
    ]
    assert len({trial_id(each, SAY_HELLO) for each in same}) == 1


@BOTH
def test_a_missing_key_is_told_before_anything_is_sent_or_imported(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = find_endpoint(kind)
    assert endpoint
    assert endpoint.key_env
    monkeypatch.delenv(endpoint.key_env)
    wire = Wire(whole(kind))
    with pytest.raises(AccessDenied, match=endpoint.key_env):
        ask(model_on(wire, kind))
    assert wire.sent == []
    code = (
        "import asyncio, sys\n"
        "from probes.models import load_model\n"
        "from probes.models.base import Message, ModelError, Request\n"
        f"model = load_model('{kind}/m')\n"
        "try: asyncio.run(model.complete(Request((Message('user', 'a'),), max_tokens=1)))\n"
        "except ModelError as err: print(err.kind, err)\n"
        "asyncio.run(model.aclose())\n"
        "print([name for name in ('anthropic', 'openai', 'httpx2', 'numpy', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"access_denied {endpoint.key_env} is not set, and {kind} needs a key\n[]\n"
