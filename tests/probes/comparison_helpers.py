"""What the tests of comparisons share: runs of simulated readers in memory, without a store."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from cli.experiment_runs import plan_again
from probes.comparison.contenders import Asked, ComparedRun
from probes.identity import prompt_hash, trial_id
from probes.models.base import Completion, Usage
from probes.models.sim import simulated_model
from probes.plan import Plan, PlannedTrial, Result

SINGLE = {"task": "single", "lengths": [150], "depths": [0, 50, 100], "controls": []}
Change = Callable[[PlannedTrial, Completion], Completion | None]


@cache
def _plan(probe: str, spec: str) -> Plan:
    return plan_again(probe, json.loads(spec))


def plan(probe: str = "needle", **spec: Any) -> Plan:
    """A plan, a needle's a short one unless its options say otherwise; made once for all tests."""
    return _plan(probe, json.dumps(SINGLE | spec if probe == "needle" else spec))


def run(
    planned: Plan,
    *models: str,
    id: str = "run-1",  # noqa: A002 - a run's id
    change: Change = lambda _trial, completion: completion,
    identity: Mapping[str, Any] | None = None,
    latency_s: float = 0.0,
) -> ComparedRun:
    """All trials of a plan answered by simulated readers; `change` gives another answer, or None for a failed call."""
    asked = []
    for name in models:
        model = simulated_model(name)
        known = dict(model.identity, **(identity or {}))
        for trial in planned.trials:
            completion = change(trial, replace(model.answer(trial.request), latency_s=latency_s))
            error = (None, None) if completion else ("transient", "the server was gone")
            result = Result(name, trial_id(known, trial.request), trial, completion, *error, cost_nano_usd=2000)
            characters = sum(len(message.content) for message in trial.request.messages)
            asked.append(Asked(result, prompt_hash(trial.request), known, characters))
    return ComparedRun(id, planned.probe, planned.spec, tuple(asked))


def some(compared: ComparedRun, keep: Callable[[PlannedTrial], bool]) -> ComparedRun:
    """The trials of a run that are kept."""
    return replace(compared, trials=tuple(asked for asked in compared.trials if keep(asked.result.trial)))


def one(rows: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any]:
    """The one row with these values."""
    [row] = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def used(**tokens: int) -> Change:
    """An answer with these token counts."""
    return lambda _trial, completion: replace(completion, usage=Usage(**tokens))
