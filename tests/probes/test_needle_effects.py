"""The effect of place for every task, its lift by both measures; what is declared, missing, or as good as nothing."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from probes.experiment_file import checked
from probes.experiments.common import Ruler
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.needle_contrasts import contrast_rows, length_interaction_rows
from probes.experiments.needle_likelihood import read_likelihoods
from probes.experiments.needle_results import Row, score_needles
from probes.experiments.needle_sentences import contrast_sentences, families_sentences, interaction_sentences
from probes.models.sim import simulated_model
from probes.plan import Plan, Result
from probes.stats import holm, paired_difference
from tests.probes.needle_answers import OTHER, VALUE, answer, found, held

WORDS = Ruler("words", lambda text: len(text.split()))


def plan(**options: object) -> Plan:
    return plan_needle(NeedleOptions(**{"lengths": (150,), "blocks": 20, **options}), WORDS)  # type: ignore[arg-type]


def ask(name: str, asked: Plan) -> list[Result]:
    """Every answer of a simulated reader, in memory."""
    model = simulated_model(name)
    return [Result(name, str(n), trial, model.answer(trial.request)) for n, trial in enumerate(asked.trials)]


def rows_of(results: Sequence[Result], **options: object) -> list[Row]:
    return contrast_rows(score_needles(results), seed=1, held=read_likelihoods(results), **options)  # type: ignore[arg-type]


def depth_rows(results: Sequence[Result], outcome: str) -> dict[str, Row]:
    found = [row for row in rows_of(results) if (row["factor"], row["outcome"]) == ("depth", outcome)]
    return {row["level"]: row for row in found}


# -------------------------------------------------------------------------------------------------- every task


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("single", "right_rate"),
        ("paraphrase", "right_rate"),
        ("multi-key", "given_rate"),
        ("multi-key", "lift_rate"),
        ("kv", "given_rate"),
        ("kv", "lift_rate"),
        ("multi-value", "given_rate"),
    ],
)
def test_every_task_with_places_has_its_ends_against_its_middle(task: str, outcome: str) -> None:
    rows = depth_rows(ask("sim/u-shape?edge=1&middle=0.3", plan(task=task, lengths=(400,))), outcome)
    row = rows["ends"]
    assert row["blocks"] == 20
    assert row["low"] <= 0.7 <= row["high"]
    assert row["p_holm"] < 0.05
    assert row["declared"]
    assert rows["end"]["difference"] == pytest.approx(0, abs=0.05)


def test_a_count_has_no_places() -> None:
    rows = rows_of(ask("sim/perfect", plan(task="count", blocks=6, lengths=(300,))))
    assert not [row for row in rows if row["factor"] == "depth"]


def test_the_guessers_ends_vanish_in_the_lift() -> None:
    results = ask("sim/guesser", plan(blocks=12))
    assert depth_rows(results, "given_rate")["ends"]["difference"] == 0.5
    assert depth_rows(results, "lift_rate")["ends"]["difference"] == 0.0


def test_two_depths_have_a_far_and_a_near_side_and_no_middle() -> None:
    results = [
        found(depth == 1.0 or block < 4, depth=depth, block=block) for depth in (0.0, 1.0) for block in range(12)
    ]
    (row,) = [row for row in rows_of(results) if row["factor"] == "depth"]
    assert (row["level"], row["base"], row["difference"]) == ("end", "beginning", pytest.approx(8 / 12))
    assert (row["test"], row["p_value"]) == ("McNemar mid-p", pytest.approx(0.5**8))  # eight one way, none the other
    assert "at the end of the text, nearest to the question, 67 points more" in contrast_sentences([row])[0].lower()


@pytest.mark.parametrize(("place", "words"), [("before", "farthest from the question"), ("bookend", "of the text 67")])
def test_nearness_goes_by_where_the_question_stands(place: str, words: str) -> None:
    results = [
        found(depth == 1.0 or block < 4, depth=depth, block=block, place=place)
        for depth in (0.0, 1.0)
        for block in range(12)
    ]
    (row,) = [row for row in rows_of(results) if row["factor"] == "depth"]
    assert words in contrast_sentences([row])[0]
    assert row["nearest"] == {"before": "beginning", "bookend": None}[place]


# ------------------------------------------------------------------------------------------------------- lift


def likelihoods(lifts: Sequence[float], blocks: int, spread: float, **given: object) -> list[Result]:
    """Values at three depths, each likelier by its lift, and a little, when its key is asked for."""
    drawn, values = random.Random(str(lifts)), [VALUE, OTHER, "11111"]
    return [
        held(
            -5 + (lifts[asked] + drawn.uniform(-spread, spread) if asked is not None and asked == offered else 0.0),
            block=block, asked=asked, offered=offered, values=values, needles=3, layout="spread", task="multi-key",
            depth=None if asked is None else asked / 2, **given,
        )
        for block in range(blocks)
        for asked in (0, 1, 2, None)
        for offered in range(3)
    ]  # fmt: skip


def test_the_lift_in_nats_has_ends_and_middle_with_interval_and_corrected_p() -> None:
    rows = depth_rows(likelihoods((3.0, 1.0, 2.0), 15, 0.8), "lift_nats")
    ends, sides = rows["ends"], rows["end"]
    assert ends["low"] < 1.5 < ends["high"]
    assert sides["low"] < -1.0 < sides["high"]
    assert ends["unit"] == "block"
    assert [ends["p_holm"], sides["p_holm"]] == holm([ends["p_value"], sides["p_value"]])
    assert ends["equivalent"] is None, "nobody declared a margin in nats"
    said = contrast_sentences([ends])
    assert "nats more is the lift than between them" in said[0]
    assert "unit: nats of lift" in said[-1]


def test_the_lift_is_compared_between_places_of_the_question_too() -> None:
    results = [
        result
        for place, lift in (("after", 1.0), ("before", 2.5))
        for result in likelihoods((lift,) * 3, 9, 0.5, place=place)
    ]
    (row,) = [row for row in rows_of(results) if (row["factor"], row["outcome"]) == ("place", "lift_nats")]
    assert row["low"] < 1.5 < row["high"]
    assert (row["level"], row["base"], row["blocks"]) == ("before", "after", 9)


# ------------------------------------------------------------------------------------ equivalence, worst case, length


def test_no_effect_is_said_only_inside_the_declared_margin() -> None:
    drawn = random.Random(3)
    results = [
        found(drawn.random() < 0.5, place=place, depth=depth / 9, block=block)
        for place in ("after", "before")
        for depth in range(10)
        for block in range(60)
    ]
    for points, same in ((20.0, True), (0.5, False)):
        (row,) = [row for row in rows_of(results, points=points) if row["factor"] == "place"]
        assert row["equivalent"] is same
        assert (f"no effect on what is right within {points:g} points" in contrast_sentences([row])[0]) is same
        assert row["equivalence_margin"] == points / 100
        assert row["no_effect_beyond"] >= max(abs(row["equivalence_low"]), abs(row["equivalence_high"]))


def test_what_failed_is_counted_for_either_side_at_the_worst() -> None:
    """Ten blocks: 9 right after, 4 before, and one failed on each side of another block."""
    results = [found(block < 9, place="after", block=block) for block in range(9)] + [
        answer(None, place="after", block=9)
    ]
    results += [found(block < 4, place="before", block=block) for block in range(9)]
    results += [answer("The", stop="max_tokens", place="before", block=9)]
    (row,) = [row for row in rows_of(results) if row["factor"] == "place"]
    assert (row["difference"], row["blocks"], row["missing"]) == (pytest.approx(-5 / 9), 9, 2)
    assert (row["worst_low"], row["worst_high"]) == (pytest.approx((4 - 10) / 10), pytest.approx((5 - 9) / 10))
    assert "2 answers failed or were cut and count for neither side" in " ".join(contrast_sentences([row]))


def test_what_is_not_among_the_rows_is_no_answer_that_failed() -> None:
    """Of one block a question was taken out, as in a part of a run's exported rows; of another one call failed."""
    whole = ask("sim/u-shape", plan(blocks=8))
    [taken, *_] = [each for each in whole if each.trial.block == 0 and each.trial.cell["control"] is None]
    part = [each for each in whole if each is not taken]
    for outcome in ("given_rate", "lift_rate"):
        row = depth_rows(part, outcome)["ends"]
        assert (row["blocks"], row["missing"]) == (7, 0)
        assert row["worst_low"] == pytest.approx(row["worst_high"])
        assert "failed" not in " ".join(contrast_sentences([row]))
    [lost, *_] = [each for each in part if each.trial.block == 1 and each.trial.cell["control"] is None]
    failed = [replace(each, completion=None, error_kind="transient") if each is lost else each for each in part]
    row = depth_rows(failed, "given_rate")["ends"]
    assert (row["blocks"], row["missing"]) == (6, 5)
    assert "failed or were cut" in " ".join(contrast_sentences([row]))


