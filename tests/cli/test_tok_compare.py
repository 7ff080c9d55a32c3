"""`tok compare`, as a person types it."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from click.testing import CliRunner, Result
from scipy import stats

from cli.aligned_text import CUT_LEGEND, LEGEND, aligned
from cli.chosen_tokenizer import labels
from cli.main import needlepoint
from cli.tokenizer_compare_rows import ALIGNED_KEYS, DIFFERENCE_KEYS, METRIC_KEYS, limits
from cli.tokenizer_compare_tables import worded
from probes.resampling import resampled_means
from tokenizer import Tokenizer, load_tokenizer
from tokenizer.metrics.figures import Ratio
from tokenizer.splits import make_split

ROOT = Path(__file__).resolve().parents[2]
GERMAN = str(ROOT / "samples" / "texts" / "german.txt")
PARALLEL = [str(ROOT / "samples" / "parallel" / f"{name}.txt") for name in ("english", "german", "japanese")]


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(needlepoint, ["tok", "compare", *arguments], input=stdin, prog_name="needlepoint")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a tokenizer with a token for each byte and three more: quick to read."""
    tokens = [bytes([byte]) for byte in range(256)] + [b"in", b"ch", b"sch"]
    path = tmp_path_factory.mktemp("toy") / "toy.json"
    Tokenizer(
        name="toy",
        split=make_split("cl100k"),
        vocabulary={token: number for number, token in enumerate(tokens)},
        special_tokens={},
        merges=[(b"i", b"n"), (b"c", b"h"), (b"s", b"ch")],
        whole_pieces=False,
    ).save(path)
    return str(path)


@cache
def found(*arguments: str, stdin: str | bytes = "") -> dict[str, Any]:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows(document: dict[str, Any], table: str, **wanted: object) -> list[dict[str, Any]]:
    return [
        row
        for row in document["rows"]
        if row["table"] == table and all(row[key] == value for key, value in wanted.items())
    ]


def test_a_figure_is_tiktokens_count_over_what_it_says() -> None:
    ours = load_tokenizer("gpt2")
    theirs = tiktoken.Encoding(
        "gpt2", pat_str=ours.split.pattern, mergeable_ranks=dict(ours.vocabulary), special_tokens={}
    )
    text = Path(GERMAN).read_text(encoding="utf-8")
    document = found("gpt2", "small", "-i", GERMAN)
    tokens = len(theirs.encode_ordinary(text))
    [row] = rows(document, "metric", metric="bytes_per_token", tokenizer="gpt2")
    assert row == {"table": "metric"} | dict.fromkeys(METRIC_KEYS) | {
        "metric": "bytes_per_token",
        "tokenizer": "gpt2",
        "value": len(text.encode()) / tokens,
        "numerator": len(text.encode()),
        "denominator": tokens,
        "counted": "bytes",
        "over": "tokens",
        "units": "documents",
        "unit_count": 1,
    }
    assert document["schema"] == "needlepoint.tok.compare/1"
    assert document["meta"]["words"] == len(text.split())
    assert document["meta"]["held_out_bytes"] / len(text.encode()) == pytest.approx(0.2, abs=0.06)
    assert all(row["counted"] and row["over"] for row in rows(document, "metric"))


def test_the_forms_hold_the_same_rows_with_the_golden_keys(toy: str) -> None:
    arguments = (toy, "small", "-i", GERMAN)
    document = found(*arguments)
    lines = [json.loads(line) for line in run(*arguments, "--jsonl").stdout.splitlines()]
    assert lines == document["rows"]
    written = list(csv.DictReader(io.StringIO(run(*arguments, "--csv").stdout)))
    assert [row["metric"] for row in written] == [row.get("metric", "") for row in lines]
    for table, keys in (("metric", METRIC_KEYS), ("difference", DIFFERENCE_KEYS), ("aligned", ALIGNED_KEYS)):
        assert tuple(rows(document, table)[0]) == ("table", *keys)
    golden = "metric tokenizer source against value low high numerator denominator counted over units unit_count"
    assert golden.split() == list(METRIC_KEYS)
    piped = run(*arguments)
    assert piped.stdout.splitlines()[:2] == ["# metric", "\t".join(METRIC_KEYS)]
    tokens = [load_tokenizer(name).count(Path(GERMAN).read_bytes()) for name in (toy, "small")]
    assert tokens[1] < tokens[0] < 2 * tokens[1]
    more = 100 * (tokens[0] / tokens[1] - 1)
    assert f"toy.json takes {more:.0f}% more tokens than small for this text." in piped.stderr
    assert "describe" in piped.stderr


