"""Do the limits of money and tokens let a plan come to its end? Said beforehand, by the rules that the run keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from probes.budget import NOTHING, Amount, Limits, usd
from probes.estimate import ALL, Estimate, Share

Verdict = Literal["enough", "may stop", "will stop", "refused"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a limit means for what is planned: a verdict, and a sentence for people."""

    limit: Literal["max_cost", "max_tokens_total"]
    verdict: Verdict
    sentence: str


def allowances(estimates: Sequence[Estimate], limits: Limits, spent: Amount = NOTHING) -> list[Allowance]:
    """One for each limit that was given. `spent` is what counts with it already: an unfinished run that goes on."""
    found = []
    if limits.max_cost_nano_usd is not None:
        found.append(_of_money(estimates, limits.max_cost_nano_usd, spent.nano_usd or 0, limits.allow_unpriced))
    if limits.max_tokens_total is not None:
        found.append(_of_tokens(estimates, limits.max_tokens_total, spent.tokens))
    return found


def _of_money(estimates: Sequence[Estimate], limit: int, spent: int, allow_unpriced: bool) -> Allowance:
    totals = {each.model: each.total for estimate in estimates for each in estimate.models if _is_asked(each.total)}
    unpriced = [model for model, total in totals.items() if total.cost_most_nano_usd is None]
    if unpriced and not allow_unpriced:
        return Allowance(
            "max_cost",
            "refused",
            f"The run will be refused: nobody knows what {', '.join(unpriced)} costs, so --max-cost cannot be kept."
            " Give its prices in the config file, or --allow-unpriced.",
        )
    total = total_of(estimates, priced_only=True)
    most, about = total.cost_most_nano_usd or 0, total.cost_about_nano_usd
    room = limit - spent
    left = f"--max-cost {usd(limit)}" + (f", of which {usd(spent)} are spent," if spent else "")
    apart = f" The calls of {', '.join(unpriced)} are not counted." if unpriced else ""
    if most <= room:
        return Allowance("max_cost", "enough", f"{left} is enough for all of it.{apart}")
    if about is not None and about > room:
        words = f"is less than the {usd(about)} that this costs with answers as long as so far: the run will stop"
        return Allowance("max_cost", "will stop", f"{left} {words} before its end, and can be gone on with.{apart}")
    words = f"is less than the {usd(most)} that this may cost at the most: the run may stop before its end"
    return Allowance("max_cost", "may stop", f"{left} {words}, and can be gone on with.{apart}")


def _of_tokens(estimates: Sequence[Estimate], limit: int, spent: int) -> Allowance:
    total = total_of(estimates)
    left = f"--max-tokens-total {limit:,}" + (f", of which {spent:,} are used," if spent else "")
    if total.prompt_tokens > limit - spent:
        words = f"is less than the about {total.prompt_tokens:,} tokens of the prompts alone: the run will stop"
        return Allowance("max_tokens_total", "will stop", f"{left} {words} before its end, and can be gone on with.")
    most = total.prompt_tokens + total.answer_tokens
    if most > limit - spent:
        words = f"is less than the about {most:,} tokens of prompts and full answers: the run may stop"
        return Allowance("max_tokens_total", "may stop", f"{left} {words} before its end, and can be gone on with.")
    return Allowance("max_tokens_total", "enough", f"{left} is enough for all of it.")


def total_of(estimates: Sequence[Estimate], *, priced_only: bool = False) -> Share:
    """All experiments and models together. They run one experiment after the other, and models side by side.

    What is unknown of one part is unknown of all; with `priced_only` parts of unknown price are left out of the money.
    """
    totals = [each.total for estimate in estimates for each in estimate.models]
    asked = [total for total in totals if _is_asked(total)]
    counted = [total for total in asked if total.cost_most_nano_usd is not None] if priced_only else asked
    times = [[each.total.seconds for each in one.models if _is_asked(each.total)] for one in estimates]
    return Share(
        arm=ALL,
        length_tokens=None,
        trials=sum(total.trials for total in totals),
        answered=sum(total.answered for total in totals),
        prompt_tokens=sum(total.prompt_tokens for total in totals),
        answer_tokens=sum(total.answer_tokens for total in totals),
        cost_most_nano_usd=_sum([total.cost_most_nano_usd for total in counted]),
        cost_about_nano_usd=_sum([total.cost_about_nano_usd for total in counted]),
        seconds=_sum_of_times([_longest(each) for each in times]),
        shared_tokens=_sum([total.shared_tokens for total in asked]),
    )


def _is_asked(total: Share) -> bool:
    return total.trials > total.answered


def _sum(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _longest(times: Sequence[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return max(known, default=0.0) if len(known) == len(times) else None


def _sum_of_times(times: Sequence[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return sum(known) if len(known) == len(times) else None
