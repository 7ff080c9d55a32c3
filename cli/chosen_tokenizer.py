"""The tokenizers that a command was asked to use, and how they and their tokens are written in tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.progress import say
from cli.visible import visible

if TYPE_CHECKING:
    from cli.output import Column, OutputOptions
    from tokenizer import Tokenizer


def load_chosen(name: str | None) -> "Tokenizer":
    """The tokenizer asked for, or the default one; its name goes to stderr.

    Raises:
        UserError: there is no such tokenizer, it is not on this machine, or its file is wrong.
    """
    from tokenizer import load_tokenizer

    tokenizer = load_tokenizer(name)
    say(f"tokenizer: {tokenizer.name}")
    return tokenizer


def tokenizers_meta(tokenizers: Sequence["Tokenizer"]) -> dict[str, Any]:
    """What the machine forms say of the tokenizers used."""
    return {"tokenizers": [{"name": each.name, "vocab_size": each.vocab_size} for each in tokenizers]}


def labels(names: Sequence[str]) -> dict[str, str]:
    """What people read of tokenizers' names: of files whose own names differ, these without their directories."""
    from tokenizer.registry import file_of

    short = [file_of(name).name or name for name in names]
    return {name: visible(one if short.count(one) == 1 else name) for name, one in zip(names, short, strict=True)}


def shown(token: bytes) -> str:
    r"""A token's bytes for people: white space and what is no whole character as signs.

    Example: shown(b" a\n") == "·a⏎"; shown(b"\xf0\x9f") == "⟨F0 9F⟩"
    """
    from cli.token_pieces import WHITE_SPACE, shapes

    if token.isascii() and (text := token.decode()).isprintable():  # so are most, and they are quick to write
        return text.replace(" ", WHITE_SPACE[" "])
    return shapes([token])[0].signs


def token_column(output: "OutputOptions") -> "Column":
    """The column of tokens, of rows with their `token_texts`: on a terminal as they are shown, else their text."""
    from cli.output import Column, on_terminal

    if output.format is None and on_terminal():
        return Column("bytes_hex", "Token", show=lambda data: shown(bytes.fromhex(data)))
    return Column("text", "Token")


def shown_cut(tokens: Sequence[bytes]) -> str:
    """A row of tokens with bars between them, broken ones where a token holds a bar itself.

    Example: shown_cut([b" dis", b"establish"]) == "·dis|establish"
    """
    from cli.token_view import bar_between

    return bar_between(b"".join(tokens)).join(map(shown, tokens))
