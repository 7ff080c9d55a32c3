"""The figures of a placement run say what planted readers do."""

import math
from dataclasses import replace

import pytest

from probes.experiments.common import Ruler
from probes.experiments.placement import DEFAULT_ARMS, FACTS, PlacementOptions, plan_placement
from probes.experiments.placement_results import (
    arm_rows,
    continues,
    contrast_rows,
    contrast_sentences,
    decile_rows,
    instructed_summaries,
    manner_sentence,
    margin,
    read_outcomes,
    read_summary,
    verdicts,
)
from probes.models.base import Completion
from probes.models.sim import simulated_model
from probes.plan import Plan, Result

WORDS = Ruler("words", lambda text: len(text.split()))


def plan(**options: object) -> Plan:
    return plan_placement(PlacementOptions(**{"lengths": (120,), "blocks": 6, **options}), WORDS)  # type: ignore[arg-type]


def ask(name: str, asked: Plan) -> list[Result]:
    model = simulated_model(name)
    return [Result(name, str(n), trial, model.answer(trial.request)) for n, trial in enumerate(asked.trials)]


def test_the_margin_is_the_ratio_of_probabilities() -> None:
    assert margin(math.log(0.5), [math.log(0.1), math.log(0.3)]) == pytest.approx(math.log(0.5 / 0.2))
    assert margin(-900.0, [-1000.0, -1000.0]) == pytest.approx(100.0)  # far below what a float's exponent holds


def test_a_planted_rate_comes_out_as_its_margin() -> None:
    """sim/recency notices `near` in the last tenth, whose margin is that of the rate."""
    outcomes = read_outcomes(ask("sim/recency?near=0.8&far=0.2", plan(blocks=2)))
    by_tenth = {row["decile"]: row["margin_nats"] for row in decile_rows(outcomes) if row["arm"] == "none"}

    def expected(rate: float) -> float:
        share = (1 - 0.98 * rate) / FACTS
        return math.log((share + 0.98 * rate) / share)

    assert by_tenth[10] == pytest.approx(expected(0.8))
    assert by_tenth[1] == pytest.approx(expected(0.2))


def test_a_perfect_reader_covers_everything_and_no_contrast_is_clear() -> None:
    outcomes = read_outcomes(ask("sim/perfect", plan(max_tokens=400)))
    rows = arm_rows(outcomes, seed=1)
    assert [row["arm"] for row in rows] == list(DEFAULT_ARMS)
    assert all(row["coverage_rate"] == 1.0 and row["margin_blocks"] == 6 for row in rows)
    contrasts = contrast_rows(outcomes, seed=1)
    for outcome in ("margin_nats", "coverage_rate"):
        rows = [row for row in contrasts if row["outcome"] == outcome]
        sentences = [line for line in contrast_sentences(rows) if line.startswith("The instruction")]
        assert len(sentences) == 4
        assert all("no clear difference" in sentence for sentence in sentences)
    assert "6 are in words of their own" not in manner_sentence(instructed_summaries(outcomes))
    assert "18 are in words of their own" in manner_sentence(instructed_summaries(outcomes))


def test_a_difference_that_is_there_is_named_and_its_blocks_counted() -> None:
    asked = plan(blocks=8, measure=("coverage",))
    better = ask("sim/perfect", asked)
    results = [
        result
        if result.trial.cell["arm"] != "before"
        else Result("sim/perfect", "x", result.trial, Completion("A short text about a village by the sea.", "stop"))
        for result in better
    ]
    rows = [row for row in contrast_rows(read_outcomes(results), seed=1) if row["outcome"] == "coverage_rate"]
    by_arm = {(row["arm"], row["control"]): row for row in rows}
    assert by_arm["before", "padded-before"]["difference"] == -by_arm["after", "before"]["difference"] == -1.0
    sentences = " ".join(contrast_sentences(rows))
    assert "The instruction before the text, against neutral words there: less coverage" in sentences
    assert "The instruction after the text, against before it: more coverage" in sentences


def test_a_missing_call_takes_its_block_out_of_the_contrast_and_is_no_zero() -> None:
    results = ask("sim/perfect", plan(blocks=3, max_tokens=400))
    broken = [
        Result("sim/perfect", "x", each.trial, None, "transient", "gone")
        if each.trial.block == 0 and each.trial.cell["arm"] == "after"
        else each
        for each in results
    ]
    outcomes = read_outcomes(broken)
    after = next(row for row in arm_rows(outcomes, seed=1) if row["arm"] == "after")
    assert (after["margin_blocks"], after["coverage_blocks"], after["error"]) == (2, 2, 1)
    assert after["coverage_rate"] == 1.0
    blocks = {(row["arm"], row["control"]): row["blocks"] for row in contrast_rows(outcomes, seed=1)}
    assert blocks["after", "padded-after"] == 2
    assert blocks["before", "padded-before"] == 3


