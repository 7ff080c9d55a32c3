"""Answers of a placement run made by hand, for tests of what is made of them: one line says the cell and the answer."""

from collections.abc import Iterable, Sequence
from typing import Any

from probes.models.base import Completion, Message, Request, TokenLogprob, Usage
from probes.plan import PlannedTrial, Result

NAMES = (
    "Brenmoor",
    "Castelin",
    "Dorvica",
    "Elthford",
    "Farrowby",
    "Galdwick",
    "Harstin",
    "Ilvenost",
    "Jorrane",
    "Keltun",
)
VALUES = ("47", "12", "30", "58", "66", "71", "83", "94", "25", "39")
FACTS = tuple(f"The quota for {name} is {value}." for name, value in zip(NAMES, VALUES, strict=True))
PROSE = (
    "The road to {name} runs along the river and past the old mill before it climbs. People there keep goats and mend "
    "nets, and on market days they carry both down to the harbour and come home late."
)
TEXT = " ".join(f"{fact} {PROSE.format(name=name)}" for fact, name in zip(FACTS, NAMES, strict=True))


def cell_of(facts: int = 10, **given: Any) -> dict[str, Any]:
    """A whole cell of an answer, except for what is given; the first so many facts are planted."""
    cell = {
        "block": 0,
        "length_tokens": 400,
        "document_tokens": 400,
        "framing": "document",
        "task": "focused",
        "names": list(NAMES[:facts]),
        "values": list(VALUES[:facts]),
        "positions": [(fact + 0.5) / facts for fact in range(facts)],
        "arm": "before",
        "measure": "coverage",
        "temperature": None,
        "sample": 0,
    }
    return cell | given


def answered(
    text: str | None, *, model: str = "m", stop: str = "stop", usage: Usage | None = None, cost: int | None = None,
    seconds: tuple[float, float | None] = (0.0, None), prompt: str = TEXT, **given: Any,
) -> Result:  # fmt: skip
    """A result: `text` came back, or nothing did and the call failed."""
    cell = cell_of(**given)
    trial = PlannedTrial(cell["block"], Request((Message("user", prompt),) if prompt else (), max_tokens=16), cell)
    if text is None:
        return Result(model, repr(cell), trial, None, "transient", "gone")
    completion = Completion(text, stop, usage or Usage(), latency_s=seconds[0], first_token_s=seconds[1])  # type: ignore[arg-type]
    return Result(model, repr(cell), trial, completion, cost_nano_usd=cost)


def keeping(kept: Iterable[int], **given: Any) -> Result:
    """An answer that keeps these facts, in this order, in words of its own."""
    said = " ".join(f"{NAMES[fact]} gets {VALUES[fact]}." for fact in kept)
    return answered(f"A short account of the quotas. {said}", **given)


def scored(logprobs: Sequence[Sequence[float]], *, model: str = "m", **given: Any) -> list[Result]:
    """The log-probabilities of one text: of each value offered (inner) where each fact is asked for (outer)."""
    results = []
    for asked, row in enumerate(logprobs):
        for offered, logprob in enumerate(row):
            cell = cell_of(len(logprobs), **given) | {"measure": "margin", "asked": asked, "offered": offered}
            request = Request((Message("user", TEXT),), continuation=f" {VALUES[offered]}")
            completion = Completion("", "stop", logprobs=(TokenLogprob("x", logprob),))
            results.append(Result(model, repr(cell), PlannedTrial(cell["block"], request, cell), completion))
    return results
