"""What is odd in a vocabulary: tokens that no text can have, or that are no text, and ids that lead nowhere.

Whether a token can come about is asked four times, each time a little nearer to real text:

    ranks    merging its own bytes gives it
    whole    it is taken whole where a pre-token is just this token, whatever merging gives
    text     some text was found in which it comes about: itself, or itself between other characters
    utf-8    its bytes can stand in UTF-8 at all
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate, compress, islice, product
from typing import TYPE_CHECKING, TypeVar

from tokenizer import engines
from tokenizer.encoding import Tokenizer
from tokenizer.recipes import Recipes
from tokenizer.splits import NO_SPLIT, Split
from tokenizer.unicode_classes import LAST_CODE_POINT, category, category_runs, white_space

if TYPE_CHECKING:
    from tokenizer.compiled_splits import CompiledSplit

Found = TypeVar("Found")
Surrounding = tuple[bytes, bytes]  # what stands before a token, and what behind it

# Set beside a token, to find a text in which it comes about.
NEIGHBOURS = ("", " ", "a", "A", "s", "1", ".", "'", "/", "\n", "\r\n", "\t", "(", "é", "中", "\u0301")
FEW = 8  # surroundings; most tokens come about in one of so many
LONGEST_TAIL = 3  # bytes of a character after its first
MOST_COMPLETIONS = 64  # characters that are tried for the missing bytes of a token, ...
MOST_CHARACTERS = 5_000  # ... and if none of them will do


@dataclass(frozen=True)
class Lint:
    """What was found; every list holds ids, ascending.

    `partial`: the bytes are a part of UTF-8, but not whole characters. `ill_formed`: they can stand in no UTF-8.
    `not_merged`: merging their bytes does not give them; `only_whole` of these come about where a pre-token is just the
    token, `never` do not at all. `no_recipe`: longer than a byte and made of no two other tokens. `split_alone`: the
    split pattern cuts the token's own text; `split_always` of these came about in none of the texts tried.
    `not_found`: partial ones that came about in none of the texts tried.
    `special_twice`: the text of a special token is an ordinary token, too. `holes`: ids between others that no token
    has, as ranges with both ends.
    """

    tokens: int
    partial: Sequence[int] = ()
    ill_formed: Sequence[int] = ()
    not_merged: Sequence[int] = ()
    only_whole: Sequence[int] = ()
    never: Sequence[int] = ()
    no_recipe: Sequence[int] = ()
    split_alone: Sequence[int] = ()
    split_always: Sequence[int] = ()
    not_found: Sequence[int] = ()
    special_twice: Sequence[int] = ()
    holes: Sequence[tuple[int, int]] = field(default_factory=tuple)


def lint(tokenizer: Tokenizer) -> Lint:
    """Look at every ordinary token of a vocabulary.

    Example: lint(o200k).split_alone are twelve tokens, such as " I'", which its own pattern cuts
    """
    return _Linter(tokenizer).found()


def drifted_letters() -> dict[str, int]:
    """How many code points the `regex` package, by its newer Unicode, reads as another class than tokenizers do.

    By class: letters, numbers, white space. Our splits take all classes from one frozen table, so they do not drift;
    a program that splits by another engine may.

    Example: drifted_letters()["letters"] == 17144 with Unicode 18 in `regex`
    """
    import regex  # type: ignore[import-untyped] # it has no stubs among our dependencies

    every = "".join(map(chr, (*range(0xD800), *range(0xE000, LAST_CODE_POINT + 1))))
    ours = {"letters": category("L"), "numbers": category("N"), "white_space": white_space()}
    theirs = {"letters": r"\p{L}", "numbers": r"\p{N}", "white_space": r"\s"}
    drifted = {}
    for name, ranges in ours.items():
        known = {point for first, last in ranges for point in range(first, last + 1)}
        drifted[name] = len(known ^ set(map(ord, regex.findall(theirs[name], every))))
    return drifted


class _Linter:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: Mapping[bytes, int] = dict(tokenizer.vocabulary.items())

    def found(self) -> Lint:
        ids, tokenizer = self._ids, self._tokenizer
        forms = {token: utf8_form(token) for token in ids}
        whole_characters = [token for token, form in forms.items() if form == "whole"]
        partial = [token for token, form in forms.items() if form == "partial"]
        not_merged = [token for token in ids if not self._is_merged(token)]
        alone = [token for token in whole_characters if tokenizer.pre_tokens(token) != [token]]
        reached = {token for token in not_merged if tokenizer.whole_pieces and self._comes_about(token)}
        return Lint(
            tokens=len(ids),
            partial=self._sorted(partial),
            ill_formed=self._sorted(token for token, form in forms.items() if form == "ill-formed"),
            not_merged=self._sorted(not_merged),
            only_whole=self._sorted(reached),
            never=self._sorted(set(not_merged) - reached),
            no_recipe=self._sorted(self._without_recipe()),
            split_alone=self._sorted(alone),
            split_always=self._sorted(token for token in alone if not self._comes_about(token)),
            not_found=self._sorted(
                token for token in partial if token not in not_merged and not self._comes_about(token)
            ),
            special_twice=self._sorted(text.encode() for text in tokenizer.special_tokens if text.encode() in ids),
            holes=_holes({*ids.values(), *tokenizer.special_tokens.values()}),
        )

    def _sorted(self, tokens: Iterable[bytes]) -> list[int]:
        return sorted(self._ids[token] for token in tokens)

    @cached_property
    def _merging(self) -> Tokenizer:
        """The tokenizer without its split and without the shortcut for whole pre-tokens."""
        tokenizer = self._tokenizer
        return Tokenizer(
            name=tokenizer.name,
            split=Split("none", NO_SPLIT),
            vocabulary=self._ids,
            special_tokens={},
            merges=tokenizer.merges,
            whole_pieces=False,
        )

    @cached_property
    def _merged(self) -> set[bytes]:
        """The tokens that merging their own bytes gives."""
        tokens = [token for token in self._ids if token]
        made = self._merging.encode_batch(tokens, disallowed_special=())
        return {token for token, ids in zip(tokens, made, strict=True) if ids.size == 1 and ids[0] == self._ids[token]}

    def _without_recipe(self) -> list[bytes]:
        """Tokens of several bytes that are made of no two others: looking at each is slow, and often there are none."""
        tables = engines.compiled_module("tokenizer.compiled_vocabulary")
        if tables is not None and len(self._merged) == len(self._ids):  # else some have none: the tables say no more
            with suppress(tables.Unsupported):
                if tables.Vocabulary(self._ids, {}, self._tokenizer.merges, whole_pieces=False).one_recipe_each:
                    return []
        recipes = Recipes(self._merging)
        return [token for token in self._ids if len(token) > 1 and recipes.of(token) is None]

    def _is_merged(self, token: bytes) -> bool:
        return token in self._merged

    def _comes_about(self, token: bytes) -> bool:
        """Whether a text was found whose tokens have this one, where it was put."""
        surroundings = iter(_surroundings(token))
        for some in (islice(surroundings, FEW), self._uncut(token, surroundings)):
            if any(self._stands_in(before, token, after) for before, after in some):
                return True
        more = self._uncut(token, _more_surroundings(token))
        return any(self._stands_in(before, token, after) for before, after in self._with_it(token, more))

    @cached_property
    def _split(self) -> "CompiledSplit | None":
        module = engines.compiled_module("tokenizer.compiled_splits")
        return None if module is None else module.CompiledSplit(self._tokenizer.split)

    def _uncut(self, token: bytes, surroundings: Iterable[Surrounding]) -> Iterator[Surrounding]:
        """Those in which the token is not cut by the split, as far as that is quickly told; in others it is nowhere."""
        surroundings = list(surroundings)
        if self._split is None or not surroundings:
            yield from surroundings
            return
        import numpy as np

        texts = [before + token + after for before, after in surroundings]
        text_ends = np.cumsum(list(map(len, texts)))
        ends = text_ends - [len(after) for _, after in surroundings]  # of the token
        piece_ends = self._split.piece_ends(b"".join(texts), text_ends)
        is_whole = piece_ends[np.searchsorted(piece_ends, ends - len(token), "right")] >= ends
        yield from compress(surroundings, is_whole)

    def _with_it(self, token: bytes, surroundings: Iterable[Surrounding]) -> Iterator[Surrounding]:
        """Those of very many surroundings in which the token is found somewhere, all tried together."""
        absent = self._tokenizer.absent_bytes
        pairs = [
            pair for pair in surroundings if not absent or (joined := b"".join(pair)) == joined.translate(None, absent)
        ]
        batch = self._tokenizer.encode_batch([before + token + after for before, after in pairs], disallowed_special=())
        return (pair for pair, ids in zip(pairs, batch, strict=True) if self._ids[token] in ids)

    def _stands_in(self, before: bytes, token: bytes, after: bytes) -> bool:
        own = self._ids[token]
        ids = self._tokenizer.encode(before + token + after, disallowed_special=())
        if own not in ids:
            return False
        ends = accumulate(map(len, self._tokenizer.decode_tokens(ids)))
        return any(one == own and end == len(before) + len(token) for one, end in zip(ids, ends, strict=True))


def utf8_form(token: bytes) -> str:
    r"""Whether bytes are `whole` characters, a `partial` stretch of UTF-8, or `ill-formed`.

    Example: utf8_form("é".encode()) == "whole"; utf8_form(b"\xc3") == "partial"; utf8_form(b"\xff") == "ill-formed"
    """
    try:
        token.decode()
    except UnicodeDecodeError:
        pass
    else:
        return "whole"
    head, rest = _at_first_beginning(token)
    if len(head) > LONGEST_TAIL or _whole_length(rest) is None:
        return "ill-formed"
    return "partial"


def _surroundings(token: bytes) -> Iterator[Surrounding]:
    """Texts to set before and behind a token, so that all is UTF-8."""
    if utf8_form(token) == "whole":
        yield from _neighbours()
        return
    for left, right in _completions(token):
        for before, after in (("", ""), (" ", " "), ("a", "a"), ("中", "中")):
            yield before.encode() + left, right + after.encode()


def _more_surroundings(token: bytes) -> Iterator[Surrounding]:
    """Very many more, for those few tokens that came about in none of the others."""
    yield from _more_neighbours() if utf8_form(token) == "whole" else _completions(token, most=MOST_CHARACTERS)


@cache
def _neighbours() -> list[Surrounding]:
    return [(before.encode(), after.encode()) for before, after in product(NEIGHBOURS, repeat=2)]


@cache
def _more_neighbours() -> list[Surrounding]:
    pairs = [(one.encode(), other.encode()) for one, other in product(NEIGHBOURS, map(chr, range(0x20, 0x7F)))]
    return [pair for one, other in pairs for pair in ((one, other), (other, one))]


def _completions(token: bytes, most: int = MOST_COMPLETIONS) -> Iterator[Surrounding]:
    """Bytes that make a stretch of UTF-8 whole on both sides, so many for a side; none if nothing can."""
    head, rest = _at_first_beginning(token)
    if not rest:  # all of it is the inside or the end of one character
        yield from _inside(head, most)
        return
    cut = _whole_length(rest)
    if cut is None:
        return
    if head and cut < len(rest):  # each goes with each
        most = MOST_COMPLETIONS
    lefts = _endings(head, most) if head else (b"",)
    rights = _beginnings(rest[cut:], most) if cut < len(rest) else (b"",)
    yield from product(lefts, rights)


def _at_first_beginning(token: bytes) -> tuple[bytes, bytes]:
    """A token cut where its first character begins."""
    start = next((place for place, byte in enumerate(token) if byte & 0xC0 != 0x80), len(token))
    return token[:start], token[start:]


def _whole_length(data: bytes) -> int | None:
    """How many bytes at the beginning are whole characters, if what follows can be the beginning of one."""
    for cut in range(len(data), max(len(data) - LONGEST_TAIL - 1, -1), -1):
        with suppress(UnicodeDecodeError):
            data[:cut].decode()
            return cut if cut == len(data) or _can_begin(data[cut:]) else None
    return None


def _can_begin(cut: bytes) -> bool:
    """Whether a character, assigned or not, can begin so."""
    if len(cut) == 1:
        return 0xC2 <= cut[0] <= 0xF4
    for size in (1, 2):
        with suppress(UnicodeDecodeError):
            return len((cut + b"\x80" * size).decode()) == 1
    return False


@cache
def _characters() -> tuple[bytes, ...]:
    """Characters of more than one byte, evenly taken from every run of one category."""
    found = []
    for name, first, last in category_runs():
        if name != "Cs" and last >= 0x80:
            step = 1 if last < 0x10000 else max(1, (last - first) // 2048)
            found += [chr(point).encode() for point in range(max(first, 0x80), last + 1, step)]
    return tuple(found)


@cache
def _by_part() -> dict[tuple[bytes, bool], list[bytes]]:
    """The characters by each of their beginnings (False) and endings (True)."""
    parts: dict[tuple[bytes, bool], list[bytes]] = {}
    for each in _characters():
        for cut in range(1, len(each)):
            parts.setdefault((each[:cut], False), []).append(each)
            parts.setdefault((each[cut:], True), []).append(each)
    return parts


def _beginnings(cut: bytes, most: int) -> tuple[bytes, ...]:
    """What may follow the beginning of a character: the rest of one."""
    known = _by_part().get((cut, False))
    if known is None:  # a rare one, which is not among the characters taken
        size = 2 + (cut[0] >= 0xE0) + (cut[0] >= 0xF0)
        return (b"\x80" * (size - len(cut)),)
    return _some([each[len(cut) :] for each in known], most)


def _endings(cut: bytes, most: int) -> tuple[bytes, ...]:
    """What may stand before the end of a character: the beginning of one."""
    return _some([each[: -len(cut)] for each in _by_part().get((cut, True), ())], most)


def _inside(cut: bytes, most: int) -> tuple[tuple[bytes, bytes], ...]:
    """What may stand before and behind bytes from inside a character."""
    ends = [(each[: -len(cut)], b"") for each in _by_part().get((cut, True), ())]
    middles = ((each, each.find(cut, 1)) for each in _characters() if len(each) > len(cut) + 1) if not ends else ()
    return _some(ends or [(each[:place], each[place + len(cut) :]) for each, place in middles if place > 0], most)


def _some(found: list[Found], most: int) -> tuple[Found, ...]:
    """Evenly some of them, or all if they are not many more."""
    return tuple(found[:: max(1, len(found) // most)])


def _holes(ids: set[int]) -> list[tuple[int, int]]:
    """The stretches of ids that are not there, between 0 and the greatest.

    Example: _holes({0, 1, 5}) == [(2, 4)]
    """
    holes = []
    expected = 0
    for one in sorted(ids):
        if one > expected:
            holes.append((expected, one - 1))
        expected = one + 1
    return holes
