"""Keep a small store-room in order: what came in, what went out, what is running low.

A movement is one line of text, the kind that a person writes down in passing:

    2024-03-01 in  twine        12 at 0.85
    2024-03-04 out twine         5
    2024-03-05 in  lamp oil      3 at 4.20

Run it with a file of such lines, or without one for an example: python inventory.py [FILE] [--low 4]
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

EXAMPLE = """\
2024-03-01 in  twine        12 at 0.85
2024-03-01 in  seed trays   40 at 0.30
2024-03-04 out twine         5
2024-03-05 in  lamp oil      3 at 4.20
2024-03-09 in  twine        10 at 0.95
2024-03-11 out seed trays   38
2024-03-12 out twine         9
"""

MOVEMENT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})\s+(?P<way>in|out)\s+(?P<item>.+?)\s+(?P<count>\d+)(?:\s+at\s+(?P<price>\d+\.\d\d))?"
)


class InventoryError(ValueError):
    """A line that cannot be read, or a movement that cannot have happened."""


@dataclass(frozen=True)
class Movement:
    """So many of one item, in or out, on one day; a price each only for what comes in."""

    day: date
    item: str
    count: int
    price: Decimal | None = None

    @classmethod
    def from_line(cls, line: str) -> "Movement":
        """Read one line; `out` makes the count negative."""
        match = MOVEMENT.fullmatch(line.strip())
        if match is None:
            raise InventoryError(f"cannot read {line.strip()!r}")
        incoming = match["way"] == "in"
        if incoming != (match["price"] is not None):
            raise InventoryError(f"a price belongs to what comes in, and only to that: {line.strip()!r}")
        count = int(match["count"])
        return cls(
            day=date.fromisoformat(match["day"]),
            item=match["item"],
            count=count if incoming else -count,
            price=Decimal(match["price"]) if incoming else None,
        )


@dataclass
class Shelf:
    """The lots of one item, oldest first; each lot is [how many are left, price each]."""

    lots: list[tuple[int, Decimal]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many are left in all."""
        return sum(count for count, _ in self.lots)

    @property
    def value(self) -> Decimal:
        """What they cost when they were bought."""
        return sum((count * price for count, price in self.lots), Decimal(0))

    def put(self, count: int, price: Decimal) -> None:
        """Add a lot behind the others."""
        self.lots.append((count, price))

    def take(self, count: int) -> Decimal:
        """Take the oldest first; returns what the taken ones had cost."""
        if count > self.count:
            raise InventoryError(f"{count} wanted, {self.count} there")
        cost = Decimal(0)
        while count:
            left, price = self.lots.pop(0)
            taken = min(left, count)
            cost += taken * price
            count -= taken
            if left > taken:
                self.lots.insert(0, (left - taken, price))
        return cost


class Storeroom:
    """All shelves, by item."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.used = Decimal(0)

    def apply(self, movements: Iterable[Movement]) -> None:
        """Carry out the movements in the order of their days."""
        for movement in sorted(movements, key=lambda movement: movement.day):
            shelf = self.shelves.setdefault(movement.item, Shelf())
            if movement.price is not None:
                shelf.put(movement.count, movement.price)
                continue
            try:
                self.used += shelf.take(-movement.count)
            except InventoryError as error:
                raise InventoryError(f"{movement.day}, {movement.item}: {error}") from error

    def running_low(self, limit: int) -> list[str]:
        """The items of which fewer than `limit` are left, the scarcest first."""
        scarce = [(shelf.count, item) for item, shelf in self.shelves.items() if shelf.count < limit]
        return [item for _, item in sorted(scarce)]

    def report(self, limit: int) -> Iterator[str]:
        """The lines of a table, one an item, and a sum."""
        low = set(self.running_low(limit))
        width = max(map(len, self.shelves), default=4)
        for item, shelf in sorted(self.shelves.items()):
            note = "  <- running low" if item in low else ""
            yield f"{item:<{width}}  {shelf.count:>5}  {shelf.value:>8.2f}{note}"
        total = sum((shelf.value for shelf in self.shelves.values()), Decimal(0))
        yield f"{'in all':<{width}}  {'':>5}  {total:>8.2f}  (used up: {self.used:.2f})"


def read_movements(text: str) -> list[Movement]:
    """One movement a line; empty lines and lines that begin with # say nothing."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [Movement.from_line(line) for line in lines]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if a line cannot be read or more goes out than there is."""
    parser = argparse.ArgumentParser(description="What is in the store-room?")
    parser.add_argument("file", nargs="?", type=Path, help="movements, one a line")
    parser.add_argument("--low", type=int, default=4, help="below how many an item is running low")
    options = parser.parse_args(arguments)
    room = Storeroom()
    try:
        text = options.file.read_text(encoding="utf-8") if options.file else EXAMPLE
        room.apply(read_movements(text))
    except (OSError, InventoryError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("\n".join(room.report(options.low)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
