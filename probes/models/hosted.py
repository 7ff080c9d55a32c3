"""What all models behind HTTP have in common; `hosted_anthropic.py` and `hosted_openai.py` speak the two protocols.

A call goes through the provider's own SDK, without its retries: the runner decides what is worth another attempt. The
SDK is imported with the first call, so that naming a model costs nothing.
"""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from probes.models.base import (
    Completion,
    ContextTooLong,
    ModelError,
    Request,
    RequestRejected,
    StopReason,
    TokenLogprob,
    Traits,
    Transient,
    Usage,
)
from probes.models.endpoints import Endpoint
from probes.models.facts import facts_of
from probes.models.options import ModelOptions
from probes.models.provider_errors import model_error, rejected_parameter

CONNECT_S = 15.0  # a server that is there takes the connection at once
SILENCE_S = 600.0  # reading a long prompt can take minutes before the first token; the runner's own limit is shorter
GIVEN_UP = (None, "error", "abort")  # the stream ended early; OpenRouter's and vLLM's words where they failed midway
StopReasons = Mapping[str, StopReason]
MOST_TOKENS = 10**9  # what a server says beyond this is no count
KEPT_HEADERS = ("request-id", "x-request-id", "retry-after")  # and every *ratelimit*; nothing else is kept


@dataclass
class Answer:
    """One answer as it comes in, piece by piece or at once."""

    started: float
    text: list[str] = field(default_factory=list)
    finished: str | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    logprobs: list[TokenLogprob] | None = None
    refused: bool = False
    first_token_s: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def add(self, piece: str | None, *, streamed: bool = True) -> None:
        """Take the next piece of the text."""
        if piece:
            if streamed and self.first_token_s is None:
                self.first_token_s = time.perf_counter() - self.started
            self.text.append(piece)


def turns_of(request: Request) -> list[dict[str, Any]]:
    """The messages as both protocols write them."""
    return [{"role": message.role, "content": message.content} for message in request.messages]


def count(said: Any, name: str) -> int | None:
    """A number of tokens as the server said it, or None where it said none, or nothing that can be one."""
    value = getattr(said, name, None)
    return value if isinstance(value, int) and 0 <= value <= MOST_TOKENS else None


@contextmanager
def readable(who: str) -> Iterator[None]:
    """Turn what goes wrong while a reply is taken apart into Transient: it has another form than the protocol says."""
    try:
        yield
    except (AttributeError, TypeError, LookupError, ValueError, RecursionError):
        raise Transient(f"{who}: its answer could not be read") from None


