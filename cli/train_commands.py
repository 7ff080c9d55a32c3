"""`needlepoint tok train`: learn a tokenizer from a corpus."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import Amount, Amounts
from cli.options import FILE_TO_WRITE, check_directory
from cli.output import Column, OutputOptions, Table, emit, format_options
from cli.progress import say
from cli.text_input import stop_if_nobody_types
from cli.training_run import INTERRUPTED, Display, check_size, learn, learning_options, notes_on_training, stopping
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.training import Training

DEFAULT_SIZE = 8192


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=FILE_TO_WRITE,
    metavar="FILE",
    help="Where to write the tokenizer, a Hugging Face tokenizer.json. What training knew goes beside it: "
    "mine.train.json for mine.json.",
)
@click.option(
    "--vocab-size",
    type=Amount(),
    metavar="N",
    help="How many tokens there may be, with the 256 bytes and the special tokens; 32k is 32768.  "
    f"[default: the largest of --sizes, else {DEFAULT_SIZE}]",
)
@click.option(
    "--sizes",
    type=Amounts(),
    default=(),
    metavar="N,N,...",
    help="Write a vocabulary of each of these sizes, too, from the same run: mine-1024.json and so on for mine.json.",
)
@learning_options
@format_options
def train(
    *,
    files: tuple[str, ...],
    path: Path,
    vocab_size: int | None,
    sizes: tuple[int, ...],
    jobs: int | None,
    field: str | None,
    output: OutputOptions,
    **learning: Any,
) -> None:
    """Learn a byte-level BPE tokenizer from texts.

    Byte pair encoding (BPE) starts from single bytes and merges, again and again, the two neighbours that stand side by
    side most often. A text is split into pre-tokens first, mostly words, and no merge crosses their ends.

    FILES are files, directories, globs, URLs or - for stdin. A file is one document; each line of .jsonl and each row
    of .parquet is one. All but Parquet may be compressed (.gz, .zst).

    Ctrl-C while merging keeps what was learned, a second one ends at once.

    \b
    needlepoint tok train texts/ -o mine.json
    needlepoint tok train *.txt -o mine.json --vocab-size 32k --split cl100k
    needlepoint tok train "code/**/*.jsonl.gz" --field content -o code.json --special "<|end|>"
    zcat wiki.gz | needlepoint tok train - -o wiki.json --sizes 1k,2k,4k,8k
    """
    from tokenizer.corpus import Corpus, read_chunks, stored_bytes
    from tokenizer.sources import find_sources

    options = {"vocab_size": vocab_size or max(sizes, default=DEFAULT_SIZE), **learning}
    places = {path: options["vocab_size"]} | {path.with_name(f"{path.stem}-{size}.json"): size for size in sizes}
    _check_before_training(places, options)
    if {"-", "/dev/stdin"} & set(files):
        stop_if_nobody_types()
    sources = _without_outputs(find_sources(files), places)
    started = time.monotonic()
    display = Display(stored_bytes(sources), options["vocab_size"] - 256 - len(options["special_tokens"]))
    with stopping(display) as is_stopped:
        with closing(display):
            corpus = Corpus(read_chunks(sources, field=field, on_read=display.read))
            training = learn(corpus, options, jobs, display, is_stopped)
        training_s = round(time.monotonic() - started, 3)
        say(f"{'interrupted after' if training.ended == 'interrupted' else 'trained in'} {training_s:.1f} s")
        record = {"corpus": corpus, "sources": files, "options": options | ({"field": field} if field else {})}
        rows = _write(places, training, record)
    emit(_training_table(rows, training, options, training_s), output)
    if training.ended == "interrupted":
        raise click.exceptions.Exit(INTERRUPTED)


def _check_before_training(places: Mapping[Path, int], options: Mapping[str, Any]) -> None:
    """Find out what would keep the results from being written, before an hour of training and not after it."""
    from tokenizer.formats import format_of
    from tokenizer.formats.agreement import check_agreement
    from tokenizer.formats.files import check_writable
    from tokenizer.splits import NAMED_PATTERNS, make_split
    from tokenizer.training_record import record_path

    path, size = next(iter(places.items()))
    if path.suffix != ".json":
        raise UsageError(f"{path} would hold a tokenizer.json", hint="let its name end in .json")
    if format_of(path) != "tokenizer.json" or path.suffixes[-2:] == [".train", ".json"]:
        raise UsageError(f"{path} is the name of another kind of file", hint="choose another name, such as mine.json")
    check_directory(path)
    if options["split"] not in NAMED_PATTERNS:
        check_agreement(make_split(options["split"]))
    for asked in places.values():
        if asked > size:
            raise UsageError(f"the size {asked:,} is larger than the vocabulary, {size:,}", hint="raise --vocab-size")
        check_size(asked, options["special_tokens"])
    check_writable(written for place in places for written in (place, record_path(place)))


def _without_outputs(sources: Sequence[str], places: Mapping[Path, int]) -> list[str]:
    """The sources but for what this command wrote before: the directory of the texts may be that of the tokenizer."""
    from tokenizer.training_record import record_path

    read = {source: realpath(source) for source in sources}
    for place in places:
        if realpath(place) in read.values() and not record_path(place).exists():
            raise UsageError(f"{place} is one of the texts, and would be overwritten", hint="write to another file")
    written = {realpath(name) for place in places for name in (place, record_path(place))}
    kept = [source for source in sources if read[source] not in written]
    if not kept:
        raise UserError("there is nothing to learn from but the tokenizer itself", hint="name files that hold text")
    return kept


# ------------------------------------------------------------------------------------------------ what came of it


def _write(places: Mapping[Path, int], training: "Training", record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write every vocabulary that was reached, each with its record; return a row for each."""
    from tokenizer.training import smaller
    from tokenizer.training_record import record_path, save_trained

    learned = training.tokenizer
    main = next(iter(places))
    rows = []
    for path, size in places.items():
        if path != main and size > learned.vocab_size:
            say(f"{path} was not written: the vocabulary ended at {learned.vocab_size:,} tokens")
            continue
        tokenizer = learned if path == main else smaller(learned, size)
        verb = "replaced" if path.exists() else "wrote"
        save_trained(path, tokenizer, training, **record)
        say(f"{verb} {path} and {record_path(path)}")
        rows.append(_row(path, tokenizer, training))
    return rows


