"""How large a vocabulary should be: what a step costs with it, and what was published about the best size.

Parameters are those outside of the vocabulary, N. A vocabulary of V tokens has V * d of its own, where d is the width
of an embedding: the output layer multiplies by as many at each token, while looking up an embedding costs nothing.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tokenizer.errors import UsageError

PAPER = "Tao et al. 2024, arXiv 2407.13623"
FITTED = (33_000_000, 2_900_000_000)  # parameters outside of the vocabulary, of the models that were trained for it

# The published fits, as in the authors' optimal_Nv_predict.py. Approach 1 fits both parameters outside and inside of
# the vocabulary to the compute F of the best models: N = e^a F^0.5, V d = e^b F^c.
_LOG_PARAMS_BY_COMPUTE = -2.4846510161625193
_LOG_VOCABULARY_BY_COMPUTE, _COMPUTE_EXPONENT = -1.589031299255507, 0.4163622634135234
# Approach 2 starts from the best vocabulary that was found for the smallest model, 6,144 tokens of 512 parameters, and
# lets its parameters grow as those of the vocabulary with which a text costs least.
_SMALLEST_VOCABULARY, _GROWTH = 6144 * 512, 0.8353974035228025


class PublishedOptimum(NamedTuple):
    """A vocabulary size that a published fit calls the best for models of so many parameters.

    Attributes:
        approach: which of the paper's fits.
        vocab_size: tokens.
        is_extrapolated: whether the model is smaller or larger than those of the fit.
    """

    approach: Literal["IsoFLOPs", "derivative"]
    vocab_size: int
    is_extrapolated: bool


def published_optima(params: int, dim: int) -> list[PublishedOptimum]:
    """The best vocabulary sizes by approaches 1 and 2 of Tao et al. 2024, for as much training as is best for a model.

    Args:
        params: parameters of the model outside of the vocabulary.
        dim: the width of an embedding.

    Raises:
        UsageError: there are no parameters, or the embedding has no width.

    Example: [round(one.vocab_size, -2) for one in published_optima(33_000_000, 512)] == [5800, 6100]
    """
    _check(params, dim)
    compute = (params / math.exp(_LOG_PARAMS_BY_COMPUTE)) ** 2
    by_compute = math.exp(_LOG_VOCABULARY_BY_COMPUTE) * compute**_COMPUTE_EXPONENT
    by_derivative = _SMALLEST_VOCABULARY * (params / FITTED[0]) ** _GROWTH
    outside = not FITTED[0] <= params <= FITTED[1]
    return [
        PublishedOptimum("IsoFLOPs", round(by_compute / dim), outside),
        PublishedOptimum("derivative", round(by_derivative / dim), outside),
    ]


def step_cost(tokens: int, vocab_size: int, params: int, dim: int) -> int:
    """What going over a text costs: its tokens, times all parameters that each of them is multiplied by.

    Training takes six floating point operations for each unit of it, reading two.

    Raises:
        UsageError: as `published_optima`.

    Example: step_cost(tokens=10, vocab_size=300, params=1000, dim=2) == 16_000
    """
    _check(params, dim)
    return tokens * (params + vocab_size * dim)


def cheapest_size(tokens: Sequence[int], first_size: int, params: int, dim: int) -> int:
    """The vocabulary with which a text costs least, the smallest of several.

    Args:
        tokens: how many the text has with `first_size`, `first_size + 1`, ... in the vocabulary.
        first_size: as above.
        params: as in `published_optima`.
        dim: as in `published_optima`.

    Example: cheapest_size([100, 60, 60], 256, params=10, dim=1) == 257
    """
    return min(
        range(first_size, first_size + len(tokens)),
        key=lambda size: step_cost(tokens[size - first_size], size, params, dim),
    )


def _check(params: int, dim: int) -> None:
    if params < 1 or dim < 1:
        raise UsageError(
            f"a model of {params:,} parameters and a width of {dim:,} does not exist", hint="give numbers from 1 on"
        )
