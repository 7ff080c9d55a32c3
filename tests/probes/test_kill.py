"""Real processes that are killed, interrupted or run side by side: nothing finished is lost or asked for twice."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from probes.plan import Result
from probes.store import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are another matter here")

JOBS = 4
KILLS = int(os.environ.get("NEEDLEPOINT_FUZZ", "0")) or 20
TRIALS = 700

# A process of its own: python WORKER STORE LOG TRIALS LATENCY_S. Its model writes each call down before it answers.
# A latency of "hang" stands for native code that nothing but the end of its process can stop.
WORKER = """
import asyncio, hashlib, json, os, subprocess, sys
from pathlib import Path
from probes.models.base import Completion, Message, Request, Traits, Usage
from probes.plan import Plan, PlannedTrial
from probes import runner
from probes.budget import Limits
from probes.store import Store
from tokenizer.errors import UserError

path, log, trials, latency = sys.argv[1:]
log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class SlowModel:
    name, identity, traits = "fake/slow", {"model": "slow"}, Traits()

    def __init__(self):
        self.native = subprocess.Popen(["sleep", "60"]) if latency == "hang" else None

    async def complete(self, request):
        question = request.messages[0].content
        os.write(log, (question + "\\n").encode())
        if self.native:
            await asyncio.to_thread(self.native.wait)
        else:
            await asyncio.sleep(float(latency))
        return Completion(hashlib.sha256(question.encode()).hexdigest()[:9], "stop", Usage(input_tokens=len(question)))

    async def count_prompt_tokens(self, request):
        return None

    async def aclose(self):
        if self.native:
            self.native.kill()


def ask(number):
    return Request((Message("user", f"question {number}"),), max_tokens=4)


