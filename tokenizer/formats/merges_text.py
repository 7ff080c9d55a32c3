"""GPT-2's two files: `vocab.json`, the ids of the tokens, and `merges.txt`, one merge a line, best first.

They say neither how text is split nor which tokens are special. A token that no merge makes must be given as a special
one: it may as well be the trace of a `merges.txt` that was cut short.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizer.byte_alphabet import from_letters, to_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.files import AGAIN, brief, parse_json, read_bytes
from tokenizer.formats.recipes import check_no_literals, check_pieces, merges_of
from tokenizer.formats.tiktoken import single_pattern
from tokenizer.formats.vocabulary import bytes_of_letters, check_alphabet, check_ids, check_special, with_specials
from tokenizer.splits import Split

_HEADER = "#version: 0.2"


def read(
    vocabulary_path: Path, merges_path: Path, name: str, split: Split, special_tokens: Mapping[str, int | None]
) -> Tokenizer:
    """Read the two files; split and special tokens are what the user says they are.

    Raises:
        UserError: what is wrong, and where; or a token that no merge makes is not among the special ones.
    """
    source = str(vocabulary_path)
    ids = check_ids(parse_json(read_bytes(vocabulary_path), source), source, "the file")
    merges = _merges(read_bytes(merges_path), str(merges_path), ids)
    specials: dict[str, int] = {}
    for token, given in special_tokens.items():
        one = _special_id(token, given, ids, source)
        taken = specials.values() if token in ids else {*ids.values(), *specials.values()}
        check_special(token, one, taken, source)
        specials[token] = one
    made = {left + right for left, right in merges}
    if merged := next((token for token in specials if token in made), None):
        raise UserError(
            f"{source}: {brief(merged)} is made by a merge, and so not special", hint="leave out its --special"
        )
    ordinary = {text: one for text, one in ids.items() if text not in specials}
    unmade = [text for text in ordinary if len(text) > 1 and text not in made]
    if unmade:
        more = f" and {len(unmade) - 1} more" if len(unmade) > 1 else ""
        raise UserError(
            f"{vocabulary_path}: no merge in {merges_path} makes {brief(unmade[0])}{more}",
            hint=f"if it is a special token, say so: --special {unmade[0]!r}; if not, get the files again",
        )
    vocabulary = bytes_of_letters(ordinary, source, "the file")
    check_alphabet(vocabulary, source, "the file")
    return Tokenizer(
        name=name,
        split=split,
        vocabulary=vocabulary,
        special_tokens=specials,
        merges=[(from_letters(left), from_letters(right)) for left, right in merges],
        whole_pieces=False,
    )


def _special_id(token: str, given: int | None, ids: Mapping[str, int], source: str) -> int:
    stated = ids.get(token)
    if stated is not None and given not in (None, stated):
        raise UserError(f"{source}: {token!r} has the id {stated}, not {given}", hint="leave out the id")
    one = stated if given is None else given
    if one is None:
        raise UserError(f"{source} has no token {token!r}", hint=f"say its id: --special '{token}=ID'")
    return one


def _merges(content: bytes, source: str, ids: Mapping[str, int]) -> Sequence[tuple[str, str]]:
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as err:
        raise UserError(f"{source} is not text: byte {err.start} is not UTF-8", hint=AGAIN) from err
    merges: dict[tuple[str, str], int] = {}
    for number, whole_line in enumerate(lines, start=1):
        line = whole_line.removesuffix("\r")
        if line.startswith("#version") or (not line and number == len(lines)):
            continue
        left, space, right = line.partition(" ")
        if not (left and space and right) or " " in right:
            raise UserError(f"{source}: line {number}: {brief(line)} should be two tokens", hint=AGAIN)
        for part in (left, right, left + right):
            if part not in ids:
                raise UserError(
                    f"{source}: line {number}: needs the token {brief(part)}, which is not in the vocabulary",
                    hint=AGAIN,
                )
        if (left, right) in merges:
            raise UserError(f"{source}: line {number}: the merge is already in line {merges[left, right]}", hint=AGAIN)
        merges[left, right] = number
    return list(merges)


def to_bytes(tokenizer: Tokenizer) -> tuple[bytes, bytes]:
    """The content of `vocab.json` and of `merges.txt`. Special tokens stand among the others, as in GPT-2's files.

    Raises:
        UserError: the files cannot say what this tokenizer does.
    """
    check_no_literals(tokenizer)
    check_pieces(tokenizer)
    single_pattern(tokenizer.split)
    merges = merges_of(tokenizer)
    made = {left + right for left, right in merges}
    unmade = [token for token in tokenizer.vocabulary if len(token) > 1 and token not in made]
    if unmade:
        raise UserError(
            f"ids would change: no merge makes the token {to_letters(unmade[0])!r}, which the files could not tell "
            "from a special one",
            hint="write a tokenizer.json",
        )
    lines = [f"{to_letters(left)} {to_letters(right)}" for left, right in merges]
    if taken := next((line for line in lines if line.startswith(_HEADER[:8])), None):
        raise UserError(
            f"ids would change: the merge {taken!r} would be taken for the first line of merges.txt",
            hint="write a tokenizer.json",
        )
    vocabulary = json.dumps(with_specials(tokenizer), ensure_ascii=False)
    return vocabulary.encode() + b"\n", "".join(f"{line}\n" for line in (_HEADER, *lines)).encode()
