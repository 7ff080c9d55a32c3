"""Learn a vocabulary from documents."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from tokenizer import reference
from tokenizer.byte_alphabet import BYTES_BY_LETTER, from_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.splits import Split, as_bytes, as_text, make_split, piece_bytes


def train(
    documents: Iterable[bytes | str],
    *,
    vocab_size: int,
    split: str = "gpt2",
    layout: Literal["hf", "bytes"] = "hf",
    special_tokens: Sequence[str] = (),
    min_frequency: int = 0,
    progress: Callable[[int, int, bytes], None] | None = None,
) -> Tokenizer:
    """Train a tokenizer; the merges are those of Hugging Face's `BpeTrainer` (`hf`) or of rustbpe (`bytes`).

    A corpus that runs out of pairs ends the training early: then the result's `vocab_size` is smaller than asked.

    Args:
        documents: texts; no token comes from two of them. The text of a special token is ordinary text in them,
            but no merge ever spells one.
        vocab_size: how many ids there shall be, the 256 bytes and the special tokens included.
        split: gpt2, cl100k, o200k or a regex, as in `splits.make_split`.
        layout: `hf` gives ids to special tokens, then to the bytes in the order of their letters, then to merges;
            `bytes` to the byte values, then to merges, then to special tokens. It also decides ties.
        special_tokens: texts that stand for something else than themselves.
        min_frequency: stop when the best pair is rarer than this.
        progress: called after each merge with the merges done, the merges wanted, and the bytes of the new token.

    Raises:
        UsageError: options that cannot be met, such as a vocabulary smaller than its alphabet.
        UserError: the documents hold no text.

    Example: train(["low low lower"], vocab_size=258).id_of(b"low") == 257
    """
    if isinstance(documents, str | bytes):
        raise UsageError("the documents are one text, not a list of texts", hint="put the text into a list")
    if layout not in ("hf", "bytes"):
        raise UsageError(f"there is no layout {layout!r}", hint="layouts are hf and bytes")
    never = _spelled_like(special_tokens)
    wanted = vocab_size - 256 - len(special_tokens)
    if wanted < 0:
        raise UsageError(
            f"a vocabulary of {vocab_size} cannot hold 256 bytes and {len(special_tokens)} special tokens",
            hint=f"the smallest possible size is {vocab_size - wanted}",
        )
    chosen = make_split(split)
    piece_counts = count_pieces(documents, chosen)
    if not piece_counts:
        raise UserError("there is no text to learn from", hint="give documents that are not empty")

    first_byte = len(special_tokens) if layout == "hf" else 0
    alphabet = BYTES_BY_LETTER if layout == "hf" else range(256)
    token_bytes = {first_byte + place: bytes([byte]) for place, byte in enumerate(alphabet)}
    id_of = {token[0]: one for one, token in token_bytes.items()}
    merges: list[tuple[bytes, bytes]] = []
    pairs = reference.train_merges(
        piece_counts,
        byte_ids=[id_of[byte] for byte in range(256)],
        first_id=first_byte + 256,
        min_frequency=min_frequency,
        never=never,
    )
    for _, (left, right) in zip(range(wanted), pairs, strict=False):
        newest = token_bytes[left] + token_bytes[right]
        token_bytes[first_byte + 256 + len(merges)] = newest
        merges.append((token_bytes[left], token_bytes[right]))
        if progress:
            progress(len(merges), wanted, newest)
    first_special = 0 if layout == "hf" else len(token_bytes)
    return Tokenizer(
        name="trained",
        split=chosen,
        vocabulary={token: one for one, token in token_bytes.items()},
        special_tokens={token: first_special + place for place, token in enumerate(special_tokens)},
        merges=merges,
        whole_pieces=False,
    )


def count_pieces(documents: Iterable[bytes | str], split: Split) -> Counter[bytes]:
    """How often each pre-token occurs in the documents, in the order of first appearance.

    Example: count_pieces(["a b", "a"], make_split("gpt2")) == {b"a": 2, b" b": 1}

    Raises:
        UsageError: the split's pattern matches nothing in any document, so that each would be a single piece.
    """
    pieces: Counter[str] = Counter()
    is_matched = False
    for document in documents:
        text = as_text(as_bytes(document))
        is_matched = is_matched or split.matches(text)
        pieces.update(split.pieces(text))
    if pieces and not is_matched:
        raise UsageError(
            "the split pattern matches nothing in the text, which would be a single piece",
            hint="write a pattern that matches words, such as '\\S+|\\s+', or take gpt2, cl100k or o200k",
        )
    return Counter({piece_bytes(piece): count for piece, count in pieces.items()})


def document_paths(paths: Iterable[str | Path]) -> list[Path]:
    """The files among the paths and, sorted, those in directories among them; hidden ones are passed over.

    Raises:
        UserError: a path that is missing or cannot be listed, or no file at all.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += _files_below(path)
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"there is no file {path}", hint="check the name; directories are read with all they hold")
    if not found:
        raise UserError("there are no files to read", hint="name files, or directories that hold some")
    return found


def read_documents(paths: Iterable[str | Path]) -> Iterator[bytes]:
    """Each file as one document of raw bytes, one at a time; the paths are checked before the first is read.

    Raises:
        UserError: as `document_paths`, or a file that cannot be read.
    """
    return map(_read, document_paths(paths))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise UserError(f"cannot read {path}: {err.strerror or err}", hint="check the file and its rights") from err


def _files_below(directory: Path) -> list[Path]:
    def fail(err: OSError) -> None:
        raise UserError(f"cannot list {err.filename}: {err.strerror}", hint="check the directory's rights") from err

    files = []
    for folder, subfolders, names in os.walk(directory, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        files += [path for path in paths if path.is_file()]  # no pipe, no device, no link to nothing
    return sorted(files)


def _spelled_like(special_tokens: Sequence[str]) -> frozenset[bytes]:
    """The ordinary tokens that a vocabulary file would write like one of the special tokens."""
    never = set()
    for place, token in enumerate(special_tokens):
        if not token or token in special_tokens[:place]:
            raise UsageError(
                f"the special token {token!r} is given twice" if token else "a special token is empty",
                hint="give each special token once, as text",
            )
        if any("\ud800" <= letter <= "\udfff" for letter in token):
            raise UsageError(f"the special token {token!r} is not text", hint="write it in UTF-8")
        try:
            spelled = from_letters(token)
        except KeyError:  # holds a character that no byte is written as: nothing can be mistaken for it
            continue
        if len(spelled) == 1:
            raise UsageError(
                f"the special token {token!r} is the letter that stands for a byte",
                hint="take a longer text, as <|end|>",
            )
        never.add(spelled)
    return frozenset(never)
