"""What the study's tables are made of: the rows of its parts, and how a figure reads in a cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from probes.exported import read_rows
from probes.plan import Result
from probes.stats import PairedDifference

Row = Mapping[str, Any]


def part_file(rows: Path, part: str) -> Path:
    """The finished rows of a part; FileNotFoundError where it has not been run."""
    path = rows / f"{part}.jsonl.gz"
    if not path.exists():
        raise FileNotFoundError(2, "not run yet", str(path))
    return path


def results(rows: Path, part: str) -> list[Result]:
    return read_rows(part_file(rows, part))


def percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.0f}%"


def interval(rate: float | None, low: float, high: float) -> str:
    return "-" if rate is None else f"{100 * rate:.0f}% [{100 * low:.0f}-{100 * high:.0f}]"


def points(found: PairedDifference) -> str:
    """A difference of rates in points, with its interval."""
    numbers = (found.interval.estimate, found.interval.low, found.interval.high)
    estimate, low, high = (f"{100 * number:+.0f}" for number in numbers)
    return f"{estimate} [{low}, {high}]"


def nats(row: Row | None) -> str:
    return "-" if row is None or row["lift_nats"] is None else f"{row['lift_nats']:+.1f}"
