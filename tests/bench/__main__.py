"""`make bench`: this engine beside the installed peers on the same texts, in turns, on a quiet machine.

Every figure is the median of several rounds; in a round each engine has its turn, in a process of its own, so that a
slow minute of the machine is shared by all. Ratios are made within rounds.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tests.bench import corpora
from tests.bench.engines import ENCODERS, READERS, STARTS, TRAINERS, installed, models
from tests.bench.report import Row, show

MEGABYTE = corpora.MEGABYTE
OURS = "needlepoint"
CURVES = {OURS, "gigabpe", "rustbpe", "tokenizers"}
PATIENCE_S = 600.0
SLOW = {"tokenizers"}  # two passes of it are enough
# A virtual machine may have to ask its host for memory that nothing used lately, which takes longer than all the rest.
TOUCH = "b'x' * 700_000_000"


@dataclass(frozen=True, slots=True)
class Child:
    """What a process took in all, and what it said of its passes."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    passes: list[dict[str, float]]


def child(*arguments: str) -> Child | None:
    """Run Python with these arguments; None where that failed or took too long."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    timer = _kill_later(process)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    if process.returncode != 0:
        return None
    passes = json.loads(out.splitlines()[-1]) if out.endswith(b"]") else []  # an engine may print before it
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    return Child(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, peak, passes)


def _kill_later(process: "subprocess.Popen[bytes]") -> Any:
    import threading

    timer = threading.Timer(PATIENCE_S, process.kill)
    timer.start()
    return timer


def rounds(count: int, runs: dict[str, Callable[[], Row | None]]) -> Iterator[tuple[str, list[Row]]]:
    """Give every engine its turn in every round; then its figures, without those that failed."""
    found: dict[str, list[Row]] = {name: [] for name in runs}
    for turn in range(count):
        for name, run in runs.items():
            click.echo(f"  round {turn + 1} of {count}: {name}", err=True)
            row = run()
            if row is not None:
                found[name].append(row)
    yield from found.items()


def summarised(task: str, found: dict[str, list[Row]]) -> list[Row]:
    """Medians of each engine, and its ratio to ours within the rounds with the smallest and the largest."""
    rows = []
    for name, figures in found.items():
        if not figures:
            rows.append({"task": task, "engine": name, "failed": True})
            continue
        row: Row = {"task": task, "engine": name, "rounds": len(figures)}
        for key in figures[0]:
            row[key] = statistics.median(figure[key] for figure in figures)
            ours = found.get(OURS, [])
            if key.endswith("_s") and len(ours) == len(figures):
                ratios = sorted(figure[key] / max(one[key], 1e-9) for figure, one in zip(figures, ours, strict=True))
                row[f"{key[:-2]}_ratio"] = [ratios[0], statistics.median(ratios), ratios[-1]]
        rows.append(row)
    return rows


# --------------------------------------------------------------------------------------------------------- tasks


def bench_training(path: Path, vocab_size: int, count: int, engines: Sequence[str]) -> list[Row]:
    """From a fresh process (start and imports included), and once more in the same process."""

    def run(name: str) -> Row | None:
        fresh = child("-m", "tests.bench.measure", "train", name, str(path), str(vocab_size), "1")
        again = child("-m", "tests.bench.measure", "train", name, str(path), str(vocab_size), "2")
        if fresh is None or again is None:
            return None
        return {
            "fresh_wall_s": fresh.wall_s,
            "fresh_cpu_s": fresh.cpu_s,
            "warm_wall_s": again.passes[1]["wall_s"],
            "warm_cpu_s": again.passes[1]["cpu_s"],
            "peak_mb": fresh.peak_mb,
        }

    task = f"train {path.stem}, {path.stat().st_size / MEGABYTE:.0f} MB, vocabulary {vocab_size}"
    return summarised(task, dict(rounds(count, {name: lambda name=name: run(name) for name in engines})))  # type: ignore[misc]


def bench_encoding(
    path: Path, vocabulary: str, unit: str, count: int, engines: Sequence[str], name: str | None = None
) -> list[Row]:
    """The first pass of an object over a text, and the same again in new strings."""
    megabytes = path.stat().st_size / MEGABYTE

    def run(name: str) -> Row | None:
        child("-c", TOUCH)
        done = child(
            "-m", "tests.bench.measure", "encode", name, vocabulary, str(path), unit, "2" if name in SLOW else "4"
        )
        if done is None:
            return None
        first, *again = (one["wall_s"] for one in done.passes)
        return {"first_s": first, "again_s": min(again), "mb": megabytes, "peak_mb": done.peak_mb}

    task = f"encode {path.stem}, {megabytes:.0f} MB, {name or vocabulary}, {unit}"
    return summarised(task, dict(rounds(count, {name: lambda name=name: run(name) for name in engines})))  # type: ignore[misc]


def bench_curve(axis: str, points: Sequence[tuple[int, int, int]], place: Path, engines: Sequence[str]) -> list[Row]:
    """CPU time of training along an axis; a point is the place on it, the corpus in MB and the vocabulary."""
    rows: list[Row] = []
    for at, megabytes, vocab_size in points:
        path = _corpus(place / "curve.txt", "mixed", megabytes)
        for row in bench_training(path, vocab_size, 1, engines):
            if "failed" not in row:
                rows.append({"task": "curve", "axis": axis, "at": at, "engine": row["engine"], "s": row["warm_cpu_s"]})
    return rows


def bench_starts(count: int) -> list[Row]:
    """CPU time of whole processes."""

    def run(arguments: list[str]) -> Row | None:
        done = child(*arguments)
        return {"cpu_s": done.cpu_s, "wall_s": done.wall_s, "peak_mb": done.peak_mb} if done else None

    for arguments in STARTS.values():  # what is cached on first use is there afterwards
        child(*arguments)
    return summarised(
        "start",
        dict(rounds(count, {name: lambda words=words: run(words) for name, words in STARTS.items()})),  # type: ignore[misc]
    )


def bench_hard(place: Path, size: int, count: int, splits: Sequence[str]) -> list[Row]:
    """Input on which quadratic algorithms show: the time for it, and for half of it."""
    rows = []
    for name, make in corpora.HARD.items():
        whole, half = place / "hard.txt", place / "half.txt"
        whole.write_bytes(make(size))
        half.write_bytes(make(size // 2))
        for vocabulary in splits:

            def run(vocabulary: str = vocabulary, whole: Path = whole, half: Path = half) -> Row | None:
                full, part = (
                    child("-m", "tests.bench.measure", "encode", OURS, vocabulary, str(path), "whole", "1")
                    for path in (whole, half)
                )
                if full is None or part is None:
                    return None
                return {
                    "first_s": full.passes[0]["wall_s"],
                    "growth": full.passes[0]["wall_s"] / part.passes[0]["wall_s"],
                }

            task = f"encode {name}, {size / MEGABYTE:.0f} MB, {vocabulary}"
            rows += summarised(task, dict(rounds(count, {OURS: run})))
    return rows


# --------------------------------------------------------------------------------------------------------- machine


def processor() -> str:
    """The name of this machine's processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@click.command()
