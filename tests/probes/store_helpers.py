"""What the tests of the run store share: plans, models that nobody calls, and a look past the store."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes.identity import sha256_text
from probes.models.base import (
    Completion,
    Message,
    Request,
    TokenLogprob,
    Traits,
    Usage,
)
from probes.plan import Plan, PlannedTrial
from probes.store import Store


@dataclass
class StillModel:
    """A model for the store's eyes only: it has a name and an identity, and nobody calls it."""

    name: str = "fake/one"
    identity: Mapping[str, Any] = field(default_factory=lambda: {"adapter": "fake/1", "model": "one"})
    traits: Traits = field(default_factory=Traits)


def asks(text: str, **fields: Any) -> Request:
    return Request(messages=(Message("user", text),), max_tokens=8, **fields)


def plan_of(*requests: Request, seed: int = 1) -> Plan:
    trials = tuple(PlannedTrial(number // 2, one, {"arm": f"arm {number}"}) for number, one in enumerate(requests))
    return Plan("needle", {"seed": seed, "blocks": 1}, trials)


PLAN = plan_of(asks("Where is the ferry?"), asks("Where is the lamp?"), asks("Where is the owl?"))
FULL_ANSWER = Completion(
    text="In the boathouse, под лодкой \ud800\x00.",
    stop_reason="max_tokens",
    usage=Usage(812, 7, 700, 0, 3, 112),
    latency_s=0.1234567,
    first_token_s=0.05,
    model="one-2026-01-01",
    request_id="req_1",
    logprobs=(TokenLogprob(" In", -0.25), TokenLogprob("\ud800", float("-inf"))),
    raw={"id": "x", "choices": [1]},
)


def sql(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Ask the file itself, past the store."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def rewrite_answers(path: Path, change: Callable[[str], str]) -> None:
    """Put other answers into the file, whole ones: each stands under the hash of its new text."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for old, body in connection.execute(
            "select distinct hash, body from blobs join completions on text_hash = hash"
        ).fetchall():
            text = change(body.decode())
            new = f"b1:{sha256_text(text)}"
            connection.execute("insert or ignore into blobs values (?, 'raw', ?)", (new, text.encode()))
            connection.execute("update completions set text_hash = ? where text_hash = ?", (new, old))


def answer(store: Store, run: Any, position: int, text: str = "here") -> int:
    attempt = store.claim(run, run.trial_ids[position])
    assert attempt is not None
    store.finish(attempt, Completion(text, "stop"))
    return attempt
