"""`needlepoint runs compare` from end to end: forms of output, gates and their exit codes, files, errors."""

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from cli.compare_tables import comparison_tables, detail_words, letter
from cli.main import needlepoint
from cli.output import Table, drawn
from probes.comparison.compare import compare
from tests.probes.comparison_helpers import plan, run

ROOT = Path(__file__).resolve().parents[2]
NEEDLE = ("probe", "needle", "--task", "single", "--depths", "0,50,100", "--lengths", "150", "-n", "12")
PLAIN = ("--no-controls", "--jsonl")
# A key is only ever added, and then to the list; none goes, moves or changes its name within /1.
GOLDEN = {
    "contender": [
        *("probe", "contender", "model", "runs", "is_baseline", "trials", "identical_trials", "outcome", "questions"),
        *("missing", "blocks", "unit", "value", "low", "high", "worst_low", "worst_high", "measurable"),
    ],
    "difference": [
        *("probe", "first", "second", "outcome", "effect", "factor", "level", "declared", "questions", "missing"),
        *("first_value", "second_value", "blocks", "difference", "low", "high", "p_value", "detectable", "unit"),
        *("test", "worst_low", "worst_high", "equivalence_points", "equivalence_low", "equivalence_high"),
        *("equivalent", "no_effect_beyond", "p_corrected", "correction", "tests", "verdict"),
    ],
    "contender_cost": [
        *("probe", "contender", "figure", "answered", "trials", "blocks", "median", "low", "high"),
    ],
    "gate": [
        *("probe", "contender", "against", "outcome", "quantity", "estimate", "low", "high", "worst_low", "blocks"),
        *("measurable", "passed", "bar"),
    ],
}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, [str(each) for each in arguments])


def done(*arguments: str, code: int = 0) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == code, result.stderr
    return result


def rows(*arguments: str, code: int = 0) -> list[dict[str, object]]:
    return [json.loads(line) for line in done(*arguments, "--jsonl", code=code).stdout.splitlines()]


def asked(*models: str, options: tuple[str, ...] = ()) -> str:
    """Run an experiment; the id of its run."""
    named = [part for model in models for part in ("-m", model)]
    done(*NEEDLE, *named, *PLAIN, *options)
    return str(rows("runs", "list")[0]["run"])


# --------------------------------------------------------------------------------------------------------- output


def test_every_form_holds_the_same_rows_with_the_golden_keys() -> None:
    asked("sim/u-shape", "sim/perfect")
    document = json.loads(done("runs", "compare", "--fail-under", "0.1", "--json").stdout)
    assert document["schema"] == "needlepoint.runs.compare/1"
    assert document["meta"]["contenders"]["sim/perfect"]["model"] == "perfect"
    keys = {row["table"]: [key for key in row if key != "table"] for row in document["rows"]}
    assert keys == GOLDEN
    lines = rows("runs", "compare", "latest", "--fail-under", "0.1")
    assert lines == document["rows"]
    table = list(csv.DictReader(io.StringIO(done("runs", "compare", "--fail-under", "0.1", "--csv").stdout)))
    assert [row["table"] for row in table] == [row["table"] for row in lines]
    piped = done("runs", "compare").stdout.splitlines()
    assert piped[1].split("\t") == GOLDEN["contender"]
    assert piped[2].split("\t")[:2] == ["needle", "sim/u-shape"]


def test_a_pipe_has_the_sentences_on_stderr() -> None:
    asked("sim/u-shape?middle=0.1", "sim/perfect")
    said = done("runs", "compare").stderr
    assert "Compared on 36 trials of 12 blocks, the same bytes for both." in said
    assert "points more right answers than sim/u-shape?middle=0.1 (+" in said


def people(*names: str) -> list[Table]:
    planned = plan(task="multi-key", blocks=6, depths=[0, 50, 100], lengths=[150, 300], place=["before", "after"])
    return comparison_tables("runs compare", [compare([run(planned, *names)])], {})[1]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_the_terminal_and_lose_nothing(width: int) -> None:
    tables = people("sim/u-shape?middle=0.3", "sim/perfect", "sim/guesser")
    assert [table.title for table in tables] == [
        "Contenders",
        "Right answers",
        "Exploratory, other outcomes",
        "Exploratory, right answers in detail",
        "What answers took",
    ]
    for table in tables:
        console = Console(width=width, file=StringIO())
        console.print(drawn(table, console))
        assert isinstance(console.file, StringIO)
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width, table.title
        cells = Counter(word for row in table.rows for value in row.values() for word in str(value).split())
        assert cells <= Counter(text.split()), table.title
        assert width < 80 or "─" in text, table.title  # no table has to be stacked at eighty columns


