"""The metrics of single tokenizers: against other implementations, and against sums done by hand."""

import lzma
import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tokenizer import Tokenizer, load_tokenizer
from tokenizer.metrics import compression, words
from tokenizer.metrics import corpus as corpora
from tokenizer.metrics.corpus import Corpus, Lens, cut_place
from tokenizer.metrics.entropy import HeldOut, IdModel, efficiency, renyi_entropy, vocabulary_bits
from tokenizer.metrics.figures import Ratio
from tokenizer.metrics.inference import divergence
from tokenizer.metrics.measuring import METRICS, Wanted, measure
from tokenizer.metrics.morphemes import LANGUAGES, gold_words, morpheme_boundaries
from tokenizer.metrics.robustness import TYPOS, edit_distance, prefix_instability, typo_figures
from tokenizer.splits import make_split

SAMPLES = Path(__file__).parents[2] / "samples"
# White_Space in Unicode's PropList.txt.
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
AWKWARD = "Grüße aus\u3000東京!\x1c\n\n a\x85b  the harbour's 🌍 \u00a0x".encode() + b"\xff\xe6\x9d x\xe2\x80"


def toy(*tokens: str) -> Tokenizer:
    """All bytes, and some tokens in the order of their ranks; words and white space are pre-tokens."""
    vocabulary = {bytes([byte]): byte for byte in range(256)}
    vocabulary |= {token.encode(): 256 + rank for rank, token in enumerate(tokens)}
    return Tokenizer(
        name="toy",
        split=make_split(r"\S+|\s+"),
        vocabulary=vocabulary,
        special_tokens={},
        merges=None,
        whole_pieces=False,
    )


def one_text(*documents: bytes) -> Corpus:
    return Corpus.of_texts({"text": list(documents)})


def totals(ratio: Ratio) -> tuple[float, float]:
    return ratio.numerator, ratio.denominator


# ---------------------------------------------------------------------------------------- bytes, characters, words


@pytest.mark.parametrize("name", ["gpt2", "cl100k"])
def test_bytes_characters_and_words_are_those_of_a_plain_count_over_tiktokens_tokens(
    name: str, both_engines: Callable[[str], tuple[Any, Any]]
) -> None:
    ours, theirs = both_engines(name)
    texts = [(SAMPLES / "texts" / f"{language}.txt").read_bytes() for language in ("german", "hindi")]
    documents = [*texts, b"", AWKWARD.decode("utf-8", "ignore").encode(), b"   "]
    corpus = one_text(*documents)
    encoded = Lens(name, ours).encode_corpus(corpus)
    for number, document in enumerate(documents):
        sizes = list(map(len, theirs.decode_tokens_bytes(theirs.encode_ordinary(document.decode()))))
        holder = [token for token, size in enumerate(sizes) for _ in range(size)]  # of each byte
        spans, start, position = [], None, 0
        for character in document.decode() + " ":
            if character not in WHITE and start is None:
                start = position
            elif character in WHITE and start is not None:
                spans.append((start, position))
                start = None
            position += len(character.encode())
        held = [len(set(holder[start:end])) for start, end in spans]
        of = slice(number, number + 1)
        assert totals(compression.bytes_per_token(corpus, encoded).of(of)) == (len(document), len(sizes))
        assert totals(compression.characters_per_token(corpus, encoded).of(of)) == (len(document.decode()), len(sizes))
        figures = words.word_figures(corpus, encoded)
        assert totals(figures["tokens_per_word"].of(of)) == (sum(held), len(held))
        assert totals(figures["continued_words"].of(of)) == (sum(each > 1 for each in held), len(held))


