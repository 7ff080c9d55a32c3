"""What the tokenizer's tests share: published ranks, texts that engines stumble over, and the engines themselves."""

import json
import os
import random
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers

from tokenizer.registry import RANKS, ranks_from_member, tokenizer_from_ranks
from tokenizer.unicode_classes import category_runs

# How many random texts each comparison takes; raise it for a long night: NEEDLEPOINT_FUZZ=100000.
FUZZ = int(os.environ.get("NEEDLEPOINT_FUZZ", "0"))

AWKWARD = (
    " \n\r\t\xa0ab1'sSdDlLmMtTrReEvV!.\u017f\u212aé世\u3000\x1c\x85🌍/K３²ǅʰ\u0301\u200d𝒳𠀀\u0378/\u2028\u0b95\u094d"
    "\u0e01\ufb01ß\U000105c0\U000e0041\ufdd0\U0010ffff\u0600\u2160\u00bd\u20ac+_-"
)
EDGES = [chr(point) for name, first, last in category_runs() if name != "Cs" for point in (first, last)]


@pytest.fixture(scope="session")
def fuzz_texts() -> Callable[[int, str], Iterator[str]]:
    """Make `count` short random texts from a seed: awkward letters, and code points of every category and plane."""

    def make(count: int, seed: str) -> Iterator[str]:
        generator = random.Random(seed)
        for _ in range(max(count, FUZZ)):
            length = generator.randint(1, 16)
            yield "".join(
                generator.choice(AWKWARD) if generator.random() < 0.8 else generator.choice(EDGES)
                for _ in range(length)
            )

    return make


@pytest.fixture(scope="session")
def ranks_of() -> Callable[[str], bytes]:
    """The canonical `.tiktoken` content of a published vocabulary, from the packages that the tests install."""
    contents: dict[str, bytes] = {}

    def read(name: str) -> bytes:
        if name not in contents:
            package, _, inside = RANKS[name].member.partition("/")
            spec = find_spec(package)
            assert spec
            assert spec.submodule_search_locations
            contents[name] = ranks_from_member(name, Path(spec.submodule_search_locations[0], inside).read_bytes())
        return contents[name]

    return read


@pytest.fixture(scope="session")
def both_engines(ranks_of: Callable[[str], bytes]) -> Callable[[str], tuple[Any, tiktoken.Encoding]]:
    """Our tokenizer and tiktoken's, made from the same ranks, each only once."""
    made: dict[str, tuple[Any, tiktoken.Encoding]] = {}

    def make(name: str) -> tuple[Any, tiktoken.Encoding]:
        if name not in made:
            ours = tokenizer_from_ranks(name, ranks_of(name))
            theirs = tiktoken.Encoding(
                name,
                pat_str=ours.split.pattern,
                mergeable_ranks=dict(ours.vocabulary),
                special_tokens=dict(ours.special_tokens),
            )
            made[name] = ours, theirs
        return made[name]

    return make


@pytest.fixture(scope="session")
def train_with_tokenizers() -> Callable[..., dict[str, Any]]:
    """Train Hugging Face's tokenizer and return its `tokenizer.json`."""

    def train(documents: list[str], vocab_size: int, **options: Any) -> dict[str, Any]:
        byte_level = tokenizers.pre_tokenizers.ByteLevel
        theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
        theirs.pre_tokenizer = byte_level(add_prefix_space=False)
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size, initial_alphabet=byte_level.alphabet(), show_progress=False, **options
        )
        theirs.train_from_iterator(documents, trainer)
        return json.loads(theirs.to_str())

    return train
