"""Options of a needle run: what can be said, what is refused, and with which way out; needles from files."""

from pathlib import Path
from typing import Any, get_args

import pytest

from probes.experiment_file import checked, options_of_spec, read_experiment_file, with_paths, with_windows
from probes.experiments.common import Ruler, parse_length
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.needle_files import OwnNeedle, read_needles
from probes.experiments.needle_options import DEPTHS, HaystackStyle, chunks_of, parse_depths
from probes.experiments.needle_tasks import TASKS
from probes.experiments.placement import PlacementOptions
from probes.haystack import Kind
from tokenizer.errors import UsageError, UserError

WORDS = Ruler("words", lambda text: len(text.split()))
NEEDLES = """
[[needle]]
needle = "The heron clock was mended by Ida Fenwick."
question = "Who mended the heron clock?"
answer = "Ida Fenwick"

[[needle]]
needle = "It took Moss Alder nine winters to carve the long boat. He never sailed in it."
question = "Who carved the long boat?"
answer = "Moss Alder"

[[needle]]
needle = "The tea house in Varrick Lane closes at noon."
question = "When does the tea house in Varrick Lane close?"
answer = "at noon"
"""


def needles_file(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(**values: Any) -> str:
    with pytest.raises(UsageError) as caught:
        checked(NeedleOptions, values, where="test")
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "depths"),
    [
        ("0,50,100", (0, 50, 100)),
        ("10%, 90%", (10, 90)),
        ("33.5", (33.5,)),
        ("linear:1", (50,)),
        ("linear:2", (0, 100)),
        ("linear:5", (0, 25, 50, 75, 100)),
        ("linear:4", (0, 33.33, 66.67, 100)),
        ("sigmoid:3", (0, 50, 100)),
        ("sigmoid:5", (0, 7.59, 50, 92.41, 100)),
    ],
)
def test_depths_are_a_list_or_equal_steps_or_crowd_at_the_ends(text: str, depths: tuple[float, ...]) -> None:
    assert parse_depths(text) == pytest.approx(depths)
    assert NeedleOptions(depths=text).depths == pytest.approx(depths)  # type: ignore[arg-type]


def test_sigmoid_depths_ascend_and_mirror() -> None:
    depths = parse_depths("sigmoid:21")
    assert list(depths) == sorted(set(depths))
    assert [round(100 - depth, 2) for depth in reversed(depths)] == pytest.approx(list(depths))


