"""What a run may cost: the account by itself, and runs that end where the limit is."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from probes.budget import Amount, Budget, usd
from probes.models.base import Completion, Request, Traits, Transient, Usage
from probes.prices import Price
from probes.standing import Progress
from probes.store import Store
from tests.probes.runner_helpers import ScriptedModel, plan_of, run
from tokenizer.errors import UsageError

PRICE = Price(Decimal(1), Decimal(10), date="2026-01-01", source="a test")
TEXTS = [f"question number {number}" for number in range(40)]  # 3 tokens by the model's count


class PaidModel(ScriptedModel):
    """Three tokens in, `answer_tokens` out; a test says what they cost."""

    answer_tokens = 8
    usage_is_told = True

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        usage = Usage(3, self.answer_tokens) if self.usage_is_told else Usage()
        return Completion(completion.text, "stop", usage)


@pytest.fixture(autouse=True)
def prices(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Price | None]:
    """Prices by the models' names, in place of the price list."""
    found: dict[str, Price | None] = {"fake/one": PRICE, "fake/unknown": None}
    monkeypatch.setattr("probes.lanes.price_of", lambda model: found[model.name])
    return found


# ------------------------------------------------------------------------------------------------- the account


def test_what_is_set_aside_keeps_others_out_until_it_is_settled() -> None:
    async def steps() -> None:
        budget = Budget(max_nano_usd=100)
        order: list[str] = []

        async def first() -> None:
            async with budget.reserved(Amount(80, 1)) as reservation:
                assert reservation
                order.append("first sent")
                await asyncio.sleep(0.001)
                reservation.settle(30, 1)
                order.append("first answered")

        async def second() -> None:
            await asyncio.sleep(0)
            async with budget.reserved(Amount(70, 1)) as reservation:
                assert reservation
                order.append("second sent")
                reservation.settle(70, 1)

        await asyncio.gather(first(), second())
        assert order == ["first sent", "first answered", "second sent"]
        assert budget.spent_nano_usd == 100
        async with budget.reserved(Amount(1, 1)) as reservation:
            assert reservation is None

    asyncio.run(asyncio.wait_for(steps(), 5))


def test_a_call_that_failed_gives_back_what_was_set_aside_and_a_doubtful_one_does_not() -> None:
    async def steps() -> None:
        budget = Budget(max_nano_usd=100, max_tokens=50)
        async with budget.reserved(Amount(90, 10)):
            pass
        assert (budget.spent_nano_usd, budget.maybe_nano_usd) == (0, 0)
        async with budget.reserved(Amount(90, 10)) as reservation:
            assert reservation
            reservation.leave_open()
        assert (budget.spent_nano_usd, budget.maybe_nano_usd, budget.maybe_tokens) == (0, 90, 10)
        async with budget.reserved(Amount(11, 1)) as reservation:
            assert reservation is None
        assert "up to $0.0000000900 more may have been billed" in budget.refusal("a/b", Amount(11, 1))
        async with budget.reserved(Amount(0, 41)) as reservation:
            assert reservation is None

    asyncio.run(asyncio.wait_for(steps(), 5))


@pytest.mark.parametrize(
    ("nano_usd", "words"),
    [(0, "$0.00"), (1_234_000_000, "$1.23"), (12_345_678_000_000, "$12,345.68"), (99_000_000, "$0.0990"),
     (31_260, "$0.0000313"), (1, "$0.00000000100"), (250_000, "$0.000250")],
)  # fmt: skip
def test_money_is_written_so_that_small_amounts_can_be_seen(nano_usd: int, words: str) -> None:
    assert usd(nano_usd) == words


# --------------------------------------------------------------------------------------------------------- runs


def test_a_run_ends_before_it_has_cost_more_than_it_may(store: Store) -> None:
    """Each call costs 3 * 1000 + 8 * 10_000 = 83,000 nano-dollars, and no more can be set aside for it."""
    model = PaidModel(traits=Traits(window=1000), pause=lambda: asyncio.sleep(0.001))
    summary = run(store, plan_of(*TEXTS), model, jobs=8, max_cost_nano_usd=1_000_000)
    spent = store.spent(store.find_run("latest").id)
    assert summary.done == len(model.calls) == 12
    assert (summary.missing, summary.failed) == (28, 0)
    assert spent.known_nano_usd == 12 * 83_000
    assert summary.stopped == (
        "the next call of fake/one may cost up to $0.0000840, and $0.000996 of --max-cost $0.00100 are spent"
    )