def _row(path: Path, tokenizer: "Tokenizer", training: "Training") -> dict[str, Any]:
    merges = len(tokenizer.merges or ())
    tokens = training.corpus_tokens[merges - 1] if merges else training.corpus_bytes
    known = tokens > 0 and not training.left_out  # else they are those of a part of the corpus
    return {
        "file": str(path),
        "vocab_size": tokenizer.vocab_size,
        "merges": merges,
        "corpus_bytes": training.corpus_bytes,
        "corpus_tokens": tokens if known else None,
        "bytes_per_token": training.corpus_bytes / tokens if known else None,
    }


def _training_table(
    rows: Sequence[dict[str, Any]], training: "Training", options: Mapping[str, Any], training_s: float
) -> Table:
    from tokenizer.training_record import longest_pre_tokens

    columns = [
        Column("file", "Tokenizer"),
        Column("vocab_size", "Vocabulary", "right"),
        Column("merges", "Merges", "right"),
        Column("corpus_bytes", "Corpus bytes", "right"),
        Column("corpus_tokens", "Corpus tokens", "right"),
        Column("bytes_per_token", "Bytes per token", "right"),
    ]
    meta = {
        "training_s": training_s,
        "ended": training.ended,
        "engine": training.engine,
        "documents": training.documents,
        "pre_tokens": training.pre_tokens,
        "distinct_pre_tokens": training.distinct_pre_tokens,
        "left_out_pre_tokens": training.left_out,
        "longest_pre_tokens": longest_pre_tokens(training),
    }
    notes = notes_on_training(training, options)
    if training.ended == "interrupted":
        notes.append("The tokenizer is valid, and smaller.")
    return Table("tok train", columns, rows, meta=meta, notes=notes)
