"""`needlepoint runs compare`: models side by side on identical trials, from runs that are kept or exported."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import default_store, is_export
from cli.output import OutputOptions
from cli.progress import say
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from cli.experiment_tables import Tables
    from probes.comparison.compare import Comparison
    from probes.comparison.contenders import ComparedRun
    from probes.plan import Plan, Result
    from probes.store import Store

COMMAND = "runs compare"
GATE_MISSED = 4  # the exit code of a gate that was not passed


def compare_and_show(
    names: Sequence[str],
    baseline_name: str | None,
    fail_under: float | None,
    store: Path | None,
    output: OutputOptions,
) -> None:
    """Compare all models of some runs, each with each other or with the baseline's; exit 4 where a gate is missed.

    Raises:
        UserError: a run cannot be had, or there is nothing that could be compared.
        UsageError: the bar is no rate, or what was measured is none.
    """
    from cli.compare_tables import comparison_tables
    from cli.main import version
    from cli.tables import emit_both
    from probes.comparison.gate import gate_rows, gate_sentence, missed

    _check_bar(fail_under, has_baseline=baseline_name is not None)
    with ExitStack() as stack:
        runs, baseline = _read([*names], baseline_name, store, stack)
    files = [name for name in (*names, baseline_name or "") if is_export(name)]
    comparisons = _compared_or_refused(runs, baseline, files, alone=fail_under is not None)
    gates = [
        row
        for each in comparisons
        for row in gate_rows(each, fail_under=fail_under, has_baseline=baseline_name is not None)
    ]
    meta: dict[str, Any] = {
        "needlepoint": version(),
        "runs": list(dict.fromkeys(run.id for run in runs)),
        "baseline": list(dict.fromkeys(run.id for run in baseline)),
        "fail_under": fail_under,
        "contenders": {each.label: dict(each.identity) for found in comparisons for each in found.contenders},
    }
    emit_both(*comparison_tables(COMMAND, comparisons, meta, gates), output)
    for row in gates:
        say(gate_sentence(row))
    if missed(gates):
        click.get_current_context().exit(GATE_MISSED)


def _check_bar(bar: float | None, *, has_baseline: bool) -> None:
    if bar is None:
        return
    least, what = (-1.0, "a difference to the baseline") if has_baseline else (0.0, "a rate")
    if not least <= bar < 1:  # also for what is not a number
        raise UsageError(
            f"--fail-under {bar:g} is not {what} that data can show: from {least:g} to below 1",
            hint="0.9 asks for nine right answers in ten, with --baseline -0.05 for at most five points fewer",
        )


# ------------------------------------------------------------------------------------------------------- reading


def _read(
    names: Sequence[str], baseline_name: str | None, store: Path | None, stack: ExitStack
) -> tuple[list["ComparedRun"], list["ComparedRun"]]:
    """The runs that are compared, and those of the baseline."""
    opened: list[Store] = []

    def runs_of(name: str) -> "list[ComparedRun]":
        from cli.read_runs import exported_runs, kept_run
        from probes.store import Store

        if is_export(name):
            return [run.compared() for run in exported_runs(Path(name), with_plans=False)]
        if not opened:
            opened.append(stack.enter_context(Store.open(store or default_store(), must_exist=True)))
        return [kept_run(opened[0], opened[0].find_run(name)).compared()]

    baseline = runs_of(baseline_name) if baseline_name is not None else []
    return [run for name in dict.fromkeys(names) for run in runs_of(name)], baseline


def models_compared(
    command: str, run_id: str, plan: "Plan", results: "Sequence[Result]", identities: Mapping[str, Mapping[str, Any]]
) -> "Tables":
    """The models of a run that has just ended, compared: whole rows, and tables for people.

    The results hold their prompts; `identities` are those of the models, by their names.
    """
    from cli.compare_tables import comparison_tables
    from probes.comparison.compare import compare
    from probes.comparison.contenders import compared_run
    from probes.identity import prompt_hash

    hashes = [prompt_hash(each.trial.request) for each in results]
    prompts = {name: each.trial.request.messages for name, each in zip(hashes, results, strict=True)}
    trials = zip(results, hashes, (identities[each.model] for each in results), strict=True)
    run = compared_run(run_id, plan.probe, plan.spec, trials, prompts)
    return comparison_tables(command, [compare([run])], {})


# ------------------------------------------------------------------------------------------------------ comparing


def _compared_or_refused(
    runs: Sequence["ComparedRun"], baseline: Sequence["ComparedRun"], files: Sequence[str], *, alone: bool
) -> "list[Comparison]":
    """As `_compared`; rows of files that say what no run can say are refused, whatever they break."""
    try:
        return _compared(runs, baseline, alone=alone)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as err:
        if not files:
            raise
        raise UserError(
            f"the rows in {', '.join(files)} cannot be compared: one of them holds what no run has there",
            hint="export the runs again: needlepoint runs export RUN",
        ) from err


def _compared(runs: Sequence["ComparedRun"], baseline: Sequence["ComparedRun"], *, alone: bool) -> "list[Comparison]":
    """One comparison for each probe of the runs; a contender `alone` is one as well, as a gate can judge it.

    Raises:
        UserError: there is nothing to compare.
    """
    from probes.comparison.compare import compare
    from probes.comparison.outcomes import OUTCOMES

    comparisons, single = [], []
    for probe in dict.fromkeys(run.probe for run in runs):
        if probe not in OUTCOMES:
            raise UserError(
                f"a {probe}'s run holds verdicts on answers, and none of models under test",
                hint="compare the runs that were judged; `needlepoint runs list` names them",
            )
        ours, theirs = ([run for run in some if run.probe == probe] for some in (runs, baseline))
        if baseline and not theirs:
            raise UserError(
                f"the baseline holds no {probe} run, and there is one to hold against it",
                hint="give a baseline of the same experiments",
            )
        found = compare(ours, theirs)
        if len(found.contenders) > 1 or alone:
            comparisons.append(found)
        else:
            single.append((found, ours))
    if not comparisons:
        raise _only_one(*single[0])
    for found, _ in single:
        say(f"{found.probe}: {found.contenders[0].label} is the only contender, so there is nothing to compare")
    return comparisons


def _only_one(comparison: "Comparison", runs: Sequence["ComparedRun"]) -> UserError:
    [contender] = comparison.contenders
    which = f"run {runs[0].id} asks" if len(runs) == 1 else f"these {len(runs)} runs ask"
    same = ""
    if len(runs) > 1:
        apart = sum(len(run.trials) for run in runs) == len(contender.trials)
        same = (
            ", no trial of one being in another" if apart else ", and hold the same answers where they asked the same"
        )
    return UserError(
        f"{which} one model in one form, {contender.label}{same}: there is nobody to compare it with",
        hint="name a run of another model too, ask several with -m A -m B, or ask anew with --fresh",
    )
