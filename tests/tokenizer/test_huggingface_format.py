"""Saved files in Hugging Face's own package, their way back, and files that are refused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from tokenizer import Tokenizer, UserError, load_tokenizer
from tokenizer.formats.huggingface import to_json
from tokenizer.formats.recipes import recover_merges
from tokenizer.training import train_on

Texts = Callable[[int, str], Iterator[str]]
CORPUS = [
    "The cat's hat; the CAT sat at 1234 o'clock.\n\n  The hat: that's the cat's!\n" * 3,
    "мир и мир, 世界世界 🌍🌍 " * 4,
]
SPECIALS = ["<|end|>", "<|start of text|>", "[é]"]
PORTABLE = r"(?i:'s|'t)|\p{Lu}?\p{Ll}+|\p{N}{1,2}|\s+(?!\S)|[^\s\p{L}\p{N}]+"


def ours_and_theirs(tokenizer: Tokenizer, path: Path) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    tokenizer.save(path)
    return load_tokenizer(str(path)), tokenizers.Tokenizer.from_file(str(path))


@pytest.mark.parametrize("layout", ["hf", "bytes"])
@pytest.mark.parametrize("split", ["gpt2", "cl100k", "o200k", PORTABLE, r"\S+"])
def test_saved_files_agree_with_tokenizers(split: str, layout: Any, tmp_path: Path, fuzz_texts: Texts) -> None:
    trained = train_on(CORPUS, vocab_size=340, split=split, layout=layout, special_tokens=SPECIALS)
    ours, theirs = ours_and_theirs(trained, tmp_path / "saved.json")
    assert theirs.get_vocab_size() == trained.vocab_size == ours.vocab_size
    assert (ours.split.pattern, ours.layout, ours.special_tokens) == (split, layout, trained.special_tokens) or (
        ours.split == trained.split
    )
    for text in [*CORPUS, *fuzz_texts(400, f"{split} {layout}")]:
        ids = trained.encode(text)
        assert ids == ours.encode(text) == theirs.encode(text).ids, ascii(text)
        assert theirs.decode(ids) == text
    text = "the<|end|> cat[é]<|start of text|>"
    assert trained.encode(text, allowed_special="all") == theirs.encode(text).ids


def test_a_saved_file_is_the_same_when_saved_again(tmp_path: Path) -> None:
    for number, split in enumerate(["gpt2", "cl100k", "o200k", PORTABLE]):
        first, second = tmp_path / f"{number}.json", tmp_path / f"{number}-again.json"
        train_on(CORPUS, vocab_size=300, split=split, special_tokens=SPECIALS).save(first)
        load_tokenizer(str(first)).save(second)
        assert first.read_bytes() == second.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_published_ranks_become_a_file_with_the_same_ids(
    tmp_path: Path, both_engines: Callable[..., tuple], fuzz_texts: Texts
) -> None:
    published, tiktokens = both_engines("gpt2")
    ours, theirs = ours_and_theirs(published, tmp_path / "gpt2.json")
    for text in [*CORPUS, *fuzz_texts(1500, "published")]:
        assert ours.encode(text) == theirs.encode(text).ids == tiktokens.encode_ordinary(text), ascii(text)
    assert theirs.encode("<|endoftext|>").ids == [50256]


def test_special_ids_above_a_hole_are_kept(tmp_path: Path) -> None:
    plain = train_on(CORPUS, vocab_size=300, layout="bytes")
    holed = Tokenizer(
        name="holed",
        split=plain.split,
        vocabulary=plain.vocabulary,
        special_tokens={"<|far|>": 777},
        merges=plain.merges,
        whole_pieces=False,
    )
    ours, theirs = ours_and_theirs(holed, tmp_path / "holed.json")
    assert theirs.encode("a<|far|>").ids == ours.encode("a<|far|>", allowed_special="all") == [97, 777]
    assert ours.vocab_size == 778


def test_merges_are_recovered_from_ranks() -> None:
    trained = train_on(CORPUS, vocab_size=330, layout="bytes")
    assert recover_merges(trained.vocabulary) == trained.merges
    without = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256}
    with pytest.raises(UserError, match="not made of two others"):
        recover_merges(without)


@pytest.mark.parametrize("split", [r"\p{N}{1,3}+|\D", r"\w+|\W", r"\S+$|\s|\S", r"(?i:ss|x)+|[\s\S]"])
def test_a_split_that_engines_read_differently_is_refused(split: str, tmp_path: Path) -> None:
    tokenizer = train_on(CORPUS, vocab_size=270, split=split)
    with pytest.raises(UserError, match="cannot hold this split pattern") as failure:
        tokenizer.save(tmp_path / "refused.json")
    assert failure.value.hint
    assert not list(tmp_path.iterdir())


def test_files_of_tokenizers_itself_are_read(tmp_path: Path, fuzz_texts: Texts) -> None:
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=True))
    older_cl100k = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(older_cl100k), "isolated"),
            byte_level(add_prefix_space=False, use_regex=False),
        ]
    )
    theirs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>"], initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    theirs.train_from_iterator(CORPUS, trainer)
    theirs.add_tokens(["cat's"])  # not special: always read, nothing to refuse
    path = tmp_path / "theirs.json"
    theirs.save(str(path))
    ours = load_tokenizer(str(path))
    for text in [*CORPUS, "cat's cats", *fuzz_texts(800, "theirs")]:
        assert ours.encode(text) == theirs.encode(text).ids, ascii(text)
    assert ours.literal_tokens == {"cat's"}
    ours.save(tmp_path / "again.json")
    assert tokenizers.Tokenizer.from_file(str(tmp_path / "again.json")).encode("a cat's<s>").ids == (
        theirs.encode("a cat's<s>").ids
    )


def test_merges_written_as_strings_and_files_without_a_split_are_read(tmp_path: Path) -> None:
    content = to_json(train_on(CORPUS, vocab_size=330))
    content["model"]["merges"] = ["#version: 0.2", *(" ".join(pair) for pair in content["model"]["merges"])]
    content["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    path = tmp_path / "legacy.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    theirs = tokenizers.Tokenizer.from_file(str(path))
    ours = load_tokenizer(str(path))
    for text in (*CORPUS, "a\n\nb"):
        assert ours.encode(text) == theirs.encode(text).ids


SPLIT_STEP = {"type": "Split", "pattern": {"Regex": "a+"}, "behavior": "Isolated", "invert": False}
BYTE_STEP = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["normalizer"], {"type": "NFC"}, r"normalizer is \{"),
        (["truncation"], {"max_length": 3}, "truncation is"),
        (["model", "dropout"], 0.1, "model.dropout is 0.1"),
        (["model", "continuing_subword_prefix"], "##", "model.continuing_subword_prefix"),
        (["model", "end_of_word_suffix"], "</w>", "model.end_of_word_suffix"),
        (["model", "type"], "Unigram", 'model.type is "Unigram"'),
        (["model"], None, "model should be an object"),
        (["added_tokenz"], [], 'the file has the key "added_tokenz"'),
        (["model", "merges"], {}, "model.merges should be a list"),
        (["model", "merges", 3], ["a"], r"model.merges\[3\] should be two tokens"),
        (["model", "merges", 3], "a b c", r"model.merges\[3\] should be two tokens"),
        (["model", "merges", 3], ["q", "☃"], r'model.merges\[3\] needs the token "☃"'),
        (["model", "vocab", "a"], "7", r'model.vocab\["a"\] should be an id'),
        (["model", "vocab", "a"], 5, "has the id 5, which"),
        (["model", "vocab", "☃"], 999, "stands for no byte"),
        (["model", "vocab"], {}, "model.merges|has no token '!'"),
        (["decoder"], {"type": "WordPiece"}, "decoder is"),
        (["added_tokens", 0, "lstrip"], True, r"added_tokens\[0\].lstrip is true"),
        (["added_tokens", 0, "content"], 3, r"added_tokens\[0\].content should be text"),
        (["added_tokens", 0, "id"], 17, r'added_tokens\[0\].id is 17, but "<\|end\|>" gets the id 0'),
        (["pre_tokenizer"], None, "pre_tokenizer should be an object"),
        (["pre_tokenizer"], {"type": "Whitespace"}, 'pre_tokenizer.type is "Whitespace"'),
        (["pre_tokenizer", "add_prefix_space"], True, "pre_tokenizer.add_prefix_space is true"),
        (["pre_tokenizer"], sequence(BYTE_STEP, BYTE_STEP), r"\[0\].type is"),
        (["pre_tokenizer"], sequence(SPLIT_STEP), r"\[0\].type is"),
        (["pre_tokenizer"], sequence(), r"pretokenizers is \[\]"),
        (["pre_tokenizer"], sequence({"type": "Digits"}, BYTE_STEP), "individual_digits should be true or false"),
        (["pre_tokenizer"], sequence(SPLIT_STEP | {"behavior": "Removed"}, BYTE_STEP), "behavior"),
        (["pre_tokenizer"], sequence(SPLIT_STEP | {"behavior": "Removed", "invert": True}, BYTE_STEP), "behavior"),
        (["pre_tokenizer"], sequence(SPLIT_STEP | {"pattern": {"Glob": "a"}}, BYTE_STEP), "pattern is"),
        (["pre_tokenizer"], sequence(SPLIT_STEP | {"pattern": {"Regex": "a" * 5001}}, BYTE_STEP), "pattern is"),
        (["pre_tokenizer"], sequence(SPLIT_STEP | {"pattern": {"Regex": "(a"}}, BYTE_STEP), "position 0"),
        (["added_tokens", 0, "special"], 1, r"added_tokens\[0\].special should be true or false"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_say_where(keys: list[Any], value: Any, message: str, tmp_path: Path) -> None:
    content = to_json(train_on(CORPUS, vocab_size=280, special_tokens=["<|end|>"]))
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=message) as failure:
        load_tokenizer(str(path))
    assert str(path) in str(failure.value)
    assert failure.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"model":\n oops}', "line 2, column 2"),
        (b"", "line 1"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"[]", "the file should be"),
    ],
)
def test_files_that_are_not_json(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_tokenizer(str(path))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        train_on(CORPUS, vocab_size=260).save(tmp_path / "no" / "such" / "directory.json")
    with pytest.raises(UserError, match="holds no tokenizer"):
        load_tokenizer(str(tmp_path))


def test_a_special_token_spelled_like_an_ordinary_one_is_refused(tmp_path: Path) -> None:
    plain = train_on(["the the the"], vocab_size=258)
    clashing = Tokenizer(
        name="clash",
        split=plain.split,
        vocabulary=plain.vocabulary,
        special_tokens={"he": 300},
        merges=plain.merges,
        whole_pieces=False,
    )
    with pytest.raises(UserError, match="'he' is written like an ordinary token"):
        clashing.save(tmp_path / "clash.json")
