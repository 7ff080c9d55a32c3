"""A store of version 1, as the code of then wrote it, is brought up to date; a newer one is left alone."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from probes.store import Store
from probes.store_schema import VERSION
from tests.probes.store_helpers import FULL_ANSWER, PLAN, StillModel, answer, sql
from tokenizer.errors import UserError

VERSION_1 = Path(__file__).with_name("version_1.sql").read_text(encoding="utf-8")
RUN = "20261122-101500-3f2a"


@pytest.fixture
def old(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    assert sql(path, "pragma user_version") == [(1,)]
    return path


def test_an_old_store_keeps_all_that_is_in_it(old: Path) -> None:
    with Store.open(old) as store:
        assert sql(old, "pragma user_version") == [(VERSION,)]
        assert [row.id for row in store.runs()] == ["20261122-101600-77c1", RUN]
        first, second, third = store.results(RUN, PLAN)
        assert first.completion == replace(FULL_ANSWER, text="In the boathouse.", raw={})
        assert second.completion is not None
        assert second.completion.text == "On the shelf."
        assert third.completion is None
        assert store.scores(RUN, "match@1").keys() == {first.trial_id}
        assert [one.status for one in store.attempts(RUN)] == ["ok", "ok", "error", "lost"]
    assert sql(old, "pragma integrity_check") == [("ok",)]


def test_calls_of_then_cost_nothing(old: Path) -> None:
    with Store.open(old) as store:
        spent = store.spent(RUN)
        assert (spent.known_nano_usd, spent.unknown_calls, spent.lost_at_most_nano_usd) == (0, 0, 0)
        assert (spent.input_tokens, spent.output_tokens) == (812, 7)
        row = store.find_run(RUN)
        assert (row.known_nano_usd, row.unknown_cost_calls, row.fresh_offset) == (0, 0, None)


def test_the_same_plan_continues_the_old_run(old: Path) -> None:
    with Store.open(old) as store:
        run = store.begin_run(PLAN, [StillModel()])
        assert (run.id, run.resumed) == (RUN, True)
        assert store.pending(RUN) == [2]
        answer(store, run, 2)
        assert store.pending(RUN) == []


def test_an_old_file_and_a_new_one_have_the_same_tables(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    for one in (old, new):
        Store.open(one).close()
    for table in ("attempts", "completions", "runs", "trials", "run_trials", "workers", "scores", "blobs"):
        assert sql(old, f"pragma table_info({table})") == sql(new, f"pragma table_info({table})")
    assert sql(old, "pragma application_id") == sql(new, "pragma application_id")


OPEN = """
import sys
from pathlib import Path
from probes.store import Store
sys.stdin.readline()
with Store.open(Path(sys.argv[1])) as store:
    print(len(store.runs()))
"""


def test_processes_that_open_it_at_once_take_the_step_once(old: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(old)],
            cwd=Path.cwd(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate(timeout=60) == ("2\n", "")
    assert [row[1] for row in sql(old, "pragma table_info(attempts)")].count("reserved_nano_usd") == 1


def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path) -> None:
    sql(old, "alter table runs add column fresh_offset integer")  # the third statement of the step cannot be done
    with pytest.raises(sqlite3.OperationalError, match="duplicate column"):
        Store.open(old)
    assert sql(old, "pragma user_version") == [(1,)]
    assert "reserved_nano_usd" not in [row[1] for row in sql(old, "pragma table_info(attempts)")]


def test_a_newer_store_is_refused_and_not_touched(old: Path) -> None:
    sql(old, f"pragma user_version = {VERSION + 1}")
    before = old.read_bytes()
    with pytest.raises(UserError, match=f"newer version of needlepoint .format {VERSION + 1} > {VERSION}"):
        Store.open(old)
    assert old.read_bytes() == before


def test_looking_for_a_store_makes_none(path: Path) -> None:
    with pytest.raises(UserError, match="there is no run store"):
        Store.open(path, must_exist=True)
    assert not path.exists()
