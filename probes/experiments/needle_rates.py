"""Rates of right answers for every needle task: by depth and setting, by temperature, and how long texts may get.

The block is the unit: repeats of one request are averaged first, then the questions inside a block, then blocks.
Intervals are Wilson's where a block is a plain yes or no, and come from resampling blocks where it holds several.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from probes.effective_length import NOLIMA_BASE, RULER_RATE, effective_length
from probes.experiments.needle_results import Row, Scored, Setting, block_shares, by_setting, outcome_counts
from probes.power import blocks_for_precision
from probes.stats import LEVEL, Interval, rate_interval

GOOD_HALF_WIDTH = 0.1  # a rate known to plus or minus ten points is good enough to compare with others
# A question and its answer: model, task, wording, what is asked for, what is right.
Item = tuple[str, str, str, str | None, tuple[str, ...]]


def item_of(answer: Scored) -> Item:
    """What is asked, wherever the needle stands: the same in a long text, in a short one, and without any text."""
    cell = answer.cell
    right = [cell["asked"]] if cell["asked"] is not None else cell["right"]
    values = (*(cell["values"][number] for number in right), *cell["expected"])
    return (answer.result.model, cell["task"], cell["prompt_style"], cell["name"], values)


def hit_rate(answers: Iterable[Scored], *, seed: int) -> Interval | None:
    """The rate of right answers with its interval over blocks; None where nothing was answered."""
    return rate_interval(list(hits_by_block(answers).values()), seed=seed)


def hits_by_block(answers: Iterable[Scored]) -> dict[int, float]:
    """The rate of right answers in each block that has an answer."""
    counted = [each for each in answers if each.counts]
    return block_shares(counted, {id(each): float(each.hit) for each in counted})


def rate_columns(group: Sequence[Scored], *, seed: int, known: Container[Item] = ()) -> Row:
    """Blocks, rate, interval, the weaker readings, and what became of every answer.

    `share_rate`: how much of what was asked for was given, where several things are. `known`: items that were answered
    without the text; `rate_without_known` leaves them out. `worst_low_rate`, `worst_high_rate`: the rate if all answers
    that failed or were cut had been wrong, or right.
    """
    counted = [each for each in group if each.counts]
    hits, interval = hits_by_block(group), hit_rate(group, seed=seed)
    lenient = block_shares(counted, {id(each): float(each.score.lenient or each.hit) for each in counted})
    shared = [each for each in counted if each.score.share is not None]
    shares = block_shares(shared, {id(each): each.score.share or 0.0 for each in shared})
    unknown = [each for each in counted if item_of(each) not in known]
    return {
        "n": len(hits),
        "rate": interval.estimate if interval else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "lenient_rate": _mean(lenient.values()),
        "share_rate": _mean(shares.values()),
        "answers": len(group),
        **outcome_counts(group),
        "known": len(counted) - len(unknown),
        "rate_without_known": _mean(hits_by_block(unknown).values()),
        **_worst_rates(group),
    }


def _worst_rates(group: Sequence[Scored]) -> Row:
    ends = {}
    for end, missing in (("low", 0.0), ("high", 1.0)):
        values = {id(each): float(each.hit) if each.counts else missing for each in group}
        ends[f"worst_{end}_rate"] = _mean(block_shares(group, values).values())
    return ends


def retrieval_rows(scored: Sequence[Scored], *, seed: int, known: Container[Item] = ()) -> list[Row]:
    """One row for each setting and depth, of every task; tasks without a depth have one row a setting."""
    rows = []
    for setting, group in by_setting(scored).items():
        depths: dict[float | None, list[Scored]] = defaultdict(list)
        for each in group:
            depths[each.cell["depth"]].append(each)
        for depth in sorted(depths, key=lambda depth: -1.0 if depth is None else depth):
            rows.append(setting._asdict() | {"depth": depth} | rate_columns(depths[depth], seed=seed, known=known))
    return rows


def precision_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """How well the rates of a table are known, and how many blocks would make them good, in one sentence."""
    found = [row for row in rows if row["n"]]
    if not found:
        return "Nothing was answered, so nothing is known."
    bounds = _bounds_words(found)
    widest = max(found, key=lambda row: row["high"] - row["low"])
    half, blocks = (widest["high"] - widest["low"]) / 2, widest["n"]
    said = (
        f"Precision: with {blocks} {_plural('block', blocks)} a rate is known to ±{100 * half:.0f} points at the worst"
    )
    if half <= GOOD_HALF_WIDTH:
        return f"{said}.{bounds}"
    likely = (widest["rate"] * blocks + 2) / (blocks + 4)  # a rate of 0 or 1 is not that certain (Agresti-Coull)
    enough = blocks_for_precision(GOOD_HALF_WIDTH, likely)
    return f"{said}; ±{100 * GOOD_HALF_WIDTH:.0f} would take about {max(enough, blocks + 1)}.{bounds}"


def _bounds_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """What failed calls and cut answers leave open at the worst; nothing where there are none."""
    missing = sum(row["truncated"] + row["error"] for row in rows)
    if not missing:
        return ""
    widest = max(rows, key=lambda row: row["worst_high_rate"] - row["worst_low_rate"])
    low, high = (f"{100 * widest[f'worst_{end}_rate']:.0f}" for end in ("low", "high"))
    return f" {missing} failed or cut answers are left out; a rate lies between {low}% and {high}% whatever they were."


# ------------------------------------------------------------------------------------------------ temperature


def temperature_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """One row for each temperature of a setting, over all depths, where there are several or requests were repeated.

    `alike_rate`: the share of requests whose repeats are all right or all wrong; None without repeats.
    """
    settings: dict[Setting, dict[float | None, list[Scored]]] = defaultdict(dict)
    for setting, group in by_setting(scored).items():
        settings[setting._replace(temperature=None)][setting.temperature] = group
    rows = []
    for setting, temperatures in settings.items():
        repeated = any(each.cell["sample"] for group in temperatures.values() for each in group)
        if len(temperatures) < 2 and not repeated:
            continue
        for temperature in sorted(temperatures, key=lambda value: -1.0 if value is None else value):
            group = temperatures[temperature]
            alike = _alike(group)
            rows.append(
                setting._replace(temperature=temperature)._asdict()
                | {"samples": 1 + max(each.cell["sample"] for each in group), "alike_rate": _mean(alike)}
                | rate_columns(group, seed=seed)
            )
    return rows


def _alike(group: Iterable[Scored]) -> list[float]:
    """For each request that was repeated: whether its answers are all right or all wrong."""
    requests: dict[tuple[Any, ...], list[bool]] = defaultdict(list)
    for each in group:
        if each.counts:
            requests[each.block, each.item].append(each.hit)
    return [float(len(set(hits)) == 1) for hits in requests.values() if len(hits) > 1]


# ------------------------------------------------------------------------------------------------ effective length


def effective_length_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """Up to which length the rate of right answers passes a bar, by two definitions, where there are two lengths.

    `ruler`: a rate of 85.6 %. `nolima`: 85 % of the rate in the short texts. Either way all shorter lengths pass, too.
    `effective_tokens` goes by the rates as measured, `surely_tokens` and `possibly_tokens` are its limits of 95 %. 0:
    not even the shortest (`probes/effective_length.py`).
    """
    settings: dict[Setting, dict[int, Mapping[int, float]]] = defaultdict(dict)
    for setting, group in by_setting(scored).items():
        settings[setting._replace(length_tokens=0)][setting.length_tokens] = hits_by_block(group)
    rows = []
    for setting, lengths in settings.items():
        for threshold in (RULER_RATE, None):
            found = effective_length(lengths, seed=seed, threshold=threshold)
            if found is not None:
                row = setting._asdict() | found.row()
                del row["length_tokens"]
                rows.append(row)
    return rows


def effective_length_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The effective lengths of one setting in words: what was measured, and what the intervals leave open."""
    sentences = []
    for row in rows:
        bar = f"{100 * row['bar_rate']:.1f}%"
        name = f"at least {bar} right" if row["definition"] == "ruler" else f"at least 85% of the base, {bar} right"
        surely, possibly, longest = (row[f"{kind}_tokens"] for kind in ("surely", "possibly", "longest"))
        effective = f"{row['effective_tokens']:,}" if row["effective_tokens"] else f"none of these, up to {longest:,}"
        beyond = " or more" if row["effective_tokens"] == longest else ""
        doubt = ""
        if surely != possibly:
            most = f"{possibly:,}{' or more' if possibly == longest else ''}"
            doubt = f"; {100 * LEVEL:.0f}% limits: {f'{surely:,}' if surely else 'not even the shortest'} to {most}"
        sentences.append(
            f"Effective length ({name}, at this and at all shorter lengths): {effective}{beyond} tokens{doubt}."
        )
    if any(row["definition"] == "nolima" for row in rows):
        sentences.append(f"The base is the mean rate in the texts of up to {NOLIMA_BASE:,} tokens, or in the shortest.")
    return sentences


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
