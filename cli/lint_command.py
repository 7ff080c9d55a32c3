"""`needlepoint tok lint`: what is odd in a vocabulary."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.chosen_tokenizer import load_chosen, shown, token_column, tokenizers_meta
from cli.options import tokenizer_option
from cli.output import Column, OutputOptions, Table, emit, output_options
from cli.token_texts import token_texts

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.linting import Lint

MOST_EXAMPLES = 2
# Each check: the field of `Lint` that holds its ids, and what such tokens are.
CHECKS = {
    "not-merged": ("not_merged", "merging their own bytes does not give them"),
    "only-whole": ("only_whole", "not-merged, but come about where a pre-token is just the token"),
    "never": ("never", "not-merged, and never come about"),
    "no-recipe": ("no_recipe", "are made of no two other tokens"),
    "split": ("split_alone", "are cut by the tokenizer's own split pattern when they stand alone"),
    "split-always": ("split_always", "split, and came about between no neighbours that were tried"),
    "partial": ("partial", "hold a part of a character (in UTF-8)"),
    "not-found": ("not_found", "partial, and came about in no text that was tried"),
    "ill-formed": ("ill_formed", "hold bytes that no UTF-8 text has"),
    "special-twice": ("special_twice", "have the text of a special token"),
}


@click.command()
@click.option(
    "--list",
    "listed",
    type=click.Choice(list(CHECKS)),
    metavar="CHECK",
    help=f"List all tokens that one check found, e.g. --list split. Checks: {', '.join(CHECKS)}.",
)
@tokenizer_option
@output_options
def lint(listed: str | None, tokenizer: str | None, output: OutputOptions) -> None:
    """Look for oddities in a vocabulary.

    That is for tokens that no text can have, that its own split cuts, or that hold parts of characters, and for ids
    that no token has. A vocabulary is byte-level where tokens may end inside a character. What is found describes it
    and is no measure of quality: most vocabularies have some of it and work well. A file in which a token or an id
    stands twice is refused already when it is read, and the message says where.

    \b
    needlepoint tok lint -t o200k
    needlepoint tok lint -t o200k --list split
    needlepoint tok lint -t mine.json --json
    """
    from tokenizer.linting import drifted_letters
    from tokenizer.linting import lint as look

    chosen = load_chosen(tokenizer)
    found = look(chosen)
    meta = tokenizers_meta([chosen])
    if listed is not None:
        rows = [{"id": one, **token_texts(chosen.token_bytes(one))} for one in getattr(found, CHECKS[listed][0])]
        columns = [Column("id", "Id", "right", str), token_column(output), Column("bytes_hex", "Bytes")]
        emit(Table("tok lint", columns, rows, meta=meta, title=f"{listed}: tokens that {CHECKS[listed][1]}"), output)
        return
    drifted = drifted_letters()
    columns = [
        Column("check", "Check"),
        Column("tokens", "Tokens", "right"),
        Column("meaning", "That"),
        Column("examples", "Such as", absent=""),
    ]
    if output.format is not None:
        columns = [Column(key, key) for key in ("check", "tokens", "ids")]
    meta |= {"tokens": found.tokens, "holes": [list(hole) for hole in found.holes], "drifted_code_points": drifted}
    meta |= {"absent_bytes": list(chosen.absent_bytes)}
    emit(
        Table("tok lint", columns, _rows(chosen, found), meta=meta, notes=_notes(found, chosen.absent_bytes, drifted)),
        output,
    )


def _rows(tokenizer: "Tokenizer", found: "Lint") -> list[dict[str, Any]]:
    rows = []
    for check, (name, meaning) in CHECKS.items():
        ids: Sequence[int] = getattr(found, name)
        examples = [shown(tokenizer.token_bytes(one)) for one in ids[:MOST_EXAMPLES]]
        rows.append(
            {
                "check": check,
                "tokens": len(ids),
                "meaning": meaning,
                "examples": "  ".join(examples) or None,
                "ids": list(ids),
            }
        )
    return rows


def _notes(found: "Lint", absent: bytes, drifted: dict[str, int]) -> list[str]:
    missing = sum(last - first + 1 for first, last in found.holes)
    where = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in found.holes[:5])
    notes = [f"{found.tokens:,} ordinary tokens were looked at."]
    if absent:
        notes.append(
            f"{len(absent)} bytes have no token, and texts that hold one are refused: {absent.hex(' ').upper()}."
        )
    if missing:
        more = f" and {len(found.holes) - 5} more stretches" if len(found.holes) > 5 else ""
        notes.append(f"No token has {missing:,} of the ids: {where}{more}.")
    notes.append(
        f"Letters that the regex package knows and tokenizers do not, or the other way round: {drifted['letters']:,} "
        f"code points; numbers {drifted['numbers']:,}, white space {drifted['white_space']:,}. Splits here use one "
        "frozen table; an engine with another Unicode may cut such text otherwise."
    )
    return notes
