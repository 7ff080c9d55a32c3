"""What the figures of a judge's run say in plain words; every sentence is chosen by the figures themselves."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from probes.experiments.judge_results import COVERAGE
from probes.experiments.placement_outcomes import LeastMeasurable, Setting
from probes.experiments.placement_sentences import family_sentences, is_clear, measurable_sentence, pair_words
from probes.stats import Interval, blocks_words, difference_words

Row = Mapping[str, Any]
BLIND = "The judge saw the facts and the answer: not the text, nor the arm, nor the model that wrote it."


def agreement_sentences(row: Row) -> list[str]:
    """How far judge and score agree on all facts of one setting, and which of them finds more."""
    if not row["facts"]:
        told = "`needlepoint runs show --answers` shows what the judge said"
        return [f"Not one verdict could be read, so nothing is known of how far judge and score agree; {told}."]
    said = f"{row['judge']} and the score agree on {share_words(row, 'agreement')} of {_facts(row)}"
    if row["kappa"] is None:
        said += "; Cohen's kappa is not defined, as each of them says the same of every fact"
    else:
        said += f", Cohen's kappa {value_words(row, 'kappa', digits=2)}"
    said += f" ({'95% intervals over ' if row['blocks'] > 1 else ''}{blocks_words(row['blocks'])})."
    alone, judged = row["only_score"], row["only_judge"]
    if not alone and not judged:
        return [said, "They find the same facts in every answer."]
    return [said, f"Where they differ, the score alone finds {alone:,} and the judge alone {judged:,}."]


def _facts(row: Row) -> str:
    return "1 fact" if row["facts"] == 1 else f"{row['facts']:,} facts"


def share_words(row: Row, prefix: str) -> str:
    """A share with its interval: "97% [95-98]"; "-" where there is none, and one block has no interval."""
    share, low, high = (row[f"{prefix}_{end}"] for end in ("rate", "low", "high"))
    if share is None:
        return "-"
    return f"{100 * share:.0f}%{f' [{100 * low:.0f}-{100 * high:.0f}]' if row['blocks'] > 1 else ''}"


def value_words(row: Row, key: str, *, digits: int) -> str:
    """A value with its interval: "3.2 [2.9, 3.5]"; "-" where there is none, and one block has no interval."""
    if row[key] is None:
        return "-"
    value, low, high = (f"{row[name]:.{digits}f}" for name in (key, f"{key}_low", f"{key}_high"))
    return f"{value}{f' [{low}, {high}]' if row['blocks'] > 1 else ''}"


def missing_sentences(rows: Sequence[Row]) -> list[str]:
    """How many verdicts are missing and why, and where the coverage would lie whatever they had said; `rows`: arms."""
    missing, answers = sum(row["missing"] for row in rows), sum(row["answers"] for row in rows)
    if not missing:
        return []
    kinds = {"unreadable": "in another form", "truncated": "cut", "refusal": "refused", "error": "failed"}
    counts = {words: sum(row[key] for row in rows) for key, words in kinds.items()}
    counts["not asked yet"] = missing - sum(counts.values())
    why = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    bounds = ", ".join(
        f"{row['arm']} {100 * row['coverage_worst_low']:.0f} to {100 * row['coverage_worst_high']:.0f}%"
        for row in rows
        if row["missing"]
    )
    are = "is missing: it counts" if missing == 1 else "are missing: they count"
    return [
        f"{missing} of {answers} verdicts {are} in no rate ({why}). With any there could be, coverage is: {bounds}."
    ]


def measurable_sentences(spec: Mapping[str, Any], setting: Setting) -> list[str]:
    """That nothing is said of coverage in a setting where too few answers are summaries."""
    for found in spec.get("not_measurable", ()):
        if all(found.get(key) == value for key, value in setting._asdict().items()):
            said = measurable_sentence(LeastMeasurable(found["arm"], found["summaries"], found["answers"]))
            return [said] if said else []
    return []


def scope_sentences(spec: Mapping[str, Any], judge: str, served: Collection[str]) -> list[str]:
    """What the judge saw, what its server calls it, which answers it did not get, and whether it judged its own."""
    said = [f"Answers of run {spec['judged_run']}. {BLIND}"]
    if names := sorted(name for name in served if name not in judge):
        said.append(f"Its server calls the judge {', '.join(names)}.")
    if left_out := spec.get("not_judged"):
        words = {"error": "failed calls", "missing": "never asked", "refusal": "refusals"}
        counts = ", ".join(f"{count} {words.get(kind, kind)}" for kind, count in left_out.items())
        said.append(f"Not judged, as in no rate of that run: {counts}.")
    if spec.get("own_answers"):
        said.append(f"{spec['own_answers']} judges answers of its own here, which judges have been seen to favour.")
    return said


def contrast_sentences(rows: Sequence[Row]) -> list[str]:
    """One sentence a contrast of one outcome in one setting; beside coverage what the score says of those answers."""
    return [*map(_contrast_sentence, rows), *family_sentences(rows)]


def _contrast_sentence(row: Row) -> str:
    is_rate = row["outcome"] == COVERAGE
    scale, unit, digits = (100, "points", 0) if is_rate else (1, "on the scale of 1 to 5", 2)
    what = "coverage" if is_rate else "rating"
    interval = Interval(row["difference"], row["low"], row["high"])
    figures = difference_words(interval, row["p_holm"], row["blocks"], scale=scale, unit=unit, digits=digits)
    found = f"no clear difference in {what}"
    if is_clear(row):
        more = ("more", "less") if is_rate else ("a higher", "a lower")
        found = f"{more[row['difference'] < 0]} {what}"
    beside = ""
    if row["score_difference"] is not None:
        beside = f"; by the score, on the same answers, {100 * row['score_difference']:+.0f} points"
    if row["missing"]:
        low, high = (f"{scale * row[f'worst_{end}']:+.{digits}f}" for end in ("low", "high"))
        beside += f"; with any verdicts in place of the {row['missing']} missing, {low} to {high}"
    return f"{pair_words(row['arm'], row['control'])}: by the judge {found} ({figures}){beside}."
