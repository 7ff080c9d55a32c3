"""The study's tables of differences: ends against middle, where the question and the instruction stand, lengths."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cli.needle_findings import needle_rows
from cli.placement_tables import placement_rows
from cli.run_views import readable_rows
from probes.experiments.needle_effects import NATS
from probes.experiments.needle_factors import level_name
from probes.experiments.needle_rates import hit_rate
from probes.experiments.needle_results import Scored, score_needles
from probes.experiments.placement_results import read_outcomes
from probes.exported import read_runs
from probes.stats import p_is, scale_of
from tests.study_cells import Row, interval, part_file, percent

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
    if row.get("measurable") is False:
        return "not measurable"
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
    lengths = (250, 500, 1000, 2000, 4000)
    yield ["Task", *(f"{length:,}" for length in lengths), "RULER, 85.6%", "NoLiMa, 85% of base", "Blocks"]
    for part in ("effective-single", "effective-multi-key"):
        asked: dict[int, list[Scored]] = defaultdict(list)
        for each in score_needles(list(read_runs(part_file(rows, part))[0].results)):
            if each.cell["control"] is None:
                asked[each.cell["length_tokens"]].append(each)
        rates = [hit_rate(asked[length], seed=SEED) for length in lengths]
        cells = [interval(rate.estimate, rate.low, rate.high) if rate else "-" for rate in rates]
        found = {row["definition"]: row for row in findings(rows, part)["effective_length"]}
        both = [_effective(found.get(definition)) for definition in ("ruler", "nolima")]
        blocks = {each.block for group in asked.values() for each in group if each.counts}
        yield [part.removeprefix("effective-"), *cells, *both, str(len(blocks))]


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
    yield [
        "Instruction",
        *(f"margin, {length:,}" for length in lengths),
        *(f"kept (summaries), {length:,}" for length in lengths),
    ]
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
    yield ["Framing", "Instruction", "Margin, nats", "Facts kept (summaries)", "Blocks"]
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
    """The facts that are kept, and how many answers are summaries."""
    if row is None or row["coverage_rate"] is None:
        return "-"
    kept = interval(row["coverage_rate"], row["coverage_low"], row["coverage_high"])
    return f"{kept} ({percent(row['summary_rate'])})"


EFFECT_TABLES: Mapping[str, Callable[[Path], Iterator[Sequence[str]]]] = {
    "ends": ends,
    "places": places,
    "place_contrasts": place_contrasts,
    "effective": effective,
    "arms": arms,
    "arm_contrasts": arm_contrasts,
    "framings": framings,
    "framing_contrasts": framing_contrasts,
}
