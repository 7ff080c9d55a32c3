"""What a plan is said to take is what it takes: against brute force, and against what a run then really used."""

import asyncio
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from probes.detectable import detectable_differences, detectable_sentence
from probes.dispatch import dispatch_order, rendered
from probes.estimate import ALL, common_length, estimate
from probes.experiments.placement import PlacementOptions, plan_placement
from probes.models.base import Completion, Message, Request, Traits, Usage
from probes.plan import Plan, PlannedTrial
from probes.power import planned_difference
from probes.prices import Price
from probes.runner import run_plan
from probes.store import Store
from tests.probes.needle_answers import cell_of
from tokenizer import load_tokenizer
from tokenizer.errors import UserError

PRICE = Price(Decimal(3), Decimal(15), date="2026-11-01", source="made up")
LINES = "The clerk wrote down what the harbour master said about the tide that morning. "


class Counted:
    """A model with a token for each five bytes and an answer of seven; `counts`: it says so before it is paid."""

    def __init__(self, name: str = "fake/counted", *, counts: bool = False, traits: Traits | None = None) -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}
        self.traits = traits or Traits(free=counts)
        self.counts = counts
        self.closed = 0
        self.calls = 0

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        usage = Usage(input_tokens=self._tokens(request), output_tokens=7)
        return Completion("It is 48213.", "stop", usage=usage, latency_s=0.5)

    async def count_prompt_tokens(self, request: Request) -> int | None:
        return self._tokens(request) if self.counts else None

    async def aclose(self) -> None:
        self.closed += 1

    def _tokens(self, request: Request) -> int:
        return sum(len(message.content.encode()) for message in request.messages) // 5


def needle_plan(
    blocks: int = 6, places: tuple[str, ...] = ("after", "before"), depths: tuple[float, ...] = (0.5,)
) -> Plan:
    """Questions about one text a block, after it or before it."""
    trials = []
    for block in range(blocks):
        text = f"Text {block}. " + LINES * 12
        for place in places:
            for depth in depths:
                question = f"What is the passcode for Brenmoor {depth}?"
                prompt = f"{text}\n\n{question}" if place == "after" else f"{question}\n\n{text}"
                cell = cell_of(block=block, place=place, depth=depth)
                trials.append(PlannedTrial(block, Request((Message("user", prompt),), max_tokens=20), cell))
    return Plan("needle", {"seed": 3, "ruler": "small"}, tuple(trials))


