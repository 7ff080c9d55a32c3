"""How much memory a local model needs, as its file's header says, and how much there is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.models.base import ModelError
from tokenizer.errors import UserError

RUNTIME_BYTES = 85_000_000  # Python, the runtime and what it computes with, as measured with a small model
CACHE_NUMBER_BYTES = 2  # of a number in the cache of keys and values
_TEMPLATE = "tokenizer.chat_template"
_SIZES = ("context_length", "block_count", "embedding_length")
_HEADS = ("attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length")


@dataclass(frozen=True, slots=True)
class Header:
    """What a .gguf file says of its model; None where it does not say.

    `trained_window`: tokens of prompt and answer that the model was trained for. `cache_bytes_per_token`: what each of
    them takes in memory. `has_chat_template`: it is for chats.
    """

    trained_window: int | None = None
    cache_bytes_per_token: int | None = None
    has_chat_template: bool | None = None


def read_header(path: Path) -> Header:
    """What a .gguf file says of its model, or nothing where it is malformed: the runtime will say what is wrong."""
    from tokenizer.formats.gguf import read_metadata

    keys = ("general.architecture", _TEMPLATE, *(f".{name}" for name in (*_SIZES, *_HEADS)))
    try:
        found = read_metadata(path, lambda key: key.endswith(keys))
    except UserError:
        return Header()
    prefix = f"{found.get('general.architecture')}."
    said = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
    return Header(
        trained_window=_count(said.get("context_length")),
        cache_bytes_per_token=_cache_bytes_per_token(said),
        has_chat_template=bool(found.get(_TEMPLATE)),
    )


def _cache_bytes_per_token(said: Mapping[str, Any]) -> int | None:
    """A key and a value in every layer, for each head that has its own."""
    layers, width, heads = (_count(said.get(name)) for name in ("block_count", "embedding_length", _HEADS[0]))
    key, value = (
        _count(said.get(name)) or (width // heads if width and heads else None)
        for name in ("attention.key_length", "attention.value_length")
    )
    own_heads = said.get("attention.head_count_kv", heads)  # a list where layers differ
    if isinstance(own_heads, list):
        in_all = sum(_count(each) or 0 for each in own_heads)
    else:
        in_all = (layers or 0) * (_count(own_heads) or 0)
    return in_all * (key + value) * CACHE_NUMBER_BYTES if in_all and key and value else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def expected_bytes(path: Path, header: Header, window: int) -> int:
    """What the model will hold in memory, about: the weights, a cache as long as the window, and the runtime.

    Example: 98 MB of weights with a window of 8,192 tokens of 23 kB each: about 370 MB.
    """
    return RUNTIME_BYTES + path.stat().st_size + window * (header.cache_bytes_per_token or 0)


def ensure_fits(path: Path, expected: int, window: int) -> None:
    """Refuse what this machine cannot hold, before it is tried; where nobody knows what is free, it is tried.

    Raises:
        ModelError: the model needs more memory than is free, or than this process may have.
    """
    available = available_bytes()
    if available is not None and expected > available:
        raise ModelError(
            f"{path} needs about {_size(expected)} of memory with a window of {window:,} tokens,"
            f" and {_size(available)} can be had",
            hint="use smaller weights or a smaller --window, or close other programs",
        )


def available_bytes() -> int | None:
    """Memory that a new process of ours could have: what is free or can be freed, within this process's limits."""
    known = [_free_bytes(), _control_group_bytes(), _limit_bytes()]
    return min((each for each in known if each is not None), default=None)


def _free_bytes() -> int | None:
    """What Linux says is available; elsewhere all that is built in."""
    for line in _lines("/proc/meminfo"):
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _control_group_bytes() -> int | None:
    """What the container may have in all; it frees what it keeps of files when more is wanted."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        for line in _lines(name):
            return int(line) if line.isdigit() else None  # "max"
    return None


def _limit_bytes() -> int | None:
    """What `ulimit -v` lets a process have."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _lines(name: str) -> list[str]:
    try:
        return Path(name).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count < 10e9 else f"{count / 1e9:,.0f} GB"
