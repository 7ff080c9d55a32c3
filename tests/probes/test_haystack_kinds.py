"""Every kind of haystack has its length, its ends, no answer by accident, and is the same everywhere."""

import hashlib
import itertools
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.filler import HEADINGS, REPEATED
from probes.german import finished, inflect
from probes.haystack import generated_haystack, make_haystack, place
from probes.paraphrases import load_names
from probes.prose import Choice, Prose, Slot, load_words
from probes.sentences import sentence_ends
from probes.statements import distractor_statements, draw_statements
from tokenizer.errors import UsageError

SPOKEN = [(kind, language) for kind in ("prose", "minutes") for language in ("en", "de")]
MADE_UP = [*SPOKEN, *((kind, language) for kind in ("repeat", "noise") for language in ("en", "de"))]


def count_words(text):
    return len(text.split())


def distractors(seed="distractors"):
    avoid = draw_statements("passcode", 5, 5, "needles")
    return (statement.text for statement in distractor_statements("passcode", 5, seed, avoid))


def made(kind, language="en", seed="s", length=400, **options):
    statements = distractors(seed) if kind == "needles-only" else None
    return make_haystack(kind, seed, length, count_words, language=language, statements=statements, **options)


def sentences_of(haystack):
    return [haystack.text[start:end].strip() for start, end in itertools.pairwise(haystack.sentence_ends)]


def long_text(style, language, count=2500):
    return "".join(itertools.islice(Prose("long", load_words(style, language)).sentences(), count))


@given(
    kind=st.sampled_from([*MADE_UP, ("needles-only", "en")]),
    seed=st.text(max_size=4),
    length=st.integers(20, 600),
    headings=st.booleans(),
)
def test_every_kind_has_its_length_and_its_ends(kind, seed, length, headings):
    haystack = made(*kind, seed=seed, length=length, headings=headings)
    assert haystack == made(*kind, seed=seed, length=length, headings=headings)
    assert haystack.tokens == count_words(haystack.text)
    sentences = sentences_of(haystack)
    plain = made(*kind, seed=seed, length=length)
    assert sentences_of(plain) == [sentence.split("\n\n")[-1] for sentence in sentences]
    assert abs(plain.tokens - length) <= max(map(count_words, sentences_of(plain)))
    assert all(sentence.endswith(".") for sentence in sentences)
    if kind[0] != "needles-only":
        assert not re.search(r"\d", haystack.text)
    if not headings:
        assert haystack.sentence_ends == sentence_ends(haystack.text)


@pytest.mark.parametrize(("style", "language"), SPOKEN)
def test_ends_of_made_up_text_are_those_that_anyone_would_find(style, language):
    sentences = list(itertools.islice(Prose("ends", load_words(style, language)).sentences(), 1500))
    assert sentence_ends("".join(sentences)) == (0, *itertools.accumulate(map(len, sentences)))


@pytest.mark.parametrize(("style", "language"), SPOKEN)
def test_made_up_text_is_varied_and_well_formed(style, language):
    text = long_text(style, language)
    sentences = [sentence.strip() for sentence in re.findall(r"[^.]+\.", text)]
    assert len(set(sentences)) > 0.99 * len(sentences)
    assert len(text.encode()) / len(zlib.compress(text.encode(), 9)) < 6.5
    for wrong in (r"[{}\[\]|*_;]\w", r" [.,;:]", r"[^\n] {2}", r"\n{3}", r"\.\.", r" \n", r"\b(\w{3,}) \1\b", r", ,"):
        found = re.search(wrong, text)
        assert not found, text[found.start() - 60 : found.end() + 60]
    assert all(sentence[0].isupper() for sentence in sentences)


@pytest.mark.parametrize(("kind", "language"), MADE_UP)
def test_nothing_is_answered_by_accident(kind, language):
    text = made(kind, language, length=15_000).text
    assert not re.search(r"\d", text)
    banned = "passcode code codes quota password number Zugangscode Code Passwort Nummer Zahl VAR"
    assert not re.search(rf"\b({'|'.join(banned.split())})\b", text, re.IGNORECASE)
    words = set(re.findall(r"\w+", text))
    names = {statement.name for seed in range(40) for statement in draw_statements("passcode", 10, 5, str(seed))}
    assert not words & names
    assert not words & set(load_names())


@pytest.mark.parametrize(("style", "language"), SPOKEN)
def test_every_gap_can_be_filled(style, language):
    words = load_words(style, language)

    def gaps(frame):
        for part in frame:
            if isinstance(part, Slot):
                # German forms may name further gaps: past_who_place
                yield part.name
                yield from (name for name in part.form.split("_")[1:] if part.form.startswith("past_"))
            elif isinstance(part, Choice):
                yield from itertools.chain.from_iterable(map(gaps, part.options))

    for season, trade in itertools.product(words.seasons, words.trades):
        known = {*words.common, *season, *trade, "name", "other", "they", "their", "them", "who", "place"}
        for options in (words.common, season, trade):
            for frames in options.values():
                assert {name for frame in frames for name in gaps(frame)} <= known


