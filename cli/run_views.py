"""What the commands of `needlepoint runs` do with a run that is kept. Only `resume` calls a model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from cli.amounts import how_many
from cli.dry_run import show_estimate
from cli.experiment_runs import carry_on, counting, plan_again
from cli.experiment_tables import Tables, emit_experiments, experiment_tables
from cli.output import Column, OutputOptions, Table, emit, on_terminal, print_tables
from cli.progress import say
from cli.run_options import RunOptions
from cli.trial_filters import trials_where
from cli.trial_view import Trials, emit_trials
from probes.estimate import estimate
from probes.experiments import needle_results
from probes.exported import ExportedRun, read_runs
from probes.identity import prompt_hash
from probes.models import load_model
from probes.models.base import Message, Model, canonical_json
from probes.plan import Plan, Result
from probes.scoring import SCORER, find_scorer
from probes.store import RunRow, Store, TrialRow, plan_moved_on
from probes.store_rows import DAMAGED
from probes.trial_rows import full_row, judged, keys_of
from probes.verify_run import Finding, changed_files, files_of, known_prompts, verify_run
from tokenizer.errors import UsageError, UserError

UNSCORED = "likelihood"  # the table that no scorer has a part in
COSTS = "cost"  # the table that is there whatever was chosen
MOST_NAMED = 5

# ------------------------------------------------------------------------------------------------------- showing


def show_tables(store: Store, run: RunRow, where: Sequence[str], output: OutputOptions) -> None:
    """The run's tables, of all its trials or of some."""
    trials = _trials(store, run)
    chosen = trials_where(run.probe, trials, where) if where else trials
    meta = {"run": run.id, **run.spec} | ({"where": list(where)} if where else {})
    tables = experiment_tables("runs show", run.probe, readable_results(store, run, chosen), meta)
    if where and not any(table.rows for table in tables[0] if table.key != COSTS):
        say("these trials make no whole figure; add --answers to see them one by one")
    emit_experiments([tables], output)


def _trials(store: Store, run: RunRow) -> list[TrialRow]:
    """Every trial of the run; says how many of the answers are no longer what was received."""
    trials = store.trials(run.id)
    damaged = [str(trial.position) for trial in trials if trial.result.error_kind == DAMAGED]
    if damaged:
        places = f"{', '.join(damaged[:MOST_NAMED])}{', ...' if len(damaged) > MOST_NAMED else ''}"
        say(
            f"warning: {len(damaged)} of {run.answered} answers in {store.path} are damaged and count as errors"
            f" (positions {places}); `needlepoint runs verify {run.id}` tells more"
        )
    return trials


def readable_results(store: Store, run: RunRow, trials: Sequence[TrialRow]) -> list[Result]:
    """The results with all that their probe reads; for a placement that is the prompts too, as it tells what is copied.

    UserError: a prompt that is needed cannot be made again.
    """
    if run.probe != "placement":  # a needle is scored from the answer alone, also where a haystack file has gone
        return [trial.result for trial in trials]
    plan, why = made_again(run)
    prompts = known_prompts(store, trials, plan)
    if any(trial.prompt_hash not in prompts for trial in trials):
        raise not_again(run, why)
    return [_with_messages(trial.result, prompts[trial.prompt_hash]) for trial in trials]


def _with_messages(result: Result, messages: tuple[Message, ...]) -> Result:
    request = replace(result.trial.request, messages=messages)
    return replace(result, trial=replace(result.trial, request=request))


def show_trials(
    store: Store,
    run: RunRow,
    where: Sequence[str],
    *,
    prompts: bool,
    answers: bool,
    attempts: bool,
    limit: int | None,
    output: OutputOptions,
) -> None:
    """Single trials of a run with what was asked for of them."""
    trials = _trials(store, run)
    chosen = trials_where(run.probe, trials, where) if where else trials
    texts = None
    if prompts:
        plan, why = made_again(run, trials)
        texts = known_prompts(store, chosen, plan)
        if unknown := sum(trial.prompt_hash not in texts for trial in chosen):
            say(f"warning: {unknown} of {len(chosen)} prompts cannot be shown, as {why or _why_not(run)}")
    calls = store.attempts(run.id) if attempts else None
    found = Trials(run.id, run.probe, chosen, answers, texts, calls)
    emit_trials(found, {"run": run.id, **run.spec}, output, limit=limit)


