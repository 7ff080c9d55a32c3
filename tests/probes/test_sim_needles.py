"""Simulated readers at whole needle experiments, as they are planned and scored: each has the bias that it says."""

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from probes.experiments.common import Ruler
from probes.experiments.needle import plan_needle
from probes.experiments.needle_options import NeedleOptions
from probes.experiments.needle_prompts import STYLES
from probes.models.sim import simulated_model
from probes.plan import PlannedTrial
from probes.scoring import Score, score_cell

RULER = Ruler("words", lambda text: len(text.split()))
TASKS = ("single", "multi-key", "multi-value", "kv", "chain", "count", "paraphrase")


def planned(**options: Any) -> tuple[PlannedTrial, ...]:
    defaults: dict[str, Any] = {"lengths": (150,), "blocks": 1, "place": ("before", "after", "bookend")}
    return plan_needle(NeedleOptions(**{**defaults, **options}), RULER).trials


def scored(name: str, trials: tuple[PlannedTrial, ...]) -> list[tuple[dict[str, Any], Score]]:
    model = simulated_model(name)
    return [(dict(trial.cell), score_cell(model.answer(trial.request), trial.cell)) for trial in trials]


@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_reader_is_right_in_every_style_and_place_and_only_with_the_text(task: str) -> None:
    results = scored("sim/perfect", planned(task=task, prompt_style=tuple(STYLES)))
    assert {cell["prompt_style"] for cell, _ in results} == set(STYLES)
    outcomes: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for cell, score in results:
        outcomes[cell["control"]][score.outcome] += 1
    assert set(outcomes) == {None, "absent", "closed-book", "short"}
    assert set(outcomes[None]) == set(outcomes["absent"]) == set(outcomes["short"]) == {"hit"}
    assert not outcomes["closed-book"]["hit"]


@pytest.mark.parametrize("task", TASKS[:-1])
def test_a_perfect_reader_reads_german(task: str) -> None:
    results = scored("sim/perfect", planned(task=task, language="de"))
    assert {score.outcome for cell, score in results if cell["control"] != "closed-book"} == {"hit"}


@pytest.mark.parametrize(
    "options",
    [
        {"structure": ("headings",)},
        {"context": ("focused", "chunks:3")},
        {"haystack_style": "minutes"},
        {"haystack_style": "needles-only"},
        {"haystack_style": "noise"},
        {"distractors": 4},
    ],
)
def test_a_perfect_reader_is_right_in_every_kind_of_text(options: dict[str, Any]) -> None:
    results = scored("sim/perfect", planned(task="multi-key", **options))
    assert {score.outcome for cell, score in results if cell["control"] != "closed-book"} == {"hit"}


@pytest.mark.parametrize("task", ["single", "multi-key", "kv", "paraphrase"])
def test_the_right_value_is_the_likeliest_for_a_reader_that_noticed_it(task: str) -> None:
    model = simulated_model("sim/perfect")
    offered: defaultdict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    for trial in planned(task=task, measure=("likelihood",), distractors=None if task == "kv" else 3):
        cell = trial.cell
        if cell["measure"] == "likelihood":
            answer = model.answer(trial.request)
            assert answer.logprobs is not None
            text = (cell["block"], cell["place"], tuple(cell["depths"]), cell["asked"])
            offered[text][cell["offered"]] = answer.logprobs[0].logprob
    assert offered
    for (*_, asked), logprobs in offered.items():
        if asked is None:
            assert len({round(logprob, 9) for logprob in logprobs.values()}) == 1
        else:
            assert max(logprobs, key=logprobs.__getitem__) == asked
            assert math.exp(logprobs[asked]) > 0.9


def test_the_u_shape_is_found_at_its_depths_in_every_place() -> None:
    results = scored("sim/u-shape?edge=1&middle=0", planned(task="single", blocks=2, lengths=(400,)))
    outcomes = defaultdict(set)
    for cell, score in results:
        if cell["control"] is None:
            outcomes[cell["place"], cell["depth"]].add(score.outcome == "hit")
    for (_, depth), hits in outcomes.items():
        assert hits == {depth in (0.0, 1.0)}


def test_last_instruction_needs_the_question_at_the_end_and_any_instruction_does_not() -> None:
    trials = planned(task="single", lengths=(300,))
    for name, places in (
        ("sim/last-instruction", {"after", "bookend"}),
        ("sim/any-instruction", {"before", "after", "bookend"}),
    ):
        hits = {cell["place"] for cell, score in scored(name, trials) if not cell["control"] and score.outcome == "hit"}
        assert hits == places


def test_the_absent_key_exposes_the_guesser_and_the_closed_book_world_knowledge(tmp_path: Path) -> None:
    results = scored("sim/guesser", planned(task="multi-key"))
    assert {score.outcome for cell, score in results if cell["control"] == "absent"} == {"miss"}
    own = tmp_path / "needles.toml"
    own.write_text(OWN_NEEDLES, encoding="utf-8")
    trials = planned(task="single", needles=own, blocks=2)
    known = {
        name: {cell["asked"] in score.given for cell, score in scored(name, trials) if cell["control"] == "closed-book"}
        for name in ("sim/world-knowledge", "sim/perfect")
    }
    assert known == {"sim/world-knowledge": {True}, "sim/perfect": {False}}
    for name in known:
        with_text = [score.outcome for cell, score in scored(name, trials) if cell["control"] is None]
        assert set(with_text) == {"hit"}


OWN_NEEDLES = """
[[needle]]
needle = "The capital of France is Paris."
question = "What is the capital of France?"
answer = "Paris"

[[needle]]
needle = "The capital of Peru is Lima."
question = "What is the capital of Peru?"
answer = "Lima"
"""
