"""`needlepoint runs report`: which runs stand on the page, where it is written, and what is refused."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint

NEEDLE = ("probe", "needle", "-m", "sim/perfect", "--task", "single", "-n", "1", "--lengths", "150", "--no-controls")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, arguments)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    for depth in ("0", "100"):
        assert run(*NEEDLE, "--depths", depth, "-d", str(path)).exit_code == 0
    return path


def test_runs_are_named_as_everywhere_and_each_stands_once_on_the_page(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    listed = run("runs", "list", "-d", str(store), "--csv").stdout.splitlines()[1:]
    newest, oldest = (line.split(",")[0] for line in listed)
    done = run("runs", "report", "latest", oldest, newest, "-d", str(store), "-o", str(page))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert f"wrote {page}" in done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count("<h2") == 2
    assert text.index(f"Needle run {newest}") < text.index(f"Needle run {oldest}")
    one = run("runs", "report", "-d", str(store))
    assert one.exit_code == 0
    assert one.stdout.startswith("<!DOCTYPE html>")
    assert newest in one.stdout
    assert oldest not in one.stdout
    assert one.stdout.encode() == run("runs", "report", newest, "-d", str(store)).stdout.encode()


def test_as_many_prompts_as_were_asked_for(store: Path) -> None:
    for limit in (0, 1):
        page = run("runs", "report", "-d", str(store), "-n", str(limit)).stdout
        assert page.count('<details class="exchange">') == limit
    assert "The passcode for" in page  # the prompt, made again
    assert "<mark>" in page  # and what was planted in it


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("-o", "report.json"), 2, "let it end in .html"),
        (("-o", "no/such/report.html"), 1, "there is no directory"),
        (("nobody",), 1, "no run 'nobody'"),
        (("-n", "-1"), 2, "-1"),
    ],
)
def test_nonsense_is_refused(store: Path, arguments: tuple[str, ...], code: int, what: str) -> None:
    done = run("runs", "report", *arguments, "-d", str(store))
    assert done.exit_code == code
    assert what in done.stderr
    assert done.stdout == ""


def test_a_page_is_not_thrown_at_a_terminal(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.runs_commands.on_terminal", lambda: True)
    done = run("runs", "report", "-d", str(store))
    assert done.exit_code == 2
    assert "-o report.html" in done.stderr


def test_without_its_libraries_the_command_says_what_to_install(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    done = run("runs", "report", "-d", str(store), "-o", str(store.with_name("x.html")))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: a report needs matplotlib",
        "hint: pip install 'needlepoint[report]'",
    ]
    assert not store.with_name("x.html").exists()
