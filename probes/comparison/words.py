"""What a comparison says, in words chosen by the figures: who is ahead, who is the same, who is not told apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.comparison.compare import Comparison
from probes.comparison.outcomes import Outcome
from probes.experiments.needle_sentences import UNITS
from probes.experiments.placement_sentences import measurable_sentence
from probes.stats import Interval, blocks_words, difference_words, fewest_blocks, scale_of, too_few_words

__all__ = [
    "count_clear",
    "method_sentence",
    "pair_sentences",
    "scale_of",
    "short_sentences",
    "trials_sentences",
]

Row = Mapping[str, Any]
MOST_SENTENCES = 3  # with more pairs than these, what is exploratory is only counted
_UNITS = {
    **UNITS,
    "unasked_rate": "points of the rate of answers with a value that was not asked for",
    "likeliest_rate": "points of the rate at which the right value is the likeliest",
    "coverage_rate": "points of the share of facts kept",
}


def pair_sentences(rows: Sequence[Row], outcome: Outcome) -> list[str]:
    """A sentence for each pair's overall row in one outcome, who is ahead of all, and how it was tested."""
    sentences = [sentence for row in rows for sentence in _pair_sentences(row, outcome)]
    sentences += _leader_sentences(rows, outcome)
    clear = [row for row in rows if row["verdict"] in ("first", "second", "same")]
    if not clear and (most := max(row["blocks"] for row in rows)) < fewest_blocks(len(rows)):
        sentences.append(too_few_words(most, len(rows)))
    return [*sentences, method_sentence(rows)]


def short_sentences(rows: Sequence[Row], outcome: Outcome) -> list[str]:
    """A sentence for each pair's row in an outcome that matters, where there are few."""
    found = [row for row in rows if row["outcome"] == outcome.name]
    if not outcome.in_detail or len(found) > MOST_SENTENCES:
        return []
    return [sentence for row in found for sentence in _pair_sentences(row, outcome)]


def count_clear(rows: Sequence[Row]) -> int:
    """In how many rows the answers that both gave tell the two apart."""
    return sum(row["verdict"] in ("first", "second", "missing") for row in rows)


def method_sentence(rows: Sequence[Row]) -> str:
    """What is counted, in which unit, how it is tested and corrected, and what was not declared."""
    blocks = sorted({row["blocks"] for row in rows})
    count = blocks_words(blocks[0]) if len(blocks) == 1 else f"{blocks[0]} to {blocks[-1]} blocks"
    units = ", ".join(dict.fromkeys(_UNITS[row["outcome"]] for row in rows))
    tests = " or ".join(dict.fromkeys(row["test"] for row in rows))
    many = rows[0]["tests"]
    corrected = f"p corrected after {rows[0]['correction']} for {many} comparisons, intervals not"
    said = f"n: {count}; unit: {units}; test: {tests}; {corrected if many > 1 else 'one comparison'}."
    return said if rows[0]["declared"] else f"{said} Exploratory: not declared beforehand."


def _pair_sentences(row: Row, outcome: Outcome) -> list[str]:
    """What one pair comes to, and what its missing answers could change."""
    scale, unit, digits = scale_of(row["outcome"])
    ahead, behind = (row["first"], row["second"]) if row["difference"] >= 0 else (row["second"], row["first"])
    ends = (row["low"], row["high"]) if row["difference"] >= 0 else (-row["high"], -row["low"])
    interval = Interval(abs(row["difference"]), *ends)  # of who is ahead less who is behind
    figures = difference_words(interval, row["p_corrected"], row["blocks"], scale=scale, unit=unit, digits=digits)
    within = f"the same within {row['equivalence_points']:g} points" if row["equivalent"] else ""
    pair, what = f"{ahead} and {behind}", outcome.words
    more = f"{ahead}: {abs(scale * row['difference']):.{digits}f} {unit} more {what} than {behind}"
    if row["verdict"] in ("first", "second"):
        said = f"{more}{f', yet {within}' if within else ''} ({figures})."
    elif row["verdict"] == "missing":
        said = (
            f"{more} where both answered ({figures}); the missing answers could turn it round, so there is no winner."
        )
    elif row["verdict"] == "same":
        said = f"{pair}: {within} in {what} ({figures})."
    else:
        could = f"; so many blocks show {scale * row['detectable']:.{digits}f} {unit}" if row["detectable"] else ""
        said = f"{pair}: not told apart in {what} ({figures}{could}{' or more' if could else ''})."
    return [said, *_missing_sentences(row, scale, unit, digits)]


