"""Have the engines that others wrote encode the same texts, and find the first where they give other ids."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.agreement import awkward_texts
from tokenizer.formats.recipes import check_ranks
from tokenizer.formats.tiktoken import single_pattern
from tokenizer.training_record import recorded_samples, sample_texts

Peer = Literal["hf", "tiktoken"]
PEERS: tuple[Peer, ...] = ("hf", "tiktoken")
_DISTRIBUTIONS = {"hf": "tokenizers", "tiktoken": "tiktoken"}
_REPEATS = ("a", "ab", " ", "\n", "\t ", "0", "!", "é", "世", "🌍", "'s", "a ", "\r\n")
_TRIED_SPECIALS = 40  # of each end of the list
_SHOWN_IDS = 5

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Difference:
    """The first text that two engines encode differently.

    Attributes:
        text: the text.
        token: the place of the first token that differs, from 0.
        byte: where that token starts in the text's UTF-8.
        ids: ours from there on, a few.
        peer_ids: theirs.
    """

    text: str
    token: int
    byte: int
    ids: list[int]
    peer_ids: list[int]


@dataclass(frozen=True)
class Verdict:
    """What one comparison found.

    Attributes:
        peer: the package compared with, or "training record".
        version: its version; None for the record.
        texts: how many texts were encoded, up to the first difference.
        bytes: their UTF-8.
        difference: the first difference, if there is one.
        reason: why nothing was compared, if nothing was.
    """

    peer: str
    version: str | None
    texts: int = 0
    bytes: int = 0
    difference: Difference | None = None
    reason: str | None = None


def verify(tokenizer: Tokenizer, path: Path | None, against: Iterable[Peer] = PEERS) -> list[Verdict]:
    """Compare a tokenizer with the packages asked for, and with what it did when it was trained, if that is known.

    Args:
        tokenizer: the tokenizer.
        path: the file it was read from. A `tokenizer.json` is given to `tokenizers` as it is.
        against: `hf` for the package `tokenizers`, `tiktoken`.

    Example: [(each.peer, each.difference) for each in verify(tokenizer, None)] == [("tokenizers", None), ...]
    """
    verdicts = []
    if path is not None and path.suffix == ".json" and (recorded := recorded_samples(path)):
        ids_of = {sample.text: sample.ids for sample in recorded}
        verdicts.append(_compare(tokenizer, ids_of.__getitem__, ids_of, "training record", None, specials=False))
    for peer in against:
        name = _DISTRIBUTIONS[peer]
        version = metadata.version(name)
        try:
            encode = _hugging_face(tokenizer, path) if peer == "hf" else _tiktoken(tokenizer)
        except UserError as err:
            verdicts.append(Verdict(name, version, reason=str(err)))
        else:
            verdicts.append(_compare(tokenizer, encode, texts(tokenizer), name, version, specials=True))
    return verdicts


def texts(tokenizer: Tokenizer) -> Iterator[str]:
    """The self-test samples, special tokens among letters, long repeats, and texts that engines stumble over.

    Texts with bytes for which the vocabulary has no token are left out: other engines drop those silently.
    """
    tokens = list(tokenizer.special_tokens)
    tried = dict.fromkeys((*tokens[:_TRIED_SPECIALS], *tokens[-_TRIED_SPECIALS:]))
    absent = set(tokenizer.absent_bytes)
    for text in (
        *sample_texts(tokenizer),
        *(f"a{token} b {token}{token}c" for token in tried),
        *(chunk * 300 for chunk in _REPEATS),
        *awkward_texts(tokenizer.split.pattern),
    ):
        if not absent or absent.isdisjoint(text.encode()):
            yield text


def _compare(
    tokenizer: Tokenizer, encode: Encode, among: Iterable[str], name: str, version: str | None, *, specials: bool
) -> Verdict:
    count = size = 0
    for text in among:
        ours = tokenizer.encode(text, allowed_special="all" if specials else (), disallowed_special=())
        theirs = list(encode(text))
        count += 1
        size += len(text.encode())
        if ours != theirs:
            return Verdict(name, version, count, size, _difference(tokenizer, text, ours, theirs))
    return Verdict(name, version, count, size)


def _difference(tokenizer: Tokenizer, text: str, ours: list[int], theirs: list[int]) -> Difference:
    pairs = enumerate(zip_longest(ours, theirs))
    place = next(place for place, (one, other) in pairs if one != other)
    end = place + _SHOWN_IDS
    return Difference(text, place, len(tokenizer.decode_bytes(ours[:place])), ours[place:end], theirs[place:end])


def _hugging_face(tokenizer: Tokenizer, path: Path | None) -> Encode:
    import tokenizers

    from tokenizer.formats import format_of, huggingface

    if path is not None and format_of(path) == "tokenizer.json":
        content = (path / "tokenizer.json" if path.is_dir() else path).read_text(encoding="utf-8")
    else:
        content = json.dumps(huggingface.to_json(tokenizer))
    try:
        theirs = tokenizers.Tokenizer.from_str(content)
    except Exception as err:  # the package raises nothing more exact
        raise UserError(f"tokenizers cannot load it: {err}", hint="see the message") from err
    return lambda text: theirs.encode(text, add_special_tokens=False).ids


def _tiktoken(tokenizer: Tokenizer) -> Encode:
    import tiktoken

    check_ranks(tokenizer)
    try:
        theirs = tiktoken.Encoding(
            tokenizer.name,
            pat_str=single_pattern(tokenizer.split),
            mergeable_ranks=dict(tokenizer.vocabulary),
            special_tokens=dict(tokenizer.special_tokens),
        )
    except ValueError as err:
        raise UserError(f"tiktoken cannot hold it: {err}", hint="see the message") from err
    return lambda text: theirs.encode(text, allowed_special="all")
