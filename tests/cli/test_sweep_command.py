"""`tok sweep`, as a person types it; its figures are judged by the tokenizers that `tok train` writes."""

import io
import json
import signal
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import tokenizers
from click.testing import CliRunner, Result
from rich.console import Console

from cli.amounts import ParameterCount
from cli.curves import LABEL, LEVELS, size_chart
from cli.main import needlepoint
from tests.cli.interruptions import press_ctrl_c
from tokenizer.vocabulary_size import PAPER

TEXTS = [
    "The miller carried the flour to the village, and the village paid the miller in the market.\n",
    "Whether the weather is wet or whether the weather is dry, the miller walks whenever the wheel is still.\n",
    "\tÄpfel, Öl und Brot; 東京の朝。 Grüße! 1234 1234 <|end|>\n",
    "The market closes when the miller leaves, and the village walks home by the wheel.\n",
    "Dry flour, wet flour: the wheel carried it all, the miller said, whatever the weather.\n",
]
UNSEEN = "A villager walks to the mill; the weather is still dry. Zürich 99 <|end|>\n"
MODEL = ("--params", "20000", "--dim", "64")


def run(*arguments: object, stdin: str | bytes = "") -> Result:
    words = ["tok", "sweep", *map(str, arguments)]
    return CliRunner().invoke(needlepoint, words, input=stdin, prog_name="needlepoint")


def rows(result: Result) -> dict[str, list[dict[str, object]]]:
    """The rows of each table."""
    assert result.exit_code == 0, result.output
    found: dict[str, list[dict[str, object]]] = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        found.setdefault(row.pop("table", "sizes"), []).append(row)
    return found


def failure(result: Result, code: int) -> str:
    """The error and the hint of a command that failed with this exit code and printed nothing."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    error, hint = result.stderr.splitlines()[-2:]
    assert (error[:7], hint[:6]) == ("error: ", "hint: ")
    return error + hint


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of texts, and beside it a text of its own."""
    home = tmp_path_factory.mktemp("sweep")
    (home / "texts").mkdir()
    for number, text in enumerate(TEXTS):
        (home / "texts" / f"{number}.txt").write_text(text, encoding="utf-8")
    (home / "unseen.txt").write_text(UNSEEN, encoding="utf-8")
    return home / "texts"


def test_each_size_is_the_one_that_a_training_of_its_own_writes(corpus, tmp_path):
    unseen = corpus.parent / "unseen.txt"
    options = (corpus, "--sizes", "260,300,340", "--special", "<|end|>", "--split", "cl100k")
    found = rows(run(*options, "--held-out", unseen, "--jsonl"))["sizes"]
    trained = CliRunner().invoke(needlepoint, ["tok", "train", *map(str, options), "-o", str(tmp_path / "own.json")])
    assert trained.exit_code == 0, trained.output
    for row in found:
        theirs = tokenizers.Tokenizer.from_file(str(tmp_path / f"own-{row['vocab_size']}.json"))
        theirs.encode_special_tokens = True
        assert theirs.get_vocab_size() == row["vocab_size"]
        assert row["tokens"] == len(theirs.encode(UNSEEN).ids)
        assert row["bytes_per_token"] == pytest.approx(len(UNSEEN.encode()) / row["tokens"])
        learned = sum(len(theirs.encode(text).ids) for text in TEXTS)
        assert row["learned_bytes_per_token"] == pytest.approx(sum(len(text.encode()) for text in TEXTS) / learned)
    assert [row["vocab_size"] for row in found] == [260, 300, 340]


def test_a_share_of_the_documents_is_held_out_by_the_seed(corpus):
    def meta(*options: object) -> dict[str, object]:
        return json.loads(run(corpus, "--sizes", "300", "--json", *options).stdout)["meta"]

    found = meta()
    assert (found["held_out_documents"], found["documents"]) == (1, 4)
    assert found["held_out_bytes"] in {len(text.encode()) for text in TEXTS}
    assert found["held_out_bytes"] + found["bytes"] == sum(len(text.encode()) for text in TEXTS)
    assert found == meta("--held-out-share", "0.1", "--seed", "1")
    assert len({meta("--seed", seed)["held_out_bytes"] for seed in range(8)}) > 1
    assert meta("--held-out-share", "0.6")["held_out_documents"] == 3


