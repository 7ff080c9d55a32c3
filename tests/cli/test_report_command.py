"""`needlepoint runs report`: which runs stand on the page, where it is written, and what is refused."""

import json
import sys
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
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("runs", "report", "-d", str(store), "-o", str(store.with_name("x.html")))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: a report needs matplotlib",
        "hint: pip install 'needlepoint[report]'",
    ]
    assert not store.with_name("x.html").exists()


# ----------------------------------------------------------------------------------------------------- exported rows


@pytest.fixture
def rows(store: Path) -> Path:
    path = store.with_name("kept.jsonl")
    assert run("runs", "export", "latest", "-d", str(store), "-o", str(path)).exit_code == 0
    return path


def rewritten(rows: Path, **spec: object) -> str:
    """The same rows with another spec."""
    found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps({**row, "spec": row["spec"] | spec}) for row in found]
    rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(rows)


def test_a_file_of_rows_makes_the_page_of_its_run_without_a_store(store: Path, rows: Path) -> None:
    kept = run("runs", "report", "-d", str(store)).stdout.splitlines()
    page = run("runs", "report", str(rows), "-d", str(store.with_name("none.db")))
    assert page.exit_code == 0, page.stderr
    added = [line for line in page.stdout.splitlines() if line not in kept]
    assert all("kept.jsonl" in line for line in added)
    assert [
        line for line in kept if line not in page.stdout.splitlines() and "<dl" not in line and "<ul" not in line
    ] == []
    assert "<mark>" in page.stdout  # its prompt was made again
    assert not store.with_name("none.db").exists()
    both = run("runs", "report", str(rows), "latest", "-d", str(store)).stdout
    assert both == page.stdout  # a run that is named twice stands once on the page


def test_prompts_that_cannot_be_made_again_are_said_to_be_absent(rows: Path) -> None:
    page = run("runs", "report", rewritten(rows, ruler="no/such.json"))
    assert page.exit_code == 0, page.stderr
    assert "The prompts are not shown: " in page.stdout
    assert "no/such.json" in page.stdout
    assert '<details class="exchange">' in page.stdout  # the answer is there
    assert "Prompt, user" not in page.stdout
    changed = run("runs", "report", rewritten(rows, ruler="small", seed=99))
    assert "The prompts are not shown: they have changed" in changed.stdout


def test_two_files_with_other_rows_of_one_run_are_refused(store: Path) -> None:
    whole, half = store.with_name("whole.jsonl"), store.with_name("half.jsonl")
    run(*NEEDLE, "--depths", "0,50,100", "-d", str(store))
    run("runs", "export", "latest", "-d", str(store), "-o", str(whole))
    half.write_text(whole.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
    refused = run("runs", "report", str(half), str(whole))
    assert refused.exit_code == 1
    assert "whole.jsonl holds other rows of run" in refused.stderr
    copy = store.with_name("copy.jsonl")
    copy.write_bytes(whole.read_bytes())
    assert run("runs", "report", str(copy), str(whole)).exit_code == 0


def test_rows_that_were_taken_out_are_counted(store: Path) -> None:
    rows = store.with_name("part.jsonl")
    run(*NEEDLE, "--depths", "0,50,100", "-d", str(store))
    run("runs", "export", "latest", "-d", str(store), "-o", str(rows))
    kept = rows.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(kept) == 3
    rows.write_text(kept[0], encoding="utf-8")
    assert "2 trials of the plan are not in that file" in run("runs", "report", str(rows)).stdout


def test_rows_with_a_spec_that_no_run_has_are_refused_in_two_lines(rows: Path) -> None:
    done = run("runs", "report", rewritten(rows, lengths=5))
    assert done.exit_code == 1
    error, hint = done.stderr.splitlines()[-2:]
    assert error == f"error: {rows} does not hold rows of a run: line 1: its spec lengths is 5, which no run has there"
    assert hint == "hint: make such a file with: needlepoint runs export RUN -o FILE"
    assert done.stdout == ""


# ------------------------------------------------------------------------------------------------- a page with a run


def test_a_study_of_several_experiments_gives_one_page(tmp_path: Path) -> None:
    study, page = tmp_path / "study.toml", tmp_path / "study.html"
    experiments = [
        f"[[experiment]]\nprobe = 'needle'\ntask = 'single'\nblocks = 1\nlengths = [{n}]" for n in (150, 200)
    ]
    study.write_text("models = ['sim/perfect', 'sim/guesser']\n" + "\n".join(experiments) + "\n", encoding="utf-8")
    done = run("probe", "run", str(study), "--report", str(page), "--jsonl")
    assert done.exit_code == 0, done.stderr
    assert f"wrote {page}" in done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count('<section class="run" id="run-') == 2
    assert text.count('<section class="run" id="comparison-') == 2  # experiments of other lengths share controls only
    again = run("runs", "resume", "latest", "--report", str(page))
    assert again.exit_code == 0, again.stderr
    assert page.read_text(encoding="utf-8").count('<section class="run" id="run-') == 1


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (("--report", "page.pdf"), 2, "let it end in .html"),
        (("--report", "no/such/page.html"), 1, "there is no directory"),
        (("--report", "page.html", "--dry-run"), 2, "--dry-run asks nobody"),
        (("-o", "page.html"), 2, "`needlepoint runs report` writes pages"),
    ],
)
def test_a_page_that_cannot_be_is_refused_before_anybody_is_asked(
    options: tuple[str, ...], code: int, what: str, tmp_path: Path
) -> None:
    done = run(*NEEDLE, "-d", str(tmp_path / "runs.db"), *options)
    assert done.exit_code == code
    assert what in done.stderr
    assert not (tmp_path / "runs.db").exists()


def test_a_report_without_its_libraries_is_refused_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = run(*NEEDLE, "-d", str(tmp_path / "runs.db"), "--report", str(tmp_path / "page.html"))
    assert done.exit_code == 1
    assert "a report needs jinja2" in done.stderr
    assert not (tmp_path / "runs.db").exists()
