"""Learning merges: the compiled engine against the readable one, with buffers so small that each must grow."""

import random
from typing import Any

import numpy as np
import pytest

from tokenizer import compiled_merging
from tokenizer.compiled_counting import CompiledPreTokens
from tokenizer.counting import PlainPreTokens
from tokenizer.kernels import counting, pairs
from tokenizer.reference import Merge, train_merges
from tokenizer.splits import make_split

WORDS = make_split(r"\S+|\s+")
BYTES: dict[str, Any] = {"byte_ids": range(256), "first_id": 256}
PLAIN: dict[str, Any] = {**BYTES, "min_frequency": 0, "max_token_bytes": None, "never": frozenset()}


def some_text(draws: random.Random) -> bytes:
    """Few letters and long runs: ties, overlaps, pairs that follow themselves."""
    letters = draws.choice(["ab", "aab ", "abc ", "世界 ", "aaaaaaab ", "abcdefgh "])
    return "".join(draws.choices(letters, k=draws.randint(1, 300))).encode()


def learned(text: bytes, wanted: int, **options: Any) -> list[Merge]:
    pre_tokens = CompiledPreTokens(WORDS, None, 1)
    pre_tokens.add(text)
    pre_tokens.finish()
    return [merge for batch in pre_tokens.learn(wanted, **{**PLAIN, **options}) for merge in batch]


def expected(text: bytes, wanted: int, **options: Any) -> list[Merge]:
    pre_tokens = PlainPreTokens(WORDS, None)
    pre_tokens.add(text)
    pre_tokens.finish()
    return [merge for batch in pre_tokens.learn(wanted, **{**PLAIN, **options}) for merge in batch]


def test_merges_and_what_they_did_are_those_of_the_readable_engine() -> None:
    draws = random.Random("merges")
    for _ in range(150):
        text, wanted = some_text(draws), draws.choice([1, 5, 60, 1000])
        options = {
            "byte_ids": draws.choice([range(256), range(255, -1, -1)]),
            "min_frequency": draws.choice([0, 0, 2, 7]),
            "max_token_bytes": draws.choice([None, None, 1, 2, 5]),
            "never": draws.choice([frozenset(), {b"ab", b"aaaa"}, {b"aa"}]),
        }
        assert learned(text, wanted, **options) == expected(text, wanted, **options), (text, options)


@pytest.mark.parametrize(
    "tight",
    [
        {"_FIRST_ROWS": 2},  # the table of pairs fills
        {"_SPARE_PLACES": 0},  # the room for places fills
        {"_FIRST_FLOOR": 0.001},  # the floor is so high that it must be lowered again and again
        {"_WORK": 1},  # after each merge back to Python
        {"_FIRST_ROWS": 2, "_SPARE_PLACES": 0, "_FIRST_FLOOR": 0.01, "_WORK": 20},
    ],
)
def test_growing_and_counting_again_change_nothing(monkeypatch: pytest.MonkeyPatch, tight: dict[str, float]) -> None:
    for name, value in tight.items():
        monkeypatch.setattr(compiled_merging, name, value)
    draws = random.Random("tight")
    for _ in range(20):
        text = b" ".join(some_text(draws) for _ in range(10))
        assert learned(text, 400) == expected(text, 400), text


def test_a_table_that_grows_keeps_only_what_still_matters_and_so_does_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    make_rows = compiled_merging._Words.make_rows
    sizes = []

    def watched(words: Any) -> None:
        make_rows(words)
        sizes.append((words[pairs.HEAP_SIZE], words[pairs.USED], words[pairs.LIMIT]))

    monkeypatch.setattr(compiled_merging._Words, "make_rows", watched)
    monkeypatch.setattr(compiled_merging, "_FIRST_ROWS", 2)
    assert len(learned(bytes(random.Random(1).choices(b"abcd", k=50_000)), 3000)) == 3000
    assert len(sizes) > 3
    assert all(waiting == used <= limit for waiting, used, limit in sizes)


def test_counts_have_64_bits() -> None:
    pre_tokens = CompiledPreTokens(WORDS, None, 1)
    pre_tokens.add(b"ab " * 3 + b"cd " * 5 + b"xy")
    pre_tokens.finish()
    pre_tokens._far.buffer(counting.ROWS).view(np.int64)[::4] *= 1 << 40
    merges = [merge for batch in pre_tokens.learn(9, **PLAIN) for merge in batch]
    counts = {b"ab": 3 << 40, b" ": 8 << 40, b"cd": 5 << 40, b"xy": 1 << 40}
    assert merges == list(train_merges(counts, **BYTES))
    assert merges[0].frequency == 5 << 40


def test_one_long_run_is_halved_and_halved() -> None:
    merges = learned(b"a" * 100_001, 40)
    assert [merge.frequency for merge in merges[:3]] == [100_000, 49_999, 24_999]
    assert merges == expected(b"a" * 100_001, 40)
