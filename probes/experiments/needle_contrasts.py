"""What a factor does to the rate of right answers: the same questions of the same blocks under two of its levels.

Depth, the place of the question and the length of the text are declared before a run; every other comparison is
exploratory, and said to be. One difference a block, tested by flipping signs; the contrasts of one factor and setting
are one family, corrected after Holm.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from probes.experiments.needle_results import Row, Scored, Setting, block_shares, by_setting
from probes.stats import LEVEL, Interval, difference_words, fewest_blocks, holm, paired_difference, too_few_words

DECLARED = ("depth", "place", "length_tokens")
FACTORS = ("place", "length_tokens", "structure", "context", "prompt_style", "temperature")
SAME_WITHIN = 0.05  # an interval that lies inside plus and minus five points is called the same
FEWEST_ALIKE = 60  # blocks without any difference that leave less than SAME_WITHIN for what differs (1 - 0.05**(1/60))
_PLACES = ("after", "before", "bookend")
_FIRST = {"structure": "plain", "context": "whole", "prompt_style": "ours"}  # the level that others are compared with
_WORDS: Mapping[tuple[str, Any], str] = {
    ("depth", "ends"): "at the two ends of the text",
    ("depth", "middle"): "between them",
    ("depth", "end"): "at the end of the text",
    ("depth", "beginning"): "at its beginning",
    ("place", "before"): "with the question before the text",
    ("place", "after"): "with the question after the text",
    ("place", "bookend"): "with the question before and after the text",
    ("structure", "plain"): "in plain text",
    ("structure", "headings"): "in text with headings",
    ("context", "whole"): "with the whole text",
    ("context", "focused"): "with only the part that matters",
    ("temperature", None): "with the temperature left alone",
}


def level_pairs(factor: str, levels: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Which levels of a factor are compared, each pair as (level, base).

    Example: level_pairs("place", ["before", "after", "bookend"]) -> [("before", "after"), ("bookend", "after"),
    ("bookend", "before")]; level_pairs("length_tokens", [8000, 1000, 2000]) -> [(2000, 1000), (8000, 1000)]
    """
    found = set(levels)
    if factor == "place":
        return [(level, base) for base, level in combinations([each for each in _PLACES if each in found], 2)]
    ordered = sorted(found, key=lambda level: (level != _FIRST.get(factor), level is not None, level or 0))
    return [(level, ordered[0]) for level in ordered[1:]]


def contrast_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """One row a pair of levels: the difference in the rate of right answers over blocks, and its test.

    `declared` is False for what is exploratory. Only questions that were answered under both levels count.
    """
    groups = by_setting(scored)
    rows = []
    for setting, group in groups.items():
        if group[0].cell["needles"] == 1:
            rows += _family_rows(setting._asdict(), "depth", depth_differences(group), seed)
    for factor in FACTORS:
        families: dict[tuple[tuple[str, Any], ...], dict[Any, list[Scored]]] = defaultdict(dict)
        for setting, group in groups.items():
            families[setting.without(factor)][getattr(setting, factor)] = group
        for common, levels in families.items():
            differences = {
                (level, base): paired_hits(levels[level], levels[base]) for level, base in level_pairs(factor, levels)
            }
            rows += _family_rows({factor: None, **dict(common)}, factor, differences, seed)
    return rows


def _family_rows(
    setting: Row, factor: str, differences: Mapping[tuple[Any, Any], Sequence[float]], seed: int
) -> list[Row]:
    """The rows of one factor in one setting: one family of tests."""
    compared = {
        pair: paired_difference(values, seed=seed, tests=len(differences), most=1.0)
        for pair, values in differences.items()
    }
    found = [(pair, difference) for pair, difference in compared.items() if difference is not None]
    rows = []
    for (pair, difference), p_holm in zip(found, holm([each.p_value for _, each in found]), strict=True):
        row: Row = {"model": setting["model"], "task": setting["task"], "factor": factor}
        row |= {"level": pair[0], "base": pair[1]} | difference.row() | {"p_holm": p_holm}
        row |= {"declared": factor in DECLARED}
        rows.append(row | {key: setting.get(key) for key in Setting._fields if key not in row})
    return rows


