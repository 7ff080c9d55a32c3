"""A model of one's own, which repeats the prompt's last words: `pip install ./samples/plugin`, then -m parrot/NAME."""

from probes.models.base import Completion, Request, Traits, Usage
from probes.models.options import ModelOptions


class Parrot:
    """All that needlepoint asks of a model: a name, an identity, traits, and three methods."""

    def __init__(self, name: str, options: ModelOptions) -> None:
        self.name = name
        self.identity = {"adapter": "parrot/1", "model": name}  # whatever could change an answer belongs here
        self.traits = Traits(free=True, window=options.window)

    async def complete(self, request: Request) -> Completion:
        """Answer with as many of the prompt's last words as may be said."""
        words = request.messages[-1].content.split()
        said = words[-request.max_tokens :]
        return Completion(" ".join(said), "stop", Usage(len(words), len(said)), model=self.name)

    async def count_prompt_tokens(self, request: Request) -> int:
        """A token is a word here."""
        return sum(len(message.content.split()) for message in request.messages)

    async def aclose(self) -> None:
        """Nothing is held."""


def make_model(name: str, options: ModelOptions) -> Parrot:
    """What the entry point names: from `parrot/NAME` and the options to a model."""
    return Parrot(name, options)