def test_the_worst_case_reaches_the_ends_and_the_middle_too() -> None:
    results = [found(depth != 0.5, depth=depth, block=block) for depth in (0.0, 0.5, 1.0) for block in range(9)]
    results += [found(True, depth=depth, block=9) for depth in (0.0, 1.0)] + [answer(None, depth=0.5, block=9)]
    ends = depth_rows(results, "right_rate")["ends"]
    assert (ends["difference"], ends["missing"]) == (1.0, 1)
    assert (ends["worst_low"], ends["worst_high"]) == (pytest.approx(0.9), pytest.approx(1.0))


def test_a_difference_that_grows_with_length_is_found_and_one_that_does_not_is_not() -> None:
    """Bookend helps by 0, 40 and 80 points at 250, 500 and 1,000 tokens; before does nothing at any."""
    right = {"after": {250: 10, 500: 6, 1000: 2}, "before": {250: 10, 500: 6, 1000: 2}}
    results = [
        found(place == "bookend" or block < right[place][length], place=place, length_tokens=length, block=block)
        for place in ("after", "bookend", "before")
        for length in (250, 500, 1000)
        for block in range(10)
    ]
    rows = {(row["level"], row["base"]): row for row in length_interaction_rows(score_needles(results), seed=1)}
    grows, stays = rows["bookend", "after"], rows["before", "after"]
    expected = paired_difference([0.0] * 2 + [0.5] * 4 + [0.5] * 4, seed=1)  # slopes: never, from 1,000, from 500 on
    assert expected is not None
    assert (grows["per_doubling"], grows["blocks"]) == (pytest.approx(expected.interval.estimate), 10)
    assert grows["p_holm"] < 0.05
    assert (stays["per_doubling"], stays["p_holm"]) == (0.0, 1.0)
    assert grows["lengths"] == [250, 500, 1000]
    said = interaction_sentences([grows, stays])
    assert "the difference rises with the length" in said[0]
    assert "no clear change with the length" in said[1]
    assert (
        families_sentences([grows, stays], families=2)[0]
        == "Clear in 1 of 2 comparisons in 2 settings: 1 more, 0 less."
    )