# --- German ---


def fill(name):
    return {"quality": "alt", "who": "Anna", "place": "im Hof"}[name]


@pytest.mark.parametrize(
    ("form", "masculine", "feminine", "neuter"),
    [
        ("", "der Hammer", "die Säge", "das Brett"),
        ("akk", "den Hammer", "die Säge", "das Brett"),
        ("dat", "dem Hammer", "der Säge", "dem Brett"),
        ("ein", "ein Hammer", "eine Säge", "ein Brett"),
        ("ein_akk", "einen Hammer", "eine Säge", "ein Brett"),
        ("ein_dat", "einem Hammer", "einer Säge", "einem Brett"),
        ("adj", "der alte Hammer", "die alte Säge", "das alte Brett"),
        ("adj_akk", "den alten Hammer", "die alte Säge", "das alte Brett"),
        ("adj_dat", "dem alten Hammer", "der alten Säge", "dem alten Brett"),
        ("ein_adj", "ein alter Hammer", "eine alte Säge", "ein altes Brett"),
        ("ein_adj_akk", "einen alten Hammer", "eine alte Säge", "ein altes Brett"),
        ("ein_adj_dat", "einem alten Hammer", "einer alten Säge", "einem alten Brett"),
        ("pl", "Hämmer", "Sägen", "Bretter"),
        ("pl_dat", "Hämmern", "Sägen", "Brettern"),
    ],
)
def test_german_nouns(form, masculine, feminine, neuter):
    nouns = ("m Hammer Hämmer", "f Säge Sägen", "n Brett Bretter")
    assert tuple(inflect(noun, form, fill) for noun in nouns) == (masculine, feminine, neuter)


def test_german_verbs():
    plain, parted = "den Hof; fegen; fegte", "das Brett; ab-hobeln; hobelte"
    assert [inflect(plain, form, fill) for form in ("inf", "zu", "last", "past", "past_who_place")] == [
        "den Hof fegen", "den Hof zu fegen", "den Hof fegte", "fegte den Hof", "fegte Anna im Hof den Hof",
    ]  # fmt: skip
    assert [inflect(parted, form, fill) for form in ("inf", "zu", "last", "past", "past_who")] == [
        "das Brett abhobeln", "das Brett abzuhobeln", "das Brett abhobelte", "hobelte das Brett ab",
        "hobelte Anna das Brett ab",
    ]  # fmt: skip
    assert finished("Notiz von dem Wirt: es regnete") == "Notiz vom Wirt: Es regnete"


@pytest.mark.parametrize("style", ["prose", "minutes"])
def test_german_articles_agree_in_long_text(style):
    """No article stands before a noun of another gender, and no adjective has an ending that its article forbids."""
    words = load_words(style, "de")
    genders = {}
    for options in (lists for scope in (words.common, *words.trades) for lists in scope.values()):
        for option in options:
            if (
                len(option) == 1
                and isinstance(option[0], str)
                and (noun := re.fullmatch(r"([mfn]) (\S+) \S+", option[0]))
            ):
                genders.setdefault(noun[2], set()).add(noun[1])
    genders = {noun: kinds.pop() for noun, kinds in genders.items() if len(kinds) == 1}
    allowed = {"m": "der den dem ein einen einem", "f": "die der eine einer", "n": "das dem ein einem"}
    text = long_text(style, "de")
    checked = 0
    for article, ending, noun in re.findall(
        r"\b(der|die|das|den|dem|ein|eine|einen|einem|einer) (?:[a-zäöüß]+?(er|es|en|e) )?([A-ZÄÖÜ]\w+)", text
    ):
        if noun in genders and not (
            article in ("die", "den") and genders[noun] != "f" and noun.endswith(("er", "en", "l"))
        ):
            assert article in allowed[genders[noun]].split(), (article, noun)
            if ending and article in ("einen", "einem", "einer", "dem", "den"):
                assert ending == "en", (article, ending, noun)
            checked += 1
    assert checked > 1000


# --- what the kinds are ---


def test_prose_is_byte_for_byte_what_it_was():
    """These digests are of the text before there were other kinds; old runs rest on it."""
    sentences = itertools.islice(Prose("golden", load_words("prose", "en")).sentences(), 300)
    digest = hashlib.sha256("".join(sentences).encode()).hexdigest()
    assert digest == "ab65a8b4b53efc55895f2e100c1985c2dac2bbdc3dcc84a5affc858ce96ce260"
    assert made("prose", length=900) == generated_haystack("s", 900, count_words)


def test_a_changed_word_changes_a_digest():
    """Every trial of a run rests on these texts: whoever changes a word or a frame changes a digest here."""
    digests = {
        (kind, language): hashlib.sha256(made(kind, language, length=2000).text.encode()).hexdigest()[:12]
        for kind, language in MADE_UP
    }
    assert digests == DIGESTS


