"""How likely a model holds each planted value, by log-probabilities after the stem of an answer, in nats.

lift     log p(value | its key asked) - log p(value | a key that is not there asked), on the same shared text
margin   log p(right value) - log of the mean p of the other planted values, after the same question
likeliest   how often the right value is the likeliest of the planted ones
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.experiments.needle_results import Row, Setting, whole_cell
from probes.experiments.placement_results import margin
from probes.plan import Result
from probes.stats import Interval, mean_interval, rate_interval

KINDS = ("lift", "margin", "likeliest")
Text = tuple[float, ...]  # block, then where the needles stand: a block may have a text for each depth


@dataclass(frozen=True, slots=True)
class Held:
    """What the log-probabilities say of one planted value of one block; None where it cannot be said."""

    block: int
    position: int
    depth: float
    logprob: float
    lift: float | None
    margin: float | None
    likeliest: float | None


def read_likelihoods(results: Iterable[Result]) -> dict[Setting, list[Held]]:
    """Put the log-probabilities of each text together; a question with a missing one is left out.

    Repeats of a question are averaged.
    """
    found: dict[tuple[Setting, Text], dict[int | None, dict[int, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    depths: dict[tuple[Setting, Text, int], float] = {}
    missing: set[tuple[Setting, Text, int | None]] = set()
    for each in results:
        cell = whole_cell(each.trial.cell)
        if cell["measure"] != "likelihood":
            continue
        setting = Setting(each.model, *(cell[field] for field in Setting._fields[1:]))
        text, asked = (each.trial.block, *cell.get("depths", ())), cell["asked"]
        if each.completion is None or each.completion.logprobs is None:
            missing.add((setting, text, asked))
            continue
        logprob = sum(token.logprob for token in each.completion.logprobs)
        found[setting, text][asked][cell["offered"]].append(logprob)
        if asked is not None:
            depths[setting, text, asked] = cell["depth"]
    held: dict[Setting, list[Held]] = defaultdict(list)
    for (setting, text), questions in found.items():
        means = {
            asked: {offered: sum(repeats) / len(repeats) for offered, repeats in values.items()}
            for asked, values in questions.items()
            if (setting, text, asked) not in missing
        }
        held[setting] += [
            _held(int(text[0]), asked, depths[setting, text, asked], offered, means.get(None, {}))
            for asked, offered in sorted((pair for pair in means.items() if pair[0] is not None), key=_position)
            if asked is not None and asked in offered
        ]
    return dict(held)


def _position(pair: tuple[Any, Any]) -> int:
    position: int = pair[0]
    return position


def _held(block: int, asked: int, depth: float, offered: dict[int, float], absent: dict[int, float]) -> Held:
    right = offered[asked]
    others = [value for number, value in offered.items() if number != asked]
    return Held(
        block=block,
        position=asked,
        depth=depth,
        logprob=right,
        lift=right - absent[asked] if asked in absent else None,
        margin=margin(right, others) if others else None,
        likeliest=float(right > max(others)) if others else None,
    )


def likelihood_rows(results: Iterable[Result], *, seed: int) -> list[Row]:
    """One row for each setting and depth, and one over all depths (`depth` null): lift, margin, share likeliest.

    `n` counts blocks; the values of one block are averaged first.
    """
    rows = []
    for setting, held in read_likelihoods(results).items():
        depths: dict[float | None, list[Held]] = defaultdict(list)
        for each in held:
            depths[each.depth].append(each)
        if len(depths) > 1:
            depths[None] = held
        for depth in sorted(depths, key=lambda depth: 2.0 if depth is None else depth):
            group = depths[depth]
            row: Row = setting._asdict() | {"depth": depth, "n": len({each.block for each in group})}
            for kind in KINDS:
                interval = _interval(group, kind, seed)
                unit = "rate" if kind == "likeliest" else "nats"
                row |= {
                    f"{kind}_{unit}": interval.estimate if interval else None,
                    f"{kind}_low": interval.low if interval else None,
                    f"{kind}_high": interval.high if interval else None,
                }
            blocks = _block_means(group, "logprob")
            rows.append(row | {"logprob_nats": sum(blocks) / len(blocks)})
    return rows


def _interval(group: Sequence[Held], kind: str, seed: int) -> Interval | None:
    blocks = _block_means(group, kind)
    return rate_interval(blocks, seed=seed) if kind == "likeliest" else mean_interval(blocks, seed=seed)


def _block_means(group: Iterable[Held], kind: str) -> list[float]:
    blocks: dict[int, list[float]] = defaultdict(list)
    for each in group:
        value = getattr(each, kind)
        if value is not None:
            blocks[each.block].append(value)
    return [sum(values) / len(values) for values in blocks.values()]


def likelihood_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the row over all depths says of reading; `rows` are those of one setting."""
    overall = rows[-1] if rows else None
    if overall is None or overall["lift_nats"] is None:
        return []
    low, high, blocks = overall["lift_low"], overall["lift_high"], overall["n"]
    figures = f"({overall['lift_nats']:+.2f} nats, {_limits(low, high, blocks)}{blocks} block{'s' * (blocks != 1)})"
    if blocks > 1 and low > 0:
        return [f"A value is likelier when its own key is asked for than when a key that is not there is {figures}."]
    if blocks > 1 and high < 0:
        return [f"A value is less likely when its own key is asked for than when a key that is not there is {figures}."]
    return [f"Whether its own key or one that is not there is asked for: no clear difference for a value {figures}."]


def _limits(low: float, high: float, blocks: int) -> str:
    return f"95% interval {low:+.2f} to {high:+.2f}, " if blocks > 1 else ""
