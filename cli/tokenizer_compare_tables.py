"""What `tok compare` shows: every figure with what it is counted over, and where the tokenizers differ."""

import math
from collections.abc import Sequence
from typing import Any

from cli.aligned_text import aligned
from cli.amounts import how_many
from cli.chosen_tokenizer import labels
from cli.output import Column, Table
from cli.tokenizer_compare_rows import COMMAND, FEWEST, Findings, Row

# The rows for people: how a metric reads, and whether it is a share, which is shown in percent with its counts.
BASIC = {
    "bytes_per_token": ("bytes per token", False),
    "characters_per_token": ("characters per token", False),
    "tokens_per_word": ("tokens per word (fertility)", False),
    "continued_words": ("words of 2 or more tokens, of all words", True),
    "vocabulary_used": ("different tokens used, of the vocabulary", True),
    "normalized_sequence_length": ("tokens, to those of {against} (NSL)", False),
}
ENTROPIES = {
    "shannon_efficiency_observed": ("Shannon entropy, of log2 of the different tokens used", False),
    "shannon_efficiency_nominal": ("Shannon entropy, of log2 of the vocabulary", False),
    "renyi_efficiency_observed": ("Rényi entropy (alpha {alpha:g}), of log2 of the different tokens used", False),
    "renyi_efficiency_nominal": ("Rényi entropy (alpha {alpha:g}), of log2 of the vocabulary", False),
}
TYPOS = {"swap": "two letters swapped", "omit": "a letter left out", "double": "a letter twice", "case": "other case"}
STEADINESS = {
    **{f"typo_{kind}_changed": (f"{words}: edits, of the tokens", True) for kind, words in TYPOS.items()},
    **{f"typo_{kind}_growth": (f"{words}: tokens, to those without", False) for kind, words in TYPOS.items()},
    "unstable_beginnings": ("beginnings whose tokens change with the next character", True),
}
CHOICES = {
    "longest_match_differs": ("longest match cuts otherwise, of the pre-tokens", True),
    "longest_match_tokens": ("tokens by longest match, to those by merging", False),
    "fewest_tokens_differs": ("fewer tokens would do, of the pre-tokens", True),
    "fewest_tokens": ("fewest tokens, to those by merging", False),
}
MORPHEMES = {
    "morpheme_precision": ("{against}: boundaries of tokens that are of morphemes", True),
    "morpheme_recall": ("{against}: boundaries of morphemes that are of tokens", True),
    "morpheme_f1": ("{against}: F1 of the two", False),
}
SENSELESS = 100  # bits per byte; more tell nothing


