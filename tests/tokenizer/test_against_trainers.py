"""The compiled trainer against Hugging Face's and rustbpe: on real text, and on small corpora full of ties.

Small here; `make verify` (NEEDLEPOINT_FUZZ) takes 32 MB at vocabulary 32768, and a thousand corpora.
"""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import rustbpe

from tests.bench.corpora import MEGABYTE, mixed
from tests.tokenizer.conftest import FUZZ
from tokenizer.byte_alphabet import to_letters
from tokenizer.corpus import document_chunks
from tokenizer.splits import NAMED_PATTERNS
from tokenizer.training import Training, learn

SIZE, VOCABULARY = (32 * MEGABYTE, 32768) if FUZZ else (MEGABYTE // 3, 2048)
CORPORA = FUZZ // 100 or 60


@cache
def documents() -> list[str]:
    """Prose, code and many languages, in documents of about fifty kilobytes."""
    text = mixed(SIZE).decode("utf-8", "ignore")
    return [text[start : start + 50_000] for start in range(0, len(text), 50_000)]


def compiled(texts: list[str], **options: Any) -> Training:
    return learn(document_chunks(texts), engine="compiled", **options)


def merges_of(trained: Training) -> list[list[str]]:
    assert trained.engine == "compiled"
    return [[to_letters(left), to_letters(right)] for left, right in trained.tokenizer.merges or ()]


@pytest.mark.timeout(1800)
def test_real_text_gives_hugging_faces_merges_with_any_number_of_threads(
    train_with_tokenizers: Callable[..., dict[str, Any]],
) -> None:
    theirs = train_with_tokenizers(documents(), VOCABULARY)["model"]["merges"]
    assert len(theirs) == VOCABULARY - 256
    for jobs in (1, 2):
        assert merges_of(compiled(documents(), vocab_size=VOCABULARY, jobs=jobs)) == theirs


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("split", NAMED_PATTERNS)
def test_real_text_gives_rustbpes_ranks(split: str) -> None:
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter(documents()), VOCABULARY, pattern=NAMED_PATTERNS[split])
    ours = compiled(documents(), vocab_size=VOCABULARY, split=split, layout="bytes").tokenizer
    assert ours.vocabulary == {bytes(token): rank for token, rank in theirs.get_mergeable_ranks()}


def test_small_corpora_full_of_ties_give_the_merges_of_both(
    train_with_tokenizers: Callable[..., dict[str, Any]],
) -> None:
    draws = random.Random("ties")
    for _ in range(CORPORA):
        letters = draws.choice(["ab", "abc", "aé世", "aaab \n", "01 '"])
        texts = ["".join(draws.choices(letters, k=draws.randint(0, 60))) for _ in range(draws.randint(1, 6))] + ["ab"]
        size = 256 + draws.choice([1, 5, 30, 100])
        frequency = draws.choice([0, 0, 2])
        theirs = train_with_tokenizers(texts, size, min_frequency=frequency)
        ours = merges_of(compiled(texts, vocab_size=size, min_frequency=frequency))
        assert ours == theirs["model"]["merges"], texts
        other = rustbpe.Tokenizer()
        other.train_from_iterator(iter(texts), size, pattern=NAMED_PATTERNS["gpt2"])
        ranks = {bytes(token): rank for token, rank in other.get_mergeable_ranks()}
        assert compiled(texts, vocab_size=size, layout="bytes").tokenizer.vocabulary == ranks, texts
