"""`tok explain`, `tok tree` and `tok alt`, as a person types them."""

import base64
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken
from click.testing import CliRunner, Result
from rich.cells import cell_len

from cli.explain_command import ALTERNATIVES, MOST_EXPLAINED
from cli.main import needlepoint
from tokenizer import load_tokenizer
from tokenizer.splits import alternatives, between_characters, make_split

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(needlepoint, ["tok", *arguments], input=stdin, prog_name="needlepoint")


def done(*arguments: str, stdin: str | bytes = "") -> str:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def failure(result: Result, code: int) -> tuple[str, str]:
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("error: "), lines
    assert lines[-1].startswith("hint: "), lines
    return lines[-2], lines[-1]


def rows(text: str, table: str | None = None) -> list[dict]:
    found = json.loads(text)["rows"]
    return [row for row in found if table is None or row["table"] == table]


def on_terminal(*arguments: str, columns: int, term: str = "dumb") -> str:
    """What a person sees on a terminal so wide."""
    ours, theirs = pty.openpty()
    settings = os.environ | {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": term}
    command = [sys.executable, "-m", "cli", "tok", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=settings, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(ours)
        assert process.wait() == 0
    return seen.decode()


def test_explain_replays_the_merges_and_answers_why_not_the_longer_token() -> None:
    result = run("explain", " disestablish", "-t", "cl100k")
    assert result.exit_code == 0
    head, table, *answers = (part.splitlines() for part in result.stdout.split("\n\n"))
    assert head[0] == "·disestablish: 2 tokens, ·dis|establish  (id 834, 34500)"
    assert "(alternative 2 of 8 of cl100k)" in head[1]
    steps = [line.split("\t") for line in table[1:]]
    assert [step[4] for step in steps[-2:]] == ["·dis|est|ablish", "·dis|establish"]
    assert steps[0] == ["1", "s + t", "267", "267", "·|d|i|s|e|st|a|b|l|i|s|h", "is 285, is 285, es 288, 8 more"]
    assert answers == [
        ["Why not ·dise (id 6759)? Step 6 merged e and st, and with that its e went into est, which reaches beyond it."]
    ]


def test_explain_in_machine_form_holds_what_tiktoken_gives(both: tiktoken.Encoding) -> None:
    text = "It's 1234 Grüße!\n"
    found = done("explain", text, "-t", "cl100k", "--json")
    pieces = rows(found, "pre_token")
    assert [row["text"] for row in pieces] == ["It", "'s", " ", "123", "4", " Grüße", "!\n"]
    assert [one for row in pieces for one in row["ids"]] == both.encode_ordinary(text)
    assert [row["alternative"] for row in pieces] == [2, 1, 8, 3, 3, 2, 4]
    steps = rows(found, "step")
    assert steps[0] | {"lost": []} == {
        "table": "step",
        "pre_token": 1,
        "step": 1,
        "left_hex": "49",
        "right_hex": "74",
        "rank": both.encode_single_token("It"),
        "id": both.encode_single_token("It"),
        "start_byte": 0,
        "lost": [],
    }


@pytest.fixture(scope="module")
def both() -> tiktoken.Encoding:
    from tokenizer import load_tokenizer

    ours = load_tokenizer("cl100k")
    return tiktoken.Encoding(
        "cl100k", pat_str=ours.split.pattern, mergeable_ranks=dict(ours.vocabulary), special_tokens={}
    )


def test_every_alternative_of_the_named_splits_has_its_words() -> None:
    for name, words in ALTERNATIVES.items():
        assert len(words) == len(alternatives(make_split(name).pattern)), name


def test_the_name_of_a_long_pre_token_ends_with_a_whole_character() -> None:
    lines = run("explain", "!" + "😀" * 30, "-t", "gpt2").stdout.splitlines()  # of two tokens each, and 20 are named
    assert lines[0].startswith(f"!{'😀' * 9} ...: 61 tokens, ")
    assert between_characters("a😀".encode(), 4) == 1
    assert between_characters("a😀".encode(), 5) == 5
    assert between_characters(b"\x80" * 9, 6) == 3


def test_a_terminal_that_gives_no_width_is_taken_for_one_of_80_columns() -> None:
    for term in ("dumb", "xterm"):
        seen = on_terminal("explain", " harvesting", columns=0, term=term)
        assert seen == on_terminal("explain", " harvesting", columns=80, term=term)


def test_a_narrow_terminal_leaves_out_what_lost_and_keeps_its_lines_whole() -> None:
    wide = on_terminal("explain", " harvesting", "-t", "small", columns=100)
    narrow = on_terminal("explain", " harvesting", "-t", "small", columns=60)
    assert "Lost against it (rank)" in wide
    assert "Lost" not in narrow
    assert all(len(line) <= 60 for line in narrow.splitlines())


def test_a_narrow_terminal_breaks_the_line_that_sums_a_picture_up_between_words() -> None:
    seen = on_terminal("show", "A needle in 東京", "-t", "small", columns=40)
    assert " ".join(seen.split("\r\n\r\n")[1].split()) == (
        "11 tokens, 18 bytes, 14 characters, 1.64 bytes per token, tokenizer small"
    )
    assert all(len(line) <= 40 for line in seen.splitlines())


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\x1b[31m", "שלום مرحبا e\u0301 👩\u200d🚀".encode()])
def test_explain_takes_any_bytes_and_sends_nothing_to_the_terminal(data: bytes) -> None:
    result = run("explain", "-t", "small", "-i", "-", stdin=data)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("text", ["word " * 100_000, "a  b\n" * 50_000, "\xff ".encode("latin-1") * 200_000])
def test_of_a_long_text_the_beginning_is_explained(text: str | bytes) -> None:
    result = run("explain", "-t", "cl100k", "-i", "-", "--json", stdin=text)
    assert result.exit_code == 0
    tokenizer = load_tokenizer("cl100k")
    pieces = tokenizer.pre_tokens(text)
    found = [bytes.fromhex(row["bytes_hex"]) for row in rows(result.stdout, "pre_token")]
    assert found == pieces[:MOST_EXPLAINED]
    assert json.loads(result.stdout)["meta"]["pre_tokens"] == len(pieces)
    assert f"These are the first {MOST_EXPLAINED} of {len(pieces):,} pre-tokens; `tok show` shows" in result.stderr


def test_alt_takes_the_beginning_of_a_long_text() -> None:
    text = "There are other ways. " * 3_000
    result = run("alt", "-t", "small", "-i", "-", "--json", stdin=text)
    assert result.exit_code == 0
    assert "These are other ways to cut the first 4,9" in result.stderr
    (real, *_) = rows(result.stdout)
    tokenizer = load_tokenizer("small")
    beginning = tokenizer.decode(real["ids"])
    assert text.startswith(beginning)
    assert 4_980 < len(beginning) <= 5_000
    one = run("alt", "-t", "gpt2", "-i", "-", "--samples", "0", "--json", stdin="é" * 401)  # a single pre-token
    assert load_tokenizer("gpt2").decode(rows(one.stdout)[0]["ids"]) == "é" * 400
    assert "the first 800 of 802 bytes" in one.stderr
    odd = run("alt", "-t", "gpt2", "-i", "-", "--samples", "0", "--json", stdin="a" + "é" * 600)
    assert load_tokenizer("gpt2").decode(rows(odd.stdout)[0]["ids"]) == "a" + "é" * 399
    two = run("alt", "-t", "gpt2", "-i", "-", "--samples", "0", "--json", stdin="one " + "b" * 801 + " two")
    assert load_tokenizer("gpt2").decode(rows(two.stdout)[0]["ids"]) == "one"
    assert "first" not in run("alt", "-t", "gpt2", "-i", "-", "--samples", "0", "--json", stdin="a" * 800).stderr


def test_a_very_long_pre_token_is_told_without_its_steps() -> None:
    assert "its 1,000,000 bytes are too many: merges are listed for up to 256" in done(
        "explain", "-t", "cl100k", "-i", "-", stdin="a" * 1_000_000
    )


def test_tree_shows_the_recipe_down_to_the_bytes() -> None:
    assert done("tree", " act", "-t", "cl100k").splitlines() == [
        "·act  id 1180, rank 1180",
        "├─ ·a  id 264, rank 264",
        "│  ├─ ·  id 220",
        "│  └─ a  id 64",
        "└─ ct  id 302, rank 302",
        "   ├─ c  id 66",
        "   └─ t  id 83",
    ]
    by_id = rows(done("tree", "1180", "--id", "-t", "cl100k", "--json"))
    assert [(row["id"], row["depth"], row["left_id"], row["right_id"]) for row in by_id][:2] == [
        (1180, 0, 264, 302),
        (264, 1, 220, 64),
    ]


def test_tree_shows_how_often_a_pair_was_merged_where_training_recorded_it(tmp_path: Path) -> None:
    corpus, mine = tmp_path / "corpus.txt", tmp_path / "mine.json"
    corpus.write_text("low low low lower lowest\n" * 4, encoding="utf-8")
    done("train", str(corpus), "--vocab-size", "262", "-o", str(mine))
    lines = done("tree", "low", "-t", str(mine)).splitlines()
    assert lines[0].endswith("rank 1, merged 20 times"), lines


@pytest.mark.parametrize("name", ["small", "cl100k"])
def test_a_single_byte_is_told_as_one(name: str) -> None:
    assert "it is a single byte, and so a token" in run("explain", "x", "-t", name).stdout


def test_used_in_lists_the_tokens_made_with_one() -> None:
    result = run("tree", "ing", "--used-in", "-n", "2", "-t", "cl100k", "--json")
    assert [row["text"] for row in rows(result.stdout)] == ["tring", "ings"]
    assert "1,123 tokens made with ing as one of the two parts; the first 2 are shown" in result.stderr
    assert len(rows(done("tree", "ing", "--used-in", "-t", "cl100k", "--json"))) == 1_123
    people = run("tree", "ing", "--used-in", "-t", "cl100k")
    assert len(people.stdout.splitlines()) == 41
    assert "the first 40 are shown" in people.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tree", "qqqq", "-t", "small"), "'qqqq' is not a token of small"),
        (("tree", "-t", "small", "--id", "x1"), "'x1' is not an id"),
        (("tree", "-t", "small", ""), "the token is empty"),
        (("tree", "-t", "cl100k", "--id", "100256"), "has no token with the id 100256"),
        (("tree", "-t", "small", "--id", "99999999"), "has no token with the id 99999999"),
        (("tree", "-t", "gpt2", "--id", "50256"), "is the id of a special token"),
        (("tree", "-t", "gpt2", "<|endoftext|>"), "'<|endoftext|>' is a special token"),
        (("explain", "a", "-t", "small", "-t", "gpt2"), "takes one tokenizer, and 2 were named: small, gpt2"),
    ],
)
def test_nonsense_is_refused_with_a_way_out(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    error, hint = failure(result, result.exit_code)
    assert result.exit_code in (1, 2)
    assert said in error
    assert len(hint) > 10


def test_the_same_tokenizer_may_be_named_twice() -> None:
    assert done("alt", "a", "-t", "small", "-t", "small") == done("alt", "a", "-t", "small")


@pytest.mark.parametrize("option", [("--dropout", "1.5"), ("--count", "0"), ("--samples", "-1"), ("--seed", "x")])
def test_options_of_alt_refuse_what_makes_no_sense(option: tuple[str, str]) -> None:
    assert run("alt", "word", "-t", "small", *option).exit_code == 2


def test_alt_shows_the_chosen_cut_beside_the_others() -> None:
    result = run("alt", " action", "-t", "cl100k", "--samples", "1")
    ways = {line.split("\t")[0]: line.split("\t")[1:] for line in result.stdout.splitlines()}
    assert ways["this tokenizer"] == ["1", "·action", "true", "", ""]
    assert ways["fewest tokens, 2"] == ["2", "·act|ion", "false", "4", "ct + ion, rank 407"]
    assert ways["fewest tokens, 3"] == ["2", "·ac|tion", "false", "3", "c + t, rank 302"]
    assert ways["longest match"] == ["1", "·action", "true", "", ""]
    assert "allows 48 ways to cut these 7 bytes" in result.stderr


def test_alt_says_where_bpe_is_not_longest_match() -> None:
    result = run("alt", " disestablish", "-t", "cl100k", "--samples", "2", "--dropout", "0.3", "--json")
    found = {row["way"]: row for row in rows(result.stdout)}
    assert not found["longest match"]["same"]
    again = run("alt", " disestablish", "-t", "cl100k", "--samples", "2", "--dropout", "0.3", "--json")
    assert again.stdout == result.stdout
    other = run("alt", " disestablish", "-t", "cl100k", "--samples", "2", "--dropout", "0.3", "--seed", "2", "--json")
    assert other.stdout != result.stdout
    assert "BPE is not longest-match" in run("alt", " disestablish", "-t", "cl100k").stderr


def test_alt_says_to_which_merge_another_way_was_lost() -> None:
    """By hand, from the ranks of cl100k: c + t 302, ct + ion 407; the other way round " ac" 1645 and "tion" 28491."""
    result = run("alt", " action", "-t", "cl100k", "--samples", "0", "--json")
    found = {tuple(row["ids"]): (row["lost_to"], row["lost_to_rank"]) for row in json.loads(result.stdout)["rows"]}
    assert found == {
        (1957,): (None, None),
        (1180, 290): ("ct + ion, rank 407", 407),
        (1645, 28491): ("c + t, rank 302", 302),
    }
    told = run("alt", " action", "-t", "cl100k").stderr
    assert "BPE is not longest-match: it goes by rank. Here both come to the same." in told
    assert "Lost to: in the first pre-token that is cut otherwise, the first merge" in told
    by_way = {row["way"]: row for row in json.loads(result.stdout)["rows"]}
    assert by_way["this tokenizer"]["differs_at_byte"] is None
    assert {row["differs_at_byte"] for row in json.loads(result.stdout)["rows"]} == {None, 3, 4}
    assert by_way["fewest tokens, 2"]["text"] == [" act", "ion"]
    assert by_way["fewest tokens, 2"]["bytes_hex"] == [b" act".hex(), b"ion".hex()]
    two = json.loads(run("alt", "is action", "-t", "cl100k", "--samples", "0", "--json").stdout)["rows"]
    assert {row["lost_to_rank"] for row in two if row["ids"] == [285, 1645, 28491]} == {302}  # in the second pre-token


def test_alt_says_that_no_merge_makes_a_token(tmp_path: Path) -> None:
    path = tmp_path / "odd.tiktoken"
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"xyz": 256, b"ab": 257}
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()))
    found = json.loads(run("alt", "axyzab", "-t", f"{path}?split=[a-w]|[x-z]+a", "--samples", "0", "--json").stdout)
    whole = next(row for row in found["rows"] if row["way"] == "fewest tokens")
    assert (whole["same"], whole["lost_to"], whole["differs_at_byte"]) == (False, "no merge makes xyz here", 2)


