"""Hosted models against a real server on this machine that speaks both protocols and fails in every way it can."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx2
import pytest

from probes.models import load_model
from probes.models.base import (
    AccessDenied,
    Completion,
    ContextTooLong,
    Message,
    ModelError,
    RateLimited,
    Request,
    RequestRejected,
    Transient,
)
from probes.models.hosted import HostedModel
from probes.models.options import ModelOptions
from probes.models.sim_tokens import count_tokens
from probes.serving.failures import FAILURES
from probes.serving.server import Server, serving
from tests.probes.hosted_helpers import ANTHROPIC, OPENAI

BOTH = pytest.mark.parametrize("kind", [ANTHROPIC, OPENAI])
EITHER_WAY = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
pytestmark = pytest.mark.usefixtures("keys")

OUTCOMES: dict[str, type[ModelError] | str] = {
    "refused": Transient,
    "rate-limit": RateLimited,
    "rate-limit-bare": RateLimited,
    "quota": AccessDenied,
    "denied": AccessDenied,
    "overloaded": Transient,
    "server-error": Transient,
    "context-length": ContextTooLong,
    "dropped": Transient,
    "dropped-midway": Transient,
    "half-stream": Transient,
    "broken-json": Transient,
    "empty-body": Transient,
    "no-usage": "answer",
    "wrong-usage": "answer",
    "refusal": "refusal",
    "empty-answer": "empty",
}
TEXT = "It rained. The passcode for Brenmoor is 48213. We left early, and nobody minded. " * 20
QUESTION = "What is the passcode for Brenmoor? Answer with the passcode only."
ASK = Request((Message("user", f"{TEXT}\n\n{QUESTION}"),), max_tokens=64)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("sim/perfect", retry_after_s=7) as running:
        yield running


def served(server: Server, kind: str, **options: Any) -> HostedModel:
    """A model at the server; its client reads no certificates, which takes longer than all the rest."""
    base_url = server.url if kind == ANTHROPIC else f"{server.url}/v1"
    model = load_model(f"{kind}/served", base_url=base_url, options=ModelOptions(**options))
    assert isinstance(model, HostedModel)
    model.client_options["http_client"] = httpx2.AsyncClient(verify=False)
    return model


def ask(server: Server, kind: str, *requests: Request, **options: Any) -> list[Completion]:
    """The answers to these requests, one after the other, by one model."""

    async def all_of_them() -> list[Completion]:
        model = served(server, kind, **options)
        try:
            return [await model.complete(request) for request in requests]
        finally:
            await model.aclose()

    return asyncio.run(all_of_them())


@BOTH
@EITHER_WAY
def test_an_answer(server: Server, kind: str, stream: bool) -> None:
    (answer,) = ask(server, kind, ASK, stream=stream)
    assert (answer.text, answer.stop_reason, answer.model) == ("48213.", "stop", "served")
    assert answer.usage.input_tokens == count_tokens(ASK.messages[0].content)
    assert answer.usage.output_tokens == count_tokens("48213.")
    assert answer.request_id
    assert (answer.first_token_s is not None) is stream
    assert 0 <= (answer.first_token_s or 0) <= answer.latency_s


@BOTH
def test_an_answer_that_is_cut_at_its_limit(server: Server, kind: str) -> None:
    (answer,) = ask(server, kind, replace(ASK, max_tokens=1))
    assert (answer.stop_reason, "48213.".startswith(answer.text)) == ("max_tokens", True)


@EITHER_WAY
def test_log_probabilities_spell_the_answer(server: Server, stream: bool) -> None:
    (answer,) = ask(server, OPENAI, replace(ASK, logprobs=True), stream=stream)
    assert answer.logprobs
    assert "".join(each.token for each in answer.logprobs) == answer.text == "48213."
    assert all(each.logprob <= 0 for each in answer.logprobs)


def test_prompts_are_counted_before_they_are_asked(server: Server) -> None:
    async def counted(kind: str) -> int | None:
        model = served(server, kind)
        try:
            return await model.count_prompt_tokens(ASK)
        finally:
            await model.aclose()

    (answer,) = ask(server, ANTHROPIC, ASK)
    assert asyncio.run(counted(ANTHROPIC)) == answer.usage.input_tokens
    assert asyncio.run(counted(OPENAI)) is None


@BOTH
@EITHER_WAY
@pytest.mark.parametrize("failure", [name for name in FAILURES if name != "silence"])
def test_every_failure_is_what_it_should_be_and_the_next_attempt_is_answered(
    server: Server, kind: str, stream: bool, failure: str
) -> None:
    outcome = OUTCOMES[failure]
    before = server.calls
    server.failures.then(failure)
    if isinstance(outcome, str):
        (answer,) = ask(server, kind, ASK, stream=stream)
        assert {"answer": answer.text == "48213.", "empty": answer.text == ""}.get(outcome, True)
        assert (answer.stop_reason == "refusal") is (outcome == "refusal")
        if outcome == "answer":
            assert {answer.usage.input_tokens, answer.usage.output_tokens} <= {None, count_tokens("48213.")}
    else:
        with pytest.raises(ModelError) as caught:
            ask(server, kind, ASK, stream=stream)
        assert type(caught.value) is outcome
        if failure == "rate-limit":
            assert isinstance(caught.value, RateLimited)
            assert caught.value.retry_after == 7
        assert server.calls - before == (0 if failure == "refused" else 1)
    assert ask(server, kind, ASK, stream=stream)[0].text == "48213."


@BOTH
def test_silence_ends_with_the_callers_patience(kind: str) -> None:
    async def wait(server: Server) -> None:
        model = served(server, kind)
        task = asyncio.create_task(model.complete(ASK))
        while not server.calls:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.aclose()

    with serving("sim/perfect", script=["silence"]) as silent:
        asyncio.run(wait(silent))


@BOTH
def test_a_prompt_that_does_not_fit_the_servers_window(kind: str) -> None:
    with serving("sim/perfect", window=100) as small, pytest.raises(ContextTooLong):
        ask(small, kind, ASK)


@BOTH
def test_a_refused_parameter_is_left_out(kind: str) -> None:
    with serving("sim/perfect", rejects=["temperature"]) as picky:
        first, second = ask(picky, kind, replace(ASK, temperature=0.0), replace(ASK, temperature=0.0, sample=1))
        assert (first.text, first.dropped, second.dropped) == ("48213.", ("temperature",), ("temperature",))
        assert ["temperature" in body for body in picky.requests] == [True, False, False]


def test_what_is_marked_to_be_kept_is_written_once_and_read_afterwards() -> None:
    prefix = len(TEXT)
    long = replace(ASK, messages=(Message("user", f"{TEXT * 4}\n\n{QUESTION}"),), cache_prefix=4 * prefix)
    with serving("sim/perfect") as fresh:
        first, second = ask(fresh, ANTHROPIC, long, replace(long, sample=1), cache_prompts=True)
        plain = ask(fresh, ANTHROPIC, replace(long, sample=2))[0]
    assert first.usage.input_tokens == second.usage.input_tokens == plain.usage.input_tokens
    assert (first.usage.cache_write_tokens or 0) > 0
    assert (second.usage.cache_write_tokens, second.usage.cache_read_tokens) == (0, first.usage.cache_write_tokens)


def test_reasoning_is_counted_apart() -> None:
    with serving("sim/perfect", reasoning_tokens=30) as thinking:
        for kind in (ANTHROPIC, OPENAI):
            usage = ask(thinking, kind, replace(ASK, max_tokens=100))[0].usage
            assert (usage.reasoning_tokens, usage.output_tokens) == (30, 30 + count_tokens("48213."))


def test_many_calls_at_once_share_one_model(server: Server) -> None:
    async def all_at_once() -> list[str]:
        model = served(server, OPENAI)
        try:
            answers = await asyncio.gather(*(model.complete(replace(ASK, sample=n)) for n in range(30)))
        finally:
            await model.aclose()
        return [answer.text for answer in answers]

    assert asyncio.run(all_at_once()) == ["48213."] * 30


@BOTH
def test_the_client_that_users_get_does_not_follow_a_server_elsewhere(kind: str) -> None:
    asked = []

    class Moved(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(307)
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/steal")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    async def once() -> None:
        model = load_model(f"{kind}/served", base_url=f"http://127.0.0.1:{there.server_port}")
        try:
            await model.complete(ASK)
        finally:
            await model.aclose()

    with HTTPServer(("127.0.0.1", 0), Moved) as there:
        threading.Thread(target=there.serve_forever, daemon=True).start()
        with pytest.raises(RequestRejected, match="307"):
            asyncio.run(once())
        there.shutdown()
    assert len(asked) == 1
