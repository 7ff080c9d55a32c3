"""Bounds for missing outcomes: they hold whatever the outcomes would have been, and no narrower ones do."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from probes.missing import paired_worst_case, worst_case_bounds, worst_case_differences

OUTCOME = some.one_of(some.none(), some.sampled_from([0.0, 0.25, 1.0]))


def completions(values):
    """Every way that missing outcomes could have come back, of nothing, half and all."""
    return itertools.product(*([0.0, 0.5, 1.0] if value is None else [value] for value in values))


@settings(max_examples=30)
@given(some.lists(OUTCOME, min_size=1, max_size=6))
def test_the_bounds_of_a_mean_are_the_least_and_the_most_of_all_completions(values) -> None:
    means = [sum(complete) / len(complete) for complete in completions(values)]
    assert worst_case_bounds(values, least=0.0, most=1.0) == pytest.approx((min(means), max(means)))


@settings(max_examples=30)
@given(some.lists(some.tuples(OUTCOME, OUTCOME), min_size=1, max_size=4))
def test_the_bounds_of_a_difference_are_the_least_and_the_most_of_all_completions(pairs) -> None:
    first, second = zip(*pairs, strict=True)
    means = [
        sum(a - b for a, b in zip(one, other, strict=True)) / len(pairs)
        for one in completions(first)
        for other in completions(second)
    ]
    found = paired_worst_case(first, second, least=0.0, most=1.0)
    assert found == pytest.approx((min(means), max(means)))


def test_without_missing_outcomes_the_bounds_are_the_mean() -> None:
    assert worst_case_bounds([0.5, 1.0], least=0.0, most=1.0) == (0.75, 0.75)
    assert worst_case_differences([0.5, 1.0], [0.5, 0.0], least=0.0, most=1.0) == ([0.0, 1.0], [0.0, 1.0])


def test_nothing_has_no_bounds() -> None:
    assert worst_case_bounds([], least=0.0, most=1.0) is None
    assert paired_worst_case([], [], least=0.0, most=1.0) is None


def test_outcomes_must_be_paired() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_worst_case([1.0, 0.0], [1.0], least=0.0, most=1.0)
