"""The published sizes are those of the paper, and the cost of a step is its formula."""

import math

import pytest
from scipy import optimize, special

from tokenizer.errors import UsageError
from tokenizer.vocabulary_size import cheapest_size, published_optima, step_cost

# Parameters outside of the vocabulary, the authors' width for so many, and their sizes in thousands (approach 1 and 2).
PUBLISHED = [
    (33e6, 512, 5.8, 6.1),
    (85e6, 768, 8.4, 9.0),
    (302e6, 1024, 18, 20),
    (1.1e9, 2048, 27, 29),
    (2.9e9, 3200, 38, 41),
    (7e9, 4096, 62, 67),
    (70e9, 8192, 212, 231),
]


def tokens_per_letter(size: float) -> float:
    """The paper's fit of how many tokens a letter of its corpus makes with a vocabulary of this size."""
    return 0.00639222 * math.log(size) ** 2 - 0.15811069 * math.log(size) + 1.20470122


@pytest.mark.parametrize(("params", "dim", "first", "second"), PUBLISHED)
def test_the_published_sizes(params, dim, first, second):
    found = published_optima(int(params), dim)
    assert [one.approach for one in found] == ["IsoFLOPs", "derivative"]
    digits = 1 if first < 10 else 0
    assert [round(one.vocab_size / 1000, digits) for one in found] == [first, second]
    assert {one.is_extrapolated for one in found} == {params > 2.9e9}


def test_what_lies_outside_of_the_fit_is_extrapolated():
    inside = [one.is_extrapolated for params in (33_000_000, 2_900_000_000) for one in published_optima(params, 512)]
    outside = [one.is_extrapolated for params in (32_999_999, 2_900_000_001) for one in published_optima(params, 512)]
    assert (inside, outside) == ([False] * 4, [True] * 4)


def test_the_smallest_model_has_the_vocabulary_from_which_the_second_fit_starts():
    assert published_optima(33_000_000, 512)[1].vocab_size == 6144


def test_the_second_fit_grows_as_the_size_with_which_a_letter_costs_least():
    """Approach 2 again: where the derivative of f(V)(N + V d) is zero for seven models, and a power law through it."""
    models = {33e6: 512, 85e6: 768, 151e6: 768, 302e6: 1024, 631e6: 1536, 1.13e9: 2048, 2.87e9: 3200}

    def derivative(size: float, params: float, dim: int) -> float:
        slope = (2 * 0.00639222 * math.log(size) - 0.15811069) / size
        return dim * tokens_per_letter(size) + (params + dim * size) * slope

    best = {
        params: optimize.brentq(derivative, 300, 150_000, args=(params, dim)) * dim for params, dim in models.items()
    }
    logs = [(math.log(params / 33e6), math.log(own / best[33e6])) for params, own in best.items()]
    law = optimize.minimize_scalar(
        lambda power: sum(special.huber(0.001, power * by_params - by_size) for by_params, by_size in logs)
    )
    ours = published_optima(3_300_000_000, 512)[1].vocab_size / published_optima(33_000_000, 512)[1].vocab_size
    assert math.log(ours, 100) == pytest.approx(law.x, abs=0.002)


def test_the_cheapest_size_is_where_the_derivative_is_zero():
    params, dim = 5_000_000, 512
    found = optimize.minimize_scalar(
        lambda size: tokens_per_letter(size) * (params + size * dim), bounds=(300, 9000), method="bounded"
    )
    tokens = [round(1e12 * tokens_per_letter(size)) for size in range(256, 9000)]
    assert cheapest_size(tokens, 256, params, dim) == pytest.approx(found.x, abs=1)
    assert cheapest_size([7, 7, 7], 300, params, dim) == 300


def test_the_cost_of_a_step_by_hand():
    assert step_cost(tokens=10, vocab_size=300, params=1000, dim=2) == 10 * (1000 + 600)
    # 100 x 266 = 26,600, 60 x 267 = 16,020, 60 x 268 = 16,080
    assert cheapest_size([100, 60, 60], 256, params=10, dim=1) == 257


@pytest.mark.parametrize(("params", "dim"), [(0, 512), (-1, 512), (1000, 0)])
def test_a_model_of_nothing_is_refused(params, dim):
    for ask in (lambda: published_optima(params, dim), lambda: step_cost(10, 300, params, dim)):
        with pytest.raises(UsageError, match="does not exist"):
            ask()
