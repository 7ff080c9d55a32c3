"""The child process that holds a local model: JSON lines in on stdin, JSON lines out on stdout.

It imports nothing of ours and is started by its path, so that nothing the user has lying about can shadow it:

    python local_worker.py '{"path": "model.gguf", "window": 8192, "threads": 2, "form": "chat"}'

The first line out is `{"ready": {...}}` or `{"error": {...}}`; after that every line in gets one line out. When stdin
ends, the parent has gone, and the process ends at once, also in the middle of native work.
"""

import contextlib
import json
import os
import queue
import sys
import threading
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, BinaryIO

NEIGHBOURS = 100  # likeliest tokens kept of every distribution; those of the other candidates are mostly among them
KEPT_DISTRIBUTIONS = 512
FORCING_BIAS = 10_000.0  # chooses a token whatever its probability; reported probabilities are those before the bias
CUE = "Answer:"  # before an answer in plain text

Reply = dict[str, Any]
Distribution = dict[int, tuple[float, bytes]]  # token id -> natural log of its probability, its bytes


class Refused(Exception):
    """The request cannot be answered; the keywords become the reply's `error`."""

    def __init__(self, **error: Any) -> None:
        super().__init__(error["kind"])
        self.error = error


class Engine:
    """llama.cpp's server in this process, and the few questions we ask of it."""

    def __init__(self, path: str, window: int, threads: int, form: str) -> None:
        import xllamacpp

        self._form = form
        parameters = xllamacpp.CommonParams()
        parameters.model.path = path
        parameters.n_ctx = window
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = 1
        parameters.cache_ram_mib = 0  # a second cache would answer behind the counters' back
        self._server = xllamacpp.Server(parameters)
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        about = self._call("/v1/models")["data"][0]["meta"]
        self.window = min(window, about["n_ctx_train"])
        self._vocabulary_size: int = about["n_vocab"]
        self._letter: int = self._call("/tokenize", {"content": "a", "add_special": False})["tokens"][-1]
        self._distributions: OrderedDict[tuple[int, ...], Distribution] = OrderedDict()
        # Candidates are scored after one and the same chat, one call each.
        self.render = lru_cache(maxsize=64)(self._render)
        self.tokens = lru_cache(maxsize=64)(self._tokens)

    def _call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._server.listening_address + path, data, headers)  # noqa: S310 - loopback
        with self._open(request) as response:
            return json.load(response)

    def _render(self, messages: str) -> str:
        """What the model reads; a last assistant turn stays open. `messages` is a JSON list."""
        turns = json.loads(messages)
        if self._form == "completion":
            return plain_text(turns)
        rendered: str = self._call("/apply-template", {"messages": turns})["prompt"]
        if turns[-1]["role"] == "assistant" and not rendered.endswith(turns[-1]["content"]):
            raise Refused(kind="rejected", what="the model's chat template cannot begin the answer with given words")
        return rendered

    def _tokens(self, text: str) -> tuple[int, ...]:
        """The ids of what the model reads; the special tokens of a chat template are read as such."""
        body = {"content": text, "add_special": True, "parse_special": self._form == "chat"}
        return tuple(self._call("/tokenize", body)["tokens"])

    def tokens_of_continuation(self, rendered: str, prompt: tuple[int, ...], text: str) -> tuple[int, ...]:
        """The ids that follow the prompt's when the text follows it; the text's own if the two would melt together."""
        whole = self.tokens(rendered + text)
        if whole[: len(prompt)] == prompt:
            return whole[len(prompt) :]
        body = {"content": text, "add_special": False, "parse_special": False}
        return tuple(self._call("/tokenize", body)["tokens"])

    def write(self, prompt: tuple[int, ...], options: dict[str, Any]) -> Reply:
        """A written answer with the ids of its tokens, in the server's own words, or `Refused`."""
        body = {"prompt": list(prompt), "cache_prompt": True, "return_tokens": True, **options}
        try:
            reply: Reply = self._call("/completion", body)
        except urllib.error.HTTPError as err:
            with err:
                raise Refused(kind="rejected", what=json.load(err)["error"]["message"]) from err
        return reply

    def _complete(self, prompt: tuple[int, ...], options: dict[str, Any]) -> Reply:
        """One completion of the server in the form of another one, or `Refused`."""
        body = {"prompt": list(prompt), "cache_prompt": True, **options}
        reply: Reply = self._server.handle_completions(body)
        if "error" in reply:
            raise Refused(kind="rejected", what=str(reply["error"].get("message", reply["error"])))
        return reply

    def score(self, prompt: tuple[int, ...], continuation: tuple[int, ...]) -> tuple[list[tuple[float, bytes]], int]:
        """The log-probability and the bytes of each token after those before it, and how many tokens that computed."""
        scored: list[tuple[float, bytes]] = []
        evaluated = 0
        for index, token in enumerate(continuation):
            before = (*prompt, *continuation[:index])
            distribution = self._distributions.get(before)
            if distribution is None or token not in distribution:
                distribution, computed = self._distribution(before, token)
                evaluated += computed
            self._distributions.move_to_end(before)
            scored.append(distribution[token])
        return scored, evaluated

    def _distribution(self, before: tuple[int, ...], token: int) -> tuple[Distribution, int]:
        """Compute what may follow: the likeliest tokens and the one asked for."""
        reply = self._next(before, token, NEIGHBOURS)
        evaluated = reply["timings"]["prompt_n"]
        if reply["choices"][0]["logprobs"] is None:
            # The runtime holds back a token that ends inside a character, and its probability with it. So another one
            # is forced, and the one asked for is looked up among all.
            reply = self._next(before, self._letter, self._vocabulary_size)
            evaluated += reply["timings"]["prompt_n"]
        entry = reply["choices"][0]["logprobs"]["content"][0]
        distribution = self._distributions.setdefault(before, {})
        for rank, seen in enumerate((entry, *entry["top_logprobs"])):
            if rank <= NEIGHBOURS or seen["id"] == token:
                distribution[seen["id"]] = (seen["logprob"], bytes(seen["bytes"]))
        if len(self._distributions) > KEPT_DISTRIBUTIONS:
            self._distributions.popitem(last=False)
        if token not in distribution:
            raise Refused(kind="failed", what="the local runtime did not follow the text to be scored")
        return distribution, evaluated

    def _next(self, before: tuple[int, ...], token: int, seen: int) -> Reply:
        """Have `token` come next, and see the probabilities of the `seen` likeliest."""
        options = {"n_predict": 1, "temperature": 0, "n_probs": seen, "logit_bias": [[token, FORCING_BIAS]]}
        return self._complete(before, options)


