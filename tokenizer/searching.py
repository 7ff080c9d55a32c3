"""Find tokens in a vocabulary by what they hold, how long they are, what they are written in, and where they rank."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError
from tokenizer.linting import utf8_form
from tokenizer.unicode_classes import white_space

Kind = Literal["partial", "ill-formed", "white-space", "digits", "special"]


@dataclass(frozen=True)
class Wanted:
    """What the tokens must be like; all of it at once.

    `contains`: bytes that they hold. `pattern`: a regular expression found in their text, which whole characters only
    have. `sizes` and `ids`: the least and the greatest, None for no limit. `script`: a Unicode script of which a letter
    or mark of theirs is, e.g. "Cyrillic". `kinds`: parts of characters, bytes that no UTF-8 has, white space only,
    digits and nothing else but a space, special tokens. `without`: ids that are left out.
    """

    contains: bytes = b""
    pattern: str | None = None
    sizes: tuple[int | None, int | None] = (None, None)
    ids: tuple[int | None, int | None] = (None, None)
    script: str | None = None
    kinds: tuple[Kind, ...] = ()
    without: Collection[int] = ()


def search(tokenizer: Tokenizer, wanted: Wanted) -> Iterator[tuple[int, bytes]]:
    """The tokens that are as wanted, by their ids; special tokens are among them only if that kind is wanted.

    Example: dict(search(cl100k, Wanted(contains=b"needle"))) has 31409: b" needle"

    Raises:
        UsageError: the pattern cannot be read, or there is no such script.
    """
    special = "special" in wanted.kinds
    tokens = (
        ((one, text.encode()) for text, one in tokenizer.special_tokens.items())
        if special
        else ((one, token) for token, one in tokenizer.vocabulary.items())
    )
    tests = list(_tests(wanted))
    for one, token in sorted(tokens):
        if one not in wanted.without and all(test(one, token) for test in tests):
            yield one, token


def _tests(wanted: Wanted) -> Iterator[Callable[[int, bytes], bool]]:
    """What each token is tried for, the quickest first."""
    first, last = wanted.ids
    if wanted.ids != (None, None):
        yield lambda one, _: (first is None or first <= one) and (last is None or one <= last)
    least, most = wanted.sizes
    if wanted.sizes != (None, None):
        yield lambda _, token: (least is None or least <= len(token)) and (most is None or len(token) <= most)
    if wanted.contains:
        yield lambda _, token: wanted.contains in token
    if wanted.pattern is not None:
        expression = _compiled(wanted.pattern)
        yield lambda _, token: (text := _text(token)) is not None and expression.search(text) is not None
    if wanted.script is not None:
        letter = _letter_of(wanted.script)
        yield lambda _, token: letter(token.decode("utf-8", "ignore"))
    if "partial" in wanted.kinds:
        yield lambda _, token: utf8_form(token) == "partial"
    if "ill-formed" in wanted.kinds:
        yield lambda _, token: utf8_form(token) == "ill-formed"
    if "white-space" in wanted.kinds:
        spaces = {chr(point) for first, last in white_space() for point in range(first, last + 1)}
        yield lambda _, token: bool(text := _text(token)) and spaces.issuperset(text or "")
    if "digits" in wanted.kinds:
        yield lambda _, token: (text := _text(token)) is not None and text.removeprefix(" ").isdigit()


def _text(token: bytes) -> str | None:
    """The text of a token; None if its bytes are no whole characters."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as err:
        raise UsageError(
            f"the regular expression cannot be read: {getattr(err, 'msg', None) or err}",
            hint=r"it is Python's, e.g. --regex '^ [A-Z]' or --regex '\.json$'",
        ) from err


def _letter_of(script: str) -> Callable[[str], bool]:
    """Whether a text has a letter of the script."""
    import regex  # type: ignore[import-untyped] # it has no stubs among our dependencies

    if not re.fullmatch(r"[A-Za-z_ ]+", script):
        raise UsageError(f"{script!r} is no script", hint="name one as Unicode does, e.g. Latin, Cyrillic, Han, Hangul")
    try:
        expression = regex.compile(rf"\p{{Script={script}}}")
    except regex.error as err:
        raise UsageError(
            f"there is no script {script!r}", hint="name one as Unicode does, e.g. Latin, Cyrillic, Han, Hangul"
        ) from err
    return lambda text: expression.search(text) is not None
