"""The contrasts of a needle run in words that are chosen by the figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from probes.experiments.needle_contrasts import MCNEMAR, SIGN_FLIP
from probes.experiments.needle_factors import level_name, level_noun, level_words
from probes.stats import LEVEL, Interval, blocks_words, difference_words, fewest_blocks, scale_of

# How much of an outcome a level has more or less of: what stands between the size of the difference and the levels.
_MORE = {
    "right_rate": ("points {more} is right", "what is right"),
    "given_rate": ("points {more} of what is asked for is given", "what is given when asked for"),
    "lift_rate": ("points {more} is given, less what is given unasked,", "what is given less what is given unasked"),
    "lift_nats": ("nats {more} is the lift", "the lift"),
    "margin_nats": ("nats {more} is the margin", "the margin"),
}
UNITS = {
    "right_rate": "points of the rate of right answers",
    "given_rate": "points of the rate at which what is asked for is given",
    "lift_rate": "points of the rate given when asked less the rate given unasked",
    "lift_nats": "nats of lift, log p(value | its key asked) less log p(value | absent key asked)",
    "margin_nats": "nats of margin, log p(right value) less the log of the mean p of the others",
}
_TESTS = {MCNEMAR: "McNemar's exact test (mid-p), as a block is one answer", SIGN_FLIP: "sign flips over blocks"}


def contrast_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence a contrast of one factor and setting, and what could be seen; with how they were tested."""
    sentences = [_contrast_sentence(row) for row in rows]
    if rows and not any(is_clear(row) for row in rows):
        sentences += _too_few(rows)
    return [*sentences, *missing_sentences(rows), *method_sentences(rows)]


def families_sentences(rows: Sequence[Mapping[str, Any]], *, families: int) -> list[str]:
    """What the contrasts of one factor say over several settings, in short, with how they were tested."""
    clear = [row for row in rows if is_clear(row)]
    more = sum(row["low"] > 0 for row in clear)
    ways = f": {more} more, {len(clear) - more} less" if clear else ""
    sentences = [f"Clear in {len(clear)} of {len(rows)} comparisons in {families} settings{ways}."]
    if same := sum(not is_clear(row) and bool(row.get("equivalent")) for row in rows):
        sentences.append(f"No effect within {_points(rows)} points in {same} of them.")
    if rows and not clear:
        sentences += _too_few(rows)
    return [*sentences, *missing_sentences(rows), *method_sentences(rows)]


def _contrast_sentence(row: Mapping[str, Any]) -> str:
    scale, unit, digits = scaling(row)
    interval = Interval(row["difference"], row["low"], row["high"])
    figures = difference_words(interval, row["p_holm"], row["blocks"], scale=scale, unit=unit, digits=digits)
    if row["detectable"]:
        figures += f", which can show {scale * row['detectable']:.{digits}f} or more"
    words = level_words if is_clear(row) else level_noun
    level, base = (_side(row, row[side], words) for side in ("level", "base"))
    amount, subject = _MORE[row["outcome"]]
    if is_clear(row):
        more = "more" if row["difference"] > 0 else "less"
        said = f"{level} {abs(scale * row['difference']):.{digits}f} {amount.format(more=more)} than {base}"
    elif row["equivalent"]:
        said = f"{level} and {base}: no effect on {subject} within {_points([row])} points"
    else:
        said = f"{level} against {base}: no clear difference in {subject}"
    return f"{said[:1].upper()}{said[1:]} ({figures})."


def _side(row: Mapping[str, Any], level: Any, words: Callable[[str, Any], str]) -> str:
    """A level in a sentence; the end of the text with how far it is from the question."""
    said = words(row["factor"], level)
    if row["factor"] != "depth" or level != "end" or row["nearest"] is None:
        return said
    return f"{said}, {'nearest to' if row['nearest'] == level else 'farthest from'} the question,"


