"""A rendered conversation in tokens, each with whose it is; special tokens are read in the template's own text only."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from probes.chats.conversation import Turn
from probes.chats.template import Rendered
from tokenizer import Tokenizer

_TEMPLATE = -1


class ChatToken(NamedTuple):
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
    data, runs = rendered.text.encode("utf-8", "surrogatepass"), list(_byte_runs(rendered))
    ids = _ids(tokenizer, data, runs)
    tokens = tokenizer.decode_tokens(ids)
    owners = array("i")
    for owner, start, end in runs:
        owners += array("i", [owner]) * (end - start)
    places = accumulate(map(len, tokens), initial=0)
    turns = [max(owners[start:end], default=_TEMPLATE) for start, end in pairwise(places)]
    special = map(frozenset(tokenizer.special_tokens.values()).__contains__, ids)
    return list(map(ChatToken, ids, tokens, special, (None if turn == _TEMPLATE else turn for turn in turns)))


def _byte_runs(rendered: Rendered) -> Iterator[tuple[int, int, int]]:
    """Whose the bytes of the text are, from which to behind which; neighbours are different ones'."""
    start = end = characters = 0
    for owner, run in groupby(rendered.runs, key=itemgetter(0)):
        before, characters = characters, characters + sum(size for _, size in run)
        start, end = end, end + len(rendered.text[before:characters].encode("utf-8", "surrogatepass"))
        yield _TEMPLATE if owner is None else owner, start, end


def _ids(tokenizer: Tokenizer, data: bytes, runs: Sequence[tuple[int, int, int]]) -> list[int]:
    """The ids of the text, where special tokens are looked for between the turns' contents only."""
    special = list(_special_places(tokenizer, data, runs))
    ends = [start for start, _ in special] + [len(data)]
    between = [data[start:end] for start, end in zip([0, *(stop for _, stop in special)], ends, strict=True)]
    found = tokenizer.encode_batch(between, disallowed_special=())
    ids: list[int] = found[0].tolist()
    for (start, stop), following in zip(special, found[1:], strict=True):
        ids += [tokenizer.special_tokens[data[start:stop].decode()], *following.tolist()]
    return ids


def _special_places(
    tokenizer: Tokenizer, data: bytes, runs: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[int, int]]:
    """Where special tokens stand in what is the template's own; of several that begin there, the longest."""
    pattern = _any_of(tokenizer.special_tokens)
    for owner, start, stop in runs:
        if owner == _TEMPLATE and pattern is not None:
            yield from (match.span() for match in pattern.finditer(data, start, stop))


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
