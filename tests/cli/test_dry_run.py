"""What `--dry-run` shows: unknown stays unknown, what a question in front costs, what cannot be seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.dry_run import duration, money, show_estimate
from cli.main import needlepoint
from cli.output import OutputOptions
from probes.budget import Limits
from probes.config import config_path
from probes.detectable import Detectable
from probes.estimate import ALL, Estimate, ModelEstimate, Share
from probes.serving.server import serving


def share(arm: str, *, shared: int | None = None, cost: int | None = None, seconds: float | None = None) -> Share:
    return Share(arm, None if arm == ALL else 1000, 20, 5, 10_000, 300, cost, None, seconds, shared)


def shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: ModelEstimate, *found: Detectable
) -> str:
    monkeypatch.setattr("cli.tables.on_terminal", lambda: True)
    monkeypatch.setattr("cli.output.on_terminal", lambda: True)
    show_estimate([Estimate("needle", 5, (model,), found)], OutputOptions())
    return " ".join(capsys.readouterr().out.split())


def test_an_unknown_price_and_time_are_question_marks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(capsys, monkeypatch, ModelEstimate("openai/some", "the ruler small", share(ALL), (share("after"),)))
    assert "openai/some 20 5 10,000 300 ? ?" in text
    assert "openai/some: prompt tokens by the ruler small; its price is unknown." in text
    assert "$0.00" not in text


def test_what_a_question_in_front_costs_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = (share("before", shared=100, cost=0, seconds=5.0), share("after", shared=8_000, cost=0, seconds=2.0))
    total = share(ALL, shared=4_050, cost=0, seconds=7.0)
    text = shown(capsys, monkeypatch, ModelEstimate("local/m", "the model's own count", total, arms))
    assert "before 1,000 20 10,000 1% $0.00 5 s" in text
    assert "after 1,000 20 10,000 80% $0.00 2 s" in text
    assert "What stands in front (before) changes with each question" in text


def test_what_can_be_seen_is_said_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelEstimate("sim/perfect", "the model's own count", share(ALL, cost=0), (share("after", cost=0),))
    found = (Detectable("before against after", 40, 1, 1, 0.244), Detectable("long against short", 5, 1, 1, None))
    text = shown(capsys, monkeypatch, model, *found)
    assert "Before against after: 25 points or more can be seen with 40 blocks." in text
    assert "Long against short: 5 blocks can show no difference at all" in text


def test_nothing_is_asked_and_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    command = ["probe", "needle", "-m", "sim/perfect", "-n", "3", "--lengths", "150", "-d", str(path), "--dry-run"]
    result = CliRunner().invoke(needlepoint, command)
    assert result.exit_code == 0, result.stderr
    assert "detectable" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "?"), (0.4, "0 s"), (42.3, "42 s"), (200.0, "3 min"), (9000.0, "2.5 h")]
)
def test_times_in_words(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_money_in_words() -> None:
    assert (money(None), money(0), money(1_234_000_000)) == ("?", "$0.00", "$1.23")


# -------------------------------------------------------------------------------------------------------- limits

PRICED = '[prices."openai/mine"]\ninput_usd = 1\noutput_usd = 10\n'


@pytest.fixture
def prices() -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(PRICED, encoding="utf-8")


def planned(*arguments: str) -> tuple[dict[str, Any], str]:
    """The sum of what a small plan would take, and what is said of it."""
    command = ["probe", "needle", "-n", "3", "--lengths", "150", *arguments, "--dry-run", "--json"]
    result = CliRunner().invoke(needlepoint, command)
    assert result.exit_code == 0, result.stderr
    [total] = [row for row in json.loads(result.stdout)["rows"] if row["table"] == "total"]
    return total, result.stderr


@pytest.mark.usefixtures("prices")
def test_whether_the_limits_are_enough_is_said_by_the_same_figures() -> None:
    total, said = planned("-m", "openai/mine")
    assert (total["max_cost"], total["max_tokens"]) == (None, None)
    assert "--max-cost" not in said
    most, tokens = total["cost_most_usd"], total["prompt_tokens"] + total["answer_tokens_most"]
    total, said = planned("-m", "openai/mine", "--max-cost", str(most), "--max-tokens-total", str(tokens))
    assert (total["max_cost"], total["max_tokens"]) == ("enough", "enough")
    assert "is enough for all of it." in said
    total, said = planned("-m", "openai/mine", "--max-cost", str(most * 0.99), "--max-tokens-total", str(tokens - 1))
    assert (total["max_cost"], total["max_tokens"]) == ("may stop", "may stop")
    assert "that this may cost at the most: the run may stop before its end, and can be gone on with." in said
    total, said = planned("-m", "openai/mine", "--max-tokens-total", str(total["prompt_tokens"] - 1))
    assert total["max_tokens"] == "will stop"
    assert "tokens of the prompts alone: the run will stop" in said


@pytest.mark.usefixtures("prices")
def test_a_run_that_will_be_refused_is_told_so_and_is() -> None:
    total, said = planned("-m", "openai/unknown", "-m", "openai/mine", "--max-cost", "5")
    assert total["max_cost"] == "refused"
    assert "The run will be refused: nobody knows what openai/unknown costs" in said
    refused = ["probe", "needle", "-n", "3", "--lengths", "150", "-m", "openai/unknown", "--max-cost", "5"]
    with serving("sim/perfect") as server:
        result = CliRunner().invoke(needlepoint, [*refused, "--base-url", f"{server.url}/v1"])
        assert (result.exit_code, server.calls) == (2, 0)
    total, said = planned("-m", "openai/unknown", "-m", "openai/mine", "--max-cost", "5", "--allow-unpriced")
    assert total["max_cost"] == "enough"
    assert total["cost_most_usd"] is None, "what is unknown of a part is unknown of all"
    assert "The calls of openai/unknown are not counted." in said


@pytest.mark.usefixtures("prices")
def test_what_an_unfinished_run_has_spent_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    store = str(tmp_path / "runs.db")
    with serving("sim/perfect") as server:
        lab = PRICED + f'[endpoints.lab]\nkind = "openai"\nbase_url = "{server.url}/v1"\n[prices."lab/m"]\n'
        config_path().write_text(f"{lab}input_usd = 1\noutput_usd = 10\n", encoding="utf-8")
        asked = ("-m", "lab/m", "-d", store)
        total, _ = planned(*asked)
        enough = total["cost_most_usd"]
        command = ["probe", "needle", "-n", "3", "--lengths", "150", *asked, "--max-cost", str(enough / 3), "-j", "1"]
        assert CliRunner().invoke(needlepoint, command).exit_code == 3
    total, said = planned(*asked, "--max-cost", str(enough / 3))
    assert 0 < total["spent_usd"] <= enough / 3
    assert total["used_tokens"] > 0
    assert total["max_cost"] in ("may stop", "will stop")
    assert "of which $" in said
    resumed = CliRunner().invoke(
        needlepoint, ["runs", "resume", "-d", store, "--dry-run", "--max-cost", str(enough / 3), "--json"]
    )
    assert next(row for row in json.loads(resumed.stdout)["rows"] if row["table"] == "total") == total
    fresh, _ = planned(*asked, "--max-cost", str(enough), "--fresh")
    assert (fresh["spent_usd"], fresh["max_cost"]) == (0.0, "enough")


@pytest.mark.usefixtures("prices")
def test_several_experiments_have_a_sum(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    one = '[[experiment]]\nprobe = "needle"\nblocks = {}\nlengths = [150]\n'
    file.write_text(one.format(2) + one.format(3), encoding="utf-8")
    models = ("-m", "openai/mine", "-m", "sim/perfect")
    result = CliRunner().invoke(needlepoint, ["probe", "run", str(file), *models, "--dry-run", "--json"])
    rows = json.loads(result.stdout)["rows"]
    parts = [row for row in rows if row["table"] == "model"]
    [total] = [row for row in rows if row["table"] == "total"]
    assert (len(parts), total["experiments"]) == (4, 2)
    for key in ("trials", "answered", "prompt_tokens", "answer_tokens_most"):
        assert total[key] == sum(row[key] for row in parts)
    assert total["cost_most_usd"] == pytest.approx(sum(row["cost_most_usd"] for row in parts))
    assert total["time_s"] is None


def test_the_sum_for_people_is_a_table_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.tables.on_terminal", lambda: True)
    monkeypatch.setattr("cli.output.on_terminal", lambda: True)
    models = tuple(
        ModelEstimate(name, "the ruler", share(ALL, cost=1_000_000_000, seconds=seconds), (share("after"),))
        for name, seconds in (("a/one", 60.0), ("a/two", 100.0))
    )
    plan = Estimate("needle", 5, models, ())
    show_estimate([plan, plan], OutputOptions(), limits=Limits(max_cost_nano_usd=3_000_000_000))
    text = " ".join(capsys.readouterr().out.split())
    assert "In all Trials Done Prompt tokens Answer tokens Cost at most Time" in text
    assert "80 20 40,000 1,200 $4.00 3 min" in text, "side by side in an experiment, one experiment after the other"
    assert "--max-cost $3.00 is less than the $4.00 that this may cost at the most" in text
