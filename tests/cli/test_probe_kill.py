"""`probe needle` killed again and again, or stopped while its store is locked: nothing is lost that can be kept."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLS, JOBS, BLOCKS = 20, 4, 40


def command(store: Path, latency_ms: int, blocks: int = BLOCKS) -> list[str]:
    model = f"sim/u-shape?latency_ms={latency_ms}"
    options = ["-n", str(blocks), "-j", str(JOBS), "--lengths", "100", "-d", str(store), "--json"]
    return [sys.executable, "-m", "cli", "probe", "needle", "-m", model, *options]


def count(store: Path, condition: str) -> int:
    """How many attempts there are of which this is true; none as long as the store is in the making."""
    if not store.exists():
        return 0
    connection = sqlite3.connect(store, timeout=10)
    try:
        return int(connection.execute(f"select count(*) from attempts where {condition}").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def killed_in_flight(store: Path) -> bool:
    """Start the command, kill it when another call is under way, and tell whether an attempt was left open."""
    process = subprocess.Popen(command(store, 20), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    answered = count(store, "status = 'ok'")
    while time.monotonic() < deadline and process.poll() is None:
        if count(store, "status = 'ok'") > answered:
            break
        time.sleep(0.005)
    process.kill()
    process.wait()
    return count(store, "status = 'started'") > 0


def test_twenty_kills_change_nothing_in_the_table(tmp_path: Path) -> None:
    store, undisturbed = tmp_path / "killed.db", tmp_path / "whole.db"
    kills = open_kills = 0
    while open_kills < KILLS:
        kills += 1
        assert kills <= 3 * KILLS, "the command was never killed in flight"
        open_kills += killed_in_flight(store)
    assert count(store, "status = 'ok'") < 6 * BLOCKS, "the last kill came too late to prove anything"

    final = subprocess.run(command(store, 20), cwd=ROOT, capture_output=True, text=True, check=True)
    whole = subprocess.run(command(undisturbed, 0), cwd=ROOT, capture_output=True, text=True, check=True)
    model = {"sim/u-shape?latency_ms=20", "sim/u-shape?latency_ms=0"}
    rows, expected = (json.loads(done.stdout)["rows"] for done in (final, whole))
    assert {row.pop("model") for row in [*rows, *expected]} == model
    assert rows == expected

    assert count(store, "status = 'ok'") == 6 * BLOCKS
    assert count(store, "status in ('started', 'error')") == 0
    later = "exists (select 1 from completions c where c.trial_id = attempts.trial_id and attempts.id > c.attempt_id)"
    assert count(store, later) == 0, "a finished trial was called again"
    lost = count(store, "status = 'lost'")
    assert open_kills <= lost <= kills * JOBS
    assert count(store, "1") - 6 * BLOCKS == lost
    with sqlite3.connect(store) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.skipif(os.name != "posix", reason="signals are another matter here")
def test_two_interrupts_end_it_within_two_seconds_while_another_program_has_the_store_locked(tmp_path: Path) -> None:
    store, latency_ms = tmp_path / "runs.db", 700
    run = command(store, latency_ms, blocks=2)
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while count(store, "status = 'started'") < JOBS:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("begin immediate")
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(latency_ms / 1000 + 0.3)  # the answers are there by now, and wait for the lock
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert time.monotonic() - interrupted < 2
    assert (process.returncode, output) == (130, "")
    error, hint = errors.splitlines()[-2:]
    assert error == (
        "error: interrupted: 0 of 12 trials are answered and kept; "
        f"answered but not kept, as another program has the store locked: {JOBS}"
    )
    assert hint == "hint: run the same command again to go on from here"

    subprocess.run(run, cwd=ROOT, capture_output=True, check=True)
    assert [count(store, f"status = '{status}'") for status in ("lost", "ok", "started")] == [JOBS, 12, 0]
