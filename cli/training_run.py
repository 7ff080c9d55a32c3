"""What every command that trains does alike: its options, its live line, Ctrl-C, and what it tells of the end."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import Amount
from cli.output import visible
from cli.progress import Advance, progress_bar
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from tokenizer.corpus import Chunk
    from tokenizer.training import Progress, Training

INTERRUPTED = 130  # the exit code
QUICKLY_READ = 10_000_000  # bytes; reading so few is not worth a line
LONG_PRE_TOKEN = 1000  # bytes; what is shorter is a word, however small the corpus
DOMINANT_SHARE = 0.1  # of the corpus, in its longest pre-tokens

_LEARNING_OPTIONS = (
    click.option(
        "--split",
        default="gpt2",
        show_default=True,
        metavar="gpt2|cl100k|o200k|REGEX",
        help="How text is cut before merging; no token crosses a cut.",
    ),
    click.option(
        "--layout",
        type=click.Choice(["hf", "bytes"]),
        default="hf",
        show_default=True,
        help="Order of ids. hf: special tokens, bytes, merges; bytes: bytes, merges, special tokens.",
    ),
    click.option(
        "--special",
        "special_tokens",
        multiple=True,
        metavar="TOKEN",
        help="A special token, such as <|end|>; may be repeated.",
    ),
    click.option(
        "--min-frequency",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Merge only pairs that occur at least so often.",
    ),
    click.option("--max-token-bytes", type=Amount(), metavar="N", help="Make no token that is longer."),
    click.option(
        "--max-pretoken-bytes",
        type=Amount(),
        metavar="N",
        help="Do not learn from longer pre-tokens, such as data in base64.",
    ),
    click.option(
        "--field",
        metavar="NAME",
        help="The field of JSONL, the column of Parquet that holds the text; stdin is then JSONL.  [default: text]",
    ),
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Threads that count; the result is the same.  [default: all processors]",
    ),
)


def learning_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what decides how a vocabulary is learned, as `tokenizer.training.learn` names it, and `--field`."""
    for option in reversed(_LEARNING_OPTIONS):
        command = option(command)
    return command


def check_size(size: int, special_tokens: tuple[str, ...]) -> None:
    """Refuse a size that is too small for the bytes and the special tokens."""
    smallest = 256 + len(special_tokens)
    if size < smallest:
        raise UsageError(
            f"a vocabulary of {size} cannot hold 256 bytes and {len(special_tokens)} special tokens",
            hint=f"the smallest possible size is {smallest}",
        )


class Display:
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
        self._advance(progress.done, f"newest: {quoted(progress.newest, 16)}, {rate:.2f} bytes/token")

    def close(self) -> None:
        """Take the line away."""
        self._bars.close()


class Stop:
    """Whether Ctrl-C was pressed; called, it says so."""

    def __init__(self) -> None:
        self.is_asked = False

    def __call__(self) -> bool:
        """Whether to end."""
        return self.is_asked


@contextmanager
def stopping(display: Display) -> Iterator[Stop]:
    """Let Ctrl-C end the merging in order, and a second one, or one before there is anything learned, at once.

    In another thread than the main one, or where Ctrl-C is ignored (a job in the background), nothing is changed.
    """
    stop = Stop()
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


def learn(
    corpus: "Iterable[Chunk]", options: Mapping[str, Any], jobs: int | None, display: Display, is_stopped: Stop
) -> "Training":
    """Learn as the options say; what stands in the way, and Ctrl-C, are told in two lines."""
    from tokenizer import training

    try:
        return training.learn(corpus, **options, jobs=jobs, on_merge=display.merged, interrupted=is_stopped)
    except KeyboardInterrupt:
        done = "what was learned is lost" if display.is_merging else "nothing was learned yet"
        raise Interrupted(
            f"interrupted; {done}, and nothing written", hint="a single Ctrl-C while merging keeps what was learned"
        ) from None


def notes_on_training(training: "Training", options: Mapping[str, Any]) -> list[str]:
    """Sentences about where it ended, if before its time, and about pre-tokens that are no words."""
    return [*_notes_on_the_end(training, options), *_notes_on_long_pre_tokens(training, options)]


def _notes_on_the_end(training: "Training", options: Mapping[str, Any]) -> list[str]:
    size, asked = f"{training.tokenizer.vocab_size:,} tokens", f"{options['vocab_size']:,} were asked for"
    if training.ended == "no pairs left":
        return [f"The corpus was exhausted at {size}; {asked}."]
    if training.ended == "min frequency":
        return [f"At {size} no pair was left that occurs {options['min_frequency']:,} times; {asked}."]
    if training.ended == "interrupted":
        return [f"The training was interrupted at {size}; {asked}."]
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
        notes += [f"  {size:,} bytes: {quoted(beginning)}" for beginning, size in long]
    return notes


def quoted(data: bytes, letters: int = 40) -> str:
    """Bytes for people, on one line and cut if they are many: b"\n\n" -> "'⏎⏎'"."""
    text = data[: 4 * letters].decode("utf-8", "backslashreplace").replace("\n", "⏎").replace("\t", "→")
    return f"'{visible(text[:letters])}{'...' if len(text) > letters else ''}'"
