"""Several tokenizers loaded together are those that are loaded one by one, whoever reads them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tokenizer import UserError, load_tokenizer, loading, registry
from tokenizer.formats import tiktoken
from tokenizer.packed_cache import NotKept, only_kept
from tokenizer.training import train_on

TEXT = "a word, wörter, \n\n  and 🌍 1234"


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr(loading, "usable_processors", lambda: 2)


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The published vocabularies that this process reads, as it reads them."""
    names: list[str] = []
    read = registry.ranks_from_member
    monkeypatch.setattr(
        registry, "ranks_from_member", lambda name, content: (names.append(name), read(name, content))[1]
    )
    return names


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """The processes that are started."""
    found = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return found


def test_they_are_what_each_is_alone_and_the_largest_is_read_elsewhere(
    tmp_path: Path, read_here: list[str], started: list["subprocess.Popen[bytes]"]
) -> None:
    mine = tmp_path / "mine.json"
    train_on(["a word and a word"], vocab_size=260).save(mine)
    names = ["cl100k", str(mine), "gpt2", None, "small"]
    first, second = loading.load_tokenizers(names), loading.load_tokenizers(names)
    assert read_here == ["gpt2"]
    assert [process.returncode for process in started] == [0]
    for name, *found in zip(names, first, second, strict=True):
        alone = load_tokenizer(name)
        assert {one.name for one in found} == {alone.name}
        assert all(one.encode(TEXT) == alone.encode(TEXT) for one in found)
        assert all(dict(one.vocabulary) == dict(alone.vocabulary) for one in found)
    assert read_here == ["gpt2"]


def test_one_that_was_never_read_needs_no_other_process(
    read_here: list[str], started: list["subprocess.Popen[bytes]"]
) -> None:
    load_tokenizer("cl100k")
    assert [one.name for one in loading.load_tokenizers(["gpt2", "cl100k"])] == ["gpt2", "cl100k"]
    assert (read_here, started) == (["cl100k", "gpt2"], [])


@pytest.mark.parametrize("python", ["/nowhere/python", sys.executable])
def test_whatever_goes_wrong_elsewhere_is_made_good_here(
    python: str, monkeypatch: pytest.MonkeyPatch, read_here: list[str]
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(loading, "_READ", "raise SystemExit(1)")
    assert [one.encode("hello") for one in loading.load_tokenizers(["cl100k", "gpt2"])] == [[15339], [31373]]
    assert read_here == ["gpt2", "cl100k"]


def test_where_nothing_can_be_kept_all_are_read_all_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read_here: list[str],
    started: list["subprocess.Popen[bytes]"],
) -> None:
    no_directory = tmp_path / "file"
    no_directory.touch()
    monkeypatch.setenv("NEEDLEPOINT_HOME", str(no_directory))
    assert [one.encode("hello") for one in loading.load_tokenizers(["cl100k", "gpt2"])] == [[15339], [31373]]
    assert (read_here, started) == (["cl100k", "gpt2"], [])


def test_a_file_under_two_names_is_read_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ranks_of: Callable[[str], bytes],
    started: list["subprocess.Popen[bytes]"],
) -> None:
    sources = []
    parse = tiktoken.parse_ranks
    monkeypatch.setattr(
        tiktoken, "parse_ranks", lambda content, source: (sources.append(source), parse(content, source))[1]
    )
    path, link = tmp_path / "mine.tiktoken", tmp_path / "link.tiktoken"
    path.write_bytes(ranks_of("cl100k"))
    link.symlink_to(path)
    names = [f"{path}?split=gpt2", f"{path}?split=cl100k", f"{link}?split=o200k"]
    assert [one.split.name for one in loading.load_tokenizers(names)] == ["gpt2", "cl100k", "o200k"]
    assert (sources, started) == ([str(path)], [])


def test_on_one_processor_nothing_is_read_meanwhile(
    monkeypatch: pytest.MonkeyPatch, read_here: list[str], started: list["subprocess.Popen[bytes]"]
) -> None:
    monkeypatch.setattr(loading, "usable_processors", lambda: 1)
    assert [one.name for one in loading.load_tokenizers(["cl100k", "gpt2"])] == ["cl100k", "gpt2"]
    assert (read_here, started) == (["cl100k", "gpt2"], [])


def test_an_error_is_that_of_the_first_name_that_has_one(started: list["subprocess.Popen[bytes]"]) -> None:
    with pytest.raises(UserError, match="no file no/such"):
        loading.load_tokenizers(["gpt2", "cl100k", "no/such.json", "nor/such.json"])
    assert not started


def test_who_interrupts_need_not_wait(
    monkeypatch: pytest.MonkeyPatch, started: list["subprocess.Popen[bytes]"]
) -> None:
    def interrupted(_content: bytes, _source: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "_READ", "import time; time.sleep(600)")
    monkeypatch.setattr("tokenizer.formats.tiktoken.parse_ranks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loading.load_tokenizers(["gpt2", "cl100k"])
    assert started[0].returncode < 0


def test_nothing_is_read_where_only_what_is_kept_may_be(read_here: list[str]) -> None:
    with pytest.raises(NotKept), only_kept():
        load_tokenizer("gpt2")
    assert not read_here
    load_tokenizer("gpt2")
    with only_kept():
        assert load_tokenizer("gpt2").encode("hello") == [31373]
