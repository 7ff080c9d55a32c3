"""A conversation as a model reads it: its tokens, stretch by stretch, and how many are whose."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.chosen_tokenizer import tokenizers_meta
from cli.machine_forms import RowsByColumn
from cli.output import Column, OutputOptions, Table, emit, new_console, on_terminal, print_tables
from cli.progress import say
from cli.tables import percent
from cli.text_input import read_file, stop_if_nobody_types
from cli.token_pieces import WHITE_SPACE, Run, Shape, shapes
from cli.token_texts import words_of
from cli.token_view import bar_between, picture_lines, plain_text
from cli.visible import visible
from tokenizer.errors import UsageError, UserError

if TYPE_CHECKING:
    from probes.chats.conversation import Turn
    from probes.chats.template import ChatTemplate, Rendered
    from probes.chats.tokens import ChatToken
    from tokenizer import Tokenizer

Row = dict[str, Any]
TEMPLATE = "template"
MOST_NAMED = 5  # special tokens that turns spell
EXAMPLE = "needlepoint tok show --chat chat.json --template model.gguf"
_IN_ONE_LINE = str.maketrans({character: WHITE_SPACE[character] for character in "\t\n"})


def show_chat(chat: str, template: Path | None, tokenizers: Sequence[str], *, ids: bool, output: OutputOptions) -> None:
    """Show the conversation in the file `chat` through the chat template in the file `template`.

    Raises:
        UserError, UsageError: a file is missing or wrong, or the template cannot be filled in with this conversation.
    """
    if template is None:
        raise UsageError("--chat needs a chat template", hint=f"name the model whose it is: {EXAMPLE}")
    if len(tokenizers) > 1:
        raise UsageError("--chat takes one tokenizer", hint="leave out -t to use the model's own")
    from probes.chats.conversation import read_conversation
    from probes.chats.template import read_template, render
    from probes.chats.tokens import chat_tokens

    if chat == "-":
        stop_if_nobody_types()
    data = sys.stdin.buffer.read() if chat == "-" else read_file(Path(chat))
    turns = read_conversation(data, "stdin" if chat == "-" else chat)
    found = read_template(_weights_or_file(template))
    tokenizer = _tokenizer(found, tokenizers[0] if tokenizers else None)
    rendered = render(found, turns)
    tokens = chat_tokens(tokenizer, rendered)
    parts = _part_rows(turns, tokens)
    notes = [
        *_overhead_words(parts, found),
        *_absent_specials(found, tokenizer, rendered),
        *_notes(tokenizer, turns, rendered),
    ]
    if output.format is None:
        _print_stretches(turns, tokens, ids=ids)
        click.echo()
        print_tables([_part_table(parts, notes)])
        return
    meta = tokenizers_meta([tokenizer]) | {"template": found.source}
    emit([_token_table(turns, tokens, meta), _machine_part_table(parts, notes)], output)


def _weights_or_file(template: Path) -> Path:
    """A file, or the weights of a fetched model that are meant by its name.

    Raises:
        UserError: it is the name of a model that was not fetched.
    """
    if template.exists() or template.suffix in (".gguf", ".json", ".jinja"):
        return template
    from probes.models.weights import EMBEDDED, embedded_path

    weights = embedded_path(template.name)
    if weights.is_file():
        return weights
    if str(template) in EMBEDDED:
        raise UserError(f"{template} was not fetched yet", hint=f"needlepoint models fetch {template}")
    return template


def _tokenizer(template: "ChatTemplate", named: str | None) -> "Tokenizer":
    from tokenizer import load_tokenizer

    name = named or (str(template.tokenizer) if template.tokenizer else None)
    try:
        tokenizer = load_tokenizer(name)
    except UserError as err:
        if named is not None:
            raise
        hint = f"{err.hint}; or count with another one, e.g. -t cl100k"
        raise UserError(str(err), hint=hint) from err
    say(f"tokenizer: {tokenizer.name}")
    return tokenizer


# ------------------------------------------------------------------------------------------------------- the picture


def _print_stretches(turns: Sequence["Turn"], tokens: Sequence["ChatToken"], *, ids: bool) -> None:
    """The tokens, a stretch of one owner after the other, each with the owner's name before its first line."""
    stretches = [(turn, list(run)) for turn, run in groupby(tokens, key=lambda token: token.turn)]
    labels = [TEMPLATE if turn is None else f"{turn + 1} {turns[turn].role}" for turn, _ in stretches]
    room = max(map(len, labels), default=0) + 2
    bar = bar_between(b"".join([token.data for token in tokens if not token.special]))
    for label, (_, run) in zip(labels, stretches, strict=True):
        lines = _picture(_shapes(run), [token.id for token in run] if ids else None, room, bar=bar).splitlines()
        margins = [label, *[""] * len(lines)]
        click.echo("".join(f"{margin:<{room}}{line}\n" for margin, line in zip(margins, lines, strict=False)), nl=False)


def _picture(shown: Sequence[Shape], ids: Sequence[int] | None, room: int, *, bar: str) -> str:
    """One stretch, coloured where the terminal has colours, beside a margin of `room` columns."""
    if not on_terminal():
        return plain_text(shown, ids, width=None, plain_spaces=True, bar=bar).decode()
    console = new_console()
    return b"".join(picture_lines(console, shown, ids, width=max(console.width - room, 1), bar=bar)).decode()


def _shapes(tokens: Sequence["ChatToken"]) -> list[Shape]:
    """What is shown of some tokens: a special one in brackets that no other has."""
    shown: list[Shape] = []
    for special, run in groupby(tokens, key=lambda token: token.special):
        group = [token.data for token in run]
        if special:
            names = [visible(data.decode("utf-8", "replace")).translate(_IN_ONE_LINE) for data in group]
            shown += [Shape([Run(f"⟦{name}⟧", "text")]) for name in names]
        else:
            shown += shapes(group)
    return shown


