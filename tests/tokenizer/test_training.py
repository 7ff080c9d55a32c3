"""Training on larger text, its options, and what can be wrong with a corpus."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rustbpe

from tokenizer import Tokenizer, UsageError, UserError, train, training
from tokenizer.corpus import Chunk, document_chunks
from tokenizer.formats.huggingface import to_json
from tokenizer.splits import NAMED_PATTERNS
from tokenizer.training import Engine, Layout, Progress, Training, learn, smaller, train_on


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
    ours = to_json(train_on(large_documents, vocab_size=2048, special_tokens=["<|end|>"]))
    theirs = train_with_tokenizers(large_documents, 2048, special_tokens=["<|end|>"])
    assert len(ours["model"]["merges"]) == 2048 - 257
    assert ours["model"]["merges"] == theirs["model"]["merges"]
    assert ours["model"]["vocab"] == theirs["model"]["vocab"]
    assert ours["added_tokens"] == theirs["added_tokens"]


def test_a_large_text_gives_rustbpes_ranks(large_documents: list[str]) -> None:
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter(large_documents), 2048, pattern=NAMED_PATTERNS["cl100k"])
    ours = train_on(large_documents, vocab_size=2048, split="cl100k", layout="bytes")
    assert ours.vocabulary == {bytes(token): rank for token, rank in theirs.get_mergeable_ranks()}


def test_layouts_place_special_tokens_and_bytes() -> None:
    hf = train_on(["low low lower"], vocab_size=260, special_tokens=["<|a|>", "<|b|>"])
    assert hf.special_tokens == {"<|a|>": 0, "<|b|>": 1}
    assert [hf.id_of(b"!"), hf.id_of(b"\xad"), hf.id_of(b"lo"), hf.layout] == [2, 257, 258, "hf"]
    by_value = train_on(["low low lower"], vocab_size=260, special_tokens=["<|a|>", "<|b|>"], layout="bytes")
    assert by_value.special_tokens == {"<|a|>": 258, "<|b|>": 259}
    assert [by_value.id_of(b"\x00"), by_value.id_of(b"\xff"), by_value.id_of(b"lo")] == [0, 255, 256]
    assert by_value.layout == "bytes"
    assert hf.vocab_size == by_value.vocab_size == 260


def test_a_corpus_that_runs_out_of_pairs_ends_early() -> None:
    tokenizer = train_on(["abcd"], vocab_size=5000)
    assert tokenizer.vocab_size == 259
    assert tokenizer.encode("abcd") == [258]
    assert train_on(["a"], vocab_size=300).vocab_size == 256
    assert train_on(["ab ab ac"], vocab_size=300, min_frequency=2).vocab_size == 257


def test_progress_tells_of_counting_and_of_merges() -> None:
    counted: list[int] = []
    merged: list[Progress] = []
    train_on(["low low", " lower"], vocab_size=258, on_count=counted.append, on_merge=merged.append)
    assert counted == [7, 13]
    assert merged == [Progress(1, 2, b"lo", 10, 13), Progress(2, 2, b"low", 7, 13)]


@pytest.mark.parametrize("engine", ["python", "compiled"])
def test_a_training_tells_what_it_did(engine: Engine) -> None:
    trained = learn(
        document_chunks(["low low lower", "x" * 300, ""]), vocab_size=258, engine=engine, max_pretoken_bytes=9
    )
    assert trained.tokenizer.merges == [(b"l", b"o"), (b"lo", b"w")]
    assert trained == Training(
        tokenizer=trained.tokenizer,
        pair_counts=[3, 3],
        words_touched=[3, 3],
        corpus_tokens=[10, 7],
        documents=3,
        corpus_bytes=313,
        pre_tokens=4,
        distinct_pre_tokens=3,
        longest_pre_tokens=[(b"x" * 200, 300), (b" lower", 6), (b" low", 4), (b"low", 3)],
        left_out=1,
        ended="complete",
        engine=engine,
    )


@pytest.mark.parametrize("engine", ["python", "compiled"])
def test_why_there_are_no_more_merges(engine: Engine) -> None:
    def ended(text: str, size: int, **options: Any) -> str:
        return learn(document_chunks([text]), vocab_size=size, engine=engine, **options).ended

    assert ended("low low", 257) == "complete"
    assert ended("low low", 300) == "no pairs left"
    assert ended("low low lower", 300, min_frequency=3) == "min frequency"
    assert ended("low low", 300, interrupted=lambda: True) == "interrupted"


def test_an_interrupted_training_keeps_what_it_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenizer import compiled_merging

    monkeypatch.setattr(compiled_merging, "_WORK", 1)  # a merge at a time
    whole = train_on(["low low lower lowest"], vocab_size=300)
    for engine in ("python", "compiled"):
        merged: list[Progress] = []
        cut = learn(
            document_chunks(["low low lower lowest"]),
            vocab_size=300,
            engine=engine,
            on_merge=merged.append,
            interrupted=lambda merged=merged: len(merged) == 3,
        )
        assert cut.ended == "interrupted"
        assert len(cut.pair_counts) == 3
        assert cut.tokenizer.merges == whole.merges[:3]


def test_both_engines_and_any_number_of_threads_give_the_same(large_documents: list[str]) -> None:
    trained = [
        learn(document_chunks(large_documents), vocab_size=1500, split=r"\p{L}+|\s+", engine=engine, jobs=jobs)
        for engine, jobs in (("python", 1), ("compiled", 1), ("compiled", 3))
    ]
    assert [one.engine for one in trained] == ["python", "compiled", "compiled"]
    merges = [one.tokenizer.merges for one in trained]
    assert merges[0] == merges[1] == merges[2]
    same = [replace(one, engine="python", tokenizer=trained[0].tokenizer) for one in trained]
    assert same[0] == same[1] == same[2]


def test_little_text_is_learned_without_the_compiled_engine_and_much_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [Chunk(b"low lower ", ends_document=False)] * 30 + [Chunk(b"", ends_document=True)]
    assert learn(chunks, vocab_size=300).engine == "python"
    monkeypatch.setattr(training, "LITTLE_TEXT", 100)
    much = learn(chunks, vocab_size=300)
    assert (much.engine, much.corpus_bytes, much.pair_counts[0]) == ("compiled", 300, 60)
    monkeypatch.setattr(training, "compiled_module", lambda _name: None)  # a machine without it
    without = learn(chunks, vocab_size=300)
    assert replace(without, engine="compiled", tokenizer=much.tokenizer) == much


def test_files_are_documents(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("low lower", encoding="utf-8")
    assert train([tmp_path], vocab_size=258, special_tokens=["<|end|>"], layout="bytes").merges == [(b"l", b"o")]


@pytest.mark.parametrize("layout", ["hf", "bytes"])
def test_a_smaller_tokenizer_is_the_one_that_less_training_gives(layout: Layout) -> None:
    def trained(size: int) -> Tokenizer:
        return train_on(["low low lower lowest"], vocab_size=size, layout=layout, special_tokens=["<|b|>", "<|a|>"])

    large = trained(265)
    for size in (258, 261, 265):
        expected, small = trained(size), smaller(large, size)
        assert small.vocabulary == expected.vocabulary
        assert small.merges == expected.merges
        assert small.special_tokens == expected.special_tokens
        assert (small.layout, small.split, small.vocab_size) == (layout, large.split, size)
    with pytest.raises(UsageError, match="cannot hold 256 bytes and 2 special"):
        smaller(large, 257)
    with pytest.raises(UsageError, match="has 265 ids, fewer than 266"):
        smaller(large, 266)


def test_documents_are_never_joined_and_bytes_are_kept() -> None:
    assert train_on(["ab"] * 5 + ["a", "b"] * 50, vocab_size=257).merges == [(b"a", b"b")]
    assert train_on(["a", "b"] * 50, vocab_size=300).merges == []
    assert train_on([b"\xff\xfe"], vocab_size=300).merges == [(b"\xff", b"\xfe")]


def test_counts_need_no_more_than_python_has() -> None:
    from tokenizer.reference import train_merges

    huge = 1 << 40  # where 32-bit counts would have wrapped
    assert next(train_merges({b"ab": huge, b"cd": 3}, byte_ids=range(256), first_id=256)).pair == (97, 98)


def test_no_merge_spells_a_special_token() -> None:
    tokenizer = train_on(["user user user"], vocab_size=300, special_tokens=["user"])
    assert tokenizer.id_of(b"user") is None
    assert tokenizer.decode(tokenizer.encode("user", disallowed_special=())) == "user"
    assert tokenizer.special_tokens["user"] not in tokenizer.encode("user", disallowed_special=())


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
        ({"vocab_size": 300, "max_token_bytes": 0}, "max_token_bytes cannot be 0"),
        ({"vocab_size": 300, "jobs": 0}, "jobs cannot be 0"),
        ({"vocab_size": "300"}, "'300' is no size"),
        ({"vocab_size": 300, "special_tokens": "<a>"}, "special tokens are a str"),
        ({"vocab_size": 300, "special_tokens": {"<a>"}}, "special tokens are a set"),
        ({"vocab_size": 300, "engine": "rust"}, "no engine 'rust'"),
    ],
)
def test_options_that_cannot_be_met(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as failure:
        train_on(["some text"], **options)
    assert failure.value.hint


def test_the_smallest_possible_vocabulary_is_named() -> None:
    with pytest.raises(UsageError) as failure:
        train_on(["x"], vocab_size=100, special_tokens=["<a>"])
    assert "257" in failure.value.hint


def test_no_text_is_an_error() -> None:
    for documents in ([], [""], [b"", ""]):
        with pytest.raises(UserError, match="no text to learn from"):
            train_on(documents, vocab_size=300)
    with pytest.raises(UsageError, match="not a list"):
        train_on("one text", vocab_size=300)


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UsageError, match="matches nothing in the text"):
        train_on(["some words", "and more"], vocab_size=300, split="[0-9]+")
    assert train_on(["some words", "and 1 more"], vocab_size=300, split="[0-9]+").vocab_size > 256
