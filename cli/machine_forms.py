"""What programs get of a command's tables: JSON, JSON Lines or CSV."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.output import Format, Table


def machine_text(tables: Sequence["Table"], form: "Format") -> str:
    """The rows of all tables as one JSON document, JSON Lines or CSV, with a newline at the end."""
    several = len(tables) > 1
    if form == "csv":
        return _csv(tables, [_row(table, row, several=several) for table in tables for row in table.rows])
    rows = [row for table in tables for row in _json_rows(table, several=several)]
    if form == "jsonl":
        return "".join(f"{row}\n" for row in rows)
    meta = {key: value for table in tables for key, value in table.meta.items()}
    schema = f"needlepoint.{tables[0].command.replace(' ', '.')}/1"
    lines = ",\n".join(f"    {row}" for row in rows)
    body = f"[\n{lines}\n  ]" if rows else "[]"
    return f'{{\n  "schema": {_json(schema)},\n  "meta": {_json(meta)},\n  "rows": {body}\n}}\n'


def _row(table: "Table", row: Mapping[str, Any], *, several: bool) -> dict[str, Any]:
    first = {"table": table.key} if several else {}
    return first | {column.key: row.get(column.key) for column in table.columns}


def _json_rows(table: "Table", *, several: bool) -> list[str]:
    """Each row as a JSON object. They are made column by column: a call for each row would take most of the time."""
    columns: dict[str, list[Any]] = {"table": [table.key] * len(table.rows)} if several else {}
    columns |= {column.key: [row.get(column.key) for row in table.rows] for column in table.columns}
    if not columns:
        return ["{}"] * len(table.rows)
    parts = (_json(key).replace("%", "%%") + ": %s" for key in columns)
    template = f"{{{', '.join(parts)}}}"
    return [template % cells for cells in zip(*map(_json_column, columns.values()), strict=True)]


def _json_column(values: Sequence[Any]) -> list[str]:
    """Each value as JSON; those that hold others one by one, as the line ends inside them show."""
    try:
        text = _COLUMN_ENCODER.encode(values)
    except (TypeError, ValueError):  # there is something that JSON does not have
        return [_json(value) for value in values]
    found = _spelt(text)[1:-1].split("\n") if values else []
    return found if len(found) == len(values) else [_json(value) for value in values]


def _json(value: Any) -> str:
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError):  # there is something that JSON does not have
        text = _ENCODER.encode(plain_value(value))
    return _spelt(text)


def _spelt(text: str) -> str:
    return text.translate(_JSON_SPELT) if _CONTROL.search(text) else text


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_COLUMN_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=("\n", ": "))
_JSON_SPELT = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}  # controls that JSON would let stand as they are
_CONTROL = re.compile("[\x7f-\x9f]")


def plain_value(value: Any) -> Any:
    """What JSON can hold: NaN and infinities are unknown, numbers of numpy become Python's, paths text."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)


def _csv(tables: Sequence["Table"], rows: Sequence[Mapping[str, Any]]) -> str:
    import csv
    import io

    first = ["table"] if len(tables) > 1 else []
    keys = dict.fromkeys([*first, *(column.key for table in tables for column in table.columns)])
    lines = []
    for cells in (list(keys), *([cell_text(row.get(key)) for key in keys] for row in rows)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(cells)  # so a cell with either of the two is quoted
        lines.append(text.getvalue().removesuffix("\r\n"))
    return "".join(f"{line}\n" for line in lines)


def cell_text(value: Any) -> str:
    """One value in CSV or between tabs: None -> "", True -> "true", (1, 2) -> "[1, 2]"."""
    plain = plain_value(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else _json(plain)
