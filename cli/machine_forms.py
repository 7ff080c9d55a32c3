"""What programs get of a command's tables: JSON, JSON Lines or CSV, in UTF-8.

It is made of bytes all along: rows of letters from all scripts take twice as long as strings.
"""

import json
import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from cli.output import Format, Table

Cells = list[bytes] | Sequence[int] | bytes  # a column: its cells, or what stands in all of them

_SHORT = 200  # characters of a text that is remembered once it was spelt
_MOST_KNOWN = 1 << 16
AT_ONCE = 2048  # rows that are spelt together, so that the first of very many are soon on their way


class RowsByColumn(Sequence[Mapping[str, Any]]):
    """Very many rows, held column by column: a dict for each would take more time and memory than all the rest.

    Whole numbers are best held in an `array`.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> "RowsByColumn": ...
    def __getitem__(self, place: int | slice) -> "dict[str, Any] | RowsByColumn":
        found = {key: values[place] for key, values in self._columns.items()}
        return RowsByColumn(found) if isinstance(place, slice) else found

    def column(self, key: str) -> Sequence[Any]:
        """The values of all rows under one key."""
        return self._columns[key] if key in self._columns else [None] * len(self)


def machine_text(tables: Sequence["Table"], form: "Format") -> Iterator[bytes]:
    """The rows of all tables as one JSON document, JSON Lines or CSV, in parts; the last ends with a newline."""
    if form == "csv":
        yield from _csv(tables)
    elif form == "jsonl":
        for rows in _json_rows(tables):
            yield b"\n".join([*rows, b""])
    else:
        meta = {key: value for table in tables for key, value in table.meta.items()}
        schema = f"needlepoint.{tables[0].command.replace(' ', '.')}/1"
        yield b'{\n  "schema": %b,\n  "meta": %b,\n  "rows": [' % (_json(schema), _json(meta))
        before, after = b"\n    ", b"]\n}\n"
        for rows in _json_rows(tables):
            yield before + b",\n    ".join(rows)
            before, after = b",\n    ", b"\n  ]\n}\n"
        yield after


def _json_rows(tables: Sequence["Table"]) -> Iterator[list[bytes]]:
    """Some rows at a time, each as a JSON object."""
    for table in tables:
        keys = _keys([table], several=len(tables) > 1)
        names = [_json(key) for key in keys]
        for count, columns in _columns(table, keys, _json):
            pairs = [b"%b: %b" % (_percent(name), cell) for name, cell in zip(names, _template(columns), strict=True)]
            yield _filled(b"{%b}" % b", ".join(pairs), columns, count)


def _csv(tables: Sequence["Table"]) -> Iterator[bytes]:
    """A header and the rows, some at a time. Every table's rows have the keys of all."""
    keys = _keys(tables, several=len(tables) > 1)
    yield b",".join(map(_csv_cell, keys)) + b"\n"
    for table in tables:
        for count, columns in _columns(table, keys, _csv_cell):
            rows = _filled(b",".join(_template(columns)), columns, count)
            yield b"\n".join([*(rows if len(keys) > 1 else (row or _EMPTY_ROW for row in rows)), b""])


def _csv_cell(value: Any) -> bytes:
    """A cell as RFC 4180 has it: in quotes where it holds a comma, a quote or a line end."""
    text = cell_text(value)
    return _utf8('"{}"'.format(text.replace('"', '""')) if _QUOTED.search(text) else text)


def _template(columns: Sequence[Cells]) -> list[bytes]:
    """What stands for each cell of a row: what all rows have in common, or a place to be filled."""
    return [
        _percent(column) if isinstance(column, bytes) else b"%b" if isinstance(column[0], bytes) else b"%d"
        for column in columns
    ]


def _percent(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _filled(template: bytes, columns: Sequence[Cells], count: int) -> list[bytes]:
    """The rows: the template with the cells of the columns that vary."""
    varying = [column for column in columns if not isinstance(column, bytes)]
    return list(map(template.__mod__, zip(*varying, strict=True))) if varying else [template % ()] * count


def _keys(tables: Sequence["Table"], *, several: bool) -> list[str]:
    """The keys of the rows; where there are several tables, a row says first of which it is."""
    first = ["table"] if several else []
    return list(dict.fromkeys([*first, *(column.key for table in tables for column in table.columns)]))


def _columns(table: "Table", keys: Sequence[str], spell: Callable[[Any], bytes]) -> Iterator[tuple[int, list[Cells]]]:
    """How many rows come next, and their cells under each key: one for each row, or one text if all hold the same.

    They are made column by column, as a call for each row would take most of the time.
    """
    own = {column.key for column in table.columns}
    known = _Known(spell)
    for start in range(0, len(table.rows), AT_ONCE):
        rows = table.rows[start : start + AT_ONCE]
        # Keys of the other tables, and the one that says which table this is.
        elsewhere = {key: spell(table.key if key == "table" else None) for key in keys if key not in own}
        yield len(rows), [elsewhere[key] if key in elsewhere else _spelt(_column(rows, key), known) for key in keys]


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> Sequence[Any]:
    return rows.column(key) if isinstance(rows, RowsByColumn) else [row.get(key) for row in rows]


class _Known(dict[str | None, bytes]):
    """How texts are spelt: those that come again, in whatever column, once, as long as they are short."""

    def __init__(self, spell: Callable[[Any], bytes]) -> None:
        self.spell = spell

    def __missing__(self, value: str | None) -> bytes:
        text = self.spell(value)
        if len(text) <= _SHORT:
            if len(self) == _MOST_KNOWN:
                self.clear()
            self[value] = text
        return text


def _spelt(values: Sequence[Any], known: _Known) -> Cells:
    """Each value as it is spelt; one text for a string that is everywhere.

    Whole numbers stay what they are, for rows are filled sooner with them than with their digits.
    """
    if isinstance(values, array) and values.typecode == "q":
        return values
    if isinstance(values[0], str) and values.count(values[0]) == len(values):
        return known.spell(values[0])
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(values)
    if kinds <= {str, type(None)}:
        return list(map(known.__getitem__, values))
    if kinds <= {int, type(None)} or kinds <= {bool, type(None)}:  # not both: 1 and True are equal
        spelt = {value: known.spell(value) for value in set(values)}
        return list(map(spelt.__getitem__, values))
    return list(map(known.spell, values))


def _json(value: Any) -> bytes:
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError):  # there is something that JSON does not have
        text = _ENCODER.encode(plain_value(value))
    return _utf8(text.translate(_JSON_SPELT) if _CONTROL.search(text) else text)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair has no bytes


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_JSON_SPELT = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}  # controls that JSON would let stand as they are
_QUOTED = re.compile('[,"\r\n]')
_EMPTY_ROW = b'""'  # in CSV, where there is one column only: nothing would be an empty line
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


def cell_text(value: Any) -> str:
    """One value in CSV or between tabs: None -> "", True -> "true", (1, 2) -> "[1, 2]"."""
    if type(value) in (str, int):  # nearly all of them are
        return str(value)
    plain = plain_value(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else _json(plain).decode()
