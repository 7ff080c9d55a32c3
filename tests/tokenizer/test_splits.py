"""Pieces against tiktoken's and Hugging Face's engines, byte offsets, bytes that are not UTF-8, and bad patterns."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import pytest
import tiktoken
import tokenizers

from tokenizer import UsageError
from tokenizer.formats.huggingface import PATTERNS
from tokenizer.splits import NAMED_PATTERNS, Split, as_bytes, as_text, make_split

Texts = Callable[[int, str], Iterator[str]]

# Patterns in which every character of any text is matched, so that tiktoken drops nothing.
USER_PATTERNS = (
    r"\w+|\W",
    r"\p{Lu}\p{Ll}*|\p{Ll}+|[^\p{Lu}\p{Ll}]",
    r"(?i:is|k|[a-f]+)|\d{1,3}+|[\s\S]",
    r"(?i)mr|\P{L}+|[\s\S]",
    r"\s*\S+?\b|\B\S|[\s\S]",
    r"^.|.$|.|\n",
    r"(?:ab|a|(1))++|(?>\s+)(?!b)|(?<=a)[^\x61-\x{7a}é]|[\s\S]",
    r"[\p{P}\p{S}\-\]]{2,}|[\w.]{3}|[^\n]|\n",
)


def with_tiktokens_pieces(pattern: str, texts: Iterable[str]) -> Iterator[tuple[str, list[bytes]]]:
    """Make every substring a token: then each piece is found whole, and its id says which it was."""
    texts = iter(texts)
    while some := list(islice(texts, 100)):
        spans = ((text, start, end) for text in some for end in range(1, len(text) + 1) for start in range(end))
        tokens = {text[start:end].encode() for text, start, end in spans} | {bytes([byte]) for byte in range(256)}
        ranks = {token: rank for rank, token in enumerate(sorted(tokens))}
        encoding = tiktoken.Encoding("pieces", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        for text in some:
            yield text, encoding.decode_tokens_bytes(encoding.encode_ordinary(text))


@pytest.mark.parametrize("name", NAMED_PATTERNS)
def test_pieces_are_those_of_tiktoken(name: str, fuzz_texts: Texts) -> None:
    split = make_split(name)
    for text, theirs in with_tiktokens_pieces(split.pattern, fuzz_texts(700, f"tiktoken {name}")):
        data = text.encode()
        assert [data[start:end] for start, end in split.split_spans(data)] == theirs, ascii(text)


@pytest.mark.parametrize("name", NAMED_PATTERNS)
def test_pieces_are_those_of_hugging_face(name: str, fuzz_texts: Texts) -> None:
    split = make_split(name)
    if name == "gpt2":
        step = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        step = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERNS[name]), "isolated")
    for text in fuzz_texts(4000, f"hugging face {name}"):
        expected = [text[start:end] for _, (start, end) in step.pre_tokenize_str(text)]
        assert split.pieces(text) == expected, ascii(text)


@pytest.mark.parametrize("pattern", USER_PATTERNS)
def test_users_patterns_are_read_as_tiktoken_reads_them(pattern: str, fuzz_texts: Texts) -> None:
    split = make_split(pattern)
    for text, theirs in with_tiktokens_pieces(pattern, fuzz_texts(200, pattern)):
        assert [piece.encode() for piece in split.pieces(text)] == theirs, ascii(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w+",
        r"a*",
        r"(?=a)|b",
        r"\s*",
        r"\p{L}{1,3}+",
        r"[ab]{2}?|\S",
        r"^\s*|\S+$",
        r"\d+\Z|\A.|b\z",
        r"\bs|\Ba",
        r"\p{M}?+a",
    ],
)
def test_patterns_of_files_are_read_as_hugging_face_reads_them(pattern: str, fuzz_texts: Texts) -> None:
    split = Split("regex", pattern, "huggingface")
    step = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    for text in fuzz_texts(1000, pattern):
        expected = [text[start:end] for _, (start, end) in step.pre_tokenize_str(text)]
        assert split.pieces(text) == expected, ascii(text)


def test_nothing_is_lost_where_the_pattern_does_not_match() -> None:
    assert make_split("b+").pieces("aabbabb, ab") == ["aa", "bb", "a", "bb", ", a", "b"]
    assert make_split(r"\p{Lu}+").pieces("éÉé") == ["é", "É", "é"]
    assert make_split("(?=c)|a+").pieces("baabcd") == ["b", "aa", "b", "cd"]


def test_spans_are_in_bytes_and_cover_everything() -> None:
    assert make_split("cl100k").split_spans("né 世界!".encode()) == [(0, 3), (3, 10), (10, 11)]
    assert make_split("gpt2").split_spans(b"") == []


def test_bytes_that_are_not_utf8_are_outside_every_class() -> None:
    data = b"ab\xff\xc3(\xed\xa0\x80 \xf0\x9f"
    for name in NAMED_PATTERNS:
        spans = make_split(name).split_spans(data)
        assert b"".join(data[start:end] for start, end in spans) == data
    for pattern in (r"\p{L}+|[^\p{L}]", r"\w|\W", r"\p{C}|\P{C}", r"\s|\S", r".|\n"):
        assert make_split(pattern).pieces("\udcff") == ["\udcff"]
    for pattern in (r"\p{C}", r"\p{L}", r"\w", r"\s"):
        # Not matched, so it stays together with its neighbour, which is not matched either.
        assert make_split(rf"{pattern}|!").pieces("\udcff+!") == ["\udcff+", "!"], pattern


def test_lone_surrogates_become_replacement_characters_as_in_tiktoken(both_engines: Callable[..., tuple]) -> None:
    ours, theirs = both_engines("cl100k")
    for text in ("a\ud800b", "\udc00", "\ud83c\udf0d", "\udcff x"):
        assert as_bytes(text).decode()
        assert ours.encode(text) == theirs.encode(text)
    assert as_text(b"a\xff") == "a\udcff"


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        ("(ab", 0), ("ab)", 2), ("[ab", 0), ("a[]b", 1), ("a**", 2), ("*a", 0), ("a|+", 2), (r"a\p{Greek}", 1),
        (r"ab\p", 2), (r"(a)\1", 3), ("[z-a]", 1), (r"[a-\s]", 1), ("[a[b]]", 2), ("a{x}", 1), ("a{3,2}", 1),
        ("(?P<n>a)", 0), ("(?s:a)", 0), ("", 0), ("$", 0), (r"(?=a)\b", 0), ("(?i:é)", 4), (r"(?i:\p{Lu})", 4),
        ("a\\", 1), (r"\x{110000}", 0), ("[a&&b]", 2), ("(?<!", 0), (r"\h+", 0), ("[a-", 3),
    ],
)  # fmt: skip
def test_a_bad_pattern_is_refused_with_its_position(pattern: str, position: int) -> None:
    with pytest.raises(UsageError, match=f"position {position}:") as failure:
        make_split(pattern) if pattern else Split("regex", pattern)
    assert failure.value.hint


def test_what_python_cannot_compile_is_refused() -> None:
    for pattern in (r"(?<=a+)b", "a{99999999999}", "(" * 3000 + "a" + ")" * 3000):
        with pytest.raises(UsageError, match="cannot be used"):
            make_split(pattern)


def test_a_name_that_does_not_exist_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="no split is named 'cl200k'") as failure:
        make_split("cl200k")
    assert "cl100k" in failure.value.hint
