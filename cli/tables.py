"""What the tables of the probes look like: every figure for programs, a few readable columns for people."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cli.output import Column, OutputOptions, Table, emit, on_terminal, print_tables
from probes.stats import p_words

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
    """Show people's tables on a terminal, and the whole rows everywhere else.

    Every table of a command is in `machine`, so that rows are named by their tables even where only one has rows; a
    pipe gets those that have some.
    """
    filled = [table for table in machine if table.rows] or machine[:1]
    emit(machine, output, human=lambda: print_tables(people if on_terminal() else filled))


def placement_arm_tables(command: str, setting: str, rows: Sequence[Row]) -> list[Table]:
    """The margins by arm, and what the answers are like; each where it was measured."""
    margins, answers = ([row for row in rows if row[f"{kind}_blocks"]] for kind in ("margin", "coverage"))
    tables = []
    if margins:
        columns = [
            ("arm", lambda row: row["arm"]),
            ("margin (nats)", lambda row: _with_interval(row, "margin", "nats")),
            ("log-probability", lambda row: f"{row['logprob_nats']:.2f}"),
            *numbers(("margin_blocks", "blocks")),
        ]
        tables.append(people_table(command, f"Availability of the facts: {setting}", margins, columns))
    if answers or any(row["error"] or row["refusal"] for row in rows):
        columns = [
            ("arm", lambda row: row["arm"]),
            ("coverage", lambda row: _with_interval(row, "coverage", "rate")),
            *numbers(("coverage_blocks", "n")),
            ("misbound", lambda row: percent(row["misbound_rate"])),
            ("copied", lambda row: percent(row["copied_rate"])),
            ("repeats", lambda row: percent(row["repeated_rate"])),
            *numbers(("refusal", "refused"), ("truncated", "cut"), ("error", "errors")),
        ]
        notes = ["Answers that were cut at the token limit count as far as they go."] if _any(rows, "truncated") else []
        tables.append(people_table(command, f"Answers: {setting}", rows, columns, notes=notes))
    return tables


def placement_dialogue_table(command: str, setting: str, rows: Sequence[Row], note: str) -> Table:
    """How many answers to a transcript continue the dialogue, by arm."""
    found = [row for row in rows if row["continued"] is not None]
    columns = [
        ("arm", lambda row: row["arm"]),
        *numbers(("continued", "continued the dialogue"), ("coverage_blocks", "of answers")),
    ]
    return people_table(command, f"Dialogues: {setting}", found, columns, notes=[note] if note else [])


def placement_contrast_tables(
    command: str, setting: str, rows: Sequence[Row], sentences: Callable[[Sequence[Row]], Sequence[str]]
) -> list[Table]:
    """The declared contrasts of each outcome, with what they say in words."""
    tables = []
    for outcome, title in (("margin_nats", "margin in nats"), ("coverage_rate", "coverage")):
        found = [row for row in rows if row["outcome"] == outcome]
        if not found:
            continue
        columns = [
            ("contrast", lambda row: f"{row['arm']} less {row['control']}"),
            ("difference", lambda row: signed(row, "difference")),
            ("p (Holm)", lambda row: p_words(row["p_holm"])),
            *numbers(("blocks", "blocks")),
            ("detectable", lambda row: "?" if row["detectable"] is None else f"{row['detectable']:.2f}"),
        ]
        full_title = f"Declared contrasts, {title}: {setting}"
        tables.append(people_table(command, full_title, found, columns, notes=sentences(found)))
    return tables


def numbers(*columns: tuple[str, str]) -> list[tuple[str, Callable[[Row], str]]]:
    """Columns that show a number as it is: its key, and the title over it."""
    return [(title, partial(_number, key)) for key, title in columns]


def _number(key: str, row: Row) -> str:
    return f"{row[key]:,}"


def _any(rows: Sequence[Row], key: str) -> bool:
    return any(row[key] for row in rows)


def _with_interval(row: Row, prefix: str, unit: str) -> str:
    value = row[f"{prefix}_{unit}"]
    if value is None:
        return "-"
    low, high = row[f"{prefix}_low"], row[f"{prefix}_high"]
    several = row[f"{prefix}_blocks"] > 1
    if unit == "rate":
        return percent(value) + (f" [{100 * low:.0f}-{100 * high:.0f}]" if several else "")
    return f"{value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if several else "")