def test_words_of_bytes_that_are_no_text_and_a_ratio_of_totals() -> None:
    corpus = one_text(b"a bb", b"ccc\xff", b"")
    encoded = Lens("toy", toy()).encode_corpus(corpus)
    # Every byte is a token: a has 1, bb 2, ccc\xff 4.
    figures = words.word_figures(corpus, encoded)
    ratio = figures["tokens_per_word"]
    assert totals(ratio) == (1 + 2 + 4, 3)
    assert ratio.value == pytest.approx(7 / 3)
    assert ratio.value != pytest.approx((3 / 2 + 4) / 2)  # the mean of the documents' ratios
    assert totals(figures["continued_words"]) == (2, 3)
    assert totals(compression.characters_per_token(corpus, encoded)) == (4 + 4, 8)
    assert Ratio(np.zeros(1), np.zeros(1)).value is None


@given(st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=4))
def test_characters_one_by_one(documents: list[str | bytes]) -> None:
    given = [one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one for one in documents]
    letters = "".join(one.decode("utf-8", "surrogateescape") for one in given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "_AT_ONCE", 7)
        points = corpora.code_points(given)
    assert points.tolist() == list(map(ord, letters))
    assert corpora.is_white_space(points).tolist() == [letter in WHITE for letter in letters]


def test_a_token_with_two_words_counts_for_both() -> None:
    vocabulary = {bytes([byte]): byte for byte in range(256)} | {b"a b": 256, b" b": 257}
    joined = Tokenizer(
        name="joined",
        split=make_split(".+"),
        vocabulary=vocabulary,
        special_tokens={},
        merges=None,
        whole_pieces=True,
    )
    corpus = one_text(b"a b")
    encoded = Lens("joined", joined).encode_corpus(corpus)
    assert encoded.ids.tolist() == [256]
    assert totals(words.word_figures(corpus, encoded)["tokens_per_word"]) == (2, 2)


def test_parity_pairs_lines_documents_or_whole_files() -> None:
    lens = Lens("toy", toy("ab"))
    corpus = Corpus.of_texts({"en": [b"\nab\n\nabab\n"], "de": [b"xx\nyyyy\n\n"]})
    ends, units = compression.parallel_units(corpus)
    assert (ends, units) == ([[5, 10], [13, 19]], "lines")
    encoded = lens.encode_corpus(corpus)
    ratio = compression.parity(encoded, ends[1], ends[0], 10, 0)
    # "\nab\n\n" is 3 tokens (\n, ab, \n\n as two bytes makes 4), "abab\n" 3; "xx\n" 3, "yyyy\n\n" 6.
    assert (ratio.numerators.tolist(), ratio.denominators.tolist()) == ([3, 6], [4, 3])
    several = Corpus.of_texts({"en": [b"a", b"b"], "de": [b"c", b"d\n\nd"]})
    assert compression.parallel_units(several) == ([[1, 2], [3, 7]], "documents")
    uneven = Corpus.of_texts({"en": [b"a\nb"], "de": [b"c"]})
    assert compression.parallel_units(uneven) == ([[3], [4]], "files")


def test_compressors_write_what_can_be_read_again_and_zlib_is_zlibs() -> None:
    data = (SAMPLES / "texts" / "english.txt").read_bytes()
    found = compression.compressors()
    assert zstandard.decompress(found["zstd"](data)) == lzma.decompress(found["xz"](data)) == data
    ratio = compression.compressed_bits(found["zlib"], data)
    assert ratio.value == 8 * len(zlib.compress(data, 9)) / len(data)
    assert compression.compressed_bits(found["zlib"], b"").value is None
    for size in (0, 1, 4096, 4097, len(data)):
        assert len(found["xz"](data[:size])) == len(lzma.compress(data[:size], preset=9))


# -------------------------------------------------------------------------------------------------------- entropies


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_entropies_are_scipys(counts: list[int]) -> None:
    array = np.array(counts)
    shares = array[array > 0] / array.sum()
    assert renyi_entropy(array, 1.0) == pytest.approx(stats.entropy(counts, base=2))
    assert renyi_entropy(array, 2.0) == pytest.approx(-math.log2((shares**2).sum()))
    assert renyi_entropy(array, 2.5) == pytest.approx(math.log2((shares**2.5).sum()) / -1.5)
    assert renyi_entropy(array, math.inf) == pytest.approx(-math.log2(shares.max()))
    assert renyi_entropy(array, 1 + 1e-6) == pytest.approx(renyi_entropy(array, 1.0), abs=1e-4)
    assert renyi_entropy(array, 5000.0) == pytest.approx(-math.log2(shares.max()), rel=1e-3, abs=1e-2)


