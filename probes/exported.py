"""Rows of `needlepoint runs export`, read back: from a file to results, without a store and without a model.

    needlepoint runs export latest -o run.jsonl
    >>> results = read_rows(Path("run.jsonl"))

What each key of a row means is in `probes/trial_rows.py`. Each row stands alone: rows may be left out, put in another
order, and those of several runs may stand in one file. A row that no run can have is refused, with its line.
"""

import csv
import gc
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from probes.exported_checks import Together, check_row
from probes.identity import request_without_prompt
from probes.models.base import Completion, StopReason, Usage, canonical_json
from probes.plan import PlannedTrial, Result
from probes.prices import NANO
from probes.store_rows import logprobs_from_json
from tokenizer.errors import UserError

JSON_KEYS = ("logprobs", "dropped", "cell", "request", "spec")
NUMBERS = {
    "position": int,
    "block": int,
    "calls": int,
    "latency_s": float,
    "first_token_s": float,
    "cost_usd": float,
    "input_tokens": int,
    "output_tokens": int,
    "cache_read_tokens": int,
    "cache_write_tokens": int,
    "reasoning_tokens": int,
    "prompt_tokens_evaluated": int,
}
USAGE = tuple(key for key in NUMBERS if "_tokens" in key)


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """One run out of a file of rows: its results, in the order of their positions, with what stands beside each.

    `prompt_hashes` are those of the messages sent, `identities` those of the model that was asked. `answered_before`:
    how many trials an earlier run's answer was used for.
    """

    id: str
    probe: str
    spec: Mapping[str, Any]
    created_utc: str
    results: tuple[Result, ...]
    prompt_hashes: tuple[str, ...]
    identities: tuple[Mapping[str, Any], ...]
    code_version: str = "unknown"
    answered_before: int = 0


def read_rows(path: Path) -> list[Result]:
    """Every trial in a file of exported rows, run after run, in plan order; .jsonl, .json or .csv, also with .gz.

    Prompts are not in the rows, so requests come without their messages.

    Raises:
        UserError: the file cannot be read, or a row of it is not what `runs export` wrote.
    """
    return [result for run in read_runs(path) for result in run.results]


def read_runs(path: Path) -> list[ExportedRun]:
    """The runs in a file of exported rows, in the order in which they first come. Raises as `read_rows`."""
    found: dict[str, list[dict[str, Any]]] = {}
    together: dict[str, Together] = {}
    with _no_search_for_cycles():
        for place, row in _read_file(path):
            try:
                check_row(row)
                together.setdefault(row["run"], Together()).check(row, place)
                found.setdefault(row["run"], []).append(row)
            except (KeyError, TypeError, ValueError, AttributeError) as err:
                reason = f"{err.args[0]!r} is missing" if isinstance(err, KeyError) else str(err)
                raise _refused(path, f"{place}: {reason}") from err
        if not found:
            raise _refused(path, "it holds no row")
        return [_run(run_id, sorted(rows, key=lambda row: int(row["position"]))) for run_id, rows in found.items()]


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """What is read has no cycles, and to look for them again and again would take as long as all the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run(run_id: str, rows: Sequence[Mapping[str, Any]]) -> ExportedRun:
    return ExportedRun(
        run_id,
        rows[0]["probe"],
        rows[0]["spec"],
        rows[0]["created_utc"],
        tuple(map(_result, rows)),
        tuple(row["request"]["prompt"] for row in rows),
        tuple(row["request"]["model"] for row in rows),
        str(rows[0].get("code_version") or "unknown"),
        sum(row.get("answered_by") not in (None, run_id) for row in rows),
    )


def _read_file(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place in words: the line it begins in, or its number where lines mean nothing."""
    try:
        is_packed = path.suffix.lower() == ".gz"
        kind = (path.with_suffix("") if is_packed else path).suffix.lower()
        with (gzip.open if is_packed else open)(
            path, "rt", encoding="utf-8", errors="surrogatepass", newline=""
        ) as file:
            if kind == ".csv":
                yield from _csv_rows(file)
            elif kind == ".json":
                yield from ((f"row {number}", row) for number, row in enumerate(json.load(file)["rows"], 1))
            else:
                yield from (
                    (f"line {number}", _json_line(line, number)) for number, line in enumerate(file, 1) if line.strip()
                )
    except OSError as err:
        raise UserError(f"cannot read {path}: {err.strerror or err}", hint="name a file of exported rows") from err
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error, EOFError, zlib.error) as err:
        raise _refused(path, str(err)) from err


def _json_line(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as err:
        raise ValueError(f"line {number}: {getattr(err, 'msg', err)}") from err


def _csv_rows(file: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(sys.maxsize)
    rows = csv.DictReader(file)
    _ = rows.fieldnames  # the header is read
    while True:
        place = f"line {rows.line_num + 1}"
        try:
            row = next(rows)
            yield place, _typed(row)
        except StopIteration:
            return
        except (ValueError, TypeError) as err:
            raise ValueError(f"{place}: {getattr(err, 'msg', err)}") from err


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    """One line of CSV, where nothing is None, JSON is text and so are numbers."""
    values: dict[str, Any] = {key: None if value == "" else value for key, value in row.items()}
    values |= {key: json.loads(values[key]) for key in JSON_KEYS if values.get(key)}
    values |= {key: kind(values[key]) for key, kind in NUMBERS.items() if values.get(key)}
    if values.get("state") == "answered":
        values["answer"] = row["answer"]  # an empty answer is an answer
    return values


def _result(row: Mapping[str, Any]) -> Result:
    request = request_without_prompt(canonical_json(row["request"]))
    return Result(
        model=row["model"],
        trial_id=row["trial"],
        trial=PlannedTrial(row["block"], request, row["cell"]),
        completion=_completion(row) if row["state"] == "answered" else None,
        error_kind=row["error_kind"],
        error_text=row["error_text"],
        cost_nano_usd=None if row.get("cost_usd") is None else round(row["cost_usd"] * NANO),
    )


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        text=row["answer"],
        stop_reason=cast("StopReason", row["stop_reason"]),
        usage=Usage(**{key: row[key] for key in USAGE}),
        latency_s=row["latency_s"],
        first_token_s=row["first_token_s"],
        model=row["served_model"],
        logprobs=logprobs_from_json(None if row["logprobs"] is None else json.dumps(row["logprobs"])),
        dropped=tuple(row["dropped"] or ()),
    )


def _refused(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} does not hold rows of a run: {reason}",
        hint="make such a file with: needlepoint runs export RUN -o FILE",
    )
