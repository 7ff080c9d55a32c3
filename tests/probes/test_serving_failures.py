"""Every kind of failure of the loopback server, as the real SDKs of both providers meet it."""

import json

import anthropic
import httpx2
import openai
import pytest

from probes.serving.failures import FAILURES, FailurePlan
from probes.serving.server import serving
from tests.probes.serving_helpers import USER, anthropic_client, ask_anthropic, ask_openai, openai_client
from tokenizer.errors import UsageError

# What each kind of failure is to each SDK, for a plain question: the class that it raises.
RAISED: dict[str, tuple[type[Exception], type[Exception]]] = {
    "refused": (openai.APIConnectionError, anthropic.APIConnectionError),
    "rate-limit": (openai.RateLimitError, anthropic.RateLimitError),
    "rate-limit-bare": (openai.RateLimitError, anthropic.RateLimitError),
    "quota": (openai.RateLimitError, anthropic.BadRequestError),
    "denied": (openai.AuthenticationError, anthropic.AuthenticationError),
    "overloaded": (openai.InternalServerError, anthropic.InternalServerError),
    "server-error": (openai.InternalServerError, anthropic.InternalServerError),
    "context-length": (openai.BadRequestError, anthropic.BadRequestError),
    "dropped": (openai.APIConnectionError, anthropic.APIConnectionError),
    "dropped-midway": (openai.APIConnectionError, anthropic.APIConnectionError),
    "half-stream": (json.JSONDecodeError, json.JSONDecodeError),
    "broken-json": (json.JSONDecodeError, json.JSONDecodeError),
    "empty-body": (json.JSONDecodeError, json.JSONDecodeError),
}


@pytest.mark.parametrize("kind", RAISED)
def test_a_failure_is_what_the_sdks_take_it_for_and_the_next_attempt_is_answered(kind: str) -> None:
    with serving("sim/perfect", script=[kind, None, kind, None]) as server:
        for ask, error in zip((ask_openai, ask_anthropic), RAISED[kind], strict=True):
            with pytest.raises(error):
                ask(server)
            assert ask(server).usage is not None
        assert server.failed == {kind: 2}


def test_words_codes_and_headers_of_errors_are_the_providers() -> None:
    kinds = ["rate-limit", "rate-limit-bare", "quota", "overloaded", "context-length"]
    with serving("sim/perfect", script=[*kinds, *kinds], retry_after_s=0.25, window=100) as server:
        openai_errors, anthropic_errors = {}, {}
        for kind in kinds:
            with pytest.raises(openai.APIStatusError) as caught:
                ask_openai(server)
            openai_errors[kind] = caught.value
        for kind in kinds:
            with pytest.raises(anthropic.APIStatusError) as raised:
                ask_anthropic(server)
            anthropic_errors[kind] = raised.value
    for errors in (openai_errors, anthropic_errors):
        assert errors["rate-limit"].response.headers["retry-after"] == "0.25"
        assert "retry-after" not in errors["rate-limit-bare"].response.headers
        assert "retry-after" not in errors["quota"].response.headers
    assert openai_errors["quota"].code == "insufficient_quota"
    assert openai_errors["context-length"].code == "context_length_exceeded"
    assert "maximum context length is 100 tokens" in openai_errors["context-length"].message
    assert (openai_errors["overloaded"].status_code, anthropic_errors["overloaded"].status_code) == (503, 529)
    assert anthropic_errors["overloaded"].type == "overloaded_error"
    assert "credit balance is too low" in anthropic_errors["quota"].message
    assert "prompt is too long" in anthropic_errors["context-length"].message


@pytest.mark.parametrize("kind", ["half-stream", "dropped-midway", "broken-json", "empty-body"])
def test_a_stream_that_is_hurt_never_reaches_its_end(kind: str) -> None:
    with serving("sim/perfect", script=[kind, kind]) as server:
        finish, stop = [], []
        try:
            finish = [chunk.choices[0].finish_reason for chunk in ask_openai(server, stream=True) if chunk.choices]
        except (openai.APIConnectionError, json.JSONDecodeError):
            assert kind in ("dropped-midway", "broken-json")
        else:
            assert kind in ("half-stream", "empty-body")
        try:
            stop = [event.type for event in ask_anthropic(server, stream=True)]
        except (anthropic.APIConnectionError, httpx2.RemoteProtocolError, json.JSONDecodeError):
            assert kind in ("dropped-midway", "broken-json")
    assert "stop" not in finish
    assert "message_stop" not in stop


