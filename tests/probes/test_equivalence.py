"""Equivalence against statsmodels, and its words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import ttost_paired

from probes.equivalence import Equivalence, equivalence, no_effect_words
from probes.stats import Interval, paired_difference

NOT_RULED_OUT = "an effect of more than 5 points is not ruled out"
SHARE = some.integers(-10, 10).map(lambda tenths: tenths / 10)


@pytest.mark.parametrize(("shift", "blocks"), [(0.0, 10), (0.03, 50), (-0.2, 30)])
def test_the_p_value_is_that_of_two_one_sided_t_tests(shift: float, blocks: int) -> None:
    draw = np.random.default_rng(blocks)
    first, second = draw.normal(shift, 0.1, blocks), draw.normal(0, 0.1, blocks)
    found = equivalence(list(first - second), margin=0.05, seed=1)
    assert found is not None
    assert found.p_value == pytest.approx(ttost_paired(first, second, -0.05, 0.05)[0])


def test_the_interval_is_that_of_90_per_cent() -> None:
    differences = [0.02, -0.01, 0.05, 0.03]  # below six blocks Student's
    found = equivalence(differences, margin=0.1, seed=1)
    assert found is not None
    expected = scipy_stats.t.interval(0.9, 3, loc=np.mean(differences), scale=scipy_stats.sem(differences))
    assert (found.interval90.low, found.interval90.high) == pytest.approx(expected)
    assert found.smallest_margin == pytest.approx(max(abs(limit) for limit in expected))
    assert found.equivalent


@settings(max_examples=30)
@given(some.lists(SHARE, min_size=2, max_size=20))
def test_any_margin_above_the_smallest_is_shown_and_none_below(differences: list[float]) -> None:
    first = equivalence(differences, margin=0.05, seed=1, most=1.0)
    assert first is not None
    wider, narrower = (
        equivalence(differences, margin=first.smallest_margin * factor, seed=1, most=1.0) for factor in (1.01, 0.99)
    )
    assert wider is not None
    assert narrower is not None
    assert wider.equivalent or first.smallest_margin >= 1.0
    assert not narrower.equivalent


@settings(max_examples=30)
@given(some.lists(SHARE, min_size=6, max_size=20))
def test_a_clear_difference_is_never_called_no_effect(differences: list[float]) -> None:
    difference = paired_difference(differences, seed=1, most=1.0)
    found = equivalence(differences, margin=0.2, seed=1, most=1.0)
    assert difference is not None
    assert found is not None
    if difference.clear:
        assert "no effect" not in no_effect_words(found, scale=100, unit="points", digits=0)


@pytest.mark.parametrize("effect", [0.1, -0.1])
def test_an_effect_as_large_as_the_margin_passes_in_five_per_cent_at_the_most(effect: float) -> None:
    draw = np.random.default_rng(5)
    studies, passed = 150, 0
    for _ in range(studies):
        found = equivalence(list(draw.normal(effect, 0.15, 25)), margin=0.1, seed=1)
        assert found is not None
        passed += found.equivalent
    assert passed <= scipy_stats.binom.ppf(0.995, studies, 0.05)


def test_no_effect_at_all_is_shown_by_enough_blocks() -> None:
    draw = np.random.default_rng(6)
    found = equivalence(list(draw.normal(0, 0.1, 60)), margin=0.05, seed=1)
    assert found is not None
    assert found.equivalent
    assert no_effect_words(found, scale=100, unit="points", digits=0).startswith(
        "no effect within 5 points (90% interv"
    )


def test_blocks_that_are_all_alike_show_no_more_than_they_can() -> None:
    """Twenty blocks without any difference: a change in one block of twenty could still be there."""
    found = equivalence([0.0] * 20, margin=0.05, seed=1, most=1.0)
    assert found is not None
    assert not found.equivalent
    assert 0.05 < found.smallest_margin < 0.15
    without_limit = equivalence([0.0] * 20, margin=0.05, seed=1)
    assert without_limit is not None
    assert without_limit.equivalent
    two = equivalence([0.0] * 2, margin=0.05, seed=1)
    assert two is not None
    assert not two.equivalent


def test_one_block_shows_nothing_and_none_says_nothing() -> None:
    found = equivalence([0.0], margin=0.05, seed=1, most=1.0)
    assert found is not None
    assert not found.equivalent
    assert no_effect_words(found, scale=100, unit="points", digits=0) == (f"{NOT_RULED_OUT} (1 block)")
    assert equivalence([], margin=0.05, seed=1) is None


@pytest.mark.parametrize(
    ("low", "high", "smallest", "words"),
    [
        (-0.02, 0.034, 0.034, "no effect within 5 points (90% interval -2 to +3, 9 blocks)"),
        (0.01, 0.034, 0.034, "an effect, but of less than 5 points (90% interval +1 to +3, 9 blocks)"),
        (
            -0.02,
            0.111,
            0.111,
            f"{NOT_RULED_OUT}; one of more than 12 is (90% interval -2 to +11, 9 blocks)",
        ),
    ],
)
def test_what_the_data_say_in_words(low: float, high: float, smallest: float, words: str) -> None:
    found = Equivalence(9, 0.05, Interval((low + high) / 2, low, high), 0.01, smallest)
    assert no_effect_words(found, scale=100, unit="points", digits=0) == words
