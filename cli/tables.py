"""What the tables of the probes look like: every figure for programs, a few readable columns for people."""

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

from cli.output import Column, OutputOptions, Table, emit, on_terminal, print_tables
from cli.progress import say

Row = Mapping[str, Any]


def percent(rate: float | None) -> str:
    """A rate for people: 0.275 -> "28%", None -> "?"."""
    return "?" if rate is None else f"{100 * rate:.0f}%"


def counted(row: Row, prefix: str) -> str:
    """A rate with its counts and interval: "9/33  27% [15-44]"; "-" where nothing was counted."""
    if not row[f"{prefix}_n"]:
        return "-"
    low, high = (round(100 * row[f"{prefix}_{end}"]) for end in ("low", "high"))
    return f"{row[f'{prefix}_given']}/{row[f'{prefix}_n']}  {percent(row[f'{prefix}_rate'])} [{low}-{high}]"


def signed(row: Row, key: str, *, digits: int = 2) -> str:
    """A value with its interval: "+0.42 [+0.10, +0.71]"; "?" where it is unknown, open ends as they are."""
    value, low, high = row[key], row["low"], row["high"]
    if value is None:
        return "?"
    if row["blocks"] == 1:  # it has no interval
        return f"{value:+.{digits}f}"
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def machine_table(command: str, name: str, rows: Sequence[Row], *, title: str, meta: Row | None = None) -> Table:
    """Rows as they are, each key a column."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return Table(command, [Column(key, key) for key in keys], rows, meta=meta or {}, title=title, name=name)


def people_table(
    command: str,
    title: str,
    rows: Sequence[Row],
    columns: Sequence[tuple[str, Callable[[Row], str]]],
    *,
    notes: Sequence[str] = (),
) -> Table:
    """Rows in words: each column has a title and says how a row reads in it. The first column is the row's name."""
    worded = [{title: show(row) for title, show in columns} for row in rows]
    aligned = [
        Column(title, title[:1].upper() + title[1:], align="left" if number == 0 else "right", show=str)
        for number, (title, _) in enumerate(columns)
    ]
    return Table(command, aligned, worded, title=title, notes=notes)


def emit_both(machine: Sequence[Table], people: Sequence[Table], output: OutputOptions) -> None:
    """Show people's tables on a terminal, and the whole rows everywhere else; then the sentences go to stderr.

    Every table of a command is in `machine`, so that rows are named by their tables even where only one has rows; a
    pipe gets those that have some.
    """
    filled = [table for table in machine if table.rows] or machine[:1]
    emit(machine, output, human=lambda: print_tables(people if on_terminal() else filled))
    if output.format is not None or not on_terminal():
        _tell_notes(people, told={note for table in machine for note in table.notes})


def _tell_notes(tables: Sequence[Table], told: Container[str]) -> None:
    """What stands under people's tables, for who reads stderr beside the rows; each under its table's title."""
    for table in tables:
        notes = [note for note in table.notes if note not in told]
        for line in ([f"# {table.title}"] if notes and table.title else []) + notes:
            say(line)


def numbers(*columns: tuple[str, str]) -> list[tuple[str, Callable[[Row], str]]]:
    """Columns that show a number as it is: its key, and the title over it."""
    return [(title, partial(_number, key)) for key, title in columns]


def _number(key: str, row: Row) -> str:
    return f"{row[key]:,}"