def test_depths_may_be_given_in_any_order_and_as_numbers() -> None:
    assert NeedleOptions(depths=[100, 0, 50]).depths == (0, 50, 100)  # type: ignore[arg-type]
    assert NeedleOptions(depths=30).depths == (30,)  # type: ignore[arg-type]
    assert NeedleOptions().depths == DEPTHS


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"depths": "0,101"}, "101 is no depth"),
        ({"depths": [-1]}, "-1 is no depth"),
        ({"depths": "0,nan"}, "'0,nan' is no list of depths"),
        ({"depths": "0,\u0663"}, "is no list of depths"),
        ({"depths": "1_0,50"}, "is no list of depths"),
        ({"depths": "linear:\u0663"}, "is no list of depths"),
        ({"layout": "cluster@\u0665\u0660"}, "is neither spread nor cluster@DEPTH"),
        ({"context": "chunks:\u0663"}, "is none of whole, focused and chunks:N"),
        ({"lengths": ["\u0663\u0660\u0660"]}, "is no length; write tokens, e.g. 500, 2k or 1.5k (k is 1,000)"),
        ({"lengths": ["\u0663%"]}, "is no length"),
        ({"lengths": ["1_000"]}, "'1_000' is no length"),
        ({"lengths": ["2kk"]}, "'2kk' is no length"),
        ({"lengths": ["k"]}, "'k' is no length"),
        ({"lengths": ["-1k"]}, "'-1k' is no length"),
        ({"lengths": ["1.0005k"]}, "'1.0005k' is no whole number of tokens"),
        ({"lengths": ["500.5"]}, "'500.5' is no whole number of tokens"),
        ({"lengths": ["2k", 2000]}, "2000 is given twice"),
        ({"lengths": ["11m"]}, "a text may have 10,000,000 tokens at the most"),
        ({"depths": "0,0"}, "is given twice"),
        ({"depths": "linear:0"}, "no list of depths"),
        ({"depths": "linear:201"}, "no list of depths"),
        ({"depths": "cubic:3"}, "no list of depths"),
        ({"depths": ""}, "no list of depths"),
        ({"depths": []}, "depths"),
        ({"lengths": ["a"]}, "'a' is no length"),
        ({"lengths": ["0%"]}, "no share of a window"),
        ({"lengths": ["101%"]}, "no share of a window"),
        ({"lengths": ["25%", "25 %"]}, "25% is given twice"),
        ({"lengths": [50]}, "at least 100 tokens"),
        ({"context": "chunks:0"}, "none of whole, focused and chunks:N"),
        ({"context": "chunks:1"}, "none of whole, focused and chunks:N"),
        ({"context": "parts"}, "none of whole, focused and chunks:N"),
        ({"prompt_style": "niah"}, "no prompt style 'niah'; known are ours, kamradt"),
        ({"temperature": -1}, "-1 is no temperature"),
        ({"temperature": [0, 0]}, "is given twice"),
        ({"place": ["after", "after"]}, "is given twice"),
        ({"place": "beside"}, "place"),
        ({"samples": 0}, "samples"),
        ({"distractors": -1}, "distractors"),
        ({"controls": ["open-book"]}, "controls"),
        ({"task": "singel"}, "did you mean single?"),
        ({"task": ["single", "kv"]}, "task"),
        ({"task": "single", "layout": "cluster@50"}, "--layout is for several needles"),
        ({"task": "kv", "layout": "cluster@50"}, "--layout is for several needles"),
        ({"task": "kv", "distractors": 2}, "takes no --distractors"),
        ({"task": "kv", "shuffle": True}, "makes its own text"),
        ({"task": "kv", "haystack": ["a.txt"]}, "makes its own text"),
        ({"task": "kv", "haystack_style": "minutes"}, "makes its own text"),
        ({"task": "kv", "context": "focused"}, "makes its own text"),
        ({"task": "kv", "structure": "headings"}, "makes its own text"),
        ({"task": "chain", "needles": "a.toml"}, "has its own needles"),
        ({"needles": "a.toml", "distractors": 2}, "--needles brings others"),
        ({"needles": "a.toml", "haystack_style": "needles-only"}, "--needles brings others"),
        ({"task": "chain", "measure": "likelihood"}, "no single values"),
        ({"task": "count", "measure": "likelihood"}, "no single values"),
        ({"task": "paraphrase", "language": "de"}, "does not speak 'de'"),
        ({"language": "fr"}, "language"),
        ({"haystack": ["a.txt"], "haystack_style": "minutes"}, "--haystack-style is for texts that are made up"),
        ({"haystack_style": "noise", "shuffle": True}, "--shuffle changes nothing"),
        ({"language": "de", "prompt_style": "ruler"}, "written in English"),
        ({"prompt_style": "ruler", "place": "before"}, "has its own place"),
        ({"tasks": "single"}, "tasks"),
    ],
)
def test_nonsense_is_refused_in_words(values: dict[str, Any], what: str) -> None:
    assert what in refused(**values)


def test_answers_may_be_as_long_as_the_task_needs_unless_told() -> None:
    assert NeedleOptions().max_tokens == 32
    assert NeedleOptions(task="chain").max_tokens == TASKS["chain"].max_tokens > 32
    assert NeedleOptions(task="chain", max_tokens=9).max_tokens == 9


def test_every_style_of_haystack_is_one_that_there_is() -> None:
    assert set(get_args(HaystackStyle)) == set(get_args(Kind)) - {"files"}


def test_contexts() -> None:
    assert (chunks_of("whole"), chunks_of("focused"), chunks_of("chunks:12")) == (None, None, 12)