def test_rows_in_detail_are_named_in_words() -> None:
    rows_of_it = [{"factor": "length_tokens", "level": 1000, "effect": None}]
    rows_of_it += [
        {"factor": "depth", "level": 0.5, "effect": None},
        {"factor": "arm", "level": "after", "effect": None},
    ]
    rows_of_it += [{"factor": "arm", "level": None, "effect": "after less before"}]
    rows_of_it += [{"factor": "length_tokens", "level": None, "effect": "per doubling of the length"}]
    assert [detail_words(row) for row in rows_of_it] == [
        *("1,000 tokens", "depth 50%", "arm after", "arm: after less before", "per doubling of the length")
    ]
    assert [letter(number) for number in (0, 25, 26)] == ["A", "Z", "27"]


# ------------------------------------------------------------------------------------------------- runs and files


def test_two_runs_a_file_and_a_run_and_two_files_say_the_same(tmp_path: Path) -> None:
    first, second = asked("sim/u-shape"), asked("sim/perfect")
    files = [str(tmp_path / name) for name in ("u-shape.jsonl", "perfect.csv")]
    for name, file in zip((first, second), files, strict=True):
        done("runs", "export", name, "-o", file)
    expected = rows("runs", "compare", first, second)
    assert {row["contender"] for row in expected if row["table"] == "contender"} == {"sim/u-shape", "sim/perfect"}
    for names in ((first, files[1]), (files[0], files[1])):
        found = rows("runs", "compare", *names)
        figures = [row for row in found if row.get("figure") != "tokens_per_character"]  # prompts are in no file
        assert figures == [row for row in expected if row.get("figure") != "tokens_per_character"]


def test_a_placement_is_compared_with_its_prompts_also_from_a_file(tmp_path: Path) -> None:
    models = ("-m", "sim/last-instruction", "-m", "sim/perfect", "--place", "before", "--place", "after")
    done("probe", "placement", *models, "-n", "2", "--lengths", "120", "--measure", "coverage", "--json")
    expected = rows("runs", "compare")
    [effect] = [row for row in expected if row.get("effect") == "after less before"]
    assert effect["difference"] == 1
    done("runs", "export", "latest", "-o", str(tmp_path / "run.jsonl"))
    assert rows("runs", "compare", str(tmp_path / "run.jsonl")) == expected


def test_answers_asked_for_anew_are_another_contender() -> None:
    first = asked("sim/perfect", "sim/u-shape")
    done(*NEEDLE, "-m", "sim/u-shape", *PLAIN, "--fresh")
    found = rows("runs", "compare", "latest", first)
    labels = [str(row["contender"]) for row in found if row["table"] == "contender"]
    assert [label.startswith("sim/u-shape (run ") for label in labels] == [True, False, True]
    assert len(set(labels)) == 3


def test_failed_calls_are_told_and_no_winner_hangs_on_them() -> None:
    done(*NEEDLE, "-m", "sim/perfect", "-m", "sim/flaky?fail=0.5", "--max-retries", "0", *PLAIN, code=3)
    result = done("runs", "compare", "--jsonl")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    [overall] = [row for row in found if row.get("declared")]
    assert overall["difference"] == 0  # what it answers is right
    assert overall["missing"] > 5
    assert overall["worst_low"] == 0 < overall["worst_high"]
    assert "lack an answer from one of the two; none counts as wrong" in result.stderr


def test_a_study_of_several_models_ends_in_their_comparison(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'models = ["sim/u-shape", "sim/perfect"]\n'
        '[[experiment]]\nprobe = "needle"\ntask = "single"\ndepths = [0, 50, 100]\nlengths = [150]\nblocks = 6\n'
        '[[experiment]]\nprobe = "placement"\nlengths = [120]\nblocks = 6\nmeasure = ["coverage"]\n',
        encoding="utf-8",
    )
    found = rows("probe", "run", str(study))
    pairs = [(row["experiment"], row["outcome"]) for row in found if row["table"] == "difference" and row["declared"]]
    assert pairs == [(1, "right_rate"), (2, "coverage_rate")]
    compared = [row for row in rows("runs", "compare") if row["table"] == "difference"]
    theirs = [row for row in found if row["table"] == "difference" and row["experiment"] == 2]
    assert [{key: value for key, value in row.items() if key != "experiment"} for row in theirs] == compared
    assert "table" in found[0]
    alone = rows("probe", "run", str(study), "-m", "sim/perfect")
    assert not [row for row in alone if row["table"] in GOLDEN]


