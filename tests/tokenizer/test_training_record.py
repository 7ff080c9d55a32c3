"""The record beside a trained tokenizer: what it says is true, and it notices when text is cut in another way."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import tokenizers

from tokenizer import UserError, load_tokenizer
from tokenizer.corpus import Corpus, document_chunks
from tokenizer.splits import make_split
from tokenizer.training import learn, smaller
from tokenizer.training_record import SCHEMA, record_path, recorded_pair_counts, save_trained

DOCUMENTS = ["low lower lowest newer\nwider 東京の朝 " * 6, "the low wind's Grüße", "<|end|>"] * 3
OPTIONS = {"vocab_size": 320, "split": "cl100k", "special_tokens": ("<|end|>",), "min_frequency": 2}
Change = Callable[[Path], None]


def save(path: Path, vocab_size: int = 320) -> dict:
    """Train, write a vocabulary of this size, and return its record."""
    corpus = Corpus(document_chunks(DOCUMENTS))
    training = learn(corpus, **OPTIONS)
    tokenizer = smaller(training.tokenizer, vocab_size) if vocab_size < 320 else training.tokenizer
    save_trained(path, tokenizer, training, corpus=corpus, sources=["s3://me:key@bucket/a.txt"], options=OPTIONS)
    return json.loads(record_path(path).read_bytes())


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    save(path)
    return path


def joined(word: tuple[str, ...], left: str, right: str) -> tuple[str, ...]:
    """Join a pair from left to right: joined(("a", "a", "a"), "a", "a") == ("aa", "a")."""
    done: list[str] = []
    waiting = list(word)
    while waiting:
        size = 2 if waiting[:2] == [left, right] else 1
        done.append("".join(waiting[:size]))
        waiting = waiting[size:]
    return tuple(done)


def test_what_each_merge_did_is_what_replaying_the_file_does(mine):
    record = json.loads(record_path(mine).read_bytes())
    merges = json.loads(mine.read_bytes())["model"]["merges"]
    letters = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    pieces = Counter(piece for document in DOCUMENTS for piece in make_split("cl100k").pieces(document))
    words = {tuple(letters.pre_tokenize_str(piece)[0][0]): count for piece, count in pieces.items()}
    said = list(zip(record["pair_counts"], record["words_touched"], record["corpus_tokens"], strict=True))
    assert len(said) == len(merges) == record["result"]["merges"] > 20
    for (left, right), per_merge in zip(merges, said, strict=True):
        count = sum(occurrences * list(pairwise(word)).count((left, right)) for word, occurrences in words.items())
        after = {joined(word, left, right): occurrences for word, occurrences in words.items()}
        touched = sum(new != old for new, old in zip(after, words, strict=True))
        assert per_merge == (count, touched, sum(len(word) * occurrences for word, occurrences in after.items()))
        words = after


def test_the_record_says_what_was_learned_from_and_how(mine):
    record = json.loads(record_path(mine).read_bytes())
    assert record["schema"] == SCHEMA
    assert record["tokenizer"] == "sha256:" + hashlib.sha256(mine.read_bytes()).hexdigest()
    whole = Corpus(document_chunks(DOCUMENTS))
    size = sum(len(chunk.data) for chunk in whole)
    expected = {"sources": ["s3://bucket/a.txt"], "documents": 9, "bytes": size, "digest": whole.digest}
    assert record["corpus"] == expected
    assert record["options"] == {**OPTIONS, "special_tokens": ["<|end|>"]}
    theirs = tokenizers.Tokenizer.from_file(str(mine))
    assert record["result"]["vocab_size"] == theirs.get_vocab_size()
    pieces = [piece for document in DOCUMENTS for piece in make_split("cl100k").pieces(document)]
    assert record["result"]["pre_tokens"] == len(pieces)
    assert record["result"]["distinct_pre_tokens"] == len(set(pieces))
    longest = record["result"]["longest_pre_tokens"][0]
    assert longest == {"bytes": max(len(piece.encode()) for piece in pieces), "beginning": " 東京の朝"}


def test_samples_have_the_ids_that_tokenizers_gives(mine):
    theirs = tokenizers.Tokenizer.from_file(str(mine))
    samples = json.loads(record_path(mine).read_bytes())["samples"]
    assert len(samples) >= 5
    assert [sample["ids"] for sample in samples] == [theirs.encode(sample["text"]).ids for sample in samples]


def test_the_same_training_writes_the_same_bytes_and_a_smaller_one_its_beginning(tmp_path):
    record = save(tmp_path / "one.json")
    save(tmp_path / "two.json")
    assert record_path(tmp_path / "one.json").read_bytes() == record_path(tmp_path / "two.json").read_bytes()
    shorter = save(tmp_path / "small.json", 270)
    assert (shorter["result"]["merges"], shorter["corpus"]) == (13, record["corpus"])
    assert shorter["pair_counts"] == record["pair_counts"][:13]
    assert load_tokenizer(str(tmp_path / "small.json")).vocab_size == 270


def drop_a_merge(path: Path) -> None:
    content = json.loads(path.read_bytes())
    del content["model"]["merges"][2]
    path.write_text(json.dumps(content), encoding="utf-8")


def change_an_id(path: Path) -> None:
    record = json.loads(record_path(path).read_bytes())
    record["samples"][0]["ids"][3] += 1
    record_path(path).write_text(json.dumps(record, indent=2), encoding="utf-8")


def drop_an_id(path: Path) -> None:
    record = json.loads(record_path(path).read_bytes())
    record["samples"][1]["ids"].pop()
    record_path(path).write_text(json.dumps(record), encoding="utf-8")


def change_an_id_beyond_ascii_by_other_code(path: Path) -> None:
    record = json.loads(record_path(path).read_bytes())
    record["samples"][3]["ids"][0] += 1
    record["versions"]["code"] = "crc32:00000000"
    record_path(path).write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (drop_a_merge, "no longer cuts text as when it was trained: in"),
        (change_an_id, "in \"It's 10:45; she'd pa\" token 4 was"),
        (drop_an_id, "was absent and is"),
        (change_an_id_beyond_ascii_by_other_code, "token 1 was"),
    ],
)
def test_a_tokenizer_that_cuts_in_another_way_is_refused(mine, change: Change, what):
    assert load_tokenizer(str(mine)).vocab_size > 270
    change(mine)
    with pytest.raises(UserError) as failure:
        load_tokenizer(str(mine))
    assert str(mine) in str(failure.value)
    assert what in str(failure.value)
    assert f"delete {record_path(mine)}" in failure.value.hint
    record_path(mine).unlink()
    assert load_tokenizer(str(mine)).vocab_size > 270


@pytest.mark.parametrize(
    ("content", "is_refused"),
    [
        (b'{"question": "a data set"}', False),
        (b"\xff\x00", False),
        (b"", False),
        (f'{{"schema": "{SCHEMA}"'.encode(), True),
        (f'{{"schema": "{SCHEMA}"}}'.encode(), True),
        (f'{{"schema": "{SCHEMA}", "versions": 3, "samples": [{{"text": "a", "ids": 3}}]}}'.encode(), True),
        (f'["{SCHEMA}"]'.encode(), True),
        (f'{{"schema": "{SCHEMA}", "samples": {"[" * 100_000}'.encode(), True),
    ],
)
def test_a_damaged_record_is_told_and_the_file_of_another_tool_left_alone(mine, content, is_refused):
    record_path(mine).write_bytes(content)
    if is_refused:
        with pytest.raises(UserError, match=r"mine\.train\.json is damaged"):
            load_tokenizer(str(mine))
    else:
        assert load_tokenizer(str(mine)).vocab_size > 270


def test_the_pair_counts_can_be_read_again_and_are_none_without_a_record(mine):
    assert recorded_pair_counts(mine) == json.loads(record_path(mine).read_bytes())["pair_counts"]
    record_path(mine).write_text(f'{{"schema": "{SCHEMA}", "pair_counts": "many"}}', encoding="ascii")
    with pytest.raises(UserError, match="is damaged"):
        recorded_pair_counts(mine)
    record_path(mine).unlink()
    assert recorded_pair_counts(mine) == []


def test_loading_reads_the_samples_and_not_the_merges(mine):
    lines = record_path(mine).read_bytes().splitlines(keepends=True)
    record_path(mine).write_bytes(b"".join(lines[:5]) + b"what follows is never looked at")
    assert load_tokenizer(str(mine)).vocab_size > 270
