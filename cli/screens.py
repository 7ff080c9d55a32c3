"""The four screens of the quickstart. Every number and every sentence comes from what was computed just now."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from cli.output import Table, drawn, new_console, on_terminal
from cli.progress import progress_bar
from cli.tables import counted, people_table, signed
from cli.token_pieces import shapes
from cli.token_view import picture_lines
from cli.visible import visible
from probes.experiments import needle_ends, needle_results, placement_results
from probes.haystack import generate_sentences
from probes.plan import Result
from tokenizer import Tokenizer, load_tokenizer
from tokenizer.errors import UserError
from tokenizer.places import data_directory
from tokenizer.training import train_on

VOCABULARY = 1024
CORPUS_BYTES = 300_000
SENTENCE = "A needle is easy to lose and hard to find: where in the haystack did you look?"
SPLIT_CHARACTERS = "café 東京 🌍"
SEED = 1


@dataclass(frozen=True, slots=True)
class Learned:
    """A tokenizer, where it lies, what it was learned from, and how long that took (None: it was there already)."""

    tokenizer: Tokenizer
    path: Path
    source: str
    corpus_bytes: int
    seconds: float | None


def learn_tokenizer() -> Learned:
    """Train a small tokenizer on text that is on this machine, or take the one that was trained here before."""
    documents, source = _corpus()
    size = sum(len(document) for document in documents)
    path = data_directory("tokenizers") / "quickstart.json"
    with suppress(UserError):  # not there yet, or damaged: it is quickly learned again
        return Learned(load_tokenizer(str(path)), path, source, size, None)
    started = time.perf_counter()
    with progress_bar("learning a tokenizer", VOCABULARY - 256, "merges") as advance:
        tokenizer = train_on(documents, vocab_size=VOCABULARY, on_merge=lambda news: advance(news.done))
    seconds = time.perf_counter() - started
    tokenizer.save(path)
    return Learned(tokenizer, path, source, size, seconds)


def _corpus() -> tuple[list[bytes], str]:
    """Text that every machine with Python has, each chapter a document; generated prose where it was left out."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        chapters: Iterable[str] = generate_sentences("quickstart")
        source = "generated prose"
    else:
        chapters = (topics[name] for name in sorted(topics))
        source = "Python's own manual, as it comes with this Python"
    documents, size = [], 0
    for chapter in chapters:
        documents.append(chapter.encode())
        size += len(documents[-1])
        if size >= CORPUS_BYTES:
            break
    return documents, source


