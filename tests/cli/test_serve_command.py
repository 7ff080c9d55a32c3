"""`models serve` as a person starts it: a process of its own, asked over HTTP, ended by Ctrl-C."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from probes.models.sim_readers import READERS
from probes.serving.failures import FAILURES

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "The passcode for Brenmoor is 48213.\n\nWhat is the passcode for Brenmoor?"


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command as a process, with the address that it prints."""
    command = [sys.executable, "-m", "cli", "models", "serve", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def post(url: str, content: str = PROMPT) -> httpx2.Response:
    body = {"model": "sim", "messages": [{"role": "user", "content": content}]}
    return httpx2.post(f"{url}/v1/chat/completions", json=body)


def told(result: Result) -> tuple[str, str]:
    error, hint = result.stderr.splitlines()[-2:]
    assert (error[:7], hint[:6]) == ("error: ", "hint: ")
    return error, hint


def test_it_answers_both_sdks_as_it_says_and_ends_well_at_ctrl_c() -> None:
    with served("sim/perfect") as (url, process):
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            answer = client.chat.completions.create(model="sim", messages=[{"role": "user", "content": PROMPT}])
            assert answer.choices[0].message.content == "48213."
        with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as other:
            message = other.messages.create(model="sim", max_tokens=20, messages=[{"role": "user", "content": PROMPT}])
            assert message.content[0].to_dict()["text"] == "48213."
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == 0
    assert stdout == ""  # the address was all
    assert f'openai.OpenAI(base_url="{url}/v1", api_key="any")' in stderr
    assert f'anthropic.Anthropic(base_url="{url}", api_key="any")' in stderr
    assert f"-m openai/sim --base-url {url}/v1" in stderr
    assert stderr.splitlines()[-1] == "answered 2 questions"


def test_failures_are_as_they_were_asked_for() -> None:
    with served("sim/perfect", "--fail", "rate-limit=1", "--retry-after-ms", "50", "--seed", "3") as (url, process):
        reply = post(url)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "0.05")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert "with failures: 100% rate-limit" in stderr
    assert stderr.splitlines()[-1] == "answered 1 questions, with these failures: 1 rate-limit"


def test_the_reader_is_the_one_that_was_named_and_takes_its_time() -> None:
    with served("sim/u-shape?edge=0&middle=0", "--latency-ms", "120") as (url, _):
        reply = post(url)
        assert reply.json()["choices"][0]["message"]["content"] == "It is not in the text."
        assert reply.elapsed.total_seconds() >= 0.12


def test_a_port_in_use_is_told() -> None:
    with served("sim/perfect") as (url, _):
        result = CliRunner().invoke(needlepoint, ["models", "serve", "sim/perfect", "--port", url.rpartition(":")[2]])
    assert result.exit_code == 1
    assert told(result)[1].startswith("hint: take another --port")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("sim/prfect",), 2, "did you mean sim/perfect?"),
        (("local/smollm2-135m",), 2, "sim/u-shape"),
        (("sim/perfect", "--fail", "rate-limits=0.1"), 2, "did you mean rate-limit?"),
        (("sim/perfect", "--fail", "rate-limit"), 2, "--fail rate-limit=0.1"),
        (("sim/perfect", "--fail", "rate-limit=often"), 2, "--fail rate-limit=0.1"),
        (("sim/perfect", "--fail", "rate-limit=1.5"), 2, "from 0 to 1"),
        (("sim/perfect", "--fail", "rate-limit=nan"), 2, "from 0 to 1"),
        (("sim/perfect", "--fail", "quota=0.1", "--fail", "quota=0.2"), 2, "each kind once"),
        (("sim/perfect", "--fail", "quota=0.6", "--fail", "denied=0.6"), 2, "lower them"),
        (("sim/perfect", "--port", "70000"), 2, "--help"),
        (("sim/perfect", "--latency-ms", "-1"), 2, "--help"),
        (("sim/perfect", "--retry-after-ms", "-1"), 2, "--help"),
    ],
)
def test_nonsense_is_refused(arguments: tuple[str, ...], exit_code: int, words: str) -> None:
    result = CliRunner().invoke(needlepoint, ["models", "serve", *arguments])
    assert result.exit_code == exit_code
    assert words in told(result)[1]


def test_help_has_every_reader_and_every_failure() -> None:
    text = CliRunner().invoke(needlepoint, ["models", "serve", "--help"]).stdout
    for name in [*FAILURES, *(f"sim/{kind}" for kind in READERS)]:
        assert f"\n  {name} " in text
