"""`make fuzz`: chance against the compiled engine, every address of which is checked, with plain Python as the judge.

    python -m tests.fuzz --seconds 3600
    python -m tests.fuzz --seconds 60 --seed 7

Every case comes from its seed and number alone, so that what was found can be run again: `--seed S --first N`.
"""

import os

os.environ["NEEDLEPOINT_CHECKED_KERNELS"] = "1"  # before anything compiled is imported

import random
import time
from collections.abc import Callable

import click
import numpy as np

from tokenizer import text_parts
from tokenizer.compiled_encoding import CompiledEncoder, Unsupported
from tokenizer.corpus import Chunk
from tokenizer.kernels import scanning
from tokenizer.kernels.memory import allocate, borrow
from tokenizer.plain_encoding import PlainEncoder
from tokenizer.splits import MODEL_PATTERNS, NAMED_PATTERNS, Split, as_bytes, make_split
from tokenizer.training import learn
from tokenizer.unicode_classes import category_runs

EDGES = [chr(point) for name, *ends in category_runs() if name != "Cs" for point in ends]
WORDS = (
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "'s",
    "'LL",
    "a",
    "ab",
    "the",
    "The",
    " 12345",
    "...",
    "//",
    "\u3000",
    "世界",
    "é",
)
SPLITS = (*NAMED_PATTERNS, r"\S+|\s+", r"\p{L}+|\s|.", r"[\s\S]+", r"\w++(?!\d)|\d{1,3}", r"(?<=a)b|\w+?")


def some_bytes(draws: random.Random) -> bytes:
    """Text of awkward parts, runs of one of them, and bytes that are no text, cut anywhere."""
    parts = []
    for _ in range(draws.choice([0, 1, 3, 10, 40])):
        kind = draws.random()
        if kind < 0.5:
            parts.append(draws.choice(WORDS).encode())
        elif kind < 0.7:
            parts.append(draws.choice(EDGES).encode())
        elif kind < 0.85:
            parts.append(draws.randbytes(draws.randint(1, 6)))
        else:
            parts.append(draws.choice([*WORDS, draws.choice(EDGES)]).encode() * draws.choice([2, 15, 16, 17, 70, 300]))
    return b"".join(parts)[draws.choice([0, 0, 1]) :]


def some_vocabulary(draws: random.Random) -> tuple[dict[bytes, int], list[tuple[bytes, bytes]] | None]:
    """Tokens of random recipes, with their merges or as ranks; some in disorder, some that no two others make."""
    tokens = [bytes([byte]) for byte in range(256)]
    merges = []
    for _ in range(draws.choice([0, 5, 50, 300])):
        left, right = draws.choice(tokens), draws.choice([*tokens[-20:], *(bytes([byte]) for byte in b"ab \n1\xe4")])
        if left + right not in tokens and len(left + right) < 200:
            tokens.append(left + right)
            merges.append((left, right))
    if draws.random() < 0.3:
        tokens += {draws.randbytes(draws.randint(2, 20)) for _ in range(5)} - set(tokens)
    ids = list(range(len(tokens)))
    if draws.random() < 0.3:
        draws.shuffle(ids)
    if draws.random() < 0.3:
        ids = [3 * one for one in ids]
    if draws.random() < 0.3:
        draws.shuffle(merges)
    return dict(zip(tokens, ids, strict=True)), (merges if draws.random() < 0.5 else None)


def check_scanning(draws: random.Random) -> None:
    """Pieces, in batches of any size, and places where a text may be cut."""
    data, name = some_bytes(draws), draws.choice([*NAMED_PATTERNS, *MODEL_PATTERNS])
    split = make_split(name) if name in NAMED_PATTERNS else Split(name, MODEL_PATTERNS[name], "huggingface")
    expected = [end for _, end in split.split_spans(data)]
    text, classes = borrow(data), scanning.class_table()
    found: list[int] = []
    most = draws.choice([1, 2, 7, 500])
    ends = allocate(8 * most)
    while (start := found[-1] if found else 0) < len(data):
        count = scanning.find_pieces(
            scanning.SPLITS[name], classes.address, text.address, start, len(data), ends.address, most
        )
        found += ends.view(np.int64)[:count].tolist()
    assert found == expected, (name, data)
    cut = scanning.safe_cut(text.address, len(data))
    assert cut == 0 or cut in expected, (name, data, cut)