# ------------------------------------------------------------------------------------------------------- the figures


def _part_rows(turns: Sequence["Turn"], tokens: Sequence["ChatToken"]) -> list[Row]:
    """A row for each role in the order of the conversation, one for the template, and the total."""
    roles = list(dict.fromkeys(turn.role for turn in turns))
    owners = [TEMPLATE if token.turn is None else turns[token.turn].role for token in tokens]
    rows = []
    for part in (*roles, TEMPLATE):
        own = [token for token, owner in zip(tokens, owners, strict=True) if owner == part]
        said = None if part == TEMPLATE else sum(turn.role == part for turn in turns)
        rows.append(_part_row(part, said, own, len(tokens)))
    return [*rows, _part_row("total", len(turns), tokens, len(tokens))]


def _part_row(part: str, turns: int | None, tokens: Sequence["ChatToken"], total: int) -> Row:
    return {
        "part": part,
        "turns": turns,
        "bytes": sum(len(token.data) for token in tokens),
        "tokens": len(tokens),
        "special_tokens": sum(token.special for token in tokens),
        "share": round(len(tokens) / total, 4) if total else None,
    }


def _part_table(rows: Sequence[Row], notes: Sequence[str]) -> Table:
    columns = [
        Column("part", "Part"),
        Column("turns", "Turns", "right"),
        Column("bytes", "Bytes", "right"),
        Column("tokens", "Tokens", "right"),
        Column("special_tokens", "Special", "right"),
        Column("share", "Share", "right", percent),
    ]
    return Table("tok show", columns, rows, notes=notes)


def _machine_part_table(rows: Sequence[Row], notes: Sequence[str]) -> Table:
    keys = ("part", "turns", "bytes", "tokens", "special_tokens", "share")
    return Table("tok show", [Column(key, key) for key in keys], rows[:-1], name="part", notes=notes)


def _token_table(turns: Sequence["Turn"], tokens: Sequence["ChatToken"], meta: Row) -> Table:
    ends = array("q", accumulate((len(token.data) for token in tokens), initial=0))
    columns: dict[str, Sequence[Any]] = {
        "position": array("q", range(len(tokens))),
        "id": array("q", (token.id for token in tokens)),
        **words_of([token.data for token in tokens]),
        "start_byte": ends[:-1],
        "end_byte": ends[1:],
        "special": [token.special for token in tokens],
        "turn": [None if token.turn is None else token.turn + 1 for token in tokens],
        "role": [None if token.turn is None else turns[token.turn].role for token in tokens],
    }
    return Table("tok show", [Column(key, key) for key in columns], RowsByColumn(columns), meta=meta, name="token")


# -------------------------------------------------------------------------------------------------------- the words


def _overhead_words(parts: Sequence[Row], template: "ChatTemplate") -> Iterator[str]:
    own, total = parts[-2], parts[-1]
    yield (
        f"The chat template of {Path(template.source).name} adds {own['tokens']:,} of the {total['tokens']:,} tokens, "
        f"{own['special_tokens']:,} of them special; a token with a byte of a turn's content counts as the turn's."
    )


def _absent_specials(template: "ChatTemplate", tokenizer: "Tokenizer", rendered: "Rendered") -> Iterator[str]:
    """What is to be said where another tokenizer than the template's own has not the special tokens that it writes."""
    if template.tokenizer is None or str(template.tokenizer) == tokenizer.name:
        return
    from tokenizer import load_tokenizer

    try:
        own = load_tokenizer(str(template.tokenizer)).special_tokens
    except UserError:
        return
    ends = accumulate(size for _, size in rendered.runs)
    written = [
        rendered.text[end - size : end] for (owner, size), end in zip(rendered.runs, ends, strict=True) if owner is None
    ]
    absent = [text for text in own if text not in tokenizer.special_tokens and any(text in part for part in written)]
    if absent:
        more = ", ..." if len(absent) > MOST_NAMED else ""
        yield (
            f"{tokenizer.name} does not know the special tokens that the template writes, and cuts them as text: "
            f"{', '.join(absent[:MOST_NAMED])}{more}. The model's own tokenizer knows them: leave out -t."
        )


def _notes(tokenizer: "Tokenizer", turns: Sequence["Turn"], rendered: "Rendered") -> Iterator[str]:
    """What a reader should know of turns that spell special tokens, that are empty, or not there as they stand."""
    from probes.chats.tokens import kept_characters, spelled_specials

    for always_read, found in groupby(spelled_specials(tokenizer, turns), key=lambda each: each.always_read):
        named = ", ".join(f"{each.text} (turn {each.turn + 1})" for each in list(found)[:MOST_NAMED])
        how = "read as tokens, as this tokenizer always does" if always_read else "shown as ordinary text"
        yield (
            f"Turns spell special tokens, which are {how} here: {named}. A server that looks for them in the whole "
            "prompt reads the tokens, and so a turn can end another or begin one."
        )
    kept = kept_characters(rendered)
    for number, turn in enumerate(turns):
        if not turn.content:
            yield f"Turn {number + 1} ({turn.role}) is empty: what stands for it is all the template's."
        missing = len(turn.content.strip()) - kept.get(number, 0)
        if missing > 0:
            yield (
                f"Of turn {number + 1} the prompt has not {missing:,} of its {len(turn.content):,} characters as they "
                "stand: the template leaves them out or rewrites them, and what it puts there counts as its own."
            )
