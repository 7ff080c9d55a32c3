"""Every quantity against scipy's own, a published example, or brute force."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from probes import stats


def wilson_by_formula(successes: int, trials: int) -> tuple[float, float]:
    z = scipy_stats.norm.ppf(0.975)
    rate = successes / trials
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return centre - half, centre + half


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (1, 1), (9, 33), (22, 22), (50, 100)])
def test_wilson_is_the_closed_formula(successes: int, trials: int) -> None:
    interval = stats.wilson(successes, trials)
    assert interval is not None
    low, high = wilson_by_formula(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)
    assert interval.estimate == successes / trials


def test_nothing_counted_is_no_rate() -> None:
    assert stats.wilson(0, 0) is None
    assert stats.paired_difference([], seed=1) is None
    assert stats.mean_interval([], seed=1) is None


@pytest.mark.parametrize("differences", [[0.3, -0.1, 0.2, 0.4, 0.1, 0.25, -0.05], [1.0, 2.0, 3.0], [0.5] * 6])
def test_sign_flips_are_counted_exactly(differences: list[float]) -> None:
    observed = abs(np.mean(differences))
    means = [
        abs(np.mean(np.multiply(differences, signs))) for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    exact = np.mean([mean >= observed - 1e-12 for mean in means])
    found = stats.paired_difference(differences, seed=1)
    assert found is not None
    assert found.p_value == pytest.approx(exact)


def test_five_blocks_cannot_reach_five_per_cent_and_six_can() -> None:
    assert [stats.fewest_blocks(tests) for tests in (1, 2, 4)] == [6, 7, 8]
    five, six = (stats.paired_difference([0.4 + 0.01 * n for n in range(count)], seed=1) for count in (5, 6))
    assert five is not None
    assert not five.clear
    assert six is not None
    assert six.clear


def test_the_interval_of_few_blocks_is_students() -> None:
    values = [0.1, 0.4, 0.2, 0.7]
    interval = stats.mean_interval(values, seed=1)
    assert interval is not None
    expected = scipy_stats.t.interval(0.95, 3, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_the_bootstrap_interval_covers_as_often_as_it_says() -> None:
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        sample = draw.normal(0.3, 1.0, size=20)
        interval = stats.mean_interval(list(sample), seed=1)
        assert interval is not None
        covered += interval.low <= 0.3 <= interval.high
    assert covered >= scipy_stats.binom.ppf(0.005, 200, 0.92)  # BCa runs a little short at 20


def test_one_block_has_a_mean_and_no_limits() -> None:
    found = stats.paired_difference([0.2], seed=1)
    assert found is not None
    assert found.interval.estimate == 0.2
    assert (found.interval.low, found.interval.high) == (-math.inf, math.inf)
    assert found.detectable is None
    assert not found.clear


def test_the_detectable_difference_is_detected_with_its_power() -> None:
    spread, blocks = 0.5, 15
    effect = stats.detectable_difference(spread, blocks)
    assert effect is not None
    draw = np.random.default_rng(3)
    samples = draw.normal(effect, spread, size=(4000, blocks))
    found = np.mean(scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.03)


def test_holm_is_the_published_step_down() -> None:
    # Holm 1979: the smallest p times the number of tests, the next times one less, and never below the one before.
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.9]) == [1.0, 1.0]
    assert stats.holm([]) == []