def show_export(path: Path, output: OutputOptions) -> None:
    """The tables of the runs in a file of exported rows, which need no store.

    UserError: the file holds no such rows, or its run is a placement whose prompts cannot be made again.
    """
    found = []
    for run in read_runs(path):
        results = readable_rows(run, path)
        meta = {"run": run.id, **run.spec}
        try:
            found.append(experiment_tables("runs show", run.probe, results, meta))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as err:
            what = f"the rows of run {run.id} in {path} make no tables ({type(err).__name__}: {err})"
            raise UserError(what, hint="export the run again: needlepoint runs export RUN") from err
    emit_experiments(found, output)


def readable_rows(run: ExportedRun, path: Path) -> tuple[Result, ...]:
    """The results of exported rows with all that their probe reads, as `readable_results` gives those of a store.

    UserError: a prompt that is needed cannot be made again.
    """
    if run.probe != "placement":
        return run.results
    plan = plan_again(run.probe, run.spec)
    prompts = {prompt_hash(trial.request): trial.request.messages for trial in plan.trials}
    if not prompts.keys() >= set(run.prompt_hashes):
        raise UserError(
            f"the prompts of run {run.id} in {path} cannot be made again, and a placement is read with its texts",
            hint="use the version of needlepoint that made it; rows of needle runs can always be shown",
        )
    pairs = zip(run.results, run.prompt_hashes, strict=True)
    return tuple(_with_messages(result, prompts[name]) for result, name in pairs)


def made_again(run: RunRow, trials: Sequence[TrialRow] = ()) -> tuple[Plan | None, str]:
    """The run's plan from its spec, or why there is none; that of a judge's run from the cells of its `trials`."""
    try:
        return plan_again(run.probe, run.spec, [trial.result.trial.cell for trial in trials]), ""
    except UserError as err:
        return None, str(err)


def not_again(run: RunRow, why: str = "") -> UserError:
    """Why the prompts of a run cannot be made again, and what to do."""
    hint = (
        "put the files back as they were"
        if changed_files(run)
        else f"use needlepoint {run.code_version}, which made it"
    )
    return UserError(
        f"the prompts of run {run.id} cannot be made again: {why or _why_not(run)}",
        hint=f"{hint}, or run the experiment again",
    )


def _why_not(run: RunRow) -> str:
    if changed := changed_files(run):
        return f"changed since then: {', '.join(changed)}"
    if files := files_of(run.spec):
        return f"what they are made of has changed since then: {', '.join(files)}, or needlepoint"
    return f"needlepoint {run.code_version} made them otherwise"


# ------------------------------------------------------------------------------------------------- going on, scoring


def resume_run(store: Store, run: RunRow, options: RunOptions, output: OutputOptions) -> None:
    """Ask what the run has no answer to yet; exit 3 where trials are missing after that.

    UserError: its prompts cannot be made again, or a model is not what it was.
    """
    if options.fresh:
        raise UsageError("a run that goes on is not --fresh", hint="give --fresh to the command that began it")
    if not store.pending(run.id, retry_errors=options.retry_errors):
        _tell_finished(store, run)
        show_tables(store, run, (), output)
        if options.report is not None:
            from cli.report_command import report_runs

            report_runs(store.path, [run.id], path=options.report)
        return
    plan, why = made_again(run, store.trials(run.id))
    if plan is None:
        raise not_again(run, why)
    if options.dry_run:
        moved = plan_moved_on(plan, run.fresh_offset or 0)
        found = estimate(moved, load_models(run, options), store.path, jobs=options.jobs)
        show_estimate([found], output, limits=options.limits(), spent=counting(store.spent(run.id)))
        return
    try:
        begun = store.resume_run(run.id, plan, keep_prompts=options.keep_prompts)
    except UserError as err:
        raise not_again(run) from err
    carry_on("runs resume", store, begun, load_models(run, options), options, output)


def _tell_finished(store: Store, run: RunRow) -> None:
    rejected = sum(state == "rejected" for state in store.states(run.id))
    also = f"; {rejected} were refused for good, --retry-errors asks them again" if rejected else ""
    say(f"run {run.id} is finished: {run.answered} of {run.trials} trials are answered{also}")


def load_models(run: RunRow, options: RunOptions) -> list[Model]:
    """The models of a run as they were, with the fields and the form that were asked for then.

    UserError: one cannot be had, or is not what it was.
    """
    models = []
    for name, identity in zip(run.models, run.identities, strict=True):
        kept = {key: identity[key] for key in ("extra", "form") if key in identity}
        model = load_model(name, base_url=options.base_url, options=replace(options.model_options(), **kept))
        now = dict(model.identity)
        if canonical_json(now) != canonical_json(dict(identity)):
            keys = [key for key in {**identity, **now} if identity.get(key) != now.get(key)]
            changes = "; ".join(f"{key} was {identity.get(key)}, is {now.get(key)}" for key in keys)
            raise UserError(
                f"{name} is not what it was when run {run.id} was begun: {changes}",
                hint="give it the address, weights and options of then (e.g. --base-url), or begin another run",
            )
        models.append(model)
    return models


