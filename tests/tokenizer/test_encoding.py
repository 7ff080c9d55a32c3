"""Ids against tiktoken, exact bytes back, special tokens, offsets."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer import Tokenizer, UsageError, UserError, encoding, engines, plain_encoding
from tokenizer.registry import RANKS
from tokenizer.training import train_on

Texts = Callable[[int, str], Iterator[str]]
PROSE = """The quick brown fox's 3,141 dogs weren't lazy; they'd SLEPT.\n\n\tif (x == 0) { return "naïve façade"; }   \n
Привет, мир! 世界は広い。 नमस्ते दुनिया 🌍🎉  \r\n  שלום    """


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_on([PROSE * 3], vocab_size=330, special_tokens=["<|end|>", "<|end|>!", "[é]"])


@pytest.mark.parametrize("name", RANKS)
def test_ids_are_those_of_tiktoken(name: str, fuzz_texts: Texts, both_engines: Callable[..., tuple]) -> None:
    ours, theirs = both_engines(name)
    assert ours.encode(PROSE) == theirs.encode(PROSE)
    for text in fuzz_texts(4000, f"ids {name}"):
        ids = ours.encode(text)
        assert ids == theirs.encode_ordinary(text), ascii(text)
        assert ours.decode(ids) == text
    assert ours.vocab_size == theirs.n_vocab


@pytest.mark.parametrize("text", ["a" * 3000, " " * 3000, "ab" * 2000, "é" * 900, "世" * 500, "x1" * 300, "\n" * 400])
def test_long_pieces_are_those_of_tiktoken(text: str, both_engines: Callable[..., tuple]) -> None:
    for name in ("cl100k", "gpt2"):
        ours, theirs = both_engines(name)
        assert ours.encode(text) == theirs.encode_ordinary(text)


def test_a_hundred_thousand_times_one_letter(both_engines: Callable[..., tuple]) -> None:
    ours, theirs = both_engines("cl100k")
    text = "a" * 100_000  # quadratic work on this would run into the suite's time limit
    assert ours.encode(text) == theirs.encode_ordinary(text)


@pytest.fixture(params=["plain", "compiled"])
def either_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for threshold in ("MUCH_TEXT", "SOME_TEXT", "SHORT_TEXT"):
        monkeypatch.setattr(encoding, threshold, 0 if request.param == "compiled" else 1 << 62)


@pytest.mark.usefixtures("either_engine")
@pytest.mark.parametrize("name", ["gpt2", "cl100k"])
def test_pieces_are_taken_as_they_stand(
    name: str, fuzz_texts: Texts, both_engines: Callable[..., tuple], trained: Tokenizer
) -> None:
    ours, theirs = both_engines(name)
    pieces = [text.encode() for text in fuzz_texts(500, f"pieces {name}")]
    pieces += [b"", b"hello world", b"\n\n  \xff", b"a" * 300, *ours.pre_tokens(PROSE), b""]
    ids = ours.encode_pieces(pieces)
    assert ids == [theirs._encode_single_piece(piece) if piece else [] for piece in pieces]
    for piece, each in zip(pieces, ids, strict=True):
        assert ours.decode_tokens(each) == theirs.decode_tokens_bytes(each)
        assert b"".join(ours.decode_tokens(each)) == piece
    assert ours.encode_pieces([]) == []
    assert ours.decode_tokens(np.array(ids[-2], np.int32)) == ours.decode_tokens(ids[-2])
    assert trained.decode_tokens([trained.special_tokens["[é]"]]) == ["[é]".encode()]
    with pytest.raises(UserError, match="no token with the id 100000000"):
        ours.decode_tokens([1, 100_000_000])


@pytest.mark.usefixtures("either_engine")
@pytest.mark.parametrize("name", RANKS)
def test_lists_arrays_batches_and_counts_agree(
    name: str, fuzz_texts: Texts, both_engines: Callable[..., tuple]
) -> None:
    ours, theirs = both_engines(name)
    texts = [*fuzz_texts(200, f"faces {name}"), "", PROSE * 20]
    texts += ["<|endoftext|>".join(texts), "<|endoftext|>", "<|endoftext|>" * 3 + "a"]
    expected = [theirs.encode(text, allowed_special="all") for text in texts]
    for jobs in (1, 2, None):
        batch = ours.encode_batch(texts, allowed_special="all", jobs=jobs)
        assert [ids.tolist() for ids in batch] == expected
        assert {ids.dtype.name for ids in batch} == {"int32"}
    for text, ids in zip(texts, expected, strict=True):
        assert ours.encode(text, allowed_special="all") == ids
        assert ours.encode_array(text.encode(), allowed_special="all").tolist() == ids
        assert ours.count(text, allowed_special="all") == len(ids)
        assert ours.decode(ours.encode_array(text, allowed_special="all")) == text
    assert ours.encode_batch([]) == []
    for kind in (np.int32, np.uint32, np.int64, np.uint64):
        with pytest.raises(UserError, match="no token with the id 300000"):
            ours.decode(np.array([1, 300_000], kind))


def test_without_numba_the_ids_are_the_same_and_that_is_told_once(both_engines: Callable[..., tuple]) -> None:
    code = (
        "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = None; "
        "from tokenizer import Tokenizer, encoding; encoding.MUCH_TEXT = 0; "
        "one, other = Tokenizer.load('gpt2'), Tokenizer.load('gpt2'); "
        "print(*one.encode(sys.argv[1])); print(*other.encode_array(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, PROSE * 2], capture_output=True, text=True, check=True)
    expected = " ".join(map(str, both_engines("gpt2")[1].encode(PROSE * 2)))
    assert done.stdout.splitlines() == [expected, expected]
    assert done.stderr.count("RuntimeWarning") == 1
    assert "plain Python gives the same results" in done.stderr


def test_the_compiled_engine_is_asked_for_only_when_there_is_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(engines, "compiled_module", asked.append)
    monkeypatch.setattr(encoding, "MUCH_TEXT", 5000)
    monkeypatch.setattr(encoding, "SOME_TEXT", 5000)
    tokenizer = train_on([PROSE], vocab_size=300)
    for _ in range(9):
        tokenizer.encode(PROSE * 2)
    assert asked == []
    for _ in range(9):
        tokenizer.encode("short, even if there were many")
    assert asked == []
    for _ in range(9):
        tokenizer.count(PROSE * 2)
    assert asked == ["tokenizer.compiled_encoding"]


@pytest.mark.parametrize("engine", ["ready", "missing", "not compiled yet"])
@pytest.mark.parametrize(
    "text", ["ab" * 300, "<|endoftext|>".join(" ".join(f"xq{a}zj{b}" for a in "abcdefghij") * 9 for b in "klmnop")]
)
def test_the_compiled_engine_takes_over_where_plain_python_finds_much_to_merge(
    text: str, engine: str, both_engines: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = both_engines("gpt2")[1].encode(text, allowed_special="all")
    monkeypatch.setattr(encoding, "MUCH_MERGED", 300)
    monkeypatch.setattr(engines, "were_compiled", lambda: engine != "not compiled yet")
    modules = []

    def compiled_module(name: str) -> Any:
        modules.append(name)
        return None if engine == "missing" else importlib.import_module(name)

    monkeypatch.setattr(engines, "compiled_module", compiled_module)
    tokenizer = Tokenizer.load("gpt2")
    assert tokenizer.encode(" so many words" * 60) == both_engines("gpt2")[1].encode(" so many words" * 60)
    assert modules == []  # words that are tokens need no merging
    for _ in range(2):
        assert tokenizer.encode(text, allowed_special="all") == expected
        assert tokenizer.count(text, allowed_special="all") == len(expected)
        assert tokenizer.encode_array(text, allowed_special="all").tolist() == expected
        assert modules == ([] if engine == "not compiled yet" else ["tokenizer.compiled_encoding"])


@cache
def trained_on_bytes() -> Tokenizer:
    return train_on([PROSE, b"\xff\xfe\x00" * 9], vocab_size=300, layout="bytes", split="o200k")


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_come_back(data: bytes) -> None:
    tokenizer = trained_on_bytes()
    ids = tokenizer.encode(data, disallowed_special=())
    assert tokenizer.decode_bytes(ids) == data
    spans = tokenizer.offsets(data, disallowed_special=())
    assert [data[start:end] for start, end in spans] == [tokenizer.token_bytes(one) for one in ids]
    assert b"".join(tokenizer.pre_tokens(data)) == data
    assert tokenizer.pre_tokens(data, b"", "a b", data) == [
        *tokenizer.pre_tokens(data),
        *tokenizer.pre_tokens("a b"),
        *tokenizer.pre_tokens(data),
    ]


def test_what_is_no_text_is_refused(trained: Tokenizer) -> None:
    for wrong in (None, 1, ["a"], bytearray(b"a")):
        for method in (trained.encode, trained.count, trained.encode_array, trained.offsets, trained.pre_tokens):
            with pytest.raises(UsageError, match="is no text"):
                method(wrong)  # type: ignore[arg-type]
    for wrong in ("abc", b"abc"):
        with pytest.raises(UsageError, match="one text, not a list"):
            trained.encode_batch(wrong)


def test_an_unknown_id_is_named_with_the_range(both_engines: Callable[..., tuple]) -> None:
    ours, _ = both_engines("cl100k")
    for unknown in (-1, 100256, 100277):  # 100256 is a hole
        with pytest.raises(UserError, match=f"no token with the id {unknown}") as failure:
            ours.decode([1, unknown])
        assert "0 to 100276" in failure.value.hint


def test_offsets_in_bytes_and_in_characters(trained: Tokenizer) -> None:
    plain = train_on(["x"], vocab_size=256)
    assert plain.offsets("né") == [(0, 1), (1, 2), (2, 3)]
    assert plain.offsets("né", unit="characters") == [(0, 1), (1, 2), (1, 2)]
    assert plain.offsets(b"\xe9n", unit="characters") == [(0, 1), (1, 2)]
    assert plain.decode(plain.encode("é")[:1]) == "\ufffd"
    text = PROSE + "[é]<|end|>!"
    for unit, size in (("bytes", len(text.encode())), ("characters", len(text))):
        spans = trained.offsets(text, allowed_special="all", unit=unit)
        assert (spans[0][0], spans[-1]) == (0, (size - len("<|end|>!"), size))
    with pytest.raises(UsageError, match="not in 'words'"):
        trained.offsets(text, unit="words")  # type: ignore[arg-type]


def test_offsets_in_characters_are_those_of_tokenizers(tmp_path: Path, fuzz_texts: Texts) -> None:
    ours = train_on([PROSE * 3], vocab_size=330)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [PROSE, *fuzz_texts(500, "offsets")]:
        assert ours.offsets(text, unit="characters") == theirs.encode(text).offsets, ascii(text)


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_spans_of_characters_hold_the_bytes_of_the_token(text: str) -> None:
    tokenizer = trained_on_bytes()
    spans = tokenizer.offsets(text, unit="characters")
    for one, (start, end) in zip(tokenizer.encode(text), spans, strict=True):
        assert tokenizer.token_bytes(one) in text[start:end].encode("utf-8", "replace")
    assert all(other[0] in (one[1] - 1, one[1]) for one, other in pairwise(spans))


def test_ids_of_tokens(trained: Tokenizer) -> None:
    assert trained.id_of(b"a") == trained.encode("a")[0]
    assert trained.id_of(b"not a token") is None
    assert trained.id_of(b"<|end|>") is None
    assert trained.token_bytes(trained.special_tokens["[é]"]) == "[é]".encode()


def test_the_memory_of_pieces_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_on([PROSE], vocab_size=300)
    expected = tokenizer.encode(PROSE)
    monkeypatch.setattr(plain_encoding, "REMEMBERED_PIECES", 3)
    fresh = train_on([PROSE], vocab_size=300)
    assert fresh.encode(PROSE) == fresh.encode(PROSE) == expected
    assert len(fresh._plain._remembered) <= 3


def test_importing_the_package_loads_only_the_standard_library() -> None:
    # What else is there at start-up (path files of the environment) is not ours to judge.
    code = (
        "import sys; before = set(sys.modules); import tokenizer; new = set(sys.modules) - before; "
        "print([n for n in new if n.partition('.')[0] not in sys.stdlib_module_names | {'tokenizer'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_texts_that_nobody_else_keeps_are_encoded_whole() -> None:
    """A long text lends its bytes, so it must live until they are read."""
    tokenizer = Tokenizer.load("small")
    texts = [f"{letter} wörd " * 60_000 for letter in "abc"]
    expected = [tokenizer.encode(text) for text in texts]
    batch = tokenizer.encode_batch((f"{letter} wörd " * 60_000 for letter in "abc"), jobs=2)
    assert [ids.tolist() for ids in batch] == expected
