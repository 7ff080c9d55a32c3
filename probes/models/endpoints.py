"""Where hosted models are asked: the presets that are shipped, and the user's own endpoints from config.toml."""

import ipaddress
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from probes.config import Config, EndpointSettings, Kind, config_path, read_config, read_toml
from probes.models.base import AccessDenied
from tokenizer.errors import UsageError

PRESETS = Path(__file__).parents[1] / "data" / "endpoints.toml"
NO_KEY = "no-key-needed"  # what a server without keys is sent, as the SDKs insist on one
TAKEN = ("local", "sim")


@dataclass(frozen=True)
class Endpoint:
    """One place to send requests to, complete; the fields are those of `EndpointSettings`.

    `identity` stands for the server in what is kept. `key_optional`: the key is sent if it is there.
    """

    name: str
    kind: Kind
    base_url: str
    identity: str
    key_env: str | None = None
    key_optional: bool = False
    window: int | None = None
    max_tokens_field: str = "max_tokens"
    tokenize: str | None = None
    free: bool = False
    shares_prefixes: bool = False

    def key_is_set(self) -> bool:
        """Whether the environment holds something for the key, right or wrong."""
        return bool(self.key_env and os.environ.get(self.key_env, "").strip())

    def key(self) -> str:
        """The key from the environment, or what stands for none; AccessDenied where it is missing or cannot be one."""
        if not self.key_env:
            return NO_KEY
        if not self.key_is_set():
            if self.key_optional:
                return NO_KEY
            raise AccessDenied(
                f"{self.key_env} is not set, and {self.name} needs a key",
                hint=f"put your key into the environment variable {self.key_env}",
            )
        key = os.environ[self.key_env].strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise AccessDenied(
                f"what {self.key_env} holds cannot be a key: it has spaces, line ends or letters outside ASCII",
                hint=f"copy the key once more into {self.key_env}",
            )
        return key


def find_endpoint(name: str, base_url: str | None = None) -> Endpoint | None:
    """The endpoint of this name, at another address if one is given; None where there is none.

    A server on this machine under a declared name keeps that name at another port. Elsewhere the address becomes the
    identity, the price is unknown, and nothing is assumed to be OpenAI's own any more.

    Raises:
        UsageError: config.toml cannot be read or leaves something out, or the base URL is none.

    Example: find_endpoint("ollama").base_url -> "http://127.0.0.1:11434/v1"
    """
    preset, own = _presets().endpoints.get(name), _own_endpoints().get(name)
    if preset is None and own is None:
        return None
    if preset is None:
        assert own is not None
        found = _complete(name, own)
    else:
        found = _complete(name, preset)
        if own is not None:
            found = _moved(found, own.base_url) if own.base_url else found
            found = replace(found, **{key: value for key, value in _given(own).items() if key != "base_url"})
    return _moved(found, base_url) if base_url is not None else found


def endpoint_names() -> list[str]:
    """The names of all endpoints, shipped ones first."""
    return list(dict.fromkeys([*_presets().endpoints, *_own_endpoints()]))


def _complete(name: str, settings: EndpointSettings) -> Endpoint:
    given = _given(settings)
    for needed, example in (("kind", '"openai"'), ("base_url", '"http://127.0.0.1:8000/v1"')):
        if needed not in given:
            raise UsageError(
                f"{config_path()}: endpoints.{name} has no {needed}", hint=f"add a line like {needed} = {example}"
            )
    given["base_url"] = _checked_url(given["base_url"])
    given.setdefault("identity", _address(given["base_url"]))
    return Endpoint(name=name, **given)


def _given(settings: EndpointSettings) -> dict[str, Any]:
    """The fields of an endpoint that are set; prices are looked up by model."""
    return settings.model_dump(exclude={"prices"}, exclude_unset=True)


def _moved(declared: Endpoint, base_url: str) -> Endpoint:
    """The endpoint at another address."""
    base_url = _checked_url(base_url)
    if base_url == declared.base_url:
        return declared
    here, was_here = _on_this_machine(base_url), _on_this_machine(declared.base_url)
    return replace(
        declared,
        base_url=base_url,
        identity=declared.identity if here and was_here else _address(base_url),
        key_optional=here,
        free=declared.free and here,
        max_tokens_field="max_tokens",
    )


def _own_endpoints() -> dict[str, EndpointSettings]:
    """The user's own, from config.toml."""
    own = read_config().endpoints
    for name in own:
        if name in TAKEN or not name or "/" in name:
            raise UsageError(f"{config_path()}: an endpoint cannot be named {name!r}", hint="choose another name")
    return own


@cache
def _presets() -> Config:
    return read_toml(PRESETS, Config)


def _checked_url(base_url: str) -> str:
    """The base URL without a slash at its end; UsageError, which does not repeat it, if it may hold a secret."""
    parts = _split(base_url)
    if parts.username or parts.password or parts.query or parts.fragment or "@" in parts.path:
        raise UsageError(
            "a base URL may hold no user name, password or query: it is kept with the run",
            hint='keys come from the environment: key_env = "NAME" under [endpoints.NAME] in config.toml',
        )
    return base_url.strip().rstrip("/")


def _split(base_url: str) -> SplitResult:
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError("a base URL is http:// or https:// and a host", hint="e.g. http://127.0.0.1:8000/v1")
    return parts


def _address(base_url: str) -> str:
    """Host, port and path, where they are not the usual ones: "api.example.com", "127.0.0.1:8000", "host/team"."""
    parts = _split(base_url)
    port = f":{parts.port}" if parts.port else ""
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{(parts.hostname or '').lower()}{port}{path}"


def _on_this_machine(base_url: str) -> bool:
    host = _split(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