# ---------------------------------------------------------------------------------------------------------- gates

_made: dict[str, str] = {}


@pytest.fixture
def two_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Exported runs of a reader that finds all and of one that does not, made once."""
    if not _made:
        folder = tmp_path_factory.mktemp("exported")
        for name, model in (("good", "sim/perfect"), ("bad", "sim/u-shape?middle=0.1")):
            asked(model)
            _made[name] = str(folder / f"{name}.jsonl")
            done("runs", "export", "latest", "-o", _made[name])
    return _made


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("{good}", "--fail-under", "0.7"), 0, "gate passed: sim/perfect is 100.0%"),
        (("{good}", "--fail-under", "0.9"), 4, "it takes 35 blocks, all right, to show that"),
        (("{bad}", "--fail-under", "0.7"), 4, "gate missed: sim/u-shape?middle=0.1 is "),
        (("{bad}", "--baseline", "{good}"), 4, "is clearly worse than sim/perfect (baseline)"),
        (("{good}", "--baseline", "{bad}"), 0, "is not shown to be worse than"),
        (("{bad}", "--baseline", "{good}", "--fail-under", "-0.9"), 0, "gate passed: sim/u-shape?middle=0.1 less"),
        (("{bad}", "--baseline", "{good}", "--fail-under", "-0.05"), 4, "the bar is -5.0 points"),
    ],
)
def test_the_exit_code_is_the_gates(two_files: dict[str, str], options: tuple[str, ...], code: int, said: str) -> None:
    result = done("runs", "compare", *(each.format(**two_files) for each in options), "--jsonl", code=code)
    assert said in result.stderr
    [gate] = [row for line in result.stdout.splitlines() if (row := json.loads(line))["table"] == "gate"]
    assert gate["passed"] == (code == 0)


# --------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "code", "error", "hint"),
    [
        ((), 1, "asks one model in one form, sim/perfect: there is nobody", "-m A -m B"),
        (("latest", "{other}"), 1, "not one prompt is the same bytes", "same options and --seed"),
        (("latest", "{seed}"), 1, "no trial of one being in another", "--fresh"),
        (("nosuch",), 1, "no run 'nosuch'", "runs list"),
        (("nosuch.jsonl",), 1, "cannot read nosuch.jsonl", "exported rows"),
        (("--fail-under", "1"), 2, "from 0 to below 1", "0.9"),
        (("--fail-under", "nan"), 2, "from 0 to below 1", "0.9"),
        (("--fail-under", "-0.1"), 2, "from 0 to below 1", "0.9"),
        (("--baseline", "latest", "--fail-under", "-2"), 2, "from -1 to below 1", "-0.05"),
        (("--baseline", "{placement}"), 1, "the baseline holds no needle run", "the same experiments"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_two_lines(
    options: tuple[str, ...], code: int, error: str, hint: str
) -> None:
    names = {}
    if "{other}" in options:
        names["other"] = asked("sim/u-shape", options=("--seed", "3"))
    if "{seed}" in options:
        names["seed"] = asked("sim/perfect", options=("--seed", "3"))
    if "{placement}" in options:
        done(
            "probe", "placement", "-m", "sim/perfect", "-n", "1", "--lengths", "120", "--measure", "coverage", "--json"
        )
        names["placement"] = str(rows("runs", "list")[0]["run"])
    asked("sim/perfect")
    lines = done("runs", "compare", *(each.format(**names) for each in options), code=code).stderr.splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["error", "hint"]
    assert error in lines[-2]
    assert hint in lines[-1]


def test_a_file_from_elsewhere_can_neither_command_a_terminal_nor_break_the_command(tmp_path: Path) -> None:
    asked("sim/perfect")
    exported = [json.loads(line) for line in done("runs", "export").stdout.splitlines()]
    hostile = tmp_path / "hostile.jsonl"
    hostile.write_text("".join(json.dumps(row | {"model": "\x1b[2Jme"}) + "\n" for row in exported), encoding="utf-8")
    result = done("runs", "compare", "latest", str(hostile))
    assert "\x1b" not in result.stdout + result.stderr
    broken = tmp_path / "broken.jsonl"
    broken.write_text("".join(json.dumps(row | {"spec": {}}) + "\n" for row in exported), encoding="utf-8")
    result = done("runs", "compare", str(broken), "latest", code=1)
    assert result.stderr.startswith(f"error: {broken} does not hold rows of a run: line 1: its spec has no seed\n")


def test_listing_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys; import cli.compare_command, cli.runs_commands;"
        "print([name for name in ('numpy', 'scipy', 'pydantic', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout == "[]\n"
