"""Training on larger text, its options, and what can be wrong with a corpus."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rustbpe

from tokenizer import UsageError, UserError, train
from tokenizer.formats.huggingface import to_json
from tokenizer.splits import NAMED_PATTERNS
from tokenizer.training import document_paths, read_documents


@pytest.fixture(scope="module")
def large_documents() -> list[str]:
    """About 300 KB of made-up words in several scripts, common ones far more often, in documents of some lines."""
    generator = random.Random("large")
    scripts = ["etaoinshrdlucmfwypvbgkqjxz", "оеаинтсрвлкмдпу", "αοιετσνηυρπκ", "的一是不了人我在有他这", "0123456789"]
    words = []
    for script in scripts:
        weights = [1 / (rank + 1) for rank in range(len(script))]
        words += ["".join(generator.choices(script, weights, k=generator.randint(1, 9))) for _ in range(1200)]
    generator.shuffle(words)
    weights = [1 / (rank + 5) for rank in range(len(words))]
    documents = []
    while sum(len(document.encode()) for document in documents) < 300_000:
        chosen = generator.choices(words, weights, k=400)
        documents.append(
            "".join(word + generator.choice([" ", " ", " ", ", ", ".\n", "'s ", "  ", "\n\n"]) for word in chosen)
        )
    return documents


def test_a_large_text_gives_hugging_faces_file(
    large_documents: list[str], train_with_tokenizers: Callable[..., dict[str, Any]]
) -> None:
    ours = to_json(train(large_documents, vocab_size=2048, special_tokens=["<|end|>"]))
    theirs = train_with_tokenizers(large_documents, 2048, special_tokens=["<|end|>"])
    assert len(ours["model"]["merges"]) == 2048 - 257
    assert ours["model"]["merges"] == theirs["model"]["merges"]
    assert ours["model"]["vocab"] == theirs["model"]["vocab"]
    assert ours["added_tokens"] == theirs["added_tokens"]


def test_a_large_text_gives_rustbpes_ranks(large_documents: list[str]) -> None:
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter(large_documents), 2048, pattern=NAMED_PATTERNS["cl100k"])
    ours = train(large_documents, vocab_size=2048, split="cl100k", layout="bytes")
    assert ours.vocabulary == {bytes(token): rank for token, rank in theirs.get_mergeable_ranks()}


def test_layouts_place_special_tokens_and_bytes() -> None:
    hf = train(["low low lower"], vocab_size=260, special_tokens=["<|a|>", "<|b|>"])
    assert hf.special_tokens == {"<|a|>": 0, "<|b|>": 1}
    assert [hf.id_of(b"!"), hf.id_of(b"\xad"), hf.id_of(b"lo"), hf.layout] == [2, 257, 258, "hf"]
    by_value = train(["low low lower"], vocab_size=260, special_tokens=["<|a|>", "<|b|>"], layout="bytes")
    assert by_value.special_tokens == {"<|a|>": 258, "<|b|>": 259}
    assert [by_value.id_of(b"\x00"), by_value.id_of(b"\xff"), by_value.id_of(b"lo")] == [0, 255, 256]
    assert by_value.layout == "bytes"
    assert hf.vocab_size == by_value.vocab_size == 260


def test_a_corpus_that_runs_out_of_pairs_ends_early() -> None:
    tokenizer = train(["abcd"], vocab_size=5000)
    assert tokenizer.vocab_size == 259
    assert tokenizer.encode("abcd") == [258]
    assert train(["a"], vocab_size=300).vocab_size == 256
    assert train(["ab ab ac"], vocab_size=300, min_frequency=2).vocab_size == 257


def test_progress_tells_each_merge() -> None:
    seen: list[tuple[int, int, bytes]] = []
    train(["low low lower"], vocab_size=258, progress=lambda *news: seen.append(news))
    assert seen == [(1, 2, b"lo"), (2, 2, b"low")]


def test_documents_are_never_joined_and_bytes_are_kept() -> None:
    assert train(["ab"] * 5 + ["a", "b"] * 50, vocab_size=257).merges == [(b"a", b"b")]
    assert train(["a", "b"] * 50, vocab_size=300).merges == []
    assert train([b"\xff\xfe"], vocab_size=300).merges == [(b"\xff", b"\xfe")]


def test_counts_need_no_more_than_python_has() -> None:
    from tokenizer.reference import train_merges

    huge = 1 << 40  # where 32-bit counts would have wrapped
    assert next(train_merges({b"ab": huge, b"cd": 3}, byte_ids=range(256), first_id=256)) == (97, 98)


def test_no_merge_spells_a_special_token() -> None:
    tokenizer = train(["user user user"], vocab_size=300, special_tokens=["user"])
    assert tokenizer.id_of(b"user") is None
    assert tokenizer.decode(tokenizer.encode("user", special_as_text=True)) == "user"
    assert tokenizer.special_tokens["user"] not in tokenizer.encode("user", special_as_text=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 255}, "cannot hold 256 bytes and 0 special"),
        ({"vocab_size": 257, "special_tokens": ["<a>", "<b>"]}, "cannot hold 256 bytes and 2 special"),
        ({"vocab_size": 300, "special_tokens": ["<a>", "<a>"]}, "given twice"),
        ({"vocab_size": 300, "special_tokens": [""]}, "is empty"),
        ({"vocab_size": 300, "special_tokens": ["x"]}, "stands for a byte"),
        ({"vocab_size": 300, "special_tokens": ["\udcff!"]}, "is not text"),
        ({"vocab_size": 300, "layout": "rust"}, "no layout 'rust'"),
        ({"vocab_size": 300, "split": "gtp2"}, "no split is named"),
    ],
)
def test_options_that_cannot_be_met(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as failure:
        train(["some text"], **options)
    assert failure.value.hint


def test_the_smallest_possible_vocabulary_is_named() -> None:
    with pytest.raises(UsageError) as failure:
        train(["x"], vocab_size=100, special_tokens=["<a>"])
    assert "257" in failure.value.hint


def test_no_text_is_an_error() -> None:
    for documents in ([], [""], [b"", ""]):
        with pytest.raises(UserError, match="no text to learn from"):
            train(documents, vocab_size=300)
    with pytest.raises(UsageError, match="not a list"):
        train("one text", vocab_size=300)


def test_documents_are_files_and_what_directories_hold(tmp_path: Path) -> None:
    for name, content in {
        "b.txt": b"b",
        "a/z.txt": b"\xff",
        "a/.hidden": b"h",
        ".git/x": b"g",
        "a/y.txt": b"y",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    assert list(read_documents([tmp_path])) == [b"y", b"\xff", b"b"]
    assert document_paths([tmp_path / "b.txt", str(tmp_path / "a" / ".hidden")])[1].name == ".hidden"


def test_documents_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_documents([tmp_path / "missing.txt"])
    with pytest.raises(UserError, match="no files to read"):
        read_documents([tmp_path])
    with pytest.raises(UserError, match="no files to read"):
        read_documents([])
    locked = tmp_path / "locked.txt"
    locked.write_text("x")
    locked.chmod(0)
    if os.access(locked, os.R_OK):  # the superuser reads everything: take a file that vanishes instead
        documents = read_documents([locked])
        locked.unlink()
    else:
        documents = read_documents([locked])
    with pytest.raises(UserError, match=r"cannot read .*locked\.txt"):
        list(documents)


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UsageError, match="matches nothing in the text"):
        train(["some words", "and more"], vocab_size=300, split="[0-9]+")
    assert train(["some words", "and 1 more"], vocab_size=300, split="[0-9]+").vocab_size > 256
