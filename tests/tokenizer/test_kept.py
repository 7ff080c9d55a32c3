"""Tokenizers from the cache are those of the file, as long as the file is the same, and never a reason for an error."""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tests.gguf_files import gguf_file
from tokenizer import Tokenizer, UserError, load_tokenizer, packed, packed_cache
from tokenizer.compiled_encoding import CompiledEncoder
from tokenizer.formats import gguf, huggingface_reading, kept, tiktoken
from tokenizer.packed import MergesById, PackedMerges, PackedVocabulary, pack, unpack
from tokenizer.plain_encoding import PlainEncoder
from tokenizer.recipes import Recipes
from tokenizer.splits import make_split
from tokenizer.training import train_on

Texts = Callable[[int, str], Iterator[str]]
Merges = list[tuple[bytes, bytes]]
CORPUS = ["the cat's hat; the CAT sat at 1234 o'clock.\n\n that: that's\n" * 3, "мир и мир, 世界世界 🌍🌍 " * 4]
NEVER = -1


def some_merges(draws: random.Random) -> tuple[dict[bytes, int], Merges]:
    """Tokens with holes in their ids, some of them made in several ways, some in none; some bytes may have no token."""
    tokens = [bytes([byte]) for byte in range(256)]
    merges: Merges = []
    for _ in range(draws.choice((0, 10, 60))):
        left, right = draws.choice([*tokens[-30:], b"a", b"b"]), draws.choice([*tokens[-30:], b"a", b"b"])
        if (left, right) not in merges:
            merges.append((left, right))
            tokens += {left + right} - set(tokens)
    tokens += {draws.randbytes(5) for _ in range(draws.choice((0, 3)))} - set(tokens)
    unused = [token for token in tokens[:256] if not any(token in longer for longer in tokens[256:])]
    lacking = set(draws.sample(unused, draws.choice((0, 0, min(9, len(unused))))))
    tokens = [token for token in tokens if token not in lacking]
    ids = sorted(draws.sample(range(3 * len(tokens)), len(tokens)))
    if draws.random() < 0.3:
        draws.shuffle(merges)
    return dict(zip(tokens, ids, strict=True)), merges


def by_id(ids: dict[bytes, int], merges: Merges) -> MergesById:
    found = [(ids[left], ids[right], ids[left + right]) for left, right in merges]
    return MergesById(*([row[column] for row in found] for column in range(3)))


@given(st.randoms(use_true_random=False))
def test_packed_merges_are_the_merges(draws: random.Random) -> None:
    ids, merges = some_merges(draws)
    ours = unpack(pack(ids, by_id(ids, merges), {"a": [1, "é"]}))
    assert ours.details == {"a": [1, "é"]}
    assert ours.vocabulary == ids
    assert [ours.vocabulary.token(one) for one in ids.values()] == list(ids)
    for one in {*range(-1, max(ids.values()) + 2)} - set(ids.values()):
        with pytest.raises(KeyError):
            ours.vocabulary.token(one)
    assert ours.merges is not None
    assert [ours.merges[place] for place in range(len(merges))] == merges == ours.merges
    assert ours.merges[3:7] == merges[3:7]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    some = draws.sample(list(ids), 20)
    for left, right in [*merges, *((left, right) for left in some for right in some)]:
        assert ours.merges.rank(left, right, NEVER) == ranks.get((left, right), NEVER)
    for token in [*ids, b"no token"]:
        first = next((pair for pair in merges if pair[0] + pair[1] == token), None)
        assert ours.merges.recipe(token) == first


def test_many_ranks_make_them_a_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_MANY_LOOKUPS", 3)
    merges = unpack(pack({b"a": 0, b"b": 1, b"ab": 2}, MergesById([0], [1], [2]))).merges
    assert merges is not None
    assert [merges.rank(b"a", b"b", NEVER) for _ in range(5)] == [0] * 5
    assert [merges.rank(b"b", b"a", NEVER) for _ in range(5)] == [NEVER] * 5
    assert merges._ranks == {(b"a", b"b"): 0}