@pytest.mark.parametrize(("text", "amount"), [("a", "this byte"), ("", "these 0 bytes"), ("ab", "these 2 bytes")])
def test_amounts_are_worded(text: str, amount: str) -> None:
    assert amount in run("alt", text, "-t", "gpt2").stderr
    tokens = {"a": "1 of 1 token, 1 of 1 byte", "": "0 of 0 tokens, 0 of 0 bytes", "ab": "1 of 1 token, 2 of 2 bytes"}
    assert tokens[text] in run("cut", "-n", "5", text, "-t", "gpt2").stderr


def test_alt_of_nothing_is_one_way() -> None:
    result = run("alt", "-t", "small", "-i", "-", stdin="")
    assert "allows no other way" in result.stderr


def test_lint_counts_oddities_and_lists_those_of_one_check() -> None:
    result = run("lint", "-t", "small", "--json")
    document = json.loads(result.stdout)
    checks = {row["check"]: row for row in document["rows"]}
    assert document["meta"]["tokens"] == 4096
    assert checks["ill-formed"]["tokens"] == 13
    assert checks["ill-formed"]["ids"] == [
        row["id"] for row in rows(done("lint", "-t", "small", "--list", "ill-formed", "--json"))
    ]
    assert all(row["tokens"] == len(row["ids"]) for row in checks.values())
    assert "4,096 ordinary tokens were looked at" in result.stderr


