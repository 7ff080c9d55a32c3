"""`sim/judge`: a judge with a planted accuracy, which reads the facts and the text of a judge's prompt and no more.

What the text says of a fact is told by rules of its own: a sentence or line that holds the name and the value states
it; one that holds the name and another number, or the value and another name, contradicts it. Then each finding is
turned around as often as `accuracy` leaves, by draws that the prompt decides.
"""

import re
from collections.abc import Mapping

from probes.answers import find_numbers, find_values, normalised
from probes.experiments.judge_prompt import ABSENT, CONTRADICTED, HIGHEST, LOWEST, MARKER, STATED
from probes.models.sim_bias import uniform

OTHER_FORM = "It is a fair account of most of what matters."  # what a judge says that heeds no form
NO_TEXT = "There is nothing here that I could judge."
_FACT = re.compile(r"^\d+\. (?P<name>.+): (?P<value>.+)$", re.MULTILINE)
_STATEMENT = re.compile(r"[.;!?]\s+|\n")


def verdict_on(prompt: str, parameters: Mapping[str, float], key: str) -> str:
    """What the judge answers to a prompt; `key` is what all its draws depend on.

    The text to be judged is what stands between the two lines that are the marker named at the prompt's beginning, so
    that nothing inside it can end it.
    """
    named = MARKER.search(prompt)
    parts = re.split(rf"^{re.escape(named[0])}$", prompt, flags=re.MULTILINE) if named else []
    if len(parts) != 3:
        return NO_TEXT
    if uniform(f"{key}/form") < parameters["unreadable"]:
        return OTHER_FORM
    names, values = zip(*((fact["name"], fact["value"]) for fact in _FACT.finditer(parts[0])), strict=True)
    words = [_word(parts[1], number, names, values) for number in range(len(names))]
    said = [
        word if uniform(f"{key}/{number}") < parameters["accuracy"] else ABSENT if word == STATED else STATED
        for number, word in enumerate(words)
    ]
    rating = LOWEST + round((HIGHEST - LOWEST) * said.count(STATED) / len(said))
    return "\n".join([*(f"{number}: {word}" for number, word in enumerate(said, 1)), f"rating: {rating}"])


def _word(text: str, fact: int, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """What the text says of one fact."""
    found = ABSENT
    for statement in map(normalised, _STATEMENT.split(text)):
        named, given = find_values(statement, names), find_values(statement, values)
        if fact in named and fact in given:
            return STATED
        another_value = fact in named and (given or find_numbers(statement))
        if another_value or (fact in given and named):
            found = CONTRADICTED
    return found
