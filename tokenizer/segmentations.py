"""The other ways in which a vocabulary could cut a text: BPE takes one of very many, not always the shortest."""

import random
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import islice

from tokenizer import reference
from tokenizer.encoding import Tokenizer

Segmentation = tuple[bytes, ...]
Reach = Mapping[bytes, int]  # by their first two bytes, how long the longest token is that begins with them


def reach_of(tokens: Iterable[bytes]) -> Reach:
    """How far tokens reach: what need not be tried at a byte where only short ones begin.

    Example: reach_of([b"a", b"ab", b"abc", b"bc"]) == {b"ab": 3, b"bc": 2}
    """
    reach: dict[bytes, int] = {}
    for token in tokens:
        if len(token) > reach.get(start := token[:2], 1):
            reach[start] = len(token)
    return reach


def _furthest(piece: bytes, start: int, reach: Reach) -> int:
    """Where a token that begins at a byte could end at most."""
    return min(len(piece), start + reach.get(piece[start : start + 2], 1))


def count_segmentations(piece: bytes, vocabulary: Container[bytes], reach: Reach) -> int:
    """In how many ways a pre-token can be cut into tokens; `reach` is the vocabulary's.

    The number of ways to reach a byte is the sum over all tokens that end there (Cao and Rimell 2021).

    Example: count_segmentations(b"abc", {b"a", b"b", b"c", b"ab"}, {b"ab": 2}) == 2
    """
    ways = [1] + [0] * len(piece)
    for start in range(len(piece)):
        if ways[start]:
            for end in range(start + 1, _furthest(piece, start, reach) + 1):
                if piece[start:end] in vocabulary:
                    ways[end] += ways[start]
    return ways[-1]


def fewest_tokens(piece: bytes, vocabulary: Container[bytes], reach: Reach, count: int = 1) -> list[Segmentation]:
    """The `count` segmentations with fewest tokens, among equals those whose first tokens are longer first.

    Example: fewest_tokens(b"abc", {b"a", b"b", b"c", b"ab", b"bc"}, {b"ab": 2, b"bc": 2}, 2)
        == [(b"ab", b"c"), (b"a", b"bc")]
    """
    best: list[list[Segmentation]] = [[()]]  # of the bytes from each end backwards: the best ways to cut the rest
    for start in range(len(piece) - 1, -1, -1):
        ends = range(_furthest(piece, start, reach), start, -1)
        tokens = [(piece[start:end], end) for end in ends if piece[start:end] in vocabulary]
        ways = [(token, *rest) for token, end in tokens for rest in best[len(piece) - end]]
        best.append(sorted(ways, key=lambda way: (len(way), [-len(token) for token in way]))[:count])
    return best[-1]


def fewest_count(piece: bytes, vocabulary: Container[bytes], reach: Reach) -> int | None:
    """How many tokens the shortest segmentation has; None if there is none.

    Example: fewest_count(b"abc", {b"a", b"b", b"c", b"ab", b"bc"}, {b"ab": 2, b"bc": 2}) == 2
    """
    never = len(piece) + 1
    fewest = [0] + [never] * len(piece)  # of the bytes up to each end
    for start in range(len(piece)):
        if fewest[start] < never:
            for end in range(start + 1, _furthest(piece, start, reach) + 1):
                if fewest[end] > fewest[start] + 1 and piece[start:end] in vocabulary:
                    fewest[end] = fewest[start] + 1
    return fewest[-1] if fewest[-1] < never else None


def longest_match(piece: bytes, vocabulary: Container[bytes], reach: Reach) -> Segmentation | None:
    """From left to right always the longest token that fits, as WordPiece cuts; None where a byte has no token.

    Example: longest_match(b"abc", {b"a", b"b", b"c", b"ab", b"bc"}, {b"ab": 2, b"bc": 2}) == (b"ab", b"c")
    """
    tokens = []
    start = 0
    while start < len(piece):
        end = _furthest(piece, start, reach)
        while piece[start:end] not in vocabulary:
            end -= 1
            if end == start:
                return None
        tokens.append(piece[start:end])
        start = end
    return tuple(tokens)


def dropout_sample(tokenizer: Tokenizer, piece: bytes, rate: float, seed: str) -> Segmentation:
    """A segmentation by merging where each merge is passed over at each step with a probability of `rate`.

    BPE-dropout (Provilkov et al. 2020): the same seed gives the same sample.

    Example: dropout_sample(cl100k, b"action", 0.0, "1") is what the tokenizer does; with 1.0 it is all bytes
    """
    draw = random.Random(f"{seed}/{piece.hex()}").random
    parts = [piece[start : start + 1] for start in range(len(piece))]
    while True:
        ranks = [
            reference.NEVER if rank is None or draw() < rate else rank
            for rank in map(tokenizer.merge_rank, parts, islice(parts, 1, None))
        ]
        best = min(ranks, default=reference.NEVER)
        if best == reference.NEVER:
            return tuple(parts)
        at = ranks.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def joined(ways: Sequence[Sequence[Segmentation]], count: int) -> list[Segmentation]:
    """The `count` best ways to cut a whole text, from the best ways of each of its pre-tokens, best first."""
    best: list[Segmentation] = [()]
    for pieces in ways:
        both = [(*before, *piece) for before in best for piece in pieces]
        best = sorted(both, key=lambda way: (len(way), [-len(token) for token in way]))[:count]
    return best