def test_differences_and_boundaries_are_in_the_text() -> None:
    text = Path(GERMAN).read_bytes()
    document = found("gpt2", "small", "-i", GERMAN)
    assert [(row["which"], row["tokenizer"]) for row in rows(document, "difference")] == [
        (which, name) for which in ["first"] * 3 + ["largest"] * 3 for name in ("gpt2", "small")
    ]
    for row in rows(document, "difference"):
        stretch = text[row["start_byte"] : row["end_byte"]]
        assert stretch.decode().replace(" ", "·").replace("\n", "⏎") == row["cut"].replace("|", "") or "⟨" in row["cut"]
        assert row["tokens"] == row["cut"].count("|") + 1
    for row in rows(document, "aligned"):
        tokenizer = load_tokenizer(row["tokenizer"])
        starts = [start for start, _ in tokenizer.offsets(text)]
        assert row["boundaries"] == [one for one in starts if row["start_byte"] <= one < row["end_byte"]]
    assert found("small", "-i", GERMAN, "-n", "0")["rows"][-1]["table"] == "metric"


def test_one_tokenizer_gives_its_own_figures() -> None:
    document = found("small", "-i", GERMAN, "--all", "--alpha", "3", "--seed", "7")
    metrics = {row["metric"] for row in rows(document, "metric")}
    assert {"bytes_per_token", "vocabulary_used", "renyi_efficiency_nominal", "typo_swap_growth"} <= metrics
    assert not metrics & {"boundary_f1", "normalized_sequence_length", "vocabulary_jaccard"}
    assert (document["meta"]["renyi_alpha"], document["meta"]["seed"]) == (3.0, 7)
    assert rows(document, "difference") == []
    again = run("small", "-i", GERMAN, "--all", "--alpha", "3", "--seed", "7", "--json")
    assert json.loads(again.stdout) == document
    other = found("small", "-i", GERMAN, "--all", "--alpha", "1", "--seed", "8")
    [shannon, renyi] = (
        rows(other, "metric", metric=f"{name}_efficiency_observed")[0]["value"] for name in ("shannon", "renyi")
    )
    assert shannon == renyi
    typo = {"metric": "typo_swap_changed"}
    assert rows(other, "metric", **typo)[0]["numerator"] != rows(document, "metric", **typo)[0]["numerator"]


def test_parallel_files_have_parity_over_their_lines(toy: str) -> None:
    arguments = [word for path in PARALLEL for word in ("-i", path)]
    document = found(toy, "small", *arguments, "--parallel")
    texts = {path: Path(path).read_bytes() for path in PARALLEL}
    tokenizer = load_tokenizer(toy)
    for path in PARALLEL[1:]:
        [row] = rows(document, "metric", metric="parity", tokenizer=toy, source=path)
        assert row["against"] == PARALLEL[0]
        assert row["numerator"] == tokenizer.count(texts[path])
        assert row["denominator"] == tokenizer.count(texts[PARALLEL[0]])
        assert (row["units"], row["unit_count"]) == ("lines", 12)
        assert row["low"] < row["value"] < row["high"]
    total = {row["source"] for row in rows(document, "metric", metric="tokens_per_word")}
    assert total == {None, *PARALLEL}


def test_lines_of_jsonl_are_documents_over_which_intervals_go(tmp_path: Path) -> None:
    texts = Path(GERMAN).read_text(encoding="utf-8").split(". ")
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"body": text}) + "\n" for text in texts), encoding="utf-8")
    document = found("small", "-i", str(path), "--field", "body")
    [row] = rows(document, "metric", metric="bytes_per_token")
    assert row["unit_count"] == document["meta"]["documents"] == len(texts)
    assert row["low"] < row["value"] < row["high"]
    assert row["numerator"] == sum(len(text.encode()) for text in texts)


