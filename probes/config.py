"""The user's own settings, `config.toml`: endpoints to ask, and prices and windows of models.

    [endpoints.lab]
    kind = "openai"
    base_url = "http://gpu-box:8000/v1"
    tokenize = "vllm"
    free = true

    [prices."openai/some-model"]
    input_usd = 2.50
    output_usd = 10

Keys never stand in it: an endpoint names the environment variable that holds its key.
"""

import datetime as dt
import difflib
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from probes.toml_files import parse_toml
from tokenizer.errors import UsageError
from tokenizer.places import config_directory

Kind = Literal["openai", "anthropic"]
Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, strict=True)]
Settings = TypeVar("Settings", bound=BaseModel)


class _Strict(BaseModel):
    """Unknown keys are refused, nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Prices(_Strict):
    """Dollars per million tokens; without the two for a cache, cached tokens are charged like any other."""

    input_usd: Dollars | None = None
    output_usd: Dollars | None = None
    cache_read_usd: Dollars | None = None
    cache_write_usd: Dollars | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> "Prices":
        if (self.input_usd is None) != (self.output_usd is None):
            raise ValueError("input_usd and output_usd belong together: give both")
        return self


class LongPrompt(Prices):
    """The prices of a prompt with more than `above_tokens`, all its tokens included."""

    above_tokens: Tokens


class ModelFacts(Prices):
    """What is known of one model: its window in tokens, its prices, when and where that was read."""

    window: Tokens | None = None
    long_prompt: LongPrompt | None = None
    date: dt.date | None = None
    source: str = ""


class EndpointSettings(_Strict):
    """One place to send requests to; what is left out is as in the preset of that name, or the default.

    `key_env`: the environment variable with the key; without one no key is needed. `identity`: a name that stands for
    the server's address in what is kept, so that another port is still the same server. `tokenize`: the server's way
    of counting tokens. `free`: calls cost nothing. `shares_prefixes`: prompts that begin alike cost less when they
    follow one another.
    """

    kind: Kind | None = None
    base_url: str | None = None
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")] | None = None
    identity: str | None = None
    window: Tokens | None = None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    tokenize: Literal["llamacpp", "vllm"] | None = None
    free: bool | None = None
    shares_prefixes: bool | None = None
    prices: Prices | None = None


class Config(_Strict):
    """The whole file; without a file, nothing."""

    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict)
    prices: dict[str, ModelFacts] = Field(default_factory=dict)


def config_path() -> Path:
    """Where the file belongs, whether it is there or not."""
    return config_directory() / "config.toml"


def read_config() -> Config:
    """The user's settings, checked.

    Raises:
        UsageError: the file is no TOML, or holds an unknown key (with the nearest known one) or a wrong value.
    """
    path = config_path()
    try:
        status = path.stat()
    except OSError:
        return Config()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, _mtime_ns: int, _size: int) -> Config:
    return read_toml(path, Config)


def read_toml(path: Path, kind: type[Settings]) -> Settings:
    """A TOML file as settings of this kind; UsageError as for `read_config`."""
    try:
        content = path.read_bytes()
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror or err}", hint="make it readable, or delete it") from err
    raw = parse_toml(content, path, hint="text stands in quotes: base_url = 'http://…'", parse_float=Decimal)
    try:
        return kind(**raw)
    except ValidationError as err:
        unknown_first = sorted(err.errors(), key=lambda error: error["type"] != "extra_forbidden")
        raise _wrong(path, kind, unknown_first[0]) from err


def _wrong(path: Path, kind: type[BaseModel], error: Any) -> UsageError:
    """The first thing that is wrong, in words; the value is not repeated, as it may be a key in the wrong place."""
    *above, last = (str(part) for part in error["loc"])
    place = ".".join(above) or "the file"
    if error["type"] == "extra_forbidden":
        known = sorted(_fields_at(kind, error["loc"][:-1]))
        nearest = difflib.get_close_matches(last, known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
        if "key" in last.lower():
            hint = 'keys stay out of files: key_env = "NAME" names the environment variable that holds it'
        return UsageError(f"{path}: {place} has an unknown key {last!r}", hint=hint)
    message = error["msg"].removeprefix("Value error, ")
    return UsageError(f"{path}: {'.'.join([*above, last])}: {message}", hint="see the README on config.toml")


def _fields_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> set[str]:
    """The keys known at a place of the file: [endpoints.NAME], [endpoints.NAME.prices], [prices.NAME] and so on."""
    match [str(part) for part in place]:
        case ["endpoints", _, *deeper]:
            kind = Prices if deeper else EndpointSettings
        case ["prices", _, *deeper]:
            kind = LongPrompt if deeper else ModelFacts
    return set(kind.model_fields)
