"""The house of the commands: quick help, two-line errors, exit codes, quiet endings."""

import errno
import os
import re
import resource
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import tokenizer
from cli.main import SUBCOMMANDS, Lazy, main, needlepoint
from tokenizer.errors import UsageError, UserError

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("anthropic", "openai", "numpy", "scipy", "numba", "rich", "pydantic", "regex", "tiktoken", "tokenizers")


def python(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=settings, capture_output=True, text=True, check=False
    )


@pytest.fixture
def run_raising(monkeypatch):
    """Run a subcommand that raises the given exception."""

    def run(error: BaseException, *options: str) -> Result:
        @click.command()
        def boom() -> None:
            raise error

        module = types.ModuleType("boom_commands")
        module.boom = boom
        monkeypatch.setitem(sys.modules, "boom_commands", module)
        monkeypatch.setitem(SUBCOMMANDS, "boom", Lazy("boom_commands", "boom", "Fail."))
        return CliRunner().invoke(needlepoint, [*options, "boom"], prog_name="needlepoint")

    return run


def test_help_names_every_subcommand_and_imports_none():
    code = (
        "import sys; from cli.main import needlepoint\n"
        "try: needlepoint(['--help'])\n"
        "except SystemExit: print([m for m in sys.modules if m.startswith('cli.')], file=sys.stderr)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = python("-c", code)
    for name, entry in SUBCOMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.summary)}$", done.stdout, re.MULTILINE)
    ours, heavy = done.stderr.splitlines()
    assert ours == "['cli.visible', 'cli.main']"
    assert heavy == "[]"


