"""Contrasts, controls and likelihoods of needle runs say what was planted, and no more than the figures do."""

import math
import random
from collections.abc import Sequence

import pytest
from scipy import stats as scipy_stats
from statsmodels.stats import contingency_tables

from probes.experiments.needle_contrasts import contrast_rows
from probes.experiments.needle_controls import control_rows, control_sentences, known_items
from probes.experiments.needle_factors import level_pairs
from probes.experiments.needle_likelihood import likelihood_rows, likelihood_sentences
from probes.experiments.needle_rates import retrieval_rows
from probes.experiments.needle_results import Row, score_needles
from probes.experiments.needle_sentences import contrast_sentences
from probes.plan import Result
from tests.probes.needle_answers import OTHER, VALUE, answer, found, held


def contrasts(results: Sequence[Result], factor: str) -> list[Row]:
    return [row for row in contrast_rows(score_needles(results), seed=1) if row["factor"] == factor]


def controls(results: Sequence[Result]) -> dict[str, tuple[Row, str]]:
    rows = control_rows(score_needles(results), seed=1)
    return {row["control"]: (row, " ".join(control_sentences(row))) for row in rows}


def test_with_one_answer_a_block_the_test_is_mcnemars() -> None:
    """12 blocks right only after, 2 right only before, the rest alike: McNemar's exact test as statsmodels has it.

    The mid-p is the exact p less the probability of just this outcome.
    """
    right = {"after": {*range(12), *range(20, 25)}, "before": {12, 13, *range(20, 25)}}
    results = [found(block in right[place], place=place, block=block) for place in right for block in range(30)]
    (row,) = contrasts(results, "place")
    assert (row["level"], row["base"], row["blocks"], row["declared"]) == ("before", "after", 30, True)
    assert row["difference"] == pytest.approx(-10 / 30)
    exact = contingency_tables.mcnemar([[5, 2], [12, 11]], exact=True).pvalue
    assert row["p_value"] == pytest.approx(exact - scipy_stats.binom.pmf(2, 14, 0.5))
    assert (row["test"], row["unit"], row["correction"], row["tests"]) == ("McNemar mid-p", "block", "Holm", 1)
    said, method = contrast_sentences([row])
    assert "n: 30 blocks" in method
    assert said.startswith("With the question before the text 33 points less is right than with the question after")


def test_a_small_difference_is_not_talked_up() -> None:
    results = [
        found(block != at, place=place, block=block)
        for place, at in (("after", 3), ("before", 5))
        for block in range(20)
    ]
    rows = contrasts(results, "place")
    assert "no clear difference" in contrast_sentences(rows)[0]


def test_no_difference_is_only_called_the_same_where_there_is_enough_to_see() -> None:
    def said(blocks: int) -> str:
        results = [found(True, place=place, block=block) for place in ("after", "before") for block in range(blocks)]
        return contrast_sentences(contrasts(results, "place"))[0]

    assert "no clear difference" in said(12)
    assert "no effect on what is right within 5 points" in said(80)
    assert "within 5 points" not in said(40), "with 40 blocks alike the interval still reaches beyond five points"


def test_only_questions_answered_under_both_levels_count() -> None:
    results = [
        *(found(True, place="after", block=block) for block in range(8)),
        *(found(block < 4, place="before", block=block) for block in range(6)),
        answer(None, place="before", block=6),
        answer("The", stop="max_tokens", place="before", block=7),
    ]
    (row,) = contrasts(results, "place")
    assert (row["blocks"], row["difference"]) == (6, pytest.approx(-2 / 6))


def test_the_p_values_of_three_places_are_corrected_and_it_is_said() -> None:
    results = [
        found(block < {"after": 9, "before": 2, "bookend": 9}[place], place=place, block=block)
        for place in ("after", "before", "bookend")
        for block in range(12)
    ]
    rows = contrasts(results, "place")
    assert [(row["level"], row["base"]) for row in rows] == [
        ("before", "after"),
        ("bookend", "after"),
        ("bookend", "before"),
    ]
    assert all(row["p_holm"] >= row["p_value"] for row in rows)
    assert rows[0]["p_holm"] == pytest.approx(3 * rows[0]["p_value"])
    assert "corrected after Holm for the 3 contrasts" in contrast_sentences(rows)[-1]


def test_what_was_not_declared_is_said_to_be_exploratory() -> None:
    results = [
        found(True, structure=structure, block=block) for structure in ("plain", "headings") for block in range(8)
    ]
    rows = contrasts(results, "structure")
    assert not rows[0]["declared"]
    assert "exploratory" in contrast_sentences(rows)[-1]


