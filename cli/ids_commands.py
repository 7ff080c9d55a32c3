"""`needlepoint tok encode` and `decode`: from text to ids and back."""

import re
import sys
from array import array
from itertools import chain
from pathlib import Path

import click

from cli.chosen_tokenizer import load_chosen, tokenizers_meta
from cli.machine_forms import RowsByColumn
from cli.options import FILE_TO_WRITE, Encode, encoding_options, tokenizer_option
from cli.output import (
    Column,
    OutputOptions,
    Table,
    emit,
    on_terminal,
    output_options,
    visible,
    write_atomically,
)
from cli.text_input import Source, stop_if_nobody_types, text_input
from cli.token_texts import words_of
from tokenizer.errors import UsageError

LONGEST_ID = 20  # digits


@click.command()
@text_input
@tokenizer_option
@encoding_options
@output_options
def encode(sources: list[Source], tokenizer: str | None, encode: Encode, output: OutputOptions) -> None:
    """Print the ids of a text's tokens, a line for each file.

    Words on the command line are one text. An id is a token's number in the vocabulary, which is all that a model gets
    to see of a text. A special token, such as <|endoftext|>, is no text but a mark for the model; where a text spells
    one you are asked what it shall be.

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
    if output.format is None:
        for _, ids in encoded:
            click.echo(" ".join(map(str, ids)))
        return
    every = array("q", chain.from_iterable(ids for _, ids in encoded))
    names = [name for name, ids in encoded for _ in ids]
    rows = RowsByColumn({"source": names, "id": every, **words_of(chosen.decode_tokens(every))})
    emit(Table("tok encode", columns, rows, meta=tokenizers_meta([chosen])), output)


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
