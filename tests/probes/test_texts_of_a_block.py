"""A block of one needle has a text for each depth: their log-probabilities are told apart, not averaged as repeats."""

import pytest

from cli.experiment_runs import make_ruler
from probes.experiment_file import OPTIONS
from probes.experiments.needle import plan_needle
from probes.experiments.needle_likelihood import likelihood_rows
from probes.models.base import Completion, TokenLogprob
from probes.plan import PlannedTrial, Result


def answered(trial: PlannedTrial) -> Result:
    """The deeper a value stands, the better it is held; and asked for another one, the worse."""
    (depth,) = trial.cell["depths"]
    logprob = depth - 2 if trial.cell["asked"] is not None else -10 * depth - 5
    completion = Completion("", "stop", logprobs=(TokenLogprob("x", logprob),))
    return Result("sim/made-up", f"t{id(trial)}", trial, completion)


def test_each_depth_has_its_own_figures():
    options = OPTIONS["needle"](task="single", measure="likelihood", lengths=(150,), blocks=3, depths=(0, 50, 100))
    plan = plan_needle(options, make_ruler("small"))
    rows = likelihood_rows([answered(trial) for trial in plan.trials], seed=1)
    figures = {row["depth"]: (row["n"], row["logprob_nats"], row["lift_nats"]) for row in rows}
    assert figures == {
        depth: (3, pytest.approx(depth - 2), pytest.approx(11 * depth + 3)) for depth in (0.0, 0.5, 1.0)
    } | {None: (3, pytest.approx(-1.5), pytest.approx(8.5))}
