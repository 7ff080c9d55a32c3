"""The texts that are measured on: what any machine with Python has, or files of the user's own."""

import gettext
import itertools
import random
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MEGABYTE = 1_000_000
_VOCABULARY = 20_000  # made-up words of a language
_LANGUAGES = 40


def code(size: int) -> bytes:
    """Python's own library, file after file, and of the packages beside it as much as is needed."""
    return _filled(size, (path.read_bytes() for path in _python_files()))


def english(size: int) -> bytes:
    """Python's manual and the docstrings of its library and packages: technical prose."""
    return _filled(size, _prose())


def multilingual(size: int) -> bytes:
    """What programs say in other languages than English, a catalogue of each language in turn, as most systems have it.

    A machine with less of it than `size` gets made-up words.
    """
    said = _within(size, _translations())
    return said or made_up(size)


def made_up(size: int) -> bytes:
    """Lines in the scripts of the sample texts, of made-up words that are as unevenly common as those of a language."""
    draws = random.Random("multilingual")
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "samples" / "texts").glob("*.txt"))]
    languages = [_words(text, draws) for text in texts]

    def lines() -> Iterator[bytes]:
        while True:
            words = draws.choice(languages)
            # By Zipf's law the n-th word is n times rarer than the first: the logarithms of such ranks are even.
            ranks = (int(len(words) ** draws.random()) - 1 for _ in range(12))
            yield (" ".join(words[rank] for rank in ranks) + "\n").encode()

    return _filled(size, lines())


def _translations() -> Iterator[bytes]:
    """The messages of the catalogues on this machine, of the languages that have most: one of each, then the next."""
    folders = dict.fromkeys(Path(prefix, "share", "locale") for prefix in (sys.base_prefix, "/usr/local", "/usr"))
    languages = [
        sorted(language.glob("LC_MESSAGES/*.mo"))
        for folder in folders
        for language in sorted(folder.glob("*"))
        if not language.name.startswith("en")
    ]
    languages.sort(key=len, reverse=True)
    for catalogues in itertools.zip_longest(*languages[:_LANGUAGES]):
        for catalogue in filter(None, catalogues):
            with catalogue.open("rb") as file, suppress(OSError, ValueError, LookupError):  # a broken catalogue
                messages = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
                yield "".join(f"{text}\n" for key, text in messages.items() if key).encode()


def _words(text: str, draws: random.Random) -> list[str]:
    """The words of a text, and others that have the beginning of one and the end of another, in any order."""
    clauses = text.split()
    found = clauses
    if sum(map(len, clauses)) > 12 * len(clauses):  # a script without spaces
        found = [clause[at : at + draws.randint(1, 9)] for clause in clauses for at in range(len(clause))]
    made = [one[: len(one) // 2 + 1] + other[len(other) // 2 :] for one in found for other in found]
    words = list(dict.fromkeys(made))
    draws.shuffle(words)
    return words[:_VOCABULARY]


def mixed(size: int) -> bytes:
    """What a training corpus is like: prose, code and many languages in turns of 100,000 characters."""
    sources = (english(size // 2), code(size // 3), multilingual(size - size // 2 - size // 3))
    parts = [source.decode("utf-8", "ignore") for source in sources]
    turns = range(0, max(map(len, parts)), 100_000)
    return "".join(part[start : start + 100_000] for start in turns for part in parts).encode()


# Inputs on which quadratic algorithms show, by name; each a function of the size.
HARD = {
    "one letter": lambda size: b"a" * size,
    "spaces": lambda size: b" " * size,
    "newlines": lambda size: b"\n" * size,
    "CJK without spaces": lambda size: _random_characters(size, [chr(point) for point in range(0x4E00, 0x9FA6)]),
    "random letters": lambda size: _random_characters(size, list("abcdefghijklmnopqrstuvwxyz")),
    "mixed white space": lambda size: _random_characters(size, list(" \t\n\r\u00a0\u3000")),
}


def _random_characters(size: int, alphabet: list[str]) -> bytes:
    return "".join(random.Random("hard").choices(alphabet, k=size // len(alphabet[0].encode()))).encode()


def _python_files() -> Iterator[Path]:
    paths = sysconfig.get_paths()
    for folder in dict.fromkeys((paths["stdlib"], paths["purelib"])):
        yield from sorted(path for path in Path(folder).rglob("*.py") if path.stat().st_size < MEGABYTE)


def _prose() -> Iterator[bytes]:
    """Text between triple quotes that reads like prose, then the same files whole, should that be too little."""
    from pydoc_data.topics import topics

    yield from (topics[name].encode() for name in sorted(topics))
    for path in _python_files():
        for docstring in path.read_bytes().split(b'"""')[1::2]:
            if len(docstring) > 200 and docstring.count(b" ") > len(docstring) // 10:
                yield docstring + b"\n"


def _filled(size: int, pieces: Iterator[bytes]) -> bytes:
    """The first bytes of the pieces; from the first piece again when they run out."""
    whole = _joined(size, pieces)
    return _cut(whole * (size // len(whole) + 1), size)


def _within(size: int, pieces: Iterator[bytes]) -> bytes:
    """The first bytes of the pieces; none if the pieces have less."""
    whole = _joined(size, pieces)
    return _cut(whole, size) if len(whole) >= size else b""


def _joined(size: int, pieces: Iterator[bytes]) -> bytes:
    """So many pieces, one after the other, that they have the size."""
    found: list[bytes] = []
    length = 0
    for piece in pieces:
        found.append(piece)
        length += len(piece)
        if length >= size:
            break
    return b"".join(found)


def _cut(text: bytes, size: int) -> bytes:
    return text[:size].decode("utf-8", "ignore").encode()


if __name__ == "__main__":
    _kind, _megabytes, _path = sys.argv[1:]
    _makers = {
        "english": english,
        "code": code,
        "multilingual": multilingual,
        "made-up": made_up,
        "mixed": mixed,
    }
    Path(_path).write_bytes(_makers[_kind](int(_megabytes) * MEGABYTE))
