"""Heat map and curves in the terminal: every figure is there in digits, whatever the width and the encoding."""

import io
import re
from collections.abc import Sequence

import pytest

from cli.curves import LABEL, LEVELS, STEP, decile_curves
from cli.heat_map import cell_lines, heat_map
from cli.needle_tables import heat_maps
from cli.output import Table, print_tables
from cli.placement_tables import _place_tables


def cell(depth: float, length: int, rate: float | None, n: int = 10) -> dict[str, object]:
    limits = (
        {"low": None, "high": None} if rate is None else {"low": max(0.0, rate - 0.1), "high": min(1.0, rate + 0.1)}
    )
    return {"depth": depth, "length_tokens": length, "rate": rate, "n": n} | limits


def tenths(arm: str, values: list[float], *, kind: str = "coverage") -> list[dict[str, object]]:
    unit = "rate" if kind == "coverage" else "nats"
    return [
        {"arm": arm, "decile": number, f"{kind}_{unit}": value, f"{kind}_low": value, f"{kind}_high": value}
        for number, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(("rate", "shade"), [(0.0, "   "), (0.19, "   "), (0.5, "▒▒▒"), (0.79, "▓▓▓"), (1.0, "███")])
def test_a_shade_never_stands_without_its_figures(rate: float, shade: str) -> None:
    first, second = cell_lines(cell(0.5, 100, rate))
    assert first == f"{shade} {f'{100 * rate:.0f}%':>4} {shade}"
    assert second.endswith("n 10")


def test_few_texts_have_no_shade_and_none_no_rate() -> None:
    assert cell_lines(cell(0.5, 100, 0.9, n=4)) == ("(90%)", "80-100, n 4")
    assert cell_lines(cell(0.5, 100, None, n=0)) == cell_lines(None) == ("-", "")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("blocks", [True, False])
def test_a_heat_map_fits_and_holds_every_cell_once(width: int, blocks: bool) -> None:
    lengths, depths = [250 * 2**power for power in range(7)], [0.0, 0.5, 1.0]
    rows = [cell(depth, length, 0.6, n=7 + place) for place, length in enumerate(lengths) for depth in depths]
    lines = heat_map(rows, width, blocks=blocks)
    text = "\n".join(lines)
    assert max(map(len, lines[:-1])) <= width  # the last is a sentence, which the terminal breaks
    for place, length in enumerate(lengths):
        assert text.count(f"n {7 + place}") == len(depths)
        assert text.count(f"{length:,}") == 1
    assert blocks != text.isascii()


@pytest.mark.parametrize("blocks", [True, False])
def test_a_curve_puts_each_value_on_its_level(blocks: bool) -> None:
    rising = [number / 10 for number in range(1, 11)]
    lines = decile_curves(
        tenths("before", rising) + tenths("after", rising[::-1]), "coverage", ("before", "after"), blocks=blocks
    )
    text = "\n".join(lines)
    assert "o before   x after" in text
    assert max(map(len, lines)) <= 60
    assert blocks != text.isascii()
    chart = lines[2 : 2 + LEVELS]
    for tenth in range(1, 11):
        at = LABEL + 2 + (tenth - 1) * STEP + 1
        column = [line.ljust(80)[at] for line in chart]
        assert LEVELS - 1 - column.index("o") == tenth
        column = [line.ljust(80)[at + 1] for line in chart]
        assert LEVELS - 1 - column.index("x") == 11 - tenth
    assert chart[0].lstrip().startswith("100%")
    assert chart[-1].lstrip().startswith("0%")


def test_an_interval_is_a_bar_and_an_open_one_is_none() -> None:
    rows = tenths("before", [0.5] * 10)
    rows[0] |= {"coverage_low": 0.2, "coverage_high": 0.9}
    rows[1] |= {"coverage_low": float("-inf"), "coverage_high": float("inf")}
    lines = decile_curves(rows, "coverage", ("before",), blocks=False)[2 : 2 + LEVELS]
    bars = [[line.ljust(80)[LABEL + 2 + tenth * STEP + 1] for line in lines].count("|") for tenth in (0, 1)]
    assert bars == [7, 0]


def test_margins_have_a_scale_of_their_own_and_nothing_makes_no_chart() -> None:
    lines = decile_curves(tenths("after", [-1.0, 3.0], kind="margin"), "margin", ("before", "after"), blocks=True)
    assert lines[2].split()[0] == "3.00"
    assert lines[2 + LEVELS - 1].split()[0] == "-1.00"
    assert decile_curves(tenths("none", [0.5]), "coverage", ("before", "after"), blocks=True) == []
    assert decile_curves([], "margin", ("before",), blocks=True) == []
    assert "o before" in "\n".join(
        decile_curves(tenths("before", [2.0, 2.0], kind="margin"), "margin", ["before"], blocks=True)
    )


def drawn(monkeypatch: pytest.MonkeyPatch, tables: Sequence[Table], width: int, encoding: str) -> str:
    """What a terminal of that width and encoding gets."""
    monkeypatch.setenv("COLUMNS", str(width))
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors="backslashreplace", write_through=True)
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout", stream)
    print_tables(tables)
    return re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue().decode())


def test_a_terminal_gets_the_map_and_a_pipe_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [cell(depth, length, 0.9) for length in (150, 300) for depth in (0.0, 0.5)]
    tables = heat_maps("runs show", "sim/x", rows, ["A sentence."])
    for encoding, shade in (("utf-8", "███  90% ███"), ("ascii", "###  90% ###")):
        shown = drawn(monkeypatch, tables, 60, encoding)
        assert re.search(r"^depth +150 +300$", shown, flags=re.MULTILINE)
        assert shown.count("80-100, n 10") == shown.count(shade) == 4
        assert shown.startswith("Found: sim/x")
        assert "A sentence." in shown
        assert "of 10" not in shown  # the map stands in place of the table
    monkeypatch.setattr("sys.stdout", piped := io.StringIO())
    print_tables(tables)
    assert piped.getvalue().splitlines() == ["depth\t150\t300", "0%\t90% of 10\t90% of 10", "50%\t90% of 10\t90% of 10"]


def test_curves_stand_under_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    deciles = [row | {"coverage_blocks": 4, "margin_blocks": 0} for row in tenths("before", [0.5] * 10)]
    shown = drawn(monkeypatch, _place_tables("runs show", "sim/x", deciles, []), 80, "utf-8")
    assert shown.index("Arm") < shown.index("o before") < shown.index("exploratory, without a test")
