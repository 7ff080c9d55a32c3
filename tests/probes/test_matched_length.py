"""A difference at equal answer length, against least squares and simulated answers."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from probes.matched_length import difference_at_equal_length
from probes.stats import paired_difference


def answers(blocks: int, seed: int, *, effect: float, longer: float) -> tuple[list[float], list[tuple[int, int]]]:
    """Differences in coverage: 0.2 for each doubling of the words, and `effect` beside that; `longer` in doublings."""
    draw = np.random.default_rng(seed)
    words = [(round(60 * 2**more), 60) for more in draw.normal(longer, 0.5, blocks)]
    differences = [effect + 0.2 * np.log2(a / b) + draw.normal(0, 0.1) for a, b in words]
    return differences, words


def test_the_estimate_is_the_constant_of_a_least_squares_line() -> None:
    differences, words = answers(20, 1, effect=0.1, longer=0.4)
    line = OLS(differences, add_constant([np.log2(a / b) for a, b in words])).fit()
    found = difference_at_equal_length(differences, words, seed=1)
    assert found is not None
    assert [found.difference.interval.estimate, found.per_doubling] == pytest.approx(line.params)
    assert found.length_ratio == pytest.approx(np.exp(np.mean([np.log(a / b) for a, b in words])))
    low, high = line.conf_int()[0]
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((low, high), abs=0.04)
    assert found.difference.detectable == pytest.approx(line.bse[0] * 2.95, rel=0.02)  # t(0.975) + t(0.8)


@pytest.mark.parametrize(("blocks", "longer"), [(12, 0.0), (20, 0.5), (50, 1.0)])
def test_longer_answers_alone_are_no_difference_at_equal_length(blocks: int, longer: float) -> None:
    studies, covered, clear, raw = 100, 0, 0, 0
    for seed in range(studies):
        differences, words = answers(blocks, seed, effect=0.0, longer=longer)
        found, plain = (
            difference_at_equal_length(differences, words, seed=1),
            paired_difference(differences, seed=1, most=1.0),
        )
        assert found is not None
        assert plain is not None
        covered += found.difference.interval.low <= 0 <= found.difference.interval.high
        clear += found.difference.p_value < 0.05
        raw += plain.clear
    assert covered >= scipy_stats.binom.ppf(0.005, studies, 0.94)
    assert clear <= scipy_stats.binom.ppf(0.995, studies, 0.06)
    assert raw > studies / 2 or longer == 0.0  # as it stands it is taken for an effect


def test_an_effect_beside_length_is_found() -> None:
    differences, words = answers(30, 3, effect=0.2, longer=0.5)
    found = difference_at_equal_length(differences, words, seed=1)
    assert found is not None
    assert found.difference.clear
    assert found.difference.interval.low <= 0.2 <= found.difference.interval.high
    assert found.per_doubling == pytest.approx(0.2, abs=0.06)


def test_what_lies_on_a_line_through_zero_is_no_difference() -> None:
    words = [(80, 40), (40, 40), (60, 40), (160, 40), (20, 40), (50, 40), (45, 40)]
    found = difference_at_equal_length([0.1 * np.log2(a / b) for a, b in words], words, seed=1)
    assert found is not None
    assert found.difference.interval.estimate == pytest.approx(0, abs=1e-9)
    assert not found.difference.clear


def test_answers_of_the_same_length_leave_the_difference_as_it_is() -> None:
    differences = [0.1, 0.3, 0.2, 0.0, 0.4, 0.1, 0.2]
    found = difference_at_equal_length(differences, [(50, 50)] * 7, seed=1)
    assert found is not None
    assert found.difference == paired_difference(differences, seed=1, most=1.0)
    assert found.per_doubling is None


def test_where_length_and_arm_cannot_be_told_apart_nothing_is_said() -> None:
    differences = [0.1, 0.3, 0.2, 0.0, 0.4, 0.1, 0.2]
    assert difference_at_equal_length(differences, [(100, 50)] * 7, seed=1) is None
    assert difference_at_equal_length(differences[:5], [(50, 50)] * 5, seed=1) is None
    assert difference_at_equal_length([], [], seed=1) is None


def test_an_empty_answer_has_a_length() -> None:
    found = difference_at_equal_length([0.5, 0.4, 0.6, -0.2, 0.1, 0.3], [(90, 0), *[(50, 40)] * 4, (0, 0)], seed=1)
    assert found is not None
    assert -1 <= found.difference.interval.low <= found.difference.interval.estimate
