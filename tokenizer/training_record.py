"""What training knew and a tokenizer.json cannot say, in `NAME.train.json` beside `NAME.json`.

It is JSON with one key a line, the small ones first:

    schema         needlepoint.training/1
    samples        texts with their ids; they are encoded again when the tokenizer is loaded
    tokenizer      the digest of the file that this one lies beside
    versions       of needlepoint and Python, a checksum of our code, and the engine
    corpus         where it was, its documents, bytes and digest (see `corpus.Corpus.digest`)
    options        those that decide the result
    result         the vocabulary, why training ended, pre-tokens, and the longest of them
    pair_counts    for each merge, how often the pair occurred when it was joined
    words_touched  for each merge, the distinct pre-tokens that it changed
    corpus_tokens  for each merge, the corpus in tokens after it

Nothing in it depends on the clock: the same training writes the same bytes.
"""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.formats.files import write_files

if TYPE_CHECKING:
    from tokenizer.corpus import Corpus
    from tokenizer.training import Training

SCHEMA = "needlepoint.training/1"
LONGEST_HEAD = 1 << 20  # bytes of a record that are read to find its samples

# Contractions, numbers, code and white space; then scripts, accents, and characters of one, two, three and four bytes.
# A split pattern for plain ASCII is made in no time, one for all of Unicode takes some 50 ms.
_SAMPLES = (
    "It's 10:45; she'd paid $1,234.50 for 3 of them, hadn't she?\nYES.  ",
    "def area(width_mm: float) -> float:\n\tif width_mm <= 0:\n\t\treturn 0.0\r\n    return 3.14159 * width_mm ** 2\n",
    "Grüße aus Zürich! Çà et là, naïve “Où?” — ½ kg, 25 µm \u017f \uff11\uff12\uff13",
    "東京の朝。안녕하세요 Привет, мир नमस्ते สวัสดี שלום مرحبا ελληνικά 👩\u200d🚀🌍 \U0001d4b3",
)
_LEARNED_TOKENS = 24  # in the sample that is made of the vocabulary itself


class Sample(NamedTuple):
    """A text and the ids that it had when the tokenizer was trained."""

    text: str
    ids: list[int]


def record_path(path: Path) -> Path:
    """The record's file beside a tokenizer's: mine.json -> mine.train.json."""
    return path.with_suffix(".train.json")


def save_trained(
    path: Path,
    tokenizer: Tokenizer,
    training: "Training",
    *,
    corpus: "Corpus",
    sources: Iterable[str],
    options: Mapping[str, Any],
) -> None:
    """Write a trained tokenizer, or a smaller one of the same training, and its record beside it.

    Args:
        path: the tokenizer's file; the record's name is made of it.
        tokenizer: what the training gave, or a prefix of it.
        training: what training knew.
        corpus: what went by while it was read.
        sources: as the user named them.
        options: those that decide the result, as they are to stand in the record.

    Raises:
        UserError: a file cannot be written, or the tokenizer cannot be said in this format.
    """
    from tokenizer.formats import huggingface
    from tokenizer.sources import without_secrets

    content = huggingface.to_bytes(tokenizer)
    samples = [Sample(text, tokenizer.encode(text, disallowed_special=())) for text in sample_texts(tokenizer)]
    record = {
        "schema": SCHEMA,
        "samples": [sample._asdict() for sample in samples],
        "tokenizer": _digest(content),
        "versions": {**_versions(), "engine": training.engine},
        "corpus": {
            "sources": [without_secrets(source) for source in sources],
            "documents": corpus.documents,
            "bytes": corpus.bytes,
            "digest": corpus.digest,
        },
        "options": dict(options),
        **_learned(tokenizer, training),
    }
    write_files({path: content, record_path(path): _one_key_a_line(record)})


def _learned(tokenizer: Tokenizer, training: "Training") -> dict[str, Any]:
    merges = len(tokenizer.merges or ())
    return {
        "result": {
            "vocab_size": tokenizer.vocab_size,
            "merges": merges,
            "ended": training.ended,
            "pre_tokens": training.pre_tokens,
            "distinct_pre_tokens": training.distinct_pre_tokens,
            "left_out_pre_tokens": training.left_out,
            "longest_pre_tokens": longest_pre_tokens(training),
        },
        "pair_counts": training.pair_counts[:merges],
        "words_touched": training.words_touched[:merges],
        "corpus_tokens": training.corpus_tokens[:merges],
    }


def _one_key_a_line(content: Mapping[str, Any]) -> bytes:
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    return f"{{\n{lines}\n}}\n".encode("utf-8", "backslashreplace")


