"""`probe needle` killed again and again, or stopped while its store is locked: nothing is lost that can be kept."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from probes.serving.server import serving

ROOT = Path(__file__).resolve().parents[2]
JOBS, BLOCKS = 4, 40
MANY = int(os.environ.get("NEEDLEPOINT_FUZZ", "0"))
LATENCY_MS = 20
OPTIONS = ["-j", str(JOBS), "--lengths", "200", "--json"]


def command(store: Path, latency_ms: int, blocks: int = BLOCKS) -> list[str]:
    model = f"sim/u-shape?latency_ms={latency_ms}"
    return [sys.executable, "-m", "cli", "probe", "needle", "-m", model, "-n", str(blocks), "-d", str(store), *OPTIONS]


def hosted_command(store: Path, base_url: str) -> list[str]:
    """The same questions to the same reader, behind HTTP."""
    model = ["-m", "openai/a-model", "--base-url", f"{base_url}/v1"]
    return [sys.executable, "-m", "cli", "probe", "needle", *model, "-n", str(BLOCKS), "-d", str(store), *OPTIONS]


def count(store: Path, condition: str, table: str = "attempts") -> int:
    """How many attempts there are of which this is true; none as long as the store is in the making."""
    if not store.exists():
        return 0
    connection = sqlite3.connect(store, timeout=10)
    try:
        return int(connection.execute(f"select count(*) from {table} where {condition}").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def killed_in_flight(run: list[str], store: Path) -> bool:
    """Start the command, kill it when another call is under way, and tell whether an attempt was left open."""
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    answered = count(store, "status = 'ok'")
    while time.monotonic() < deadline and process.poll() is None:
        if count(store, "status = 'ok'") > answered:
            break
        time.sleep(0.002)
    time.sleep(random.random() * LATENCY_MS / 1000)  # any moment of a call, not only the one after an answer
    assert process.stderr
    assert process.poll() in (None, 0), process.stderr.read().decode()
    process.kill()
    process.communicate()
    return count(store, "status = 'started'") > 0


def kill_again_and_again(run: list[str], store: Path, open_kills: int) -> int:
    """Kill the command until it was in the middle of a call so often; gives how often it was killed in all."""
    kills = found = 0
    while found < open_kills:
        kills += 1
        assert kills <= 3 * open_kills, "the command was never killed in flight"
        found += killed_in_flight(run, store)
    return kills


def rows(run: list[str]) -> list[dict[str, object]]:
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)["rows"]
    for row in found:
        del row["model"]
    return found


def check_store(store: Path, kills: int, open_kills: int, jobs: int = JOBS) -> None:
    """Everything is answered once, nothing was called after its answer, and the cost of the kills is listed."""
    trials = count(store, "run_id = (select max(id) from runs)", "run_trials")
    assert count(store, "status = 'ok'") == trials
    assert count(store, "status in ('started', 'error')") == 0
    later = "exists (select 1 from completions c where c.trial_id = attempts.trial_id and attempts.id > c.attempt_id)"
    assert count(store, later) == 0, "a finished trial was called again"
    lost = count(store, "status = 'lost'")
    assert open_kills <= lost <= kills * jobs
    assert count(store, "1") - trials == lost
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def test_kills_change_nothing_in_the_table(tmp_path: Path) -> None:
    store, open_kills = tmp_path / "killed.db", MANY or 6
    run = command(store, LATENCY_MS)
    kills = kill_again_and_again(run, store, open_kills)
    assert count(store, "status = 'ok'") < 6 * BLOCKS, "the last kill came too late to prove anything"
    assert rows(run) == rows(command(tmp_path / "whole.db", 0))
    check_store(store, kills, open_kills)


def test_kills_of_a_hosted_run_pay_for_no_answer_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the kills meet a second process that works on the same run, and goes on."""
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    store, open_kills = tmp_path / "killed.db", MANY or 4
    with serving("sim/u-shape", latency_s=LATENCY_MS / 1000) as server:
        run = hosted_command(store, server.url)
        kills = kill_again_and_again(run, store, open_kills)
        assert count(store, "status = 'ok'") < 6 * BLOCKS, "the last kill came too late to prove anything"
        beside = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kills += 2
        for _ in range(2):
            killed_in_flight(run, store)
        beside.wait(60)
        found = rows(run)
        assert server.calls <= count(store, "1")
        assert server.calls >= count(store, "status = 'ok'")
    assert found == rows(command(tmp_path / "whole.db", 0))
    check_store(store, kills, open_kills)


@pytest.mark.model
@pytest.mark.timeout(3600 if MANY else 180)
@pytest.mark.usefixtures("smollm2")
def test_kills_of_a_local_run_leave_its_answers_and_no_process(tmp_path: Path) -> None:
    """The model runs in a child of the command, which ends when its parent is gone."""
    store, open_kills = tmp_path / "killed.db", MANY or 1
    blocks = 2 + open_kills  # two trials each
    options = [
        "-n",
        str(blocks),
        "--lengths",
        "100",
        "--depths",
        "0,100",
        "--no-controls",
        "--max-tokens",
        "4",
        "--json",
    ]
    run = [sys.executable, "-m", "cli", "probe", "needle", "-m", "local/smollm2-135m", *options]
    kills = kill_again_and_again([*run, "-d", str(store)], store, open_kills)
    assert count(store, "status = 'ok'") < 2 * blocks, "the last kill came too late to prove anything"
    found = rows([*run, "-d", str(store)])
    check_store(store, kills, open_kills, jobs=1)
    assert found == rows([*run, "-d", str(tmp_path / "whole.db")])
    deadline = time.monotonic() + 10
    while left := [each for each in processes() if str(tmp_path) in each or "local_worker" in each]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def processes() -> list[str]:
    """The command lines of this machine's processes whose home is ours."""
    home = f"NEEDLEPOINT_HOME={os.environ['NEEDLEPOINT_HOME']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, line = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:  # it has ended, or is another one's
            continue
        if home in environment.split(b"\0") and int(process.name) != os.getpid():
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


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
        f"error: interrupted: 0 of {count(store, '1', 'run_trials')} trials are answered and kept; "
        f"answered but not kept, as another program has the store locked: {JOBS}"
    )
    assert hint == "hint: run the same command again to go on from here"

    subprocess.run(run, cwd=ROOT, capture_output=True, check=True)
    trials = count(store, "1", "run_trials")
    assert [count(store, f"status = '{status}'") for status in ("lost", "ok", "started")] == [JOBS, trials, 0]