def test_efficiency_by_hand() -> None:
    # p = 1/2, 1/4, 1/4: H = 1.5 bits; H_2 = -log2(1/4 + 1/16 + 1/16) = 3 - log2 3.
    counts = np.array([2, 1, 0, 1])
    assert efficiency(counts, 4, 1.0).value == pytest.approx(1.5 / 2)
    assert efficiency(counts, 3, 1.0).value == pytest.approx(1.5 / math.log2(3))
    assert efficiency(counts, 4, 2.0).value == pytest.approx((3 - math.log2(3)) / 2)
    assert efficiency(np.array([0]), 4, 1.0).value is None
    assert efficiency(np.array([3]), 1, 1.0).value is None


def plain_bits(training: Sequence[Sequence[int]], measured: Sequence[int], size: int, order: int) -> float:
    """Witten-Bell smoothing with dictionaries: the formula as the paper has it."""
    ids = Counter(one for document in training for one in document)
    after: dict[object, Counter[int]] = {}
    for document in training:
        for before, one in zip(["begin", *document], document, strict=False):
            after.setdefault(before, Counter())[one] += 1
    total, kinds, bits = sum(ids.values()), len(ids), 0.0
    for before, one in zip(["begin", *measured], measured, strict=False):
        share = (ids[one] + kinds / size) / (total + kinds) if total else 1 / size
        if order == 2 and before in after:
            seen = after[before]
            share = (seen[one] + len(seen) * share) / (seen.total() + len(seen))
        bits -= math.log2(share)
    return bits


documents = st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=4)


@given(documents, documents)
def test_bits_of_ids_are_those_of_a_plain_model_and_probabilities_add_up(
    training: list[list[int]], measured: list[list[int]]
) -> None:
    def arrays(lists: list[list[int]]) -> list[Any]:
        return [np.array(one, np.int32) for one in lists]

    model = IdModel(arrays(training), size=6, highest=6)
    for order in (1, 2):
        expected = [plain_bits(training, one, 6, order) for one in measured]
        assert model.bits(arrays(measured), order=order).tolist() == pytest.approx(expected)
    every = np.arange(6)
    assert model.unigram(every).sum() == pytest.approx(1)
    for before in range(7):
        assert model.bigram(every, np.full(6, before)).sum() == pytest.approx(1)


def test_a_bigram_by_hand() -> None:
    # Of 0 0 1 with V = 4: N = 3, T = 2, p(0) = (2 + 2/4) / 5 = 0.5. After 0: 0 and 1 once each, T(0) = 2,
    # p(0|0) = (1 + 2 * 0.5) / (2 + 2) = 0.5. After 1 nothing was seen: p(0|1) = p(0).
    model = IdModel([np.array([0, 0, 1], np.int32)], size=4, highest=4)
    assert model.unigram(np.array([0])).tolist() == [0.5]
    assert model.bigram(np.array([0, 0]), np.array([0, 1])).tolist() == [0.5, 0.5]


@given(st.binary(max_size=300))
def test_the_held_out_part_is_about_a_fifth_and_begins_with_a_character(data: bytes) -> None:
    cut = cut_place(data)
    assert 0.7 * len(data) - 5 <= cut <= 0.8 * len(data)
    text = "Grüße und 東京\n" * 20
    cut = cut_place(text.encode())
    assert text.encode()[:cut].decode().endswith("\n")


