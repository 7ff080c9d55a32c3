"""The picture of tokens: nothing lost, nothing misleading, colours that stay apart."""

import io
import itertools
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.text import Text

from cli.token_pieces import _runs, shapes
from cli.token_view import (
    BACKGROUNDS,
    FAINT_INK,
    INK,
    Picture,
    coloured_lines,
    lines,
    plain_text,
    print_pictures,
    summary,
    token_table,
)


def cut(data: bytes, *places: int) -> list[tuple[int, bytes]]:
    """Tokens of `data` cut at these bytes, with the ids 100, 101, ..."""
    edges = [0, *places, len(data)]
    return [(100 + i, data[a:b]) for i, (a, b) in enumerate(itertools.pairwise(edges))]


def plain(tokens: list[tuple[int, bytes]], **options: object) -> str:
    settings = {"width": None, "ids": False, "plain_spaces": True} | options
    numbers = [one for one, _ in tokens] if settings.pop("ids") else None
    return plain_text(shapes([data for _, data in tokens]), numbers, **settings).decode()


def test_a_pipe_gets_bars_between_tokens():
    assert plain(cut(b"tokenize", 2, 5)) == "to|ken|ize\n"
    assert plain(cut(b"How is this?", 3, 6, 11)) == "How| is| this|?\n"


def test_white_space_is_made_visible():
    tokens = cut(b"a b\tc\n d", 1, 3, 6)
    assert plain(tokens, plain_spaces=False) == "a|·b|→c⏎\n·d\n"
    assert plain(tokens) == "a| b|\tc⏎\n d\n"


def test_the_signs_for_white_space_are_told_from_themselves():
    tokens = cut("a· →\t⏎\n".encode(), 1, 3, 4, 7, 8, 11)
    assert plain(tokens, plain_spaces=False) == r"a|\xb7|·|\u2192|→|\u23ce|⏎" + "\n"
    assert plain(tokens) == "a|·| |→|\t|\\u23ce|⏎\n"  # where white space stands as it is, so do two of them


def test_a_line_end_in_a_token_ends_the_line_after_that_token():
    assert plain(cut(b"one\n\ntwo", 3, 5)) == "one|⏎⏎\ntwo\n"


def test_a_split_character_is_shown_once_with_the_bytes_of_each_token():
    assert plain(cut("🌍".encode(), 2, 3)) == "🌍⟨F0 9F⟩|⟨8C⟩|⟨8D⟩\n"
    assert plain(cut("né!".encode(), 2)) == "né⟨C3⟩|⟨A9⟩!\n"


def test_one_token_may_end_one_character_and_begin_the_next():
    assert plain(cut("éü".encode(), 1, 3)) == "é⟨C3⟩|⟨A9⟩ü⟨C3⟩|⟨BC⟩\n"


def test_bytes_outside_utf8_are_chips_of_their_own():
    assert plain(cut(b"a\xff\xfeb\xc3", 1)) == "a|⟨FF FE⟩b⟨C3⟩\n"


def test_a_mark_at_the_start_of_a_token_does_not_climb_onto_the_neighbour():
    assert plain(cut("e\u0301x".encode(), 1)) == "e|◌\u0301x\n"
    assert plain(cut("e\u0301x".encode())) == "e\u0301x\n"


def test_joiners_are_named_where_they_would_join_tokens():
    family = "👨\u200d👩"
    assert plain(cut(family.encode(), 4, 7)) == "👨|\\u200d|👩\n"
    assert plain(cut(family.encode())) == f"{family}\n"


def test_controls_and_overrides_are_shown_and_not_obeyed():
    shown = plain(cut("\x1b[2Ja\u202eb\u00a0c".encode()))
    assert shown == "␛[2Ja\\u202eb\\xa0c\n"


def test_ids_stand_under_their_tokens():
    assert plain(cut("中文 is".encode(), 6), ids=True) == "中文|·is\n100  101\n"
    assert plain([(5, b"wide"), (1234567, b"x")], ids=True) == "wide|x\n5    1234567\n"


