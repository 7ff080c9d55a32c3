"""The compiled encoder against tiktoken, `tokenizers` and our own plain Python, which it must equal always."""

import json
import random
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest
import tokenizers

from tokenizer import Tokenizer, compiled_encoding, text_parts
from tokenizer.compiled_encoding import CompiledEncoder, Unsupported
from tokenizer.compiled_vocabulary import Vocabulary
from tokenizer.kernels import vocabulary as tables
from tokenizer.plain_encoding import PlainEncoder
from tokenizer.registry import RANKS
from tokenizer.splits import as_bytes, make_split
from tokenizer.training import train_on

Texts = Callable[[int, str], Iterator[str]]
BYTES = {bytes([byte]): byte for byte in range(256)}
PROSE = """The quick brown fox's 3,141 dogs weren't lazy; they'd SLEPT otherworldliness.\n\n\tif (x == 0) { return; }
Привет, достопримечательности! 世界は広い。 नमस्ते दुनिया 🌍🎉  \r\n  שלום    """
LONG = ["a" * 3000, " " * 3000, "ab" * 2000, "é" * 900, "世" * 500, "x1" * 300, "\n" * 400, "\t \n" * 500, "=" * 257]


def compiled(tokenizer: Tokenizer) -> CompiledEncoder:
    return CompiledEncoder(
        tokenizer.vocabulary,
        tokenizer.special_tokens,
        tokenizer.merges,
        whole_pieces=tokenizer.whole_pieces,
        split=tokenizer.split,
    )


def both(
    vocabulary: dict[bytes, int], merges: list[tuple[bytes, bytes]] | None, *, whole_pieces: bool, split: str = "gpt2"
) -> tuple[CompiledEncoder, PlainEncoder]:
    engines = (
        engine(vocabulary, *middle, merges, whole_pieces=whole_pieces, split=make_split(split))
        for engine, middle in ((CompiledEncoder, [{}]), (PlainEncoder, []))
    )
    return tuple(engines)


def random_letters(draws: random.Random, letters: str, most: int) -> str:
    return "".join(draws.choices(letters, k=draws.randint(0, most)))


@pytest.mark.parametrize("name", RANKS)
def test_ids_are_those_of_tiktoken(name: str, fuzz_texts: Texts, both_engines: Callable[..., tuple[Any, Any]]) -> None:
    ours, theirs = both_engines(name)
    encoder = compiled(ours)
    draws = random.Random(name)
    words = [random_letters(draws, "etaoin shrdluETAOIN", 150) for _ in range(300)]  # most are long and not words
    for text in [PROSE, *LONG, *words]:
        assert encoder.encode(text.encode()).tolist() == theirs.encode_ordinary(text), ascii(text)
    texts = list(fuzz_texts(4000, f"compiled {name}"))
    ids, ends = encoder.encode_many([text.encode() for text in texts])
    expected = theirs.encode_ordinary_batch(texts, num_threads=1)
    assert [part.tolist() for part in np.split(ids, ends[:-1])] == expected
    assert encoder.decode(ids) == "".join(texts).encode()
    assert sum(encoder.count(text.encode()) for text in texts[:500]) == ends[499]


@pytest.mark.parametrize("name", RANKS)
def test_bytes_that_are_no_text(name: str, both_engines: Callable[..., tuple[Any, Any]]) -> None:
    ours, _ = both_engines(name)
    encoder = compiled(ours)
    plain = PlainEncoder(ours.vocabulary, ours.merges, whole_pieces=ours.whole_pieces, split=ours.split)
    draws = random.Random(7)
    for _ in range(300):
        data = b"".join(
            draws.choice([draws.randbytes(4), b" the", "é世".encode()]) for _ in range(draws.randint(0, 12))
        )
        assert encoder.encode(data).tolist() == plain.encode(data), data
        assert encoder.decode(encoder.encode(data)) == data


def test_a_trained_file_gives_the_ids_of_tokenizers(
    tmp_path: Any, fuzz_texts: Texts, train_with_tokenizers: Callable[..., dict[str, Any]]
) -> None:
    content = train_with_tokenizers([PROSE * 2, *LONG, "low lower lowest newer wider"], 500)
    path = tmp_path / "trained.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    theirs = tokenizers.Tokenizer.from_file(str(path))
    from tokenizer.registry import load_tokenizer

    encoder = compiled(load_tokenizer(str(path)))
    for text in [PROSE, *LONG, *fuzz_texts(2000, "compiled trained")]:
        assert encoder.encode(text.encode()).tolist() == theirs.encode(text, add_special_tokens=False).ids, ascii(text)


