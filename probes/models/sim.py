"""Simulated readers: models with a documented bias, for tests and for trying a pipeline without a model.

    sim/perfect                           finds every statement
    sim/u-shape?edge=0.95&middle=0.5      finds with the rate `edge` in the first and last tenth, `middle` between
    sim/recency?near=0.95&far=0.4         finds with the rate `near` in the last tenth, `far` before it
    sim/primacy?near=0.95&far=0.4         the same for the first tenth
    sim/guesser                           always gives the last value in the text, whatever is asked
    sim/refuser                           declines to answer
    sim/flaky?fail=0.3                    as perfect, but that share of the calls fails, each time anew

Every reader also takes `latency_ms` and `seed`. A reader gets the request and nothing else: it finds the statement
that fits the question in the prompt, measures where it stands in the text, and answers from the text. What it misses
is drawn from the request itself, so the same request always gets the same answer.
"""

import asyncio
import difflib
import hashlib
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from probes.models.base import (
    Completion,
    Request,
    TokenLogprob,
    Traits,
    Transient,
    Usage,
    canonical_json,
)
from tokenizer.errors import UsageError

EDGE = 0.1  # the outer tenth of a text, at either end
_STATEMENT = re.compile(r"\bThe ([^.?!\n]{1,80}?) is (\d+)(?=\.)")
_QUESTION = re.compile(r"\bWhat is the ([^?\n]{1,80})\?")
# Every reader by its kind, with the parameters of its bias and what they are unless said otherwise.
READERS: dict[str, dict[str, float]] = {
    "perfect": {},
    "u-shape": {"edge": 0.95, "middle": 0.5},
    "recency": {"near": 0.95, "far": 0.4},
    "primacy": {"near": 0.95, "far": 0.4},
    "guesser": {},
    "refuser": {},
    "flaky": {"fail": 0.3},
}
_ABSENT = "It is not in the text."


@dataclass(frozen=True, slots=True)
class _Found:
    """A statement in the prompt: its subject, its value, and its place in the text (0 first, 1 last)."""

    subject: str
    value: str
    depth: float


