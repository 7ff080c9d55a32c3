"""Vocabularies in the byte alphabet, as `tokenizer.json`, `vocab.json` and GGUF hold them."""

import string
from collections.abc import Callable, Container, Mapping, Sequence
from itertools import accumulate, pairwise
from operator import add
from typing import Any, NoReturn

from tokenizer.byte_alphabet import BYTES_BY_LETTER, from_letters, to_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.files import AGAIN, brief
from tokenizer.packed import MergesById

LARGEST_ID = 1 << 31  # and no id is as large
_PRINTED = frozenset(string.printable) - frozenset("\x0b\x0c\r")


def check_ids(found: Any, source: str, key: str) -> dict[str, int]:
    """Make sure that this is an object of tokens, each with an id of its own; `key` is its place in the file.

    Raises:
        UserError: it is not.
    """
    if not isinstance(found, dict):
        raise UserError(f"{source}: {key} should be an object {{...}}", hint=AGAIN)
    text_of: dict[int, str] = {}
    for text, one in found.items():
        if type(one) is not int or not 0 <= one < LARGEST_ID:
            raise UserError(
                f"{source}: {key}[{brief(text)}] should be an id, a number from 0 on, and is {brief(one)}", hint=AGAIN
            )
        if one in text_of:
            raise UserError(
                f"{source}: {key}[{brief(text)}] has the id {one}, which {brief(text_of[one])} has, too", hint=AGAIN
            )
        text_of[one] = text
    return found


def check_special(token: str, one: int, taken: Container[int], source: str) -> None:
    """Make sure that this can be a special token, with this id beside those that are taken.

    Raises:
        UserError: it is no text, or the id is none or another's; `source` names the file.
    """
    if not token or any("\ud800" <= letter <= "\udfff" for letter in token):
        what = "not text" if token else "empty"
        raise UserError(f"{source}: the special token {token!r} is {what}", hint="write it in UTF-8")
    if type(one) is not int or not 0 <= one < LARGEST_ID:
        raise UserError(
            f"{source}: the special token {token!r} cannot have the id {one!r}",
            hint=f"ids are numbers from 0 to {LARGEST_ID - 1}",
        )
    if one in taken:
        raise UserError(
            f"{source}: the special token {token!r} cannot have the id {one}: another token has it",
            hint="give each special token an id of its own",
        )


def bytes_of_letters(ids: Mapping[str, int], source: str, key: str) -> dict[bytes, int]:
    """The same vocabulary in bytes.

    Raises:
        UserError: a token is empty, or holds a character that stands for no byte.
    """
    try:
        data = from_letters("".join(ids))  # each letter is one byte
    except KeyError as err:
        text = next(text for text in ids if err.args[0] in text)
        raise UserError(
            f"{source}: {key}[{brief(text)}] holds {brief(err.args[0])}, which stands for no byte", hint=AGAIN
        ) from err
    if "" in ids:
        raise UserError(f"{source}: {key} holds an empty token, of the id {ids['']}", hint=AGAIN)
    ends = accumulate(map(len, ids), initial=0)
    return {data[start:end]: one for (start, end), one in zip(pairwise(ends), ids.values(), strict=True)}


def merges_by_id(
    lefts: Sequence[str], rights: Sequence[str], ids: Mapping[str, int], absent: Callable[[int, str], NoReturn]
) -> MergesById:
    """Merges whose parts are given as they are written in a vocabulary; one that stands twice is there twice.

    Args:
        lefts: the left part of each.
        rights: the right part of each.
        ids: the vocabulary.
        absent: told which merge has a part, or makes something, that is not in it; it raises.
    """
    rows = lefts, rights, list(map(add, lefts, rights))
    try:
        return MergesById(*(list(map(ids.__getitem__, row)) for row in rows))
    except KeyError:
        texts = enumerate(zip(*rows, strict=True))
        absent(*next((place, text) for place, merge in texts for text in merge if text not in ids))


def check_alphabet(vocabulary: Mapping[bytes, int], source: str, key: str) -> None:
    """Make sure that the bytes are tokens. One that no text of a model's corpus had may be absent, a printed one not.

    Raises:
        UserError: one is absent.
    """
    for byte in BYTES_BY_LETTER:
        if chr(byte) in _PRINTED and bytes([byte]) not in vocabulary:
            letter = to_letters(bytes([byte]))
            raise UserError(f"{source}: {key} has no token {letter!r} for the byte {byte:#04x}", hint=AGAIN)


def with_specials(tokenizer: Tokenizer) -> dict[str, int]:
    """All tokens in the byte alphabet, special ones as they are, in the order of their ids.

    Raises:
        UserError: a special token is written like an ordinary one.
    """
    vocabulary = {to_letters(token): one for token, one in tokenizer.vocabulary.items()}
    for token in tokenizer.special_tokens:
        if token in vocabulary:
            raise UserError(
                f"the special token {token!r} is written like an ordinary token in a vocabulary of letters",
                hint="take another text for the special token, as <|end|>",
            )
    vocabulary |= tokenizer.special_tokens
    return dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
