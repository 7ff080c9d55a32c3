"""What the probe engine costs beside the calls themselves: `make bench-probes`, on a quiet machine.

Two budgets. The runner, with everything it writes down, reaches at least half the rate of a bare loop over the SDK at
the same concurrency, and its memory does not grow with the number of calls. Ten thousand trials are planned in 5 s and
300 MB. Each measurement is a process of its own; the server is another one.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

JOBS = 64
READER = "sim/perfect"
PLANNED = 10_000
LEAST_RATIO, MOST_PLANNING_S, MOST_PLANNING_MB = 0.5, 5.0, 300.0


def serve() -> None:
    """A server without latency, until standard input ends; prints its address."""
    from probes.serving.server import serving

    with serving(READER, keep_requests=False) as server:
        click.echo(server.url)
        sys.stdin.read()


@contextmanager
def server() -> Iterator[str]:
    """The address of a server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.probes", "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def questions(calls: int) -> list[str]:
    """As many different prompts of about a thousand characters."""
    return [f"Question {number}. " + "The ferry leaves at noon. " * 40 for number in range(calls)]


def bare(calls: int) -> dict[str, float]:
    """The SDK alone, streaming as our adapter does, with as many workers as we have calls in flight."""
    from openai import AsyncOpenAI

    with server() as url:
        client = AsyncOpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0)
        waiting = iter(questions(calls))

        async def worker() -> None:
            for text in waiting:
                stream = await client.chat.completions.create(
                    model="a-model",
                    messages=[{"role": "user", "content": text}],
                    max_completion_tokens=8,
                    stream=True,
                    stream_options={"include_usage": True},
                )
                async for _ in stream:
                    pass

        async def whole() -> None:
            await asyncio.gather(*(worker() for _ in range(JOBS)))
            await client.close()

        return rate_of(calls, whole)


def ours(calls: int) -> dict[str, float]:
    """The same calls through plan, store, gate, budget and adapter."""
    from probes.budget import Limits
    from probes.models import load_model
    from probes.models.base import Message, Request
    from probes.plan import Plan, PlannedTrial
    from probes.runner import run_plan
    from probes.store import Store

    asked = [Request((Message("user", text),), max_tokens=8) for text in questions(calls)]
    trials = tuple(PlannedTrial(number // 10, request, {"n": number}) for number, request in enumerate(asked))
    plan = Plan("needle", {"seed": 1}, trials)
    with server() as url, tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "runs.db") as store:
        model = load_model("openai/a-model", base_url=f"{url}/v1")
        run = store.begin_run(plan, [model])

        async def whole() -> None:
            summary = await run_plan(store, run, plan, [model], limits=Limits(jobs=JOBS), on_progress=lambda _: None)
            await model.aclose()
            assert summary.done == calls

        return rate_of(calls, whole)


def rate_of(calls: int, whole: Callable[[], Coroutine[Any, Any, None]]) -> dict[str, float]:
    """Calls in a second, and by how much the process has grown meanwhile."""
    before = peak_mb()
    started = time.perf_counter()
    asyncio.run(whole())
    return {"per_s": calls / (time.perf_counter() - started), "grown_mb": peak_mb() - before}


def planning() -> dict[str, float]:
    """Plan ten thousand trials and write them into a new store."""
    from probes.experiments.common import Ruler
    from probes.experiments.needle import NeedleOptions, plan_needle
    from probes.models import load_model
    from probes.store import Store
    from tokenizer import load_tokenizer

    tokenizer = load_tokenizer("small")
    ruler = Ruler("small", lambda text: tokenizer.count(text, disallowed_special=()))
    few = len(plan_needle(NeedleOptions(lengths=(1000,), blocks=1), ruler).trials)
    started = time.process_time()
    plan = plan_needle(NeedleOptions(lengths=(1000,), blocks=-(-PLANNED // few)), ruler)
    planned_s = time.process_time() - started
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "runs.db") as store:
        store.begin_run(plan, [load_model(READER)])
    return {
        "trials": len(plan.trials),
        "planned_s": planned_s,
        "written_s": time.process_time() - started - planned_s,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def measured(*what: str) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.probes", *what]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"OPENAI_API_KEY": "any"}
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(calls: int, rounds: int) -> None:
    """Print what was measured beside its budget; each figure is the best of its rounds, taken in turns."""
    rates: dict[str, list[dict[str, float]]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        for name, found in rates.items():
            found.append(measured(name, str(calls)))
    best = {name: max(one["per_s"] for one in found) for name, found in rates.items()}
    short = measured("ours", str(calls // 4))
    grown = rates["ours"][0]["grown_mb"] - short["grown_mb"]
    plan = measured("planning")
    lines = [
        ("bare loop over the SDK", f"{best['bare']:.0f} calls/s", ""),
        ("the runner", f"{best['ours']:.0f} calls/s", ""),
        ("ratio", f"{best['ours'] / best['bare']:.2f}", f"at least {LEAST_RATIO}"),
        (f"memory for {calls - calls // 4:,} more calls", f"{grown:+.1f} MB", "flat but for the prompts themselves"),
        (
            f"planning {plan['trials']:,.0f} trials",
            f"{plan['planned_s']:.1f} s of CPU",
            f"under {MOST_PLANNING_S:.0f} s",
        ),
        ("writing them down", f"{plan['written_s']:.1f} s of CPU", ""),
        ("memory for that, the program included", f"{plan['peak_mb']:.0f} MB", f"under {MOST_PLANNING_MB:.0f} MB"),
    ]
    for name, found, budget in lines:
        click.echo(f"{name:<44}{found:>16}   {budget}")


@click.command()
@click.option("--calls", type=click.IntRange(min=100), default=5_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.argument("what", nargs=-1)
def main(calls: int, rounds: int, what: Sequence[str]) -> None:
    """Compare, or measure one thing and print JSON."""
    jobs: dict[str, Callable[[], dict[str, float]]] = {
        "bare": lambda: bare(int(what[1])),
        "ours": lambda: ours(int(what[1])),
        "planning": planning,
    }
    if not what:
        compare(calls, rounds)
    elif what[0] == "serve":
        serve()
    else:
        click.echo(json.dumps(jobs[what[0]]()))


if __name__ == "__main__":
    main()
