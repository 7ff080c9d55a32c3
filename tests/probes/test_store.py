"""The run store: identity, write order, leases, what is read back, and files that are not as they should be."""

import hashlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from probes.identity import trial_id
from probes.models.base import (
    AccessDenied,
    Completion,
    ContextTooLong,
    Message,
    RateLimited,
    Request,
    RequestRejected,
    TokenLogprob,
    Traits,
    Transient,
    Usage,
)
from probes.plan import Plan, PlannedTrial
from probes.redaction import redacted
from probes.store import Score, Store
from tokenizer.errors import UserError


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def sql(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Ask the file itself, past the store."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


# ------------------------------------------------------------------------------------------------- identity

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


# --------------------------------------------------------------------------------------------- runs and calls


def answer(store: Store, run: Any, position: int, text: str = "here") -> int:
    attempt = store.claim(run, run.trial_ids[position])
    assert attempt is not None
    store.finish(attempt, Completion(text, "stop"))
    return attempt


def test_an_answer_comes_back_as_it_was(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[1])
        assert attempt is not None
        store.finish(attempt, FULL_ANSWER)
    with Store.open(path) as store:
        first, second, _ = store.results(run.id)
    assert first.completion is None
    assert first.error_kind is None
    assert second.completion == replace(FULL_ANSWER, raw={})
    assert second.trial_id == run.trial_ids[1]
    assert second.model == "fake/one"
    assert second.trial == replace(PLAN.trials[1], request=replace(PLAN.trials[1].request, messages=()))


def test_every_field_of_a_request_but_the_prompt_comes_back(path: Path) -> None:
    request = asks("x", temperature=0.5, seed=3, stop=("a", "b"), extra={"k": [1]}, continuation=" 47", sample=4)
    with Store.open(path) as store:
        run = store.begin_run(plan_of(request), [StillModel()])
        assert store.results(run.id)[0].trial.request == replace(request, messages=())


def test_texts_are_kept_once_and_whole_replies_compressed(path: Path) -> None:
    reply = {"text": "again and again " * 200}
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for trial in run.trial_ids:
            attempt = store.claim(run, trial)
            assert attempt is not None
            store.finish(attempt, Completion("same", "stop", raw=reply))
    rows = sql(path, "select codec, length(body) from blobs order by codec")
    assert [codec for codec, _ in rows] == ["raw", "zlib"]
    assert rows[1][1] < 300


def test_the_attempt_is_on_the_disk_before_the_call(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert sql(path, "select id, trial_id, status from attempts") == [(attempt, run.trial_ids[0], "started")]


def test_a_trial_is_claimed_once(path: Path) -> None:
    with Store.open(path) as store, Store.open(path) as other:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        assert other.claim(run, run.trial_ids[0]) is None
        assert not other.is_answered(run.trial_ids[0])
        store.finish(attempt, Completion("a", "stop"))
        assert other.claim(run, run.trial_ids[0]) is None
        assert other.is_answered(run.trial_ids[0])


def test_the_file_itself_refuses_a_second_open_attempt(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        store.claim(run, run.trial_ids[0])
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        sql(path, "insert into attempts select 99, trial_id, run_id, worker, status, '', null, null, null, null, null, "
                  "null from attempts")  # fmt: skip


def test_an_identical_plan_continues_the_unfinished_run_and_then_reuses(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        answer(store, run, 0)
        again = store.begin_run(PLAN, [StillModel()])
        assert (again.id, again.resumed, again.trial_ids) == (run.id, True, run.trial_ids)
        answer(store, run, 1)
        answer(store, run, 2)
        new = store.begin_run(PLAN, [StillModel()])
        assert new.id != run.id
        assert not new.resumed
        assert store.pending(new.id) == []
        assert [one.completion for one in store.results(new.id)] == [one.completion for one in store.results(run.id)]
        assert store.calls(new.id).ok == 0
        assert [row.id for row in store.runs()] == [new.id, run.id]


@pytest.mark.parametrize(
    ("plan", "model"),
    [
        (replace(PLAN, spec={"seed": 2}), StillModel()),
        (replace(PLAN, probe="placement"), StillModel()),
        (replace(PLAN, trials=PLAN.trials[:2]), StillModel()),
        (replace(PLAN, trials=(replace(PLAN.trials[0], cell={}), *PLAN.trials[1:])), StillModel()),
        (PLAN, StillModel(identity={"adapter": "fake/2"})),
        (PLAN, StillModel(name="fake/other-name")),
    ],
)
def test_any_other_plan_is_another_run(path: Path, plan: Plan, model: StillModel) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        assert store.begin_run(plan, [model]).id != run.id


def test_positions_go_model_after_model(path: Path) -> None:
    models = [StillModel(), StillModel("fake/two", {"model": "two"})]
    with Store.open(path) as store:
        run = store.begin_run(PLAN, models)
        assert [one.model for one in store.results(run.id)] == ["fake/one"] * 3 + ["fake/two"] * 3
        assert run.trial_ids[4] == trial_id(models[1].identity, PLAN.trials[1].request)
        assert [one.trial.cell["arm"] for one in store.results(run.id)] == ["arm 0", "arm 1", "arm 2"] * 2


def test_errors_are_never_answers(path: Path) -> None:
    errors = [Transient("the line broke"), RequestRejected("bad field"), ContextTooLong("too long")]
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for trial, error in zip(run.trial_ids, errors, strict=True):
            attempt = store.claim(run, trial)
            assert attempt is not None
            store.fail(attempt, error)
        assert [one.completion for one in store.results(run.id)] == [None] * 3
        assert [one.error_kind for one in store.results(run.id)] == ["transient", "rejected", "context_too_long"]
        assert store.results(run.id)[0].error_text == "the line broke"
        assert store.states(run.id) == ["failed", "rejected", "rejected"]
        assert store.pending(run.id) == [0]
        assert store.pending(run.id, retry_errors=True) == [0, 1, 2]
        row = store.runs()[0]
        assert (row.trials, row.answered, row.failed, row.lost) == (3, 0, 3, 0)
        answer(store, run, 0)
        assert store.results(run.id)[0].error_kind is None
        assert store.runs()[0].failed == 2
        attempt = store.claim(run, run.trial_ids[1])
        assert attempt is not None
        store.abandon(attempt)
        assert store.states(run.id) == ["answered", "missing", "rejected"]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RateLimited("slow down"), "rate_limited", "slow down"),
        (AccessDenied("no"), "access_denied", "no"),
        (ZeroDivisionError("division by zero"), "bug", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_went_wrong_is_named(path: Path, error: Exception, kind: str, text: str) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        store.fail(attempt, error)
        result = store.results(run.id)[0]
    assert (result.error_kind, result.error_text) == (kind, text)


def test_a_late_answer_to_a_lost_attempt_is_kept(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        store.abandon(attempt)
        assert store.calls(run.id).lost == 1
        second = answer(store, run, 0, "the second call was quicker")
        assert second != attempt
        store.finish(attempt, Completion("too late", "stop"))
        completion = store.results(run.id)[0].completion
        assert completion is not None
        assert completion.text == "the second call was quicker"
        assert store.calls(run.id).lost == 0


def test_calls_and_tokens_are_counted_for_their_run_alone(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for position, usage in enumerate([Usage(100, prompt_tokens_evaluated=100), Usage(120)]):
            attempt = store.claim(run, run.trial_ids[position])
            assert attempt is not None
            store.finish(attempt, Completion("x", "stop", usage, latency_s=0.5))
        calls = store.calls(run.id)
        assert (calls.ok, calls.error, calls.lost) == (2, 0, 0)
        assert (calls.prompt_tokens, calls.prompt_tokens_evaluated, calls.latency_s) == (220, None, 1.0)
        other = store.calls(store.begin_run(replace(PLAN, spec={}), [StillModel()]).id)
        assert (other.ok, other.prompt_tokens, other.latency_s) == (0, 0, 0.0)


def test_scores_are_replaced_not_piled_up(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        for position in range(2):
            answer(store, run, position)
        first, second, third = run.trial_ids
        store.save_scores("match@1", [Score(first, "miss", 0.0, {}), Score(second, "refusal", None, {"why": "é"})])
        store.save_scores("match@1", [Score(first, "hit", 1.0, {"value": "47"})])
        store.save_scores("other@1", [Score(first, "miss", None, {})])
        assert store.scores(run.id, "match@1") == {
            first: Score(first, "hit", 1.0, {"value": "47"}),
            second: Score(second, "refusal", None, {"why": "é"}),
        }
        with pytest.raises(sqlite3.IntegrityError):  # nothing to judge without an answer
            store.save_scores("match@1", [Score(third, "miss", 0.0, {})])


def test_runs_are_found_by_the_beginning_of_their_id(path: Path) -> None:
    with Store.open(path) as store:
        with pytest.raises(UserError, match="no run"):
            store.find_run("latest")
        first = store.begin_run(PLAN, [StillModel()])
        last = store.begin_run(replace(PLAN, spec={"seed": 9}), [StillModel()])
        assert store.find_run("latest").id == last.id
        assert store.find_run(first.id).spec == {"seed": 1, "blocks": 1}
        assert store.find_run(first.id).models == ("fake/one",)
        with pytest.raises(UserError, match="2 runs begin with"):
            store.find_run("2")
        for nothing in ("zz", ""):
            with pytest.raises(UserError, match="no run"):
                store.find_run(nothing)


# --------------------------------------------------------------------------------------------------- leases


def claimed_by(path: Path, worker: tuple[str, str, int, float]) -> tuple[Store, Any]:
    """A store in which another process seems to have a call in flight."""
    store = Store.open(path)
    run = store.begin_run(PLAN, [StillModel()])
    with store.transaction():
        store._write("insert into workers values (?, ?, ?, ?)", *worker)
        store._write("insert into attempts values (1, ?, ?, ?, 'started', '', null, null, null, null, null, null)",
                     run.trial_ids[0], run.id, worker[0])  # fmt: skip
    return store, run


FAR = 4e9


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("host", "pid", "lease_until", "lives"),
    [
        ("elsewhere", 1, FAR, True),
        ("elsewhere", 1, 0.0, False),  # expired
        ("here", os.getppid(), FAR, True),
        ("here", os.getppid(), 0.0, False),
        ("here", None, FAR, False),  # gone
        ("here", os.getpid(), FAR, False),  # an earlier process had our number
    ],
)
def test_only_dead_workers_lose_their_calls(
    path: Path, host: str, pid: int | None, lease_until: float, lives: bool
) -> None:
    host = platform.node() if host == "here" else host
    store, run = claimed_by(path, ("other", host, pid or dead_pid(), lease_until))
    with store:
        resumed = store.begin_run(PLAN, [StillModel()])
        assert resumed.id == run.id
        assert (store.claim(run, run.trial_ids[0]) is None) == lives
        assert store.calls(run.id).lost == (0 if lives else 1)


def test_giving_up_takes_only_our_own_calls(path: Path) -> None:
    store, run = claimed_by(path, ("other", "elsewhere", 1, FAR))
    with store:
        store.claim(run, run.trial_ids[1])
        store.abandon_all(run)
        assert sql(path, "select status from attempts order by id") == [("started",), ("lost",)]


# ---------------------------------------------------------------------------------------- transactions and files


def test_an_inner_failure_undoes_only_itself(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        with store.transaction():
            answer(store, run, 0)
            with pytest.raises(RuntimeError):
                answer_and_fail(store, run, 1)
        assert store.states(run.id) == ["answered", "missing", "missing"]
        with pytest.raises(RuntimeError):
            answer_and_fail(store, run, 1)
        assert store.states(run.id) == ["answered", "missing", "missing"]


def answer_and_fail(store: Store, run: Any, position: int) -> None:
    with store.transaction():
        answer(store, run, position)
        raise RuntimeError


def refused(path: Path, **options: Any) -> str:
    """What the user is told; the file must be as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UserError) as caught, Store.open(path, **options) as store:
        store.results(store.runs()[0].id)
    assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else None) == before
    return str(caught.value)


def filled(path: Path) -> Path:
    with Store.open(path) as store:
        run = store.begin_run(plan_of(*(asks(f"question {number}") for number in range(200))), [StillModel()])
        answer(store, run, 0)
    return path


def test_a_locked_store_says_so(path: Path) -> None:
    holder = sqlite3.connect(filled(path), isolation_level=None)
    holder.execute("begin immediate")
    assert "is locked by another program" in refused(path, busy_timeout_s=0.05)
    holder.execute("commit")
    with Store.open(path) as store:
        holder.execute("begin exclusive")
        store._connection.execute("pragma busy_timeout = 20")
        with pytest.raises(UserError, match="locked"):
            store.begin_run(PLAN, [StillModel()])
        holder.execute("commit")
        store.begin_run(PLAN, [StillModel()])
    holder.close()


def test_a_damaged_store_says_so(path: Path) -> None:
    page = 4096
    body = bytearray(filled(path).read_bytes())
    body[page:] = os.urandom(page) * (len(body) // page - 1)
    path.write_bytes(body)
    assert "is damaged" in refused(path)


def test_what_is_no_database_says_so(path: Path) -> None:
    path.write_text("Dear diary, " * 2000, encoding="utf-8")
    assert "is not a run store" in refused(path)


def test_a_newer_store_is_left_alone(path: Path) -> None:
    sql(filled(path), "pragma user_version = 2")
    assert "newer version" in refused(path)


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    sql(path, "create table notes (text)")
    assert "another program" in refused(path)
    assert sql(path, "pragma journal_mode") == [("delete",)]


def test_missing_directories_and_directories(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "no" / "runs.db")
    assert "cannot be opened" in refused(tmp_path)


READ_ONLY = """
import os, sys
from pathlib import Path
from probes.store import Store
from tokenizer.errors import UserError
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store.open(Path(sys.argv[1]))
except UserError as err:
    print(err)
"""


@pytest.mark.skipif(os.name != "posix", reason="rights are another matter here")
def test_a_read_only_store_says_so(path: Path) -> None:
    filled(path).chmod(0o444)
    if os.getuid() == 0:  # nobody must be able to reach the file
        for parent in list(path.parents)[:-1]:
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, cwd=Path.cwd(), check=False
    )
    assert "may not be written" in done.stdout, done.stderr


def test_a_full_disk_says_so_and_loses_nothing(path: Path) -> None:
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        answer(store, run, 0)
        pages = store._connection.execute("pragma page_count").fetchone()[0]
        store._connection.execute(f"pragma max_page_count = {pages}")
        attempt = store.claim(run, run.trial_ids[1])
        assert attempt is not None
        with pytest.raises(UserError, match="the disk is full"):
            store.finish(attempt, Completion(os.urandom(50_000).hex(), "stop"))
        assert store.states(run.id) == ["answered", "missing", "missing"]
    assert sql(path, "pragma integrity_check") == [("ok",)]


def test_the_file_can_be_read_with_other_tools(path: Path) -> None:
    filled(path)
    assert sql(path, "pragma integrity_check") == [("ok",)]
    assert sql(path, "pragma foreign_key_check") == []
    [(request_json,)] = sql(path, "select request_json from trials limit 1")
    assert json.loads(request_json)["model"] == {"adapter": "fake/1", "model": "one"}
    [(created,)] = sql(path, "select created_utc from runs")
    assert created.endswith("Z")


# ------------------------------------------------------------------------------------------------- redaction


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("bad key sk-proj-abc_DEF-123456789 given", "bad key [redacted] given"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("'x-api-key': 'q1w2e3r4'", "'x-api-key': '[redacted]'"),
        ('{"api_key": "short1"}', '{"api_key": "[redacted]"}'),
        ("GET https://me:secret@host/v1?key=abc&x=1", "GET https://[redacted]@host/v1?key=[redacted]&x=1"),
        ("AIzaSyA-1234567890abcdefghij", "[redacted]"),
        ("no model claude-sonnet-4-5-20250929 at https://host/v1", None),
        ("the prompt has 4096 tokens, the window 2048", None),
    ],
)
def test_what_looks_like_a_key_is_cut(text: str, kept: str | None) -> None:
    assert redacted(text) == (kept or text)


def test_a_key_of_this_environment_is_cut_whatever_it_looks_like(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "plain words only")
    with Store.open(path) as store:
        run = store.begin_run(PLAN, [StillModel()])
        attempt = store.claim(run, run.trial_ids[0])
        assert attempt is not None
        store.fail(attempt, AccessDenied("the key plain words only is wrong. " + "A very long page. " * 400))
        text = store.results(run.id)[0].error_text
    assert text is not None
    assert text.startswith("the key [redacted] is wrong.")
    assert len(text) == 500
    assert b"plain words only" not in b"".join(one.read_bytes() for one in path.parent.iterdir() if one.is_file())
