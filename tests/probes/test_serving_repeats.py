"""A repeated question: the same answer, unless it asks for chance; and prompts that a reader rejects."""

import openai
import pytest

from probes.models.base import Message, Request
from probes.models.sim import simulated_model
from probes.serving.server import serving
from tests.probes.serving_helpers import PROMPT, ask_anthropic, ask_openai

READER = "sim/even?rate=0.5&seed=2"
SAMPLES = 5


def expected(temperature: float | None, samples: int) -> list[str]:
    """What the reader says of so many samples of the question, asked without a server."""
    model = simulated_model(READER)
    message = (Message("user", PROMPT),)
    requests = [Request(message, max_tokens=20, temperature=temperature, sample=number) for number in range(samples)]
    return [model.answer(request).text for request in requests]


def test_with_a_temperature_every_repeat_is_drawn_anew_in_an_order_that_comes_again() -> None:
    with serving(READER) as server:
        answers = [ask_openai(server, temperature=1.0, max_tokens=20) for _ in range(SAMPLES)]
    said = [answer.choices[0].message.content for answer in answers]
    assert said == expected(1.0, SAMPLES)
    assert len(set(said)) == 2  # found and not found


def test_so_it_is_in_the_other_protocol() -> None:
    with serving(READER) as server:
        answers = [ask_anthropic(server, extra_body={"temperature": 0.5}) for _ in range(SAMPLES)]
    assert [answer.content[0].text for answer in answers] == expected(0.5, SAMPLES)


@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"temperature": 1.0, "seed": 7}])
def test_without_one_or_with_a_seed_a_repeat_gets_the_same_answer(options: dict[str, float]) -> None:
    with serving(READER) as server:
        answers = [ask_openai(server, max_tokens=20, **options) for _ in range(3)]
    assert len({answer.choices[0].message.content for answer in answers}) == 1


def test_a_prompt_that_a_reader_rejects_is_a_bad_request_each_time() -> None:
    with serving("sim/flaky-late?late=1&early=0") as server:
        for _ in range(2):
            with pytest.raises(openai.BadRequestError, match="rejects this prompt"):
                ask_openai(server)
