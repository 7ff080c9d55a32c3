"""`needlepoint runs`: what was run, its tables and its single trials again, without calling any model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from cli.judge_command import judge
from cli.options import PAGE_TO_WRITE, OrderedGroup, default_store, is_export, store_option
from cli.output import OutputOptions, on_terminal, output_options
from cli.run_list import for_people, run_list
from cli.run_options import RunOptions, run_options
from cli.tables import emit_both
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from probes.store import RunRow, Store


@click.group(cls=OrderedGroup)
def runs() -> None:
    """See what was run so far, and its results again.

    \b
    needlepoint runs list
    needlepoint runs show latest --answers --where outcome=miss
    needlepoint runs compare latest
    needlepoint runs report latest -o run.html
    """


def _complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of runs that begin like this, for the shell; nothing where the store cannot be read."""
    try:
        with _open(context.params.get("store")) as store:
            found = store.runs()
    except UserError:
        return []
    ids = [CompletionItem(run.id, help=f"{run.probe}, {', '.join(run.models)}") for run in found]
    return [item for item in [CompletionItem("latest"), *ids] if item.value.startswith(incomplete)]


run_argument = click.argument("name", metavar="[RUN]", default="latest", shell_complete=_complete)


@runs.command("list")
@store_option
@output_options
def list_runs(store: Path | None, output: OutputOptions) -> None:
    """List the runs in the store, newest first.

    Failed trials are tried again by the same command; lost are calls that a kill or a second Ctrl-C cut off. The cost
    is that of the run's own calls; where it is unknown for some of them, it is more than is said.

    \b
    needlepoint runs list
    needlepoint runs list -d project.db --json
    """
    found: Sequence[RunRow] = ()
    if store is not None or default_store().exists():
        with _open(store) as opened:
            found = opened.runs()
    table = run_list(found)
    emit_both([table], [for_people(table)], output)


@runs.command("show")
@run_argument
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only trials with this in their cell, or this model, block, outcome, state, ..., e.g. depth=50 in %. "
    "May be repeated: values of one key are alternatives, several keys must all fit.",
)
@click.option("--prompts", is_flag=True, help="Show the prompts, made again and checked against what was sent.")
@click.option("--answers", is_flag=True, help="Show the answers, and what they were taken to say.")
@click.option("--attempts", is_flag=True, help="Show every call that the run made.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="At the most so many trials, e.g. 3.  [default: 10 on a terminal, else all]",
)
@store_option
@output_options
def show_run(
    name: str,
    where: tuple[str, ...],
    prompts: bool,
    answers: bool,
    attempts: bool,
    limit: int | None,
    store: Path | None,
    output: OutputOptions,
) -> None:
    """Show a run again: its tables, or with --prompts, --answers or --attempts its single trials.

    RUN is `latest` (the default), the beginning of an id, or a file that `runs export` wrote, packed by gzip or not.

    \b
    needlepoint runs show
    needlepoint runs show latest --json
    needlepoint runs show 2026 --answers --where outcome=miss --where depth=50
    needlepoint runs show latest --prompts --answers --attempts -n 3
    """
    from cli.run_views import show_export, show_tables, show_trials

    single = prompts or answers or attempts
    if limit is not None and not single:
        raise UsageError("--limit is for single trials", hint="add --prompts, --answers or --attempts")
    if is_export(name):
        if single or where:
            raise UsageError(f"{name} is shown as tables only", hint="its rows can be read with any program")
        show_export(Path(name), output)
        return
    with _open(store) as opened:
        found = opened.find_run(name)
        if single:
            show_trials(
                opened, found, where, prompts=prompts, answers=answers, attempts=attempts, limit=limit, output=output
            )
        else:
            show_tables(opened, found, where, output)


@runs.command()
@run_argument
@run_options
@output_options
def resume(name: str, run: RunOptions, output: OutputOptions) -> None:
    """Go on with an unfinished run, from what is kept of it alone; options say how, not what.

    What is answered stays. A run that is finished is only shown again.

    \b
    needlepoint runs resume
    needlepoint runs resume 2026 --max-cost 5
    needlepoint runs resume latest --retry-errors -j 2
    """
    from cli.run_views import resume_run

    _refuse_file(name, "its run can be gone on with where it was made; `needlepoint runs list` names the runs here")
    with _open(run.store) as opened:
        resume_run(opened, opened.find_run(name), run, output)


@runs.command()
@run_argument
@click.option(
    "--scorer",
    required=True,
    metavar="NAME[:PARAM]",
    help="value@2, value@1, contains@1, exact@1 or regex:PATTERN, e.g. 'regex:code is {value}'.",
)
@store_option
@output_options
def score(name: str, scorer: str, store: Path | None, output: OutputOptions) -> None:
    """Read the answers of a needle run by another scorer, without a call; the verdicts kept so far stay.

    Shows the run's tables by that scorer, and says how many verdicts differ from those of its own.

    \b
    needlepoint runs score latest --scorer contains@1
    needlepoint runs score latest --scorer exact@1 --json
    needlepoint runs score 2026 --scorer 'regex:(?i)passcode is {value}'
    """
    from cli.run_views import score_run

    _refuse_file(
        name, "score the run where it was made and export it again; `needlepoint runs list` names the runs here"
    )
    with _open(store) as opened:
        score_run(opened, opened.find_run(name), scorer, output)


