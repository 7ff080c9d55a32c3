"""How results leave the tool: a table for people, tab-separated rows for a pipe, JSON, JSON Lines or CSV for programs.

Results go to stdout or to a file, everything else to stderr. Machine forms hold the same keys in the same order:
snake_case with the unit in the name, rates from 0 to 1, null for what is unknown. Texts are exact in each of them: JSON
spells control characters as escapes, and CSV, which has none, holds them as they are. Sentences about the rows are no
data: they stand under the table on a terminal, and go to stderr elsewhere.
"""

import functools
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TextIO, TypeVar

import click

from cli.line_breaks import with_whole_tokens
from cli.machine_forms import cell_text, machine_text, plain_value
from cli.options import FILE_TO_WRITE, check_directory
from cli.progress import say
from cli.visible import visible as visible  # noqa: PLC0414 - part of this module's face
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

Format = Literal["json", "jsonl", "csv"]
# Draws for people: the lines of a picture, from the terminal's width and whether it can show block characters.
Picture = Callable[[int, bool], Sequence[str]]
FORMATS: tuple[Format, ...] = ("json", "jsonl", "csv")
LONGEST_WORD = 16  # a longer one is broken where the terminal is narrow; a number never is
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Column:
    """One column: `key` names it for programs, `title` for people.

    For people only, `show` words a value and `absent` stands for none; `show` never gets None.
    """

    key: str
    title: str
    align: Literal["left", "right"] = "left"
    show: Callable[[Any], str] | None = None
    absent: str = "-"


@dataclass(frozen=True)
class Table:
    """Rows to be shown. Of each row the columns' keys are used, and an absent key is unknown.

    `command` is the command's name ("tok count"), `notes` are sentences for people under the table. `name` tells
    several tables of one command apart in the machine forms; without it the title does, in snake_case. `picture` is
    drawn on a terminal under the rows, or with `picture_only` in place of them.
    """

    command: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    notes: Sequence[str] = ()
    name: str | None = None
    picture: Picture | None = None
    picture_only: bool = False

    @property
    def key(self) -> str:
        """The name in the machine forms: "Given when asked" -> "given_when_asked"."""
        return self.name or re.sub(r"\W+", "_", (self.title or self.command).lower()).strip("_")


@dataclass(frozen=True)
class OutputOptions:
    """What the user asked for: a machine form or None for people, and a file or None for stdout."""

    format: Format | None = None
    path: Path | None = None


def format_options(
    command: Callable[Parameters, Result],
) -> Callable[..., Result]:
    """Add `--json`, `--jsonl` and `--csv` to a command, which gets them as one keyword `output: OutputOptions`."""
    return _with_options(command, with_path=False)


def output_options(
    command: Callable[Parameters, Result],
) -> Callable[..., Result]:
    """Add `--json`, `--jsonl`, `--csv` and `-o FILE`; the command gets one keyword `output: OutputOptions`."""
    return _with_options(command, with_path=True)


def _with_options(command: Callable[..., Result], *, with_path: bool) -> Callable[..., Result]:
    @functools.wraps(command)
    def run(*, as_json: bool, as_jsonl: bool, as_csv: bool, output_path: Path | None = None, **rest: Any) -> Result:
        asked = [name for name, given in zip(FORMATS, (as_json, as_jsonl, as_csv), strict=True) if given]
        return command(output=_chosen(asked, output_path), **rest)

    options = [
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--jsonl", "as_jsonl", is_flag=True, help="Print one JSON object a line."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header."),
    ]
    if with_path:
        options.append(
            click.option(
                "-o",
                "--output",
                "output_path",
                type=FILE_TO_WRITE,
                metavar="FILE",
                help="Write to FILE instead; .json, .jsonl or .csv says in which form.",
            )
        )
    decorated: Callable[..., Result] = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _chosen(asked: Sequence[Format], path: Path | None) -> OutputOptions:
    if len(asked) > 1:
        raise UsageError(
            f"--{asked[0]} and --{asked[1]} cannot both be had", hint="give one of --json, --jsonl and --csv"
        )
    if path is not None:
        check_directory(path)
    if asked or path is None:
        return OutputOptions(asked[0] if asked else None, path)
    for form in FORMATS:
        if path.suffix.lower() == f".{form}":
            return OutputOptions(form, path)
    pages = ""
    if path.suffix.lower() in (".html", ".htm"):
        pages = "; `needlepoint runs report` writes pages about runs, `needlepoint tok report` about texts"
    raise UsageError(
        f"the name {path} does not say in which form to write",
        hint=f"let it end in .json, .jsonl or .csv, or add --json, --jsonl or --csv{pages}",
    )


def emit(tables: Table | Sequence[Table], output: OutputOptions, *, human: Callable[[], None] | None = None) -> None:
    """Print or write what a command found, in the form that was asked for.

    Several tables of one command stay one output: in the machine forms each row then begins with the key `table`.
    `human`, when given, is called in place of printing tables when no machine form is asked for.
    """
    tables = [tables] if isinstance(tables, Table) else list(tables)
    if output.format is None:
        (human or functools.partial(print_tables, tables))()
        return
    parts = machine_text(tables, output.format)
    if output.path is None:
        for part in parts:
            shown = visible(part.decode()).encode() if on_terminal() else part
            click.echo(shown, nl=False)  # UTF-8 whatever stdout's encoding is
    else:
        write_atomically(output.path, b"".join(parts))
    for table in tables:
        for note in table.notes:
            say(note)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, and say so on stderr.

    A link is followed, and what is no regular file (a device, a pipe) is written to as it is.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    existed = path.exists()
    try:
        if existed and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        _replace(path, data, mode=path.stat().st_mode if existed else 0o666 & ~_umask())
    except OSError as err:
        raise UserError(
            f"cannot write {path}: {err.strerror or err}", hint="check that its directory is there, yours and not full"
        ) from err
    say(f"{'replaced' if existed else 'wrote'} {path}")