def test_lengths_are_tokens_or_shares_of_the_smallest_window() -> None:
    assert [parse_length(each) for each in (500, "500", " 25 % ", "12.5%")] == [500, 500, "25%", "12.5%"]
    assert [parse_length(each) for each in ("2k", "1.5K", "0.001m", "4.1 k")] == [2000, 1500, 1000, 4100]
    options = NeedleOptions(lengths=("25%", 600, "50%"))
    settled = with_windows(options, [None, 8000, 4000])
    assert isinstance(settled, NeedleOptions)
    assert settled.lengths == (1000, 600, 2000)
    assert with_windows(NeedleOptions(), [None]) == NeedleOptions()
    assert with_windows(PlacementOptions(), []) == PlacementOptions()
    with pytest.raises(UsageError, match="no model says how large its window is"):
        with_windows(options, [None])
    with pytest.raises(UsageError, match="is given twice"):
        with_windows(NeedleOptions(lengths=("50%", 1000)), [2000])
    with pytest.raises(UsageError, match="at least 100"):
        with_windows(NeedleOptions(lengths=("1%",)), [2000])


def test_specs_of_runs_from_before_keep_their_meaning_and_new_ones_are_whole() -> None:
    old = options_of_spec("needle", {"task": "multi-key", "lengths": [200], "blocks": 2, "outcome": "x"})
    assert isinstance(old, NeedleOptions)
    assert old.controls == ("absent",)
    asked = NeedleOptions(task="single", depths="linear:3", temperature=(0,), controls=())  # type: ignore[arg-type]
    again = options_of_spec("needle", plan_needle(asked, WORDS).spec)
    assert again == asked


# ------------------------------------------------------------------------------------------------------ own needles


