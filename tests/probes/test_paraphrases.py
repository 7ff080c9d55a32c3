"""Needle and question share no word but grammar, and only one sentence answers each question."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.paraphrases import draw_paraphrases, load_names, load_pairs
from probes.prose import Prose, load_words
from tokenizer.errors import UsageError

GRAMMAR = set(
    "a an and as at be been before behind beside by can cannot could did do does for from had has have he her his in "
    "into is it its least must neither never no nor not of off on only or out over she that the their them they this "
    "to up was were what when who whom whose with would".split()
)


def stems(sentence: str) -> set[str]:
    """The content words, each without the endings of English and of no more than its first six letters."""
    words = set(re.findall(r"[a-z]+", sentence.lower().replace("-", " "))) - GRAMMAR
    bare = {re.sub(r"(?:ing|ed|er|es|s|e|ly|ian|ist|al)$", "", word) if len(word) > 3 else word for word in words}
    return {word[:6] for word in bare}


@pytest.mark.parametrize("pair", load_pairs(), ids=lambda pair: pair.topic)
def test_needle_and_question_share_no_content_word(pair):
    assert pair.statement.count("{}") == 1
    assert pair.statement.endswith(".")
    assert pair.question.endswith("?")
    assert not stems(pair.statement) & stems(pair.question)
    assert stems(pair.question), "a question without a content word asks for nothing"


def test_the_stems_would_notice():
    assert stems("She danced") & stems("a dancer")
    assert stems("two cats") & stems("the cat")
    assert stems("She paints") & stems("painting")


def test_no_two_pairs_ask_or_state_the_same():
    pairs = load_pairs()
    assert len(pairs) >= 40
    assert len({pair.topic for pair in pairs}) == len({pair.question for pair in pairs}) == len(pairs)
    statements = {pair.topic: stems(pair.statement) for pair in pairs}
    for one, other in itertools.combinations(pairs, 2):
        assert statements[one.topic] != statements[other.topic]
        # One word in common is an accident ("house"); more of them would make two questions one.
        assert len(stems(one.question) & stems(other.question) - {"number"}) <= 1, (one.topic, other.topic)


@given(st.integers(1, 64), st.text(max_size=5))
def test_drawn_needles_are_different_and_hold_their_answers(count, seed):
    drawn = draw_paraphrases(count, seed)
    assert drawn == draw_paraphrases(count, seed)
    assert len({each.topic for each in drawn}) == len({each.value for each in drawn}) == count
    for each in drawn:
        assert each.value in each.text
        assert each.value not in each.question
        assert each.value.isdigit() == ("number" in each.question)


def test_more_than_there_are_is_refused():
    with pytest.raises(UsageError, match=f"there are {len(load_pairs())}"):
        draw_paraphrases(len(load_pairs()) + 1, "x")


def test_no_text_of_ours_holds_a_name():
    names = set(load_names())
    assert len(names) >= 40
    for style, language in itertools.product(("prose", "minutes"), ("en", "de")):
        text = "".join(itertools.islice(Prose("names", load_words(style, language)).sentences(), 1500))
        assert not names & set(re.findall(r"\w+", text))
