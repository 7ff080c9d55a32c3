"""The hand-written scanners against the `regex` package over the frozen table, and against our own reading of it."""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import regex

from tokenizer import unicode_classes
from tokenizer.splits import MODEL_PATTERNS, NAMED_PATTERNS, Split, as_text, piece_bytes

ROOT = Path(__file__).parents[2]
Texts = Callable[[int, str], Iterator[str]]

PATTERNS = NAMED_PATTERNS | MODEL_PATTERNS

# Neighbours that the formulas of whole blocks must tell apart: contractions, prefixes, line ends, marks, cases.
MIXTURES = (
    "abcAB 12.,'\n", "aZ '", "'sStlLvVrReEdmx. ", "  \n\r\tab!/", "/\n !a \r", "0123456789 a²\u0b95",
    "\u3000\xa0 \na.世", "aé世ǅʰA\u0301!' \n/sſ", "аБв Гд, е-ж'sſ\n", "กำ \u0e34ก!A", "A世a世Aa \u0301!",
)  # fmt: skip
BROKEN = b"\x80\xbf\xc0\xc2\xe0\xed\xa0\x9f\xf0\xf4\xf5\xff\xe3\xc5' \n"


@cache
def oracle(name: str) -> regex.Pattern[str]:
    r"""The pattern for the `regex` package, with `\p` and `\s` spelled out from the frozen table."""

    def ranges(match: re.Match[str]) -> str:
        found = unicode_classes.category(match[1]) if match[1] else unicode_classes.white_space()
        return "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in found)

    def spell(match: re.Match[str]) -> str:
        inside = re.sub(r"\\p\{(\w+)\}|\\s", ranges, match[0].strip("[]").replace(r"\S", r"^\s"))
        return f"[{inside}]"

    return regex.compile(re.sub(r"\[[^]]*\]|\\p\{\w+\}|\\[sS]", spell, PATTERNS[name]), regex.V0)


def split_of(name: str) -> Split:
    return Split(name, PATTERNS[name], "tiktoken" if name in NAMED_PATTERNS else "huggingface")


def ends_of(pieces: list[str]) -> list[int]:
    return list(itertools.accumulate(len(piece_bytes(piece)) for piece in pieces))


def scan(name: str, data: bytes, most: int = 1 << 20, size: int | None = None) -> list[int]:
    """The ends of all pieces, asking for at most so many at a time."""
    from tokenizer.kernels.memory import allocate, borrow
    from tokenizer.kernels.scanning import SPLITS, class_table, find_pieces

    size = len(data) if size is None else size
    text, room = borrow(data), allocate(8 * min(most, len(data) + 64))
    ends: list[int] = []
    while (start := ends[-1] if ends else 0) < size:
        arguments = SPLITS[name], class_table().address, text.address, start, size, room.address
        count = find_pieces(*arguments, min(most, len(data) + 64))
        assert count > 0
        ends += room.view(np.int64)[:count].tolist()
    return ends


@pytest.mark.parametrize("name", PATTERNS)
def test_texts_that_lie_one_behind_the_other_are_cut_as_each_by_itself(name: str, fuzz_texts: Texts) -> None:
    from tokenizer import compiled_splits

    texts = ["", *fuzz_texts(300, f"together {name}"), "", "x", " ", ""]
    data = [text.encode() for text in texts] + [b"\xff", BROKEN * 30]
    ends = np.cumsum([len(one) for one in data])
    expected = [
        int(before) + end
        for before, one in zip([0, *ends], data, strict=False)
        for end in ends_of(split_of(name).pieces(as_text(one)))
    ]
    split = compiled_splits.CompiledSplit(split_of(name))
    assert split.scanner is not None
    assert split.piece_ends(b"".join(data), ends).tolist() == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_splits, "_SHORT", 0)  # text by text
        assert split.piece_ends(b"".join(data), ends).tolist() == expected
    assert split.piece_ends(b"", np.array([0, 0])).tolist() == []