def test_too_few_blocks_are_said_to_be_too_few() -> None:
    results = [found(place == "after", place=place, block=block) for place in ("after", "before") for block in range(3)]
    said = contrast_sentences(contrasts(results, "place"))
    assert "no clear difference" in said[0]
    assert "3 blocks cannot tell any difference from chance; 5 can." in said  # 0.5**5 < 0.05


def test_the_shortest_text_and_the_plain_one_are_what_others_are_compared_with() -> None:
    assert level_pairs("length_tokens", [8000, 1000, 2000]) == [(2000, 1000), (8000, 1000)]
    assert level_pairs("structure", ["headings", "plain"]) == [("headings", "plain")]
    assert level_pairs("context", ["chunks:4", "focused", "whole"]) == [("chunks:4", "whole"), ("focused", "whole")]
    assert level_pairs("temperature", [1.0, None, 0.0]) == [(0.0, None), (1.0, None)]


@pytest.mark.parametrize(
    ("rates", "ends", "sides"),
    [((1, 0.4, 0.4, 0.4, 1), 0.6, 0.0), ((1, 0.5, 0.5, 0.5, 0), 0.0, -1.0), ((0, 0, 0, 0, 1), 0.5, 1.0)],
)
def test_depth_is_read_as_ends_against_middle_and_end_against_beginning(
    rates: Sequence[float], ends: float, sides: float
) -> None:
    results = [
        found(block < 20 * rate, depth=depth / 4, block=(block + 7 * depth) % 20)
        for depth, rate in enumerate(rates)
        for block in range(20)
    ]
    first, second = contrasts(results, "depth")
    assert first["difference"] == pytest.approx(ends)
    assert second["difference"] == pytest.approx(sides)


def test_samples_are_averaged_before_blocks_are_compared() -> None:
    results = [
        found(place == "after" or sample == 0, place=place, block=block, sample=sample)
        for place in ("after", "before")
        for block in range(8)
        for sample in range(4)
    ]
    (row,) = contrasts(results, "place")
    assert (row["blocks"], row["difference"]) == (8, pytest.approx(-0.75))


# ---------------------------------------------------------------------------------------------------- controls


def test_what_is_answered_without_the_text_is_flagged_and_left_out_of_a_rate() -> None:
    results = [found(True, block=block, name=f"name {block}") for block in range(10)]
    results += [
        answer(
            VALUE if block < 3 else "Not in the text.",
            block=block,
            name=f"name {block}",
            control="closed-book",
            right=[],
        )
        for block in range(10)
    ]
    results[9] = found(False, block=9, name="name 9")
    row, said = controls(results)["closed-book"]
    assert (row["right"], row["n"], row["rate"], row["abstained"]) == (3, 10, 0.3, 7)
    assert said.startswith("Answered 3 of 10 without the text: the text is not what answers.")
    scored = score_needles(results)
    (retrieval,) = retrieval_rows(scored, seed=1, known=known_items(scored))
    assert (retrieval["rate"], retrieval["known"]) == (0.9, 3)
    assert retrieval["rate_without_known"] == pytest.approx(6 / 7)


def test_one_lucky_answer_does_not_condemn_the_text() -> None:
    results = [
        answer(VALUE if block == 0 else "Not in the text.", block=block, control="closed-book") for block in range(20)
    ]
    assert "for these the text is not what answers" in controls(results)["closed-book"][1]


def test_nothing_known_beforehand_is_said() -> None:
    results = [answer("Not in the text.", block=block, control="closed-book", right=[]) for block in range(8)]
    assert controls(results)["closed-book"][1].startswith("Answered 0 of 8 without the text: nothing is known")


@pytest.mark.parametrize(
    ("short", "long", "words"),
    [
        (12, 12, "the task itself is understood"),
        (3, 3, "hard for this model even there"),
        (20, 6, "missed because of them"),
        (16, 15, "too few to tell"),
    ],
)
def test_a_short_text_tells_a_hard_task_from_a_long_text(short: int, long: int, words: str) -> None:
    count = 12 if short == 12 else 20
    results = [found(block < short, block=block, control="short") for block in range(count)]
    results += [found(block < long, block=block) for block in range(count)]
    assert words in controls(results)["short"][1]


def test_a_value_given_to_a_question_without_an_answer_casts_doubt() -> None:
    given = {"asked": None, "right": [], "depth": None, "control": "absent", "values": [VALUE, OTHER], "needles": 2}
    row, said = controls([answer(VALUE, block=block, **given) for block in range(6)])["absent"]
    assert (row["given_planted"], row["rate"]) == (6, 0.0)
    assert "6 of 6 times: some of its right answers are no finds" in said
    row, said = controls([answer("Not in the text.", block=block, **given) for block in range(6)])["absent"]
    assert (row["abstained"], row["rate"]) == (6, 1.0)
    assert "no finds" not in said


