"""Planted rates and biases come back with the right sign, in intervals that hold them as often as they say."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from scipy import stats as scipy_stats

from probes.experiments.common import Ruler
from probes.experiments.needle import NeedleOptions, plan_needle
from probes.experiments.needle_contrasts import contrast_rows, depth_differences
from probes.experiments.needle_controls import control_rows, control_sentences, known_items
from probes.experiments.needle_likelihood import likelihood_rows
from probes.experiments.needle_rates import retrieval_rows
from probes.experiments.needle_results import Row, Scored, position_rows, score_needles
from probes.models.base import Transient
from probes.models.sim import simulated_model
from probes.plan import Plan, Result
from probes.stats import mean_interval, wilson

RUNS, BLOCKS = 120, 10
EDGE, MIDDLE = 0.95, 0.5
POSITIONS = 5
WORDS = Ruler("words", lambda text: len(text.split()))


def exact_coverage(blocks: int, rate: float) -> float:
    """How often Wilson's interval for `blocks` trials holds the rate, summed over every outcome."""
    covered = 0.0
    for hits in range(blocks + 1):
        interval = wilson(hits, blocks)
        assert interval is not None
        if interval.low <= rate <= interval.high:
            covered += float(scipy_stats.binom.pmf(hits, blocks, rate))
    return covered


def answers(plan: Plan, name: str, blocks: Iterable[int] | None = None) -> list[Result]:
    """What a simulated reader answers; calls that it fails are errors, as when all attempts failed."""
    model = simulated_model(name)
    results = []
    for number, trial in enumerate(plan.trials):
        if blocks is not None and trial.block not in blocks:
            continue
        try:
            completion = model.attempt(trial.request)
        except Transient:
            results.append(Result(name, str(number), trial, None, "transient"))
        else:
            results.append(Result(name, str(number), trial, completion))
    return results


def make_plan(**options: object) -> Plan:
    return plan_needle(NeedleOptions(**{"lengths": (100,), **options}), WORDS)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ several keys


@pytest.fixture(scope="module")
def asked() -> Plan:
    """120 runs of ten blocks each, as one plan whose blocks are dealt out to the runs."""
    return make_plan(blocks=RUNS * BLOCKS, controls=("absent",))


def rows_of_runs(asked: Plan, name: str) -> list[list[Row]]:
    runs: dict[int, list[Result]] = defaultdict(list)
    for result in answers(asked, name):
        runs[result.trial.block // BLOCKS].append(result)
    assert len(runs) == RUNS
    return [position_rows(score_needles(results)) for results in runs.values()]


def assert_coverage(rows: list[list[Row]], position: int, rate: float, prefix: str = "asked") -> None:
    blocks = BLOCKS  # however many questions stand in one
    covered = sum(run[position][f"{prefix}_low"] <= rate <= run[position][f"{prefix}_high"] for run in rows) / len(rows)
    expected = exact_coverage(blocks, rate)
    assert covered == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / len(rows)) + 1e-9)


def test_a_planted_u_shape_is_covered_in_every_cell(asked: Plan) -> None:
    rows = rows_of_runs(asked, f"sim/u-shape?edge={EDGE}&middle={MIDDLE}")
    for position in range(POSITIONS):
        assert_coverage(rows, position, EDGE if position in (0, POSITIONS - 1) else MIDDLE)
        assert_coverage(rows, position, 0.0, prefix="not_asked")


def test_planted_recency_is_covered_in_every_cell(asked: Plan) -> None:
    rows = rows_of_runs(asked, "sim/recency?near=0.9&far=0.3")
    for position in range(POSITIONS):
        assert_coverage(rows, position, 0.9 if position == POSITIONS - 1 else 0.3)


def test_the_guesser_is_exposed_by_its_control(asked: Plan) -> None:
    rows = rows_of_runs(asked, "sim/guesser")
    for position in range(POSITIONS):
        given = 1.0 if position == POSITIONS - 1 else 0.0
        assert_coverage(rows, position, given)
        assert_coverage(rows, position, given, prefix="not_asked")
    assert all(run[-1]["asked_rate"] == run[-1]["not_asked_rate"] == 1.0 for run in rows)


