"""What makes two requests the same one."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probes.identity import trial_id
from probes.models.base import (
    Message,
    Request,
)
from probes.store import Store
from tests.probes.store_helpers import StillModel, answer, asks, plan_of

GOLDEN = [
    (
        {"adapter": "local/1", "weights": "b179"},
        asks("Where is the ferry?"),
        '{"max_tokens":8,"model":{"adapter":"local/1","weights":"b179"},"prompt":"%s","sample":0}',
        "t1:2173e87059edb8e70ab4779cb4da60bce8c7aa3a5274ce6583636b2e15b04065",
    ),
    (
        {"adapter": "sim/1", "reader": "u-shape"},
        Request(
            messages=(Message("system", "Antworte kurz: äöü 猫"), Message("user", "Wo?")),
            max_tokens=3,
            temperature=0,
            seed=7,
            stop=("\n",),
            extra={"top_k": 1},
            sample=2,
        ),
        (
            '{"extra":{"top_k":1},"max_tokens":3,"model":{"adapter":"sim/1","reader":"u-shape"},"prompt":"%s",'
            '"sample":2,"seed":7,"stop":["\\n"],"temperature":0.0}'
        ),
        "t1:c211e3e7ccbeb3e83f3d891669cb088f07be0b1e294c27d870df2cf52022d224",
    ),
    (
        {},
        Request(messages=(Message("user", "The number is"),), continuation=" 47"),
        '{"continuation":" 47","max_tokens":0,"model":{},"prompt":"%s","sample":0}',
        "t1:8e917ca5c484b845a3f3d0ffe2b6d88dfb452321382411ad75c7404eddcb0c4e",
    ),
]


@pytest.mark.parametrize(("identity", "request_", "spelled", "expected"), GOLDEN)
def test_trial_ids_are_what_they_always_were(
    identity: dict[str, Any], request_: Request, spelled: str, expected: str
) -> None:
    turns = ",".join(f'["{message.role}","{message.content}"]' for message in request_.messages)
    prompt = hashlib.sha256(f"[{turns}]".encode()).hexdigest()
    by_hand = "t1:" + hashlib.sha256((spelled % prompt).encode()).hexdigest()
    assert trial_id(identity, request_) == by_hand == expected


def test_everything_that_can_change_an_answer_changes_the_identity() -> None:
    base = asks("Where?")
    others = [
        asks("Where? "),
        Request(messages=(Message("system", "Where?"),), max_tokens=8),
        Request(messages=(*base.messages, Message("assistant", "")), max_tokens=8),
        replace(base, max_tokens=9),
        replace(base, temperature=0.0),
        replace(base, seed=0),
        replace(base, stop=("x",)),
        replace(base, extra={"a": 1}),
        replace(base, continuation=""),
        replace(base, sample=1),
    ]
    ids = {trial_id({"model": "one"}, request) for request in [base, *others]} | {trial_id({"model": "two"}, base)}
    assert len(ids) == len(others) + 2
    assert trial_id({"model": "one"}, replace(base, temperature=0)) == trial_id(
        {"model": "one"}, replace(base, temperature=0.0)
    )


def test_a_changed_needle_under_the_same_spec_finds_no_old_answer(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(plan_of(asks("The ferry is blue. Colour?")), [StillModel()])
        answer(store, run, 0, "blue")
        changed = store.begin_run(plan_of(asks("The ferry is red. Colour?")), [StillModel()])
        assert changed.id != run.id
        assert store.results(changed.id)[0].completion is None
        assert store.pending(changed.id) == [0]
