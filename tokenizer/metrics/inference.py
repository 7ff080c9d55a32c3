"""What the same vocabulary would do with another way to choose: merging by rank, longest match, or fewest tokens."""

import random
from collections import Counter
from dataclasses import dataclass

from tokenizer.metrics.corpus import Lens, cut_place
from tokenizer.metrics.figures import Ratio, one_ratio
from tokenizer.segmentations import fewest_count, longest_match

MOST_PIECES = 2_000  # different pre-tokens that are looked at
MOST_TEXT = 250_000  # bytes that are cut into pre-tokens
LONGEST_PIECE = 100  # bytes; longer ones are left out


@dataclass(frozen=True)
class Divergence:
    """How three ways to choose tokens differ on the pre-tokens of a text (Uzan et al. 2024).

    Attributes:
        longest_differs: pre-tokens where longest match gives other tokens than merging, over all looked at.
        longest_tokens: tokens by longest match over tokens by merging.
        fewest_differs: pre-tokens where merging takes more tokens than needed, over all looked at.
        fewest_tokens: the fewest tokens that would do over tokens by merging.
        looked_at: how many different pre-tokens.
        different: how many there are.
        share: of each document that was read, from its beginning.
    """

    longest_differs: Ratio
    longest_tokens: Ratio
    fewest_differs: Ratio
    fewest_tokens: Ratio
    looked_at: int
    different: int
    share: float


def divergence(lens: Lens, documents: list[bytes], seed: int) -> Divergence:
    """Cut the pre-tokens of a text in the three ways; each counts as often as it occurs.

    Of texts of more than 250,000 bytes only so much is read, the same share of each document from its beginning; of
    more than 2,000 different pre-tokens as many are drawn by the seed. Those of over 100 bytes are left out.
    """
    share = min(1.0, MOST_TEXT / max(sum(map(len, documents)), 1))
    read = documents if share == 1 else [one[: cut_place(one, share)] for one in documents]
    tokenizer, vocabulary = lens.tokenizer, lens.tokens
    occurrences = Counter(tokenizer.pre_tokens(*read))
    pieces = sorted(piece for piece in occurrences if 0 < len(piece) <= LONGEST_PIECE)
    if len(pieces) > MOST_PIECES:
        pieces = random.Random(f"{seed} pre-tokens").sample(pieces, MOST_PIECES)
    counts = Counter[str]()
    for piece, ids in zip(pieces, tokenizer.encode_pieces(pieces), strict=True):
        times = occurrences[piece]
        merged = tuple(tokenizer.decode_tokens(ids))
        is_token = piece in vocabulary
        matched = (piece,) if is_token else longest_match(piece, vocabulary, lens.reach) or merged
        fewest = 1 if is_token else len(merged)
        if fewest > 2:  # else it is the least already
            fewest = fewest_count(piece, vocabulary, lens.reach) or fewest
        counts["all"] += times
        counts["merged"] += times * len(merged)
        counts["matched"] += times * len(matched)
        counts["fewest"] += times * fewest
        counts["longest differs"] += times * (merged != matched)
        counts["fewest differs"] += times * (fewest < len(merged))
    return Divergence(
        one_ratio(counts["longest differs"], counts["all"]),
        one_ratio(counts["matched"], counts["merged"]),
        one_ratio(counts["fewest differs"], counts["all"]),
        one_ratio(counts["fewest"], counts["merged"]),
        len(pieces),
        len(occurrences),
        share,
    )
