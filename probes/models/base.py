"""What a model is to the rest of the tool: a frozen request in, a frozen completion or an error out.

Every failure of a provider, a server or a native library becomes one of these:

    ModelError
      Transient                 connection, timeout, server trouble: worth another attempt
        RateLimited             too many requests: another attempt, and fewer at a time
      RequestRejected           this request will never be answered
        ContextTooLong          the prompt and its answer do not fit the window
      AccessDenied              no key, no right, no money: the run stops, finished trials stay
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tokenizer.errors import UserError

Role = Literal["system", "user", "assistant"]
StopReason = Literal["stop", "max_tokens", "refusal", "context_full", "other"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A last turn with the role `assistant` is the beginning of the model's own answer."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One exact question to a model.

    `continuation`: when set, nothing is generated; the completion carries the log-probability of exactly this text
    after the messages. `sample` tells repeats of one identical request apart. `temperature=None` means: do not send it.
    `logprobs`: the log-probability of each token of the answer is wanted too.

    `cache_prefix` changes no answer and is no part of the request's identity: how many characters at the beginning of
    the last message with the role `user` other requests share, for providers that must be told what to keep.
    """

    messages: tuple[Message, ...]
    max_tokens: int = 0
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    continuation: str | None = None
    sample: int = 0
    logprobs: bool = False
    cache_prefix: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the server gave them; None where it did not say.

    `prompt_tokens_evaluated`: how many prompt tokens were computed and not taken from a shared prefix.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_tokens_evaluated: int | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of an answer or a continuation, with the natural logarithm of its probability."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to one request.

    `latency_s` is this attempt alone, without waiting for a turn; `first_token_s` the part of it before the first
    token. `dropped`: the parameters of the request that the model does not take, and that were left out.
    """

    text: str
    stop_reason: StopReason
    usage: Usage = Usage()
    latency_s: float = 0.0
    first_token_s: float | None = None
    model: str | None = None
    request_id: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    dropped: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_cut(self) -> bool:
        """Whether the answer ended at a limit, its own or the window's, so that how it would go on is not known."""
        return self.stop_reason in ("max_tokens", "context_full")


@dataclass(frozen=True, slots=True)
class Traits:
    """What the runner must know of a model before it sends anything.

    `continuations`: it gives log-probabilities of given texts; `logprobs`: of its own answers. `max_concurrency`: calls
    it can take at a time, None for as many as asked for. `shares_prefixes`: adjacent requests with a common beginning
    cost less, so they are sent one after the other. `window`: tokens of prompt and answer. `free`: its calls cost
    nothing, as it runs on the user's own machine.
    """

    continuations: bool = False
    logprobs: bool = False
    free: bool = False
    max_concurrency: int | None = None
    shares_prefixes: bool = False
    window: int | None = None


class Model(Protocol):
    """A model under test. `identity` names everything about it that could change an answer, and nothing else."""

    name: str
    identity: Mapping[str, Any]
    traits: Traits

    async def complete(self, request: Request) -> Completion:
        """Answer one request, or raise a ModelError."""
        ...

    async def count_prompt_tokens(self, request: Request) -> int | None:
        """The prompt's length in the model's own tokens, or None where it cannot be known without paying."""
        ...

    async def aclose(self) -> None:
        """Give back what the model holds. Safe to call twice, and while a call is in flight."""
        ...


KEPT = "finished trials are kept"
AGAIN = f"run the same command again: {KEPT}"


class ModelError(UserError):
    """A call that failed. `kind` is the word kept in the run store."""

    kind = "model_error"

    def __init__(self, what: str, *, hint: str = AGAIN) -> None:
        super().__init__(what, hint=hint)


class Transient(ModelError):
    """Worth another attempt, after `retry_after` seconds if the server named them."""

    kind = "transient"

    def __init__(self, what: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(what, hint=hint or AGAIN)
        self.retry_after = retry_after


class RateLimited(Transient):
    """Too many requests."""

    kind = "rate_limited"


class RequestRejected(ModelError):
    """This request will never be answered; sending it again changes nothing."""

    kind = "rejected"


class ContextTooLong(RequestRejected):
    """The prompt and its answer do not fit the model's window."""

    kind = "context_too_long"


class AccessDenied(ModelError):
    """No key, no right, or no money."""

    kind = "access_denied"


def canonical_json(value: Any) -> str:
    """One spelling for one value: sorted keys, no spaces, text as it is. Every hash in the store rests on it.

    Example: canonical_json({"b": 1, "a": "é"}) -> '{"a":"é","b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