class SimulatedModel:
    """A simulated reader; see the module for the kinds and their parameters."""

    traits = Traits(continuations=True)

    def __init__(self, name: str, kind: str, parameters: Mapping[str, float]) -> None:
        self.name = name
        self._kind = kind
        self._parameters = dict(parameters)
        self._latency_s = self._parameters.pop("latency_ms", 0.0) / 1000  # how long it takes changes no answer
        self.identity: Mapping[str, Any] = {"adapter": "sim/1", "model": kind, **self._parameters}

    async def complete(self, request: Request) -> Completion:
        """Answer after the simulated latency; `sim/flaky` raises Transient for its share of the calls."""
        await asyncio.sleep(self._latency_s)
        if self._kind == "flaky":
            self._fail_sometimes()
        return self.answer(request)

    async def count_prompt_tokens(self, request: Request) -> int | None:  # noqa: ARG002 - as Model says
        """Unknown: a simulated reader has no tokens."""
        return None

    async def aclose(self) -> None:
        """Nothing to give back."""

    def answer(self, request: Request) -> Completion:
        """The answer, at once and without failures."""
        prompt = "\n\n".join(message.content for message in request.messages if message.role != "assistant")
        statements = _statements(prompt)
        if request.continuation is not None:
            return self._continue(request, statements, request.continuation)
        if self._kind == "refuser":
            return _completion(request, prompt, "I'm sorry, but I cannot help with that.")
        if self._kind == "guesser":
            return _completion(request, prompt, f"{statements[-1].value}." if statements else _ABSENT)
        question = _QUESTION.search(prompt)
        if question is None:
            return _completion(request, prompt, self._list(request, statements))
        wanted = [found for found in statements if found.subject == question[1]]
        seen = [found for found in wanted if self._draw(request, found.subject) < self._rate(found.depth)]
        return _completion(request, prompt, f"{seen[0].value}." if seen else _ABSENT)

    def _list(self, request: Request, statements: list[_Found]) -> str:
        """The summary of a reader: every statement it noticed, in the order of the text."""
        noticed = [found for found in statements if self._draw(request, found.subject) < self._rate(found.depth)]
        return " ".join(f"The {found.subject} is {found.value}." for found in noticed) or "Nothing stands out."

    def _continue(self, request: Request, statements: list[_Found], continuation: str) -> Completion:
        """The log-probability of a value: most for the one that fits the beginning, as far as it is noticed."""
        stem = request.messages[-1].content
        right = [found for found in statements if stem.endswith(f"The {found.subject} is")]
        available = 0.98 * max((self._rate(found.depth) for found in right), default=0.0)
        values = {found.value for found in statements} or {""}
        share = (1 - available) / len(values)
        fits = any(continuation.strip() == found.value for found in right)
        logprob = math.log(share + (available if fits else 0.0))
        return Completion(continuation, "stop", logprobs=(TokenLogprob(continuation, logprob),), model=self.name)

    def _rate(self, depth: float) -> float:
        """How often a statement at this depth is noticed."""
        parameters = self._parameters
        rates: dict[str, Callable[[], float]] = {
            "u-shape": lambda: parameters["edge"] if not EDGE <= depth <= 1 - EDGE else parameters["middle"],
            "recency": lambda: parameters["near"] if depth > 1 - EDGE else parameters["far"],
            "primacy": lambda: parameters["near"] if depth < EDGE else parameters["far"],
        }
        return rates.get(self._kind, lambda: 1.0)()

    def _draw(self, request: Request, about: str) -> float:
        """A number in [0, 1) that depends on the request, what is asked about and the reader's seed."""
        key = canonical_json([asdict(request), about, self._kind, self._parameters.get("seed", 0)])
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7]) / 2**56

    def _fail_sometimes(self) -> None:
        if random.random() < self._parameters["fail"]:  # not seeded: another attempt must be able to succeed
            raise Transient("the simulated reader failed this call, as it was told to")


def simulated_model(name: str) -> SimulatedModel:
    """Make a simulated reader from its full name, e.g. `sim/u-shape?edge=0.9&seed=7`.

    Raises:
        UsageError: an unknown reader, an unknown parameter, or a value that is no number.
    """
    kind, _, query = name.removeprefix("sim/").partition("?")
    if kind not in READERS:
        nearest = difflib.get_close_matches(kind, READERS, n=1)
        suggestion = f"did you mean sim/{nearest[0]}? " if nearest else ""
        raise UsageError(
            f"there is no simulated reader {kind!r}", hint=f"{suggestion}the readers are {', '.join(READERS)}"
        )
    parameters = dict(READERS[kind])
    known = [*parameters, "latency_ms", "seed"]
    for key, text in parse_qsl(query, keep_blank_values=True):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if key not in known or not 0 <= value < math.inf or (key in READERS[kind] and value > 1):
            raise UsageError(
                f"sim/{kind} cannot take {key}={text}",
                hint=f"it takes {', '.join(known)}; rates lie between 0 and 1",
            )
        parameters[key] = value
    return SimulatedModel(name, kind, parameters)


def _statements(prompt: str) -> list[_Found]:
    """Every statement of the prompt in order, with its depth in the part that is text and not question."""
    question = _QUESTION.search(prompt)
    text = prompt[: question.start()] if question and question.start() > len(prompt) / 2 else prompt
    length = max(len(text.rstrip()), 1)
    return [
        _Found(found[1], found[2], (found.start() + found.end()) / 2 / length) for found in _STATEMENT.finditer(prompt)
    ]


def _completion(request: Request, prompt: str, text: str) -> Completion:
    """An answer cut at the token limit, a simulated token being four characters."""
    limit = 4 * request.max_tokens
    usage = Usage(input_tokens=len(prompt) // 4, output_tokens=min(len(text), limit) // 4)
    return Completion(text[:limit], "max_tokens" if len(text) > limit else "stop", usage=usage, model="sim")
