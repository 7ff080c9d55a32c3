"""`needlepoint tok report`: what stands on the page, against other ways of counting; nothing leaves its place."""

import hashlib
import re
import struct
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.main import needlepoint
from cli.token_page.measured import MEASURES
from cli.token_page.pictures import along, coverage, frequencies, lengths
from cli.token_page.segments import by_direction, segments
from tests.cli.token_page_helpers import BYTES, SMALL, cut_by, hostile_cut, page_of
from tests.pages import UNSEEN, Reader, assert_loads_and_runs_nothing, contrast
from tests.probes.report_helpers import HOSTILE
from tokenizer import Tokenizer, load_tokenizer
from tokenizer.registry import RANKS, digest
from tokenizer.splits import NO_SPLIT, Split, make_split
from tokenizer.unicode_classes import UNICODE_VERSION, category


def run(*arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.token_page.sections.pictures", lambda _: [])
        return CliRunner().invoke(needlepoint, ["tok", "report", *arguments])


# ------------------------------------------------------------------------------------------------ what is counted


def test_each_measure_is_what_is_counted_by_hand() -> None:
    measures = cut_by(BYTES, "né ab!").measures  # the bytes n C3 A9 20 ab 21: six tokens, six characters, two words
    counted = {name: (ratio.numerator, ratio.denominator) for name, ratio in measures.items()}
    assert counted == {
        "bytes_per_token": (7, 6),
        "characters_per_token": (6, 6),
        "tokens_per_word": (3 + 2, 2),
        "continued_words": (2, 2),
        "different_tokens": (6, 6),
        "vocabulary_used": (6, 257),
        "partial_tokens": (2, 6),
        "split_characters": (1, 6),
    }
    assert list(counted) == list(MEASURES)
    assert cut_by(BYTES, b"\xff\xc3 \xc3\xa9").text.stray_bytes == 2


@given(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))))
@settings(max_examples=40)
def test_places_are_those_of_the_tokenizer(data: bytes) -> None:
    tokens = cut_by(SMALL, data).excerpt(10_000, 10_000)
    assert [(each.start, each.end) for each in tokens] == SMALL.offsets(data, disallowed_special=())
    characters = [(each.first_character, each.end_character) for each in tokens]
    assert characters == SMALL.offsets(data, disallowed_special=(), unit="characters")
    assert b"".join(each.data for each in tokens) == data


def test_an_excerpt_ends_with_a_whole_character_and_has_one_token_at_the_least() -> None:
    cut = cut_by(BYTES, "éééa")
    assert [len(cut.excerpt(count, 100)) for count in (1, 2, 3, 6, 7, 9)] == [2, 2, 4, 6, 7, 7]
    assert [len(cut.excerpt(100, size)) for size in (0, 1, 3, 100)] == [2, 2, 4, 7]
    assert cut_by(BYTES, "").excerpt(5, 5) == []


def test_the_figures_hold_what_a_counter_counts() -> None:
    text = "the cat sat on the mat, the rat ate the hat and that was that. " * 3
    cut = cut_by(SMALL, text)
    times = Counter(cut.ids.tolist())
    sizes = Counter(len(SMALL.token_bytes(one)) for one in cut.ids.tolist())
    shown = {int(row[0]): int(row[1]) for row in lengths(cut).table.rows}
    assert {size: count for size, count in shown.items() if count} == sizes
    classes = {row[0]: (int(row[1]), int(row[3])) for row in frequencies(cut).table.rows}
    for name, (kinds, tokens) in classes.items():
        first, _, last = name.partition("-")
        inside = [count for count in times.values() if int(first) <= count <= int(last or first)]
        assert (kinds, tokens) == (len(inside), sum(inside))
    assert sum(kinds for kinds, _ in classes.values()) == len(times)
    for kinds, share in coverage(cut).table.rows:
        covered = sum(count for _, count in times.most_common(int(kinds)))
        assert share == f"{100 * covered / len(cut.ids):.1f}%"
    assert sum(int(row[1]) for row in along(cut).table.rows) == len(cut.ids)


