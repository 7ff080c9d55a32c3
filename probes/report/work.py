"""What the answers of a run took: calls, tokens, seconds and dollars, by arm or setting."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from probes.pages.parts import WordTable
from probes.plan import Result
from probes.prices import NANO

Row = dict[str, Any]
KEYS = ("length_tokens", "arm", "place", "measure", "control")


def work_rows(results: Sequence[Result]) -> list[Row]:
    """One row for each model, length, arm or place of the question, measure and control: what an answer took.

    Tokens and dollars are means an answer, seconds medians, each over the answers for which it is known, None where it
    is for none; `unpriced` answers have no known price. Written answers and log-probabilities have rows of their own.
    """
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for each in results:
        if each.completion is not None:
            groups.setdefault((each.model, *(each.trial.cell.get(key) for key in KEYS)), []).append(each)
    rows = []
    for (model, *values), group in groups.items():
        answers = [each.completion for each in group if each.completion is not None]
        prices = [each.cost_nano_usd / NANO for each in group if each.cost_nano_usd is not None]
        row: Row = {"model": model} | dict(zip(KEYS, values, strict=True))
        row = {key: value for key, value in row.items() if value is not None}
        row |= {
            "answers": len(answers),
            "latency_s": _of_known(median, [answer.latency_s for answer in answers]),
            "first_token_s": _of_known(median, [answer.first_token_s for answer in answers]),
            "input_tokens": _of_known(fmean, [answer.usage.input_tokens for answer in answers]),
            "cache_read_tokens": _of_known(fmean, [answer.usage.cache_read_tokens for answer in answers]),
            "output_tokens": _of_known(fmean, [answer.usage.output_tokens for answer in answers]),
            "cost_usd": _of_known(fmean, prices),
            "unpriced": len(answers) - len(prices),
        }
        rows.append(row)
    return rows


def work_table(rows: Sequence[Mapping[str, Any]]) -> WordTable | None:
    """The same in words; None where there is nothing. Columns of which nothing is known are left out."""
    if not rows:
        return None
    naming = [key for key in ("model", *KEYS) if len({row.get(key) for row in rows}) > 1] or ["model"]
    forms = {
        "answers": ("answers", "{:,}"),
        "latency_s": ("seconds", "{:.2f}"),
        "first_token_s": ("to the first token", "{:.2f}"),
        "input_tokens": ("tokens in", "{:,.0f}"),
        "cache_read_tokens": ("of these cached", "{:,.0f}"),
        "output_tokens": ("tokens out", "{:,.0f}"),
        "cost_usd": ("dollars", "{:.4g}"),
        "unpriced": ("without a price", "{:,}"),
    }
    shown = {key: form for key, form in forms.items() if any(row.get(key) for row in rows)}
    return WordTable(
        "What the answers took",
        (*(key.replace("_", " ") for key in naming), *(title for title, _ in shown.values())),
        [
            (
                *(_name(row.get(key)) for key in naming),
                *("?" if row.get(key) is None else form.format(row[key]) for key, (_, form) in shown.items()),
            )
            for row in rows
        ],
        ("Seconds are medians over the answers, tokens and dollars means; an unknown price is never counted as none.",),
    )


def _name(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _of_known(figure: Callable[[Sequence[float]], float], values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return figure(known) if known else None