def check_encoding(draws: random.Random) -> None:
    """Ids, their number and the way back, of several texts through one object."""
    vocabulary, merges = some_vocabulary(draws)
    split, whole_pieces = make_split(draws.choice(SPLITS)), draws.random() < 0.5
    plain = PlainEncoder(vocabulary, merges, whole_pieces=whole_pieces, split=split)
    try:
        compiled = CompiledEncoder(vocabulary, {}, merges, whole_pieces=whole_pieces, split=split)
    except Unsupported:
        return
    text_parts.PART = draws.choice([1, 20, 300, 1 << 18])
    texts = [some_bytes(draws) for _ in range(4)]
    expected = [plain.encode(text) for text in texts]
    for text, ids in zip(texts, expected, strict=True):
        case = (vocabulary, merges, whole_pieces, split, text)
        assert compiled.encode(text, jobs=draws.choice([1, 2])).tolist() == ids, case
        assert compiled.count(text) == len(ids), case
        string = text.decode(errors="surrogateescape")
        assert compiled.encode(string).tolist() == plain.encode(as_bytes(string)), case
    joined, ends = compiled.encode_many(texts, jobs=2)
    assert joined.tolist() == [one for ids in expected for one in ids], (vocabulary, merges, texts)
    assert ends.tolist() == np.cumsum([len(one) for one in expected]).tolist()
    assert compiled.decode(joined) == b"".join(texts)
    check_decoding(draws, compiled, vocabulary)


def check_decoding(draws: random.Random, compiled: CompiledEncoder, vocabulary: dict[bytes, int]) -> None:
    """Ids that exist, and ids that do not."""
    token_of = {one: token for token, one in vocabulary.items()}
    limit = draws.choice([len(token_of), 4 * len(token_of), 1 << 31, 1 << 40])
    ids = [draws.randrange(-3, limit) if draws.random() < 0.02 else draws.choice(list(token_of)) for _ in range(50)]
    unknown = next((one for one in ids if one not in token_of), None)
    try:
        decoded: bytes | tuple[int] = compiled.decode(np.array(ids, np.int64))
    except KeyError as err:
        decoded = err.args
    assert decoded == ((unknown,) if unknown is not None else b"".join(token_of[one] for one in ids)), ids


def check_training(draws: random.Random) -> None:
    """Merges and all that is told of them, whatever the chunks and threads."""
    documents = [some_bytes(draws) for _ in range(draws.randint(1, 5))]
    whole = [Chunk(document, ends_document=True) for document in documents]
    options = {
        "vocab_size": 256 + draws.choice([1, 20, 200]),
        "split": draws.choice(SPLITS),
        "layout": draws.choice(["hf", "bytes"]),
        "min_frequency": draws.choice([0, 0, 2, 5]),
        "max_token_bytes": draws.choice([None, None, 1, 2, 7]),
        "max_pretoken_bytes": draws.choice([None, None, 3, 30]),
    }
    outcomes = []
    for engine, chunks, jobs in (("python", whole, 1), ("compiled", _cut(draws, whole), draws.choice([1, 2]))):
        try:
            trained = learn(chunks, jobs=jobs, engine=engine, **options)
        except Exception as err:  # noqa: BLE001 - the same refusal is the same outcome
            outcomes.append((type(err), str(err)))
            continue
        outcomes.append(
            (
                trained.tokenizer.merges, trained.pair_counts, trained.words_touched, trained.corpus_tokens,
                trained.pre_tokens, trained.distinct_pre_tokens, trained.longest_pre_tokens, trained.left_out,
                trained.ended,
            )
        )  # fmt: skip
    assert outcomes[0] == outcomes[1], (options, documents)


def _cut(draws: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    """The same documents in chunks that end anywhere."""
    cut = []
    for chunk in chunks:
        place = draws.randint(0, len(chunk.data))
        cut += [Chunk(chunk.data[:place], ends_document=False), Chunk(chunk.data[place:], ends_document=True)]
    return cut


CHECKS: tuple[Callable[[random.Random], None], ...] = (check_scanning, check_encoding, check_training)


def fuzz(seconds: float, seed: int, first: int = 0) -> int:
    """Run cases until the time is over; how many there were. Raises AssertionError at the first difference.

    The time is the processor's, and begins when each check has been done once, because compiling takes a minute.
    """
    until, case = float("inf"), first
    while time.process_time() < until:
        if case == first + len(CHECKS):
            until = time.process_time() + seconds
        draws = random.Random(f"{seed}/{case}")
        try:
            CHECKS[case % len(CHECKS)](draws)
        except BaseException as err:
            err.add_note(f"to run this case again: python -m tests.fuzz --seed {seed} --first {case}")
            raise
        case += 1
    return case - first


@click.command()
@click.option("--seconds", type=float, default=60.0, show_default=True)
@click.option("--seed", type=int, default=None, help="By default the time, so that each run tries something new.")
@click.option("--first", type=int, default=0, help="The number of the first case.")
def main(*, seconds: float, seed: int | None, first: int) -> None:
    """Compare the compiled engine with plain Python on random input, every address checked."""
    seed = int(time.time()) if seed is None else seed
    click.echo(f"seed {seed}, for {seconds:.0f} s")
    click.echo(f"{fuzz(seconds, seed, first):,} cases, no difference")


if __name__ == "__main__":
    main()
