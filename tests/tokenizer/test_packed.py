"""Packed ranks: the same as the dictionary they were made of, and never a reason for a wrong or missing answer."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from tokenizer import load_tokenizer, packed, registry
from tokenizer.compiled_encoding import CompiledEncoder
from tokenizer.packed import PackedVocabulary, pack, unpack
from tokenizer.packed_cache import recall_ranks, remember_ranks
from tokenizer.splits import make_split

RANKS = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"abc": 257}
HASH = "5" * 64


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that was written some time ago."""
    path = tmp_path / "x.tiktoken"
    path.write_bytes(b"content")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def no_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(_: PackedVocabulary) -> dict[bytes, int]:
        raise AssertionError("all tokens were asked for")

    monkeypatch.setattr(PackedVocabulary, "whole", whole)


@given(st.lists(st.binary(max_size=12), unique=True, min_size=1), st.lists(st.binary(max_size=12)))
def test_lookups_are_those_of_the_dictionary(tokens: list[bytes], others: list[bytes]) -> None:
    ranks = {token: rank for rank, token in enumerate(tokens)}
    ours = unpack(pack(ranks)).vocabulary
    assert [ours.get(token) for token in tokens + others] == [ranks.get(token) for token in tokens + others]
    assert [token in ours for token in others] == [token in ranks for token in others]
    assert [ours.token(rank) for rank in range(len(tokens))] == tokens
    assert (len(ours), ours.highest) == (len(ranks), len(ranks) - 1)
    assert ours == ranks
    assert list(ours.items()) == list(ranks.items())
    assert [ours.get(token) for token in tokens + others] == [ranks.get(token) for token in tokens + others]


@pytest.mark.parametrize("order", ["bytes first", "bytes last", "bytes backwards"])
def test_the_compiled_encoder_takes_them_as_it_takes_the_dictionary(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    single, longer = [bytes([byte]) for byte in range(256)], [b"ab", b"bc", b"abc", b" ab"]
    tokens = {
        "bytes first": [*reversed(single[:9]), *single[9:], *longer],
        "bytes last": [*longer, *single],
        "bytes backwards": [*reversed(single), *longer],
    }[order]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    special, text = {"<end>": 300}, b"abc abab\x00\xffcab"

    def engine(vocabulary: Mapping[bytes, int]) -> CompiledEncoder:
        return CompiledEncoder(vocabulary, special, None, whole_pieces=True, split=make_split("gpt2"))

    expected = engine(ranks)
    if order != "bytes last":
        no_whole_vocabulary(monkeypatch)
    packed_ones = engine(unpack(pack(ranks)).vocabulary)
    ids = packed_ones.encode(text)
    assert ids.tolist() == expected.encode(text).tolist()
    assert packed_ones.decode(np.append(ids, 300)) == text + b"<end>"


def test_what_is_not_there_is_a_key_error() -> None:
    ours = unpack(pack(RANKS)).vocabulary
    with pytest.raises(KeyError):
        ours[b"abcd"]
    for rank in (-1, 258, 1 << 40, 1.5, None, "1"):
        with pytest.raises(KeyError, match=str(rank)):
            ours.token(rank)  # type: ignore[arg-type]
    assert "ab" not in ours


def test_many_lookups_make_it_a_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_MANY_LOOKUPS", 3)
    ours = unpack(pack(RANKS)).vocabulary
    assert [ours.get(b"abc") for _ in range(5)] == [257] * 5
    assert ours._whole == RANKS


def test_damage_anywhere_is_noticed() -> None:
    whole = pack({b"a": 0, b"bc": 1})
    unpack(whole)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        with pytest.raises(ValueError):
            unpack(bytes(damaged))
        with pytest.raises(ValueError):
            unpack(whole[:place])


def test_ranks_are_remembered_for_a_file_as_it_is_now(source: Path) -> None:
    assert recall_ranks(source, HASH) is None
    remember_ranks(source, HASH, RANKS)
    found = recall_ranks(source, HASH)
    assert found == RANKS
    assert recall_ranks(source, "6" * 64) is None
    times = source.stat()
    source.write_bytes(b"changed")  # of the same size
    assert recall_ranks(source, HASH) is None
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert recall_ranks(source, HASH) is None  # and with its old time


def test_a_file_of_this_very_moment_is_not_remembered_yet(source: Path) -> None:
    source.write_bytes(b"content")
    remember_ranks(source, HASH, RANKS)
    assert recall_ranks(source, HASH) is None


def test_a_damaged_cache_is_made_again(source: Path, own_home: Path) -> None:
    remember_ranks(source, HASH, RANKS)
    cached = own_home / "cache" / "vocabularies" / f"{HASH}.packed"
    cached.write_bytes(cached.read_bytes()[:-1])
    assert recall_ranks(source, HASH) is None
    remember_ranks(source, HASH, RANKS)
    assert recall_ranks(source, HASH) == RANKS
    cached.unlink()
    assert recall_ranks(source, HASH) is None
    assert {path.suffix for path in cached.parent.iterdir()} == {".seen"}  # nothing half written stays behind


def test_a_pipe_or_a_device_in_the_cache_is_not_read(source: Path, own_home: Path) -> None:
    for pattern in ("*.packed", "*.seen"):
        remember_ranks(source, HASH, RANKS)
        (kept,) = (own_home / "cache" / "vocabularies").glob(pattern)
        for put in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
            kept.unlink()
            put(kept)
            assert recall_ranks(source, HASH) is None


def test_where_nothing_can_be_written_the_answers_are_the_same(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPOINT_HOME", str(source))  # a file, so that no directory can be made in it
    remember_ranks(source, HASH, RANKS)
    assert recall_ranks(source, HASH) is None
    assert load_tokenizer("gpt2").encode("hello world") == [31373, 995]


@pytest.mark.parametrize("name", registry.RANKS)
def test_the_second_use_reads_no_ranks_and_gives_the_ids_of_tiktoken(
    name: str, monkeypatch: pytest.MonkeyPatch, both_engines: Callable[..., tuple[object, tiktoken.Encoding]]
) -> None:
    load_tokenizer(name)
    no_whole_vocabulary(monkeypatch)
    monkeypatch.setattr(registry, "ranks_from_member", None)
    ours, (_, theirs) = load_tokenizer(name), both_engines(name)
    text = "Antidisestablishmentarianism, naïve façades; 世界は 🌍!\n\n\tdef f(x): return x**31337  "
    assert ours.encode(text) == theirs.encode(text)
    assert ours.decode(theirs.encode(text)) == text
    assert ours.vocab_size == theirs.n_vocab
    assert (ours.layout, ours.count(text)) == ("other", len(theirs.encode(text)))
