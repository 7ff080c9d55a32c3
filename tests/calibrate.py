"""`make calibrate`: planted effects come back at the rates that the statistics state, over hundreds of studies.

Each study is planned, answered by a simulated reader and put into tables in memory. Counted is how often an interval of
95 % misses the truth, a test at 5 % finds what is not there, an effect as large as the printed detectable one is
found, and an effect as large as the margin of equivalence is called none. Each count has a bound that chance crosses
once in a hundred times where the stated rate is right. There are many counts, so that one or the other will cross it:
such a count is made again, in three times as many studies with other seeds, and both are shown. The exit code is 1
where that one is beyond its bound too.
"""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.calibrate_effects import EFFECTS
from tests.calibrate_studies import Count, Effect, Study, counted

WHAT = {
    "covers": "95% intervals that miss",
    "silent": "found, though there is nothing",
    "finds": "found",
    "claims": "called no effect, though it is as large",
    "holds": "not so",
}


AGAIN = 3  # times as many studies, where a count was beyond its bound


def calibrate(effect: Effect, studies: int, *, first: int = 1) -> list[Count]:
    """Run so many studies of an effect, with seeds from `first` on, and count each of its checks."""
    figures: list[list[Any]] = [[] for _ in effect.checks]
    for number in range(studies):
        study = Study(effect.plan, effect.reader, first + number)
        for check, found in zip(effect.checks, figures, strict=True):
            found.append(check.read(study))
    return [counted(check, found) for check, found in zip(effect.checks, figures, strict=True)]


def made_again(effect: Effect, counts: Sequence[Count], studies: int) -> list[Count]:
    """The counts that were beyond their bounds, made anew with other seeds; none where all were within."""
    doubtful = tuple(each.check for each in counts if not each.kept)
    if not doubtful:
        return []
    return calibrate(replace(effect, checks=doubtful), AGAIN * studies, first=studies + 1)


def rows_of(effect: Effect, counts: Iterable[Count], *, again: bool = False) -> list[dict[str, Any]]:
    """The counts of an effect as rows for a table or a file; `again`: made anew, as the first were beyond."""
    return [
        {
            "effect": effect.name,
            "reader": effect.reader,
            "blocks": len({trial.block for trial in effect.plan.trials}),
            "quantity": each.check.quantity,
            "counted": WHAT[each.check.what],
            "truth": each.check.truth,
            "mean_estimate": each.estimate,
            "mean_detectable": each.detectable if each.check.what == "finds" else None,
            "studies": each.studies,
            "count": each.count,
            "least": each.least,
            "most": each.most,
            "again": again,
            "within_bound": each.kept,
        }
        for each in counts
    ]


def lines_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows as lines of a Markdown table."""
    head = ["planted effect", "quantity", "truth", "mean", "counted", "count", "may be", ""]
    lines = [" | ".join(["", *head, ""]).strip(), "|" + " --- |" * len(head)]
    for row in rows:
        allowed = f"{row['least']}-{row['most']}" if row["least"] else f"at most {row['most']}"
        cells = [
            f"{row['effect']}, {row['blocks']} blocks",
            row["quantity"] + (", other studies" if row["again"] else ""),
            _number(row["truth"]),
            _number(row["mean_estimate"]),
            row["counted"],
            f"{row['count']} of {row['studies']}",
            allowed,
            "ok" if row["within_bound"] else "BEYOND",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


@click.command()
@click.option("--studies", type=click.IntRange(min=1), default=200, show_default=True, help="Studies of each effect.")
@click.option("--only", type=click.Choice(list(EFFECTS)), multiple=True, help="This effect; may be repeated.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the counts as JSON.")
def main(studies: int, only: tuple[str, ...], output: Path | None) -> None:
    """Run the studies, and print one table."""
    rows: list[dict[str, Any]] = []
    broken = 0
    for name in only or EFFECTS:
        effect = EFFECTS[name]()
        started = time.perf_counter()
        counts = calibrate(effect, studies)
        seconds = time.perf_counter() - started
        again = made_again(effect, counts, studies)
        rows += [*rows_of(effect, counts), *rows_of(effect, again, again=True)]
        broken += sum(not each.kept for each in again)
        click.echo(f"{name}: {studies} studies, {seconds / studies:.2f} s each", err=True)
    click.echo("\n".join(lines_of(rows)))
    if output:
        meta = {"date": datetime.now(UTC).date().isoformat(), "studies": studies}
        output.write_text(json.dumps({"meta": meta, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    beyond = sum(not row["within_bound"] and not row["again"] for row in rows)
    click.echo(f"{len(rows)} counts, {beyond} beyond their bounds, {broken} of these in other studies too", err=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