# ---------------------------------------------------------------------------------------------------- declared


def test_the_contrasts_are_in_the_spec_before_anything_is_asked() -> None:
    asked = plan(
        task="kv", lengths=(400, 800), depths=(0, 50, 100), place=("after", "bookend", "before"), equivalence=8
    )
    declared = asked.spec["declared"]
    assert declared["contrasts"] == [
        {"factor": "depth", "level": "ends", "base": "middle"},
        {"factor": "depth", "level": "end", "base": "beginning"},
        {"factor": "place", "level": "before", "base": "after"},
        {"factor": "place", "level": "bookend", "base": "after"},
        {"factor": "place", "level": "bookend", "base": "before"},
        {"factor": "length_tokens", "level": 800, "base": 400},
    ]
    assert (declared["primary"], declared["interactions"]) == ("right_rate", ["length"])
    assert declared["stopping"] == "fixed blocks"
    assert (declared["equivalence_points"], asked.spec["equivalence"]) == (8, 8)
    factors = {row["factor"] for row in rows_of(ask("sim/perfect", asked)) if row["declared"]}
    assert factors == {"depth", "place", "length_tokens"}


def test_what_a_plan_did_not_declare_is_exploratory() -> None:
    results = [found(True, place=place, block=block) for place in ("after", "before") for block in range(6)]
    (row,) = rows_of(results, declared={"depth"})
    assert not row["declared"]


@pytest.mark.parametrize("points", [0, -1, 101])
def test_a_margin_that_is_none_is_refused(points: float) -> None:
    with pytest.raises(Exception, match="equivalence"):
        checked(NeedleOptions, {"equivalence": points}, where="test")
