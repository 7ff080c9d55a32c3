"""Local models: llama.cpp in a child process of our own, so that a crash or a long prefill never takes us with it.

The child (`local_worker.py`) starts at the first call and answers one line at a time. Killing it is always safe: the
next call starts another.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, Any, TypeVar

from probes.models.base import (
    Completion,
    ContextTooLong,
    ModelError,
    Request,
    RequestRejected,
    StopReason,
    TokenLogprob,
    Traits,
    Usage,
)
from probes.models.memory import ensure_fits, expected_bytes, read_header
from probes.models.options import DEFAULT_OPTIONS, Form, ModelOptions
from probes.models.weights import file_sha256
from tokenizer.errors import UsageError
from tokenizer.processors import usable_processors

WORKER = Path(__file__).with_name("local_worker.py")
RUNTIME = "xllamacpp"
INSTALL_HINT = "pip install 'needlepoint[local]'"
LOADING_ERRORS = ("error loading model: ", "failed to initialize the context: ")  # as the runtime puts them
STOP_REASONS: Mapping[str, StopReason] = {"eos": "stop", "word": "stop", "limit": "max_tokens"}
USUAL_WINDOW = 8192  # tokens; a cache for more than most experiments need would only take memory
# As plain text the turns are parted by blank lines, so a blank line ends the answer; a chat template has its own end.
ANSWER_ENDS: Mapping[Form, tuple[str, ...]] = {"chat": (), "completion": ("\n\n",)}
_LAST_WORDS_S = 5.0  # for which a child that could not load its model may still write why
# Threads that wait for work spin for some microseconds, then sleep: twice as fast as sleeping at once, and unlike the
# runtime's own default it does not bring a busy machine to a halt.
THREAD_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}

Reply = TypeVar("Reply")


def runtime_version() -> str:
    """The installed runtime's version; ModelError where there is none."""
    try:
        return metadata.version(RUNTIME)
    except metadata.PackageNotFoundError as err:
        raise ModelError(f"the package {RUNTIME} is not installed", hint=INSTALL_HINT) from err


