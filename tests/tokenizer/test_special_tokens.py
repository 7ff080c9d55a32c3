"""Special tokens in a text: read, refused or taken as text, as tiktoken does it."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer import Tokenizer, UsageError, UserError, special_tokens
from tokenizer.special_tokens import Chosen, SpecialTokens
from tokenizer.training import train_on

SPECIALS = ("<|endoftext|>", "<|fim_prefix|>", "<|endofprompt|>")
some_specials = st.one_of(st.just("all"), st.frozensets(st.sampled_from(SPECIALS)))


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_on(["one two <|end|>"], vocab_size=270, special_tokens=["<|end|>", "<|end|>!", "[é]"])


@settings(max_examples=200)
@given(
    parts=st.lists(st.sampled_from([*SPECIALS, "a", " b", "<|", "|>", "\n"]), max_size=5),
    allowed=some_specials,
    disallowed=some_specials,
)
def test_what_is_allowed_and_what_is_refused_is_as_in_tiktoken(
    both_engines: Callable[..., tuple], parts: list[str], allowed: Chosen, disallowed: Chosen
) -> None:
    ours, theirs = both_engines("cl100k")
    options = {"allowed_special": allowed, "disallowed_special": disallowed}
    text = "".join(parts)
    try:
        expected = theirs.encode(text, **options)
    except ValueError:
        for method in (ours.encode, ours.count, ours.offsets, ours.encode_array):
            with pytest.raises(UserError, match="a special token of cl100k"):
                method(text, **options)
        return
    assert ours.encode(text, **options) == ours.encode_array(text, **options).tolist() == expected
    assert ours.count(text, **options) == len(expected) == len(ours.offsets(text, **options))
    assert ours.decode(expected) == text


@given(parts=st.lists(st.sampled_from(["<", "<|", "|", "<|a|>", "|a|", "|a|>", "b<", "é", "x" * 9]), max_size=40))
def test_tokens_are_found_wherever_and_however_often_they_stand(parts: list[str]) -> None:
    ids = {"<|a|>": 0, "|a|": 1, "|a|>b": 2, "b<": 3, "é<|": 4}
    pattern = "|".join(map(re.escape, sorted(ids, key=len, reverse=True)))
    text = "".join(parts)
    cut = SpecialTokens("mine", ids, frozenset()).cutter("all", ())
    for letters in (4, 3):
        special_tokens._groups.cache_clear()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(special_tokens, "_MOST_LETTERS", letters)
            found, of_bytes = cut(text), cut(text.encode())
        assert len(special_tokens._groups(frozenset(ids), str)) == (4 if letters == 4 else 1)
        assert [one for _, one in found[:-1]] == [ids[token] for token in re.findall(pattern, text)]
        assert [part for part, _ in found] == re.split(pattern, text)
        assert of_bytes == [(part.encode(), one) for part, one in found]


@given(
    texts=st.sets(st.text("ab|(é", min_size=1, max_size=5), min_size=1, max_size=12),
    text=st.text("ab|(é", max_size=8),
    depth=st.sampled_from([0, 1, 20]),
)
def test_of_many_texts_the_longest_that_fits_is_found(texts: set[str], text: str, depth: int) -> None:
    found = re.match(special_tokens._longest_of(sorted(texts), depth), text)
    fitting = max(filter(text.startswith, texts), key=len, default=None)
    assert (found and found.group()) == fitting


def test_special_tokens_that_begin_with_each_other_a_thousand_times_are_found() -> None:
    ids = {"a" * size: size for size in range(1, 1001)}
    cut = SpecialTokens("mine", ids, frozenset()).cutter("all", ())
    assert cut("a" * 2001) == [("", 1000), ("", 1000), ("", 1), ("", None)]


def test_special_tokens_are_refused_unless_spoken_for(trained: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"'<\|end\|>'.*at byte 3") as failure:
        trained.encode("one<|end|>two")
    assert "--allow-special" in failure.value.hint
    assert "--special-as-text" in failure.value.hint


def test_the_longest_special_token_is_read(trained: Tokenizer) -> None:
    longer = trained.special_tokens["<|end|>!"]
    assert trained.encode("<|end|>!", allowed_special="all") == [longer]
    with pytest.raises(UserError, match=r"'<\|end\|>!'"):
        trained.encode("<|end|>!")


@pytest.mark.parametrize("option", ["allowed_special", "disallowed_special"])
def test_naming_what_is_not_special_is_an_error(trained: Tokenizer, option: str) -> None:
    with pytest.raises(UsageError, match=r"'<\|fin\|>' is not a special token"):
        trained.encode("x", **{option: {"<|fin|>"}})
    with pytest.raises(UsageError, match="one text, not a collection"):
        trained.encode("x", **{option: "<|end|>"})
