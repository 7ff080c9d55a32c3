"""Agreement of two readers: by hand, against statsmodels, and where it is not defined."""

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from probes.agreement import Counts, agreement


def table(said: np.ndarray, told: np.ndarray) -> Counts:
    """What two readers say of the same things, as counts."""
    cells = [said & told, said & ~told, ~said & told, ~said & ~told]
    return Counts(*(int(each.sum()) for each in cells))


def test_a_worked_example_by_hand() -> None:
    # 35 of 50 alike: 0.7. Yes by 25/50 and by 30/50: by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5. (0.7 - 0.5) / 0.5 = 0.4.
    found = agreement([Counts(20, 5, 10, 15)], seed=1)
    assert found is not None
    assert found.rate.estimate == pytest.approx(0.7)
    assert found.kappa is not None
    assert found.kappa.estimate == pytest.approx(0.4)
    # Blocks are counted together, whatever stands in which.
    split = agreement([Counts(15, 0, 10, 5), Counts(5, 5, 0, 10)], seed=1)
    assert split is not None
    assert split.kappa is not None
    assert (split.rate.estimate, split.kappa.estimate) == (pytest.approx(0.7), pytest.approx(0.4))


def test_intervals_are_those_of_statsmodels_where_facts_are_independent_and_wider_where_they_are_not() -> None:
    draws = np.random.default_rng(3)
    said = draws.random(400) < 0.4
    alone = [
        table(one, other)
        for one, other in zip(said[:, None], (said ^ (draws.random(400) < 0.15))[:, None], strict=True)
    ]
    found = agreement(alone, seed=1)
    known = cohens_kappa(np.array(alone).sum(axis=0).reshape(2, 2))
    assert found is not None
    assert found.kappa is not None
    assert found.kappa.estimate == pytest.approx(known.kappa)
    assert (found.kappa.low, found.kappa.high) == pytest.approx((known.kappa_low, known.kappa_upp), abs=0.02)
    # Twenty texts of which three are judged at random: 400 facts are then no 400 chances to agree.
    wrong = np.where(np.arange(400)[:, None] % 20 < 3, draws.random((400, 1)) < 0.5, False)
    texts = [table(said[number::20], (said ^ wrong[:, 0])[number::20]) for number in range(20)]
    clustered, naive = agreement(texts, seed=1), cohens_kappa(np.array(texts).sum(axis=0).reshape(2, 2))
    assert clustered is not None
    assert clustered.kappa is not None
    assert clustered.kappa.estimate == pytest.approx(naive.kappa)
    assert clustered.kappa.high - clustered.kappa.low > 1.3 * (naive.kappa_upp - naive.kappa_low)


def test_what_is_alike_everywhere_is_not_thereby_certain() -> None:
    found = agreement([Counts(4, 0, 0, 6)] * 10, seed=1)
    assert found is not None
    assert found.rate.estimate == 1
    assert found.rate.low == pytest.approx(0.7225, abs=1e-4)  # Wilson, 10 of 10: 1 / (1 + 1.96 ** 2 / 10)
    assert found.kappa is not None
    # By chance 0.4 ** 2 + 0.6 ** 2 = 0.52 alike: (0.7225 - 0.52) / 0.48 = 0.4218.
    assert found.kappa.low == pytest.approx(0.4218, abs=1e-3)


def test_nothing_to_agree_on_and_nothing_beyond_chance() -> None:
    assert agreement([], seed=1) is None
    assert agreement([Counts(0, 0, 0, 0)], seed=1) is None
    found = agreement([Counts(10, 0, 0, 0), Counts(8, 0, 0, 0)], seed=1)
    assert found is not None
    assert (found.rate.estimate, found.kappa) == (1, None)
    one_sided = agreement([Counts(5, 5, 0, 0), Counts(7, 3, 0, 0)], seed=1)  # one says yes of everything
    assert one_sided is not None
    assert one_sided.kappa is not None
    assert one_sided.kappa.estimate == 0
