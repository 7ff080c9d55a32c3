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


def test_a_rate_of_plain_answers_has_wilsons_interval() -> None:
    assert stats.rate_interval([1.0, 0.0, 1.0, 1.0], seed=1) == stats.wilson(3, 4)
    assert stats.rate_interval([], seed=1) is None


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_blocks_that_are_all_alike_do_not_make_a_rate_certain(share: float) -> None:
    interval = stats.rate_interval([share] * 10, seed=1)
    assert interval is not None
    assert interval.estimate == share
    assert interval.high - interval.low > 0.2


def test_a_rate_of_several_answers_a_block_goes_by_the_blocks() -> None:
    """Ten answers each, alike inside their block: as if each block had one, and not as if there were a hundred."""
    draw = np.random.default_rng(4)
    covered, blocks, rate = 0, 20, 0.6
    for _ in range(150):
        shares = np.clip(draw.normal(draw.random(blocks) < rate, 0.05), 0, 1)
        interval = stats.rate_interval(list(shares), seed=1)
        assert interval is not None
        covered += interval.low <= rate <= interval.high
    assert covered >= scipy_stats.binom.ppf(0.005, 150, 0.91)


@pytest.mark.parametrize(("difference", "discordant", "pairs"), [(0.2, 0.3, 57), (0.1, 0.2, 155), (0.3, 0.4, 20)])
def test_the_power_of_mcnemars_test_is_how_often_it_finds_what_is_there(
    difference: float, discordant: float, pairs: int
) -> None:
    draw = np.random.default_rng(11)
    one_way, other_way = (discordant + difference) / 2, (discordant - difference) / 2
    counts = draw.multinomial(pairs, [one_way, other_way, 1 - discordant], size=3000)[:, :2]
    p_values = {(a, b): scipy_stats.binomtest(a, a + b).pvalue if a + b else 1.0 for a, b in map(tuple, counts)}
    found = np.mean([p_values[a, b] < 0.05 for a, b in map(tuple, counts)])
    assert stats.mcnemar_power(difference, pairs, discordant=discordant) == pytest.approx(found, abs=0.025)


def test_without_a_difference_the_test_finds_one_in_five_per_cent_at_the_most() -> None:
    assert 0.0 < stats.mcnemar_power(0.0, 80) <= 0.05
    assert stats.mcnemar_power(0.0, 80, tests=3) <= 0.05 / 3


@pytest.mark.parametrize("blocks", [8, 40, 200])
def test_the_difference_that_a_plan_can_show_is_the_smallest_with_that_power(blocks: int) -> None:
    found = stats.planned_difference(blocks)
    assert found is not None
    assert stats.mcnemar_power(found, blocks, discordant=max(0.2, found)) >= 0.8
    assert stats.mcnemar_power(found - 0.01, blocks, discordant=max(0.2, found - 0.01)) < 0.8


def test_a_plan_with_several_answers_a_block_has_the_power_of_a_simulated_one() -> None:
    """Twenty blocks of ten paired answers, whose differences are a little alike inside a block."""
    blocks, answers, discordant, correlation = 20, 10, 0.3, 0.1
    effect = stats.planned_difference(blocks, answers, discordant=discordant, correlation=correlation)
    assert effect is not None
    draw = np.random.default_rng(2)
    within = math.sqrt(discordant * (1 - correlation) / answers)
    between = math.sqrt(discordant * correlation)
    samples = effect + draw.normal(0, between, (2000, blocks)) + draw.normal(0, within, (2000, blocks))
    found = np.mean(scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.03)


def test_too_few_blocks_can_show_nothing() -> None:
    assert stats.planned_difference(5) is None
    assert stats.planned_difference(6, tests=2) is None
    assert stats.planned_difference(6) is not None


def test_so_many_blocks_give_so_narrow_an_interval() -> None:
    for rate in (0.5, 0.9):
        interval = stats.wilson(round(rate * (count := stats.blocks_for_precision(0.05, rate))), count)
        assert interval is not None
        assert (interval.high - interval.low) / 2 == pytest.approx(0.05, abs=0.003)
