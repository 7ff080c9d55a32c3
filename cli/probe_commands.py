"""`needlepoint probe`: ask models questions whose answers depend on where things stand."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cli.options import OrderedGroup, jobs_option, model_option, seed_option, store_option
from cli.output import OutputOptions, output_options

Command = Callable[..., Any]

ruler_option = click.option(
    "--ruler",
    metavar="NAME|FILE",
    default="small",
    show_default=True,
    help="The tokenizer by which lengths are planned, the same for every model.",
)


def experiment_options(*, lengths: int, blocks: int, max_tokens: int) -> Callable[[Command], Command]:
    """Add what every probe can be told; the numbers are its defaults, for the help only."""
    parts: list[Callable[[Command], Command]] = [
        click.option(
            "--lengths",
            metavar="N,N,...",
            help=f"Lengths of the text, in tokens of the ruler, e.g. 500,1000,2000.  [default: {lengths}]",
        ),
        click.option(
            "-n",
            "--blocks",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"How many texts to make of each length.  [default: {blocks}]",
        ),
        click.option(
            "--max-tokens",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"The most tokens that an answer may have.  [default: {max_tokens}]",
        ),
        *(seed_option, ruler_option, jobs_option, store_option, output_options),
    ]

    def add(command: Command) -> Command:
        for option in reversed(parts):
            command = option(command)
        return command

    return add


@click.group(cls=OrderedGroup)
def probe() -> None:
    """Ask models questions whose answers depend on where things stand in the prompt.

    \b
    needlepoint probe needle -m sim/u-shape -n 20
    needlepoint probe placement -m local/smollm2-135m -n 8
    needlepoint probe run samples/needle.toml

    Every call is kept in the run store. Running the same command again goes on where it stopped.
    """


@probe.command()
@model_option
@click.option(
    "--task",
    type=click.Choice(["multi-key"]),
    default="multi-key",
    show_default=True,
    help="multi-key: five needles of one form, a question for each, and one whose answer is not there.",
)
@click.option(
    "--layout",
    multiple=True,
    metavar="LAYOUT",
    help="spread: one needle at each of five depths; cluster@DEPTH: all five at one depth, e.g. cluster@50. "
    "May be repeated.  [default: spread]",
)
@click.option(
    "--haystack",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Hide the needles in your own text (UTF-8); may be repeated.  [default: generated prose]",
)
@experiment_options(lengths=1000, blocks=10, max_tokens=32)
def needle(models: tuple[str, ...], output: OutputOptions, **given: Any) -> None:
    """Hide five statements in a text and ask for each of them, and for one that is not there.

    \b
    needlepoint probe needle -m sim/u-shape -n 20
    needlepoint probe needle -m local/smollm2-135m --lengths 500,1000 -n 10
    needlepoint probe needle -m local/smollm2-135m --layout spread --layout cluster@50
    needlepoint probe needle -m sim/perfect --haystack novel.txt --json
    """
    _run_one("needle", models, output, given)


@probe.command()
@model_option
@click.option(
    "--framing",
    type=click.Choice(["document", "transcript"]),
    default="document",
    show_default=True,
    help="document: the text is prose; transcript: it is a conversation, a line a turn, e.g. `Ana: ...`.",
)
@click.option(
    "--place",
    multiple=True,
    type=click.Choice(["none", "padded-before", "before", "padded-after", "after", "bookend"]),
    help="Where the instruction stands; may be repeated.  [default: all six, controls included]",
)
@click.option(
    "--measure",
    multiple=True,
    type=click.Choice(["coverage", "margin"]),
    help="coverage: which facts a written summary keeps; margin: how available each fact is, by log-probability. "
    "May be repeated.  [default: both]",
)
@experiment_options(lengths=400, blocks=10, max_tokens=160)
def placement(models: tuple[str, ...], output: OutputOptions, **given: Any) -> None:
    """Put one instruction before a text, after it, or at both ends, each against its own control.

    \b
    needlepoint probe placement -m sim/recency -n 10
    needlepoint probe placement -m local/smollm2-135m -n 8 --lengths 300
    needlepoint probe placement -m local/smollm2-135m --place before --place after --measure coverage
    needlepoint probe placement -m local/smollm2-135m -n 4 --framing transcript --measure coverage
    """
    _run_one("placement", models, output, given)


@probe.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@model_option
@jobs_option
@store_option
@output_options
def run(file: Path, models: tuple[str, ...], jobs: int, store: Path | None, output: OutputOptions) -> None:
    """Run every experiment of a file.

    \b
    needlepoint probe run samples/needle.toml
    needlepoint probe run samples/placement.toml -m sim/perfect --json

    The file is TOML: `models`, `seed` and `store` at the top, then a table [[experiment]] for each probe, whose keys
    are `probe` and the long options of that probe with _ for -: blocks, lengths, max_tokens, ...
    """
    from cli.experiment_runs import carry_out
    from probes.experiment_file import read_experiment_file

    asked = read_experiment_file(file)
    source = click.get_current_context().get_parameter_source
    if asked.models and source("models") is ParameterSource.ENVIRONMENT:
        models = asked.models  # what is written in the file comes before the environment
    if asked.store and source("store") is ParameterSource.ENVIRONMENT:
        store = asked.store
    carry_out(
        "probe run",
        asked.experiments,
        models=models or asked.models,
        store_path=store or asked.store,
        jobs=jobs,
        output=output,
    )


def _run_one(probe_name: str, models: Sequence[str], output: OutputOptions, given: dict[str, Any]) -> None:
    """Check the options of one probe as an experiment file's would be, and carry it out."""
    from cli.experiment_runs import carry_out
    from probes.experiment_file import OPTIONS, checked

    store, jobs = given.pop("store"), given.pop("jobs")
    if given["lengths"] is not None:
        given["lengths"] = [length.strip() for length in given["lengths"].split(",")]
    if Path(given["ruler"]).is_file():
        given["ruler"] = str(Path(given["ruler"]).resolve())  # so that the run can be shown from anywhere
    values = {key: value for key, value in given.items() if value not in (None, ())}
    options = checked(OPTIONS[probe_name], values, where=f"probe {probe_name}")
    command = f"probe {probe_name}"
    carry_out(command, [(probe_name, options)], models=models, store_path=store, jobs=jobs, output=output)
