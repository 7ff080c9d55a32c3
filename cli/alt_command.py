"""`needlepoint tok alt`: the other ways in which a vocabulary could cut a text."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any

import click

from cli.chosen_tokenizer import load_chosen, shown, shown_cut, tokenizers_meta
from cli.options import tokenizer_option
from cli.output import Column, OutputOptions, Table, emit, on_terminal, output_options
from cli.progress import say
from cli.text_input import Source, text_input
from cli.token_texts import words_of

if TYPE_CHECKING:
    from tokenizer import Tokenizer
    from tokenizer.explaining import Step

MOST_CUT = 5_000  # bytes whose other segmentations are looked for
MOST_IN_ONE = 800  # bytes of one pre-token


@click.command()
@text_input
@click.option(
    "-k",
    "--count",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="How many of the ways with fewest tokens to show.",
)
@click.option(
    "--samples",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="How many dropout samples.",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    metavar="RATE",
    help="How often a merge is passed over in a sample.",
)
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="Other samples, e.g. --seed 2.")
@tokenizer_option
@output_options
def alt(
    sources: list[Source],
    count: int,
    samples: int,
    dropout: float,
    seed: int,
    tokenizer: str | None,
    output: OutputOptions,
) -> None:
    """Show in what other ways a text could be cut.

    The same vocabulary mostly allows very many. BPE cuts by the order in which merges were learned. That is neither
    the longest match from left to right nor the fewest tokens, though it is often the same. Dropout samples pass
    over some merges by chance (Provilkov et al. 2020), as some models are trained on. Of a long text the first 5,000
    bytes are looked at, and of a very long word the first 800.

    \b
    needlepoint tok alt " action" -t cl100k
    needlepoint tok alt "Supercalifragilistic" --count 5 --samples 0
    needlepoint tok alt " disestablish" --dropout 0.3 --seed 7
    """
    chosen = load_chosen(tokenizer)
    data = b"".join(source.data for source in sources)
    whole, data = data, _beginning(chosen, data)
    if len(data) < len(whole):
        say(f"These are other ways to cut the first {len(data):,} of {len(whole):,} bytes; more would take too long.")
    rows, ways = _ways(chosen, data, count, samples, dropout, seed)
    real = rows[0]["cut"]
    columns = [
        Column("way", "Way"),
        Column("tokens", "Tokens", "right"),
        Column("cut", "Cut"),
        *([] if on_terminal() else [Column("same", "Same")]),
        Column("differs_at_byte", "Differs", show="at byte {:,}".format, absent="nowhere"),
        Column("lost_to", "Lost to", absent=""),
    ]
    notes = [_number_words(ways, data)]
    if any(row["lost_to"] for row in rows):
        notes.append(
            "Lost to: in the first pre-token that is cut otherwise, the first merge that joins two parts which this "
            "way keeps apart."
        )
    longest = next((row for row in rows if row["way"] == "longest match"), None)
    fewest = rows[1]
    if longest and longest["cut"] != real:
        notes.append("BPE is not longest-match: here the two differ.")
    elif longest and ways > 1:
        notes.append("BPE is not longest-match: it goes by rank. Here both come to the same.")
    if fewest["tokens"] < rows[0]["tokens"]:
        notes.append(f"BPE is not fewest tokens: {fewest['tokens']} would do, and it takes {rows[0]['tokens']}.")
    meta = tokenizers_meta([chosen]) | {"segmentations": str(ways)}
    if output.format is None:
        emit(Table("tok alt", columns, rows, meta=meta, notes=notes), output)
    else:
        keys = ("way", "tokens", "ids", "text", "bytes_hex", "same", "differs_at_byte", "lost_to", "lost_to_rank")
        emit(Table("tok alt", [Column(key, key) for key in keys], rows, meta=meta), output)
        say(notes[0])


def _beginning(tokenizer: "Tokenizer", data: bytes) -> bytes:
    """The pre-tokens that fit into MOST_CUT bytes, up to the first very long one, of which alone a part is taken.

    That is of whole characters.
    """
    sizes = list(map(len, tokenizer.pre_tokens(data)))
    fitting = sum(takewhile(MOST_IN_ONE.__ge__, sizes))
    if not sizes or fitting:
        ends = list(accumulate(sizes, initial=0))
        return data[: ends[bisect_right(ends, min(MOST_CUT, fitting)) - 1]]
    from tokenizer.splits import between_characters

    return data[: between_characters(data, MOST_IN_ONE)]


def _ways(
    tokenizer: "Tokenizer", data: bytes, count: int, samples: int, dropout: float, seed: int
) -> tuple[list[dict[str, Any]], int]:
    """A row for each way, the real one first, and how many there are in all."""
    from tokenizer import segmentations

    vocabulary = dict(tokenizer.vocabulary.items())  # the quickest for so many questions
    reach = segmentations.reach_of(vocabulary)
    pieces = tokenizer.pre_tokens(data)
    real = tokenizer.decode_tokens(tokenizer.encode(data, disallowed_special=()))
    best = segmentations.joined(
        [segmentations.fewest_tokens(piece, vocabulary, reach, count) for piece in pieces], count
    )
    if best and len(best[0]) == len(real):  # of several that are as short, the real one comes first
        best = [tuple(real), *(way for way in best if list(way) != real)][:count]
    found: list[tuple[str, Sequence[bytes]]] = [("this tokenizer", real)]
    found += [
        ("fewest tokens" if number == 1 else f"fewest tokens, {number}", way) for number, way in enumerate(best, 1)
    ]
    matches = [segmentations.longest_match(piece, vocabulary, reach) for piece in pieces]
    if all(match is not None for match in matches):
        found.append(("longest match", [token for match in matches for token in match or ()]))
    for number in range(1, samples + 1):
        sampled = [
            segmentations.dropout_sample(tokenizer, piece, dropout, f"{seed}/{number}/{place}")
            for place, piece in enumerate(pieces)
        ]
        found.append((f"dropout {number}", [token for piece in sampled for token in piece]))
    steps = _steps(tokenizer, pieces)
    rows = [
        {
            "way": way,
            "tokens": len(tokens),
            "cut": shown_cut(tokens),
            "ids": [tokenizer.id_of(token) for token in tokens],
            **words_of(tokens),
            "same": list(tokens) == real,
            "differs_at_byte": _first_difference(real, tokens),
            **_lost_to(steps, real, tokens),
        }
        for way, tokens in found
    ]
    return rows, math.prod(segmentations.count_segmentations(piece, vocabulary, reach) for piece in pieces)


def _steps(tokenizer: "Tokenizer", pieces: Sequence[bytes]) -> "list[Step]":
    """The merges of the whole text; none for pre-tokens that are too long to be explained."""
    from tokenizer.explaining import LONGEST_PIECE, Step, merge_steps

    found = []
    before = 0
    for piece in pieces:
        steps = merge_steps(tokenizer, piece)[0] if len(piece) <= LONGEST_PIECE else ()
        found += [Step(step.done._replace(start=before + step.done.start), ()) for step in steps]
        before += len(piece)
    return found


def _first_difference(real: Sequence[bytes], tokens: Sequence[bytes]) -> int | None:
    """The first byte at which one way has a token begin and the other does not."""
    return min(set(accumulate(map(len, real))) ^ set(accumulate(map(len, tokens))), default=None)


def _lost_to(steps: "Sequence[Step]", real: Sequence[bytes], tokens: Sequence[bytes]) -> dict[str, Any]:
    """What keeps BPE from cutting so, for people: a merge, which has a rank, or that none makes one of the tokens."""
    from tokenizer.explaining import first_crossing

    crossing = first_crossing(steps, set(accumulate(map(len, tokens))))
    if crossing is None:
        begins = {*accumulate(map(len, real), initial=0)}
        ends = accumulate(map(len, tokens))
        unmade = (
            token for token, end in zip(tokens, ends, strict=True) if begins & {*range(end - len(token) + 1, end)}
        )
        words = next((f"no merge makes {shown(token)} here" for token in unmade), None)
        return {"lost_to": words, "lost_to_rank": None}
    return {
        "lost_to": f"{shown(crossing.left)} + {shown(crossing.right)}, rank {crossing.rank:,}",
        "lost_to_rank": crossing.rank,
    }


def _number_words(ways: int, data: bytes) -> str:
    """How many ways there are."""
    if ways == 1:
        return f"The vocabulary allows no other way to cut {_amount(data)}."
    number = f"{ways:,}" if ways < 10**12 else f"about 10^{math.log10(ways):.0f}"
    return f"The vocabulary allows {number} ways to cut {_amount(data)} inside their pre-tokens."


def _amount(data: bytes) -> str:
    return "this byte" if len(data) == 1 else f"these {len(data):,} bytes"