@pytest.mark.parametrize("by_rank", [True, False])
def test_vocabularies_in_disorder(by_rank: bool) -> None:
    """Tokens of several recipes or of none, merges out of order or twice: all that has no linear way."""
    draws = random.Random(by_rank)
    for number in range(60):
        tokens = {random_letters(draws, "aab", 6).encode() for _ in range(draws.randint(1, 25))} - set(BYTES) - {b""}
        ids = draws.sample(range(256, 600), len(tokens))
        vocabulary = BYTES | dict(zip(sorted(tokens), ids, strict=True))
        merges = None
        if not by_rank:
            merges = [(one[:cut], one[cut:]) for one in tokens for cut in range(1, len(one)) if draws.random() < 0.7]
            merges = [pair for pair in merges if set(pair) <= set(vocabulary)]
            draws.shuffle(merges)
            merges += merges[:2]
        encoder, plain = both(vocabulary, merges, whole_pieces=number % 2 == 0)
        for most in (5, 20, 70, 150, 400):
            text = random_letters(draws, "aaaab ", most).encode()
            assert encoder.encode(text).tolist() == plain.encode(text), (vocabulary, merges, text)


def test_too_many_merges_are_refused_before_all_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [*BYTES, *(b"a" * size for size in range(2, 40)), b"zqz"]  # nothing makes the last one
    number = {token: place for place, token in enumerate(tokens)}
    vocabulary = Vocabulary(number, {}, None, whole_pieces=False)
    pairs = {
        (number[token[:cut]], number[token[cut:]], number[token])
        for token in tokens
        for cut in range(1, len(token))
        if token[:cut] in number and token[cut:] in number
    }
    found = [tuple(row) for row in vocabulary._pairs_by_sum().tolist()]
    assert len(found) == len(set(found)) == len(pairs)
    assert set(found) == pairs
    monkeypatch.setattr(tables, "MOST_NUMBERS", 300)
    assert len(vocabulary._pairs_by_sum()) == 300 < len(pairs)
    with pytest.raises(Unsupported, match="too many merges"):
        Vocabulary(number, {}, None, whole_pieces=False)


@pytest.mark.parametrize("split", [r"\S+|\s+", r"\p{L}+|\s|.", r"[\s\S]+", "gpt2", "o200k"])
def test_any_split(split: str, both_engines: Callable[..., tuple[Any, Any]]) -> None:
    ours, _ = both_engines("gpt2")
    encoder, plain = both(dict(ours.vocabulary), None, whole_pieces=True, split=split)
    documents = [PROSE.encode(), b"", b"\xff a", *(text.encode() for text in LONG)]
    expected = [plain.encode(document) for document in documents]
    assert [encoder.encode(document).tolist() for document in documents] == expected
    assert [encoder.count(document) for document in documents] == [len(ids) for ids in expected]
    for jobs in (1, 2):
        ids, ends = encoder.encode_many(documents, jobs)
        assert [part.tolist() for part in np.split(ids, ends[:-1])] == expected


