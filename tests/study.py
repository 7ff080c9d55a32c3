"""`make study`: what the small real model shows about places in a text, with enough texts to tell.

Each part is an experiment file of samples/study, run through the command line into a store of its own, so that Ctrl-C
loses nothing and the same command goes on. A finished part is written to samples/study as JSON Lines; the README's
tables are made from those (tests/study_tables.py).

    python -m tests.study                      every part, those that are done in seconds
    python -m tests.study chain count          these parts
    python -m tests.study --list               the parts, and how long they take
"""

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cli.progress import say
from tests.study_speed import SPEED, measure_speed

ROOT = Path(__file__).resolve().parent.parent
MODEL = "local/smollm2-135m"
UNANSWERED = 3  # the exit code of a run that has trials without an answer


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the study: `minutes` on two quiet cores, its experiment file, and what its command says beside it."""

    name: str
    minutes: float
    file: str
    arguments: tuple[str, ...] = ()


COMPLETION = ("--form", "completion")
PARTS = (
    Part("multi-key-spread", 17, "multi-key-spread.toml"),
    Part("multi-key-clustered", 10, "multi-key-clustered.toml"),
    Part("multi-key-completion", 3, "multi-key-completion.toml", COMPLETION),
    Part("likelihood-chat", 5, "multi-key-likelihood.toml"),
    Part("likelihood-completion", 5, "multi-key-likelihood.toml", COMPLETION),
    Part("single-likelihood", 27, "single-likelihood.toml"),
    Part("single", 8, "single.toml"),
    Part("chain", 6, "chain.toml"),
    Part("count", 4, "count.toml"),
    Part(SPEED, 7, ""),
    Part("ends-by-lift", 12, "ends-by-lift.toml"),
    Part("kv-pilot", 2, "kv-pilot.toml"),
    Part("kv-places", 20, "kv-places.toml"),
    Part("effective-multi-key", 16, "effective-multi-key.toml"),
    Part("effective-single", 25, "effective-single.toml"),
    Part("headings", 3, "headings.toml"),
    Part("placement-kinds-chat", 4, "placement-kinds-chat.toml"),
    Part("placement-kinds-transcript", 4, "placement-kinds-transcript.toml"),
    Part("placement-transcript", 12, "placement-transcript.toml"),
    Part("placement-chat", 9, "placement-chat.toml"),
    Part("placement-arms", 57, "placement-arms.toml"),
)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--store", type=Path, default=ROOT / ".study", help="The directory of the study's own run store.")
@click.option("--files", type=Path, default=ROOT / "samples/study", help="Where the experiment files are.")
@click.option("--output", type=Path, default=ROOT / "samples/study", help="Where the rows are written.")
@click.option("--model", default=MODEL, help="Ask another model.")
@click.option("--list", "only_list", is_flag=True, help="Show the parts and ask nobody.")
def study(names: Sequence[str], store: Path, files: Path, output: Path, model: str, only_list: bool) -> None:
    """Run the study, or some parts of it."""
    known = {part.name: part for part in PARTS}
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"no part is named {unknown[0]}; the parts are {', '.join(known)}")
    parts = [known[name] for name in names] or list(PARTS)
    if only_list:
        for part in parts:
            click.echo(f"{part.name:24}{part.minutes:4.0f} min")
        return
    for place in (store, output):
        place.mkdir(parents=True, exist_ok=True)
    left = sum(part.minutes for part in parts)
    worst = 0
    for number, part in enumerate(parts, 1):
        about = f"about {part.minutes:.0f} min, {left:.0f} min with all after it"
        say(f"== part {number} of {len(parts)}: {part.name}, {about}")
        started = time.monotonic()
        if part.name == SPEED:
            measure_speed(model, store / f"{SPEED}.jsonl", output / f"{SPEED}.jsonl")
        else:
            worst = max(worst, run_part(part, store, files, output, model))
        left -= part.minutes
        say(f"== {part.name}: done after {(time.monotonic() - started) / 60:.1f} min")
    sys.exit(worst)


def run_part(part: Part, store: Path, files: Path, output: Path, model: str) -> int:
    """Run one part as anybody would on the command line, and write out its rows; the exit code of the run.

    What is finished is left alone until its file says something else, so that its rows keep their run and their time.
    """
    database, tables, finished = store / "runs.db", store / f"{part.name}.json", store / f"{part.name}.finished"
    file, rows = files / part.file, output / f"{part.name}.jsonl.gz"
    asked = json.dumps([model, part.arguments, file.read_text(encoding="utf-8") if file.exists() else None])
    if rows.exists() and finished.exists() and finished.read_text(encoding="utf-8") == asked:
        return 0
    code = needlepoint("probe", "run", str(file), "-m", model, "-d", str(database), *part.arguments, "-o", str(tables))
    if code not in (0, UNANSWERED):
        sys.exit(code)
    run = json.loads(tables.read_text(encoding="utf-8"))["meta"]["run"]
    exported = store / f"{part.name}.jsonl"
    if failed := needlepoint("runs", "export", run, "-d", str(database), "-o", str(exported)):
        sys.exit(failed)
    keep_rows(exported, rows)
    if code == 0:
        finished.write_text(asked, encoding="utf-8")
    return code


def keep_rows(exported: Path, rows: Path) -> None:
    """Write exported rows to where the tables are made from them: shortened and packed, the same bytes each time."""
    rows.write_bytes(gzip.compress(shortened(exported.read_text(encoding="utf-8")).encode("ascii"), mtime=0))


def shortened(rows: str) -> str:
    """Exported rows without the `cell_KEY`s, which the whole `cell` holds once more, and with all but ASCII escaped."""
    lines = []
    for line in rows.split("\n")[:-1]:
        row = {key: value for key, value in json.loads(line).items() if not key.startswith("cell_")}
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def needlepoint(*arguments: str) -> int:
    """The exit code of one command of ours. Ctrl-C is for it to handle; we wait until it has."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-m", "cli", *arguments], env=environment, cwd=ROOT) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


if __name__ == "__main__":
    study()
