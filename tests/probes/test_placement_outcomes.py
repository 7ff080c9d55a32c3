"""Outcomes of a placement run on answers made by hand: every figure is counted on paper."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from probes.experiments.placement_outcomes import least_measurable, read_outcomes
from probes.experiments.placement_results import (
    arm_rows,
    constraint_rows,
    cost_rows,
    decile_rows,
    kind_rows,
    position_rows,
    verdicts,
)
from probes.experiments.placement_sentences import measurable_sentence
from probes.models.base import Usage
from probes.plan import Result
from tests.probes.placement_answers import TEXT, answered, keeping, scored

Row = dict[str, Any]


def arms_of(results: Sequence[Result]) -> dict[str, Row]:
    return {row["arm"]: row for row in arm_rows(read_outcomes(results), seed=1)}


def test_samples_are_averaged_inside_their_block_and_no_n() -> None:
    results = [keeping([0, 1], sample=0), keeping([0, 1, 2, 3], sample=1), keeping([0, 1, 2, 3, 4], block=1)]
    row = arms_of(results)["before"]
    assert row["coverage_rate"] == pytest.approx((0.3 + 0.5) / 2)
    assert (row["coverage_blocks"], row["answers"], row["samples"]) == (2, 3, 2)


def test_what_is_missing_is_no_zero_and_bounds_say_what_it_could_have_been() -> None:
    results = [keeping(range(8)), answered(None, block=1), answered("I'm sorry, I cannot help.", block=2)]
    row = arms_of(results)["before"]
    assert (row["coverage_rate"], row["coverage_blocks"]) == (0.8, 1)
    assert (row["error"], row["refusal"], row["answers"]) == (1, 1, 2)
    assert row["coverage_worst_low"] == pytest.approx(0.8 / 3)
    assert row["coverage_worst_high"] == pytest.approx(2.8 / 3)


def test_a_block_whose_calls_failed_in_part_counts_by_its_other_answers() -> None:
    results = [keeping([0, 1], sample=0), answered(None, sample=1)]
    row = arms_of(results)["before"]
    assert (row["coverage_rate"], row["coverage_blocks"], row["error"]) == (0.2, 1, 1)
    assert (row["coverage_worst_low"], row["coverage_worst_high"]) == (pytest.approx(0.1), pytest.approx(0.6))


def test_primacy_recency_and_the_middle_are_differences_between_places() -> None:
    """Of block 0 the first two and the last fact are kept; of block 1 the two in the very middle."""
    rows = position_rows(read_outcomes([keeping([0, 1, 9]), keeping([4, 5], block=1)]), seed=1)
    found = {row["measure"]: row for row in rows}
    assert found["primacy"]["value"] == pytest.approx((1 + -1) / 2)
    assert found["recency"]["value"] == pytest.approx((0.5 + -1) / 2)
    assert found["middle_deficit"]["value"] == pytest.approx((0.75 + -0.5) / 2)
    assert found["centre_of_mass"]["value"] == pytest.approx((0.05 + 0.15 + 0.95 + 0.45 + 0.55) / 5)
    assert {row["blocks"] for row in rows} == {2}


def test_a_centre_needs_something_that_is_kept() -> None:
    rows = position_rows(read_outcomes([keeping([])]), seed=1)
    assert "centre_of_mass" not in {row["measure"] for row in rows}


def test_tenths_go_by_where_facts_stand_in_the_text() -> None:
    """Three facts: two in the first tenth, one at the very end; the second of them is never kept."""
    results = [
        keeping(kept, facts=3, positions=[0.0, 0.05, 1.0], block=block) for block, kept in enumerate([[0], [0, 2]])
    ]
    rows = {row["decile"]: row for row in decile_rows(read_outcomes(results))}
    assert list(rows) == [1, 10]
    assert (rows[1]["coverage_rate"], rows[1]["facts"]) == (0.5, 2)
    assert (rows[10]["coverage_rate"], rows[10]["facts"], rows[10]["coverage_blocks"]) == (0.5, 1, 2)


def test_cells_of_the_first_version_are_read_as_what_they_were() -> None:
    old = keeping([0, 9])
    old_cell = {key: old.trial.cell[key] for key in ("block", "length_tokens", "names", "values", "arm", "measure")}
    trial = type(old.trial)(0, old.trial.request, old_cell | {"speakers": ["Ana", "Ben"]})
    outcomes = read_outcomes([Result("m", "t", trial, old.completion)])
    (setting,) = outcomes
    assert (setting.framing, setting.task, setting.temperature) == ("transcript", "focused", None)
    assert [row["decile"] for row in decile_rows(outcomes) if row["coverage_rate"]] == [1, 10]


def test_kinds_of_facts_stand_apart() -> None:
    kinds = ["decision", "incidental", "decision", "incidental"]
    results = [keeping([0, 2, 3], facts=4, kinds=kinds), keeping([0], facts=4, kinds=kinds, block=1)]
    rows = {row["kind"]: row for row in kind_rows(read_outcomes(results), seed=1)}
    assert rows["decision"]["coverage_rate"] == pytest.approx((1 + 0.5) / 2)
    assert rows["incidental"]["coverage_rate"] == pytest.approx((0.5 + 0) / 2)
    assert rows["decision"]["coverage_blocks"] == 2
    assert kind_rows(read_outcomes([keeping([0])]), seed=1) == []


def test_constraints_are_counted_by_answer_and_averaged_by_block() -> None:
    wanted = {"bullets": 1, "forbidden": ["rain"]}
    results = [
        answered("- Sun", constraints=wanted, sample=0),
        answered("- Rain", constraints=wanted, sample=1),
        answered("Sun", constraints=wanted, block=1),
        answered(None, constraints=wanted, block=2),
    ]
    rows = {row["constraint"]: row for row in constraint_rows(read_outcomes(results), seed=1)}
    assert {name: (row["followed"], row["answers"], row["rate"]) for name, row in rows.items()} == {
        "bullets": (2, 3, 0.5),
        "forbidden": (2, 3, 0.75),
    }
    assert arms_of(results)["before"]["constraint_rate"] == pytest.approx((0.75 + 0.5) / 2)


def test_order_altered_values_words_and_mis_bound_facts_are_means_over_blocks() -> None:
    results = [
        answered("Castelin has 12. Brenmoor has 47. Dorvica has 31."),  # in the wrong order, 31 made up
        answered("Brenmoor has 12 and Castelin has 47.", block=1),  # both with the other's value; no order
    ]
    row = arms_of(results)["before"]
    assert (row["order_tau"], row["order_blocks"]) == (-1.0, 1)
    assert row["altered"] == pytest.approx(0.5)
    assert row["misbound_rate"] == pytest.approx(0.1)
    assert row["words"] == pytest.approx((9 + 7) / 2)


def test_the_margin_takes_as_many_facts_as_there_are() -> None:
    """Two facts: p = 0.5 against 0.25, and 0.1 against 0.2."""
    logs = [[math.log(0.5), math.log(0.25)], [math.log(0.2), math.log(0.1)]]
    row = arms_of(scored(logs))["before"]
    assert row["margin_nats"] == pytest.approx((math.log(2) + math.log(0.5)) / 2)
    assert row["logprob_nats"] == pytest.approx((math.log(0.5) + math.log(0.1)) / 2)
    assert arms_of(scored(logs)[:-1]) == {}  # one is missing: no margin of this text


def test_margins_stand_in_the_setting_of_every_temperature() -> None:
    logs = [[math.log(0.5), math.log(0.25)], [math.log(0.2), math.log(0.1)]]
    results = [keeping([0], facts=2, temperature=heat) for heat in (0.0, 1.0)] + scored(logs)
    outcomes = read_outcomes(results)
    assert [setting.temperature for setting in outcomes] == [0.0, 1.0]
    rows = arm_rows(outcomes, seed=1)
    assert [(row["temperature"], row["margin_blocks"], row["coverage_blocks"]) for row in rows] == [
        (0.0, 1, 1),
        (1.0, 1, 1),
    ]


def test_what_answers_took_is_a_mean_of_what_is_known() -> None:
    results = [
        answered("One.", usage=Usage(100, 10, 40), cost=2_000_000, seconds=(1.0, 0.2)),
        answered("Two.", usage=Usage(200, 20, None), cost=None, seconds=(9.0, None), block=1),
        answered("Three.", usage=Usage(None, 60, 60), cost=4_000_000, seconds=(2.0, 0.4), block=2),
        answered(None, block=3),
        answered("Other.", arm="after"),
    ]
    before, after = cost_rows(results)
    assert (before["arm"], before["answers"], before["unpriced"]) == ("before", 3, 1)
    assert (before["input_tokens"], before["output_tokens"], before["cache_read_tokens"]) == (150, 30, 50)
    assert before["cost_usd"] == pytest.approx(0.003)
    assert (before["latency_s"], before["first_token_s"]) == (2.0, pytest.approx(0.3))
    assert (after["input_tokens"], after["cost_usd"], after["first_token_s"]) == (None, None, None)


def test_answers_and_log_probabilities_are_priced_apart() -> None:
    rows = cost_rows([keeping([0], facts=2), *scored([[-1.0, -2.0], [-2.0, -1.0]])])
    assert [(row["measure"], row["answers"]) for row in rows] == [("coverage", 1), ("margin", 4)]


def test_coverage_is_measurable_where_three_in_ten_answers_of_every_arm_are_summaries() -> None:
    copy = f"As it says: {TEXT[:250]}"
    good = [keeping([0], arm=arm, block=block) for arm in ("before", "after") for block in range(3)]
    bad = [answered(copy, arm="before", block=block) for block in range(3, 10)]
    (blocks,) = read_outcomes(good + bad).values()
    least = least_measurable(blocks)
    assert least is not None
    assert (least.arm, least.summaries, least.answers, least.measurable) == ("before", 3, 10, True)
    assert measurable_sentence(least) is None
    (blocks,) = read_outcomes([*good, *bad, answered(copy, block=10)]).values()
    said = measurable_sentence(least_measurable(blocks))
    assert said is not None
    assert "not measurable on this model: with the instruction before the text 3 of 11 answers (27%) are sum" in said


def test_arms_without_the_instruction_and_failed_calls_say_nothing_of_whether_it_can_be_measured() -> None:
    copy = f"As it says: {TEXT[:250]}"
    results = [
        keeping([0]),
        answered(None, block=1),
        answered(copy, arm="none"),
        answered(copy, arm="irrelevant-after"),
    ]
    (blocks,) = read_outcomes(results).values()
    least = least_measurable(blocks)
    assert least is not None
    assert (least.arm, least.rate) == ("before", 1.0)


def test_verdicts_hold_what_was_read_and_errors_have_none() -> None:
    (kept,) = verdicts([keeping([0, 1]), answered(None, block=1), *scored([[-1.0, -2.0], [-2.0, -1.0]])])
    assert (kept.outcome, kept.value) == ("hit", 0.2)
    assert kept.detail["covered"] == (0, 1)
