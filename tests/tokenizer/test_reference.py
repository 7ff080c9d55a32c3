"""The readable engine against its worked examples, a slower and simpler engine, Hugging Face's trainer and rustbpe."""

import random
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import pytest
import rustbpe

from tokenizer import reference
from tokenizer.formats.huggingface import to_json
from tokenizer.splits import NAMED_PATTERNS
from tokenizer.training import train_on

TINY = 250


def tiny_corpus(generator: random.Random) -> list[str]:
    """A few words of very few letters: many ties, and many runs that overlap."""
    letters = generator.choice(["ab", "aA", "ab ", "aé", "世界", "a\n", "abc \u3000", "zyx0", "\U0001f30d\U0001f389 "])
    size = generator.randint(1, 40)
    return ["".join(generator.choice(letters) for _ in range(size)) for _ in range(generator.randint(1, 4))]


def test_the_worked_examples_hold() -> None:
    merges = reference.train_merges({b"low": 5, b"lower": 2}, byte_ids=range(256), first_id=256)
    assert list(merges) == [
        ((108, 111), 7, 2, 18),
        ((256, 119), 7, 2, 11),
        ((101, 114), 2, 1, 9),
        ((257, 258), 2, 1, 7),
    ]
    assert reference.merge([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2]
    ranks = {(b"l", b"o"): 0, (b"lo", b"w"): 1, (b"w", b"e"): 2}
    parts = reference.encode_piece(b"lowe", lambda *pair: ranks.get(pair, reference.NEVER))
    assert parts == [b"low", b"e"]
    assert reference.decode([257, 101], {257: b"low", 101: b"e"}) == b"lowe"


def test_training_is_a_plain_recount_after_every_merge() -> None:
    generator = random.Random("recount")
    for _ in range(60):
        words = {bytes(generator.choices(b"abc", k=generator.randint(1, 9))): generator.randint(1, 3) for _ in range(8)}
        rows = [[list(word), count] for word, count in words.items()]
        expected = []
        for new_id in range(256, 276):
            counts: dict[tuple[int, int], int] = {}
            for row, count in rows:
                for pair in pairwise(row):
                    counts[pair] = counts.get(pair, 0) + count
            if not counts:
                break
            best = min(counts, key=lambda pair: (-counts[pair], pair))
            expected.append(best)
            for entry in rows:
                entry[0] = reference.merge(entry[0], best, new_id)
        found = islice(reference.train_merges(words, byte_ids=range(256), first_id=256), 20)
        assert [merge.pair for merge in found] == expected


def test_merges_are_those_of_hugging_face(train_with_tokenizers: Callable[..., dict[str, Any]]) -> None:
    generator = random.Random("hugging face")
    learned = 0
    for _ in range(TINY):
        documents = tiny_corpus(generator)
        specials = generator.choice([[], ["<|end|>"], ["<|b|>", "<|a|>"]])
        minimum = generator.choice([0, 0, 2, 3])
        size = 256 + len(specials) + generator.randint(0, 30)
        theirs = train_with_tokenizers(documents, size, special_tokens=specials, min_frequency=minimum)["model"]
        ours = to_json(train_on(documents, vocab_size=size, special_tokens=specials, min_frequency=minimum))["model"]
        assert ours["merges"] == theirs["merges"], documents
        assert ours["vocab"] == theirs["vocab"], documents
        learned += len(ours["merges"])
    assert learned > TINY


@pytest.mark.parametrize("split", ["cl100k", "gpt2"])
def test_merges_are_those_of_rustbpe(split: str) -> None:
    generator = random.Random(split)
    learned = 0
    for _ in range(TINY):
        documents = tiny_corpus(generator)
        size = 256 + generator.randint(0, 30)
        theirs = rustbpe.Tokenizer()
        theirs.train_from_iterator(iter(documents), size, pattern=NAMED_PATTERNS[split])
        ours = train_on(documents, vocab_size=size, split=split, layout="bytes")
        assert ours.vocabulary == {bytes(token): rank for token, rank in theirs.get_mergeable_ranks()}, documents
        learned += len(ours.merges or ())
    assert learned > TINY


def test_long_pieces_are_cut_like_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random("long")
    vocabulary = train_on(
        ["".join(generator.choices("ab", k=400))], vocab_size=300, split=r"[ab]+", layout="bytes"
    ).vocabulary
    pieces = [bytes(generator.choices(b"ab", k=generator.randint(1, 90))) for _ in range(150)]

    def rank_of(left: bytes, right: bytes) -> int:
        return vocabulary.get(left + right, reference.NEVER)

    expected = [reference.encode_piece(piece, rank_of) for piece in pieces]
    assert any(len(parts) > 5 for parts in expected)
    monkeypatch.setattr(reference, "LONG_PIECE", 1)
    assert [reference.encode_piece(piece, rank_of) for piece in pieces] == expected


def test_merges_that_are_forbidden_are_not_made() -> None:
    ways = {"byte_ids": range(256), "first_id": 256}
    merges = reference.train_merges({b"abc": 9}, **ways, never=frozenset({b"ab"}))
    assert [merge.pair for merge in merges] == [(98, 99), (97, 256)]
    merges = reference.train_merges({b"abcd": 9}, **ways, max_token_bytes=2)
    assert [merge.pair for merge in merges] == [(97, 98), (99, 100)]
