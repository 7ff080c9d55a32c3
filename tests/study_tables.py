"""The README's tables of the study, made from its finished rows in samples/study: no model is needed.

The README calls `tables("positions")` and its like; a table whose parts have not been run says so.
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from probes.experiments.needle_controls import control_rows
from probes.experiments.needle_ends import compare_ends
from probes.experiments.needle_likelihood import likelihood_rows
from probes.experiments.needle_rates import hit_rate
from probes.experiments.needle_results import Scored, position_rows, score_needles
from probes.plan import Result
from tests.study_cells import Row, interval, nats, percent, points, results
from tests.study_effects import EFFECT_TABLES
from tests.study_predictions import PREDICTION_TABLES
from tests.study_speed import SPEED

ROWS = Path(__file__).resolve().parent.parent / "samples" / "study"
SEED = 1
MEGABYTE = 1_000_000
FORMS = {"chat": "chat", "plain text": "completion"}


def tables(*names: str, rows: Path = ROWS) -> None:
    """Print the tables of these names as Markdown, one after the other."""
    found = []
    for name in names:
        try:
            found.append("\n".join(markdown(list(TABLES[name](rows)))))
        except FileNotFoundError as err:
            found.append(f"({Path(err.filename).name} is not there yet: `make study` writes it.)")
    sys.stdout.write("\n\n".join(found) + "\n")


def markdown(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table: the first line is its head; all columns but the first are numbers."""
    head, *body = lines
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for line in body:
        yield f"| {' | '.join(line)} |"


# ------------------------------------------------------------------------------------------------ several needles


def positions(rows: Path) -> Iterator[Sequence[str]]:
    """Five needles: how often each is given when it is asked for, and when something else is."""
    yield _position_head("Tokens", "layout")
    for part in ("multi-key-spread", "multi-key-clustered"):
        for key, cells in _position_cells(results(rows, part)):
            yield [f"{key[0]:,}, {key[1]}", *cells]


def forms(rows: Path) -> Iterator[Sequence[str]]:
    """The same questions as a chat and as plain text."""
    yield _position_head("Tokens", "form")
    plain = list(_position_cells(results(rows, "multi-key-completion")))
    lengths = {key[0] for key, _ in plain}
    chat = [each for each in _position_cells(results(rows, "multi-key-spread")) if each[0][0] in lengths]
    for length in sorted(lengths):
        for form, found in (("chat", chat), ("plain text", plain)):
            yield from ([f"{length:,}, {form}", *cells] for key, cells in found if key[0] == length)


def _position_head(*first: str) -> Sequence[str]:
    return [", ".join(first), "1", "2", "3", "4", "5", "Ends less middle", "Less unasked", "Absent", "Blocks"]


def _position_cells(found: Sequence[Result]) -> Iterator[tuple[tuple[int, str], list[str]]]:
    """For each length and layout: the cells of its line."""
    scored = score_needles(found)
    grouped: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in position_rows(scored):
        grouped[row["length_tokens"], row["layout"]].append(row)
    for key, group in grouped.items():
        cells = [f"{percent(row['asked_rate'])} ({percent(row['not_asked_rate'])})" for row in group]
        asked = [each for each in scored if _key(each) == key]
        ends = compare_ends(asked, seed=SEED)
        compared = ["-"] * 3
        if ends:
            compared = [points(ends.given), points(ends.lift), f"{ends.absent_given}/{ends.absent}"]
        yield key, [*cells, *compared, str(len({each.block for each in asked}))]


def _key(each: Scored) -> tuple[int, str]:
    return each.cell["length_tokens"], each.cell["layout"]


# ------------------------------------------------------------------------------------------------ one needle, tasks


def likelihoods(rows: Path) -> Iterator[Sequence[str]]:
    """One needle at five depths: the log-probability of its value, and its lift."""
    found = likelihood_rows(results(rows, "single-likelihood"), seed=SEED)
    yield _depth_head("Tokens", found)
    for length, by_depth in _by_length(found):
        cells = (f"{row['logprob_nats']:+.1f} ({nats(row)})" for row in by_depth)
        yield [f"{length:,}", *cells, str(by_depth[-1]["n"])]


def likelihood_forms(rows: Path) -> Iterator[Sequence[str]]:
    """Five needles, as a chat and as plain text: how often the right value is the likeliest, and its lift."""
    found = {form: likelihood_rows(results(rows, f"likelihood-{part}"), seed=SEED) for form, part in FORMS.items()}
    yield _depth_head("Tokens, form", found["chat"])
    for form, group in found.items():
        for length, by_depth in _by_length(group):
            cells = (f"{percent(row['likeliest_rate'])} ({nats(row)})" for row in by_depth)
            yield [f"{length:,}, {form}", *cells, str(by_depth[-1]["n"])]


def _depth_head(first: str, found: Sequence[Row]) -> Sequence[str]:
    depths = sorted({row["depth"] for row in found if row["depth"] is not None})
    return [first, *(f"{100 * depth:.0f}%" for depth in depths), "all", "Blocks"]


def _by_length(found: Sequence[Row]) -> Iterator[tuple[int, Sequence[Row]]]:
    """The rows of each length: those of the depths, then the one over all of them."""
    for length in sorted({row["length_tokens"] for row in found}):
        yield length, [row for row in found if row["length_tokens"] == length]


def tasks(rows: Path) -> Iterator[Sequence[str]]:
    """Right answers of three tasks, in the text and in the controls."""
    yield ["Task", "Right", "Cut short", "In a few sentences", "Without the text", "Absent", "Blocks"]
    for task in ("single", "chain", "count"):
        scored = score_needles(results(rows, task))
        controls = {row["control"]: row for row in control_rows(scored, seed=SEED)}
        whole = [each for each in scored if each.cell["control"] is None]
        rate = hit_rate(whole, seed=SEED)
        right = interval(rate.estimate, rate.low, rate.high) if rate else "-"
        others = [_rate(controls.get(name)) for name in ("short", "closed-book", "absent")]
        cut = sum(each.score.outcome == "truncated" for each in whole)
        yield [task, right, str(cut), *others, str(len({each.block for each in whole}))]


def _rate(row: Row | None) -> str:
    return interval(row["rate"], row["low"], row["high"]) if row else "-"


# ------------------------------------------------------------------------------------------------ speed and memory


def speed(rows: Path) -> Iterator[Sequence[str]]:
    """Speed and memory against the length of the prompt: medians."""
    yield ["Prompt tokens", "Read, tokens/s", "Written, tokens/s", "Memory, MB", "Expected, MB"]
    grouped: dict[int, list[Row]] = defaultdict(list)
    with (rows / f"{SPEED}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            grouped[row["length_tokens"]].append(row)
    for _, group in sorted(grouped.items()):
        prompt, read, written, found, expected = (
            statistics.median(row[key] for row in group)
            for key in (
                *("prompt_tokens", "prefill_tokens_per_s", "decode_tokens_per_s"),
                *("resident_bytes", "expected_bytes"),
            )
        )
        yield [
            f"{prompt:,.0f}",
            f"{read:.0f}",
            f"{written:.0f}",
            f"{found / MEGABYTE:.0f}",
            f"{expected / MEGABYTE:.0f}",
        ]


TABLES: Mapping[str, Callable[[Path], Iterator[Sequence[str]]]] = {
    "positions": positions,
    "forms": forms,
    "likelihoods": likelihoods,
    "likelihood_forms": likelihood_forms,
    "tasks": tasks,
    "speed": speed,
    **EFFECT_TABLES,
    **PREDICTION_TABLES,
}
