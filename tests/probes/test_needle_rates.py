"""Rates of every task against counts by hand: what counts, what is averaged where, what temperature and length do."""

from collections.abc import Sequence

import pytest

from probes.experiments.needle_rates import (
    effective_length_rows,
    effective_length_sentences,
    precision_sentence,
    retrieval_rows,
    temperature_rows,
)
from probes.experiments.needle_results import Row, position_rows, score_needles, verdicts
from probes.plan import Result
from probes.stats import mean_interval, wilson
from tests.probes.needle_answers import OTHER, VALUE, answer, found


def rates(results: Sequence[Result]) -> list[Row]:
    return retrieval_rows(score_needles(results), seed=1)


def test_each_block_is_one_yes_or_no_and_the_interval_is_wilsons() -> None:
    (row,) = rates([found(block < 7, block=block) for block in range(10)])
    expected = wilson(7, 10)
    assert expected is not None
    assert (row["n"], row["rate"], row["hit"], row["miss"]) == (10, 0.7, 7, 3)
    assert (row["low"], row["high"]) == (expected.low, expected.high)


def test_repeats_are_averaged_inside_their_block_and_never_counted() -> None:
    hits = {0: (1, 1, 1), 1: (1, 0, 0), 2: (0, 0, 0), 3: (1, 1, 0)}
    results = [
        found(bool(hit), block=block, sample=sample)
        for block, samples in hits.items()
        for sample, hit in enumerate(samples)
    ]
    (row,) = rates(results)
    means = [sum(samples) / 3 for samples in hits.values()]
    expected = mean_interval(means, seed=1, least=0.0, most=1.0)
    assert expected is not None
    assert row["n"] == 4
    assert row["answers"] == 12
    assert (row["rate"], row["low"], row["high"]) == pytest.approx((sum(means) / 4, expected.low, expected.high))
    (by_temperature,) = temperature_rows(score_needles(results), seed=1)
    assert (by_temperature["samples"], by_temperature["alike_rate"]) == (3, 0.5)


def test_outcomes_stand_apart_and_only_answers_stand_in_the_rate() -> None:
    texts = [(VALUE, "stop"), ("77777.", "stop"), ("It is not in the text.", "stop"), ("The", "max_tokens"), (None, "")]
    (row,) = rates([answer(text, stop=stop, block=block) for block, (text, stop) in enumerate(texts)])
    assert [row[name] for name in ("hit", "miss", "refusal", "truncated", "error")] == [1, 1, 1, 1, 1]
    assert (row["n"], row["rate"]) == (3, pytest.approx(1 / 3))


def test_what_was_not_tried_is_in_no_table() -> None:
    result = found(True)
    untried = Result(result.model, "x", result.trial, None)
    assert rates([untried]) == []


def test_the_weaker_readings_stand_beside_the_rate() -> None:
    several = {"task": "multi-value", "values": [VALUE, OTHER], "right": [0, 1], "answer": "all", "asked": None}
    texts = [f"{VALUE} and {OTHER}", VALUE, "Nobody can say."]
    (row,) = rates([answer(text, block=block, depth=None, needles=2, **several) for block, text in enumerate(texts)])
    assert row["share_rate"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert row["rate"] == pytest.approx(1 / 3)
    (both,) = rates([answer(f"{VALUE} or {OTHER}", values=[VALUE, OTHER], block=block) for block in range(3)])
    assert (both["rate"], both["lenient_rate"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("place", "before", "after"),
        ("structure", "plain", "headings"),
        ("context", "whole", "focused"),
        ("prompt_style", "ours", "ruler"),
        ("temperature", 0.0, 1.0),
        ("length_tokens", 500, 2000),
        ("depth", 0.0, 1.0),
        ("task", "single", "paraphrase"),
    ],
)
def test_nothing_is_pooled_over_what_was_varied(name: str, one: object, other: object) -> None:
    rows = rates([found(True, **{name: one}), found(False, **{name: other})])
    assert sorted((str(row[name]), row["rate"]) for row in rows) == sorted([(str(one), 1.0), (str(other), 0.0)])


def test_controls_and_likelihoods_are_no_retrieval() -> None:
    assert rates([found(True, control="closed-book"), found(True, control="short")]) == []


def test_cells_of_earlier_versions_are_read_as_they_were_meant() -> None:
    old = {"block": 0, "length_tokens": 500, "layout": "spread", "asked": 1, "depth": 0.25, "name": "Brenmoor"}
    old |= {"values": [OTHER, VALUE, "11111", "22222", "33333"], "haystack_tokens": 500}
    whole = answer(VALUE)
    results = [
        Result(
            "sim/one", str(asked), type(whole.trial)(0, whole.trial.request, old | {"asked": asked}), whole.completion
        )
        for asked in (1, None)
    ]
    positions = position_rows(score_needles(results))
    assert [(row["asked_n"], row["not_asked_n"]) for row in positions[:2]] == [(0, 2), (1, 1)]
    assert (positions[1]["asked_rate"], positions[1]["not_asked_rate"]) == (1.0, 1.0)
    (row,) = rates(results)
    assert (row["task"], row["place"], row["context"], row["n"]) == ("multi-key", "after", "whole", 1)


def test_errors_have_no_verdict_and_answers_have_one() -> None:
    kept = verdicts(score_needles([found(True, block=0), answer(None, block=1)]))
    assert [(verdict.outcome, verdict.value) for verdict in kept] == [("hit", 1.0)]


def test_the_effective_length_is_the_last_one_before_the_rate_falls() -> None:
    hits = {500: 20, 1000: 19, 2000: 15, 4000: 19}  # of 20; what comes after a fall does not count
    results = [
        found(block < right, length_tokens=length, block=block) for length, right in hits.items() for block in range(20)
    ]
    ruler, nolima = effective_length_rows(score_needles(results), seed=1)
    assert (ruler["bar_rate"], nolima["bar_rate"]) == (0.856, pytest.approx(0.85 * (1 + 0.95) / 2))
    assert [row["effective_tokens"] for row in (ruler, nolima)] == [1000, 1000]
    for row in (ruler, nolima):
        assert row["surely_tokens"] <= 1000 < row["possibly_tokens"] == 4000
        assert (row["fewest_blocks"], row["most_blocks"], row["longest_tokens"]) == (20, 20, 4000)
    said = effective_length_sentences([ruler, nolima])
    assert said[0].startswith("Effective length (at least 85.6% right, at this and at all shorter lengths): 1,000 tok")
    assert "4,000 or more" in said[0]
    assert "texts of up to 1,024 tokens" in said[2]
    assert effective_length_rows(score_needles(results[:20]), seed=1) == []


def test_what_failed_is_bounded_by_the_worst_and_the_best_that_it_could_have_been() -> None:
    results = [found(block < 6, block=block) for block in range(8)] + [answer(None, block=8), answer(None, block=9)]
    (row,) = rates(results)
    assert (row["rate"], row["worst_low_rate"], row["worst_high_rate"]) == (0.75, 0.6, 0.8)
    assert "2 failed or cut answers are left out; a rate lies between 60% and 80%" in precision_sentence([row])
    (whole,) = rates(results[:8])
    assert whole["worst_low_rate"] == whole["worst_high_rate"] == 0.75
    assert "left out" not in precision_sentence([whole])


def test_the_precision_is_that_of_the_widest_interval() -> None:
    said = precision_sentence(rates([found(block < 5, block=block) for block in range(10)]))
    assert "with 10 blocks" in said
    assert "±26 points" in said
    assert "97" in said
    assert precision_sentence([]).startswith("Nothing")
