"""The order in which trials are sent."""

import asyncio
import itertools
import random

from probes.dispatch import dispatch_order, rendered, shared_prefix
from probes.models.base import Completion, Message, Request, RequestRejected, Traits
from probes.plan import Plan
from probes.store import Store
from tests.probes.runner_helpers import PLAN, ScriptedModel, last_results, plan_of, run


def test_dispatch_keeps_blocks_together_and_shuffles_inside_them() -> None:
    plan = plan_of(*(f"question {number}" for number in range(60)), per_block=20)
    order = dispatch_order(plan.trials, Traits(), 1)
    assert sorted(order) == list(range(60))
    assert [plan.trials[index].block for index in order] == [0] * 20 + [1] * 20 + [2] * 20
    inside = [[index % 20 for index in order[start : start + 20]] for start in (0, 20, 40)]
    assert all(one != sorted(one) for one in inside)
    assert inside[0] != inside[1]
    assert order == dispatch_order(plan.trials, Traits(), 1)
    assert order != dispatch_order(plan.trials, Traits(), 2)


def prefix_plan() -> Plan:
    """Two documents in one block, each asked four questions at its end, and two questions put before the first."""
    documents = [" ".join(random.Random(seed).choices("abcdefghij", k=400)) for seed in (1, 2)]
    texts = [f"{documents[number % 2]} question {number // 2}?" for number in range(8)]
    texts += [f"question {number}? {documents[0]}" for number in range(2)]
    return plan_of(*texts, per_block=10)


def test_dispatch_puts_common_beginnings_side_by_side() -> None:
    plan = prefix_plan()
    orders = {tuple(dispatch_order(plan.trials, Traits(shares_prefixes=True), seed)) for seed in range(30)}
    groups = ((0, 2, 4, 6), (1, 3, 5, 7), (8,), (9,))
    for order in orders:
        assert sorted(order) == list(range(10))
        for group in groups:
            start = order.index(group[0])
            assert order[start : start + len(group)] == group
    assert len(orders) > 10  # the groups themselves are shuffled

    # A cache of the last prompt alone: each group costs its first prompt and the differing ends of the others.
    texts = [rendered(trial.request) for trial in plan.trials]
    for order in orders:
        computed = len(texts[order[0]])
        for previous, index in itertools.pairwise(order):
            computed += len(texts[index]) - shared_characters(texts[previous], texts[index])
        assert computed < 4.2 * len(texts[0])


def shared_characters(one: str, other: str) -> int:
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(one))


def test_dispatch_never_mixes_blocks_for_a_shared_beginning() -> None:
    plan = plan_of(*(f"the very same document, question {number}" for number in range(8)), per_block=4)
    order = dispatch_order(plan.trials, Traits(shares_prefixes=True), 3)
    assert [plan.trials[index].block for index in order] == [0] * 4 + [1] * 4


def test_positions_do_not_depend_on_the_order_of_calls(store: Store) -> None:
    model = ScriptedModel()
    run(store, PLAN, model, jobs=1)
    assert model.calls == [f"question {index}" for index in dispatch_order(PLAN.trials, Traits(), 11)]
    assert [one.completion.text for one in last_results(store)] == [f"QUESTION {number}" for number in range(12)]


# ---------------------------------------------------------------------------------------- what prompts have in common


def test_what_requests_share_of_their_last_question_is_counted_in_characters() -> None:
    def asks(*texts: str, system: str = "Be brief.") -> list[Request]:
        return [Request((Message("system", system), Message("user", text)), max_tokens=1) for text in texts]

    assert shared_prefix(asks("the same text: who?", "the same text: why?", "the same text: where?")) == 17
    assert shared_prefix(asks("only one")) == 0
    assert shared_prefix([*asks("the same"), *asks("the same", system="Be long.")]) == 0
    assert shared_prefix(asks("abc", "xyz")) == 0
    assert shared_prefix(asks("abc", "abc")) == 3
    begun = [Request((*request.messages, Message("assistant", "It is"))) for request in asks("a text 1", "a text 2")]
    assert shared_prefix(begun) == 7


class CachingModel(ScriptedModel):
    """Keeps what was read once: a request that shares with one in flight comes too early to profit from it."""

    def __init__(self) -> None:
        super().__init__(traits=Traits(shares_prefixes=True), pause=lambda: asyncio.sleep(0.001))
        self.kept: set[str] = set()
        self.prefixes: list[int] = []
        self.read_anew = 0

    async def complete(self, request: Request) -> Completion:
        text = request.messages[-1].content
        prefix = text[: request.cache_prefix]
        self.prefixes.append(request.cache_prefix)
        self.read_anew += len(text) - (len(prefix) if prefix in self.kept else 0)
        completion = await super().complete(request)
        self.kept.add(prefix)
        return completion


def test_one_of_each_group_goes_ahead_so_that_the_others_find_what_it_left(store: Store) -> None:
    plan, model = prefix_plan(), CachingModel()
    assert run(store, plan, model, jobs=8).done == 10
    assert sorted(model.prefixes) == [0, 0] + [len("a " * 400) - 1 + len(" question ")] * 8
    assert model.most_at_once > 2
    longest = max(len(trial.request.messages[0].content) for trial in plan.trials)
    assert model.read_anew < 4.2 * longest


def test_a_group_whose_first_call_fails_goes_on(store: Store) -> None:
    model = CachingModel()
    model.script = lambda question, _: RequestRejected("no") if question.endswith("0?") else None
    summary = run(store, prefix_plan(), model, jobs=8)
    assert (summary.done, summary.failed) == (8, 2)


def test_what_requests_share_is_no_part_of_what_they_are(store: Store) -> None:
    """The same plan without the cache asks nothing again."""
    run(store, prefix_plan(), CachingModel())
    plain = ScriptedModel()
    assert run(store, prefix_plan(), plain).reused == 10
    assert plain.calls == []
