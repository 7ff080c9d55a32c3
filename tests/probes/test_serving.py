"""The loopback server, asked by the real SDKs of both providers, which check every answer against their own types."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from probes.models.base import Message, Request
from probes.models.sim import simulated_model
from probes.models.sim_tokens import count_tokens
from probes.serving.server import Server, serving
from tests.probes.serving_helpers import PROMPT, TEXT, USER, anthropic_client, ask_anthropic, ask_openai, openai_client


@pytest.fixture(scope="module")
def perfect() -> Iterator[Server]:
    with serving("sim/perfect") as server:
        yield server


class TestOpenAI:
    def test_a_plain_answer(self, perfect: Server) -> None:
        answer = ask_openai(perfect)
        assert answer.choices[0].message.content == "48213."
        assert answer.choices[0].finish_reason == "stop"
        assert answer.model == "sim"
        assert answer.usage.prompt_tokens == count_tokens(PROMPT)
        assert answer.usage.completion_tokens == count_tokens("48213.")
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        assert answer._request_id.startswith("req_sim_")

    def test_a_streamed_answer_with_its_usage_last(self, perfect: Server) -> None:
        with openai_client(perfect) as client:
            chunks = list(
                client.chat.completions.create(
                    model="sim", messages=USER, stream=True, stream_options={"include_usage": True}
                )
            )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "48213."
        assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.prompt_tokens == count_tokens(PROMPT)
        assert all(chunk.usage is None for chunk in chunks[:-1])

    def test_the_limit_and_stop_sequences_end_an_answer(self, perfect: Server) -> None:
        for name in ("max_tokens", "max_completion_tokens"):
            cut = ask_openai(perfect, **{name: 1}).choices[0]
            assert (cut.message.content, cut.finish_reason) == ("4821", "length")
        stopped = ask_openai(perfect, stop=["21"]).choices[0]
        assert (stopped.message.content, stopped.finish_reason) == ("48", "stop")

    @pytest.mark.parametrize("stream", [False, True])
    def test_logprobs_are_those_of_the_tokens_of_the_answer(self, perfect: Server, stream: bool) -> None:
        answer = ask_openai(perfect, logprobs=True, top_logprobs=5, stream=stream)
        choices = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
        tokens = [token for choice in choices if choice.logprobs for token in choice.logprobs.content]
        assert "".join(token.token for token in tokens) == "48213."
        for token in tokens:
            assert len(token.top_logprobs) == 5
            assert token.top_logprobs[0].token == token.token
            assert token.logprob <= 0
            assert bytes(token.bytes) == token.token.encode()

    def test_what_an_earlier_prompt_began_with_is_cached(self) -> None:
        long = "A calm sentence stands here. " * 40
        with serving("sim/perfect") as server, openai_client(server) as client:
            cached = []
            for end in ("first", "second", "first"):
                messages: Any = [{"role": "user", "content": long + end}]
                usage = client.chat.completions.create(model="sim", messages=messages).usage
                cached.append(usage.prompt_tokens_details.cached_tokens)
        in_common = count_tokens(long)
        assert cached[0] == 0
        assert in_common - 16 < cached[1] <= in_common
        assert cached[1] <= cached[2] < count_tokens(long + "first")

    def test_parts_and_developer_messages_are_read(self, perfect: Server) -> None:
        parts: Any = [
            {"role": "developer", "content": TEXT},
            {"role": "user", "content": [{"type": "text", "text": "What is the passcode for Brenmoor?"}]},
        ]
        with openai_client(perfect) as client:
            answer = client.chat.completions.create(model="sim", messages=parts)
        assert answer.choices[0].message.content == "48213."

    @pytest.mark.parametrize(
        "body",
        [
            {"messages": []},
            {"messages": "text"},
            {"messages": [{"role": "nobody", "content": "x"}]},
            {"messages": [{"role": "user", "content": 5}]},
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            {"messages": USER, "max_tokens": 0},
            {"messages": USER, "max_tokens": "many"},
            {"messages": USER, "n": 2},
            {"messages": USER, "temperature": 3},
            {"messages": USER, "top_logprobs": 5},
            {"messages": USER, "stop": [""]},
        ],
    )
    def test_a_wrong_body_is_a_bad_request(self, perfect: Server, body: dict[str, Any]) -> None:
        with openai_client(perfect) as client, pytest.raises(openai.BadRequestError) as caught:
            client.post("/chat/completions", body=body, cast_to=object)
        assert caught.value.type == "invalid_request_error"

    def test_models_and_tokens(self, perfect: Server) -> None:
        with openai_client(perfect) as client:
            assert [model.id for model in client.models.list()] == ["sim"]
            assert client.models.retrieve("sim").object == "model"
        for body in (
            {"prompt": "48213."},
            {"content": "48213."},
            {"messages": [{"role": "user", "content": "48213."}]},
        ):
            reply = httpx2.post(f"{perfect.url}/tokenize", json={"model": "sim", **body}).json()
            assert (reply["count"], len(reply["tokens"])) == (2, 2)


class TestAnthropic:
    def test_a_plain_answer(self, perfect: Server) -> None:
        answer = ask_anthropic(perfect)
        assert [block.text for block in answer.content] == ["48213."]
        assert answer.stop_reason == "end_turn"
        assert answer.usage.input_tokens == count_tokens(PROMPT)
        assert answer.usage.output_tokens == 2
        assert answer._request_id.startswith("req_sim_")

    def test_a_stream_has_every_event_in_order(self, perfect: Server) -> None:
        events = list(ask_anthropic(perfect, stream=True))
        kinds = [event.type for event in events]
        assert kinds == [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == "48213."
        assert events[0].message.usage.input_tokens == count_tokens(PROMPT)
        assert events[-2].usage.output_tokens == 2
        assert events[-2].delta.stop_reason == "end_turn"

    def test_the_sdks_own_stream_helper_puts_it_together(self, perfect: Server) -> None:
        with (
            anthropic_client(perfect) as client,
            client.messages.stream(model="sim", max_tokens=20, messages=USER) as stream,
        ):
            whole = stream.get_final_message()
        assert whole.content[0].text == "48213."
        assert whole.usage.output_tokens == 2

    def test_the_limit_and_stop_sequences_end_an_answer(self, perfect: Server) -> None:
        assert ask_anthropic(perfect, max_tokens=1).stop_reason == "max_tokens"
        stopped = ask_anthropic(perfect, stop_sequences=["21", "13"])
        assert (stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence) == ("48", "stop_sequence", "21")

    def test_a_beginning_of_the_answer_is_continued(self, perfect: Server) -> None:
        turns = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": "The passcode for Brenmoor is"}]
        assert ask_anthropic(perfect, messages=turns).content[0].text == " 48213."

    def test_marked_pieces_are_written_to_the_cache_and_read_from_it(self) -> None:
        def turns(mark: bool, end: str) -> list[dict[str, Any]]:
            marked = {"cache_control": {"type": "ephemeral"}} if mark else {}
            content = [{"type": "text", "text": TEXT, **marked}, {"type": "text", "text": end}]
            return [{"role": "user", "content": content}]

        with serving("sim/perfect") as server:
            usages = [
                ask_anthropic(server, messages=turns(mark, end)).usage
                for mark, end in ((False, "One?"), (True, "Two?"), (True, "Three?"), (False, "Two?"))
            ]
            whole = [ask_anthropic(server, cache_control={"type": "ephemeral"}).usage for _ in range(2)]
        text = count_tokens(TEXT)
        assert [usage.cache_creation_input_tokens for usage in usages] == [0, text, 0, 0]
        assert [usage.cache_read_input_tokens for usage in usages] == [0, 0, text, 0]
        assert [usage.input_tokens for usage in usages] == [text + 1, 1, 2, text + 1]
        assert [usage.cache_read_input_tokens for usage in whole] == [0, count_tokens(PROMPT)]

    def test_system_texts_count_and_are_read(self, perfect: Server) -> None:
        system = [{"type": "text", "text": TEXT}]
        question: Any = [{"role": "user", "content": "What is the passcode for Brenmoor?"}]
        answer = ask_anthropic(perfect, system=system, messages=question)
        assert answer.content[0].text == "48213."
        with anthropic_client(perfect) as client:
            counted = client.messages.count_tokens(model="sim", system=TEXT, messages=question).input_tokens
        assert counted == answer.usage.input_tokens == count_tokens(TEXT) + count_tokens(question[0]["content"])

    @pytest.mark.parametrize(
        "body",
        [
            {"max_tokens": 0},
            {"messages": []},
            {"messages": [{"role": "assistant", "content": "x"}]},
            {"messages": [{"role": "user", "content": ""}]},
            {"messages": [*USER, {"role": "assistant", "content": "It is "}]},
            {"messages": [{"role": "system", "content": "x"}]},
            {"extra_body": {"temperature": 1.5}},
        ],
    )
    def test_a_wrong_body_is_a_bad_request(self, perfect: Server, body: dict[str, Any]) -> None:
        with pytest.raises(anthropic.BadRequestError):
            ask_anthropic(perfect, **body)

    def test_models(self, perfect: Server) -> None:
        with anthropic_client(perfect) as client:
            assert [model.id for model in client.models.list()] == ["sim"]
            assert client.models.retrieve("sim").display_name == "sim"


def test_the_context_window_reasoning_and_rejected_parameters() -> None:
    with serving("sim/perfect", window=20) as server:
        with pytest.raises(openai.BadRequestError):
            ask_openai(server)
        reply = httpx2.post(f"{server.url}/tokenize", json={"prompt": "x"}).json()
        assert reply["max_model_len"] == 20
    with serving("sim/perfect", reasoning_tokens=7, rejects=["temperature"], models=["a"]) as server:
        with pytest.raises(openai.NotFoundError):
            ask_openai(server)
        with openai_client(server) as client:
            answer = client.chat.completions.create(model="a", messages=USER)
            assert answer.usage.completion_tokens_details.reasoning_tokens == 7
            assert answer.usage.completion_tokens == 9
            eaten = client.chat.completions.create(model="a", messages=USER, max_completion_tokens=7).choices[0]
            assert (eaten.message.content, eaten.finish_reason) == ("", "length")
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(model="a", messages=USER, temperature=0)
            assert (caught.value.param, caught.value.code) == ("temperature", "unsupported_parameter")
        assert ask_anthropic(server, model="a").usage.output_tokens_details.thinking_tokens == 7


def test_the_answers_are_those_of_the_reader_itself() -> None:
    model = simulated_model("sim/u-shape?edge=0.5&middle=0.5")
    with serving("sim/u-shape?edge=0.5&middle=0.5") as server, openai_client(server) as client:
        for number in range(20):
            prompt = PROMPT.replace("48213", str(10_000 + number))
            messages: Any = [{"role": "user", "content": prompt}]
            served = client.chat.completions.create(model="sim", messages=messages, max_tokens=32)
            own = model.answer(Request((Message("user", prompt),), max_tokens=32))
            assert served.choices[0].message.content == own.text
        assert [body["messages"] for body in server.requests][-1] == messages
        assert server.calls == 20


def test_sixty_four_at_a_time_are_all_answered() -> None:
    async def ask_all(url: str) -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model="sim", messages=USER) for _ in range(64))
            )
        return [answer.choices[0].message.content or "" for answer in answers]

    with serving("sim/perfect", latency_s=0.05) as server:
        assert asyncio.run(ask_all(server.url)) == ["48213."] * 64
        assert server.most_at_once > 32
