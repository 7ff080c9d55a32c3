"""How large a file of needles may be, and that each answer is looked for fast enough."""

import json
from pathlib import Path

import pytest

from probes.experiments.needle_files import read_needles
from probes.scoring import mentions
from tokenizer.errors import UsageError


def needles_file(tmp_path: Path, text: str, name: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def many_needles(count: int, words: int = 0) -> str:
    rest = " again" * words
    return "".join(line(f"Clock {n} was mended by Person{n}x.{rest}", f"Person{n}x") for n in range(count))


def line(needle: str, answer: str) -> str:
    return json.dumps({"needle": needle, "question": "Who?", "answer": answer}) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [(many_needles(20_000), "longer than 1,000,000 characters"), (many_needles(1001), "holds 1,001 needles")],
)
def test_a_file_with_too_many_needles_is_refused_at_once_with_the_limit(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_needles(needles_file(tmp_path, text, "many.jsonl"))


def test_a_file_of_200_000_words_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = needles_file(tmp_path, many_needles(1, 2_000_000), "long.jsonl")
    with pytest.raises(UsageError, match="longer than 1,000,000 characters") as refused:
        read_needles(path)
    assert "--haystack" in (refused.value.hint or "")


def test_as_many_needles_as_there_may_be_are_read_without_comparing_each_with_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def counting(text: str, value: str) -> list[int]:
        looked.append(len(text))
        return mentions(text, value)

    monkeypatch.setattr("probes.experiments.needle_files.mentions", counting)
    path = needles_file(tmp_path, many_needles(1000, 50), "many.jsonl")
    assert len(read_needles(path)) == 1000
    assert sum(looked) < 2 * path.stat().st_size  # every needle once with its own answer


@pytest.mark.parametrize("again", ["CLOCK 7 AND PERSON3X.", "It was person3x, they say."])
def test_an_answer_in_another_needle_is_found_in_any_case(tmp_path: Path, again: str) -> None:
    more = line(f"{again} A cat.", "cat")
    with pytest.raises(UsageError, match="needle 4: its answer also stands in another needle"):
        read_needles(needles_file(tmp_path, many_needles(10) + more, "many.jsonl"))


def test_a_number_in_another_needle_is_found_past_its_separators(tmp_path: Path) -> None:
    lines = [("The code is 48213.", "48213"), ("There were 48,213 cats.", "cats"), ("A 148,213 is a dog.", "dog")]
    text = "".join(line(needle, answer) for needle, answer in lines)
    with pytest.raises(UsageError, match="needle 1: its answer also stands"):
        read_needles(needles_file(tmp_path, text, "three.jsonl"))
    without = "".join(text.splitlines(keepends=True)[::2])
    assert len(read_needles(needles_file(tmp_path, without, "two.jsonl"))) == 2
