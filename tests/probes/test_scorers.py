"""Each scorer's verdicts on hostile answers; value@1 stays what it was (test_scoring.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.models.base import Completion
from probes.scoring import OUTCOMES, SCORER, SCORERS, find_scorer, score_answer, score_cell
from tokenizer.errors import UsageError, UserError

VALUES = ["48213", "77120", "90355"]
ONE = {"values": VALUES, "right": [0], "answer": "one", "name": "Brenmoor"}
ABSENT = {**ONE, "right": [], "name": "Holvick"}
ALL = {"values": [*VALUES, "11111"], "right": [0, 1, 2], "answer": "all", "name": "Brenmoor"}
COUNT = {"values": [], "right": [], "expected": ["7"], "answer": "number", "name": "Room 12"}
CHAIN = {
    "values": ["Brenmoor", "Holvick", "Selmwick", "Ulvgate"],
    "right": [0, 1, 2],
    "expected": ["Brenmoor", "Holvick", "Selmwick"],
    "answer": "names",
    "name": "Brenmoor",
}
WHO = {"values": ["Temwick", "Orsabel"], "right": [0], "answer": "one", "name": "Who has met Orsabel?"}


def scored(text, cell, stop_reason="stop", scorer=SCORER):
    return score_cell(Completion(text, stop_reason), cell, scorer)


ONE_RIGHT = [
    ("The passcode for Brenmoor is 48,213.", "stop", "hit"),
    ("Answer: **48213**", "stop", "hit"),
    ("48213.0", "stop", "hit"),
    ("Either 48213 or 77120.", "stop", "miss"),
    ("48213, 77120, 90355", "stop", "miss"),
    ("Not 77120, so it is\nAnswer: 48213", "stop", "hit"),
    ("<think>77120? 90355?</think>48213", "stop", "hit"),
    ("<think>48213, or was it", "max_tokens", "truncated"),
    ("<think>48213, or was it", "stop", "miss"),
    ("", "max_tokens", "truncated"),
    ("", "context_full", "truncated"),
    ("The passcode for Brenmoor is", "max_tokens", "truncated"),
    ("48213", "max_tokens", "hit"),
    ("77120", "max_tokens", "miss"),
    ("148213", "stop", "miss"),
    ("12345", "stop", "miss"),
    ("", "stop", "miss"),
    ("Not in the text.", "stop", "refusal"),
    ("Steht nicht im Text.", "stop", "refusal"),
    ("Not in the", "refusal", "refusal"),
    ("", "refusal", "refusal"),
    ("I'm sorry, it is 48213", "stop", "hit"),
    ("48213\n\nQuestion: what is it for Holvick?\nAnswer: 77120", "stop", "hit"),
    ("What is the passcode for Brenmoor?", "stop", "miss"),
    ("ERROR: none, it is 48213", "stop", "hit"),
]


@pytest.mark.parametrize(("text", "stop_reason", "outcome"), ONE_RIGHT)
def test_one_right_value(text, stop_reason, outcome):
    assert scored(text, ONE, stop_reason).outcome == outcome


def test_the_weaker_reading_is_kept():
    score = scored("77120, 48213", ONE)
    assert (score.outcome, score.given, score.lenient, score.share) == ("miss", (1, 0), True, None)
    assert scored("Answer: 77120\n\n(not 48213)", ONE).lenient
    assert not scored("77120", ONE).lenient


def test_any_of_several_accepted_answers_is_full_credit():
    either = {**ONE, "right": [0, 1]}
    for text in ("48213", "77120", "48213 or 77120"):
        assert scored(text, either).outcome == "hit"
    assert scored("48213 or 90355", either).outcome == "miss"
    assert scored("the blue one", {**ONE, "right": [], "expected": ["Blue one", "azure"]}).outcome == "hit"


@pytest.mark.parametrize(
    ("text", "stop_reason", "outcome", "lenient"),
    [
        ("Not in the text.", "stop", "hit", True),
        ("Steht nicht im Text.", "stop", "hit", True),
        ("The passcode for Holvick is not given.", "stop", "hit", True),
        ("There is none; for Brenmoor it is 48213.", "stop", "miss", True),
        ("48213", "stop", "miss", False),
        ("55555", "stop", "miss", False),
        ("A harbour.", "stop", "hit", False),
        ("", "stop", "miss", False),
        ("", "max_tokens", "truncated", False),
        ("", "refusal", "refusal", False),
    ],
)
def test_where_nothing_is_right(text, stop_reason, outcome, lenient):
    score = scored(text, ABSENT, stop_reason)
    assert (score.outcome, score.lenient) == (outcome, lenient)


def test_digits_of_the_name_are_no_made_up_value():
    assert scored("Room 12", {**ABSENT, "name": "Room 12"}).outcome == "hit"
    assert scored("Room 13", {**ABSENT, "name": "Room 12"}).outcome == "miss"


def test_a_made_up_word_is_no_abstention():
    absent = {**WHO, "right": [], "name": "Who is bald?"}
    assert scored("Quillon.", absent).outcome == "miss"
    assert scored("Nobody.", absent).outcome == "hit"


def test_names_in_the_question_are_no_candidates():
    assert scored("Temwick has met Orsabel.", WHO).outcome == "hit"
    assert scored("Temwick and Orsabel", {**WHO, "name": "Who is bald?"}).outcome == "miss"


@pytest.mark.parametrize(
    ("text", "stop_reason", "outcome", "share"),
    [
        ("48213, 77120 and 90355", "stop", "hit", 1.0),
        ("1. 90355\n2. 48,213\n3. 77120", "stop", "hit", 1.0),
        ("48213, 77120", "stop", "miss", 2 / 3),
        ("48213, 77120", "max_tokens", "truncated", 2 / 3),
        ("48213, 77120, 90355, 11111", "stop", "miss", 1.0),
        ("11111", "max_tokens", "miss", 0.0),
        ("not in the text", "stop", "refusal", 0.0),
    ],
)
def test_all_values(text, stop_reason, outcome, share):
    score = scored(text, ALL, stop_reason)
    assert (score.outcome, score.share) == (outcome, pytest.approx(share))


@pytest.mark.parametrize(
    ("text", "stop_reason", "outcome", "lenient"),
    [
        ("7", "stop", "hit", True),
        ("There are 7 of them for Room 12.", "stop", "hit", True),
        ("3 in the north and 4 in the south, so 7", "stop", "miss", True),
        ("3 in the north, 4 in the south.\nAnswer: 7", "stop", "hit", True),
        ("7 or 8", "stop", "miss", False),
        ("17", "stop", "miss", False),
        ("7.0", "stop", "hit", True),
        ("-7", "stop", "miss", False),
        ("seven", "stop", "miss", False),
        ("There are 7", "max_tokens", "truncated", False),  # of 70, perhaps
        ("There are 7 of", "max_tokens", "hit", True),
        ("not in the text", "stop", "refusal", False),
        ("", "max_tokens", "truncated", False),
    ],
)
def test_a_number(text, stop_reason, outcome, lenient):
    score = scored(text, COUNT, stop_reason)
    assert (score.outcome, score.lenient) == (outcome, lenient)


def test_names_of_a_chain():
    assert scored("Selmwick, Holvick, Brenmoor", CHAIN).outcome == "hit"
    partial = scored("Brenmoor and Selmwick", CHAIN)
    assert (partial.outcome, partial.given, partial.share) == ("miss", (0, 2), pytest.approx(2 / 3))
    assert scored("Brenmoor, Holvick, Selmwick, Ulvgate", CHAIN).outcome == "miss"
    assert scored("None.", {**CHAIN, "right": [], "expected": [], "name": "Yarlstow"}).outcome == "hit"


def test_old_cells_say_what_is_right_by_what_was_asked():
    assert scored("48213", {"values": VALUES, "asked": 0}).outcome == "hit"
    assert scored("not in the text", {"values": VALUES, "asked": None}).outcome == "hit"


@given(st.text(alphabet="4821370 ,.\nabnot", max_size=30), st.sampled_from(["stop", "max_tokens", "refusal"]))
def test_the_first_version_scores_as_it_did(text, stop_reason):
    completion = Completion(text, stop_reason)
    for asked in (0, None):
        cell = {"values": VALUES, "asked": asked, "name": "Brenmoor"}
        assert score_cell(completion, cell, "value@1") == score_answer(completion, VALUES, asked)


@given(
    st.text(max_size=30),
    st.sampled_from(["stop", "max_tokens", "refusal", "context_full", "other"]),
    st.sampled_from([ONE, ABSENT, ALL, COUNT, CHAIN, WHO]),
    st.sampled_from([*SCORERS, "regex:{value}"]),
)
def test_every_answer_has_one_verdict(text, stop_reason, cell, scorer):
    score = scored(text, cell, stop_reason, scorer)
    assert score.outcome in OUTCOMES
    assert score.outcome != "error"
    if not text and stop_reason in ("max_tokens", "context_full"):
        assert score.outcome == "truncated"
    if score.outcome == "hit" and cell["right"]:
        assert score.lenient


@pytest.mark.parametrize("scorer", [*SCORERS, "regex:x"])
def test_no_answer_is_an_error_and_a_likelihood_none(scorer):
    assert score_cell(None, ONE, scorer).outcome == "error"
    with pytest.raises(ValueError, match="likelihood"):
        score_cell(Completion("", "stop"), {**ONE, "measure": "likelihood"}, scorer)


@pytest.mark.parametrize(
    ("scorer", "text", "cell", "outcome"),
    [
        ("contains@1", "148213", ONE, "hit"),  # what older tools count, for better or worse
        ("contains@1", "48213 or 77120", ONE, "hit"),
        ("contains@1", "48,213", ONE, "miss"),
        ("contains@1", "77120", ONE, "miss"),
        ("contains@1", "TEMWICK", WHO, "hit"),
        ("contains@1", "48213 77120 90355", ALL, "hit"),
        ("contains@1", "48213 77120", ALL, "miss"),
        ("contains@1", "17", COUNT, "hit"),
        ("contains@1", "not in the text", ABSENT, "hit"),
        ("contains@1", "77120", ABSENT, "miss"),
        ("exact@1", "48213", ONE, "hit"),
        ("exact@1", " **48,213.** ", ONE, "hit"),
        ("exact@1", "It is 48213.", ONE, "miss"),
        ("exact@1", "77120, 48213 and 90355", ALL, "hit"),
        ("exact@1", "77120, 48213, 90355, 5", ALL, "miss"),
        ("exact@1", "Brenmoor\nHolvick\nSelmwick", CHAIN, "hit"),
        ("exact@1", "7", COUNT, "hit"),
        ("exact@1", "“Temwick”", WHO, "hit"),
        ("exact@1", "not in the text", ONE, "refusal"),
        ("exact@1", "not in the text", ABSENT, "hit"),
        ("regex:^48", "48213", ONE, "hit"),
        ("regex:^48", "It is 48213", ONE, "miss"),
        ("regex:is {value}", "It is 48213", ONE, "hit"),
        ("regex:is {value}", "It is 77120", ONE, "miss"),
        ("regex:{value}", "It is 77120", ABSENT, "miss"),
        ("regex:{value}", "not in the text", ABSENT, "hit"),
        ("regex:{value}", "not in the text", ONE, "refusal"),
        ("regex:{value}", "(", {**ONE, "values": ["("]}, "hit"),
    ],
)
def test_the_other_scorers(scorer, text, cell, outcome):
    assert scored(text, cell, scorer=scorer).outcome == outcome


@pytest.mark.parametrize(
    ("name", "says"),
    [("value@3", "did you mean value@"), ("", "the scorers are"), ("regex", "regex:PATTERN"), ("regex:(", "syntax")],
)
def test_what_is_no_scorer_is_refused(name, says):
    with pytest.raises(UsageError) as caught:
        find_scorer(name)
    assert says in caught.value.hint


def test_a_catastrophic_pattern_is_stopped(monkeypatch):
    monkeypatch.setattr("probes.scoring.PATTERN_SECONDS", 0.05)
    with pytest.raises(UserError, match=r"more than 0\.05 s"):
        scored("a" * 5000 + "b", ONE, scorer="regex:^(a|a|aa)+$")