def test_bytes_per_token_are_those_of_each_stretch() -> None:
    rows = along(cut_by(BYTES, "ab" * 50 + "x" * 100)).table.rows  # 200 bytes: ten stretches of five pairs, ten of x
    assert rows[0] == ("0 to 10", "5", "2.00")
    assert rows[9:11] == [("90 to 100", "5", "2.00"), ("100 to 110", "10", "1.00")]


# --------------------------------------------------------------------------------------------------- the coloured text


def test_tokens_that_share_a_character_are_one_segment_with_their_bytes_and_ids() -> None:
    tokens = cut_by(BYTES, "aé ").excerpt(10, 10)
    shown = segments(tokens, BYTES)
    assert [[("".join(run.shown for run in each.runs), each.id) for each in segment] for segment in shown] == [
        [("a", 97)],
        [("é⟨C3⟩", 0xC3), ("⟨A9⟩", 0xA9)],
        [("·", 32)],
    ]
    page = page_of(cut_by(BYTES, "aé "))
    assert '<span class="whole">é</span><span class="chip">⟨C3⟩<sub>195</sub></span>' in page
    assert '<span class="chip">⟨A9⟩<sub>169</sub></span>' in page


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        ("plain, 12.", [(False, "plain,·12.")]),
        ("ab שלום, 12 ימים. c", [(False, "ab·"), (True, "שלום,·12·ימים"), (False, ".·c")]),
        ("مرحبا!\nשלום", [(True, "مرحبا"), (False, "!⏎"), (True, "שלום")]),
        ("12", [(False, "12")]),
        ("", []),
    ],
)
def test_stretches_from_right_to_left_hold_the_signs_between_their_letters(
    text: str, stretches: list[tuple[bool, str]]
) -> None:
    found = by_direction(segments(cut_by(BYTES, text).excerpt(100, 100), BYTES))
    kinds = ("text", "whole", "sign")
    shown = [
        (leftward, "".join(run.shown for part in parts for each in part for run in each.runs if run.kind in kinds))
        for leftward, parts in found
    ]
    assert shown == stretches
    assert page_of(cut_by(BYTES, text)).count('<span class="leftward">') == sum(leftward for leftward, _ in stretches)


def test_neighbours_differ_in_colour_and_a_special_token_is_told() -> None:
    cut = cut_by(BYTES, "ab ab<end>", [256, 32, 256, 300])
    tints = re.findall(r'class="token tint-(\d)( special)?"', page_of(cut))
    assert [special for _, special in tints] == ["", "", "", " special"]
    assert all(one != other for (one, _), (other, _) in pairwise(tints))
    assert "A special token is underlined twice." in Reader(page_of(cut)).text
    assert "special token" not in Reader(page_of(cut_by(BYTES, "ab"))).text


def test_a_very_long_token_shows_its_beginning_everywhere() -> None:
    long = Tokenizer(
        name="long",
        split=Split("none", NO_SPLIT),
        vocabulary={bytes([byte]): byte for byte in range(256)} | {b"x" * 10_000: 256},
        special_tokens={},
        merges=None,
        whole_pieces=True,
    )
    page = page_of(cut_by(long, b"x" * 10_000))
    assert len(page) < 15_000
    assert "[and 9,700 more signs]" in page
    assert "10,000 bytes" in page


# ------------------------------------------------------------------------------------------------------------- the page


