"""Failures on demand: which call fails in which way, the same again for the same seed, request and attempt.

A kind is drawn anew for every attempt at a request, so that another attempt can succeed. `refused` alone is drawn for
every connection, as no request is known yet; while it is wanted, every answer ends its connection.
"""

import difflib
import hashlib
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping

from tokenizer.errors import UsageError

REFUSED = "refused"
# Every kind of failure, and what the client meets.
FAILURES: dict[str, str] = {
    REFUSED: "the connection is reset as soon as it is opened",
    "rate-limit": "429 with a Retry-After",
    "rate-limit-bare": "429 without a Retry-After",
    "quota": 'no money: 429 insufficient_quota (OpenAI), 400 "credit balance is too low" (Anthropic)',
    "denied": "401, as for a wrong key",
    "overloaded": "529 overloaded_error (Anthropic), 503 (OpenAI)",
    "server-error": "500",
    "context-length": "400, the prompt is too long, in each provider's words",
    "dropped": "the connection ends before the answer",
    "dropped-midway": "the connection ends in the middle of the answer",
    "half-stream": "a stream that ends in good order without its last events; without streaming, half of the JSON",
    "broken-json": "an answer, or one event of a stream, that is not JSON",
    "empty-body": "200 with nothing in it",
    "no-usage": "an answer without its usage",
    "wrong-usage": "an answer whose usage makes no sense",
    "refusal": "the model declines, in each provider's form",
    "empty-answer": "an answer in good order without any text",
    "silence": "no answer at all; the client must give up",
}


class FailurePlan:
    """Says for every connection and every question whether it fails, and how.

    `rates`: the share of the attempts that fail in each way. `script`: the kinds of the first questions in the order of
    their arrival, None for one that is answered; after it the rates hold. `seed` draws.

    Raises:
        UsageError: an unknown kind, a rate outside 0 to 1, or rates that come to more than 1.
    """

    def __init__(self, rates: Mapping[str, float], script: Iterable[str | None] = (), seed: int = 1) -> None:
        self._rates = {kind: check_rate(kind, rate) for kind, rate in rates.items()}
        self._drawn = {kind: self._rates[kind] for kind in FAILURES if kind in rates and kind != REFUSED}
        self._script = deque(check_kind(kind) if kind else None for kind in script)
        self._seed = seed
        self._attempts: Counter[bytes] = Counter()
        self._connections = 0
        self._lock = threading.Lock()  # a test may add to the script while the server's thread reads it
        if sum(self._drawn.values()) > 1 + 1e-9:
            raise UsageError("the failures' rates come to more than 1", hint="lower them; what is left is answered")

    @property
    def refuses(self) -> bool:
        """Whether connections may be refused, so that each question should come on one of its own."""
        return bool(self._rates.get(REFUSED)) or REFUSED in self._script

    def then(self, *kinds: str | None) -> None:
        """Add to the script."""
        with self._lock:
            self._script.extend(check_kind(kind) if kind else None for kind in kinds)

    def of_connection(self) -> bool:
        """Whether the connection that was just opened is refused."""
        with self._lock:
            self._connections += 1
            if self._script and self._script[0] == REFUSED:
                self._script.popleft()
                return True
        rate = self._rates.get(REFUSED, 0.0)
        return rate > 0 and self._draw(b"connection", self._connections) < rate

    def of_question(self, body: bytes) -> str | None:
        """How this attempt at a question fails, or None when it is answered."""
        with self._lock:
            if self._script and self._script[0] != REFUSED:
                return self._script.popleft()
        if not self._drawn:
            return None
        question = hashlib.sha256(body).digest()
        self._attempts[question] += 1
        draw = self._draw(question, self._attempts[question])
        for kind, rate in self._drawn.items():
            draw -= rate
            if draw < 0:
                return kind
        return None

    def _draw(self, about: bytes, number: int) -> float:
        """A number in [0, 1)."""
        digest = hashlib.sha256(f"{self._seed}/{number}/".encode() + about).digest()
        return int.from_bytes(digest[:7]) / 2**56


def check_kind(kind: str) -> str:
    """The kind, if there is one of this name.

    Raises:
        UsageError: there is none, with the nearest name.
    """
    if kind in FAILURES:
        return kind
    nearest = difflib.get_close_matches(kind, FAILURES, n=1, cutoff=0.5)
    suggestion = f"did you mean {nearest[0]}? " if nearest else ""
    raise UsageError(f"there is no failure {kind!r}", hint=f"{suggestion}the kinds are {', '.join(FAILURES)}")


def check_rate(kind: str, rate: float) -> float:
    """The rate, if the kind is known and the rate from 0 to 1.

    Raises:
        UsageError: otherwise.
    """
    check_kind(kind)
    if not 0 <= rate <= 1:
        raise UsageError(f"{kind} cannot have the rate {rate:g}", hint="a rate is a share of the calls, from 0 to 1")
    return rate
