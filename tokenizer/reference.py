r"""Byte pair encoding, the whole of it, in plain Python.

Training starts from pieces of text, each a row of bytes. Over and over it looks for the pair of neighbours that
occurs most often and joins it everywhere into a new token, until there are as many tokens as were asked for:

    pieces       l o w   l o w e r       the pairs (l, o) and (o, w) occur twice; ties go to the smaller ids, so
    merge (l, o) lo w    lo w e r
    merge (lo, w) low    low e r         ... and so on

Encoding replays this on new text: of the merges that are possible, always the one that was learned first.

This module is the teaching text, the judge of any faster engine, and the engine for short texts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

Pair = tuple[int, int]

NEVER = 1 << 62  # the rank of two parts that no merge joins
LONG_PIECE = 100  # bytes; from here on a heap is quicker than looking at every pair


class Merge(NamedTuple):
    """A merge, and what it did to the corpus.

    Attributes:
        pair: the ids that it joins.
        frequency: how often the pair occurred.
        words: how many distinct pieces it changed.
        tokens: how many tokens all occurrences of all pieces have after it.
    """

    pair: Pair
    frequency: int
    words: int
    tokens: int


def train_merges(
    piece_counts: Mapping[bytes, int],
    *,
    byte_ids: Sequence[int],
    first_id: int,
    min_frequency: int = 0,
    max_token_bytes: int | None = None,
    never: AbstractSet[bytes] = frozenset(),
) -> Iterator[Merge]:
    r"""Yield merges, best first, for as long as there are pairs; the n-th one makes the token `first_id + n`.

    The best merge is the pair with the highest count; among equals the one with the smallest (left id, right id).
    Overlapping occurrences all count (`aaa` holds the pair (a, a) twice), but merging goes from left to right.

    Args:
        piece_counts: how often each piece of text occurs.
        byte_ids: the id of each of the 256 bytes. Their order decides ties, and so the result.
        first_id: the id of the first new token.
        min_frequency: stop before a pair that is rarer than this.
        max_token_bytes: make no longer token; its pair is passed over.
        never: tokens that must not be made, because their text means something else.

    Example: with byte_ids=range(256) and first_id=256, {b"low": 5, b"lower": 2} gives the pairs
        (108, 111) "l"+"o", (256, 119) "lo"+"w", (101, 114) "e"+"r", (257, 258) "low"+"er", and ends there.
    """
    corpus = _Corpus(piece_counts, byte_ids)
    token_bytes = {byte_ids[byte]: bytes([byte]) for byte in range(256)}
    # Entries are never searched for and mended: one whose count has fallen is put back when it comes to the top.
    heap = [(-count, pair) for pair, count in corpus.pair_counts.items()]
    heapify(heap)
    while heap:
        waiting_count, pair = heappop(heap)
        count = corpus.pair_counts[pair]
        if count != -waiting_count:
            if 0 < count < -waiting_count:
                heappush(heap, (-count, pair))
            continue
        if count < max(1, min_frequency):
            return
        token = token_bytes[pair[0]] + token_bytes[pair[1]]
        if token in never or (max_token_bytes is not None and len(token) > max_token_bytes):
            continue
        token_bytes[first_id] = token
        words, risen = corpus.merge_everywhere(pair, first_id)
        yield Merge(pair, count, words, corpus.tokens)
        for other in risen:
            heappush(heap, (-corpus.pair_counts[other], other))
        first_id += 1


class _Corpus:
    """The pieces as rows of ids, and how often each pair of neighbours occurs in them."""

    def __init__(self, piece_counts: Mapping[bytes, int], byte_ids: Sequence[int]) -> None:
        self.words = [[byte_ids[byte] for byte in piece] for piece in piece_counts]
        self.word_counts = list(piece_counts.values())
        self.tokens = sum(len(piece) * count for piece, count in piece_counts.items())
        self.pair_counts: dict[Pair, int] = defaultdict(int)
        self.words_with: dict[Pair, set[int]] = defaultdict(set)  # may name words that have lost the pair since
        for index, (word, count) in enumerate(zip(self.words, self.word_counts, strict=True)):
            for pair in pairwise(word):
                self.pair_counts[pair] += count
                self.words_with[pair].add(index)

    def merge_everywhere(self, pair: Pair, new_id: int) -> tuple[int, list[Pair]]:
        """Join the pair in every word; return how many words changed, and the pairs that are now more frequent."""
        words = 0
        changes: dict[Pair, int] = defaultdict(int)
        for index in self.words_with.pop(pair):
            before = self.words[index]
            after = self.words[index] = merge(before, pair, new_id)
            if len(after) == len(before):
                continue
            words += 1
            self.tokens -= (len(before) - len(after)) * self.word_counts[index]
            for old in pairwise(before):
                changes[old] -= self.word_counts[index]
            for new in pairwise(after):
                changes[new] += self.word_counts[index]
                self.words_with[new].add(index)
        for changed, change in changes.items():
            self.pair_counts[changed] += change
        return words, [changed for changed, change in changes.items() if change > 0]


def merge(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of the pair, from left to right.

    Example: merge([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2]
    """
    merged = []
    position = 0
    while position < len(ids):
        if ids[position] == pair[0] and position + 1 < len(ids) and ids[position + 1] == pair[1]:
            merged.append(new_id)
            position += 2
        else:
            merged.append(ids[position])
            position += 1
    return merged


