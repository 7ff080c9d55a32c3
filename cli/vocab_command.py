"""`needlepoint tok vocab`: look through a vocabulary."""

import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import how_many
from cli.chosen_tokenizer import load_chosen, shown, token_column, tokenizers_meta
from cli.options import tokenizer_option
from cli.output import Column, OutputOptions, Table, emit, on_terminal, output_options
from cli.text_input import read_file
from cli.token_texts import token_texts
from cli.visible import visible
from tokenizer.errors import UsageError

if TYPE_CHECKING:
    from tokenizer import Tokenizer

PAGE = 40  # tokens
Limits = tuple[int | None, int | None]


class RangeType(click.ParamType[Limits]):
    """A number, or two with a colon between them of which either may be left out: 3, 3:8, 3:, :8."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limits:
        """Both ends; None for one that is not given."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([0-9]{0,9})(:?)([0-9]{0,9})", value)
        if not found or not (found[1] or found[3]):
            self.fail(f"{visible(value)!r} is no range; write 3, 3:8, 3: or :8", param, ctx)
        first = int(found[1]) if found[1] else None
        last = (int(found[3]) if found[3] else None) if found[2] else first
        if first is not None and last is not None and first > last:
            self.fail(f"{value} begins after its end", param, ctx)
        return first, last


@click.command()
@click.argument("text", required=False, default="")
@click.option("--regex", "pattern", metavar="PATTERN", help=r"Only tokens whose text it is found in, e.g. '^ [A-Z]'.")
@click.option("--hex", "hexadecimal", metavar="BYTES", help="Only tokens that hold these bytes, e.g. --hex 'F0 9F'.")
@click.option("--size", type=RangeType(), metavar="RANGE", help="Bytes in the token, e.g. 3, 3:8, 20: or :2.")
@click.option("--ids", type=RangeType(), metavar="RANGE", help="The first and the last id, e.g. 256:300.")
@click.option("--script", metavar="NAME", help="Only tokens with a letter or mark of this script, e.g. Han.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["partial", "ill-formed", "white-space", "digits", "special"]),
    help="Parts of characters, bytes that no UTF-8 has, white space, digits, or the special tokens, which are left out "
    "else; of several kinds a token must be all.",
)
@click.option(
    "--unused",
    "corpus",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Only tokens that the text of FILE does not use; may be repeated.",
)
@click.option("--listing", is_flag=True, help="A line for each token with its two parts, made to be compared by diff.")
@click.option(
    "-n", "--count", type=click.IntRange(min=1), metavar="N", help="How many.  [default: 40 on a terminal, else all]"
)
@click.option(
    "--page", type=click.IntRange(min=1), default=1, metavar="N", help="Which page of so many tokens, e.g. --page 2."
)
@tokenizer_option
@output_options
def vocab(
    text: str,
    pattern: str | None,
    hexadecimal: str | None,
    size: Limits | None,
    ids: Limits | None,
    script: str | None,
    kinds: tuple[Any, ...],
    corpus: tuple[Path, ...],
    listing: bool,
    count: int | None,
    page: int,
    tokenizer: str | None,
    output: OutputOptions,
) -> None:
    """Look through a vocabulary for tokens.

    The vocabulary is the list of all tokens, each with its id. With TEXT you get those that hold it; all options narrow
    the search. A person gets a page of them, a pipe and the
    machine forms get all.

    \b
    needlepoint tok vocab needle -t cl100k
    needlepoint tok vocab --script Cyrillic --size 20: -t o200k
    needlepoint tok vocab --kind digits --unused notes.txt --json
    needlepoint tok vocab --listing -t mine.json > mine.txt
    """
    from tokenizer.searching import Wanted, search

    if text and hexadecimal:
        raise UsageError("a text and --hex were given together", hint="give one of the two")
    if listing and (output.format or output.path):
        raise UsageError("--listing is a form of its own", hint="send it to a file: tok vocab --listing > mine.txt")
    chosen = load_chosen(tokenizer)
    wanted = Wanted(
        contains=_bytes_of(hexadecimal) if hexadecimal else text.encode("utf-8", "surrogateescape"),
        pattern=pattern,
        sizes=size or (None, None),
        ids=ids or (None, None),
        script=script,
        kinds=kinds,
        without=_used(chosen, corpus),
    )
    found = list(search(chosen, wanted))
    if listing:
        _print_listing(chosen, found)
        return
    one_page = page > 1 or (output.format is None and on_terminal())
    count = count or (PAGE if one_page else max(1, len(found)))
    chosen_page = found[count * (page - 1) : count * page]
    rows = [{"id": one, **token_texts(token), "bytes": len(token)} for one, token in chosen_page]
    columns = [
        Column("id", "Id", "right", str),
        token_column(output),
        Column("bytes_hex", "Bytes"),
        Column("bytes", "Size", "right"),
    ]
    pages = max(1, -(-len(found) // count))
    if page > pages:
        raise UsageError(f"there is no page {page}", hint=f"the {how_many(len(found), 'token')} fill {pages:,}")
    note = f"{how_many(len(found), 'token')} of {chosen.name}"
    if pages > 1:
        note += f", page {page:,} of {pages:,}" + ("; the next one with --page" if page < pages else "")
    notes = [f"{note}."]
    if "special" not in kinds and (special := list(search(chosen, replace(wanted, kinds=(*kinds, "special"))))):
        notes.append(f"{how_many(len(special), 'special token')} would fit, too: --kind special.")
    emit(Table("tok vocab", columns, rows, meta=tokenizers_meta([chosen]), notes=notes), output)


def _bytes_of(hexadecimal: str) -> bytes:
    try:
        return bytes.fromhex(hexadecimal)
    except ValueError:
        raise UsageError(
            f"{visible(hexadecimal)!r} is not hexadecimal", hint="write two digits a byte, e.g. --hex 'F0 9F'"
        ) from None


def _used(tokenizer: "Tokenizer", corpus: tuple[Path, ...]) -> set[int]:
    """The ids that the files use."""
    used: set[int] = set()
    for path in corpus:
        used.update(tokenizer.encode_array(read_file(path), disallowed_special=()).tolist())
    return used


def _print_listing(tokenizer: "Tokenizer", found: list[tuple[int, bytes]]) -> None:
    r"""A line for each token: `[left][right] -> [token] id`, or `[token] id` where it has no parts."""
    from tokenizer.recipes import Recipes

    recipes, words = Recipes(tokenizer), cache(shown)  # most tokens are parts of others
    for one, token in found:
        recipe = recipes.of(token) if tokenizer.id_of(token) == one else None
        parts = "".join(f"[{words(part)}]" for part in recipe) + " -> " if recipe else ""
        sys.stdout.write(visible(f"{parts}[{words(token)}] {one}") + "\n")