def test_a_held_out_file_of_the_corpus_is_not_learned_from(corpus):
    result = run(corpus, "--held-out", corpus / "2.txt", "--sizes", "300", "--json")
    meta = json.loads(result.stdout)["meta"]
    assert (meta["documents"], meta["held_out_bytes"], meta["seed"]) == (4, len(TEXTS[2].encode()), None)


def test_json_lines_through_a_pipe_and_a_plain_text_to_measure(corpus):
    lines = "".join(json.dumps({"body": text}) + "\n" for text in TEXTS)
    unseen = corpus.parent / "unseen.txt"
    piped = run("-", "--field", "body", "--held-out", unseen, "--sizes", "300", "--jsonl", stdin=lines)
    assert rows(piped) == rows(run(corpus, "--held-out", unseen, "--sizes", "300", "--jsonl"))


def test_the_cost_by_hand_and_the_published_sizes_beside_it(corpus):
    options = (corpus, "--held-out", corpus.parent / "unseen.txt", "--sizes", "256,300,340", *MODEL, "--jsonl")
    found = rows(run(*options))
    costs = {row["vocab_size"]: row["tokens"] * (20_000 + row["vocab_size"] * 64) for row in found["sizes"]}
    assert {row["vocab_size"]: row["step_cost"] for row in found["sizes"]} == costs
    assert found["sizes"][0]["tokens"] == len(UNSEEN.encode())
    assert found["sizes"][1]["vocabulary_params"] == 300 * 64
    assert found["sizes"][1]["vocabulary_share"] == pytest.approx(19_200 / 39_200)
    own, first, second = found["optima"]
    least = costs[300] / found["sizes"][1]["step_cost_ratio"]
    assert own["step_cost_ratio"] == 1.0
    assert all(row["step_cost_ratio"] == pytest.approx(costs[row["vocab_size"]] / least) for row in found["sizes"])
    between = rows(run(*options[:3], "--sizes", ",".join(map(str, range(256, 341))), *MODEL, "--jsonl"))["sizes"]
    assert min(between, key=lambda row: row["step_cost"])["vocab_size"] == own["vocab_size"]
    assert own["is_extrapolated"] is None
    for row in (first, second):  # 20,000 parameters are far from 33 million
        assert (row["is_extrapolated"], row["is_beyond_measured"], row["step_cost_ratio"]) == (True, True, None)


def test_a_best_size_at_the_end_of_what_was_measured_is_marked(corpus):
    def best(texts, *options):
        result = run(texts, "--params", "33M", *options, "--jsonl")
        is_said = "The cost still falls towards" in result.stderr
        return rows(result)["optima"][0]["vocab_size"], rows(result)["optima"][0]["is_least_at_end"], is_said

    unseen = ("--held-out", corpus.parent / "unseen.txt")
    size, *at_end = best(corpus, *unseen, "--dim", "660000", "--sizes", "32k")
    assert at_end == [False, False]  # there is no pair left, and so no larger vocabulary
    assert best(corpus, *unseen, "--dim", "660000", "--sizes", str(size)) == (size, True, True)
    stories = Path(__file__).parents[2] / "samples" / "stories"
    assert best(stories, "--dim", "20000", "--sizes", "2k")[1:] == (False, False)


def test_a_published_size_below_that_of_the_bytes_is_told(corpus):
    result = run(corpus, "--sizes", "300", "--params", "33M", "--dim", "20000", "--jsonl")
    assert [row["vocab_size"] for row in rows(result)["optima"][1:]] == [147, 157]
    assert "There are no sizes below 256" in result.stderr
    assert "were not measured here, and what they cost" not in result.stderr


@pytest.mark.parametrize(("params", "said"), [("33M", False), ("2.9b", False), ("20M", True), ("70B", True)])
def test_what_is_extrapolated_is_said(corpus, params, said):
    result = run(corpus, "--sizes", "300,8k", "--params", params, "--dim", "4096")
    assert ("Extrapolated: " in result.stderr) == said
    assert ("Within its range: " in result.stderr) != said
    assert ("parameters are outside of the 33M to 2.9B" in result.stderr) == said
    assert PAPER in result.stderr
    # At this width the smallest model's published vocabulary, 6,144 tokens of 512, is one of 768.
    last = rows(run(corpus, "--sizes", "300,8k", "--params", params, "--dim", "4096", "--jsonl"))["sizes"][-1]
    assert f"Sizes above {last['vocab_size']:,} were not measured here" in result.stderr


