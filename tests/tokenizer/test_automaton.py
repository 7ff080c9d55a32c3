"""Automata of split patterns against Python's regex engine, alone, compiled, and with texts cut in two."""

import itertools
import random

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from tokenizer.automaton import DEAD, END, START, Automaton, automaton
from tokenizer.compiled_splits import CompiledSplit
from tokenizer.formats.gguf import _SPLITS as SPLITS_OF_MODELS
from tokenizer.formats.huggingface import PATTERNS
from tokenizer.kernels.memory import borrow
from tokenizer.kernels.scanning import safe_cut
from tokenizer.splits import NAMED_PATTERNS, Split, make_split

# The patterns of models, with all steps; and the named ones, as if they had no scanner of their own.
KNOWN = {
    **{name: Split("regex", steps[-1], "huggingface", steps[:-1]) for name, steps in SPLITS_OF_MODELS.items()},
    **{f"{name} of tiktoken": Split("regex", pattern) for name, pattern in NAMED_PATTERNS.items()},
    **{f"{name} of Hugging Face": Split("regex", pattern, "huggingface") for name, pattern in PATTERNS.items()},
}
WORDS = (
    "don't", "I'LL", " the", "ABCdef", "12345", " ", "  ", "\n", "\r\n", "\t", "...", "//", "/", "!", "é", "A\u0301",
    "世界", "\u3000", "ひらがな", "Жук", "٣٤", "¼", "\x01", "\x85", "'ſ", "🌍", "\u200b", "a_b", "ǅ", "ʰ", "กำ",
)  # fmt: skip


def some_data(draws: random.Random) -> bytes:
    """Words of all sorts, sometimes with bytes in between that are not UTF-8."""
    parts = [draws.choice(WORDS).encode() * draws.choice((1, 1, 1, 2, 9)) for _ in range(draws.randint(0, 12))]
    parts += [draws.randbytes(draws.randint(1, 4)) for _ in range(draws.choice((0, 0, 1, 3)))]
    draws.shuffle(parts)
    return b"".join(parts)


def ends_of(split: Split, data: bytes) -> list[int]:
    return [end for _, end in split.split_spans(data)]


def compiled_ends(split: CompiledSplit, *texts: bytes) -> list[int]:
    return split.piece_ends(b"".join(texts), np.cumsum([len(text) for text in texts])).tolist()


def match_end(ours: Automaton, text: str, start: int) -> int:
    """Where the match ends that begins at a place of a text; that place itself if none does."""
    state, end = START, start
    for place in range(start, len(text) + 1):
        state, matched = ours.step(state, ours.symbols[ord(text[place])] if place < len(text) else END)
        if matched:
            end = place
        if state == DEAD:
            break
    return end


# Patterns of two letters, so that alternatives, repetitions and looks ahead meet each other all the time.
_ATOMS = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\s", "c"])
_REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{,2}", "{2,}"])
_AHEAD = st.sampled_from(["(?=b)", "(?!a)", r"(?!\S)", r"\z", "$", "(?![ab]|$)", r"(?=\s|$)"])
_ITEMS = st.one_of(
    _ATOMS,
    st.builds("".join, st.tuples(_ATOMS, _REPEATS, st.sampled_from(["", "?", "+"]))),
    _AHEAD,
)
_PATTERNS = st.recursive(
    _ITEMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda ways: f"(?:{'|'.join(ways)})"),
        st.tuples(inner, _REPEATS, st.sampled_from(["", "?"])).map(lambda parts: f"(?:{parts[0]}){parts[1]}{parts[2]}"),
    ),
    max_leaves=6,
)
_TEXTS = st.text(alphabet="aaabbbc \n", max_size=14)


def spelled(pattern: str) -> str:
    r"""The same for Python's engines: `$` and `\z` are the end of the text, `\s` and `\S` have their meaning."""
    return pattern.replace(r"\z", r"\Z").replace("$", r"\Z").replace("{,", "{0,")


@given(_PATTERNS, st.lists(_TEXTS, min_size=5, max_size=5))
def test_a_match_ends_where_a_backtracking_engine_ends_it(pattern: str, texts: list[str]) -> None:
    ours = automaton(f"{pattern}|a", "tiktoken")
    if ours is None:
        return
    theirs = regex.compile(f"(?:{spelled(pattern)}|a)", regex.V0)
    for text in texts:
        for start in range(len(text)):
            match = theirs.match(text, start)
            assert match_end(ours, text, start) == (match.end() if match else start), (text, start)


