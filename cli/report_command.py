"""`needlepoint runs report`: one HTML page about one or several runs, kept or exported. No model is called."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from cli.options import default_store, is_export
from cli.output import write_atomically
from cli.read_runs import ReadRun, exported_runs, kept_run
from cli.report_comparison import side_by_side
from cli.report_materials import material_of
from cli.visible import visible
from probes.pages import need_libraries
from probes.report import EXCHANGES, render
from probes.store import Store
from tokenizer.errors import UserError


def report_runs(
    store: Path | None, names: Sequence[str], *, path: Path | None, most_exchanges: int = EXCHANGES
) -> None:
    """Write the page about the named runs to a file, or to stdout where there is none.

    A name is that of a run in the store, or a file that `runs export` wrote; runs that were asked something alike are
    compared on the page, as `runs compare` does it.

    Raises:
        UserError: there is no such run or file, two files hold different rows of one run, prompts are needed and
            cannot be made again, or a library is absent.
    """
    need_libraries()
    files = [name for name in names if is_export(name)]
    try:
        page = _page(_read(store, names), most_exchanges)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as err:
        if not files:
            raise
        raise UserError(
            f"the rows in {', '.join(files)} make no page: one of them holds what no run has there",
            hint="export the runs again: needlepoint runs export RUN",
        ) from err
    data = page.encode("utf-8")
    if path is None:
        click.echo(data, nl=False)
    else:
        write_atomically(path, data)


def _read(path: Path | None, names: Sequence[str]) -> list[ReadRun]:
    """The runs of all names, each once, however often it is named."""
    found: dict[str, ReadRun] = {}
    with ExitStack() as stack:
        store: Store | None = None
        for name in dict.fromkeys(names):
            if is_export(name):
                read = exported_runs(Path(name), with_plans=True)
            else:
                store = store or stack.enter_context(Store.open(path or default_store(), must_exist=True))
                run = store.find_run(name)
                read = [] if run.id in found else [kept_run(store, run)]
            for each in read:
                known = found.setdefault(each.id, each)
                if known.read_from and (known.spec, known.results) != (each.spec, each.results):
                    raise UserError(
                        f"{visible(name)} holds other rows of run {each.id} than what was named before it",
                        hint="put the rows of one run into one file, e.g. with cat",
                    )
    return list(found.values())


def _page(runs: Sequence[ReadRun], most_exchanges: int) -> str:
    compared = side_by_side([run.compared() for run in runs])
    materials = [material_of(run) for run in runs]
    return render(materials, compared, visible=visible, most_exchanges=most_exchanges)