def test_an_exhausted_corpus_ends_the_table_where_it_ended(corpus):
    result = run(corpus, "--sizes", "300,4k,8k", "--jsonl")
    sizes = [row["vocab_size"] for row in rows(result)["sizes"]]
    assert len(sizes) == 2
    assert sizes[0] == 300 < sizes[1] < 4096
    assert f"The corpus was exhausted at {sizes[1]:,} tokens; 8,192 were asked for." in result.stderr


def test_any_bytes_are_a_text(tmp_path):
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "line.txt").write_bytes("مرحبا e\u0301 👩\u200d🚀 ".encode() * 2000)
    found = rows(run(tmp_path, "--sizes", "256,300", "--held-out-share", "0.5", *MODEL, "--jsonl"))
    assert found["sizes"][0]["bytes_per_token"] == 1.0


class TestTerminal:
    def shown(self, monkeypatch: pytest.MonkeyPatch, corpus: Path, width: int, encoding: str) -> str:
        """What a terminal of that width and encoding gets."""
        printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        console = Console(file=printed, width=width, force_terminal=True, color_system=None, legacy_windows=False)
        monkeypatch.setattr("cli.output.new_console", lambda: console)
        monkeypatch.setattr("cli.tables.on_terminal", lambda: True)
        monkeypatch.setattr("cli.output.on_terminal", lambda: True)
        unseen = corpus.parent / "unseen.txt"
        result = run(corpus, "--held-out", unseen, "--sizes", "260,300,340", "--params", "3M", "--dim", "5000")
        assert result.exit_code == 0, result.output
        printed.flush()
        return printed.buffer.getvalue().decode(encoding)

    @pytest.mark.parametrize(("width", "encoding"), [(60, "utf-8"), (60, "ascii"), (120, "utf-8")])
    def test_tables_and_curves_fit(self, monkeypatch, corpus, width, encoding):
        text = self.shown(monkeypatch, corpus, width, encoding)
        assert max(map(len, text.splitlines())) <= width
        assert "o bytes per token, held out   x learned from" in text
        assert "o step cost" in text
        assert "Best by" in text
        assert "extrapolated" in text
        assert "Tokens x parameters" not in text

    def test_each_value_stands_on_its_level_and_its_column(self):
        line = {size: float(size - 256) for size in range(256, 1025)}
        for blocks in (True, False):
            chart = size_chart([("a", line), ("b", dict.fromkeys(line, 0.0))], [256, 512, 1024], 60, blocks=blocks)
            grid = [row[LABEL + 2 :].ljust(51) for row in chart[2 : 2 + LEVELS]]
            marks = [(LEVELS - 1 - grid.index(row), at) for row in grid for at, sign in enumerate(row) if sign == "o"]
            assert sorted(marks) == [(0, 0), (3, 25), (10, 50)]  # 256 of 768 is level 3.3 of 10; 512 is half way
            assert grid[-1].count("x") == 2  # the third lies under the first curve's own mark
            assert chart[-1].split() == ["256", "512", "1k"]
            assert ("·" in grid[1]) == blocks

    def test_a_sign_at_the_foot_only_where_it_was_measured(self):
        line = {size: float(size) for size in range(256, 1025)}
        foot = size_chart([("a", line)], [256], 60, blocks=False, named={"1": 512, "2": 5000})[-2]
        assert (foot[LABEL + 2 + 25], "2" in foot) == ("1", False)

    def test_a_single_size_makes_no_chart(self):
        assert size_chart([("a", {256: 1.0})], [256], 60, blocks=True) == []
        assert size_chart([("a", {256: 1.0, 257: 1.0})], [256], 60, blocks=True) == []


