"""`needlepoint quickstart`: the whole tool on real input in four short screens.

Rounds are whole: one haystack with its six questions, and one transcript with all its arms. They go on until the calls
have taken three and a half minutes or ten rounds are done, but at least four. Everything is kept in the run store, so
that an interrupted quickstart goes on where it stopped, and a finished one shows its screens at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import default_store, store_option
from tokenizer.places import data_directory

if TYPE_CHECKING:
    from probes.plan import Plan, Result
    from probes.store import Run, Store

LEAST_ROUNDS, ROUNDS, FULL_ROUNDS = 4, 10, 20
BUDGET_S = 210.0
SMALL_BYTES = 500_000_000  # of weights
JOBS = 16  # for a simulated reader; a local model takes one call at a time


@click.command()
@click.option(
    "-m",
    "--model",
    "model_name",
    default="local/smollm2-135m",
    show_default=True,
    metavar="MODEL",
    help="The model to look at: local/NAME, local/FILE.gguf or sim/NAME.",
)
@click.option("--full", is_flag=True, help=f"Go on to {FULL_ROUNDS} rounds, however long they take.")
@store_option
def quickstart(*, model_name: str, full: bool, store: Path | None) -> None:
    """See the whole tool at work on this machine in a few minutes, without a key.

    \b
    needlepoint quickstart
    needlepoint quickstart --full
    needlepoint quickstart -m sim/u-shape

    It trains a tokenizer, hides needles, moves an instruction, and shows what came of it in four screens. Run again,
    it shows them at once.
    """
    from cli.screens import Screens, learn_tokenizer
    from probes.models import load_model
    from probes.store import Store

    store_path = store or default_store()
    load_model(model_name)  # a wrong name is told before anything is done
    screens = Screens()
    learned = learn_tokenizer()
    screens.show_tokenizer(learned)
    with Store.open(store_path) as opened:
        rounds = asyncio.run(_run_rounds(opened, model_name, full=full))
        screens.show_needles(rounds.needles, rounds.done)
        screens.show_placement(rounds.placements, rounds.done, model_words(model_name))
        screens.show_yours(
            kept={"every call": store_path, "your tokenizer": learned.path, "all the rest": data_directory()},
            results=[*rounds.needles, *rounds.placements],
            commands=[
                f"needlepoint probe needle -m {model_name} -n 10 --layout spread --layout cluster@50",
                f"needlepoint runs show {rounds.runs[1]}",
                "needlepoint tok count -i README.md -t small",
            ],
            limits=_limits(model_name, rounds, full=full),
        )


def model_words(model_name: str) -> str:
    """The model inside a sentence: "a model this small" only where its weights are small."""
    from probes.models.weights import weights_path

    provider, _, rest = model_name.partition("/")
    size = weights_path(rest).stat().st_size if provider == "local" else SMALL_BYTES
    return "a model this small" if size < SMALL_BYTES else "this model"


def _limits(model_name: str, rounds: "Rounds", *, full: bool) -> str:
    """What the run cannot tell, from what it was."""
    texts, transcripts = (group[0].trial.cell["length_tokens"] for group in (rounds.needles, rounds.placements))
    more = "" if full else " More rounds narrow the intervals: needlepoint quickstart --full."
    return (
        f"anything about other models than {model_name}, about texts longer than {texts} and transcripts longer than "
        f"{transcripts} tokens, or about other wordings; and with {rounds.done} texts and {rounds.done} transcripts "
        f"only large effects show.{more}"
    )


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds that are whole: how many, the two runs they are kept in, and their results."""

    done: int
    runs: tuple[str, ...]
    needles: list["Result"]
    placements: list["Result"]


async def _run_rounds(store: "Store", model_name: str, *, full: bool) -> Rounds:
    """Run what is missing of the rounds, one after the other, and give the results of the whole ones."""
    from cli.experiment_runs import make_plan, show_progress, verdicts
    from cli.progress import progress_bar, say
    from probes.budget import Limits
    from probes.experiments.needle import NeedleOptions
    from probes.experiments.placement import PlacementOptions
    from probes.models import load_model
    from probes.runner import run_plan

    limit = FULL_ROUNDS if full else ROUNDS
    plans = [
        make_plan(NeedleOptions(lengths=(500,), blocks=limit, controls=("absent",))),
        make_plan(PlacementOptions(lengths=(300,), blocks=limit, max_tokens=48, framing="transcript")),
    ]
    model = load_model(model_name)
    runs = [store.begin_run(plan, [model]) for plan in plans]
    done = _whole_rounds(store, runs, plans)
    if _goes_on(store, runs, done, limit, full=full):
        in_all = sum(len(plan.trials) for plan in plans)
        with progress_bar("asking the model", in_all, "trials") as advance:
            try:
                while _goes_on(store, runs, done, limit, full=full):
                    before = done * in_all // limit
                    for run, plan in zip(runs, plans, strict=True):
                        note = f"round {done + 1} of at most {limit}"
                        show = partial(show_progress, advance, before=before, note=note)
                        block = range(done, done + 1)
                        await run_plan(
                            store, run, plan, [model], limits=Limits(jobs=JOBS), blocks=block, on_progress=show, say=say
                        )
                        before += len(plan.trials) // limit
                    done += 1
            finally:
                await model.aclose()
    results = [
        [each for each in store.results(run.id, plan) if each.trial.block < done]
        for run, plan in zip(runs, plans, strict=True)
    ]
    for plan, found in zip(plans, results, strict=True):
        store.save_scores(*verdicts(plan.probe, found))
    return Rounds(done, tuple(run.id for run in runs), *results)


def _whole_rounds(store: "Store", runs: Sequence["Run"], plans: Sequence["Plan"]) -> int:
    """How many rounds, from the first on, have nothing left to send."""
    open_blocks = {
        trial.block
        for run, plan in zip(runs, plans, strict=True)
        for state, trial in zip(store.states(run.id), plan.trials, strict=True)
        if state not in ("answered", "rejected")
    }
    return min(open_blocks, default=1 + max(trial.block for plan in plans for trial in plan.trials))


def _goes_on(store: "Store", runs: Sequence["Run"], done: int, limit: int, *, full: bool) -> bool:
    """Whether there is another round to run, and time for it."""
    spent_s = sum(store.calls(run.id).latency_s for run in runs)
    return done < limit and (full or done < LEAST_ROUNDS or spent_s < BUDGET_S)
