"""What `runs verify` finds when a store or a prompt is not what it was, and that it finds nothing otherwise."""

import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from probes.identity import prompt_hash
from probes.plan import Plan
from probes.store import Run, Store
from probes.verify_run import changed_files, known_prompts, verify_run
from tests.probes.store_helpers import PLAN, StillModel, answer, asks, plan_of, sql


@pytest.fixture
def run(store: Store) -> Run:
    run = store.begin_run(PLAN, [StillModel(), StillModel("fake/two", {"model": "two"})])
    for position in range(4):
        answer(store, run, position, f"answer {position}")
    return run


def found(store: Store, run: Run, plan: Plan | None = PLAN) -> list[tuple[str, int | None]]:
    return [(each.kind, each.position) for each in verify_run(store, store.find_run(run.id), plan, "a reason")]


def test_a_run_that_is_whole_has_nothing_wrong(store: Store, run: Run) -> None:
    assert found(store, run) == []


def test_a_fresh_run_is_checked_with_its_own_samples(store: Store, run: Run) -> None:
    fresh = store.begin_run(PLAN, [StillModel()], fresh=True)
    assert fresh.plan.trials[0].request.sample == 1
    assert found(store, fresh) == []


def test_a_prompt_that_has_changed_is_named_for_every_model(store: Store, run: Run) -> None:
    other = plan_of(asks("Where is the ferry?"), asks("Where is the LAMP?"), asks("Where is the owl?"))
    assert found(store, run, other) == [("prompt", 1), ("prompt", 4)]
    assert found(store, run, replace(PLAN, trials=PLAN.trials[:2]))[0] == ("prompt", None)
    assert found(store, run, None) == [("prompt", None)]


def test_a_prompt_that_was_kept_need_not_be_made_again(store: Store, run: Run) -> None:
    store.resume_run(run.id, PLAN, keep_prompts=True)
    assert found(store, run, plan_of(*(asks(f"other {number}") for number in range(3)))) == []


def test_the_same_prompt_sent_otherwise_is_told_apart(store: Store, run: Run) -> None:
    other = replace(PLAN, trials=tuple(replace(one, request=replace(one.request, seed=5)) for one in PLAN.trials))
    assert {kind for kind, _ in found(store, run, other)} == {"request"}


def test_an_answer_whose_request_was_altered_is_found(store: Store, run: Run, path: Path) -> None:
    sql(path, f"update trials set request_json = replace(request_json, '8', '9') where id = '{run.trial_ids[0]}'")
    assert ("request", 0) in found(store, run)
    sql(path, f"update trials set prompt_hash = 'x' where id = '{run.trial_ids[1]}'")
    assert ("request", 1) in found(store, run)


def test_a_text_that_was_altered_is_found(store: Store, run: Run, path: Path) -> None:
    sql(path, "update blobs set body = cast('another answer' as blob) where cast(body as text) = 'answer 2'")
    assert found(store, run) == [("file", None)]


def test_calls_of_the_dead_are_told_and_left_as_they_are(store: Store, run: Run, path: Path) -> None:
    assert store.claim(run, run.trial_ids[4]) is not None
    assert found(store, run) == []  # our own call, and we live
    # An earlier process of this computer that had our own number is certainly gone.
    sql(path, f"insert into workers values ('gone', '{platform.node()}', {os.getpid()}, 4e9)")
    sql(path, "update attempts set worker = 'gone' where status = 'started'")
    assert found(store, run) == [("call", None)]
    assert sql(path, "select count(*) from attempts where status = 'started'") == [(1,)]


def test_only_a_prompt_with_the_right_hash_is_ever_shown(store: Store, run: Run) -> None:
    other = plan_of(asks("Where is the ferry?"), asks("Where is the LAMP?"), asks("Where is the owl?"))
    prompts = known_prompts(store, store.trials(run.id), other)
    assert prompts == {prompt_hash(PLAN.trials[at].request): PLAN.trials[at].request.messages for at in (0, 2)}


def test_files_that_changed_since_are_named(store: Store, tmp_path: Path) -> None:
    old, new, gone = (tmp_path / name for name in ("old.txt", "new.txt", "gone.txt"))
    old.write_text("old", encoding="utf-8")
    plan = replace(PLAN, spec={"seed": 1, "haystack": [str(one) for one in (old, new, gone)]})
    run = store.begin_run(plan, [StillModel()])
    new.write_text("new", encoding="utf-8")
    os.utime(old, (1, 1))
    os.utime(new, (4e9, 4e9))
    assert changed_files(store.find_run(run.id)) == [str(new), str(gone)]
