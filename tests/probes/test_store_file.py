"""The run store's leases and transactions, and files that are not as they should be."""

import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.models.base import (
    Completion,
)
from probes.store import Store
from tests.probes.store_helpers import PLAN, StillModel, answer, asks, plan_of, sql
from tokenizer.errors import UserError


def claimed_by(path: Path, worker: tuple[str, str, int, float]) -> tuple[Store, Any]:
    """A store in which another process seems to have a call in flight."""
    store = Store.open(path)
    run = store.begin_run(PLAN, [StillModel()])
    with store.transaction():
        store._write("insert into workers values (?, ?, ?, ?)", *worker)
        store._write(
            "insert into attempts (trial_id, run_id, worker, status, started_utc) values (?, ?, ?, 'started', '')",
            *(run.trial_ids[0], run.id, worker[0]),
        )
    return store, run


FAR = 4e9


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("host", "find_pid", "lease_until", "lives"),
    [
        ("elsewhere", os.getppid, FAR, True),
        ("elsewhere", os.getppid, 0.0, True),  # by its clock or ours it has expired, but whose is right?
        ("here", os.getppid, FAR, True),
        ("here", os.getppid, 0.0, True),
        ("here", dead_pid, FAR, False),
        ("here", os.getpid, FAR, False),  # an earlier process had our number
    ],
)
def test_only_dead_workers_lose_their_calls(
    path: Path, host: str, find_pid: Callable[[], int], lease_until: float, lives: bool
) -> None:
    host = platform.node() if host == "here" else host
    store, run = claimed_by(path, ("other", host, find_pid(), lease_until))
    with store:
        resumed = store.begin_run(PLAN, [StillModel()])
        assert resumed.id == run.id
        assert (store.claim(run, run.trial_ids[0]) is None) == lives
        assert store.calls(run.id).lost == (0 if lives else 1)


@pytest.mark.parametrize("lease_until", [0.0, FAR])
@pytest.mark.parametrize("host", ["elsewhere", platform.node()])
def test_a_lease_that_is_not_renewed_for_a_minute_ends_whatever_the_clocks_say(
    path: Path, monkeypatch: pytest.MonkeyPatch, host: str, lease_until: float
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("probes.store_reading.time.monotonic", lambda: now)
    store, run = claimed_by(path, ("other", host, os.getppid(), lease_until))
    with store:
        for seconds, renewed in ((0, False), (59, False), (30, True), (59, False)):
            now += seconds
            if renewed:
                store._write("update workers set lease_until = lease_until - 5000 where id = 'other'")
            store.renew_lease()
            assert store.claim(run, run.trial_ids[0]) is None
        now += 1.5
        store.renew_lease()
        assert store.calls(run.id).lost == 1
        assert store.claim(run, run.trial_ids[0]) is not None


def test_giving_up_takes_only_our_own_calls(path: Path) -> None:
    store, run = claimed_by(path, ("other", "elsewhere", 1, FAR))
    with store:
        store.claim(run, run.trial_ids[1])
        store.abandon_all(run)
        assert sql(path, "select status from attempts order by id") == [("started",), ("lost",)]


def test_an_inner_failure_undoes_only_itself(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        with store.transaction():
            answer(store, run, 0)
            with pytest.raises(RuntimeError):
                answer_and_fail(store, run, 1)
        assert store.states(run.id) == ["answered", "missing", "missing"]
        with pytest.raises(RuntimeError):
            answer_and_fail(store, run, 1)
        assert store.states(run.id) == ["answered", "missing", "missing"]


def answer_and_fail(store: Store, run: Any, position: int) -> None:
    with store.transaction():
        answer(store, run, position)
        raise RuntimeError


def refused(path: Path, **options: Any) -> str:
    """What the user is told; the file must be as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UserError) as caught, Store.open(path, **options) as store:
        store.results(store.runs()[0].id)
    assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else None) == before
    return str(caught.value)


def filled(path: Path) -> Path:
    with Store.open(path) as store:
        run = store.begin_run(plan_of(*(asks(f"question {number}") for number in range(200))), [StillModel()])
        answer(store, run, 0)
    return path


def test_a_locked_store_says_so(path: Path) -> None:
    holder = sqlite3.connect(filled(path), isolation_level=None)
    holder.execute("begin immediate")
    assert "is locked by another program" in refused(path, busy_timeout_s=0.05)
    holder.execute("commit")
    with Store.open(path, busy_timeout_s=0.02) as store:
        holder.execute("begin exclusive")
        with pytest.raises(UserError, match="locked"):
            store.begin_run(PLAN, [StillModel()])
        holder.execute("commit")
        store.begin_run(PLAN, [StillModel()])
    holder.close()


def test_a_damaged_store_says_so(path: Path) -> None:
    page = 4096
    body = bytearray(filled(path).read_bytes())
    body[page:] = os.urandom(page) * (len(body) // page - 1)
    path.write_bytes(body)
    assert "is damaged" in refused(path)


def test_what_is_no_database_says_so(path: Path) -> None:
    path.write_text("Dear diary, " * 2000, encoding="utf-8")
    assert "is not a run store" in refused(path)


def test_a_newer_store_is_left_alone(path: Path) -> None:
    sql(filled(path), "pragma user_version = 3")
    assert "newer version" in refused(path)


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    sql(path, "create table notes (text)")
    assert "another program" in refused(path)
    assert sql(path, "pragma journal_mode") == [("delete",)]


def test_missing_directories_and_directories(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "no" / "runs.db")
    assert "cannot be opened" in refused(tmp_path)


READ_ONLY = """
import os, sys
from pathlib import Path
from probes.store import Store
from tokenizer.errors import UserError
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store.open(Path(sys.argv[1]))
except UserError as err:
    print(err)
"""


@pytest.mark.skipif(os.name != "posix", reason="rights are another matter here")
def test_a_read_only_store_says_so(path: Path) -> None:
    filled(path).chmod(0o444)
    if os.getuid() == 0:  # nobody must be able to reach the file
        for parent in list(path.parents)[:-1]:
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, cwd=Path.cwd(), check=False
    )
    assert "may not be written" in done.stdout, done.stderr


def test_a_full_disk_says_so_and_loses_nothing(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        answer(store, run, 0)
        pages = store._connection.execute("pragma page_count").fetchone()[0]
        store._connection.execute(f"pragma max_page_count = {pages}")
        attempt = store.claim(run, run.trial_ids[1])
        assert attempt is not None
        with pytest.raises(UserError, match="the disk is full"):
            store.finish(attempt, Completion(os.urandom(50_000).hex(), "stop"))
        assert store.states(run.id) == ["answered", "missing", "missing"]
    assert sql(path, "pragma integrity_check") == [("ok",)]


def test_the_file_can_be_read_with_other_tools(path: Path) -> None:
    filled(path)
    assert sql(path, "pragma integrity_check") == [("ok",)]
    assert sql(path, "pragma foreign_key_check") == []
    [(request_json,)] = sql(path, "select request_json from trials limit 1")
    assert json.loads(request_json)["model"] == {"adapter": "fake/1", "model": "one"}
    [(created,)] = sql(path, "select created_utc from runs")
    assert created.endswith("Z")
