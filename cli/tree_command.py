"""`needlepoint tok tree`: of which tokens a token is made, and which are made with it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import how_many
from cli.chosen_tokenizer import load_chosen, shown, token_column, tokenizers_meta
from cli.options import tokenizer_option
from cli.output import Column, OutputOptions, Table, emit, on_terminal, output_options
from cli.progress import say
from cli.token_texts import token_texts
from cli.visible import visible
from tokenizer.errors import UsageError

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.recipes import Recipes


MOST_USERS = 40  # that people are shown


@click.command()
@click.argument("token")
@click.option("--id", "as_id", is_flag=True, help="TOKEN is a token's id, e.g. --id 1957.")
@click.option(
    "--used-in", is_flag=True, help="The other way round: the tokens of which this one is one of the two parts."
)
@click.option(
    "-n",
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"With --used-in, how many of them to show, e.g. 100.  [default: {MOST_USERS} for people, else all]",
)
@tokenizer_option
@output_options
def tree(
    token: str, as_id: bool, used_in: bool, count: int | None, tokenizer: str | None, output: OutputOptions
) -> None:
    """Show of which tokens a token is made.

    Down to its bytes, with ids and ranks: each token but the bytes is made by one merge, which joins two others, and
    its rank is that merge's place in the order of training. Where `tok
    train` recorded how often the two stood side by side when they were merged, that is shown, too.

    \b
    needlepoint tok tree " action"
    needlepoint tok tree --id 1957 -t cl100k
    needlepoint tok tree ing --used-in --count 10
    """
    from tokenizer.recipes import Recipes

    chosen = load_chosen(tokenizer)
    data = _token_bytes(chosen, token, as_id=as_id)
    recipes = Recipes(chosen)
    counts = pair_counts(chosen)
    if used_in:
        users = recipes.users(data)
        count = count or (MOST_USERS if output.format is None else len(users))
        rows = [_recipe_row(chosen, recipes, each, counts) for each in users[:count]]
        note = f"{how_many(len(users), 'token')} made with {shown(data)} as one of the two parts"
        notes = [f"{note}; the first {count} are shown, more with --count." if len(users) > count else f"{note}."]
        emit(_recipe_table(rows, tokenizers_meta([chosen]), output, notes), output)
        return
    if output.format is not None:
        rows = [
            {**_recipe_row(chosen, recipes, part, counts), "depth": depth}
            for part, depth, _ in _branches(recipes, data)
        ]
        emit(_recipe_table(rows, tokenizers_meta([chosen]), output, more=("depth",)), output)
        return
    for line in tree_lines(chosen, recipes, data, counts):
        click.echo(visible(line))
    if recipes.of(data) is None and len(data) > 1:
        say("no merge of two other tokens makes it")


def tree_lines(
    tokenizer: "Tokenizer", recipes: "Recipes", token: bytes, counts: dict[tuple[bytes, bytes], int]
) -> Iterator[str]:
    """The tree of a token, a line for each token in it; `counts` are those of `pair_counts`.

    Example: with cl100k, the lines of " the" begin with "·the  id 279, rank 279" and "├─ ·th  id 270, rank 270"
    """
    for part, _, branch in _branches(recipes, token):
        row = _recipe_row(tokenizer, recipes, part, counts)
        figures = [f"id {row['id']}"]
        if row["rank"] is not None:
            figures.append(f"rank {row['rank']}")
        if row["pair_count"] is not None:
            figures.append(f"merged {row['pair_count']:,} times")
        yield f"{branch}{row['shown']}  {', '.join(figures)}"


def _token_bytes(tokenizer: "Tokenizer", token: str, *, as_id: bool) -> bytes:
    """The bytes of the token that was named by its text or its id."""
    if not token:
        raise UsageError("the token is empty", hint="name one by its text, or by its id: --id 1957")
    if not as_id:
        data = token.encode("utf-8", "surrogateescape")
        if tokenizer.id_of(data) is None:
            if token in tokenizer.special_tokens:
                raise UsageError(f"{visible(token)!r} is a special token", hint="special tokens are made of no others")
            raise UsageError(
                f"{visible(token)!r} is not a token of {tokenizer.name}",
                hint=f"if that is an id: --id {token}"
                if token.isascii() and token.isdigit()
                else "see how it is cut with `tok explain`; a space in front of a word belongs to its token",
            )
        return data
    if not (token.isascii() and token.isdigit() and len(token) < 20):
        raise UsageError(f"{visible(token)!r} is not an id", hint="ids are whole numbers, e.g. --id 1957")
    data = tokenizer.token_bytes(int(token))
    if tokenizer.id_of(data) != int(token):
        raise UsageError(f"{visible(token)} is the id of a special token", hint="special tokens are made of no others")
    return data


def pair_counts(tokenizer: "Tokenizer") -> dict[tuple[bytes, bytes], int]:
    """How often each pair stood side by side when it was merged, where training recorded that."""
    from tokenizer.training_record import recorded_pair_counts

    counts = recorded_pair_counts(Path(tokenizer.name)) if tokenizer.merges is not None else []
    return dict(zip(tokenizer.merges or (), counts, strict=False)) if counts else {}


def _branches(
    recipes: "Recipes", token: bytes, before: str = "", end: str = "", depth: int = 0
) -> Iterator[tuple[bytes, int, str]]:
    """Every token of a tree with its depth and the lines that lead to it."""
    yield token, depth, before + end
    parts = recipes.of(token) or ()
    inner = before + {"": "", "├─ ": "│  ", "└─ ": "   "}[end]
    for part, line in zip(parts, ("├─ ", "└─ "), strict=False):
        yield from _branches(recipes, part, inner, line, depth + 1)


def _recipe_row(
    tokenizer: "Tokenizer", recipes: "Recipes", token: bytes, counts: dict[tuple[bytes, bytes], int]
) -> dict[str, Any]:
    recipe = recipes.of(token)
    left, right = recipe or (None, None)
    return {
        "id": tokenizer.id_of(token),
        "shown": shown(token),
        **token_texts(token),
        "left_id": None if left is None else tokenizer.id_of(left),
        "right_id": None if right is None else tokenizer.id_of(right),
        "recipe": f"{shown(left)} + {shown(right)}" if left and right else None,
        "rank": recipes.rank(token),
        "pair_count": counts.get(recipe) if recipe else None,
    }


def _recipe_table(
    rows: Sequence[dict[str, Any]],
    meta: dict[str, Any],
    output: OutputOptions,
    notes: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Table:
    columns = [
        Column("id", "Id", "right", str),
        token_column(output),
        Column("bytes_hex", "Bytes"),
        Column("left_id", "Left id", "right", str),
        Column("right_id", "Right id", "right", str),
        Column("rank", "Rank", "right", str),
    ]
    if any(row["pair_count"] is not None for row in rows) or output.format or not on_terminal():
        columns.append(Column("pair_count", "Times merged", "right"))
    columns += [Column(key, key) for key in more]
    return Table("tok tree", columns, rows, meta=meta, notes=notes)
