"""What a plan would take, before anything is asked: trials, tokens, money, time, and what it can show at all.

Nothing is sent, and the run store is only read.
"""

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.detectable import Detectable, detectable_differences
from probes.dispatch import dispatch_order, rendered
from probes.experience import Experience, read_experience
from probes.models.base import Model, Request, Usage
from probes.plan import Plan, PlannedTrial
from probes.prices import Price, cost_nano_usd, most_nano_usd, price_of
from probes.prompt_tokens import PromptTokens, prompt_bytes
from tokenizer import load_tokenizer

SAMPLES = 24  # prompts that are counted; the others are taken to have as many bytes a token
ALL = "all"


@dataclass(frozen=True, slots=True)
class Share:
    """What one part of a plan would take of one model: an arm in one length, or all of it (`arm` is "all").

    `trials` and `answered` (which cost nothing again) are counts; all else is what is still to be asked. Tokens are of
    prompts as `ModelEstimate.counted_by` says; `answer_tokens` at the most. `cost_most_nano_usd`: no cache, full
    answers; `cost_about_nano_usd`: with answers as long as the model's so far. `seconds`: of the model's time, at as
    many calls at once as may be. `shared_tokens`: of the prompts, what the call before has in common, in the order in
    which the model gets them. None is unknown, never nothing.
    """

    arm: str
    length_tokens: int | None
    trials: int
    answered: int
    prompt_tokens: int
    answer_tokens: int
    cost_most_nano_usd: int | None
    cost_about_nano_usd: int | None
    seconds: float | None
    shared_tokens: int | None


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """One model's part. `counted_by`: whose tokens these are, in words; `total` and its parts, `shares`."""

    model: str
    counted_by: str
    total: Share
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One plan for all models, and the smallest differences that it can show (`probes/detectable.py`)."""

    probe: str
    blocks: int
    models: tuple[ModelEstimate, ...]
    detectable: tuple[Detectable, ...]


def estimate(
    plan: Plan,
    models: Sequence[Model],
    store: Path | None,
    *,
    prices: Callable[[Model], Price | None] = price_of,
    jobs: int = 16,
    fresh: bool = False,
) -> Estimate:
    """What the plan would take of each model. `store` is the file of the run store, which need not be there.

    `fresh`: earlier answers are not used. The models are closed; only those on the user's own machine count prompts.

    Raises:
        UserError: the store or the ruler cannot be read.
    """
    known = read_experience(store, plan, models)
    own = asyncio.run(_own_counts(plan, models))
    parts = [
        _estimate_model(plan, model, prices(model), experience, counts, jobs=jobs, fresh=fresh)
        for model, experience, counts in zip(models, known, own, strict=True)
    ]
    blocks = len({trial.block for trial in plan.trials})
    return Estimate(plan.probe, blocks, tuple(parts), tuple(detectable_differences(plan)))


def arm_of(cell: Mapping[str, Any]) -> str:
    """The part of a plan that a trial belongs to: its arm, its control, or where its question stands.

    Example: arm_of({"place": "after", "measure": "likelihood", ...}) -> "after, likelihood"
    """
    arm = cell.get("arm") or cell.get("control") or cell.get("place") or "after"
    measure = cell.get("measure", "answer")
    return str(arm) if measure in ("answer", "coverage") else f"{arm}, {measure}"


async def _own_counts(plan: Plan, models: Sequence[Model]) -> list[dict[int, int]]:
    """For each model that runs here: the tokens of some prompts, by the size of the prompt in bytes."""
    counts: list[dict[int, int]] = []
    for model in models:
        found: dict[int, int] = {}
        try:
            for request in _samples(plan.trials) if model.traits.free else ():
                tokens = await model.count_prompt_tokens(request)
                if tokens is None:
                    break
                found[prompt_bytes(request)] = tokens
        finally:
            await model.aclose()
        counts.append(found)
    return counts


def _samples(trials: Sequence[PlannedTrial]) -> list[Request]:
    """Some of the prompts, from the shortest to the longest."""
    by_size = sorted({prompt_bytes(trial.request): trial.request for trial in trials}.items())
    step = max(1, (len(by_size) - 1) // (SAMPLES - 1)) if len(by_size) > 1 else 1
    return [request for _, request in by_size[::step][:SAMPLES]] + [by_size[-1][1]] if by_size else []


def _estimate_model(
    plan: Plan,
    model: Model,
    price: Price | None,
    experience: Experience,
    own: Mapping[int, int],
    *,
    jobs: int,
    fresh: bool,
) -> ModelEstimate:
    answered = {} if fresh else experience.answered
    most, about, counted_by = _token_counts(plan, experience, own)
    outputs = [usage.output_tokens for usage in experience.answered.values() if usage.output_tokens is not None]
    usual = statistics.fmean(outputs) if outputs else None
    pending = [index for index in range(len(plan.trials)) if index not in answered]
    shared = _shared_characters(plan, pending, model) if model.traits.shares_prefixes else {}
    at_once = min(jobs, model.traits.max_concurrency or jobs)
    groups: dict[tuple[int | None, str], list[int]] = defaultdict(list)
    for index, trial in enumerate(plan.trials):
        groups[trial.cell.get("length_tokens"), arm_of(trial.cell)].append(index)

    def share(arm: str, length: int | None, indexes: Sequence[int]) -> Share:
        asked = [index for index in indexes if index not in answered]
        requests = [plan.trials[index].request for index in asked]
        tokens = [about(prompt_bytes(request)) for request in requests]
        texts = [max(len(rendered(request)), 1) for request in requests]
        times = [experience.seconds_of(continuation=request.continuation is not None) for request in requests]
        return Share(
            arm=arm,
            length_tokens=length,
            trials=len(indexes),
            answered=len(indexes) - len(asked),
            prompt_tokens=sum(tokens),
            answer_tokens=sum(request.max_tokens for request in requests if request.continuation is None),
            cost_most_nano_usd=None if price is None else sum(_most(price, most, request) for request in requests),
            cost_about_nano_usd=_about(price, tokens, requests, usual) if usual is not None else None,
            seconds=None if None in times else sum(time or 0.0 for time in times) / at_once,
            shared_tokens=round(
                sum(
                    count * shared.get(index, 0) / text for index, count, text in zip(asked, tokens, texts, strict=True)
                )
            )
            if model.traits.shares_prefixes
            else None,
        )

    shares = tuple(share(arm, length, indexes) for (length, arm), indexes in groups.items())
    return ModelEstimate(model.name, counted_by, share(ALL, None, range(len(plan.trials))), shares)


def _most(price: Price, most: Callable[[int], int], request: Request) -> int:
    return most_nano_usd(price, most(prompt_bytes(request)), request.max_tokens)


def _about(price: Price | None, tokens: Sequence[int], requests: Sequence[Request], usual: float) -> int | None:
    """The cost with answers as long as the model's so far; None where the price is unknown."""
    costs = [
        cost_nano_usd(price, Usage(input_tokens=count, output_tokens=round(min(usual, request.max_tokens))))
        for count, request in zip(tokens, requests, strict=True)
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) and price is not None else None