def answer(engine: Engine, question: dict[str, Any]) -> Reply:
    """The reply to one line; `do` is `memory`, `count`, `complete` or `score`."""
    if question["do"] == "memory":
        return {"resident_bytes": resident_bytes()}
    rendered = engine.render(json.dumps(question["messages"]))
    prompt = engine.tokens(rendered)
    if question["do"] == "count":
        return {"prompt_tokens": len(prompt)}
    if question["do"] == "complete":
        return answer_of(engine, prompt, question)
    text: str = question["continuation"]
    continuation = engine.tokens_of_continuation(rendered, prompt, text)
    check_fits(engine, len(prompt), len(continuation))
    scored, evaluated = engine.score(prompt, continuation)
    if b"".join(piece for _, piece in scored) != text.encode():
        raise Refused(kind="failed", what="the model's tokens cannot spell exactly the text to be scored")
    tokens = [[piece.decode(errors="replace"), logprob] for logprob, piece in scored]
    return {"prompt_tokens": len(prompt), "tokens": tokens, "evaluated": evaluated}


def answer_of(engine: Engine, prompt: tuple[int, ...], question: dict[str, Any]) -> Reply:
    """A written answer, with the log-probabilities of its tokens if they are wanted."""
    options: dict[str, Any] = question["options"]
    check_fits(engine, len(prompt), options["n_predict"])
    reply = engine.write(prompt, {"n_probs": 1, **options} if question["logprobs"] else options)
    answered = {
        "text": reply["content"],
        "stop_type": reply["stop_type"],
        "prompt_tokens": len(prompt),
        "output_tokens": reply["tokens_predicted"],
        "evaluated": reply["timings"]["prompt_n"],
        "timings": reply["timings"],
    }
    if question["logprobs"]:
        entries = reply["completion_probabilities"]
        scored = [(entry["logprob"], bytes(entry["bytes"])) for entry in entries]
        if len(entries) < len(reply["tokens"]):
            # The runtime held back tokens that end inside a character, and their probabilities with them.
            written = reply["tokens"][:-1] if reply["stop_type"] == "eos" else reply["tokens"]
            scored, evaluated = engine.score(prompt, tuple(written))
            answered["evaluated"] += evaluated
        answered["logprobs"] = as_far_as(reply["content"].encode(), scored)
    return answered


