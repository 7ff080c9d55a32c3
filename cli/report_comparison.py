"""The models of the runs on a page side by side: what `runs compare` finds, with the tables that it shows."""

from collections.abc import Iterator, Sequence

from cli.compare_tables import comparison_tables, detail_words, letters_of, pair_words
from cli.report_materials import word_table
from probes.comparison.compare import Comparison, compare
from probes.comparison.contenders import ComparedRun, asked_alike, contenders_of
from probes.comparison.outcomes import OUTCOMES
from probes.report import SideBySide
from tokenizer.errors import UserError


def side_by_side(runs: Sequence[ComparedRun]) -> list[SideBySide]:
    """The comparisons of some runs: one for each group of runs that were asked something alike.

    Where there is one contender there is none. Runs of other models that were asked nothing alike, and groups of which
    not one trial is the same for all, come with the reason why they are not compared. A probe that the comparison does
    not know is passed over.
    """
    found: list[SideBySide] = []
    for probe in dict.fromkeys(run.probe for run in runs if run.probe in OUTCOMES):
        ours = [run for run in runs if run.probe == probe]
        if len(ours) == 1 and len({asked.result.model for asked in ours[0].trials}) == 1:
            continue  # nobody to compare with, whatever it was asked
        groups = asked_alike(ours)
        for group in groups:
            if len(contenders_of(group)) > 1:
                found.append(_compared(probe, group))
        found += _apart(probe, groups)
    return found


def _compared(probe: str, runs: Sequence[ComparedRun]) -> SideBySide:
    ids = [run.id for run in runs]
    try:
        comparison = compare(runs)
    except UserError as err:
        return SideBySide(probe, ids, refused=str(err))
    tables = comparison_tables("runs report", [comparison], {})[1]
    return SideBySide(
        probe,
        ids,
        letters={letter: label for label, letter in letters_of(comparison).items()},
        differences=list(_worded(comparison)),
        costs=comparison.cost_rows,
        outcomes={outcome.name: outcome.words for outcome in comparison.outcomes},
        tables=[word_table(table) for table in tables if table.rows],
    )


def _worded(comparison: Comparison) -> Iterator[dict[str, object]]:
    """The differences that can be told, with what each is of in words: which pair, and where."""
    letters = letters_of(comparison)
    for row in comparison.difference_rows:
        if row["verdict"] != "not_measurable":
            yield {**row, "pair": pair_words(row, letters), "where": detail_words(row) if row["factor"] else ""}


def _apart(probe: str, groups: Sequence[Sequence[ComparedRun]]) -> Iterator[SideBySide]:
    """Why runs of different models stand in different groups, where they do."""
    models = [{asked.result.model for run in group for asked in run.trials} for group in groups]
    if len(groups) < 2 or all(each == models[0] for each in models):
        return
    sides = "; ".join(
        f"{', '.join(sorted(names))} (run {', '.join(run.id for run in group)})"
        for names, group in zip(models, groups, strict=True)
    )
    ids = [run.id for group in groups for run in group]
    said = f"but for controls not one question is the same, so these are not compared with each other: {sides}"
    yield SideBySide(probe, ids, refused=said)
