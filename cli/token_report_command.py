"""`needlepoint tok report`: one HTML page about texts as tokenizers cut them."""

import itertools
from pathlib import Path

import click

from cli.options import PAGE_TO_WRITE, Encode, encoding_options, tokenizers_option
from cli.output import on_terminal, write_atomically
from cli.text_input import Source, text_input
from tokenizer.errors import UsageError

MOST_SECTIONS = 12
MOST_TOKENS = 10_000


@click.command()
@text_input
@tokenizers_option
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, MOST_TOKENS),
    default=1000,
    show_default=True,
    metavar="N",
    help=f"Show the first N tokens of each text one by one, e.g. 200; at the most {MOST_TOKENS:,}.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=PAGE_TO_WRITE,
    metavar="FILE.html",
    help="Write the page to FILE.html, e.g. tokens.html, instead of stdout.",
)
@encoding_options
def report(sources: list[Source], tokenizers: tuple[str, ...], limit: int, path: Path | None, encode: Encode) -> None:
    """Write an HTML page about how a text is cut.

    Tokens in colours, offsets, figures, merge trees, digests. The page stands alone: it needs no network and runs
    no script. Of a long text the beginning is shown token by token; the figures are of all of it. Several texts and
    tokenizers get a part each. It takes the packages of needlepoint[report].

    \b
    needlepoint tok report "How is this cut?" -o tokens.html
    needlepoint tok report -i notes.txt -t gpt2 -t o200k -o both.html
    needlepoint tok report -i notes.txt -n 200 > tokens.html
    """
    if path is None and on_terminal():
        raise UsageError("a page is not for a terminal", hint="name a file for it, e.g. -o tokens.html")
    names = dict.fromkeys(tokenizers or (None,))
    if len(sources) * len(names) > MOST_SECTIONS:
        raise UsageError(
            f"{len(sources)} texts by {len(names)} tokenizers are {len(sources) * len(names)} parts, and a page has at "
            f"the most {MOST_SECTIONS}",
            hint="name fewer of them, or write several pages",
        )
    from probes.pages import need_libraries

    need_libraries()
    from cli.token_page import Cut, Text, render
    from tokenizer.loading import load_tokenizers

    chosen = load_tokenizers(names)
    cuts = [
        Cut(text, tokenizer, encode.array(tokenizer, text.data))
        for text in itertools.starmap(Text, sources)
        for tokenizer in chosen
    ]
    data = render(cuts, most_tokens=limit).encode("utf-8")
    if path is None:
        click.echo(data, nl=False)
    else:
        write_atomically(path, data)
