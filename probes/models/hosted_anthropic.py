"""Models that speak Anthropic's Messages protocol, through the SDK `anthropic`.

It has no log-probabilities and no seed, and of the sampling parameters newer models take none.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from probes.models.base import Request, RequestRejected, Usage
from probes.models.hosted import Answer, HostedModel, StopReasons, count, readable, turns_of

CACHED = {"type": "ephemeral"}


class AnthropicModel(HostedModel):
    """A model at an endpoint of the kind `anthropic`."""

    sdk_name = "anthropic"
    adapter = "anthropic.messages/1"
    stop_reasons: ClassVar[StopReasons] = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "max_tokens",
        "refusal": "refusal",
        "model_context_window_exceeded": "context_full",
    }
    fields: ClassVar[Mapping[str, str]] = {"stop_sequences": "stop"}
    never_taken = ("seed", "logprobs")

    def _make_client(self, **options: Any) -> Any:
        from anthropic import AsyncAnthropic

        return AsyncAnthropic(**options)

    def _parameters(self, request: Request) -> dict[str, Any]:
        wanted = {"temperature": request.temperature, "stop_sequences": list(request.stop) or None}
        return {name: value for name, value in wanted.items() if value is not None}

    async def _ask(self, client: Any, request: Request, parameters: Mapping[str, Any]) -> Answer:
        create, stream = client.messages.with_raw_response.create, self._options.stream
        answer = Answer(started=time.perf_counter())
        reply = await create(
            **self._prompt(request),
            max_tokens=request.max_tokens,
            stream=stream,
            extra_body={**parameters, **self._extra(request)},
        )
        answer.headers = reply.headers
        with readable(self.name):
            message = await reply.parse()
            if stream:
                await self._follow(answer, message)
            else:
                for block in message.content:
                    answer.add(block.text if block.type == "text" else None, streamed=False)
                answer.model, answer.finished = message.model, message.stop_reason
                answer.usage = _usage(message.usage, Usage())
        return answer

    async def _follow(self, answer: Answer, stream: Any) -> None:
        """Read a stream; only its last event makes the answer a finished one."""
        stop_reason = None
        async with stream as events:
            async for event in events:
                match event.type:
                    case "message_start":
                        answer.model, answer.usage = event.message.model, _usage(event.message.usage, Usage())
                    case "content_block_start" if event.content_block.type == "text":
                        answer.add(event.content_block.text)
                    case "content_block_delta" if event.delta.type == "text_delta":
                        answer.add(event.delta.text)
                    case "message_delta":
                        answer.usage = _usage(event.usage, answer.usage)
                        stop_reason = event.delta.stop_reason or stop_reason
                    case "message_stop":
                        answer.finished = stop_reason

    async def _count(self, client: Any, request: Request) -> int | None:
        counted = await client.messages.count_tokens(**self._prompt(request))
        return int(counted.input_tokens)

    def _prompt(self, request: Request) -> dict[str, Any]:
        """Model, messages and system text; with `cache_prompts`, what other requests share is marked to be kept."""
        system = [message.content for message in request.messages if message.role == "system"]
        turns = turns_of(request)[len(system) :]
        if any(turn["role"] == "system" for turn in turns):
            raise RequestRejected(f"{self.name} takes system text at the beginning only", hint="put it in front")
        last_user = next((turn for turn in reversed(turns) if turn["role"] == "user"), None)
        if self._options.cache_prompts and request.cache_prefix > 0 and last_user:
            text = last_user["content"]
            cut = text.rfind("\n\n", 0, request.cache_prefix) + 2  # where tokens part anyway
            cut = cut if 2 * cut > request.cache_prefix else request.cache_prefix
            shared, rest = text[:cut], text[cut:]
            if not rest.strip():  # a block of white space alone is refused
                shared, rest = text, ""
            last_user["content"] = [{"type": "text", "text": shared, "cache_control": CACHED}]
            last_user["content"] += [{"type": "text", "text": rest}] if rest else []
        return {"model": self._model, "messages": turns, **({"system": "\n\n".join(system)} if system else {})}


def _usage(said: Any, before: Usage) -> Usage:
    """The counts of an event, each the newest that was said; their `input_tokens` lack cached ones, ours do not."""

    def newest(name: str, old: int | None, place: Any = said) -> int | None:
        value = count(place, name)
        return old if value is None else value

    read = newest("cache_read_input_tokens", before.cache_read_tokens)
    written = newest("cache_creation_input_tokens", before.cache_write_tokens)
    fresh = count(said, "input_tokens")
    details = getattr(said, "output_tokens_details", None)
    return Usage(
        input_tokens=before.input_tokens if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=newest("output_tokens", before.output_tokens),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=newest("thinking_tokens", before.reasoning_tokens, details),
    )