def depth_differences(group: Iterable[Scored]) -> dict[tuple[str, str], list[float]]:
    """For one needle at three depths or more: the ends less what is between them, and the end less the beginning.

    Only blocks that were answered at every depth count.
    """
    depths: dict[float, dict[int, float]] = {}
    answered = [each for each in group if each.counts and each.cell["depth"] is not None]
    for depth in sorted({each.cell["depth"] for each in answered}):
        here = [each for each in answered if each.cell["depth"] == depth]
        depths[depth] = block_shares(here, {id(each): float(each.hit) for each in here})
    if len(depths) < 3:
        return {}
    ends: list[float] = []
    sides: list[float] = []
    for block in sorted(set.intersection(*(set(shares) for shares in depths.values()))):
        first, *middle, last = (shares[block] for shares in depths.values())
        ends.append((first + last) / 2 - sum(middle) / len(middle))
        sides.append(last - first)
    return {("ends", "middle"): ends, ("end", "beginning"): sides}


def paired_hits(level: Iterable[Scored], base: Iterable[Scored]) -> list[float]:
    """One difference a block: the rate of right answers in the first group less that in the second.

    A question counts that has an answer in both.
    """
    sides = [[each for each in group if each.counts] for group in (level, base)]
    both = set.intersection(*({(each.block, each.item) for each in side} for side in sides))
    shares = []
    for side in sides:
        kept = [each for each in side if (each.block, each.item) in both]
        shares.append(block_shares(kept, {id(each): float(each.hit) for each in kept}))
    return [shares[0][block] - shares[1][block] for block in shares[0]]


def contrast_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence a contrast of one factor and setting, in words chosen by the figures, and what could be seen."""
    sentences = []
    for row in rows:
        interval = Interval(row["difference"], row["low"], row["high"])
        figures = difference_words(interval, row["p_holm"], row["blocks"], scale=100, unit="points", digits=0)
        if row["detectable"]:
            figures += f", which can show {100 * row['detectable']:.0f} or more"
        level, base = (level_words(row["factor"], row[side]) for side in ("level", "base"))
        clear = _is_clear(row)
        enough = row["blocks"] >= FEWEST_ALIKE or (row["low"] < row["high"] and row["blocks"] > 1)
        same = not clear and enough and -SAME_WITHIN < row["low"] <= row["high"] < SAME_WITHIN
        if clear:
            more = "more" if row["difference"] > 0 else "less"
            said = f"{level} {round(abs(100 * row['difference']))} points {more} is right than {base}"
        elif same:
            said = f"{level} and {base}: the same within {100 * SAME_WITHIN:.0f} points"
        else:
            said = f"{level} against {base}: no clear difference"
        sentences.append(f"{said[:1].upper()}{said[1:]} ({figures}).")
    tests = len(rows)
    if rows and (most := max(row["blocks"] for row in rows)) < fewest_blocks(tests):
        sentences.append(too_few_words(most, tests))
    elif tests > 1:
        sentences.append(f"The p-values are corrected for {tests} contrasts (Holm), the intervals are not.")
    if rows and not rows[0]["declared"]:
        sentences.append("This comparison is exploratory: it was not declared before the run.")
    return sentences


def families_sentences(rows: Sequence[Mapping[str, Any]], *, families: int) -> list[str]:
    """What the contrasts of one factor say over several settings, in short."""
    clear = [row for row in rows if _is_clear(row)]
    more = sum(row["difference"] > 0 for row in clear)
    ways = f": {more} more, {len(clear) - more} less" if clear else ""
    sentences = [
        f"Clear in {len(clear)} of {len(rows)} comparisons{ways}.",
        f"The p-values are corrected inside each of the {families} settings (Holm), the intervals are not.",
    ]
    if rows and not rows[0]["declared"]:
        sentences.append("These comparisons are exploratory: they were not declared before the run.")
    return sentences


def _is_clear(row: Mapping[str, Any]) -> bool:
    """Whether the corrected test and the interval both tell the difference from zero."""
    return bool(row["p_holm"] < 1 - LEVEL and row["low"] * row["high"] > 0)


def level_words(factor: str, level: Any) -> str:
    """A level as it stands in a sentence.

    Example: level_words("length_tokens", 8000) -> "in 8,000 tokens"
    """
    if (factor, level) in _WORDS:
        return _WORDS[factor, level]
    if factor == "length_tokens":
        return f"in {level:,} tokens"
    if factor == "context":
        return f"with the text in {str(level).removeprefix('chunks:')} chunks"
    return f"with the {factor.replace('_', ' ')} {level}"


def level_name(level: Any) -> str:
    """A level as it stands in a table.

    Example: level_name(8000) -> "8,000"; level_name("ends") -> "ends"
    """
    if level is None:
        return "the model's"
    return f"{level:,}" if isinstance(level, int) else str(level)
