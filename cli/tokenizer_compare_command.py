"""`needlepoint tok compare`: tokenizers side by side on the same texts, or one by itself."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli.output import OutputOptions, output_options
from cli.text_input import stop_if_nobody_types
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from tokenizer.metrics.corpus import Lens

MOST_DIFFERENCES = 100


class Alpha(click.ParamType[float]):
    """An order of the Renyi entropy: above 0, `inf` included."""

    name = "alpha"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not number > 0:  # also for what is not a number
            self.fail(f"{str(value)!r} is no order of an entropy; give a number above 0, or inf", param, ctx)
        return number


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="TOKENIZER...")
@click.option(
    "-i",
    "--input",
    "files",
    multiple=True,
    metavar="FILE",
    help="Read texts from FILE, - for stdin; may be repeated. Also a directory, or a pattern in quotes. Each file is a "
    "document; so is each line of .jsonl and each row of .parquet.",
)
@click.option("--field", metavar="NAME", help="Where the text stands in JSONL or Parquet.  [default: text]")
@click.option(
    "--parallel",
    is_flag=True,
    help="The files say the same, in different languages: also how many tokens each takes for one of the first file.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also sequence length against the first tokenizer, entropies, shared vocabulary, typos, growing texts, other "
    "ways to choose tokens, and morphemes.",
)
@click.option(
    "--alpha", type=Alpha(), metavar="ALPHA", help="With --all: the order of the Rényi entropy.  [default: 2.5]"
)
@click.option(
    "-n",
    "--count",
    type=click.IntRange(0, MOST_DIFFERENCES),
    default=3,
    show_default=True,
    metavar="N",
    help="How many of the first and of the largest differences, and how many lines of aligned text.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Draws the resamples and, with --all, words, excerpts and pre-tokens.",
)
@output_options
def compare(
    names: tuple[str, ...],
    files: tuple[str, ...],
    field: str | None,
    parallel: bool,
    everything: bool,
    alpha: float | None,
    count: int,
    seed: int,
    output: OutputOptions,
) -> None:
    """Compare tokenizers on the same texts.

    What they spend, what they share, and where they differ. A tokenizer is small, gpt2, cl100k, o200k, or a file;
    one alone gives its own figures. All figures are ratios of totals and describe: none says which tokenizer is
    better, and they do not always foretell how well a model does (Ali et al. 2023). Bits per byte tell how well a
    tokenizer compresses: ids by how often each was seen in the first four fifths of every document, measured on the
    rest, beside zlib, zstd and xz.

    \b
    needlepoint tok compare gpt2 o200k -i notes.txt
    needlepoint tok compare cl100k mine.json -i 'corpus/*.jsonl' --all
    needlepoint tok compare gpt2 o200k -i english.txt -i german.txt --parallel
    needlepoint tok compare mine.json -i notes.txt --json
    """
    from cli.tables import emit_both
    from cli.tokenizer_compare_rows import Findings
    from cli.tokenizer_compare_tables import Report
    from tokenizer.metrics.corpus import Corpus
    from tokenizer.metrics.differences import Differences
    from tokenizer.metrics.measuring import DEFAULT_ALPHA, Wanted, measure

    if alpha is not None and not everything:
        raise UsageError("--alpha was given without --all", hint="the Rényi entropy is measured with --all only")
    files = files or ("-",)
    if "-" in files:
        stop_if_nobody_types()
    lenses = _lenses(names)
    corpus = Corpus.of_files(files, field)
    if parallel and len(corpus.files) < 2:
        raise UsageError(
            "--parallel needs two files or more that say the same", hint="name each with -i, the reference first"
        )
    if parallel and (empty := [name for name, part in corpus.groups if name and not any(corpus.documents[part])]):
        raise UserError(f"{empty[0]} is empty, and says nothing that another file says", hint="leave it out")
    wanted = Wanted(everything, parallel, DEFAULT_ALPHA if alpha is None else alpha, seed)
    measured = measure(lenses, corpus, wanted)
    differences = Differences(corpus, measured.encodings)
    findings = Findings(lenses, corpus, wanted, measured, differences, count)
    emit_both(findings.tables(), Report(findings).tables(), output)


def _lenses(names: Sequence[str]) -> "list[Lens]":
    """The tokenizers, each under the name by which it was asked for."""
    from tokenizer.loading import load_tokenizers
    from tokenizer.metrics.corpus import Lens

    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} was named twice", hint="name each tokenizer once; one alone is measured by itself")
    return list(map(Lens, names, load_tokenizers(names)))
