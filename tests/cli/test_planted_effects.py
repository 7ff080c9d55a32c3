"""One study of each planted effect, by the command line and through the store: what was planted is what is said."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import needlepoint

READERS = {
    "even": "sim/even?rate=0.6&noise=0.3",
    "recency": "sim/recency?near=1&far=0.3&noise=0.3",
    "last": "sim/last-instruction?rate=0.85&otherwise=0.35&noise=0.3",
    "any": "sim/any-instruction?rate=0.85&otherwise=0.35&noise=0.3",
    "distance": "sim/distance-only?near=0.9&half=800&to_answer=1&noise=0.3",
    "verbose": "sim/verbose?rate=0.4&more=0.4&words=25",
    "flaky": "sim/flaky-late?rate=0.6&early=0&late=0.5",
}
ARMS = ("before", "padded-after", "irrelevant-after", "after")
BLOCKS = 12
Row = dict[str, Any]


def invoke(*arguments: str, code: int) -> list[Row]:
    result = CliRunner().invoke(needlepoint, [*arguments, "--jsonl"])
    assert result.exit_code == code, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], list[Row]]:
    """The rows of one run with all readers, as the command says them, and as they are read from the store again."""
    store = str(tmp_path_factory.mktemp("store") / "runs.db")
    models = [part for name in READERS.values() for part in ("-m", name)]
    places = [part for arm in ARMS for part in ("--place", arm)]
    options = ("-n", str(BLOCKS), "--lengths", "120", "--measure", "coverage", "-d", store)
    said = invoke("probe", "placement", *models, *places, *options, code=3)  # 3: some of the trials failed
    return said, invoke("runs", "show", "latest", "-d", store, code=0)


def contrast(rows: list[Row], reader: str, arm: str, control: str, outcome: str = "coverage_rate") -> Row:
    wanted = {"table": "contrast", "model": READERS[reader], "outcome": outcome, "arm": arm, "control": control}
    (row,) = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    return row


def of_arm(rows: list[Row], reader: str, arm: str) -> Row:
    (row,) = [row for row in rows if (row["table"], row.get("model"), row["arm"]) == ("arm", READERS[reader], arm)]
    return row


def test_the_store_gives_back_what_was_said(kept: tuple[list[Row], list[Row]]) -> None:
    said, read = kept
    assert {row["model"] for row in said} == set(READERS.values())
    without_time = [{key: value for key, value in row.items() if not key.endswith("_s")} for row in said]
    assert [{key: value for key, value in row.items() if not key.endswith("_s")} for row in read] == without_time


@pytest.mark.parametrize(
    ("reader", "arm", "control", "clear"),
    [
        ("even", "after", "before", False),
        ("even", "after", "padded-after", False),
        ("even", "after", "irrelevant-after", False),
        ("recency", "after", "padded-after", False),
        ("last", "after", "before", True),
        ("last", "after", "padded-after", True),
        ("last", "after", "irrelevant-after", True),
        ("any", "after", "padded-after", True),
        ("any", "after", "irrelevant-after", False),
        ("any", "after", "before", False),
        ("distance", "after", "padded-after", False),
        ("distance", "after", "irrelevant-after", False),
        ("verbose", "after", "before", True),
    ],
)
def test_what_is_called_clear_is_what_was_planted(
    kept: tuple[list[Row], list[Row]], reader: str, arm: str, control: str, *, clear: bool
) -> None:
    row = contrast(kept[0], reader, arm, control)
    assert row["blocks"] == BLOCKS
    assert (row["p_holm"] < 0.05) is clear
    assert (row["low"] > 0) is clear


def test_recency_is_found_where_it_is_planted_and_nowhere_else(kept: tuple[list[Row], list[Row]]) -> None:
    wanted = {"table": "position", "arm": "before", "outcome": "coverage_rate", "measure": "recency"}
    rows = [row for row in kept[0] if all(row.get(key) == value for key, value in wanted.items())]
    low = {row["model"]: row["low"] for row in rows}
    assert low[READERS["recency"]] > 0
    assert low[READERS["even"]] < 0


def test_longer_answers_and_lost_answers_are_told_apart_from_what_is_kept(kept: tuple[list[Row], list[Row]]) -> None:
    said, _ = kept
    assert of_arm(said, "verbose", "after")["words"] > of_arm(said, "verbose", "before")["words"] + 25
    matched = contrast(said, "verbose", "after", "before", "coverage_matched_rate")
    assert matched["difference"] < contrast(said, "verbose", "after", "before")["difference"]
    assert of_arm(said, "flaky", "before")["error"] == 0
    assert 2 <= of_arm(said, "flaky", "after")["error"] <= 10
    lost = contrast(said, "flaky", "after", "before")
    assert lost["missing"] == of_arm(said, "flaky", "after")["error"]
    assert lost["blocks"] == BLOCKS - lost["missing"]
    assert lost["worst_low"] < 0 < lost["worst_high"]
    assert lost["p_holm"] > 0.05
