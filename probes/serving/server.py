"""A simulated reader behind HTTP, in OpenAI's and in Anthropic's protocol, for the real SDKs of both.

    with serving("sim/u-shape", failures={"rate-limit": 0.1}) as server:
        openai.OpenAI(base_url=server.url + "/v1", api_key="any")
        anthropic.Anthropic(base_url=server.url, api_key="any")

It listens on 127.0.0.1 only, asks for no key, and takes any name for the model. Tokens are those of
`probes.models.sim_tokens`: four characters each. The same question gets the same answer, as often as it is asked, but
with a temperature above 0 and no seed: then every repeat is drawn anew, as a model does, and the first as ever.
"""

import asyncio
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from probes.models.base import Completion, Request, RequestRejected, Transient
from probes.models.sim import SimulatedModel, simulated_model
from probes.models.sim_tokens import count_tokens, tokens_of
from probes.serving.failures import FailurePlan
from probes.serving.http import Call, Connection
from probes.serving.prompt_cache import PromptCache
from probes.serving.wire import Answer, Question, Rejection, Wire, broken, dumps, parse
from probes.serving.wire_anthropic import AnthropicWire
from probes.serving.wire_openai import OpenAIWire
from tokenizer.errors import UserError

HOST = "127.0.0.1"
_DECLINES = "I'm sorry, but I cannot help with that."
_OPENAI, _ANTHROPIC = OpenAIWire(), AnthropicWire()
_QUESTIONS: dict[str, Wire] = {"/v1/chat/completions": _OPENAI, "/v1/messages": _ANTHROPIC}
# Kinds of failure that have a status of their own.
_STATUSES = ("rate-limit", "rate-limit-bare", "quota", "denied", "overloaded", "server-error", "context-length")


