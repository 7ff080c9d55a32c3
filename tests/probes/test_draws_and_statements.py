"""Draws and statements are the same on every machine, and never collide."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.draws import Draws
from probes.experiments.common import ensure_absent
from probes.statements import Statement, distractor_statements, draw_statements
from tokenizer.errors import UserError


def test_the_sequence_is_pinned() -> None:
    draws = Draws("needle/1/0")
    assert [draws.below(100) for _ in range(6)] == PINNED


PINNED = [37, 16, 30, 88, 54, 55]  # as Python 3.11, 3.12 and 3.13 draw them


@given(st.text(max_size=10), st.lists(st.integers(), max_size=20))
def test_shuffling_keeps_every_item(seed: str, items: list[int]) -> None:
    assert Counter(Draws(seed).shuffled(items)) == Counter(items)


@given(st.text(max_size=10), st.integers(0, 40))
def test_the_quick_shuffle_draws_as_a_sample_of_all(seed: str, count: int) -> None:
    assert Draws(seed).shuffled(range(count)) == Draws(seed).sample(range(count), count)


def test_every_order_comes_up_about_as_often() -> None:
    orders = Counter(tuple(Draws(f"{number}").shuffled("abc")) for number in range(6000))
    assert len(orders) == 6
    assert all(850 < count < 1150 for count in orders.values())


@given(st.text(max_size=12), st.integers(1, 12), st.integers(2, 6))
def test_statements_share_no_name_no_value_and_no_prefix(seed: str, count: int, digits: int) -> None:
    statements = draw_statements("quota", count, digits, seed)
    assert len({statement.name[:3] for statement in statements}) == count
    assert len({statement.value for statement in statements}) == count
    assert all(len(statement.value) == digits for statement in statements)
    assert statements == draw_statements("quota", count, digits, seed)


def test_the_forms_of_a_statement() -> None:
    statement = Statement("passcode", "Brenmoor", "48213")
    assert statement.text == "The passcode for Brenmoor is 48213."
    assert statement.question == "What is the passcode for Brenmoor?"
    assert statement.text.startswith(statement.stem)


def test_a_text_that_holds_the_answer_already_is_refused() -> None:
    with pytest.raises(UserError, match="48213"):
        ensure_absent("Room 48213 was empty.", [Statement("passcode", "Brenmoor", "48213")])


@given(st.text(max_size=8), st.integers(1, 12))
def test_distractors_have_other_names_and_values(seed: str, count: int) -> None:
    needles = draw_statements("quota", count, 5, seed)
    others = list(itertools.islice(distractor_statements("quota", 5, seed, needles), 300))
    assert others == list(itertools.islice(distractor_statements("quota", 5, seed, needles), 300))
    assert len({other.name for other in others}) == 300
    assert not {other.name[:3] for other in others} & {needle.name[:3] for needle in needles}
    assert not {other.value for other in others} & {needle.value for needle in needles}


def test_distractors_do_not_run_out() -> None:
    needles = draw_statements("quota", 30, 5, "all the names there are")
    others = list(itertools.islice(distractor_statements("quota", 5, "x", needles), 20_000))
    assert len({(other.name, other.value) for other in others}) > 19_900
    assert not {other.name for other in others} & {needle.name for needle in needles}
