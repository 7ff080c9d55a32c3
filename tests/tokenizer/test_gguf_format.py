"""The tokenizers of GGUF files: splits by their names, kinds of tokens, and llama.cpp as the judge of a real model."""

import json
import os
import re
import struct
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tokenizers

from tests.gguf_files import ARRAY, FLOAT, I32, TEXT, U32, entries_of, file_of, gguf_file, numbers, text, texts
from tokenizer import Tokenizer, UserError, load_tokenizer
from tokenizer.formats.agreement import awkward_texts
from tokenizer.training import train_on

Texts = Callable[[int, str], Iterator[str]]
CORPUS = ["The cat's hat; the CAT sat at 1234 o'clock.\n\n  The hat: that's the cat's!\n" * 3, "мир и мир 世界 🌍 " * 4]
HF = tokenizers.pre_tokenizers
BYTE_LEVEL = HF.ByteLevel(add_prefix_space=False)
ISOLATED = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split_by(pattern: str) -> HF.Sequence:
    plain = HF.ByteLevel(add_prefix_space=False, use_regex=False)
    return HF.Sequence([HF.Split(tokenizers.Regex(pattern), "isolated"), plain])


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_on(CORPUS, vocab_size=300, special_tokens=["<|end|>", "<|start|>"])


def written(content: bytes, folder: Path) -> str:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("pre", "step"),
    [
        ("gpt-2", BYTE_LEVEL),
        ("smollm", HF.Sequence([HF.Digits(individual_digits=True), BYTE_LEVEL])),
        ("llama-bpe", split_by(ISOLATED % "{1,3}")),
        ("qwen2", split_by(ISOLATED % "")),
    ],
)
def test_a_named_split_is_that_of_the_models_own_tokenizer(
    pre: str, step: HF.PreTokenizer, trained: Tokenizer, tmp_path: Path, fuzz_texts: Texts
) -> None:
    trained.save(tmp_path / "same.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "same.json"))
    theirs.pre_tokenizer = step
    ours = load_tokenizer(written(gguf_file(trained, pre), tmp_path))
    assert ours.special_tokens == trained.special_tokens
    for each in [*CORPUS, "a<|end|>b", *fuzz_texts(300, pre)]:
        # Apart from these: llama.cpp spells the short forms out, and so has no long s and no Kelvin sign in them.
        if not set("\u017f\u212a") & set(each):
            assert ours.encode(each, allowed_special="all") == theirs.encode(each).ids, ascii(each)


def test_kinds_of_tokens(trained: Tokenizer, tmp_path: Path) -> None:
    kinds = [1] * trained.vocab_size
    kinds[0], kinds[1], kinds[299] = 3, 4, 5
    ours = load_tokenizer(written(gguf_file(trained, token_type=(ARRAY, numbers(kinds))), tmp_path))
    assert (ours.special_tokens, ours.literal_tokens) == (trained.special_tokens, {"<|start|>"})
    assert ours.encode("a<|start|>") == [*trained.encode("a"), 1]
    assert ours.vocabulary == trained.vocabulary


def test_version_2_is_read_and_the_rest_of_the_file_is_not(trained: Tokenizer, tmp_path: Path) -> None:
    content = file_of(entries_of(trained, "gpt-2"), version=2) + b"weights"
    assert load_tokenizer(written(content, tmp_path)).vocabulary == trained.vocabulary


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": (TEXT, text("llama"))}, 'model is "llama"; only byte-level BPE'),
        ({"model": None}, "model is null"),
        ({"pre": (TEXT, text("tekken-2"))}, 'pre is "tekken-2"; it can be read with one of: gpt-2'),
        ({"pre": (U32, struct.pack("<I", 7))}, "pre is 7"),
        ({"tokens": (TEXT, text("a"))}, "tokens should be a list of texts"),
        ({"tokens": (ARRAY, texts(["a", ""]))}, "token_type has 300 values for 2 tokens"),
        ({"tokens": None}, "tokens should be a list of texts"),
        ({"tokens": (ARRAY, struct.pack("<IQ2f", FLOAT, 2, 0, 0))}, "tokens should be a list of texts"),
        ({"merges": (ARRAY, texts(["h e", "t"]))}, r'merges\[1\] should be two tokens and is "t"'),
        ({"merges": (ARRAY, texts(["t ☃"]))}, r'merges\[0\] needs "☃"'),
        ({"merges": (ARRAY, texts([" t"]))}, r'merges\[0\] should be two tokens and is " t"'),
        ({"merges": (ARRAY, texts(["h e", "a t", "h e"]))}, r'merges\[2\] is "h e", which merges\[0\] is, too'),
        ({"token_type": (ARRAY, numbers([6] * 300))}, r"token_type\[0\] is 6"),
        ({"token_type": (ARRAY, struct.pack("<IQ", ARRAY, 1))}, r"byte \d+: a list of lists"),
        ({"token_type": (99, b"")}, r"byte \d+: there is no value of type 99"),
        ({"token_type": (ARRAY, struct.pack("<IQ", I32, 1 << 62))}, r"a list of \d+ values does not fit"),
        ({"pre": (TEXT, struct.pack("<Q", 1 << 63))}, r"byte \d+: \d+ bytes should follow, and the file ends at"),
        ({"pre": (TEXT, text(b"\xff"))}, r"byte \d+: a text is not UTF-8"),
        ({"": (TEXT, text(""))}, None),
    ],
)
def test_wrong_values_are_told_with_their_place(
    changed: dict[str, tuple[int, bytes] | None], message: str | None, trained: Tokenizer, tmp_path: Path
) -> None:
    path = written(gguf_file(trained, **changed), tmp_path)
    if message is None:  # an unknown key is no error
        assert load_tokenizer(path).vocabulary == trained.vocabulary
        return
    with pytest.raises(UserError, match=message) as failure:
        load_tokenizer(path)
    assert path in str(failure.value)
    assert failure.value.hint


