"""Less of a text than the whole: nothing is lost that was to stay, and every statement is where it is said to be."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.context import LEFT_OUT, focused, numbered_excerpts
from probes.haystack import make_haystack, place
from probes.sentences import sentence_ends
from tokenizer.errors import UserError

STATEMENTS = ["Alpha is 1. And so on.", "Beta is 2.", "Gamma is 3."]
DEPTHS = st.lists(st.floats(0, 1), min_size=1, max_size=3)


def placed(depths, seed="s", length=500, **options):
    haystack = make_haystack("prose", seed, length, lambda text: len(text.split()), **options)
    said = STATEMENTS[: len(depths)]
    found = place(haystack, said, sorted(depths))
    return found.text, said, [(at, at + len(one)) for at, one in zip(found.offsets, said, strict=True)]


def words(text):
    return text.split()


@given(depths=DEPTHS, around=st.integers(0, 5), seed=st.text(max_size=2), headings=st.booleans())
def test_the_focused_text_holds_the_statements_with_their_neighbours(depths, around, seed, headings):
    text, said, spans = placed(depths, seed, headings=headings)
    cut = focused(text, spans, around)
    for offset, statement in zip(cut.offsets, said, strict=True):
        assert cut.text[offset:].startswith(statement)
    pieces = [piece.strip() for piece in cut.text.split(LEFT_OUT) if piece.strip()]
    assert all(piece in text for piece in pieces)
    assert sum(map(len, pieces)) <= len(text)
    # Nothing but whole sentences, so many that each statement has its neighbours.
    ends = sentence_ends(text)
    assert all(any(text.endswith(piece, 0, end) for end in ends) for piece in pieces)
    sentences = sum(len(sentence_ends(piece)) - 1 for piece in pieces)
    assert sentences <= sum(len(sentence_ends(one)) - 1 + 2 * around for one in said) + 1
    assert LEFT_OUT in cut.text or words(cut.text) == words(text)


def test_stretches_that_meet_are_one():
    text = "One. Two. Three. Four. Five. Six. Seven. Eight. Nine."
    spans = [(text.index("Two"), text.index("Two") + 4), (text.index("Four"), text.index("Four") + 5)]
    assert focused(text, spans, around=1).text == f"One. Two. Three. Four. Five.\n\n{LEFT_OUT}"
    assert focused(text, spans, around=0).text == f"{LEFT_OUT}\n\nTwo.\n\n{LEFT_OUT}\n\nFour.\n\n{LEFT_OUT}"
    assert focused(text, spans, around=9).text == text
    assert focused(text, [], around=1).text == ""


@given(depths=DEPTHS, count=st.integers(1, 12), seed=st.text(max_size=2), headings=st.booleans())
def test_excerpts_hold_the_whole_text(depths, count, seed, headings):
    text, said, spans = placed(depths, seed, headings=headings)
    cut = numbered_excerpts(text, count, spans)
    for offset, statement in zip(cut.offsets, said, strict=True):
        assert cut.text[offset:].startswith(statement)
    parts = re.split(r"(?:^|\n\n)Excerpt (\d+):\n", cut.text)
    assert parts[1::2] == [str(number) for number in range(1, count + 1)]
    pieces = parts[2::2]
    assert words(" ".join(pieces)) == words(text)
    assert all(piece.strip() for piece in pieces)
    longest = max(len(text[start:end]) for start, end in itertools.pairwise(sentence_ends(text)))
    assert all(abs(len(piece) - len(text) / count) <= 2 * longest + 10 for piece in pieces)


def test_excerpts_carry_the_label_given():
    assert numbered_excerpts("Eins. Zwei.", 2, [], label="Auszug").text == "Auszug 1:\nEins.\n\nAuszug 2:\nZwei."


@pytest.mark.parametrize("count", [0, -1, 3])
def test_too_many_excerpts_are_refused(count):
    with pytest.raises(UserError, match="2 sentences cannot be cut"):
        numbered_excerpts("One. Two.", count, [])


def test_no_statement_is_cut_in_two():
    text = "One. Alpha is. And so. Two."
    assert numbered_excerpts(text, 3, [(5, 22)]).text.count("Alpha is. And so.") == 1
    with pytest.raises(UserError):
        numbered_excerpts(text, 4, [(5, 22)])
