"""What a plan can show against simulated studies, and what an interval says against statsmodels and the formulas."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import samplesize_confint_proportion

from probes import power, stats


def test_the_detectable_difference_is_detected_with_its_power() -> None:
    spread, blocks = 0.5, 15
    effect = stats.detectable_difference(spread, blocks)
    assert effect is not None
    draw = np.random.default_rng(3)
    samples = draw.normal(effect, spread, size=(4000, blocks))
    found = np.mean(scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("difference", "discordant", "pairs"), [(0.2, 0.3, 57), (0.1, 0.2, 155), (0.3, 0.4, 20)])
def test_the_power_of_mcnemars_test_is_how_often_it_finds_what_is_there(
    difference: float, discordant: float, pairs: int
) -> None:
    draw = np.random.default_rng(11)
    one_way, other_way = (discordant + difference) / 2, (discordant - difference) / 2
    counts = draw.multinomial(pairs, [one_way, other_way, 1 - discordant], size=3000)[:, :2]
    found = np.mean(2 * scipy_stats.binom.cdf(counts.min(axis=1), counts.sum(axis=1), 0.5) < 0.05)
    assert power.mcnemar_power(difference, pairs, discordant=discordant) == pytest.approx(found, abs=0.025)


def test_without_a_difference_the_test_finds_one_in_five_per_cent_at_the_most() -> None:
    assert 0.0 < power.mcnemar_power(0.0, 80) <= 0.05
    assert power.mcnemar_power(0.0, 80, tests=3) <= 0.05 / 3


@pytest.mark.parametrize("blocks", [8, 40, 200])
def test_the_difference_that_a_plan_can_show_is_the_smallest_with_that_power(blocks: int) -> None:
    found = power.planned_difference(blocks)
    assert found is not None
    assert power.mcnemar_power(found, blocks, discordant=max(0.2, found)) >= 0.8
    assert power.mcnemar_power(found - 0.01, blocks, discordant=max(0.2, found - 0.01)) < 0.8


def test_a_plan_with_several_answers_a_block_has_the_power_of_a_simulated_one() -> None:
    """Twenty blocks of ten paired answers, whose differences are a little alike inside a block."""
    blocks, answers, discordant, correlation = 20, 10, 0.3, 0.1
    effect = power.planned_difference(blocks, answers, discordant=discordant, correlation=correlation)
    assert effect is not None
    draw = np.random.default_rng(2)
    within = math.sqrt(discordant * (1 - correlation) / answers)
    between = math.sqrt(discordant * correlation)
    samples = effect + draw.normal(0, between, (2000, blocks)) + draw.normal(0, within, (2000, blocks))
    found = np.mean(scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.03)


def test_too_few_blocks_can_show_nothing() -> None:
    assert power.planned_difference(5) is None
    assert power.planned_difference(6, tests=2) is None
    assert power.planned_difference(6) is not None


def test_so_many_blocks_give_so_narrow_an_interval() -> None:
    for rate in (0.5, 0.9):
        interval = stats.wilson(round(rate * (count := power.blocks_for_precision(0.05, rate))), count)
        assert interval is not None
        assert (interval.high - interval.low) / 2 == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize(("blocks", "spread"), [(10, 1.0), (50, 0.2), (200, 3.0)])
def test_the_detectable_difference_is_that_of_a_paired_t_test(blocks: int, spread: float) -> None:
    found = stats.detectable_difference(spread, blocks)
    expected = spread * TTestPower().solve_power(nobs=blocks, alpha=0.05, power=0.8)
    assert found == pytest.approx(expected, rel=0.02)  # the formula is a little short of the exact power


def test_the_blocks_for_a_rate_are_those_of_the_normal_formula() -> None:
    expected = samplesize_confint_proportion(0.9, 0.05, alpha=0.05, method="normal")
    assert power.blocks_for_precision(0.05, 0.9) == math.ceil(expected)


@pytest.mark.parametrize(("blocks", "wanted"), [(5, 0.5), (20, 0.2), (100, 0.01)])
def test_so_many_blocks_would_know_a_mean_as_well_as_was_wanted(blocks: int, wanted: float) -> None:
    spread = 0.8
    half = scipy_stats.t.ppf(0.975, blocks - 1) * spread / blocks**0.5
    found = power.precision_after(stats.Interval(0.1, 0.1 - half, 0.1 + half), blocks, wanted=wanted)
    assert found is not None
    assert found.half_width == pytest.approx(half)
    reached, before = (
        scipy_stats.t.ppf(0.975, count - 1) * spread / count**0.5
        for count in (found.blocks_needed, found.blocks_needed - 1)
    )
    assert reached <= wanted < before


def test_what_is_known_well_enough_needs_no_more_blocks_and_one_block_says_nothing() -> None:
    known = power.precision_after(stats.Interval(0.0, -0.1, 0.1), 12, wanted=0.1)
    assert known == power.Precision(pytest.approx(0.1), 12, 0.1, 12)
    assert power.precision_after(stats.Interval(0.5, -math.inf, math.inf), 1, wanted=0.1) is None
    rate = power.rate_precision_after(stats.Interval(0.9, 0.85, 0.95), 150, wanted=0.1)
    assert rate.blocks_needed == 150


@pytest.mark.parametrize(("right", "blocks"), [(10, 10), (7, 10), (1, 20)])
def test_so_many_blocks_would_know_a_rate_about_as_well_as_was_wanted(right: int, blocks: int) -> None:
    interval = stats.wilson(right, blocks)
    assert interval is not None
    found = power.rate_precision_after(interval, blocks, wanted=0.1)
    likely = stats.wilson(round(found.blocks_needed * (right + 2) / (blocks + 4)), found.blocks_needed)
    assert likely is not None
    assert (likely.high - likely.low) / 2 == pytest.approx(0.1, abs=0.012)