class TestPicture:
    def test_it_names_its_curves_and_the_same_figures_make_the_same_bytes(self, corpus, tmp_path):
        for name in ("one.svg", "two.svg"):
            assert run(corpus, "--sizes", "260,340", *MODEL, "-o", tmp_path / name).exit_code == 0
        words = "".join(ET.parse(tmp_path / "one.svg").getroot().itertext())
        for expected in ("bytes per token", "held out", "learned from", "260", "340", "extrapolated, not measured"):
            assert expected in words
        assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()

    def test_png(self, corpus, tmp_path):
        result = run(corpus, "--sizes", "260,340", "-o", tmp_path / "sweep.PNG")
        assert f"wrote {tmp_path / 'sweep.PNG'}" in result.stderr
        assert (tmp_path / "sweep.PNG").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    def test_without_matplotlib_it_is_told_before_training(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        result = run(corpus, "-o", tmp_path / "sweep.svg")
        assert "a picture needs matplotlib" in (told := failure(result, 1))
        assert "needlepoint[report]" in told
        assert "training" not in result.stderr

    def test_a_text_is_never_overwritten(self, tmp_path):
        for name in ("a.svg", "b.svg"):
            (tmp_path / name).write_text("text", encoding="utf-8")
        assert "would be overwritten" in failure(run(tmp_path, "-o", tmp_path / "a.svg"), 2)
        assert (tmp_path / "a.svg").read_text(encoding="utf-8") == "text"


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (["--sizes", "100,300"], 2, "the smallest possible size is 256"),
        (["--sizes", "256,300", "--special", "<s>"], 2, "the smallest possible size is 257"),
        (["--sizes", "1k,,2k"], 2, "'' is not a number"),
        (["--params", "33M"], 2, "add the other, such as --dim 512"),
        (["--dim", "512"], 2, "add the other, such as --params 33M"),
        (["--params", "many", "--dim", "512"], 2, "'many' is not a number of parameters"),
        (["--params", "0.2", "--dim", "512"], 2, "'0.2' is not a number of parameters"),
        (["--params", "33M", "--dim", "0"], 2, "--dim"),
        (["--held-out-share", "1"], 2, "--held-out-share"),
        (["--held-out", "x", "--held-out-share", "0.1"], 2, "--held-out-share says which documents are held out"),
        (["--held-out", "x", "--seed", "1"], 2, "--seed says which documents are held out"),
        (["--split", "[a-"], 2, "split pattern is wrong"),
        (["-o", "sweep.gif"], 2, "let it end in .svg or .png"),
        (["-o", "nowhere/at/all.svg"], 1, "nowhere/at"),
        (["--held-out", "nothing.txt"], 1, "there is no file nothing.txt"),
    ],
)
def test_wrong_options_are_told_before_training(corpus, options, code, what):
    result = run(corpus, *options)
    assert what in failure(result, code)
    assert "training" not in result.stderr


def test_texts_that_cannot_be_held_out(corpus, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert "a single document" in failure(run(corpus / "0.txt"), 1)
    assert "all text is held out" in failure(run(corpus, "--held-out", corpus), 1)
    unmeasured = run(corpus, "--held-out", tmp_path / "empty.txt")
    assert "text to measure is empty" in failure(unmeasured, 1)
    assert "training" not in unmeasured.stderr
    assert "no text to learn from" in failure(run(tmp_path, "--held-out", corpus), 1)
    assert "--held-out other.txt" in failure(run("-", stdin="some text"), 2)
    assert "to be measured" in failure(run("-", "--held-out", "-", stdin="some text"), 2)
    assert "FILES" in failure(run(), 2)


def test_parameters_as_people_write_them():
    known = {"33M": 33_000_000, "1.1B": 1_100_000_000, "7b": 7 * 10**9, "124000000": 124_000_000, "1T": 10**12}
    assert {text: ParameterCount().convert(text, None, None) for text in known} == known


class TestInterruption:
    def test_while_merging_it_measures_what_was_learned(self, corpus, monkeypatch):
        whole = rows(run(corpus, "--sizes", "260,276,340", "--jsonl"))["sizes"]
        press_ctrl_c(monkeypatch, "merged", times=1)
        result = run(corpus, "--sizes", "260,340", "--jsonl")
        assert result.exit_code == 130
        assert [json.loads(line) for line in result.stdout.splitlines()] == whole[:2]
        assert "The training was interrupted at 276 tokens; 340 were asked for." in result.stderr
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @pytest.mark.parametrize(("moment", "times"), [("read", 1), ("merged", 2)])
    def test_before_that_or_a_second_time_it_ends_at_once(self, corpus, monkeypatch, moment, times):
        press_ctrl_c(monkeypatch, moment, times)
        assert "interrupted; " in failure(run(corpus, "--sizes", "260,340"), 130)
