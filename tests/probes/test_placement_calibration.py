"""A short version of `make calibrate`: planted effects come back as often as is stated, broken statistics do not."""

from dataclasses import replace

import pytest
from scipy import stats as scipy_stats

from tests import calibrate_truth as truth
from tests.calibrate import calibrate, lines_of, made_again, rows_of
from tests.calibrate_effects import EFFECTS
from tests.calibrate_studies import Check, Figure, Study, bound, counted

STUDIES, FEW = 40, 15


@pytest.mark.parametrize("name", ["any-instruction-coverage", "detectable-coverage"])
def test_a_planted_effect_is_covered_and_found_as_often_as_is_stated(name: str) -> None:
    effect = EFFECTS[name]()
    counts = calibrate(effect, STUDIES)
    assert [each for each in counts if not each.kept] == []
    assert {each.studies for each in counts} == {STUDIES}


def test_intervals_that_are_too_short_and_tests_that_find_too_much_are_noticed() -> None:
    effect = EFFECTS["detectable-coverage"]()
    (covers,) = [each for each in effect.checks if each.what == "covers"]

    def half_as_wide(study: Study) -> Figure:
        found = covers.read(study)
        middle, half = (found.low + found.high) / 2, (found.high - found.low) / 2
        return replace(found, low=middle - half / 2, high=middle + half / 2)

    def no_effect_planted(study: Study) -> Figure:
        return covers.read(study)

    broken = replace(
        effect,
        checks=(
            replace(covers, read=half_as_wide),
            Check("silent", "what is there", 0, no_effect_planted),
            Check("claims", "what is as large", 0, lambda study: replace(covers.read(study), claimed=True)),
            Check("holds", "what is not so", 0, lambda study: replace(covers.read(study), holds=False)),
        ),
    )
    counts = calibrate(broken, FEW)
    assert [each.kept for each in counts] == [False, False, False, False]
    assert all("BEYOND" in line for line in lines_of(rows_of(broken, counts))[2:])
    again = made_again(broken, counts, 2)
    assert [(each.check, each.studies) for each in again] == [(check, 6) for check in broken.checks]
    assert made_again(broken, [each for each in counts if each.kept], 2) == []


def test_bounds_are_those_that_chance_crosses_once_in_a_hundred_times() -> None:
    assert bound("covers", 200) == bound("silent", 200) == bound("claims", 200) == (0, 18)
    assert scipy_stats.binom.sf(18, 200, 0.05) < 0.01 < scipy_stats.binom.sf(17, 200, 0.05)
    least, most = bound("finds", 200)
    assert scipy_stats.binom.cdf(least - 1, 200, 0.8) < 0.01 <= scipy_stats.binom.cdf(least, 200, 0.8)
    assert scipy_stats.binom.sf(most, 200, 0.8) <= 0.01 < scipy_stats.binom.sf(most - 1, 200, 0.8)
    assert bound("holds", 200) == (0, 0)


def test_what_is_counted_is_misses_findings_and_claims() -> None:
    figures = [Figure(0.1, 0.0, 0.2, 0.04, claimed=True), Figure(0.3, 0.2, 0.4, 0.001), Figure(0.0, -1.0, 1.0, 0.9)]
    read = lambda _study: Figure()  # noqa: E731 - what is counted is given
    counts = {what: counted(Check(what, "", 0.1, read), figures).count for what in ("covers", "silent", "claims")}
    assert counts == {"covers": 1, "silent": 2, "claims": 1}


def test_the_truth_of_documents_that_differ_agrees_with_drawing_them() -> None:
    import numpy as np

    shifted = scipy_stats.norm(0, 0.8).rvs(400_000, random_state=3)
    rates = 1 / (1 + np.exp(-(np.log(0.7 / 0.3) + shifted)))
    assert truth.mean(0.7, 0.8) == pytest.approx(rates.mean(), abs=0.002)
    right = (1 - 0.98 * rates) / 10 + 0.98 * rates
    margins = np.log(right) - np.log((1 - right) / 9)
    assert truth.mean(0.7, 0.8, truth.margins) == pytest.approx(margins.mean(), abs=0.01)
    low, high, noise = truth.rates_with(0.13, 0.2, 0.1)
    first, second = (
        1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + draw)))
        for rate, draw in (
            (low, scipy_stats.norm(0, noise).rvs(400_000, random_state=4)),
            (high, scipy_stats.norm(0, noise).rvs(400_000, random_state=5)),
        )
    )
    assert (second - first).mean() == pytest.approx(0.13, abs=0.003)
    assert (first * (1 - second) + second * (1 - first)).mean() == pytest.approx(0.2, abs=0.003)
    assert (second - first).var() == pytest.approx(0.02, abs=0.001)
