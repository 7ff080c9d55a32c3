"""When are two requests the same request? When one answer may stand for both: then they have the same trial id.

In: everything that can change the answer, which is the model's own identity, the messages as sent, every sampling
field that is sent, the continuation and the number of the sample. Out: retries, time limits, concurrency, keys, labels,
scorers. A changed needle, question or seed is therefore a new trial, and a changed port or `--jobs` is not.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from probes.models.base import Request, canonical_json

TRIAL_TAG = "t1:"  # a deliberate change of the canonical form takes a new tag, so that old answers are not mixed in


def sha256_text(text: str) -> str:
    """The SHA-256 of a text in hex. Lone surrogates, which JSON replies can hold, are allowed."""
    return sha256_bytes(text.encode("utf-8", "surrogatepass"))


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def prompt_text(request: Request) -> str:
    """The messages as sent in one spelling: roles and texts, in order, as canonical JSON."""
    return canonical_json([[message.role, message.content] for message in request.messages])


def prompt_hash(request: Request) -> str:
    """The hash of the messages as sent."""
    return sha256_text(prompt_text(request))


def request_identity(model_identity: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Everything that makes this request this request; fields that are not sent are absent.

    Example: a request with no temperature gives
        {"model": {...}, "prompt": "5f1c...", "max_tokens": 32, "sample": 0}
    """
    identity: dict[str, Any] = {
        "model": dict(model_identity),
        "prompt": prompt_hash(request),
        "max_tokens": request.max_tokens,
        "sample": request.sample,
    }
    if request.temperature is not None:
        identity["temperature"] = float(request.temperature)  # 0 and 0.0 ask for the same thing
    if request.seed is not None:
        identity["seed"] = request.seed
    if request.stop:
        identity["stop"] = list(request.stop)
    if request.extra:
        identity["extra"] = dict(request.extra)
    if request.logprobs:
        identity["logprobs"] = True
    if request.continuation is not None:
        identity["continuation"] = request.continuation
    return identity


def trial_id(model_identity: Mapping[str, Any], request: Request) -> str:
    """The trial's name everywhere: `t1:` and the SHA-256 of the canonical identity."""
    return identity_hash(canonical_json(request_identity(model_identity, request)))


def identity_hash(request_json: str) -> str:
    """The trial id of an identity that is already spelled out."""
    return TRIAL_TAG + sha256_text(request_json)


def request_without_prompt(request_json: str) -> Request:
    """The request that an identity describes, as far as it can be read back: the prompt itself is only a hash there."""
    identity = json.loads(request_json)
    return Request(
        messages=(),
        max_tokens=identity["max_tokens"],
        temperature=identity.get("temperature"),
        seed=identity.get("seed"),
        stop=tuple(identity.get("stop", ())),
        extra=identity.get("extra", {}),
        continuation=identity.get("continuation"),
        sample=identity["sample"],
        logprobs=identity.get("logprobs", False),
    )
