"""What questions about one text have in common is computed once: the local model, on texts of a few hundred tokens."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.experiment_runs import make_ruler
from probes.haystack import generated_haystack, place
from probes.models.base import Completion, Message, Request
from probes.models.options import ModelOptions
from tests.probes.local_helpers import ask

ROOT = Path(__file__).resolve().parents[2]
FACTS = {
    "The ferry has": " 47 seats.",
    "The pier was built in": " 1912.",
    "The keeper's dog is called": " Bramble.",
    "The lamp on the pier burns": " whale oil.",
    "The baker's name is": " Marta Holm.",
}


def questions(**more: object) -> list[Request]:
    """Five questions about one text with five facts in it, so plain that rounding cannot change an answer."""
    haystack = generated_haystack("prefixes", 120, make_ruler("small").count)
    facts = [f"{stem}{rest}" for stem, rest in FACTS.items()]
    text = place(haystack, facts, [number / 4 for number in range(len(facts))]).text
    question = Message("user", f"{text}\n\nWhat does the text say of this?")
    return [Request((question, Message("assistant", stem)), **more) for stem in FACTS]


def evaluated(completions: list[Completion]) -> int:
    return sum(completion.usage.prompt_tokens_evaluated for completion in completions)


@pytest.mark.model
def test_questions_about_one_text_compute_it_once_and_are_answered_alike(smollm2):
    asked = questions(max_tokens=3)
    together = ask(smollm2, *asked)
    apart = ask(smollm2, *asked, options=ModelOptions(extra={"cache_prompt": False}))
    assert evaluated(apart) == sum(completion.usage.input_tokens for completion in apart)
    assert evaluated(together) <= evaluated(apart) / 2
    assert evaluated(together[1:]) <= 40 * (len(asked) - 1), "only the end is new"
    assert [each.text for each in together] == [each.text for each in apart]
    assert sum(fact.startswith(each.text) for fact, each in zip(FACTS.values(), apart, strict=True)) >= 4, "and rightly"


@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
def test_a_run_shares_what_it_can_and_says_so(tmp_path):
    asked = "--lengths 150 -n 1 --measure answer --measure likelihood --controls absent --max-tokens 8"
    kept = ["-d", str(tmp_path / "runs.db")]
    command = [sys.executable, "-m", "cli", "probe", "needle", "-m", "local/smollm2-135m", *asked.split(), *kept]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "prompt tokens computed, the rest shared" in done.stderr
    share = int(done.stderr.partition("% of")[0].rpartition(" ")[2])
    assert share <= 50
    rows = subprocess.run(
        [sys.executable, "-m", "cli", "runs", "export", "latest", *kept, "--jsonl"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    trials = [json.loads(line) for line in rows.splitlines()]
    for measure in ("answer", "likelihood"):
        measured = [trial for trial in trials if trial["cell_measure"] == measure]
        computed, read = (sum(trial[key] for trial in measured) for key in ("prompt_tokens_evaluated", "input_tokens"))
        assert len(measured) > 5
        assert computed <= read / 2, measure
