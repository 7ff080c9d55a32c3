"""`tok train`, as a person types it; what it learned is judged by the `tokenizers` package."""

import gzip
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers
import zstandard
from click.testing import CliRunner, Result
from pyarrow import parquet

from cli.amounts import Amount, Amounts
from cli.main import needlepoint
from tests.cli.interruptions import press_ctrl_c
from tests.cli.terminals import on_a_terminal
from tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
CORPUS = (
    "The miller carried the flour to the village, and the village paid the miller in the market.\n"
    "Whether the weather is wet or whether the weather is dry, the miller walks whenever the wheel is still.\n"
    "\tÄpfel, Öl und Brot; 東京の朝。 Grüße! <|end|> 1234 1234\n"
) * 8
OPTIONS = ("--vocab-size", "340", "--special", "<|end|>")


def run(*arguments: object, stdin: str | bytes = "") -> Result:
    words = ["tok", "train", *map(str, arguments)]
    return CliRunner().invoke(needlepoint, words, input=stdin, prog_name="needlepoint")


def failure(result: Result, code: int) -> tuple[str, str]:
    """The error and the hint of a command that failed with this exit code."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("error: "), lines
    assert lines[-1].startswith("hint: "), lines
    return lines[-2], lines[-1]


def merges(path: Path) -> list[list[str]]:
    """The merges of a file that `tokenizers` can load."""
    return json.loads(tokenizers.Tokenizer.from_file(str(path)).to_str())["model"]["merges"]


def train_theirs(documents: list[str], vocab_size: int, **options: object) -> list[list[str]]:
    """The merges of Hugging Face's trainer."""
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False, **options
    )
    theirs.train_from_iterator(documents, trainer)
    return json.loads(theirs.to_str())["model"]["merges"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "mill.txt"
    path.write_text(CORPUS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def mine(corpus: Path) -> Path:
    return corpus.with_name("mine.json")


@pytest.fixture(scope="module")
def trained(corpus: Path, mine: Path) -> Result:
    result = run(corpus, "-o", mine, *OPTIONS, "--json")
    assert result.exit_code == 0, result.output
    return result


class TestResult:
    def test_the_summary_is_that_of_the_file_it_wrote(self, trained, mine):
        document = json.loads(trained.stdout)
        assert document["schema"] == "needlepoint.tok.train/1"
        row = document["rows"][0]
        theirs = tokenizers.Tokenizer.from_file(str(mine))
        assert row["vocab_size"] == theirs.get_vocab_size() == 340
        assert row["merges"] == len(merges(mine)) == 340 - 256 - 1
        assert row["corpus_bytes"] == len(CORPUS.encode())
        theirs.encode_special_tokens = True
        assert row["corpus_tokens"] == len(theirs.encode(CORPUS).ids)
        assert row["bytes_per_token"] == pytest.approx(row["corpus_bytes"] / row["corpus_tokens"])
        meta = document["meta"]
        assert (meta["ended"], meta["documents"], meta["left_out_pre_tokens"]) == ("complete", 1, 0)

    def test_progress_and_the_written_files_are_told_on_stderr(self, trained, mine):
        line = r"^training: (\d+) %, [\d,]+ of 83 merges, .*newest: '.*', (\d\.\d\d) bytes/token$"
        tenths, rates = zip(*re.findall(line, trained.stderr, re.MULTILINE), strict=True)
        assert tenths == tuple(str(10 * n) for n in range(1, 11))
        assert sorted(map(float, rates)) == list(map(float, rates))
        row = json.loads(trained.stdout)["rows"][0]
        assert float(rates[-1]) == pytest.approx(row["bytes_per_token"], abs=0.005)
        assert f"wrote {mine} and {mine.with_name('mine.train.json')}" in trained.stderr.splitlines()

    def test_the_record_beside_it_knows_the_options_and_the_corpus(self, trained, mine, corpus):
        record = json.loads(mine.with_name("mine.train.json").read_bytes())
        assert (record["options"]["vocab_size"], record["options"]["special_tokens"]) == (340, ["<|end|>"])
        assert (record["corpus"]["sources"], record["corpus"]["documents"]) == ([str(corpus)], 1)
        assert record["corpus_tokens"][-1] == json.loads(trained.stdout)["rows"][0]["corpus_tokens"]

    def test_an_old_file_is_replaced_and_that_is_told(self, corpus, tmp_path):
        out = tmp_path / "again.json"
        out.write_text("old", encoding="utf-8")
        result = run(corpus, "-o", out, "--vocab-size", "260")
        assert f"replaced {out} and {tmp_path / 'again.train.json'}" in result.stderr.splitlines()
        assert len(merges(out)) == 4
        header, row = (line.split("\t") for line in result.stdout.splitlines())
        assert dict(zip(header, row, strict=True))["merges"] == "4"

    def test_layout_and_split(self, corpus, tmp_path):
        out = tmp_path / "bytes.json"
        options = ["--vocab-size", "300", "--layout", "bytes", "--split", r"\p{L}+| ", "--special", "<s>"]
        assert run(corpus, "-o", out, *options).exit_code == 0
        vocab = tokenizers.Tokenizer.from_file(str(out)).get_vocab()
        assert vocab["!"] == ord("!")
        assert vocab["<s>"] == 299

    def test_a_binary_corpus_is_bytes_like_any_other(self, tmp_path):
        corpus = tmp_path / "noise.bin"
        corpus.write_bytes(bytes(range(256)) * 20)
        assert run(corpus, "-o", tmp_path / "noise.json", "--vocab-size", "270").exit_code == 0
        assert len(merges(tmp_path / "noise.json")) == 14


class TestSources:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("mill.txt.gz", gzip.compress(CORPUS.encode())),
            ("mill.zst", zstandard.compress(CORPUS.encode())),
            ("mill.jsonl", json.dumps({"id": 1, "text": CORPUS}).encode()),
            ("mill.ndjson.gz", gzip.compress(json.dumps({"text": CORPUS}).encode())),
            ("mill.parquet", None),
        ],
    )
    def test_every_kind_of_file_gives_the_same_tokenizer_and_digest(self, tmp_path, trained, mine, name, content):
        if content is None:
            sink = io.BytesIO()
            parquet.write_table(pa.table({"text": [CORPUS]}), sink)
            content = sink.getvalue()
        (tmp_path / name).write_bytes(content)
        result = run(tmp_path / "*", "-o", tmp_path / "out.json", *OPTIONS, "--json")
        assert json.loads(result.stdout)["rows"][0]["corpus_bytes"] == len(CORPUS.encode())
        assert (tmp_path / "out.json").read_bytes() == mine.read_bytes()
        digests = [
            json.loads(path.with_name(f"{path.stem}.train.json").read_bytes())["corpus"]["digest"]
            for path in (mine, tmp_path / "out.json")
        ]
        assert digests[0] == digests[1]

    def test_stdin_is_a_source_and_with_a_field_json_lines(self, tmp_path, trained, mine):
        for stdin, options in ((CORPUS, ()), (json.dumps({"body": CORPUS}) + "\n", ("--field", "body"))):
            out = tmp_path / "out.json"
            result = run("-", "-o", out, *OPTIONS, *options, "--json", stdin=stdin)
            assert json.loads(result.stdout)["rows"] == [{**json.loads(trained.stdout)["rows"][0], "file": str(out)}]
            assert out.read_bytes() == mine.read_bytes()

    def test_a_pipe_that_the_shell_made_is_a_source(self, corpus, tmp_path, trained, mine):
        out = tmp_path / "out.json"
        line = f'cat "$1" | {sys.executable} -m cli tok train /dev/stdin -o "$2" {" ".join(OPTIONS[:3])} "$3"'
        words = ["/bin/sh", "-c", line, "sh", str(corpus), str(out), "<|end|>"]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
        assert out.read_bytes() == mine.read_bytes()

    def test_a_terminal_as_stdin_is_told_so_and_not_kept_waiting(self, tmp_path):
        printed = on_a_terminal("tok", "train", "-", "-o", str(tmp_path / "out.json"), code=2)
        assert "error: python -m cli tok train was given nothing to read" in printed

    def test_a_tokenizer_among_its_own_texts_is_no_part_of_them(self, corpus, tmp_path):
        (tmp_path / "mill.txt").write_bytes(corpus.read_bytes())
        options = ["--vocab-size", "300", "--sizes", "290", "--json"]
        for _ in range(2):
            result = run(tmp_path, "-o", tmp_path / "out.json", *options)
            assert json.loads(result.stdout)["rows"][0]["corpus_bytes"] == corpus.stat().st_size
        assert (
            "nothing to learn from" in failure(run(tmp_path / "o*.json", "-o", tmp_path / "out.json", *options), 1)[0]
        )

    def test_a_text_is_never_overwritten(self, corpus, tmp_path):
        text = tmp_path / "texts.json"
        text.write_bytes(corpus.read_bytes())
        for source in (tmp_path, text, f"file://{text}"):
            assert "would be overwritten" in failure(run(source, corpus, "-o", text), 2)[0]
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [corpus.read_bytes()]

    def test_a_directory_in_the_way_is_told_before_training(self, corpus, tmp_path):
        for name in ("mine.json", "mine.train.json", "mine-300.json"):
            (tmp_path / name).mkdir()
            result = run(corpus, "-o", tmp_path / "mine.json", "--sizes", "300", "--vocab-size", "310")
            assert name in failure(result, 2 if name == "mine.json" else 1)[0]
            assert "training:" not in result.stderr
            (tmp_path / name).rmdir()
        assert not list(tmp_path.iterdir())

    def test_missing_empty_and_damaged_corpora_are_told_and_nothing_is_written(self, tmp_path):
        out = tmp_path / "out.json"
        (tmp_path / "empty.txt").touch()
        (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(CORPUS.encode())[:-20])
        (tmp_path / "bad.jsonl").write_bytes(b'{"text": "one"}\n{"text": 2}\n')
        os.mkfifo(tmp_path / "pipe")
        for name, what in {
            "none.txt": "none.txt",
            "empty.txt": "no text to learn from",
            "cut.txt.gz": "cannot read",
            "bad.jsonl": "line 2",
            "pipe": "neither a file nor a directory",
        }.items():
            assert what in failure(run(tmp_path / name, "-o", out), 1)[0]
        assert "FILES" in failure(run("-o", out), 2)[0]
        assert "no source is JSONL" in failure(run(tmp_path / "empty.txt", "-o", out, "--field", "body"), 2)[0]
        assert not list(tmp_path.glob("out*"))