def test_held_out_bits_are_over_the_bytes_of_the_last_fifth_and_vocabularies_have_their_price() -> None:
    text = b"one two three four five six seven eight nine ten\n" * 4
    corpus = one_text(text, b"")
    lens = Lens("toy", toy("ee", " t"))
    held_out = HeldOut.of(corpus, lens)
    cut = cut_place(text)
    first, last = (lens.tokenizer.encode(part) for part in (text[:cut], text[cut:]))
    assert held_out.unigram.numerators.tolist() == pytest.approx([plain_bits([first], last, 258, 1), 0])
    assert held_out.bigram.numerators.tolist() == pytest.approx([plain_bits([first], last, 258, 2), 0])
    assert held_out.bigram.denominators.tolist() == [len(text) - cut, 0]
    # Each token costs its length, a byte, and its bytes: 256 of one byte and two of two.
    assert vocabulary_bits(lens) == 8 * (256 * 2 + 2 * 3)
    assert vocabulary_bits(lens, np.array([97, 257, 97])) == 8 * (2 + 3)


# --------------------------------------------------------------------------------- other ways, typos, morphemes


def test_three_ways_to_choose_by_hand() -> None:
    # bc is the first merge, so merging gives a|bc|d and a|bc; longest match ab|cd and ab|c; two tokens would do.
    found = divergence(Lens("toy", toy("bc", "ab", "cd")), [b"abcd abc", b"abc"], seed=1)
    # Pre-tokens: abcd, a space, abc twice. Merged 3 + 1 + 2 * 2 = 8, longest match 2 + 1 + 2 * 2 = 7, fewest as well.
    assert totals(found.longest_differs) == (3, 4)
    assert totals(found.longest_tokens) == (7, 8)
    assert totals(found.fewest_differs) == (1, 4)
    assert totals(found.fewest_tokens) == (7, 8)
    assert (found.looked_at, found.different, found.share) == (3, 3, 1.0)


def test_of_long_texts_only_so_much_is_cut_in_three_ways() -> None:
    found = divergence(Lens("toy", toy("ab")), [b"ab cd\n" * 50_000, b"ab cd\n" * 50_000], seed=1)
    assert found.share == 250_000 / 600_000
    # In each document 20,833 whole lines, of ab, a space, cd, and a line end.
    assert found.longest_differs.denominator == 2 * 4 * 20_833
    assert totals(found.fewest_tokens) == (2 * 5 * 20_833, 2 * 5 * 20_833)


def test_a_token_that_merging_never_makes_would_be_the_shortest_cut() -> None:
    vocabulary = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"abc": 257}
    given = {"split": make_split(r"\S+|\s+"), "special_tokens": {}, "whole_pieces": False}
    lens = Lens("toy", Tokenizer(name="toy", vocabulary=vocabulary, merges=[(b"a", b"b")], **given))
    found = divergence(lens, [b"abc"], seed=1)
    assert totals(found.fewest_tokens) == totals(found.longest_tokens) == (1, 2)
    assert totals(found.fewest_differs) == (1, 1)


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_edit_distances_are_those_of_the_recursive_definition(some: list[int], other: list[int]) -> None:
    def distance(one: tuple[int, ...], two: tuple[int, ...]) -> int:
        if not one or not two:
            return len(one) + len(two)
        if one[0] == two[0]:
            return distance(one[1:], two[1:])
        return 1 + min(distance(one[1:], two), distance(one, two[1:]), distance(one[1:], two[1:]))

    assert edit_distance(some, other) == distance(tuple(some), tuple(other))


@pytest.mark.parametrize(
    ("kind", "changed", "grown"),
    [("swap", 2 / 5, 1), ("omit", 1 / 5, 4 / 5), ("double", 1 / 6, 6 / 5), ("case", 1 / 5, 1)],
)
def test_typos_of_a_word_whose_bytes_are_its_tokens(kind: str, changed: float, grown: float) -> None:
    # " abcd" is five tokens; a swap changes two of them, the others one.
    figures = typo_figures(toy(), ["abcd", "aaaa"] if kind == "swap" else ["abcd"], kind, seed=3)
    assert figures["changed"].value == pytest.approx(changed)
    assert figures["grown"].value == pytest.approx(grown)
    assert len(figures["changed"].numerators) == 1  # aaaa has no two letters to swap
    assert set(TYPOS) == {"swap", "omit", "double", "case"}