def score_run(store: Store, run: RunRow, scorer: str, output: OutputOptions) -> None:
    """Keep the verdicts of another scorer beside those that are there, and show what the run is by it.

    UsageError: there is no such scorer, or the run's answers are no answers to one question.
    """
    find_scorer(scorer)
    if run.probe != "needle":
        raise UsageError(
            f"run {run.id} is a {run.probe} run; its answers are read by its own scorer",
            hint="other scorers are for needle runs: needlepoint runs list",
        )
    results = [trial.result for trial in _trials(store, run)]
    store.save_scores(scorer, needle_results.verdicts(needle_results.score_needles(results, scorer)))
    pairs = [(judged("needle", each).outcome, judged("needle", each, scorer).outcome) for each in results]
    judged_pairs = [(before, after) for before, after in pairs if before is not None]
    changed = Counter((before, after) for before, after in judged_pairs if before != after)
    kinds = ", ".join(f"{count} {before} -> {after}" for (before, after), count in changed.most_common())
    sentence = f"{changed.total()} of {len(judged_pairs)} verdicts differ from those of {SCORER}"
    say(f"{sentence}: {kinds}" if changed else sentence)
    meta = {"run": run.id, **run.spec, "scorer": scorer, "verdicts": len(judged_pairs), "differing": changed.total()}
    tables = experiment_tables("runs score", run.probe, results, meta)
    emit_experiments([_by_scorer(tables, scorer)], output)


def _by_scorer(tables: Tables, scorer: str) -> Tables:
    """The tables with the scorer's name in each row, title and sentence: what they say of the model, it says."""
    machine = [
        replace(
            table,
            columns=[*table.columns, Column("scorer", "scorer")],
            rows=[{**row, "scorer": scorer} for row in table.rows],
        )
        if table.key != UNSCORED
        else table
        for table in tables[0]
    ]
    people = [
        replace(table, title=f"By {scorer}: {table.title}", notes=[f"By {scorer}: {note}" for note in table.notes])
        if not table.key.startswith(UNSCORED)
        else table
        for table in tables[1]
    ]
    return machine, people


# ------------------------------------------------------------------------------------------------ exporting, verifying


def export_run(store: Store, run: RunRow, output: OutputOptions) -> None:
    """Every trial as a row that stands alone; JSON Lines where no form was asked for."""
    rows = [full_row(run, trial) for trial in _trials(store, run)]
    columns = [Column(key, key) for key in keys_of(rows, full=True)]
    table = Table("runs export", columns, rows, meta={"run": run.id, "models": list(run.models), **run.spec})
    emit(table, replace(output, format=output.format or "jsonl"))


def verify_and_tell(store: Store, run: RunRow, output: OutputOptions) -> None:
    """Say what is wrong with a run, and exit 1 if anything is."""
    plan, why = made_again(run, store.trials(run.id))
    found = verify_run(store, run, plan, why)
    rows = [{"kind": each.kind, "position": each.position, "trial": each.trial, "what": each.what} for each in found]
    columns = [Column(key, key.capitalize()) for key in ("kind", "position", "trial", "what")]
    machine = Table("runs verify", columns, rows, {"run": run.id, "trials": run.trials, "ok": not found}, "Wrong")
    emit(machine, output, human=lambda: _tell_people(run, machine, found))
    if any(each.kind == "prompt" for each in found) and (changed := changed_files(run)):
        say(f"written to since the run was begun: {', '.join(changed)}")
    if found:
        click.get_current_context().exit(1)


def _tell_people(run: RunRow, machine: Table, found: Sequence[Finding]) -> None:
    """One line for each kind of finding, however many trials have it."""
    if not found:
        answers = how_many(run.answered, "answer")
        click.echo(f"Run {run.id} is what it says: {run.trials:,} prompts made again, {answers}, and the file.")
        return
    if not on_terminal():
        print_tables([machine])
        return
    counts = Counter((each.kind, each.what) for each in found)
    rows = [{"kind": kind, "what": what, "count": count} for (kind, what), count in counts.items()]
    columns = [Column("kind", "Kind"), Column("what", "What"), Column("count", "How often", align="right")]
    print_tables([Table("runs verify", columns, rows, title=f"Wrong with run {run.id}")])
