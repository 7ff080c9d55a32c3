"""The ends of a text against its middle, for a task with several keys, in figures and in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from probes.experiments.needle_effects import GIVEN, LIFT, compare_positions, observe_positions
from probes.experiments.needle_factors import ENDS
from probes.experiments.needle_results import Row, Scored, rest_of, several_keys
from probes.stats import PairedDifference, difference_words, fewest_blocks, too_few_words


@dataclass(frozen=True, slots=True)
class EndsAndMiddle:
    """The ends against the middle, one difference a block.

    `given`: rate given when asked for. `lift`: the same less the rate given when not asked for, which is what finding
    adds to mere preference. `absent_given`, `absent_ends`, `absent`: questions without an answer that got a planted
    value, one from an end, and all of them. `middle`: how many positions are between the ends.
    """

    given: PairedDifference
    lift: PairedDifference
    absent_given: int
    absent_ends: int
    absent: int
    middle: int


def ends_rows(scored: Sequence[Scored], *, seed: int) -> list[Row]:
    """Two rows a setting: the ends less the middle, in what is given when asked for, and in its lift."""
    rows = []
    for setting, group in several_keys(scored).items():
        found = compare_ends(group, seed=seed)
        for outcome, difference in ((GIVEN, found.given), (LIFT, found.lift)) if found else ():
            row: Row = {"model": setting.model, "length_tokens": setting.length_tokens, "layout": setting.layout}
            rows.append(row | {"outcome": outcome} | difference.row() | rest_of(setting))
    return rows


def compare_ends(scored: Sequence[Scored], *, seed: int) -> EndsAndMiddle | None:
    """Compare the ends with the middle, for one setting, over the blocks in which every question was answered.

    None without such a block, and with fewer than three positions.
    """
    scored = [each for each in scored if each.cell["control"] in (None, "absent")]
    observed = observe_positions(scored)
    differences = {}
    for outcome in (GIVEN, LIFT):
        for compared in compare_positions(observed[outcome]):
            if (compared.level, compared.base) == ENDS:
                differences[outcome] = compared.tested(outcome, seed=seed, tests=1)
    given, lift = differences.get(GIVEN), differences.get(LIFT)
    if given is None or lift is None:
        return None
    count = scored[0].cell["needles"]
    absent = [each for each in scored if each.asked is None and each.counts]
    return EndsAndMiddle(
        given,
        lift,
        absent_given=sum(bool(each.score.given) for each in absent),
        absent_ends=sum(each.given in (0, count - 1) for each in absent),
        absent=len(absent),
        middle=count - 2,
    )


def ends_sentences(found: EndsAndMiddle) -> list[str]:
    """What the comparison of ends and middle says, in words chosen by the figures."""
    given, lift = found.given, found.lift
    middle = {1: "the one", 2: "the two", 3: "the three", 4: "the four"}.get(found.middle, "those")
    sentences = [
        _difference_sentence(
            f"Asked for, the two ends were given {{points}} points {{more}} often than {middle} in the middle",
            given,
            otherwise="Between the ends and the middle there is no clear difference in what is given when asked for",
        ),
        _difference_sentence(
            "Less what is given unasked, the ends are still {points} points {more}",
            lift,
            otherwise="Less what is given unasked, there is no clear difference left between ends and middle",
        ),
        *absent_sentences(found),
    ]
    if given.blocks < fewest_blocks():
        sentences.append(too_few_words(given.blocks))
    return sentences


def absent_sentences(found: EndsAndMiddle) -> list[str]:
    """What was given to questions without an answer; nothing where there was no such question."""
    if not found.absent:
        return []
    said = f"Asked for a value that is not there, the model gave a planted one {found.absent_given} of"
    ends = f", {found.absent_ends} of these from an end" if found.absent_given else ""
    return [f"{said} {found.absent} times{ends}."]


def _difference_sentence(clear: str, found: PairedDifference, *, otherwise: str) -> str:
    estimate = found.interval.estimate
    figures = f"({difference_words(found.interval, found.p_value, found.blocks, scale=100, unit='points', digits=0)})"
    if not found.clear:
        return f"{otherwise} {figures}."
    more = "more" if estimate > 0 else "less"
    return f"{clear.format(points=round(abs(100 * estimate)), more=more)} {figures}."
