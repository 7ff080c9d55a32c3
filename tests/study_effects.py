"""The study's tables of differences: ends against middle, where the question and the instruction stand, lengths."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cli.needle_findings import needle_rows
from cli.placement_tables import placement_rows
from cli.run_views import readable_rows
from probes.experiments.needle_effects import NATS
from probes.experiments.needle_factors import level_name
from probes.experiments.needle_rates import hit_rate, hits_by_block
from probes.experiments.needle_results import Scored, score_needles
from probes.experiments.placement_results import read_outcomes
from probes.exported import read_runs
from probes.stats import PairedDifference, interaction, p_is, rate_interval, scale_of
from tests.study_cells import Row, interval, part_file, percent, points

SEED = 1
Rows = Mapping[str, Sequence[Row]]
Found = dict[str, list[dict[str, Any]]]


@cache
def findings(rows: Path, part: str) -> Found:
    """Every table of a part, as its command made them; read once, as several tables of ours are made from them."""
    path = part_file(rows, part)
    (run,) = read_runs(path)
    found = readable_rows(run, path)
    if run.probe == "placement":
        return placement_rows(found, read_outcomes(found), run.spec)
    return needle_rows(found, score_needles(found), run.spec)


def difference(row: Row | None, key: str = "difference") -> str:
    """A difference with its interval and corrected p: points without decimals, nats with two."""
    if row is None:
        return "-"
    scale, _, digits = scale_of(row["outcome"])
    value, low, high = (f"{scale * row[name]:+.{digits}f}" for name in (key, "low", "high"))
    return f"{value} [{low}, {high}], {p_is(row['p_holm'])}"


def one(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The first row that says all of this."""
    return next((row for row in rows if all(row[key] == value for key, value in wanted.items())), None)


# ------------------------------------------------------------------------------------------------------- needles


def ends(rows: Path) -> Iterator[Sequence[str]]:
    """Ends against middle and end against beginning of 60 texts: given when asked for, and lift by both measures."""
    yield ["1,000 tokens", "Ends less middle", "End less beginning", "Blocks"]
    contrasts = [row for row in findings(rows, "ends-by-lift")["contrast"] if row["factor"] == "depth"]
    names = {
        "given_rate": "given when asked for, points",
        "lift_rate": "lift: less given unasked, points",
        "lift_nats": "lift by log-probability, nats",
    }
    for outcome, name in names.items():
        sides = [one(contrasts, outcome=outcome, level=level) for level in ("ends", "end")]
        blocks = next((row["blocks"] for row in sides if row), 0)
        yield [name, *map(difference, sides), str(blocks)]


def places(rows: Path) -> Iterator[Sequence[str]]:
    """Key and value: right answers by the place of the question; the pilot's texts are not among the others."""
    yield ["Question", "0%", "50%", "100%", "All three", "Blocks"]
    for part, of in (("kv-places", ""), ("kv-pilot", " (pilot)")):
        found = findings(rows, part)["retrieval"]
        scored = score_needles(list(read_runs(part_file(rows, part))[0].results))
        for place in ("after", "bookend", "before"):
            cells = [row for row in found if row["place"] == place]
            asked = [each for each in scored if each.cell["control"] is None and each.cell["place"] == place]
            rate = hit_rate(asked, seed=SEED)
            whole = interval(rate.estimate, rate.low, rate.high) if rate else "-"
            yield [f"{place}{of}", *(percent(row["rate"]) for row in cells), whole, str(cells[0]["n"])]


def place_contrasts(rows: Path) -> Iterator[Sequence[str]]:
    """The paired differences between places of the question."""
    yield ["Question", "Points of what is right", "No effect beyond", "Blocks"]
    for row in findings(rows, "kv-places")["contrast"]:
        if row["factor"] == "place" and row["outcome"] not in NATS:
            name = f"{level_name(row['level'])} less {level_name(row['base'])}"
            yield [name, difference(row), f"{100 * row['no_effect_beyond']:.0f} points", str(row["blocks"])]


