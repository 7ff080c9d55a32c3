"""Needles and questions that share no word: whoever finds the needle must understand it, not recognise it.

Each question needs one piece of common knowledge (that the Eiffel Tower stands in Paris, that eggs are not vegan) and
has one right answer, here and among all the others. Who is meant is drawn: an invented name, or a number.

statement   "Temwick climbed the Eiffel Tower by the stairs."
question    "Who has been to the capital of France?"
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from probes.draws import Draws
from tokenizer.errors import UsageError


@dataclass(frozen=True, slots=True)
class Pair:
    """A needle and its question; the gap in the statement is a name, or, where the question says so, a number."""

    topic: str
    statement: str
    question: str


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """One needle with the question that it answers: its topic, the sentence, and the name or number asked for."""

    topic: str
    text: str
    question: str
    value: str


@cache
def load_pairs() -> tuple[Pair, ...]:
    """Every pair that is shipped."""
    return tuple(Pair(**pair) for pair in _load()["pairs"])


@cache
def load_names() -> tuple[str, ...]:
    """The invented names that fill the gaps."""
    return tuple(_load()["names"].split(", "))


def _load() -> dict[str, Any]:
    path = Path(__file__).parent / "data" / "paraphrases.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def draw_paraphrases(count: int, seed: str) -> tuple[Paraphrase, ...]:
    """Draw needles, no two about the same thing, or with one name or one number.

    Raises:
        UsageError: more are asked for than there are.

    Example: draw_paraphrases(1, "1/0")[0].question == "What is the number of the aeroplane that never took off?"
    """
    pairs = load_pairs()
    if count > len(pairs):
        raise UsageError(f"there are {len(pairs)} paraphrased needles, and {count} are asked for", hint="ask for fewer")
    draws = Draws(seed)
    chosen = draws.sample(pairs, count)
    values = zip(draws.sample(load_names(), count), map(str, draws.sample(range(1000, 10_000), count)), strict=True)
    return tuple(
        Paraphrase(pair.topic, pair.statement.format(value), pair.question, value)
        for pair, (name, number) in zip(chosen, values, strict=True)
        for value in (number if "number" in pair.question else name,)
    )
