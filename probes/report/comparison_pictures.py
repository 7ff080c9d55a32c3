"""The figures of models side by side: forest plots of their differences, and bars of what an answer took."""

from collections.abc import Iterator, Mapping, Sequence

from probes.pages.figures import bars
from probes.pages.parts import Picture, WordTable
from probes.report.data import Row
from probes.report.picture_parts import Compared, between, forests

MOST_PAIRS = 3  # of more pairs the differences in detail stand in the tables only
COSTS = {  # what an answer took: title, unit, form
    "usd_per_1000_trials": ("Dollars for 1,000 trials, the median over texts", "US dollars", "${:.3g}"),
    "latency_s": ("Seconds for an answer, the median over texts", "seconds", "{:.3g} s"),
    "first_token_s": ("Seconds to the first token, the median over texts", "seconds", "{:.3g} s"),
}


def comparison_pictures(
    letters: Mapping[str, str], differences: Sequence[Row], costs: Sequence[Row], outcomes: Mapping[str, str]
) -> list[Picture]:
    """Every figure of a comparison: what was declared, the other outcomes, where they differ, and what it took.

    `letters` are the contenders' names by what the rows call them, `outcomes` what was compared, in words.
    """
    who = f" {'; '.join(f'{letter} is {name}' for letter, name in letters.items())}."
    return [*_forests(differences, outcomes, who), *_cost_bars(letters, costs, who)]


def _forests(differences: Sequence[Row], outcomes: Mapping[str, str], who: str) -> Iterator[Picture]:
    whole = [row for row in differences if not row["factor"]]
    for outcome, words in outcomes.items():
        rows = [row for row in whole if row["outcome"] == outcome]
        yield from _forest(f"Differences between models, {words}", rows, who)
    if len({row["pair"] for row in whole}) > MOST_PAIRS:
        return
    for outcome, words in outcomes.items():
        for pair in dict.fromkeys(row["pair"] for row in whole):
            detail = [row for row in differences if (row["outcome"], row["pair"]) == (outcome, pair) and row["factor"]]
            yield from _forest(f"{pair} in detail, {words}", detail, who)


def _forest(title: str, rows: Sequence[Row], who: str) -> Iterator[Picture]:
    if rows:
        compared = [Compared(str(row["where"] or row["pair"]), "", row) for row in rows]
        yield from forests(title, compared, declared=bool(rows[0]["declared"]), more=who)


def _cost_bars(letters: Mapping[str, str], costs: Sequence[Row], who: str) -> Iterator[Picture]:
    """What an answer of each contender took, where it is known of several and not nothing."""
    by_name = {name: letter for letter, name in letters.items()}
    for figure, (title, unit, form) in COSTS.items():
        known = [row for row in costs if row["figure"] == figure and row["median"] is not None]
        if len(known) < 2 or not any(row["median"] for row in known):
            continue
        drawn = [(by_name[row["contender"]], float(row["median"]), _with_interval(row, form)) for row in known]
        yield Picture(
            bars(drawn, unit=unit),
            f"Bars. From {form.format(min(row['median'] for row in known))} to "
            f"{form.format(max(row['median'] for row in known))}.",
            WordTable(title, ("of", unit), [(f"{name}: {letters[name]}", words) for name, _, words in drawn]),
            f"n: {between([row['blocks'] for row in known])} texts. In brackets: 95% intervals. No test.{who}",
            exploratory=True,
        )


def _with_interval(row: Row, form: str) -> str:
    """Example: "0.53 s [0.5, 0.6]"; without the brackets where there is no interval."""
    median = form.format(row["median"])
    if row["low"] is None or row["high"] is None or row["low"] == row["high"]:
        return median
    return f"{median} [{row['low']:.3g}, {row['high']:.3g}]"
