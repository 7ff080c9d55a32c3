"""`needlepoint probe`: ask models questions whose answers depend on where things stand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cli.needle_options import needle_options
from cli.options import OrderedGroup, model_option, seed_option
from cli.output import OutputOptions, output_options
from cli.placement_options import placement_options
from cli.run_options import RunOptions, run_options
from tokenizer.errors import UsageError

Command = Callable[..., Any]

ruler_option = click.option(
    "--ruler",
    metavar="NAME|FILE",
    default="small",
    show_default=True,
    help="The tokenizer by which lengths are planned, the same for every model.",
)


def experiment_options(*, lengths: int, blocks: int, max_tokens: str, shares: str = "") -> Callable[[Command], Command]:
    """Add what every probe can be told; the numbers are its defaults, for the help only."""
    parts: list[Callable[[Command], Command]] = [
        click.option(
            "--lengths",
            metavar="N,N,...",
            help=f"Lengths of the text, {shares}in tokens of the ruler, e.g. 500,1k,2k (k is 1,000).  "
            f"[default: {lengths}]",
        ),
        click.option(
            "-n",
            "--blocks",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"How many blocks, each with texts of its own, at each length.  [default: {blocks}]",
        ),
        click.option(
            "--max-tokens",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"The most tokens that an answer may have.  [default: {max_tokens}]",
        ),
        click.option(
            "--temperature",
            multiple=True,
            type=click.FloatRange(min=0),
            metavar="T",
            help="Ask for answers at this temperature. May be repeated.  [default: none is sent]",
        ),
        click.option(
            "--samples",
            type=click.IntRange(min=1),
            metavar="K",
            help="Ask for every answer K times; a block counts once all the same.  [default: 1]",
        ),
        click.option(
            "--equivalence",
            type=click.FloatRange(min=0, min_open=True, max=100),
            metavar="POINTS",
            help="Call it no effect where a rate differs by less, for sure, than so many points.  [default: 5]",
        ),
        *(seed_option, ruler_option, run_options, output_options),
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
@needle_options
@experiment_options(
    lengths=1000,
    blocks=10,
    max_tokens="32, more for tasks with longer answers",
    shares="as shares of the smallest window, e.g. 25%,50%, or ",
)
def needle(models: tuple[str, ...], run: RunOptions, output: OutputOptions, **given: Any) -> None:
    """Hide statements in a text and ask for them: what is found, where, and what is merely guessed.

    \b
    needlepoint probe needle -m sim/u-shape -n 20
    needlepoint probe needle -m local/smollm2-135m --layout spread --layout cluster@50 --lengths 1k
    needlepoint probe needle -m sim/recency --task kv --ids short --lengths 400 --equivalence 10
    needlepoint probe needle -m sim/perfect --needles mine.toml --haystack novel.txt --task single

    Controls are asked with it, once a block: a question whose answer is not there, a question without the text, and one
    in a text of a few sentences. --no-controls leaves them out.
    """
    if given.pop("no_controls"):
        if given["controls"]:
            raise UsageError("--controls and --no-controls exclude each other", hint="give the one that you mean")
        given["controls"] = []
    _run_one("needle", models, run, output, given)


@probe.command()
@model_option
@placement_options
@experiment_options(
    lengths=400,
    blocks=10,
    max_tokens="160, more for tasks with longer answers",
    shares="as shares of the smallest window, e.g. 25%,50%, or ",
)
def placement(models: tuple[str, ...], run: RunOptions, output: OutputOptions, **given: Any) -> None:
    """Put one instruction before a text, after it, at both ends or elsewhere, each against its own control.

    \b
    needlepoint probe placement -m sim/recency -n 10
    needlepoint probe placement -m local/smollm2-135m -n 8 --lengths 400,800
    needlepoint probe placement -m sim/recency --framing chat --place before --place after -n 50
    needlepoint probe placement -m sim/perfect --document samples/meeting.json --task summary

    Ten blocks are a smoke test; fifty show differences of some ten points. --dry-run tells what a plan can show.
    """
    _run_one("placement", models, run, output, given)


@probe.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@model_option
@run_options
@output_options
def run(file: Path, models: tuple[str, ...], run: RunOptions, output: OutputOptions) -> None:
    """Run every experiment of a file.

    \b
    needlepoint probe run samples/needle.toml
    needlepoint probe run samples/placement.toml -m sim/perfect --json
    needlepoint probe run samples/question.toml -m sim/u-shape -m sim/perfect --report question.html

    The file is TOML: `models`, `seed` and `store` at the top, then a table [[experiment]] for each probe, whose keys
    are `probe` and the long options of that probe with _ for -: blocks, lengths, max_tokens, ...
    """
    from cli.experiment_runs import carry_out
    from probes.experiment_file import read_experiment_file

    asked = read_experiment_file(file)
    source = click.get_current_context().get_parameter_source
    if asked.models and source("models") is ParameterSource.ENVIRONMENT:
        models = asked.models  # what is written in the file comes before the environment
    if asked.store and (run.store is None or source("store") is ParameterSource.ENVIRONMENT):
        run = replace(run, store=asked.store)
    carry_out("probe run", asked.experiments, models=models or asked.models, run=run, output=output)


def _run_one(
    probe_name: str, models: Sequence[str], run: RunOptions, output: OutputOptions, given: dict[str, Any]
) -> None:
    """Check the options of one probe as an experiment file's would be, and carry it out."""
    from cli.experiment_runs import carry_out
    from probes.experiment_file import OPTIONS, checked, with_paths

    if given["lengths"] is not None:
        given["lengths"] = [length.strip() for length in given["lengths"].split(",")]
    values = {key: value for key, value in given.items() if value not in (None, ())}
    options = checked(OPTIONS[probe_name], with_paths(values, Path()), where=f"probe {probe_name}")
    command = f"probe {probe_name}"
    carry_out(command, [(probe_name, options)], models=models, run=run, output=output)
