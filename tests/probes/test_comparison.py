"""Models compared on identical trials: planted differences recovered, figures checked against scipy and statsmodels."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from probes.comparison.compare import Comparison, compare
from probes.comparison.contenders import ComparedRun
from probes.comparison.differences import verdict
from probes.comparison.outcomes import read_outcomes
from probes.models.base import Completion
from probes.plan import PlannedTrial
from tests.probes.comparison_helpers import one, plan, run, some
from tokenizer.errors import UserError

U_SHAPE, OTHER_SEED, PERFECT = "sim/u-shape?edge=1&middle=0.4", "sim/u-shape?edge=1&middle=0.4&seed=9", "sim/perfect"


@cache
def three() -> Comparison:
    return compare([run(plan(blocks=60), U_SHAPE, PERFECT, OTHER_SEED)])


@cache
def right_answers(model: str) -> dict[tuple[int, float], float]:
    """Whether each answer is right, read from its text alone, by block and depth."""
    [run_of_it] = [run(plan(blocks=60), model)]
    return {
        (asked.result.trial.block, cell["depth"]): float(cell["values"][cell["asked"]] in completion.text)
        for asked in run_of_it.trials
        if (cell := asked.result.trial.cell) and (completion := asked.result.completion)
    }


def differences(first: str, second: str, depth: float | None = None) -> list[float]:
    """One difference a block, of all depths or of one."""
    pairs = {key: value - right_answers(second)[key] for key, value in right_answers(first).items()}
    return [
        float(np.mean([value for (number, at), value in pairs.items() if number == block and depth in (None, at)]))
        for block in sorted({block for block, _ in pairs})
    ]


# ------------------------------------------------------------------------------------------------------- recovered


def test_planted_rates_are_recovered_with_their_signs_inside_their_intervals() -> None:
    rows = three().difference_rows
    pair = {"first": U_SHAPE, "second": PERFECT}
    for planted, where in (
        (-0.2, {"declared": True}),
        (-0.6, {"factor": "depth", "level": 0.5}),
        (0.6, {"factor": "depth", "effect": "ends less middle"}),
    ):
        row = one(rows, **pair, **where)
        assert row["low"] <= planted <= row["high"]
        assert row["verdict"] == ("first" if planted > 0 else "second")
        assert row["blocks"] == 60
    assert one(rows, **pair, factor="depth", level=0.0)["verdict"] == "same"


def test_the_same_reader_with_another_seed_is_not_told_apart() -> None:
    rows = [row for row in three().difference_rows if (row["first"], row["second"]) == (U_SHAPE, OTHER_SEED)]
    assert {row["verdict"] for row in rows} == {"not_told_apart", "same"}
    assert one(rows, declared=True)["verdict"] == "not_told_apart"
    assert one(rows, declared=True)["low"] < 0 < one(rows, declared=True)["high"]


def test_a_reader_that_gives_what_was_not_asked_for_does_so_in_the_figures() -> None:
    planned = plan(task="multi-key", blocks=8, depths=[0, 50, 100], controls=["absent"])
    row = one(compare([run(planned, "sim/guesser", PERFECT)]).difference_rows, outcome="unasked_rate", factor=None)
    assert (row["first_value"], row["second_value"]) == (3 / 4, 0)  # it gives the last value, asked for or not
    assert row["declared"] is False


def test_effects_of_placement_are_compared() -> None:
    planned = plan("placement", lengths=[120], blocks=8, measure=["coverage"], place=["before", "after"])
    rows = compare([run(planned, "sim/last-instruction", PERFECT)]).difference_rows
    effect = one(rows, effect="after less before")
    assert (effect["first_value"], effect["second_value"], effect["difference"]) == (1, 0, 1)
    assert one(rows, factor="arm", level="before")["difference"] == -1
    assert one(rows, factor="arm", level="after")["difference"] == 0
    assert one(rows, declared=True)["difference"] == -0.5


def test_margins_are_declared_where_all_have_them_and_differ_by_their_difference() -> None:
    planned = plan("placement", lengths=[120], blocks=2, place=["before", "after"])
    both = run(planned, "sim/recency", PERFECT)
    found = compare([both])
    assert [outcome.name for outcome in found.outcomes] == ["margin_nats", "coverage_rate"]
    row = one(found.difference_rows, declared=True)
    assert row["outcome"] == "margin_nats"
    assert row["difference"] == pytest.approx(row["first_value"] - row["second_value"])
    assert row["worst_low"] is row["equivalent"] is None
    no_margin = some(both, lambda trial: trial.cell["measure"] == "coverage")
    assert [outcome.name for outcome in compare([no_margin]).outcomes] == ["coverage_rate"]


# ----------------------------------------------------------------------------------------- against scipy, statsmodels


@pytest.mark.parametrize("depth", [None, 0.5])
def test_differences_are_the_means_over_blocks(depth: float | None) -> None:
    values = differences(U_SHAPE, PERFECT, depth)
    where = {"declared": True} if depth is None else {"factor": "depth", "level": depth}
    row = one(three().difference_rows, first=U_SHAPE, second=PERFECT, **where)
    assert row["difference"] == pytest.approx(np.mean(values))
    assert row["first_value"] == pytest.approx(np.mean(values) + 1)


def test_the_interval_and_the_test_are_those_of_scipy() -> None:
    values = (np.array(differences(U_SHAPE, OTHER_SEED)),)
    row = one(three().difference_rows, first=U_SHAPE, second=OTHER_SEED, declared=True)
    drawn = stats.bootstrap(values, np.mean, method="BCa", n_resamples=9999, rng=np.random.default_rng(4))
    assert row["low"] == pytest.approx(drawn.confidence_interval.low, abs=0.01)
    assert row["high"] == pytest.approx(drawn.confidence_interval.high, abs=0.01)
    test = stats.permutation_test(values, np.mean, permutation_type="samples", rng=np.random.default_rng(4))
    assert row["p_value"] == pytest.approx(test.pvalue, abs=0.02)


def test_one_answer_a_block_is_tested_by_mcnemars_mid_p() -> None:
    values = differences(U_SHAPE, OTHER_SEED, 0.5)
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    exact = mcnemar([[0, better], [worse, 0]], exact=True).pvalue
    row = one(three().difference_rows, first=U_SHAPE, second=OTHER_SEED, factor="depth", level=0.5)
    assert row["test"] == "McNemar mid-p"
    assert row["p_value"] == pytest.approx(exact - stats.binom.pmf(min(better, worse), better + worse, 0.5))
    assert one(three().difference_rows, first=U_SHAPE, second=OTHER_SEED, declared=True)["test"].startswith("sign-flip")


@pytest.mark.parametrize(("declared", "method", "count"), [(True, "holm", 3), (False, "fdr_bh", 12)])
def test_both_families_are_corrected_as_statsmodels_does(declared: bool, method: str, count: int) -> None:
    rows = [row for row in three().difference_rows if row["declared"] == declared]
    expected = multipletests([row["p_value"] for row in rows], method=method)[1]
    assert [row["p_corrected"] for row in rows] == pytest.approx(list(expected))
    assert {row["tests"] for row in rows} == {count} == {len(rows)}


def test_the_same_within_five_points_is_two_one_sided_tests() -> None:
    row = one(three().difference_rows, first=U_SHAPE, second=PERFECT, factor="depth", level=1.0)
    assert row["equivalent"] is True
    assert -0.05 < row["equivalence_low"] <= row["equivalence_high"] < 0.05
    assert row["equivalence_points"] == 5
    wider = replace(run(plan(blocks=60), U_SHAPE, OTHER_SEED), spec={"seed": 1, "declared": {"equivalence_points": 20}})
    overall = one(compare([wider]).difference_rows, declared=True)
    assert (overall["equivalence_points"], overall["verdict"]) == (20, "same")


# ------------------------------------------------------------------------------------------------- missing answers


def failing(trial: PlannedTrial, completion: Completion) -> Completion | None:
    """Fails in the last third of the blocks."""
    return None if trial.block >= 40 else completion


def test_a_failed_call_is_never_a_miss_and_could_have_been_anything() -> None:
    planned = plan(blocks=60)
    whole, holed = run(planned, PERFECT), run(planned, U_SHAPE, id="run-2", change=failing)
    row = one(compare([holed, whole]).difference_rows, declared=True)
    values = differences(U_SHAPE, PERFECT)
    assert row["difference"] == pytest.approx(np.mean(values[:40]))
    assert (row["blocks"], row["questions"], row["missing"]) == (40, 180, 60)
    assert row["worst_low"] == pytest.approx(np.mean([*values[:40], *[-1.0] * 20]))
    assert row["worst_high"] == pytest.approx(np.mean([*values[:40], *[0.0] * 20]))
    contender = one(compare([holed, whole]).contender_rows, contender=U_SHAPE)
    assert (contender["missing"], contender["blocks"]) == (60, 40)
    assert contender["worst_low"] < contender["value"] < contender["worst_high"]


def test_a_lead_that_missing_answers_could_turn_round_has_no_winner() -> None:
    lead = {"p_corrected": 0.001, "low": 0.02, "high": 0.2, "difference": 0.1, "equivalent": False}
    assert verdict(lead | {"worst_low": 0.01, "worst_high": 0.3}) == "first"
    assert verdict(lead | {"worst_low": -0.01, "worst_high": 0.3}) == "missing"
    assert verdict(lead | {"worst_low": None, "worst_high": None}) == "first"
    behind = lead | {"low": -0.2, "high": -0.02, "difference": -0.1}
    assert verdict(behind | {"worst_low": -0.3, "worst_high": -0.01}) == "second"
    assert verdict(behind | {"worst_low": -0.3, "worst_high": 0.01}) == "missing"
    assert verdict(lead | {"p_corrected": 0.06, "worst_low": 0.1, "worst_high": 0.1}) == "not_told_apart"


def test_nobody_answers_and_nothing_is_said() -> None:
    silent = run(plan(blocks=3), PERFECT, U_SHAPE, change=lambda _trial, _completion: None)
    found = compare([silent])
    assert found.difference_rows == []
    assert {row["value"] for row in found.contender_rows} == {None}
    assert {row["median"] for row in found.cost_rows} == {None}


def test_repeats_are_one_question_and_their_mean_its_value() -> None:
    planned = plan(blocks=8, samples=3, temperature=[1.0])
    half = run(
        planned, PERFECT, change=lambda trial, given: replace(given, text="7") if trial.cell["sample"] else given
    )
    whole = run(planned, U_SHAPE, id="run-2")
    row = one(compare([half, whole]).contender_rows, contender=PERFECT)
    assert (row["questions"], row["value"]) == (24, pytest.approx(1 / 3))


# ----------------------------------------------------------------------------------------------------- measurability


def copying(trial: PlannedTrial, completion: Completion) -> Completion:
    """Goes on with the text in place of telling what is in it."""
    return replace(completion, text=trial.request.messages[-1].content)


def test_the_coverage_of_who_writes_no_summaries_is_not_compared() -> None:
    planned = plan("placement", lengths=[400], blocks=8, measure=["coverage"], place=["before", "after"])
    found = compare([run(planned, PERFECT), run(planned, "sim/any-instruction", id="run-2", change=copying)])
    assert {row["verdict"] for row in found.difference_rows} == {"not_measurable"}
    assert list(found.unmeasurable) == ["sim/any-instruction"]
    assert [row["measurable"] for row in found.contender_rows] == [True, False]


# ------------------------------------------------------------------------------------------------------ the readings


def test_all_contenders_are_read_alike_from_their_likelihoods() -> None:
    planned = plan(task="multi-key", blocks=3, depths=[0, 50, 100], controls=["absent"], measure=["likelihood"])
    found = read_outcomes("needle", [asked.result for asked in run(planned, PERFECT).trials])
    assert set(found.readings) == {"lift_nats", "margin_nats", "likeliest_rate"}
    assert {len(reading) for reading in found.readings.values()} == {9}
    outcomes = [outcome.name for outcome in compare([run(planned, PERFECT, "sim/recency")]).outcomes]
    assert outcomes[0] == "lift_nats"


def test_by_length_the_difference_grows_as_planted() -> None:
    """A reader that knows nothing in long texts and all in short ones, against one that always does."""

    def forgets(trial: PlannedTrial, given: Completion) -> Completion:
        return replace(given, text="I do not know.") if trial.cell["length_tokens"] > 150 else given

    planned = plan(blocks=6, lengths=[150, 300])
    both = [run(planned, PERFECT), run(planned, "sim/any-instruction", id="run-2", change=forgets)]
    rows = compare(both).difference_rows
    assert one(rows, effect="per doubling of the length")["difference"] == pytest.approx(1)
    assert [one(rows, factor="length_tokens", level=length)["difference"] for length in (150, 300)] == [0, 1]


def test_runs_of_nothing_alike_are_refused_with_the_reason() -> None:
    first, second = run(plan(blocks=2), PERFECT), run(plan(blocks=2, seed=2), U_SHAPE, id="run-2")
    with pytest.raises(UserError, match=r"not one prompt is the same bytes .*sim/perfect: 6 trials; sim/u-shape"):
        compare([first, second])
    relabelled = tuple(
        replace(
            asked,
            result=replace(
                asked.result, trial=replace(asked.result.trial, cell={**asked.result.trial.cell, "depth": 0.1})
            ),
        )
        for asked in run(plan(blocks=2), U_SHAPE).trials
    )
    with pytest.raises(UserError, match="share prompts, but not what the trials say of them"):
        compare([first, ComparedRun("run-3", "needle", first.spec, relabelled)])