@click.option("--corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Measure on this text.")
@click.option("--only", type=click.Choice(["start", "train", "encode", "hard", "curve"]), multiple=True)
@click.option("--rounds", "count", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--train-mb", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--encode-mb", type=click.IntRange(min=1), default=15, show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures as JSON.")
def main(
    *, corpus: Path | None, only: tuple[str, ...], count: int, train_mb: int, encode_mb: int, output: Path | None
) -> None:
    """Compare this engine with the installed peers; nothing else should run meanwhile."""
    console = Console(width=140)
    found, absent = installed([*TRAINERS, *ENCODERS])
    meta = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "versions": found,
        "absent": absent,
    }
    console.print(meta)
    wanted = set(only) or {"start", "train", "encode", "hard", "curve"}
    trainers = [name for name in TRAINERS if name.split(",")[0] in found]
    encoders = [name for name in ENCODERS if name.split(",")[0] in found]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for task in _tasks(wanted, corpus, place, count, train_mb, encode_mb, trainers, encoders):
            rows += (latest := task())
            show(latest, console)
            if output:
                output.write_text(json.dumps({"meta": meta, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _tasks(
    wanted: set[str],
    corpus: Path | None,
    place: Path,
    count: int,
    train_mb: int,
    encode_mb: int,
    trainers: Sequence[str],
    encoders: Sequence[str],
) -> Iterator[Callable[[], list[Row]]]:
    """The tasks in turn; a text is made when its task is about to begin."""
    if "start" in wanted:
        yield lambda: bench_starts(3 * count)
    if "encode" in wanted:
        names = ("english", "code", "multilingual", "made-up")
        paths = [corpus] if corpus else [_corpus(place / f"{name}.txt", name, encode_mb) for name in names]
        for path in paths:
            yield lambda path=path: bench_encoding(path, "cl100k", "whole", count, encoders)  # type: ignore[misc]
        yield lambda: bench_encoding(paths[0], "cl100k", "documents", count, encoders)
        yield lambda: bench_encoding(paths[0], "o200k", "whole", count, encoders)
        readers = [name for name in encoders if name in READERS]
        for name, file in models().items():
            for path in paths:
                yield lambda path=path, name=name, file=file: bench_encoding(  # type: ignore[misc]
                    path, file, "whole", count, readers, name
                )
    if "train" in wanted:
        path = corpus or _corpus(place / "mixed.txt", "mixed", train_mb)
        yield lambda: bench_training(path, 32768, count, trainers)
    if "curve" in wanted:
        some = [name for name in trainers if name in CURVES]
        yield lambda: bench_curve("corpus size, MB", [(size, size, 32768) for size in (1, 4, 16, 64)], place, some)
        yield lambda: bench_curve("vocabulary", [(size, 16, size) for size in (1024, 4096, 16384, 65536)], place, some)
    if "hard" in wanted:
        yield lambda: bench_hard(place, 10 * MEGABYTE, count, ["gpt2", "cl100k", "o200k"])


def _corpus(path: Path, kind: str, megabytes: int) -> Path:
    """Have a text made in a process of its own: the size of this one would count as that of those it starts."""
    assert child("-m", "tests.bench.corpora", kind, str(megabytes), str(path)), kind
    return path


if __name__ == "__main__":
    main()
