"""The text in which needles are hidden: made up from a seed, or a stretch of the user's own files.

A haystack knows where its sentences end, and only there is a statement put, so that it reads as part of the text.
The made-up text is calm prose, or minutes, about ordinary work. It holds no digits and no invented names, so that it
answers no question by accident.
"""

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from probes.draws import Draws
from probes.filler import noise_sentences, repeated_sentences, section_headings
from probes.prose import Language, Prose, load_words
from probes.sentences import sentence_ends
from tokenizer.errors import UsageError, UserError

CountTokens = Callable[[str], int]
Kind = Literal["prose", "minutes", "files", "repeat", "noise", "needles-only"]
SPEAKERS = ("Ana", "Ben")  # of made-up conversations; the made-up text names nobody so
FIRST_GUESS = 1  # characters a token, before any is counted: rather too few
SECTION_SENTENCES = 12  # the fewest under one heading; twice as many where no paragraph ends


@dataclass(frozen=True)
class Haystack:
    """A text and the character offsets at which a statement may stand: where it begins, then after each sentence.

    `tokens`: how many the text counts, where that is known. `plain_ends`: the same offsets in the text without its
    headings, where it has some; depths are measured there.

    Example: Haystack("It rained. We left.", sentence_ends=(0, 10, 19))
    """

    text: str
    sentence_ends: tuple[int, ...]
    tokens: int | None = None
    plain_ends: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Placed:
    """A haystack with its statements in it; all three in the order in which the statements were given.

    `offsets`: the character at which each statement begins in `text`.
    `depths`: where each one really went, as a share (0 to 1) of the haystack's characters before insertion.
    """

    text: str
    offsets: tuple[int, ...]
    depths: tuple[float, ...]


def make_haystack(
    kind: Kind,
    seed: str,
    length_tokens: int,
    count_tokens: CountTokens,
    *,
    language: Language = "en",
    files: Sequence[Path] = (),
    shuffled: bool = False,
    headings: bool = False,
    statements: Iterator[str] | None = None,
) -> Haystack:
    """A text of whole sentences, as near to `length_tokens` as a sentence end permits.

    `kind`: `prose` and `minutes` are made up in English or German; `files` is a stretch of the user's own; `repeat` is
    one sentence over and over; `noise` words without meaning; `needles-only` the given `statements` (without end).
    `shuffled`: the very same sentences in a drawn order; as they meet other neighbours, they may count some tokens
    more or less. `headings`: the same sentences in sections, whose headings come on top of the length; a statement
    stands between the same sentences as without them, and never above the first heading.

    Raises:
        UsageError: shuffling what has no order, or no statements or files where they are needed.
        UserError: a file cannot be read, or the files are too short.

    Example: make_haystack("minutes", "1/0", 300, count_tokens, language="de", headings=True)
    """
    if shuffled and kind not in ("prose", "minutes", "files"):
        raise UsageError(
            f"a haystack of {kind} has no order to shuffle", hint="shuffle prose, minutes or your own files"
        )
    sentences = _sentences(kind, seed, length_tokens, count_tokens, language, files, statements)
    taken, tokens = _taken(sentences, length_tokens, count_tokens)
    if shuffled:
        taken = _shuffled(taken, f"{seed}/shuffled")
        tokens = count_tokens("".join(taken))
    text = "".join(taken)
    ends = sentence_ends(text) if kind == "files" and not shuffled else _ends(taken)
    if headings:
        return _with_headings(text, ends, section_headings(f"{seed}/headings", language), count_tokens)
    return Haystack(text, ends, tokens)


def _sentences(
    kind: Kind,
    seed: str,
    length_tokens: int,
    count_tokens: CountTokens,
    language: Language,
    files: Sequence[Path],
    statements: Iterator[str] | None,
) -> Iterator[str]:
    """The sentences to take from, each with what parts it from the one before."""
    if kind == "files":
        return _stretch(files, seed, length_tokens, count_tokens)
    if kind == "repeat":
        return repeated_sentences(seed, language)
    if kind == "noise":
        return noise_sentences(seed, language)
    if kind == "needles-only":
        if statements is None:
            raise UsageError("no statements to fill the haystack with", hint="give statements, or another kind")
        return itertools.chain([next(statements)], (f" {statement}" for statement in statements))
    return Prose(seed, load_words(kind, language)).sentences()


