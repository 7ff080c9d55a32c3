"""What a whole placement study takes beside its calls: `make bench-placement`, on a quiet machine.

A study of three arms, fifty blocks and three lengths on a simulated reader is planned, written down, run, read back,
scored, put into tables and into a page, each stage timed on its own. The budget is for all of them together.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

READER = "sim/last-instruction?rate=0.75&otherwise=0.5&spread=0.5&noise=0.5&flicker=0.5"
ARMS = ("before", "after", "bookend")
LENGTHS = (400, 800, 1600)
MOST_S = 120.0


class Stages:
    """The wall and processor time of each stage, in seconds."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a stage."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.rows.append({"stage": name, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu})


def study(folder: Path, blocks: int, measures: Sequence[str]) -> list[dict[str, Any]]:
    """Run the study, and time its stages."""
    from cli.experiment_tables import experiment_tables
    from cli.report_command import report_runs
    from cli.run_views import readable_results
    from probes.budget import Limits
    from probes.experiments.common import Ruler
    from probes.experiments.placement import PlacementOptions, plan_placement
    from probes.experiments.placement_results import SCORER, verdicts
    from probes.models import load_model
    from probes.runner import run_plan
    from probes.store import Store
    from tokenizer import load_tokenizer

    stages = Stages()
    tokenizer = load_tokenizer("small")
    ruler = Ruler("small", lambda text: tokenizer.count(text, disallowed_special=()))
    options = PlacementOptions(place=ARMS, lengths=LENGTHS, blocks=blocks, measure=tuple(measures))
    with stages.timed("plan"):
        plan = plan_placement(options, ruler)
    model = load_model(READER)
    with Store.open(folder / "runs.db") as store:
        with stages.timed("write the plan down"):
            run = store.begin_run(plan, [model])
        with stages.timed(f"run {len(plan.trials):,} trials"):
            asyncio.run(run_plan(store, run, plan, [model], limits=Limits(), on_progress=lambda _: None))
        with stages.timed("read back"):
            kept = store.find_run("latest")
            results = readable_results(store, kept, store.trials(kept.id))
        with stages.timed("score"):
            store.save_scores(SCORER, verdicts(results))
        with stages.timed("tables"):
            machine, people = experiment_tables("probe placement", "placement", results, dict(plan.spec))
        assert machine
        assert people
        with stages.timed("report"):
            report_runs(store.path, ["latest"], path=folder / "report.html")
    return stages.rows


@click.command()
@click.option("--blocks", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--measure", "measures", type=click.Choice(["coverage", "margin"]), multiple=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures as JSON.")
def main(blocks: int, measures: tuple[str, ...], output: Path | None) -> None:
    """Time a study of three arms and three lengths from its plan to its page."""
    with tempfile.TemporaryDirectory() as folder:
        rows = study(Path(folder), blocks, measures or ("coverage", "margin"))
    total = {"stage": "all of it", **{key: sum(row[key] for row in rows) for key in ("wall_s", "cpu_s")}}
    for row in [*rows, total]:
        click.echo(f"{row['stage']:<28}{row['wall_s']:>8.1f} s {row['cpu_s']:>8.1f} s of CPU")
    click.echo(f"{'budget':<28}{MOST_S:>8.0f} s")
    if output:
        output.write_text(json.dumps({"blocks": blocks, "rows": [*rows, total]}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