def test_an_interval_is_scipys_but_for_the_widening_for_few_units() -> None:
    import numpy as np

    draw = np.random.default_rng(5)
    over = draw.integers(5, 50, 40).astype(float)
    ratio = Ratio(over * draw.uniform(3, 5, 40), over)
    low, high = limits(ratio, seed=3)
    plain = stats.bootstrap(
        (ratio.numerators, ratio.denominators),
        lambda some, other, axis: some.sum(axis=axis) / other.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(plain), rel=0.005)
    assert low is not None
    assert low < plain.low < plain.high < (high or 0)
    few = Ratio(ratio.numerators[:5], over[:5])
    assert limits(few, seed=3) == (None, None)
    many = Ratio(np.tile(ratio.numerators, 100), np.tile(over, 100))  # 4,000 in 200 groups
    wide = limits(many, seed=3)
    spread = resampled_means(np.stack([many.numerators, many.denominators], axis=1)[:200], 3)
    assert wide[0] is not None
    assert wide[1] is not None
    expected = float((spread[:, 0] / spread[:, 1]).std()) * 20**-0.5
    assert (wide[1] - wide[0]) / 3.92 == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.256, None, None, "26% (1 of 2)"),
        (0.0215, None, None, "2.1% (1 of 2)"),
        (0.00027, None, None, "0.03% (1 of 2)"),
        (0.00003, None, None, "0.003% (1 of 2)"),
        (0.99, 0.986, 0.993, "99.0% [98.6-99.3] (1 of 2)"),
        (0.2, 0.0, 0.31, "20% [0-31] (1 of 2)"),
        (0.05, 0.0, 0.123, "5.0% [0-12.3] (1 of 2)"),
        (1.0, 1.0, 1.0, "100% [100-100] (1 of 2)"),
        (0.0, None, None, "0% (1 of 2)"),
        (None, None, None, "-"),
    ],
)
def test_a_share_and_its_limits_have_as_many_digits(
    value: float | None, low: float | None, high: float | None, words: str
) -> None:
    row = {"value": value, "low": low, "high": high, "numerator": 1, "denominator": 2}
    assert worded(row, is_share=True) == words


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What people see on a terminal of so many columns."""
    for module in ("tables", "output"):  # in this order, for the first takes its name from the second
        monkeypatch.setattr(f"cli.{module}.on_terminal", lambda: True)

    def seen(columns: int, *arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        return run(*arguments).stdout

    return seen


def test_where_a_difference_is_names_the_document_and_the_file(seen: Callable[..., str], tmp_path: Path) -> None:
    documents = ["the same", "", "straße überall"]
    path = tmp_path / "some.jsonl"
    path.write_text("".join(json.dumps({"text": one}) + "\n" for one in documents), encoding="utf-8")
    printed = seen(100, "gpt2", "o200k", "-i", str(path), "-n", "1")
    assert "some.jsonl, document 3 from byte 0 on" in printed
    assert str(tmp_path) not in printed
    assert "3 documents" in printed
    assert "2 documents are too few" in printed


def test_the_first_difference_is_in_sight(seen: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(b"\xff" * 200 + "straße".encode() + b"\xff" * 200)
    printed = seen(60, "gpt2", "o200k", "-i", str(path), "-n", "1")
    assert re.search(r"^ +\^", printed, re.MULTILINE)


def test_what_has_no_title_begins_a_card_and_no_text_is_only_told(seen: Callable[..., str], tmp_path: Path) -> None:
    cards = seen(20, "gpt2", "o200k", "-i", GERMAN, "-n", "0")
    assert "\ntokens\ngpt2: 497\n" in cards
    assert "\n: " not in cards
    (tmp_path / "empty.txt").touch()
    assert seen(60, "gpt2", "o200k", "-i", str(tmp_path / "empty.txt"), "--all").split("\n") == [
        "",
        "There is no text: nothing can be counted.",
        "",
    ]


def test_that_there_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "word.txt").write_text("word", encoding="utf-8")
    assert "There is no text: nothing can be counted." in run("small", "-i", str(tmp_path / "empty.txt")).stderr
    one = run("small", "-i", str(tmp_path / "word.txt")).stderr
    assert "There is no text" not in one
    assert "4 bytes, 4 characters, 1 word\n" in one


def test_an_empty_file_is_no_translation(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    result = run("small", "-i", GERMAN, "-i", str(tmp_path / "empty.txt"), "--parallel")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "empty.txt is empty, and says nothing" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ((), 2, "Missing argument 'TOKENIZER...'"),
        (("small", "small"), 2, "small was named twice"),
        (("nosuch",), 1, "there is no tokenizer 'nosuch'"),
        (("small", "-i", "/nowhere/notes.txt"), 1, "there is no file /nowhere/notes.txt"),
        (("small", "-i", GERMAN, "--parallel"), 2, "--parallel needs two files or more"),
        (("small", "-i", GERMAN, "--alpha", "2"), 2, "--alpha was given without --all"),
        (("small", "-i", GERMAN, "--all", "--alpha", "0"), 2, "'0' is no order of an entropy"),
        (("small", "-i", GERMAN, "--all", "--alpha", "nan"), 2, "'nan' is no order of an entropy"),
        (("small", "-i", GERMAN, "--field", "body"), 2, "a field ('body') is named, but no source is JSONL"),
        (("small", "-i", GERMAN, "--seed", "-1"), 2, "'--seed': -1 is not in the range"),
        (("small", "-i", GERMAN, "-n", "101"), 2, "'--count': 101 is not in the range"),
        (("small", "-i", "/dev/zero"), 1, "/dev/zero is neither a file nor a directory"),
    ],
)
def test_nonsense_is_refused(arguments: tuple[str, ...], code: int, what: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert what in error
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\xff\xfe", b"\xe2\x80\x8f\x1b[2J", "نص \u202eabc e\u0301 👨\u200d👩".encode()]
)
def test_any_bytes_have_figures(data: bytes, toy: str) -> None:
    document = found(toy, "small", stdin=data)
    [row] = rows(document, "metric", metric="bytes_per_token", tokenizer="small")
    tokens = load_tokenizer("small").count(data)
    assert (row["numerator"], row["denominator"]) == (len(data), tokens)
    assert row["value"] == (len(data) / tokens if tokens else None)
    assert "\x1b" not in run(toy, "small", stdin=data).output


def test_marks_stand_under_their_characters() -> None:
    text = "aé\n東b".encode()  # a 0, é 1-2, line end 3, 東 4-6, b 7
    begins = [("one", frozenset({0, 1, 4, 5, 7})), ("other", frozenset({0, 2, 3, 4, 7}))]
    lines, legend, end = aligned(text, begins, 60, 2)
    assert legend == [LEGEND]
    assert lines == [
        "text   aé⏎東b",
        "one    ||-+-|",
        "other  |:||-|",
        "        ^^^",
    ]
    assert end == len(text)
    assert aligned(b"", begins, 60, 2) == ([], [], 0)
    narrow, _, shown = aligned(b"x" * 100, [("a" * 40, frozenset())], 30, 2)
    assert shown == 28
    assert max(map(len, narrow)) == 30


def test_what_runs_from_right_to_left_is_cut_and_not_ruled() -> None:
    begins = [("one", frozenset({0, 2, 4})), ("two", frozenset({0, 4}))]
    lines, legend, _ = aligned("אב ג".encode(), begins, 60, 1)
    assert lines == ["one   א|ב|·ג", "two   אב|·ג"]
    assert legend == [CUT_LEGEND]
    assert aligned(f"{'a' * 60}א".encode(), begins, 60, 2).legend == [LEGEND, CUT_LEGEND]


def test_people_read_files_without_their_directories_where_that_tells_them_apart() -> None:
    assert labels(["a/mine.json", "gpt2"]) == {"a/mine.json": "mine.json", "gpt2": "gpt2"}
    assert labels(["a/mine.json", "b/mine.json"]) == {name: name for name in ("a/mine.json", "b/mine.json")}
    assert labels(["a/\x1b[2J.json"]) == {"a/\x1b[2J.json": "␛[2J.json"}


def test_a_person_sees_it_all_in_sixty_columns(toy: str) -> None:
    arguments = [word for path in PARALLEL for word in ("-i", str(Path(path).relative_to(ROOT)))]
    command = [sys.executable, "-m", "cli", "tok", "compare", toy, "small", *arguments, "--parallel", "--all"]
    ours, theirs = pty.openpty()
    settings = os.environ | {"COLUMNS": "60", "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(command, cwd=ROOT, env=settings, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        assert process.wait() == 0
    lines = re.sub(r"\x1b\[[\d;]*m|\r", "", seen.decode()).splitlines()
    assert max(map(len, lines)) <= 60
    text = " ".join(" ".join(lines).split())
    for words in (
        "bytes per token",
        "Parity: tokens for each token of english.txt",
        "Bits per byte, of ",
        "Boundaries inside documents",
        "Shannon entropy, of log2 of the vocabulary",
        "English list: F1 of the two",
        "Cut differently:",
        "| a token begins, : one begins inside the character, + both",
    ):
        assert words in text, words
