"""Find what a corpus is to be read from: files, directories, globs, URLs, stdin. Nothing is read here."""

import glob
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizer.errors import UsageError, UserError

_DAMAGE = (OSError, EOFError, ValueError, RecursionError, zlib.error)  # what reading a damaged file may raise


def find_sources(arguments: Iterable[str | Path]) -> list[str]:
    """The files that the arguments mean, by path or URL, each checked to be there; `-` is stdin and stays.

    A directory is all it holds, sorted, without what is hidden; a name that is no file and holds `*`, `?` or `[` is
    a glob.

    Raises:
        UserError: a source that is missing or is neither file nor directory, or no source at all.
        UsageError: a single name in place of a list, or stdin twice.

    Example: find_sources(["texts", "more/*.jsonl.gz", "-"])
    """
    if isinstance(arguments, str | Path):
        raise UsageError("the sources are one name, not a list of names", hint="put the name into a list")
    found: list[str] = []
    for argument in map(str, arguments):
        if argument == "-" or is_open_pipe(argument):
            found.append(argument)
        elif is_url(argument):
            found += _remote_files(argument)
        else:
            found += _local_files(argument)
    if not found:
        raise UserError("there are no files to read", hint="name files, or directories that hold some")
    if found.count("-") + found.count("/dev/stdin") > 1:
        raise UsageError("stdin (-) is named twice", hint="it can be read only once")
    return found


def is_url(source: str) -> bool:
    """Whether a source is somewhere that fsspec knows to read, such as `s3://bucket/file.jsonl.gz`."""
    return "://" in source


def is_open_pipe(name: str) -> bool:
    """Whether it is a file that the shell opened for us, as in `<(zcat a.gz)`; such a pipe has someone who writes."""
    return name == "/dev/stdin" or name.startswith("/dev/fd/")


def file_name(source: str) -> str:
    """The last part of a path or URL, in small letters: "s3://bucket/A.JSONL?version=2" -> "a.jsonl"."""
    return Path(without_secrets(source).partition("::")[0] if is_url(source) else source).name.lower()


def without_secrets(text: str) -> str:
    """URLs in a text without user, password and query, where keys and signatures stand.

    Example: without_secrets("https://me:key@host/a.txt?signature=1") == "https://host/a.txt"
    """
    return re.sub(r"(\w+://)(?:[^\s/@]*@)?([^\s?'\"]*)(?:\?[^\s'\")]*)?", r"\1\2", text)


@contextmanager
def told(source: str, verb: str, place: object = "") -> Iterator[None]:
    """Say in two lines what keeps a source from being read."""
    remote = is_url(source)
    try:
        yield
    except UserError:
        raise
    except Exception as err:
        if not remote and not isinstance(err, _DAMAGE):  # a mistake of ours; each remote store raises its own kinds
            raise
        reason = getattr(err, "strerror", None) or str(err).partition("\n")[0] or type(err).__name__
        hint = "check that the file is whole, is what its name says, and may be read"
        if isinstance(err, ImportError):
            hint = 'pip install "needlepoint[corpus]", and the package that is named above, if any'
        where = f"{place}: " if str(place) else ""
        name = without_secrets(source) if remote else source
        raise UserError(f"cannot {verb} {name}: {where}{without_secrets(reason)}", hint=hint) from err


def _local_files(argument: str) -> list[str]:
    path = Path(argument)
    try:
        kind = os.stat(argument).st_mode  # noqa: PTH116 - to pathlib no name at all is this directory
    except FileNotFoundError:
        matches = sorted(glob.glob(argument, recursive=True)) if glob.has_magic(argument) else []  # noqa: PTH207 - absolute ones, too
        if matches:
            return list(dict.fromkeys(file for match in matches for file in _local_files(match)))
        raise UserError(
            f"there is no file {argument or repr(argument)}",
            hint="check the name; directories are read with all they hold",
        ) from None
    except (OSError, ValueError) as err:
        raise UserError(
            f"cannot read {argument}: {getattr(err, 'strerror', None) or err}", hint="check the name and its rights"
        ) from err
    if stat.S_ISDIR(kind):
        return _files_below(path)
    if not stat.S_ISREG(kind):
        raise UserError(
            f"{argument} is neither a file nor a directory",
            hint=f"read a pipe as stdin: - in its place, and < {argument}",
        )
    return [argument]


def _files_below(directory: Path) -> list[str]:
    def fail(err: OSError) -> None:
        raise UserError(f"cannot list {err.filename}: {err.strerror}", hint="check the directory's rights") from err

    files = []
    for folder, subfolders, names in os.walk(directory, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        files += [path for path in paths if path.is_file()]  # no pipe, no device, no link to nothing
    return [str(path) for path in sorted(files)]


def _remote_files(url: str) -> list[str]:
    """The files that a URL means; web servers know neither directories nor globs."""
    with told(url, "find"):
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        filesystem, path = fsspec.core.url_to_fs(url)
        _, link, rest = url.partition("::")  # zip://inside.txt::https://outside.zip
        if isinstance(filesystem, LocalFileSystem) and not link:
            return _local_files(path)
        names: list[str]
        try:
            kind = filesystem.info(path)["type"]
        except FileNotFoundError:
            names = [] if url.startswith("http") or not glob.has_magic(path) else filesystem.glob(path)
            if not names:
                raise
        else:
            if kind != "directory":
                return [url]
            names = filesystem.find(path)
        return [f"{filesystem.unstrip_protocol(name)}{link}{rest}" for name in sorted(names)]
