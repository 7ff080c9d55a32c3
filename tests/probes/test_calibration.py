"""Planted rates come back, and intervals cover them as often as Wilson's exact coverage says."""

import math
from collections import defaultdict

import pytest
from scipy import stats as scipy_stats

from probes.experiments.common import Ruler
from probes.experiments.needle import NEEDLES, NeedleOptions, plan_needle
from probes.experiments.needle_results import Row, position_rows, score_needles
from probes.models.sim import simulated_model
from probes.plan import Plan, Result
from probes.stats import wilson

RUNS, BLOCKS = 400, 10
EDGE, MIDDLE = 0.95, 0.5


def exact_coverage(blocks: int, rate: float) -> float:
    """How often Wilson's interval for `blocks` trials holds the rate, summed over every outcome."""
    covered = 0.0
    for hits in range(blocks + 1):
        interval = wilson(hits, blocks)
        assert interval is not None
        if interval.low <= rate <= interval.high:
            covered += float(scipy_stats.binom.pmf(hits, blocks, rate))
    return covered


@pytest.fixture(scope="module")
def asked() -> Plan:
    """400 runs of ten blocks each, as one plan whose blocks are dealt out to the runs."""
    options = NeedleOptions(lengths=(100,), blocks=RUNS * BLOCKS)
    return plan_needle(options, Ruler("words", lambda text: len(text.split())))


def rows_of_runs(asked: Plan, name: str) -> list[list[Row]]:
    model = simulated_model(name)
    runs: dict[int, list[Result]] = defaultdict(list)
    for number, trial in enumerate(asked.trials):
        runs[trial.block // BLOCKS].append(Result(name, str(number), trial, model.answer(trial.request)))
    assert len(runs) == RUNS
    return [position_rows(score_needles(results)) for results in runs.values()]


def assert_coverage(rows: list[list[Row]], position: int, rate: float, prefix: str = "asked") -> None:
    n = rows[0][position][f"{prefix}_n"]
    covered = sum(run[position][f"{prefix}_low"] <= rate <= run[position][f"{prefix}_high"] for run in rows) / len(rows)
    expected = exact_coverage(n, rate)
    assert covered == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / len(rows)) + 1e-9)


def test_a_planted_u_shape_is_covered_in_every_cell(asked: Plan) -> None:
    rows = rows_of_runs(asked, f"sim/u-shape?edge={EDGE}&middle={MIDDLE}")
    for position in range(NEEDLES):
        assert_coverage(rows, position, EDGE if position in (0, NEEDLES - 1) else MIDDLE)
        assert_coverage(rows, position, 0.0, prefix="not_asked")


def test_planted_recency_is_covered_in_every_cell(asked: Plan) -> None:
    rows = rows_of_runs(asked, "sim/recency?near=0.9&far=0.3")
    for position in range(NEEDLES):
        assert_coverage(rows, position, 0.9 if position == NEEDLES - 1 else 0.3)


def test_the_guesser_is_exposed_by_its_control(asked: Plan) -> None:
    rows = rows_of_runs(asked, "sim/guesser")
    for position in range(NEEDLES):
        given = 1.0 if position == NEEDLES - 1 else 0.0
        assert_coverage(rows, position, given)
        assert_coverage(rows, position, given, prefix="not_asked")
    assert all(run[-1]["asked_rate"] == run[-1]["not_asked_rate"] == 1.0 for run in rows)
