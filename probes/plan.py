"""What an experiment asks for, before anything is asked: one plan for one set of options, byte for byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probes.models.base import Completion, Request


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One exact request and its place in the experiment.

    `block`: the number of the document that the request is about; the unit of all statistics.
    `cell`: what tables group by and scorers need (arm, depth, the values planted, ...), as JSON.
    """

    block: int
    request: Request
    cell: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """One experiment, for every model alike. `spec` is the experiment after its defaults, as JSON."""

    probe: str
    spec: Mapping[str, Any]
    trials: tuple[PlannedTrial, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One planned trial of one model and what became of it: a completion, or the last error, or neither yet.

    `cost_nano_usd`: what the call that was answered cost, in US dollars times 10 to the 9; None: unknown.
    """

    model: str
    trial_id: str
    trial: PlannedTrial
    completion: Completion | None
    error_kind: str | None = None
    error_text: str | None = None
    cost_nano_usd: int | None = None
