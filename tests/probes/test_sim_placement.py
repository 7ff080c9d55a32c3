"""Simulated readers at whole placement experiments: every arm, framing and task, and just the bias that each says."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from probes.experiments.common import Ruler
from probes.experiments.placement import ARMS, PlacementOptions, plan_placement
from probes.experiments.placement_summary import Summary, read_summary
from probes.models.base import Message, Request, RequestRejected
from probes.models.sim import simulated_model
from probes.models.sim_reading import read
from probes.models.sim_writing import Demands, read_demands, write
from probes.plan import Plan

RULER = Ruler("words", lambda text: len(text.split()))
INSTRUCTED = {"before", "after", "bookend", "system", "reminder", "twice"}
LAST = {"after", "bookend", "twice", "reminder"}
CONTROLS = {"none", "padded-before", "padded-after", "irrelevant-before", "irrelevant-after"}
FRAMINGS = ("document", "transcript", "chat")


def planned(**options: Any) -> Plan:
    return plan_placement(PlacementOptions(**({"place": ARMS, "lengths": (150,), "blocks": 1} | options)), RULER)


def summaries(name: str, plan: Plan) -> dict[str, list[Summary]]:
    """The written answers of a reader by arm, scored."""
    model, found = simulated_model(name), defaultdict(list)
    for trial in plan.trials:
        if trial.cell["measure"] == "coverage":
            found[trial.cell["arm"]].append(read_summary(model.answer(trial.request), trial))
    return found


def coverage(found: Iterable[Summary]) -> float:
    return float(np.mean([each.coverage for each in found]))


def margins(name: str, plan: Plan) -> dict[str, float]:
    """The mean over facts of log p(right) - log p(another), by arm."""
    model, logprobs = simulated_model(name), defaultdict(list)
    for trial in plan.trials:
        if trial.cell["measure"] == "margin":
            (token,) = model.answer(trial.request).logprobs or ()
            sign = 1 if trial.cell["asked"] == trial.cell["offered"] else -1 / (len(trial.cell["names"]) - 1)
            logprobs[trial.cell["arm"]].append(sign * token.logprob)
    return {arm: sum(values) / 10 / len({trial.block for trial in plan.trials}) for arm, values in logprobs.items()}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("task", ["summary", "focused", "format", "extraction"])
def test_a_perfect_reader_keeps_every_fact_and_every_constraint(framing: str, task: str) -> None:
    facts = "typed" if task in ("summary", "format") else "plain"
    found = summaries("sim/perfect", planned(framing=framing, facts=facts, task=task, measure=("coverage",)))
    assert set(found) == set(ARMS)
    for arm, (answer,) in found.items():
        assert answer.coverage == (0.0 if arm.startswith("irrelevant") else 1.0), arm
        if arm in INSTRUCTED:
            assert answer.is_summary
            assert len(answer.constraints) == (5 if task == "format" else 0)
            assert all(answer.constraints.values()), arm
        elif task == "format":
            assert not all(answer.constraints.values()), arm  # nobody asked for that form


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("reader", "keeping"),
    [
        ("last-instruction", LAST),
        ("any-instruction", INSTRUCTED | {"irrelevant-before", "irrelevant-after"}),
        ("even?rate=1", set(ARMS)),
    ],
)
def test_what_is_kept_depends_on_where_the_instruction_stands_as_each_reader_says(
    framing: str, reader: str, keeping: set[str]
) -> None:
    plan = planned(framing=framing, task="focused" if framing == "document" else "format")
    found, held = summaries(f"sim/{reader}", plan), margins(f"sim/{reader}", plan)
    assert {arm for arm, (answer,) in found.items() if answer.coverage == 1} == keeping
    assert {arm for arm, (answer,) in found.items() if answer.coverage == 0} == set(ARMS) - keeping
    assert {arm for arm, value in held.items() if value > 1} == keeping
    assert all(value == pytest.approx(0) for arm, value in held.items() if arm not in keeping)


def test_an_instruction_that_is_obeyed_in_part_has_the_rates_that_are_asked_for() -> None:
    plan = planned(place=("before", "after"), blocks=60, measure=("coverage",))
    found = summaries("sim/last-instruction?rate=0.8&otherwise=0.3", plan)
    error = math.sqrt(0.25 / 600)
    assert coverage(found["after"]) == pytest.approx(0.8, abs=3 * error)
    assert coverage(found["before"]) == pytest.approx(0.3, abs=3 * error)


def test_distance_to_the_answer_is_the_same_for_an_instruction_and_for_neutral_words() -> None:
    plan = planned(measure=("margin",))
    held = margins("sim/distance-only?near=0.9&half=300&to_answer=1", plan)
    assert held["after"] == pytest.approx(held["padded-after"])
    assert held["after"] == pytest.approx(held["irrelevant-after"])
    assert held["before"] == pytest.approx(held["none"])
    assert held["after"] < held["none"]  # it pushes the text away
    asked = margins("sim/distance-only?near=0.9&half=300", plan)
    assert asked["after"] == pytest.approx(asked["irrelevant-after"])
    assert asked["bookend"] > asked["after"]


def test_a_document_given_twice_is_told_once_and_draws_no_second_lot_for_a_constant_reader() -> None:
    plan = planned(place=("after", "twice"), blocks=60, measure=("coverage",))
    found = summaries("sim/even?rate=0.5", plan)
    assert coverage(found["twice"]) == pytest.approx(0.5, abs=3 * math.sqrt(0.25 / 600))
    (answer,) = summaries("sim/perfect", planned(place=("twice",), measure=("coverage",)))["twice"]
    assert (answer.coverage, answer.repeated) == (1.0, 0.0)


def test_verbose_says_more_facts_and_more_words_where_the_instruction_comes_last() -> None:
    plan = planned(place=("before", "after"), blocks=40)
    found = summaries("sim/verbose?rate=0.5&more=0.3&words=40", plan)
    assert coverage(found["after"]) - coverage(found["before"]) == pytest.approx(0.3, abs=3 * math.sqrt(0.5 / 400))
    held = margins("sim/verbose?rate=0.5&more=0.3", plan)
    assert held["after"] == pytest.approx(held["before"])
    only_words = summaries("sim/verbose?rate=0.5&more=0&words=40", plan)
    assert coverage(only_words["after"]) == pytest.approx(0.5, abs=3 * math.sqrt(0.25 / 400))
    words = {arm: np.mean([each.words for each in answers]) for arm, answers in only_words.items()}
    assert 35 <= words["after"] - words["before"] <= 60


def test_flaky_late_fails_its_shares_of_the_prompts_and_the_same_ones_again() -> None:
    plan = planned(place=("before", "after"), blocks=100, measure=("coverage",))

    def failed() -> dict[str, list[int]]:
        model, blocks = simulated_model("sim/flaky-late?early=0.1&late=0.5"), defaultdict(list)
        for trial in plan.trials:
            try:
                model.attempt(trial.request)
            except RequestRejected:
                blocks[trial.cell["arm"]].append(trial.block)
        return blocks

    found = failed()
    assert found == failed()
    assert len(found["before"]) == pytest.approx(10, abs=9)
    assert len(found["after"]) == pytest.approx(50, abs=15)


def test_documents_differ_by_as_much_as_spread_and_noise_say() -> None:
    """The log-odds of a rate can be read off a margin: exp(margin) = 1 + 10 a / (1 - a), with a = 0.98 rate."""
    plan = planned(place=("before", "after"), blocks=100, measure=("margin",))

    def log_odds(name: str) -> dict[str, list[float]]:
        model, found = simulated_model(name), defaultdict(list)
        for trial in plan.trials:
            if trial.cell["asked"] == trial.cell["offered"] == 0:
                (token,) = model.answer(trial.request).logprobs or ()
                available = (math.exp(token.logprob) - 0.1) / 0.9
                found[trial.cell["arm"]].append(math.log(available / 0.98 / (1 - available / 0.98)))
        return found

    both = log_odds("sim/even?rate=0.5&spread=0.6&noise=0.8")
    assert np.std(both["before"], ddof=1) == pytest.approx(1.0, abs=3 / math.sqrt(2 * 100))
    assert np.corrcoef(both["before"], both["after"])[0, 1] == pytest.approx(0.36, abs=0.3)
    spread = log_odds("sim/even?rate=0.5&spread=0.6")
    assert spread["before"] == pytest.approx(spread["after"])  # a document is as hard in every arm
    assert np.std(spread["before"], ddof=1) == pytest.approx(0.6, abs=3 * 0.6 / math.sqrt(2 * 100))


def test_each_constraint_can_be_followed_or_not() -> None:
    plan = planned(task="format", place=("after",), blocks=40, measure=("coverage",))
    followed = [each.constraints for each in summaries("sim/perfect?follows=0.5", plan)["after"]]
    for name in ("bullets", "most_words", "required", "forbidden", "closing"):
        assert 8 <= sum(constraints[name] for constraints in followed) <= 32
    never = [each.constraints for each in summaries("sim/perfect?follows=0", plan)["after"]]
    assert not any(value for constraints in never for value in constraints.values())


def test_demands_are_read_from_the_instruction_and_written_into_the_answer() -> None:
    asked = (
        'Summarise it in exactly 2 bullet points and in at most 30 words. Use the words "first" and "last", do not use '
        'the word "very", and close with the line "Done."'
    )
    demands = read_demands(asked)
    assert demands == Demands(2, 30, ("first", "last"), ("very",), "Done.")
    assert write(["It rained.", "It froze.", "It thawed."], demands) == (
        "- First: Last: It rained. It froze.\n- It thawed.\nDone."
    )
    assert write(["It rained."] * 40, demands).count("It rained.") == 13  # 28 words, two of them required, one to close
    assert write([], Demands(bullets=2)) == "- Nothing stands out.\n- Nothing stands out."


def test_a_conversation_is_read_from_both_sides_and_a_question_in_it_is_no_task() -> None:
    turns = (
        Message("user", "What is the capital of France?"),
        Message("assistant", "The quota for Brenmoor is 48."),
        Message("user", "I see.\n\nSummarise the conversation, and keep every quota."),
    )
    reading, stem = read(turns)
    assert stem is None
    assert [found.value for found in reading.facts] == ["48"]
    assert simulated_model("sim/perfect").answer(Request(turns, max_tokens=50)).text == "The quota for Brenmoor is 48."


def test_a_text_without_facts_of_the_known_form_is_told_by_its_sentences_with_a_number() -> None:
    text = "It rained. The north gate was shut in 1911. Nobody came.\n\nSummarise the text in at most 3 sentences."
    answer = simulated_model("sim/perfect").answer(Request((Message("user", text),), max_tokens=50))
    assert answer.text == "The north gate was shut in 1911."


@pytest.mark.parametrize(
    ("question", "sentence", "right"),
    [
        ("What is the parrot called?", "The parrot is called Ezekiel.", "Ezekiel"),
        ("What is the name of the ferryman's dog?", "The ferryman's dog has the name Brutus.", "Brutus"),
        ("What is the capital of Norland?", "Everybody knows that Holm is the capital of Norland.", "Holm"),
    ],
)
def test_a_needle_in_the_users_own_words_is_found_by_them(question: str, sentence: str, right: str) -> None:
    filler = "A calm morning passed without any news. " * 5
    prompt = f"{filler}{sentence} {filler}\n\n{question}"
    model = simulated_model("sim/perfect")
    assert right in model.answer(Request((Message("user", prompt),), max_tokens=50)).text
    without = model.answer(Request((Message("user", prompt.replace(sentence, "")),), max_tokens=50))
    assert without.text == "It is not in the text."
    messages = (Message("user", prompt), Message("assistant", "The answer is"))
    (held,), (other,) = (
        model.answer(Request(messages, continuation=f" {value}")).logprobs or () for value in (right, "Nobody")
    )
    assert held.logprob > other.logprob + 1


def test_parameters_that_came_later_change_the_identity_only_where_they_are_used() -> None:
    assert simulated_model("sim/last-instruction").identity == {"adapter": "sim/2", "model": "last-instruction"}
    assert simulated_model("sim/last-instruction?rate=1").identity == {"adapter": "sim/2", "model": "last-instruction"}
    assert simulated_model("sim/last-instruction?rate=0.9").identity["rate"] == 0.9
    assert "to_answer" not in simulated_model("sim/distance-only").identity
    assert simulated_model("sim/perfect?noise=0.5").identity["noise"] == 0.5