def test_lint_refuses_a_check_that_is_not_there() -> None:
    assert run("lint", "-t", "small", "--list", "odd").exit_code == 2


def test_what_lost_has_a_column_where_it_fits_and_else_a_line(monkeypatch):
    for module in ("explain_command", "output"):
        monkeypatch.setattr(f"cli.{module}.on_terminal", lambda: True)
    for columns, has_column in (("70", True), ("40", False), ("20", False)):
        monkeypatch.setenv("COLUMNS", columns)
        printed = " ".join(run("explain", " shops", "-t", "small").stdout.split())
        assert ("Lost against it (rank)" in printed) == has_column
        assert ("lost: ho 31" not in printed) == has_column
        assert "hop 2164" in printed
        assert "·shop 916" in printed


def test_no_token_is_torn_in_a_narrow_terminal(monkeypatch):
    for module in ("explain_command", "output"):
        monkeypatch.setattr(f"cli.{module}.on_terminal", lambda: True)
    for columns in range(24, 70, 3):
        monkeypatch.setenv("COLUMNS", str(columns))
        printed = run("explain", "ἀλή🌍 disestablish", "-t", "gpt2").stdout
        assert max(map(cell_len, printed.splitlines())) <= columns
        assert printed.count("⟨") == printed.count("⟩") == len(re.findall("⟨[0-9A-F ]+⟩", printed))
        assert "·dis|est|ablish" in printed


def test_a_bar_in_the_text_is_told_from_the_bars_between_tokens():
    assert done("show", "a || b", "-t", "gpt2") == "a¦ ||¦ b\n"
    assert done("show", "a b", "-t", "gpt2") == "a| b\n"


def test_a_page_of_the_vocabulary_is_as_long_as_asked_for_in_a_pipe_too():
    assert len(json.loads(done("vocab", "needle", "-t", "cl100k", "-n", "2", "--json"))["rows"]) == 2
    second = json.loads(done("vocab", "needle", "-t", "cl100k", "-n", "3", "--page", "2", "--json"))["rows"]
    assert [row["text"] for row in second] == [" needless"]
    assert len(json.loads(done("vocab", "needle", "-t", "cl100k", "--json"))["rows"]) == 4


def test_a_tokenizer_named_twice_counts_once():
    assert done("count", "a", "-t", "small", "-t", "small") == "1\n"


def test_of_ways_that_are_as_short_the_real_one_comes_first():
    rows = json.loads(done("alt", "Schadenfreude", "-t", "small", "--samples", "0", "--json"))["rows"]
    real, first, second = rows[:3]
    assert real["tokens"] == first["tokens"] == second["tokens"]
    assert (first["same"], second["same"]) == (True, False)
