"""Every simulated reader with what it does and the parameters of its bias; and how a reader is asked for by name."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from tokenizer.errors import UsageError


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a reader takes: what it is unless said otherwise, what it means, and the most it can be.

    `later`: the reader was there before this parameter, so its default is no part of the reader's identity and answers
    that were kept still count.
    """

    default: float
    about: str
    most: float = 1.0
    later: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of reader: its bias in a sentence, and the parameters of the bias by name."""

    about: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


_NEAR = Parameter(0.95, "rate in the favoured tenth")
_FAR = Parameter(0.4, "rate elsewhere")
_RATE = Parameter(0.6, "rate of every statement, wherever anything stands")
_OBEDIENCE = {
    "rate": Parameter(1.0, "rate where it does what is asked", later=True),
    "otherwise": Parameter(0.0, "rate where it does not", later=True),
}
READERS: Mapping[str, Reader] = {
    "perfect": Reader("notices every statement"),
    "u-shape": Reader(
        "notices more at both ends of the text",
        {
            "edge": Parameter(0.95, "rate in the first and the last tenth"),
            "middle": Parameter(0.5, "rate between"),
        },
    ),
    "recency": Reader("notices more in the last tenth of the text", {"near": _NEAR, "far": _FAR}),
    "primacy": Reader("notices more in the first tenth of the text", {"near": _NEAR, "far": _FAR}),
    "last-instruction": Reader("does what is asked only where that is the last thing in the prompt", _OBEDIENCE),
    "any-instruction": Reader(
        "tells what it reads wherever anything is asked, also anything else, and nothing where nothing is asked",
        _OBEDIENCE,
    ),
    "distance-only": Reader(
        "notices less the farther a statement is from the nearest question, wherever both stand",
        {
            "near": Parameter(0.98, "rate beside the question"),
            "half": Parameter(4000, "characters over which the rate falls by half", most=math.inf),
            "to_answer": Parameter(0, "with 1, the distance to the end of the prompt is what counts", later=True),
        },
    ),
    "even": Reader("notices every statement alike, wherever it and the question stand", {"rate": _RATE}),
    "verbose": Reader(
        "as even, but says more where the instruction comes last, in facts and in general words",
        {
            "rate": _RATE,
            "more": Parameter(0.2, "how much more of the facts it tells there; log-probabilities do not change"),
            "words": Parameter(30, "how many general words it adds there, about", most=10_000),
        },
    ),
    "flaky-late": Reader(
        "as even, but fails more where the instruction comes last, and again at every attempt",
        {
            "rate": _RATE,
            "early": Parameter(0.05, "share of the prompts that fail"),
            "late": Parameter(0.4, "the same where the instruction comes last"),
        },
    ),
    "world-knowledge": Reader(
        "answers what is commonly known from memory, whatever the text says, and reads for the rest",
        {"reads": Parameter(1.0, "rate at which it notices what it does not know")},
    ),
    "guesser": Reader("gives the last value in the text, whatever is asked"),
    "refuser": Reader("declines to answer"),
    "judge": Reader(
        "says which facts a written answer holds, as `runs judge` asks it to",
        {
            "accuracy": Parameter(0.95, "share of the facts of which it says what is so"),
            "unreadable": Parameter(0.0, "share of the answers on which its verdict has another form"),
        },
    ),
    "flaky": Reader(
        "as perfect, but some of its calls fail, each time anew", {"fail": Parameter(0.3, "share of the calls")}
    ),
}
# What every reader takes.
COMMON: Mapping[str, Parameter] = {
    "seed": Parameter(0, "another seed, other misses", most=math.inf),
    "latency_ms": Parameter(0, "how long an answer takes", most=math.inf),
    "spread": Parameter(0, "how much texts differ: deviation of the log-odds of every rate, a draw a text", most=10),
    "noise": Parameter(0, "the same, a draw for every prompt", most=10),
    "flicker": Parameter(0, "the same, a draw for every statement of a prompt", most=10),
    "follows": Parameter(1, "rate at which each constraint on an answer's form is followed"),
}


def describe(kind: str) -> str:
    """A reader in one line, with its parameters.

    Example: describe("flaky") -> "as perfect, but ... anew (fail=0.3: share of the calls)"
    """
    reader = READERS[kind]
    parameters = [f"{name}={each.default:g}: {each.about}" for name, each in reader.parameters.items()]
    return f"{reader.about} ({', '.join(parameters)})" if parameters else reader.about


def describe_common() -> str:
    """The parameters that every reader takes, in one line.

    Example: describe_common() -> "seed=0: another seed, other misses, ..."
    """
    return ", ".join(f"{name}={each.default:g}: {each.about}" for name, each in COMMON.items())


def is_later_default(kind: str, name: str, value: float) -> bool:
    """Whether a parameter that a reader was given after kept runs were made says nothing but its default."""
    parameter = READERS[kind].parameters.get(name)
    return parameter is not None and parameter.later and value == parameter.default


def read_name(name: str) -> tuple[str, dict[str, float]]:
    """The kind and all parameters that a full name says, e.g. `sim/u-shape?edge=0.9&seed=7`.

    Raises:
        UsageError: an unknown reader, an unknown parameter, or a value that is no number or too great.
    """
    kind, _, query = name.removeprefix("sim/").partition("?")
    if kind not in READERS:
        nearest = difflib.get_close_matches(kind, READERS, n=1)
        suggestion = f"did you mean sim/{nearest[0]}? " if nearest else ""
        raise UsageError(
            f"there is no simulated reader {kind!r}", hint=f"{suggestion}the readers are {', '.join(READERS)}"
        )
    known = {**READERS[kind].parameters, **COMMON}
    parameters = {key: each.default for key, each in READERS[kind].parameters.items()}
    for key, text in parse_qsl(query, keep_blank_values=True):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if key not in known or not 0 <= value < math.inf or value > known[key].most:
            raise UsageError(
                f"sim/{kind} cannot take {key}={text}",
                hint=f"it takes {', '.join(known)}; rates lie between 0 and 1",
            )
        parameters[key] = value
    return kind, parameters