runs.add_command(judge)


@runs.command()
@click.argument("names", metavar="[RUN]...", nargs=-1, shell_complete=_complete)
@click.option(
    "--baseline",
    metavar="RUN",
    help="Hold each model against its own in this run, or against the only one there; exit 4 where one is clearly "
    "worse, e.g. --baseline last-month.jsonl.",
)
@click.option(
    "--fail-under",
    type=float,
    metavar="RATE",
    help="Exit 4 unless the lower end of the 95% interval of the right answers, or of the coverage, is at least RATE, "
    "e.g. 0.9; with --baseline that of the difference, e.g. -0.05.",
)
@store_option
@output_options
def compare(
    names: tuple[str, ...], baseline: str | None, fail_under: float | None, store: Path | None, output: OutputOptions
) -> None:
    """Compare models side by side, on trials that are the same bytes for all of them; nothing is asked anew.

    RUN is `latest` (the default), the beginning of an id, or a file that `runs export` wrote. All models of all runs
    are compared with each other; a model that stands in several runs with other answers or in another form is several.

    \b
    needlepoint runs compare latest
    needlepoint runs compare 20261122-0934 20261122-0841 --json
    needlepoint runs compare latest --fail-under 0.9
    needlepoint runs compare latest --baseline last-month.jsonl --fail-under -0.05

    A gate passes only on what the data show: too few or missing answers do not pass --fail-under, as missing ones must
    not matter even if all were wrong. --baseline alone misses only where the data show a model worse. The overall
    difference is the declared comparison, corrected over the pairs (Holm); all others are exploratory and said to be.
    """
    from cli.compare_command import compare_and_show

    compare_and_show(names or ("latest",), baseline, fail_under, store, output)


@runs.command()
@click.argument("names", metavar="[RUN]...", nargs=-1, shell_complete=_complete)
@click.option(
    "-o",
    "--output",
    "path",
    type=PAGE_TO_WRITE,
    metavar="FILE.html",
    help="Write the page to FILE.html, e.g. report.html, instead of stdout.",
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    metavar="N",
    help="Show at the most so many prompts and answers of each run, e.g. 40; 0 shows none.",
)
@store_option
def report(names: tuple[str, ...], path: Path | None, limit: int, store: Path | None) -> None:
    """Write one HTML page about a run, or several: question, plan, figures, tables, prompts, answers, limits.

    The page stands alone: it needs no network and runs no script. RUN is `latest` (the default), the beginning of an
    id, or a file that `runs export` wrote. Models that were asked the same stand side by side on it, as `runs compare`
    has them. It takes the packages of needlepoint[report].

    \b
    needlepoint runs report -o report.html
    needlepoint runs report 20261122-0934 20261122-0841 -o both.html
    needlepoint runs report samples/study/single.jsonl.gz -n 40 > single.html
    """
    if path is None and on_terminal():
        raise UsageError("a page is not for a terminal", hint="name a file for it, e.g. -o report.html")
    from cli.report_command import report_runs

    report_runs(store, names or ("latest",), path=path, most_exchanges=limit)


class WithKeys(click.Command):
    """A command whose help ends with the keys of its rows."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click's
        """Write what each key means."""
        from probes.trial_rows import MEANINGS

        with formatter.section("Keys of a row, in this order"):
            formatter.write_dl(list(MEANINGS.items()))


@runs.command(cls=WithKeys)
@run_argument
@store_option
@output_options
def export(name: str, store: Path | None, output: OutputOptions) -> None:
    """Write a run as one row a trial, each of which stands alone; `runs show FILE` shows its tables again.

    \b
    needlepoint runs export latest -o run.jsonl
    needlepoint runs export latest -o run.csv
    needlepoint runs export 2026 --jsonl | jq .answer

    In Python `probes.exported.read_rows(path)` reads the rows back.
    """
    from cli.run_views import export_run

    _refuse_file(
        name, f"`needlepoint runs show {name}` shows its tables; `needlepoint runs list` names the runs to export"
    )
    with _open(store) as opened:
        export_run(opened, opened.find_run(name), output)


@runs.command()
@run_argument
@store_option
@output_options
def verify(name: str, store: Path | None, output: OutputOptions) -> None:
    """Check that a run is what it says: prompts made again, requests, answers, the file; exit 1 with what is wrong.

    \b
    needlepoint runs verify
    needlepoint runs verify 2026 -d project.db --json
    """
    from cli.run_views import verify_and_tell

    _refuse_file(
        name, f"`needlepoint runs show {name}` checks its rows as it reads them; `needlepoint runs list` names the runs"
    )
    with _open(store) as opened:
        verify_and_tell(opened, opened.find_run(name), output)


def _refuse_file(name: str, hint: str) -> None:
    """Exported rows are for showing, comparing and reporting; all else is done with a run of the store."""
    if is_export(name):
        raise UsageError(f"{name} is a file of exported rows, and this command takes a run of the store", hint=hint)


def _open(path: Path | None) -> "Store":
    """A store that is there already: looking at runs makes none."""
    from probes.store import Store

    return Store.open(path or default_store(), must_exist=True)
