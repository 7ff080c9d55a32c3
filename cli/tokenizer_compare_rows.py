"""What `tok compare` found, as rows for programs: each figure with what it is counted over, and the differences."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from cli.aligned_text import aligned
from cli.chosen_tokenizer import shown, shown_cut, tokenizers_meta
from cli.output import Column, Table
from tokenizer.metrics.corpus import Corpus, Lens
from tokenizer.metrics.differences import Differences
from tokenizer.metrics.figures import Figure, Ratio
from tokenizer.metrics.measuring import METRICS, Measured, Wanted
from tokenizer.processors import usable_processors

COMMAND = "tok compare"
LEVEL = 0.95
FEWEST = 6  # documents, or what else is resampled; with fewer there is too little to draw from
MOST_UNITS = 200  # more documents are dealt to so many groups, which are resampled as wholes
LONGEST_CUT = 30  # tokens shown of one difference
BEFORE = 24  # bytes, and columns, shown before the first difference
EXCERPT = 1000  # bytes looked at for each line of aligned text
PLAIN_WIDTH = 72  # columns of aligned text where there is no terminal

Row = dict[str, Any]
Limits = tuple[float | None, float | None]  # of an interval; None where it is not known

METRIC_KEYS = (
    *("metric", "tokenizer", "source", "against", "value", "low", "high", "numerator", "denominator", "counted"),
    *("over", "units", "unit_count"),
)
DIFFERENCE_KEYS = ("which", "source", "document", "start_byte", "end_byte", "times", "tokenizer", "tokens", "cut")
ALIGNED_KEYS = ("source", "document", "start_byte", "end_byte", "tokenizer", "boundaries")


class Findings:
    """What one comparison found.

    Args:
        lenses: the tokenizers.
        corpus: the texts.
        wanted: what was measured.
        measured: the figures.
        differences: the stretches that are cut differently.
        count: how many of them, and how many lines of aligned text.
    """

    def __init__(
        self,
        lenses: Sequence[Lens],
        corpus: Corpus,
        wanted: Wanted,
        measured: Measured,
        differences: Differences,
        count: int,
    ) -> None:
        self.corpus, self.wanted, self.measured, self.count = corpus, wanted, measured, count
        self.names = [lens.name for lens in lenses]
        self.stretches, self.different_bytes = len(differences), differences.size
        self._lenses, self._differences = lenses, differences

    def tables(self) -> list[Table]:
        """All rows."""
        return [
            _whole("metric", self.figures, METRIC_KEYS, self._meta()),
            _whole("difference", self.differences, DIFFERENCE_KEYS),
            _whole("aligned", self.aligned, ALIGNED_KEYS),
        ]

    @cached_property
    def figures(self) -> list[Row]:
        """A row for each figure."""
        figures = self.measured.figures
        found: list[Limits] = [(None, None)] * len(figures)
        several = [place for place, figure in enumerate(figures) if len(figure.ratio.numerators) >= FEWEST]
        with ThreadPoolExecutor(usable_processors()) as pool:  # resampling does without the interpreter's lock
            intervals = pool.map(lambda place: limits(figures[place].ratio, self.wanted.seed), several)
            for place, interval in zip(several, intervals, strict=True):
                found[place] = interval
        return list(map(self._figure_row, figures, found))

    def _figure_row(self, figure: Figure, interval: Limits) -> Row:
        counted, over = METRICS[figure.metric]
        low, high = interval
        return {
            "metric": figure.metric,
            "tokenizer": figure.tokenizer,
            "source": figure.source,
            "against": figure.against,
            "value": figure.ratio.value,
            "low": low,
            "high": high,
            "numerator": figure.ratio.numerator,
            "denominator": figure.ratio.denominator,
            "counted": counted,
            "over": over,
            "units": figure.units,
            "unit_count": len(figure.ratio.numerators),
        }

    def _meta(self) -> Row:
        corpus, wanted = self.corpus, self.wanted
        return tokenizers_meta([lens.tokenizer for lens in self._lenses]) | {
            "files": list(corpus.files),
            "documents": len(corpus.documents),
            "bytes": len(corpus.data),
            "characters": int(corpus.characters.sum()),
            "words": len(corpus.words.starts),
            "word": "a run of characters without white space",
            "held_out_bytes": sum(map(len, corpus.parts[1])),
            "smoothing": "Witten-Bell",
            "interval": LEVEL,
            "seed": wanted.seed,
            "renyi_alpha": wanted.alpha if wanted.everything and math.isfinite(wanted.alpha) else None,
            "differences": self.stretches,
            "different_bytes": self.different_bytes,
            "pre_tokens": {
                name: {"looked_at": found.looked_at, "different": found.different, "share": found.share}
                for name, found in zip(self.names, self.measured.divergences, strict=False)
            },
        }

    @cached_property
    def differences(self) -> list[Row]:
        """A row for each difference and tokenizer."""
        chosen = [("first", one) for one in self._differences.first(self.count)]
        chosen += [("largest", one) for one in self._differences.largest(self.count)]
        rows = []
        for which, found in chosen:
            place = self._place(found.start, found.end)
            for name, cut in zip(self.names, found.cuts, strict=True):
                tokens = {"times": found.times, "tokenizer": name, "tokens": len(cut), "cut": _short_cut(cut)}
                rows.append({"which": which, **place, **tokens})
        return rows

    def _place(self, start: int, end: int) -> Row:
        """Where something is: its file, the number of its document there, and the bytes in the document."""
        corpus = self.corpus
        document = int(corpus.document_of(np.array([max(end, start + 1)]))[0])
        number = next(number for number, last in enumerate(corpus.file_ends) if document < last)
        before = corpus.file_ends[number - 1] if number else 0
        begins = int(corpus.ends[document] - corpus.sizes[document])
        return {
            "source": corpus.files[number],
            "document": document - before + 1,
            "start_byte": start - begins,
            "end_byte": end - begins,
        }

    @cached_property
    def _span(self) -> tuple[int, int]:
        """The stretch of text of which boundaries are shown, from a little before the first difference on."""
        corpus = self.corpus
        if not corpus.data or not self.count:
            return 0, 0
        start, last = 0, int(corpus.ends[corpus.document_of(np.array([1]))[0]])
        for first in self._differences.first(1):
            last = int(corpus.ends[first.document])
            start = _line_start(corpus.data, first.start, last - int(corpus.sizes[first.document]))
        return start, min(last, start + EXCERPT * self.count)

    @property
    def excerpt(self) -> bytes:
        """The text of that stretch."""
        start, end = self._span
        return self.corpus.data[start:end]

    @cached_property
    def begins(self) -> list[tuple[str, frozenset[int]]]:
        """Where tokens begin in the excerpt, by each tokenizer, in bytes from its beginning."""
        found = []
        for name, encoded in zip(self.names, self.measured.encodings, strict=True):
            ends = np.concatenate([[0], encoded.ends])
            first, last = np.searchsorted(ends, self._span, "left")
            found.append((name, frozenset((ends[first:last] - self._span[0]).tolist())))
        return found

    @cached_property
    def aligned(self) -> list[Row]:
        """A row for each tokenizer with its boundaries in some lines of the excerpt, 72 columns wide."""
        if not self.excerpt:
            return []
        size = aligned(self.excerpt, self.begins, PLAIN_WIDTH, self.count).size
        place = self._place(self._span[0], self._span[0] + size)
        return [
            {
                **place,
                "tokenizer": name,
                "boundaries": [place["start_byte"] + each for each in sorted(places) if each < size],
            }
            for name, places in self.begins
        ]


def _whole(name: str, rows: Sequence[Row], keys: Sequence[str], meta: Row | None = None) -> Table:
    return Table(COMMAND, [Column(key, key) for key in keys], rows, meta=meta or {}, title=name, name=name)


def _line_start(data: bytes, place: int, least: int) -> int:
    """Where to begin so that a place stands in sight: its line's beginning or a little before it, with a character."""
    from rich.cells import cell_len

    start = max(data.rfind(b"\n", least, place) + 1, place - BEFORE, least)
    while start > least and data[start] & 0xC0 == 0x80:
        start -= 1
    while cell_len(shown(data[start:place])) > BEFORE:  # bytes that are no characters take several columns
        start += 1
    return start


def _short_cut(cut: Sequence[bytes]) -> str:
    more = f"|… {len(cut) - LONGEST_CUT:,} more" if len(cut) > LONGEST_CUT else ""
    return shown_cut(cut[:LONGEST_CUT]) + more


def limits(ratio: Ratio, seed: int) -> Limits:
    """The ends of a ratio's 95 % bootstrap interval over its units; unknown of fewer than six.

    Many units are dealt by chance to 200 groups, and these are resampled: a group of documents is as independent of the
    others as one of its documents is.
    """
    if int(((ratio.numerators != 0) | (ratio.denominators != 0)).sum()) < FEWEST:
        return None, None
    from probes.resampling import interval_limits  # late: it needs scipy

    filled = (ratio.numerators != 0) | (ratio.denominators != 0)
    rows = np.stack([ratio.numerators[filled], ratio.denominators[filled]], axis=1)
    if len(rows) > MOST_UNITS:
        groups = np.random.default_rng(seed).permutation(len(rows)) % MOST_UNITS
        rows = np.stack([np.bincount(groups, column) for column in rows.T], axis=1)
    _, low, high = interval_limits(lambda means: means[..., 0] / means[..., 1], rows, seed, LEVEL)
    return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)