class TestOptions:
    def test_min_frequency_has_the_default_of_hugging_face(self, tmp_path):
        texts = ["once upon", "a time time", "there was there was"]
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
        for value in (None, 1, 2, 3):
            options = () if value is None else ("--min-frequency", value)
            assert run(tmp_path / "*.txt", "-o", tmp_path / "out.json", *options).exit_code == 0
            named = {} if value is None else {"min_frequency": value}
            assert merges(tmp_path / "out.json") == train_theirs(texts, 8192, **named)
        result = run(tmp_path / "*.txt", "-o", tmp_path / "out.json", "--min-frequency", 2)
        size = 256 + len(merges(tmp_path / "out.json"))
        assert f"At {size} tokens no pair was left that occurs 2 times; 8,192 were asked for." in result.stderr

    def test_no_token_is_longer_than_max_token_bytes(self, corpus, tmp_path):
        out = tmp_path / "out.json"
        assert run(corpus, "-o", out, "--max-token-bytes", 3).exit_code == 0
        lengths = {len(token) for token in load_tokenizer(str(out)).vocabulary}
        assert lengths == {1, 2, 3}
        assert len(merges(out)) > 50

    def test_long_pre_tokens_are_reported_when_they_dominate_and_can_be_left_out(self, corpus, tmp_path):
        generator = random.Random("base64")
        data = ["".join(generator.choices("abcdefgh", k=3000)) for _ in range(12)]
        (tmp_path / "data.txt").write_text("\n".join(data), encoding="utf-8")
        files, out = (corpus, tmp_path / "data.txt"), tmp_path / "out.json"
        result = run(*files, "-o", out, "--vocab-size", 300, "--json")
        share = 30_000 / (len(CORPUS.encode()) + 36_011)
        assert f"The longest pre-tokens are {share:.0%} of the corpus; --max-pretoken-bytes" in result.stderr
        told = re.findall(r"^  3,000 bytes: '([a-h]{40})\.\.\.'$", result.stderr, re.MULTILINE)
        assert len(told) == 10
        assert set(told) <= {word[:40] for word in data}
        longest = json.loads(result.stdout)["meta"]["longest_pre_tokens"]
        assert [(word["bytes"], word["beginning"][:40]) for word in longest] == [(3000, word) for word in told]

        result = run(*files, "-o", out, "--vocab-size", 300, "--max-pretoken-bytes", "1k", "--json")
        assert "Pre-tokens longer than 1,024 bytes were left out: 12." in result.stderr
        assert "longest pre-tokens" not in result.stderr
        run(corpus, "-o", tmp_path / "without.json", "--vocab-size", 300)
        assert len(merges(out)) == 44
        assert merges(out) == merges(tmp_path / "without.json")

    def test_words_of_ordinary_length_are_no_news(self, trained):
        assert "longest pre-tokens" not in trained.stderr

    def test_an_exhausted_corpus_stops_cleanly_and_says_where(self, tmp_path):
        text, out = tmp_path / "short.txt", tmp_path / "short.json"
        text.write_text("aaab aaab", encoding="utf-8")
        result = run(text, "-o", out, "--sizes", "258,500,1k", "--json")
        assert result.exit_code == 0, result.output
        size = tokenizers.Tokenizer.from_file(str(out)).get_vocab_size()
        assert 258 < size < 300
        assert [row["vocab_size"] for row in json.loads(result.stdout)["rows"]] == [size, 258]
        assert f"The corpus was exhausted at {size} tokens; 1,024 were asked for." in result.stderr
        assert f"{tmp_path / 'short-500.json'} was not written: the vocabulary ended at {size} tokens" in result.stderr
        assert not (tmp_path / "short-500.json").exists()

    @pytest.mark.parametrize("layout", ["hf", "bytes"])
    def test_sizes_are_what_runs_of_their_own_would_give(self, corpus, tmp_path, layout):
        out = tmp_path / "mine.json"
        options = ["--layout", layout, "--special", "<a>", "--special", "<b>"]
        result = run(corpus, "-o", out, "--sizes", "330,270, 300", *options, "--json")
        rows = json.loads(result.stdout)["rows"]
        assert [row["vocab_size"] for row in rows] == [330, 270, 300, 330]
        for row in rows[1:]:
            path, own = Path(row["file"]), tmp_path / "own.json"
            assert path == tmp_path / f"mine-{row['vocab_size']}.json"
            alone = json.loads(run(corpus, "-o", own, "--vocab-size", row["vocab_size"], *options, "--json").stdout)
            assert path.read_bytes() == own.read_bytes()
            assert row == alone["rows"][0] | {"file": str(path)}
            assert path.with_name(f"{path.stem}.train.json").exists()
            assert load_tokenizer(str(path)).special_tokens == load_tokenizer(str(own)).special_tokens
        assert out.read_bytes() == (tmp_path / "mine-330.json").read_bytes()

    def test_amounts(self):
        known = {"4096": 4096, "32k": 32768, "1K": 1024, "2m": 2 << 20, "007": 7}
        assert {text: Amount().convert(text, None, None) for text in known} == known
        assert Amounts().convert("2k,1k, 1024", None, None) == (1024, 2048)

    @pytest.mark.parametrize(
        ("options", "code", "what"),
        [
            (["--vocab-size", "100"], 2, "256"),
            (["--vocab-size", "0"], 2, "--vocab-size"),
            (["--vocab-size", "-5"], 2, "--vocab-size"),
            (["--vocab-size", "1g"], 2, "'1g' is not a number"),
            (["--sizes", "1k,,2k"], 2, "'' is not a number"),
            (["--sizes", "1k,2k", "--vocab-size", "1500"], 2, "the size 2,048 is larger than the vocabulary, 1,500"),
            (["--sizes", "256,1k", "--special", "<a>"], 2, "the smallest possible size is 257"),
            (["--max-token-bytes", "0"], 2, "--max-token-bytes"),
            (["--split", "[a-"], 2, "split pattern is wrong at position 3"),
            (["--split", "(?=a)"], 2, "can only match empty text"),
            (["--split", r"\p{N}{1,3}+|\p{L}+|\s+"], 1, "a tokenizer.json cannot hold this split pattern"),
            (["--layout", "neat"], 2, "neat"),
            (["-o", "nowhere/at/all.json"], 1, "nowhere/at"),
            (["-o", "mine.model"], 2, "end in .json"),
            (["-o", "vocab.json"], 2, "another kind of file"),
            (["-o", "mine.train.json"], 2, "another kind of file"),
            (["-o", f"{'x' * 245}.json"], 1, "File name too long"),
        ],
    )
    def test_wrong_options_are_told_before_training_and_nothing_is_written(self, corpus, tmp_path, options, code, what):
        result = run(corpus, "-o", tmp_path / "out.json", *options)
        error, hint = failure(result, code)
        assert what in error + hint
        assert "training:" not in result.stderr
        assert not list(tmp_path.iterdir())