class Report:
    """The tables of one comparison for people.

    Args:
        findings: what was found.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._corpus, self._wanted, self._measured = findings.corpus, findings.wanted, findings.measured
        self._names, self._rows = findings.names, findings.figures
        self._rows_by_metric: dict[tuple[str, str | None], list[Row]] = {}
        for row in self._rows:
            self._rows_by_metric.setdefault((row["metric"], row["source"]), []).append(row)
        self._labels, self._files = labels(self._names), labels(self._corpus.files)

    def tables(self) -> list[Table]:
        """The tables, in the order in which they are shown; of no text only the sentence that there is none."""
        if not self._corpus.data:
            return [Table(COMMAND, [], [], notes=["There is no text: nothing can be counted."])]
        people = [self._figures(self._title(), BASIC, notes=self._notes())]
        if len(self._corpus.files) > 1:
            people.append(self._by_file())
        if self._wanted.parallel:
            people.append(self._parity())
        people.append(self._bits())
        if len(self._names) > 1:
            people.append(self._boundaries())
        if self._wanted.everything:
            people += self._everything()
        if self._findings.differences:
            people.append(self._difference_table(self._findings.differences))
        if self._findings.aligned:
            people.append(self._aligned_table(self._findings.aligned))
        return people

    def _title(self) -> str:
        corpus = self._corpus
        files = f"{len(corpus.files):,} files, " if len(corpus.files) > 1 else ""
        documents = f"{len(corpus.documents):,} documents, " if len(corpus.documents) > len(corpus.files) else ""
        characters, words = int(corpus.characters.sum()), len(corpus.words.starts)
        amounts = ((len(corpus.data), "byte"), (characters, "character"), (words, "word"))
        return f"{files}{documents}{', '.join(how_many(*amount) for amount in amounts)}"

    def _notes(self) -> list[str]:
        notes = []
        found = {row["tokenizer"]: row for row in self._rows_of("bytes_per_token", None)}
        tokens = {name: found[name]["denominator"] for name in self._names}
        fewest, most = min(tokens, key=tokens.__getitem__), max(tokens, key=tokens.__getitem__)
        if tokens[most] > tokens[fewest] > 0:
            times = tokens[most] / tokens[fewest]
            more = f"{_percent(times - 1)} more tokens than" if times < 2 else f"{times:.1f} times as many tokens as"
            notes.append(f"{self._labels[most]} takes {more} {self._labels[fewest]} for this text.")
        elif len(tokens) > 1 and tokens[fewest]:
            notes.append("All take equally many tokens for this text.")
        notes.append(
            "A word is a run of characters without white space, cut as it stands in the text; its tokens are all that "
            "hold some of it. For languages without spaces between words it says little."
        )
        documents = int((self._corpus.sizes > 0).sum())
        if documents >= FEWEST:
            empty = len(self._corpus.documents) - documents
            which = f"the {documents:,} documents that are not empty" if empty else f"the {documents:,} documents"
            notes.append(f"In brackets: 95% intervals over {which}, which are resampled as wholes.")
        elif documents:
            few = "One document is" if documents == 1 else f"{documents} documents are"
            notes.append(f"{few} too few for intervals, which need {FEWEST}.")
        notes.append("The figures describe; none says that a tokenizer is the better one.")
        return notes

    def _rows_of(self, metric: str, source: str | None) -> list[Row]:
        return self._rows_by_metric.get((metric, source), [])

    def _figures(
        self, title: str, metrics: dict[str, tuple[str, bool]], *, tokens: bool = True, notes: Sequence[str] = ()
    ) -> Table:
        """A row for each metric, a column for each tokenizer."""
        rows: list[Row] = []
        if tokens:
            counts = {row["tokenizer"]: f"{row['denominator']:,.0f}" for row in self._rows_of("bytes_per_token", None)}
            rows.append({"": "tokens", **counts})
        found = [(row, *metrics[metric]) for metric in metrics for row in self._rows_of(metric, None)]
        order = list(dict.fromkeys(row["against"] for row, _, _ in found))
        by_label: dict[str, Row] = {}
        for row, words, is_share in sorted(found, key=lambda one: order.index(one[0]["against"])):
            against = self._labels.get(row["against"], row["against"])
            label = words.format(against=against, alpha=self._wanted.alpha)
            by_label.setdefault(label, {"": label})[row["tokenizer"]] = worded(row, is_share=is_share)
        return Table(COMMAND, self._columns(""), [*rows, *by_label.values()], title=title, notes=notes)

    def _columns(self, first: str) -> list[Column]:
        """A column of names, and one for each tokenizer."""
        return [Column("", first), *(Column(name, self._labels[name], show=str) for name in self._names)]

    def _by_file(self) -> Table:
        rows = []
        for source in self._corpus.files:
            for name in self._names:
                row: Row = {"source": self._files[source], "tokenizer": self._labels[name]}
                for metric in ("bytes_per_token", "characters_per_token", "tokens_per_word", "continued_words"):
                    found = next(each for each in self._rows_of(metric, source) if each["tokenizer"] == name)
                    row |= {metric: found["value"], "tokens": row.get("tokens", int(found["denominator"]))}
                rows.append(row)
        columns = [
            Column("source", "File"),
            Column("tokenizer", "By"),
            Column("tokens", "Tokens", "right"),
            Column("bytes_per_token", "Bytes per token", "right", "{:.2f}".format),
            Column("characters_per_token", "Chars per token", "right", "{:.2f}".format),
            Column("tokens_per_word", "Tokens per word", "right", "{:.2f}".format),
            Column("continued_words", "Words of 2+", "right", "{:.0%}".format),
        ]
        return Table(COMMAND, columns, rows, title="By file")

    def _parity(self) -> Table:
        rows: dict[str, Row] = {}
        for found in self._rows:
            if found["metric"] == "parity":
                row = rows.setdefault(found["source"], {"": self._files[found["source"]]})
                row[found["tokenizer"]] = worded(found, is_share=False)
        units = next(found["units"] for found in self._rows if found["metric"] == "parity")
        count = next(found["unit_count"] for found in self._rows if found["metric"] == "parity")
        note = f"Intervals over {count:,} {units} that say the same."
        if count < FEWEST:
            note = f"There are fewer than {FEWEST} {units} that could be paired, and so no intervals."
        if units == "files":
            note = "The files have different numbers of lines, so these cannot be paired, and there are no intervals."
        title = f"Parity: tokens for each token of {self._files[self._corpus.files[0]]}"
        return Table(COMMAND, self._columns("File"), list(rows.values()), title=title, notes=[note])

    def _bits(self) -> Table:
        rows = []
        for name in self._names:
            for order, words in (("unigram", "ids"), ("bigram", "ids, after the one before")):
                row: Row = {"": f"{self._labels[name]}: {words}"}
                for key in ("per_byte", "with_used_tokens", "with_vocabulary"):
                    found = self._rows_of(f"{order}_bits_{key}", None)
                    row[key] = next(each["value"] for each in found if each["tokenizer"] == name)
                rows.append(row)
        for name in ("zlib", "zstd", "xz"):
            rows += [
                {"": name, "with_used_tokens": row["value"]} for row in self._rows_of(f"{name}_bits_per_byte", None)
            ]
        columns = [
            Column("", ""),
            Column("per_byte", "Ids alone", "right", "{:,.2f}".format),
            Column("with_used_tokens", "With the tokens used", "right", "{:,.2f}".format),
            Column("with_vocabulary", "With all tokens", "right", _vocabulary_cost),
        ]
        held_out = sum(map(len, self._corpus.parts[1]))
        documents = "the document" if len(self._corpus.documents) == 1 else "every document"
        ids = (
            f"Ids by their counts in the first four fifths of {documents} (Witten-Bell smoothing), measured on the "
            "rest. The next columns also write down the tokens that the rest uses, or all of the vocabulary: the "
            "length of each as a byte, and its bytes. The counts are not paid for."
        )
        compressed = (
            "The compressors write the rest as one file that needs nothing else; they have not seen what stands before."
        )
        notes = [ids, compressed]
        if any((row.get("with_vocabulary") or 0) >= SENSELESS for row in rows):
            notes.append(f"Over {SENSELESS} bits: the vocabulary is far larger than what it is to write down here.")
        if not any(row[""] == "zstd" for row in rows):
            notes.append('zstd is not installed: pip install "needlepoint[corpus]"')
        return Table(COMMAND, columns, rows, title=f"Bits per byte, of {held_out:,} held-out bytes", notes=notes)

    def _boundaries(self) -> Table:
        rows: dict[tuple[str, str], Row] = {}
        for found in self._rows:
            if found["metric"].startswith("boundary_") and found["source"] is None:
                pair = (found["tokenizer"], found["against"])
                row = rows.setdefault(pair, {"one": self._labels[pair[0]], "other": self._labels[pair[1]]})
                row[found["metric"]] = worded(found, is_share=found["metric"] != "boundary_f1")
        columns = [
            Column("one", "One"),
            Column("other", "Other"),
            Column("boundary_f1", "F1", show=str),
            Column("boundary_precision", "Shared, of the one's", show=str),
            Column("boundary_recall", "Shared, of the other's", show=str),
        ]
        notes = ["F1: twice the shared boundaries, of those of both together; 1.00 where all are shared."]
        return Table(COMMAND, columns, list(rows.values()), title="Boundaries inside documents", notes=notes)

    def _everything(self) -> list[Table]:
        words = max((row["unit_count"] for row in self._rows if row["metric"] == "typo_double_changed"), default=0)
        texts = max((row["unit_count"] for row in self._rows if row["metric"] == "unstable_beginnings"), default=0)
        looked = "; ".join(
            f"{self._labels[name]}: {found.looked_at:,} of {found.different:,}"
            for name, found in zip(self._names, self._measured.divergences, strict=True)
        )
        typos = (
            f"One typo in each of {words:,} words of the texts, drawn by the seed, each after a space. Edits are the "
            "edit distance between the tokens, of the longer of the two."
        )
        beginnings = (
            f"Beginnings of {texts:,} excerpts of at most 60 characters. In brackets: 95% intervals over words and "
            "over excerpts."
        )
        share = self._measured.divergences[0].share
        where = "" if share == 1 else f" in the first {_percent(share)} of every document"
        pieces = f"Different pre-tokens looked at{where}, each counted as often as it occurs: {looked}."
        lists = (
            "Our lists of English words cut into morphemes and of German compounds cut into words. In brackets: 95% "
            "intervals over the words of a list. F1: twice the shared boundaries, of those of both together."
        )
        evenness = (
            "Entropy: the bits that an id of the text takes at least, by how often each comes; 1.00 if all of those "
            "tokens come equally often. For Rényi's, frequent tokens count for more, the larger alpha is."
        )
        tables = [
            self._figures("How evenly tokens are used", ENTROPIES, tokens=False, notes=[evenness]),
            self._figures("How steady tokens are", STEADINESS, tokens=False, notes=[typos, beginnings]),
            self._figures("Other ways to choose tokens", CHOICES, tokens=False, notes=[pieces]),
            self._figures("Boundaries in words cut by hand", MORPHEMES, tokens=False, notes=[lists]),
        ]
        return [*tables[:1], *([self._vocabularies()] if len(self._names) > 1 else []), *tables[1:]]

    def _vocabularies(self) -> Table:
        words = {
            "vocabulary_jaccard": "{one} and {other}: in both, of all in either",
            "vocabulary_contained": "{one} and {other}: in both, of all of {one}",
            "vocabulary_same_id": "{one} and {other}: the same id, of those in both",
            "used_tokens_shared": "{one}'s tokens of the text that are in {other}, too",
        }
        rows = []
        for found in self._rows:
            if found["metric"] in words and found["source"] is None:
                names = {"one": self._labels[found["tokenizer"]], "other": self._labels[found["against"]]}
                label = words[found["metric"]].format(**names)
                rows.append({"what": label, "share": worded(found, is_share=True)})
        columns = [Column("what", ""), Column("share", "Share", show=str)]
        notes = ["Tokens are the same where their bytes are; special tokens are left out."]
        return Table(COMMAND, columns, rows, title="Vocabularies", notes=notes)

    def _difference_table(self, rows: Sequence[Row]) -> Table:
        together: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            key = (row["which"], row["source"], row["document"], row["start_byte"])
            place = f"{self._place(row)}, byte {row['start_byte']:,}"
            one = together.setdefault(key, {"which": row["which"], "place": place, "times": row["times"]})
            one[f"cut {row['tokenizer']}"] = row["cut"]
        columns = [
            Column("which", "Which"),
            Column("place", "Where"),
            Column("times", "Times", "right"),
            *(Column(f"cut {name}", self._labels[name], show=str) for name in self._names),
        ]
        title = (
            f"Cut differently: {how_many(self._findings.stretches, 'stretch', 'stretches')} between shared boundaries, "
            f"{self._findings.different_bytes:,} of {len(self._corpus.data):,} bytes"
        )
        notes = ["Times: how many stretches have these bytes and are cut differently."]
        return Table(COMMAND, columns, list(together.values()), title=title, notes=notes)

    def _place(self, row: Row) -> str:
        """The file, and the document where files have several."""
        several = len(self._corpus.documents) > len(self._corpus.files)
        name = self._files[row["source"]]
        return f"{name}, document {row['document']:,}" if several else name

    def _aligned_table(self, rows: Sequence[Row]) -> Table:
        def picture(width: int, blocks: bool) -> list[str]:  # noqa: ARG001 - it uses no block characters
            begins = [(self._labels[name], places) for name, places in self._findings.begins]
            lines, legend, _ = aligned(self._findings.excerpt, begins, width, self._findings.count)
            return ["", *lines, "", *legend]

        title = f"{self._place(rows[0])} from byte {rows[0]['start_byte']:,} on"
        return Table(COMMAND, [], [], title=title, picture=picture, picture_only=True)


def worded(row: Row, *, is_share: bool) -> str:
    """A figure for people: "3.36 [3.10-3.52]", a share "25% [20-31] (756 of 2,973)"; "-" where nothing was counted."""
    value, low, high = row["value"], row["low"], row["high"]
    if value is None:
        return "-"
    has_limits = low is not None and high is not None
    if is_share:
        digits = max(map(_digits, (value, low, high))) if has_limits else _digits(value)
        between = f" [{_points(low, digits)}-{_points(high, digits)}]" if has_limits else ""
        return f"{_points(value, digits)}%{between} ({row['numerator']:,.0f} of {row['denominator']:,.0f})"
    return f"{value:.2f}" + (f" [{low:.2f}-{high:.2f}]" if has_limits else "")


def _vocabulary_cost(bits: float) -> str:
    return f"{bits:,.2f}" if bits < SENSELESS else f"over {SENSELESS}"


def _percent(share: float) -> str:
    return f"{_points(share, _digits(share))}%"


def _points(share: float, digits: int) -> str:
    """A share in points with so many digits, of which none and all have none: 0.256 -> "26", 1.0 -> "100"."""
    return f"{100 * share:.{digits if 0 < share < 1 else 0}f}"


def _digits(share: float) -> int:
    """How many digits a share has behind the point: 0.256 -> 0 (26%), 0.0215 -> 1 (2.1%), 0.00027 -> 2 (0.03%)."""
    points = 100 * share
    if 0 < points < 0.095:
        return max(2, -math.floor(math.log10(points)))
    return 1 if 0 < points < 9.95 or 99 < points < 100 else 0