DIGESTS = {
    ("prose", "en"): "fb5dfd3469a0",
    ("prose", "de"): "d9919496c4fb",
    ("minutes", "en"): "3a4f41980e47",
    ("minutes", "de"): "19a975a6a1e2",
    ("repeat", "en"): "da4346c3bb1f",
    ("repeat", "de"): "42035efc9210",
    ("noise", "en"): "b9582cd0970b",
    ("noise", "de"): "8bb6a3c4492d",
}


def test_one_sentence_is_repeated_and_noise_is_made_of_words():
    repeated = sentences_of(made("repeat", "de"))
    assert len(set(repeated)) == 1
    assert repeated[0] in REPEATED["de"]
    noise = made("noise", length=5000)
    assert len(set(sentences_of(noise))) == len(sentences_of(noise))
    known = set(re.findall(r"\w+", long_text("prose", "en", 6000).lower()))
    words = set(re.findall(r"\w+", noise.text.lower()))
    assert len(words & known) > 0.8 * len(words)


@pytest.mark.parametrize(("style", "language"), SPOKEN)
def test_shuffled_sentences_are_the_same_in_another_order(style, language):
    plain, shuffled = made(style, language, length=2000), made(style, language, length=2000, shuffled=True)
    assert sorted(sentences_of(plain)) == sorted(sentences_of(shuffled))
    assert sentences_of(plain) != sentences_of(shuffled)
    assert shuffled == made(style, language, length=2000, shuffled=True)
    assert shuffled.text.count("\n\n") == plain.text.count("\n\n")
    following = dict(itertools.pairwise(sentences_of(plain)))
    kept = sum(following.get(one) == other for one, other in itertools.pairwise(sentences_of(shuffled)))
    assert kept < 10


def test_own_text_can_be_shuffled(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(generated_haystack("book", 3000, count_words).text, encoding="utf-8")
    plain = make_haystack("files", "x", 500, count_words, files=[book])
    shuffled = make_haystack("files", "x", 500, count_words, files=[book], shuffled=True)
    assert sorted(sentences_of(plain)) == sorted(sentences_of(shuffled))
    assert sentences_of(plain) != sentences_of(shuffled)


def test_needles_only_is_made_of_other_statements():
    needles = draw_statements("passcode", 5, 5, "needles")
    text = made("needles-only", length=20_000).text
    assert not {needle.value for needle in needles} & set(re.findall(r"\d+", text))
    assert not any(needle.name in text for needle in needles)
    pairs = re.findall(r"The passcode for (\w+) is (\d{5})\.", text)
    assert len(pairs) > 3000
    assert len(set(pairs)) == len(pairs)
    assert len({name for name, _ in pairs}) == len(pairs)


@pytest.mark.parametrize("kind", ["repeat", "noise", "needles-only"])
def test_what_has_no_order_is_not_shuffled(kind):
    with pytest.raises(UsageError, match="no order"):
        made(kind, shuffled=True)
    with pytest.raises(UsageError, match="no statements"):
        make_haystack("needles-only", "s", 100, count_words)


# --- headings ---


@pytest.mark.parametrize(("kind", "language"), [*SPOKEN, ("repeat", "en"), ("noise", "de")])
def test_headings_part_the_same_sentences(kind, language):
    plain, headed = made(kind, language, length=2000), made(kind, language, length=2000, headings=True)
    headings = [line for line in headed.text.split("\n\n") if line in HEADINGS[language]]
    sections = headed.text.count("\n\n") - sum(map(headed.text.count, ("\n\n" + heading for heading in headings)))
    assert 4 <= len(headings) <= count_words(plain.text) / 80
    assert sections
    assert headed.text.startswith(headings[0])
    left = headed.text
    for heading in set(headings):
        left = left.replace(f"{heading}\n\n", "")
    assert left.split() == plain.text.split()
    assert len(headed.sentence_ends) == len(plain.sentence_ends)


@given(depth=st.floats(0, 1), kind=st.sampled_from(["prose", "minutes", "repeat"]), seed=st.text(max_size=3))
def test_a_statement_stands_between_the_same_sentences_with_headings_and_without(depth, kind, seed):
    plain, headed = made(kind, seed=seed), made(kind, seed=seed, headings=True)
    one, other = place(plain, ["XXX."], [depth]), place(headed, ["XXX."], [depth])
    assert one.depths == other.depths
    assert other.text[other.offsets[0] :].startswith("XXX.")
    headings = sorted(HEADINGS["en"], key=len, reverse=True)
    left = re.sub(rf"(?:{'|'.join(headings)})\n\n", "", other.text)
    assert left.split() == one.text.split()
    before = other.text[: other.offsets[0]].rstrip("\n").rsplit("\n\n", 1)[-1]
    assert before not in headings or other.offsets[0] == headed.sentence_ends[0]
