"""Draws, limits and sign flips against scipy's own for the same seed."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from probes import resampling

SAMPLES = {
    "normal": np.random.default_rng(1).normal(0.2, 1.0, 25),
    "skewed": np.random.default_rng(2).lognormal(0.0, 1.0, 40),
    "tenths": np.random.default_rng(3).integers(-3, 8, 15).astype(float),  # whole numbers: means tie exactly
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_limits_are_those_of_scipy_for_the_same_draws(name: str, level: float) -> None:
    sample = SAMPLES[name]
    expected = scipy_stats.bootstrap(
        (sample,), np.mean, confidence_level=level, n_resamples=9999, method="BCa", rng=np.random.default_rng(5)
    )
    rows = sample[:, np.newaxis]
    draws = resampling.resampled_means(rows, seed=5)[:, 0]
    np.testing.assert_allclose(draws, expected.bootstrap_distribution, atol=1e-12)
    left_out = resampling.left_out_means(rows)[:, 0]
    limits = resampling.bca_limits(draws, float(sample.mean()), left_out, level, expand=False)
    assert limits == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)


def test_widening_is_that_of_students_t_over_the_narrow_draws() -> None:
    """Hesterberg 2015: without skewness the limits are the percentiles Phi(t * sqrt(n / (n - 1)))."""
    half = np.random.default_rng(6).normal(0, 1, 6)
    sample = np.concatenate([half, -half])
    rows = sample[:, np.newaxis]
    draws = resampling.resampled_means(rows, seed=1)[:, 0]
    draws = np.concatenate([draws, -draws])  # no bias either
    low, high = resampling.bca_limits(draws, 0.0, resampling.left_out_means(rows)[:, 0], 0.95)
    share = scipy_stats.norm.cdf(scipy_stats.t.ppf(0.025, 11) * (12 / 11) ** 0.5)
    assert (low, high) == pytest.approx(tuple(np.quantile(draws, [share, 1 - share])))


@pytest.mark.parametrize("blocks", [2, 7, 300])
def test_every_resample_has_as_many_blocks_as_there_are(blocks: int) -> None:
    counts = resampling.resampled_counts(blocks, 4, 500)
    assert (counts.sum(axis=1) == blocks).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(blocks), abs=0.25)


@pytest.mark.parametrize("blocks", [3, 40])
def test_how_many_are_drawn_at_once_makes_no_difference(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(4).integers(0, blocks, (500, blocks))
    expected = [np.bincount(row, minlength=blocks) for row in drawn]
    for at_once in (1, 7 * blocks, 500 * blocks):
        monkeypatch.setattr(resampling, "_DRAWS", at_once)
        assert (resampling.resampled_counts.__wrapped__(blocks, 4, 500) == expected).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_limits_of_a_ratio_of_means_are_those_of_scipy(name: str) -> None:
    """Against scipy on pairs, with the percentiles widened by hand through its level."""
    first = SAMPLES[name]
    second = np.random.default_rng(8).uniform(1, 2, len(first))
    count = len(first)
    level = 1 - 2 * scipy_stats.norm.cdf(scipy_stats.t.ppf(0.025, count - 1) * (count / (count - 1)) ** 0.5)
    expected = scipy_stats.bootstrap(
        (np.arange(count),),
        lambda numbers, axis=-1: first[numbers].mean(axis=axis) / second[numbers].mean(axis=axis),
        confidence_level=level,
        n_resamples=9999,
        method="BCa",
        rng=np.random.default_rng(9),
    ).confidence_interval
    rows = np.stack([first, second], axis=1)
    found = resampling.interval_limits(lambda means: means[..., 0] / means[..., 1], rows, 9, 0.95)
    assert found == pytest.approx((first.mean() / second.mean(), *expected), abs=1e-9)


def test_draws_without_a_figure_count_against_both_limits() -> None:
    draws = np.concatenate([np.linspace(0.0, 1.0, 900), np.full(100, np.nan)])
    low, high = resampling.bca_limits(draws, 0.5, np.linspace(-1, 1, 30), 0.95)
    assert (low, high) == (-np.inf, np.inf)
    assert resampling.bca_limits(draws * np.nan, 0.5, np.linspace(-1, 1, 30), 0.95) == (-np.inf, np.inf)
    few = np.concatenate([np.linspace(0.0, 1.0, 999), [np.nan]])
    low, high = resampling.bca_limits(few, 0.5, np.linspace(-1, 1, 30), 0.95)
    assert 0 <= low < 0.05
    assert 0.95 < high <= 1


@pytest.mark.parametrize("blocks", [3, 9, 14])
def test_all_sign_flips_are_those_of_scipy(blocks: int) -> None:
    values = np.random.default_rng(blocks).integers(-4, 9, blocks).astype(float)
    expected = scipy_stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=20_000)
    assert resampling.sign_flip_p(values, 1) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5])
def test_drawn_sign_flips_are_those_of_scipy_but_for_chance(shift: float) -> None:
    values = np.random.default_rng(11).normal(shift, 1, 30)
    expected = scipy_stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=4_000, rng=np.random.default_rng(1)
    ).pvalue
    error = (expected * (1 - expected) * (1 / 4_000 + 1 / 20_000)) ** 0.5
    assert resampling.sign_flip_p(values, 1) == pytest.approx(expected, abs=5 * error + 1e-3)


def test_drawn_sign_flips_find_a_difference_that_is_not_there_in_five_per_cent() -> None:
    draw = np.random.default_rng(13)
    clear = sum(resampling.sign_flip_p(draw.normal(0, 1, 20), 1) < 0.05 for _ in range(400))
    assert scipy_stats.binom.ppf(0.005, 400, 0.05) <= clear <= scipy_stats.binom.ppf(0.995, 400, 0.05)


def test_the_least_p_of_drawn_flips_is_not_zero() -> None:
    assert resampling.sign_flip_p(np.full(60, 1.0), 1) == 1 / 20_001