def test_lines_break_between_tokens_and_never_pass_the_width():
    tokens = [(i, f" word{i}".encode()) for i in range(60)]
    for ids in (False, True):
        drawn = plain(tokens, width=30, ids=ids, plain_spaces=False).splitlines()
        assert len(drawn) > 10
        assert max(cell_len(line) for line in drawn) <= 30
    tokens_drawn = plain(tokens, width=30, plain_spaces=False).replace("\n", "").split("|")
    assert tokens_drawn == [f"·word{i}" for i in range(60)]


def test_a_full_line_tells_whether_a_token_ends_there():
    tokens = list(enumerate([b"ab", b"=" * 25, b"c", b"d\n", b"efgh", b"ijkl", b"mnop"]))
    drawn = ["ab|", "=" * 10, "=" * 10, "=====|c|d⏎", "efgh|ijkl|", "mnop"]
    assert plain(tokens, width=11).splitlines() == drawn


def test_wide_characters_count_twice():
    tokens = [(i, "漢".encode()) for i in range(20)]
    assert {cell_len(line) for line in plain(tokens, width=9).splitlines()} == {9, 5}  # 漢|漢|漢|, and the last two


def test_a_token_wider_than_the_line_is_cut_and_keeps_colour_and_id():
    drawn = list(lines(shapes([b"ab", b"=" * 25, b"c"]), [7, 8, 9], width=10, gap=1, tints=4))
    assert [[block.shape.signs for block in line.blocks] for line in drawn] == [
        ["ab"],
        ["=" * 10],
        ["=" * 10],
        ["=====", "c"],
    ]
    assert [line.tints for line in drawn] == [[0], [1], [1], [1, 2]]
    assert [[block.number.rstrip() for block in line.blocks] for line in drawn] == [[b"7"], [b"8"], [b""], [b"", b"9"]]
    assert [[block.width for block in line.blocks] for line in drawn] == [[2], [10], [10], [5, 1]]


LETTERS = st.text(st.sampled_from("abcéß漢字🌍"), min_size=1, max_size=12)


@given(LETTERS, st.data())
@settings(max_examples=200)
def test_every_byte_is_shown_once(text: str, data: st.DataObject):
    encoded = text.encode()
    places = data.draw(st.sets(st.integers(1, max(1, len(encoded) - 1)), max_size=8))
    tokens = cut(encoded, *sorted(place for place in places if place < len(encoded)))
    found = list(shapes([token for _, token in tokens]))
    for shape, (_, token_bytes) in zip(found, tokens, strict=True):
        words = "".join(run.shown for run in shape.runs if run.kind != "whole")
        parts = re.split(r"⟨([0-9A-F ]+)⟩", words)
        rebuilt = [bytes.fromhex(p) if i % 2 else p.encode() for i, p in enumerate(parts)]
        assert b"".join(rebuilt) == token_bytes
    wholes = [run.shown for shape in found for run in shape.runs if run.kind == "whole"]
    texts = [run.shown for shape in found for run in shape.runs if run.kind == "text"]
    assert sorted("".join([*wholes, *texts])) == sorted(text)


@given(st.binary(max_size=40), st.data())
@settings(max_examples=200)
def test_any_bytes_can_be_shown_and_nothing_in_the_picture_is_a_control(blob: bytes, data: st.DataObject):
    places = data.draw(st.sets(st.integers(1, max(1, len(blob) - 1)), max_size=10))
    tokens = cut(blob, *sorted(place for place in places if place < len(blob))) if blob else []
    together = _runs([data for _, data in tokens])  # whatever goes together
    assert [list(shape.runs) for shape in shapes([data for _, data in tokens])] == list(map(list, together))
    for ids in (False, True):
        drawn = plain(tokens, width=20, ids=ids, plain_spaces=False)
        assert not [c for c in drawn if unicodedata.category(c) in {"Cc", "Cs"} and c != "\n"]
        assert all(cell_len(line) <= 20 for line in drawn.splitlines())


