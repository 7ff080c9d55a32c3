"""`needlepoint runs judge`: let a model say which facts the answers of a placement run hold, as a run of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli.options import default_store, is_export
from cli.output import OutputOptions, output_options
from cli.progress import say
from cli.run_options import RunOptions, run_options
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from probes.models.base import Model
    from probes.plan import Plan
    from probes.store import RunRow, Store

COMMAND = "runs judge"


@click.command()
@click.argument("name", metavar="[RUN]", default="latest")
@click.option(
    "--judge",
    required=True,
    metavar="MODEL",
    help="The model that judges, by its exact name and version; there is no default, e.g. anthropic/claude-sonnet-4-5.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Judge only answers with this in their cell, or of this model, block, ..., e.g. arm=before. "
    "May be repeated: values of one key are alternatives, several keys must all fit.",
)
@click.option(
    "--allow-own-answers",
    is_flag=True,
    help="Let a model judge answers that it wrote itself, which is refused otherwise; the tables say so.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="The most tokens that a verdict may have, e.g. 4000 for a judge that thinks.  [default: 512, more for many "
    "facts]",
)
@run_options
@output_options
def judge(
    name: str,
    judge: str,
    where: tuple[str, ...],
    allow_own_answers: bool,
    max_tokens: int | None,
    run: RunOptions,
    output: OutputOptions,
) -> None:
    """Let a model judge the written answers of a placement run: which facts each states, and a rating from 1 to 5.

    RUN is `latest` (the default: the newest placement run) or the beginning of an id. That run stays as it is: the
    judge's calls are a run of their own, for `runs show`, resume, export, verify and report.

    \b
    needlepoint runs judge --judge sim/judge
    needlepoint runs judge latest --judge anthropic/claude-sonnet-4-5 --dry-run
    needlepoint runs judge 2026 --judge openai/gpt-5-mini --where arm=before --where arm=after
    needlepoint runs judge latest --judge local/smollm2-135m --max-tokens 200

    The judge sees the facts and one answer, never the arm, the instruction, the text or the model's name. What coverage
    is stays the score by exact rules; the tables say how far the judge agrees with it, and what it says of each
    contrast. A verdict in another form than was asked for is missing, and counts as neither right nor wrong.
    """
    judge_and_show(name, judge, where, allow_own_answers=allow_own_answers, tokens=max_tokens, run=run, output=output)


def judge_and_show(
    name: str,
    judge: str,
    where: Sequence[str],
    *,
    allow_own_answers: bool,
    tokens: int | None,
    run: RunOptions,
    output: OutputOptions,
) -> None:
    """Plan the questions about a run's answers, ask them, and show what they found; exit 3 where verdicts are missing.

    Raises:
        UserError: there is no such run, it has no answers to judge, or the judge cannot be used.
        UsageError: the judge wrote some of the answers, and nobody allowed that.
    """
    from cli.experiment_runs import carry_on, model_loader, show_dry_run
    from probes.store import Store

    load = model_loader([judge], run)
    path = run.store or default_store()
    with Store.open(path, must_exist=True) as store:
        judged = _placement_run(store, name)
        plan = _plan(store, judged, load(), where, allow_own_answers=allow_own_answers, tokens=tokens)
        if run.dry_run:
            show_dry_run([plan], load, path, run, output)
            return
        asked = load()
        begun = store.begin_run(plan, asked, fresh=run.fresh, keep_prompts=run.keep_prompts)
        carry_on(COMMAND, store, begun, asked, run, output)


def _placement_run(store: "Store", name: str) -> "RunRow":
    """The run whose answers are judged; `latest` passes over judges' runs and those of needles."""
    runs = store.runs()
    if is_export(name):
        raise UsageError(f"{name} is a file of exported rows, and a judge reads a run of the store", hint="name a run")
    if name == "latest" and runs:
        placements = [run for run in runs if run.probe == "placement"]
        if not placements:
            raise UserError(f"no placement run in {store.path} yet", hint="run one first: needlepoint probe placement")
        return placements[0]
    found = store.find_run(name)
    if found.probe != "placement":
        other = f"it judges {found.spec['judged_run']}" if found.probe == "judge" else "its answers are single values"
        raise UsageError(
            f"run {found.id} is a {found.probe} run, and a judge reads the answers of a placement: {other}",
            hint="`needlepoint runs list` names the placement runs",
        )
    return found


def _plan(
    store: "Store",
    judged: "RunRow",
    judges: "Sequence[Model]",
    where: Sequence[str],
    *,
    allow_own_answers: bool,
    tokens: int | None,
) -> "Plan":
    """What the judge is to be asked; says where it is one of the models that it judges."""
    from dataclasses import replace

    from cli.run_views import readable_results
    from cli.trial_filters import trials_where
    from probes.experiments.judge import plan_judge, writer_like

    trials = store.trials(judged.id)
    chosen = trials_where(judged.probe, trials, where) if where else trials
    results = readable_results(store, judged, chosen)
    plan = plan_judge(judged.id, judged.spec, results, max_tokens=tokens, where=where)
    writers = dict(zip(judged.models, judged.identities, strict=True))
    own = writer_like(judges[0].name, judges[0].identity, results, writers)
    if own is None:
        return plan
    if not allow_own_answers:
        raise UsageError(
            f"{judges[0].name} would judge answers that it wrote itself, as {own}",
            hint="name another model, or allow it with --allow-own-answers; judges have been seen to favour their own",
        )
    say(f"warning: {judges[0].name} judges answers of its own")
    return replace(plan, spec={**plan.spec, "own_answers": judges[0].name})