def generate_sentences(seed: str) -> Iterator[str]:
    """Sentences of English prose without end, the same on every machine, each with what parts it from the one before.

    That is nothing for the first, a space inside a paragraph, a blank line before a new one: joined they are a text.
    """
    return Prose(seed).sentences()


def generated_haystack(seed: str, length_tokens: int, count_tokens: CountTokens) -> Haystack:
    """Whole sentences of made-up English prose, as near to `length_tokens` as a sentence end permits, at least one.

    `count_tokens` counts a string's tokens; it is what the whole text counts that is brought near the length.
    """
    return make_haystack("prose", seed, length_tokens, count_tokens)


def generated_transcript(seed: str, length_tokens: int, count_tokens: CountTokens) -> Haystack:
    """A conversation of two speakers in whole sentences of made-up text, as near to `length_tokens` as may be.

    Each turn is a line of its own, which begins with the speaker's name and holds one sentence or two; the names count
    to the length. A statement stands inside a turn, never before the name.

    Example: "Ana: It rained. We left.\nBen: The cat slept."
    """
    taken, tokens = _taken(_spoken_sentences(seed), length_tokens, count_tokens)
    return Haystack("".join(taken), (len(f"{SPEAKERS[0]}: "), *_ends(taken)[1:]), tokens)


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


def _stretch(paths: Sequence[Path], seed: str, length_tokens: int, count_tokens: CountTokens) -> Iterator[str]:
    """The sentences of the files, from a drawn one on."""
    if not paths:
        raise UsageError("no file to take the haystack from", hint="name at least one text file")
    sentences = _sentences_of(tuple((path, *_state(path)) for path in paths))
    last = _last_start(sentences, length_tokens, count_tokens)
    first = Draws(seed).below(last + 1)
    return itertools.chain([sentences[first].lstrip()], itertools.islice(sentences, first + 1, None))


@lru_cache(maxsize=2)
def _sentences_of(files: tuple[tuple[Path, int, int], ...]) -> tuple[str, ...]:
    """The sentences of files as they are now, with the space before each; all haystacks of a run are cut from them."""
    text = "\n\n".join(_read_text(path) for path, _, _ in files)
    return tuple(text[start:end] for start, end in itertools.pairwise(sentence_ends(text)))


