"""The real SDKs, and our adapters over them, against the real llama.cpp server with the real small model."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from probes.models import load_model
from probes.models.base import Completion, ContextTooLong, Message, Model, Request, Transient
from probes.models.options import ModelOptions

SERVER = """
import os, sys
os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"] = "PASSIVE", "1000"
import xllamacpp as x
p = x.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.verbosity, p.cache_ram_mib = sys.argv[1], 1024, 1, 0, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 2
s = x.Server(p)
print(s.listening_address, flush=True)
sys.stdin.read()
"""
FACTS = "The ferry has 47 seats. The pier was built in 1912. The keeper's dog is called Bramble."
TURNS = [{"role": "user", "content": f"{FACTS}\n\nHow many seats does the ferry have?"}]
TOO_LONG = [{"role": "user", "content": "The tide came in over the stones. " * 200}]
SETTINGS = {"model": "smollm2", "max_tokens": 6}  # of more, a word may change with what the cache holds

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, str]]:
    """The one server of these tests, once one of them has asked for it."""
    with contextlib.ExitStack() as stack:
        yield _Once(stack)


class _Once(dict[str, str]):
    def __init__(self, stack: contextlib.ExitStack) -> None:
        super().__init__()
        self.stack = stack

    def start(self, weights: Path) -> str:
        if "address" not in self:
            command = [sys.executable, "-c", SERVER, str(weights)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.stack.enter_context(process)  # leaving it closes stdin, which ends it, and waits
            self["address"] = process.stdout.readline().strip()
        return self["address"]


@pytest.fixture
def address(running: _Once, smollm2: Path) -> str:
    return running.start(smollm2)


@pytest.fixture
def openai_client(address: str) -> Iterator[object]:
    import openai

    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(address: str) -> Iterator[object]:
    import anthropic

    with anthropic.Anthropic(base_url=address, api_key="none", max_retries=0) as client:
        yield client


def test_openai_chat_and_its_cached_tokens(openai_client):
    first = openai_client.chat.completions.create(messages=TURNS, temperature=0, **SETTINGS)
    again = openai_client.chat.completions.create(messages=TURNS, temperature=0, **SETTINGS)
    assert "47" in first.choices[0].message.content
    assert first.choices[0].finish_reason == "length"
    assert again.choices[0].message.content == first.choices[0].message.content
    assert again.usage.prompt_tokens == first.usage.prompt_tokens > 40
    assert again.usage.prompt_tokens_details.cached_tokens > again.usage.prompt_tokens - 10


def test_openai_streams_the_same_answer_and_then_the_usage(openai_client):
    whole = openai_client.chat.completions.create(messages=TURNS, temperature=0, **SETTINGS)
    chunks = list(
        openai_client.chat.completions.create(
            messages=TURNS, temperature=0, stream=True, stream_options={"include_usage": True}, **SETTINGS
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert sum(map(bool, pieces)) > 3
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_openai_log_probabilities(openai_client):
    answer = openai_client.chat.completions.create(
        messages=TURNS, temperature=0, logprobs=True, top_logprobs=3, **SETTINGS
    )
    content = answer.choices[0].logprobs.content
    assert "".join(entry.token for entry in content) == answer.choices[0].message.content
    for entry in content:
        assert entry.logprob <= 0
        assert [other.logprob for other in entry.top_logprobs] == sorted(
            (other.logprob for other in entry.top_logprobs), reverse=True
        )
        assert entry.top_logprobs[0].token == entry.token, "at temperature 0 the likeliest token is taken"


def test_openai_stop_sequences_and_limits(openai_client):
    whole = openai_client.chat.completions.create(messages=TURNS, temperature=0, **SETTINGS).choices[0]
    cut = openai_client.chat.completions.create(messages=TURNS, temperature=0, stop=["47"], **SETTINGS).choices[0]
    assert cut.message.content == whole.message.content.partition("47")[0]
    assert cut.finish_reason == "stop"
    short = openai_client.chat.completions.create(messages=TURNS, temperature=0, model="smollm2", max_tokens=2)
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 2


def test_openai_responses_and_their_count_of_input_tokens(openai_client):
    counted = openai_client.responses.input_tokens.count(model="smollm2", input=TURNS[0]["content"])
    answer = openai_client.responses.create(
        model="smollm2", input=TURNS[0]["content"], max_output_tokens=6, temperature=0
    )
    assert "47" in answer.output_text
    assert answer.usage.input_tokens == counted.input_tokens > 40


def test_openai_json_schema(openai_client):
    seats = {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]}
    form = {"type": "json_schema", "json_schema": {"name": "ferry", "schema": seats, "strict": True}}
    answer = openai_client.chat.completions.create(
        messages=TURNS, temperature=0, model="smollm2", max_tokens=24, response_format=form
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["seats"], int)


def test_openai_four_calls_at_once_on_one_slot(address):
    import openai

    async def four() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            asked = (client.chat.completions.create(messages=TURNS, temperature=0, **SETTINGS) for _ in range(4))
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    answers = asyncio.run(four())
    assert len(answers) == 4
    assert all("47" in answer for answer in answers)


def test_openai_what_this_server_does_not_do(openai_client):
    import openai

    with pytest.raises(openai.BadRequestError):
        openai_client.chat.completions.create(messages=TURNS, n=2, **SETTINGS)
    with pytest.raises(openai.APIStatusError):
        openai_client.embeddings.create(model="smollm2", input="ferry")
    legacy = openai_client.completions.create(model="smollm2", prompt=FACTS, max_tokens=2, logprobs=1, echo=True)
    assert not legacy.choices[0].text.startswith(FACTS), "echo gives nothing of the prompt, so no log-probabilities"
    assert not (legacy.choices[0].logprobs and legacy.choices[0].logprobs.token_logprobs), "llama.cpp has its own shape"


def test_openai_log_probability_of_a_given_answer_by_a_grammar(openai_client):
    def forced(value: str) -> float:
        answer = openai_client.chat.completions.create(
            messages=[*TURNS, {"role": "assistant", "content": "The number of seats is "}],
            model="smollm2", max_tokens=8, temperature=0, logprobs=True,
            extra_body={"grammar": f'root ::= "{value}"'},
        )  # fmt: skip
        assert answer.choices[0].message.content.endswith(value)
        return sum(entry.logprob for entry in answer.choices[0].logprobs.content if entry.token)

    assert forced("47") > forced("83"), "the unconstrained log-probabilities are reported"


def test_openai_over_the_window(openai_client):
    import openai

    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.chat.completions.create(messages=TOO_LONG, **SETTINGS)
    assert caught.value.body["type"] == "exceed_context_size_error"
    assert caught.value.body["n_prompt_tokens"] > caught.value.body["n_ctx"] == 1024


def test_anthropic_messages_and_their_tokens(anthropic_client):
    counted = anthropic_client.messages.count_tokens(model="smollm2", messages=TURNS)
    answer = anthropic_client.messages.create(messages=TURNS, extra_body={"temperature": 0}, **SETTINGS)
    assert "47" in answer.content[0].text
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) == counted.input_tokens > 40


def test_anthropic_streams_the_same_answer(anthropic_client):
    whole = anthropic_client.messages.create(messages=TURNS, extra_body={"temperature": 0}, **SETTINGS)
    with anthropic_client.messages.stream(messages=TURNS, extra_body={"temperature": 0}, **SETTINGS) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == whole.content[0].text == final.content[0].text
    assert len(pieces) > 3
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_anthropic_beginnings_system_turns_and_stop_sequences(anthropic_client):
    begun = [*TURNS, {"role": "assistant", "content": "The number of seats is"}]
    plain = anthropic_client.messages.create(messages=begun, extra_body={"temperature": 0}, **SETTINGS)
    assert "47" in plain.content[0].text
    told = anthropic_client.messages.create(
        messages=begun,
        system="Answer in one word. " * 20,  # longer than the template's own system turn
        stop_sequences=["7"],
        extra_body={"temperature": 0},
        **SETTINGS,
    )
    read = [answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) for answer in (plain, told)]
    assert read[1] > read[0], "the system turn is read"
    assert "7" not in told.content[0].text
    assert told.stop_reason == "end_turn"


def test_anthropic_blocks_marked_to_be_cached_and_the_list_of_models(anthropic_client):
    marked = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "Answer in one word. " * 20, **marked}]
    turns = [{"role": "user", "content": [{"type": "text", "text": TURNS[0]["content"], **marked}]}]
    first, again = (
        anthropic_client.messages.create(
            messages=turns, system=system, extra_body={"temperature": 0}, **SETTINGS
        )
        for _ in range(2)
    )  # fmt: skip
    assert again.content[0].text == first.content[0].text
    assert again.usage.cache_read_input_tokens > again.usage.input_tokens, "input_tokens leaves out cached ones"
    assert [model.id for model in anthropic_client.models.list()]


def test_anthropic_takes_the_temperature_only_beside_its_parameters(anthropic_client):
    with pytest.raises(TypeError, match="temperature"):
        anthropic_client.messages.create(messages=TURNS, temperature=0, **SETTINGS)


def test_anthropic_over_the_window(anthropic_client):
    import anthropic

    with pytest.raises(anthropic.BadRequestError) as caught:
        anthropic_client.messages.create(messages=TOO_LONG, **SETTINGS)
    assert caught.value.body["error"]["type"] == "exceed_context_size_error"


# ------------------------------------------------------------------------------------------------ our adapters


def complete(name: str, address: str, *requests: Request, **options: object) -> list[Completion]:
    base_url = address if name.startswith("anthropic/") else f"{address}/v1"

    async def work() -> list[Completion]:
        model = load_model(name, base_url=base_url, options=ModelOptions(**options))
        try:
            return [await answered(model, request) for request in requests]
        finally:
            await model.aclose()

    return asyncio.run(work())


async def answered(model: Model, request: Request) -> Completion:
    """The server may close a kept connection in the moment it is used again; then once more, as the runner does."""
    try:
        return await model.complete(request)
    except Transient:
        return await model.complete(request)


QUESTION = Message("user", TURNS[0]["content"])
PLAIN = Request((QUESTION,), max_tokens=6, temperature=0.0)
HOSTED = pytest.mark.parametrize("name", ["openai/smollm2", "anthropic/smollm2"])


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "none")


@HOSTED
def test_our_adapters_get_the_answer_with_its_tokens_streamed_or_whole(name, address):
    stopping = Request((QUESTION,), max_tokens=6, temperature=0.0, stop=("7",))
    system = Request((Message("system", "Answer in one word. " * 20), QUESTION), max_tokens=6)
    streamed, stopped, told = complete(name, address, PLAIN, stopping, system)
    (whole,) = complete(name, address, PLAIN, stream=False)
    assert "47" in streamed.text
    assert streamed.text == whole.text
    assert streamed.stop_reason == whole.stop_reason == "max_tokens"
    assert 0 < streamed.first_token_s <= streamed.latency_s
    assert streamed.usage.output_tokens == whole.usage.output_tokens == 6
    assert read(streamed) == read(whole) > 40
    assert stopped.text == streamed.text.partition("7")[0]
    assert stopped.stop_reason == "stop"
    assert read(told) > read(streamed)


def read(completion: Completion) -> int:
    """Prompt tokens; those from the server's cache are told apart in one protocol and counted with them in both."""
    assert completion.usage.input_tokens is not None
    return completion.usage.input_tokens


@HOSTED
def test_our_adapters_say_that_a_prompt_does_not_fit(name, address):
    with pytest.raises(ContextTooLong):
        complete(name, address, Request((Message("user", TOO_LONG[0]["content"]),), max_tokens=6))


def test_our_adapter_gets_log_probabilities(address):
    (one,) = complete("openai/smollm2", address, replace(PLAIN, logprobs=True))
    assert "".join(token.token for token in one.logprobs) == one.text
    assert all(token.logprob <= 0 for token in one.logprobs)


@pytest.mark.parametrize("name", ["openai/smollm2", "anthropic/smollm2", "llamacpp/smollm2"])
def test_our_adapters_count_a_prompt_as_the_server_does(name, address):
    async def work() -> int | None:
        model = load_model(name, base_url=address if name.startswith("anthropic/") else f"{address}/v1")
        try:
            return await model.count_prompt_tokens(PLAIN)
        finally:
            await model.aclose()

    counted = asyncio.run(work())
    (answered,) = complete(name, address, PLAIN)
    assert counted in (read(answered), None), "exactly, or not at all"
    assert (counted is None) is name.startswith("openai/")
