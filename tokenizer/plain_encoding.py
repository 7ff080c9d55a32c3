"""The plain encoder: text to ids in Python alone, for short texts and for machines without the compiled engine."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tokenizer import reference
from tokenizer.packed import PackedMerges
from tokenizer.splits import Split, as_text, piece_bytes

REMEMBERED_PIECES = 1 << 16  # then the memory starts afresh; at some 200 bytes a piece this is about 13 MB


class MuchToMerge(Exception):
    """More bytes would have to be merged than was allowed."""


class PlainEncoder:
    """Encodes with one vocabulary, by `tokenizer/reference.py`; pieces are remembered between calls.

    Args:
        vocabulary: ordinary tokens and their ids.
        merges: the pairs that may be joined, best first; None if any two parts may whose sum is in the vocabulary.
        whole_pieces: a piece that is in the vocabulary is that token, whatever the merges say.
        split: how text is cut into pieces.

    Attributes:
        rank_of: the rank of the merge of two parts, as `reference.encode_piece` takes it.
        merged_bytes: how many bytes were merged by now, which takes most of the time; in long pieces each counts twice.
    """

    def __init__(
        self,
        vocabulary: Mapping[bytes, int],
        merges: Sequence[tuple[bytes, bytes]] | None,
        *,
        whole_pieces: bool,
        split: Split,
    ) -> None:
        self._vocabulary = vocabulary
        self._whole_pieces = whole_pieces
        self._split = split
        self.rank_of = _rank_by_sum(vocabulary) if merges is None else _rank_by_pair(merges)
        self.merged_bytes = 0
        self._remembered: dict[str, list[int]] = {}

    def encode(self, data: bytes, *, most_merged: float = math.inf) -> list[int]:
        """The ids of a text; special tokens in it are ordinary text.

        Raises:
            MuchToMerge: `merged_bytes` would become more than `most_merged`, and does not come down again.
        """
        remembered = self._remembered
        ids: list[int] = []
        for piece in self._split.pieces(as_text(data)):
            known = remembered.get(piece)
            if known is None:
                known = self.encode_piece(piece_bytes(piece), most_merged=most_merged)
                if len(piece) < reference.LONG_PIECE:
                    if len(remembered) >= REMEMBERED_PIECES:
                        remembered.clear()
                    remembered[piece] = known
            ids += known
        return ids

    def encode_piece(self, piece: bytes, *, most_merged: float = math.inf) -> list[int]:
        """The ids of what is one piece, however the split would cut it.

        Raises:
            MuchToMerge: as `encode`.
        """
        if self._whole_pieces and (whole := self._vocabulary.get(piece)) is not None:
            return [whole]
        self.merged_bytes += len(piece) * (2 if len(piece) >= reference.LONG_PIECE else 1)
        if self.merged_bytes > most_merged:
            raise MuchToMerge
        return [self._vocabulary[part] for part in reference.encode_piece(piece, self.rank_of)]


def _rank_by_sum(vocabulary: Mapping[bytes, int]) -> Callable[[bytes, bytes], int]:
    def rank_of(left: bytes, right: bytes) -> int:
        return vocabulary.get(left + right, reference.NEVER)

    return rank_of


def _rank_by_pair(merges: Sequence[tuple[bytes, bytes]]) -> Callable[[bytes, bytes], int]:
    if isinstance(merges, PackedMerges):
        return partial(merges.rank, default=reference.NEVER)
    ranks = {pair: rank for rank, pair in enumerate(merges)}

    def rank_of(left: bytes, right: bytes) -> int:
        return ranks.get((left, right), reference.NEVER)

    return rank_of