def test_own_needles_are_read_from_toml_and_jsonl(tmp_path: Path) -> None:
    needles = read_needles(needles_file(tmp_path, NEEDLES))
    assert needles[0] == OwnNeedle(
        "The heron clock was mended by Ida Fenwick.", "Who mended the heron clock?", "Ida Fenwick"
    )
    lines = '{"needle": "A fox lives in Mr Bell\'s shed.", "question": "Who is in the shed?", "answer": "fox"}\n\n'
    assert len(read_needles(needles_file(tmp_path, lines, "mine.jsonl"))) == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no needle"),
        ("needle = 3", "needle is no table"),
        ("[[needles]]\nneedle = 'x'", "'needles' has no place"),
        ("[[needle]]\nneedle = 'The fox is red.'\nanswer = 'red'", "needle 1 has no question"),
        ("[[needle]]\nneedle = 'The fox is red.'\nquestion = ''\nanswer = 'red'", "needle 1 has no question"),
        ("[[needle]]\nneedle = 'The fox is red.'\nquestion = 'What?'\nanswer = 3", "needle 1 has no answer"),
        ("[[needle]]\nneedle = 'x'\nquestion = 'y'\nanswer = 'x'\ndepth = 3", "unknown key 'depth'"),
        (
            "[[needle]]\nneedle = 'The fox is red.'\nquestion = 'What colour is it?'\nanswer = 'blue'",
            "the answer does not stand in the needle",
        ),
        (
            "[[needle]]\nneedle = 'The fox is red.'\nquestion = 'Is the fox red?'\nanswer = 'red'",
            "the question gives the answer away",
        ),
        (NEEDLES + NEEDLES, "stands in another needle"),
        ("needle = [", "is not TOML"),
        ("needle = " + "[" * 20_000, "is not TOML"),
        (NEEDLES.replace("The", "\\ud800 The", 1), "is not TOML"),
    ],
)
def test_a_needles_file_with_a_fault_is_refused_by_the_fault(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        read_needles(needles_file(tmp_path, text))


def test_a_needles_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the needles file"):
        read_needles(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_needles(tmp_path / "binary.toml")
    with pytest.raises(UsageError, match="line 2 is not JSON"):
        read_needles(needles_file(tmp_path, '{"needle": "x"}\n{', "mine.jsonl"))
    with pytest.raises(UsageError, match="line 1 is not JSON"):
        read_needles(needles_file(tmp_path, "[" * 100_000, "mine.jsonl"))
    half = '{"needle": "a \\ud800 fox", "question": "What?", "answer": "fox"}'
    with pytest.raises(UsageError, match="the needle holds half a character"):
        read_needles(needles_file(tmp_path, half, "mine.jsonl"))
    with pytest.raises(UsageError, match="is no file"):
        read_needles(tmp_path)


@pytest.mark.parametrize("task", ["single", "multi-key"])
def test_own_needles_stand_in_the_text_and_never_in_the_question(tmp_path: Path, task: str) -> None:
    path = needles_file(tmp_path, NEEDLES)
    depths = "0,50,100" if task == "single" else "0,100"
    options = NeedleOptions(task=task, needles=path, blocks=3, lengths=(300,), depths=depths)  # type: ignore[arg-type]
    found = plan_needle(options, WORDS).trials
    known = {own.question: own for own in read_needles(path)}
    assert {trial.cell["control"] for trial in found} == {None, "absent", "closed-book", "short"}
    assert {trial.cell["name"] for trial in found if trial.cell["control"] is None} == set(known)
    for trial in found:
        own, text = known[trial.cell["name"]], trial.request.messages[0].content
        *rest, question = text.rsplit("\n\n", 1)
        assert question.startswith(own.question)
        assert own.answer not in question
        present = trial.cell["control"] in (None, "short")
        assert [part.count(own.needle) for part in rest] == (
            [] if trial.cell["control"] == "closed-book" else [present]
        )
        if trial.cell["control"] is None:
            assert text[trial.cell["offset"] :].startswith(own.needle)
            assert trial.cell["values"][trial.cell["asked"]] == own.answer


def test_too_few_own_needles_for_the_depths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 3 needles, and there are 5 depths"):
        plan_needle(NeedleOptions(needles=needles_file(tmp_path, NEEDLES)), WORDS)


def test_a_haystack_that_holds_an_own_answer_is_refused(tmp_path: Path) -> None:
    novel = tmp_path / "novel.txt"
    novel.write_text("Old MOSS ALDER came by. It rained. The boats were away. " * 100, encoding="utf-8")
    options = NeedleOptions(task="single", needles=needles_file(tmp_path, NEEDLES), haystack=(novel,), lengths=(200,))
    with pytest.raises(UserError, match="already holds the answer 'Moss Alder'"):
        plan_needle(options, WORDS)


def test_paths_in_an_experiment_file_are_beside_it(tmp_path: Path) -> None:
    needles_file(tmp_path, NEEDLES)
    entry = '[[experiment]]\nprobe = "needle"\ntask = "single"\nneedles = "mine.toml"\nhaystack = "novel.txt"\n'
    (_, options), *_ = read_experiment_file(needles_file(tmp_path, entry, "study.toml")).experiments
    assert isinstance(options, NeedleOptions)
    assert (options.needles, options.haystack) == (tmp_path / "mine.toml", (tmp_path / "novel.txt",))
    ruler = needles_file(tmp_path, "{}", "own.json")
    assert with_paths({"ruler": "own.json", "blocks": 2}, tmp_path) == {"ruler": str(ruler), "blocks": 2}
    assert with_paths({"ruler": "small"}, tmp_path) == {"ruler": "small"}


# ------------------------------------------------------------------------------------------------------ depths


def test_half_as_a_depth_is_taken_for_a_mistake_and_told_in_percent() -> None:
    for depths in ("0.5", "0,0.5,1"):
        with pytest.raises(UsageError, match=r"in percent of the text, so 0\.5 is next to its beginning; write 50"):
            checked(NeedleOptions, {"depths": depths}, where="test")
    assert checked(NeedleOptions, {"depths": "0.5%, 50"}, where="test").depths == (0.5, 50.0)
    assert checked(NeedleOptions, {"depths": [0.5, 50]}, where="a kept run").depths == (0.5, 50.0)


def test_half_as_a_depth_in_an_experiment_file_is_refused_too(tmp_path: Path) -> None:
    entry = '[[experiment]]\nprobe = "needle"\ndepths = {}\n'
    with pytest.raises(UsageError, match="write 50 for 50 percent"):
        read_experiment_file(needles_file(tmp_path, entry.format("[0, 0.5, 1]"), "study.toml"))
    study = needles_file(tmp_path, entry.format('["0.5%", 50]'), "study.toml")
    (_, options), *_ = read_experiment_file(study).experiments
    assert options.depths == (0.5, 50.0)
