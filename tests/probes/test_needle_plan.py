"""A needle plan is the same bytes for everyone, holds what it promises of every text, and keeps old runs' prompts."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.experiment_file import options_of_spec
from probes.experiments.common import Ruler
from probes.experiments.needle import SHORT_TOKENS, NeedleOptions, plan_needle
from probes.experiments.needle_tasks import TASKS
from probes.haystack import make_haystack
from probes.identity import prompt_hash, trial_id
from probes.plan import Plan, PlannedTrial
from tokenizer import load_tokenizer
from tokenizer.errors import UserError

WORDS = Ruler("words", lambda text: len(text.split()))
NO_IDENTITY: dict[str, Any] = {}
# Of plans as they were made before there was any task but multi-key and any control but the absent key: how many
# requests, and the SHA-256 of all prompt hashes and answer limits in order.
GOLDEN: list[tuple[dict[str, Any], int, str]] = [
    ({}, 60, "c4313e7c4243bb451bb0edb24dd4a8933b0c4ff711ee760beebb853d17f1a146"),
    (
        {"lengths": [500], "layout": ["spread", "cluster@50"]},
        120,
        "89efb1943ef9826dc5b71c82a5f92e027cb1779ee1ca99102eafabe4d65116b9",
    ),
    (
        {"lengths": [300, 2000], "blocks": 6, "seed": 2},
        72,
        "2fe36e0eec83a000bdd973024778ff352bc08c5561830890e56bb0be4506858f",
    ),
    (
        {"lengths": [200], "blocks": 3, "haystack": ["samples/texts/english.txt"]},
        18,
        "2b079c401648b714452e0e00e05a001983e54efb05d765e01d71aeeaec7e2ab3",
    ),
]
OLD_DEFAULTS = {
    "task": "multi-key",
    "lengths": [1000],
    "layout": ["spread"],
    "blocks": 10,
    "seed": 1,
    "ruler": "small",
    "max_tokens": 32,
    "haystack": [],
    "outcome": "given when asked, by position",
}


def plan(**options: Any) -> Plan:
    return plan_needle(NeedleOptions(**{"lengths": (400,), "blocks": 2, **options}), WORDS)


def prompt(trial: PlannedTrial) -> str:
    return trial.request.messages[-1].content


def asked(found: Plan, control: str | None = None) -> list[PlannedTrial]:
    return [trial for trial in found.trials if trial.cell["control"] == control]


def digest(trials: list[PlannedTrial]) -> str:
    hashed = hashlib.sha256()
    for trial in trials:
        hashed.update(f"{prompt_hash(trial.request)}{trial.request.max_tokens}".encode())
    return hashed.hexdigest()


@pytest.mark.parametrize(("spec", "count", "expected"), GOLDEN)
def test_stored_runs_rebuild_to_the_same_bytes(spec: dict[str, Any], count: int, expected: str) -> None:
    tokenizer = load_tokenizer("small")
    small = Ruler("small", lambda text: tokenizer.count(text, disallowed_special=()))
    options = options_of_spec("needle", {**OLD_DEFAULTS, **spec})
    assert isinstance(options, NeedleOptions)
    old = plan_needle(options, small)
    assert (len(old.trials), digest(list(old.trials))) == (count, expected)
    new = plan_needle(NeedleOptions(**spec), small)
    assert digest([trial for trial in new.trials if trial.cell["control"] in (None, "absent")]) == expected


@pytest.mark.parametrize("task", TASKS)
def test_the_same_options_make_the_same_bytes_and_another_seed_others(task: str) -> None:
    assert plan(task=task) == plan(task=task)
    assert plan(task=task, seed=2).trials != plan(task=task).trials


@pytest.mark.parametrize("task", TASKS)
def test_a_cell_is_json_and_says_what_was_asked_how(task: str) -> None:
    for trial in plan(task=task, blocks=1).trials:
        cell = dict(trial.cell)
        assert json.loads(json.dumps(cell)) == cell
        assert (cell["block"], cell["task"], cell["measure"]) == (trial.block, task, "answer")
        assert (cell["place"], cell["structure"], cell["context"]) == ("after", "plain", "whole")
        assert (cell["prompt_style"], cell["temperature"], cell["sample"]) == ("ours", None, 0)
        assert trial.request.temperature is None
        assert cell["layout"] == ("spread" if TASKS[task].several else "-")


@settings(max_examples=25)
@given(
    task=st.sampled_from([task for task in TASKS if task != "kv"]),
    seed=st.integers(0, 10**6),
    place=st.sampled_from(["before", "after", "bookend"]),
    structure=st.sampled_from(["plain", "headings"]),
    style=st.sampled_from(["ours", "ruler", "kamradt", "litm", "longbench", "babilong"]),
    distractors=st.integers(0, 6),
)
def test_every_needle_stands_at_a_sentence_end_and_where_its_cell_says(
    task: str, seed: int, place: str, structure: str, style: str, distractors: int
) -> None:
    options = {"task": task, "seed": seed, "structure": structure, "prompt_style": style, "distractors": distractors}
    found = plan(**options, blocks=1, place=place if style == "ours" else "after")
    for trial in found.trials:
        cell, text = trial.cell, prompt(trial)
        if cell["offset"] is None:
            continue
        offset = cell["offset"]
        statement = text[offset : offset + 120].split(".")[0] + "."
        right = cell["values"][cell["right"][0]]
        assert right in statement
        assert text.count(right) == 1
        before, after = text[:offset].rstrip(), text[offset + len(statement) :]
        assert not before or before[-1] in ".!?>:”\"'" or text[:offset].endswith("\n\n")
        assert not after or after[0].isspace()


@settings(max_examples=15)
@given(task=st.sampled_from(list(TASKS)), seed=st.integers(0, 10**6), blocks=st.integers(1, 6))
def test_what_is_asked_as_a_control_has_no_answer_in_its_prompt(task: str, seed: int, blocks: int) -> None:
    for trial in plan(task=task, seed=seed, blocks=blocks).trials:
        control, cell, text = trial.cell["control"], trial.cell, prompt(trial)
        if control == "absent":
            question = text.rsplit("\n\n", 1)[1]
            assert cell["right"] == []
            assert cell["asked"] is None
            assert cell["name"] in question
            assert cell["name"] not in text.rsplit("\n\n", 1)[0]
        elif control == "closed-book":
            assert not any(value in text for value in cell["values"] if value not in cell["name"])
            assert (cell["length_tokens"], cell["offset"], cell["depth"]) == (0, None, None)
        elif control == "short":
            assert cell["length_tokens"] == SHORT_TOKENS
            assert all(cell["values"][index] in text for index in cell["right"])


@pytest.mark.parametrize("task", TASKS)
def test_controls_are_asked_once_a_block_and_never_twice(task: str) -> None:
    found = plan(task=task, blocks=7, lengths=(400, 500), place=("before", "after", "bookend"))
    counts = Counter((trial.block, trial.cell["place"], trial.cell["control"]) for trial in found.trials)
    for block in range(7):
        assert counts[block, "after", "short"] == counts[block, "before", "short"] == 1
        assert sum(counts[block, place, "closed-book"] for place in ("before", "after", "bookend")) <= 1
        assert counts[block, "after", "absent"] == 2  # one a length
    closed = [trial for trial in found.trials if trial.cell["control"] == "closed-book"]
    assert closed
    assert len({trial_id(NO_IDENTITY, trial.request) for trial in closed}) == len(closed)


def test_over_the_blocks_the_controls_ask_for_every_needle() -> None:
    names = [trial.cell["name"] for trial in asked(plan(blocks=5), "closed-book")]
    assert len(set(names)) == 5
    assert set(names) == {trial.cell["name"] for trial in asked(plan(blocks=5))}


def test_controls_can_be_chosen_and_left_out() -> None:
    assert {trial.cell["control"] for trial in plan().trials} == {None, "absent", "closed-book", "short"}
    assert {trial.cell["control"] for trial in plan(controls=["short"]).trials} == {None, "short"}
    assert {trial.cell["control"] for trial in plan(controls=[]).trials} == {None}


def test_the_questions_are_the_same_with_controls_and_without() -> None:
    assert digest(asked(plan())) == digest(list(plan(controls=[]).trials))


@pytest.mark.parametrize("style", ["prose", "minutes", "repeat", "noise", "needles-only"])
def test_the_length_is_that_of_the_text_without_its_needles_and_both_are_kept(style: str) -> None:
    for trial in asked(plan(haystack_style=style, lengths=(300, 700), blocks=2)):
        cell = trial.cell
        text = prompt(trial).rsplit("\n\n", 1)[0]
        assert abs(cell["haystack_tokens"] - cell["length_tokens"]) <= 30
        assert cell["text_tokens"] == len(text.split())
        assert cell["text_tokens"] - cell["haystack_tokens"] == 5 * len("The passcode for Brenmoor is 48213.".split())


def test_distractors_come_on_top_and_leave_the_needles_as_they_are() -> None:
    plain, more = plan(blocks=1), plan(blocks=1, distractors=7)
    for few, many in zip(asked(plain), asked(more), strict=True):
        assert many.cell["name"] == few.cell["name"]
        assert many.cell["values"][:5] == few.cell["values"]
        assert len(set(many.cell["values"])) == 12
        assert many.cell["needles"] == 5
        text = prompt(many).rsplit("\n\n", 1)[0]
        assert text.count("The passcode for ") == 12
        offsets = [text.index(value) for value in many.cell["values"][5:]]
        assert offsets == sorted(offsets)


def test_order_among_the_needles_rotates_over_as_many_depths_as_there_are() -> None:
    found = asked(plan(blocks=3, depths="0,50,100"))
    assert len({(trial.cell["name"], trial.cell["asked"]) for trial in found}) == 9
    assert {trial.cell["depth"] for trial in found} == {0, 0.5, 1}


def test_more_needles_than_names_in_one_draw() -> None:
    found = plan(depths="linear:40", blocks=1, lengths=(2000,))
    assert len({trial.cell["name"] for trial in asked(found)}) == 40
    assert len(set(found.trials[0].cell["values"])) == 40


@pytest.mark.parametrize("place", ["before", "after", "bookend"])
def test_the_question_stands_where_it_is_to_stand(place: str) -> None:
    for trial in asked(plan(place=place, blocks=1)):
        text = prompt(trial)
        question = f"What is the passcode for {trial.cell['name']}? Answer with the passcode only."
        ends = {"before": (1, 0), "after": (0, 1), "bookend": (1, 1)}[place]
        assert (text.startswith(question), text.rsplit("\n\n", 1)[1].startswith(question)) == tuple(map(bool, ends))
        assert text.count(question) == sum(ends)
        value = trial.cell["values"][trial.cell["asked"]]
        assert text[trial.cell["offset"] :].startswith(f"The passcode for {trial.cell['name']} is {value}.")


def test_requests_say_how_much_of_the_prompt_others_share() -> None:
    for trial in plan(blocks=1).trials:
        if trial.cell["control"] in (None, "absent"):
            assert prompt(trial)[trial.request.cache_prefix :].startswith("What is the passcode")
    assert {trial.request.cache_prefix for trial in plan(blocks=1, place="before").trials} == {0}


def test_a_focused_text_has_the_needle_asked_for_and_little_else() -> None:
    found = plan(context=("whole", "focused"), lengths=(2000,), blocks=2)
    for trial in found.trials:
        cell = trial.cell
        if cell["context"] != "focused" or cell["control"] is not None:
            continue
        text = prompt(trial)
        assert cell["text_tokens"] < 600
        assert text[cell["offset"] :].startswith(f"The passcode for {cell['name']} is {cell['values'][cell['asked']]}.")
    absent = [trial for trial in asked(found, "absent") if trial.cell["context"] == "focused"]
    assert all(any(value in prompt(trial) for value in trial.cell["values"]) for trial in absent)


def test_chunks_are_the_same_text_in_numbered_pieces() -> None:
    found = plan(context=("whole", "chunks:4"), blocks=1)
    whole, chunked = (
        [trial for trial in asked(found) if trial.cell["context"] == context] for context in ("whole", "chunks:4")
    )
    for one, four in zip(whole, chunked, strict=True):
        text = prompt(four)
        assert [text.count(f"Excerpt {number}") for number in (1, 2, 3, 4, 5)] == [1, 1, 1, 1, 0]
        words = [word for word in text.split() if word not in ("Excerpt", "1:", "2:", "3:", "4:")]
        assert words == prompt(one).split()
        assert text[four.cell["offset"] :][:33] == prompt(one)[one.cell["offset"] :][:33]


def test_headings_stand_between_the_same_sentences() -> None:
    plain, headed = (asked(plan(structure=each, lengths=(1500,), blocks=1))[0] for each in ("plain", "headings"))
    lines = prompt(headed).splitlines()
    kept = [line for line in prompt(plain).splitlines() if line.strip()]
    added = [line for line in lines if line.strip() and line not in kept]
    assert len(added) >= 2
    assert not any("passcode" in line for line in added)


def test_samples_and_temperatures_multiply_the_requests_and_only_them() -> None:
    found = asked(plan(blocks=1, temperature=(0, 0.7), samples=3))
    assert len(found) == 5 * 2 * 3
    requests = {(trial.request.temperature, trial.request.sample) for trial in found}
    assert requests == {(temperature, sample) for temperature in (0, 0.7) for sample in range(3)}
    assert all(
        (trial.cell["temperature"], trial.cell["sample"]) == (trial.request.temperature, trial.request.sample)
        for trial in found
    )
    assert len({prompt(trial) for trial in found}) == 5


@pytest.mark.parametrize("task", ["multi-key", "kv"])
def test_likelihoods_are_asked_for_every_value_under_every_question_of_one_text(task: str) -> None:
    found = plan(task=task, measure="likelihood", blocks=1)
    cells = [trial.cell for trial in found.trials]
    pairs = [(cell["asked"], cell["offered"]) for cell in cells]
    assert pairs == [(question, offered) for question in (0, 1, 2, 3, 4, None) for offered in range(5)]
    assert {cell["measure"] for cell in cells} == {"likelihood"}
    assert {cell["control"] for cell in cells if cell["asked"] is None} == {"absent"}
    texts = {trial.request.messages[0].content.rsplit("\n\n", 1)[0] for trial in found.trials}
    assert len(texts) == 1
    for trial in found.trials:
        user, stem = trial.request.messages
        assert (user.role, stem.role) == ("user", "assistant")
        assert trial.request.continuation == f" {trial.cell['values'][trial.cell['offered']]}"
        assert trial.cell["name"] in stem.content
    both = plan(task=task, measure=("answer", "likelihood"), blocks=1)
    assert Counter(trial.cell["measure"] for trial in both.trials) == {"answer": 8, "likelihood": 30}


def test_a_text_that_answers_by_itself_is_refused(tmp_path: Path) -> None:
    name = asked(plan(blocks=1))[0].cell["name"]
    text = make_haystack("prose", "other", 3000, WORDS.count).text
    path = tmp_path / "novel.txt"
    path.write_text(text.replace(". ", f". {name} came. "), encoding="utf-8")
    with pytest.raises(UserError, match=f"already holds '{name}'"):
        plan(blocks=1, haystack=(path,))


def test_a_text_too_short_for_its_depths_is_refused() -> None:
    with pytest.raises(UserError, match="places for a needle, and there are 50 depths"):
        plan(depths="linear:50", lengths=(100,))
    with pytest.raises(UserError, match="pairs of key and value are too few"):
        plan(task="kv", depths="linear:150", lengths=(100,))


def test_a_share_of_a_window_must_be_settled_first() -> None:
    with pytest.raises(UserError, match="25% of a window"):
        plan(lengths=("25%",))
