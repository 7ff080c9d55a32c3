"""Simulated readers: models with a documented bias, for tests and for trying a pipeline without a model.

`sim/u-shape?edge=0.95&middle=0.5&seed=7` is one; all of them with their parameters are in `sim_readers`.

A reader gets the request and nothing else: it finds the statement that fits the question in the prompt, measures where
it stands in the text, and answers from the text. What it misses is drawn from the request itself, so the same request
always gets the same answer. Only `sim/world-knowledge` answers anything that the prompt does not hold.
"""

import asyncio
import hashlib
import math
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from probes.models.base import (
    Completion,
    Message,
    Request,
    RequestRejected,
    TokenLogprob,
    Traits,
    Transient,
    Usage,
    canonical_json,
)
from probes.models.sim_bias import EDGE, Bias, uniform
from probes.models.sim_judge import verdict_on
from probes.models.sim_readers import READERS, is_later_default, read_name
from probes.models.sim_reading import INSTRUCTIONS, Asked, Found, Reading, names_reached, read, value_form
from probes.models.sim_tokens import TOKEN_CHARACTERS, count_prompt, count_tokens, tokens_of
from probes.models.sim_writing import NOTHING, read_demands, write

__all__ = ["EDGE", "KNOWN", "READERS", "SimulatedModel", "simulated_model"]

CERTAINTY = 0.98  # the probability of an answer, and of a value that is noticed
# What sim/world-knowledge knows of the world, by what is asked for.
KNOWN = {
    "capital of France": "Paris",
    "capital of Italy": "Rome",
    "capital of Spain": "Madrid",
    "capital of Japan": "Tokyo",
    "capital of Egypt": "Cairo",
    "capital of Peru": "Lima",
    "chemical symbol of gold": "Au",
    "chemical symbol of iron": "Fe",
    "largest planet of the solar system": "Jupiter",
    "highest mountain on Earth": "Mount Everest",
    "author of Hamlet": "William Shakespeare",
    "boiling point of water in degrees Celsius": "100",
}
_ABSENT = {"en": "It is not in the text.", "de": "Das steht nicht im Text."}
_DECLINES = "I'm sorry, but I cannot help with that."
_UNMOVED = "And so one page followed the other."  # what a reader says that was asked for nothing


