"""Measure every size of a vocabulary at once: one training, and one pass over a text that it has not seen.

The first merges of a training are those of a smaller one, and no token is cut before all that it is made of exist. So
the tokens that a text has with the whole vocabulary tell how it would be cut by each smaller one: take the last merge
back, and each of its tokens is two.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenizer.corpus import Chunk
from tokenizer.counting import stretches
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError


@dataclass(frozen=True, slots=True)
class TokenCurve:
    """How many tokens a text has with a vocabulary, and with each smaller one of the same training.

    Attributes:
        first_size: the smallest vocabulary: special tokens and bytes.
        tokens: for `first_size`, the next larger vocabulary, and so on.
        documents: how many documents the text is.
        bytes: and what they hold together.
    """

    first_size: int
    tokens: list[int]
    documents: int
    bytes: int

    @property
    def last_size(self) -> int:
        """The largest vocabulary."""
        return self.first_size + len(self.tokens) - 1

    def tokens_at(self, vocab_size: int) -> int:
        """How many tokens the text has with a vocabulary of this size, which is one of those that were measured."""
        return self.tokens[vocab_size - self.first_size]


@dataclass(frozen=True, slots=True)
class DocumentSplit:
    """Which documents of a corpus are held out: a share of them, drawn by a seed. The same on any machine.

    Attributes:
        documents: how many the corpus has.
        share: of them that are held out, at least one.
        seed: another one holds out others.

    Example: with ten documents and a share of 0.2, two go to `held_out` and the other eight to `learned`
    """

    documents: int
    share: float
    seed: int

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UsageError(f"a share of {self.share} cannot be held out", hint="give a number between 0 and 1")
        if self.documents < 2:
            raise UserError(
                "the corpus is a single document, of which nothing can be held out",
                hint="name the text to measure: --held-out other.txt",
            )

    @property
    def wanted(self) -> int:
        """How many documents are held out; at least one is, and one is not."""
        return min(max(1, round(self.share * self.documents)), self.documents - 1)

    def learned(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks of the documents that are not held out."""
        return self._chosen(chunks, is_held_out=False)

    def held_out(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks of those that are."""
        return self._chosen(chunks, is_held_out=True)

    def _chosen(self, chunks: Iterable[Chunk], *, is_held_out: bool) -> Iterator[Chunk]:
        draws = self._draws()
        chosen = next(draws, False)
        for chunk in chunks:
            if chosen is is_held_out:
                yield chunk
            if chunk.ends_document:
                chosen = next(draws, False)

    def _draws(self) -> Iterator[bool]:
        """Whether each document is held out: exactly as many as wanted, every choice of them as likely.

        Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm 3.4.2 S).
        """
        draw = random.Random(f"held out/{self.seed}").random
        missing = self.wanted
        for left in range(self.documents, 0, -1):
            chosen = draw() * left < missing
            missing -= chosen
            yield chosen


def nothing_to_measure() -> UserError:
    """The error of a held-out text that is empty."""
    return UserError("the text to measure is empty", hint="hold out documents that are not empty")


def token_curve(tokenizer: Tokenizer, chunks: Iterable[Chunk]) -> TokenCurve:
    """How many tokens documents have with a trained tokenizer and with each smaller one that it begins with.

    The text of a special token is ordinary text in them. One document at a time is in memory.

    Args:
        tokenizer: one that `training.learn` made.
        chunks: the documents.

    Raises:
        UsageError: the tokenizer was not made by training.
        UserError: the documents hold no text.

    Example: token_curve(tokenizer, chunks).tokens_at(1000) is what `training.smaller(tokenizer, 1000)` would count
    """
    if tokenizer.merges is None or tokenizer.layout == "other":
        raise UsageError(
            f"{tokenizer.name} has no order of merges from which smaller ones follow",
            hint="take a tokenizer that `tok train` made",
        )
    documents = size = total = 0
    uses = [0] * tokenizer.vocab_size  # of each id
    for text in stretches(chunks, None):
        documents += 1
        size += len(text)
        for token_id, count in _histogram(tokenizer, text):
            uses[token_id] += count
            total += count
    if not size:
        raise nothing_to_measure()
    tokens = [total]
    for left, right in reversed(tokenizer.merges):  # take each merge back, the last one first
        count = uses[tokenizer.vocabulary[left + right]]
        uses[tokenizer.vocabulary[left]] += count
        uses[tokenizer.vocabulary[right]] += count
        tokens.append(tokens[-1] + count)
    tokens.reverse()
    return TokenCurve(tokenizer.vocab_size - len(tokenizer.merges), tokens, documents, size)


def _histogram(tokenizer: Tokenizer, text: bytes) -> Iterable[tuple[int, int]]:
    """How often each id occurs in a text."""
    import numpy as np

    ids, counts = np.unique(tokenizer.encode_array(text, disallowed_special=()), return_counts=True)
    return zip(ids.tolist(), counts.tolist(), strict=True)