class LocalModel:
    """A .gguf file as a model under test.

    A request without a temperature gets 0: the runtime's own default would be 0.8. The same calls in the same order
    give the same answers. Computed in another order, so that the prompt is split otherwise between cache and
    computation, or by another number of threads, a token's log-probability was seen to move by up to three tenths.

    `options.form`: as a chat in the model's own template, or as plain text (`completion`): the turns parted by blank
    lines, then "Answer:" and the beginning of the answer, if one is given. The default is the template, where the file
    has one. `options.window` changes what memory is needed and no answer, so it is no part of the identity; nor are
    `options.threads`.

    Raises:
        UsageError: a window longer than the model was trained for, or no threads.
        ModelError: the runtime is not installed, or the model needs more memory than there is.

    Example: LocalModel("local/own.gguf", Path("own.gguf"), ModelOptions(form="completion", window=2048))
    """

    def __init__(self, name: str, path: Path, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        header = read_header(path)
        window = _window(name, options.window, header.trained_window)
        threads = usable_processors() if options.threads is None else options.threads
        if threads < 1:
            raise UsageError(f"{threads} threads compute nothing", hint="give --threads 1 or more")
        self.name = name
        self.expected_bytes = expected_bytes(path, header, window)
        ensure_fits(path, self.expected_bytes, window)
        self._form: Form = options.form or ("completion" if header.has_chat_template is False else "chat")
        self._extra = options.extra
        self.identity = _identity(path, self._form, self._extra)
        self.traits = Traits(
            continuations=True, logprobs=True, free=True, max_concurrency=1, shares_prefixes=True, window=window
        )
        self._path = path
        self._settings = {"path": str(path.resolve()), "window": window, "threads": threads, "form": self._form}
        self._child: _Child | None = None
        self._turn = asyncio.Lock()

    async def complete(self, request: Request) -> Completion:
        """Answer one request, or give the log-probability of its continuation; ModelError when it cannot be done."""
        if request.continuation is not None:
            return await self._score(request, request.continuation)
        if request.max_tokens < 1:
            raise RequestRejected(
                "an answer of no tokens was asked for", hint="ask for one token or more: --max-tokens"
            )
        options: dict[str, Any] = {
            "n_predict": request.max_tokens,
            "temperature": request.temperature or 0.0,
            "stop": [*request.stop, *ANSWER_ENDS[self._form]],
            **self._extra,
            **request.extra,
        }
        if request.seed is not None:
            options["seed"] = request.seed
        question = {"do": "complete", "options": options, "logprobs": request.logprobs}
        reply, latency_s = await self._ask(question, request)
        return Completion(
            text=reply["text"],
            stop_reason=STOP_REASONS.get(reply["stop_type"], "other"),
            usage=_usage(reply, reply["output_tokens"]),
            latency_s=latency_s,
            first_token_s=reply["timings"]["prompt_ms"] / 1000,
            model=self.name,
            logprobs=_logprobs(reply.get("logprobs")),
            raw={"stop_type": reply["stop_type"], "timings": reply["timings"]},
        )

    async def _score(self, request: Request, continuation: str) -> Completion:
        if not continuation:
            raise RequestRejected("an empty text has no log-probability", hint="give a continuation of some characters")
        reply, latency_s = await self._ask({"do": "score", "continuation": continuation}, request)
        return Completion(
            text=continuation,
            stop_reason="stop",
            usage=_usage(reply, 0, scored=len(reply["tokens"])),
            latency_s=latency_s,
            model=self.name,
            logprobs=_logprobs(reply["tokens"]),
        )

    async def count_prompt_tokens(self, request: Request) -> int:
        """Exactly: the messages in the form in which the model gets them, with its special tokens."""
        reply, _ = await self._ask({"do": "count"}, request)
        return int(reply["prompt_tokens"])

    async def resident_bytes(self) -> int | None:
        """The most memory that the child has held so far; None where the system does not say."""
        reply, _ = await self._ask({"do": "memory"})
        return reply["resident_bytes"]  # type: ignore[no-any-return]  # JSON

    async def aclose(self) -> None:
        """End the child, whatever it is doing. The next call would start another."""
        child, self._child = self._child, None
        if child:
            child.kill()

    async def _ask(self, question: Mapping[str, Any], request: Request | None = None) -> tuple[dict[str, Any], float]:
        """The child's reply and the seconds it took; starts the child if there is none."""
        if request is not None:
            messages = [{"role": message.role, "content": message.content} for message in request.messages]
            question = {**question, "messages": messages}
        async with self._turn:
            try:
                child = self._child or await self._loaded()
            except _NotExplained:  # seldom, on a busy machine: then it may do the next time, or say why not
                child = await self._loaded()
            started = time.perf_counter()
            reply = await self._in_thread(lambda: child.ask(question))
        return reply, time.perf_counter() - started

    async def _loaded(self) -> "_Child":
        """A new child that has its model."""
        child = self._child = _Child(self._path, self._settings)
        await self._in_thread(child.wait_until_loaded)
        return child

    async def _in_thread(self, work: Callable[[], Reply]) -> Reply:
        """Wait for the child beside the event loop. A call cut short, or a child that died, leaves no child behind."""
        try:
            return await asyncio.to_thread(work)
        except (asyncio.CancelledError, _ChildDied):
            await self.aclose()
            raise


class _ChildDied(ModelError):
    """The child ended without a reply."""


class _NotExplained(_ChildDied):
    """The child could not load its model, and its log does not say why."""


class _Child:
    """One worker process. `ask` blocks and is called by one thread at a time; `kill` may be called at any moment."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._killed = False
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-P", str(WORKER), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**THREAD_WAITING, **os.environ},
            start_new_session=True,  # the terminal's Ctrl-C is for the parent alone
        )

    def wait_until_loaded(self) -> None:
        """Return when the model can be asked."""
        self._read()

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One line in, one line out; the worker's refusals as our errors."""
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):  # dead or killed meanwhile: reading will say so
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        return self._read()

    def kill(self) -> None:
        """End the process now and let go of its pipes."""
        self._killed = True
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # an unsent question
                stream.close()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            line = stdout.readline()
        except ValueError:  # closed by `kill`
            line = b""
        if not line.endswith(b"\n"):
            raise self._death()
        reply: dict[str, Any] = json.loads(line)
        if error := reply.get("error"):
            raise self._refusal(error)
        return reply

    def _death(self) -> ModelError:
        code = self._process.wait()
        if self._killed:
            return _ChildDied("the local model was closed while it was answering")
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return _ChildDied(
            f"the local model's process ended {how}",
            hint="run the command again (finished trials are kept); if it recurs, free memory or try a smaller model",
        )

    def _refusal(self, error: Mapping[str, Any]) -> ModelError:
        match error["kind"]:
            case "too_long":
                return ContextTooLong(
                    f"a prompt of {error['prompt']:,} tokens and {error['answer']:,} tokens after it"
                    f" do not fit the window of {error['window']:,}",
                    hint="use a shorter text or a model with a larger window",
                )
            case "rejected":
                return RequestRejected(error["what"], hint="this model cannot answer such a request: change it")
            case "not_loaded":
                with contextlib.suppress(subprocess.TimeoutExpired):  # a thread of the runtime's own writes its log
                    self._process.wait(_LAST_WORDS_S)
                reason = self._log_tail()
                hint = "get the file again, or try another .gguf"
                if "allocate" in reason:
                    hint = "free memory, or give a smaller --window"
                kind = _ChildDied if reason else _NotExplained
                return kind(f"cannot load {self._path}: {reason or error['what']}", hint=hint)
            case _:
                return ModelError(f"the local model failed: {error['what']}")

    def _log_tail(self) -> str:
        """The runtime's first own words about an error, without its line prefix."""
        with contextlib.suppress(ValueError):  # closed by `kill`
            self._log.seek(0)
            for line in self._log.read().decode(errors="replace").splitlines():
                for mark in LOADING_ERRORS:
                    _, found, rest = line.partition(mark)
                    if found:
                        return rest
        return ""


