"""`probe placement` can be told all that a placement experiment can, in the same words, and nonsense is refused."""

import json
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from cli.placement_options import placement_options
from probes.experiment_file import options_of_spec
from probes.experiments.common import Ruler
from probes.experiments.placement import ARMS, Framing, Measure, PlacementOptions, Task, plan_placement
from probes.experiments.placement_options import FactStyle
from probes.models.base import Traits
from probes.verify_run import files_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
QUICK = ("-m", "sim/perfect", "-n", "1", "--lengths", "150", "--measure", "coverage", "--json")
WORDS = Ruler("words", lambda text: len(text.split()))
OWN = ("-m", "sim/perfect", "--measure", "coverage", "--json")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, ["probe", "placement", *arguments])


def spec(*arguments: str) -> dict[str, Any]:
    """The run's options as they were understood."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    meta: dict[str, Any] = json.loads(result.stdout)["meta"]
    return meta


def parameters() -> dict[str, click.Parameter]:
    command = placement_options(click.command()(lambda **_: None))
    return {parameter.name or "": parameter for parameter in command.params}


def test_the_command_line_has_every_name_of_the_options_and_no_other() -> None:
    shared = {"lengths", "blocks", "seed", "ruler", "max_tokens", "temperature", "samples", "equivalence"}
    assert set(parameters()) == set(PlacementOptions.model_fields) - shared


def test_the_choices_are_those_of_the_options() -> None:
    choices = {
        name: tuple(parameter.type.choices)
        for name, parameter in parameters().items()
        if isinstance(parameter.type, click.Choice)
    }
    assert choices == {
        "framing": get_args(Framing),
        "task": get_args(Task),
        "place": ARMS,
        "measure": get_args(Measure),
        "facts": get_args(FactStyle),
    }


def test_options_reach_the_plan() -> None:
    meta = spec(*QUICK, "--framing", "chat", "--task", "extraction", "--facts", "typed", "--place", "twice")
    assert (meta["framing"], meta["task"], meta["facts"], meta["place"]) == ("chat", "extraction", "typed", ["twice"])
    assert (meta["max_tokens"], meta["temperature"], meta["samples"]) == (320, [], 1)
    meta = spec(*QUICK, "--temperature", "0.5", "--samples", "2", "--equivalence", "7.5", "--max-tokens", "99")
    assert (meta["temperature"], meta["samples"], meta["max_tokens"]) == ([0.5], 2, 99)
    assert meta["declared"]["equivalence_points"] == 7.5
    assert meta["declared"]["contrasts"] == meta["contrasts"]
    assert len(meta["contrasts"]) == 4


def test_own_wording_and_documents_reach_the_prompts_and_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.txt").write_text("Give the gist in one line.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    document = str(SAMPLES / "meeting.json")
    meta = spec(*OWN, "--document", document, "--instruction-file", "mine.txt", "--place", "after")
    assert meta["document"] == [document]
    assert meta["instruction_file"] == str(tmp_path / "mine.txt")
    assert files_of(meta) == [document, str(tmp_path / "mine.txt")]
    options = options_of_spec("placement", meta)
    (trial,) = plan_placement(options, WORDS).trials
    assert trial.request.messages[-1].content.endswith("</document>\n\nGive the gist in one line.")
    assert trial.cell["task"] == "own"
    verified = CliRunner().invoke(needlepoint, ["runs", "verify", "latest"])
    assert verified.exit_code == 0, verified.output


def test_lengths_can_be_shares_of_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.models.sim.SimulatedModel.traits", Traits(free=True, window=2000))
    few = ("-m", "sim/perfect", "-n", "1", "--measure", "coverage", "--place", "before", "--json")
    meta = spec(*few, "--lengths", "10%,20%")
    assert meta["lengths"] == [200, 400]
    assert meta["declared"]["interactions"] == ["length"]


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["--task", "haiku"], "haiku", "--help"),
        (["--facts", "wild"], "wild", "--help"),
        (["--place", "beside"], "beside", "--help"),
        (["--place", "after", "--place", "after"], "after is given twice", "--help"),
        (["--samples", "0"], "--samples", "--help"),
        (["--samples", "2", "--measure", "margin"], "--samples repeats written answers", "--help"),
        (["--temperature", "0.7", "--measure", "margin"], "--temperature is for written answers", "--help"),
        (["--temperature", "-1"], "--temperature", "--help"),
        (["--temperature", "9"], "9 is no temperature", "--help"),
        (["--temperature", "1", "--temperature", "1"], "1.0 is given twice", "--help"),
        (["--equivalence", "0"], "--equivalence", "--help"),
        (["--equivalence", "101"], "--equivalence", "--help"),
        (["--lengths", "50"], "at least 100 tokens", "--help"),
        (["--lengths", "0%"], "no share of a window", "--help"),
        (["--lengths", "50%"], "no model says how large its window is", "--window"),
        (["--lengths", "some"], "no length", "--help"),
        (["--instruction-file", "none.txt"], "cannot read the instruction file", "text file"),
        (["--instruction-file", "pointing.txt"], "'above' points to a place", "name the text instead"),
        (["--instruction-file", "good.txt", "--task", "summary"], "give one of them", "--help"),
        (["--document", "none.json"], "cannot read the document", "turns"),
        (["--document", "bad.json"], "is not JSON", "turns"),
        (["--document", "good.txt", "--lengths", "200"], "--lengths is for texts that are made up", "--help"),
        (["--document", "good.txt", "--document", "good.txt"], "is given twice", "--help"),
        (["--document", "good.txt"], "places for a fact", "longer text"),
        (["--document", "good.txt", "--framing", "chat"], "is a text, and --framing chat takes", "--framing document"),
    ],
)
def test_nonsense_gets_two_lines(
    arguments: list[str], error: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pointing.txt").write_text("Summarise the text above.", encoding="utf-8")
    (tmp_path / "good.txt").write_text("Summarise the text.", encoding="utf-8")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    result = run("-m", "sim/perfect", *arguments)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert error in lines[0]
    assert hint in lines[1]


def test_a_dry_run_shows_every_arm_and_what_each_contrast_can_show() -> None:
    places = [word for arm in ARMS for word in ("--place", arm)]
    quick = ("-m", "sim/perfect", "-n", "20", "--lengths", "150", "--measure", "coverage", "--json", "--dry-run")
    result = run(*quick, *places)
    rows = json.loads(result.stdout)["rows"]
    assert [row["arm"] for row in rows if row["table"] == "arm"] == list(ARMS)
    detectable = [row for row in rows if row["table"] == "detectable"]
    assert len(detectable) == 9
    assert {(row["blocks"], row["answers_a_block"], row["tests"]) for row in detectable} == {(20, 10, 9)}
    fewer = json.loads(run(*quick, "--place", "before", "--place", "after").stdout)["rows"]
    (alone,) = [row for row in fewer if row["table"] == "detectable"]
    assert alone["tests"] == 1
    assert alone["detectable"] < detectable[0]["detectable"]


def test_a_dry_run_says_what_can_be_seen_of_a_change_with_length() -> None:
    """By hand: over 400, 800 and 1600 a block's slope is half its last difference less half its first."""
    quick = ("-m", "sim/perfect", "-n", "20", "--measure", "coverage", "--json", "--dry-run")
    places = ("--place", "before", "--place", "after")
    rows = json.loads(run(*quick, *places, "--lengths", "400,800,1600").stdout)["rows"]
    level, slope = [row for row in rows if row["table"] == "detectable"]
    assert slope["contrast"].startswith(level["contrast"].removesuffix(": coverage"))
    assert slope["detectable"] == pytest.approx(level["detectable"] * (2 * 0.5**2) ** 0.5)


def test_an_experiment_file_takes_the_same_words_with_paths_beside_it(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "mine.json").write_bytes((SAMPLES / "handover.json").read_bytes())
    path = tmp_path / "study.toml"
    path.write_text(
        'models = ["sim/perfect"]\n[[experiment]]\nprobe = "placement"\nframing = "chat"\n'
        'document = "texts/mine.json"\n'
        'place = ["before", "system"]\nmeasure = "coverage"\ntemperature = 0.3\nequivalence = 4\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(needlepoint, ["probe", "run", str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    arms = {row["arm"] for row in found["rows"] if row["table"] == "arm"}
    assert arms == {"before", "system"}
    path.write_text('[[experiment]]\nprobe = "placement"\ndocuments = "x"\n', encoding="utf-8")
    refused = CliRunner().invoke(needlepoint, ["probe", "run", str(path), "-m", "sim/perfect"])
    assert "did you mean 'document'?" in refused.stderr
