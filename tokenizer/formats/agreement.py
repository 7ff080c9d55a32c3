"""Ask Hugging Face's engine whether it reads a user's split regex as we do, before a file says so."""

import random
import re
from collections.abc import Iterator

from tokenizer.errors import UserError
from tokenizer.splits import Split
from tokenizer.unicode_classes import category_runs

_CHUNKS = (
    "a", "b", "Z", "word", "WORD", "Word", "1", "12", "12345", "7.5", " ", "  ", "\t", "\n", "\n\n", "\r\n", " \n ",
    "\u00a0", "\u3000", "\x85", "\x1c", "\u2028", "it's", "I'LL", "'\u017f", "\u212a", "st", "ss", "fi", "\u00df",
    "\ufb01", "\ufb06", "\u00b2", "\u00bd", "e\u0301", "\u200d", "\u24b6", "\u4e16\u754c", "\u043f\u0440\u0438",
    "!", "?!", "...", "--", "_", "'", '"', "/", "\\", "$5", "#x", "<|x|>", "[0]", "{}", "\U0001f30d", "\U00020000",
)  # fmt: skip


def check_agreement(split: Split) -> None:
    """Compare the pieces of many awkward texts.

    Raises:
        UserError: the regex does not compile there, or cuts some text differently.
    """
    import tokenizers

    advice = r"where engines differ, say it plainly: (?>\p{N}{1,3}) for \p{N}{1,3}+, \z for $, a set for \w"
    try:
        theirs = tokenizers.pre_tokenizers.Split(tokenizers.Regex(split.pattern), "isolated")
    except Exception as err:  # the package raises nothing more exact
        raise UserError(f"a tokenizer.json cannot hold this split pattern: {err}", hint=advice) from err
    for text in awkward_texts(split.pattern):
        ours = split.pieces(text)
        others = [text[start:end] for _, (start, end) in theirs.pre_tokenize_str(text)]
        if ours != others:
            at = next(n for n, (one, other) in enumerate(zip(ours, others, strict=False)) if one != other)
            raise UserError(
                "a tokenizer.json cannot hold this split pattern: Hugging Face's engine would take "
                f"{others[at]!r} as one piece where this one takes {ours[at]!r}",
                hint=advice,
            )


def awkward_texts(pattern: str, count: int = 1500) -> Iterator[str]:
    """Texts made of what engines differ in, of the pattern's own words, and of the ends of every Unicode category."""
    edges = [chr(point) for name, first, last in category_runs() if name != "Cs" for point in (first, last)]
    yield "".join(edges)
    yield " a".join(edges)
    chunks = (*_CHUNKS, *re.findall(r"\w+|\W", pattern))
    generator = random.Random("awkward texts")
    for _ in range(count):
        yield "".join(generator.choice(chunks) for _ in range(1 + int(generator.random() * 12)))
