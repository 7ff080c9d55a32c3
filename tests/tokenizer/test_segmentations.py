"""Other segmentations: judged by trying every one."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizer import load_tokenizer
from tokenizer.segmentations import (
    count_segmentations,
    dropout_sample,
    fewest_count,
    fewest_tokens,
    joined,
    longest_match,
    reach_of,
)


def every(piece: bytes, vocabulary: dict[bytes, int]) -> Iterator[tuple[bytes, ...]]:
    """All ways to cut a piece whose parts are tokens, by trying all ways to cut it."""
    for number in range(len(piece)):
        for cuts in combinations(range(1, len(piece)), number):
            edges = (0, *cuts, len(piece))
            way = tuple(piece[start:end] for start, end in pairwise(edges))
            if all(token in vocabulary for token in way):
                yield way


vocabularies = st.sets(st.binary(min_size=1, max_size=4).map(lambda data: bytes(b"abc"[byte % 3] for byte in data)))
pieces = st.lists(st.sampled_from(b"abc"), min_size=1, max_size=9).map(bytes)


@given(vocabularies, pieces)
def test_counts_and_best_ways_agree_with_brute_force(tokens: set[bytes], piece: bytes) -> None:
    vocabulary = {token: number for number, token in enumerate(sorted(tokens))}
    ways = sorted(every(piece, vocabulary), key=lambda way: (len(way), [-len(token) for token in way]))
    reach = reach_of(vocabulary)
    assert count_segmentations(piece, vocabulary, reach) == len(ways)
    for count in (1, 3, 100):
        assert fewest_tokens(piece, vocabulary, reach, count) == ways[:count]
    assert fewest_count(piece, tokens, reach) == (len(ways[0]) if ways else None)


@pytest.mark.parametrize("word", [b" action", b"unbelievable", b" Mario", "Grüße".encode(), b"\xf0\x9f\x8c"])
@pytest.mark.parametrize("name", ["gpt2", "cl100k"])
def test_of_real_vocabularies_too(name: str, word: bytes) -> None:
    vocabulary = load_tokenizer(name).vocabulary
    reach = reach_of(vocabulary)
    ways = list(every(word, dict(vocabulary)))
    assert count_segmentations(word, vocabulary, reach) == len(ways)
    assert len(fewest_tokens(word, vocabulary, reach)[0]) == min(map(len, ways))


def test_a_known_count() -> None:
    # Of the 2,048 ways to cut the word anywhere; another program counted them.
    vocabulary = load_tokenizer("cl100k").vocabulary
    assert count_segmentations(b"unbelievable", vocabulary, reach_of(vocabulary)) == 751


@given(vocabularies, pieces)
def test_the_longest_match_takes_the_longest_token_at_each_place(tokens: set[bytes], piece: bytes) -> None:
    vocabulary = {token: number for number, token in enumerate(sorted(tokens))}
    way = longest_match(piece, vocabulary, reach_of(vocabulary))
    rest = piece
    for token in way or ():
        assert rest.startswith(token)
        assert token == max((each for each in tokens if rest.startswith(each)), key=len)
        rest = rest[len(token) :]
    assert way is None or rest == b""


@given(vocabularies)
def test_the_reach_is_that_of_the_longest_token_of_each_beginning(tokens: set[bytes]) -> None:
    long = [token for token in tokens if len(token) > 1]
    assert reach_of(tokens) == {
        start: max(len(token) for token in long if token.startswith(start)) for start in {token[:2] for token in long}
    }


def test_dropout_is_the_tokenizer_itself_at_none_and_bytes_at_all_and_the_same_for_a_seed() -> None:
    tokenizer = load_tokenizer("small")
    piece = b" harvesting"
    real = tuple(map(tokenizer.token_bytes, tokenizer.encode(piece)))
    assert dropout_sample(tokenizer, piece, 0.0, "1") == real
    assert dropout_sample(tokenizer, piece, 1.0, "1") == tuple(bytes([byte]) for byte in piece)
    samples = [dropout_sample(tokenizer, piece, 0.5, str(seed)) for seed in range(20)]
    assert samples == [dropout_sample(tokenizer, piece, 0.5, str(seed)) for seed in range(20)]
    assert len(set(samples)) > 3
    assert all(b"".join(sample) == piece for sample in samples)
    assert all(tokenizer.id_of(token) is not None for sample in samples for token in sample)


def test_the_best_ways_of_a_text_are_those_of_its_pre_tokens_together() -> None:
    ways = [[(b"ab",), (b"a", b"b")], [(b"c", b"d"), (b"c", b"d", b"")]]
    assert joined(ways, 2) == [(b"ab", b"c", b"d"), (b"ab", b"c", b"d", b"")]
