"""The quickstart says what was computed, makes just the calls it plans, and the second time none."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import quickstart
from cli.main import needlepoint
from probes.models.sim import SimulatedModel
from probes.store import Store

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 6  # the fewest with which a difference can be clear
CALLS_A_ROUND = 6 + 6 * (1 + 10 * 10)  # six questions; six arms with an answer and ten values after ten stems each


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "ROUNDS", ROUNDS)


def screens(model: str, store: Path) -> str:
    result = CliRunner().invoke(needlepoint, ["quickstart", "-m", model, "-d", str(store)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def calls(path: Path) -> int:
    with Store.open(path) as store:
        return sum(store.calls(run.id).ok for run in store.runs())


def test_a_perfect_reader_gets_four_screens_without_a_loss_and_the_planned_calls(
    tmp_path: Path, own_home: Path
) -> None:
    path = tmp_path / "runs.db"
    first = screens("sim/perfect", path)
    headings = re.findall(r"^ ([1-4])  (.+?)  ─", first, flags=re.MULTILINE)
    assert headings == [
        ("1", "Your tokenizer"),
        ("2", "Where does a small model look?"),
        ("3", "Where should the instruction stand?"),
        ("4", "Yours"),
    ]
    needles = first.split("Where does a small model look?")[1].split("Where should the instruction stand?")[0]
    assert len(re.findall(rf"{ROUNDS}/{ROUNDS}  100% ", needles)) == 5
    assert not re.search(r"\bloss|\bless (often|points|margin)|points less|lower|worse", first)
    assert first.count("no clear difference") == 6
    assert f"gave a planted one 0 of {ROUNDS} times" in first
    assert calls(path) == ROUNDS * CALLS_A_ROUND

    (own_home / "data" / "tokenizers" / "quickstart.json").write_text("{", encoding="utf-8")  # damaged: learned anew
    again = screens("sim/perfect", path)
    assert calls(path) == ROUNDS * CALLS_A_ROUND
    middle, again_middle = (text.split(" 2  Where")[1].split("needlepoint runs show")[0] for text in (first, again))
    assert again_middle == middle


def test_a_guesser_is_told_from_a_reader_in_words(tmp_path: Path) -> None:
    text = " ".join(screens("sim/guesser", tmp_path / "runs.db").split())
    assert f"gave a planted one {ROUNDS} of {ROUNDS} times, {ROUNDS} of these from an end" in text
    assert "Less what is given unasked, there is no clear difference left between ends and middle" in text


def test_a_reader_with_a_bias_is_described_as_what_it_is(tmp_path: Path) -> None:
    text = " ".join(screens("sim/u-shape?edge=1&middle=0", tmp_path / "runs.db").split())
    assert "the two ends were given 100 points more often than the three in the middle" in text
    assert "the ends are still 100 points more" in text


def test_whether_a_dialogue_is_continued_is_told_by_the_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quickstart, "ROUNDS", 1)  # what answers are like needs no other texts
    text = " ".join(screens("sim/perfect", tmp_path / "reader.db").split())
    assert "availability of facts, not a summary" in text
    assert "In none of 3 answers to the instruction did the model go on with the dialogue." in text
    assert "continues a dialogue" not in text
    monkeypatch.setattr(SimulatedModel, "_text", lambda *_: "Ben: It rained.")  # as a small model answers
    text = " ".join(screens("sim/perfect", tmp_path / "talker.db").split())
    assert "In all 3 answers to the instruction the model went on with the dialogue" in text
    assert "So this model continues a dialogue instead of summarising it." in text


@pytest.mark.parametrize(("size", "words"), [(98_000_000, "a model this small"), (8_000_000_000, "this model")])
def test_a_model_is_called_small_by_the_size_of_its_weights(size: int, words: str, tmp_path: Path) -> None:
    weights = tmp_path / "some.gguf"
    with weights.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(size)  # a file of holes
    assert quickstart.model_words(f"local/{weights}") == words


def test_it_goes_on_for_three_and_a_half_minutes_of_the_models_time_but_at_least_four_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    assert quickstart.BUDGET_S == 210.0
    monkeypatch.setattr(quickstart, "BUDGET_S", -1.0)  # as if the time were over from the start
    few = screens("sim/perfect", path)
    assert "in 4 texts" in few
    assert "4 blocks cannot tell any difference from chance; 6 can." in few
    assert calls(path) == 4 * CALLS_A_ROUND
    monkeypatch.setattr(quickstart, "BUDGET_S", 1000.0)
    assert f"in {ROUNDS} texts" in screens("sim/perfect", path)
    monkeypatch.setattr(quickstart, "BUDGET_S", -1.0)  # what is there already is shown
    assert f"in {ROUNDS} texts" in screens("sim/perfect", path)


def test_interrupted_it_keeps_what_it_has_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.db"
    command = [sys.executable, "-m", "cli", "quickstart", "-m", "sim/perfect?latency_ms=20", "-d", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if path.exists() and calls(path) >= 20:
            break
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again to go on from here" in errors
    kept = calls(path)
    assert kept >= 20
    monkeypatch.setattr(quickstart, "ROUNDS", 1)
    screens("sim/perfect", path)  # latency is no part of a reader's identity
    assert calls(path) == max(kept, CALLS_A_ROUND)  # one round is enough to see that it goes on


@pytest.mark.parametrize("model", ["sim/nobody", "local/nothing", "nothing"])
def test_a_wrong_model_is_told_before_anything_is_done(model: str, own_home: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(needlepoint, ["quickstart", "-m", model, "-d", str(tmp_path / "runs.db")])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not (tmp_path / "runs.db").exists()


def test_missing_weights_are_told_with_the_command_that_gets_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(needlepoint, ["quickstart", "-d", str(tmp_path / "runs.db")])
    assert result.exit_code == 1
    assert "needlepoint models fetch smollm2-135m" in result.stderr
