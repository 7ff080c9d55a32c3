"""`tok vocab` and `tok cut`, as a person types them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cli.cut_command import stable_beginning
from cli.main import needlepoint
from tests.cli.terminals import on_a_terminal
from tokenizer import load_tokenizer


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(needlepoint, ["tok", *arguments], input=stdin, prog_name="needlepoint")


def ids(*arguments: str) -> list[int]:
    result = run("vocab", *arguments, "-t", "small", "--json")
    assert result.exit_code == 0, result.output
    return [row["id"] for row in json.loads(result.stdout)["rows"]]


VOCABULARY = {one: token for token, one in load_tokenizer("small").vocabulary.items()}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("the",), lambda token: b"the" in token),
        (("--hex", "E6 9D"), lambda token: b"\xe6\x9d" in token),
        (("--size", "9:"), lambda token: len(token) >= 9),
        (("--size", ":1"), lambda token: len(token) == 1),
        (("--size", "4", "ing"), lambda token: len(token) == 4 and b"ing" in token),
        (("--regex", "^ [A-Z]"), lambda token: re.match(rb" [A-Z]", token) is not None),
        (("--kind", "digits"), lambda token: re.fullmatch(rb" ?[0-9]+", token) is not None),
        (
            ("--kind", "white-space"),
            lambda token: re.fullmatch(
                r"[ \t-\r\x85\xa0\u2000-\u200a\u2028\u2029\u3000]+", token.decode("utf-8", "replace")
            ),
        ),
        (
            ("--script", "Cyrillic"),
            lambda token: any("\u0400" <= each <= "\u04ff" for each in token.decode("utf-8", "ignore")),
        ),
    ],
)
def test_each_filter_finds_what_plain_python_finds(
    arguments: tuple[str, ...], wanted: Callable[[bytes], object]
) -> None:
    assert ids(*arguments) == sorted(one for one, token in VOCABULARY.items() if wanted(token))


def test_ids_kinds_and_special_tokens() -> None:
    assert ids("--ids", "300:303") == [300, 301, 302, 303]
    assert (len(ids("--kind", "partial")), len(ids("--kind", "ill-formed"))) == (115, 13)  # as `tok lint` says
    result = run("vocab", "--kind", "special", "-t", "gpt2", "--json")
    assert [row["text"] for row in json.loads(result.stdout)["rows"]] == ["<|endoftext|>"]
    assert "1 special token would fit, too: --kind special" in run("vocab", "oftext", "-t", "gpt2").stderr
    assert "would fit" not in result.stderr


def test_a_page_is_one_of_those_that_there_are() -> None:
    given = ("vocab", "--ids", "300:304", "-n", "2", "-t", "small")
    assert "page 2 of 3; the next one with --page" in run(*given, "--page", "2").stderr
    assert run(*given, "--page", "3").stderr.endswith("page 3 of 3.\n")
    result = run(*given, "--page", "4")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no page 4" in result.stderr
    assert "the 5 tokens fill 3" in result.stderr


def test_parts_of_characters_are_shown_on_a_terminal_and_have_no_text_for_programs() -> None:
    asked = ("tok", "vocab", "--hex", "CC", "--size", "1", "-t", "gpt2")
    assert "⟨CC⟩" in on_a_terminal(*asked)
    assert "\t\tcc\t1" in run(*asked[1:]).stdout
    assert "⟨CC⟩" in on_a_terminal("tok", "lint", "--list", "partial", "-t", "gpt2")


def test_unused_tokens_are_those_that_a_text_does_not_have(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("The miller carried the flour.\n", encoding="utf-8")
    used = set(load_tokenizer("small").encode(text.read_text(encoding="utf-8")))
    assert ids("--unused", str(text)) == sorted(set(VOCABULARY) - used)


def test_the_listing_has_a_line_for_each_token_with_its_parts() -> None:
    result = run("vocab", "--listing", "--ids", "300:302", "-t", "cl100k")
    assert result.stdout == "[a][s] -> [as] 300\n[e][l] -> [el] 301\n[c][t] -> [ct] 302\n"
    assert run("vocab", "--listing", "--ids", "0", "-t", "cl100k").stdout == "[!] 0\n"
    for more in (["--json"], ["-o", "mine.json"]):
        result = run("vocab", "--listing", *more)
        assert result.exit_code == 2
        assert "--listing is a form of its own" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--size", "x"), ("--size", "5:3"), ("--size", ":"), ("--size", "\u0663"), ("--ids", "-1"), ("--hex", "zz"),
        ("--regex", "("), ("--script", "Klingonish"), ("--script", "}"), ("--kind", "odd"), ("--page", "0"),
        ("the", "--hex", "00"), ("--unused", "/nowhere/notes.txt"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(arguments: tuple[str, ...]) -> None:
    result = run("vocab", *arguments, "-t", "small")
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert "error:" in result.stderr.lower()


@given(st.one_of(st.text(max_size=40).map(str.encode), st.binary(max_size=40)), st.integers(0, 30))
def test_what_is_cut_has_the_first_tokens_of_the_whole_and_whole_characters(data: bytes, most: int) -> None:
    tokenizer = load_tokenizer("small")
    whole = tokenizer.encode(data, disallowed_special=())
    end, count = stable_beginning(tokenizer, data, most)
    kept = tokenizer.encode(data[:end], disallowed_special=())
    assert count == len(whole)
    assert len(kept) <= most
    assert kept == whole[: len(kept)]
    characters = data.decode("utf-8", "surrogateescape")
    places = {0}
    for character in characters:
        places.add(max(places) + len(character.encode("utf-8", "surrogateescape")))
    assert end in places
    longer = [place for place in places if place > end]
    for place in longer:  # no more would have been right
        tokens = tokenizer.encode(data[:place], disallowed_special=())
        assert len(tokens) > most or tokens != whole[: len(tokens)]


def test_cut_prints_the_beginning_and_tells_what_is_left_out() -> None:
    result = run("cut", "-n", "3", "Grüße aus Zürich", "-t", "cl100k")
    assert (result.stdout, result.stderr.splitlines()[-1]) == ("Grüße", "3 of 7 tokens, 7 of 19 bytes")
    assert run("cut", "-n", "100", "all of it", "-t", "small").stdout == "all of it"
    assert run("cut", "-n", "2", "🌍🌍", "-t", "cl100k").stdout == ""
    assert run("cut", "-n", "0", "word", "-t", "small").stdout == ""
    assert run("cut", "word", "-t", "small").exit_code == 2
    assert run("cut", "-n", "-1", "word", "-t", "small").exit_code == 2
