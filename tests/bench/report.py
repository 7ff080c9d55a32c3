"""Figures as tables and curves: all of them for the terminal, the chief ones for the README."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]

RESULT = Path(__file__).with_name("result.json")
BAR = 10  # characters for a tenfold time
AXES = {
    "corpus size, MB": "a vocabulary of 32,768 from corpora of 1 to 64 MB",
    "vocabulary": "vocabularies of 1,024 to 65,536 from 16 MB",
}


# -------------------------------------------------------------------------------------------------------- terminal


def show(rows: Sequence[Row], console: Console) -> None:
    """A table for each task: medians, and how many times our time the others took; curves as bars."""
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        if task == "curve":
            console.print("\n".join(curves(of_task)), markup=False, highlight=False)
        else:
            console.print(_table(task, of_task))


def _table(task: str, rows: Sequence[Row]) -> Table:
    keys = dict.fromkeys(key for row in rows for key in row if key not in {"task", "engine", "rounds", "mb"})
    table = Table(title=task, title_justify="left")
    table.add_column("engine")
    for key in keys:
        table.add_column(key.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(row["engine"], *(_cell(row, key) for key in keys))
    return table


def _cell(row: Row, key: str) -> str:
    value = row.get(key)
    if isinstance(value, list):
        return f"{value[1]:.2f}x\n{value[0]:.2f}-{value[2]:.2f}"
    if key in {"first_s", "again_s"} and "mb" in row:
        return _speed(row, key)
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def curves(rows: Sequence[Row]) -> Iterator[str]:
    """Lines that show what training costs along each axis, in bars on a logarithmic scale."""
    for axis, what in AXES.items():
        points = [row for row in rows if row.get("axis") == axis]
        if not points:
            continue
        widest = max(len(row["engine"]) for row in points)
        least = min(row["s"] for row in points)
        yield f"CPU seconds to train {what}; {BAR} more signs are ten times as long"
        yield ""
        for at in dict.fromkeys(row["at"] for row in points):
            label = f"{at} MB" if "MB" in axis else f"{at:,}"
            for row in (row for row in points if row["at"] == at):
                bar = "#" * (1 + round(BAR * math.log10(row["s"] / least)))
                yield f"{label:>7}  {row['engine']:<{widest}}  {row['s']:7.3f}  {bar}"
                label = ""
        yield ""


# ---------------------------------------------------------------------------------------------------------- README


def readme() -> Iterator[str]:
    """The chief figures of the last result that was kept, as Markdown."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    meta, rows = result["meta"], result["rows"]
    peers = ", ".join(f"{name} {version}" for name, version in meta["versions"].items() if name != "needlepoint")
    yield f"Measured on {meta['date']} on {meta['processors']} cores of an {meta['processor']} with Python"
    yield f"{meta['python']}, medians of three rounds, beside {peers}."
    yield ""
    yield "Encoding with cl100k to an array, MB/s, a text for the first time / again, as a new string:"
    yield ""
    tasks = _encoding_tasks(rows, "cl100k")
    tasks["2 KB documents"] = [row for row in rows if row["task"].endswith(", cl100k, documents")]
    yield from _markdown(["", *tasks], (_encoding_cells(engine, tasks.values()) for engine in _engines(tasks.values())))
    yield "The same with models' own tokenizers, 152,000 tokens of Qwen's and 128,000 of DeepSeek's:"
    yield ""
    for model in ("Qwen", "DeepSeek"):
        tasks = _encoding_tasks(rows, model)
        cells = (_encoding_cells(engine, tasks.values()) for engine in _engines(tasks.values()))
        yield from _markdown([model, *tasks], cells)
    training = [row for row in rows if row["task"].startswith("train ")]
    yield f"Training, {training[0]['task'].split(', ', 1)[1]}:"
    yield ""
    yield from _markdown(
        ["", "CPU, warm", "of ours", "wall, fresh process", "peak memory"],
        (
            [
                row["engine"],
                f"{row['warm_cpu_s']:.2f} s",
                f"{row['warm_cpu_ratio'][1]:.1f}x",
                f"{row['fresh_wall_s']:.1f} s",
                f"{row['peak_mb']:.0f} MB",
            ]
            for row in training
            if "failed" not in row
        ),
    )
    yield "Input on which other algorithms are slow, 10 MB, the slowest of the three splits:"
    yield ""
    yield from _markdown(["", "time", "twice the input takes"], _hard_cells(rows))
    yield "```text"
    yield from list(curves([row for row in rows if row["task"] == "curve"]))[:-1]
    yield "```"


def _encoding_tasks(rows: Sequence[Row], vocabulary: str) -> dict[str, Sequence[Row]]:
    """The rows of each kind of text that was encoded whole."""
    kinds = {"English": "english", "code": "code", "many languages": "multilingual", "made-up words": "made-up"}
    tasks = {
        title: [
            row for row in rows if row["task"].startswith(f"encode {kind},") and f", {vocabulary}, wh" in row["task"]
        ]
        for title, kind in kinds.items()
    }
    return {title: found for title, found in tasks.items() if found}


def _engines(tasks: Iterable[Sequence[Row]]) -> list[str]:
    return list(dict.fromkeys(row["engine"] for rows in tasks for row in rows))


def _encoding_cells(engine: str, tasks: Iterable[Sequence[Row]]) -> list[str]:
    cells = [engine]
    for rows in tasks:
        row = next((row for row in rows if row["engine"] == engine and "failed" not in row), None)
        cells.append(f"{_speed(row, 'first_s')} / {_speed(row, 'again_s')}" if row else "")
    return cells


def _hard_cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    hard = [row for row in rows if "growth" in row]
    for name in dict.fromkeys(row["task"].split(",")[0].removeprefix("encode ") for row in hard):
        of_name = [row for row in hard if row["task"].startswith(f"encode {name},")]
        slowest = max(of_name, key=lambda row: float(row["first_s"]))
        yield [name, f"{slowest['first_s']:.2f} s", f"{slowest['growth']:.1f}x"]


def _speed(row: Row, key: str) -> str:
    speed = row["mb"] / row[key] if row[key] else 0.0
    return f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"


def _markdown(header: Sequence[str], cells: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"| --- |{' ---: |' * (len(header) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in cells)
    yield ""
