"""The contrasts of a placement run in words: declared ones, what is exploratory beside them, length, and noise."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from cli.output import Table
from cli.tables import Row, numbers, people_table, signed
from probes.experiments import placement_sentences
from probes.experiments.placement_outcomes import Outcomes, Setting, least_measurable
from probes.stats import p_words

Columns = list[tuple[str, Callable[[Row], str]]]
# What stands beside coverage: the outcome, and the heading over it.
_BESIDE = {"coverage_matched_rate": "cut", "coverage_adjusted_rate": "adjusted", "centre_of_mass": "shift"}
_ABOUT_BESIDE = (
    "cut: both answers cut after as many words as the shorter one has; adjusted: what a line over their lengths leaves "
    "at equal length; both in points. shift: of the centre of what is kept, in % of the text; clear where its interval "
    "and its sign-flip test, corrected over the contrasts here (Holm), both say so. The unit is the block; 95% "
    "intervals that resample blocks; exploratory."
)


def setting_words(setting: Setting, *, length: bool = True) -> str:
    """A setting in a title: model and length, and of the rest what is not as usual.

    Example: "sim/recency, 400 tokens, transcript, format, temperature 0.7"
    """
    parts = [setting.model]
    parts += [f"{setting.length_tokens:,} tokens"] if length else []
    parts += [setting.framing] if setting.framing != "document" else []
    parts += [setting.task] if setting.task != "focused" else []
    parts += [] if setting.temperature is None else [f"temperature {setting.temperature:g}"]
    return ", ".join(parts)


def table_if_any(command: str, title: str, rows: Sequence[Row], columns: Columns, notes: Sequence[str]) -> list[Table]:
    """A table where there is something to show."""
    return [people_table(command, title, rows, columns, notes=[note for note in notes if note])] if rows else []


def points(row: Row, key: str) -> str:
    """A difference of rates in points: "+12 [+3, +20]"; one block has no interval."""
    limits = f" [{100 * row['low']:+.0f}, {100 * row['high']:+.0f}]" if row["blocks"] > 1 else ""
    return f"{100 * row[key]:+.0f}{limits}"


def contrast_tables(command: str, words: str, rows: Sequence[Row]) -> list[Table]:
    """The declared contrasts of each outcome, then what is exploratory, each with what it says in words.

    Where answers are no summaries, nothing is told of differences between them.
    """
    by_outcome: dict[str, list[Row]] = {}
    for row in rows:
        if row["measurable"] is not False:
            by_outcome.setdefault(row["outcome"], []).append(row)
    margins, raw, coverage, constraints = (
        by_outcome.get(name, []) for name in ("margin_nats", "logprob_nats", "coverage_rate", "constraint_rate")
    )
    return [
        *_contrast_table(command, f"Declared contrasts, margin in nats: {words}", margins, raw=raw),
        *_contrast_table(command, f"Declared contrasts, coverage: {words}", coverage),
        *_contrast_table(command, f"Exploratory contrasts, constraints followed: {words}", constraints),
        *_beside_coverage(command, f"Exploratory, beside coverage: {words}", by_outcome),
    ]


def _contrast_table(command: str, title: str, rows: Sequence[Row], *, raw: Sequence[Row] = ()) -> list[Table]:
    """One outcome's contrasts; beside the margin stands the difference in the raw log-probability."""
    in_nats = bool(rows) and rows[0]["outcome"].endswith("_nats")
    beside = {(row["arm"], row["control"]): row for row in raw}
    columns: Columns = [
        ("contrast", _contrast),
        ("difference", partial(signed, key="difference") if in_nats else partial(points, key="difference")),
        *([("raw", lambda row: f"{beside[row['arm'], row['control']]['difference']:+.2f}")] if raw else []),
        ("p (Holm)" if rows and rows[0]["tests"] > 1 else "p", lambda row: p_words(row["p_holm"])),
        *numbers(("blocks", "blocks")),
        ("detectable", partial(_detectable, in_nats=in_nats)),
    ]
    notes = placement_sentences.contrast_sentences(rows)
    if raw:
        notes += placement_sentences.disagreement_sentences(rows, raw)
    return table_if_any(command, title, rows, columns, [*notes, _test_words(rows)])


def _contrast(row: Row) -> str:
    if placement_sentences.is_net(row):
        return f"({row['arm']}) less ({row['control']})"
    return f"{row['arm']} less {row['control']}"