def _replace(path: Path, data: bytes, mode: int) -> None:
    import tempfile  # late: it is slow to import

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person reads this stream (stdout unless another is given)."""
    return (stream or sys.stdout).isatty()


def new_console(*, highlight: bool = True) -> "Console":
    """Rich on stdout, as wide as the terminal is.

    Rich alone takes one without codes (`TERM=dumb`) for 80 columns wide, and one of `COLUMNS=0` for nothing wide.
    """
    from rich.console import Console, ConsoleDimensions

    console = Console(highlight=highlight)
    if console.is_dumb_terminal or console.width < 1:
        console.size = ConsoleDimensions(*shutil.get_terminal_size())
    return console


def print_exactly(text: str | bytes) -> None:
    """Write to stdout at once; on a terminal `click.echo` could take away its codes. Bytes are UTF-8."""
    if isinstance(text, bytes):
        is_utf8 = str(sys.stdout.encoding).lower() == "utf-8"  # then they need not be decoded and encoded again
        if is_utf8 or not on_terminal():
            click.echo(text if is_utf8 else text.decode(), nl=False)
            return
        text = text.decode()
    sys.stdout.write(text)
    sys.stdout.flush()


def print_sentence(text: str) -> None:
    """Print a line for people; on a terminal it is broken between words."""
    if not on_terminal():
        click.echo(visible(text))
        return
    from rich.text import Text

    console = new_console()
    console.print(Text(with_whole_tokens(visible(text), console.width)))


def print_tables(tables: Sequence[Table]) -> None:
    """Print for people: Rich tables on a terminal; in a pipe tab-separated rows, uncut, under a header."""
    if on_terminal():
        _draw(tables)
        return
    for number, table in enumerate(tables):
        lines = [""] if number else []
        if len(tables) > 1:
            lines.append(f"# {table.title or table.key}")
        lines.append("\t".join(column.key for column in table.columns))
        lines += ["\t".join(escaped(cell_text(row.get(column.key))) for column in table.columns) for row in table.rows]
        print_exactly("".join(f"{line}\n" for line in lines))
        for note in table.notes:
            say(note)


def _draw(tables: Sequence[Table]) -> None:
    from rich.text import Text

    console = new_console()
    for number, table in enumerate(tables):
        if number:
            console.print()
        if table.columns and (table.picture is None or not table.picture_only):
            console.print(drawn(table, console))
        elif table.title:
            console.print(Text(visible(table.title), style="bold"))
        if table.picture is not None and (lines := table.picture(console.width, _has_blocks(console.encoding))):
            console.print(Text(visible("\n".join(lines)), no_wrap=True, overflow="ignore"), crop=False)
        if table.notes:
            console.print()
        for note in table.notes:
            console.print(Text(visible(note)))


def _has_blocks(encoding: str) -> bool:
    """Whether block and line characters can be written in this encoding."""
    try:
        "░█│┤└".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def drawn(table: Table, console: "Console") -> "RichTable | Text":
    """One table as Rich draws it, without its notes; a line for each value where the console is too narrow for it."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(visible(table.title), style="bold") if table.title else Text()
    shown = RichTable(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    shown.padding = (0, 1, 0, 0)
    rows = [[visible(_worded(row.get(column.key), column)) for column in table.columns] for row in table.rows]
    least, natural = [], []
    for number, column in enumerate(table.columns):
        cells = [row[number] for row in rows]
        words = cells if column.align == "right" else [word[:LONGEST_WORD] for cell in cells for word in cell.split()]
        least.append(max(map(cell_len, [*column.title.split(), *words]), default=0))
        natural.append(max(map(cell_len, [column.title, *(line for cell in cells for line in cell.split("\n"))])))
    least_width = sum(least) + len("  ") * len(least)
    # Rich by itself takes room from columns that have none to give, and cuts off what then stands too far right.
    spare = console.width + len("  ") - least_width
    widths = list(least)
    for number in sorted(range(len(widths)), key=lambda number: table.columns[number].align == "left"):
        widths[number] = min(natural[number], least[number] + max(spare, 0))
        spare -= widths[number] - least[number]
    for column, width in zip(table.columns, widths, strict=True):
        shown.add_column(Text(column.title), justify=column.align, overflow="fold", width=width)
    for row in rows:
        shown.add_row(*map(Text, map(with_whole_tokens, row, widths)))
    if least_width <= console.width + len("  "):
        return shown
    stacked = [title.plain] if title else []
    for row in rows:
        stacked.append("")
        for column, cell in zip(table.columns, row, strict=True):
            stacked.append(f"{column.title}: {cell}" if column.title else cell)
    return Text(with_whole_tokens("\n".join(stacked), console.width))


def _worded(value: Any, column: Column) -> str:
    """A value for people: 0.12345 -> "0.123", 1234 -> "1,234", unless the column words it itself."""
    plain = plain_value(value)
    if plain is None:
        return column.absent
    if column.show is not None:
        return column.show(value)
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, int | float):
        return f"{plain:,}" if isinstance(plain, int) else f"{plain:,.3f}"
    return cell_text(plain)


_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))} | {
    ord("\\"): "\\\\",
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
}


def escaped(text: str) -> str:
    r"""One cell between tabs: backslash, tab, line end and control characters as escapes, all else as it is.

    Example: "a<TAB>b" -> "a\\tb", that is a backslash and the letter t.
    """
    return text.translate(_ESCAPES)
