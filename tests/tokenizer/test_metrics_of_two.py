"""What several tokenizers share, and where they differ: against sets and plain loops."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizer import Tokenizer
from tokenizer.metrics import overlap
from tokenizer.metrics.corpus import Corpus, Encoded, Lens
from tokenizer.metrics.differences import Differences
from tokenizer.metrics.figures import Ratio
from tokenizer.metrics.overlap import Boundaries
from tokenizer.training import train_on

SAMPLES = Path(__file__).parents[2] / "samples"
Cut = tuple[bytes, ...]


def totals(ratio: Ratio) -> tuple[float, float]:
    return ratio.numerator, ratio.denominator


def encoded(documents: Sequence[Sequence[bytes]]) -> Encoded:
    """Documents that were cut by hand."""
    sizes = [len(token) for document in documents for token in document]
    return Encoded(np.zeros(len(sizes), np.int32), np.array(list(accumulate(sizes)), np.int64))


def test_shared_boundaries_are_those_of_two_sets(both_engines: Callable[[str], tuple[Any, Any]]) -> None:
    texts = [(SAMPLES / "texts" / f"{name}.txt").read_bytes() for name in ("german", "japanese")]
    corpus = Corpus.of_texts({"a": texts})
    names = ("gpt2", "cl100k")
    ours = [Lens(name, both_engines(name)[0]).encode_corpus(corpus) for name in names]
    found = overlap.boundary_agreement(corpus, *(Boundaries.of(corpus, one) for one in ours))
    for number, text in enumerate(texts):
        one, two = (
            set(accumulate(map(len, engine.decode_tokens_bytes(engine.encode_ordinary(text.decode()))))) - {len(text)}
            for engine in (both_engines(name)[1] for name in names)
        )
        of = slice(number, number + 1)
        assert totals(found["f1"].of(of)) == (2 * len(one & two), len(one) + len(two))
        assert totals(found["precision"].of(of)) == (len(one & two), len(one))
        assert totals(found["recall"].of(of)) == (len(one & two), len(two))


def test_the_end_of_a_document_is_no_boundary() -> None:
    corpus = Corpus.of_texts({"a": [b"ab", b"", b"cd"]})
    one, two = encoded([[b"a", b"b"], [], [b"cd"]]), encoded([[b"ab"], [], [b"c", b"d"]])
    some, other = Boundaries.of(corpus, one), Boundaries.of(corpus, two)
    found = overlap.boundary_agreement(corpus, some, other)
    assert [totals(found[name]) for name in ("f1", "precision", "recall")] == [(0, 2), (0, 1), (0, 1)]
    assert overlap.boundary_agreement(corpus, some, some)["f1"].value == 1


def test_vocabularies_are_compared_by_their_bytes(both_engines: Callable[[str], tuple[Any, Any]]) -> None:
    (some, theirs), (other, others) = both_engines("cl100k"), both_engines("o200k")
    lenses = Lens("cl100k", some), Lens("o200k", other)
    found = overlap.vocabulary_overlap(*lenses, *overlap.shared_tokens(lenses))
    first, second = theirs._mergeable_ranks, others._mergeable_ranks
    pairs = {(rank, second[token]) for token, rank in first.items() if token in second}
    for one, two in (lenses, lenses[::-1]):
        ((ids, their_ids),) = overlap.shared_tokens([one, two])
        assert {*zip(ids.tolist(), their_ids.tolist(), strict=True)} == pairs
        pairs = {(two, one) for one, two in pairs}
    same = sum(second.get(token) == rank for token, rank in first.items())
    shared = len(set(first) & set(second))
    assert totals(found["jaccard"]) == (shared, len(set(first) | set(second)))
    assert totals(found["contained"]) == (shared, 100_256)
    assert totals(found["same_id"]) == (same, shared)
    # Another program counted 15,226 that were left out and 114,965 that came in, of which three are special tokens.
    assert abs(100_256 - shared - 15_226) <= 3
    assert abs(199_998 - shared - 114_965) <= 3


def test_of_several_vocabularies_every_two_are_compared(both_engines: Callable[[str], tuple[Any, Any]]) -> None:
    names = ("cl100k", "o200k", "gpt2")  # the largest in the middle
    lenses = [Lens(name, both_engines(name)[0]) for name in names]
    ranks = [both_engines(name)[1]._mergeable_ranks for name in names]
    every = list(overlap.shared_tokens(lenses))
    assert len(every) == 3
    for (ids, their_ids), (first, second) in zip(every, combinations(ranks, 2), strict=True):
        found = set(zip(ids.tolist(), their_ids.tolist(), strict=True))
        assert found == {(first[token], second[token]) for token in first.keys() & second.keys()}
        assert len(found) == len(ids)
    assert list(overlap.shared_tokens(lenses[:1])) == []


def test_tokens_of_a_text_that_another_vocabulary_has(both_engines: Callable[[str], tuple[Any, Any]]) -> None:
    text = (SAMPLES / "texts" / "russian.txt").read_bytes()
    (some, theirs), (other, others) = both_engines("gpt2"), both_engines("cl100k")
    corpus = Corpus.of_texts({"a": [text, b""]})
    lens = Lens("gpt2", some)
    tokens = theirs.decode_tokens_bytes(theirs.encode_ordinary(text.decode()))
    known = sum(token in others._mergeable_ranks for token in tokens)
    ((here, there),) = overlap.shared_tokens([lens, other_lens := Lens("cl100k", other)])
    assert list(map(theirs.decode_single_token_bytes, here)) == list(map(others.decode_single_token_bytes, there))
    found = overlap.used_overlap(corpus, lens, lens.encode_corpus(corpus), here, other_lens)
    assert found.numerators.tolist() == [known, 0]
    assert found.denominators.tolist() == [len(tokens), 0]


def test_a_special_token_that_is_always_read_may_be_an_ordinary_one_of_the_other() -> None:
    one = train_on(["a b"], vocab_size=260, special_tokens=["ab", "cd"])
    one = Tokenizer(
        name="one",
        split=one.split,
        vocabulary=one.vocabulary,
        special_tokens=one.special_tokens,
        merges=one.merges,
        whole_pieces=False,
        literal_tokens={"ab", "cd"},
    )
    some, other = Lens("one", one), Lens("other", train_on(["ab ab ab"], vocab_size=257))
    corpus = Corpus.of_texts({"a": [b"abcdx"]})
    ((here, _),) = overlap.shared_tokens([some, other])
    found = overlap.used_overlap(corpus, some, some.encode_corpus(corpus), here, other)
    assert totals(found) == (2, 3)  # ab and x, of ab, cd and x


def spread(cuts: Sequence[Cut]) -> int:
    """The most tokens less the fewest."""
    return max(map(len, cuts)) - min(map(len, cuts))


def test_a_difference_lies_between_shared_boundaries() -> None:
    corpus = Corpus.of_texts({"a": [b"abcdab", b"bcd"]})
    one = encoded([[b"a", b"bc", b"d", b"ab"], [b"bc", b"d"]])
    two = encoded([[b"a", b"b", b"cd", b"a", b"b"], [b"b", b"c", b"d"]])
    found = Differences(corpus, [one, two])
    assert (len(found), found.size) == (3, 3 + 2 + 2)
    first = found.first(2)
    assert [(each.document, each.start, each.end, each.times) for each in first] == [(0, 1, 4, 1), (0, 4, 6, 1)]
    assert first[0].cuts == ((b"bc", b"d"), (b"b", b"cd"))
    assert spread(first[0].cuts) == 0
    assert [(each.cuts, spread(each.cuts)) for each in found.largest(2)] == [
        (((b"ab",), (b"a", b"b")), 1),
        (((b"bc",), (b"b", b"c")), 1),
    ]


def test_no_text_and_equal_cuts_have_no_difference() -> None:
    empty = Differences(Corpus.of_texts({"a": [b""]}), [encoded([[]]), encoded([[]])])
    assert (len(empty), empty.size, empty.first(3), empty.largest(3)) == (0, 0, [], [])
    cut = encoded([[b"a", b"b"]])
    assert len(Differences(Corpus.of_texts({"a": [b"ab"]}), [cut, cut])) == 0
    assert len(Differences(Corpus.of_texts({"a": [b"ab"]}), [cut])) == 0


def cuts_of(text: bytes) -> st.SearchStrategy[Cut]:
    def cut(places: set[int]) -> Cut:
        return tuple(text[start:end] for start, end in pairwise([0, *sorted(places), len(text)]))

    return st.sets(st.integers(1, len(text) - 1)).map(cut)


def plain_differences(cuts: Sequence[Cut]) -> Iterator[tuple[int, int, tuple[Cut, ...]]]:
    """The stretches by walking over the text byte by byte."""
    edges = [{0, *accumulate(map(len, cut))} for cut in cuts]
    text = b"".join(cuts[0])
    start = 0
    for end in range(1, len(text) + 1):
        if all(end in each for each in edges):
            inside = [sorted(each & set(range(start, end + 1))) for each in edges]
            parts = tuple(tuple(text[a:b] for a, b in pairwise(each)) for each in inside)
            if len(set(parts)) > 1:
                yield start, end, parts
            start = end


@given(st.lists(cuts_of(b"abcdefghijklmnopqrstuvw"), min_size=2, max_size=3))
def test_all_differences_are_those_of_a_walk_over_the_text(cuts: list[Cut]) -> None:
    corpus = Corpus.of_texts({"a": [b"".join(cuts[0])]})
    found = Differences(corpus, [encoded([cut]) for cut in cuts])
    expected = list(plain_differences(cuts))
    assert [(each.start, each.end, each.cuts) for each in found.first(100)] == expected
    spreads = [spread(parts) for _, _, parts in expected]
    assert [spread(each.cuts) for each in found.largest(100)] == sorted(spreads, reverse=True)


@pytest.mark.parametrize("documents", [[b""], [], [b"", b"a"]])
def test_a_corpus_may_hold_little(documents: list[bytes]) -> None:
    corpus = Corpus.of_texts({"a": documents})
    assert corpus.data == b"".join(documents)
    assert len(corpus.words.starts) == len(corpus.data)
    assert corpus.groups == [(None, slice(0, len(documents)))]