class Screens:
    """Writes the screens on stdout: in colour and to the terminal's width, or plainly in a pipe."""

    def __init__(self) -> None:
        self.console = new_console(highlight=False) if on_terminal() else Console(highlight=False, width=100)

    def heading(self, number: int, title: str) -> None:
        """The line over a screen."""
        self.console.print()
        self.console.rule(Text(f" {number}  {title} ", style="bold"), align="left")
        self.console.print()

    def say(self, text: str) -> None:
        """A paragraph."""
        self.console.print(Text(visible(text)))

    def command(self, text: str) -> None:
        """A line to copy: never broken, so that it stays a line."""
        self.console.print(Text(f"  {text}", style="bold"), soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table in words."""
        self.console.print()
        self.console.print(drawn(table, self.console))
        self.console.print()

    # -------------------------------------------------------------------------------------------- 1 tokenizer

    def show_tokenizer(self, learned: Learned) -> None:
        """What was learned from what, a sentence through two tokenizers, and a character in several tokens."""
        tokenizer = learned.tokenizer
        self.heading(1, "Your tokenizer")
        newest = [left + right for left, right in tokenizer.merges or ()]
        took = "It was learned here before" if learned.seconds is None else f"It took {learned.seconds:.1f} s to learn"
        self.say(
            f"{took}: {len(newest):,} merges on top of the 256 single bytes, from "
            f"{learned.corpus_bytes:,} bytes of {learned.source}."
        )
        words = [token for token in newest if token.decode("utf-8", "replace").strip().isalpha()]
        longest = sorted(words, key=len, reverse=True)[:4]
        self.say(f"Its first merges: {_quoted(newest[:8])}. Its longest words: {_quoted(longest)}.")
        small = load_tokenizer("small")
        self.say("\nOne sentence through it, and through the small tokenizer that comes with needlepoint:\n")
        for name, each in (("yours", tokenizer), (small.name, small)):
            self._show_tokens(name, each, SENTENCE)
        self.say("\nA character outside its alphabet is cut into bytes, and the bytes may part:\n")
        self._show_tokens("yours", tokenizer, SPLIT_CHARACTERS)
        self.say("\nNext, with a text of your own:")
        self.command(f'needlepoint tok show -t {from_home(learned.path)} "How is this cut?"')

    def _show_tokens(self, name: str, tokenizer: Tokenizer, text: str) -> None:
        ids = tokenizer.encode(text)
        shown = shapes(tokenizer.decode_tokens(ids))
        label = f"  {name:<6} {len(ids):>3} tokens  "
        width = self.console.width - len(label)
        lines = b"".join(picture_lines(self.console, shown, None, width=width)).decode().splitlines()
        for number, line in enumerate(lines):
            self.console.print(Text(label if number == 0 else " " * len(label)) + Text.from_ansi(line), soft_wrap=True)

    # ---------------------------------------------------------------------------------------------- 2 needles

    def show_needles(self, results: Sequence[Result], rounds: int) -> None:
        """Rates by position with their control, and sentences computed from them."""
        self.heading(2, "Where does a small model look?")
        scored = needle_results.score_needles(results)
        model = results[0].model
        self.say(
            f"Five passcodes stand in a text of about {results[0].trial.cell['length_tokens']} tokens. {model} was "
            f"asked for each of them, and for one that is not there, in {rounds} texts."
        )
        self.table(
            people_table(
                "quickstart",
                "",
                needle_results.position_rows(scored),
                [
                    ("place in the text", _place_in_text),
                    ("given when asked for", lambda row: counted(row, "asked")),
                    ("given when not asked for", lambda row: counted(row, "not_asked")),
                ],
            )
        )
        self.say("Rates with their counts and 95% intervals (Wilson). The last column is the control.")
        found = needle_ends.compare_ends(scored, seed=SEED)
        for sentence in needle_ends.ends_sentences(found) if found else ():
            self.say(sentence)
        self._say_uncounted(each.score.outcome for each in scored)

    # -------------------------------------------------------------------------------------------- 3 placement

    def show_placement(self, results: Sequence[Result], rounds: int, model: str) -> None:
        """The arms' margins against their controls, what could have been seen, and what the answers were like.

        `model` names the model inside a sentence.
        """
        self.heading(3, "Where should the instruction stand?")
        outcomes = placement_results.read_outcomes(results)
        arms = placement_results.arm_rows(outcomes, seed=SEED)
        contrasts = [
            row for row in placement_results.contrast_rows(outcomes, seed=SEED) if row["outcome"] == "margin_nats"
        ]
        length = results[0].trial.cell["length_tokens"]
        self.say(
            f"Ten facts stand in each of {rounds} transcripts, conversations of two speakers of about {length} tokens, "
            "and the instruction to summarise stands before the transcript, after it, or at both ends. The margin says "
            "how much likelier the model holds a fact's value than the other nine, after the same words in every arm: "
            "availability of facts, not a summary. The last column counts the written answers that begin as a turn of "
            "the dialogue."
        )
        self.table(
            people_table(
                "quickstart",
                "",
                [
                    {**row, "low": row["margin_low"], "high": row["margin_high"], "blocks": row["margin_blocks"]}
                    for row in arms
                ],
                [
                    ("instruction", lambda row: _ARM_WORDS[row["arm"]]),
                    ("margin (nats)", lambda row: signed(row, "margin_nats")),
                    ("transcripts", lambda row: str(row["margin_blocks"])),
                    ("continued", _dialogues_continued),
                ],
            )
        )
        for sentence in placement_results.contrast_sentences(contrasts):
            self.say(sentence)
        summaries = placement_results.instructed_summaries(outcomes)
        self.say("\n" + placement_results.manner_sentence(summaries, model))
        self._say_uncounted(summary.outcome for summary in summaries if summary.outcome != "truncated")

    def _say_uncounted(self, outcomes: Iterable[str]) -> None:
        counts = Counter(outcomes)
        left_out = [f"{counts[name]} {words}" for name, words in _UNCOUNTED.items() if counts[name]]
        if left_out:
            self.say(f"Counted in no rate: {', '.join(left_out)}.")

    # ------------------------------------------------------------------------------------------------ 4 yours

    def show_yours(
        self, *, kept: Mapping[str, Path], results: Sequence[Result], commands: Sequence[str], limits: str
    ) -> None:
        """Where everything is kept, what to try next, and what this run cannot tell."""
        self.heading(4, "Yours")
        width = max(len(name) for name in kept)
        for name, path in kept.items():
            self.console.print(Text(f"  {name:<{width}}  {from_home(path)}"), soft_wrap=True)
        self.say(f"\n{_work_sentence(results)}\n\nThree things to try:")
        for command in commands:
            self.command(command)
        self.say(f"\nWhat this cannot tell: {limits}")
        self.console.print()


_ARM_WORDS = {
    "none": "none",
    "padded-before": "none, neutral words before",
    "before": "before the transcript",
    "padded-after": "none, neutral words after",
    "after": "after the transcript",
    "bookend": "before and after",
}
_UNCOUNTED = {"truncated": "answers cut short", "error": "calls that failed"}


def from_home(path: Path) -> str:
    """A path as a shell reads it and a person says it: ~/kept/runs.db."""
    try:
        return f"~/{path.resolve().relative_to(Path.home().resolve())}"
    except (ValueError, RuntimeError):  # not below the home directory, or there is none
        return str(path)


def _place_in_text(row: Mapping[str, Any]) -> str:
    names = {0.0: "the very beginning", 1.0: "the very end"}
    return names.get(row["depth"], f"{100 * row['depth']:.0f}% into it")


def _dialogues_continued(row: Mapping[str, Any]) -> str:
    return f"{row['continued']}/{row['coverage_blocks']}" if row["coverage_blocks"] else "-"


def _quoted(tokens: Iterable[bytes]) -> str:
    return " ".join(shape.signs for token in tokens for shape in shapes([token]))


def _work_sentence(results: Sequence[Result]) -> str:
    """How many answers there are, what they took, and how much of the prompts was computed."""
    answers = [each.completion for each in results if each.completion is not None]
    sentence = f"{len(answers):,} answers took {sum(answer.latency_s for answer in answers):.0f} s of the model's time."
    counts = [(answer.usage.input_tokens, answer.usage.prompt_tokens_evaluated) for answer in answers]
    known = [(sent, computed) for sent, computed in counts if sent is not None and computed is not None]
    if known:
        sent, computed = (sum(column) for column in zip(*known, strict=True))
        sentence += (
            f" Of {sent:,} prompt tokens {computed:,} ({100 * computed / sent:.1f}%) were computed; the rest was "
            "shared with the call before."
        )
    return sentence
