"""`needlepoint tok explain`: why a text is cut as it is."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from cli.amounts import how_many
from cli.chosen_tokenizer import load_chosen, shown, shown_cut, tokenizers_meta
from cli.options import tokenizer_option
from cli.output import (
    Column,
    OutputOptions,
    Table,
    emit,
    new_console,
    on_terminal,
    output_options,
    print_sentence,
    print_tables,
)
from cli.progress import say
from cli.text_input import Source, text_input
from cli.token_texts import token_texts

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.explaining import Candidate, Explanation, Missed

MOST_EXPLAINED = 50  # pre-tokens; nobody would read more
MOST_TOKENS = 20  # of one pre-token, in its first line
MOST_LOST = 3  # candidates that lost, in a row for people
_ESCAPED = {ord("\n"): r"\n", ord("\r"): r"\r", ord("\t"): r"\t"}  # in a pattern they mean the same
# What the alternatives of the named splits match, in words.
ALTERNATIVES = {
    "gpt2": (
        "an English ending such as 's or 'll",
        "letters, with a space before them or not",
        "digits, with a space before them or not",
        "signs, with a space before them or not",
        "white space at the end of the text",
        "white space but for its last character, which goes with what follows",
        "a single white-space character",
    ),
    "cl100k": (
        "an English ending such as 's or 'll",
        "letters, with one character before them that is no letter, digit or line end, or none",
        "one to three digits",
        "signs, with a space before them or not, and the line ends after them",
        "white space at the end of the text",
        "white space up to a line end",
        "white space but for its last character, which goes with what follows",
        "a single white-space character",
    ),
    "o200k": (
        "letters, the last of them no capitals, with one other character before them or none, and an English ending",
        "capitals first, with one other character before them or none, and an English ending",
        "one to three digits",
        "signs, with a space before them or not, and the line ends and slashes after them",
        "white space up to a line end",
        "white space but for its last character, which goes with what follows",
        "white space",
    ),
}


@click.command()
@text_input
@tokenizer_option
@output_options
def explain(sources: list[Source], tokenizer: str | None, output: OutputOptions) -> None:
    """Tell why a text is cut as it is, merge by merge.

    A text is first split into pre-tokens, each by one alternative of a pattern. Inside a pre-token the tokenizer starts
    from single bytes. Of all neighbours that it knows how to merge it always merges those of the lowest rank, that is,
    the pair that was learned first; so a longer token is missed when one of its bytes has gone into another merge.
    That is told of tokens that reach farther than the one that was made where they begin, and where none begins, of
    those that are longer than all that they overlap. Special tokens are ordinary text here, and of a long text the
    first 50 pre-tokens are explained.

    \b
    needlepoint tok explain disestablish
    needlepoint tok explain " action" -t gpt2
    needlepoint tok explain "It's 3 o'clock" --json
    """
    chosen = load_chosen(tokenizer)
    found, there = _beginning(chosen, b"".join(source.data for source in sources))
    if output.format is None:
        for number, each in enumerate(found):
            if number:
                click.echo()
            _tell(chosen, each)
    else:
        emit(_explain_tables(chosen, found, there), output)
    if not found:
        say("The text is empty: there is nothing to explain.")
    if there > len(found):
        say(f"These are the first {len(found)} of {there:,} pre-tokens; `tok show` shows the whole text.")


def _beginning(tokenizer: "Tokenizer", data: bytes) -> "tuple[list[Explanation], int]":
    """The first pre-tokens of a text, explained, and how many there are."""
    from tokenizer.explaining import explain as explained

    pieces = tokenizer.pre_tokens(data)
    enough = sum(map(len, pieces[: 2 * MOST_EXPLAINED]))  # which mostly is cut as the whole is
    for text in (data[:enough], data):
        found = list(islice(explained(tokenizer, text), MOST_EXPLAINED))
        if [each.piece for each in found] == pieces[:MOST_EXPLAINED]:
            break
    return found, len(pieces)


def _tell(tokenizer: "Tokenizer", found: "Explanation") -> None:
    """One pre-token for people."""
    for line in _head(tokenizer, found):
        print_sentence(line)
    if found.steps:
        click.echo()
        rows = _step_rows(tokenizer, [found])
        rank_says_all = on_terminal() and all(row["rank"] == row["id"] for row in rows)
        columns = [
            Column("step", "Step", "right"),
            Column("merge", "Merge"),
            Column("rank", "Rank", "right", str),
            *([] if rank_says_all else [Column("id", "Id", "right", str)]),
        ]
        wide = [*columns, Column("now", "So far"), Column("lost_words", "Lost against it (rank)", absent="")]
        if on_terminal() and _width(wide, rows) > new_console().width:
            for row in rows:
                row["now"] = "\nlost: ".join(filter(None, (row["now"], row["lost_words"])))
            columns.append(Column("now", "So far; what lost (rank)"))
        else:
            columns = wide
        print_tables([Table("tok explain", columns, rows)])
    for each in found.missed:
        print_sentence(f"\n{_missed_words(tokenizer, found, each)}")


def _width(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> int:
    """The terminal cells that a table takes, with two between columns."""
    from rich.cells import cell_len

    each = [max(cell_len(str(text)) for text in (c.title, *(row[c.key] or "" for row in rows))) for c in columns]
    return sum(each) + 2 * (len(columns) - 1)


def _head(tokenizer: "Tokenizer", found: "Explanation") -> Iterator[str]:
    from tokenizer.explaining import LONGEST_PIECE
    from tokenizer.splits import between_characters

    count, first = len(found.tokens), found.tokens[:MOST_TOKENS]
    more = "" if count <= MOST_TOKENS else " ..."
    ids = ", ".join(str(tokenizer.id_of(token)) for token in first)
    name = shown(found.piece[: between_characters(found.piece, sum(map(len, first)))])
    yield f"{name}{more}: {how_many(count, 'token')}, {shown_cut(first)}{more}  (id {ids}{more})"
    yield f"one pre-token: {_alternative_words(tokenizer, found)}"
    if found.steps is None:
        yield f"its {len(found.piece):,} bytes are too many: merges are listed for up to {LONGEST_PIECE}"
    elif len(found.piece) == 1:
        yield "it is a single byte, and so a token"
    elif found.whole:
        yield "it is in the vocabulary as a whole, so it is one token; merging would give " + (
            "the same:" if _merged(found) == (found.piece,) else f"{shown_cut(_merged(found))}:"
        )
    elif not found.steps:
        yield "no two neighbours among its bytes are ever merged"


def _merged(found: "Explanation") -> tuple[bytes, ...]:
    """What the steps alone make of the piece."""
    return _states(found)[-1]


def _states(found: "Explanation") -> list[tuple[bytes, ...]]:
    """The parts of the piece before the first step and after each."""
    parts = [found.piece[start : start + 1] for start in range(len(found.piece))]
    states = [tuple(parts)]
    for step in found.steps or ():
        start = at = 0
        while start < step.done.start:
            start += len(parts[at])
            at += 1
        parts[at : at + 2] = [step.done.token]
        states.append(tuple(parts))
    return states


def _alternative_words(tokenizer: "Tokenizer", found: "Explanation") -> str:
    from tokenizer.splits import alternatives

    split = tokenizer.split
    if found.split_step is None or found.alternative is None:
        several = f" in any of its {len(split.steps)} steps" if split.before else ""
        return f"the split pattern does not match it{several}, so it is what lies between two matches"
    known = ALTERNATIVES.get(split.name, ())
    among = alternatives(split.steps[found.split_step])
    number = f"alternative {found.alternative + 1} of {len(among)}"
    if len(known) == len(among):
        return f"{known[found.alternative]} ({number} of {split.name})"
    where = f"step {found.split_step + 1} of {len(split.steps)} of its split" if split.before else "its split pattern"
    return f"{number} of {where}, {among[found.alternative].translate(_ESCAPED)}"


def _missed_words(tokenizer: "Tokenizer", found: "Explanation", missed: "Missed") -> str:
    name = f"Why not {shown(missed.token)} (id {tokenizer.id_of(missed.token)})?"
    if missed.why == "never" or missed.step is None:
        return f"{name} Merging never makes it from its bytes, wherever they stand."
    assert found.steps
    done = found.steps[missed.step].done
    step = f"Step {missed.step + 1} merged {shown(done.left)} and {shown(done.right)}"
    if missed.why == "crossed":
        end = missed.start + len(missed.token)
        inside = found.piece[max(done.start, missed.start) : min(done.end, end)]
        return (
            f"{name} {step}, and with that its {shown(inside)} went into {shown(done.token)}, which reaches beyond it."
        )
    return f"{name} {step} inside it, and it is made of other parts."


def _step_rows(tokenizer: "Tokenizer", found: Sequence["Explanation"]) -> list[dict[str, Any]]:
    rows = []
    for number, each in enumerate(found, 1):
        for step, (done, state) in enumerate(zip(each.steps or (), _states(each)[1:], strict=True), 1):
            rows.append(
                {
                    "pre_token": number,
                    "step": step,
                    "merge": f"{shown(done.done.left)} + {shown(done.done.right)}",
                    "left_hex": done.done.left.hex(),
                    "right_hex": done.done.right.hex(),
                    "rank": done.done.rank,
                    "id": tokenizer.id_of(done.done.token),
                    "start_byte": done.done.start,
                    "now": shown_cut(state),
                    "lost": [_lost_row(one) for one in done.lost],
                    "lost_words": _lost_words(done.lost),
                }
            )
    return rows


def _lost_row(lost: "Candidate") -> dict[str, Any]:
    return {"left_hex": lost.left.hex(), "right_hex": lost.right.hex(), "rank": lost.rank, "start_byte": lost.start}


def _lost_words(lost: Sequence["Candidate"]) -> str | None:
    words = [f"{shown(one.token)} {one.rank}" for one in lost[:MOST_LOST]]
    if len(lost) > MOST_LOST:
        words.append(f"{len(lost) - MOST_LOST} more")
    return ", ".join(words) or None


def _explain_tables(tokenizer: "Tokenizer", found: Sequence["Explanation"], there: int) -> list[Table]:
    pieces = [
        {
            "pre_token": number,
            **token_texts(each.piece),
            "split_step": None if each.split_step is None else each.split_step + 1,
            "alternative": None if each.alternative is None else each.alternative + 1,
            "whole": each.whole,
            "tokens": len(each.tokens),
            "ids": [tokenizer.id_of(token) for token in each.tokens],
        }
        for number, each in enumerate(found, 1)
    ]
    missed = [
        {
            "pre_token": number,
            **token_texts(one.token),
            "id": tokenizer.id_of(one.token),
            "start_byte": one.start,
            "why": one.why,
            "step": None if one.step is None else one.step + 1,
        }
        for number, each in enumerate(found, 1)
        for one in each.missed
    ]
    steps = ("pre_token", "step", "left_hex", "right_hex", "rank", "id", "start_byte", "lost")
    meta = tokenizers_meta([tokenizer]) | {"pre_tokens": there}
    return [
        _machine_table(
            "tok explain",
            "pre_token",
            ("pre_token", "text", "bytes_hex", "split_step", "alternative", "whole", "tokens", "ids"),
            pieces,
            meta,
        ),
        _machine_table("tok explain", "step", steps, _step_rows(tokenizer, found), meta),
        _machine_table(
            "tok explain", "missed", ("pre_token", "text", "bytes_hex", "id", "start_byte", "why", "step"), missed, meta
        ),
    ]


def _machine_table(
    command: str, name: str, keys: Sequence[str], rows: Sequence[dict[str, Any]], meta: dict[str, Any]
) -> Table:
    return Table(command, [Column(key, key) for key in keys], rows, meta=meta, name=name)
