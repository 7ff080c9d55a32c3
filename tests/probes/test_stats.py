"""Every quantity against scipy's own, a published example, or brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from probes import stats

REAL = some.floats(-10, 10, allow_nan=False).map(lambda value: round(value, 6))
SHARE = some.integers(0, 10).map(lambda tenths: tenths / 10)


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
    assert (low, high) == pytest.approx(proportion_confint(successes, trials, method="wilson"), abs=1e-9)
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


@pytest.mark.parametrize("blocks", [8, 12, 30])
def test_the_bootstrap_interval_covers_as_often_as_it_says(blocks: int) -> None:
    """Differences in coverage: of ten facts each, the one arm keeps 6 in 10 and the other 7."""
    draw = np.random.default_rng(7)
    studies, covered = 300, 0
    for _ in range(studies):
        differences = (draw.binomial(10, 0.7, blocks) - draw.binomial(10, 0.6, blocks)) / 10
        interval = stats.mean_interval(list(differences), seed=1)
        assert interval is not None
        covered += interval.low <= 0.1 <= interval.high
    assert covered >= scipy_stats.binom.ppf(0.005, studies, 0.95)


def test_one_block_has_a_mean_and_no_limits() -> None:
    found = stats.paired_difference([0.2], seed=1)
    assert found is not None
    assert found.interval.estimate == 0.2
    assert (found.interval.low, found.interval.high) == (-math.inf, math.inf)
    assert found.detectable is None
    assert not found.clear


def test_holm_is_the_published_step_down() -> None:
    # Holm 1979: the smallest p times the number of tests, the next times one less, and never below the one before.
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.9]) == [1.0, 1.0]
    assert stats.holm([]) == []
    for p_values in ([0.001, 0.2, 0.012, 0.049, 0.5], [0.02, 0.02, 0.9], [0.04]):
        assert stats.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@settings(max_examples=30)
@given(some.lists(some.floats(0, 1), min_size=1, max_size=12), some.randoms())
def test_holm_keeps_the_order_and_makes_nothing_smaller(p_values: list[float], randoms) -> None:
    corrected = stats.holm(p_values)
    assert all(p <= after <= 1 for p, after in zip(p_values, corrected, strict=True))
    pairs = sorted(zip(p_values, corrected, strict=True))
    assert [after for _, after in pairs] == sorted(corrected)
    order = randoms.sample(range(len(p_values)), len(p_values))
    assert stats.holm([p_values[index] for index in order]) == [corrected[index] for index in order]


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


# ------------------------------------------------------------------------------------------------ pairs


@pytest.mark.parametrize(
    ("only_first", "only_second", "published"),
    [(6, 16, 0.034690), (1, 7, 10 / 256)],
)
def test_mcnemars_mid_p_is_the_published_one(only_first: int, only_second: int, published: float) -> None:
    """Cavo et al. 2012 as in the tests of the R package contingencytables, and Bentur et al. 2009 by hand.

    Of eight children who changed, one changed one way: twice P(none) plus P(one), 2 * 1/256 + 8/256.
    """
    assert stats.mcnemar(only_first, only_second) == pytest.approx(published, abs=5e-7)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 6), (3, 4), (12, 2), (30, 55)])
def test_mcnemars_mid_p_is_the_exact_p_less_what_was_seen(only_first: int, only_second: int) -> None:
    exact = mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue
    as_many = scipy_stats.binom.pmf(only_first, only_first + only_second, 0.5)
    assert stats.mcnemar(only_first, only_second) == pytest.approx(exact - as_many)


@settings(max_examples=30)
@given(some.integers(0, 60), some.integers(0, 60))
def test_mcnemar_does_not_care_which_arm_is_first(only_first: int, only_second: int) -> None:
    found = stats.mcnemar(only_first, only_second)
    assert found == stats.mcnemar(only_second, only_first)
    assert 0 < found <= 1
    if only_first == only_second:
        assert found > 0.05


def test_no_pair_that_differs_is_no_difference() -> None:
    assert stats.mcnemar(0, 0) == 1.0


@pytest.mark.parametrize(
    ("better", "worse", "alike", "published"),
    [(6, 16, 139, (-0.1195, -0.0032)), (26, 4, 10, (0.3126438, 0.7349752))],
)
def test_plain_pairs_have_the_published_adjusted_interval(
    better: int, worse: int, alike: int, published: tuple[float, float]
) -> None:
    """Cavo et al. 2012 as in the tests of the R package contingencytables; the example of Bonett's own functions."""
    differences = [1.0] * better + [-1.0] * worse + [0.0] * alike
    found = stats.paired_difference(differences, seed=1, most=1.0)
    assert found is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(published, abs=5e-5)
    exact = mcnemar([[0, better], [worse, 0]], exact=True).pvalue
    assert found.p_value == pytest.approx(exact, abs=0.004)  # one answer a block: the sign-flip test is McNemar's


