"""The tables of needle runs: what is in which, that it fits the terminal and loses nothing, that keys only grow."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.experiment_tables import experiment_tables
from cli.main import needlepoint
from cli.needle_tables import heat
from cli.output import Table, drawn
from probes.plan import Result
from tests.probes.needle_answers import OTHER, VALUE, answer, found, held

GOLDEN = json.loads((Path(__file__).parent / "golden_keys.json").read_text(encoding="utf-8"))


@cache
def everything_shown() -> tuple[list[Table], list[Table]]:
    return experiment_tables("probe needle", "needle", everything(), {"seed": 1})


def tables_of(results: Sequence[Result]) -> tuple[dict[str | None, Table], dict[str, Table]]:
    machine, people = experiment_tables("probe needle", "needle", results, {"seed": 1})
    return {table.name: table for table in machine}, {table.title or "": table for table in people}


def shown(table: Table, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(drawn(table, console))
    return console.file.getvalue()  # type: ignore[attr-defined]


def sweep(lengths: Sequence[int], blocks: int = 10) -> list[Result]:
    """One needle at five depths in texts of several lengths; the longer and the deeper, the less is found."""
    return [
        found(block < blocks * (1 - depth * length / 20_000), length_tokens=length, depth=depth, block=block)
        for length in lengths
        for depth in (0.0, 0.25, 0.5, 0.75, 1.0)
        for block in range(blocks)
    ]


def test_lengths_against_depths_are_a_map_with_rates_and_counts_in_figures() -> None:
    machine, people = tables_of(sweep([500, 1000, 2000, 4000, 8000]))
    (title,) = [name for name in people if name.startswith("Found: ")]
    text = shown(people[title], 80)
    assert max(map(len, text.splitlines())) <= 80
    header, *rows = [line.split() for line in text.splitlines()[1:] if "─" not in line and line.strip()]
    assert header == ["Depth", "500", "1,000", "2,000", "4,000", "8,000"]
    assert [row[0] for row in rows] == ["0%", "25%", "50%", "75%", "100%"]
    assert re.search(r"60% of 10", text)
    assert text.count("of 10") == 25
    assert len(machine["retrieval"].rows) == 25
    assert {row["n"] for row in machine["retrieval"].rows} == {10}
    assert any(note.startswith("Precision:") for note in people[title].notes)
    (lengths,) = [table for name, table in people.items() if name.startswith("Effective length")]
    assert any("at this and at all shorter lengths" in note for note in lengths.notes)


def test_every_length_has_its_column_whatever_the_width() -> None:
    _, listed = experiment_tables("probe needle", "needle", sweep([100, 200, 300, 400, 500, 600], 2), {"seed": 1})
    assert [len(table.columns) for table in listed if (table.title or "").startswith("Found")] == [7]


def test_a_cell_says_of_how_many_blocks_it_is() -> None:
    assert heat({"rate": 0.5, "n": 7}) == "50% of 7"
    assert heat({"rate": None, "n": 0}) == heat(None) == "-"


def everything() -> list[Result]:
    """A run in which nothing is left out: places, structures, controls, temperatures, repeats, likelihoods."""
    results = [
        found(
            block % 3 > 0, block=block, place=place, structure=structure, depth=depth, sample=sample, temperature=heat
        )
        for block in range(7)
        for place in ("after", "before", "bookend")
        for structure in ("plain", "headings")
        for depth in (0.0, 0.5, 1.0)
        for heat in (0.0, 1.0)
        for sample in range(2)
    ]
    results += [
        found(control == "short", block=block, control=control, temperature=0.0)
        for block in range(7)
        for control in ("closed-book", "short")
    ]
    keyed = {"values": [VALUE, OTHER, "11111"], "needles": 3, "layout": "spread", "task": "multi-key"}
    results += [
        answer(keyed["values"][asked or 0], block=block, asked=asked, control=None if asked is not None else "absent",
               right=[] if asked is None else [asked], depth=None if asked is None else asked / 2, **keyed)
        for block in range(7)
        for asked in (0, 1, 2, None)
    ]  # fmt: skip
    return results + [
        held(-1.0 - (asked != offered), block=block, asked=asked, offered=offered,
             depth=None if asked is None else asked / 2, **keyed)
        for block in range(7)
        for asked in (0, 1, 2, None)
        for offered in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize("width", [100, 81, 80, 79, 72, 60])
def test_every_table_fits_the_terminal_and_loses_nothing(width: int) -> None:
    _, people = everything_shown()
    assert len(people) > 8
    for table in people:
        text = shown(table, width)
        assert max(map(len, text.splitlines())) <= width, table.title
        cells = Counter(word for row in table.rows for value in row.values() for word in str(value).split())
        assert cells <= Counter(text.split()), table.title


def test_no_table_has_to_be_stacked_at_eighty_columns() -> None:
    _, people = everything_shown()
    for table in people:
        assert "─" in shown(table, 80), table.title  # stacked lines have no rule


def test_each_finding_has_its_table_and_what_is_exploratory_says_so() -> None:
    machine, people = ({table.name or table.title or "": table for table in tables} for tables in everything_shown())
    one_length = {"effective_length", "length_interaction"}
    assert {name for name, table in machine.items() if not table.rows} == one_length
    titles = "\n".join(people)
    for words in ("Given when asked", "Asked against answered", "Controls", "Likelihood", "Paired, place", "By temp"):
        assert words in titles
    assert "Exploratory, paired, structure" in titles
    assert {row["declared"] for row in machine["contrast"].rows if row["factor"] == "place"} == {True}
    assert {row["declared"] for row in machine["contrast"].rows if row["factor"] == "structure"} == {False}


def test_a_table_of_contrasts_says_n_unit_test_and_correction() -> None:
    for table in everything_shown()[1]:
        if "aired, " in (table.title or ""):
            (said,) = [note for note in table.notes if note.startswith("n: 7 blocks; unit: ")]
            assert re.search(r"test: (sign flips|McNemar).*; (p corrected after Holm for the \d+|one contrast)", said)


def test_with_several_settings_too_few_blocks_are_said_to_be_too_few() -> None:
    results = [
        found(place == "after", place=place, length_tokens=length, block=block)
        for place in ("after", "before")
        for length in (250, 500)
        for block in range(3)
    ]
    _, people = tables_of(results)
    (table,) = [table for name, table in people.items() if name.startswith("Paired, place")]
    assert "3 blocks cannot tell any difference from chance; 5 can." in table.notes


def test_a_control_that_was_left_out_has_no_row() -> None:
    keyed = {"values": [VALUE, OTHER, "11111"], "needles": 3, "layout": "spread", "task": "multi-key"}
    asked = [
        answer(VALUE, block=block, asked=asked, right=[asked], depth=asked / 2, **keyed)
        for block in range(2)
        for asked in range(3)
    ]
    machine, _ = tables_of(asked)
    assert [row["asked"] for row in machine["confusion"].rows] == [1, 2, 3]


def test_what_is_counted_has_no_planted_values() -> None:
    counted = {"task": "count", "answer": "number", "values": [], "depth": None, "asked": None, "needles": 0}
    results = [answer("3", block=block, expected=["3"], right=[], **counted) for block in range(6)]
    results += [answer("0", block=block, expected=["0"], right=[], control="absent", **counted) for block in range(6)]
    machine, people = tables_of(results)
    assert [row["given_planted"] for row in machine["control"].rows] == [None]
    (table,) = [table for name, table in people.items() if name.startswith("Controls")]
    assert "Gave planted" not in [column.title for column in table.columns]
    assert table.notes == ["Asked for what is not there, it was right 6 of 6 times."]


def test_blocks_are_called_blocks_everywhere() -> None:
    for table in everything_shown()[1]:
        assert not {column.title for column in table.columns} & {"Texts", "N texts"}
        assert not any(re.search(r"\d texts?\b", note) for note in table.notes)


def test_a_run_without_an_answer_has_a_table_and_no_finding() -> None:
    machine, people = tables_of([answer(None, block=block) for block in range(3)])
    assert machine["retrieval"].rows[0]["rate"] is None
    assert machine["retrieval"].rows[0]["error"] == 3
    assert any("Nothing was answered" in note for table in people.values() for note in table.notes)
    machine, people = tables_of([])
    assert all(table.rows == [] for table in machine.values())
    assert people == {}


# ------------------------------------------------------------------------------------------------- machine keys

COMMANDS = {
    "probe needle": ["probe", "needle", "-n", "3", "--lengths", "150"],
    "probe needle, single": [
        *("probe", "needle", "--task", "single", "-n", "3", "--lengths", "150,300", "--place", "before"),
        *("--place", "after", "--samples", "2", "--temperature", "0", "--temperature", "1"),
    ],
    "probe needle, likelihood": ["probe", "needle", "-n", "2", "--lengths", "150", "--measure", "likelihood"],
    "probe placement": ["probe", "placement", "-n", "2", "--lengths", "120"],
    "dry run": ["probe", "needle", "-n", "3", "--lengths", "150", "--dry-run"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_keys_of_a_row_are_those_of_the_golden_list(name: str) -> None:
    """A key is only ever added, and then to the list; none goes, moves or changes its name within /1."""
    result = CliRunner().invoke(needlepoint, [*COMMANDS[name], "-m", "sim/perfect", "--jsonl"])
    assert result.exit_code == 0, result.stderr
    keys: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        keys.setdefault(row.pop("table"), list(row))
    assert keys == GOLDEN[name]
