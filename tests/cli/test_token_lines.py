"""Tokens in lines: one by one and by arrays they look alike."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import many_tokens, token_lines, token_pieces
from cli.many_tokens import ManyShapes
from cli.many_tokens import drawn_lines as drawn_by_arrays
from cli.token_lines import Block, drawn_lines, joined
from cli.token_pieces import shapes
from tokenizer import engines

TOKENS = st.lists(
    st.one_of(st.binary(min_size=1, max_size=5), st.sampled_from([b"a", b" the", b"\n", b"=" * 25, "漢字".encode()])),
    min_size=1,
    max_size=40,
)
CUT = st.builds(lambda text, sizes: cut(text.encode(), sizes), st.text(min_size=1), st.lists(st.integers(1, 9)))


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in [*sizes, len(data)]:
        parts, data = [*parts, data[:size]], data[size:]
    return list(filter(None, parts))


@given(tokens=st.one_of(TOKENS, CUT))
@settings(max_examples=500)
def test_very_many_tokens_look_as_few_do(tokens):
    expected, found = shapes(tokens), many_shapes(tokens)
    assert [shape.runs for shape in found] == [shape.runs for shape in expected]
    assert [shape.ends_line for shape in found] == [shape.ends_line for shape in expected]
    assert len(found) == len(tokens)
    assert [found[place] for place in range(len(found))] == [*found[:2], *found[2:]] == list(found)


@pytest.mark.parametrize("compiled", [True, False])
@given(tokens=st.one_of(TOKENS, CUT))
def test_very_many_tokens_in_a_pipe_are_those_of_few(tokens, compiled):
    def draw(shape):
        return f"<{shape.plain}>".encode()

    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(engines, "compiled_module", lambda name: None)
        assert many_tokens.joined(many_shapes(tokens), draw) == joined(shapes(tokens), draw)
        assert many_tokens.joined(shapes(tokens), draw) == joined(shapes(tokens), draw)


def many_shapes(tokens: list[bytes]) -> ManyShapes:
    """The shapes by arrays, of few tokens, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_pieces, "MANY", 1)
        found = shapes(tokens)
    assert isinstance(found, ManyShapes)
    return found


def brush(tint: int):
    return lambda block: f"<{tint}{block.shape.signs}>".encode() + b" " * (block.width - block.shape.width)


@pytest.mark.parametrize("compiled", [True, False])
@given(
    tokens=st.one_of(TOKENS, CUT),
    with_ids=st.booleans(),
    width=st.sampled_from([None, 1, 2, 7, 10, 80]),
    gap=st.sampled_from([b"", b" ", "¦".encode()]),
    tints=st.integers(1, 4),
)
@settings(max_examples=200)
def test_very_many_tokens_are_drawn_as_few_are(tokens, with_ids, width, gap, tints, compiled):
    ids = [sum(token) * 97 % 100_003 for token in tokens] if with_ids else None
    options = {"width": width, "gap": gap, "brushes": [brush(tint) for tint in range(tints)]}
    expected = b"".join(drawn_lines(shapes(tokens), ids, **options))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many_tokens, "AT_ONCE", 3)
        if not compiled:
            patch.setattr(engines, "compiled_module", lambda name: None)
        for shown in (shapes(tokens), many_shapes(tokens)):
            drawn = list(drawn_by_arrays(shown, ids, **options))
            assert b"".join(drawn) == expected
            assert all(each.endswith(b"\n") for each in drawn)


def test_what_stands_in_lines_is_every_token_and_its_id():
    tokens, ids = [b"to", b"ken", b"\n", "漢".encode(), b"!"], [5, 1234567, 3, 4, 5]
    drawn = b"".join(drawn_lines(shapes(tokens), ids, width=12, gap=b" ", brushes=[padded]))
    assert drawn.decode().splitlines() == ["to ken     ⏎", "5  1234567 3", "漢 !", "4  5"]


def padded(block: Block) -> bytes:
    return (block.shape.signs + " " * (block.width - block.shape.width)).encode()


def test_arrays_are_for_very_many_tokens(monkeypatch):
    asked = []

    def drawn(shown, ids, **options):
        asked.append(type(shown))
        return iter([])

    monkeypatch.setattr(many_tokens, "drawn_lines", drawn)
    monkeypatch.setattr(token_lines, "MANY", 3)
    monkeypatch.setattr(token_pieces, "MANY", 3)
    for tokens in ([b"a"] * 2, [b"a"] * 3):
        list(drawn_lines(shapes(tokens), None, width=80, gap=b"", brushes=[padded]))
    assert asked == [ManyShapes]
