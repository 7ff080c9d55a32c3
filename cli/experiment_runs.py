"""Carry out experiments: plan, keep, run, and show. Everything that can fail before a call is made fails first."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from cli.experiment_tables import emit_experiments, experiment_tables
from cli.main import version
from cli.output import OutputOptions
from cli.progress import Advance, progress_bar, say
from probes.experiment_file import OPTIONS, ExperimentOptions, checked
from probes.experiments import needle_results, placement_results
from probes.experiments.common import Ruler
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.placement import plan_placement
from probes.models import load_model
from probes.models.base import Model
from probes.plan import Plan, Result
from probes.runner import Progress, Summary, run_plan
from probes.scoring import SCORER
from probes.store import CallCounts, Run, Store
from probes.store import Score as Verdict
from tokenizer import load_tokenizer
from tokenizer.errors import UsageError
from tokenizer.places import data_directory

MISSING_TRIALS = 3  # the exit code of a run that finished with trials missing


def default_store() -> Path:
    """Where runs are kept when nothing else is said."""
    return data_directory() / "runs.db"


def make_ruler(name: str) -> Ruler:
    """The ruler of a run, from the name or path of a tokenizer."""
    tokenizer = load_tokenizer(name)
    return Ruler(name, lambda text: tokenizer.count(text, disallowed_special=()))


def make_plan(options: ExperimentOptions) -> Plan:
    """The plan of either probe."""
    ruler = make_ruler(options.ruler)
    if isinstance(options, NeedleOptions):
        return plan_needle(options, ruler)
    return plan_placement(options, ruler)


def plan_again(probe: str, spec: Mapping[str, Any]) -> Plan:
    """The plan of a run that is kept, from its spec: the same bytes, which the store checks."""
    kind = OPTIONS[probe]
    values = {key: value for key, value in spec.items() if key in kind.model_fields}
    return make_plan(checked(kind, values, where="the run's spec"))


def verdicts(probe: str, results: Sequence[Result]) -> tuple[str, list[Verdict]]:
    """The scorer's name and its verdicts, to be kept beside the answers."""
    if probe == "needle":
        return SCORER, needle_results.verdicts(needle_results.score_needles(results))
    return placement_results.SCORER, placement_results.verdicts(results)


def carry_out(
    command: str,
    experiments: Sequence[tuple[str, ExperimentOptions]],
    *,
    models: Sequence[str],
    store_path: Path | None,
    jobs: int,
    output: OutputOptions,
) -> None:
    """Run the experiments one after the other and show what they found; exit 3 where trials are missing.

    Raises:
        UsageError: no model was named.
        UserError: a model, a ruler, the store or a haystack cannot be used; nothing was sent then.
    """
    if not models:
        raise UsageError("no model to ask", hint="name one with -m, e.g. -m local/smollm2-135m or -m sim/u-shape")
    names = list(dict.fromkeys(models))  # the same model twice would count every text twice
    for name in names:
        load_model(name)
    plans = [make_plan(options) for _, options in experiments]
    found, missing = [], 0
    with Store.open(store_path or default_store()) as store:
        for plan in plans:
            asked = [load_model(name) for name in names]
            run = store.begin_run(plan, asked)
            summary = asyncio.run(run_with_progress(store, run, plan, asked, jobs))
            say(run_sentence(run, summary, store.calls(run.id)))
            results = store.results(run.id, plan)
            store.save_scores(*verdicts(plan.probe, results))
            identities = {model.name: model.identity for model in asked}
            meta = {"run": run.id, "needlepoint": version(), "models": identities, **plan.spec}
            found.append(experiment_tables(command, plan.probe, results, meta))
            missing += summary.missing + summary.failed
    emit_experiments(found, output)
    if missing:
        trials = "trial has" if missing == 1 else "trials have"
        say(f"{missing} {trials} no answer; run the same command again to try again")
        click.get_current_context().exit(MISSING_TRIALS)


async def run_with_progress(store: Store, run: Run, plan: Plan, models: Sequence[Model], jobs: int) -> Summary:
    """Run a whole plan with progress on stderr, and give the models back, whatever happens."""
    try:
        with progress_bar(f"probe {plan.probe}", len(plan.trials) * len(models), "trials") as advance:
            show = partial(show_progress, advance)
            return await run_plan(store, run, plan, models, jobs=jobs, on_progress=show, say=say)
    finally:
        for model in models:
            await model.aclose()


def show_progress(advance: Advance, progress: Progress, *, before: int = 0, note: str = "") -> None:
    """Tell a progress bar where a run is; `before` trials of others are counted with it."""
    notes = [note] if note else []
    notes += [f"{progress.failed} failed"] if progress.failed else []
    notes += ["finishing what is in flight; Ctrl-C again to cut it off"] if progress.stopping else []
    advance(before + progress.done + progress.failed, ", ".join(notes))


def run_sentence(run: Run, summary: Summary, calls: CallCounts) -> str:
    """What was done, in one line; how much of the prompts was computed, where the models say."""
    kept = f" ({summary.reused} of them kept from before)" if summary.reused else ""
    parts = [f"{summary.done} trials answered{kept}"]
    parts += [f"{count} {name}" for name, count in (("failed", summary.failed), ("lost", summary.lost)) if count]
    if calls.prompt_tokens and calls.prompt_tokens_evaluated is not None:
        share = calls.prompt_tokens_evaluated / calls.prompt_tokens
        parts.append(f"{share:.0%} of {calls.prompt_tokens:,} prompt tokens computed, the rest shared")
    return f"run {run.id}: {', '.join(parts)}"
