"""`needlepoint tok train`: learn a tokenizer from a corpus."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from os.path import realpath
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import Amount, Amounts
from cli.options import FILE_TO_WRITE
from cli.output import Column, OutputOptions, Table, emit, format_options, visible
from cli.progress import Advance, progress_bar, say
from cli.text_input import stop_if_nobody_types
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.training import Progress, Training

INTERRUPTED = 130  # the exit code
DEFAULT_SIZE = 8192
QUICKLY_READ = 10_000_000  # bytes; reading so few is not worth a line
LONG_PRE_TOKEN = 1000  # bytes; what is shorter is a word, however small the corpus
DOMINANT_SHARE = 0.1  # of the corpus, in its longest pre-tokens


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
@click.option(
    "--split",
    default="gpt2",
    show_default=True,
    metavar="gpt2|cl100k|o200k|REGEX",
    help="How text is cut before merging; no token crosses a cut.",
)
@click.option(
    "--layout",
    type=click.Choice(["hf", "bytes"]),
    default="hf",
    show_default=True,
    help="Order of ids. hf: special tokens, bytes, merges; bytes: bytes, merges, special tokens.",
)
@click.option(
    "--special",
    "special_tokens",
    multiple=True,
    metavar="TOKEN",
    help="A special token, such as <|end|>; may be repeated.",
)
@click.option(
    "--min-frequency",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Merge only pairs that occur at least so often.",
)
@click.option("--max-token-bytes", type=Amount(), metavar="N", help="Make no token that is longer.")
@click.option(
    "--max-pretoken-bytes",
    type=Amount(),
    metavar="N",
    help="Do not learn from longer pre-tokens, such as data in base64.",
)
@click.option(
    "--field",
    metavar="NAME",
    help="The field of JSONL, the column of Parquet that holds the text; stdin is then JSONL.  [default: text]",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads that count; the result is the same.  [default: all processors]",
)
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
    display = _Display(stored_bytes(sources), options["vocab_size"] - 256 - len(options["special_tokens"]))
    with _stopping(display) as is_stopped:
        with closing(display):
            corpus = Corpus(read_chunks(sources, field=field, on_read=display.read))
            training = _learn(corpus, options, jobs, display, is_stopped)
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
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no directory {path.absolute().parent}", hint="make it first, or write elsewhere")
    if options["split"] not in NAMED_PATTERNS:
        check_agreement(make_split(options["split"]))
    smallest = 256 + len(options["special_tokens"])
    for asked in places.values():
        if asked > size:
            raise UsageError(f"the size {asked:,} is larger than the vocabulary, {size:,}", hint="raise --vocab-size")
        if asked < smallest:
            raise UsageError(
                f"a vocabulary of {asked} cannot hold 256 bytes and {smallest - 256} special tokens",
                hint=f"the smallest possible size is {smallest}",
            )
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


# ------------------------------------------------------------------------------------------------ while it goes on


class _Display:
    """The live line: first how much was read, then the merges."""

    def __init__(self, stored_bytes: int | None, merges: int) -> None:
        self.is_merging = False
        self._merges = merges
        self._bars = ExitStack()
        self._advance: Advance | None = None
        if stored_bytes is None or stored_bytes > QUICKLY_READ:
            self._advance = self._bars.enter_context(progress_bar("reading", stored_bytes, "bytes"))

    def read(self, done: int) -> None:
        """Show how much of the corpus was read, in bytes as they are stored."""
        if self._advance:
            self._advance(done)

    def merged(self, progress: "Progress") -> None:
        """Show the newest merge."""
        if not self.is_merging or self._advance is None:
            self.is_merging = True
            self.close()
            self._advance = self._bars.enter_context(progress_bar("training", self._merges, "merges"))
        rate = progress.corpus_bytes / progress.corpus_tokens
        self._advance(progress.done, f"newest: {_quoted(progress.newest, 16)}, {rate:.2f} bytes/token")

    def close(self) -> None:
        """Take the line away."""
        self._bars.close()


class _Stop:
    """Whether Ctrl-C was pressed; called, it says so."""

    def __init__(self) -> None:
        self.is_asked = False

    def __call__(self) -> bool:
        return self.is_asked


@contextmanager
def _stopping(display: _Display) -> Iterator[_Stop]:
    """Let Ctrl-C end the merging in order, and a second one, or one before there is anything learned, at once.

    In another thread than the main one, or where Ctrl-C is ignored (a job in the background), nothing is changed.
    """
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield stop
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_asked or not display.is_merging:
            raise KeyboardInterrupt
        stop.is_asked = True

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if previous is None else previous)


class Interrupted(UserError):
    """Ctrl-C came before there was anything to keep, or for the second time."""

    exit_code = INTERRUPTED


def _learn(
    corpus: Any, options: Mapping[str, Any], jobs: int | None, display: _Display, is_stopped: _Stop
) -> "Training":
    from tokenizer.training import learn

    try:
        return learn(corpus, **options, jobs=jobs, on_merge=display.merged, interrupted=is_stopped)
    except KeyboardInterrupt:
        done = "what was learned is lost" if display.is_merging else "nothing was learned yet"
        raise Interrupted(
            f"interrupted; {done}, and nothing written", hint="a single Ctrl-C while merging keeps what was learned"
        ) from None


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
    notes = [*_notes_on_the_end(training, options), *_notes_on_long_pre_tokens(training, options)]
    return Table("tok train", columns, rows, meta=meta, notes=notes)


def _notes_on_the_end(training: "Training", options: Mapping[str, Any]) -> list[str]:
    size, asked = f"{training.tokenizer.vocab_size:,} tokens", f"{options['vocab_size']:,} were asked for"
    if training.ended == "no pairs left":
        return [f"The corpus was exhausted at {size}; {asked}."]
    if training.ended == "min frequency":
        return [f"At {size} no pair was left that occurs {options['min_frequency']:,} times; {asked}."]
    if training.ended == "interrupted":
        return [f"The training was interrupted at {size}; {asked}. The tokenizer is valid, and smaller."]
    return []


def _notes_on_long_pre_tokens(training: "Training", options: Mapping[str, Any]) -> list[str]:
    """What was left out, and the longest pre-tokens if they are a good part of the corpus and hardly words."""
    notes = []
    limit = options["max_pretoken_bytes"] or training.corpus_bytes
    if training.left_out:
        notes.append(f"Pre-tokens longer than {limit:,} bytes were left out: {training.left_out:,}.")
    long = [(beginning, size) for beginning, size in training.longest_pre_tokens if LONG_PRE_TOKEN < size <= limit]
    share = sum(size for _, size in long) / max(1, training.corpus_bytes)
    if share > DOMINANT_SHARE:
        notes.append(f"The longest pre-tokens are {share:.0%} of the corpus; --max-pretoken-bytes leaves such out:")
        notes += [f"  {size:,} bytes: {_quoted(beginning)}" for beginning, size in long]
    return notes


def _quoted(data: bytes, letters: int = 40) -> str:
    """Bytes for people, on one line and cut if they are many: b"\n\n" -> "'⏎⏎'"."""
    text = data[: 4 * letters].decode("utf-8", "backslashreplace").replace("\n", "⏎").replace("\t", "→")
    return f"'{visible(text[:letters])}{'...' if len(text) > letters else ''}'"