def _token_counts(
    plan: Plan, experience: Experience, own: Mapping[int, int]
) -> tuple[Callable[[int], int], Callable[[int], int], str]:
    """How many tokens a prompt of so many bytes has at the most and about, and who says so.

    The most is what a run sets aside for a call under --max-cost.
    """
    known = PromptTokens()
    for index, usage in experience.answered.items():
        if usage.input_tokens is not None:
            known.saw(prompt_bytes(plan.trials[index].request), usage.input_tokens)
    for size, tokens in own.items():
        known.saw(size, tokens)
    if not known.is_guess:
        return known.most, known.about, "the model's own count"
    name = str(plan.spec.get("ruler", "small"))
    ruler = load_tokenizer(name)
    sampled = [
        (
            prompt_bytes(request),
            sum(ruler.count(message.content, disallowed_special=()) for message in request.messages),
        )
        for request in _samples(plan.trials)
    ]
    rate = sum(tokens for _, tokens in sampled) / max(1, sum(size for size, _ in sampled))
    return known.most, lambda size: round(rate * size), f"the ruler {name}"


def _shared_characters(plan: Plan, pending: Sequence[int], model: Model) -> dict[int, int]:
    """How many characters each prompt has in common with the one that the model gets before it."""
    order = dispatch_order([plan.trials[index] for index in pending], model.traits, plan.spec.get("seed"))
    shared: dict[int, int] = {}
    previous = ""
    for place in order:
        text = rendered(plan.trials[pending[place]].request)
        shared[pending[place]] = common_length(previous, text)
        previous = text
    return shared


def common_length(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning.

    Example: common_length("needle", "needy") -> 4
    """
    low, high = 0, min(len(one), len(other))
    while low < high:  # comparing slices is far quicker than going from character to character
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
