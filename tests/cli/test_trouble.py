"""A disk that is full and a clock that jumps, from the command line to the file: no answer is lost or paid twice."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import needlepoint
from probes.serving.server import Server, serving

resource = pytest.importorskip("resource", reason="limits of files are another matter here")
ROOT = Path(__file__).resolve().parents[2]
JOBS, PLAN = 4, ("-n", "6", "--lengths", "200", "--json")

# Read by Python before anything else: the clock jumps by days, to and fro, each time that it is looked at a few times.
JUMPING = """
import itertools, os, time
real, looks, days = time.time, itertools.count(), float(os.environ["JUMP_DAYS"])
time.time = lambda: real() + 86_400 * days * (-1) ** (next(looks) // 3)
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    with serving("sim/u-shape", latency_s=0.005) as running:
        yield running


def command(store: Path, server: Server) -> list[str]:
    model = ["-m", "openai/a-model", "--base-url", f"{server.url}/v1"]
    return [sys.executable, "-m", "cli", "probe", "needle", *model, *PLAN, "-j", str(JOBS), "-d", str(store)]


def run(store: Path, server: Server, *, most_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """The whole command; no file that it writes may grow beyond `most_bytes`, as on a full disk or under a quota."""

    def limited() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        command(store, server), cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=limited
    )


def asked(store: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(question).fetchall()


def calls(store: Path) -> dict[str, int]:
    return dict(asked(store, "select status, count(*) from attempts group by status"))


def check_whole(store: Path, server: Server, done: subprocess.CompletedProcess[str], *, lost_at_most: int) -> None:
    """All is answered, each trial once, no call is missing in the file, and the table is that of a quiet run."""
    assert done.returncode == 0, done.stderr
    trials = asked(store, "select count(distinct trial_id) from run_trials")[0][0]
    found = calls(store)
    assert found.pop("ok") == trials
    assert set(found) <= {"lost"}
    assert sum(found.values()) <= lost_at_most
    assert server.calls <= trials + sum(found.values())
    later = "exists (select 1 from completions c where c.trial_id = attempts.trial_id and attempts.id > c.attempt_id)"
    assert asked(store, f"select count(*) from attempts where {later}") == [(0,)], "called again after its answer"
    assert asked(store, "pragma integrity_check") == [("ok",)]
    assert asked(store, "pragma foreign_key_check") == []
    quiet = CliRunner().invoke(needlepoint, ["probe", "needle", "-m", "sim/u-shape", *PLAN])
    assert without_model(done.stdout) == without_model(quiet.stdout)


def without_model(document: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "model"} for row in json.loads(document)["rows"]]


def check_stopped(store: Path, done: subprocess.CompletedProcess[str]) -> None:
    error, hint = done.stderr.splitlines()[-2:]
    assert (done.returncode, done.stdout) == (1, "")
    assert error in (
        f"error: the run store {store} cannot be read or written",
        f"error: the run store {store} cannot grow: the disk is full",
    )
    assert "room" in hint
    assert "run the same command again; finished trials are kept" in hint
    assert "Traceback" not in done.stderr
    assert asked(store, "pragma integrity_check") == [("ok",)]


def test_a_full_disk_stops_the_run_and_costs_at_most_what_is_in_flight(tmp_path: Path, server: Server) -> None:
    store = tmp_path / "runs.db"
    check_stopped(store, run(store, server, most_bytes=60_000))
    assert server.calls == 0, "not even the plan could be kept"
    answered = []
    for most_bytes in (300_000, 450_000):
        check_stopped(store, run(store, server, most_bytes=most_bytes))
        answered.append(calls(store)["ok"])
    assert 0 < answered[0] < answered[1] < server.calls
    check_whole(store, server, run(store, server), lost_at_most=len(answered) * JOBS)
    assert asked(store, "select count(*) from runs") == [(1,)]


def test_a_clock_that_jumps_to_and_fro_makes_no_call_twice(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes work on one run, one of them is killed, and a third one goes on; all of them have such a clock."""
    store = tmp_path / "runs.db"
    (tmp_path / "sitecustomize.py").write_text(JUMPING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("JUMP_DAYS", "-400")
    looks = "import time; seen = [time.time() for _ in range(9)]; print(max(seen) - min(seen))"
    assert float(subprocess.check_output([sys.executable, "-c", looks])) > 86_400
    first, second = (
        subprocess.Popen(command(store, server), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    )
    deadline = time.monotonic() + 60
    while server.calls < 3 * JOBS and first.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    first.kill()
    first.wait()
    assert second.wait(120) == 0
    check_whole(store, server, run(store, server), lost_at_most=JOBS)
