"""An answer is judged by the value it gives: never by its wording, and never as wrong when it is no answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.models.base import Completion
from probes.scoring import abstains, mentions, score_answer

VALUES = ["48213", "77120", "90355"]


def answer(text: str, stop_reason: str = "stop") -> Completion:
    return Completion(text, stop_reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value", "offsets"),
    [
        ("rooms 142 and 42", "42", [14]),
        ("It is 48213.", "48213", [6]),
        ("48,213 in all", "48213", [0]),
        ("48\u202f213 in all", "48213", [0]),
        ("148213", "48213", []),
        ("482130", "48213", []),
        ("48.213", "48213", [0]),
        ("4.42", "42", []),
        ("42.5", "42", []),
        ("42, 43", "42", [0]),
        ("**42**", "42", [2]),
        ("Brenmoor's", "Brenmoor", [0]),
        ("Brenmoorish", "Brenmoor", []),
        ("BRENMOOR", "Brenmoor", [0]),
    ],
)
def test_a_value_counts_only_when_it_stands_alone(text: str, value: str, offsets: list[int]) -> None:
    assert mentions(text, value) == offsets


@given(
    st.integers(10, 99999),
    st.text(alphabet="ab .", max_size=10),
    st.text(alphabet="0123456789", min_size=1, max_size=5),
)
def test_a_value_inside_a_longer_number_never_counts(value: int, text: str, digits: str) -> None:
    assert mentions(f"{text} {value}{digits}", str(value)) == []
    assert mentions(f"{text} {digits}{value}", str(value)) == []


@pytest.mark.parametrize(
    ("text", "stop_reason", "outcome", "given_values"),
    [
        ("The passcode for Brenmoor is 48213.", "stop", "hit", (0,)),
        ("48213", "max_tokens", "hit", (0,)),
        ("It is either 48213 or 77120.", "stop", "miss", (0, 1)),
        ("77120", "stop", "miss", (1,)),
        ("12345", "stop", "miss", ()),
        ("I'm sorry, the passcode is not mentioned.", "stop", "refusal", ()),
        ("I\u2019m sorry", "stop", "refusal", ()),
        ("", "refusal", "refusal", ()),
        ("The text tells of a harbour, and of", "max_tokens", "truncated", ()),
        ("The harbour.", "stop", "miss", ()),
        ("", "stop", "miss", ()),
    ],
)
def test_outcomes_of_a_question_with_an_answer(
    text: str, stop_reason: str, outcome: str, given_values: tuple[int, ...]
) -> None:
    score = score_answer(answer(text, stop_reason), VALUES, asked=0)
    assert (score.outcome, score.given) == (outcome, given_values)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("It is not in the text.", "hit"), ("48213", "miss"), ("55555", "miss"), ("None of them.", "hit")],
)
def test_where_nothing_is_right_giving_nothing_is_right(text: str, outcome: str) -> None:
    assert score_answer(answer(text), VALUES, asked=None).outcome == outcome


def test_an_error_is_no_answer_and_a_quoted_list_is_no_retrieval() -> None:
    assert score_answer(None, VALUES, asked=0).outcome == "error"
    listed = score_answer(answer(" ".join(VALUES)), VALUES, asked=1)
    assert listed.outcome == "miss"
    assert listed.lenient


def test_an_answer_that_contains_the_word_error_is_an_answer() -> None:
    assert score_answer(answer("ERROR: none, it is 48213"), VALUES, asked=0).outcome == "hit"


@pytest.mark.parametrize("text", ["It isn't stated.", "I cannot find it", "There is no passcode", "Unknown."])
def test_abstentions(text: str) -> None:
    assert abstains(text)


@pytest.mark.parametrize("text", ["The passcode is 48213.", "It is known.", "In the text: 48213"])
def test_answers_that_do_not_abstain(text: str) -> None:
    assert not abstains(text)