def summary(text: str, stop_reason: str = "stop") -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    trial = plan(blocks=1, measure=("coverage",), place=("none",)).trials[0]
    cell = dict(trial.cell) | {"names": ["Brenmoor", "Castelin", "Vashost"], "values": ["47", "12", "30"]}
    found = read_summary(Completion(text, stop_reason), replace(trial, cell=cell))  # type: ignore[arg-type]
    return found.outcome, found.covered, found.misbound


def test_a_value_counts_only_with_its_own_name() -> None:
    assert summary("Brenmoor has 47, and Castelin 13.") == ("hit", (0,), ())
    assert summary("Castelin gets 47. Brenmoor is named.") == ("miss", (), (0,))
    assert summary("There were 47 of them.") == ("miss", (), ())
    assert summary("Brenmoor has 147.") == ("miss", (), ())
    assert summary("I cannot help with that.") == ("refusal", (), ())
    assert summary("Brenmoor has 47 and", "max_tokens") == ("truncated", (0,), ())


def test_copying_and_repeating_are_told_from_summarising() -> None:
    trial = plan(blocks=1, measure=("coverage",), place=("before",)).trials[0]
    document = trial.request.messages[0].content
    copied = read_summary(Completion(document[200:700], "stop"), trial)
    looped = read_summary(Completion("The page says that nothing has been said at all. " * 12, "stop"), trial)
    own = read_summary(Completion("A short text about quotas and some work in a village by the sea.", "stop"), trial)
    assert copied.copied > 0.9
    assert looped.repeated > 0.8
    assert looped.copied < 0.5
    assert own.copied == own.repeated == 0.0
    assert "goes on with the text" in manner_sentence([copied, looped])
    assert "goes on with the text" not in manner_sentence([own, own, copied])
    assert "no summaries that could be compared" in manner_sentence([own])


def test_every_contrast_says_what_its_blocks_can_show() -> None:
    row = {"outcome": "margin_nats", "arm": "after", "control": "before", "blocks": 10, "low": 0.1, "high": 0.9}
    row |= {"difference": 0.5, "p_holm": 0.01, "detectable": 0.412}
    (clear,) = contrast_sentences([row])
    assert "more margin" in clear
    (unclear,) = contrast_sentences([row | {"low": -0.1, "p_holm": 0.2}])
    assert "no clear difference in margin" in unclear
    assert all("10 blocks, which can show 0.41 or more)" in sentence for sentence in (clear, unclear))


@pytest.mark.parametrize(
    ("answer", "continued"),
    [
        ("Ben: It rained.", True),
        ("\n\n **Ana:** It rained.\nBen: So it did.", True),
        ("Benjamin: It rained.", False),
        ("Ana and Ben: a conversation about rain.", False),
        ("Here is a summary.\nAna: the rain.", False),
        ("The quota for Ana: 12.", False),
        ("", False),
    ],
)
def test_a_dialogue_is_continued_where_an_answer_begins_with_a_speaker(answer: str, continued: bool) -> None:
    assert continues(answer, ["Ana", "Ben"]) is continued


def test_continued_dialogues_are_counted_and_kept_by_arm_and_in_transcripts_only() -> None:
    asked = plan(blocks=2, measure=("coverage",), framing="transcript")
    answers = {"before": "Ben: I do not know, and there is no such page.", "none": "Ana: It rained."}
    results = [
        Result("m", str(number), trial, Completion(answers.get(trial.cell["arm"], "Rain, and quotas."), "stop"))
        for number, trial in enumerate(asked.trials)
    ]
    rows = {row["arm"]: row for row in arm_rows(read_outcomes(results), seed=1)}
    assert [rows[arm]["continued"] for arm in DEFAULT_ARMS] == [2, 0, 2, 0, 0, 0]
    assert rows["before"]["refusal"] == 0  # what a speaker declines is no refusal
    assert sum(verdict.detail["continued"] for verdict in verdicts(results)) == 4
    prose = arm_rows(read_outcomes(ask("sim/perfect", plan(blocks=1, measure=("coverage",)))), seed=1)
    assert {row["continued"] for row in prose} == {None}


def test_the_manner_of_answers_to_a_transcript_is_told_by_the_figures() -> None:
    trial = plan(blocks=1, measure=("coverage",), place=("before",), framing="transcript").trials[0]
    transcript = trial.request.messages[0].content.split("<transcript>\n")[1]
    turn = read_summary(Completion("Ben: It has rained.", "stop"), trial)
    copy = read_summary(Completion(transcript[:400], "stop"), trial)
    own = read_summary(Completion("A short talk about quotas and some work in a village.", "stop"), trial)
    most = manner_sentence([turn, copy, own], "a model this small")
    assert "In 2 of 3 answers to the instruction the model went on with the dialogue" in most
    assert "1 of these mostly copy the text word for word" in most
    assert "Of the other 1, 0 mostly copy" in most
    assert "So a model this small continues a dialogue instead of summarising it." in most
    assert "instead of summarising it, mostly by reciting it." in manner_sentence([copy, copy, turn])
    assert "In all 2 answers" in manner_sentence([turn, copy])
    few = manner_sentence([turn, own, own])
    assert "In 1 of 3 answers" in few
    assert "continues a dialogue" not in few
    assert "In none of 1 answers" in manner_sentence([own])