def effective(rows: Path) -> Iterator[Sequence[str]]:
    """Right answers by length, and the effective length by both definitions."""
    yield ["Task", "250", "500", "1,000", "2,000", "4,000", "RULER, 85.6%", "NoLiMa, 85% of base", "Blocks"]
    for part in ("effective-single", "effective-multi-key"):
        by_length = right_by_length(rows, part)
        cells = _right_cells(by_length, (250, 500, 1000, 2000, 4000))
        lengths = {row["definition"]: row for row in findings(rows, part)["effective_length"]}
        both = [_effective(lengths.get(definition)) for definition in ("ruler", "nolima")]
        yield [part.removeprefix("effective-"), *cells, *both, _blocks(by_length)]


def scaling(rows: Path) -> Iterator[Sequence[str]]:
    """Finding against combining: how right answers fall with the length of the text, and by how much one falls more."""
    found = {task: right_by_length(rows, part) for task, part in SCALING_PARTS.items()}
    lengths = sorted(set().union(*found.values()))
    yield [
        "Task",
        *(f"{length:,}" for length in lengths),
        "Each doubling, points",
        "Less chain, each doubling",
        "Blocks",
    ]
    for task, by_length in found.items():
        cells = _right_cells(by_length, lengths)
        each_doubling = with_p(interaction(by_length, seed=SEED, most=1.0))
        less_chain = "-" if task == "chain" else _less_combining(by_length, found["chain"])
        yield [task, *cells, each_doubling, less_chain, _blocks(by_length)]


SCALING_PARTS = {"single": "effective-single", "multi-key": "effective-multi-key", "chain": "chain-lengths"}
FLOOR = 0.3  # a task that fewer answers get right in the shortest text has no way left to fall
ByLength = Mapping[int, Mapping[int, float]]  # length -> block -> share of right answers


@cache
def right_by_length(rows: Path, part: str) -> ByLength:
    """The share of right answers in each block, at each length, controls left out."""
    asked: dict[int, list[Scored]] = defaultdict(list)
    for each in score_needles(list(read_runs(part_file(rows, part))[0].results)):
        if each.cell["control"] is None:
            asked[each.cell["length_tokens"]].append(each)
    return {length: hits_by_block(group) for length, group in sorted(asked.items())}


def _right_cells(by_length: ByLength, lengths: Iterable[int]) -> list[str]:
    """The rate of right answers at each length, with its interval."""
    rates = [rate_interval(list(by_length.get(length, {}).values()), seed=SEED) for length in lengths]
    return [interval(rate.estimate, rate.low, rate.high) if rate else "-" for rate in rates]


def _blocks(by_length: ByLength) -> str:
    return str(len(set().union(*by_length.values())))


def _less_combining(finding: ByLength, combining: ByLength) -> str:
    why = why_no_slope(finding, combining)
    return f"not measurable: {why}" if why else with_p(slope_difference(finding, combining))


def why_no_slope(finding: ByLength, combining: ByLength) -> str:
    """Why it cannot be measured how much more longer texts take from combining, in words; nothing where it can."""
    shortest = min(combining)
    right, blocks = sum(combining[shortest].values()), len(combining[shortest])
    if right < FLOOR * blocks:
        return f"{right:.0f} of {blocks} right in the shortest text"
    return "one length" if len(finding.keys() & combining.keys()) < 2 else ""


def slope_difference(finding: ByLength, combining: ByLength) -> PairedDifference | None:
    """By how much more each doubling of the text takes from combining than from finding; None without a slope.

    The difference of two slopes over log2(length) is the slope of the difference, one a block: blocks of one number
    have the same filler where the seeds agree, and are paired by their number where not.
    """
    apart = {
        length: {
            block: right - combining[length][block] for block, right in by_block.items() if block in combining[length]
        }
        for length, by_block in finding.items()
        if length in combining
    }
    return interaction(apart, seed=SEED, most=1.0)


def with_p(found: PairedDifference | None) -> str:
    """A difference of rates in points, with its interval and p."""
    if found is None:
        return "-"
    return f"{points(found)}, {p_is(found.p_value)}"


