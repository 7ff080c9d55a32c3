"""Models that speak OpenAI's Chat Completions protocol, through the SDK `openai`: OpenAI's own, and many servers.

What OpenAI calls `max_completion_tokens` is `max_tokens` elsewhere; a server that refuses the one gets the other.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from probes.models.base import Request, RequestRejected, TokenLogprob, Usage
from probes.models.hosted import Answer, HostedModel, StopReasons, count, readable, turns_of
from probes.models.provider_errors import error_in_body
from probes.models.token_counts import server_count

LIMITS = ("max_tokens", "max_completion_tokens")


class OpenAIModel(HostedModel):
    """A model at an endpoint of the kind `openai`."""

    sdk_name = "openai"
    adapter = "openai.chat/1"
    stop_reasons: ClassVar[StopReasons] = {"stop": "stop", "length": "max_tokens", "content_filter": "refusal"}
    gives_logprobs = True

    def _make_client(self, **options: Any) -> Any:
        from openai import AsyncOpenAI

        client = AsyncOpenAI(**options)
        if self.endpoint.identity != "api.openai.com":
            client.organization = client.project = None  # from the environment, and nobody else's business
        return client

    def _parameters(self, request: Request) -> dict[str, Any]:
        limit = self.endpoint.max_tokens_field
        wanted = {
            _other(limit) if limit in self._refused else limit: request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stop": list(request.stop) or None,
            "logprobs": request.logprobs or None,
            "stream_options": {"include_usage": True} if self._options.stream else None,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _do_without(self, name: str) -> bool:
        if name in LIMITS and _other(name) in self._refused:
            return False  # nothing would limit the answer then
        return super()._do_without(name)

    async def _ask(self, client: Any, request: Request, parameters: Mapping[str, Any]) -> Answer:
        if request.messages and request.messages[-1].role == "assistant":
            raise RequestRejected(f"{self.name} cannot go on with an answer begun for it", hint="use a local model")
        create, stream = client.chat.completions.with_raw_response.create, self._options.stream
        answer = Answer(started=time.perf_counter())
        reply = await create(
            model=self._model,
            messages=turns_of(request),
            stream=stream,
            extra_body={**parameters, **self._extra(request)},
        )
        answer.headers = reply.headers
        with readable(self.name):
            parsed = reply.parse()
            if not stream:
                self._take(answer, parsed, streamed=False)
                return answer
            async with parsed as chunks:
                async for chunk in chunks:
                    self._take(answer, chunk)
        return answer

    def _take(self, answer: Answer, reply: Any, *, streamed: bool = True) -> None:
        """Take a chunk of a stream, or a whole reply; the one with a finish reason is the last that matters."""
        if (reply.model_extra or {}).get("error"):
            raise error_in_body(reply.model_extra, self.name, self.endpoint.key())
        answer.model = getattr(reply, "model", None) or answer.model
        for name in ("id", "system_fingerprint", "service_tier"):
            if getattr(reply, name, None):
                answer.more[name] = getattr(reply, name)
        if getattr(reply, "usage", None):
            answer.usage = _usage(reply.usage)
        for choice in reply.choices[:1]:
            said = choice.delta if streamed else choice.message
            answer.add(said.content, streamed=streamed)
            if said.refusal:
                answer.refused = True
                answer.add(said.refusal, streamed=streamed)
            if choice.logprobs and choice.logprobs.content:
                tokens = [TokenLogprob(str(each.token), float(each.logprob)) for each in choice.logprobs.content]
                answer.logprobs = [*(answer.logprobs or []), *tokens]
            answer.finished = choice.finish_reason or answer.finished

    async def _count(self, client: Any, request: Request) -> int | None:
        assert self.endpoint.tokenize  # or nobody would ask
        return await server_count(
            client, self.endpoint.tokenize, self.endpoint.base_url, self._model, turns_of(request)
        )


def _other(limit: str) -> str:
    return LIMITS[1 - LIMITS.index(limit)]


def _usage(said: Any) -> Usage:
    """The counts of a reply. Some servers leave the reasoning out of the answer's tokens, but not out of the total."""
    prompt, answer, total = (count(said, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    reasoning = count(getattr(said, "completion_tokens_details", None), "reasoning_tokens")
    cached = getattr(said, "prompt_tokens_details", None)
    if prompt is not None and answer is not None and total is not None and total > prompt + answer:
        reasoning = total - prompt - answer if reasoning is None else reasoning
        answer = total - prompt
    return Usage(
        input_tokens=prompt,
        output_tokens=answer,
        cache_read_tokens=count(cached, "cached_tokens"),
        cache_write_tokens=count(cached, "cache_write_tokens"),
        reasoning_tokens=reasoning,
    )