def test_nonsense_for_usage_is_caught_by_the_strict_and_met_by_the_lenient() -> None:
    for kind in ("no-usage", "wrong-usage"):
        with serving("sim/perfect", script=[kind] * 4) as server:
            with openai_client(server, _strict_response_validation=False) as client:
                lenient = client.chat.completions.create(model="sim", messages=USER)
                assert lenient.choices[0].message.content == "48213."
                assert lenient.usage is None or lenient.usage.prompt_tokens == -7
            with anthropic_client(server, _strict_response_validation=False) as client:
                message = client.messages.create(model="sim", max_tokens=20, messages=USER)
                assert message.usage is None or message.usage.input_tokens == -7
            with pytest.raises(anthropic.APIResponseValidationError):
                ask_anthropic(server)


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_has_each_providers_form(stream: bool) -> None:
    with serving("sim/perfect", failures={"refusal": 1}) as server:
        answer, message = ask_openai(server, stream=stream), ask_anthropic(server, stream=stream)
        if stream:
            assert "".join(chunk.choices[0].delta.refusal or "" for chunk in answer).startswith("I'm sorry")
            events = {event.type: event for event in message}
            assert events["message_delta"].delta.stop_reason == "refusal"
            assert "content_block_delta" not in events
        else:
            assert answer.choices[0].message.content is None
            assert answer.choices[0].message.refusal.startswith("I'm sorry")
            assert (message.stop_reason, message.content) == ("refusal", [])
            assert message.stop_details.type == "refusal"


def test_an_empty_answer_is_an_answer() -> None:
    with serving("sim/perfect", failures={"empty-answer": 1}) as server:
        choice = ask_openai(server).choices[0]
        assert (choice.message.content, choice.finish_reason) == ("", "stop")
        message = ask_anthropic(server)
        assert (message.content, message.stop_reason) == ([], "end_turn")
        assert message.usage.output_tokens == 0


def test_silence_lasts_until_the_client_gives_up() -> None:
    with serving("sim/perfect", script=["silence", "silence"]) as server:
        with openai_client(server, timeout=0.1) as client, pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="sim", messages=USER)
        with anthropic_client(server, timeout=0.1) as client, pytest.raises(anthropic.APITimeoutError):
            client.messages.create(model="sim", max_tokens=9, messages=USER)
        assert ask_openai(server).choices[0].message.content == "48213."


def test_nobody_listens_while_the_server_refuses() -> None:
    with serving("sim/perfect") as server, openai_client(server) as client:
        assert client.models.list().data
        with server.refuse(), pytest.raises(openai.APIConnectionError) as caught:
            client.chat.completions.create(model="sim", messages=USER)
        assert isinstance(caught.value.__cause__, httpx2.ConnectError)
        assert client.chat.completions.create(model="sim", messages=USER).choices[0].message.content == "48213."
        assert server.calls == 1


def test_rates_fail_their_share_and_the_same_calls_again_for_the_same_seed() -> None:
    def kinds(seed: int) -> list[str | None]:
        plan = FailurePlan({"rate-limit": 0.2, "server-error": 0.1}, seed=seed)
        return [plan.of_question(b"%d" % (number % 500)) for number in range(2000)]

    first = kinds(1)
    assert first == kinds(1) != kinds(2)
    assert first[:500] != first[500:1000]  # another attempt at the same question is drawn anew
    assert 340 <= first.count("rate-limit") <= 460
    assert 150 <= first.count("server-error") <= 250


def test_connections_are_refused_at_their_rate() -> None:
    with serving("sim/perfect", failures={"refused": 0.5}, seed=3) as server, openai_client(server) as client:
        outcomes = []
        for _ in range(40):
            try:
                client.chat.completions.create(model="sim", messages=USER)
                outcomes.append("answered")
            except openai.APIConnectionError:
                outcomes.append("refused")
    assert server.failed["refused"] == outcomes.count("refused")
    assert 8 <= outcomes.count("refused") <= 32


@pytest.mark.parametrize(
    ("rates", "word"),
    [({"rate-limits": 0.1}, "rate-limit"), ({"quota": 1.5}, "from 0 to 1"), ({"quota": 0.6, "dropped": 0.6}, "lower")],
)
def test_nonsense_of_failures_is_refused(rates: dict[str, float], word: str) -> None:
    with pytest.raises(UsageError) as caught:
        FailurePlan(rates)
    assert word in caught.value.hint
    with pytest.raises(UsageError):
        FailurePlan({}, script=["nothing"])


def test_every_kind_of_failure_is_tried_here() -> None:
    others = {"no-usage", "wrong-usage", "refusal", "empty-answer", "silence"}
    assert {*RAISED, *others} == set(FAILURES)