class SimulatedModel:
    """A simulated reader; see `sim_readers` for the kinds and their parameters."""

    traits = Traits(continuations=True, logprobs=True, free=True)

    def __init__(self, name: str, kind: str, parameters: Mapping[str, float]) -> None:
        self.name = name
        self._kind = kind
        self._parameters = dict(parameters)
        self.latency_s = self._parameters.pop("latency_ms", 0.0) / 1000  # how long it takes changes no answer
        self._bias = Bias(kind, self._parameters)
        self._shared = lru_cache(maxsize=256)(self._shares)  # many values are offered after one prompt
        self.identity: Mapping[str, Any] = {"adapter": "sim/2", "model": kind} | {
            key: value for key, value in self._parameters.items() if not is_later_default(kind, key, value)
        }

    async def complete(self, request: Request) -> Completion:
        """Answer after the simulated latency; `sim/flaky` raises Transient for its share of the calls."""
        await asyncio.sleep(self.latency_s)
        return self.attempt(request)

    async def count_prompt_tokens(self, request: Request) -> int | None:
        """The length of the prompt, a token being four characters."""
        return count_prompt(request.messages)

    async def aclose(self) -> None:
        """Give nothing back, as nothing is held."""

    def attempt(self, request: Request) -> Completion:
        """Answer at once, or fail as the reader does.

        Raises:
            Transient: `sim/flaky`, for its share of the calls.
            RequestRejected: `sim/flaky-late`, for its share of the prompts.
        """
        if (
            self._kind == "flaky" and random.random() < self._parameters["fail"]
        ):  # another attempt must be able to succeed
            raise Transient("the simulated reader failed this call, as it was told to")
        if self._kind == "flaky-late" and self._bias.fails(read(request.messages)[0]):
            raise RequestRejected("the simulated reader rejects this prompt, as it was told to")
        return self.answer(request)

    def answer(self, request: Request) -> Completion:
        """The answer, at once and without failures."""
        if request.continuation is not None:
            return self._continue(request, request.continuation)
        if self._kind == "judge":
            return _completion(request, verdict_on(request.messages[-1].content, self._parameters, self._key(request)))
        reading, stem = read(request.messages)
        if stem is not None:
            return _completion(request, f" {self._text(request, reading, reading.asked_by(stem))}")
        return _completion(request, self._text(request, reading, reading.question))

    def _text(self, request: Request, reading: Reading, asked: Asked | None) -> str:
        """What the reader says."""
        if self._kind == "refuser":
            return _DECLINES
        if self._kind == "guesser":
            return _guess(reading, asked)
        if asked is not None and asked.about in KNOWN and self._kind == "world-knowledge":
            return f"{KNOWN[asked.about]}."
        if not self._bias.answers(reading):
            return _UNMOVED
        noticed = self._noticing(request, reading)
        if asked is not None and asked.task not in INSTRUCTIONS:
            return _answer(asked, reading, noticed)
        return self._summary(request, reading, asked, noticed)

    def _summary(
        self,
        request: Request,
        reading: Reading,
        asked: Asked | None,
        noticed: "Callable[[Iterable[Found]], list[Found]]",
    ) -> str:
        """What the reader tells of a text, in the form that the instruction wants where the reader obeys it."""
        if self._bias.does_something_else(reading):
            return NOTHING
        best = _each_once(reading.worth_telling, lambda found: self._bias.rate(reading, found))
        facts = [f"The {found.about} is {found.value}." if found.about else found.value for found in noticed(best)]
        obeyed = asked is not None and asked.task == "summary" and self._bias.obeys(reading)
        demands = read_demands(asked.about) if asked is not None and obeyed else None
        return write(facts, demands, more_words=self._bias.more_words(reading), follows=self._follows(request))

    def _follows(self, request: Request) -> Callable[[str], bool]:
        """Says of each constraint by its name whether the reader follows it, each by a draw of its own."""
        rate = self._parameters.get("follows", 1.0)
        return lambda name: rate >= 1 or uniform(f"{self._key(request)}/{name}") < rate

    def _noticing(self, request: Request, reading: Reading) -> "Callable[[Iterable[Found]], list[Found]]":
        """What keeps of some statements those that the reader notices, each by a draw of its own."""
        key = ""

        def is_noticed(found: Found) -> bool:
            nonlocal key
            rate = self._bias.told_rate(reading, found)
            if rate in (0.0, 1.0):
                return rate == 1.0
            key = key or self._key(request)
            return uniform(f"{key}/{found.start}") < rate

        return lambda statements: [found for found in statements if is_noticed(found)]

    def _key(self, request: Request) -> str:
        """What all draws of a request depend on: everything that could change a model's answer, kind and seed."""
        identity = asdict(request) | {"cache_prefix": 0}
        key = canonical_json([identity, self._kind, self._parameters.get("seed", 0)])
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def _continue(self, request: Request, continuation: str) -> Completion:
        """The log-probability of a value: most for one that fits the beginning, as far as it is noticed."""
        shares, usage = self._shared(request.messages)
        logprobs = (TokenLogprob(continuation, shares.logprob(value_form(continuation))),)
        return Completion(continuation, "stop", logprobs=logprobs, usage=usage, model="sim")

    def _shares(self, messages: tuple[Message, ...]) -> "tuple[Shares, Usage]":
        """How probability is shared among the values that could come next, and what one of them takes."""
        reading, stem = read(messages)
        asked = reading.asked_by(stem or "")
        candidates = reading.candidates(asked) if asked and asked.task not in INSTRUCTIONS else reading.facts
        right, available = self._right(reading, asked)
        values = {found.value for found in candidates} | right or {""}
        shares = Shares(len(values), frozenset(right), available, in_sentences=_by_sentence(asked, reading))
        return shares, Usage(input_tokens=count_prompt(messages), output_tokens=0)

    def _right(self, reading: Reading, asked: Asked | None) -> tuple[set[str], float]:
        """The values that the reader holds for right, and the probability that they have together beyond chance."""
        if asked is None or asked.task in INSTRUCTIONS or self._kind == "refuser" or not self._bias.answers(reading):
            return set(), 0.0
        if self._kind == "guesser":
            return {found.value for found in reading.candidates(asked)[-1:]}, CERTAINTY
        if self._kind == "world-knowledge" and asked.about in KNOWN:
            return {KNOWN[asked.about]}, CERTAINTY
        fitting = reading.answers(asked)
        rate = max((self._bias.rate(reading, found) for found in fitting), default=0.0)
        return {found.value for found in fitting}, CERTAINTY * rate


