"""What all formats share: getting a file's bytes, reading JSON strictly, and putting files in place whole."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tokenizer.errors import UserError

LARGEST = 1 << 28  # bytes; no vocabulary comes near it, and a file is read whole
_DEEPEST = 64  # levels of nesting, for the message only; Python's own limit is far above it
_LONGEST_NUMBER = 4300  # digits, the limit of Python's `int`
_SHOWN = 80  # characters of a wrong value in a message

AGAIN = "the file is damaged or not a byte-level BPE tokenizer; get it again"


def is_file(path: Path) -> bool:
    """Whether there is anything under this name; a name that no file can have is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or a NUL in it
        return False


def check_regular(path: Path) -> None:
    """Make sure that a file can be read to its end without waiting for anybody.

    Raises:
        UserError: there is no such file, or it is a pipe or a device, or far too large.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as err:
        raise _unreadable(path, err) from err
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"cannot read {path}: it is no regular file", hint="save the tokenizer as a file and name that")


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        UserError: it cannot be read, is a pipe or a device, or is far too large for a vocabulary.
    """
    check_regular(path)
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(
                f"{path} is larger than {LARGEST >> 20} MB, which no vocabulary is", hint="is it the right file?"
            )
        return path.read_bytes()
    except OSError as err:
        raise _unreadable(path, err) from err


def _unreadable(path: Path, err: Exception) -> UserError:
    reason = err.strerror if isinstance(err, OSError) else None
    return UserError(f"cannot read {path}: {reason or err}", hint="check the file and its rights")


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files, each as a whole or not at all; the directory of several is made when it is not there.

    Whoever looks at several at a bad moment finds the old files, or the new ones without the last: never a mixture.

    Raises:
        UserError: one cannot be written. None of them is changed before all are on the disk.
    """
    with ExitStack() as cleaning, _told(contents):
        folder = next(iter(contents)).parent
        if len(contents) > 1 and not folder.exists():
            folder.mkdir()
            cleaning.callback(_remove_empty, folder)
        placed = {}
        for path, content in contents.items():
            placed[path] = temporary = _temporary(path)
            with temporary.open("wb") as file:
                cleaning.callback(temporary.unlink, missing_ok=True)
                file.write(content)
        for path in list(contents)[1:]:
            path.unlink(missing_ok=True)
        for path, temporary in placed.items():
            temporary.replace(path)


def check_writable(paths: Iterable[Path]) -> None:
    """Make sure that `write_files` could write these, as far as that can be known before there is anything to write.

    Raises:
        UserError: a directory is not there, full or not ours to write to, or there is a directory of that name.
    """
    for path in paths:
        with _told([path]):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            temporary = _temporary(path)
            temporary.touch()
            temporary.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _told(paths: Iterable[Path]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else None
        raise UserError(
            f"cannot write {' and '.join(map(str, paths))}: {reason or err}",
            hint="choose another file or directory to write to",
        ) from err


def brief(value: Any) -> str:
    """A wrong value for a message: as JSON, one line, cut short."""
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        shown = "nested too deeply"
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + " ..."


class _Repeated(Exception):
    """A key that stands twice in one object; engines differ in which of the two counts."""


def parse_json(content: bytes, source: str) -> Any:
    """Read JSON as UTF-8, refusing a key that stands twice in one object.

    Raises:
        UserError: what is wrong and where; `source` names the file.
    """
    hint = "a tokenizer is a tokenizer.json file, or one of the names gpt2, cl100k, o200k, small"
    try:
        text = content.decode()
    except UnicodeDecodeError as err:
        raise UserError(f"{source} is not JSON: byte {err.start} is not UTF-8", hint=hint) from err
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as err:
        raise UserError(f"{source} is not JSON: line {err.lineno}, column {err.colno}: {err.msg}", hint=hint) from err
    except RecursionError as err:
        where = _place(text, _deep_position(text))
        raise UserError(f"{source} is nested too deeply: {where}", hint=hint) from err
    except _Repeated as err:
        raise UserError(f"{source}: the key {brief(err.args[0])} stands twice in one object", hint=AGAIN) from err
    except ValueError as err:
        found = re.search(rf"\d{{{_LONGEST_NUMBER},}}", text)
        where = _place(text, found.start() if found else 0)
        raise UserError(f"{source}: {where}: a number has too many digits", hint=AGAIN) from err


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        raise _Repeated(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def _deep_position(text: str) -> int:
    """Where the nesting goes too deep."""
    depth = 0
    for found in re.finditer(r'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > _DEEPEST:
            return found.start()
    return 0


def _place(text: str, position: int) -> str:
    """A position for people: "line 2, column 5"."""
    return f"line {text.count(chr(10), 0, position) + 1}, column {position - text.rfind(chr(10), 0, position)}"
