"""The curve over all sizes is what every smaller tokenizer counts by itself; held-out documents are a true sample."""

import random
from collections import Counter

import pytest

from tokenizer.corpus import Chunk, document_chunks
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.splits import make_split
from tokenizer.sweeping import DocumentSplit, token_curve
from tokenizer.training import learn, smaller


@pytest.mark.parametrize("layout", ["hf", "bytes"])
@pytest.mark.parametrize("letters", ["ab", "abc ", "aab é東\n 12"])
def test_each_size_counts_what_its_own_tokenizer_counts(layout, letters):
    draw = random.Random(f"{layout}{letters}")
    documents = ["".join(draw.choices(letters, k=draw.randint(1, 150))) for _ in range(5)]
    unseen = [*("".join(draw.choices(f"{letters}z", k=150)) for _ in range(3)), "<s> aab", ""]
    training = learn(document_chunks(documents), vocab_size=300, layout=layout, special_tokens=["<s>"])
    curve = token_curve(training.tokenizer, document_chunks(unseen))
    assert (curve.documents, curve.bytes) == (5, sum(len(text.encode()) for text in unseen))
    assert (curve.first_size, curve.last_size) == (257, training.tokenizer.vocab_size)
    assert curve.last_size > 265
    for size in range(curve.first_size, curve.last_size + 1):
        own = smaller(training.tokenizer, size)
        assert curve.tokens_at(size) == sum(own.count(text, disallowed_special=()) for text in unseen)


def test_on_the_text_that_was_learned_from_it_is_what_training_knew():
    texts = [b"low low lower lowest", b"\xff\xfe slow \xe6\x9d", b"new newer\n newest"]
    training = learn(document_chunks(texts), vocab_size=275)
    assert token_curve(training.tokenizer, document_chunks(texts)).tokens[1:] == training.corpus_tokens


def test_what_cannot_be_measured_is_told():
    trained = learn(document_chunks(["low low lower"]), vocab_size=258).tokenizer
    with pytest.raises(UserError, match="text to measure is empty"):
        token_curve(trained, document_chunks([""]))
    alphabet = {bytes([byte]): byte for byte in range(256)}
    ranks = Tokenizer(
        name="ranks", split=make_split("gpt2"), vocabulary=alphabet, special_tokens={}, merges=None, whole_pieces=True
    )
    with pytest.raises(UsageError, match="no order of merges"):
        token_curve(ranks, document_chunks(["low"]))


def chunks(documents: int) -> list[Chunk]:
    """Documents in two chunks each, which hold their number."""
    return [Chunk(str(number).encode(), ends_document=ends) for number in range(documents) for ends in (False, True)]


@pytest.mark.parametrize(("documents", "share", "wanted"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.2, 2), (95, 0.5, 48)])
def test_a_share_is_held_out_whole_documents_and_the_rest_learned(documents, share, wanted):
    split = DocumentSplit(documents, share, seed=3)
    held_out, learned = list(split.held_out(chunks(documents))), list(split.learned(chunks(documents)))
    assert len({chunk.data for chunk in held_out}) == split.wanted == wanted
    assert len(held_out) == 2 * wanted
    assert [chunk.ends_document for chunk in held_out] == [False, True] * wanted
    assert not {chunk.data for chunk in held_out} & {chunk.data for chunk in learned}
    assert Counter(held_out + learned) == Counter(chunks(documents))
    assert held_out == list(DocumentSplit(documents, share, seed=3).held_out(chunks(documents)))


def test_every_document_is_held_out_as_often_as_any_other():
    drawn = Counter(
        chunk.data
        for seed in range(1000)
        for chunk in DocumentSplit(5, 0.4, seed).held_out(chunks(5))
        if chunk.ends_document
    )
    assert drawn.total() == 2000
    # Each is drawn 400 times of 1,000 on average, with a standard deviation of sqrt(1000 x 0.4 x 0.6) = 15.5.
    assert all(abs(count - 400) < 4 * 15.5 for count in drawn.values())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_nonsense_is_refused(share):
    with pytest.raises(UsageError, match="cannot be held out"):
        DocumentSplit(10, share, 1)
    with pytest.raises(UserError, match="a single document"):
        DocumentSplit(1, 0.5, 1)
