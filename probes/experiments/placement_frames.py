"""The messages of each arm: a text in its frame, and what stands before it, after it, or in the system message.

document, transcript   one message; the text stands in tags
chat                   real turns; what stands before is put before the first user turn's text, what stands after is
                       appended to the last one's, so that roles and turns are the same in every arm
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from probes.experiments.placement_options import Arm
from probes.experiments.placement_tasks import Framing, Wording
from probes.models.base import Message, Role

GAP = "\n\n"  # between whatever stands side by side in a message


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a conversation; the speaker's name stands in transcripts only."""

    role: Role
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Framed:
    """The messages of one arm, and where things begin in the whole prompt.

    The whole prompt is the messages' texts joined by an empty line. `document_offset`: where the text itself begins,
    after its tag; of a text that stands there twice, the first one.
    """

    messages: tuple[Message, ...]
    instruction_offsets: tuple[int, ...]
    document_offset: int


# What stands before the text and what after it; "instruction", "padding", "irrelevant" and "reminder" are a wording's.
_AROUND: Mapping[Arm, tuple[str | None, str | None]] = {
    "none": (None, None),
    "padded-before": ("padding", None),
    "irrelevant-before": ("irrelevant", None),
    "before": ("instruction", None),
    "padded-after": (None, "padding"),
    "irrelevant-after": (None, "irrelevant"),
    "after": (None, "instruction"),
    "bookend": ("instruction", "instruction"),
    "system": (None, None),
    "reminder": ("instruction", "reminder"),
    "twice": (None, "instruction"),
}


def frame_text(arm: Arm, framing: Framing, text: str, wording: Wording) -> Framed:
    """The one message of an arm in which the text stands inside tags; a system message before it in the arm `system`.

    Example: frame_text("after", "document", "It rained.", wording).messages
        -> one user message "<document>\nIt rained.\n</document>\n\n" and the instruction
    """
    before, after = _around(arm, wording)
    opening = f"<{framing}>\n"
    tagged = f"{opening}{text}\n</{framing}>"
    parts = [before, tagged, tagged if arm == "twice" else None, after]
    return _framed(arm, (Message("user", _joined(parts)),), wording, before, opening=opening)


def frame_chat(arm: Arm, turns: Sequence[Said], wording: Wording) -> Framed:
    """The turns of a conversation as messages, alternating, from a user turn to a user turn.

    In the arm `twice` the last user turn and the first one of the second time are one message.
    """
    before, after = _around(arm, wording)
    if arm == "twice":
        seam = Said(turns[-1].role, turns[-1].speaker, _joined([turns[-1].text, turns[0].text]))
        turns = [*turns[:-1], seam, *turns[1:]]
    last = len(turns) - 1
    messages = tuple(
        Message(turn.role, _joined([before if index == 0 else None, turn.text, after if index == last else None]))
        for index, turn in enumerate(turns)
    )
    return _framed(arm, messages, wording, before, opening="")


def _around(arm: Arm, wording: Wording) -> tuple[str | None, str | None]:
    before, after = _AROUND[arm]
    return before and getattr(wording, before), after and getattr(wording, after)


def _framed(arm: Arm, messages: tuple[Message, ...], wording: Wording, before: str | None, *, opening: str) -> Framed:
    """The messages with their offsets: an instruction stands at the very beginning, or at the very end, or at both."""
    if arm == "system":
        messages = (Message("system", wording.instruction), *messages)
        before = wording.instruction
    start = len(before) + len(GAP) if before else 0
    return Framed(messages, tuple(_instructions(arm, messages, wording)), start + len(opening))


def _instructions(arm: Arm, messages: Sequence[Message], wording: Wording) -> Iterator[int]:
    before, after = _AROUND[arm]
    if before == "instruction" or arm == "system":
        yield 0
    if after == "instruction":
        yield (
            sum(len(message.content) for message in messages)
            + len(GAP) * (len(messages) - 1)
            - len(wording.instruction)
        )


def _joined(parts: Sequence[str | None]) -> str:
    return GAP.join(filter(None, parts))
