"""The frozen Unicode table is what tiktoken says today. Run this file as a script to write the table anew."""

from pathlib import Path

import tiktoken
import tokenizers

from tokenizer import unicode_classes as classes

TABLE = Path(classes.__file__).with_name("data") / "unicode_categories.txt"
NAMES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
EVERYTHING = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF)
HEADER = """\
# The general category of every code point from U+0000 to U+10FFFF, as tiktoken 0.14 and tokenizers 0.23 know it.
# Each entry is a category and how many code points in a row have it, in hexadecimal: Zs1 Po3 is one Zs, then three Po.
"""


def ask_tiktoken(pattern: str) -> set[int]:
    """The code points that a one-character pattern matches: tiktoken keeps what matches and drops the rest."""
    bytes_only = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("probe", pat_str=pattern, mergeable_ranks=bytes_only, special_tokens={})
    return set(map(ord, bytes(encoding.encode_ordinary(EVERYTHING)).decode()))


def ask_tokenizers(pattern: str, text: str) -> set[int]:
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(f"{pattern}+"), "removed", invert=True)
    return {ord(character) for piece, _ in split.pre_tokenize_str(text) for character in piece}


def members(ranges: classes.Ranges) -> set[int]:
    return {point for first, last in ranges for point in range(first, last + 1)}


def make_table() -> str:
    """Probe tiktoken for the category of each code point and write the runs."""
    category_of = dict.fromkeys(range(0xD800, 0xE000), "Cs")
    for name in NAMES:
        for point in ask_tiktoken(rf"\p{{{name}}}"):
            assert point not in category_of
            category_of[point] = name
    starts = [p for p in range(0x110000) if p == 0 or category_of[p] != category_of[p - 1]]
    entries = [f"{category_of[a]}{b - a:x}" for a, b in zip(starts, [*starts[1:], 0x110000], strict=True)]
    lines = [" ".join(entries[at : at + 20]) for at in range(0, len(entries), 20)]
    return HEADER + "\n".join(lines) + "\n"


def test_the_shipped_table_is_what_tiktoken_says() -> None:
    assert TABLE.read_text(encoding="utf-8") == make_table()


def test_shorthand_classes_are_those_of_tiktoken() -> None:
    assert members(classes.white_space()) == ask_tiktoken(r"\s")
    assert len(members(classes.white_space())) == 25
    assert members(classes.word()) == ask_tiktoken(r"\w")
    assert members(classes.category("Nd")) == ask_tiktoken(r"\d")


def test_classes_are_those_of_tokenizers_too() -> None:
    edges = {point for name, first, last in classes.category_runs() if name != "Cs" for point in (first, last)}
    edges |= members(classes.word()) ^ members(classes.word("huggingface"))
    text = "".join(map(chr, sorted(edges)))
    for name in ("L", "Lu", "M", "N", "P", "Cn"):
        assert members(classes.category(name)) & edges == ask_tokenizers(rf"\p{{{name}}}", text), name
    assert members(classes.white_space()) & edges == ask_tokenizers(r"\s", text)
    assert members(classes.word("huggingface")) & edges == ask_tokenizers(r"\w", text)


def test_surrogates_are_in_no_category() -> None:
    every_category = classes.union(*map(classes.category, "LMNPSZC"))
    assert classes.complement(every_category) == ((0xD800, 0xDFFF),)


def test_union_and_complement_agree_with_sets() -> None:
    some, other = ((3, 5), (9, 9)), ((0, 2), (8, 12))
    assert members(classes.union(some, other)) == members(some) | members(other)
    assert classes.complement(classes.complement(some)) == some
    assert members(classes.complement(some)) == set(range(0x110000)) - members(some)
    assert classes.clip(((65, 90), (120, 200)), 127) == ((65, 90), (120, 127))


if __name__ == "__main__":
    TABLE.write_text(make_table(), encoding="utf-8")
