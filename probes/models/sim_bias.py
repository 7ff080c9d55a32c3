"""What each simulated reader notices, obeys and fails at: the effects that are planted, and how documents differ.

Everything is told by the prompt alone. Draws that a prompt decides are made from its text and the reader's seed, so
that the same prompt always has the same luck, with whatever value is offered after it.
"""

import hashlib
import math
from collections.abc import Mapping
from statistics import NormalDist

from probes.models.sim_reading import ABOUT_THE_TEXT, Found, Reading

EDGE = 0.1  # the outer tenth of a text, at either end
NEAR_THE_END = 200  # characters after an instruction that is still the last thing in a prompt
# Readers that tell what they read of whatever another instruction wants: they heed no instruction's words.
_HEEDLESS = frozenset({"any-instruction", "distance-only", "even", "verbose", "flaky-late"})
_OBEDIENT = frozenset({"last-instruction", "any-instruction"})
_BY_DEPTH = frozenset({"u-shape", "recency", "primacy"})


class Bias:
    """One reader's bias: its kind and the parameters of `sim_readers`."""

    def __init__(self, kind: str, parameters: Mapping[str, float]) -> None:
        self.kind = kind
        self._parameters = parameters
        self._seed = f"{parameters.get('seed', 0):g}"
        self._shift: tuple[Reading | None, float] = (None, 0.0)  # of the prompt that was asked about last

    def rate(self, reading: Reading, found: Found) -> float:
        """How often a statement that stands there is noticed, in a document as hard as this one."""
        return self._in_this_document(reading, found, self._plain_rate(reading, found))

    def told_rate(self, reading: Reading, found: Found) -> float:
        """How often it is told in an answer: `sim/verbose` says more than usual where the instruction comes last."""
        rate = self._plain_rate(reading, found)
        if self.kind == "verbose" and self.instructed_last(reading):
            rate = min(1.0, rate + self._parameters["more"])
        return self._in_this_document(reading, found, rate)

    def obeys(self, reading: Reading) -> bool:
        """Whether the reader does what it is asked, as far as that depends on where it is asked."""
        if self.kind == "last-instruction":
            return self.instructed_last(reading)
        return self.kind != "any-instruction" or bool(reading.questions)

    def answers(self, reading: Reading) -> bool:
        """Whether it tells anything at all: one that does not obey may still notice a little."""
        return self.obeys(reading) or self._parameters.get("otherwise", 0.0) > 0

    def does_something_else(self, reading: Reading) -> bool:
        """Whether it does what another instruction asks for, and tells nothing of the text."""
        if self.kind in _HEEDLESS or reading.question is None or reading.question.task != "other":
            return False
        return self.kind != "last-instruction" or reading.ends_with(("other",), NEAR_THE_END)

    def more_words(self, reading: Reading) -> int:
        """How many general words are added to an answer."""
        last = self.kind == "verbose" and self.instructed_last(reading)
        return round(self._parameters["words"]) if last else 0

    def fails(self, reading: Reading) -> bool:
        """Whether `sim/flaky-late` fails every call with this prompt."""
        if self.kind != "flaky-late":
            return False
        share = self._parameters["late" if self.instructed_last(reading) else "early"]
        return uniform(f"{self._seed}/fails/{reading.prompt}") < share

    @staticmethod
    def instructed_last(reading: Reading) -> bool:
        """Whether what is asked of the text is the last thing in the prompt; another instruction is not that."""
        return reading.ends_with(ABOUT_THE_TEXT, NEAR_THE_END)

    def _plain_rate(self, reading: Reading, found: Found) -> float:
        """The rate in a document that is neither hard nor easy."""
        parameters, kind = self._parameters, self.kind
        if kind in _BY_DEPTH:
            return parameters[self._by_depth(reading.depth(found))]
        if kind in _OBEDIENT:
            return parameters["rate" if self.obeys(reading) else "otherwise"]
        if kind == "distance-only":
            half = max(parameters["half"], 1e-9)
            distance = reading.distance_to_answer(found) if parameters["to_answer"] else reading.distance(found)
            fall: float = 0.5 ** min(distance / half, 1000)
            return parameters["near"] * fall
        return parameters["reads"] if kind == "world-knowledge" else parameters.get("rate", 1.0)

    def _by_depth(self, depth: float) -> str:
        """The parameter that holds the rate at a depth of the text."""
        first, last = depth < EDGE, depth > 1 - EDGE
        if self.kind == "u-shape":
            return "edge" if first or last else "middle"
        return "near" if (last if self.kind == "recency" else first) else "far"

    def _in_this_document(self, reading: Reading, found: Found, rate: float) -> float:
        """A rate, moved by as much as document, prompt and statement are harder or easier; 0 and 1 stay."""
        if self._shift[0] is not reading:
            self._shift = (reading, self._hardness(reading))
        shift, flicker = self._shift[1], self._parameters.get("flicker", 0.0)
        if flicker:
            shift += flicker * _normal(f"{self._seed}/{found.start}/{reading.prompt}")
        return 1 / (1 + (1 / rate - 1) * math.exp(-shift)) if shift and 0 < rate < 1 else rate

    def _hardness(self, reading: Reading) -> float:
        """By how much the log-odds of every rate are moved."""
        spread, noise = self._parameters.get("spread", 0.0), self._parameters.get("noise", 0.0)
        shift = 0.0
        if spread:
            shift += spread * _normal(f"{self._seed}/document/{[(each.about, each.value) for each in _first(reading)]}")
        if noise:
            shift += noise * _normal(f"{self._seed}/prompt/{reading.prompt}")
        return shift


def _first(reading: Reading) -> list[Found]:
    """The facts of a text, each once: what a text is known by, whatever stands around it and however often it comes."""
    return list({(found.about, found.value): found for found in reversed(reading.facts)}.values())


def uniform(about: str) -> float:
    """A number above 0 and below 1 that a text decides."""
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:7]) + 0.5) / 2**56


def _normal(about: str) -> float:
    """A draw from the standard normal distribution that a text decides."""
    return NormalDist().inv_cdf(uniform(about))
