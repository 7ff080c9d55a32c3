"""A heat map in the terminal: rates by depth and length, told by a shade and by figures, and never by colour."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.tables import percent

Row = Mapping[str, Any]
SHADES, PLAIN_SHADES = " ░▒▓█", " .:*#"  # from no right answer to all; the second where there are no blocks
FEW = 5  # cells of fewer texts have no shade
CELL = 14  # columns of one cell
DEPTH = 5  # columns of the depths


def heat_map(rows: Sequence[Row], width: int, *, blocks: bool) -> list[str]:
    """The lines of a heat map, as wide as it may be; lengths that do not fit stand in a further map below.

    `rows` hold `depth`, `length_tokens`, `rate`, `low`, `high` and `n`; `blocks`: the terminal has block characters.

    Example, of one cell:
          0%  ▓▓▓  75% ▓▓▓
              47-91, n 12
    """
    lengths = sorted({row["length_tokens"] for row in rows})
    depths = sorted({row["depth"] for row in rows})
    cells = {(row["depth"], row["length_tokens"]): row for row in rows}
    shades = SHADES if blocks else PLAIN_SHADES
    abreast = max(1, (width - DEPTH) // CELL)
    lines: list[str] = []
    for start in range(0, len(lengths), abreast):
        some = lengths[start : start + abreast]
        lines += ["", f"{'depth':<{DEPTH}}" + "".join(f"{f'{length:,}':^{CELL}}" for length in some)]
        for depth in depths:
            found = [cell_lines(cells.get((depth, length)), shades) for length in some]
            lines.append(f"{percent(depth):>{DEPTH}}" + "".join(f"{first:^{CELL}}" for first, _ in found))
            lines.append(" " * DEPTH + "".join(f"{second:^{CELL}}" for _, second in found))
    names = [shade * 2 if shade.strip() else "blank" for shade in shades]
    fifths = ", ".join(f"{name} {20 * number}-{20 * number + 20}%" for number, name in enumerate(names))
    lines += ["", f"Right answers by depth and length in tokens, 95% intervals, n blocks. {fifths}."]
    if any(row["n"] < FEW for row in rows):
        lines.append(f"In brackets and without a shade: fewer than {FEW} blocks.")
    return [line.rstrip() for line in lines]


def cell_lines(row: Row | None, shades: str = SHADES) -> tuple[str, str]:
    """The two lines of a cell: ("▓▓▓  75% ▓▓▓", "47-91, n 12"); ("(75%)", "n 4") where there are few; ("-", "")."""
    if row is None or row["rate"] is None:
        return "-", ""
    limits = "" if row["low"] is None else f"{100 * row['low']:.0f}-{100 * row['high']:.0f}, "
    if row["n"] < FEW:
        return f"({percent(row['rate'])})", f"{limits}n {row['n']}"
    shade = 3 * shades[min(len(shades) - 1, int(row["rate"] * len(shades)))]
    return f"{shade} {percent(row['rate']):>4} {shade}", f"{limits}n {row['n']}"