def _identity(path: Path, form: Form, extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """What could change an answer: the weights, the runtime, and what becomes of the messages before the model."""
    identity: dict[str, Any] = {
        "adapter": "local/1",
        "form": form,
        "runtime": f"{RUNTIME} {runtime_version()}",
        "weights": f"sha256:{file_sha256(path)}",
    }
    return {**identity, "extra": dict(extra)} if extra else identity


def _window(name: str, wanted: int | None, trained: int | None) -> int:
    """Tokens of prompt and answer: what is asked for, else the usual window, neither longer than the model's own."""
    if wanted is None:
        return min(USUAL_WINDOW, trained or USUAL_WINDOW)
    if wanted < 1:
        raise UsageError(f"a window of {wanted} tokens holds nothing", hint="give --window 512 or more")
    if trained is not None and wanted > trained:
        raise UsageError(
            f"{name} was trained for a window of {trained:,} tokens, and --window asks for {wanted:,}",
            hint=f"give --window {trained} or less",
        )
    return wanted


def _usage(reply: Mapping[str, Any], output_tokens: int, *, scored: int = 0) -> Usage:
    """Token counts; what need not be computed came from the cache.

    The tokens of a scored text are read like a prompt's, all but the last: nothing is asked about what follows it.
    """
    input_tokens = reply["prompt_tokens"] + max(0, scored - 1)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=max(0, input_tokens - reply["evaluated"]),
        prompt_tokens_evaluated=reply["evaluated"],
    )


def _logprobs(tokens: Iterable[tuple[str, float]] | None) -> tuple[TokenLogprob, ...] | None:
    return None if tokens is None else tuple(TokenLogprob(token, logprob) for token, logprob in tokens)