def _effective(row: Row | None) -> str:
    if row is None:
        return "-"
    tokens, low, high = (_tokens(row, f"{kind}_tokens") for kind in ("effective", "surely", "possibly"))
    return f"{tokens} [{low} to {high}]"


def _tokens(row: Row, key: str) -> str:
    if not row[key]:
        return "none"
    return f"{row[key]:,}" + ("+" if row[key] == row["longest_tokens"] else "")


# ----------------------------------------------------------------------------------------------------- placement


def arms(rows: Path) -> Iterator[Sequence[str]]:
    """Margin and coverage of every arm at each length."""
    found = findings(rows, "placement-arms")["arm"]
    lengths = sorted({row["length_tokens"] for row in found})
    yield ["Instruction", *(f"margin, {length:,}" for length in lengths), *(f"kept, {length:,}" for length in lengths)]
    for arm in dict.fromkeys(row["arm"] for row in found):
        cells = [one(found, arm=arm, length_tokens=length) for length in lengths]
        yield [arm, *(_margin(cell) for cell in cells), *(_coverage(cell) for cell in cells)]


def arm_contrasts(rows: Path) -> Iterator[Sequence[str]]:
    """The declared contrasts at each length, and how they change with it."""
    found = findings(rows, "placement-arms")
    declared = [row for row in found["contrast"] if row["declared"]]
    lengths = sorted({row["length_tokens"] for row in declared})
    yield ["Contrast", *(f"{length:,}" for length in lengths), "Each doubling"]
    for outcome, unit in (("margin_nats", "nats"), ("coverage_rate", "points")):
        pairs = dict.fromkeys((row["arm"], row["control"]) for row in declared if row["outcome"] == outcome)
        for arm, control in pairs:
            key = {"outcome": outcome, "arm": arm, "control": control}
            cells = [difference(one(declared, **key, length_tokens=length)) for length in lengths]
            slope = one(found["length_interaction"], **key)
            yield [f"{arm} less {control}, {unit}", *cells, difference(slope, "per_doubling")]


def framings(rows: Path) -> Iterator[Sequence[str]]:
    """The same conversation as a transcript and as real turns."""
    yield ["Framing", "Instruction", "Margin, nats", "Facts kept", "Blocks"]
    for framing in ("transcript", "chat"):
        for row in findings(rows, f"placement-{framing}")["arm"]:
            yield [framing, row["arm"], _margin(row), _coverage(row), str(row["margin_blocks"])]


def framing_contrasts(rows: Path) -> Iterator[Sequence[str]]:
    """The declared contrasts inside either framing."""
    yield ["Contrast", "Transcript", "Chat"]
    found = {framing: findings(rows, f"placement-{framing}")["contrast"] for framing in ("transcript", "chat")}
    for row in found["transcript"]:
        if row["declared"]:
            key = {name: row[name] for name in ("outcome", "arm", "control")}
            unit = scale_of(row["outcome"])[1]
            cells = [difference(one(found[framing], **key)) for framing in ("transcript", "chat")]
            yield [f"{row['arm']} less {row['control']}, {unit}", *cells]


def _margin(row: Row | None) -> str:
    if row is None or row["margin_nats"] is None:
        return "-"
    return f"{row['margin_nats']:.2f} [{row['margin_low']:.2f}, {row['margin_high']:.2f}]"


def _coverage(row: Row | None) -> str:
    if row is None or row["coverage_rate"] is None:
        return "-"
    return interval(row["coverage_rate"], row["coverage_low"], row["coverage_high"])


EFFECT_TABLES: Mapping[str, Callable[[Path], Iterator[Sequence[str]]]] = {
    "ends": ends,
    "places": places,
    "place_contrasts": place_contrasts,
    "effective": effective,
    "scaling": scaling,
    "arms": arms,
    "arm_contrasts": arm_contrasts,
    "framings": framings,
    "framing_contrasts": framing_contrasts,
}