class Server:
    """A running server. `calls` counts the questions that came in, `requests` holds their parsed bodies in order.

    `failed` counts by kind what was made to fail, `most_at_once` is the greatest number of questions that waited for
    their answers at one time. Failures are for questions only: counting tokens and listing models always works, except
    where no connection can be had.
    """

    def __init__(
        self,
        model: SimulatedModel,
        *,
        failures: FailurePlan,
        latency_s: float = 0.0,
        retry_after_s: float = 0.0,
        reasoning_tokens: int = 0,
        window: int | None = None,
        rejects: Iterable[str] = (),
        models: Sequence[str] = (),
        keep_requests: bool = True,
    ) -> None:
        self.url = ""
        self.calls = 0
        self.requests: list[dict[str, Any]] = []
        self.failed: Counter[str] = Counter()
        self.most_at_once = 0
        self.failures = failures
        self._model = model
        self._latency_s = latency_s + model.latency_s
        self._retry_after = f"{retry_after_s:g}"
        self._reasoning_tokens = reasoning_tokens
        self._window = window
        self._rejects = tuple(rejects)
        self._names = tuple(models)
        self._keep_requests = keep_requests
        self._asked: Counter[int] = Counter()  # questions with a temperature, by their hash
        self._caches: dict[Wire, PromptCache] = {_OPENAI: PromptCache(), _ANTHROPIC: PromptCache()}
        self._connections: set[Connection] = set()
        self._waiting: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop
        self._listener: asyncio.Server | None = None
        self._port = 0

    async def open(self, port: int = 0) -> None:
        """Begin to listen; 0 takes any free port.

        Raises:
            UserError: the port cannot be had.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._listener = await self._loop.create_server(self._connection, HOST, port, backlog=1024)
        except OSError as err:
            raise UserError(
                f"cannot listen on {HOST}:{port}: {err.strerror or err}",
                hint="take another --port, or none: then a free one is found",
            ) from err
        self._port = self._listener.sockets[0].getsockname()[1]
        self.url = f"http://{HOST}:{self._port}"

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._listener:
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.drop()
        await asyncio.sleep(0)  # the connections hear of their end

    @contextmanager
    def refuse(self) -> Iterator[None]:
        """Nobody listens while this is held: connections are refused, and those that were open are gone."""
        self._from_outside(self.close)
        try:
            yield
        finally:
            self._from_outside(lambda: self.open(self._port))

    def _from_outside(self, make: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)

    def _connection(self) -> Connection:
        return Connection(self._handle, opened=self._opened, finished=self._finished, closing=self.failures.refuses)

    def _opened(self, connection: Connection) -> bool:
        if self.failures.of_connection():
            self.failed["refused"] += 1
            return False
        self._connections.add(connection)
        return True

    def _finished(self, connection: Connection) -> None:
        self._waiting.discard(connection)
        if connection.closed:
            self._connections.discard(connection)

    def _handle(self, call: Call, connection: Connection) -> None:
        """Answer one call of any kind."""
        anthropic = call.path.startswith("/v1/messages") or "anthropic-version" in call.headers
        wire: Wire = _ANTHROPIC if anthropic else _OPENAI
        try:
            if call.path in _QUESTIONS:
                self._question(_body(call), call, connection, wire)
            else:
                connection.reply(200, dumps(self._look_up(call, wire)))
        except Rejection as err:
            self._reject(err, connection, wire)

    def _look_up(self, call: Call, wire: Wire) -> dict[str, Any]:
        """What can be asked beside questions: the models, and how long a text is."""
        names = self._names or ("sim",)
        if call.path == "/v1/models":
            return wire.models(names, self._window)
        if call.path.startswith("/v1/models/"):
            name = call.path.removeprefix("/v1/models/")
            self._check_model(name)
            return wire.model(name, self._window)
        if call.path == "/v1/messages/count_tokens":
            return {"input_tokens": _ANTHROPIC.read_for_counting(_body(call)).prompt_tokens}
        if call.path == "/tokenize":
            return self._tokenize(_body(call))
        raise Rejection(f"there is nothing at {call.path}", status=404, kind="not_found_error")

    def _tokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        """The tokens of a text, as vLLM (`prompt`, `messages`) and llama.cpp (`content`) tell them."""
        text = body.get("prompt", body.get("content"))
        if text is None:
            pieces = _OPENAI.read(body).pieces
            tokens = [token for piece in pieces for token in tokens_of(piece.text)]
        elif isinstance(text, str):
            tokens = tokens_of(text)
        else:
            raise Rejection("prompt: Input should be a valid string", parameter="prompt")
        ids = [zlib.crc32(token.encode("utf-8", "surrogatepass")) % 50_000 for token in tokens]
        return {"count": len(ids), "max_model_len": self._window or 1_000_000, "tokens": ids}

    def _question(self, body: dict[str, Any], call: Call, connection: Connection, wire: Wire) -> None:
        """Take one question, and answer it after the latency, or fail as it was planned."""
        self.calls += 1
        if self._keep_requests:
            self.requests.append(body)
        self._waiting.add(connection)
        self.most_at_once = max(self.most_at_once, len(self._waiting))
        number = self.calls
        failure = self.failures.of_question(call.body)
        if failure:
            self.failed[failure] += 1
        if failure == "silence":
            return
        question = wire.read(body)
        self._check_model(question.model)
        for name in self._rejects:
            if body.get(name) is not None:
                raise Rejection(f"`{name}` is not supported with this model.", kind=_unsupported(wire), parameter=name)

        def answer() -> None:
            try:
                self._answer(number, question, failure, connection, wire)
            except Rejection as err:
                self._reject(err, connection, wire, bare=failure == "rate-limit-bare")

        if self._latency_s:
            self._loop.call_later(self._latency_s, answer)
        else:
            answer()

    def _answer(self, number: int, question: Question, failure: str | None, connection: Connection, wire: Wire) -> None:
        """Send one answer, or what became of it."""
        if failure == "dropped":
            connection.drop()
            return
        if failure in _STATUSES:
            raise wire.failure(failure, question, self._window or question.prompt_tokens // 2)
        if self._window and question.prompt_tokens >= self._window:
            raise wire.failure("context-length", question, self._window)
        answer = self._made(number, question, failure, wire)
        usage = {"no-usage": None, "wrong-usage": dict(wire.wrong_usage)}.get(failure or "", wire.usage(answer))
        headers = _identifier(wire, number)
        cut = failure == "dropped-midway"
        if question.stream:
            connection.stream(_hurt_events(wire.events(answer, usage), failure), headers, cut=cut)
        else:
            connection.reply(200, _hurt_body(dumps(wire.plain(answer, usage)), failure), headers, cut=cut)

    def _made(self, number: int, question: Question, failure: str | None, wire: Wire) -> Answer:
        """The reader's answer, with what the server says beside it."""
        room = max(question.request.max_tokens - self._reasoning_tokens, 0)
        if failure == "refusal":
            completion = Completion(_DECLINES, "refusal")
        elif failure == "empty-answer":
            completion = Completion("", "stop")
        else:
            try:
                request = self._drawn(question.request)
                completion = self._model.attempt(replace(request, max_tokens=room))
            except RequestRejected as err:
                raise Rejection(str(err)) from err
            except Transient as err:
                raise Rejection(str(err), status=500, kind="server_error" if wire is _OPENAI else "api_error") from err
        return Answer(
            question,
            completion,
            number,
            cached=wire.cached(question.pieces, self._caches[wire]),
            output_tokens=count_tokens(completion.text),
            reasoning_tokens=min(self._reasoning_tokens, question.request.max_tokens),
            refused=failure == "refusal",
        )

    def _drawn(self, request: Request) -> Request:
        """The request as one of several samples, where it asks for chance: a repeat says nothing of which it is."""
        if not request.temperature or request.seed is not None:
            return request
        question = hash((request.messages, request.max_tokens, request.temperature, request.stop, request.logprobs))
        self._asked[question] += 1
        return replace(request, sample=self._asked[question] - 1)

    def _check_model(self, name: str) -> None:
        if self._names and name not in self._names:
            raise Rejection(f"The model {name!r} does not exist", status=404, kind="not_found_error", parameter="model")

    def _reject(self, rejection: Rejection, connection: Connection, wire: Wire, *, bare: bool = False) -> None:
        headers = _identifier(wire, self.calls)
        if rejection.status == 429 and not bare and "insufficient_quota" not in rejection.kind:
            headers["retry-after"] = self._retry_after
        connection.reply(rejection.status, dumps(wire.error(rejection)), headers)