def test_every_shown_token_has_its_row_and_the_rest_is_said_to_be_left_out() -> None:
    text = "Grüße aus Zürich, 東京と🌍. " * 40
    cut = cut_by(SMALL, text)
    shown = Reader(page_of(cut, most_tokens=50)).text
    spans = SMALL.offsets(text)
    for number in range(50):
        (start, end), one = spans[number], int(cut.ids[number])
        assert f" {number} {one} " in shown
        assert f"{SMALL.token_bytes(one).hex(' ').upper()} {start}-{end}" in shown
    assert re.search(rf"This is the beginning: 5\d of {len(cut.ids):,} tokens", shown)
    assert "All figures are of the whole text." in shown
    assert f"{len(text.encode()):,} bytes" in shown
    whole = Reader(page_of(cut_by(SMALL, "short"))).text
    assert "left out: rarer" not in whole
    assert "All figures are of the whole text." not in whole


def test_a_long_text_makes_a_page_of_bounded_size() -> None:
    sample = Path(__file__).parents[2].joinpath("samples", "texts", "english.txt").read_text(encoding="utf-8")
    page, longer = (page_of(cut_by(SMALL, sample * times)) for times in (2, 8))
    assert len(page) < 400_000
    assert abs(len(longer) - len(page)) < 4_000
    assert len(re.findall(r'<pre class="tree"', page)) == 60
    assert "others are left out: rarer ones" in page


def test_trees_are_those_of_tok_tree() -> None:
    cut = cut_by(SMALL, "the harbour of the town")
    drawn = re.findall(r'<pre class="tree" tabindex="0">(.*?)</pre>', page_of(cut), re.DOTALL)
    assert len(drawn) == sum(len(kind.data) > 1 for kind in cut.kinds)
    longest = next(kind for kind in cut.kinds if kind.data == b" the")
    listed = CliRunner().invoke(needlepoint, ["tok", "tree", "--id", str(longest.id), "-t", "small"]).stdout
    assert listed.strip() in drawn


def test_versions_and_digests_stand_on_the_page() -> None:
    shown = Reader(page_of(cut_by(SMALL, "abc"))).text
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in shown  # FIPS 180's own example
    assert f"character classes of {UNICODE_VERSION}" in shown
    assert digest("small") in shown
    ids = load_tokenizer("small").encode("abc")
    assert hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest() in shown
    assert digest("gpt2") == RANKS["gpt2"].sha256
    assert digest("no such file") is None


def test_the_table_of_classes_is_of_the_version_that_is_said() -> None:
    letters, nothing = category("Lo"), category("Cn")
    assert UNICODE_VERSION == "16.0"
    assert any(first <= 0x105C0 <= last for first, last in letters)  # Todhri, new in 16.0
    assert any(first <= 0x16EA0 <= last for first, last in nothing)  # Beria Erfe, new in 17.0


@pytest.mark.parametrize("text", ["", " ", "\n", "é", b"\xff", "\u0301", "👩‍👩‍👧"])
def test_there_is_a_page_for_any_text(text: str | bytes) -> None:
    cuts = cut_by(SMALL, text), cut_by(BYTES, text)
    page = page_of(*cuts, figures=text == "é")
    assert_loads_and_runs_nothing(page)
    assert ("The text is empty" in page) == (not text)


def test_the_same_text_makes_the_same_bytes_and_an_empty_one_no_figure() -> None:
    cut = cut_by(SMALL, "the harbour " * 20)
    page = page_of(cut, figures=True)
    assert Reader(page).elements["svg"] == 4
    assert lengths(cut).svg in page
    assert page_of(cut) == page_of(cut)
    assert Reader(page_of(cut_by(SMALL, ""), figures=True)).elements["svg"] == 0


