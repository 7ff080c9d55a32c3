"""What a placement run found, as rows: by arm, tenth, kind of fact, constraint and place, and what the answers took.

    read_outcomes (placement_outcomes) -> the rows here, contrasts (placement_contrasts) -> sentences

Coverage, the constraints and everything else that is read from written answers is in `placement_summary`; the margin
is the log-probability of the right value less the logarithm of the mean probability of the other planted values, after
the same stem, in nats. All of it is averaged inside a block, and blocks are what is counted and compared.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from probes.experiments import placement_sentences
from probes.experiments.placement_contrasts import Declared as Declared  # noqa: PLC0414 - these are the module's face
from probes.experiments.placement_contrasts import contrast_rows as contrast_rows  # noqa: PLC0414
from probes.experiments.placement_contrasts import length_rows as length_rows  # noqa: PLC0414
from probes.experiments.placement_contrasts import noise_rows as noise_rows  # noqa: PLC0414
from probes.experiments.placement_contrasts import rest_of
from probes.experiments.placement_options import INSTRUCTED
from probes.experiments.placement_outcomes import (
    ArmOutcome,
    Setting,
    answers,
    arms_in,
    block_value,
    centre_of_mass,
    fact_values,
    in_arm,
    in_order,
    kept_mass,
    least_measurable,
    mean,
    position_values,
    setting_of,
)
from probes.experiments.placement_outcomes import Outcomes as Outcomes  # noqa: PLC0414
from probes.experiments.placement_outcomes import margin as margin  # noqa: PLC0414
from probes.experiments.placement_outcomes import read_outcomes as read_outcomes  # noqa: PLC0414
from probes.experiments.placement_summary import SCORER as SCORER  # noqa: PLC0414
from probes.experiments.placement_summary import Summary as Summary  # noqa: PLC0414
from probes.experiments.placement_summary import continues as continues  # noqa: PLC0414
from probes.experiments.placement_summary import read_summary as read_summary  # noqa: PLC0414
from probes.missing import worst_case_bounds
from probes.plan import Result
from probes.prices import NANO
from probes.stats import Interval, difference_interval, mean_interval, rate_interval
from probes.store import Score as Verdict

Row = dict[str, Any]
TENTHS = 10
contrast_sentences = placement_sentences.contrast_sentences
manner_sentence = placement_sentences.manner_sentence


def verdicts(results: Iterable[Result]) -> list[Verdict]:
    """What is kept of each generated answer's score; errors are no answers and have none."""
    found = []
    for each in results:
        if each.trial.cell["measure"] == "coverage" and each.completion is not None:
            summary = read_summary(each.completion, each.trial)
            kept = {key: value for key, value in asdict(summary).items() if key != "outcome"}
            found.append(Verdict(each.trial_id, summary.outcome, summary.coverage, kept))
    return found


def instructed_summaries(outcomes: Outcomes) -> list[Summary]:
    """The answers that were tried in the arms that hold the instruction."""
    return [
        summary
        for blocks in outcomes.values()
        for block in blocks.values()
        for arm in INSTRUCTED
        if arm in block
        for summary in block[arm].summaries.values()
    ]


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _limits(prefix: str, interval: Interval | None) -> Row:
    """The two ends of an interval as keys."""
    return {f"{prefix}_low": interval and interval.low, f"{prefix}_high": interval and interval.high}


# --------------------------------------------------------------------------------------------------------- arms


def arm_rows(outcomes: Outcomes, *, seed: int) -> list[Row]:
    """One row an arm: margin and coverage with their intervals over blocks, and the outcomes counted apart.

    `answers` are those that were read or refused, `summaries` of these what was asked for at all; `measurable` is
    whether in every arm with the instruction enough of them are. `coverage_worst_low` and `coverage_worst_high`: where
    the coverage would lie if every missing answer had kept nothing, or everything. `order_tau`: Kendall's tau-b of the
    order in which an answer tells facts. `altered`: numbers beside a fact's name that the text does not hold, an
    answer. `words` are means an answer.
    """
    rows = []
    for setting, blocks in outcomes.items():
        least = least_measurable(blocks)
        for arm in arms_in(blocks):
            found = in_arm(blocks, arm)
            summaries = answers(found)
            if not summaries and not any(each.margins for each in found):
                continue
            rows.append(
                {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm}
                | _margin_part(found, seed)
                | _answer_part(found, seed)
                | _manner_part(found)
                | {"measurable": least.measurable if least else None}
                | rest_of(setting)
            )
    return rows


def _margin_part(found: Sequence[ArmOutcome], seed: int) -> Row:
    margins = [each.margins for each in found if each.margins]
    interval = mean_interval([each.mean for each in margins], seed=seed)
    return (
        {"margin_blocks": len(margins), "margin_nats": interval and interval.estimate}
        | _limits("margin", interval)
        | {"logprob_nats": mean(each.logprob for each in margins)}
    )