def _body(call: Call) -> dict[str, Any]:
    if call.method != "POST":
        raise Rejection(f"{call.path} takes POST only", status=405)
    return parse(call.body)


def _unsupported(wire: Wire) -> str:
    return "invalid_request_error/unsupported_parameter" if wire is _OPENAI else "invalid_request_error"


def _identifier(wire: Wire, number: int) -> dict[str, str]:
    """The header by which a provider names a request."""
    return {"x-request-id" if wire is _OPENAI else "request-id": f"req_sim_{number}"}


def _hurt_events(events: list[bytes], failure: str | None) -> list[bytes]:
    """The events of a stream as the failure leaves them."""
    middle = len(events) // 2
    if failure in ("half-stream", "dropped-midway"):
        return events[:middle]
    if failure == "broken-json":
        return [*events[:middle], broken(events[middle]), *events[middle + 1 :]]
    return [] if failure == "empty-body" else events


def _hurt_body(body: bytes, failure: str | None) -> bytes:
    """A body as the failure leaves it."""
    if failure in ("half-stream", "broken-json"):
        return body[: len(body) // 2]
    return b"" if failure == "empty-body" else body


@contextmanager
def serving(
    model_name: str,
    *,
    failures: Mapping[str, float] | None = None,
    script: Iterable[str | None] = (),
    seed: int = 1,
    port: int = 0,
    latency_s: float = 0.0,
    retry_after_s: float = 0.0,
    reasoning_tokens: int = 0,
    window: int | None = None,
    rejects: Iterable[str] = (),
    models: Sequence[str] = (),
    keep_requests: bool = True,
) -> Iterator[Server]:
    """Serve a simulated reader from a thread of its own, and stop at the end.

    `failures`: rates by kind, see `probes.serving.failures.FAILURES`; `script`: the kinds of the first questions in
    the order of their arrival, None for an answer; `seed` draws. `retry_after_s` goes with a 429. `reasoning_tokens`
    are added to every answer and take their share of its limit. `window`: a longer prompt is an error. `rejects`:
    parameters that are refused with 400. `models`: the names that are answered, any where none is given.

    Example:
        with serving("sim/perfect", script=["rate-limit", None]) as server:
            ...  # the first question gets 429, the second and all others their answers

    Raises:
        UsageError: no such reader, no such failure, or a rate outside 0 to 1.
        UserError: the port cannot be had.
    """
    server = Server(
        simulated_model(model_name),
        failures=FailurePlan(failures or {}, script, seed),
        latency_s=latency_s,
        retry_after_s=retry_after_s,
        reasoning_tokens=reasoning_tokens,
        window=window,
        rejects=rejects,
        models=models,
        keep_requests=keep_requests,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="needlepoint-serving", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.open(port), loop).result()
        yield server
    finally:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
