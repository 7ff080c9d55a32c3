"""The README's example: a vocabulary of 4,096 learned from the stories in the samples, which know no Mario."""

from pathlib import Path

import pytest
import tokenizers

from tokenizer.corpus import read_chunks
from tokenizer.training import learn

STORIES = Path(__file__).parents[2] / "samples" / "stories"
TITLE = "Mario, the Idea, versus Mario, the Man"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The vocabulary of the stories, as the `tokenizers` package reads it."""
    training = learn(read_chunks([STORIES]), vocab_size=4096)
    assert training.ended == "complete"
    path = tmp_path_factory.mktemp("stories") / "stories.json"
    training.tokenizer.save(path)
    return tokenizers.Tokenizer.from_file(str(path))


def test_the_stories_are_enough_for_4096_tokens(theirs):
    assert theirs.get_vocab_size() == 4096
    assert "mario" not in "".join(path.read_text(encoding="utf-8") for path in STORIES.glob("*.txt")).lower()


def test_mario_is_seven_tokens_of_the_stories_and_two_of_cl100k(theirs, both_engines):
    tokens = theirs.encode(TITLE).tokens
    assert len(tokens) == 21
    assert tokens[:4] == ["M", "ar", "i", "o"]  # at the beginning
    assert tokens[14:17] == ["ĠMar", "i", "o"]  # after a space
    cl100k = both_engines("cl100k")[1]
    ids = cl100k.encode(TITLE)
    assert len(ids) == 10
    assert [cl100k.decode([one]) for one in (ids[0], ids[6])] == ["Mario", " Mario"]