def test_hostile_text_and_tokens_are_shown_as_the_text_they_are() -> None:
    page = page_of(hostile_cut(), cut_by(SMALL, "\n".join(HOSTILE).encode("utf-8", "replace")))
    assert_loads_and_runs_nothing(page)
    assert not UNSEEN.search(page)
    shown = Reader(page).text.replace(" ", "").replace("·", "")
    for text in HOSTILE:
        if not UNSEEN.search(text):
            assert shown.count(text.replace(" ", "")[:40]) >= 2, text  # as a token and in a table
    assert "{{7*7}}" in shown


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_coloured_tokens_can_be_read(scheme: int) -> None:
    own = re.findall(r":root \{ (--tint-0.*?)\}", page_of(cut_by(BYTES, "a")))[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", own))
    tints = [colours[f"tint-{number}"] for number in range(4)]
    assert len(set(tints)) == 4
    for tint in tints:
        assert contrast(colours["on-tint"], tint) >= 7
        assert contrast(colours["edge"], tint) >= 3


# ---------------------------------------------------------------------------------------------------------- the command


def test_a_page_goes_to_a_file_or_into_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "tokens.html"
    done = run("How is this cut?", "-t", "small", "-o", str(path))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert f"wrote {path}" in done.stderr
    assert run("How is this cut?", "-t", "small").stdout_bytes == path.read_bytes()
    assert "<title>&#34;How is this cut?&#34; - needlepoint report</title>" in path.read_text(encoding="utf-8")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A file with a tokenizer of few words and a special token."""
    tokens = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    made = Tokenizer(
        name="mine",
        split=make_split("gpt2"),
        vocabulary=tokens,
        special_tokens={"<end>": 257},
        merges=[(b"a", b"b")],
        whole_pieces=False,
    )
    made.save(tmp_path / "mine.json")
    return str(tmp_path / "mine.json")


def test_several_texts_and_tokenizers_get_a_part_each(mine: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{name} harbour", encoding="utf-8")
    files = ["-i", str(tmp_path / "one"), "-i", str(tmp_path / "two")]
    page = run(*files, "-t", "small", "-t", mine, "-t", "small").stdout  # twice the same is once
    assert page.count('<section class="cut"') == 4
    table = re.search(r"Side by side</h2>.*?</table>", page, re.DOTALL)
    assert table
    counts = re.search(r">Tokens</th>((?:<td>\d+</td>)+)", table[0])
    assert counts
    expected = []
    for name in ("one", "two"):
        for tokenizer in (SMALL, Tokenizer.load(mine)):
            expected.append(tokenizer.count(f"{name} harbour"))
            assert f"{tmp_path / name} by {tokenizer.name}" in page
    assert list(map(int, re.findall(r"\d+", counts[1]))) == expected
    assert "<th" in table[0]
    assert "one by mine.json</th>" in table[0]  # columns are narrow


def test_so_many_tokens_as_were_asked_for_are_shown() -> None:
    page = run("one two three four five", "-t", "small", "-n", "2").stdout
    assert len(re.findall(r'class="token ', page)) == 2
    assert "This is the beginning: 2 of" in page


def test_special_tokens_are_refused_read_or_plain(mine: str) -> None:
    assert run("a<end>", "-t", mine).exit_code == 1
    assert "id 257" in run("a<end>", "-t", mine, "--allow-special").stdout
    plain = run("a<end>", "-t", mine, "--special-as-text")
    assert plain.exit_code == 0
    assert "id 257" not in plain.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("-o", "report.json"), 2, "let it end in .html"),
        (("-o", "no/such/report.html"), 1, "there is no directory"),
        (("-n", "0"), 2, "'--limit': 0 is not in the range"),
        (("-t", "gpt3"), 1, "no tokenizer 'gpt3'"),
        (tuple(f"-t{number}" for number in range(13)), 2, "a page has at the most 12"),
    ],
)
def test_nonsense_is_refused(arguments: tuple[str, ...], code: int, what: str) -> None:
    done = run("some text", *arguments)
    assert done.exit_code == code
    assert what in done.stderr
    assert done.stdout == ""


def test_a_page_is_not_thrown_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.token_report_command.on_terminal", lambda: True)
    done = run("some text")
    assert done.exit_code == 2
    assert "-o tokens.html" in done.stderr


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_without_its_libraries_the_command_says_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    done = run("some text")
    assert done.exit_code == 1
    assert f"a report needs {library}" in done.stderr
    assert "needlepoint[report]" in done.stderr
