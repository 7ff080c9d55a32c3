"""Carry out experiments: plan, keep, run, and show. Everything that can fail before a call is made fails first."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click

from cli.amounts import how_many
from cli.compare_command import models_compared
from cli.experiment_tables import Tables, emit_experiments, experiment_tables
from cli.main import version
from cli.options import default_store
from cli.output import OutputOptions
from cli.progress import Advance, progress_bar, say
from cli.run_options import RunOptions
from probes.budget import NOTHING, Amount, usd
from probes.experiment_file import ExperimentOptions, options_of_spec, with_windows
from probes.experiments import judge_results, needle_results, placement_results
from probes.experiments.common import Ruler
from probes.experiments.judge import plan_of_cells
from probes.experiments.measures import with_possible_measures
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.placement import plan_placement
from probes.models import load_model
from probes.models.base import AccessDenied, ContextTooLong, Model
from probes.plan import Plan, Result
from probes.runner import run_plan
from probes.scoring import SCORER
from probes.standing import Progress, Summary
from probes.store import CallCounts, Run, Spent, Store
from probes.store import Score as Verdict
from tokenizer import load_tokenizer
from tokenizer.errors import UsageError

MISSING_TRIALS = 3  # the exit code of a run that finished with trials missing


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


def plan_again(probe: str, spec: Mapping[str, Any], cells: Iterable[Mapping[str, Any]] = ()) -> Plan:
    """The plan of a run that is kept, from its spec: the same bytes, which the store checks.

    A judge's run has what it asked about in the `cells` of its trials, which must all be there, in their order.
    """
    if probe == "judge":
        return plan_of_cells(spec, cells)
    return make_plan(options_of_spec(probe, spec))


def verdicts(probe: str, results: Sequence[Result]) -> tuple[str, list[Verdict]]:
    """The scorer's name and its verdicts, to be kept beside the answers."""
    if probe == "needle":
        return SCORER, needle_results.verdicts(needle_results.score_needles(results))
    if probe == "judge":
        return judge_results.SCORER, judge_results.verdicts(results)
    return placement_results.SCORER, placement_results.verdicts(results)


@dataclass(slots=True)
class _Carried:
    """What the runs of one command came to: ids, tables, trials without an answer, money and tokens so far."""

    runs: list[str] = field(default_factory=list)
    tables: list[Tables] = field(default_factory=list)
    missing: int = 0
    stopped: bool = False
    spent: Amount = NOTHING


def carry_out(
    command: str,
    experiments: Sequence[tuple[str, ExperimentOptions]],
    *,
    models: Sequence[str],
    run: RunOptions,
    output: OutputOptions,
) -> None:
    """Run the experiments one after the other and show what they found; exit 3 where trials are missing.

    Raises:
        UsageError: no model was named, or one base URL for several.
        UserError: a model, a ruler, the store or a haystack cannot be used; nothing was sent then.
    """
    load = model_loader(models, run)
    plans = [make_plan(_as_the_models_can(options, load())) for _, options in experiments]
    path = run.store or default_store()
    if run.dry_run:
        show_dry_run(plans, load, path, run, output)
        return
    carried = _Carried()
    with Store.open(path) as store:
        for plan in plans:
            asked = load()
            begun = store.begin_run(plan, asked, fresh=run.fresh, keep_prompts=run.keep_prompts)
            _carry_through(command, store, begun, asked, run, carried)
            if carried.stopped:
                break  # the limits hold for all of the command
    _show(carried, path, run.report, output)


def _as_the_models_can(options: ExperimentOptions, models: Sequence[Model]) -> ExperimentOptions:
    """The options with lengths in tokens and with measures that every model can be asked for; says what is left out."""
    fitting, word = with_possible_measures(with_windows(options, [model.traits.window for model in models]), models)
    if word:
        say(word)
    return fitting


def show_dry_run(
    plans: Sequence[Plan], load: Callable[[], list[Model]], path: Path, run: RunOptions, output: OutputOptions
) -> None:
    """Show what the plans would take of the models, and keep nothing; `path` is that of the store."""
    from cli.dry_run import show_estimate
    from probes.estimate import estimate
    from probes.experience import spent_before

    estimates = [estimate(plan, load(), path, jobs=run.jobs, fresh=run.fresh) for plan in plans]
    spent = [] if run.fresh else [spent_before(path, plan, load()) for plan in plans]
    before = [counting(each) for each in spent if each]
    show_estimate(estimates, output, limits=run.limits(), spent=sum_of(before))


