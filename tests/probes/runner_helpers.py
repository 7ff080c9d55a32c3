"""What the tests of the runner share: a model by script, plans, and a run from end to end."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import fields
from typing import Any
from unittest.mock import patch

from probes.budget import Limits
from probes.models.base import (
    Completion,
    Message,
    Request,
    Traits,
)
from probes.plan import Plan, PlannedTrial
from probes.runner import run_plan
from probes.standing import Summary
from probes.store import Store


class ScriptedModel:
    """Answers with the question in capitals; `script` says what fails instead, by question and number of the call."""

    def __init__(
        self,
        name: str = "fake/one",
        *,
        traits: Traits | None = None,
        script: Callable[[str, int], Exception | None] = lambda _question, _call: None,
        pause: Callable[[], Any] = lambda: asyncio.sleep(0),
    ) -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}
        self.traits = traits or Traits()
        self.script, self.pause = script, pause
        self.calls: list[str] = []
        self.counted: list[str] = []
        self.at_once = self.most_at_once = 0
        self.closed = False

    async def complete(self, request: Request) -> Completion:
        question = request.messages[-1].content
        self.calls.append(question)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.pause()
            error = self.script(question, self.calls.count(question))
            if error is not None:
                raise error
            return Completion(question.upper(), "stop")
        finally:
            self.at_once -= 1

    async def count_prompt_tokens(self, request: Request) -> int | None:
        self.counted.append(request.messages[-1].content)
        return len(request.messages[-1].content.split())

    async def aclose(self) -> None:
        self.closed = True


def ask(text: str, max_tokens: int = 8) -> Request:
    return Request(messages=(Message("user", text),), max_tokens=max_tokens)


def plan_of(*texts: str, per_block: int = 4) -> Plan:
    return Plan(
        "needle",
        {"seed": 11},
        tuple(PlannedTrial(number // per_block, ask(text), {"number": number}) for number, text in enumerate(texts)),
    )


PLAN = plan_of(*(f"question {number}" for number in range(12)))


LIMITS = {field.name for field in fields(Limits)}


class Waits:
    """Stands in for the sleep between attempts: notes how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def run(store: Store, plan: Plan, *models: ScriptedModel, waits: Any = None, **options: Any) -> Summary:
    """A whole run without a wait between attempts. Options are those of `run_plan`, and the limits by their names."""
    begun = store.begin_run(plan, models)
    limits = Limits(**{"jobs": 4, **{name: options.pop(name) for name in LIMITS.intersection(options)}})

    async def whole() -> Summary:
        try:
            return await run_plan(store, begun, plan, models, limits=limits, **options)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with patch("stamina._core._smart_sleep", waits or Waits()):
        return asyncio.run(whole())


def attempts(store: Store) -> list[tuple[str, str | None]]:
    with closing(sqlite3.connect(store.path)) as connection:
        return connection.execute("select status, error_kind from attempts order by id").fetchall()


def last_results(store: Store) -> list[Any]:
    return store.results(store.find_run("latest").id)
