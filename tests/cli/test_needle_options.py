"""`probe needle` can be told all that a needle experiment can, in the same words, and runs to its tables."""

import json
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from cli.needle_options import needle_options
from probes.experiments.needle_options import CONTROLS, HaystackStyle, Measure, NeedleOptions, Structure
from probes.experiments.needle_parts import IdStyle
from probes.experiments.needle_prompts import STYLES, Place
from probes.experiments.needle_tasks import TASKS
from probes.models.base import Traits

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("-m", "sim/perfect", "-n", "1", "--lengths", "400", "--json")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, ["probe", "needle", *arguments])


def spec(*arguments: str) -> dict[str, Any]:
    """The run's options as they were understood."""
    result = run(*QUICK, *arguments)
    assert result.exit_code == 0, result.stderr
    meta: dict[str, Any] = json.loads(result.stdout)["meta"]
    return meta


def parameters() -> dict[str, click.Parameter]:
    command = needle_options(click.command()(lambda **_: None))
    return {parameter.name or "": parameter for parameter in command.params}


def test_the_command_line_has_every_name_of_the_options_and_no_other() -> None:
    shared = {"lengths", "blocks", "seed", "ruler", "max_tokens", "temperature", "samples", "equivalence"}
    assert set(parameters()) - {"no_controls"} == set(NeedleOptions.model_fields) - shared


def test_the_choices_are_those_of_the_options() -> None:
    choices = {
        name: set(parameter.type.choices)
        for name, parameter in parameters().items()
        if isinstance(parameter.type, click.Choice)
    }
    assert choices == {
        "place": set(get_args(Place)),
        "structure": set(get_args(Structure)),
        "measure": set(get_args(Measure)),
        "controls": set(CONTROLS),
        "haystack_style": set(get_args(HaystackStyle)),
        "language": {"en", "de"},
        "ids": set(get_args(IdStyle)),
    }


def test_the_help_names_every_task_and_style() -> None:
    shown = " ".join(run("--help").stdout.split())
    for name in (*TASKS, *STYLES):
        assert name in shown


@pytest.mark.parametrize("task", TASKS)
def test_every_task_runs_to_its_tables(task: str) -> None:
    result = run(*QUICK, "--task", task)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rows"]
    assert run("-m", "sim/perfect", "-n", "1", "--lengths", "400", "--task", task).exit_code == 0


def test_options_reach_the_plan() -> None:
    meta = spec("--task", "single", "--depths", "linear:3", "--place", "before", "--place", "after", "--samples", "2")
    assert (meta["task"], meta["depths"], meta["place"]) == ("single", [0, 50, 100], ["before", "after"])
    assert (meta["samples"], meta["temperature"], meta["controls"]) == (2, [], list(CONTROLS))
    meta = spec("--no-controls", "--haystack-style", "minutes", "--shuffle", "--language", "de", "--distractors", "2")
    assert (meta["controls"], meta["haystack_style"], meta["shuffle"]) == ([], "minutes", True)
    assert (meta["language"], meta["distractors"]) == ("de", 2)
    meta = spec("--controls", "short", "--temperature", "0", "--temperature", "1", "--context", "chunks:3")
    assert (meta["controls"], meta["temperature"], meta["context"]) == (["short"], [0, 1], ["chunks:3"])


def test_the_margin_of_no_effect_and_what_is_declared_are_kept_with_the_run() -> None:
    meta = spec("--task", "kv", "--ids", "short", "--depths", "0,100", "--equivalence", "10", "--place", "bookend")
    assert (meta["equivalence"], meta["declared"]["equivalence_points"], meta["ids"]) == (10, 10, "short")
    assert meta["declared"]["contrasts"] == [{"factor": "depth", "level": "end", "base": "beginning"}]
    assert spec()["equivalence"] == 5


def test_own_needles_and_haystack_are_kept_by_their_whole_paths() -> None:
    files = ("--needles", "samples/own-needles.toml", "--haystack", "samples/texts/english.txt")
    meta = spec("--task", "single", "--depths", "50", *files)
    assert meta["needles"] == str(Path("samples/own-needles.toml").absolute())
    assert meta["haystack"] == [str(Path("samples/texts/english.txt").absolute())]


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("--task", "singel"), "did you mean single?", "--help"),
        (("--depths", "0,101"), "101 is no depth", "--help"),
        (("--context", "chunks:0"), "chunks:N", "--help"),
        (("--task", "kv", "--layout", "cluster@50"), "--layout is for several needles", "--help"),
        (("--depths", "0.5"), "depths are in percent of the text", "--help"),
        (("--ids", "short"), "--ids is for the task kv", "--help"),
        (("--equivalence", "0"), "equivalence", ""),
        (("--controls", "short", "--no-controls"), "exclude each other", "the one that you mean"),
        (("--lengths", "25%"), "no model says how large its window is", "--lengths in tokens"),
        (("--needles", "none.toml", "--task", "single"), "cannot read the needles file", "own-needles.toml"),
        (("--temperature", "warm"), "warm", ""),
        (("--samples", "0"), "samples", ""),
    ],
)
def test_nonsense_is_refused_before_anything_is_asked(arguments: tuple[str, ...], error: str, hint: str) -> None:
    result = run("-m", "sim/perfect", *arguments)
    assert result.exit_code == 2, result.output
    assert error in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr


def test_shares_of_a_window_become_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.models.sim.SimulatedModel.traits", Traits(free=True, window=1600))
    assert spec("--lengths", "25%,50%")["lengths"] == [400, 800]


SAMPLES = sorted(
    path.name for path in (ROOT / "samples").glob("*.toml") if path.name not in ("own-needles.toml", "placement.toml")
)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_run(name: str) -> None:
    path = str(ROOT / "samples" / name)
    result = CliRunner().invoke(needlepoint, ["probe", "run", path, "-m", "sim/u-shape", "--jsonl"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout
