"""Chats as both providers get them, through their real SDK classes: turns alternate, whatever the arm."""

import pytest

from probes.experiments.common import Ruler
from probes.experiments.placement import ARMS, PlacementOptions, plan_placement
from tests.probes.hosted_helpers import ANTHROPIC, OPENAI, Wire, ask, model_on, whole

pytestmark = pytest.mark.usefixtures("keys")
WORDS = Ruler("words", lambda text: len(text.split()))


@pytest.mark.parametrize("kind", [ANTHROPIC, OPENAI])
def test_every_arm_of_a_chat_is_what_the_provider_takes(kind: str) -> None:
    options = PlacementOptions(framing="chat", place=ARMS, measure=("coverage",), blocks=1, lengths=(120,))
    instruction = ""
    for trial in plan_placement(options, WORDS).trials:
        wire = Wire(whole(kind))
        ask(model_on(wire, kind), trial.request)
        (sent,) = wire.sent
        turns = sent["messages"]
        if trial.cell["arm"] == "before":
            instruction = turns[0]["content"].split("\n\n")[0]
        system = (
            [turns.pop(0)["content"]]
            if turns[0]["role"] == "system"
            else [sent[key] for key in ("system",) if key in sent]
        )
        assert [turn["role"] for turn in turns] == (["user", "assistant"] * len(turns))[: len(turns)]
        assert turns[-1]["role"] == "user"
        assert all(turn["content"].strip() for turn in turns)
        assert system == ([instruction] if trial.cell["arm"] == "system" else [])
        assert (kind == ANTHROPIC) == ("system" in sent) or not system
