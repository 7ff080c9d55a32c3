"""What the figures of a placement run say in plain words; every sentence is chosen by the figures themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.equivalence import Equivalence, no_effect_words
from probes.experiments.placement_options import CONTRASTS, INSTRUCTED
from probes.experiments.placement_outcomes import SUMMARY_RATE, LeastMeasurable
from probes.experiments.placement_summary import Summary
from probes.stats import (
    LEVEL,
    Interval,
    blocks_words,
    difference_words,
    fewest_blocks,
    scale_of,
    too_few_words,
)

Row = Mapping[str, Any]
# What there is more or less of.
OUTCOME_WORDS: Mapping[str, str] = {
    "margin_nats": "margin",
    "logprob_nats": "raw log-probability",
    "coverage_rate": "coverage",
    "coverage_matched_rate": "coverage of answers cut to the same length",
    "coverage_adjusted_rate": "coverage adjusted for the length of the answers",
    "constraint_rate": "constraints followed",
}
ARM_WORDS: Mapping[str, str] = {
    "none": "the bare text",
    "padded-before": "neutral words before the text",
    "irrelevant-before": "another instruction before the text",
    "before": "the instruction before the text",
    "padded-after": "neutral words after the text",
    "irrelevant-after": "another instruction after the text",
    "after": "the instruction after the text",
    "bookend": "the instruction at both ends",
    "system": "the instruction as system message",
    "reminder": "the instruction before the text and a reminder after it",
    "twice": "the text twice and then the instruction",
}


def pair_words(arm: str, control: str) -> str:
    """Two arms that are compared, as a sentence begins with them."""
    words = next((words for pair, words in CONTRASTS.items() if pair == (arm, control)), None)
    words = words or f"{ARM_WORDS.get(arm, arm)}, against {ARM_WORDS.get(control, control)}"
    return f"{words[:1].upper()}{words[1:]}"


def is_clear(row: Row) -> bool:
    """Whether the corrected test and the interval both tell the difference from zero."""
    return row["p_holm"] is not None and row["p_holm"] < 1 - LEVEL and row["low"] * row["high"] > 0


def is_net(row: Row) -> bool:
    """Whether a row compares two differences, each of an arm and its control."""
    return " less " in row["arm"]


# ------------------------------------------------------------------------------------------------------ contrasts


def contrast_sentences(rows: Sequence[Row]) -> list[str]:
    """One sentence a contrast, in words chosen by the figures, and what this many blocks could have shown.

    `rows` are the contrasts of one outcome in one setting, which are one family of tests. Then whether it is this
    instruction or any that matters, and what is left of the two places where each is read against its own control.
    Nothing is said of answers that are no summaries (`measurable_sentence` does).
    """
    rows = [row for row in rows if row.get("measurable") is not False]
    family = [row for row in rows if not is_net(row)]
    sentences = [sentence for row in family for sentence in _contrast_sentence(row)]
    sentences += family_sentences(family)
    return sentences + _this_instruction_sentences(family) + _net_sentences(rows)


def family_sentences(rows: Sequence[Row]) -> list[str]:
    """How the p-values of one family of tests are corrected, or that so few blocks could not have told anything."""
    if too_few := _too_few_sentences(rows):
        return too_few
    corrected = f"The p-values are corrected for the {len(rows)} contrasts of this table (Holm), each table by itself"
    return [f"{corrected}; the intervals are not."] if len(rows) > 1 else []


def _too_few_sentences(rows: Sequence[Row]) -> list[str]:
    """That none of these contrasts could have been clear, where that is so."""
    if rows and (most := max(row["blocks"] for row in rows)) < fewest_blocks(len(rows)):
        return [too_few_words(most, len(rows))]
    return []


def _contrast_sentence(row: Row) -> list[str]:
    """What one contrast says, and what the answers that are missing leave open."""
    scale, unit, digits = scale_of(row["outcome"])
    what, pair = OUTCOME_WORDS[row["outcome"]], pair_words(row["arm"], row["control"])
    figures = _figures(row)
    if row["detectable"]:
        figures += f", which can show {scale * row['detectable']:.{digits}f} or more"
    small = row.get("equivalent") and _equivalence(row)
    if is_clear(row):
        more = "more" if row["difference"] > 0 else "less"
        but = f", by less than {scale * row['equivalence_margin']:.{digits}f} {unit}" if small else ""
        said = f"{pair}: {more} {what}{but} ({figures})."
    elif small:
        said = f"{pair}: {no_effect_words(small, scale=scale, unit=unit, digits=digits)} in {what} ({figures})."
    else:
        said = f"{pair}: no clear difference in {what} ({figures})."
    return [said, *_missing_sentences(row)]


def _figures(row: Row) -> str:
    scale, unit, digits = scale_of(row["outcome"])
    interval = Interval(row["difference"], row["low"], row["high"])
    return difference_words(interval, row["p_holm"], row["blocks"], scale=scale, unit=unit, digits=digits)


def _equivalence(row: Row) -> Equivalence:
    interval = Interval(row["difference"], row["equivalence_low"], row["equivalence_high"])
    margin, p_value, smallest = (row[f"{key}"] for key in ("equivalence_margin", "equivalence_p", "no_effect_beyond"))
    return Equivalence(row["blocks"], margin, interval, p_value, smallest)


def _missing_sentences(row: Row) -> list[str]:
    """How many answers have no value, and between what the difference would lie with any that they could have."""
    if not row.get("missing"):
        return []
    count = "1 answer has" if row["missing"] == 1 else f"{row['missing']} answers have"
    if row["worst_low"] is None:
        return [f"{count} no value there, and {'its' if row['missing'] == 1 else 'their'} texts are left out."]
    low, high = 100 * row["worst_low"], 100 * row["worst_high"]
    undone = is_clear(row) and row["worst_low"] <= 0 <= row["worst_high"]
    so = ", which could undo the difference" if undone else ""
    return [f"{count} no value there; with any that they could have, the mean lies from {low:+.0f} to {high:+.0f}{so}."]


def _this_instruction_sentences(rows: Sequence[Row]) -> list[str]:
    """Where an instruction does more than neutral words: whether another instruction in that place does as much."""
    by_pair = {(row["arm"], row["control"]): row for row in rows}
    sentences = []
    for place in ("before", "after"):
        padded, other = (by_pair.get((place, f"{kind}-{place}")) for kind in ("padded", "irrelevant"))
        if padded is None or other is None or not is_clear(padded):
            continue
        if is_clear(other):
            same = other["difference"] * padded["difference"] > 0
            words = "it is this instruction that does it, and not any" if same else "another instruction does even more"
        elif other.get("equivalent"):
            words = "any instruction there does as much"
        else:
            words = "this instruction and any other are not told apart"
        sentences.append(f"{place.capitalize()} the text, {words}.")
    return sentences


def _net_sentences(rows: Sequence[Row]) -> list[str]:
    """What is left of after against before where each is read against as many other characters in its place."""
    sentences = []
    plain = next((row for row in rows if (row["arm"], row["control"]) == ("after", "before")), None)
    for row in filter(is_net, rows):
        others = "neutral words do" if row["control"].endswith("padded-before") else "another instruction does"
        own = f"Net of what {others} in the same place (exploratory)"
        what = OUTCOME_WORDS[row["outcome"]]
        if is_clear(row):
            more = "more" if row["difference"] > 0 else "less"
            sentences.append(
                f"{own}, this instruction gives {more} {what} after the text than before it ({_figures(row)})."
            )
        elif row["p_holm"] is not None:
            so = ": distance and length alone could make the difference" if plain and is_clear(plain) else ""
            sentences.append(f"{own}, after and before the text are not told apart in {what}{so} ({_figures(row)}).")
    return sentences


def disagreement_sentences(margins: Sequence[Row], raw: Sequence[Row]) -> list[str]:
    """Where the margin and the raw log-probability point in opposite directions, and at least one interval says so."""
    by_pair = {(row["arm"], row["control"]): row for row in raw}
    sentences = []
    for row in margins:
        other = by_pair.get((row["arm"], row["control"]))
        if other is None or row["difference"] * other["difference"] >= 0:
            continue
        if not any(each["low"] * each["high"] > 0 for each in (row, other)):
            continue
        first, second = row["difference"], other["difference"]
        why = "less likely, the wrong ones even less so" if first > 0 else "likelier, the wrong ones even more so"
        sentences.append(
            f"{pair_words(row['arm'], row['control'])}: margin and raw log-probability disagree in sign "
            f"({first:+.2f} and {second:+.2f} nats): the right values are {why}."
        )
    return sentences


def at_length_sentences(rows: Sequence[Row], matched: Sequence[Row]) -> list[str]:
    """Of each clear difference between two places of the instruction, whether it is there at the same length too."""
    by_pair = {(row["arm"], row["control"]): row for row in matched}
    sentences = []
    for row in filter(is_clear, rows):
        other = by_pair.get((row["arm"], row["control"]))
        if other is None or row["control"] not in INSTRUCTED:
            continue
        same = is_clear(other) and other["difference"] * row["difference"] > 0
        said = "clear too" if same else "no longer clear: a longer answer has room for more"
        pair = pair_words(row["arm"], row["control"])
        sentences.append(
            f"{pair}: with both answers cut to the same length, the difference is {said} ({_figures(other)})."
        )
    return sentences


def shift_sentences(rows: Sequence[Row]) -> list[str]:
    """How far the centre of what is kept moves between two arms, where that is clear, or that nowhere it is."""
    sentences = []
    for row in filter(is_clear, rows):
        interval = Interval(row["difference"], row["low"], row["high"])
        figures = difference_words(
            interval, row["p_holm"], row["blocks"], scale=100, unit="points of its length", digits=0
        )
        later = "later" if row["difference"] > 0 else "earlier"
        pair = pair_words(row["arm"], row["control"])
        sentences.append(f"{pair}: what is kept stands {later} in the text ({figures}).")
    return sentences or ["No clear shift of the centre of what is kept."] if rows else []


def length_sentences(rows: Sequence[Row]) -> list[str]:
    """Whether contrasts change with the length of the text; `rows` are those of one outcome."""
    sentences = []
    for row in rows:
        scale, unit, digits = scale_of(row["outcome"])
        interval = Interval(row["per_doubling"], row["low"], row["high"])
        figures = difference_words(interval, row["p_holm"], row["blocks"], scale=scale, unit=unit, digits=digits)
        if is_clear(row):
            said = (
                f"the difference in {OUTCOME_WORDS[row['outcome']]} {'rises' if row['per_doubling'] > 0 else 'falls'}"
            )
            said += " with the length of the text"
        else:
            said = f"no clear change of the difference in {OUTCOME_WORDS[row['outcome']]} with the length of the text"
        sentences.append(f"{pair_words(row['arm'], row['control'])}: {said} ({figures}, for each doubling).")
    return sentences + _too_few_sentences(rows)


def noise_sentences(rows: Sequence[Row]) -> list[str]:
    """Whether two arms differ more than two answers of one arm do."""
    sentences = []
    for row in rows:
        arms, samples = (f"{100 * row[key]:.0f}" for key in ("arms_difference", "samples_difference"))
        limits = f"95% interval {100 * row['low']:+.0f} to {100 * row['high']:+.0f}, " if row["blocks"] > 1 else ""
        more = row["blocks"] > 1 and row["low"] > 0
        sentences.append(
            f"{pair_words(row['arm'], row['control'])}: answers of the two arms differ by {arms} points of coverage, "
            f"two answers to one prompt by {samples}: {'more than noise' if more else 'not told apart from noise'} "
            f"({100 * row['excess']:+.0f} points, {limits}{blocks_words(row['blocks'])})."
        )
    return sentences


# --------------------------------------------------------------------------------------------- what answers are like


def measurable_sentence(least: LeastMeasurable | None) -> str | None:
    """That coverage cannot be measured, with the rate that says so; None where it can."""
    if least is None or least.measurable:
        return None
    return (
        f"Coverage is not measurable on this model: with {ARM_WORDS.get(least.arm, least.arm)} {least.summaries} of "
        f"{least.answers} answers ({100 * least.rate:.0f}%) are summaries, and fewer than {100 * SUMMARY_RATE:.0f}% "
        "are too few. So no difference in coverage is told."
    )


def manner_sentence(summaries: Sequence[Summary], model: str = "this model") -> str:
    """Whether answers to the instruction are summaries at all, in words chosen by the figures.

    `model` names the model inside a sentence, e.g. "a model this small".
    """
    read = [each for each in summaries if each.readable]
    continued = [each for each in read if each.continued]
    others = [each for each in read if not each.continued]
    copied, repeated = _copies(others), sum(each.repeats for each in others)
    kept, facts = sum(len(each.covered) for each in read), sum(each.facts for each in read)
    sentences = [_dialogue_sentence(continued, len(read))] if any(each.continued is not None for each in read) else []
    if others or not read:
        which = f"the other {len(others)}" if continued else f"{len(others)} answers to the instruction"
        sentences.append(
            f"Of {which}, {copied} mostly copy the text word for word, {repeated} mostly repeat themselves, and "
            f"{len(others) - copied - repeated} are in words of their own."
        )
    sentences.append(f"Together they keep {kept} of {facts} facts with their names.")
    if len(continued) > len(read) / 2:
        reciting = ", mostly by reciting it" if _copies(continued) > len(continued) / 2 else ""
        sentences.append(f"So {model} continues a dialogue instead of summarising it{reciting}.")
    elif copied + repeated + len(continued) > len(read) / 2:
        sentences.append(f"So {model} goes on with the text instead of summarising it.")
    elif kept < SUMMARY_RATE * facts:
        sentences.append("So they are no summaries that could be compared.")
    return " ".join(sentences)


def _dialogue_sentence(continued: Sequence[Summary], answers: int) -> str:
    """In how many answers the model went on with the dialogue, and what these are like."""
    if not continued:
        return f"In none of {answers} answers to the instruction did the model go on with the dialogue."
    count = f"all {answers}" if len(continued) == answers else f"{len(continued)} of {answers}"
    return (
        f"In {count} answers to the instruction the model went on with the dialogue, a speaker's name first, instead "
        f"of summarising it; {_copies(continued)} of these mostly copy the text word for word."
    )


def _copies(summaries: Sequence[Summary]) -> int:
    """How many answers mostly copy the text."""
    return sum(each.copies for each in summaries)
