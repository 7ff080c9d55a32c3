"""The needle plan holds what it promises, and its tables say what planted readers do."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.experiment_file import checked
from probes.experiments.common import Ruler
from probes.experiments.needle import NEEDLES, NeedleOptions, layout_depths, plan_needle
from probes.experiments.needle_ends import compare_ends, ends_sentences
from probes.experiments.needle_results import confusion_rows, order_depth_rows, position_rows, score_needles
from probes.models.base import Completion
from probes.models.sim import simulated_model
from probes.plan import Plan, Result
from tokenizer.errors import UsageError, UserError

WORDS = Ruler("words", lambda text: len(text.split()))


def ask(name: str, plan: Plan) -> list[Result]:
    """Every answer of a simulated reader, in memory."""
    model = simulated_model(name)
    return [Result(name, str(n), trial, model.answer(trial.request)) for n, trial in enumerate(plan.trials)]


def plan(**options: object) -> Plan:
    return plan_needle(NeedleOptions(**{"lengths": (150,), "blocks": 5, "controls": ("absent",), **options}), WORDS)  # type: ignore[arg-type]


def test_each_block_asks_for_every_needle_and_for_one_that_is_not_there() -> None:
    for block in range(5):
        trials = [trial for trial in plan().trials if trial.block == block]
        assert [trial.cell["asked"] for trial in trials] == [0, 1, 2, 3, 4, None]
        assert len({trial.request.messages[0].content.rsplit("\n\n", 1)[0] for trial in trials}) == 1
        *present, absent = trials
        text = absent.request.messages[0].content
        assert absent.cell["name"] not in text.rsplit("\n\n", 1)[0]
        for trial in present:
            statement = f"The passcode for {trial.cell['name']} is {trial.cell['values'][trial.cell['asked']]}."
            assert text.count(statement) == 1
            assert text[trial.cell["offset"] :].startswith(statement)


def test_order_among_the_needles_rotates_over_the_depths() -> None:
    """Over five blocks every needle stands once at every position."""
    stands = {(trial.cell["name"], trial.cell["asked"]) for trial in plan().trials if trial.cell["asked"] is not None}
    assert len(stands) == NEEDLES * NEEDLES
    assert len({name for name, _ in stands}) == NEEDLES


def test_the_values_in_a_cell_stand_in_the_order_of_the_text() -> None:
    for trial in plan(layout=("spread", "cluster@50")).trials:
        text = trial.request.messages[0].content
        offsets = [text.index(value) for value in trial.cell["values"]]
        assert offsets == sorted(offsets)


def test_the_same_options_make_the_same_bytes_and_another_seed_others() -> None:
    assert plan() == plan()
    assert plan(seed=2).trials != plan().trials


def test_the_length_is_that_of_the_haystack_without_its_needles() -> None:
    for trial in plan(lengths=(150, 400)).trials:
        text = trial.request.messages[0].content.rsplit("\n\n", 1)[0]
        added = NEEDLES * len("The passcode for Brenmoor is 48213.".split())
        assert abs(len(text.split()) - added - trial.cell["length_tokens"]) <= 20
        assert trial.cell["haystack_tokens"] == len(text.split()) - added


@pytest.mark.parametrize(
    ("layout", "depths"), [("spread", (0, 0.25, 0.5, 0.75, 1)), ("cluster@0", (0,) * 5), ("cluster@75", (0.75,) * 5)]
)
def test_layouts(layout: str, depths: Sequence[float]) -> None:
    assert layout_depths(layout) == depths
    trials = [trial for trial in plan(layout=(layout,), lengths=(600,)).trials if trial.cell["asked"] is not None]
    for trial in trials:
        assert trial.cell["actual_depth"] == pytest.approx(trial.cell["depth"], abs=0.06)


@pytest.mark.parametrize("layout", ["cluster", "cluster@101", "cluster@x", "ring", "spread@5"])
def test_unknown_layouts_are_refused(layout: str) -> None:
    with pytest.raises(UsageError, match="neither spread nor cluster"):
        checked(NeedleOptions, {"layout": [layout]}, where="test")


@pytest.mark.parametrize("values", [{"blocks": 0}, {"lengths": [10]}, {"max_tokens": 0}, {"task": "nose"}])
def test_values_out_of_range_are_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        checked(NeedleOptions, values, where="test")


def test_a_perfect_reader_has_no_loss_and_abstains_where_nothing_is_right() -> None:
    scored = score_needles(ask("sim/perfect", plan(blocks=10)))
    rows = position_rows(scored)
    assert [(row["asked_rate"], row["not_asked_rate"]) for row in rows] == [(1.0, 0.0)] * NEEDLES
    assert [(row["asked_n"], row["not_asked_n"]) for row in rows] == [(10, 50)] * NEEDLES
    absent = confusion_rows(scored)[-1]
    assert (absent["asked"], absent["abstained"], absent["n"]) == ("absent", 10, 10)
    found = compare_ends(scored, seed=1)
    assert found is not None
    assert not found.given.clear
    assert all("no clear difference" in line or "gave a planted one 0 of 10" in line for line in ends_sentences(found))


def test_a_guesser_looks_good_at_the_end_and_its_control_says_why() -> None:
    scored = score_needles(ask("sim/guesser", plan(blocks=12)))
    last = position_rows(scored)[-1]
    assert last["asked_rate"] == last["not_asked_rate"] == 1.0
    found = compare_ends(scored, seed=1)
    assert found is not None
    assert found.given.interval.estimate == 0.5
    assert found.lift.interval.estimate == 0.0
    assert not found.lift.clear
    assert (found.absent_given, found.absent_ends) == (12, 12)
    assert "Less what is given unasked, there is no clear difference" in ends_sentences(found)[1]


@pytest.mark.parametrize(("name", "sign"), [("sim/u-shape?edge=0.95&middle=0.3", 1), ("sim/primacy?near=1&far=0", 1)])
def test_a_planted_preference_for_the_ends_comes_out_as_retrieval(name: str, sign: int) -> None:
    found = compare_ends(score_needles(ask(name, plan(blocks=20))), seed=1)
    assert found is not None
    assert found.lift.clear
    assert found.lift.interval.estimate * sign > 0.2


def test_recency_is_found_at_the_end_alone() -> None:
    rows = position_rows(score_needles(ask("sim/recency?near=1&far=0", plan(blocks=10))))
    assert [row["asked_rate"] for row in rows] == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_order_and_depth_come_apart_when_two_layouts_are_run() -> None:
    """A reader that minds depth only: by depth with order held it varies, by order with depth held it does not."""
    asked = plan(blocks=10, layout=("spread", "cluster@0", "cluster@50", "cluster@100"), lengths=(600,))
    cells = {
        (row["order"], row["depth"]): row["asked_rate"]
        for row in order_depth_rows(score_needles(ask("sim/u-shape?edge=1&middle=0", asked)))
    }
    for order in range(1, NEEDLES + 1):
        assert (cells[order, 0.0], cells[order, 0.5], cells[order, 1.0]) == (1.0, 0.0, 1.0)


def test_errors_and_cut_answers_stand_in_no_rate() -> None:
    results = ask("sim/perfect", plan(blocks=2))
    failed = Result(results[0].model, "x", results[0].trial, None, "transient", "gone")
    cut = Result(results[1].model, "y", results[1].trial, Completion("The passcode", "max_tokens"))
    untried = Result(results[2].model, "z", results[2].trial, None)
    rows = position_rows(score_needles([failed, cut, untried, *results[3:]]))
    assert [row["asked_n"] for row in rows] == [1, 1, 1, 2, 2]
    assert [(row["error"], row["truncated"]) for row in rows[:3]] == [(1, 0), (0, 1), (0, 0)]
    assert all(row["asked_rate"] == 1.0 for row in rows)


def test_the_order_of_arrival_changes_nothing() -> None:
    results = ask("sim/u-shape", plan(blocks=3))
    forwards, backwards = (position_rows(score_needles(order)) for order in (results, results[::-1]))
    assert forwards == backwards


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(["spread", "cluster@0", "cluster@50", "cluster@100"]))
def test_no_value_stands_twice_in_any_prompt(seed: int, layout: str) -> None:
    for trial in itertools.islice(plan(seed=seed, blocks=1, layout=(layout,)).trials, 1):
        text = trial.request.messages[0].content
        assert all(text.count(value) == 1 for value in trial.cell["values"])


def test_a_run_that_was_cut_off_can_be_read() -> None:
    results = ask("sim/perfect", plan(blocks=7))
    for count in range(len(results)):
        found = compare_ends(score_needles(results[:count]), seed=1)
        whole = 1 if count == NEEDLES else count // (NEEDLES + 1)  # the absent key counts as soon as it was asked for
        assert (found.given.blocks if found else 0) == whole
    assert position_rows(score_needles(results[:1]))


def test_one_value_may_stand_for_a_list() -> None:
    assert checked(NeedleOptions, {"lengths": 300, "layout": "cluster@50"}, where="test").lengths == (300,)


@pytest.mark.parametrize("values", [{"lengths": [200, 200]}, {"layout": ["spread", "spread"]}])
def test_nothing_may_be_given_twice(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="is given twice"):
        checked(NeedleOptions, values, where="test")


def test_layouts_of_the_same_texts_are_not_pooled() -> None:
    rows = order_depth_rows(score_needles(ask("sim/perfect", plan(blocks=4, layout=("spread", "cluster@50")))))
    assert {row["asked_n"] for row in rows} == {4}


def test_a_text_without_sentences_is_no_haystack(tmp_path: Path) -> None:
    text = tmp_path / "words.txt"
    text.write_text("word " * 3000, encoding="utf-8")
    with pytest.raises(UserError, match="too few sentence ends"):
        plan(haystack=(text,), lengths=(500,))
