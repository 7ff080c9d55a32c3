"""What `--dry-run` shows: what a run would ask, take and cost of each model, and what it could show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cli.output import OutputOptions, Table
from cli.tables import emit_both, machine_table, people_table
from probes.allowance import Allowance, allowances, total_of
from probes.budget import NOTHING, Amount, Limits, usd
from probes.detectable import ASSUMED, detectable_sentence, widest_rate
from probes.estimate import Estimate, ModelEstimate, Share
from probes.stats import blocks_words

COMMAND = "probe dry-run"
NO_LIMITS = Limits()
Row = dict[str, Any]
NOTHING_SHARED, MUCH_SHARED = 0.1, 0.5  # of the tokens of an arm's prompts


def show_estimate(
    estimates: Sequence[Estimate], output: OutputOptions, *, limits: Limits = NO_LIMITS, spent: Amount = NOTHING
) -> None:
    """Show what each plan would take: for people in words, for programs one row a model, an arm and a contrast.

    With it whether the limits that were given are enough for all of them; `spent` counts with the limits already.
    """
    several = len(estimates) > 1
    allowed = allowances(estimates, limits, spent)
    machine = [
        machine_table(COMMAND, "model", _rows(estimates, _model_rows), title="By model", meta=_meta(estimates)),
        machine_table(COMMAND, "arm", _rows(estimates, _arm_rows), title="By arm"),
        machine_table(COMMAND, "detectable", _rows(estimates, _detectable_rows), title="What can be seen"),
        machine_table(COMMAND, "total", [_total_row(estimates, limits, spent, allowed)], title="In all"),
    ]
    people: list[Table] = []
    for number, each in enumerate(estimates, 1):
        name = f"experiment {number}, {each.probe}" if several else each.probe
        people += _people_tables(name, each)
    sentences = [each.sentence for each in allowed]
    if several:
        people.append(_total_table(total_of(estimates), sentences))
    else:
        people[0] = replace(people[0], notes=[*people[0].notes, *sentences])
    emit_both(machine, people, output)


def _total_row(
    estimates: Sequence[Estimate], limits: Limits, spent: Amount, allowed: Sequence[Allowance]
) -> dict[str, Any]:
    """All experiments and models together, and what the limits mean for them."""
    verdicts = {each.limit: each.verdict for each in allowed}
    return {
        "experiments": len(estimates),
        **_share_row(total_of(estimates)),
        "max_cost_usd": _dollars(limits.max_cost_nano_usd),
        "spent_usd": _dollars(spent.nano_usd),
        "max_cost": verdicts.get("max_cost"),
        "max_tokens_total": limits.max_tokens_total,
        "used_tokens": spent.tokens,
        "max_tokens": verdicts.get("max_tokens_total"),
    }


def _total_table(total: Share, sentences: Sequence[str]) -> Table:
    return people_table(COMMAND, "In all", [{"share": total}], _TOTAL_COLUMNS, notes=sentences)


def _meta(estimates: Sequence[Estimate]) -> Row:
    return {"experiments": [{"probe": each.probe, "blocks": each.blocks} for each in estimates], "dry_run": True}


def _rows(estimates: Sequence[Estimate], rows_of: Any) -> list[Row]:
    """The rows of every plan, each with the number of its experiment."""
    return [
        {"experiment": number, "probe": each.probe, **row}
        for number, each in enumerate(estimates, 1)
        for row in rows_of(each)
    ]


def _model_rows(found: Estimate) -> list[Row]:
    return [{"model": model.model, "counted_by": model.counted_by, **_share_row(model.total)} for model in found.models]


def _arm_rows(found: Estimate) -> list[Row]:
    return [
        {"model": model.model, "length_tokens": share.length_tokens, "arm": share.arm, **_share_row(share)}
        for model in found.models
        for share in model.shares
    ]


def _share_row(share: Share) -> Row:
    return {
        "trials": share.trials,
        "answered": share.answered,
        "prompt_tokens": share.prompt_tokens,
        "shared_tokens": share.shared_tokens,
        "answer_tokens_most": share.answer_tokens,
        "cost_most_usd": _dollars(share.cost_most_nano_usd),
        "cost_about_usd": _dollars(share.cost_about_nano_usd),
        "time_s": share.seconds,
    }


def _dollars(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / 1e9


def _detectable_rows(found: Estimate) -> list[Row]:
    return [
        {
            "contrast": each.contrast,
            "blocks": each.blocks,
            "answers_a_block": each.answers,
            "tests": each.tests,
            "detectable": each.difference,
        }
        for each in found.detectable
    ]


def _people_tables(name: str, found: Estimate) -> list[Table]:
    totals = [{"model": model.model, "share": model.total} for model in found.models]
    columns = [("model", lambda row: row["model"]), *_TOTAL_COLUMNS]
    tables = [people_table(COMMAND, f"What {name} would take", totals, columns, notes=_notes(found))]
    arms = [{"model": model.model, "share": share} for model in found.models for share in model.shares if share.trials]
    if len(arms) > len(found.models):
        columns = [
            ("arm", lambda row: f"{row['share'].arm}"),
            ("length", lambda row: "-" if row["share"].length_tokens is None else f"{row['share'].length_tokens:,}"),
            ("trials", lambda row: f"{row['share'].trials:,}"),
            ("prompt tokens", lambda row: f"{row['share'].prompt_tokens:,}"),
            ("shared", lambda row: _percent_shared(row["share"])),
            ("cost at most", lambda row: money(row["share"].cost_most_nano_usd)),
            ("time", lambda row: duration(row["share"].seconds)),
        ]
        for model in found.models:
            rows = [row for row in arms if row["model"] == model.model]
            tables.append(people_table(COMMAND, f"By arm: {model.model}", rows, columns, notes=_sharing(model)))
    return tables


_TOTAL_COLUMNS: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
    ("trials", lambda row: f"{row['share'].trials:,}"),
    ("done", lambda row: f"{row['share'].answered:,}"),
    ("prompt tokens", lambda row: f"{row['share'].prompt_tokens:,}"),
    ("answer tokens", lambda row: f"{row['share'].answer_tokens:,}"),
    ("cost at most", lambda row: money(row["share"].cost_most_nano_usd)),
    ("time", lambda row: duration(row["share"].seconds)),
]


def _notes(found: Estimate) -> list[str]:
    notes = []
    for model in found.models:
        total = model.total
        about = ""
        if total.cost_about_nano_usd is not None and total.cost_about_nano_usd != total.cost_most_nano_usd:
            about = f"; with answers as long as so far about {money(total.cost_about_nano_usd)}"
        unknown = "; its price is unknown" if total.cost_most_nano_usd is None else ""
        notes.append(f"{model.model}: prompt tokens by {model.counted_by}{about}{unknown}.")
    notes += [detectable_sentence(each) for each in found.detectable]
    notes += [ASSUMED] if any(each.difference is not None for each in found.detectable) else []
    half = f"±{100 * widest_rate(found.blocks):.0f} points"
    known = f"With {blocks_words(found.blocks)} a rate near one half is known to {half} (95%)."
    notes.append(f"{known} Nothing was asked, nothing was kept.")
    return notes


def _sharing(model: ModelEstimate) -> list[str]:
    """What the arms cost in prompt tokens that must be computed anew, where that differs."""
    if model.total.shared_tokens is None or not model.total.prompt_tokens:
        return []
    shared, tokens = model.total.shared_tokens, model.total.prompt_tokens
    notes = [f"Of {tokens:,} prompt tokens {shared:,} ({shared / tokens:.0%}) are those of the call before."]
    arms: dict[str, list[int]] = {}
    for share in model.shares:
        sums = arms.setdefault(share.arm, [0, 0])
        sums[0] += share.shared_tokens or 0
        sums[1] += share.prompt_tokens
    rates = {arm: part / whole for arm, (part, whole) in arms.items() if whole}
    little = [arm for arm, rate in rates.items() if rate < NOTHING_SHARED and arm in _IN_FRONT]
    if little and any(rate > MUCH_SHARED for rate in rates.values()):
        names = " and ".join(little)
        notes.append(f"What stands in front ({names}) changes with each question, so that next to nothing is shared.")
    return notes


_IN_FRONT = ("before", "bookend")


def _percent_shared(share: Share) -> str:
    if share.shared_tokens is None or not share.prompt_tokens:
        return "-"
    return f"{share.shared_tokens / share.prompt_tokens:.0%}"


def money(nano_usd: int | None) -> str:
    """An amount for people; what is unknown is "?" and never nothing."""
    return "?" if nano_usd is None else usd(nano_usd)


def duration(seconds: float | None) -> str:
    """A time for people: 42.3 -> "42 s", 200 -> "3 min", 9000 -> "2.5 h", None -> "?"."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
