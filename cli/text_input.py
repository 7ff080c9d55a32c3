"""Where a command's text comes from: its arguments, files, or stdin. Text may be any bytes."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from cli.progress import say
from tokenizer.errors import UsageError, UserError
from tokenizer.sources import is_open_pipe

Result = TypeVar("Result")


class Source(NamedTuple):
    """A text and the name under which it is spoken of: a file's name, "stdin" or "text"."""

    name: str
    data: bytes


def text_input(command: Callable[..., Result]) -> Callable[..., Result]:
    """Add `TEXT...` and `-i FILE` to a command, which gets what was read as one keyword `sources: list[Source]`."""

    @functools.wraps(command)
    def run(*, text: tuple[str, ...], files: tuple[str, ...], **rest: Any) -> Result:
        return command(sources=read_sources(text, files), **rest)

    return text_options(run)


def text_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Add `TEXT...` and `-i FILE` to a command, which gets them unread, as `text` and `files`."""
    decorated = click.option(
        "-i",
        "--input",
        "files",
        multiple=True,
        metavar="FILE",
        help="Read the text from FILE, - for stdin; may be repeated. A pattern in quotes means all files that fit it, "
        "e.g. -i '*.md' or -i 'docs/**/*.md'.",
    )(command)
    return click.argument("text", nargs=-1)(decorated)


def read_sources(text: Sequence[str], files: Sequence[str]) -> list[Source]:
    """Read what the user named. Words are joined by single spaces, as a shell's `echo` joins them.

    With nothing named stdin is read.

    Raises:
        UsageError: words and files were given together, or nothing was, and stdin is a terminal.
        UserError: a file cannot be read, or none fits a pattern.
    """
    if text and files:
        hint = "give one of the two, or write the text to a file"
        if any(map(_is_file, text)):
            hint = "each file needs an -i of its own; or give a pattern in quotes, as in -i '*.txt'"
        raise UsageError("a text and a file (-i) were given together", hint=hint)
    if text:
        for word in filter(_is_file, text):
            say(f"{word} is taken as text, though a file has that name; for what is in the file: -i {word}")
        return [Source("text", " ".join(text).encode("utf-8", "surrogateescape"))]
    if files:
        named = [name for each in files for name in _named_files(each)]
        return [Source(name, _read_stdin() if name == "-" else read_file(Path(name))) for name in named]
    return [Source("stdin", _read_stdin())]


def _named_files(name: str) -> list[str]:
    """The files that a name means: itself, or, where there is none of that name, those that fit it as a pattern."""
    if not any(sign in name for sign in "*?[") or os.path.lexists(name):
        return [name]
    import glob  # late: it is slow to import, and a plain name needs none of it

    found = sorted(each for each in glob.glob(name, recursive=True) if _is_file(each))  # noqa: PTH207 - absolute ones, too
    if not found:
        raise UserError(f"no file fits {name}", hint="put the pattern in quotes; ** stands for any directories")
    return found


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long, or no name at all
        return False


def stop_if_nobody_types() -> None:
    """Refuse when stdin, about to be read, is a terminal: never wait in silence.

    Raises:
        UsageError: nothing was given, and nobody pipes anything in.
    """
    if sys.stdin.isatty():
        context = click.get_current_context()
        raise UsageError(
            f"{context.command_path} was given nothing to read",
            hint=f"name a file, or pipe something in; {context.command_path} --help shows how",
        )


def read_file(path: Path) -> bytes:
    """The bytes of a file, or of a pipe; what stands in the way is told as a `UserError`."""
    try:
        if path.is_char_device() and not is_open_pipe(str(path)):  # such as /dev/zero, which has no end
            raise UserError(f"{path} is a device, not a file", hint="name a file, or - for stdin")
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"there is no file {path}", hint="check the name; without -i, words are taken as the text itself"
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory", hint=f"name the files in it, such as -i '{path}/*'") from None
    except OSError as err:
        raise UserError(f"cannot read {path}: {err.strerror or err}", hint="check that you may read it") from err


def _read_stdin() -> bytes:
    stop_if_nobody_types()
    return sys.stdin.buffer.read()