@dataclass(frozen=True, slots=True)
class Shares:
    """How a reader shares probability among the values that could follow a beginning.

    `right` have `available` together, and all `values` have the rest alike. `in_sentences`: a whole sentence is held
    for the answer, so that whatever stands in it is right.
    """

    values: int
    right: frozenset[str]
    available: float
    in_sentences: bool = False

    def logprob(self, value: str) -> float:
        """The logarithm of a value's probability.

        Example: Shares(2, frozenset({"48"}), 0.98).logprob("48") -> log 0.99
        """
        right = value in self.right
        if self.in_sentences and value:
            right = any(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", sentence) for sentence in self.right)
        return math.log((1 - self.available) / self.values + self.available * right / max(len(self.right), 1))


def _by_sentence(asked: Asked | None, reading: Reading) -> bool:
    """Whether the answer to a question is a sentence of the text that was found by its words."""
    if asked is None or asked.task in INSTRUCTIONS:
        return False
    return any(found.task == "any" for found in reading.answers(asked))


def _each_once(facts: Iterable[Found], rate: Callable[[Found], float]) -> list[Found]:
    """Facts that a text states twice, once: where they are noticed best, and in the order of the text."""
    best: dict[tuple[str, str], Found] = {}
    for found in facts:
        same = best.get((found.about, found.value))
        if same is None or rate(found) > rate(same):
            best[found.about, found.value] = found
    return sorted(best.values(), key=lambda found: found.start)


def simulated_model(name: str) -> SimulatedModel:
    """Make a simulated reader from its full name, e.g. `sim/u-shape?edge=0.9&seed=7`.

    Raises:
        UsageError: an unknown reader, an unknown parameter, or a value that is no number.
    """
    return SimulatedModel(name, *read_name(name))


def _answer(asked: Asked, reading: Reading, noticed: Callable[[Iterable[Found]], list[Found]]) -> str:
    """The answer to a question from what is noticed of the statements."""
    if asked.task == "chain":
        names = names_reached(asked.about, noticed(reading.statements("chain")))
        return f"{', '.join(names)}." if names else _ABSENT[asked.language]
    seen = noticed(reading.answers(asked))
    if asked.task == "count":
        return f"{len(seen)}."
    if not seen:
        return _ABSENT[asked.language]
    if asked.task == "any":
        return seen[0].value
    return f"{', '.join(found.value for found in seen)}." if asked.task == "multi-value" else f"{seen[0].value}."


def _guess(reading: Reading, asked: Asked | None) -> str:
    """The last value in the text, of the kind that is asked for; how often, counts everything of the kind."""
    statements = reading.facts if asked is None or asked.task in INSTRUCTIONS else reading.candidates(asked)
    if asked is not None and asked.task == "count":
        return f"{len(statements)}."
    if not statements:
        return _ABSENT[asked.language if asked else "en"]
    last = statements[-1]
    return f"{last.about if last.task == 'chain' else last.value}."


def _completion(request: Request, text: str) -> Completion:
    """An answer cut at its first stop sequence and at the token limit."""
    ends = {sequence: text.find(sequence) for sequence in request.stop if sequence in text}
    ending = min(ends, key=ends.__getitem__) if ends else None
    text = text[: ends[ending]] if ending is not None else text
    limit = TOKEN_CHARACTERS * request.max_tokens
    cut = len(text) > limit
    text = text[:limit]
    usage = Usage(input_tokens=count_prompt(request.messages), output_tokens=count_tokens(text))
    return Completion(
        text,
        "max_tokens" if cut else "stop",
        usage=usage,
        model="sim",
        logprobs=_logprobs(text) if request.logprobs else None,
        raw={} if ending is None or cut else {"stop_sequence": ending},
    )


def _logprobs(text: str) -> tuple[TokenLogprob, ...]:
    """The answer's tokens: the first one decides, and the others follow from it."""
    tokens = tokens_of(text)
    return tuple(TokenLogprob(token, 0.0 if index else math.log(CERTAINTY)) for index, token in enumerate(tokens))