# --------------------------------------------------------------------------------------------------- one needle


@pytest.fixture(scope="module")
def single() -> Plan:
    """Thirty runs of twenty blocks each, one needle at each of five depths."""
    return make_plan(task="single", blocks=600, controls=("absent",))


def dealt(scored: Sequence[Scored], blocks: int) -> list[list[Scored]]:
    runs: dict[int, list[Scored]] = defaultdict(list)
    for each in scored:
        runs[each.block // blocks].append(each)
    return list(runs.values())


@pytest.mark.parametrize(
    ("name", "ends", "end"),
    [
        ("sim/u-shape?edge=0.9&middle=0.5", 0.4, 0.0),
        ("sim/recency?near=0.9&far=0.4", 0.25, 0.5),
        ("sim/primacy?near=0.9&far=0.4", 0.25, -0.5),
        ("sim/u-shape?edge=0.6&middle=0.6", 0.0, 0.0),
    ],
)
def test_the_effect_of_depth_comes_back_with_its_sign_and_inside_its_interval(
    single: Plan, name: str, ends: float, end: float
) -> None:
    """`ends`: the two ends less what is between them; `end`: the end less the beginning. In thirty runs."""
    runs = dealt(score_needles(answers(single, name)), 20)
    assert len(runs) == 30
    for pair, planted in ((("ends", "middle"), ends), (("end", "beginning"), end)):
        intervals = [mean_interval(depth_differences(run)[pair], seed=1, least=-1, most=1) for run in runs]
        found = [interval for interval in intervals if interval is not None]
        covered = sum(interval.low <= planted <= interval.high for interval in found)
        assert covered >= scipy_stats.binom.ppf(0.001, 30, 0.92)  # the bootstrap runs a little short at twenty
        mean = sum(interval.estimate for interval in found) / len(found)
        assert mean == pytest.approx(planted, abs=0.07)


@pytest.mark.parametrize(
    ("name", "clear"),
    [
        ("sim/u-shape?edge=0.95&middle=0.3", {("ends", "middle"): 1}),
        ("sim/recency?near=0.95&far=0.2", {("ends", "middle"): 1, ("end", "beginning"): 1}),
        ("sim/primacy?near=0.95&far=0.2", {("ends", "middle"): 1, ("end", "beginning"): -1}),
        ("sim/perfect", {}),
        ("sim/guesser", {}),
    ],
)
def test_what_is_called_clear_is_what_was_planted(single: Plan, name: str, clear: dict[tuple[str, str], int]) -> None:
    scored = score_needles(answers(single, name, range(40)))
    found = {
        (row["level"], row["base"]): 1 if row["difference"] > 0 else -1
        for row in contrast_rows(scored, seed=1)
        if row["p_holm"] < 0.05
    }
    assert found == clear


def test_the_refuser_refuses_and_has_no_depth(single: Plan) -> None:
    rows = retrieval_rows(score_needles(answers(single, "sim/refuser", range(20))), seed=1)
    assert [(row["rate"], row["refusal"], row["miss"], row["n"]) for row in rows] == [(0.0, 20, 0, 20)] * 5


def test_the_flaky_readers_failures_are_no_wrong_answers(single: Plan) -> None:
    rows = retrieval_rows(score_needles(answers(single, "sim/flaky?fail=0.3", range(100))), seed=1)
    assert all(row["rate"] == 1.0 for row in rows)
    failed, calls = sum(row["error"] for row in rows), sum(row["answers"] for row in rows)
    assert (calls, sum(row["n"] for row in rows)) == (500, 500 - failed)
    assert scipy_stats.binomtest(failed, calls, 0.3).pvalue > 1e-6


def test_where_only_the_distance_counts_the_place_of_the_question_turns_the_curve_round() -> None:
    asked = make_plan(task="single", lengths=(600,), blocks=40, place=("before", "after", "bookend"), controls=())
    scored = score_needles(answers(asked, "sim/distance-only?near=0.98&half=1500"))
    rows = contrast_rows(scored, seed=1)
    ends = {row["place"]: row for row in rows if row["factor"] == "depth" and row["level"] == "end"}
    assert ends["after"]["low"] > 0
    assert ends["before"]["high"] < 0
    assert ends["bookend"]["p_holm"] > 0.05
    places = {(row["level"], row["base"]): row for row in rows if row["factor"] == "place"}
    assert places["bookend", "after"]["difference"] > 0
    assert places["bookend", "after"]["p_holm"] < 0.05
    assert places["before", "after"]["p_holm"] > 0.05


def test_a_longer_text_is_farther_away() -> None:
    asked = make_plan(task="single", lengths=(100, 1200), depths=(0, 50), blocks=40, controls=("short",))
    scored = score_needles(answers(asked, "sim/distance-only?near=0.98&half=1500"))
    (row,) = [row for row in contrast_rows(scored, seed=1) if row["factor"] == "length_tokens"]
    assert (row["level"], row["base"], row["declared"]) == (1200, 100, True)
    assert row["high"] < 0
    (short,) = control_rows(scored, seed=1)
    assert "missed because of them" in control_sentences(short)[0]


# ------------------------------------------------------------------------------------------------------ controls

COMMON = """
[[needle]]
needle = "The capital of France is Paris."
question = "What is the capital of France?"
answer = "Paris"

[[needle]]
needle = "The capital of Peru is Lima."
question = "What is the capital of Peru?"
answer = "Lima"

[[needle]]
needle = "The keeper of Holvick is Anselm Rook."
question = "What is the keeper of Holvick?"
answer = "Anselm Rook"
"""


def test_the_world_knowledge_reader_is_exposed_by_the_closed_book(tmp_path: Path) -> None:
    """Two of three needles are common knowledge: in the text all are answered, without it these two are."""
    path = tmp_path / "needles.toml"
    path.write_text(COMMON, encoding="utf-8")
    asked = make_plan(task="single", needles=path, blocks=12, lengths=(200,), controls=("closed-book",))
    scored = score_needles(answers(asked, "sim/world-knowledge"))
    assert all(row["rate"] == 1.0 for row in retrieval_rows(scored, seed=1))
    (row,) = control_rows(scored, seed=1)
    assert (row["right"], row["n"]) == (2, 3)  # each needle is asked for once
    assert "Answered 2 of 3 without the text: the text is not what answers" in control_sentences(row)[0]
    retrieval = retrieval_rows(scored, seed=1, known=known_items(scored))
    assert all(row["known"] == 8 for row in retrieval)


def test_a_reader_that_reads_knows_nothing_without_the_text() -> None:
    asked = make_plan(task="single", blocks=10, controls=("closed-book", "short", "absent"))
    scored = score_needles(answers(asked, "sim/perfect"))
    rows = {row["control"]: row for row in control_rows(scored, seed=1)}
    assert rows["closed-book"]["right"] == 0
    assert rows["short"]["rate"] == rows["absent"]["rate"] == 1.0
    assert known_items(scored) == set()


def test_the_guesser_finds_a_single_needle_and_the_absent_key_gives_it_away() -> None:
    asked = make_plan(task="single", blocks=10, controls=("absent",))
    scored = score_needles(answers(asked, "sim/guesser"))
    assert all(row["rate"] == 1.0 for row in retrieval_rows(scored, seed=1))
    (row,) = control_rows(scored, seed=1)
    assert row["given_planted"] == row["n"] == 10
    assert "no finds" in control_sentences(row)[0]


def test_log_probabilities_find_the_reader_and_expose_the_guesser() -> None:
    asked = make_plan(blocks=10, measure=("likelihood",), controls=("absent",))
    reader = likelihood_rows(answers(asked, "sim/perfect"), seed=1)
    guesser = likelihood_rows(answers(asked, "sim/guesser"), seed=1)
    assert [row["n"] for row in reader] == [10] * 6
    assert all(row["lift_low"] > 0 and row["likeliest_rate"] == 1.0 for row in reader)
    assert guesser[-1]["lift_nats"] == pytest.approx(0.0)  # over all depths: asked or not is the same to it
    assert [row["likeliest_rate"] for row in guesser[:5]] == [0.0, 0.0, 0.0, 0.0, 1.0]
