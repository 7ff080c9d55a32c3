"""`needlepoint tok cut`: the beginning of a text, in so many tokens at the most."""

from itertools import accumulate
from typing import TYPE_CHECKING

import click

from cli.amounts import how_many
from cli.chosen_tokenizer import load_chosen
from cli.options import tokenizer_option
from cli.output import on_terminal
from cli.progress import say
from cli.text_input import Source, text_input
from cli.visible import visible

if TYPE_CHECKING:
    from tokenizer import Tokenizer


@click.command()
@click.option("-n", "--tokens", type=click.IntRange(min=0), required=True, metavar="N", help="At most so many tokens.")
@text_input
@tokenizer_option
def cut(sources: list[Source], tokens: int, tokenizer: str | None) -> None:
    """Print the beginning of a text, in at most so many tokens.

    No character is cut in two (a code point, that is: an emoji family may lose members), and the part is cut into
    tokens just as it was inside the whole: a word whose tokens would change without the rest of it is left out. Special
    tokens are ordinary text here.

    \b
    needlepoint tok cut -n 100 -i notes.txt
    git diff | needlepoint tok cut -n 8000 -t o200k
    needlepoint tok cut -n 3 "Grüße aus Zürich"
    """
    chosen = load_chosen(tokenizer)
    data = b"".join(source.data for source in sources)
    kept, whole = stable_beginning(chosen, data, tokens)
    text = data[:kept]
    click.echo(visible(text.decode("utf-8", "backslashreplace")) if on_terminal() else text, nl=on_terminal())
    part = chosen.count(text, disallowed_special=())
    say(f"{part:,} of {how_many(whole, 'token')}, {kept:,} of {how_many(len(data), 'byte')}")


def stable_beginning(tokenizer: "Tokenizer", data: bytes, most: int) -> tuple[int, int]:
    """How many bytes may stay so that they are at most so many tokens, and how many tokens the whole text has.

    What stays are whole characters, and its tokens are the first tokens of the whole text.

    Example: with one token for each byte, stable_beginning(tokenizer, "né".encode(), 2) == (1, 3)
    """
    ids = tokenizer.encode_array(data, disallowed_special=()).tolist()
    if len(ids) <= most:
        return len(data), len(ids)
    ends = [0, *accumulate(map(len, tokenizer.decode_tokens(ids[:most])))]
    for count in range(most, 0, -1):
        end = ends[count]
        inside_character = data[end] & 0xC0 == 0x80 and _is_character(data, end)
        if not inside_character and tokenizer.encode_array(data[:end], disallowed_special=()).tolist() == ids[:count]:
            return end, len(ids)
    return 0, len(ids)


def _is_character(data: bytes, inside: int) -> bool:
    """Whether the byte there belongs to a character that began before it."""
    from tokenizer.splits import between_characters

    start = between_characters(data, inside)
    head = data[start : start + 4].decode("utf-8", "ignore")
    return data[start] >= 0xC2 and bool(head) and start + len(head[0].encode()) > inside
