"""The forms in which results leave: the same keys and order in each, nothing cut, nothing hostile."""

import csv
import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
import termios
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli import machine_forms
from cli.machine_forms import RowsByColumn, machine_text
from cli.main import needlepoint
from cli.output import (
    Column,
    Table,
    emit,
    escaped,
    format_options,
    output_options,
    visible,
    write_atomically,
)
from cli.progress import progress_bar, size
from cli.tables import emit_both
from tokenizer.errors import UsageError, UserError

ROOT = Path(__file__).resolve().parents[2]
LONG = "a-name-longer-than-any-terminal-" * 8

COLUMNS = (
    Column("model", "Model"),
    Column("hits", "Hits", "right"),
    Column("hit_rate", "Rate", "right", lambda rate: "?" if rate is None else f"{rate:.0%}"),
    Column("latency_s", "Latency", "right"),
)
ROWS = (
    {"model": LONG, "hits": 3, "hit_rate": 0.75, "latency_s": 1.5, "not_a_column": "x"},
    {"model": "tab\tand\nline \\ \x1b[31mred", "hits": 0, "hit_rate": None, "latency_s": float("nan")},
    {"model": "[bold]markup[/bold]", "hits": np.int64(7), "hit_rate": np.float64(1.0)},
)
TABLE = Table("runs show", COLUMNS, ROWS, meta={"seed": 1}, title="Models", notes=["No clear difference."])
KEYS = ["model", "hits", "hit_rate", "latency_s"]
VALUES = [[LONG, 3, 0.75, 1.5], [ROWS[1]["model"], 0, None, None], ["[bold]markup[/bold]", 7, 1.0, None]]


def run(*arguments: str, tables=TABLE):
    @click.command()
    @output_options
    def command(output):
        emit(tables, output)

    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def test_json_is_one_document_with_schema_meta_and_rows():
    result = run("--json")
    document = json.loads(result.stdout)
    assert list(document) == ["schema", "meta", "rows"]
    assert document["schema"] == "needlepoint.runs.show/1"
    assert document["meta"] == {"seed": 1}
    assert [list(row) for row in document["rows"]] == [KEYS] * 3
    assert [list(row.values()) for row in document["rows"]] == VALUES
    assert result.stderr == "No clear difference.\n"


def test_json_lines_and_csv_hold_the_same_rows():
    lines = [json.loads(line) for line in run("--jsonl").stdout.splitlines()]
    assert lines == json.loads(run("--json").stdout)["rows"]
    header, *rows = csv.reader(io.StringIO(run("--csv").stdout))
    assert header == KEYS
    assert rows == [["" if value is None else str(value) for value in row] for row in VALUES]


def test_a_pipe_gets_uncut_rows_between_tabs():
    result = run()
    header, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert header == KEYS
    assert rows[0] == [LONG, "3", "0.75", "1.5"]
    assert rows[1] == ["tab\\tand\\nline \\\\ \\x1b[31mred", "0", "", ""]
    assert rows[2][0] == "[bold]markup[/bold]"
    assert result.stderr == "No clear difference.\n"


def test_several_tables_are_told_apart_by_the_key_table():
    other = Table("runs show", [Column("depth", "Depth")], [{"depth": 0.5}], meta={"blocks": 2}, name="by_depth")
    document = json.loads(run("--json", tables=[TABLE, other]).stdout)
    assert document["meta"] == {"seed": 1, "blocks": 2}
    assert [list(row) for row in document["rows"]] == [["table", *KEYS]] * 3 + [["table", "depth"]]
    assert [row["table"] for row in document["rows"]] == ["models"] * 3 + ["by_depth"]
    header, *rows = csv.reader(io.StringIO(run("--csv", tables=[TABLE, other]).stdout))
    assert header == ["table", *KEYS, "depth"]
    assert rows[-1] == ["by_depth", "", "", "", "", "0.5"]


