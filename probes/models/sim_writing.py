"""How a simulated reader writes down what it noticed: in plain sentences, or in the form that an instruction wants.

The forms are those that the placement tasks ask for: exactly so many bullet points, at most so many words, words that
must or must not be used, a closing line, and a list with one fact to a line.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

NOTHING = "Nothing stands out."
# General words, for readers that say more than they know.
_GENERAL = (
    "All of this took place over some time, and much of it was much as one would expect.",
    "Taken together it gives a fair idea of how things stood.",
    "There was more to it than can be said here, and none of that was out of the ordinary.",
)
_NUMBERS = {"bullets": r"exactly (\d+) bullet", "most_words": r"at most (\d+) words"}
_QUOTED = {
    "required": r'(?:^|[.,;] )(?:and )?use the words? ((?:"[^"]+"(?:,? and |, )?)+)',
    "forbidden": r'(?:do not|never) use the words? ((?:"[^"]+"(?:,? (?:and|or) |, )?)+)',
    "closing": r'(?:close|end) with the line ("[^"]+")',
}


@dataclass(frozen=True, slots=True)
class Demands:
    """What an instruction wants of an answer's form; nothing of what is None or empty."""

    bullets: int | None = None
    most_words: int | None = None
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    closing: str | None = None
    lines: bool = False


def read_demands(instruction: str) -> Demands:
    """The form that an instruction asks for, as far as a simulated reader understands it.

    Example: read_demands("Summarise it in exactly 3 bullet points.") -> Demands(bullets=3)
    """
    numbers = {name: re.search(pattern, instruction, re.IGNORECASE) for name, pattern in _NUMBERS.items()}
    quoted = {name: re.search(pattern, instruction, re.IGNORECASE) for name, pattern in _QUOTED.items()}
    words = {name: tuple(re.findall(r'"([^"]+)"', match[1])) if match else () for name, match in quoted.items()}
    bullets, most = (int(match[1]) if match else None for match in (numbers["bullets"], numbers["most_words"]))
    return Demands(
        bullets,
        most,
        words["required"],
        words["forbidden"],
        words["closing"][0] if words["closing"] else None,
        lines="one to a line" in instruction.lower(),
    )


def write(
    facts: Sequence[str],
    demands: Demands | None = None,
    *,
    more_words: int = 0,
    follows: Callable[[str], bool] = lambda _: True,
) -> str:
    """The answer that tells these facts, each a sentence, in the form that is demanded.

    `follows` says of each demand by its name (bullets, most_words, required, forbidden, closing) whether it is met.
    `more_words`: about as many general words come after the facts.

    Example: write(["It rained."], Demands(bullets=1, closing="The end.")) -> "- It rained.\\nThe end."
    """
    demands = demands or Demands()
    wanted = Demands(
        bullets=demands.bullets if follows("bullets") else demands.bullets and demands.bullets + 1,
        most_words=demands.most_words if follows("most_words") else None,
        required=demands.required if follows("required") else (),
        forbidden=demands.forbidden if follows("forbidden") else (),
        closing=demands.closing if follows("closing") else None,
        lines=demands.lines,
    )
    if demands.most_words is not None and wanted.most_words is None:
        more_words = max(more_words, demands.most_words + 1)
    sentences = list(facts)
    if demands.forbidden and not wanted.forbidden:
        sentences.append(f"There is {demands.forbidden[0]} this.")
    while sentences and wanted.most_words is not None and _words(_arranged(sentences, wanted)) > wanted.most_words:
        sentences.pop()
    return _arranged([*sentences, *_general(more_words)], wanted)


def _arranged(sentences: Sequence[str], wanted: Demands) -> str:
    """The sentences in lines, bullets or one paragraph, with the words and the last line that are wanted."""
    if wanted.bullets:
        parts = [sentences[number :: wanted.bullets] for number in range(wanted.bullets)]
        lines = [" ".join(part) or NOTHING for part in _in_order(parts, sentences)]
        lines[0] = "".join(f"{word.capitalize()}: " for word in wanted.required) + lines[0]
        lines = [f"- {line}" for line in lines]
    else:
        lines = ["".join(f"{word.capitalize()}: " for word in wanted.required)] if wanted.required else []
        told = list(sentences) or [NOTHING]
        lines = ["".join(lines) + told[0], *told[1:]]
        lines = lines if wanted.lines else [" ".join(lines)]
    return "\n".join([*lines, wanted.closing] if wanted.closing else lines)


def _in_order(parts: Sequence[Sequence[str]], sentences: Sequence[str]) -> list[Sequence[str]]:
    """As many parts of these sizes, with the sentences in their order from the first part to the last."""
    waiting = iter(sentences)
    return [list(islice(waiting, len(part))) for part in parts]


def _general(words: int) -> list[str]:
    """Sentences of general words, as many as it takes to say about so many of them."""
    said: list[str] = []
    for sentence in cycle(_GENERAL):
        if _words(" ".join(said)) >= words:
            return said
        said.append(sentence)
    raise AssertionError("a cycle does not end")


def _words(text: str) -> int:
    return len(re.findall(r"\S*\w\S*", text))