def _missing_sentences(row: Row, scale: float, unit: str, digits: int) -> list[str]:
    if not row["missing"]:
        return []
    lack = "lacks" if row["missing"] == 1 else "lack"
    which = f"{row['missing']:,} of {row['questions']:,} questions"
    said = f"{which} {lack} an answer from one of the two; none counts as wrong"
    if row["worst_low"] is None:
        return [f"{said}."]
    low, high = (f"{scale * row[end]:+.{digits}f}" for end in ("worst_low", "worst_high"))
    return [f"{said}, and with all of them the difference would lie between {low} and {high} {unit}."]


def _leader_sentences(rows: Sequence[Row], outcome: Outcome) -> list[str]:
    """Who is ahead of all others, where there are more than two; no winner where the data name none."""
    names = list(dict.fromkeys(name for row in rows for name in (row["first"], row["second"])))
    if len(names) < 3 or len(rows) < len(names) * (len(names) - 1) // 2:
        return []
    best = max(names, key=lambda name: _wins(name, rows, outcome))
    if _wins(best, rows, outcome) == len(names) - 1:
        return [f"Best in {outcome.words}: {best}, told apart from each of the others."]
    return [f"No single best in {outcome.words}: nobody is told apart from all the others."]


def _wins(name: str, rows: Sequence[Row], outcome: Outcome) -> int:
    wanted = {("first", 1): "first", ("second", 1): "second", ("first", -1): "second", ("second", -1): "first"}
    return sum(
        row["verdict"] == wanted[side, outcome.better]
        for row in rows
        for side in ("first", "second")
        if row[side] == name
    )


def trials_sentences(comparison: Comparison) -> list[str]:
    """What was identical, and what was left out because not all contenders were asked it."""
    trials, blocks = len(comparison.common), comparison.blocks
    who = "both" if len(comparison.contenders) == 2 else f"all {len(comparison.contenders)}"
    sentences = []
    if len(comparison.contenders) > 1:
        sentences.append(
            f"Compared on {_count(trials, 'trial')} of {_count(blocks, 'block')}, the same bytes for {who}."
        )
    left_out = [
        f"{len(each.trials) - trials:,} of {each.label}" for each in comparison.contenders if len(each.trials) > trials
    ]
    if left_out:
        sentences.append(f"Left out, as not all were asked them: {', '.join(left_out)}.")
    sentences += _settings_sentences(comparison)
    for label, least in comparison.unmeasurable.items():
        said = measurable_sentence(least) or ""
        sentences.append(said.replace("this model", label, 1))
    if comparison.kept:
        sentences.append(
            f"{_count(comparison.kept, 'answer')} of one contender and of another are one and the same, kept and not "
            "asked for again: they say nothing of a difference."
        )
    return sentences


def _settings_sentences(comparison: Comparison) -> list[str]:
    """What was sent beside the same bytes, where that was not the same for all."""
    sentences = []
    for name in ("max_tokens", "temperature", "stop", "extra"):
        sent = {
            each.label: [getattr(result.trial.request, name) for result in each.results(comparison.common)]
            for each in comparison.contenders
        }
        if any(values != sent[comparison.contenders[0].label] for values in sent.values()):
            words = [f"{', '.join(dict.fromkeys(map(str, values)))} for {label}" for label, values in sent.items()]
            sentences.append(f"The same bytes, but not the same {name}: {'; '.join(words)}.")
    return sentences


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
