"""What `--dry-run` shows: unknown stays unknown, what a question in front costs, what cannot be seen."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.dry_run import duration, money, show_estimate
from cli.main import needlepoint
from cli.output import OutputOptions
from probes.detectable import Detectable
from probes.estimate import ALL, Estimate, ModelEstimate, Share


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
    assert "Before against after: 25 points or more can be seen with 40 texts." in text
    assert "Long against short: 5 texts can show no difference at all" in text


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
