"""A text as a tokenizer cuts it, and what can be counted of that; places are in bytes unless they say characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer.encoding import Tokenizer
from tokenizer.linting import utf8_form
from tokenizer.metrics import compression, overlap, words
from tokenizer.metrics.corpus import CodePoints, Corpus, Encoded, Lens, byte_sizes, code_points, is_stray
from tokenizer.metrics.figures import Ratio, one_ratio

Numbers = npt.NDArray[np.int64]

# Each measure of a section: its title, how its value is worded, and what is counted over what.
MEASURES = {
    "bytes_per_token": ("Bytes per token", "{:.2f}", "bytes", "tokens"),
    "characters_per_token": ("Characters per token", "{:.2f}", "characters", "tokens"),
    "tokens_per_word": ("Tokens per word", "{:.2f}", "tokens that hold some of a word", "words between white space"),
    "continued_words": (
        "Words of several tokens",
        "{:.1%}",
        "words of two or more tokens",
        "words between white space",
    ),
    "different_tokens": ("Different tokens", "{:.2%}", "different tokens", "tokens"),
    "vocabulary_used": ("Vocabulary used", "{:.2%}", "different tokens used", "tokens of the vocabulary"),
    "partial_tokens": ("Partial UTF-8 tokens", "{:.2%}", "tokens that are no whole characters", "tokens"),
    "split_characters": ("Characters cut by tokens", "{:.2%}", "characters in several tokens", "characters"),
}


@dataclass(frozen=True)
class Text:
    """What is cut: a name and its bytes, with what is asked of them for every tokenizer."""

    name: str
    data: bytes

    @cached_property
    def corpus(self) -> Corpus:
        """The text as metrics take it."""
        return Corpus.of_texts({self.name: [self.data]})

    @cached_property
    def character_starts(self) -> Numbers:
        r"""Where each character begins; a byte that is not UTF-8 counts as one character.

        Example: of the text "né!" they are [0, 1, 3]
        """
        sizes = byte_sizes(self._points)
        return np.cumsum(sizes, dtype=np.int64) - sizes

    @property
    def stray_bytes(self) -> int:
        """How many bytes are no part of UTF-8."""
        return int(np.count_nonzero(is_stray(self._points)))

    @cached_property
    def _points(self) -> CodePoints:
        return code_points([self.data])


class Token(NamedTuple):
    """One token of the text: where it is, in tokens, bytes and characters, its id and its bytes."""

    position: int
    id: int
    data: bytes
    start: int
    first_character: int
    end_character: int

    @property
    def end(self) -> int:
        """Where it ends, in bytes."""
        return self.start + len(self.data)


class Kind(NamedTuple):
    """A token of the vocabulary that the text uses: its id, its bytes, and how often."""

    id: int
    data: bytes
    times: int


@dataclass(frozen=True)
class Cut:
    """A text, a tokenizer and the ids that it makes of the text."""

    text: Text
    tokenizer: Tokenizer
    ids: npt.NDArray[np.int32]

    @cached_property
    def kinds(self) -> Sequence[Kind]:
        """The different tokens, the most frequent first, and of equally frequent ones the smaller id."""
        counts = np.bincount(self.ids)
        used = np.flatnonzero(counts)
        used = used[np.argsort(-counts[used], kind="stable")]
        ids = used.tolist()
        return list(map(Kind, ids, self.tokenizer.decode_tokens(ids), counts[used].tolist()))

    @cached_property
    def counts(self) -> Numbers:
        """How often each of the different tokens comes, the most frequent first."""
        return np.array([kind.times for kind in self.kinds], np.int64)

    @cached_property
    def ends(self) -> Numbers:
        """Where each token ends."""
        return np.cumsum(self._lens.sizes(self.ids), dtype=np.int64)

    @property
    def character_count(self) -> int:
        """How many characters the text has."""
        return len(self.text.character_starts)

    def excerpt(self, most_tokens: int, most_bytes: int) -> list[Token]:
        """The first tokens: at the most so many and so many bytes, at the least one, and no character is cut off.

        A token has every character of which it holds a part, so these spans overlap where a character is split.
        """
        count = min(most_tokens, max(1, int(np.searchsorted(self.ends, most_bytes, "right"))), len(self.ids))
        while 0 < count < len(self.ids) and self._is_inside_character(self.ends[count - 1]):
            count += 1
        ends = self.ends[:count]
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[:count]
        first = np.searchsorted(self.text.character_starts, starts, "right") - 1
        last = np.searchsorted(self.text.character_starts, ends - 1, "right")
        ids = self.ids[:count].tolist()
        tokens = self.tokenizer.decode_tokens(ids)
        return list(map(Token, range(count), ids, tokens, starts.tolist(), first.tolist(), last.tolist()))

    def _is_inside_character(self, place: int) -> bool:
        following = np.searchsorted(self.text.character_starts, place, "left")
        return bool(following == self.character_count or self.text.character_starts[following] != place)

    @cached_property
    def measures(self) -> dict[str, Ratio]:
        """What `MEASURES` names, of the whole text.

        Example: of "né" in three tokens of a byte each, "split_characters" is 1 of 2, and "partial_tokens" 2 of 3
        """
        corpus, encoded = self.text.corpus, Encoded(self.ids, self.ends)
        partial = sum(kind.times for kind in self.kinds if utf8_form(kind.data) != "whole")
        inner = self.ends[:-1]
        cut = inner[~np.isin(inner, self.text.character_starts)]
        cut_characters = np.searchsorted(self.text.character_starts, cut, "right")  # ascending, again for each cut
        split = int(np.count_nonzero(np.diff(cut_characters, prepend=0)))
        return {
            "bytes_per_token": compression.bytes_per_token(corpus, encoded),
            "characters_per_token": compression.characters_per_token(corpus, encoded),
            **words.word_figures(corpus, encoded),
            "different_tokens": one_ratio(len(self.kinds), len(self.ids)),
            "vocabulary_used": overlap.utilisation(len(self.kinds), self._lens.vocabulary_size),
            "partial_tokens": one_ratio(partial, len(self.ids)),
            "split_characters": one_ratio(split, self.character_count),
        }

    @cached_property
    def _lens(self) -> Lens:
        return Lens(self.tokenizer.name, self.tokenizer)
