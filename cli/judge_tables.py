"""From the results of a judge's run to its tables and sentences."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cli.output import Table
from cli.placement_contrast_tables import Columns, points, setting_words, table_if_any
from cli.tables import machine_table, numbers, percent, signed
from probes.experiments import judge_results, judge_sentences
from probes.experiments.judge_results import COVERAGE
from probes.experiments.judge_sentences import share_words, value_words
from probes.experiments.placement_contrasts import Declared
from probes.experiments.placement_outcomes import Setting
from probes.experiments.placement_results import cost_rows
from probes.plan import Result
from probes.stats import p_words

Rows = list[dict[str, Any]]
# The tables of a judge's run by their names in the machine forms, in their order.
JUDGE_TITLES = {
    "arm": "By arm",
    "agreement": "Judge against score",
    "contrast": "Contrasts",
    "cost": "What a verdict took",
}


def judge_findings(command: str, results: Sequence[Result], meta: Mapping[str, Any]) -> tuple[list[Table], list[Table]]:
    """The whole rows of every table for programs, and tables in words for people; `meta` holds the run's spec."""
    judge, seed = results[0].model if results else "", meta["seed"]
    found = judge_results.read_all(results)
    declared = Declared.of_spec(meta)
    served = {each.completion.model for each in results if each.completion and each.completion.model}
    rows = {
        "arm": judge_results.arm_rows(found, judge=judge, seed=seed),
        "agreement": judge_results.agreement_rows(found, judge=judge, seed=seed),
        "contrast": judge_results.contrast_rows(found, judge=judge, seed=seed, declared=declared),
        "cost": cost_rows(results),
    }
    unmeasurable = {setting: judge_sentences.measurable_sentences(meta, setting) for setting in found}
    for setting, why in unmeasurable.items():
        for row in (*_of(rows["arm"], setting), *_of(rows["contrast"], setting)):
            row["measurable"] = not why
    machine = [machine_table(command, name, rows[name], title=title, meta=meta) for name, title in JUDGE_TITLES.items()]
    people: list[Table] = []
    for setting, why in unmeasurable.items():
        here = {name: _of(each, setting) for name, each in rows.items() if name != "cost"}
        words = f"{setting_words(setting)}, judged by {judge}"
        scope = [*why, *judge_sentences.scope_sentences(meta, judge, served)]
        people += _setting_tables(command, words, here, scope)
        people += [] if why else _contrast_tables(command, words, here["contrast"])
    return machine, people


def _of(rows: Rows, setting: Setting) -> Rows:
    return [row for row in rows if all(row.get(key) == value for key, value in setting._asdict().items())]


def _setting_tables(command: str, words: str, found: Mapping[str, Rows], scope: Sequence[str]) -> list[Table]:
    return [
        *_arm_table(command, words, found["arm"], scope),
        *_agreement_table(command, words, found["agreement"]),
    ]


def _arm_table(command: str, words: str, rows: Rows, scope: Sequence[str]) -> list[Table]:
    columns: Columns = [
        ("arm", lambda row: str(row["arm"])),
        ("coverage", partial(share_words, prefix="coverage")),
        ("by score", lambda row: percent(row["score_rate"]) if row["blocks"] else "-"),
        ("contradicted", partial(share_words, prefix="contradicted")),
        ("rating", partial(value_words, key="rating", digits=1)),
        ("verdicts", lambda row: f"{row['read']}/{row['answers']}"),
    ]
    about = (
        f"Means over {_range([row['blocks'] for row in rows])} blocks (texts), with 95% intervals that resample them. "
        "coverage: facts that the judge finds stated; by score: those that the score finds in the same answers; "
        "rating: from 1 to 5, how well a reader would know the facts. All of it is exploratory, without a test."
    )
    notes = [
        about,
        *judge_sentences.missing_sentences(rows),
        *scope,
    ]
    return table_if_any(command, f"Answers: {words}", rows, columns, notes)


def _agreement_table(command: str, words: str, rows: Rows) -> list[Table]:
    columns: Columns = [
        ("arm", lambda row: str(row["arm"] or "all")),
        ("agree", partial(share_words, prefix="agreement")),
        ("kappa", partial(value_words, key="kappa", digits=2)),
        *numbers(("facts", "facts"), ("both", "both"), ("only_score", "score only"), ("only_judge", "judge only")),
    ]
    about = (
        "Facts of all answers with a verdict, found stated by both or by one alone. kappa: Cohen's, agreement beyond "
        "chance. 95% intervals that resample blocks; exploratory, without a test."
    )
    notes = [sentence for row in rows if row["arm"] is None for sentence in judge_sentences.agreement_sentences(row)]
    ordered = [row for row in rows if row["arm"] is not None] + [row for row in rows if row["arm"] is None]
    return table_if_any(command, f"Judge against score: {words}", ordered, columns, [*notes, about])


_CONTRASTS = {COVERAGE: "coverage", judge_results.RATING: "rating"}


def _contrast_tables(command: str, words: str, rows: Rows) -> list[Table]:
    by_outcome = {outcome: [row for row in rows if row["outcome"] == outcome] for outcome in _CONTRASTS}
    return [table for name, here in by_outcome.items() for table in _contrast_table(command, words, name, here)]


def _contrast_table(command: str, words: str, outcome: str, rows: Rows) -> list[Table]:
    is_rate = outcome == COVERAGE
    columns: Columns = [
        ("contrast", lambda row: f"{row['arm']} less {row['control']}"),
        ("difference", partial(points if is_rate else signed, key="difference")),
        *([("by score", lambda row: f"{100 * row['score_difference']:+.0f}")] if is_rate else []),
        ("p (Holm)" if rows and rows[0]["tests"] > 1 else "p", lambda row: p_words(row["p_holm"])),
        *numbers(("blocks", "blocks")),
    ]
    unit = "points of coverage" if is_rate else "steps of the rating, which goes from 1 to 5"
    about = f"In {unit}; the unit is the block, n is how many there are; 95% intervals; sign-flip test."
    notes = [*judge_sentences.contrast_sentences(rows), about]
    return table_if_any(command, f"Exploratory contrasts, {_CONTRASTS[outcome]}: {words}", rows, columns, notes)


def _range(counts: Sequence[int]) -> str:
    """Example: [10, 10] -> "10"; [10, 8] -> "8 to 10"."""
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
