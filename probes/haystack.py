"""The text in which needles are hidden: made up from a seed, or a stretch of the user's own files.

A haystack knows where its sentences end, and only there is a statement put, so that it reads as part of the text.
The made-up text is calm prose about ordinary work. It holds no digits and no invented names, so that it answers no
question by accident.
"""

import bisect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from probes.draws import Draws
from probes.prose import Prose
from tokenizer.errors import UsageError, UserError

CountTokens = Callable[[str], int]
SPEAKERS = ("Ana", "Ben")  # of made-up conversations; the made-up text names nobody so

_ABBREVIATIONS = frozenset("mr mrs ms dr prof st mt jr sr rev capt sgt cf vs approx e.g i.e".split())
_BEFORE_A_NUMBER = frozenset("no nos fig vol p pp ch sec".split())
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_MARK = re.compile(
    r"""(?:(?<![.!?…])[.!?…]+["'”’»)\]]*(?=\s)  # Latin, Greek, Cyrillic: the marks, what closes with them, a space
         |[。！？]+[」』”’）】]*                  # Chinese and Japanese: no space follows
         |[؟۔।॥]+["'”’»)\]]*                    # Arabic, Urdu, the scripts of India
         |(?<=\S)(?=[^\S\n]*\n\s*\n)             # a paragraph ends also without a mark, as headings do
         |(?<=\S)(?=\s*\Z))""",  # noqa: RUF001 - these marks are meant
    re.VERBOSE,
)


@dataclass(frozen=True)
class Haystack:
    """A text and the character offsets at which a statement may stand: where it begins, then after each sentence.

    Example: Haystack("It rained. We left.", sentence_ends=(0, 10, 19))
    """

    text: str
    sentence_ends: tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """A haystack with its statements in it; all three in the order in which the statements were given.

    `offsets`: the character at which each statement begins in `text`.
    `depths`: where each one really went, as a share (0 to 1) of the haystack's characters before insertion.
    """

    text: str
    offsets: tuple[int, ...]
    depths: tuple[float, ...]


def generate_sentences(seed: str) -> Iterator[str]:
    """Sentences without end, the same on every machine, each with what parts it from the one before.

    That is nothing for the first, a space inside a paragraph, a blank line before a new one: joined they are a text.
    """
    return Prose(seed).sentences()


def generated_haystack(seed: str, length_tokens: int, count_tokens: CountTokens) -> Haystack:
    """Whole sentences of made-up text, as near to `length_tokens` as a sentence end permits, at least one sentence.

    `count_tokens` counts a string's tokens; it is what the whole text counts that is brought near the length.
    """
    text = _text_of_length(generate_sentences(seed), length_tokens, count_tokens)
    return Haystack(text, sentence_ends(text))


def generated_transcript(seed: str, length_tokens: int, count_tokens: CountTokens) -> Haystack:
    """A conversation of two speakers in whole sentences of made-up text, as near to `length_tokens` as may be.

    Each turn is a line of its own, which begins with the speaker's name and holds one sentence or two; the names count
    to the length. A statement stands inside a turn, never before the name.

    Example: "Ana: It rained. We left.\nBen: The cat slept."
    """
    text = _text_of_length(_spoken_sentences(seed), length_tokens, count_tokens)
    return Haystack(text, (len(f"{SPEAKERS[0]}: "), *sentence_ends(text)[1:]))


def _spoken_sentences(seed: str) -> Iterator[str]:
    """Made-up sentences without end, each with what parts it from the one before: a space, or a new turn's name."""
    draws = Draws(f"{seed}/turns")
    sentences = map(str.strip, generate_sentences(seed))
    new_line = ""
    for speaker in itertools.cycle(SPEAKERS):
        gap = f"{new_line}{speaker}: "
        for sentence in itertools.islice(sentences, 1 + draws.below(2)):
            yield gap + sentence
            gap = " "
        new_line = "\n"


def haystack_from_files(paths: Sequence[Path], seed: str, length_tokens: int, count_tokens: CountTokens) -> Haystack:
    """A stretch of the user's own text (UTF-8; the files joined by blank lines), as near to the length as it can be.

    The seed chooses at which sentence the stretch begins, among those that enough text follows.

    Raises:
        UserError: a file is missing, empty or not text, or all of them together are shorter than `length_tokens`.
    """
    if not paths:
        raise UsageError("no file to take the haystack from", hint="name at least one text file")
    text = "\n\n".join(_read_text(path) for path in paths)
    ends = sentence_ends(text)
    sentences = [text[start:end] for start, end in itertools.pairwise(ends)]
    last = _last_start(sentences, length_tokens, count_tokens)
    first = Draws(seed).below(last + 1)
    stretch = [sentences[first].lstrip(), *sentences[first + 1 :]]
    chosen = _text_of_length(stretch, length_tokens, count_tokens)
    return Haystack(chosen, sentence_ends(chosen))


def sentence_ends(text: str) -> tuple[int, ...]:
    """Every offset at which a statement may stand: 0, then after each sentence, before the space that follows it.

    A full stop inside a number, after an abbreviation or an initial, or before a small letter ends no sentence.

    Example: sentence_ends("Mr. Hale paid 3.14. “Good!” He left.") == (0, 19, 27, 36)
    """
    ends = [0]
    for match in _MARK.finditer(text):
        end = match.end()
        if end > ends[-1] and not _goes_on(text, match.start(), end):
            ends.append(end)
    return tuple(ends)


