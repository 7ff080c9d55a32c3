"""Each task plants what it says, asks for it, and its cell says what is right."""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.experiments.common import Ruler
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.needle_forms import FORMS
from probes.experiments.needle_tasks import TASKS, find_task
from probes.models.base import Completion
from probes.models.sim import simulated_model
from probes.plan import PlannedTrial
from probes.scoring import score_cell
from tokenizer.errors import UsageError, UserError

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "plugin"
WORDS = Ruler("words", lambda text: len(text.split()))
STOP_WORDS = set(
    "the and for from with was were are did does has had have its one this that which who whom whose what".split()
)


def trials(task: str, control: str | None = None, **options: Any) -> list[PlannedTrial]:
    found = plan_needle(NeedleOptions(**{"task": task, "lengths": (400,), "blocks": 2, **options}), WORDS)
    return [trial for trial in found.trials if trial.cell["control"] == control]


def text_of(trial: PlannedTrial) -> str:
    return trial.request.messages[0].content.rsplit("\n\n", 1)[0]


def question_of(trial: PlannedTrial) -> str:
    return trial.request.messages[0].content.rsplit("\n\n", 1)[1]


def test_single_hides_one_needle_at_each_depth_of_one_text() -> None:
    found = trials("single", blocks=1)
    assert [trial.cell["depth"] for trial in found] == [0, 0.25, 0.5, 0.75, 1]
    (value,) = {value for trial in found for value in trial.cell["values"]}
    statement = f"The passcode for {found[0].cell['name']} is {value}."
    assert len({re.sub(rf"\s?{re.escape(statement)}\s?", " ", text_of(trial)).strip() for trial in found}) == 1
    assert len({question_of(trial) for trial in found}) == 1
    for trial in found:
        assert text_of(trial).count(statement) == 1
        assert text_of(trial)[trial.cell["offset"] :].startswith(statement)
        assert trial.cell["actual_depth"] == pytest.approx(trial.cell["depth"], abs=0.06)
        assert (trial.cell["asked"], trial.cell["right"], trial.cell["answer"]) == (0, [0], "one")
    (absent,) = trials("single", "absent", blocks=1)
    assert absent.cell["name"] not in text_of(absent)
    assert text_of(absent) == text_of(found[2])


def test_multi_value_asks_for_all_values_of_one_name() -> None:
    for trial in trials("multi-value", blocks=3):
        cell = trial.cell
        found = re.findall(rf"One of the passcodes for {cell['name']} is (\d+)\.", text_of(trial))
        assert found == cell["values"][:5]
        assert (cell["right"], cell["answer"], cell["asked"]) == ([0, 1, 2, 3, 4], "all", None)
        assert question_of(trial).startswith(f"What are all the passcodes for {cell['name']}?")
        others = re.findall(r"One of the passcodes for (\w+) is", text_of(trial))
        assert len(others) == 8
        assert len(set(others) - {cell["name"]}) == 3


def test_kv_is_a_json_object_whose_pairs_are_asked_for_by_depth() -> None:
    found = trials("kv", lengths=(400,), blocks=1)
    pairs = json.loads(text_of(found[0]))
    keys = list(pairs)
    assert abs(len(text_of(found[0]).split()) - 400) <= 2
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in (*keys, *pairs.values()))
    for trial in found:
        assert json.loads(text_of(trial)) == pairs
        cell = trial.cell
        assert pairs[cell["name"]] == cell["values"][cell["asked"]]
        assert keys.index(cell["name"]) == round(cell["depth"] * (len(keys) - 1))
        assert text_of(trial)[cell["offset"] :].startswith(f'"{cell["name"]}": "{pairs[cell["name"]]}"')
    (absent,) = trials("kv", "absent", blocks=1)
    assert absent.cell["name"] not in pairs
    (short,) = trials("kv", "short", blocks=1)
    assert len(json.loads(text_of(short))) == 5


def test_short_pairs_are_shorter_and_all_different() -> None:
    (first, *_) = trials("kv", lengths=(400,), blocks=1, ids="short")
    pairs = json.loads(text_of(first))
    assert all(re.fullmatch(r"[0-9a-f]{8}", each) for each in (*pairs, *pairs.values()))
    assert len({*pairs, *pairs.values()}) == 2 * len(pairs)
    assert pairs[first.cell["name"]] == first.cell["values"][first.cell["asked"]]


