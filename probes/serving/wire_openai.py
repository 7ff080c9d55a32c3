"""OpenAI's chat completions, as its SDK and its many imitators speak them."""

import math
from collections.abc import Mapping
from typing import Any

from probes.models.base import Request, Role, TokenLogprob
from probes.models.sim_tokens import tokens_of
from probes.serving.prompt_cache import Cached, Piece, PromptCache
from probes.serving.wire import (
    NO_LIMIT,
    Answer,
    Body,
    Question,
    Rejection,
    Usage,
    dumps,
    messages_of,
    stop_sequences,
    temperature_of,
    whole_number,
)

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_FINISH = {"stop": "stop", "max_tokens": "length", "refusal": "stop"}
_CREATED = 1_700_000_000  # a fixed time, so that the same question gets the same bytes
# What else might have stood in a token's place, most likely first; they share what the token leaves.
_ALTERNATIVES = (
    "The",
    "It",
    "I",
    " the",
    " a",
    "Not",
    "No",
    " is",
    ".",
    " not",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "0",
)


class OpenAIWire:
    """Chat completions, plain and streamed."""

    wrong_usage: Mapping[str, Any] = {"prompt_tokens": -7, "completion_tokens": "many", "total_tokens": None}

    def read(self, body: Body) -> Question:
        """Read the body of a chat completion."""
        turns, pieces = messages_of(body.get("messages"), _ROLES)
        if body.get("n") not in (None, 1):
            raise Rejection("n: this server gives one answer", parameter="n")
        limit = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
        seed = body.get("seed")
        request = Request(
            tuple(turns),
            max_tokens=whole_number(body, limit, NO_LIMIT),
            temperature=temperature_of(body, 2),
            seed=seed if isinstance(seed, int) else None,
            stop=stop_sequences(body.get("stop"), "stop"),
            logprobs=body.get("logprobs") is True,
        )
        top = body.get("top_logprobs") or 0
        if not isinstance(top, int) or not 0 <= top <= len(_ALTERNATIVES) or (top and not request.logprobs):
            raise Rejection("top_logprobs: a number from 0 to 20, with logprobs", parameter="top_logprobs")
        options = body.get("stream_options")
        return Question(
            request,
            model=str(body.get("model") or "sim"),
            pieces=tuple(pieces),
            stream=body.get("stream") is True,
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
            top_logprobs=top,
        )

    def cached(self, pieces: tuple[Piece, ...], cache: PromptCache) -> Cached:
        """What an earlier prompt began with as well; nobody needs to ask for it."""
        return cache.share(pieces)

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The tokens of an answer."""
        prompt, completion = answer.question.prompt_tokens, answer.output_tokens + answer.reasoning_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": answer.cached.read},
            "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        }

    def plain(self, answer: Answer, usage: Usage) -> dict[str, Any]:
        """The object `chat.completion`."""
        text = answer.completion.text
        message = {"role": "assistant", "content": None if answer.refused else text}
        choice = {
            "index": 0,
            "message": message | {"refusal": text if answer.refused else None},
            "logprobs": _logprobs(answer.completion.logprobs, answer.question.top_logprobs),
            "finish_reason": _FINISH.get(answer.completion.stop_reason, "stop"),
        }
        return self._frame(answer, "chat.completion") | {"choices": [choice]} | ({"usage": usage} if usage else {})

    def events(self, answer: Answer, usage: Usage) -> list[bytes]:
        """The chunks: the role, the tokens, the reason for the end, the usage where it is asked for, `[DONE]`."""
        field = "refusal" if answer.refused else "content"
        logprobs = answer.completion.logprobs
        chunks: list[dict[str, Any]] = [_choice({"role": "assistant", "content": None if answer.refused else ""})]
        for number, token in enumerate(tokens_of(answer.completion.text)):
            of_token = logprobs[number : number + 1] if logprobs else None
            chunks.append(_choice({field: token}, logprobs=_logprobs(of_token, answer.question.top_logprobs)))
        chunks.append(_choice({}, finish_reason=_FINISH.get(answer.completion.stop_reason, "stop")))
        if answer.question.include_usage and usage:
            chunks = [chunk | {"usage": None} for chunk in chunks]
            chunks.append({"choices": [], "usage": usage})
        frame = self._frame(answer, "chat.completion.chunk")
        return [*(b"data: %b\n\n" % dumps(frame | chunk) for chunk in chunks), b"data: [DONE]\n\n"]

    def error(self, rejection: Rejection) -> dict[str, Any]:
        """An error's body."""
        kind, _, code = (rejection.kind or "invalid_request_error").partition("/")
        error = {"message": str(rejection), "type": kind, "param": rejection.parameter, "code": code or None}
        return {"error": error}

    def failure(self, kind: str, question: Question, window: int) -> Rejection:
        """The error for a kind of failure."""
        asked = question.prompt_tokens
        too_long = (
            f"This model's maximum context length is {window} tokens. However, your messages resulted in {asked} "
            "tokens. Please reduce the length of the messages."
        )
        limited = f"Rate limit reached for {question.model} on requests per min (RPM). Please try again shortly."
        no_money = "You exceeded your current quota, please check your plan and billing details."
        status, name, message = {
            "rate-limit": (429, "requests/rate_limit_exceeded", limited),
            "rate-limit-bare": (429, "requests/rate_limit_exceeded", limited),
            "quota": (429, "insufficient_quota/insufficient_quota", no_money),
            "denied": (401, "invalid_request_error/invalid_api_key", "Incorrect API key provided."),
            "overloaded": (503, "server_error", "The engine is currently overloaded, please try again later."),
            "server-error": (500, "server_error", "The server had an error while processing your request."),
            "context-length": (400, "invalid_request_error/context_length_exceeded", too_long),
        }[kind]
        return Rejection(message, status=status, kind=name, parameter="messages" if status == 400 else None)

    def models(self, names: tuple[str, ...], window: int | None) -> dict[str, Any]:
        """The list of models."""
        return {"object": "list", "data": [self.model(name, window) for name in names]}

    def model(self, name: str, window: int | None) -> dict[str, Any]:
        """One of them; `max_model_len` is an addition of vLLM's."""
        shown = {"id": name, "object": "model", "created": _CREATED, "owned_by": "needlepoint"}
        return shown | ({"max_model_len": window} if window else {})

    def _frame(self, answer: Answer, kind: str) -> dict[str, Any]:
        model = answer.question.model
        return {"id": f"chatcmpl-sim-{answer.number}", "object": kind, "created": _CREATED, "model": model}


def _choice(delta: dict[str, Any], *, logprobs: Any = None, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}]}


def _logprobs(tokens: tuple[TokenLogprob, ...] | None, top: int) -> dict[str, Any] | None:
    """The log-probabilities of some tokens, each with the `top` most likely of its place, itself among them."""
    if tokens is None:
        return None
    content = [_logprob(token.token, token.logprob) | {"top_logprobs": _top(token, top)} for token in tokens]
    return {"content": content, "refusal": None}


def _top(token: TokenLogprob, top: int) -> list[dict[str, Any]]:
    if not top:
        return []
    others = [text for text in _ALTERNATIVES if text != token.token][: top - 1]
    left = math.log(max(1 - math.exp(token.logprob), 1e-9) / len(_ALTERNATIVES))
    listed = [_logprob(token.token, token.logprob), *(_logprob(text, left) for text in others)]
    return sorted(listed, key=lambda each: -float(each["logprob"]))


def _logprob(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}
