"""What is said to a model: instructions without pointing words, controls that are as long, own wording checked."""

import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from probes.experiments.placement_tasks import (
    LEAST_OWN,
    MOST_OWN,
    POINTING,
    Facts,
    Framing,
    Task,
    Wording,
    fitted,
    load_data,
    own_wording,
    read_instruction,
    task_wording,
)
from tokenizer.errors import UsageError

ALL = [
    task_wording(task, framing, facts)
    for task, framing, facts in product(get_args(Task), get_args(Framing), get_args(Facts))
]


def ids(wording: Wording) -> str:
    return f"{wording.task} {len(wording.instruction)}"


@pytest.mark.parametrize("wording", ALL, ids=ids)
def test_what_stands_in_an_instruction_s_place_is_as_long_and_asks_for_something_else(wording: Wording) -> None:
    assert len(wording.padding) == len(wording.irrelevant) == len(wording.instruction)
    assert wording.irrelevant.startswith("Write ")
    assert not re.search(r"summar|quota|document|conversation", wording.padding + wording.irrelevant, re.IGNORECASE)
    assert "\n" not in wording.instruction
    for text in (wording.instruction, wording.padding, wording.irrelevant, wording.reminder):
        assert "{" not in text
        assert text[-1] in '."'
        assert not set(re.findall(r"\w+", text.lower())) & set(POINTING["en"].split())


def test_instructions_are_told_apart_and_name_their_text() -> None:
    instructions = [wording.instruction for wording in ALL]
    assert len(set(instructions)) == len(instructions) - len(get_args(Framing))  # the general summary keeps no facts
    assert {wording.task for wording in ALL} == set(get_args(Task))
    for framing, words in (
        ("document", "inside the document tags"),
        ("transcript", "inside the transcript tags"),
        ("chat", "between the user and the assistant"),
    ):
        for task in get_args(Task):
            assert words in task_wording(task, framing, "planted").instruction  # type: ignore[arg-type]


def test_constraints_are_those_that_the_instruction_says() -> None:
    for framing in get_args(Framing):
        wording = task_wording("format", framing, "planted")
        found = dict(wording.constraints or {})
        assert set(found) == {"bullets", "most_words", "required", "forbidden", "closing"}
        assert f"exactly {found['bullets']} bullet points" in wording.instruction
        assert f"at most {found['most_words']} words" in wording.instruction
        assert all(f'Use the word "{word}"' in wording.instruction for word in found["required"])
        assert all(f'"{word}"' in wording.instruction.split("do not use")[1] for word in found["forbidden"])
        assert wording.instruction.endswith(f'with the line "{found["closing"]}"')
        closing = found["closing"].lower()
        assert not any(re.search(rf"\b{word}\b", closing) for word in found["forbidden"])
    assert all(wording.constraints is None for wording in ALL if wording.task != "format")


@pytest.mark.parametrize("kind", ["padding", "irrelevant"])
def test_every_length_can_be_fitted(kind: str) -> None:
    data = load_data()[kind]
    for length in (*range(LEAST_OWN, 700), 5_001, MOST_OWN):
        assert len(fitted(length, **data)) == length


def test_a_fitted_text_lists_words_and_takes_no_other() -> None:
    assert fitted(23, sentences=[], begins=["There are"], words=["ink", "pens"]) == "There are ink and pens."
    assert fitted(14, sentences=[], begins=["There are"], words=["ink", "pens"]) == "There are ink."
    with pytest.raises(ValueError, match="no text of 99"):
        fitted(99, sentences=[], begins=["There are"], words=["ink", "pens"])


# --------------------------------------------------------------------------------------------------------- own wording


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "mine.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text", ["Give the gist.", "Say in one line\nwhat was decided.", "Fasse das Gespräch zusammen. " * 30]
)
def test_own_wording_is_taken_as_it_is_with_controls_as_long(tmp_path: Path, text: str) -> None:
    wording = own_wording(write(tmp_path, f"\ufeff  {text}\r\n\n"))
    assert wording.instruction == text.strip()
    assert len(wording.instruction) == len(wording.padding) == len(wording.irrelevant)
    assert wording.task == "own"
    assert wording.constraints is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Summarise the text above.", "line 1: 'above'"),
        ("Read well.\nSummarise the FOLLOWING text.", "line 2: 'FOLLOWING'"),
        ("Summarise the preceding pages.", "'preceding'"),
        ("Fasse den obigen Text zusammen.", "'obigen'"),
        ("Fasse den folgenden Text zusammen.", "'folgenden'"),
        ("Fasse zusammen, was unten steht.", "'unten'"),
        ("", "has 0 characters"),
        ("Go on.", "has 6 characters"),
        ("x" * (MOST_OWN + 1), "20,001 characters"),
        (b"Summarise \xff this text.", "not UTF-8"),
        ("Summarise \x1b[31m this text.", "control characters"),
    ],
)
def test_own_wording_that_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str | bytes, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_instruction(write(tmp_path, text))
    assert what in str(caught.value)
    assert str(tmp_path / "mine.txt") in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["Say what was left over and done.", "Fasse die Untenrum-Folgen zusammen.", "Aboveboard summary."]
)
def test_words_that_only_look_like_pointing_are_taken(tmp_path: Path, text: str) -> None:
    assert read_instruction(write(tmp_path, text)) == text


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the instruction file"):
        read_instruction(tmp_path / "none.txt")