@pytest.mark.parametrize("split", ["cl100k", r"\S+|\s+"])
def test_threads_change_nothing(
    split: str, both_engines: Callable[..., tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_parts, "PART", 50)
    monkeypatch.setattr(text_parts, "NEAR", 20)
    ours, _ = both_engines("cl100k")
    encoder, plain = both(dict(ours.vocabulary), None, whole_pieces=True, split=split)
    documents = [(PROSE * 3).encode(), b"", b" " * 500 + b"x" * 900, PROSE.encode()[:-7]]
    expected = [plain.encode(document) for document in documents]
    for jobs in (1, 2, 3, 16):
        assert [encoder.encode(document, jobs).tolist() for document in documents] == expected
        assert [encoder.count(document, jobs) for document in documents] == [len(ids) for ids in expected]
        ids, ends = encoder.encode_many(documents * 4, jobs)
        assert [part.tolist() for part in np.split(ids, ends[:-1])] == expected * 4


@pytest.mark.parametrize("split", ["gpt2", "cl100k", "o200k", r"\S+|\s+", r"\d+", r"\b\w+"])
def test_pre_tokens_are_those_of_the_split(split: str, fuzz_texts: Texts) -> None:
    encoder, _ = both(BYTES, None, whole_pieces=True, split=split)
    cut = make_split(split)
    texts = [PROSE * 30, *LONG, *fuzz_texts(300, f"pre-tokens {split}")]
    every = [*(text.encode() for text in texts if text), random.Random(5).randbytes(5000)]
    expected = [[data[start:end] for start, end in cut.split_spans(data)] for data in every]
    assert [encoder.pre_tokens([data]) for data in every] == expected
    assert encoder.pre_tokens(every) == list(chain(*expected))
    assert encoder.pre_tokens([]) == []


@pytest.mark.parametrize("split", ["gpt2", "cl100k", "o200k"])
def test_strings_are_cut_where_it_changes_nothing(
    split: str, both_engines: Callable[..., tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_parts, "PART", 50)
    monkeypatch.setattr(text_parts, "NEAR", 20)
    monkeypatch.setattr(compiled_encoding, "_STRETCH", 7)
    ours, _ = both_engines("cl100k")
    encoder, plain = both(dict(ours.vocabulary), None, whole_pieces=True, split=split)
    draws = random.Random(11)
    for text in [PROSE * 2, "\ud83d\ude00 " * 60, "a\ud800" * 70, "世界\n" * 80, "世" * 300, ""]:
        assert encoder.encode(text).tolist() == plain.encode(as_bytes(text))
    for _ in range(100):
        text = random_letters(draws, " \n\r\t/a1'sé世🌍\u3000\x85\ud800\udc00", 400)
        expected = plain.encode(as_bytes(text))
        assert encoder.encode(text, 2).tolist() == expected
        assert encoder.encode(as_bytes(text)).tolist() == expected
        ids, ends = encoder.encode_many([text, text[:30]])
        assert ids[: ends[0]].tolist() == expected


def test_a_full_cache_forgets_and_gives_the_same_ids(
    both_engines: Callable[..., tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_encoding, "_LINE_BITS", (2, 3, 6))
    monkeypatch.setattr(compiled_encoding, "_POOL_SIZE", 2000)
    ours, theirs = both_engines("cl100k")
    encoder = compiled(ours)
    draws = random.Random(3)
    words = [random_letters(draws, "abcdefgéü", 40) for _ in range(3000)]
    for _ in range(3):
        text = " ".join(draws.choices(words, k=4000))
        assert encoder.encode(text.encode()).tolist() == theirs.encode_ordinary(text)


def test_tokens_may_be_as_long_as_a_document() -> None:
    ours = train_on(["aab" * 30_000], vocab_size=600)
    settings = {"whole_pieces": ours.whole_pieces, "split": ours.split}
    compiled = CompiledEncoder(ours.vocabulary, {}, ours.merges, **settings)
    plain = PlainEncoder(ours.vocabulary, ours.merges, **settings)
    assert max(map(len, ours.vocabulary)) == 90_000
    for text in (b"aab" * 30_000, b"aab" * 20_001 + b"b" + b"aba" * 9000):
        assert compiled.encode(text).tolist() == plain.encode(text)


def test_long_documents_outgrow_their_first_room(both_engines: Callable[..., tuple[Any, Any]]) -> None:
    ours, _ = both_engines("cl100k")
    encoder = compiled(ours)
    assert encoder.encode(b"\xff" * 300_000).tolist() == [ours.vocabulary[b"\xff"]] * 300_000
    assert encoder.count(b"\xff" * 300_000) == 300_000
    assert encoder.encode(b"a" * 1_000_000).tolist() == [ours.vocabulary[b"a" * 8]] * 125_000


def test_decoding_names_the_id_that_no_token_has(both_engines: Callable[..., tuple[Any, Any]]) -> None:
    ours, theirs = both_engines("cl100k")
    encoder = compiled(ours)
    for kind in (np.int32, np.uint32, np.int64, np.uint64, np.uint16, np.dtype(">i4")):
        known = np.array([9906, 0, 50_000, 9906], kind)
        assert encoder.decode(known) == theirs.decode_bytes(known.tolist())
    assert encoder.decode(np.array([100257, 1917])) == b"<|endoftext|> world"
    assert encoder.decode(np.array([], np.int32)) == b""
    for unknown in (100256, 100277, -1, 1 << 31, 1 << 40):  # the first is a hole
        with pytest.raises(KeyError) as failure:
            encoder.decode(np.array([1, unknown, 100256], np.int64))
        assert failure.value.args == (unknown,)


@pytest.mark.parametrize(
    ("vocabulary", "merges"),
    [
        (BYTES | {b"ab": 97}, None),
        (BYTES | {b"ab": 1 << 40}, None),
        (BYTES | {b"ab": -1}, None),
        (BYTES | {b"x" * 300: 256}, None),
        (BYTES | {b"x" * 70_000: 256}, []),
        (BYTES, [(b"a", b"b")]),
    ],
)
def test_what_cannot_be_done_exactly_is_left_to_python(vocabulary: dict[bytes, int], merges: Any) -> None:
    with pytest.raises(Unsupported):
        CompiledEncoder(vocabulary, {}, merges, whole_pieces=True, split=make_split("gpt2"))
