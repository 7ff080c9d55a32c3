"""`needlepoint tok convert` and `tok verify`: other formats, and whether other engines agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import Column, OutputOptions, Table, emit, format_options, output_options, print_tables, visible
from cli.progress import say
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.formats.verification import Verdict

SHOWN_TEXT = 40  # characters of a text in a message


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--split",
    metavar="gpt2|cl100k|o200k|REGEX",
    help="How SOURCE cuts text, if it does not say so itself: .tiktoken, or vocab.json with merges.txt.",
)
@click.option(
    "--special",
    "special_tokens",
    multiple=True,
    metavar="TOKEN[=ID]",
    help="A special token of such a SOURCE, with its id if SOURCE does not have it; may be repeated.",
)
@format_options
def convert(
    *, source: str, target: str, split: str | None, special_tokens: tuple[str, ...], output: OutputOptions
) -> None:
    """Write a tokenizer in another format, ids unchanged.

    SOURCE is a name or a file; TARGET's name says the format: .json (tokenizer.json), .tiktoken, .model (minbpe), or
    vocab.json, which gets a merges.txt beside it, as does a directory. A model's .gguf can be read, too.

    \b
    needlepoint tok convert mine.json mine.tiktoken
    needlepoint tok convert model.gguf model.json
    needlepoint tok convert gpt2/vocab.json gpt2.json --split gpt2 --special "<|endoftext|>"
    needlepoint tok convert cl100k cl100k.json
    """
    from tokenizer import formats, load_tokenizer

    tokenizer = load_tokenizer(source, split=split, special_tokens=formats.given_special_tokens(special_tokens))
    path = Path(target)
    if target.endswith("/"):
        path /= "vocab.json"
    _check_before_writing(target, path)
    replaced = formats.is_file(path) and not path.is_dir()
    for note in formats.write(tokenizer, path):
        say(note)
    texts = _check_written(tokenizer, path)
    say(f"{'replaced' if replaced else 'wrote'} {path}; read back, it gives the same ids for {texts} texts")
    row = {
        "source": source,
        "target": str(path),
        "format": formats.format_of(path),
        "vocab_size": tokenizer.vocab_size,
        "special_tokens": len(tokenizer.special_tokens),
        "checked_texts": texts,
    }
    columns = [
        Column("source", "From"),
        Column("target", "To"),
        Column("format", "Format"),
        Column("vocab_size", "Vocabulary", "right"),
        Column("special_tokens", "Special tokens", "right"),
        Column("checked_texts", "Texts checked", "right"),
    ]
    emit(Table("tok convert", columns, [row]), output)


def _check_before_writing(target: str, path: Path) -> None:
    from tokenizer.training_record import record_path

    if not target:
        raise UsageError("TARGET is empty", hint="name a file, such as mine.json")
    if path.suffix == ".json" and record_path(path).exists():
        raise UserError(
            f"{record_path(path)} is the record of how another {path.name} was trained",
            hint="write to another file, or delete the record first",
        )


def _check_written(tokenizer: "Tokenizer", path: Path) -> int:
    """Read what was written and encode awkward texts by both; return how many."""
    from tokenizer import formats
    from tokenizer.formats.verification import texts

    silent = formats.format_of(path) in formats.SILENT
    given = formats.Given(tokenizer.split, tokenizer.special_tokens) if silent else None
    written = formats.read(path, str(path), given)
    tried = list(texts(tokenizer))
    for text in tried:
        one, other = (each.encode(text, allowed_special="all") for each in (tokenizer, written))
        if one != other:
            raise UserError(
                f"{path} was written, but gives other ids for '{visible(text[:SHOWN_TEXT])}'",
                hint="do not use it; please report this as a fault of needlepoint",
            )
    return len(tried)


@click.command()
@click.argument("tokenizer")
@click.option(
    "--against",
    type=click.Choice(["hf", "tiktoken"]),
    help="The one package to compare with: hf is `tokenizers`.  [default: both]",
)
@click.option("--split", metavar="gpt2|cl100k|o200k|REGEX", help="As in `tok convert`.")
@click.option("--special", "special_tokens", multiple=True, metavar="TOKEN[=ID]", help="As in `tok convert`.")
@output_options
def verify(
    *,
    tokenizer: str,
    against: str | None,
    split: str | None,
    special_tokens: tuple[str, ...],
    output: OutputOptions,
) -> None:
    """Check a tokenizer's ids against other engines, text by text.

    Its self-test samples and many awkward texts (contractions, white space, the ends of every Unicode category, long
    repeats, special tokens) are encoded here and by the packages. The first difference ends with exit code 1.

    \b
    needlepoint tok verify mine.json
    needlepoint tok verify cl100k --against tiktoken
    needlepoint tok verify model.gguf --json
    """
    from tokenizer import formats, load_tokenizer
    from tokenizer.formats.verification import PEERS
    from tokenizer.formats.verification import verify as compare
    from tokenizer.registry import file_of

    chosen = load_tokenizer(tokenizer, split=split, special_tokens=formats.given_special_tokens(special_tokens))
    path = file_of(tokenizer) if formats.is_file(file_of(tokenizer)) else None
    verdicts = compare(chosen, path, [peer for peer in PEERS if against in (None, peer)])
    _emit_verdicts(chosen, verdicts, output)
    for verdict in verdicts:
        if difference := verdict.difference:
            ids, others = (" ".join(map(str, each)) or "nothing" for each in (difference.ids, difference.peer_ids))
            raise UserError(
                f"{chosen.name} and {_named(verdict)} differ in '{visible(difference.text[:SHOWN_TEXT])}': from "
                f"token {difference.token}, byte {difference.byte} on, {ids} here and {others} there",
                hint="`--json` gives the whole text",
            )
    if all(verdict.reason for verdict in verdicts):
        raise UserError(
            f"{chosen.name} can be compared with nothing: {verdicts[-1].reason}", hint="try another --against"
        )


def _named(verdict: "Verdict") -> str:
    return f"{verdict.peer} {verdict.version}" if verdict.version else f"its {verdict.peer}"


def _emit_verdicts(tokenizer: "Tokenizer", verdicts: "list[Verdict]", output: OutputOptions) -> None:
    rows = [_row(verdict) for verdict in verdicts]
    columns = [
        Column("peer", "Compared with"),
        Column("version", "Version"),
        Column("texts", "Texts", "right"),
        Column("bytes", "Bytes", "right"),
        Column("result", "Result"),
    ]
    details = [Column(key, key) for key in ("reason", "text", "at_token", "at_byte", "ids", "peer_ids")]
    meta = {"tokenizers": [{"name": tokenizer.name, "vocab_size": tokenizer.vocab_size}]}
    notes = [f"Not compared with {row['peer']}: {row['reason']}." for row in rows if row["reason"]]
    short = Table("tok verify", columns, rows, notes=notes)
    emit(Table("tok verify", [*columns, *details], rows, meta=meta), output, human=lambda: print_tables([short]))


def _row(verdict: "Verdict") -> dict[str, Any]:
    found = verdict.difference
    return {
        "peer": verdict.peer,
        "version": verdict.version,
        "texts": verdict.texts,
        "bytes": verdict.bytes,
        "result": "different" if found else "not compared" if verdict.reason else "identical",
        "reason": verdict.reason,
        "text": found and found.text,
        "at_token": found and found.token,
        "at_byte": found and found.byte,
        "ids": found and found.ids,
        "peer_ids": found and found.peer_ids,
    }
