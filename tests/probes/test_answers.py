"""Values are found however they are written, and only where they stand for themselves."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers import as_number, declines, final_answer, find_numbers, find_values, is_value, normalised, without


def found(text: str, *values: str) -> list[str]:
    return [values[number] for number in find_values(normalised(text), values)]


SAME_NUMBER = [
    "48213", "48,213", "48.213", "48 213", "48\u00a0213", "48\u202f213", "48\u2009213", "48'213", "48’213", "48_213",
    "48213.0", "48213.00", "48,213.0", "48.213,0", "48{,}213", "48\\,213", "４８２１３", "٤٨٢١٣", "४८२१३", "٤٨٬٢١٣",
    "**48213**", "`48213`", "_48213_", "“48213”", "«48213»", "48213²", "$48213", "48213%", "(48213)", "#48213",
    "PIN-48213", "a - 48213", "-48213", "is—48213—yes", "4\u200b8213", "\\boxed{48213}", "48213?", "48213, 5",
    "密码是48213。", "48213[1]", "=48213", "№48213", "\n- 48213\n",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME_NUMBER)
def test_one_number_has_many_spellings(text):
    assert found(text, "48213") == ["48213"]


@pytest.mark.parametrize(
    "text",
    [
        "148213", "482130", "48213.5", "48213,7", "48,213,000", "148,213", "1,48213", "48213.000", "48 213 900", "4821",
        "48 2130", "A48213", "48213B", "48213e4", "3.48213", "is -48213", "7 048 213", "4 8 2 1 3",
        "forty-eight thousand", "0x48213", "48-213", "48:213", "482-13", "48/213", "٤٨٢١٣٠",
    ],
)  # fmt: skip
def test_other_numbers_are_other_numbers(text):
    assert found(text, "48213") == []


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("rooms 142 and 42", ["42"], ["42"]),
        ("room 142", ["42"], []),
        ("42.0", ["42"], ["42"]),
        ("2.5 kg", ["2.50"], ["2.50"]),
        ("2,5 kg", ["2.5"], ["2.5"]),
        ("12.5", ["2.5"], []),
        ("1 234 567 items", ["1234567"], ["1234567"]),
        ("1,234,567.00", ["1234567"], ["1234567"]),
        ("77120 then 48213", ["48213", "77120"], ["77120", "48213"]),
        ("123 456 789", ["123", "456", "789"], ["123", "456", "789"]),  # a list of three, as far as anyone can see
        ("48 213", ["213", "48213"], ["48213"]),  # the longer of two readings
        ("0421", ["0421"], ["0421"]),  # a code, not the number 421
        ("421", ["0421"], []),
        ("Brenmoor's mill", ["Brenmoor"], ["Brenmoor"]),
        ("BRENMOOR", ["Brenmoor"], ["Brenmoor"]),
        ("Brenmoorish", ["Brenmoor"], []),
        ("_Brenmoor_", ["Brenmoor"], ["Brenmoor"]),
        ("答案是Brenmoor。", ["Brenmoor"], ["Brenmoor"]),
        ("Brenmoor\n  Hall", ["Brenmoor", "Brenmoor Hall"], ["Brenmoor Hall"]),
        ("Brenmoor Hall and Brenmoor", ["Brenmoor", "Brenmoor Hall"], ["Brenmoor Hall", "Brenmoor"]),
        ("VAR_A and VAR_A_1", ["VAR_A"], ["VAR_A"]),
        ("VAR_A_1, VAR_AB", ["VAR_A"], []),
        ("9F0C–51be", ["9f0c-51be"], ["9f0c-51be"]),
        ("die STRASSE", ["Straße"], ["Straße"]),
        ("cafe\u0301", ["café"], ["café"]),
        ("213'213", ["213"], []),
        ("42.42", ["42"], []),
        ("42 42", ["42"], ["42"]),
        ("\ue000", ["42"], []),  # the mark that stands in for a value
        ("anything", ["", " "], []),
    ],
)
def test_values_stand_alone(text, values, expected):
    assert found(text, *values) == expected


@given(st.integers(10, 10**9), st.sampled_from([",", ".", " ", "\u202f", "'"]))
def test_grouped_thousands_are_the_same_number(number, separator):
    assert is_value(normalised(f"{number:,}".replace(",", separator)), str(number))


@given(st.integers(10, 99999), st.text(alphabet="0123456789", min_size=1, max_size=5))
def test_a_number_inside_a_longer_one_never_counts(value, digits):
    assert not found(f"{value}{digits}", str(value))
    assert not found(f"{digits}{value}", str(value))


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_that_matters(text):
    once = normalised(text)
    assert find_values(normalised(once), ["48213"]) == find_values(once, ["48213"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("48213", "48213"),
        ("First 77120, no.\n\nAnswer: 48213", "48213"),
        ("**Final Answer:** 48213", "48213"),
        ("### The answer is:\n48213", "48213"),
        ("Antwort: 48213", "48213"),
        ("Answer: 77120? No.\nAnswer: 48213\n\nThe other was 77120.", "48213"),
        ("Answer: 48213\n\nQuestion: and then?\nAnswer: 77120", "48213"),  # a model that goes on by itself
        ("Question: which?\nAnswer: 48213", "48213"),
        ("48213\nAnswer:", "48213\nanswer:"),
        ("<think>77120, or 90355?</think>\n48213", "48213"),
        ("77120...</think>48213", "48213"),  # the template held the opening tag
        ("<think>it may be 48213", ""),
        ("My answer is 48213, not 77120.", "my answer is 48213, not 77120."),
    ],
)
def test_what_the_answer_is(text, answer):
    assert final_answer(normalised(text)) == answer


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7", ["7"]), ("There are 7.", ["7"]), ("1,234 and 1 234", ["1234", "1234"]), ("7.0", ["7"]), ("-3", ["-3"]),
        ("5-7", ["5", "7"]), ("seven", []), ("1. apples\n2. pears\n3. plums", []), ("7.\n", ["7"]), ("x7", []),
        ("3,5", ["3.5"]), ("²", []), ("٧", ["7"]), ("12:30", ["12", "30"]), ("7 deliveries, 7", ["7", "7"]),
    ],
)  # fmt: skip
def test_numbers(text, numbers):
    assert [number for number, _ in find_numbers(normalised(text))] == list(map(Decimal, numbers))


def test_the_digits_of_a_name_are_no_answer():
    assert find_numbers(without("room 12 has 7", "Room 12")) == [(Decimal(7), 7)]
    assert as_number("48213.0") == 48213
    assert as_number("0421") is None
    assert as_number("Brenmoor") is None


@pytest.mark.parametrize(
    "text",
    [
        "It isn't stated.", "I cannot find it", "There is no passcode", "Unknown.", "Not in the text.", "None", "N/A",
        "The text does not mention Brenmoor.", "I’m sorry, but I can't help with that.", "Nobody.", "No one does.",
        "The document doesn't actually say.", "There's not enough information.", "It is not explicitly given.",
        "Steht nicht im Text.", "Das wird im Text nicht erwähnt.", "Das weiß ich nicht.", "Tut mir leid.", "Niemand.",
        "Im Text gibt es dazu keine Angabe.", "Dazu gibt es keinen Hinweis.", "Der Text nennt keinen Zugangscode.",
        "Das lässt sich nicht sagen.", "Ich kann das leider nicht beantworten.", "Unbekannt", "Keiner von ihnen.",
        "Das geht aus dem Text nicht hervor.", "Es liegen keine Informationen vor.",
    ],
)  # fmt: skip
def test_what_declines(text):
    assert declines(normalised(text))


@pytest.mark.parametrize(
    "text", ["The passcode is 48213.", "It is known.", "In the text: 48213", "Im Text steht 48213.", "Brenmoor", "Ja."]
)
def test_what_does_not_decline(text):
    assert not declines(normalised(text))


def test_many_values_take_no_time():
    spent = time.process_time()
    for number in range(10_000, 90_000, 4):
        assert find_values(f"it is {number}.", [str(number), str(number + 1)]) == {0: 6}
    assert time.process_time() - spent < 15  # about 1 s; a pattern compiled for each took minutes


def test_hostile_answers_take_no_time():
    hostile = [
        "\n" * 200_000,
        "<think>" * 30_000,
        "</think>" * 30_000,
        "1 111" * 40_000,
        "1," * 100_000,
        "not " * 50_000,
    ]
    hostile += [
        "answer:" * 30_000,
        "answer:\n" * 30_000,
        "1. " * 60_000,
        "-" * 200_000,
        "4" * 200_000 + "x",
        " \n" * 99_000,
    ]
    for text in hostile:
        spent = time.process_time()
        answer = final_answer(normalised(text))
        find_values(answer, ["48213", "Brenmoor Hall"])
        find_numbers(answer)
        declines(answer)
        assert time.process_time() - spent < 5, text[:10]