def place(haystack: Haystack, statements: Sequence[str], depths: Sequence[float]) -> Placed:
    """Put each statement at the sentence end nearest to its depth: 0.0 before the first sentence, 1.0 after the last.

    Depths are shares of the haystack's characters before anything is inserted, so that one statement never shifts
    another. Statements that meet at one place stand side by side in the order given, parted by single spaces.

    Example: place(Haystack("It rained. We left.", (0, 10, 19)), ["The cat slept."], [0.4])
        -> Placed("It rained. The cat slept. We left.", offsets=(11,), depths=(10/19,))
    """
    text = haystack.text
    places = [_nearest_end(haystack, depth) for depth in depths]
    standing: dict[int, list[int]] = {}  # sentence end -> which statements stand there
    for index, (end, _) in enumerate(zip(places, statements, strict=True)):
        standing.setdefault(end, []).append(index)
    pieces: list[str] = []
    offsets = [0] * len(statements)
    copied = length = 0  # characters of the haystack copied; characters of the result so far
    for end in sorted(standing):
        before = "" if end == 0 or text[end - 1].isspace() else " "
        after = "" if end == len(text) or text[end].isspace() else " "
        pieces.append(text[copied:end] + before)
        length += len(pieces[-1])
        for index in standing[end]:
            offsets[index] = length
            length += len(statements[index]) + 1
        pieces.append(" ".join(statements[index] for index in standing[end]) + after)
        length += len(after) - 1
        copied = end
    pieces.append(text[copied:])
    return Placed("".join(pieces), tuple(offsets), tuple(end / len(text) if text else 0.0 for end in places))


def _nearest_end(haystack: Haystack, depth: float) -> int:
    """The sentence end nearest to `depth`; of two as near, the earlier."""
    if not 0.0 <= depth <= 1.0:
        raise UsageError(f"{depth} is not a depth", hint="a depth is a share of the haystack, from 0 to 1")
    wanted = depth * len(haystack.text)
    after = bisect.bisect_left(haystack.sentence_ends, wanted)
    return min(haystack.sentence_ends[max(after - 1, 0) : after + 1], key=lambda end: abs(end - wanted))


def _goes_on(text: str, mark: int, end: int) -> bool:
    """Whether the sentence goes on after the mark: an abbreviation, an initial, or a small letter follows."""
    following = next((letter for letter in text[end : end + 80] if not letter.isspace()), "")
    if following.islower() and "\n\n" not in text[end : end + 3]:
        return True
    if text[mark:end] != ".":
        return False
    line = text[max(mark - 20, 0) : mark].split()
    word = line[-1].lstrip("(\"'“‘«[") if line else ""  # noqa: RUF001 - opening quotes
    is_initial = _INITIALS.fullmatch(word) and word.isupper() and word != "I"
    abbreviations = _ABBREVIATIONS | _BEFORE_A_NUMBER if following.isdigit() else _ABBREVIATIONS
    return word.lower() in abbreviations or bool(is_initial)


def _text_of_length(sentences: Iterable[str], length_tokens: int, count_tokens: CountTokens) -> str:
    """The first sentences, joined, so many that the whole counts as near `length_tokens` as it can."""
    if length_tokens < 1:
        raise UsageError(f"a haystack of {length_tokens} tokens", hint="ask for at least one token")
    source = iter(sentences)
    taken: list[str] = []
    whole = 0
    more = True
    while more and whole < length_tokens:
        # What sentences count one by one only guides: what counts is the whole, which may be less than their sum.
        expected = whole
        while expected < length_tokens:
            sentence = next(source, None)
            if sentence is None:
                more = False
                break
            taken.append(sentence)
            expected += count_tokens(sentence)
        whole = count_tokens("".join(taken))
    while len(taken) > 1:
        shorter = count_tokens("".join(taken[:-1]))
        if abs(shorter - length_tokens) > abs(whole - length_tokens):
            break
        taken.pop()
        whole = shorter
    return "".join(taken)


def _last_start(sentences: Sequence[str], length_tokens: int, count_tokens: CountTokens) -> int:
    """The last sentence that still has `length_tokens` from its beginning to the end of the text."""
    following = 0
    for index in range(len(sentences) - 1, -1, -1):
        following += count_tokens(sentences[index])
        if following >= length_tokens:
            return index
    available = count_tokens("".join(sentences))
    raise UserError(
        f"the haystack's files hold {available} tokens, and {length_tokens} are asked for",
        hint="add files, or ask for a shorter haystack",
    )


def _read_text(path: Path) -> str:
    """A file's text without what stands around it; its lines end in a plain newline."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read the haystack file {path}: {error.strerror or error}",
            hint="name a text file that you may read",
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"the haystack file {path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8 text"
        ) from error
    if "\0" in text:
        raise UserError(f"the haystack file {path} is binary", hint="name a text file")
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise UserError(f"the haystack file {path} is empty", hint="name a file with some pages of text")
    return text
