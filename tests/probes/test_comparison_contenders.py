"""Who is compared with whom, what all were asked, what contenders are called, what answers took, and gates."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from probes.comparison.compare import compare
from probes.comparison.contenders import ComparedRun, contenders_of, identical_trials
from probes.comparison.costs import median_interval
from probes.comparison.gate import fewest_that_can_pass, gate_rows, gate_sentence, missed
from probes.comparison.names import named
from probes.comparison.words import pair_sentences, trials_sentences
from probes.stats import wilson
from tests.probes.comparison_helpers import one, plan, run, some, used
from tokenizer.errors import UsageError, UserError

PERFECT, U_SHAPE = "sim/perfect", "sim/u-shape"
PLAN = plan(blocks=6)


def labels(*runs: ComparedRun, baseline: tuple[ComparedRun, ...] = ()) -> list[str]:
    return [each.label for each in contenders_of(runs, baseline)]


# ---------------------------------------------------------------------------------------------------- contenders


def test_a_run_of_several_models_is_compared_within_itself() -> None:
    assert labels(run(PLAN, PERFECT, U_SHAPE)) == [PERFECT, U_SHAPE]


def test_one_model_in_two_forms_is_two_contenders_told_apart_by_the_form() -> None:
    runs = [run(PLAN, PERFECT, id=form, identity={"form": form}) for form in ("chat", "completion")]
    assert labels(*runs) == ["sim/perfect (form chat)", "sim/perfect (form completion)"]


def test_other_answers_of_the_same_model_are_another_contender_told_apart_by_the_run() -> None:
    again = run(PLAN, PERFECT, id="run-2", latency_s=0.5)
    assert labels(run(PLAN, PERFECT), again) == ["sim/perfect (run run-1)", "sim/perfect (run run-2)"]


def test_the_same_answers_or_the_other_half_of_a_study_are_the_same_contender() -> None:
    whole = run(PLAN, PERFECT)
    first, second = (some(whole, lambda trial, odd=odd: trial.block % 2 == odd) for odd in (0, 1))
    second = replace(second, id="run-2")
    [both] = contenders_of([first, second, whole])
    assert (len(both.trials), both.runs) == (18, ["run-1", "run-2"])
    unanswered = run(PLAN, PERFECT, id="run-0", change=lambda _trial, _given: None)
    [both] = contenders_of([unanswered, whole])
    assert all(asked.result.completion for asked in both.trials.values())


def test_the_baseline_stands_apart_even_with_the_same_answers() -> None:
    runs = [run(PLAN, PERFECT)]
    assert labels(*runs, baseline=(replace(runs[0], id="run-0"),)) == ["sim/perfect", "sim/perfect (baseline)"]
    found = compare(runs, runs)
    assert found.kept == 18
    assert "18 answers" in " ".join(trials_sentences(found))
    assert one(found.difference_rows, declared=True)["difference"] == 0


def test_each_model_is_held_against_its_own_in_the_baseline_or_the_only_one() -> None:
    now, then = run(PLAN, PERFECT, U_SHAPE), run(PLAN, U_SHAPE, PERFECT, id="then", latency_s=1.0)
    rows = [row for row in compare([now], [then]).difference_rows if row["declared"]]
    assert [(row["first"], row["second"]) for row in rows] == [
        (PERFECT, "sim/perfect (baseline)"),
        (U_SHAPE, "sim/u-shape (baseline)"),
    ]
    only = run(PLAN, "sim/recency", id="then")
    assert [row["second"] for row in compare([now], [only]).difference_rows if row["declared"]] == [
        "sim/recency (baseline)"
    ] * 2
    with pytest.raises(UserError, match="sim/recency could be held against several models of the baseline"):
        compare([run(PLAN, "sim/recency")], [then])


def test_even_another_file_under_the_name_of_one_run_is_told_apart() -> None:
    changed = run(PLAN, PERFECT, latency_s=0.5)
    assert labels(run(PLAN, PERFECT), changed) == [f"sim/perfect (run run-1, number {place})" for place in (1, 2)]


@pytest.mark.parametrize(
    ("identities", "expected"),
    [
        ([{"sha": "a" * 64}, {"sha": "b" * 64}], ["m (sha aaaaaaaa...)", "m (sha bbbbbbbb...)"]),
        ([{}, {"base_url": "x"}], ["m (base url none)", "m (base url x)"]),
        ([{"a": 1}, {"a": 1}], ["m (run 0)", "m (run 1)"]),
        ([{"a": 1}, {"a": 2}, {"a": 2}], ["m (a 1)", "m (a 2, run 1)", "m (a 2, run 2)"]),
    ],
)
def test_no_two_contenders_have_one_name(identities: list[Mapping[str, Any]], expected: list[str]) -> None:
    assert named([("m", identity, str(number), False) for number, identity in enumerate(identities)]) == expected


# ----------------------------------------------------------------------------------------------- identical trials


def test_what_not_all_were_asked_is_counted_and_never_compared() -> None:
    whole, part = run(PLAN, PERFECT), some(run(PLAN, U_SHAPE, id="run-2"), lambda trial: trial.block < 4)
    found = compare([whole, part])
    assert len(found.common) == 12
    assert {row["identical_trials"] for row in found.contender_rows} == {12}
    assert [row["trials"] for row in found.contender_rows] == [18, 12]
    assert "Left out, as not all were asked them: 6 of sim/perfect." in trials_sentences(found)
    assert one(found.difference_rows, declared=True)["blocks"] == 4


def test_other_settings_beside_the_same_bytes_are_said() -> None:
    found = compare([run(PLAN, PERFECT), run(plan(blocks=6, max_tokens=64), U_SHAPE, id="run-2")])
    assert "The same bytes, but not the same max_tokens: 32 for sim/perfect; 64 for sim/u-shape." in trials_sentences(
        found
    )
    assert not any("but not the same" in said for said in trials_sentences(compare([run(PLAN, PERFECT, U_SHAPE)])))


def test_runs_of_before_a_key_was_added_to_the_cells_can_still_be_compared() -> None:
    now, then = run(PLAN, PERFECT), run(PLAN, U_SHAPE, id="then")
    older = []
    for asked in then.trials:
        cell = {key: value for key, value in asked.result.trial.cell.items() if key not in ("text_tokens", "structure")}
        older.append(replace(asked, result=replace(asked.result, trial=replace(asked.result.trial, cell=cell))))
    found = contenders_of([now, replace(then, trials=tuple(older))])
    assert len(identical_trials(found)) == 18


def test_continuations_of_one_prompt_are_trials_of_their_own() -> None:
    planned = plan(task="multi-key", blocks=1, depths=[0, 50, 100], controls=["absent"], measure=["likelihood"])
    [contender] = contenders_of([run(planned, PERFECT)])
    assert len(contender.trials) == len(planned.trials)


# ---------------------------------------------------------------------------------------------------------- costs


def test_what_answers_took_is_told_for_each_contender() -> None:
    tokens = used(input_tokens=120, output_tokens=4, cache_read_tokens=30)
    other = run(PLAN, U_SHAPE, id="run-2", latency_s=2.0)
    found = compare([run(PLAN, PERFECT, change=tokens), other])
    rows = {(row["contender"], row["figure"]): row for row in found.cost_rows}
    assert rows[PERFECT, "cached_rate"]["median"] == 0.25
    assert rows[U_SHAPE, "cached_rate"]["median"] is None  # unknown, and not none
    assert rows[PERFECT, "usd_per_1000_trials"]["median"] == pytest.approx(0.002)
    assert rows[U_SHAPE, "latency_s"]["median"] == 2
    assert rows[PERFECT, "first_token_s"]["trials"] == 0
    blocks: dict[int, list[float]] = {}
    for trial in PLAN.trials:
        characters = sum(len(message.content) for message in trial.request.messages)
        blocks.setdefault(trial.block, []).append(120 / characters)
    means = sorted(sum(values) / len(values) for values in blocks.values())
    row = rows[PERFECT, "tokens_per_character"]
    assert row["median"] == pytest.approx((means[2] + means[3]) / 2)
    assert (row["low"], row["high"]) == pytest.approx((means[0], means[5]))


@pytest.mark.parametrize("count", [6, 9, 20])
def test_the_interval_of_a_median_is_the_narrowest_that_covers_it(count: int) -> None:
    found = median_interval(range(1, count + 1))
    assert found is not None
    inside = stats.binom.cdf(found.high - 1, count, 0.5) - stats.binom.cdf(found.low - 1, count, 0.5)
    narrower = stats.binom.cdf(found.high - 2, count, 0.5) - stats.binom.cdf(found.low, count, 0.5)
    assert narrower < 0.95 <= inside


def test_a_median_of_few_blocks_has_no_limits() -> None:
    found = median_interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert found is not None
    assert (found.estimate, found.low, found.high) == (3, -math.inf, math.inf)
    assert median_interval([]) is None


# ----------------------------------------------------------------------------------------------------------- gates


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.9, 0.99])
def test_as_few_blocks_as_can_pass_do_and_one_fewer_do_not(rate: float) -> None:
    enough = fewest_that_can_pass(rate)
    few, less = wilson(enough, enough), wilson(enough - 1, enough - 1)
    assert few is not None
    assert few.low >= rate
    assert less is None or less.low < rate


@pytest.mark.parametrize(("bar", "passed", "said"), [(0.6, True, "the bar is 60.0%"), (0.9, False, "35 blocks")])
def test_a_rate_passes_by_the_lower_end_of_its_interval(bar: float, passed: bool, said: str) -> None:
    [row] = gate_rows(compare([run(PLAN, PERFECT)]), fail_under=bar, has_baseline=False)
    assert (row["passed"], row["estimate"], row["quantity"]) == (passed, 1, "rate")
    assert said in gate_sentence(row)
    assert missed([row]) == ([] if passed else [row])


def test_missing_answers_do_not_pass_a_gate() -> None:
    planned = plan(blocks=20)
    half = run(planned, PERFECT, change=lambda trial, given: given if trial.block < 10 else None)
    [row] = gate_rows(compare([half]), fail_under=0.6, has_baseline=False)
    assert (row["estimate"], row["low"] > 0.6, row["worst_low"], row["passed"]) == (1, True, 0.5, False)
    assert "may be 50.0% with the answers that are missing" in gate_sentence(row)
    [row] = gate_rows(
        compare([run(PLAN, PERFECT, change=lambda _trial, _given: None)]), fail_under=0.1, has_baseline=False
    )
    assert "has no answer that could be judged" in gate_sentence(row)


@pytest.mark.parametrize(("bar", "passed"), [(None, False), (-0.05, False), (-0.9, True)])
def test_a_difference_to_the_baseline_is_judged(bar: float | None, passed: bool) -> None:
    planned = plan(blocks=20)
    worse = compare([run(planned, "sim/u-shape?middle=0.1")], [run(planned, PERFECT, id="then")])
    [row] = gate_rows(worse, fail_under=bar, has_baseline=True)
    assert (row["passed"], row["against"]) == (passed, "sim/perfect (baseline)")
    assert gate_sentence(row).startswith("gate passed" if passed else "gate missed")
    better = compare([run(planned, PERFECT)], [run(planned, "sim/u-shape?middle=0.1", id="then")])
    assert not missed(gate_rows(better, fail_under=bar, has_baseline=True))


def test_a_bar_for_rates_needs_a_rate() -> None:
    planned = plan("placement", lengths=[120], blocks=1, measure=["margin"], place=["before", "after"])
    with pytest.raises(UsageError, match="--fail-under is for a rate"):
        gate_rows(compare([run(planned, PERFECT)]), fail_under=0.5, has_baseline=False)


# ---------------------------------------------------------------------------------------------------------- words


def test_sentences_name_a_winner_only_where_the_data_do() -> None:
    planned = plan(blocks=30)
    models = (PERFECT, "sim/u-shape?middle=0.1", "sim/u-shape?middle=0.1&seed=5")
    found = compare([run(planned, *models)])
    said = pair_sentences([row for row in found.difference_rows if row["declared"]], found.outcomes[0])
    assert said[0].startswith("sim/perfect: ")
    assert "points more right answers than sim/u-shape?middle=0.1 (+" in said[0]
    assert "not told apart in right answers" in said[2]
    assert "so many blocks show" in said[2]
    assert said[3] == "Best in right answers: sim/perfect, told apart from each of the others."
    assert said[4].startswith("n: 30 blocks; unit: points of the rate of right answers; test: sign-flip")
    few = compare([run(plan(blocks=3), *models)])
    said = pair_sentences([row for row in few.difference_rows if row["declared"]], few.outcomes[0])
    assert "No single best" in " ".join(said)
    assert "3 blocks cannot tell any difference from chance in 3 contrasts" in " ".join(said)


def test_missing_answers_are_said_with_what_they_could_change() -> None:
    planned = plan(blocks=30)
    holed = run(
        planned, "sim/u-shape?middle=0.3", id="2", change=lambda trial, given: given if trial.block < 20 else None
    )
    found = compare([run(planned, PERFECT), holed])
    said = " ".join(pair_sentences([row for row in found.difference_rows if row["declared"]], found.outcomes[0]))
    assert "30 of 90 questions lack an answer from one of the two; none counts as wrong" in said
    assert "the difference would lie between" in said