def carry_on(
    command: str, store: Store, run: Run, models: Sequence[Model], options: RunOptions, output: OutputOptions
) -> None:
    """Go on with one run that is begun already, and show what it found; exit 3 where trials are missing."""
    carried = _Carried()
    _carry_through(command, store, run, models, options, carried)
    _show(carried, store.path, options.report, output)


def _carry_through(
    command: str, store: Store, run: Run, models: Sequence[Model], options: RunOptions, carried: _Carried
) -> None:
    """Run one plan to its end, say what it came to, and keep its tables for the end of the command."""
    try:
        summary = asyncio.run(run_with_progress(store, run, models, options, carried.spent))
    except (AccessDenied, ContextTooLong, UsageError):
        store.forget_unsent(run)
        raise
    plan, results, spent = run.plan, store.results(run.id, run.plan), store.spent(run.id)
    tell_outcome(store, run, summary, results)
    store.save_scores(*verdicts(plan.probe, results))
    identities = {model.name: model.identity for model in models}
    meta = {"run": run.id, "needlepoint": version(), "models": identities, **plan.spec}
    machine, people = experiment_tables(command, plan.probe, results, meta)
    if command == "probe run" and len(models) > 1:
        compared = models_compared(command, run.id, plan, results, identities)
        machine, people = [*machine, *compared[0]], [*people, *compared[1]]
    carried.runs.append(run.id)
    carried.tables.append((machine, people))
    carried.missing += summary.missing + summary.failed
    carried.stopped = summary.stopped is not None
    carried.spent = sum_of([carried.spent, counting(spent)])


def counting(spent: Spent) -> Amount:
    """What counts with the limits of a run that goes on: what its calls cost, and what lost ones may have cost."""
    return Amount(spent.known_nano_usd + spent.lost_at_most_nano_usd, spent.input_tokens + spent.output_tokens)


def sum_of(amounts: Sequence[Amount]) -> Amount:
    """All of them together; money that is unknown is left out."""
    return Amount(sum(each.nano_usd or 0 for each in amounts), sum(each.tokens for each in amounts))


def _show(carried: _Carried, store: Path, page: Path | None, output: OutputOptions) -> None:
    """Show the tables, write the page about all runs where one was asked for, and exit 3 where trials are missing."""
    emit_experiments(carried.tables, output)
    if page is not None:
        from cli.report_command import report_runs

        report_runs(store, carried.runs, path=page)
    if carried.missing:
        trials = "trial has" if carried.missing == 1 else "trials have"
        again = "give it more to go on" if carried.stopped else "run the same command again to try again"
        say(f"{carried.missing} {trials} no answer; {again}")
        click.get_current_context().exit(MISSING_TRIALS)


def model_loader(models: Sequence[str], run: RunOptions) -> Callable[[], list[Model]]:
    """What makes the models, each time anew, as none outlives its event loop. They are made once here, for the errors.

    Raises:
        UsageError: no model, or one base URL for several.
        UserError: one of them cannot be used.
    """
    names = list(dict.fromkeys(models))  # the same model twice would count every text twice
    if not names:
        raise UsageError("no model to ask", hint="name one with -m, e.g. -m local/smollm2-135m or -m sim/u-shape")
    if run.base_url and len(names) > 1:
        raise UsageError(
            "--base-url is the address of one model, and there are more", hint="write endpoints into the config file"
        )
    _check_options_fit(names, run)
    options = run.model_options()

    def load() -> list[Model]:
        return [load_model(name, base_url=run.base_url, options=options) for name in names]

    load()
    return load


def _check_options_fit(names: Sequence[str], run: RunOptions) -> None:
    """Refuse an option that no model of the run would take note of."""
    kinds = {name.partition("/")[0] for name in names}
    if run.extra and kinds <= {"local", "sim"}:
        raise UsageError("--extra is sent to servers, and no model here has one", hint="leave it out")
    if (run.form or run.threads) and "local" not in kinds:
        raise UsageError("--form and --threads are for local models, and there is none", hint="leave them out")