def _answer_part(found: Sequence[ArmOutcome], seed: int) -> Row:
    read = [each.read for each in found if each.read]
    coverage = rate_interval(_known(block_value(each, "coverage_rate") for each in found), seed=seed)
    continued = [each.continued for group in read for each in group if each.continued is not None]
    counts = Counter(each.outcome for each in answers(found))
    return (
        {"coverage_blocks": len(read), "coverage_rate": coverage and coverage.estimate}
        | _limits("coverage", coverage)
        | {
            "misbound_rate": mean(mean(len(each.misbound) / each.facts for each in group) for group in read),
            "copied_rate": mean(mean(each.copied for each in group) for group in read),
            "repeated_rate": mean(mean(each.repeated for each in group) for group in read),
            "continued": sum(continued) if continued else None,
            **{name: counts[name] for name in ("refusal", "truncated", "error")},
        }
    )


def _manner_part(found: Sequence[ArmOutcome]) -> Row:
    """What the answers of one arm are like beside their coverage; means are over blocks."""
    tried = answers(found)
    given = [each for each in tried if each.outcome != "error"]
    read = [each.read for each in found if each.read]
    values = [each.coverage if each.readable else None for each in tried]
    worst = worst_case_bounds(values, least=0.0, most=1.0) or (None, None)
    orders = _known(mean(each.order_kept() for each in group) for group in read)
    altered = _known(mean(None if each.altered is None else len(each.altered) for each in group) for group in read)
    return {
        "samples": max((len(each.summaries) for each in found), default=0),
        "answers": len(given),
        "summaries": sum(each.is_summary for each in given),
        "summary_rate": sum(each.is_summary for each in given) / len(given) if given else None,
        "coverage_worst_low": worst[0],
        "coverage_worst_high": worst[1],
        "words": mean(mean(each.words for each in group) for group in read),
        "order_blocks": len(orders),
        "order_tau": mean(orders),
        "altered": mean(altered),
        "constraint_rate": mean(block_value(each, "constraint_rate") for each in found),
    }


# ---------------------------------------------------------------------------------------------- places in the text


def decile_rows(outcomes: Outcomes, *, seed: int = 1) -> list[Row]:
    """One row for each arm and tenth of the text that holds facts: margin and coverage there, with their intervals.

    `facts` is the mean number of facts that a block has there; several of one block are averaged.
    """
    rows = []
    for setting, blocks in outcomes.items():
        for arm in arms_in(blocks):
            found = in_arm(blocks, arm)
            coverage, margins = (_by_tenth(found, name) for name in ("coverage_rate", "margin_nats"))
            placed: Counter[int] = Counter(tenth(position) for each in found for position in each.positions)
            for number in sorted(coverage.keys() | margins.keys()):
                kept = rate_interval(coverage[number], seed=seed)
                held = mean_interval(margins[number], seed=seed)
                rows.append(
                    {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm, "decile": number}
                    | {"margin_blocks": len(margins[number]), "margin_nats": held and held.estimate}
                    | {"coverage_blocks": len(coverage[number]), "coverage_rate": kept and kept.estimate}
                    | _limits("margin", held)
                    | _limits("coverage", kept)
                    | {"facts": placed[number] / len(found)}
                    | rest_of(setting)
                )
    return rows


def tenth(position: float) -> int:
    """The tenth of the text, 1 to 10, in which a position from 0 to 1 lies."""
    return min(TENTHS, int(position * TENTHS + 1e-9) + 1)


def _by_tenth(found: Iterable[ArmOutcome], outcome: str) -> dict[int, list[float]]:
    """One value a block for each tenth that holds a fact of it."""
    tenths: dict[int, list[float]] = defaultdict(list)
    for each in found:
        values = fact_values(each, outcome)
        here: dict[int, list[float]] = defaultdict(list)
        for position, value in zip(each.positions, values or (), strict=False):
            here[tenth(position)].append(value)
        for number, some in here.items():
            tenths[number].append(sum(some) / len(some))
    return tenths


def position_rows(outcomes: Outcomes, *, seed: int) -> list[Row]:
    """One row for each arm, outcome and measure of where in the text facts are kept, with its interval over blocks.

    primacy, recency and middle_deficit as in `placement_outcomes.position_values`; centre_of_mass: where that which is
    kept stands on average, as a share of the text.
    """
    rows = []
    for setting, blocks in outcomes.items():
        for arm in arms_in(blocks):
            found = in_arm(blocks, arm)
            for outcome, most in (("margin_nats", math.inf), ("coverage_rate", 1.0)):
                measured = [position_values(each, outcome) for each in found]
                for measure in ("primacy", "recency", "middle_deficit"):
                    values = _known(each.get(measure) for each in measured)
                    interval = difference_interval(values, seed=seed, most=most)
                    rows += _position_row(setting, arm, (outcome, measure), interval, len(values))
            masses = [mass for each in found if (mass := kept_mass(each))]
            centre = centre_of_mass(masses, seed=seed)
            rows += _position_row(setting, arm, ("coverage_rate", "centre_of_mass"), centre, len(masses))
    return rows


