"""Mistakes that well-known needle tools make, each with a test that ours does not: named by what is right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.experiments.common import Ruler
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.needle_files import read_needles
from probes.experiments.needle_options import parse_depths
from probes.models.base import Completion, ContextTooLong, Request, RequestRejected, Traits, Transient
from probes.plan import Plan, PlannedTrial
from probes.scoring import score_cell
from probes.store import Store
from tests.probes.needle_answers import VALUE, cell_of
from tests.probes.runner_helpers import ScriptedModel, attempts, last_results, run
from tokenizer import load_tokenizer
from tokenizer.errors import UsageError

SMALL = load_tokenizer("small")
RULER = Ruler("small", SMALL.count)
NEEDLES = """
[[needle]]
needle = "The heron clock was mended by {mender}."
question = "Who mended the heron clock?"
answer = "{mender}"

[[needle]]
needle = "The ferry bell was cast in Odenhall."
question = "Where was the ferry bell cast?"
answer = "Odenhall"
"""


def plan(**options: object) -> Plan:
    given = {"task": "single", "lengths": (400,), "blocks": 2, "depths": (0, 50, 100), **options}
    return plan_needle(NeedleOptions(**given), RULER)  # type: ignore[arg-type]


def prompt_of(trial: PlannedTrial) -> str:
    return trial.request.messages[-1].content


@pytest.fixture
def own_needles(tmp_path: Path) -> Path:
    path = tmp_path / "needles.toml"
    path.write_text(NEEDLES.format(mender="Ida Fenwick"), encoding="utf-8")
    return path


def test_calls_that_failed_are_made_again_when_the_run_goes_on(store: Store) -> None:
    asked = plan()
    broken = ScriptedModel(script=lambda _question, _call: Transient("the server is down"))
    assert run(store, asked, broken, max_attempts=2).failed == len(asked.trials)
    healthy = ScriptedModel()
    summary = run(store, asked, healthy)
    assert len(healthy.calls) == len(asked.trials)
    assert (summary.done, summary.failed) == (len(asked.trials), 0)


def test_a_changed_needle_is_asked_anew_under_whatever_name(store: Store, own_needles: Path) -> None:
    model = ScriptedModel()
    first = plan(needles=own_needles, controls=())
    run(store, first, model)
    own_needles.write_text(NEEDLES.format(mender="Jonas Ryde"), encoding="utf-8")
    changed = plan(needles=own_needles, controls=())
    model.calls.clear()
    assert run(store, changed, model).reused < len(changed.trials)
    with_the_needle = [prompt_of(trial) for trial in changed.trials if "Jonas Ryde" in prompt_of(trial)]
    assert with_the_needle
    assert set(with_the_needle) <= set(model.calls)


@pytest.mark.parametrize("length", [300, 1000, 4000])
def test_the_text_has_the_length_that_was_asked_for(length: int) -> None:
    for trial in plan(lengths=(length,), blocks=1, controls=()).trials:
        assert SMALL.count(prompt_of(trial)) == pytest.approx(length, abs=90)  # the question and the needle included
        assert abs(trial.cell["haystack_tokens"] - length) <= 0.05 * length


@pytest.mark.parametrize("count", [3, 5, 11, 35])
def test_depths_that_crowd_at_the_ends_ascend(count: int) -> None:
    depths = parse_depths(f"sigmoid:{count}")
    assert len(depths) == count
    assert list(depths) == sorted(set(depths))
    assert (depths[0], depths[-1]) == (0.0, 100.0)
    assert [100 - depth for depth in reversed(depths)] == pytest.approx(depths)


def test_the_number_of_a_sample_is_no_offset_into_the_text(store: Store) -> None:
    asked = plan(samples=3)
    run(store, asked, ScriptedModel())
    for result in last_results(store):
        assert result.trial.cell["sample"] in range(3)
        assert result.trial.request.sample == result.trial.cell["sample"]
    by_offset = {trial.cell["offset"] for trial in asked.trials if trial.cell["offset"] is not None}
    assert len(by_offset) > 3
    assert {
        prompt_of(trial).find(trial.cell["values"][0]) > 0 for trial in asked.trials if trial.cell["control"] is None
    } == {True}


def test_what_is_refused_for_good_is_asked_once_and_then_left_alone(store: Store) -> None:
    asked = plan(blocks=1)
    model = ScriptedModel(script=lambda _question, _call: RequestRejected("no"))
    run(store, asked, model)
    count = len(set(map(prompt_of, asked.trials)))
    assert len(model.calls) == count
    run(store, asked, model)
    assert len(model.calls) == count
    assert len(attempts(store)) == count
    run(store, asked, model, retry_errors=True)
    assert len(model.calls) == 2 * count


@pytest.mark.parametrize("given", ["48213", "forty-eight", "XLVIII"])
def test_any_of_the_accepted_answers_counts_in_full(given: str) -> None:
    cell = cell_of(expected=["forty-eight", "XLVIII"])
    assert score_cell(Completion(f"It is {given}.", "stop"), cell).outcome == "hit"


def test_every_model_gets_the_same_bytes(store: Store) -> None:
    models = [ScriptedModel("fake/one"), ScriptedModel("fake/two")]
    run(store, plan(), *models)
    assert sorted(models[0].calls) == sorted(models[1].calls)


def test_a_needle_of_ones_own_needs_a_question_and_never_stands_in_it(own_needles: Path) -> None:
    text = own_needles.read_text(encoding="utf-8")
    own_needles.write_text(text.replace('question = "Who mended the heron clock?"\n', ""), encoding="utf-8")
    with pytest.raises(UsageError, match="has no question"):
        read_needles(own_needles)
    own_needles.write_text(text, encoding="utf-8")
    for trial in plan(needles=own_needles, controls=()).trials:
        question = prompt_of(trial).rsplit("\n\n", 1)[1]
        assert "Ida Fenwick" not in question
        assert "Odenhall" not in question


def test_a_prompt_that_is_too_long_is_refused_and_never_cut(store: Store) -> None:
    model = ScriptedModel(traits=Traits(window=300))
    with pytest.raises(ContextTooLong, match="window of 300 tokens"):
        run(store, plan(lengths=(1000,)), model)
    assert model.calls == []
    whole = plan(lengths=(1000,), blocks=1)
    model = ScriptedModel(traits=Traits(window=5000))
    run(store, whole, model)
    assert sorted(set(model.calls)) == sorted(set(map(prompt_of, whole.trials)))


def test_nothing_but_the_needle_tells_a_text_with_it_from_one_without() -> None:
    """Take the needle out, and what is left is the same text at every depth: no label, no marker."""

    def rests() -> Iterator[str]:
        for trial in plan(blocks=1, controls=()).trials:
            text, _question = prompt_of(trial).rsplit("\n\n", 1)
            needle = f"The passcode for {trial.cell['name']} is {trial.cell['values'][0]}."
            assert text.count(needle) == 1
            yield "".join(text.replace(needle, "").split())

    assert len(set(rests())) == 1


@pytest.mark.parametrize(
    ("answer", "name", "value", "outcome"),
    [
        (VALUE[:3], "Brenmoor", VALUE, "miss"),
        (f"1{VALUE}", "Brenmoor", VALUE, "miss"),
        ("The passcode for Brenmoor is known to the clerk.", "Brenmoor", VALUE, "miss"),
        ("Ida", "Who mended the heron clock?", "Ida Fenwick", "miss"),
        ("It was Ida Fenwick.", "Who mended the heron clock?", "Ida Fenwick", "hit"),
    ],
)
def test_a_part_of_the_answer_or_words_around_it_do_not_pass(answer: str, name: str, value: str, outcome: str) -> None:
    score = score_cell(Completion(answer, "stop"), cell_of(name=name, values=[value]))
    assert score.outcome == outcome


def test_a_request_is_one_question_and_keeps_nothing_of_the_answer() -> None:
    for trial in plan(blocks=1, controls=()).trials:
        assert isinstance(trial.request, Request)
        assert trial.request.messages[-1].role == "user"
        assert prompt_of(trial).count(trial.cell["values"][0]) == 1