@pytest.mark.parametrize("more", ["a", "a|[A-Z0-9#-/]"], ids=["few letters begin a match", "many do"])
@given(pattern=_PATTERNS, texts=st.lists(_TEXTS, min_size=2, max_size=4))
def test_compiled_pieces_are_those_of_the_split(more: str, pattern: str, texts: list[str]) -> None:
    split = Split("regex", f"{pattern}|{more}")
    data = [text.encode() for text in texts]
    starts = itertools.accumulate((len(text) for text in data[:-1]), initial=0)
    expected = [start + end for start, text in zip(starts, data, strict=True) for end in ends_of(split, text)]
    assert compiled_ends(CompiledSplit(split), *data) == expected


@given(_PATTERNS, _TEXTS, _TEXTS)
def test_what_cuts_safely_gives_halves_with_the_pieces_of_the_whole(pattern: str, left: str, right: str) -> None:
    split = Split("regex", f"{pattern}|a|b|c")
    whole = f"{left}a b{right}b\nc{left}".encode()
    if CompiledSplit(split).cuts_safely:
        check_cut(split, whole)


def check_cut(split: Split, whole: bytes) -> bool:
    cut = safe_cut(borrow(whole).address, len(whole)) if whole else 0
    if cut:
        after = [cut + end for end in ends_of(split, whole[cut:])]
        assert ends_of(split, whole) == ends_of(split, whole[:cut]) + after, (whole, cut)
    return cut > 0


@pytest.mark.parametrize("name", KNOWN)
def test_patterns_of_models_are_cut_by_automata(name: str) -> None:
    split = KNOWN[name]
    assert all(automaton(pattern, split.dialect) for pattern in (*split.before, split.pattern))
    compiled, draws = CompiledSplit(split), random.Random(name)
    for _ in range(400):
        data = some_data(draws)
        assert compiled_ends(compiled, data) == ends_of(split, data), data


@pytest.mark.parametrize("name", KNOWN)
def test_texts_may_be_cut_in_two_before_patterns_of_models_cut_them(name: str) -> None:
    assert CompiledSplit(KNOWN[name]).cuts_safely
    draws = random.Random(name)
    assert sum(check_cut(KNOWN[name], some_data(draws)) for _ in range(400)) > 50


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        (r"\w+ \w+|.", b"one two"),  # a piece goes over the cut
        (r"[a-z]+(?! )|.", b"one two"),  # what stands behind the cut says what stands before it
        (r"[a-z]+|[0-9]", b"!! two"),  # no piece begins with a space
        (r"[^/]+|/+", b"one\ntwo"),
        (r"[a-z]+\n?(?=b)|[\s\S]", b"a\nb"),
    ],
)
def test_what_depends_on_both_halves_is_not_cut(pattern: str, data: bytes) -> None:
    assert not CompiledSplit(make_split(pattern)).cuts_safely
    with pytest.raises(AssertionError):
        check_cut(make_split(pattern), data)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b\w+|\W",
        r"(?<=a)b|.",
        r"^a|.",
        r"a(?=bc)|.",
        r"(?>a+)a|.",
        r"(?:ab)++|.",
        r"a*|b",
        r"(?:a?)*b|.",
        r"(?:a|b){1000,3000}|.",
        r"(?:[ab]*a[ab]{12}|c)",  # 4,096 states
    ],
)
def test_a_pattern_without_an_automaton_is_cut_all_the_same(pattern: str) -> None:
    split = make_split(pattern)
    assert automaton(pattern, "tiktoken") is None
    data = b"ab abc aab bcab\xff\n"
    compiled = CompiledSplit(split)
    assert not compiled.cuts_safely
    assert compiled_ends(compiled, data, b"", data) == [
        *ends_of(split, data),
        *(len(data) + end for end in ends_of(split, data)),
    ]


def test_long_work_is_done_in_turns() -> None:
    data = b"a" * 10_000  # every attempt looks at all that is left: three times as often as one turn allows
    assert compiled_ends(CompiledSplit(make_split("a+b|a")), data) == list(range(1, 10_001))
    assert compiled_ends(CompiledSplit(make_split("a+b|c")), data) == [10_000]
    data = "世é".encode() + "世".encode() * 5_700_000  # a turn ends two bytes after a character begins
    ends = CompiledSplit(make_split(r"[\s\S]")).piece_ends(data, np.array([len(data)]))
    assert np.array_equal(ends, [3, *range(5, len(data) + 1, 3)])


@pytest.mark.parametrize(
    ("pattern", "texts", "expected"),
    [
        (r"\d+", [], []),
        (r"\d+", [b"", b""], []),
        (r"\d+", [b"ab", b"", b"c1d", b"23"], [2, 3, 4, 5, 7]),
        (r"\p{L}+", [b"\xff\xc3", "é".encode()], [2, 4]),
    ],
)
def test_no_piece_goes_from_one_text_into_the_next(pattern: str, texts: list[bytes], expected: list[int]) -> None:
    assert compiled_ends(CompiledSplit(make_split(pattern)), *texts) == expected
