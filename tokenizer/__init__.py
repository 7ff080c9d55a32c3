"""Byte-level BPE tokenizers: train them, load them, see what they do.

Example:
    from tokenizer import Tokenizer, train

    train(["texts/"], vocab_size=4096).save("small.json")
    Tokenizer.load("small.json").encode("the cat")
"""

from typing import TYPE_CHECKING

from tokenizer.errors import UsageError as UsageError
from tokenizer.errors import UserError as UserError

if TYPE_CHECKING:
    from tokenizer.encoding import Tokenizer as Tokenizer
    from tokenizer.registry import load_tokenizer as load_tokenizer
    from tokenizer.streaming import StreamDecoder as StreamDecoder
    from tokenizer.training import train as train
    from tokenizer.training import train_on as train_on

_HOMES = {
    "StreamDecoder": "tokenizer.streaming",
    "Tokenizer": "tokenizer.encoding",
    "load_tokenizer": "tokenizer.registry",
    "train": "tokenizer.training",
    "train_on": "tokenizer.training",
}

__all__ = ["StreamDecoder", "Tokenizer", "UsageError", "UserError", "load_tokenizer", "train", "train_on"]


def __getattr__(name: str) -> object:
    """Import the rest when it is first asked for, so that `import tokenizer` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tokenizer' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
