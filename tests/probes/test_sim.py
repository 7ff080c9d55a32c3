"""Simulated readers have just the bias that they are documented to have, and read nothing but the request."""

import asyncio
import math

import pytest

from probes.models.base import Message, Request, Transient
from probes.models.sim import simulated_model
from tokenizer.errors import UsageError

FILLER = "A calm sentence stands here and says nothing at all. "


def prompt(depth: float, number: int = 0, *, planted: bool = True) -> Request:
    before = round(40 * depth)
    needle = f"The passcode for Brenmoor is {10000 + number}. " if planted else ""
    text = FILLER * before + needle + FILLER * (40 - before)
    return Request((Message("user", f"{text}\n\nWhat is the passcode for Brenmoor?"),), max_tokens=32)


def rate(name: str, depth: float) -> float:
    model = simulated_model(name)
    return sum(model.answer(prompt(depth, number)).text == f"{10000 + number}." for number in range(300)) / 300


def test_a_perfect_reader_finds_everything_and_misses_what_is_not_there() -> None:
    assert rate("sim/perfect", 0.5) == 1.0
    answer = simulated_model("sim/perfect").answer(prompt(0.5, planted=False))
    assert answer.text == "It is not in the text."


@pytest.mark.parametrize(
    ("name", "depth", "expected"),
    [
        ("sim/u-shape?edge=0.9&middle=0.3", 0.02, 0.9),
        ("sim/u-shape?edge=0.9&middle=0.3", 0.5, 0.3),
        ("sim/u-shape?edge=0.9&middle=0.3", 0.98, 0.9),
        ("sim/recency?near=0.9&far=0.2", 0.1, 0.2),
        ("sim/recency?near=0.9&far=0.2", 0.95, 0.9),
        ("sim/primacy?near=0.9&far=0.2", 0.05, 0.9),
        ("sim/primacy?near=0.9&far=0.2", 0.6, 0.2),
    ],
)
def test_the_documented_rates_hold(name: str, depth: float, expected: float) -> None:
    three_errors = 3 * math.sqrt(expected * (1 - expected) / 300)
    assert rate(name, depth) == pytest.approx(expected, abs=three_errors)


def test_the_same_request_gets_the_same_answer_and_another_seed_another() -> None:
    requests = [prompt(0.5, number) for number in range(50)]
    answers = [simulated_model("sim/u-shape").answer(request).text for request in requests]
    assert answers == [simulated_model("sim/u-shape").answer(request).text for request in requests]
    assert answers != [simulated_model("sim/u-shape?seed=2").answer(request).text for request in requests]


def test_the_guesser_gives_the_last_value_whatever_is_asked() -> None:
    text = "The passcode for Brenmoor is 11111. The passcode for Castelin is 22222. What is the passcode for Vashost?"
    request = Request((Message("user", text),), max_tokens=32)
    assert simulated_model("sim/guesser").answer(request).text == "22222."


def test_probabilities_of_values_sum_to_one_and_favour_the_right_one() -> None:
    text = " ".join(
        f"The quota for Name{letter} is {value}." for letter, value in zip("abc", (11, 22, 33), strict=True)
    )
    messages = (Message("user", text), Message("assistant", "The quota for Namea is"))
    model = simulated_model("sim/u-shape")
    probabilities = {}
    for value in (11, 22, 33):
        completion = model.answer(Request(messages, continuation=f" {value}"))
        assert completion.logprobs is not None
        probabilities[value] = math.exp(completion.logprobs[0].logprob)
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert max(probabilities, key=probabilities.__getitem__) == 11


def test_an_answer_is_cut_at_its_limit_and_says_so() -> None:
    short = Request(prompt(0.5).messages, max_tokens=1)
    answer = simulated_model("sim/perfect").answer(short)
    assert answer.stop_reason == "max_tokens"
    assert len(answer.text) == 4


def test_flaky_fails_its_share_of_the_calls_and_answers_the_rest() -> None:
    model = simulated_model("sim/flaky?fail=0.5")

    async def calls() -> int:
        failed = 0
        for number in range(200):
            try:
                await model.complete(prompt(0.5, number))
            except Transient:
                failed += 1
        return failed

    assert 70 <= asyncio.run(calls()) <= 130


def test_latency_is_no_part_of_the_identity_and_rates_are() -> None:
    assert simulated_model("sim/perfect?latency_ms=20").identity == simulated_model("sim/perfect").identity
    assert simulated_model("sim/u-shape?edge=0.9").identity != simulated_model("sim/u-shape").identity


@pytest.mark.parametrize(
    "name",
    [
        "sim/nobody",
        "sim/u-shape?edge=2",
        "sim/u-shape?edge=x",
        "sim/perfect?edge=0.5",
        "sim/perfect?latency_ms=-1",
        "sim/perfect?seed=inf",
    ],
)
def test_nonsense_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        simulated_model(name)
    assert caught.value.hint
