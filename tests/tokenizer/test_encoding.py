"""Ids against tiktoken, exact bytes back, special tokens, offsets."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer import Tokenizer, UsageError, UserError, encoding, train
from tokenizer.registry import RANKS

Texts = Callable[[int, str], Iterator[str]]
PROSE = """The quick brown fox's 3,141 dogs weren't lazy; they'd SLEPT.\n\n\tif (x == 0) { return "naïve façade"; }   \n
Привет, мир! 世界は広い。 नमस्ते दुनिया 🌍🎉  \r\n  שלום    """


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train([PROSE * 3], vocab_size=330, special_tokens=["<|end|>", "<|end|>!", "[é]"])


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


@cache
def trained_on_bytes() -> Tokenizer:
    return train([PROSE, b"\xff\xfe\x00" * 9], vocab_size=300, layout="bytes", split="o200k")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_come_back(data: bytes) -> None:
    tokenizer = trained_on_bytes()
    ids = tokenizer.encode(data, special_as_text=True)
    assert tokenizer.decode_bytes(ids) == data
    spans = tokenizer.offsets(data, special_as_text=True)
    assert [data[start:end] for start, end in spans] == [tokenizer.token_bytes(one) for one in ids]
    assert b"".join(tokenizer.pre_tokens(data)) == data


def test_special_tokens_are_refused_unless_spoken_for(trained: Tokenizer) -> None:
    text = "one<|end|>two"
    with pytest.raises(UserError, match=r"'<\|end\|>'.*at byte 3") as failure:
        trained.encode(text)
    assert "--allow-special" in failure.value.hint
    assert "--special-as-text" in failure.value.hint
    end = trained.special_tokens["<|end|>"]
    allowed = trained.encode(text, allowed_special={"<|end|>"})
    assert allowed == [*trained.encode("one"), end, *trained.encode("two")]
    assert trained.encode(text, allowed_special="all") == allowed
    as_text = trained.encode(text, special_as_text=True)
    assert end not in as_text
    assert trained.decode(as_text) == trained.decode(allowed) == text
    mixed = trained.encode("<|end|>[é]", allowed_special=["[é]"], special_as_text=True)
    assert mixed[-1] == trained.special_tokens["[é]"]
    assert end not in mixed
    assert trained.count(text, allowed_special="all") == len(allowed)


def test_the_longest_special_token_is_read(trained: Tokenizer) -> None:
    longer = trained.special_tokens["<|end|>!"]
    assert trained.encode("<|end|>!", allowed_special="all") == [longer]


def test_allowing_what_is_not_special_is_an_error(trained: Tokenizer) -> None:
    with pytest.raises(UsageError, match=r"'<\|fin\|>' is not a special token"):
        trained.encode("x", allowed_special={"<|fin|>"})


def test_special_tokens_of_published_vocabularies(both_engines: Callable[..., tuple]) -> None:
    ours, theirs = both_engines("cl100k")
    text = "a<|endoftext|> b<|fim_prefix|><|endofprompt|>\n"
    assert ours.encode(text, allowed_special="all") == theirs.encode(text, allowed_special="all")
    assert ours.encode(text, special_as_text=True) == theirs.encode_ordinary(text)


def test_an_unknown_id_is_named_with_the_range(both_engines: Callable[..., tuple]) -> None:
    ours, _ = both_engines("cl100k")
    for unknown in (-1, 100256, 100277):  # 100256 is a hole
        with pytest.raises(UserError, match=f"no token with the id {unknown}") as failure:
            ours.decode([1, unknown])
        assert "0 to 100276" in failure.value.hint


def test_offsets_are_bytes_and_parts_of_a_character_show(trained: Tokenizer) -> None:
    plain = train(["x"], vocab_size=256)
    assert plain.offsets("é") == [(0, 1), (1, 2)]
    assert plain.decode(plain.encode("é")[:1]) == "\ufffd"
    spans = trained.offsets(PROSE)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(PROSE.encode())
    assert all(one[1] == other[0] for one, other in pairwise(spans))


def test_ids_of_tokens(trained: Tokenizer) -> None:
    assert trained.id_of(b"a") == trained.encode("a")[0]
    assert trained.id_of(b"not a token") is None
    assert trained.id_of(b"<|end|>") is None
    assert trained.token_bytes(trained.special_tokens["[é]"]) == "[é]".encode()


def test_the_memory_of_pieces_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train([PROSE], vocab_size=300)
    expected = tokenizer.encode(PROSE)
    monkeypatch.setattr(encoding, "_REMEMBERED_PIECES", 3)
    fresh = train([PROSE], vocab_size=300)
    assert fresh.encode(PROSE) == fresh.encode(PROSE) == expected
    assert len(fresh._remembered) <= 3


def test_importing_the_package_loads_only_the_standard_library() -> None:
    # What else is there at start-up (path files of the environment) is not ours to judge.
    code = (
        "import sys; before = set(sys.modules); import tokenizer; new = set(sys.modules) - before; "
        "print([n for n in new if n.partition('.')[0] not in sys.stdlib_module_names | {'tokenizer'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
