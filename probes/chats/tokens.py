"""A rendered conversation in tokens, each with whose it is; special tokens are read in the template's own text only."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from probes.chats.conversation import Turn
from probes.chats.template import Rendered
from tokenizer import Tokenizer

_TEMPLATE = -1


@dataclass(frozen=True, slots=True)
class ChatToken:
    """One token: its id and bytes, whether it is a special one, and the turn (from 0) of whose content it has a part.

    `turn` is None where all of its bytes are the template's.
    """

    id: int
    data: bytes
    special: bool
    turn: int | None


@dataclass(frozen=True, slots=True)
class Spelled:
    """A special token whose text stands in a turn's content: `turn` from 0, how often, and whether it is read anyway.

    Such text is ordinary text here. A server that looks for special tokens in the whole prompt reads the token.
    """

    turn: int
    text: str
    times: int
    always_read: bool


def chat_tokens(tokenizer: Tokenizer, rendered: Rendered) -> list[ChatToken]:
    """The tokens of a rendered conversation, in order.

    Example: of "<|im_start|>user\\nHi<|im_end|>", where only "Hi" is a turn's, the first and the last are special.
    """
    data, owners = rendered.text.encode("utf-8", "surrogatepass"), _byte_owners(rendered)
    special_ids = set(tokenizer.special_tokens.values())
    tokens = []
    place = 0
    for one in _ids(tokenizer, data, owners):
        token = tokenizer.token_bytes(one)
        turn = max(owners[place : place + len(token)], default=_TEMPLATE)
        tokens.append(ChatToken(one, token, one in special_ids, None if turn == _TEMPLATE else turn))
        place += len(token)
    return tokens


def _byte_owners(rendered: Rendered) -> "array[int]":
    """Of each byte of the text, whose it is."""
    owners = array("i")
    start = 0
    for owner, characters in rendered.runs:
        text = rendered.text[start : start + characters]
        size = characters if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        owners += array("i", [_TEMPLATE if owner is None else owner]) * size
        start += characters
    return owners


def _ids(tokenizer: Tokenizer, data: bytes, owners: "array[int]") -> Iterator[int]:
    """The ids of the text, where special tokens are looked for between the turns' contents only."""
    end = 0
    for start, stop in _special_places(tokenizer, data, owners):
        yield from tokenizer.encode(data[end:start], disallowed_special=())
        yield tokenizer.special_tokens[data[start:stop].decode()]
        end = stop
    yield from tokenizer.encode(data[end:], disallowed_special=())


def _special_places(tokenizer: Tokenizer, data: bytes, owners: "array[int]") -> Iterator[tuple[int, int]]:
    """Where special tokens stand in what is the template's own; of several that begin there, the longest."""
    pattern = _any_of(tokenizer.special_tokens)
    start = 0
    for owner, run in groupby(owners):
        stop = start + sum(1 for _ in run)
        if owner == _TEMPLATE and pattern is not None:
            yield from (match.span() for match in pattern.finditer(data, start, stop))
        start = stop


def _any_of(texts: Iterable[str]) -> re.Pattern[bytes] | None:
    longest_first = sorted((text.encode() for text in texts if text), key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None


def spelled_specials(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[Spelled]:
    """The special tokens that turns spell out in their own words."""
    pattern = _any_of(tokenizer.special_tokens)
    found = []
    for number, turn in enumerate(turns):
        words = Counter(match.decode() for match in pattern.findall(turn.content.encode())) if pattern else {}
        found += [Spelled(number, text, times, text in tokenizer.literal_tokens) for text, times in words.items()]
    return found


def kept_characters(rendered: Rendered) -> Mapping[int, int]:
    """How many characters each turn has in the rendered text; what is left out or rewritten is not among them."""
    kept: Counter[int] = Counter()
    for owner, characters in rendered.runs:
        if owner is not None:
            kept[owner] += characters
    return kept
