"""The study's last table: what others have predicted of places in a prompt, and what was measured on the small model.

Every verdict is chosen by the figures: "as predicted" and "the opposite" where the corrected test and the interval both
tell the difference from nothing, "no effect within 5 points" where the test of equivalence says so, "not told apart"
else. "Not measurable on this model": where so few answers are right, or are summaries, that nothing could be seen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from probes.experiments.needle_rates import hits_by_block
from probes.experiments.needle_results import score_needles
from probes.experiments.placement_outcomes import ArmOutcome, Blocks, fact_values, mean, position_values, read_outcomes
from probes.experiments.placement_sentences import is_clear
from probes.stats import holm, paired_difference, scale_of
from tests.study_cells import Row, results
from tests.study_effects import (
    SEED,
    difference,
    findings,
    one,
)

PREDICTED, OPPOSITE, UNCLEAR = "as predicted", "the opposite", "not told apart"
IN_PART, UNMEASURABLE = "in part", "not measurable on this model"
UNMEASURED = "not measured yet"
FLOOR = 0.3  # a task that fewer answers get right in the shortest text has no way left to fall


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured of a prediction: the verdict, the figures that it goes by, and from how many blocks."""

    verdict: str
    figures: str
    blocks: int | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction, the parts of the study that can answer it, and how their rows do."""

    said: str
    parts: tuple[str, ...]
    read: Callable[[Path], Answer]


def predictions(rows: Path) -> Iterator[Sequence[str]]:
    """One line a prediction."""
    yield ["Predicted", "Measured", "Difference, 95% interval", "Blocks", "Part of the study"]
    for each in PREDICTIONS:
        try:
            found = each.read(rows)
        except FileNotFoundError:
            found = Answer(UNMEASURED, "-")
        yield [each.said, found.verdict, found.figures, str(found.blocks or "-"), ", ".join(each.parts)]


def verdict_of(row: Row | None) -> str:
    """What the row of a contrast says of an effect that was predicted to be above nothing."""
    if row is None:
        return UNMEASURABLE
    if is_clear(row):
        return PREDICTED if (row["low"] > 0) else OPPOSITE
    if row.get("equivalent"):
        return f"no effect within {100 * row['equivalence_margin']:.0f} points"
    return UNCLEAR


def _answer(row: Row | None, what: str, key: str = "difference") -> Answer:
    if row is None:
        return Answer(UNMEASURABLE, "-")
    unit = scale_of(row["outcome"])[1]
    return Answer(verdict_of(row), f"{what}, {unit}: {difference(row, key)}", row["blocks"])


# ------------------------------------------------------------------------------------------------------- placement


def _outcome(rows: Path) -> str:
    """What the plan declares as primary: the margin where the model gives log-probabilities, coverage otherwise."""
    outcomes = {row["outcome"] for row in findings(rows, "placement-arms")["contrast"]}
    return "margin_nats" if "margin_nats" in outcomes else "coverage_rate"


def place_and_length(rows: Path) -> Answer:
    """Whether after against before makes no difference in the shortest texts, one in the longest, and a rising one."""
    key = {"outcome": _outcome(rows), "arm": "after", "control": "before"}
    found = findings(rows, "placement-arms")
    lengths = sorted(row["length_tokens"] for row in found["contrast"] if all(row[name] == key[name] for name in key))
    slope = one(found["length_interaction"], **key)
    if slope is None:
        return Answer(UNMEASURABLE, "-")
    shortest, longest = (one(found["contrast"], **key, length_tokens=length) for length in (lengths[0], lengths[-1]))
    assert shortest is not None
    assert longest is not None
    grows = is_clear(slope) and is_clear(longest) and slope["per_doubling"] * longest["difference"] > 0
    shrinks = is_clear(slope) and is_clear(shortest) and slope["per_doubling"] * shortest["difference"] < 0
    verdict = (IN_PART if is_clear(shortest) else PREDICTED) if grows else OPPOSITE if shrinks else UNCLEAR
    unit = scale_of(key["outcome"])[1]
    cells = [
        f"{lengths[0]:,} tokens {difference(shortest)}",
        f"{lengths[-1]:,} tokens {difference(longest)}",
        f"each doubling {difference(slope, 'per_doubling')}",
    ]
    return Answer(verdict, f"after less before, {unit}: {'; '.join(cells)}", slope["blocks"])


def bookend_and_length(rows: Path) -> Answer:
    """Whether what the instruction at both ends adds to the bare text rises with the length."""
    key = {"outcome": _outcome(rows), "arm": "bookend", "control": "none"}
    slope = one(findings(rows, "placement-arms")["length_interaction"], **key)
    return _answer(slope, "bookend less none, each doubling", "per_doubling")


KINDS_PARTS = ("placement-kinds-chat", "placement-kinds-transcript")


def own_conversation(rows: Path) -> Answer:
    """Whether the model's own turns favour what is recent, and commitments, more than the same turns told to it."""
    (own,), (told,) = (read_outcomes(results(rows, part)).values() for part in KINDS_PARTS)
    tested = {}
    for name, value in (("recent", _recency), ("commitments", _commitments)):
        found = paired_difference(_apart(own, told, value), seed=SEED, tests=2)
        if found is None:
            return Answer(UNMEASURABLE, "-")
        tested[name] = found
    corrected = holm([found.p_value for found in tested.values()])
    said, figures = [], []
    for (name, found), p_holm in zip(tested.items(), corrected, strict=True):
        row = found.row() | {"outcome": "margin_nats", "p_holm": p_holm}
        said.append(verdict_of(row))
        figures.append(f"{name} {difference(row)}")
    verdict = said[0] if said[0] == said[1] else IN_PART if PREDICTED in said else UNCLEAR
    blocks = min(found.blocks for found in tested.values())
    return Answer(verdict, f"own turns less transcript, nats: {'; '.join(figures)}", blocks)