def mixed_data(seed: str) -> Iterator[bytes]:
    """Bytes of several blocks: mixtures of letters that matter to each other, runs, and bytes that are not UTF-8."""
    generator = random.Random(seed)
    while True:
        parts = []
        for _ in range(generator.randint(1, 6)):
            letters = generator.choice(MIXTURES)
            if generator.random() < 0.1:
                letters = generator.choice(letters)
            parts.append("".join(generator.choices(letters, k=generator.choice((1, 3, 10, 40, 100)))))
        data = bytearray("".join(parts).encode())
        for _ in range(generator.choice((0, 0, 1, 8))):
            place = generator.randint(0, len(data))
            data[place : place + generator.randint(0, 1)] = bytes([generator.choice(BROKEN)])
        yield bytes(data)


@pytest.mark.parametrize("name", PATTERNS)
def test_pieces_are_those_of_regex(name: str, fuzz_texts: Texts) -> None:
    for text in fuzz_texts(2000, f"scanning {name}"):
        assert scan(name, text.encode()) == ends_of(oracle(name).findall(text)), ascii(text)


@pytest.mark.parametrize("name", PATTERNS)
def test_pieces_of_any_bytes_do_not_depend_on_how_many_are_asked_for(name: str, fuzz_texts: Texts) -> None:
    split = split_of(name)
    room = itertools.cycle((1 << 20, 1, 64, 65, 70, 100))
    for text, mixture, most in zip(fuzz_texts(1500, name), mixed_data(name), room, strict=False):
        data = mixture + text.encode()
        expected = ends_of(split.pieces(as_text(data)))
        assert scan(name, data, most) == expected, (most, data)
        assert ends_of(oracle(name).findall(as_text(data))) == expected, data


@pytest.mark.parametrize("name", PATTERNS)
def test_the_text_ends_where_it_is_said_to(name: str) -> None:
    data = "Don't  \r\n\n  stop, 世界's 12345 A\u0301bc//\n/ x…\u3000\u3000é" * 3
    split = split_of(name)
    for size in range(len(data.encode())):
        expected = ends_of(split.pieces(as_text(data.encode()[:size])))
        assert scan(name, data.encode(), size=size) == expected, size


@pytest.mark.parametrize("name", PATTERNS)
def test_real_text(name: str) -> None:
    split = split_of(name)
    for path in [*ROOT.glob("samples/texts/*.txt"), *ROOT.glob("tokenizer/*.py")]:
        data = path.read_bytes()
        assert scan(name, data) == ends_of(split.pieces(as_text(data))), path


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("unit", [b"a", b"A", b" ", b"\n", b" \t\n", b"\xe4\xb8\x96", b"\xe3\x80\x80\n", b"!", b"\xff"])
def test_long_runs_are_one_piece_and_take_linear_time(name: str, unit: bytes) -> None:
    data = unit * (3_000_000 // len(unit))  # the time limit of all tests would notice anything else
    assert scan(name, data) == [len(data)]
    assert scan(name, b"(" + data + b"x")[-1] == len(data) + 2


@pytest.mark.parametrize("name", PATTERNS)
def test_halves_of_a_safe_cut_have_the_pieces_of_the_whole(name: str, fuzz_texts: Texts) -> None:
    from tokenizer.kernels.memory import borrow
    from tokenizer.kernels.scanning import safe_cut

    found = 0
    mixtures = mixed_data(name)
    for text, before, part in zip(fuzz_texts(2000, f"cut {name}"), mixtures, mixtures, strict=False):
        place = safe_cut(borrow(part).address, len(part)) if part else 0
        assert 0 <= place < max(len(part), 1)
        if place:
            left, right = before + part[:place], part[place:] + text.encode()
            expected = scan(name, left) + [len(left) + end for end in scan(name, right)]
            assert scan(name, left + right) == expected, (left, right)
            found += 1
    assert found > 1000


def test_cuts_are_found_in_every_script() -> None:
    from tokenizer.kernels.memory import borrow
    from tokenizer.kernels.scanning import safe_cut

    for text, left in (
        ("one two three", "one two"),
        ("一二。\n三四", "一二。\n"),
        ("一　\n三四", ""),
        ("a\nбв\n", "a\n"),
        ("ab\n\ncd", ""),
    ):
        assert safe_cut(borrow(text.encode()).address, len(text.encode())) == len(left.encode())
