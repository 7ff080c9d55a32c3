"""Ids that come one by one: all of the text, and never half a character."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer import Tokenizer, UserError
from tokenizer.training import train_on

BYTES = train_on(["x"], vocab_size=257, layout="bytes", special_tokens=["<|é|>"])  # ids are bytes


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoder = tokenizer.stream_decoder()
    return [*map(decoder.feed, ids), decoder.finish()]


@settings(max_examples=500)
@given(st.lists(st.one_of(st.integers(0, 256), st.sampled_from([*"é世🌍".encode(), 0xED, 0xF4, 0xE0])), max_size=30))
def test_it_adds_up_to_what_decode_gives(ids: list[int]) -> None:
    assert "".join(streamed(BYTES, ids)) == BYTES.decode(ids)


@given(st.text(max_size=30).filter(lambda text: "\ufffd" not in text))
def test_each_character_comes_with_its_last_byte(text: str) -> None:
    data = text.encode("utf-8", "replace")
    given_so_far = ""
    for number, new in enumerate(streamed(BYTES, list(data))[:-1], start=1):
        given_so_far += new
        assert given_so_far == data[:number].decode("utf-8", "ignore")


def test_the_end_of_half_a_character_is_told_and_the_next_text_is_not_touched() -> None:
    decoder = BYTES.stream_decoder()
    assert [decoder.feed(0xF0), decoder.feed(0x9F), decoder.finish()] == ["", "", "\ufffd"]
    assert [decoder.feed(0x61), decoder.finish()] == ["a", ""]


def test_an_unknown_id_is_an_error_and_nothing_is_lost() -> None:
    decoder = BYTES.stream_decoder()
    decoder.feed(0xC3)
    with pytest.raises(UserError, match="no token with the id 999"):
        decoder.feed(999)
    assert decoder.feed(0xA9) == "é"