def _state(path: Path) -> tuple[int, int]:
    """What changes when the file changes: its time and size; nothing where it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _shuffled(sentences: Sequence[str], seed: str) -> list[str]:
    """The sentences in a drawn order; what parts them stays where it is, so that paragraphs keep their lengths."""
    gaps = [sentence[: len(sentence) - len(sentence.lstrip())] for sentence in sentences]
    order = Draws(seed).shuffled([sentence.lstrip() for sentence in sentences])
    return [gap + sentence for gap, sentence in zip(gaps, order, strict=True)]


def _with_headings(text: str, ends: tuple[int, ...], headings: Iterator[str], count_tokens: CountTokens) -> Haystack:
    """The text in sections, each under a heading; no statement stands between a heading and the one before it."""
    pieces: list[str] = []
    shifted: list[int] = []
    length = since = 0
    for start, end in itertools.pairwise(ends):
        body = text[start:end].lstrip()
        gap = text[start : end - len(body)]
        if start == 0 or since >= (SECTION_SENTENCES if "\n\n" in gap else 2 * SECTION_SENTENCES):
            gap = ("\n\n" if start else "") + next(headings) + "\n\n"
            since = 0
        if not shifted:
            shifted.append(len(gap))
        pieces.append(gap + body)
        length += len(pieces[-1])
        shifted.append(length)
        since += 1
    pieces.append(text[ends[-1] :])
    whole = "".join(pieces)
    return Haystack(whole, tuple(shifted), count_tokens(whole), plain_ends=ends)


def place(haystack: Haystack, statements: Sequence[str], depths: Sequence[float]) -> Placed:
    """Put each statement at the sentence end nearest to its depth: 0.0 before the first sentence, 1.0 after the last.

    Depths are shares of the haystack's characters before anything is inserted, so that one statement never shifts
    another. Statements that meet at one place stand side by side in the order given, parted by single spaces.

    Example: place(Haystack("It rained. We left.", (0, 10, 19)), ["The cat slept."], [0.4])
        -> Placed("It rained. The cat slept. We left.", offsets=(11,), depths=(10/19,))
    """
    text = haystack.text
    numbers = [_nearest_end(haystack, depth) for depth in depths]
    places = [haystack.sentence_ends[number] for number in numbers]
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
    measured, plain_length = haystack.plain_ends or haystack.sentence_ends, _plain_length(haystack)
    found = tuple(measured[number] / plain_length if text else 0.0 for number in numbers)
    return Placed("".join(pieces), tuple(offsets), found)


def _nearest_end(haystack: Haystack, depth: float) -> int:
    """The number of the sentence end nearest to `depth`; of two as near, the earlier."""
    if not 0.0 <= depth <= 1.0:
        raise UsageError(f"{depth} is not a depth", hint="a depth is a share of the haystack, from 0 to 1")
    ends = haystack.plain_ends or haystack.sentence_ends
    wanted = depth * _plain_length(haystack)
    after = bisect.bisect_left(ends, wanted)
    return min(range(max(after - 1, 0), min(after + 1, len(ends))), key=lambda number: abs(ends[number] - wanted))


def _plain_length(haystack: Haystack) -> int:
    """How many characters the text has without its headings."""
    if haystack.plain_ends is None:
        return len(haystack.text)
    return len(haystack.text) - haystack.sentence_ends[-1] + haystack.plain_ends[-1]


def _ends(sentences: Iterable[str]) -> tuple[int, ...]:
    """Where each of the joined sentences ends, after where the first begins."""
    return (0, *itertools.accumulate(map(len, sentences)))


@lru_cache(maxsize=65_536)
def _count(count_tokens: CountTokens, sentence: str) -> int:
    """What one sentence counts: stretches of the same files, and longer texts of one seed, share theirs."""
    return count_tokens(sentence)


def _taken(source: Iterator[str], length_tokens: int, count_tokens: CountTokens) -> tuple[list[str], int]:
    """The first sentences, so many that joined they count as near `length_tokens` as they can, and what they count."""
    if length_tokens < 1:
        raise UsageError(f"a haystack of {length_tokens} tokens", hint="ask for at least one token")
    taken: list[str] = []
    short = tokens = characters = 0  # sentences that are too few for sure; what all of them count; their characters
    more = True
    while more and tokens < length_tokens:
        # Only wholes are counted, and few of them: the text so far tells how many characters the rest may have.
        short = len(taken)
        per_token = characters / tokens if tokens else FIRST_GUESS
        enough = characters + (length_tokens - tokens) * per_token
        while characters < enough:
            sentence = next(source, None)
            if sentence is None:
                more = False
                break
            taken.append(sentence)
            characters += len(sentence)
        tokens = count_tokens("".join(taken))

    @cache
    def counted(sentences: int) -> int:
        return tokens if sentences == len(taken) else count_tokens("".join(taken[:sentences]))

    candidates = range(short + 1, len(taken))
    longer = candidates.start + bisect.bisect_left(candidates, length_tokens, key=counted)
    nearest = min(range(max(longer - 1, 1), longer + 1), key=lambda number: abs(counted(number) - length_tokens))
    return taken[:nearest], counted(nearest)


def _last_start(sentences: Sequence[str], length_tokens: int, count_tokens: CountTokens) -> int:
    """The last sentence that still has `length_tokens` from its beginning to the end of the text."""
    following = 0
    for index in range(len(sentences) - 1, -1, -1):
        following += _count(count_tokens, sentences[index])
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
