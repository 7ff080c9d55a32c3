"""The plain encoder: text to ids in Python alone, for short texts and for machines without the compiled engine."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tokenizer import reference
from tokenizer.packed import PackedMerges
from tokenizer.splits import Split, as_text, piece_bytes

REMEMBERED_PIECES = 1 << 16  # then the memory starts afresh; at some 200 bytes a piece this is about 13 MB


class PlainEncoder:
    """Encodes with one vocabulary, by `tokenizer/reference.py`; pieces are remembered between calls.

    Args:
        vocabulary: ordinary tokens and their ids.
        merges: the pairs that may be joined, best first; None if any two parts may whose sum is in the vocabulary.
        whole_pieces: a piece that is in the vocabulary is that token, whatever the merges say.
        split: how text is cut into pieces.

    Attributes:
        rank_of: the rank of the merge of two parts, as `reference.encode_piece` takes it.
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
        self._remembered: dict[str, list[int]] = {}

    def encode(self, data: bytes) -> list[int]:
        """The ids of a text; special tokens in it are ordinary text."""
        remembered = self._remembered
        ids: list[int] = []
        for piece in self._split.pieces(as_text(data)):
            known = remembered.get(piece)
            if known is None:
                known = self.encode_piece(piece_bytes(piece))
                if len(piece) < reference.LONG_PIECE:
                    if len(remembered) >= REMEMBERED_PIECES:
                        remembered.clear()
                    remembered[piece] = known
            ids += known
        return ids

    def encode_piece(self, piece: bytes) -> list[int]:
        """The ids of what is one piece, however the split would cut it."""
        if self._whole_pieces and (whole := self._vocabulary.get(piece)) is not None:
            return [whole]
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
