"""Answers made by hand, for tests of what is made of them: one line says the cell and what came back."""

from typing import Any

from probes.models.base import Completion, Request, TokenLogprob
from probes.plan import PlannedTrial, Result

VALUE, OTHER = "48213", "90177"


def cell_of(**given: Any) -> dict[str, Any]:
    """A whole cell of one needle, except for what is given."""
    cell = {
        "block": 0,
        "length_tokens": 1000,
        "haystack_tokens": 1001,
        "task": "single",
        "layout": "-",
        "place": "after",
        "structure": "plain",
        "context": "whole",
        "prompt_style": "ours",
        "temperature": None,
        "sample": 0,
        "control": None,
        "measure": "answer",
        "asked": 0,
        "depth": 0.5,
        "actual_depth": 0.5,
        "offset": 10,
        "name": "Brenmoor",
        "needles": 1,
        "values": [VALUE],
        "right": [0],
        "answer": "one",
        "expected": [],
    }
    return cell | given


def answer(text: str | None, *, model: str = "sim/one", stop: str = "stop", trial: str = "", **given: Any) -> Result:
    """A result: `text` came back, or nothing did and the call failed."""
    cell = cell_of(**given)
    completion = None if text is None else Completion(text, stop)  # type: ignore[arg-type]
    error = "transient" if text is None else None
    name = trial or repr((model, sorted(cell.items(), key=str)))
    request = Request((), max_tokens=16, sample=cell["sample"], temperature=cell["temperature"])
    return Result(model, name, PlannedTrial(cell["block"], request, cell), completion, error)


def found(right: bool, **given: Any) -> Result:
    """A right answer, or one with a value that was made up."""
    return answer(f"It is {VALUE}." if right else "It is 77777.", **given)


def held(logprob: float, **given: Any) -> Result:
    """A log-probability of a value."""
    cell = cell_of(measure="likelihood", **given)
    completion = Completion("", "stop", logprobs=(TokenLogprob("a", logprob / 2), TokenLogprob("b", logprob / 2)))
    return Result(
        "sim/one", repr(sorted(cell.items(), key=str)), PlannedTrial(cell["block"], Request(()), cell), completion
    )