def held(text: str, value: str) -> list[str]:
    """Every variable that holds a value, worked out step by step as a reader would."""
    values: dict[str, str] = {}
    for name, source, number in re.findall(r"VAR (\w+) = (?:VAR (\w+)|(\d+))\.", text):
        values[name] = number or values[source]
    return [name for name, number in values.items() if number == value]


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 12))
def test_the_names_of_a_chain_are_those_that_hold_the_value(seed: int, distractors: int) -> None:
    for trial in trials("chain", seed=seed, blocks=1, distractors=distractors):
        cell = trial.cell
        found = held(text_of(trial), cell["name"])
        assert found == cell["expected"] == [cell["values"][index] for index in cell["right"]]
        assert len(found) == 5
        assert len(cell["values"]) == 5 + distractors
        assert cell["answer"] == "names"
    for trial in trials("chain", "absent", seed=seed, blocks=1):
        assert held(text_of(trial), trial.cell["name"]) == trial.cell["expected"] == []


def test_count_counts_what_the_text_records_and_every_number_comes_equally_often() -> None:
    found = trials("count", blocks=10)
    for trial in found:
        recorded = Counter(re.findall(r"A delivery for (\w+) was recorded\.", text_of(trial)))
        assert [str(recorded[trial.cell["name"]])] == trial.cell["expected"]
        assert len(recorded) == 4
        assert (trial.cell["answer"], trial.cell["values"], trial.cell["right"]) == ("number", [], [])
    assert Counter(trial.cell["expected"][0] for trial in found) == dict.fromkeys("12345", 2)
    for trial in trials("count", "absent"):
        assert trial.cell["name"] not in text_of(trial)
        assert trial.cell["expected"] == ["0"]


def content_words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in STOP_WORDS}


def test_a_paraphrase_question_shares_no_content_word_with_its_needle() -> None:
    for trial in trials("paraphrase", blocks=20, depths="50"):
        cell, text = trial.cell, text_of(trial)
        needle = text[cell["offset"] :].split(".")[0]
        assert cell["values"][0] in needle
        asked = question_of(trial).split("?")[0]
        assert not content_words(asked) & content_words(needle), (asked, needle)


@pytest.mark.parametrize("task", ["single", "multi-key", "multi-value", "kv", "chain", "count"])
def test_german_runs_have_german_questions_and_the_same_design(task: str) -> None:
    german = trials(task, language="de", blocks=1)
    assert len(german) == len(trials(task, blocks=1))
    assert "Antworte nur mit" in question_of(german[0])
    statement = FORMS["single" if task == "multi-key" else task]["de"].statement.split("{")[0]
    assert statement in text_of(german[0])


@pytest.mark.parametrize(
    ("task", "language"), [(name, language) for name, task in TASKS.items() for language in task.languages]
)
def test_a_perfect_reader_is_right_about_every_task(task: str, language: str) -> None:
    """The prompt of every task can be answered from the prompt alone, and is scored as right then."""
    model = simulated_model("sim/perfect")
    for control in (None, "absent", "short"):
        for trial in trials(task, control, language=language, blocks=2):
            answer = model.answer(trial.request)
            assert score_cell(answer, trial.cell).outcome == "hit", (trial.cell, answer.text)


@pytest.fixture
def plugin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an installer leaves of the sample package: its modules, and a directory of metadata with its tasks."""
    project = tomllib.loads((SAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
    for module in project["tool"]["setuptools"]["py-modules"]:
        (tmp_path / f"{module}.py").write_bytes((SAMPLE / f"{module}.py").read_bytes())
    metadata = tmp_path / "needlepoint_parrot-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: needlepoint-parrot\nVersion: 0.1.0\n")
    entries = project["project"]["entry-points"]["needlepoint.tasks"].items()
    lines = "".join(f"{name} = {value}\n" for name, value in [*entries, ("none", "time:time")])
    (metadata / "entry_points.txt").write_text(f"[needlepoint.tasks]\n{lines}")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("plugin_folder")
def test_a_task_of_another_package_is_run_like_ours() -> None:
    found = trials("reverse", blocks=1, lengths=(300,))
    assert len(found) == 5
    for trial in found:
        (name,) = trial.cell["values"]
        statement = f"The passcode for {name} is {trial.cell['name']}."
        assert text_of(trial)[trial.cell["offset"] :].startswith(statement)
        assert question_of(trial).startswith(f"Whose passcode is {trial.cell['name']}?")
        assert score_cell(Completion(f"{name}.", "stop"), trial.cell).outcome == "hit"
    assert {trial.cell["task"] for trial in found} == {"reverse"}
    with pytest.raises(UserError, match="is no Task"):
        find_task("none")
    with pytest.raises(UsageError) as caught:
        find_task("revers")
    assert "did you mean reverse?" in caught.value.hint


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no task 'singel'") as caught:
        find_task("singel")
    assert "did you mean single?" in caught.value.hint
