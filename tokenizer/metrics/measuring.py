"""All metrics of one or more tokenizers on the same texts."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tokenizer.metrics import compression, entropy, overlap, robustness, words
from tokenizer.metrics.corpus import Corpus, Encoded, Ids, Lens, Numbers
from tokenizer.metrics.entropy import HeldOut
from tokenizer.metrics.figures import Figure, Ratio, one_ratio
from tokenizer.metrics.inference import Divergence, divergence
from tokenizer.metrics.morphemes import LANGUAGES, gold_words, morpheme_boundaries

DEFAULT_ALPHA = 2.5
_FEW = 10_000  # ids

# Each metric: what is counted, and over what.
METRICS = {
    "bytes_per_token": ("bytes", "tokens"),
    "characters_per_token": ("characters", "tokens"),
    "tokens_per_word": ("tokens that hold some of a word", "words"),
    "continued_words": ("words of two or more tokens", "words"),
    "vocabulary_used": ("different tokens used", "tokens of the vocabulary"),
    "parity": ("tokens", "tokens of the first file"),
    "boundary_f1": ("twice the shared boundaries", "boundaries of both"),
    "boundary_precision": ("shared boundaries", "boundaries of this tokenizer"),
    "boundary_recall": ("shared boundaries", "boundaries of the other"),
    "unigram_bits_per_byte": ("bits of ids", "held-out bytes"),
    "unigram_bits_with_used_tokens": ("bits of ids and of the tokens used", "held-out bytes"),
    "unigram_bits_with_vocabulary": ("bits of ids and of all tokens", "held-out bytes"),
    "bigram_bits_per_byte": ("bits of ids", "held-out bytes"),
    "bigram_bits_with_used_tokens": ("bits of ids and of the tokens used", "held-out bytes"),
    "bigram_bits_with_vocabulary": ("bits of ids and of all tokens", "held-out bytes"),
    "zlib_bits_per_byte": ("bits of the compressed file", "held-out bytes"),
    "zstd_bits_per_byte": ("bits of the compressed file", "held-out bytes"),
    "xz_bits_per_byte": ("bits of the compressed file", "held-out bytes"),
    "normalized_sequence_length": ("tokens", "tokens of the other"),
    "shannon_efficiency_observed": ("bits of entropy", "log2 of the different tokens used"),
    "shannon_efficiency_nominal": ("bits of entropy", "log2 of the tokens of the vocabulary"),
    "renyi_efficiency_observed": ("bits of entropy", "log2 of the different tokens used"),
    "renyi_efficiency_nominal": ("bits of entropy", "log2 of the tokens of the vocabulary"),
    "vocabulary_jaccard": ("tokens in both vocabularies", "tokens in either"),
    "vocabulary_contained": ("tokens in both vocabularies", "tokens of this one"),
    "vocabulary_same_id": ("tokens with the same id in both", "tokens in both vocabularies"),
    "used_tokens_shared": ("tokens of the text that are in both vocabularies", "tokens of the text"),
    **{
        name: counts
        for kind in robustness.TYPOS
        for name, counts in (
            (f"typo_{kind}_changed", ("edits between tokens before and after", "tokens of the longer")),
            (f"typo_{kind}_growth", ("tokens with the typo", "tokens without")),
        )
    },
    "unstable_beginnings": ("beginnings whose tokens change with one more character", "beginnings"),
    "longest_match_differs": ("pre-tokens cut otherwise by longest match", "pre-tokens looked at"),
    "longest_match_tokens": ("tokens by longest match", "tokens by merging"),
    "fewest_tokens_differs": ("pre-tokens that fewer tokens would do for", "pre-tokens looked at"),
    "fewest_tokens": ("fewest tokens", "tokens by merging"),
    "morpheme_precision": ("shared boundaries", "boundaries of tokens in words"),
    "morpheme_recall": ("shared boundaries", "boundaries of morphemes"),
    "morpheme_f1": ("twice the shared boundaries", "boundaries of both"),
}


@dataclass(frozen=True)
class Wanted:
    """What to measure.

    Attributes:
        everything: also what is less often asked for.
        parallel: the files say the same, in different languages.
        alpha: the order of the Renyi entropy.
        seed: for what is drawn: words that get typos, excerpts, pre-tokens.
    """

    everything: bool = False
    parallel: bool = False
    alpha: float = DEFAULT_ALPHA
    seed: int = 1


@dataclass(frozen=True)
class Measured:
    """What was found: the figures, the tokens of each tokenizer, and how many pre-tokens were looked at."""

    figures: Sequence[Figure]
    encodings: Sequence[Encoded]
    divergences: Sequence[Divergence]


def measure(lenses: Sequence[Lens], corpus: Corpus, wanted: Wanted) -> Measured:
    """All figures of some tokenizers on the same texts, of each file and of all together.

    Example:
        corpus = Corpus.of_texts({"notes": [b"some notes"]})
        measure([Lens("cl100k", cl100k)], corpus, Wanted()).figures[0].ratio.value == 5.0  # bytes per token

    Raises:
        UserError: a text holds a byte for which a vocabulary has no token.
    """
    with ThreadPoolExecutor(1) as meanwhile:  # counting and compressing mostly do without the interpreter's lock
        compressed = meanwhile.submit(list, _compressed(corpus))
        both = [(lens, lens.encode_corpus(corpus)) for lens in lenses]
        held_out = [HeldOut.of(corpus, lens) for lens in lenses]
        alone = [  # not sooner, for encoding takes all processors
            meanwhile.submit(list, _of_one(lens, corpus, encoded, held, wanted))
            for (lens, encoded), held in zip(both, held_out, strict=True)
        ]
        together = list(_agreements(both, corpus))
        divergences = []
        if wanted.everything:
            divergences = [divergence(lens, list(corpus.documents), wanted.seed) for lens in lenses]
            together += _everything(both, corpus, wanted, divergences)
        figures = [figure for found in (*alone, compressed) for figure in found.result()]
    return Measured(figures + together, [encoded for _, encoded in both], divergences)


def _agreements(both: Sequence[tuple[Lens, Encoded]], corpus: Corpus) -> Iterator[Figure]:
    """How far two tokenizers have the same boundaries."""
    boundaries = [(lens, overlap.Boundaries.of(corpus, encoded)) for lens, encoded in both]
    for (some, one), (other, two) in combinations(boundaries, 2):
        for name, ratio in overlap.boundary_agreement(corpus, one, two).items():
            yield from _by_file(corpus, f"boundary_{name}", some.name, ratio, against=other.name)


def _by_file(corpus: Corpus, metric: str, name: str, ratio: Ratio, *, against: str | None = None) -> list[Figure]:
    """A ratio of the documents as figures of each file and of all."""
    return [Figure(metric, name, source, against, ratio.of(part)) for source, part in corpus.groups]


def _of_one(lens: Lens, corpus: Corpus, encoded: Encoded, held_out: HeldOut, wanted: Wanted) -> Iterator[Figure]:
    """What is measured by default of one tokenizer, and its parities if they are wanted."""
    ratios = {
        "bytes_per_token": compression.bytes_per_token(corpus, encoded),
        "characters_per_token": compression.characters_per_token(corpus, encoded),
        **words.word_figures(corpus, encoded),
        "unigram_bits_per_byte": held_out.unigram,
        "bigram_bits_per_byte": held_out.bigram,
    }
    for metric, ratio in ratios.items():
        yield from _by_file(corpus, metric, lens.name, ratio)
    whole = entropy.vocabulary_bits(lens)
    for source, part in corpus.groups:
        used = len(_counts(_ids(corpus, encoded, part)))
        yield Figure("vocabulary_used", lens.name, source, None, overlap.utilisation(used, lens.vocabulary_size))
        ids = np.concatenate([np.zeros(0, np.int32), *held_out.ids[part]])
        costs = {"used_tokens": entropy.vocabulary_bits(lens, ids), "vocabulary": whole}
        for order in ("unigram", "bigram"):
            bits = getattr(held_out, order).of(part)
            for what, cost in costs.items():
                ratio = one_ratio(bits.numerator + cost if bits.denominator else 0, bits.denominator)
                yield Figure(f"{order}_bits_with_{what}", lens.name, source, None, ratio)
    if wanted.parallel:
        yield from _parities(lens, corpus, encoded)


def _ids(corpus: Corpus, encoded: Encoded, documents: slice) -> Ids:
    """The ids of some neighbouring documents."""
    edges = np.concatenate([[0], corpus.ends])[[documents.start, documents.stop]]
    first, last = np.searchsorted(encoded.ends, edges, "right")
    return encoded.ids[first:last]


def _counts(ids: Ids) -> Numbers:
    """How often each of the different ids comes."""
    if len(ids) < _FEW:
        return np.asarray(np.unique(ids, return_counts=True)[1], np.int64)
    counts = np.bincount(ids)  # the quicker way, but for a text that is small beside the vocabulary
    return np.asarray(counts[counts > 0], np.int64)


def _parities(lens: Lens, corpus: Corpus, encoded: Encoded) -> Iterator[Figure]:
    """The tokens of each file over those of the first, which says the same."""
    ends, units = compression.parallel_units(corpus)
    starts = [0, *(int(corpus.ends[last - 1]) if last else 0 for last in corpus.file_ends)]
    for number, name in enumerate(corpus.files[1:], start=1):
        ratio = compression.parity(encoded, ends[number], ends[0], starts[number], starts[0])
        yield Figure("parity", lens.name, name, corpus.files[0], ratio, units)


def _compressed(corpus: Corpus) -> Iterator[Figure]:
    """What general compressors make of the same held-out bytes."""
    for name, compress in compression.compressors().items():
        for source, part in corpus.groups:
            data = b"".join(corpus.parts[1][part])
            yield Figure(f"{name}_bits_per_byte", None, source, None, compression.compressed_bits(compress, data))


def _everything(
    both: Sequence[tuple[Lens, Encoded]], corpus: Corpus, wanted: Wanted, divergences: Sequence[Divergence]
) -> Iterator[Figure]:
    """What is measured on request."""
    reference, reference_tokens = both[0]
    for lens, encoded in both[1:]:
        ratio = compression.sequence_length(corpus, encoded, reference_tokens)
        yield from _by_file(corpus, "normalized_sequence_length", lens.name, ratio, against=reference.name)
    chosen, excerpts = robustness.some_words(corpus, wanted.seed), robustness.excerpts(corpus, wanted.seed)
    for (lens, encoded), found in zip(both, divergences, strict=True):
        yield from _efficiencies(lens, corpus, encoded, wanted.alpha)
        yield from _steadiness(lens, chosen, excerpts, wanted.seed)
        for metric, ratio in (
            ("longest_match_differs", found.longest_differs),
            ("longest_match_tokens", found.longest_tokens),
            ("fewest_tokens_differs", found.fewest_differs),
            ("fewest_tokens", found.fewest_tokens),
        ):
            yield Figure(metric, lens.name, None, None, ratio, "texts")
        for language in LANGUAGES:
            for name, ratio in morpheme_boundaries(lens, gold_words(language)).items():
                yield Figure(f"morpheme_{name}", lens.name, None, f"{language.capitalize()} list", ratio, "words")
    every_shared = overlap.shared_tokens([lens for lens, _ in both])
    for ((some, one), (other, two)), shared in zip(combinations(both, 2), every_shared, strict=True):
        for name, ratio in overlap.vocabulary_overlap(some, other, shared).items():
            yield Figure(f"vocabulary_{name}", some.name, None, other.name, ratio, "vocabularies")
        for first, tokens, ids, second in ((some, one, shared[0], other), (other, two, shared[1], some)):
            ratio = overlap.used_overlap(corpus, first, tokens, ids, second)
            yield from _by_file(corpus, "used_tokens_shared", first.name, ratio, against=second.name)


def _efficiencies(lens: Lens, corpus: Corpus, encoded: Encoded, alpha: float) -> Iterator[Figure]:
    for source, part in corpus.groups:
        counts = _counts(_ids(corpus, encoded, part))
        sizes = {"observed": len(counts), "nominal": lens.vocabulary_size}
        for name, order in (("shannon", 1.0), ("renyi", alpha)):
            for which, size in sizes.items():
                ratio = entropy.efficiency(counts, size, order)
                yield Figure(f"{name}_efficiency_{which}", lens.name, source, None, ratio)


def _steadiness(lens: Lens, chosen: Sequence[str], excerpts: Sequence[str], seed: int) -> Iterator[Figure]:
    for kind in robustness.TYPOS:
        found = robustness.typo_figures(lens.tokenizer, chosen, kind, seed)
        yield Figure(f"typo_{kind}_changed", lens.name, None, None, found["changed"], "words")
        yield Figure(f"typo_{kind}_growth", lens.name, None, None, found["grown"], "words")
    ratio = robustness.prefix_instability(lens.tokenizer, excerpts)
    yield Figure("unstable_beginnings", lens.name, None, None, ratio, "excerpts")