def _position_row(
    setting: Setting, arm: str, what: tuple[str, str], interval: Interval | None, blocks: int
) -> list[Row]:
    if interval is None:
        return []
    row = {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm}
    row |= {"outcome": what[0], "measure": what[1], "blocks": blocks}
    row |= {"value": interval.estimate, "low": interval.low, "high": interval.high}
    return [row | rest_of(setting)]


# ------------------------------------------------------------------------------------------- kinds and constraints


def kind_rows(outcomes: Outcomes, *, seed: int) -> list[Row]:
    """One row for each arm and kind of fact (decision, commitment, incidental): coverage and margin over blocks."""
    rows = []
    for setting, blocks in outcomes.items():
        kinds = dict.fromkeys(kind for block in blocks.values() for each in block.values() for kind in each.kinds)
        for arm in arms_in(blocks) if kinds else ():
            for kind in kinds:
                kept, held = (_of_kind(in_arm(blocks, arm), kind, name) for name in ("coverage_rate", "margin_nats"))
                coverage, margins = rate_interval(kept, seed=seed), mean_interval(held, seed=seed)
                if coverage is None and margins is None:
                    continue
                rows.append(
                    {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm, "kind": kind}
                    | {"coverage_blocks": len(kept), "coverage_rate": coverage and coverage.estimate}
                    | _limits("coverage", coverage)
                    | {"margin_blocks": len(held), "margin_nats": margins and margins.estimate}
                    | _limits("margin", margins)
                    | rest_of(setting)
                )
    return rows


def _of_kind(found: Iterable[ArmOutcome], kind: str, outcome: str) -> list[float]:
    """One value for each block that has facts of a kind: their mean."""
    shares = []
    for each in found:
        values = fact_values(each, outcome)
        if values is not None:
            shares.append(mean(value for name, value in zip(each.kinds, values, strict=True) if name == kind))
    return _known(shares)


def constraint_rows(outcomes: Outcomes, *, seed: int) -> list[Row]:
    """One row for each arm and constraint of the instruction: how many answers follow it, with an interval over blocks.

    The rate is the mean over blocks.
    """
    rows = []
    for setting, blocks in outcomes.items():
        for arm in arms_in(blocks):
            groups = [each.read for each in in_arm(blocks, arm) if each.read]
            for name in dict.fromkeys(name for group in groups for each in group for name in each.constraints):
                shares = _known(
                    mean(float(each.constraints[name]) for each in group if name in each.constraints)
                    for group in groups
                )
                told = [each.constraints[name] for group in groups for each in group if name in each.constraints]
                interval = rate_interval(shares, seed=seed)
                rows.append(
                    {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm, "constraint": name}
                    | {"blocks": len(shares), "answers": len(told), "followed": sum(told)}
                    | {"rate": interval and interval.estimate, "low": interval and interval.low}
                    | {"high": interval and interval.high}
                    | rest_of(setting)
                )
    return rows


# --------------------------------------------------------------------------------------------------------- cost


def cost_rows(results: Iterable[Result]) -> list[Row]:
    """One row for each arm and measure: what an answer took. Written answers and log-probabilities stand apart.

    Tokens and dollars are means an answer, seconds medians, each over the answers for which it is known, None where it
    is for none; `unpriced` answers have no known price. An answer that an earlier run paid for counts with its price.
    """
    grouped: dict[tuple[Setting, str, str], list[Result]] = defaultdict(list)
    arms: dict[tuple[Setting, str], None] = {}
    for result in results:
        cell = result.trial.cell
        if result.completion is not None:
            grouped[setting_of(result), cell["measure"], cell["arm"]].append(result)
            arms[setting_of(result), cell["measure"]] = None
    rows = []
    for setting, measure in arms:
        there = [key[2] for key in grouped if key[:2] == (setting, measure)]
        rows += [_cost_row(setting, arm, measure, grouped[setting, measure, arm]) for arm in in_order(there)]
    return rows


def _cost_row(setting: Setting, arm: str, measure: str, found: Sequence[Result]) -> Row:
    completions = [each.completion for each in found if each.completion is not None]
    usages = [each.usage for each in completions]
    prices = _known(each.cost_nano_usd for each in found)
    row: Row = {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm, "measure": measure}
    for key in ("input_tokens", "output_tokens", "cache_read_tokens", "prompt_tokens_evaluated"):
        row[key] = mean(getattr(usage, key) for usage in usages)
    seconds = [_known(getattr(each, key) for each in completions) for key in ("latency_s", "first_token_s")]
    row |= {
        "answers": len(completions),
        "cost_usd": sum(prices) / len(prices) / NANO if prices else None,
        "unpriced": len(found) - len(prices),
        "latency_s": median(seconds[0]) if seconds[0] else None,
        "first_token_s": median(seconds[1]) if seconds[1] else None,
    }
    return row | rest_of(setting)
