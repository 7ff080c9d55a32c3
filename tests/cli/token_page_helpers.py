"""Texts to make pages of: cut by the small tokenizer, by one of single bytes, and one in which all is hostile."""

from collections.abc import Iterable

import numpy as np
import pytest

from cli.token_page import Cut, Text, render
from tests.probes.report_helpers import HOSTILE
from tokenizer import Tokenizer, load_tokenizer
from tokenizer.splits import NO_SPLIT, Split

SMALL = load_tokenizer("small")
BYTES = Tokenizer(
    name="bytes",
    split=Split("none", NO_SPLIT),
    vocabulary={bytes([byte]): byte for byte in range(256)} | {b"ab": 256},
    special_tokens={"<end>": 300},
    merges=[(b"a", b"b")],
    whole_pieces=False,
)


def cut_by(tokenizer: Tokenizer, text: str | bytes, ids: Iterable[int] | None = None) -> Cut:
    data = text.encode() if isinstance(text, str) else text
    found = tokenizer.encode(data, disallowed_special=()) if ids is None else ids
    return Cut(Text("notes.txt", data), tokenizer, np.array(list(found), np.int32))


def page_of(*cuts: Cut, most_tokens: int = 1000, figures: bool = False) -> str:
    """The page; its figures, which take a tenth of a second each, only where the test is about them."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr("cli.token_page.sections.pictures", lambda _: [])
        return render(cuts, most_tokens=most_tokens)


def hostile_cut() -> Cut:
    """A text, a file's name, a tokenizer's name, tokens and special tokens that all are hostile."""
    words = [text.encode("utf-8", "replace") for text in HOSTILE]
    tokenizer = Tokenizer(
        name=HOSTILE[1],
        split=Split("none", NO_SPLIT),
        vocabulary={bytes([byte]): byte for byte in range(256)} | {word: 256 + at for at, word in enumerate(words)},
        special_tokens={f"</script>{HOSTILE[2]}": 400},
        merges=None,
        whole_pieces=True,
    )
    data = b"".join(words) + f"</script>{HOSTILE[2]}".encode() + b"\xff\xc3"
    ids = [*range(256, 256 + len(words)), 400, 0xFF, 0xC3]
    return Cut(Text(HOSTILE[6], data), tokenizer, np.array(ids, np.int32))
