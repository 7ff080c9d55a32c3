"""Counting pre-tokens: the compiled engine against Python's own Counter, in tables so small that all overflow."""

import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from tokenizer import compiled_counting
from tokenizer.compiled_counting import CompiledPreTokens, Table
from tokenizer.corpus import Chunk
from tokenizer.counting import PlainPreTokens, PreTokens, longest_of, stretches
from tokenizer.kernels import counting
from tokenizer.splits import NAMED_PATTERNS, make_split

PARTS = [b" the", b" a", b"\n\n", b"it's", b"  ", b"\xff", "é世界\u3000".encode(), b"\0", b"-" * 20, b"x" * 300, b"123"]


def some_documents(draws: random.Random, count: int = 8) -> list[bytes]:
    return [
        b"".join(draws.choice([draws.choice(PARTS), draws.randbytes(draws.randint(1, 19))]) for _ in range(60))
        for _ in range(count)
    ]


def counted(pre_tokens: PreTokens, documents: list[bytes]) -> PreTokens:
    for document in documents:
        pre_tokens.add(document)
    pre_tokens.finish()
    return pre_tokens


def facts(pre_tokens: PreTokens) -> tuple[object, ...]:
    return (
        pre_tokens.occurrences, pre_tokens.distinct, pre_tokens.learned_bytes, pre_tokens.left_out, pre_tokens.longest()
    )  # fmt: skip


def pieces_of(table: Table) -> Counter[bytes]:
    """What a table holds, read row by row."""
    rows = table.buffer(counting.ROWS).view(np.int64).reshape(-1, 4)
    pool = table.buffer(counting.POOL).array
    found: Counter[bytes] = Counter()
    for count, tag, first, second in rows[rows[:, 0] > 0].tolist():
        size = tag >> 32
        key = first.to_bytes(8, "little", signed=True) + second.to_bytes(8, "little", signed=True)
        piece = pool[first : first + size].tobytes() if size > 16 else key[: min(size, 8)] + key[24 - size :]
        found[piece if size > 8 else key[:size]] += count
    return found


@pytest.fixture
def tiny_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that must be poured out and grow all the time, and a pool that some pieces never fit into."""
    monkeypatch.setattr(compiled_counting, "_NEAR_ROWS", 2048)
    monkeypatch.setattr(compiled_counting, "_NEAR_POOL", 100)
    monkeypatch.setattr(compiled_counting, "_FAR_ROWS", 4)
    monkeypatch.setattr(compiled_counting, "_FAR_POOL", 8)
    monkeypatch.setattr(compiled_counting, "_PART_BYTES", 3000)


@pytest.mark.parametrize("split", [*NAMED_PATTERNS, r"\S+|\s+"])
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.usefixtures("tiny_tables")
def test_all_pieces_of_all_documents_are_counted(split: str, jobs: int) -> None:
    draws = random.Random(split)
    documents = [*some_documents(draws, 80), b"", b"last"]
    expected: Counter[bytes] = Counter()
    for document in documents:
        expected.update(document[start:end] for start, end in make_split(split).split_spans(document))
    compiled = CompiledPreTokens(make_split(split), None, jobs)
    counted(compiled, documents)
    assert pieces_of(compiled._far) == expected
    assert facts(compiled) == facts(counted(PlainPreTokens(make_split(split), None), documents))


@pytest.mark.parametrize("limit", [1, 3, 16, 17, 250])
@pytest.mark.usefixtures("tiny_tables")
def test_long_pieces_are_left_out_and_told(limit: int) -> None:
    documents = some_documents(random.Random(limit), 40)
    plain, compiled = (
        make(make_split("gpt2"), limit) for make in (PlainPreTokens, lambda *a: CompiledPreTokens(*a, 2))
    )
    expected = facts(counted(plain, documents))
    assert expected[3]
    assert facts(counted(compiled, documents)) == expected
    assert max(map(len, pieces_of(compiled._far))) <= limit  # type: ignore[attr-defined]


def test_pieces_that_differ_in_length_or_one_byte_only_are_told_apart() -> None:
    pieces = [b"\0" * size for size in range(1, 40)]
    for size in (1, 7, 8, 9, 15, 16, 17, 24, 25, 33):
        for place in range(size):
            pieces.append(b"\0" * place + b"\x01" + b"\0" * (size - place - 1))
    compiled = CompiledPreTokens(make_split(r"[\s\S]+"), None, 1)  # each document is a piece
    counted(compiled, pieces * 2)
    assert pieces_of(compiled._far) == {piece: 2 * pieces.count(piece) for piece in pieces}


def test_the_longest_come_in_an_order_of_their_own() -> None:
    found = [(bytes([65 + place]), 5 + place % 2) for place in range(26)]
    assert longest_of(found) == longest_of(reversed(found)) == [(letter.encode(), 6) for letter in "BDFHJLNPRT"]


def chunks(documents: list[bytes], draws: random.Random) -> Iterator[Chunk]:
    """Documents in chunks that end anywhere, even inside a character."""
    for document in documents:
        cuts = sorted(draws.choices(range(len(document) + 1), k=draws.randint(0, 9)))
        for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True):
            yield Chunk(document[start:end], ends_document=False)
        yield Chunk(b"", ends_document=True)


@pytest.mark.parametrize("split", NAMED_PATTERNS)
def test_what_is_counted_does_not_depend_on_the_chunks(split: str) -> None:
    draws = random.Random(split)
    for _ in range(30):
        documents = some_documents(draws, 5)
        whole = counted(PlainPreTokens(make_split(split), None), documents)
        compiled = CompiledPreTokens(make_split(split), None, 1)
        parts = list(stretches(chunks(documents, draws), compiled.safe_cut))
        assert b"".join(parts) == b"".join(documents)
        assert facts(counted(compiled, parts)) == facts(whole)


def test_documents_are_cut_where_that_is_safe_and_kept_whole_where_it_is_not() -> None:
    text = [
        Chunk(b"one two ", ends_document=False),
        Chunk(b"three", ends_document=True),
        Chunk(b"a b", ends_document=True),
    ]
    assert list(stretches(text, None)) == [b"one two three", b"a b"]
    assert list(stretches(text, lambda data: data.rfind(b" t"))) == [b"one", b" two three", b"a b"]


def test_a_document_that_cannot_be_cut_is_not_searched_again_and_again() -> None:
    searched = []

    def never(data: bytes) -> int:
        searched.append(len(data))
        return 0

    parts = [Chunk(b"x" * 100, ends_document=False)] * 1000 + [Chunk(b"", ends_document=True)]
    assert list(stretches(parts, never)) == [b"x" * 100_000]
    assert sum(searched) < 3 * 100_000