@given(st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_both_engines_take_packed_ones_as_they_take_others(
    draws: random.Random, listed: bool, whole_pieces: bool
) -> None:
    ids, every = some_merges(draws)
    merges = every if listed else None
    ours = unpack(pack(ids, by_id(ids, every) if listed else None))
    text = b"".join(draws.choices([*ids][-60:], k=40)) + bytes(byte for byte in range(256) if bytes([byte]) in ids)
    given = {"whole_pieces": whole_pieces, "split": make_split(r"[\s\S]{1,9}")}
    expected = PlainEncoder(ids, merges, **given).encode(text)
    assert PlainEncoder(ours.vocabulary, ours.merges, **given).encode(text) == expected
    for vocabulary, pairs in ((ours.vocabulary, ours.merges), (ids, merges)):
        compiled = CompiledEncoder(vocabulary, {"<end>": 5000}, pairs, **given)
        assert compiled.encode(text).tolist() == expected
        assert compiled.decode(compiled.encode(text)) == text
        for one in (-1, 4999):
            with pytest.raises(KeyError):
                compiled.decode(np.array([one]))


def test_a_part_that_is_no_token_cannot_be_packed() -> None:
    for left, right, made in ((0, 3, 2), (3, 1, 2), (0, 1, 3)):
        with pytest.raises(KeyError):
            pack({b"a": 0, b"b": 1, b"ab": 2}, MergesById([left], [right], [made]))


def test_damage_anywhere_is_noticed() -> None:
    whole = pack({b"a": 0, b"b": 7, b"ab": 9}, MergesById([0], [7], [9]), ["x"])
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        for wrong in (bytes(damaged), whole[:place]):
            with pytest.raises(ValueError):
                unpack(wrong)


# ------------------------------------------------------------------------------------------------------- the cache


@pytest.fixture(autouse=True)
def every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (huggingface_reading, tiktoken):
        monkeypatch.setattr(module, "LARGE", 0)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved.json"
    special = ["<|end|>", "<|start of text|>"]
    train_on(CORPUS, vocab_size=340, split=r"\p{L}+|\s+|[^\p{L}\s]{1,3}", special_tokens=special).save(path)
    content = json.loads(path.read_bytes())
    content["added_tokens"][0]["special"] = False
    content["pre_tokenizer"]["pretokenizers"].insert(0, {"type": "Digits", "individual_digits": True})
    path.write_text(json.dumps(content))
    return path


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the file was read again")

    monkeypatch.setattr(huggingface_reading, "parse_json", refuse)
    monkeypatch.setattr(gguf, "read_metadata", refuse)


def parts(tokenizer: Tokenizer) -> tuple[object, ...]:
    return (
        tokenizer.name, tokenizer.split, dict(tokenizer.vocabulary), list(tokenizer.vocabulary),
        tokenizer.special_tokens, list(tokenizer.merges or ()), tokenizer.whole_pieces, tokenizer.literal_tokens,
        tokenizer.vocab_size, tokenizer.layout, tokenizer.absent_bytes,
    )  # fmt: skip


def kept_files(home: Path) -> list[Path]:
    return sorted((home / "cache" / "vocabularies").glob("*.packed"))


def test_a_file_is_read_once(saved: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, fuzz_texts: Texts) -> None:
    first = load_tokenizer(str(saved))
    assert len(kept_files(own_home)) == 1
    no_reading(monkeypatch)
    second = load_tokenizer(str(saved))
    assert isinstance(second.vocabulary, PackedVocabulary)
    assert isinstance(second.merges, PackedMerges)
    theirs = tokenizers.Tokenizer.from_file(str(saved))
    for text in ["the<|end|> cat", *CORPUS, *fuzz_texts(200, "kept")]:
        ids = second.encode(text)
        assert ids == theirs.encode(text).ids == first.encode(text)
        assert second.decode(ids) == text
    recipes = Recipes(second)
    assert {left + right: (left, right) for left, right in reversed(second.merges)} == {
        token: recipe for token in second.vocabulary if (recipe := recipes.of(token))
    }
    monkeypatch.undo()
    unpacked = load_tokenizer(str(saved))
    assert isinstance(unpacked.vocabulary, dict)
    assert parts(unpacked) == parts(first) == parts(second)


def test_another_content_or_another_reader_is_read_anew(
    saved: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_tokenizer(str(saved))
    status = saved.stat()
    saved.write_text(saved.read_text().replace("<|end|>", "<|END|>"))  # of the same size
    os.utime(saved, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = load_tokenizer(str(saved))
    assert {"<|end|>", "<|END|>"} == {*before.special_tokens} ^ {*after.special_tokens}
    monkeypatch.setattr(kept, "_readers", lambda: b"another version")
    load_tokenizer(str(saved))
    assert len(kept_files(own_home)) == 3


def test_what_is_refused_is_refused_each_time(saved: Path, own_home: Path) -> None:
    saved.write_text(saved.read_text().replace('"dropout": null', '"dropout": 0.5'))
    for _ in range(2):
        with pytest.raises(UserError, match="dropout"):
            load_tokenizer(str(saved))
    assert not kept_files(own_home)


@pytest.mark.parametrize("damage", ["cut", "changed", "directory", "no place"])
def test_a_cache_that_cannot_be_used_is_done_without(
    damage: str, saved: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = parts(load_tokenizer(str(saved)))
    (file,) = kept_files(own_home)
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[:-1])
    elif damage == "changed":
        file.write_bytes(content[:-9] + b"x" + content[-8:])
    elif damage == "directory":
        file.unlink()
        file.mkdir()
    else:
        monkeypatch.setenv("NEEDLEPOINT_HOME", str(saved))
    for _ in range(2):
        assert parts(load_tokenizer(str(saved))) == expected
    if damage in ("cut", "changed"):
        assert file.read_bytes() == content
    assert not list(file.parent.glob(".*"))  # nothing half written stays behind


def test_a_merge_of_a_special_token_is_read_each_time(saved: Path, own_home: Path) -> None:
    content = json.loads(saved.read_bytes())
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    for text in ("<|x|>", "t<|x|>"):
        vocabulary[text] = max(vocabulary.values()) + 1
    merges.append(["t", "<|x|>"])
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    content["added_tokens"].append({"id": vocabulary["<|x|>"], "content": "<|x|>", **added})
    saved.write_text(json.dumps(content))
    theirs = tokenizers.Tokenizer.from_file(str(saved))
    for _ in range(2):
        ours = load_tokenizer(str(saved))
        assert ours.encode("that t<|x|>", allowed_special="all") == theirs.encode("that t<|x|>").ids
    assert not kept_files(own_home)


def test_no_more_is_kept_than_is_used(saved: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_cache, "_MOST_KEPT", 2)
    load_tokenizer(str(saved))
    (oldest,) = kept_files(own_home)
    for number in range(3):
        for file in kept_files(own_home):
            os.utime(file, (1_700_000_000 + number, 1_700_000_000 + number))
        load_tokenizer(str(saved))  # is used, so that it stays
        packed_cache.keep(f"{number}" * 64, pack({b"a": 0}))
    assert kept_files(own_home) == sorted([oldest, oldest.with_name(f"{'2' * 64}.packed")])


def test_a_models_tokenizer_is_read_once_while_the_file_is_the_same(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train_on(CORPUS, vocab_size=300, special_tokens=["<|end|>", "<|start|>"])
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_file(trained, "smollm"))
    fresh = parts(load_tokenizer(str(path)))
    assert not kept_files(own_home)  # it may still be written to at this very moment
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert parts(load_tokenizer(str(path))) == fresh
    with monkeypatch.context() as patched:
        no_reading(patched)
        assert parts(load_tokenizer(str(path))) == fresh
    times = path.stat()
    other = train_on(CORPUS, vocab_size=300, special_tokens=["<|END|>", "<|START|>"])
    path.write_bytes(gguf_file(other, "smollm"))
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load_tokenizer(str(path)).special_tokens == other.special_tokens
    assert len(kept_files(own_home)) == 2


@pytest.mark.parametrize("change", [lambda path: os.utime(path, (1_700_000_001, 1_700_000_001)), Path.unlink])
def test_a_file_that_changes_while_it_is_read_is_not_kept(
    change: Callable[[Path], None], tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_file(train_on(CORPUS, vocab_size=300), "smollm"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    read_metadata = gguf.read_metadata

    def written_meanwhile(*arguments: Any) -> Any:
        found = read_metadata(*arguments)
        change(path)
        return found

    monkeypatch.setattr(gguf, "read_metadata", written_meanwhile)
    load_tokenizer(str(path))
    assert not kept_files(own_home)


def test_all_tokens_are_in_the_order_of_ids_the_first_time_too(tmp_path: Path, own_home: Path) -> None:
    path = tmp_path / "backwards.tiktoken"
    train_on(CORPUS, vocab_size=330, layout="bytes", split="gpt2").save(path)
    path.write_bytes(b"\n".join(reversed(path.read_bytes().splitlines())))
    first, second = (load_tokenizer(f"{path}?split=gpt2").vocabulary for _ in range(2))
    assert len(kept_files(own_home)) == 1
    assert list(first.items()) == list(second.items())
    assert list(first.values()) == list(range(len(first)))


def test_a_tiktoken_file_is_read_once_as_long_as_it_is_the_same(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved.tiktoken"
    train_on(CORPUS, vocab_size=330, layout="bytes", split="gpt2").save(path)
    name = f"{path}?split=gpt2&special=<|end|>=400"
    first = load_tokenizer(name)
    assert len(kept_files(own_home)) == 1
    with monkeypatch.context() as patched:
        no_reading(patched)
        patched.setattr(tiktoken, "parse_ranks", None)
        second = load_tokenizer(name)
        other = load_tokenizer(f"{path}?split=cl100k")
    assert isinstance(second.vocabulary, PackedVocabulary)
    ranks = tiktoken.parse_ranks(path.read_bytes(), "the file")
    assert first.vocabulary == second.vocabulary == other.vocabulary == ranks
    assert (second.special_tokens, other.special_tokens) == ({"<|end|>": 400}, {})
    with pytest.raises(UserError, match="another token has it"):
        load_tokenizer(f"{path}?split=gpt2&special=<|end|>=300")
    path.write_bytes(path.read_bytes().rsplit(b"\n", 2)[0] + b"\n")  # without the last rank
    assert len(load_tokenizer(name).vocabulary) == len(ranks) - 1
    monkeypatch.setattr(tiktoken, "LARGE", 1 << 20)
    assert isinstance(load_tokenizer(name).vocabulary, dict)