@pytest.mark.parametrize("control", ["closed-book", "short", "absent"])
@pytest.mark.parametrize(("right", "blocks"), [(0, 1), (1, 1)])
def test_a_control_of_one_block_claims_nothing(control: str, right: int, blocks: int) -> None:
    absent = {"asked": None, "right": [], "depth": None} if control == "absent" else {}
    texts = [VALUE if (block < right) != (control == "absent") else "Not in the text." for block in range(blocks)]
    results = [answer(text, block=block, control=control, **absent) for block, text in enumerate(texts)]
    said = controls(results)[control][1]
    assert "1 block cannot tell what that means" in said
    for claim in ("nothing is known", "is understood", "not what answers", "no finds", "hard for this model"):
        assert claim not in said


def test_a_few_blocks_without_a_fault_are_too_few_for_praise() -> None:
    results = [answer("Not in the text.", block=block, control="closed-book", right=[]) for block in range(3)]
    results += [found(True, block=block, control="short") for block in range(3)]
    for _, said in controls(results).values():
        assert "3 blocks cannot tell what that means" in said


def test_one_request_that_stands_for_two_lengths_counts_once() -> None:
    results = [
        answer(VALUE, block=block, control="closed-book", length_tokens=length, trial=f"t1:{block}")
        for length in (500, 1000)
        for block in range(4)
    ]
    assert controls(results)["closed-book"][0]["answers"] == 4


def test_a_control_without_answers_says_nothing() -> None:
    assert controls([answer(None, control="closed-book")])["closed-book"][1] == ""


# -------------------------------------------------------------------------------------------------- likelihoods

VALUES = [VALUE, OTHER, "11111"]


def likelihoods(blocks: int, *, lift: float, spread: float = 0.0) -> list[Result]:
    """Three values; the right one is likelier by `lift` nats than without its key, the wrong ones all -5."""
    drawn = random.Random(5)
    return [
        held(
            -5 + (lift + drawn.uniform(-spread, spread) if asked == offered else 0.0),
            block=block, asked=asked, offered=offered, values=VALUES, needles=3, layout="spread",
            depth=None if asked is None else asked / 2,
        )
        for block in range(blocks)
        for asked in (0, 1, 2, None)
        for offered in range(3)
    ]  # fmt: skip


def test_lift_margin_and_likeliest_are_what_was_planted() -> None:
    rows = likelihood_rows(likelihoods(8, lift=2.0), seed=1)
    assert [(row["depth"], row["n"]) for row in rows] == [(0.0, 8), (0.5, 8), (1.0, 8), (None, 8)]
    for row in rows:
        assert (row["lift_nats"], row["margin_nats"], row["likeliest_rate"]) == pytest.approx((2.0, 2.0, 1.0))
        assert row["logprob_nats"] == pytest.approx(-3.0)


def test_the_interval_holds_the_lift_and_the_sentence_goes_by_it() -> None:
    rows = likelihood_rows(likelihoods(12, lift=1.0, spread=0.8), seed=1)
    assert rows[-1]["lift_low"] < 1.0 < rows[-1]["lift_high"]
    assert "is likelier when its own key is asked for" in likelihood_sentences(rows)[0]
    nothing = likelihood_rows(likelihoods(12, lift=0.0, spread=1.0), seed=1)
    assert "no clear difference" in likelihood_sentences(nothing)[0]
    assert nothing[-1]["lift_low"] < 0 < nothing[-1]["lift_high"]


def test_the_margin_is_against_the_mean_probability_of_the_wrong_ones() -> None:
    logs = [math.log(0.5), math.log(0.1), math.log(0.3)]
    results = [
        held(logs[offered], asked=0, offered=offered, values=VALUES, needles=3, depth=0.0) for offered in range(3)
    ]
    (row,) = likelihood_rows(results, seed=1)
    assert row["margin_nats"] == pytest.approx(math.log(0.5 / 0.2))
    assert row["lift_nats"] is None
    assert likelihood_sentences([row]) == []


def test_a_question_with_a_missing_log_probability_is_left_out() -> None:
    results = likelihoods(4, lift=2.0)
    lost = results[0]
    rows = likelihood_rows([Result(lost.model, "x", lost.trial, None, "transient"), *results[1:]], seed=1)
    assert [row["n"] for row in rows] == [3, 4, 4, 4]


def test_one_value_has_a_lift_and_nothing_to_be_compared_with() -> None:
    results = [
        held(-1.0 if asked == 0 else -4.0, asked=asked, offered=0, depth=None if asked is None else 0.5, block=block)
        for asked in (0, None)
        for block in range(3)
    ]
    (row,) = likelihood_rows(results, seed=1)
    assert (row["lift_nats"], row["margin_nats"], row["likeliest_rate"]) == (3.0, None, None)
