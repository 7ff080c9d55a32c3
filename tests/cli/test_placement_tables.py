"""The tables of placement runs: what is in which, what is said under them, that they fit, that keys only grow."""

import json
from collections.abc import Sequence
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.experiment_tables import experiment_tables
from cli.main import needlepoint
from cli.output import Table, drawn
from cli.placement_tables import PLACEMENT_TITLES
from probes.models.base import Usage
from probes.plan import Result
from tests.probes.placement_answers import TEXT, answered, keeping, scored

GOLDEN = json.loads((Path(__file__).parent / "golden_keys.json").read_text(encoding="utf-8"))
ARMS = ("padded-before", "before", "padded-after", "after")
META = {
    "seed": 1,
    "declared": {"contrasts": [["after", "before"], ["before", "padded-before"]], "interactions": ["length"]},
}


def tables_of(results: Sequence[Result], **meta: object) -> tuple[dict[str | None, Table], dict[str, Table]]:
    machine, people = experiment_tables("probe placement", "placement", results, {**META, **meta})
    return {table.name: table for table in machine}, {table.title or "": table for table in people}


@cache
def everything() -> list[Result]:
    """A run in which nothing is left out: lengths, samples, kinds, constraints, margins, failures, a transcript."""
    about = {"kinds": ["decision", "commitment"] * 2, "constraints": {"bullets": 2, "most_words": 90}, "facts": 4}
    about |= {"speakers": ["Ana", "Ben"]}
    results = [
        keeping(range(1 + (1 + block // 2 % 2) * (arm == "after") + (block + sample) % 2), arm=arm, block=block,
                sample=sample, length_tokens=length, usage=Usage(1000, 100, 400), cost=1_500_000, seconds=(1.25, 0.25),
                **about)
        for length in (400, 800)
        for block in range(8)
        for arm in ARMS
        for sample in range(2)
    ]  # fmt: skip
    results += [answered(None, arm="after", block=8, **about), keeping([0], block=8, **about)]
    results += [answered("Brenmoor 47 and", stop="max_tokens", block=9, **about)]
    logprobs = [[-3.0, -3.0, -3.0, -3.0] for _ in range(4)]
    for fact in range(4):
        logprobs[fact][fact] = -1.0 - 0.1 * fact
    results += [
        result
        for length in (400, 800)
        for block in range(8)
        for arm in ARMS
        for result in scored(
            [[each + 0.1 * (block + 2) * (arm == "after") * (each > -2) for each in row] for row in logprobs],
            arm=arm, block=block, length_tokens=length, speakers=["Ana", "Ben"],
        )
    ]  # fmt: skip
    for result in results:
        result.trial.cell["framing"] = "transcript"  # type: ignore[index]
    return results


@cache
def everything_shown() -> tuple[dict[str | None, Table], dict[str, Table]]:
    return tables_of(everything())


def shown(table: Table, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(drawn(table, console))
    return console.file.getvalue()  # type: ignore[attr-defined]


def notes_of(people: dict[str, Table], begin: str) -> str:
    return " ".join(" ".join(table.notes) for title, table in people.items() if title.startswith(begin))


def test_every_table_is_there_by_its_name_in_the_machine_forms() -> None:
    machine, _ = everything_shown()
    assert list(machine) == list(PLACEMENT_TITLES)
    assert all(table.rows for table in machine.values())
    assert {row["outcome"] for row in machine["contrast"].rows} >= {"margin_nats", "logprob_nats", "coverage_rate"}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_table_fits_and_loses_nothing(width: int) -> None:
    for title, table in everything_shown()[1].items():
        text = shown(table, width)
        assert max(map(len, text.splitlines())) <= width, title
        for row in table.rows:
            cells = [word for cell in row.values() for word in str(cell).split()]
            assert all(cell in text for cell in cells if len(cell) <= 16), title


def test_every_table_of_people_says_what_its_figures_are() -> None:
    for title, table in everything_shown()[1].items():
        said = " ".join(table.notes)
        assert "block" in said or title.startswith(("What", "Constraints")), title
        if "contrasts" in title:
            assert "the unit is the block" in said
            assert "95% intervals; sign-flip test" in said
            assert "corrected for the 2 contrasts of this table (Holm), each table by itself" in said
            assert [column.title for column in table.columns][-3] == "P (Holm)"


def test_what_failed_was_cut_or_continued_is_said_and_counted() -> None:
    _, people = everything_shown()
    said = notes_of(people, "Answers: m, 400 tokens, transcript")
    assert "1 of 66 answers were cut at the token limit; they count as far as they go." in said
    assert "1 failed call or refusal is in no rate." in said
    assert "Whatever they had kept, coverage is: after 71 to 76%." in said
    assert "1 answer has no value there" in notes_of(people, "Declared contrasts, coverage: m, 400 tokens")
    manner = notes_of(people, "What the answers are like: m, 400 tokens")
    assert "In none of 34 answers to the instruction did the model go on with the dialogue." in manner


def test_cost_shows_what_is_known_and_leaves_out_what_nobody_knows() -> None:
    _, people = everything_shown()
    table = people["What a written answer took: m, 800 tokens, transcript"]
    assert [column.key for column in table.columns] == [
        *("arm", "tokens in", "cached", "out", "USD", "seconds", "first token", "answers")
    ]
    assert list(table.rows[0].values())[1:] == ["1,000", "400", "100", "0.001500", "1.25", "0.25", "16"]
    bare = tables_of([keeping([0])])[1]["What a written answer took: m, 400 tokens"]
    assert [column.key for column in bare.columns] == ["arm", "tokens in", "out", "seconds", "answers"]


def test_lengths_noise_and_what_is_left_at_equal_length_have_sentences() -> None:
    _, people = everything_shown()
    assert "no clear change of the difference in coverage with the length" in notes_of(people, "Declared, change with")
    assert "answers of the two arms differ by" in notes_of(people, "Arms against samples: m, 400 tokens")
    assert "with both answers cut to the same length" in notes_of(people, "Exploratory, beside coverage: m, 800")
    assert "what is kept stands later in the text" in notes_of(people, "Exploratory, beside coverage: m, 800")


def test_where_answers_are_no_summaries_no_difference_in_coverage_is_shown() -> None:
    copies = [
        answered(f"As it says: {TEXT[: 200 + block]}", arm=arm, block=block, facts=2)
        for arm in ARMS
        for block in range(8)
    ]
    margins = [
        result
        for arm in ARMS
        for block in range(8)
        for result in scored([[-1.0 - 0.1 * block, -3.0], [-3.0, -1.0]], arm=arm, block=block)
    ]
    machine, people = tables_of([*copies, *margins])
    said = notes_of(people, "Answers: m")
    assert "Coverage is not measurable on this model: with the instruction before the text 0 of 8 answers (0%)" in said
    titles = " ".join(people)
    assert "Declared contrasts, margin" in titles
    assert "coverage: m" not in titles
    assert {row["measurable"] for row in machine["contrast"].rows if row["outcome"] == "coverage_rate"} == {False}


def test_a_title_says_what_is_not_as_usual() -> None:
    _, people = tables_of(
        [keeping([0], task="format", temperature=0.7), keeping([0], framing="chat", length_tokens=1600)]
    )
    assert "Answers: m, 400 tokens, format, temperature 0.7" in people
    assert "Answers: m, 1,600 tokens, chat" in people


def test_what_a_model_is_called_reaches_the_terminal_harmless() -> None:
    _, people = tables_of([keeping([0], model="m\x1b[2J")])
    assert all("\x1b" not in shown(table, 80) for table in people.values())


COMMAND = [
    *("probe", "placement", "-m", "sim/perfect", "-n", "2", "--lengths", "120,240", "--samples", "2"),
    *(
        "--measure",
        "coverage",
        "--task",
        "format",
        "--facts",
        "typed",
        *(word for arm in ARMS for word in ("--place", arm)),
    ),
]


def test_a_whole_run_gives_every_table_with_the_keys_of_the_golden_list(tmp_path: Path) -> None:
    result = CliRunner().invoke(needlepoint, [*COMMAND, "--jsonl"])
    assert result.exit_code == 0, result.stderr
    keys: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        keys.setdefault(row.pop("table"), list(row))
    assert keys == GOLDEN["probe placement, everything"]
    again = CliRunner().invoke(needlepoint, ["runs", "show", "--jsonl"])
    assert again.stdout == result.stdout  # from the store alone, with latencies and prices
    rows = tmp_path / "rows.csv"
    assert CliRunner().invoke(needlepoint, ["runs", "export", "-o", str(rows)]).exit_code == 0
    assert CliRunner().invoke(needlepoint, ["runs", "show", str(rows), "--jsonl"]).stdout == result.stdout
    piped = CliRunner().invoke(needlepoint, ["runs", "show"])
    assert [line for line in piped.stdout.splitlines() if line.startswith("# ")] == [
        f"# {title}" for title in PLACEMENT_TITLES.values()
    ]