def interaction_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How the differences of one factor and setting change with the length of the text, in words."""
    sentences = []
    for row in rows:
        scale, unit, digits = scaling(row)
        interval = Interval(row["per_doubling"], row["low"], row["high"])
        figures = difference_words(interval, row["p_holm"], row["blocks"], scale=scale, unit=unit, digits=digits)
        level, base = (level_noun(row["factor"], row[side]) for side in ("level", "base"))
        change = "no clear change with the length of the text"
        if is_clear(row):
            change = f"the difference {'rises' if row['per_doubling'] > 0 else 'falls'} with the length of the text"
        said = f"{level} less {base}: {change}"
        sentences.append(f"{said[:1].upper()}{said[1:]} ({figures}, each time the length doubles).")
    if rows and not any(is_clear(row) for row in rows):
        sentences += _too_few(rows)
    return [*sentences, *method_sentences(rows)]


def missing_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What failed calls and cut answers could change at the worst; nothing where there are none."""
    bounded = [row for row in rows if row.get("missing") and row["worst_low"] is not None]
    if not bounded:
        return []
    missing = max(row["missing"] for row in bounded)
    widest = max(bounded, key=lambda row: row["worst_high"] - row["worst_low"])
    turned = sum(is_clear(row) and row["worst_low"] * row["worst_high"] <= 0 for row in bounded)
    also = f"; it could undo {turned} of the clear differences" if turned else ""
    low, high = (f"{100 * widest[f'worst_{end}']:+.0f}" for end in ("low", "high"))
    answers = "1 answer failed or was cut" if missing == 1 else f"{missing} answers failed or were cut"
    return [f"{answers} and count for neither side; at the worst a difference lies from {low} to {high} points{also}."]


def method_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is counted, in which unit, how it is tested and corrected; and what was not declared."""
    if not rows:
        return []
    units = list(dict.fromkeys(UNITS[row["outcome"]] for row in rows))
    most = max(row["tests"] for row in rows)
    corrected = (
        f"p corrected after Holm for the {most} contrasts of a setting, intervals not" if most > 1 else "one contrast"
    )
    blocks = sorted({row["blocks"] for row in rows})
    count = blocks_words(blocks[0]) if len(blocks) == 1 else f"{blocks[0]} to {blocks_words(blocks[-1])}"
    said = f"n: {count}; unit: {'; '.join(units)}; test: {_tests_words(rows)}; {corrected}."
    if rows[0]["declared"]:
        return [said]
    return [said, "This is exploratory: it was not declared before the run."]


def _tests_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """How the contrasts were tested; with their names where there are several tests."""
    tested: dict[str, list[str]] = {}
    for row in rows:
        names = tested.setdefault(row["test"], [])
        name = f"{level_name(row['level'])} less {level_name(row['base'])}"
        names += [name] if name not in names else []
    if len(tested) == 1:
        return _TESTS[rows[0]["test"]]
    return ", ".join(f"{_TESTS[test]} ({', '.join(names)})" for test, names in tested.items())


def _too_few(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What must be said where no contrast could have been clear."""
    most = max(row["blocks"] for row in rows)
    fewest = min(_fewest_blocks(row["test"], row["tests"]) for row in rows)
    if most >= fewest:
        return []
    tests = min(row["tests"] for row in rows)
    among = f" in {tests} contrasts" if tests > 1 else ""
    return [f"{blocks_words(most)} cannot tell any difference from chance{among}; {fewest} can."]


def _fewest_blocks(test: str, tests: int) -> int:
    """The fewest blocks with which one of so many tests can reach 5 %: all of them one way, in McNemar's p = 0.5**n."""
    if test != MCNEMAR:
        return fewest_blocks(tests)
    return math.floor(math.log2(tests / (1 - LEVEL)) - 1e-9) + 1


def scaling(row: Mapping[str, Any]) -> tuple[int, str, int]:
    """How a difference is shown: what it is multiplied by, its unit, and how many decimals.

    Example: scaling({"outcome": "right_rate"}) -> (100, "points", 0)
    """
    return scale_of(row["outcome"])


def _points(rows: Sequence[Mapping[str, Any]]) -> str:
    found = [row["equivalence_margin"] for row in rows if row["equivalence_margin"] is not None]
    return f"{100 * found[0]:g}" if found else "?"


def is_clear(row: Mapping[str, Any]) -> bool:
    """Whether the corrected test and the interval both tell the difference from zero."""
    return bool(row["p_holm"] < 1 - LEVEL and row["low"] * row["high"] > 0)
