"""What the tests of the local model share: small questions, and a child process to ask them."""

import asyncio
from pathlib import Path

from probes.models.base import Completion, Message, Request
from probes.models.local import LocalModel
from probes.models.options import DEFAULT_OPTIONS, ModelOptions

FACTS = "The ferry has 47 seats. The pier was built in 1912. The keeper's dog is called Bramble. "
STEM = "The number of seats on the ferry is"


def request(*, stem: str | None = STEM, question: str = FACTS + "How many seats?", **more: object) -> Request:
    turns = [Message("user", question), *([Message("assistant", stem)] if stem else [])]
    return Request(tuple(turns), **more)


def ask(weights: Path, *requests: Request, options: ModelOptions = DEFAULT_OPTIONS) -> list[Completion]:
    """The completions of a fresh child for these requests, in order."""

    async def work() -> list[Completion]:
        model = LocalModel("local/smollm2-135m", weights, options)
        try:
            return [await model.complete(one) for one in requests]
        finally:
            await model.aclose()

    return asyncio.run(work())


def values(completion: Completion) -> list[float]:
    assert completion.logprobs
    return [token.logprob for token in completion.logprobs]


def spelled(completion: Completion) -> str:
    assert completion.logprobs
    return "".join(token.token for token in completion.logprobs)