def _apart(own: Blocks, told: Blocks, value: Callable[[ArmOutcome], float | None]) -> list[float]:
    """A value of each conversation as own turns less that of the same one as a transcript."""
    pairs = [(value(own[block]["after"]), value(told[block]["after"])) for block in own if block in told]
    return [first - second for first, second in pairs if first is not None and second is not None]


def _recency(found: ArmOutcome) -> float | None:
    return position_values(found, "margin_nats").get("recency")


def _commitments(found: ArmOutcome) -> float | None:
    """The margin of commitments less that of what is said by the way."""
    values = fact_values(found, "margin_nats")
    if values is None:
        return None
    of = {kind: mean(v for name, v in zip(found.kinds, values, strict=True) if name == kind) for kind in found.kinds}
    commitments, incidental = of.get("commitment"), of.get("incidental")
    return None if commitments is None or incidental is None else commitments - incidental


# ------------------------------------------------------------------------------------------------------- needles


def depth_effect(rows: Path, *, level: str, base: str) -> Answer:
    """Right values given when asked for, less what is given unasked, at one place of the text and at another."""
    key = {"factor": "depth", "outcome": "lift_rate", "level": level, "base": base}
    row = one(findings(rows, "ends-by-lift")["contrast"], **key)
    return _answer(row, f"{level} less {base}, given for its question")


def effective_length(rows: Path) -> Answer:
    """Whether the longest text is longer than what is used of it, as NoLiMa counts it."""
    row = one(findings(rows, "effective-single")["effective_length"], definition="nolima")
    if row is None or row["base_rate"] < FLOOR:
        return Answer(UNMEASURABLE, "-")
    longest = row["longest_tokens"]
    verdict = (
        PREDICTED if row["possibly_tokens"] < longest else OPPOSITE if row["surely_tokens"] == longest else UNCLEAR
    )
    ends = " to ".join(f"{row[key]:,}" if row[key] else "none" for key in ("surely_tokens", "possibly_tokens"))
    figures = f"85% of the rate in short texts up to {row['effective_tokens']:,} [{ends}] of {longest:,} tokens"
    return Answer(verdict, figures, row["most_blocks"])


def finding_and_combining(rows: Path) -> Answer:
    """Whether 1,000 tokens of text take more from combining than from finding, beside a text of a few sentences."""
    short, long = _right(rows, "chain")
    if sum(short.values()) < FLOOR * len(short):
        return Answer(UNMEASURABLE, f"{sum(short.values()):.0f} of {len(short)} chains right in a few sentences")
    found_short, found_long = _right(rows, "single")
    blocks = short.keys() & long.keys() & found_short.keys() & found_long.keys()
    losses = [short[block] - long[block] - (found_short[block] - found_long[block]) for block in sorted(blocks)]
    tested = paired_difference(losses, seed=SEED, most=2.0)
    assert tested is not None
    row = tested.row() | {"outcome": "right_rate", "p_holm": tested.p_value}
    return _answer(row, "lost in 1,000 tokens, chain less single")


def _right(rows: Path, part: str) -> tuple[Mapping[int, float], Mapping[int, float]]:
    """The share of right answers in each block: in the text of a few sentences, and in the long one."""
    scored = score_needles(results(rows, part))
    short, long = (hits_by_block(each for each in scored if each.cell["control"] == name) for name in ("short", None))
    return short, long


def headings(rows: Path) -> Answer:
    """Right answers in text with headings, less those in the same text without."""
    row = one(findings(rows, "headings")["contrast"], factor="structure", outcome="right_rate", level="headings")
    return _answer(row, "headings less plain")


PREDICTIONS = (
    Prediction(
        "Short prompts do not care where the instruction stands, long ones do", ("placement-arms",), place_and_length
    ),
    Prediction("Near the question is better", ("ends-by-lift",), partial(depth_effect, level="end", base="beginning")),
    Prediction("The middle is worse", ("ends-by-lift",), partial(depth_effect, level="ends", base="middle")),
    Prediction("Twice the window is not twice the use", ("effective-single",), effective_length),
    Prediction("Finding a quote scales better than combining", ("single", "chain"), finding_and_combining),
    Prediction("Headings help", ("headings",), headings),
    Prediction(
        "The same conversation favours what is recent and commitments, a new call is more even",
        KINDS_PARTS,
        own_conversation,
    ),
    Prediction("Bookending helps most when the text is long", ("placement-arms",), bookend_and_length),
)
PREDICTION_TABLES: Mapping[str, Callable[[Path], Iterator[Sequence[str]]]] = {"predictions": predictions}
