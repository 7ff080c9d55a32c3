"""A likelihood that a model cannot give is refused, or left out, before anything is asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from probes.config import config_path
from probes.serving.server import Server, serving

QUICK = ("-n", "1", "--lengths", "200", "--place", "after", "--json")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    with serving("sim/perfect") as running:
        place = config_path()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f'[endpoints.lab]\nkind = "openai"\nbase_url = "{running.url}/v1"\n', encoding="utf-8")
        yield running


def probe(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, ["probe", *arguments])


@pytest.mark.parametrize(
    ("arguments", "measure", "hint"),
    [
        (["needle", "--measure", "likelihood"], "likelihood", "hint: ask a model that runs here"),
        (
            ["needle", "--measure", "answer", "--measure", "likelihood"],
            "likelihood",
            "or leave --measure likelihood out",
        ),
        (["placement", "--measure", "margin"], "margin", "hint: ask a model that runs here"),
        (["placement", "--measure", "margin", "--measure", "coverage"], "margin", "or leave --measure margin out"),
        (["placement", "--measure", "margin", "-m", "sim/perfect"], "margin", "hint: ask sim/perfect alone;"),
        (["placement", "--measure", "margin", "--dry-run"], "margin", "hint: ask a model that runs here"),
    ],
)
def test_what_was_asked_for_is_refused_before_a_call(
    server: Server, arguments: list[str], measure: str, hint: str
) -> None:
    result = probe(*arguments, "-m", "lab/x", *QUICK)
    assert (result.exit_code, server.calls) == (2, 0)
    error, told = result.stderr.splitlines()
    assert error == f"error: --measure {measure} needs log-probabilities of given texts, and lab/x gives none"
    assert told.startswith(hint) or hint in told
    assert "local/... and sim/..." in told


def test_what_nobody_asked_for_is_left_out_for_all_models_and_said(server: Server, tmp_path: Path) -> None:
    result = probe("placement", "-m", "lab/x", "-m", "sim/perfect", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert server.calls == 1
    said = "lab/x gives no log-probabilities of given texts, so only coverage is measured, not the margin"
    assert f"{said}; ask sim/perfect alone for that\n" in result.stderr
    found = json.loads(result.stdout)
    assert found["meta"]["measure"] == ["coverage"]
    assert {row["error"] for row in found["rows"] if row["table"] == "arm"} == {0}
    file = tmp_path / "experiment.toml"
    file.write_text('[[experiment]]\nprobe = "placement"\nblocks = 1\nmeasure = ["coverage", "margin"]\n', "utf-8")
    assert probe("run", str(file), "-m", "lab/x").exit_code == 2, "in a file it was asked for, too"


def test_models_that_can_are_asked_for_both() -> None:
    result = probe("placement", "-m", "sim/perfect", *QUICK)
    assert json.loads(result.stdout)["meta"]["measure"] == ["coverage", "margin"]
    assert "log-probabilities" not in result.stderr