@pytest.mark.parametrize("each", [0.0, 1.0, -1.0, 0.3])
def test_pairs_that_are_all_alike_do_not_make_a_difference_certain(each: float) -> None:
    found = stats.paired_difference([each] * 10, seed=1, most=1.0)
    assert found is not None
    assert -1 <= found.interval.low <= each <= found.interval.high <= 1
    assert found.interval.high - found.interval.low > 0.2
    assert found.detectable is not None
    assert found.detectable > 0.2


def test_the_adjusted_interval_of_plain_pairs_covers_as_often_as_it_says() -> None:
    draw = np.random.default_rng(12)
    studies, covered = 300, 0
    for _ in range(studies):
        differences = draw.choice([1.0, -1.0, 0.0], p=[0.1, 0.05, 0.85], size=30)
        found = stats.difference_interval(list(differences), seed=1, most=1.0)
        assert found is not None
        covered += found.low <= 0.05 <= found.high
    assert covered >= scipy_stats.binom.ppf(0.005, studies, 0.95)


def test_where_few_blocks_differ_the_interval_covers_as_often_as_it_says() -> None:
    """Both arms keep nearly all of ten facts, but for a few blocks of which they lose many: bootstrap alone fails."""
    draw = np.random.default_rng(15)
    studies, covered, resampled = 150, 0, 0
    for _ in range(studies):
        rates = draw.beta(0.98 * 7 / 3, 0.02 * 7 / 3, (2, 50))
        differences = ((draw.binomial(10, rates[0]) - draw.binomial(10, rates[1])) / 10).tolist()
        found, bootstrap = (
            stats.difference_interval(differences, seed=1, most=1.0),
            stats.mean_interval(differences, seed=1),
        )
        assert found is not None
        assert bootstrap is not None
        covered += found.low <= 0 <= found.high
        resampled += bootstrap.low <= 0 <= bootstrap.high
    assert resampled < scipy_stats.binom.ppf(0.005, studies, 0.95) <= covered


def test_what_only_the_computer_adds_is_no_difference() -> None:
    found = stats.paired_difference([0.1 + 0.2 - 0.3] * 10, seed=1)
    assert found is not None
    assert (found.interval.estimate, found.p_value, found.clear) == (0.0, 1.0, False)


@settings(max_examples=30)
@given(some.lists(REAL, min_size=6, max_size=25), some.randoms(), some.sampled_from([1.0, 20.0, math.inf]))
def test_a_paired_difference_does_not_depend_on_order_and_turns_with_its_sign(
    values: list[float], randoms, most: float
) -> None:
    values = [value / 20 for value in values] if most == 1.0 else values
    found = stats.paired_difference(values, seed=1, most=most)
    assert found is not None
    assert found.interval.low <= found.interval.estimate <= found.interval.high
    assert -most - 1e-9 <= found.interval.low
    assert found.interval.high <= most + 1e-9
    turned = stats.paired_difference([-value for value in values], seed=1, most=most)
    assert turned is not None
    assert turned.p_value == pytest.approx(found.p_value)
    assert turned.interval.estimate == pytest.approx(-found.interval.estimate)
    shuffled = stats.paired_difference(randoms.sample(values, len(values)), seed=1, most=most)
    assert shuffled is not None
    assert shuffled.p_value == pytest.approx(found.p_value, abs=0.02)  # 20,000 flips: within their own error
    assert shuffled.interval.estimate == pytest.approx(found.interval.estimate)


# ------------------------------------------------------------------------------------------------ any figure


def test_any_figure_of_blocks_has_the_interval_of_scipy() -> None:
    """Scipy's limits for the same draws lie inside, by the 5 % that forty blocks are widened (Hesterberg 2015)."""
    draw = np.random.default_rng(4)
    blocks = [(float(hits), 10.0 + float(more)) for hits, more in zip(*draw.poisson(6, (2, 40)), strict=True)]

    def ratio(found):
        return sum(hits for hits, _ in found) / sum(answers for _, answers in found)

    def scipy_ratio(numbers, axis=-1):
        values = np.array(blocks)[numbers]
        return values[..., 0].sum(axis=axis) / values[..., 1].sum(axis=axis)

    interval = stats.cluster_bootstrap(blocks, ratio, seed=3)
    expected = scipy_stats.bootstrap(
        (np.arange(40),), scipy_ratio, n_resamples=1999, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert interval is not None
    assert interval.estimate == pytest.approx(ratio(blocks))
    assert interval.low < expected.low
    assert interval.high > expected.high
    assert interval.high - interval.low == pytest.approx(1.05 * (expected.high - expected.low), rel=0.03)


@settings(max_examples=15)
@given(some.lists(some.integers(-50, 50), min_size=2, max_size=9, unique=True))
def test_the_mean_of_blocks_by_either_way_is_the_same(values: list[int]) -> None:
    fast = stats.mean_interval(values, seed=1)
    general = stats.cluster_bootstrap(values, lambda blocks: sum(blocks) / len(blocks), seed=1, resamples=9999)
    assert fast is not None
    assert general is not None
    assert (fast.estimate, fast.low, fast.high) == pytest.approx((general.estimate, general.low, general.high))


def test_a_figure_that_some_draws_do_not_have_is_uncertain_by_as_much() -> None:
    """The rate of right answers among those given: nine blocks of ten have none."""

    def rate(blocks):
        given_answers = sum(answers for _, answers in blocks)
        return sum(right for right, _ in blocks) / given_answers if given_answers else math.nan

    interval = stats.cluster_bootstrap([(1, 1)] + [(0, 0)] * 9, rate, seed=1, least=0.0, most=1.0)
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, 1.0)
    assert stats.cluster_bootstrap([(0, 0)], rate, seed=1) is None
    assert stats.cluster_bootstrap([], rate, seed=1) is None
    assert stats.cluster_bootstrap([(1, 2)], rate, seed=1, least=0.0, most=1.0) == stats.Interval(0.5, 0.0, 1.0)


# ------------------------------------------------------------------------------------------------ interaction


def planted(slope: float, blocks: int, seed: int, levels=(400, 800, 1600)) -> dict[float, dict[int, float]]:
    """Differences that grow by `slope` with each doubling; each block has its own height, each cell its own noise."""
    draw = np.random.default_rng(seed)
    heights = draw.normal(0, 0.2, blocks)
    return {
        level: {
            block: float(heights[block] + slope * math.log2(level / 400) + draw.normal(0, 0.1))
            for block in range(blocks)
        }
        for level in levels
    }


def test_the_interaction_with_length_is_the_mean_slope_of_the_blocks() -> None:
    levels = planted(0.05, 20, seed=1)
    slopes = [
        scipy_stats.linregress(np.log2(list(levels)), [found[block] for found in levels.values()]).slope
        for block in range(20)
    ]
    found, expected = stats.interaction(levels, seed=1), stats.paired_difference(slopes, seed=1)
    assert found is not None
    assert expected is not None
    assert found.interval.estimate == pytest.approx(expected.interval.estimate)
    assert (found.p_value, found.blocks) == (expected.p_value, 20)


def test_the_interaction_is_found_where_it_is_planted_and_not_where_it_is_not() -> None:
    clear = dict.fromkeys((0.0, 0.1), 0)
    for slope in clear:
        for seed in range(40):
            found = stats.interaction(planted(slope, 12, seed), seed=1)
            assert found is not None
            clear[slope] += found.clear
    assert clear[0.0] <= scipy_stats.binom.ppf(0.995, 40, 0.05)
    assert clear[0.1] > 30


def test_a_block_at_one_length_says_nothing_of_length() -> None:
    levels = {400: {1: 0.1, 2: 0.5, 3: 9.0}, 800: {1: 0.2, 2: 0.4}, 1600: {1: 0.3, 4: 7.0}}
    found = stats.interaction(levels, seed=1)
    assert found is not None
    assert found.blocks == 2
    assert found.interval.estimate == pytest.approx((0.1 - 0.1) / 2)
    assert stats.interaction({400: {1: 0.1}}, seed=1) is None
    assert stats.interaction({}, seed=1) is None


@settings(max_examples=30)
@given(some.lists(SHARE, min_size=7, max_size=7), some.lists(SHARE, min_size=7, max_size=7))
def test_no_slope_is_steeper_than_differences_allow(short: list[float], long: list[float]) -> None:
    levels = {level: dict(enumerate(values)) for level, values in ((1000, short), (4000, long))}
    found = stats.interaction(levels, seed=1, most=1.0)
    assert found is not None
    assert -1 <= found.interval.low <= found.interval.estimate <= found.interval.high <= 1


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("interval", "p_value", "blocks", "words"),
    [
        ((0.12, 0.03, 0.2), 0.0214, 10, "+12 points, 95% interval +3 to +20, p = 0.021, 10 blocks"),
        ((0.5, 0.4, 0.6), 0.00001, 30, "+50 points, 95% interval +40 to +60, p < 0.001, 30 blocks"),
        ((0.2, -math.inf, math.inf), 1.0, 1, "+20 points, 1 block"),
    ],
)
def test_a_difference_in_words(interval: tuple[float, float, float], p_value: float, blocks: int, words: str) -> None:
    assert (
        stats.difference_words(stats.Interval(*interval), p_value, blocks, scale=100, unit="points", digits=0) == words
    )