def test_wrong_beginnings(trained: Tokenizer, tmp_path: Path) -> None:
    entries = entries_of(trained, "gpt-2")
    for content, message in (
        (b"GGUX" + file_of(entries)[4:], "byte 0: a GGUF file begins with GGUF"),
        (file_of(entries, version=1), "byte 4: the version is 1"),
        (file_of(entries, version=3 << 24), "byte 4: the version is 50331648"),
        (file_of(entries, count=1 << 60), "there is no value of type|a key is empty|bytes should follow"),
        (b"", "cannot mmap an empty file"),
    ):
        with pytest.raises(UserError, match=message):
            load_tokenizer(written(content, tmp_path))


@pytest.mark.parametrize(
    ("beginning", "message"),
    [
        (struct.pack("<Q", 1 << 30), "a text of 1073741824 bytes is far too long"),
        (text("x") + struct.pack("<IIQ", ARRAY, TEXT, 1 << 27), "a list of 134217728 values is far too long"),
        (text("tokenizer.ggml.tokens") + struct.pack("<IIQ", ARRAY, 0, 1 << 30), "a list of .* is far too long"),
        (text("tokenizer.ggml.pre") + struct.pack("<IQ", TEXT, 1 << 30), "a text of .* is far too long"),
    ],
)
def test_a_file_of_nothing_but_zeros_costs_neither_time_nor_memory(
    beginning: bytes, message: str, tmp_path: Path
) -> None:
    path = written(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + beginning, tmp_path)
    os.truncate(path, 1 << 31)
    with pytest.raises(UserError, match=message):
        load_tokenizer(path)


# Letters and numbers that llama.cpp's tables, which are older than ours, do not know yet.
NEW_IN_UNICODE_16 = re.compile(
    "[\u1c89\u1c8a\ua7cb-\ua7cd\ua7da-\ua7dc\U000105c0-\U000105f3\U00010d40-\U00010d8f\U00010ec2-\U00010ec4"
    "\U00011380-\U000113e2\U000116d0-\U000116e3\U00011bc0-\U00011bf9\U00013460-\U000143fa\U00016100-\U00016139"
    "\U00016d40-\U00016d79\U00018cff\U0001ccf0-\U0001ccf9\U0001e5d0-\U0001e5fa]"
)


@pytest.mark.model
def test_a_real_model_gives_the_ids_of_llama_cpp(smollm2: Path, fuzz_texts: Texts) -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(smollm2)
    parameters.n_ctx = 64
    parameters.n_parallel = 1
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def theirs(content: str, *, special: bool) -> list[int]:
        body = json.dumps({"content": content, "add_special": False, "parse_special": special}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body)
        with opener.open(request) as reply:
            return json.load(reply)["tokens"]

    ours = load_tokenizer(str(smollm2))
    with pytest.raises(UserError, match="no token for the byte 0x04"):  # which llama.cpp leaves out without a word
        ours.encode("\x04")
    lacking = {bytes([byte]) for byte in ours.absent_bytes}
    specials = "".join(f"a{token} {token}b" for token in ours.special_tokens)
    for each in [specials, *awkward_texts(ours.split.pattern, 300), *fuzz_texts(300, "llama.cpp")]:
        if lacking & {bytes([byte]) for byte in each.encode()} or NEW_IN_UNICODE_16.search(each):
            continue
        assert ours.encode(each, allowed_special="all") == theirs(each, special=True), ascii(each)
        assert ours.encode(each, disallowed_special=()) == theirs(each, special=False), ascii(each)
