"""What missing outcomes could have changed: bounds that hold whatever they would have been (Manski 1990)."""

from collections.abc import Sequence


def worst_case_bounds(values: Sequence[float | None], *, least: float, most: float) -> tuple[float, float] | None:
    """The lowest and the highest that a mean could be, had the missing outcomes come back; None for no value at all.

    Example: worst_case_bounds([1.0, None, 0.5, 0.5], least=0.0, most=1.0) -> (0.5, 0.75)
    """
    if not values:
        return None
    low = sum(least if value is None else value for value in values)
    high = sum(most if value is None else value for value in values)
    return low / len(values), high / len(values)


def paired_worst_case(
    first: Sequence[float | None], second: Sequence[float | None], *, least: float, most: float
) -> tuple[float, float] | None:
    """The lowest and the highest that the mean of first - second could be; None for no pair.

    Example: paired_worst_case([1.0, None], [0.5, 0.5], least=0.0, most=1.0) -> (0.0, 0.5)
    """
    lowest, highest = worst_case_differences(first, second, least=least, most=most)
    return (sum(lowest) / len(lowest), sum(highest) / len(highest)) if lowest else None


def worst_case_differences(
    first: Sequence[float | None], second: Sequence[float | None], *, least: float, most: float
) -> tuple[list[float], list[float]]:
    """Every difference at its lowest and at its highest: what both tests find, the missing outcomes cannot change.

    Outcomes are paired by their place; a pair of which both are missing could be anything.

    Example: worst_case_differences([1.0, None], [0.5, 0.5], least=0.0, most=1.0) -> ([0.5, -0.5], [0.5, 0.5])
    """
    pairs = list(zip(first, second, strict=True))
    lowest = [(least if a is None else a) - (most if b is None else b) for a, b in pairs]
    highest = [(most if a is None else a) - (least if b is None else b) for a, b in pairs]
    return lowest, highest