def as_far_as(text: bytes, scored: Sequence[tuple[float, bytes]]) -> list[list[Any]]:
    """Each token of the answer with its log-probability; what only ended it, or was cut off behind it, is left out."""
    tokens: list[list[Any]] = []
    spelled = 0
    for logprob, piece in scored:
        if spelled >= len(text):
            break
        spelled += len(piece)
        tokens.append([piece.decode(errors="replace"), logprob])
    return tokens


def plain_text(turns: Sequence[dict[str, str]]) -> str:
    """The turns parted by blank lines, and a cue before the answer or before the given beginning of it.

    Example: "It rained.\n\nHow was the day?\n\nAnswer: The day was"
    """
    texts = [turn["content"] for turn in turns]
    beginning = texts.pop() if turns[-1]["role"] == "assistant" else ""
    if not beginning.startswith(CUE):
        beginning = f"{CUE} {beginning}" if beginning else CUE
    return "\n\n".join([*texts, beginning])


def resident_bytes() -> int | None:
    """The most memory that this process has held so far."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def check_fits(engine: Engine, prompt_tokens: int, answer_tokens: int) -> None:
    """Refuse what the window cannot hold, before anything is computed."""
    if prompt_tokens + answer_tokens > engine.window:
        raise Refused(kind="too_long", prompt=prompt_tokens, answer=answer_tokens, window=engine.window)


def watched_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of the stream, read by a thread of their own that ends the process when there are no more."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def watch() -> None:
        for line in stream:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    while True:
        yield lines.get()


def own_stdout() -> BinaryIO:
    """Take stdout for the protocol; what native code prints there from now on goes to stderr."""
    protocol = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return protocol


def main(arguments: Sequence[str]) -> None:
    """Load the model, then answer until stdin ends."""
    protocol = own_stdout()

    def send(reply: Reply) -> None:
        protocol.write(json.dumps(reply).encode() + b"\n")
        protocol.flush()

    lines = watched_lines(sys.stdin.buffer)
    with contextlib.suppress(BrokenPipeError):
        try:
            engine = Engine(**json.loads(arguments[0]))
        except Exception as err:  # noqa: BLE001 - whatever native code throws, the parent must hear of it
            send({"error": {"kind": "not_loaded", "what": str(err)}})
            return
        send({"ready": {"window": engine.window}})
        for line in lines:
            try:
                send(answer(engine, json.loads(line)))
            except Refused as refused:
                send({"error": refused.error})
            except Exception as err:  # noqa: BLE001 - as above
                send({"error": {"kind": "failed", "what": f"{type(err).__name__}: {err}"}})


if __name__ == "__main__":
    main(sys.argv[1:])