def test_help_costs_little_more_than_starting_python():
    def cpu_seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert python(*arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    python("-m", "cli", "--help")  # compiles what is not compiled yet
    bare = min(cpu_seconds("-c", "pass") for _ in range(5))
    helped = min(cpu_seconds("-m", "cli", "--help") for _ in range(5))
    assert helped - bare < 0.15


def test_short_and_long_help_are_the_same():
    outputs = {CliRunner().invoke(needlepoint, [option]).stdout for option in ("-h", "--help")}
    assert len(outputs) == 1
    assert "needlepoint quickstart" in outputs.pop()


def test_without_a_subcommand_the_help_goes_to_stderr_and_the_exit_code_is_2():
    result = CliRunner().invoke(needlepoint, [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_version_is_one_line():
    result = CliRunner().invoke(needlepoint, ["--version"])
    assert result.exit_code == 0
    assert re.fullmatch(r"needlepoint (\d+\.\d+\.\d+\S*|unknown)\n", result.stdout)


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (UserError("it rains", hint="stay in"), 1, ["error: it rains", "hint: stay in"]),
        (UsageError("no such way", hint="turn"), 2, ["error: no such way", "hint: turn"]),
        (click.UsageError("not so"), 2, ["error: not so", "hint: `needlepoint boom --help` shows how it is put"]),
        (click.ClickException("odd"), 1, ["error: odd", "hint: see the command's --help"]),
        (
            PermissionError(errno.EACCES, "Permission denied", "notes.txt"),
            1,
            ["error: notes.txt: Permission denied", "hint: check that the path is right and that you may use it"],
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            ["error: cannot write the output: No space left on device", "hint: make room for it"],
        ),
        (
            ZeroDivisionError("by zero"),
            1,
            [
                "error: needlepoint failed inside: ZeroDivisionError: by zero",
                "hint: run it again as `needlepoint -v ...` for the traceback",
            ],
        ),
        (
            KeyboardInterrupt(),
            130,
            ["error: interrupted", "hint: run the same command again; answers that models gave are kept"],
        ),
        (UserError("\x1b[2Jgone", hint="\u202ehint"), 1, ["error: ␛[2Jgone", "hint: \\u202ehint"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failure_is_told_in_two_lines_on_stderr(run_raising, error, code, lines):
    result = run_raising(error)
    assert result.stderr.splitlines() == lines
    assert (result.exit_code, result.stdout) == (code, "")


@pytest.mark.parametrize("error", [UserError("it rains", hint="stay in"), ZeroDivisionError("by zero")])
def test_verbose_adds_the_traceback(run_raising, error):
    lines = run_raising(error, "-v").stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert any("in boom" in line for line in lines)
    assert lines[-2].startswith("error: ")
    assert lines[-1].startswith("hint: ")


def test_a_failure_with_its_own_exit_code_keeps_it(run_raising):
    class Interrupted(UserError):
        exit_code = 130

    assert run_raising(Interrupted("stopped", hint="run it again")).exit_code == 130


def test_a_reader_that_went_away_is_no_failure(run_raising):
    result = run_raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--nonsense"], "--nonsense"),
        (["modles"], "Did you mean 'models'?"),
        (["tok", "shwo"], "Did you mean 'show'?"),
        (["tok", "count", "--tokeniser", "x"], "Did you mean '--tokenizer'?"),
    ],
)
def test_a_slip_in_the_command_is_named_with_the_nearest_word(arguments, what):
    result = CliRunner().invoke(needlepoint, arguments, prog_name="needlepoint")
    assert result.exit_code == 2
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert what in error
    assert re.fullmatch(r"hint: `needlepoint( tok)?( count)? --help` shows how it is put", hint)


def test_a_real_interrupt_ends_with_130_and_a_closed_pipe_quietly():
    code = (
        "import os, signal, sys, types, click\n"
        "from cli.main import SUBCOMMANDS, Lazy, main\n"
        "@click.command()\n"
        "def boom():\n"
        "    for number in range(100_000): click.echo(number)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.modules['boom'] = types.SimpleNamespace(boom=boom)\n"
        "SUBCOMMANDS['boom'] = Lazy('boom', 'boom', 'Fail.')\n"
        "sys.argv[1:] = ['boom']\n"
        "main()\n"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (
        130,
        "error: interrupted\nhint: run the same command again; answers that models gave are kept\n",
    )
    shell = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1" | head -1', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shell.stdout, shell.stderr) == ("0\n", "")


@pytest.mark.parametrize(
    ("command", "code", "printed"),
    [
        ("tok count -t small <&-", 0, "0\n"),
        ("tok train - -o none.json <&-", 1, ""),
        ("tok show -t small hello >&-", 0, ""),
        ("tok count -t small hello 2>&-", 0, "2\n"),
        ("tok count -t none hello <&- >&- 2>&-", 1, ""),
    ],
)
def test_streams_may_be_closed(command, code, printed):
    shell = ["/bin/sh", "-c", f'"$0" -m cli {command}', sys.executable]
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, printed), done.stderr
    assert "inside" not in done.stderr


@pytest.mark.parametrize("name", ["tokenizer", "probes"])
def test_a_foreign_package_of_the_same_name_is_told(tmp_path, name):
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    done = python("-c", "from cli.main import main; main()", cwd=tmp_path)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: the package `{name}` ")
    assert str(package) in error
    assert hint.startswith("hint: ")


def test_a_package_of_ours_that_was_overwritten_is_told(monkeypatch, capsys):
    monkeypatch.setattr(tokenizer, "__all__", ["somebody_elses"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: the package `tokenizer` ")


def every_command() -> Iterator[tuple[str, click.Command]]:
    def walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(f"{path} {name}", found)

    yield from walk("needlepoint", needlepoint)


def test_every_help_opens_with_one_sentence_and_real_examples_and_explains_every_option():
    commands = dict(every_command())
    assert {"needlepoint tok train", "needlepoint models fetch"} <= set(commands)
    for path, command in commands.items():
        paragraphs = (command.help or "").split("\n\n")
        sentence = " ".join(paragraphs[0].split())
        assert re.fullmatch(r"[A-Z][^.?!]*(?:\.\w[^.?!]*)*\.", sentence), (path, sentence)
        examples = [
            line for line in (command.help or "").splitlines() if re.match(r" *(needlepoint|.* \| *needlepoint) ", line)
        ]
        assert 2 <= len(examples) <= 4, path
        assert all(option.help for option in command.params if isinstance(option, click.Option)), path
        result = CliRunner().invoke(needlepoint, [*path.split()[1:], "-h"], prog_name="needlepoint")
        assert result.exit_code == 0, path
        assert result.stdout.startswith(f"Usage: {path}")
        assert max(map(len, result.stdout.splitlines())) <= 100, path
