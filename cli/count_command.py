"""`needlepoint tok count`: how many tokens texts have, with one tokenizer or with several side by side."""

from collections.abc import Sequence
from typing import Any

import click

from cli.chosen_tokenizer import labels, load_chosen, tokenizers_meta
from cli.options import Encode, encoding_options, tokenizers_option
from cli.output import Column, OutputOptions, Table, emit, output_options, print_tables
from cli.text_input import Source, text_input

Row = dict[str, Any]
TOTAL = "total"


@click.command()
@text_input
@tokenizers_option
@encoding_options
@output_options
def count(sources: list[Source], tokenizers: tuple[str, ...], encode: Encode, output: OutputOptions) -> None:
    """Count the tokens of a text, or of many files.

    Several files are rows with their total. Several tokenizers are columns, and a ratio says how many tokens each needs
    for one of the first one's: 1.20 means a fifth more for the same text. That describes the two on this text; it does
    not say which is better.

    \b
    needlepoint tok count "How many is this?"
    git diff | needlepoint tok count
    needlepoint tok count -i 'docs/**/*.md' -t gpt2
    needlepoint tok count -i chapter1.txt -i chapter2.txt -t cl100k -t o200k
    """
    chosen = [load_chosen(name) for name in (tokenizers or [None])]
    names = [each.name for each in chosen]
    rows: list[Row] = []
    for source in sources:
        row = [_counted(source.name, each.name, len(source.data), encode.count(each, source.data)) for each in chosen]
        rows += _compared(row)
    if output.format is not None:
        keys = ("source", "bytes", "tokens", "bytes_per_token", "tokenizer", "ratio_to_first")
        emit(Table("tok count", [Column(key, key) for key in keys], rows, meta=tokenizers_meta(chosen)), output)
    elif len(rows) == 1:
        click.echo(rows[0]["tokens"])
    else:
        rows += _totals(rows, names) if len(sources) > 1 else []
        print_tables([_several_tokenizers(rows, names) if len(names) > 1 else _one_tokenizer(rows)])


def _counted(source: str, tokenizer: str, size: int, tokens: int) -> Row:
    return {
        "source": source,
        "tokenizer": tokenizer,
        "bytes": size,
        "tokens": tokens,
        "bytes_per_token": round(size / tokens, 4) if tokens else None,
    }


def _compared(counts: Sequence[Row]) -> list[Row]:
    """The counts of one text, each with its ratio to the first one's; unknown where that is no token at all."""
    first = counts[0]["tokens"]
    return [{**each, "ratio_to_first": round(each["tokens"] / first, 4) if first else None} for each in counts]


def _totals(rows: Sequence[Row], tokenizers: Sequence[str]) -> list[Row]:
    """All texts together by each tokenizer: sums, and ratios of the sums."""
    sums = []
    for number, name in enumerate(tokenizers):
        own = rows[number :: len(tokenizers)]
        sums.append(_counted(TOTAL, name, *(sum(row[key] for row in own) for key in ("bytes", "tokens"))))
    return _compared(sums)


def _one_tokenizer(rows: Sequence[Row]) -> Table:
    columns = [
        Column("source", "Text"),
        Column("bytes", "Bytes", "right"),
        Column("tokens", "Tokens", "right"),
        Column("bytes_per_token", "Bytes per token", "right", "{:.2f}".format),
    ]
    return Table("tok count", columns, rows)


def _several_tokenizers(rows: Sequence[Row], tokenizers: Sequence[str]) -> Table:
    """A row for each text: its bytes, then each tokenizer's tokens and, but for the first, their ratio to the first."""
    titles = labels(tokenizers)
    columns = [Column("source", "Text"), Column("bytes", "Bytes", "right")]
    for number, name in enumerate(tokenizers):
        columns.append(Column(f"tokens_{name}", titles[name], "right"))
        if number:
            title = "Ratio" if len(tokenizers) == 2 else f"Ratio {titles[name]}"
            columns.append(Column(f"ratio_{name}", title, "right", "{:.2f}".format))
    texts = []
    for place in range(0, len(rows), len(tokenizers)):
        counts = rows[place : place + len(tokenizers)]
        text = {"source": counts[0]["source"], "bytes": counts[0]["bytes"]}
        text |= {f"tokens_{each['tokenizer']}": each["tokens"] for each in counts}
        text |= {f"ratio_{each['tokenizer']}": each["ratio_to_first"] for each in counts}
        texts.append(text)
    note = f"Ratio: tokens for each token that {titles[tokenizers[0]]} needs for the same text."
    return Table("tok count", columns, texts, notes=[note])
