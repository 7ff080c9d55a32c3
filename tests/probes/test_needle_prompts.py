"""Prompt styles put their parts in the order of the benchmarks, whatever is asked, and never touch the text."""

import re

import pytest

from probes.experiments.needle_parts import Question
from probes.experiments.needle_prompts import STYLES, Place, arrange, places_of
from probes.experiments.needle_tasks import TASKS

QUESTION = Question("Where is {it}?", "Answer with the place only.", "It is in", "it", asked=0, right=(0,))
HAYSTACK = 'It rained. {"braces": "are text"} We left.'

# What each benchmark has around its text, as it was found: I instruction, T text, Q question, S answer's beginning,
# E worked example; the instruction of `litm` is a sentence about the task.
ORDERS: dict[tuple[str, Place], str] = {
    ("ours", "before"): "QT",
    ("ours", "after"): "TQ",
    ("ours", "bookend"): "QTQ",
    ("kamradt", "after"): "TQ",
    ("ruler", "after"): "ITQS",
    ("litm", "after"): "ITQS",
    ("litm", "bookend"): "IQTQS",
    ("longbench", "after"): "ITIQS",
    ("babilong", "after"): "IEITQ",
}


def order(content: str) -> str:
    """The kinds of a prompt's parts, in order."""
    kinds = []
    for part in content.replace(HAYSTACK, "<T>").replace(TASKS["single"].example, "<E>").split("\n\n"):
        if "<T>" in part:
            kinds.append("T")
        elif part == "<E>":
            kinds.append("E")
        elif QUESTION.text in part:
            kinds.append("Q")
        else:
            kinds.append("S" if part in (QUESTION.stem, "Answer:") else "I")
    return "".join(kinds)


def test_every_style_and_place_is_checked() -> None:
    assert set(ORDERS) == {(style, place) for style in STYLES for place in STYLES[style].parts}


@pytest.mark.parametrize(("style", "place"), ORDERS)
def test_parts_stand_in_the_order_of_the_benchmark(style: str, place: Place) -> None:
    prompt = arrange(style, place, TASKS["single"], QUESTION, HAYSTACK)
    content = prompt.messages[-1].content
    assert order(content) == ORDERS[style, place]
    assert prompt.text_start is not None
    assert content[prompt.text_start :].startswith(HAYSTACK)
    assert [message.role for message in prompt.messages] == (["system"] if style == "kamradt" else []) + ["user"]


@pytest.mark.parametrize(("style", "place"), ORDERS)
def test_what_is_shared_holds_nothing_of_the_question(style: str, place: Place) -> None:
    other = Question("Who was it?", QUESTION.reply, "That was", "who", asked=1, right=(1,))
    one, two = (arrange(style, place, TASKS["single"], each, HAYSTACK) for each in (QUESTION, other))
    shared = one.messages[-1].content[: one.shared]
    assert two.messages[-1].content.startswith(shared)
    assert HAYSTACK in shared or ORDERS[style, place].index("Q") < ORDERS[style, place].index("T")


@pytest.mark.parametrize(("style", "place"), ORDERS)
def test_the_closed_book_is_the_same_without_the_text_and_asks_once(style: str, place: Place) -> None:
    prompt = arrange(style, place, TASKS["single"], QUESTION, None)
    content = prompt.messages[-1].content
    assert prompt.text_start is None
    assert HAYSTACK not in content
    assert content.count(QUESTION.text) == 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("style", STYLES)
def test_no_gap_is_left_open_and_no_other_text_is_in_a_prompt(task: str, style: str) -> None:
    for place in STYLES[style].parts:
        content = arrange(style, place, TASKS[task], QUESTION, HAYSTACK).messages[-1].content
        assert not re.search(r"\{(text|question|reply|things|stem|example)\}", content)
        assert content.count(HAYSTACK) == 1


def test_a_style_has_its_own_place_where_it_is_not_asked_for_one_of_its() -> None:
    assert places_of("ours", ("before", "bookend")) == ["before", "bookend"]
    assert places_of("ruler", ("before",)) == ["after"]
    assert places_of("litm", ("before", "bookend")) == ["bookend"]


def test_no_style_stands_for_another() -> None:
    contents = [arrange(*key, TASKS["single"], QUESTION, HAYSTACK).messages for key in ORDERS]
    assert len(set(contents)) == len(contents)