def longest_pre_tokens(training: "Training") -> list[dict[str, Any]]:
    """The longest pre-tokens: `bytes`, their length, and `beginning`, how they begin."""
    return [
        {"bytes": length, "beginning": beginning.decode("utf-8", "backslashreplace")}
        for beginning, length in training.longest_pre_tokens
    ]


def sample_texts(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The texts of the self-test: fixed ones, and one made of learned tokens, evenly drawn from first to last."""
    learned = [left + right for left, right in tokenizer.merges or ()]
    step = max(1, len(learned) // _LEARNED_TOKENS)
    return (*_SAMPLES, b"".join(learned[::step]).decode("utf-8", "replace")[:1000])


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def _versions() -> dict[str, str]:
    from importlib import metadata  # late: it takes longer than all the rest of a check

    try:
        own = metadata.version("needlepoint")
    except metadata.PackageNotFoundError:
        own = "unknown"
    return {"needlepoint": own, **_code()}


@cache
def _code() -> dict[str, str]:
    """What cuts text: Python's version, and a checksum of our own code and of its table of Unicode classes."""
    home = Path(__file__).parent
    checksum = 0
    for path in sorted([*home.rglob("*.py"), *home.glob("data/*.txt")]):
        checksum = crc32(path.read_bytes(), checksum)
    return {"python": platform.python_version(), "code": f"crc32:{checksum:08x}"}


def check_record(path: Path, tokenizer: Tokenizer) -> None:
    """Make sure that a tokenizer read from `path` still does what it did when it was trained.

    Without a record of ours beside it nothing is checked. Samples beyond ASCII cost some 50 ms and are encoded only
    where the file, our code or Python's version is another one than at the training.

    Raises:
        UserError: a sample is encoded differently, or the record is damaged.
    """
    record = record_path(path)
    head = _head(record)
    if head is None:
        return
    try:
        is_same_code = head["versions"].items() >= _code().items()
        is_same_file = head["tokenizer"] == _digest(path.read_bytes())
    except (AttributeError, KeyError) as err:
        raise _damaged(record) from err
    for text, ids in recorded_samples(path):
        if is_same_code and is_same_file and not text.isascii():
            continue
        now = tokenizer.encode(text, disallowed_special=())
        if now != ids:
            raise UserError(
                f"{path} no longer cuts text as when it was trained: {_difference(text, ids, now)}",
                hint=f"train it again; or, if the file was changed on purpose, delete {record}",
            )


def recorded_samples(path: Path) -> list[Sample]:
    """All samples in the record beside a tokenizer's file; none if there is no record of ours.

    Raises:
        UserError: the record is damaged.
    """
    head = _head(record_path(path))
    try:
        return [Sample(str(sample["text"]), list(sample["ids"])) for sample in (head["samples"] if head else ())]
    except (KeyError, TypeError) as err:
        raise _damaged(record_path(path)) from err


def recorded_pair_counts(path: Path) -> list[int]:
    """For each merge of a tokenizer's file, how often its pair occurred when it was joined; none without a record.

    Raises:
        UserError: the record is damaged.
    """
    record = record_path(path)
    if _head(record) is None:
        return []
    try:
        return [int(count) for count in json.loads(record.read_bytes())["pair_counts"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
        raise _damaged(record) from err


def _head(record: Path) -> dict[str, Any] | None:
    """The small keys at a record's beginning; None if there is no record of ours."""
    try:
        with record.open("rb") as file:
            lines = [file.readline(LONGEST_HEAD) for _ in range(5)]
    except OSError:
        return None
    if SCHEMA.encode() not in lines[0] + lines[1]:
        return None
    for content in (b"".join(lines).rstrip(b",\n") + b"}", b""):  # as we write it; else as some editor wrote it
        try:
            head = json.loads(content or record.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(head, dict):
            return head
    raise _damaged(record)


def _damaged(record: Path) -> UserError:
    return UserError(f"{record} is damaged", hint="delete it, or train the tokenizer again")


def _difference(text: str, before: Sequence[int], now: Sequence[int]) -> str:
    """Where two lists of ids part: "in 'It's 10' token 3 was 17 and is 18"."""
    absent = "absent"
    ids = zip(chain(before, [absent]), chain(now, [absent]), strict=False)
    place, was, is_now = next((place, *pair) for place, pair in enumerate(ids) if pair[0] != pair[1])
    return f"in {text[:20]!r} token {place + 1} was {was} and is {is_now}"