def test_typos_are_the_same_for_a_seed() -> None:
    tokenizer = load_tokenizer("small")
    chosen = ["harbour", "letter", "bridges"]
    first = [typo_figures(tokenizer, chosen, "swap", seed)["changed"].numerators.tolist() for seed in range(8)]
    assert first == [typo_figures(tokenizer, chosen, "swap", seed)["changed"].numerators.tolist() for seed in range(8)]


def test_unstable_beginnings_by_hand_and_by_tiktoken(both_engines: Callable[[str], tuple[Any, Any]]) -> None:
    # a -> [a] is no beginning of ab -> [ab]; ab is one of aba; aba -> [ab, a] is none of abab -> [ab, ab].
    assert totals(prefix_instability(toy("ab"), ["abab", "", "a"])) == (2, 3)
    ours, theirs = both_engines("gpt2")
    text = "Prefixes of a sentence, such as these, are unstable."
    cuts = [theirs.encode_ordinary(text[:end]) for end in range(1, len(text) + 1)]
    unstable = sum(cuts[end][: len(cuts[end - 1])] != cuts[end - 1] for end in range(1, len(cuts)))
    assert totals(prefix_instability(ours, [text])) == (unstable, len(text) - 1)


def test_morpheme_boundaries_by_hand() -> None:
    # un|break|able has boundaries at 2 and 7. Merging un and bre first leaves un|bre|a|k|a|b|l|e: 2, 5, 6, 7, 8, 9, 10.
    figures = morpheme_boundaries(Lens("toy", toy("un", "re", "bre")), (("un", "break", "able"),))
    assert totals(figures["recall"]) == (2, 2)
    assert totals(figures["precision"]) == (2, 7)
    assert totals(figures["f1"]) == (4, 9)
    umlaut = morpheme_boundaries(Lens("toy", toy()), (("Grö", "ße"),))  # Gr\xc3\xb6 | \xc3\x9fe, every byte a token
    assert totals(umlaut["precision"]) == (1, 6)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lists_are_words_with_parts(language: str) -> None:
    found = gold_words(language)
    assert len({"".join(parts) for parts in found}) == len(found) >= 120
    assert all(len(parts) >= 2 and all(part.isalpha() for part in parts) for parts in found)


def test_every_metric_is_measured_and_none_that_has_no_name() -> None:
    lenses = [Lens("small", load_tokenizer("small")), Lens("gpt2", load_tokenizer("gpt2"))]
    lines = b"The miller carried the flour. A second sentence follows.\n" * 3
    corpus = Corpus.of_texts({"a": [lines, b""], "b": [lines[:70], b"two words"]})
    found = measure(lenses, corpus, Wanted(everything=True, parallel=True))
    assert {figure.metric for figure in found.figures} == set(METRICS)
    of_all = {
        (figure.metric, figure.tokenizer, figure.against): figure.ratio
        for figure in found.figures
        if figure.source is None
    }
    both = of_all["bytes_per_token", "gpt2", None]
    parts = [f.ratio for f in found.figures if (f.metric, f.tokenizer) == ("bytes_per_token", "gpt2") and f.source]
    assert sum(part.numerator for part in parts) == both.numerator == len(corpus.data)
    assert sum(part.denominator for part in parts) == both.denominator
    length = of_all["normalized_sequence_length", "gpt2", "small"]
    by_small = of_all["bytes_per_token", "small", None]
    assert totals(length) == (both.denominator, by_small.denominator)
    for lens in lenses:
        ids = {one for text in (lines, lines[:70], b"two words") for one in lens.tokenizer.encode(text)}
        used = of_all["vocabulary_used", lens.name, None]
        assert totals(used) == (len(ids), {"small": 4_096, "gpt2": 50_256}[lens.name])