def encode_piece(piece: bytes, rank_of: Callable[[bytes, bytes], int]) -> list[bytes]:
    r"""Cut one piece of text into tokens: join the neighbours of lowest rank, the leftmost first, while any can be.

    Args:
        piece: what the split gave; merges never cross its ends.
        rank_of: the rank of the merge of two neighbouring parts, `NEVER` if there is none.

    Example: with the ranks ("l", "o"): 0, ("lo", "w"): 1, ("w", "e"): 2
        "lowe" -> l o w e -> lo w e -> low e    although (w, e) was possible, too
    """
    if len(piece) >= LONG_PIECE:
        return _encode_long_piece(piece, rank_of)
    parts = [piece[start : start + 1] for start in range(len(piece))]
    ranks = [rank_of(left, right) for left, right in pairwise(parts)]  # ranks[i] joins parts[i] and parts[i + 1]
    while ranks:
        best = min(ranks)
        if best == NEVER:
            break
        at = ranks.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        del ranks[at]
        if at > 0:
            ranks[at - 1] = rank_of(parts[at - 1], parts[at])
        if at < len(ranks):
            ranks[at] = rank_of(parts[at], parts[at + 1])
    return parts


def _encode_long_piece(piece: bytes, rank_of: Callable[[bytes, bytes], int]) -> list[bytes]:
    """The same in n log n: possible merges wait in a heap, and those overtaken by others are skipped.

    A token is known by where it starts and ends: `end_of[start]` and `start_of[end]`. A waiting merge
    (rank, start, middle, end) still holds if there is a token from start to middle and one from middle to end.
    """
    end_of = list(range(1, len(piece) + 1))
    start_of = list(range(-1, len(piece)))
    waiting: list[tuple[int, int, int, int]] = []

    def wait(start: int, middle: int, end: int) -> None:
        rank = rank_of(piece[start:middle], piece[middle:end])
        if rank != NEVER:
            heappush(waiting, (rank, start, middle, end))

    for start in range(len(piece) - 1):
        wait(start, start + 1, start + 2)
    while waiting:
        _, start, middle, end = heappop(waiting)
        if end_of[start] != middle or end_of[middle] != end:
            continue
        end_of[start], start_of[end] = end, start
        end_of[middle] = 0  # no token starts here any more
        if start > 0:
            wait(start_of[start], start, end)
        if end < len(piece):
            wait(start, end, end_of[end])
    parts = []
    start = 0
    while start < len(piece):
        parts.append(piece[start : end_of[start]])
        start = end_of[start]
    return parts


def decode(ids: Sequence[int], token_bytes: Mapping[int, bytes]) -> bytes:
    r"""The bytes of the tokens, one after the other: whatever was encoded comes back exactly.

    Example: decode([257, 101], {257: b"low", 101: b"e"}) == b"lowe"

    Raises:
        KeyError: an id that no token has.
    """
    return b"".join([token_bytes[one] for one in ids])
