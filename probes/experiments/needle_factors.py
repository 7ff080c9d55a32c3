"""The factors of a needle run: what levels they have, which of these are compared, and how they are called."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a plan needs the factors, and what has been found needs no options
    from probes.experiments.needle_options import NeedleOptions

DECLARED = ("depth", "place", "length_tokens")  # the factors whose contrasts are declared before a run
FACTORS = ("place", "length_tokens", "structure", "context", "prompt_style", "temperature")
ENDS, SIDES = ("ends", "middle"), ("end", "beginning")  # the contrasts of the factor depth, as (level, base)
_PLACES = ("after", "before", "bookend")
_FIRST = {"structure": "plain", "context": "whole", "prompt_style": "ours"}  # the level that others are compared with
_WORDS: Mapping[tuple[str, Any], str] = {
    ("depth", "ends"): "at the two ends of the text",
    ("depth", "middle"): "between them",
    ("depth", "end"): "at the end of the text",
    ("depth", "beginning"): "at its beginning",
    ("place", "before"): "with the question before the text",
    ("place", "after"): "with the question after the text",
    ("place", "bookend"): "with the question before and after the text",
    ("structure", "plain"): "in plain text",
    ("structure", "headings"): "in text with headings",
    ("context", "whole"): "with the whole text",
    ("context", "focused"): "with only the part that matters",
    ("temperature", None): "with the temperature left alone",
}


def level_pairs(factor: str, levels: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Which levels of a factor are compared, each pair as (level, base).

    Example: level_pairs("place", ["before", "after", "bookend"]) -> [("before", "after"), ("bookend", "after"),
    ("bookend", "before")]; level_pairs("length_tokens", [8000, 1000, 2000]) -> [(2000, 1000), (8000, 1000)]
    """
    found = set(levels)
    if factor == "place":
        return [(level, base) for base, level in combinations([each for each in _PLACES if each in found], 2)]
    ordered = sorted(found, key=lambda level: (level != _FIRST.get(factor), level is not None, level or 0))
    return [(level, ordered[0]) for level in ordered[1:]]


def declaration(options: "NeedleOptions") -> dict[str, Any]:
    """What is laid down before the first call: outcome, contrasts, margin, correction, when to stop.

    Everything else in the tables is exploratory. `equivalence_points` are points of a rate.
    """
    pairs = [("depth", *names) for names, needed in ((ENDS, 3), (SIDES, 2)) if len(options.depths) >= needed]
    pairs += [("place", *names) for names in level_pairs("place", options.place)]
    pairs += [("length_tokens", *names) for names in level_pairs("length_tokens", options.lengths)]
    return {
        "primary": "right_rate" if "answer" in options.measure else "lift_nats",
        "contrasts": [{"factor": factor, "level": level, "base": base} for factor, level, base in pairs],
        "interactions": ["length"] if len(options.lengths) > 1 else [],
        "correction": "Holm over the contrasts of one factor, outcome and setting",
        "stopping": "fixed blocks",
        "blocks": options.blocks,
        "equivalence_points": options.equivalence,
    }


def nearest_side(place: str) -> str | None:
    """Which side of the text is nearer to the question: its end, its beginning, or neither.

    Example: nearest_side("before") -> "beginning"; nearest_side("bookend") -> None
    """
    return {"after": "end", "before": "beginning"}.get(place)


def level_words(factor: str, level: Any) -> str:
    """A level as it stands in a sentence.

    Example: level_words("length_tokens", 8000) -> "in 8,000 tokens"
    """
    if (factor, level) in _WORDS:
        return _WORDS[factor, level]
    if factor == "length_tokens":
        return f"in {level:,} tokens"
    if factor == "context":
        return f"with the text in {str(level).removeprefix('chunks:')} chunks"
    return f"with the {factor.replace('_', ' ')} {level}"


def level_noun(factor: str, level: Any) -> str:
    """A level where a sentence sets it against another.

    Example: level_noun("place", "before") -> "the question before the text"; level_noun("depth", "end") -> "the end of
    the text"
    """
    words = level_words(factor, level)
    preposition, _, noun = words.partition(" ")
    return f"what is {words}" if preposition == "between" else noun


def level_name(level: Any) -> str:
    """A level as it stands in a table.

    Example: level_name(8000) -> "8,000"; level_name("ends") -> "ends"
    """
    if level is None:
        return "the model's"
    return f"{level:,}" if isinstance(level, int) else str(level)
