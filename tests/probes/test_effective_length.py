"""Effective length against the published tables, Jeffreys' interval and simulated models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats as scipy_stats

from probes.effective_length import RULER_RATE, effective_length

RULER_LENGTHS = (4_000, 8_000, 16_000, 32_000, 64_000, 128_000)
NOLIMA_LENGTHS = (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)


def table(lengths, rates, blocks: int = 4) -> dict[int, dict[int, float]]:
    """The same rate in every block."""
    return {length: dict.fromkeys(range(blocks), rate / 100) for length, rate in zip(lengths, rates, strict=True)}


@pytest.mark.parametrize(
    ("rates", "published"),
    [
        ((96.6, 96.3, 95.2, 93.2, 87.0, 81.2), 64_000),  # GPT-4-1106-preview
        ((96.5, 95.8, 95.4, 94.8, 88.4, 66.6), 64_000),  # Llama 3.1 70B
        ((96.4, 96.3, 95.3, 94.0, 85.9, 48.1), 64_000),  # Mistral Large 2411
        ((95.6, 95.6, 94.8, 94.6, 92.8, 90.0), 128_000),  # Jamba 1.5 mini: "> 128K"
        ((98.4, 96.0, 96.2, 94.4, 91.8, 85.6), 128_000),  # Qwen3 32B, at the bar
    ],
)
def test_the_absolute_definition_gives_rulers_published_lengths(rates: tuple[float, ...], published: int) -> None:
    found = effective_length(table(RULER_LENGTHS, rates), seed=1, threshold=RULER_RATE)
    assert found is not None
    assert (found.definition, found.tokens, found.longest, found.bar) == ("ruler", published, 128_000, RULER_RATE)


@pytest.mark.parametrize(
    ("base", "rates", "published"),
    [
        (99.3, (98.1, 98.0, 95.7, 89.2, 81.6, 69.7), 8_000),  # GPT-4o
        (97.3, (94.2, 87.4, 81.5, 72.1, 59.5, 42.7), 2_000),  # Llama 3.3 70B
        (87.6, (85.4, 84.0, 77.6, 61.7, 45.7, 29.8), 4_000),  # Claude 3.5 Sonnet
        (76.7, (65.7, 54.4, 44.1, 31.9, 22.6, 14.2), 1_000),  # Llama 3.1 8B
        (92.4, (76.3, 74.1, 70.8, 62.2, 52.7, 43.6), 500),  # Jamba 1.5 Mini: "< 1K"
    ],
)
def test_the_relative_definition_gives_nolimas_published_lengths(
    base: float, rates: tuple[float, ...], published: int
) -> None:
    """The base score stands in for the shortest length, which the table does not list."""
    found = effective_length(table(NOLIMA_LENGTHS, (base, *rates)), seed=1, base=[500])
    assert found is not None
    assert (found.definition, found.tokens) == ("nolima", published)
    assert found.bar == pytest.approx(0.85 * base / 100)
    assert found.base == pytest.approx(base / 100)


def test_the_base_is_the_mean_of_the_short_lengths_unless_others_are_named() -> None:
    rates = table((250, 500, 1_000, 4_000), (100, 90, 80, 70))
    default, named, none = (effective_length(rates, seed=1, base=base) for base in (None, [250], [64]))
    assert default is not None
    assert named is not None
    assert none is not None
    assert default.base == pytest.approx(0.9)
    assert default.tokens == 1_000  # 85 % of 90 is 76.5
    assert named.base == none.base == 1.0
    assert named.tokens == 500


def test_a_length_counts_only_if_all_shorter_ones_pass() -> None:
    found = effective_length(table((500, 1_000, 2_000), (95, 60, 99)), seed=1, threshold=0.85)
    assert found is not None
    assert found.tokens == 500
    low = effective_length(table((500, 1_000, 2_000), (60, 95, 99)), seed=1, threshold=0.85)
    assert low is not None
    assert low.tokens is None
    assert low.row()["effective_tokens"] == 0


def test_blocks_that_are_all_right_are_as_certain_as_jeffreys_has_them() -> None:
    """The lower limit of 14 of 14 lies below the bar, that of 17 of 17 above it."""
    for blocks, sure in ((14, None), (17, 1_000)):
        below = scipy_stats.beta.ppf(0.025, blocks + 0.5, 0.5) < RULER_RATE
        assert below == (sure is None)
        found = effective_length(table((500, 1_000), (100, 100), blocks), seed=1, threshold=RULER_RATE)
        assert found is not None
        assert (found.tokens, found.low, found.high) == (1_000, sure, 1_000)
        assert found.blocks == (blocks, blocks)


@pytest.mark.parametrize(("answers", "blocks"), [(1, 20), (10, 20)])
def test_the_limits_hold_the_true_length_as_often_as_they_say(answers: int, blocks: int) -> None:
    lengths, true = (250, 500, 1_000, 2_000, 4_000), (0.97, 0.95, 0.9, 0.8, 0.6)
    draw = np.random.default_rng(blocks)
    studies, covered = 80, {"ruler": 0, "nolima": 0}
    for _ in range(studies):
        rates = {
            length: dict(enumerate((draw.binomial(answers, rate, blocks) / answers).tolist()))
            for length, rate in zip(lengths, true, strict=True)
        }
        for found in (
            effective_length(rates, seed=1, threshold=RULER_RATE),
            effective_length(rates, seed=1, base=[250]),  # 85 % of 0.97 is 0.82
        ):
            assert found is not None
            covered[found.definition] += (found.low or 0) <= 1_000 <= (found.high or 0)
    assert min(covered.values()) >= scipy_stats.binom.ppf(0.005, studies, 0.95)


def test_too_little_says_nothing() -> None:
    assert effective_length({}, seed=1, threshold=0.8) is None
    assert effective_length(table((500,), (100,)), seed=1, threshold=0.8) is None
    assert effective_length({500: {1: 1.0}, 1_000: {}}, seed=1, threshold=0.8) is None
    assert effective_length(table((500, 1_000), (0, 0)), seed=1) is None


@settings(max_examples=30)
@given(
    some.dictionaries(
        some.sampled_from([250, 500, 1_000, 2_000]),
        some.dictionaries(some.integers(0, 9), some.integers(0, 4).map(lambda right: right / 4), min_size=1),
        min_size=2,
    ),
    some.floats(0.05, 0.95),
)
def test_the_limits_hold_the_estimate_and_a_higher_bar_never_lengthens_it(rates, bar: float) -> None:
    lower, higher = (effective_length(rates, seed=1, threshold=threshold) for threshold in (bar, bar + 0.05))
    assert lower is not None
    assert higher is not None
    for found in (lower, higher):
        assert (found.low or 0) <= (found.tokens or 0) <= (found.high or 0) <= found.longest
    assert (higher.tokens or 0) <= (lower.tokens or 0)
    assert (higher.low or 0) <= (lower.low or 0)