def _detectable(row: Row, *, in_nats: bool) -> str:
    if not row["detectable"]:  # unknown, or alike in all blocks
        return "?"
    return f"{row['detectable']:.2f}" if in_nats else f"{100 * row['detectable']:.0f}"


def _test_words(rows: Sequence[Row]) -> str:
    """What the columns of a contrast table are: unit, n, intervals, test and correction."""
    if not rows:
        return ""
    scale = "nats" if rows[0]["outcome"].endswith("_nats") else "points"
    tests = max(row["tests"] for row in rows)
    corrected = "" if tests > 1 else ", one contrast, so that p needs no correction"
    has_net = tests > 1 and any(map(placement_sentences.is_net, rows))
    net = "; p of those that compare two differences is not corrected" if has_net else ""
    return f"In {scale}; the unit is the block, n is how many there are; 95% intervals; sign-flip test{corrected}{net}."


def _beside_coverage(command: str, title: str, by_outcome: Mapping[str, Sequence[Row]]) -> list[Table]:
    """What is left of a difference in coverage at equal length, and how far the centre of what is kept moves."""
    family = [row for row in by_outcome.get("coverage_rate", []) if not placement_sentences.is_net(row)]
    cells = {
        (name, row["arm"], row["control"]): row for name, rows in by_outcome.items() if name in _BESIDE for row in rows
    }
    columns: Columns = [
        ("contrast", _contrast),
        *((heading, partial(_beside_cell, cells, name)) for name, heading in _BESIDE.items()),
        *numbers(("blocks", "blocks")),
    ]
    notes = [
        *placement_sentences.at_length_sentences(family, by_outcome.get("coverage_matched_rate", [])),
        *placement_sentences.shift_sentences(by_outcome.get("centre_of_mass", [])),
        _ABOUT_BESIDE,
    ]
    return table_if_any(command, title, family, columns, notes)


def _beside_cell(cells: Mapping[tuple[str, str, str], Row], name: str, row: Row) -> str:
    found = cells.get((name, row["arm"], row["control"]))
    return "-" if found is None else points(found, "difference")


def length_tables(command: str, outcomes: Outcomes, rows: Sequence[Row]) -> list[Table]:
    """Whether contrasts change with the length; of coverage not where some length's answers are no summaries."""
    tables: list[Table] = []
    for setting in dict.fromkeys(each._replace(length_tokens=0) for each in outcomes):
        keys = {key: value for key, value in setting._asdict().items() if key != "length_tokens"}
        lengths = {each: blocks for each, blocks in outcomes.items() if each._replace(length_tokens=0) == setting}
        measurable = all((least := least_measurable(blocks)) is None or least.measurable for blocks in lengths.values())
        for outcome, title in (("margin_nats", "margin in nats"), ("coverage_rate", "coverage")):
            here = [row for row in rows if row["outcome"] == outcome and all(row[key] == keys[key] for key in keys)]
            if outcome == "coverage_rate" and not measurable:
                continue
            in_nats = outcome == "margin_nats"
            columns: Columns = [
                ("contrast", _contrast),
                ("for each doubling", partial(signed if in_nats else points, key="per_doubling")),
                ("p", lambda row: p_words(row["p_holm"])),
                *numbers(("blocks", "blocks")),
            ]
            kind = "Declared" if any(row["declared"] for row in here) else "Exploratory"
            name = f"{kind}, change with length, {title}: {setting_words(setting, length=False)}"
            notes = placement_sentences.length_sentences(here)
            if here:
                shown = ", ".join(f"{length:,}" for length in here[0]["lengths"])
                notes.append(
                    f"Lengths {shown} tokens. The unit is the block, the same at all lengths; one slope a block over "
                    f"log2(length); sign-flip test, p corrected for {here[0]['tests']} contrasts (Holm)."
                )
            tables += table_if_any(command, name, here, columns, notes)
    return tables


def noise_tables(command: str, words: str, rows: Sequence[Row]) -> list[Table]:
    """Whether arms differ more than samples of one arm do."""
    columns: Columns = [
        ("contrast", _contrast),
        ("arms differ by", lambda row: f"{100 * row['arms_difference']:.0f}"),
        ("samples differ by", lambda row: f"{100 * row['samples_difference']:.0f}"),
        ("more", partial(points, key="excess")),
        *numbers(("blocks", "blocks")),
    ]
    notes = [
        *placement_sentences.noise_sentences(rows),
        "Points of coverage between two answers on the same text; 95% intervals that resample blocks; exploratory.",
    ]
    return table_if_any(command, f"Arms against samples: {words}", rows, columns, notes)
