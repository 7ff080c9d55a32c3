"""Does every prompt fit? By exact counts, and by what the servers of models that cannot count say of other prompts."""

import pytest

from probes.models.base import Completion, ContextTooLong, Request, Traits, Transient, Usage
from probes.prompt_tokens import PromptTokens, prompt_bytes
from probes.store import Store
from tests.probes.runner_helpers import ScriptedModel, ask, attempts, plan_of, run


class NotCounting(ScriptedModel):
    """Cannot count; its answers say that a prompt has a token for every `bytes_a_token` bytes, and 20 of a template."""

    bytes_a_token = 4.0

    async def count_prompt_tokens(self, request: Request) -> int | None:
        self.counted.append(request.messages[-1].content)
        return None

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        tokens = 20 + int(prompt_bytes(request) / self.bytes_a_token)
        return Completion(completion.text, "stop", Usage(input_tokens=tokens))


def texts(*sizes: int) -> list[str]:
    return ["x" * size for size in sizes]


# ----------------------------------------------------------------------------------------------- the estimate


def test_the_estimate_covers_what_was_seen_and_comes_near_to_the_rest() -> None:
    estimate = PromptTokens()
    assert estimate.is_guess
    true = {size: 20 + size // 4 for size in (80, 4_000, 900, 40_000, 200, 16_000)}
    for size, tokens in true.items():
        estimate.saw(size, tokens)
        assert not estimate.is_guess
    assert all(estimate.about(size) >= tokens for size, tokens in true.items())
    for size in (100, 1_000, 10_000, 30_000, 100_000):
        assert 20 + size // 4 <= estimate.most(size) <= 1.05 * (20 + size // 4) + 10


def test_bytes_are_counted_as_they_are_sent() -> None:
    assert prompt_bytes(ask("äb")) == 3
    assert prompt_bytes(ask("\ud800")) == 3


def test_far_too_few_tokens_mean_that_a_prompt_was_cut() -> None:
    estimate = PromptTokens()
    assert estimate.is_cut(40_000, 2_048)
    assert not estimate.is_cut(40_000, 8_000)
    assert not estimate.is_cut(40_000, 40_000)


# ------------------------------------------------------------------------------------------------------- runs


def test_what_surely_fits_needs_no_call_to_tell(store: Store) -> None:
    model = NotCounting(traits=Traits(window=1_000))
    assert run(store, plan_of(*texts(100, 900)), model, jobs=1).done == 2


def test_what_can_surely_not_fit_is_refused_before_anything_is_sent(store: Store) -> None:
    model = NotCounting(traits=Traits(window=1_000))
    with pytest.raises(ContextTooLong, match="the longest prompt has at least 1428 ") as caught:
        run(store, plan_of(*texts(100, 10_000)), model)
    assert "nothing was sent" in str(caught.value.hint)
    assert attempts(store) == []


def test_in_doubt_one_answer_tells_and_it_is_the_longest_that_surely_fits(store: Store) -> None:
    model = NotCounting(traits=Traits(window=1_000))
    plan = plan_of(*texts(100, 2_000, 4_500, 300))
    with pytest.raises(ContextTooLong, match="the longest prompt has about 11") as caught:
        run(store, plan, model)
    assert "one trial was sent" in str(caught.value.hint)
    assert [len(call) for call in model.calls] == [2_000]
    assert attempts(store) == [("ok", None)]

    generous = NotCounting("fake/two", traits=Traits(window=1_000))
    generous.bytes_a_token = 5.5
    assert run(store, plan, generous).done == 4
    assert len(generous.calls[0]) == 2_000


def test_a_count_that_fails_for_a_time_is_estimated(store: Store) -> None:
    class Failing(ScriptedModel):
        async def count_prompt_tokens(self, request: Request) -> int | None:
            raise Transient("no answer")

    assert run(store, plan_of("a", "b"), Failing(traits=Traits(window=1_000))).done == 2


def test_a_server_that_cuts_prompts_is_noticed(store: Store) -> None:
    said: list[str] = []
    model = NotCounting()
    model.bytes_a_token = 40.0
    assert run(store, plan_of(*texts(*(4_000 + number for number in range(8)))), model, say=said.append).done == 8
    (warning,) = said
    assert warning.startswith("warning: fake/one says that it has read 12")
    assert "--window" in warning
