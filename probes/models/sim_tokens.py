"""The tokens of simulated readers: every four characters of a text are one, and a rest is one more."""

from collections.abc import Iterable

from probes.models.base import Message

TOKEN_CHARACTERS = 4  # about what a token of English holds


def count_tokens(text: str) -> int:
    """How many tokens a text has.

    Example: count_tokens("48213.") -> 2
    """
    return -(-len(text) // TOKEN_CHARACTERS)


def tokens_of(text: str) -> list[str]:
    """The tokens of a text, in order.

    Example: tokens_of("48213.") -> ["4821", "3."]
    """
    return [text[start : start + TOKEN_CHARACTERS] for start in range(0, len(text), TOKEN_CHARACTERS)]


def count_prompt(messages: Iterable[Message]) -> int:
    """How many tokens a prompt has: those of its messages, and nothing for what stands between them."""
    return sum(count_tokens(message.content) for message in messages)
