"""`needlepoint tok sweep`: what a vocabulary costs and saves at every size."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import Amount, Amounts, ParameterCount
from cli.options import FILE_TO_WRITE, check_directory
from cli.output import OutputOptions, format_options, write_atomically
from cli.progress import progress_bar, say
from cli.sweep_tables import Model, Sweep, sweep_tables, without_sums
from cli.tables import emit_both
from cli.text_input import stop_if_nobody_types
from cli.training_run import INTERRUPTED, QUICKLY_READ, Display, check_size, learn, learning_options, stopping
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from tokenizer.corpus import Chunk
    from tokenizer.sweeping import DocumentSplit

HELD_OUT_SHARE = 0.1
DEFAULT_SIZES = "512,1k,2k,4k,8k,16k,32k"
PICTURES = (".svg", ".png")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option(
    "--sizes",
    type=Amounts(),
    default=DEFAULT_SIZES,
    show_default=True,
    metavar="N,N,...",
    help="The sizes to show, with the 256 bytes and the special tokens; 32k is 32768.",
)
@click.option(
    "--held-out",
    "held_out",
    multiple=True,
    metavar="FILE",
    help="Measure on this text and learn from all other; a file, directory or glob; may be repeated.",
)
@click.option(
    "--held-out-share",
    "share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="RATE",
    help="Without --held-out: measure on this share of the documents, which are not learned from; one at least.  "
    f"[default: {HELD_OUT_SHARE}]",
)
@click.option("--seed", type=int, metavar="N", help="Without --held-out: hold out others, e.g. --seed 2.  [default: 1]")
@click.option(
    "--params",
    type=ParameterCount(),
    metavar="N",
    help="Parameters of the model without embedding table and output layer, such as 33M or 1.1B; needs --dim.",
)
@click.option("--dim", type=Amount(), metavar="D", help="The width of an embedding, such as 512; needs --params.")
@click.option(
    "-o", "--output", "path", type=FILE_TO_WRITE, metavar="FILE", help="Draw the curves into FILE, .svg or .png."
)
@learning_options
@format_options
def sweep(
    *,
    files: tuple[str, ...],
    sizes: tuple[int, ...],
    held_out: tuple[str, ...],
    share: float | None,
    seed: int | None,
    params: int | None,
    dim: int | None,
    path: Path | None,
    jobs: int | None,
    field: str | None,
    output: OutputOptions,
    **learning: Any,
) -> None:
    """Show what a larger vocabulary saves and costs, from one training.

    A vocabulary is learned from FILES, as by `tok train`, up to the largest of --sizes. Its first merges are the
    smaller vocabularies, so that one run measures all sizes, on documents that were not learned from. More tokens make
    a text shorter, and the embedding table larger: with --params and --dim the two are set off against each other, and
    the sizes stand beside them that Tao et al. (2024) found best for models of such a size. The figures describe this
    text; how good a model becomes they do not say.

    Ctrl-C while merging measures what was learned so far, a second one ends at once.

    \b
    needlepoint tok sweep texts/ --sizes 1k,2k,4k,8k
    needlepoint tok sweep wiki.jsonl.zst --field body --params 85M --dim 768 -o sweep.svg
    needlepoint tok sweep "code/*.py" --held-out tests/ --split cl100k --jsonl
    """
    from tokenizer.sweeping import token_curve

    if held_out and (share is not None or seed is not None):
        given = "--seed" if share is None else "--held-out-share"
        raise UsageError(
            f"{given} says which documents are held out, and --held-out names them", hint="give one of the two"
        )
    share, seed = HELD_OUT_SHARE if share is None else share, 1 if seed is None else seed
    options = {"vocab_size": max(sizes), **learning}
    model = _model(params, dim)
    _check_before_training(options, min(sizes), path)
    texts = _Texts.found(files, held_out, share, seed, field)
    if path is not None and realpath(path) in map(realpath, texts.all_sources):
        raise UsageError(f"{path} is one of the texts, and would be overwritten", hint="draw into another file")
    texts.check_held_out()
    started = time.monotonic()
    display = Display(texts.stored_bytes, options["vocab_size"] - 256 - len(options["special_tokens"]))
    with stopping(display) as is_stopped, closing(display):
        training = learn(texts.learned(display.read), options, jobs, display, is_stopped)
    held_out_curve = token_curve(training.tokenizer, texts.held_out())
    say(f"trained and measured in {time.monotonic() - started:.1f} s")
    found = Sweep(sizes, training, held_out_curve, options, model)
    drawing = {"held_out_share": None if held_out else share, "seed": None if held_out else seed}
    tables = sweep_tables(found, drawing)
    emit_both(tables, without_sums(tables), output)
    if path is not None:
        from cli.sweep_picture import picture

        write_atomically(path, picture(found, path.suffix.lower()[1:]))
    if training.ended == "interrupted":
        raise click.exceptions.Exit(INTERRUPTED)


def _model(params: int | None, dim: int | None) -> Model | None:
    """The model that the vocabulary is for, if one was given."""
    if (params is None) != (dim is None):
        given, missing = ("--params", "--dim 512") if dim is None else ("--dim", "--params 33M")
        raise UsageError(
            f"{given} was given alone, and what a step costs depends on both", hint=f"add the other, such as {missing}"
        )
    return None if params is None or dim is None else Model(params, dim)


def _check_before_training(options: dict[str, Any], smallest: int, path: Path | None) -> None:
    """Find out what would keep the results from being shown, before an hour of training and not after it."""
    from tokenizer.splits import make_split

    check_size(smallest, options["special_tokens"])
    make_split(options["split"])
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise UsageError(f"the name {path} does not say what to draw", hint="let it end in .svg or .png")
    check_directory(path)
    from probes.pages.figures import need_matplotlib

    need_matplotlib("a picture")


@dataclass(frozen=True)
class _Texts:
    """What is learned from, and what is measured: files of their own, or a share of the documents (`split`)."""

    sources: list[str]
    held_out_sources: list[str]
    split: "DocumentSplit | None"
    field: str | None

    @classmethod
    def found(
        cls, files: Sequence[str], held_out: Sequence[str], share: float, seed: int, field: str | None
    ) -> "_Texts":
        """Find the files, and count the documents where a share of them is to be held out."""
        from tokenizer.corpus import stored_bytes
        from tokenizer.sources import find_sources, is_open_pipe
        from tokenizer.sweeping import DocumentSplit

        if {"-", "/dev/stdin"} & {*files, *held_out}:
            stop_if_nobody_types()
        sources, measured = find_sources(files), find_sources(held_out) if held_out else []
        pipes = [source for source in [*sources, *measured] if source == "-" or is_open_pipe(source)]
        if len(pipes) > len(set(pipes)):
            raise UsageError(f"{pipes[0]} is to be learned from and to be measured", hint="it can be read only once")
        if measured:
            apart = {realpath(source) for source in measured}
            sources = [source for source in sources if realpath(source) not in apart]
            if not sources:
                raise UserError("all text is held out, and nothing left to learn from", hint="name more FILES")
            return cls(sources, measured, None, field)
        if pipes:
            raise UsageError(
                "what comes through a pipe can be read only once, so that no share of it can be held out",
                hint="name the text to measure: --held-out other.txt",
            )
        with _reading("counting documents", stored_bytes(sources)) as advance:
            documents = sum(chunk.ends_document for chunk in _chunks(sources, field, advance))
        return cls(sources, [], DocumentSplit(documents, share, seed), field)

    def check_held_out(self) -> None:
        """Make sure that there is something to measure, as far as that can be seen before it is read.

        Raises:
            UserError: the files to measure are empty.
        """
        from tokenizer.sources import is_open_pipe
        from tokenizer.sweeping import nothing_to_measure

        if any(source == "-" or is_open_pipe(source) for source in self.held_out_sources):
            return
        if self.held_out_sources and not any(chunk.data for chunk in self.held_out()):
            raise nothing_to_measure()

    @property
    def all_sources(self) -> list[str]:
        """Every file that is read."""
        return [*self.sources, *self.held_out_sources]

    @property
    def stored_bytes(self) -> int | None:
        """How much there is to read for learning, as it is stored; None where nobody knows."""
        from tokenizer.corpus import stored_bytes

        return stored_bytes(self.sources)

    def learned(self, on_read: Callable[[int], None]) -> "Iterator[Chunk]":
        """The documents to learn from."""
        chunks = _chunks(self.sources, self.field, on_read)
        return chunks if self.split is None else self.split.learned(chunks)

    def held_out(self) -> "Iterator[Chunk]":
        """The documents to measure."""
        from tokenizer.corpus import has_fields, stored_bytes

        sources = self.held_out_sources or self.sources
        field = self.field if has_fields(sources, self.field) else None
        with _reading("measuring", stored_bytes(sources)) as advance:
            chunks = _chunks(sources, field, advance)
            yield from chunks if self.split is None else self.split.held_out(chunks)


@contextmanager
def _reading(label: str, size: int | None) -> Iterator[Callable[[int], None]]:
    """A live line for what takes its time; what is quickly read is not worth one."""
    if size is not None and size <= QUICKLY_READ:
        yield lambda _done: None
        return
    with progress_bar(label, size, "bytes") as advance:
        yield advance


def _chunks(sources: Sequence[str], field: str | None, on_read: Callable[[int], None]) -> "Iterator[Chunk]":
    from tokenizer.corpus import read_chunks

    return read_chunks(sources, field=field, on_read=on_read)
