"""Where weights are looked for, and what is said of those that are missing or damaged."""

import hashlib
import os
from pathlib import Path

import pytest

from probes.models import load_model
from probes.models.base import ModelError
from probes.models.weights import EMBEDDED, check_weights, embedded_path, file_sha256, weights_path

NAME = "smollm2-135m"


def sparse_gguf(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(size)
    return path


def test_a_path_of_ones_own(tmp_path):
    path = sparse_gguf(tmp_path / "own.gguf", 100)
    assert weights_path(str(path)) == path
    assert check_weights(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_missing_embedded_weights_name_the_way_to_get_them(own_home):
    with pytest.raises(ModelError, match="there are no weights at") as caught:
        weights_path(NAME)
    assert caught.value.hint == f"needlepoint models fetch {NAME}"
    assert embedded_path(NAME) == own_home / "data" / "models" / f"{NAME}.gguf"


def test_a_missing_own_file(tmp_path):
    with pytest.raises(ModelError, match=r"there are no weights at .*none\.gguf"):
        weights_path(str(tmp_path / "none.gguf"))


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04 something else"])
def test_not_a_gguf_file(content, tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a GGUF file"):
        weights_path(str(path))


def test_what_is_no_file_is_refused_at_once(tmp_path):
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):  # nobody ever writes into the pipe
        with pytest.raises(ModelError, match="is no regular file"):
            weights_path(str(path))


@pytest.mark.parametrize(
    ("name", "what"), [("~nobody-here/x.gguf", "nobody knows the home"), ("x\0.gguf", "cannot read")]
)
def test_names_that_no_file_can_have(name, what):
    with pytest.raises(ModelError, match=what):
        load_model(f"local/{name}")


def test_truncated_embedded_weights():
    sparse_gguf(embedded_path(NAME), EMBEDDED[NAME].source.size - 1)
    with pytest.raises(ModelError, match=r"98,362,431 bytes instead of 98,362,432"):
        weights_path(NAME)


def test_the_right_size_with_the_wrong_content():
    path = sparse_gguf(embedded_path(NAME), EMBEDDED[NAME].source.size)
    assert weights_path(NAME) == path
    with pytest.raises(ModelError, match="SHA-256 is not the published one"):
        check_weights(NAME)
    with pytest.raises(ModelError, match="SHA-256 is not the published one"):
        load_model(f"local/{NAME}")


def test_a_hash_is_computed_once_until_the_file_changes(tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF one")
    first = file_sha256(path)
    assert first == hashlib.sha256(b"GGUF one").hexdigest()
    status = path.stat()
    path.write_bytes(b"GGUF two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_sha256(path) == first, "size and time unchanged: the cached hash serves"
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert file_sha256(path) == hashlib.sha256(b"GGUF two").hexdigest()


def test_a_damaged_cache_entry_is_replaced(tmp_path, own_home):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF one")
    right = file_sha256(path)
    (entry,) = (own_home / "cache" / "sha256").iterdir()
    entry.write_text("{", encoding="utf-8")
    assert file_sha256(path) == right
    assert right in entry.read_text(encoding="utf-8")