class TestInterruption:
    """Ctrl-C at a chosen moment: the command's own handler gets a real signal."""

    def test_while_merging_it_keeps_what_was_learned(self, corpus, tmp_path, monkeypatch, trained, mine):
        press_ctrl_c(monkeypatch, "merged", times=1)
        out = tmp_path / "out.json"
        result = run(corpus, "-o", out, *OPTIONS, "--sizes", "260,330", "--json")
        assert result.exit_code == 130, result.output
        document = json.loads(result.stdout)
        assert document["meta"]["ended"] == "interrupted"
        assert [row["vocab_size"] for row in document["rows"]] == [277, 260]
        assert merges(out) == merges(mine)[:20]
        assert load_tokenizer(str(out)).decode(load_tokenizer(str(out)).encode("the mill")) == "the mill"
        assert "The training was interrupted at 277 tokens; 340 were asked for." in result.stderr
        assert f"{tmp_path / 'out-330.json'} was not written" in result.stderr
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @pytest.mark.parametrize(
        ("moment", "times", "what"), [("read", 1, "nothing was learned yet"), ("merged", 2, "what was learned is lost")]
    )
    def test_while_reading_or_a_second_time_it_ends_at_once(self, corpus, tmp_path, monkeypatch, moment, times, what):
        press_ctrl_c(monkeypatch, moment, times)
        result = run(corpus, "-o", tmp_path / "out.json", *OPTIONS)
        assert what in failure(result, 130)[0]
        assert not list(tmp_path.iterdir())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_terminal_shows_a_live_line(corpus, tmp_path):
    printed = on_a_terminal("tok", "train", str(corpus), "-o", str(tmp_path / "out.json"), *OPTIONS, columns=120)
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", printed)
    assert re.search(r"training .*83 of 83 merges  [\d,]+/s +[\d:-]+ newest: '.+', \d\.\d\d bytes/token", text)
    assert "340" in text.split("Vocabulary")[1]