async def run_with_progress(
    store: Store, run: Run, models: Sequence[Model], options: RunOptions, spent_before: Amount
) -> Summary:
    """Run a whole plan with progress on stderr, and give the models back, whatever happens."""
    try:
        with progress_bar(f"probe {run.plan.probe}", len(run.trial_ids), "trials") as advance:
            return await run_plan(
                store,
                run,
                run.plan,
                models,
                limits=options.limits(),
                spent_before=spent_before,
                on_progress=partial(show_progress, advance),
                say=say,
                retry_errors=options.retry_errors,
            )
    finally:
        for model in models:
            await model.aclose()


def show_progress(advance: Advance, progress: Progress, *, before: int = 0, note: str = "") -> None:
    """Tell a progress bar where a run is; `before` trials of others are counted with it."""
    notes = [note] if note else []
    is_parallel = progress.limit > 1 and progress.done + progress.failed < progress.total
    notes += [f"{progress.in_flight} in flight of {progress.limit} at once"] if is_parallel else []
    notes += [how_many(progress.retries, "retry", "retries")] if progress.retries else []
    notes += [f"{progress.failed} failed"] if progress.failed else []
    notes += [f"{usd(progress.spent_nano_usd)} spent"] if progress.spent_nano_usd else []
    notes += [f"{progress.unpriced} of unknown price"] if progress.unpriced else []
    notes += ["finishing what is in flight; Ctrl-C again to cut it off"] if progress.stopping else []
    advance(before + progress.done + progress.failed, ", ".join(notes))


def tell_outcome(store: Store, run: Run, summary: Summary, results: Sequence[Result]) -> None:
    """Say what a run has come to: its trials, its money, and what is not as it should be."""
    say(run_sentence(run, summary, store.calls(run.id)))
    for line in (*failure_lines(results), *money_lines(store.spent(run.id)), *served_lines(results)):
        say(line)
    if summary.stopped:
        say(f"stopped: {summary.stopped}; give more to go on from here")


def run_sentence(run: Run, summary: Summary, calls: CallCounts) -> str:
    """What was done, in one line; how much of the prompts was computed, where the models say."""
    kept = f" ({summary.reused} of them kept from before)" if summary.reused else ""
    parts = [f"{summary.done} trials answered{kept}"]
    parts += [f"{count} {name}" for name, count in (("failed", summary.failed), ("lost", summary.lost)) if count]
    if calls.prompt_tokens and calls.prompt_tokens_evaluated is not None:
        share = calls.prompt_tokens_evaluated / calls.prompt_tokens
        parts.append(f"{share:.0%} of {calls.prompt_tokens:,} prompt tokens computed, the rest shared")
    return f"run {run.id}: {', '.join(parts)}"


def failure_lines(results: Sequence[Result]) -> list[str]:
    """What most of the failed trials failed for."""
    reasons = Counter(result.error_text or "no reason is known" for result in results if result.error_kind)
    if not reasons:
        return []
    (reason, count), total = reasons.most_common(1)[0], reasons.total()
    return [f"failed: {reason} ({count} of {total}; `needlepoint runs show --attempts` tells each)"]


def money_lines(spent: Spent) -> list[str]:
    """What a run's own calls cost, from its first start on; nothing where that is nothing."""
    lines = []
    if spent.known_nano_usd:
        lines.append(
            f"cost: {usd(spent.known_nano_usd)} for {spent.input_tokens:,} prompt and"
            f" {spent.output_tokens:,} answer tokens"
        )
    if spent.unknown_calls:
        calls = how_many(spent.unknown_calls, "call")
        lines.append(f"cost: unknown for {calls}; prices can be given in the config file")
    if spent.lost_at_most_nano_usd:
        lines.append(
            f"cost: up to {usd(spent.lost_at_most_nano_usd)} more may have been billed for calls without an end"
        )
    return lines


def served_lines(results: Sequence[Result]) -> list[str]:
    """A warning for each model that was not one and the same model all the time, by its server's own words."""
    served: dict[str, Counter[str]] = {}
    for result in results:
        if result.completion and result.completion.model:
            served.setdefault(result.model, Counter())[result.completion.model] += 1
    return [
        f"warning: {name} was answered by {len(counts)} models: "
        + ", ".join(f"{one} ({count})" for one, count in counts.most_common())
        + "; name one of them to compare like with like"
        for name, counts in served.items()
        if len(counts) > 1
    ]