def test_calls_in_flight_together_cannot_go_beyond_the_limit(store: Store) -> None:
    """The answers turn out cheaper than the most that was set aside, so more fit than at first sight."""
    model = PaidModel(traits=Traits(window=1000), pause=lambda: asyncio.sleep(0.001))
    model.answer_tokens = 1
    seen: list[Progress] = []
    limit = 200_000
    summary = run(store, plan_of(*TEXTS), model, jobs=8, max_cost_nano_usd=limit, on_progress=seen.append)
    assert summary.stopped
    assert model.most_at_once == 2  # two at 83,000 fit, three do not
    assert max(one.spent_nano_usd for one in seen) <= limit
    assert summary.done == len(model.calls) == 9  # at 13,000 each; the tenth might have cost 83,000
    assert seen[-1].spent_nano_usd == 9 * 13_000


def test_the_limit_is_for_the_whole_run_and_can_be_raised(store: Store) -> None:
    plan, model = plan_of(*TEXTS), PaidModel(traits=Traits(window=1000))
    assert run(store, plan, model, max_cost_nano_usd=500_000).done == 6
    again = run(store, plan, model, max_cost_nano_usd=500_000)
    assert (again.done, len(model.calls)) == (6, 6)
    assert "$0.000498 of --max-cost $0.000500 are spent" in str(again.stopped)
    assert run(store, plan, model, max_cost_nano_usd=1_000_000).done == 12
    assert run(store, plan, model).stopped is None
    assert len(model.calls) == 40
    assert len(store.runs()) == 1


def test_tokens_can_be_limited_too(store: Store) -> None:
    model = PaidModel(traits=Traits(window=1000))
    summary = run(store, plan_of(*TEXTS), model, max_tokens_total=100)
    assert summary.done == 9
    assert summary.stopped == (
        "the next call of fake/one may take about 12 tokens, and 99 of --max-tokens-total 100 are used"
    )


def test_a_model_whose_price_is_unknown_is_refused_or_left_out_of_the_sum(store: Store) -> None:
    model = PaidModel("fake/unknown", traits=Traits(window=1000))
    with pytest.raises(UsageError, match="nobody knows what fake/unknown costs") as caught:
        run(store, plan_of(*TEXTS), model, max_cost_nano_usd=1)
    assert "--allow-unpriced" in str(caught.value.hint)
    assert model.calls == []
    seen: list[Progress] = []
    allowed = {"max_cost_nano_usd": 1, "allow_unpriced": True, "on_progress": seen.append}
    assert run(store, plan_of(*TEXTS), model, **allowed).done == 40
    spent = store.spent(store.find_run("latest").id)
    assert (spent.known_nano_usd, spent.unknown_calls) == (0, 40)
    assert (seen[-1].spent_nano_usd, seen[-1].unpriced) == (0, 40)


def test_what_a_server_does_not_tell_counts_at_its_most(store: Store) -> None:
    model = PaidModel(traits=Traits(window=1000))
    model.usage_is_told = False
    summary = run(store, plan_of(*TEXTS), model, max_cost_nano_usd=1_000_000)
    assert summary.done == len(model.calls) == 11
    assert "more may have been billed" in str(summary.stopped)


def test_failures_that_may_have_been_billed_are_told_apart(store: Store) -> None:
    class StatusError(Exception):
        status_code = 503

    def script(question: str, call: int) -> Exception | None:
        if call > 1:
            return None
        error = Transient("broke")
        if question == TEXTS[1]:
            error.__cause__ = StatusError()
        return error if question in TEXTS[:2] else None

    run(store, plan_of(*TEXTS), PaidModel(traits=Traits(window=1000), script=script), max_cost_nano_usd=10**9)
    spent = store.spent(store.find_run("latest").id)
    assert spent.known_nano_usd == 40 * 83_000
    assert 83_000 <= spent.lost_at_most_nano_usd <= 85_000


def test_prices_and_costs_are_kept_with_each_attempt(store: Store) -> None:
    run(store, plan_of("a b c"), PaidModel())
    (attempt,) = store.attempts(store.find_run("latest").id)
    known: Any = attempt
    assert known.cost_nano_usd == 83_000
    assert '"output_usd":10' in known.price_json