def test_no_rows_are_still_a_document():
    empty = Table("runs list", COLUMNS, [])
    assert json.loads(run("--json", tables=empty).stdout)["rows"] == []
    assert run("--csv", tables=empty).stdout == ",".join(KEYS) + "\n"
    assert run("--jsonl", tables=empty).stdout == ""


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_the_suffix_of_a_file_chooses_the_form(tmp_path, form):
    path = tmp_path / f"result.{form}"
    result = run("-o", str(path))
    assert result.stdout == ""
    assert f"wrote {path}" in result.stderr
    assert path.read_text(encoding="utf-8") == run(f"--{form}").stdout
    assert f"replaced {path}" in run("-o", str(path)).stderr
    assert list(tmp_path.iterdir()) == [path]


def test_a_flag_chooses_the_form_where_the_suffix_does_not(tmp_path):
    path = tmp_path / "result.txt"
    with pytest.raises(UsageError, match=r"result\.txt"):
        run("-o", str(path))
    run("-o", str(path), "--jsonl")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_two_forms_at_once_are_refused():
    with pytest.raises(UsageError, match="--json and --csv"):
        run("--csv", "--json")


def test_a_command_without_tables_to_write_has_no_output_file():
    @click.command()
    @format_options
    def command(output):
        emit(TABLE, output)

    assert CliRunner().invoke(command, ["-o", "x.json"]).exit_code == 2
    assert json.loads(CliRunner().invoke(command, ["--json"]).stdout)["rows"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "kept.txt"
    path.write_bytes(b"old")
    path.chmod(0o640)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(UserError, match="No space left"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="no directory"):
        run("-o", str(tmp_path / "nowhere" / "x.json"))


def on_a_terminal(code: str, columns: int = 60, **environment: str) -> str:
    """Run Python code whose stdout is a terminal of this width; what it printed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    settings = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=settings | environment,
    )
    os.close(theirs)
    printed = b""
    while chunk := _read(ours):
        printed += chunk
    os.close(ours)
    assert child.wait() == 0
    return printed.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how a terminal says that nobody is on its other side
        return b""


def test_a_terminal_gets_a_table_with_everything_in_it_and_nothing_hostile():
    code = (
        "from cli.output import *\n"
        "rows = [{'name': '\\x1b[2J[bold]x', 'n': 1234}, {'name': 'y' * 90, 'n': None, 'rate': 0.5}]\n"
        "columns = [Column('name', 'Name'), Column('n', 'Count', 'right')]\n"
        "columns += [Column('rate', 'Rate', show='{:.0%}'.format)]\n"
        "emit(Table('t', columns, rows, title='All of it', notes=['Read me.']), OutputOptions())\n"
    )
    printed = on_a_terminal(code, NO_COLOR="1")
    assert "All of it" in printed
    assert "Name" in printed
    assert "␛[2J[bold]x" in printed
    assert "1,234" in printed
    assert re.search(r" - +50% ", printed)  # an absent value is a dash, and no column words it
    assert printed.count("y") == 90  # folded, not cut
    assert "Read me." in printed
    assert "\x1b[2J" not in printed
    assert {len(re.sub(r"\x1b\[\d*m", "", line)) for line in printed.splitlines()} <= {0, len("Read me."), 60}


def test_visible_shows_controls_and_leaves_text_alone():
    assert visible("\x1b[31mred\x07\r\x9b") == "␛[31mred␇␍\\x9b"
    assert visible("safe\u202eexe.txt") == "safe\\u202eexe.txt"
    assert visible("a\u200bb\ufeff\U000e0041") == "a\\u200bb\\ufeff\\U000e0041"
    assert visible("half \ud83d") == "half \\ud83d"
    assert visible("Zürich 東京 مرحبا 👨\u200d👩 \t\n") == "Zürich 東京 مرحبا 👨\u200d👩 \t\n"


@given(st.text())
def test_visible_leaves_no_control_and_no_override(text: str):
    for character in visible(text):
        assert unicodedata.category(character) not in {"Cc", "Cs"} or character in "\t\n"
        assert unicodedata.bidirectional(character) not in {
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_cell_can_be_read_back(text: str):
    cell = escaped(text)
    assert not set(cell) & {"\t", "\n", "\r", "\x1b"}
    undone = io.StringIO()
    rest = cell
    while rest:
        if rest[0] != "\\":
            undone.write(rest[0])
            rest = rest[1:]
        elif rest[1] == "x":
            undone.write(chr(int(rest[2:4], 16)))
            rest = rest[4:]
        else:
            undone.write({"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[rest[1]])
            rest = rest[2:]
    assert undone.getvalue() == text


def test_progress_without_a_terminal_is_a_line_for_every_tenth(capsys):
    with progress_bar("fetching", 2_000_000, "bytes") as advance:
        for done in range(0, 2_000_001, 50_000):
            advance(done, "of \x1b[2Jit")
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert [re.match(r"fetching: (\d+) %, ", line)[1] for line in lines] == [str(10 * n) for n in range(1, 11)]
    assert lines[4].startswith("fetching: 50 %, 1.0 MB of 2.0 MB, ")
    assert all(line.endswith(", of ␛[2Jit") for line in lines)
    assert " s left" in lines[4]
    assert " left" not in lines[9]


def test_progress_that_jumps_or_has_nothing_to_do_is_told_once(capsys):
    with progress_bar("training", 8, "merges") as advance:
        advance(7)
        advance(7)
        advance(8)
    with progress_bar("nothing", 0, "merges") as advance:
        advance(0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["training: 80 %", "training: 100 %", "nothing: 100 %"]


def test_on_a_terminal_the_bar_shows_and_vanishes_and_lines_stay():
    code = (
        "import sys, os; sys.stderr = os.fdopen(os.dup(1), 'w')\n"
        "from cli import progress\n"
        "progress.SECONDS_BETWEEN_DRAWINGS = 0\n"
        "with progress.progress_bar('training', 10, 'merges') as advance:\n"
        "    for done in range(11): advance(done, f'newest: <{done}>')\n"
        "    progress.say('a line [in] between')\n"
    )
    printed = on_a_terminal(code, columns=100)
    assert "10 of 10 merges" in printed
    assert "newest: <10>" in printed
    assert "a line [in] between" in printed
    kept = printed[printed.rindex("\x1b[2K") :]  # after the last wiping of a line
    assert "merges" not in kept


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (98_362_432, "98.4 MB"),
        (999_999, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
    ],
)
def test_sizes_read_well(count, words):
    assert size(count) == words


def test_a_carriage_return_in_a_cell_stays_one_row_of_csv():
    table = Table("t", [Column("text", "Text"), Column("n", "N")], [{"text": "a\rb", "n": 1}, {"text": "c\nd", "n": 2}])
    read = list(csv.DictReader(io.StringIO(b"".join(machine_text([table], "csv")).decode(), newline="")))
    assert [row["text"] for row in read] == ["a\rb", "c\nd"]


def test_links_are_followed_and_pipes_are_written_to(tmp_path):
    target, link, pipe = tmp_path / "target.json", tmp_path / "link.json", tmp_path / "pipe.json"
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    write_atomically(pipe, b"through")
    assert reader.communicate(timeout=20)[0] == b"through"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_json_is_utf8_whatever_the_terminal_speaks():
    code = "from cli.output import *; emit(Table('t', [Column('a', 'A')], [{'a': 'é'}]), OutputOptions('json'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert json.loads(done.stdout.decode("utf-8"))["rows"] == [{"a": "é"}]


@pytest.mark.parametrize(
    "command",
    [
        ["runs", "list", "--json", "-o"],
        ["tok", "decode", "1", "-o"],
        ["tok", "train", "corpus.txt", "-o"],
        ["runs", "list", "-d"],
    ],
)
def test_a_name_with_a_slash_at_its_end_is_no_file(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("some words", encoding="utf-8")
    (tmp_path / "there").mkdir()
    for name in ("new/", "there/", str(tmp_path / "new") + "/"):
        result = CliRunner().invoke(needlepoint, [*command, name])
        assert result.exit_code == 2
        assert f"'{name}' is a directory, and a file is needed" in result.stderr
    assert "'there' is a directory" in CliRunner().invoke(needlepoint, [*command, "there"]).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt", "there"]


def test_sentences_under_peoples_tables_go_to_stderr_elsewhere_each_once_under_its_title(tmp_path):
    machine = Table("probe x", [Column("hits", "Hits")], [{"hits": 3}], title="By position", notes=["Said anyway."])
    people = [
        Table("probe x", [Column("hits", "Hits")], [{"hits": 3}], title="Found: one", notes=["No clear difference."]),
        Table("probe x", [Column("hits", "Hits")], [{"hits": 3}], title="Found: two", notes=["Said anyway."]),
        Table("probe x", [Column("hits", "Hits")], [{"hits": 3}], title="Found: three"),
    ]

    @click.command()
    @output_options
    def command(output):
        emit_both([machine], people, output)

    for arguments in ([], ["--json"], ["--csv"], ["-o", str(tmp_path / "x.jsonl")]):
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        told = [line for line in result.stderr.splitlines() if not line.startswith("wrote")]
        told = [line for line in told if not line.startswith("replaced")]
        assert told == ["Said anyway.", "# Found: one", "No clear difference."]
        assert "difference" not in result.stdout


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(Path("a/b")) | st.just(np.int64(7)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.tuples(nested, nested), max_size=5), st.text(max_size=4))
def test_rows_made_column_by_column_are_those_made_one_by_one(rows: list[tuple[Any, Any]], key: str) -> None:
    given_rows = [{"first": first, f"%{key}": other} for first, other in rows]
    table = Table("some", [Column("first", "First"), Column(f"%{key}", "Other")], given_rows)
    lines = b"".join(machine_text([table], "jsonl")).decode().split("\n")[:-1]
    alone = [
        b"".join(machine_text([replace(table, rows=[row])], "jsonl")).decode().removesuffix("\n") for row in given_rows
    ]
    assert lines == alone
    assert [list(json.loads(line)) for line in lines] == [["first", f"%{key}"]] * len(rows)


@given(st.lists(st.lists(st.text() | st.none() | st.integers(), min_size=2, max_size=2), max_size=5), st.booleans())
def test_any_cells_are_read_back_from_csv(cells: list[list[Any]], alone: bool) -> None:
    keys = ["first"] if alone else ["first", "se,cond"]
    rows = [dict(zip(keys, row, strict=False)) for row in cells]
    text = b"".join(machine_text([Table("some", [Column(key, key) for key in keys], rows)], "csv")).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [keys, *(["" if row[key] is None else str(row[key]) for key in keys] for row in rows)]


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_very_many_rows_are_spelt_some_at_a_time_and_may_be_held_by_column(form, monkeypatch):
    columns = [Column(key, key) for key in ("n", "text", "absent")]
    rows = [{"n": n, "text": 'ab\r\n"c'[: n % 7] or None} for n in range(7)]
    by_column = RowsByColumn({key: [row[key] for row in rows] for key in ("n", "text")})
    assert list(by_column) == rows
    assert list(by_column[2:5]) == rows[2:5]
    other = Table("some", [Column("other", "Other")], [{"other": 1.5, "n": "not asked for"}])
    whole = b"".join(machine_text([Table("some", columns, rows), other], form)).decode()
    monkeypatch.setattr(machine_forms, "AT_ONCE", 3)
    for held in (rows, by_column):
        assert b"".join(machine_text([Table("some", columns, held), other], form)).decode() == whole
    expected = [{"table": "some", **row, "absent": None} for row in rows] + [{"table": "some", "other": 1.5}]
    if form == "json":
        assert json.loads(whole)["rows"] == expected
    elif form == "jsonl":
        assert [json.loads(line) for line in whole.splitlines()] == expected
    else:
        keys = ("table", "n", "text", "absent", "other")
        read = list(csv.reader(io.StringIO(whole, newline="")))
        assert read[0] == list(keys)
        assert read[1:] == [["" if row.get(key) is None else str(row[key]) for key in keys] for row in expected]