def test_each_token_has_one_background_and_a_split_character_none():
    tokens = cut("a🌍b".encode(), 1, 3, 5)
    (line,) = coloured_lines(shapes([data for _, data in tokens]), None, width=80, colours=ColorSystem.TRUECOLOR)
    drawn = Text.from_ansi(line.decode())
    assert drawn.plain == "a🌍⟨F0 9F⟩⟨8C 8D⟩b\n"
    styles = [(drawn.plain[span.start : span.end], str(span.style)) for span in drawn.spans]
    assert styles == [
        ("a", f"{INK} on {BACKGROUNDS[0]}"),
        ("🌍", "bold"),
        ("⟨F0 9F⟩", f"underline {INK} on {BACKGROUNDS[1]}"),
        ("⟨8C 8D⟩", f"{INK} on {BACKGROUNDS[2]}"),
        ("b", f"underline {INK} on {BACKGROUNDS[3]}"),
    ]


def test_ids_stand_under_the_coloured_tokens_too():
    drawn = coloured_lines(shapes([b"wide ", b"x", b"y"]), [5, 1234567, 8], width=80, colours=ColorSystem.EIGHT_BIT)
    assert Text.from_ansi(b"".join(drawn).decode()).plain == "wide· x       y\n5     1234567 8\n"


# Machado, Oliveira and Fernandes (2009), severity 1: how linear RGB looks to people without one kind of cone.
SIGHTS = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no long": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no middle": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no short": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def linear(colour: str) -> list[float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def through(matrix: tuple[tuple[float, ...], ...], vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(rgb: list[float]) -> tuple[float, float, float]:
    xyz = through(TO_XYZ, [min(1, max(0, part)) for part in rgb])
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in (part / white for part, white in zip(xyz, (0.9505, 1, 1.089), strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("sight", SIGHTS)
def test_neighbouring_colours_stay_apart_for_every_kind_of_sight(sight: str):
    for one, other in zip(BACKGROUNDS, BACKGROUNDS[1:] + BACKGROUNDS[:1], strict=True):
        seen = [lab(through(SIGHTS[sight], linear(colour))) for colour in (one, other)]
        difference = sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5
        assert difference > 40, (one, other)  # about 2 is just noticeable


@pytest.mark.parametrize("system", [ColorSystem.EIGHT_BIT, ColorSystem.STANDARD])
def test_neighbours_differ_on_terminals_with_few_colours(system: ColorSystem):
    numbers = [Color.parse(colour).downgrade(system).number for colour in BACKGROUNDS]
    assert all(one != other for one, other in zip(numbers, numbers[1:] + numbers[:1], strict=True))


def test_the_ink_can_be_read_on_every_background():
    def luminance(colour: str) -> float:
        return through(TO_XYZ, linear(colour))[1]

    for background in BACKGROUNDS:
        assert (luminance(background) + 0.05) / (luminance(INK) + 0.05) > 7  # WCAG's contrast for small text
        assert (luminance(background) + 0.05) / (luminance(FAINT_INK) + 0.05) > 3  # and for signs


def test_the_summary_counts_characters_and_not_only_bytes():
    picture = Picture("text", "toy", *zip(*cut("é\xff".encode("latin-1") + "é".encode(), 2), strict=True))
    assert summary(picture) == "2 tokens, 4 bytes, 3 characters, 2.00 bytes per token, tokenizer toy"
    assert summary(Picture("text", "toy", [], [])) == "0 tokens, 0 bytes, 0 characters, tokenizer toy"


def test_rows_for_programs_hold_exact_bytes_and_unknown_text():
    table = token_table([Picture("text", "toy", *zip(*cut("aéb".encode(), 2, 3), strict=True))], {})
    shared = {"source": "text", "tokenizer": "toy"}
    assert [dict(row) for row in table.rows] == [
        shared | {"id": 100, "position": 0, "start_byte": 0, "end_byte": 2, "text": None, "bytes_hex": "61c3"},
        shared | {"id": 101, "position": 1, "start_byte": 2, "end_byte": 3, "text": None, "bytes_hex": "a9"},
        shared | {"id": 102, "position": 2, "start_byte": 3, "end_byte": 4, "text": "b", "bytes_hex": "62"},
    ]


def test_a_terminal_of_another_encoding_gets_escapes_for_what_it_cannot_show(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1", errors="backslashreplace"))
    print_pictures([Picture("text", "toy", [1, 2], ["ü".encode(), "漢".encode()])], ids=False)
    assert written.getvalue() == b"\xfc|\\u6f22\n"
