"""Narrow columns: tokens are whole as far as they fit, and so are words."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.line_breaks import with_whole_tokens

SHOWN_TOKENS = st.lists(
    st.text("abé漢·", min_size=1, max_size=9) | st.sampled_from(["⟨F0 9F⟩", "⟨8C⟩", "é⟨C3⟩"]), min_size=2
)


@given(SHOWN_TOKENS, st.integers(2, 30))
def test_a_cut_is_broken_behind_bars_as_far_as_tokens_fit(tokens: list[str], width: int) -> None:
    lines = with_whole_tokens("|".join(tokens), width).split("\n")
    assert "".join(lines) == "|".join(tokens)
    units = [f"{token}|" for token in tokens[:-1]] + [tokens[-1]]
    if max(map(cell_len, units)) <= width:
        assert max(map(cell_len, lines)) <= width
        assert all(line.endswith("|") for line in lines[:-1])
        for line, following in pairwise(lines):  # none is shorter than it must be
            assert cell_len(line + re.match(r"[^|]*\|?", following)[0]) > width
    assert all(line.count("⟨") == line.count("⟩") for line in lines)


@given(st.lists(st.text("ab|", min_size=1, max_size=9), min_size=1).map(" ".join), st.integers(9, 30))
def test_words_are_kept_together_as_far_as_they_fit(text: str, width: int) -> None:
    lines = with_whole_tokens(text, width).split("\n")
    assert " ".join(lines).split() == text.split()
    if "|" in text:
        assert max(map(cell_len, lines)) <= width
    else:
        assert lines == [text]