plan = Plan("needle", {"seed": 5}, tuple(PlannedTrial(n // 10, ask(n), {"n": n}) for n in range(int(trials))))
model = SlowModel()
runner.RENEW_LEASE_S = 0.1
seen = []
print("ready", flush=True)
sys.stdin.readline()
with Store.open(Path(path)) as store:
    run = store.begin_run(plan, [model])
    try:
        limits = Limits(jobs=4)
        summary = asyncio.run(runner.run_plan(store, run, plan, [model], limits=limits, on_progress=seen.append))
    except UserError as err:
        print(json.dumps({"run": run.id, "error": str(err)}), flush=True)
        sys.exit(err.exit_code)
print(json.dumps({"run": run.id, "done": summary.done, "missing": summary.missing, "lost": summary.lost,
                  "progress": seen[-1].done}))
"""


class Scene:
    """A store, the models' log, and a way to start processes on them."""

    def __init__(self, place: Path) -> None:
        self.store, self.log, self.script = place / "runs.db", place / "calls.log", place / "worker.py"
        self.script.write_text(WORKER, encoding="utf-8")
        self.log.touch()
        self.started: list[subprocess.Popen[str]] = []

    def start(
        self, trials: int, latency: str = "0.02", *, store: Path | None = None, hold: bool = False
    ) -> subprocess.Popen[str]:
        """Start a process and let it go once it is loaded, or with `hold` when `go` says so."""
        process = subprocess.Popen(
            [sys.executable, str(self.script), str(store or self.store), str(self.log), str(trials), latency],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        if not hold:
            go(process)
        return process

    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def wait_for_calls(self, count: int, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 30
        while len(self.calls()) < count and process.poll() is None:
            assert time.monotonic() < deadline, "the process makes no calls"
            time.sleep(0.002)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.store)) as connection:
            return connection.execute(statement).fetchall()

    def end(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.end()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=60)
    return dict(json.loads(output))


def answers(path: Path) -> list[tuple[str, Any, Any]]:
    """What a table could be made of: everything but times."""
    with Store.open(path) as store:
        results: list[Result] = store.results(store.find_run("latest").id)
    return [
        (one.trial_id, one.trial, one.completion and (one.completion.text, one.completion.usage)) for one in results
    ]


def test_twenty_kills_cost_only_what_was_in_flight(scene: Scene, tmp_path: Path) -> None:
    draw = random.Random(20)
    answered: set[str] = set()
    kills_with_open_attempts = 0
    while kills_with_open_attempts < KILLS:
        before = len(scene.calls())
        process = scene.start(TRIALS)
        scene.wait_for_calls(before + draw.randrange(5, 22), process)
        time.sleep(draw.random() * 0.02)  # any moment of a call's life, not only its beginning
        process.kill()
        process.wait()
        assert not answered.intersection(scene.calls()[before:]), "a finished trial was called again"
        open_attempts = scene.sql("select count(*) from attempts where status = 'started'")[0][0]
        assert open_attempts <= JOBS
        kills_with_open_attempts += open_attempts > 0
        assert len(answered) < TRIALS, "the plan ended before the kills did"
        with Store.open(scene.store) as store:
            states = store.states(store.find_run("latest").id)
        answered = {f"question {number}" for number, state in enumerate(states) if state == "answered"}

    before = len(scene.calls())
    last = finish(scene.start(TRIALS))
    assert (last["done"], last["missing"]) == (TRIALS, 0)
    assert not answered.intersection(scene.calls()[before:])

    statuses = dict(scene.sql("select status, count(*) from attempts group by status"))
    assert statuses == {"ok": TRIALS, "lost": last["lost"]}
    calls = Counter(scene.calls())
    lost = Counter(
        dict(scene.sql("select json_extract(cell_json, '$.n'), count(*) from attempts join run_trials using (trial_id)"
                       " where status = 'lost' group by 1"))
    )  # fmt: skip
    for number in range(TRIALS):  # a lost attempt was sent, or was killed between the disk and the wire
        assert 0 <= calls[f"question {number}"] - 1 <= lost[number]
    assert KILLS <= lost.total() <= len(scene.started[:-1]) * JOBS
    assert scene.sql("pragma integrity_check") == [("ok",)]
    assert scene.sql("pragma foreign_key_check") == []
    assert scene.sql("select count(*) from runs") == [(1,)]

    scene.log = tmp_path / "undisturbed.log"
    undisturbed = tmp_path / "undisturbed.db"
    finish(scene.start(TRIALS, "0", store=undisturbed))
    assert answers(scene.store) == answers(undisturbed)


def test_two_processes_share_one_run_and_its_trials(scene: Scene) -> None:
    first, second = scene.start(200, hold=True), scene.start(200, hold=True)
    go(first)
    go(second)
    one, other = finish(first), finish(second)
    assert one == other == {"run": one["run"], "done": 200, "missing": 0, "lost": 0, "progress": 200}
    assert Counter(scene.calls()) == Counter(f"question {number}" for number in range(200))
    by_worker = dict(scene.sql("select worker, count(*) from attempts group by worker"))
    assert len(by_worker) == 2
    assert min(by_worker.values()) > 10


def test_a_process_waits_for_the_calls_of_another_and_takes_them_over_when_it_dies(scene: Scene) -> None:
    hanging = scene.start(JOBS, "hang")
    scene.wait_for_calls(JOBS, hanging)
    other = scene.start(JOBS + 3, "0")  # a plan of its own, with the same requests
    waiting = scene.start(JOBS, "0")
    scene.wait_for_calls(JOBS + 3, other)
    for process in (other, waiting):
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
    assert len(scene.calls()) == JOBS + 3
    os.killpg(hanging.pid, signal.SIGKILL)
    hanging.wait()
    assert (finish(waiting)["done"], finish(other)["done"]) == (JOBS, JOBS + 3)
    assert len(scene.calls()) == JOBS + 3 + JOBS
    assert scene.sql("select status, count(*) from attempts group by status") == [("lost", JOBS), ("ok", JOBS + 3)]


def test_one_interrupt_drains(scene: Scene) -> None:
    process = scene.start(TRIALS, "0.05")
    scene.wait_for_calls(10, process)
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert process.returncode == 130
    calls = scene.calls()
    assert f"{len(calls)} of {TRIALS} trials are answered" in output["error"]
    assert scene.sql("select distinct status from attempts") == [("ok",)]


def test_two_interrupts_end_within_two_seconds_whatever_hangs(scene: Scene) -> None:
    process = scene.start(TRIALS, "hang")
    scene.wait_for_calls(JOBS, process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)  # one is not enough: the calls are in flight
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert time.monotonic() - started < 2
    assert process.returncode == 130
    assert "0 of" in output["error"]
    assert scene.sql("select status, count(*) from attempts group by status") == [("lost", JOBS)]


def test_many_processes_may_open_a_new_store_at_once(scene: Scene) -> None:
    processes = [scene.start(8, "0", hold=True) for _ in range(5)]
    for process in processes:
        go(process)
    runs = {finish(process)["run"] for process in processes}
    assert Counter(scene.calls()) == Counter(f"question {number}" for number in range(8))
    assert 1 <= len(runs) <= 5  # who comes after the end begins a run of its own, and calls nobody