class HostedModel(ABC):
    """A model behind an endpoint; a subclass speaks its protocol.

    A parameter that the model refuses by name is left out from then on, and every completion names it in `dropped`.
    """

    sdk_name: ClassVar[str]
    adapter: ClassVar[str]
    stop_reasons: ClassVar[StopReasons]
    gives_logprobs: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, str]] = {}  # what a parameter on the wire is called in a Request, where that differs
    never_taken: ClassVar[tuple[str, ...]] = ()  # parameters of a Request that the protocol has no word for

    def __init__(self, endpoint: Endpoint, model: str, options: ModelOptions) -> None:
        self.name = f"{endpoint.name}/{model}"
        self.endpoint = endpoint
        self.identity: Mapping[str, Any] = {"adapter": self.adapter, "endpoint": endpoint.identity, "model": model}
        if options.extra:
            self.identity = {**self.identity, "extra": dict(options.extra)}
        self.traits = Traits(
            logprobs=self.gives_logprobs,
            free=endpoint.free,
            shares_prefixes=options.cache_prompts or endpoint.shares_prefixes,
            window=options.window or endpoint.window or facts_of(self.name, endpoint.identity).window,
        )
        self.client_options: dict[str, Any] = {}  # more for the SDK's client, e.g. a transport of one's own
        self._model = model
        self._options = options
        self._client: Any = None
        self._refused: set[str] = set()
        self._counts = endpoint.kind == "anthropic" or endpoint.tokenize is not None

    def check_access(self) -> None:
        """Nothing if the key is there, or none is needed; AccessDenied if not. Nobody is asked."""
        self.endpoint.key()

    async def complete(self, request: Request) -> Completion:
        """Answer one request over HTTP.

        Raises:
            ModelError: of the kind that says what follows from it; AccessDenied before anything is sent without a key.
        """
        if request.continuation is not None:
            raise RequestRejected(
                f"{self.name} gives no log-probabilities of a given text",
                hint="use a local model, local/NAME, for trials that need them",
            )
        if request.max_tokens < 1:
            raise RequestRejected(
                "an answer of no tokens was asked for", hint="ask for one token or more: --max-tokens"
            )
        client = self._connected()
        while True:
            wanted = self._parameters(request)
            parameters = {name: value for name, value in wanted.items() if name not in self._refused}
            try:
                answer = await self._ask(client, request, parameters)
            except Exception as err:
                name = rejected_parameter(err, parameters)
                if name is not None and self._do_without(name):
                    continue
                if (ours := self._ours(err)) is None:
                    raise
                raise ours from None  # what the SDK raised can quote the key
            return self._completion(request, answer, set(wanted) - set(parameters))

    async def count_prompt_tokens(self, request: Request) -> int | None:
        """The prompt in the model's own tokens where the endpoint counts them without being paid, else None."""
        if not self._counts:
            return None
        try:
            with readable(self.name):
                return await self._count(self._connected(), request)
        except Exception as err:
            if (ours := self._ours(err)) is None:
                raise
            if isinstance(ours, ContextTooLong) or not isinstance(ours, RequestRejected):
                raise ours from None
        self._counts = False  # this server cannot
        return None

    async def aclose(self) -> None:
        """Close the connections. The next call would open others."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @abstractmethod
    async def _ask(self, client: Any, request: Request, parameters: Mapping[str, Any]) -> Answer:
        """Send one request and read the whole answer."""

    @abstractmethod
    async def _count(self, client: Any, request: Request) -> int | None:
        """Count the prompt's tokens."""

    @abstractmethod
    def _parameters(self, request: Request) -> dict[str, Any]:
        """What is sent only when asked for, and what a model may refuse to take."""

    @abstractmethod
    def _make_client(self, **options: Any) -> Any:
        """The SDK's asynchronous client with these options."""

    def _do_without(self, name: str) -> bool:
        """Leave the parameter out from now on; False if that cannot be."""
        self._refused.add(name)
        return True

    def _connected(self) -> Any:
        key = self.endpoint.key()
        if self._client is None:
            import httpx2

            timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
            more = dict(self.client_options)
            if "http_client" not in more:
                # A prompt goes where its sender said, and nowhere else; the limits are the SDKs' own.
                limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
                more["http_client"] = httpx2.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False)
            self._client = self._make_client(
                api_key=key, base_url=self.endpoint.base_url, max_retries=0, timeout=timeout, **more
            )
        return self._client

    def _extra(self, request: Request) -> dict[str, Any]:
        return {**self._options.extra, **request.extra}

    def _ours(self, err: Exception) -> ModelError | None:
        """The exception in our own tree, or None where it is nobody's to expect."""
        if isinstance(err, ModelError):
            return err
        return model_error(err, importlib.import_module(self.sdk_name), self.name, self.endpoint.key())

    def _completion(self, request: Request, answer: Answer, dropped: set[str]) -> Completion:
        if answer.finished in GIVEN_UP:
            raise Transient(f"{self.name}: the answer broke off before its end")
        dropped = {self.fields.get(name, name) for name in dropped}
        dropped |= {name for name in self.never_taken if getattr(request, name) not in (None, False)}
        assert answer.finished
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() in KEPT_HEADERS or "ratelimit" in name.lower()
        }
        with readable(self.name):
            text = "".join(answer.text)
        return Completion(
            text=text,
            stop_reason="refusal" if answer.refused else self.stop_reasons.get(answer.finished, "other"),
            usage=answer.usage,
            latency_s=time.perf_counter() - answer.started,
            first_token_s=answer.first_token_s,
            model=answer.model,
            request_id=headers.get("request-id") or headers.get("x-request-id"),
            logprobs=None if answer.logprobs is None else tuple(answer.logprobs),
            dropped=tuple(sorted(dropped)),
            raw={"finished": answer.finished, "headers": headers, **answer.more},
        )


def hosted_model(endpoint: Endpoint, model: str, options: ModelOptions) -> HostedModel:
    """The model at an endpoint, in the endpoint's protocol; nothing is sent and no SDK is imported.

    Example: hosted_model(find_endpoint("openai"), "gpt-4o-mini", ModelOptions()).name -> "openai/gpt-4o-mini"
    """
    if endpoint.kind == "anthropic":
        from probes.models.hosted_anthropic import AnthropicModel

        return AnthropicModel(endpoint, model, options)
    from probes.models.hosted_openai import OpenAIModel

    return OpenAIModel(endpoint, model, options)