def alike(one: str, other: str) -> int:
    """The common beginning, character by character."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def run(store: Store, plan: Plan, model: Counted) -> None:
    begun = store.begin_run(plan, [model])
    asyncio.run(run_plan(store, begun, begun.plan, [model]))


def test_prompt_tokens_are_those_of_the_ruler_where_nothing_else_is_known(path: Path) -> None:
    plan = needle_plan()
    found = estimate(plan, [Counted()], path, prices=lambda _: PRICE).models[0]
    ruler = load_tokenizer("small")
    counted = sum(ruler.count(trial.request.messages[0].content) for trial in plan.trials)
    assert found.counted_by == "the ruler small"
    assert found.total.prompt_tokens == pytest.approx(counted, rel=0.02)
    assert found.total.answer_tokens == 12 * 20
    assert (found.total.trials, found.total.answered) == (12, 0)
    assert not path.exists()


def test_a_model_that_runs_here_counts_for_itself_and_is_given_back(path: Path) -> None:
    plan, model = needle_plan(), Counted(counts=True)
    found = estimate(plan, [model], path, prices=lambda _: PRICE).models[0]
    assert found.counted_by == "the model's own count"
    counted = sum(len(trial.request.messages[0].content) // 5 for trial in plan.trials)
    assert found.total.prompt_tokens == pytest.approx(counted, rel=0.02)
    assert model.closed >= 1
    assert model.calls == 0


def test_earlier_answers_cost_nothing_and_say_how_long_prompts_answers_and_calls_are(path: Path) -> None:
    plan, model = needle_plan(blocks=8), Counted()
    first = Plan(plan.probe, plan.spec, plan.trials[:4])
    with Store.open(path) as store:
        run(store, first, model)
    before = hashlib.sha256(path.read_bytes()).digest()
    found = estimate(plan, [model], path, prices=lambda _: PRICE, jobs=1).models[0]
    assert hashlib.sha256(path.read_bytes()).digest() == before
    pending = plan.trials[4:]
    counted = sum(len(trial.request.messages[0].content) // 5 for trial in pending)
    assert (found.total.trials, found.total.answered) == (16, 4)
    assert found.counted_by == "the model's own count"
    assert found.total.prompt_tokens == pytest.approx(counted, rel=0.02)
    assert found.total.seconds == pytest.approx(12 * 0.5)
    usual = counted * 3_000 + 12 * 7 * 15_000  # in nano-dollars
    assert found.total.cost_about_nano_usd == pytest.approx(usual, rel=0.02)
    assert found.total.cost_most_nano_usd is not None
    assert usual < counted * 3_000 + 12 * 20 * 15_000 <= found.total.cost_most_nano_usd < 1.2 * usual + 12 * 20 * 15_000
    anew = estimate(plan, [model], path, prices=lambda _: PRICE, fresh=True).models[0]
    assert anew.total.answered == 0


def test_a_run_costs_no_more_than_was_said(path: Path) -> None:
    plan, model = needle_plan(), Counted()
    most = estimate(plan, [model], path, prices=lambda _: PRICE).models[0].total.cost_most_nano_usd
    spent = sum(model._tokens(trial.request) * 3_000 + trial.request.max_tokens * 15_000 for trial in plan.trials)
    assert most is not None
    assert spent <= most


def test_an_unknown_price_is_unknown_and_a_free_model_costs_nothing(path: Path) -> None:
    plan = needle_plan()
    unknown = estimate(plan, [Counted()], path, prices=lambda _: None).models[0].total
    assert (unknown.cost_most_nano_usd, unknown.cost_about_nano_usd, unknown.seconds) == (None, None, None)
    free = estimate(plan, [Counted(counts=True)], path).models[0].total
    assert free.cost_most_nano_usd == 0


def test_the_arms_add_up_to_the_whole(path: Path) -> None:
    found = estimate(needle_plan(), [Counted()], path, prices=lambda _: PRICE).models[0]
    assert [share.arm for share in found.shares] == ["after", "before"]
    assert found.total.arm == ALL
    for name in ("trials", "prompt_tokens", "answer_tokens", "cost_most_nano_usd"):
        assert sum(getattr(share, name) for share in found.shares) == getattr(found.total, name)


def test_what_the_order_lets_calls_share_is_what_their_prompts_have_in_common(path: Path) -> None:
    plan = needle_plan(blocks=3, depths=(0.0, 0.5, 1.0))
    traits = Traits(shares_prefixes=True, max_concurrency=1, free=True)
    found = estimate(plan, [Counted(counts=True, traits=traits)], path).models[0]
    texts = [rendered(plan.trials[index].request) for index in dispatch_order(plan.trials, traits, 3)]
    common = sum(alike(one, other) for one, other in pairwise(texts))
    whole = sum(len(text) for text in texts)
    assert found.total.shared_tokens is not None
    assert found.total.shared_tokens / found.total.prompt_tokens == pytest.approx(common / whole, rel=0.02)
    after, before = found.shares
    assert after.shared_tokens is not None
    assert before.shared_tokens is not None
    assert after.shared_tokens > 0.5 * after.prompt_tokens  # two of three calls find the text computed
    assert before.shared_tokens < 0.1 * before.prompt_tokens


@pytest.mark.parametrize(("one", "other"), [("", ""), ("a", ""), ("needle", "needy"), ("same", "same"), ("x", "y")])
def test_common_beginnings(one: str, other: str) -> None:
    assert common_length(one, other) == alike(one, other)


def test_a_file_that_is_no_store_is_refused(path: Path) -> None:
    path.write_text("not a database at all, but notes " * 50, encoding="utf-8")
    with pytest.raises(UserError, match="is not a run store"):
        estimate(needle_plan(), [Counted()], path)


# ---------------------------------------------------------------------------------------------- what can be seen


def test_the_place_of_the_question_can_be_seen_from_so_many_points_on() -> None:
    (found,) = detectable_differences(needle_plan(blocks=40))
    assert (found.blocks, found.answers, found.tests) == (40, 1, 1)
    assert found.difference == planned_difference(40)
    said = detectable_sentence(found)
    assert "with 40 blocks" in said
    assert "before the text against with the question after" in said


def test_depths_of_one_text_are_ends_and_middle() -> None:
    found = {each.contrast: each for each in detectable_differences(needle_plan(40, ("after",), (0.0, 0.5, 1.0)))}
    assert list(found) == ["the two ends against the middle"]


def test_a_plan_that_can_show_nothing_is_told_so() -> None:
    (found,) = detectable_differences(needle_plan(blocks=4))
    assert found.difference is None
    assert "can show no difference at all" in detectable_sentence(found)


def test_the_declared_contrasts_of_a_placement_are_all_there() -> None:
    class Words:
        name, count = "words", staticmethod(lambda text: len(text.split()))

    options = PlacementOptions(lengths=(120,), blocks=12, measure=("coverage",))
    found = list(detectable_differences(plan_placement(options, Words)))  # type: ignore[arg-type]
    assert len(found) == 4
    assert {(each.blocks, each.answers, each.tests) for each in found} == {(12, 10, 4)}
