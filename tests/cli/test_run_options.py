"""The options of a run on the command line: what they do end to end, against a server on this machine."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from cli.run_options import parsed_extra
from probes.serving.server import Server, serving
from probes.store import Store
from tokenizer.errors import UsageError

PLAN = ["--lengths", "200", "-n", "1"]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stamina._core._smart_sleep", lambda _seconds: asyncio.sleep(0))
    monkeypatch.setenv("OPENAI_API_KEY", "any")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving("sim/perfect") as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def run(server: Server | None, store: Path, *options: str, model: str = "openai/a-model") -> Result:
    where = ["--base-url", f"{server.url}/v1"] if server else []
    return CliRunner().invoke(
        needlepoint, ["probe", "needle", "-m", model, *where, "-d", str(store), "--json", *PLAN, *options]
    )


def sql(store: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(statement).fetchall()


def errors(result: Result) -> list[str]:
    assert result.exit_code in (1, 2), result.stderr
    return result.stderr.splitlines()[-2:]


# ------------------------------------------------------------------------------------------------------ retries


def test_retries_can_be_counted_out(store: Path) -> None:
    with serving("sim/perfect", failures={"server-error": 1.0}) as server:
        result = run(server, store, "--max-retries", "2")
    assert result.exit_code == 3, result.stderr
    trials = sql(store, "select count(*) from run_trials")[0][0]
    assert sql(store, "select distinct error_kind, count(*) from attempts") == [("transient", 3 * trials)]
    assert "trials have no answer; run the same command again" in result.stderr


def test_time_limits_are_told(store: Path) -> None:
    with serving("sim/perfect", failures={"silence": 1.0}) as server:
        result = run(server, store, "--max-retries", "0", "--timeout", "0.2")
    assert result.exit_code == 3
    assert sql(store, "select distinct error_text from attempts") == [
        ("openai/a-model gave no answer within 0.2 seconds",)
    ]


def test_a_server_that_asks_for_too_long_a_wait_is_left_for_later(store: Path) -> None:
    with serving("sim/perfect", failures={"rate-limit": 1.0}, retry_after_s=90) as server:
        result = run(server, store, "--trial-timeout", "60")
    assert result.exit_code == 3
    assert "as it asks to wait 90 s, and a trial may take 60 s in all" in result.stderr
    assert sql(store, "select max(n) from (select count(*) as n from attempts group by trial_id)") == [(1,)]


def test_one_after_the_other(server: Server, store: Path) -> None:
    assert run(server, store, "-j", "1").exit_code == 0
    assert server.most_at_once == 1


def test_what_was_refused_is_asked_again_only_on_demand(server: Server, store: Path) -> None:
    server.failures.then(*["context-length"] * 100)
    assert run(server, store).exit_code == 3
    calls = server.calls
    assert run(server, store).exit_code == 3
    assert server.calls == calls
    server.failures._script.clear()
    assert run(server, store, "--retry-errors").exit_code == 0
    assert server.calls == 2 * calls


def test_fresh_asks_everything_anew_and_deletes_nothing(server: Server, store: Path) -> None:
    assert run(server, store).exit_code == 0
    calls = server.calls
    assert run(server, store, "--fresh").exit_code == 0
    assert server.calls == 2 * calls
    assert sql(store, "select count(*) from completions") == [(2 * calls,)]


# -------------------------------------------------------------------------------------------------- what is sent


def test_extra_fields_are_sent_and_are_part_of_the_identity(server: Server, store: Path) -> None:
    assert run(server, store, "--extra", "top_k=20", "--extra", 'reasoning={"effort": "low"}').exit_code == 0
    assert all((body["top_k"], body["reasoning"]) == (20, {"effort": "low"}) for body in server.requests)
    calls = server.calls
    assert run(server, store).exit_code == 0
    assert server.calls == 2 * calls


def test_extra_values_are_json_where_they_can_be() -> None:
    given = ("a=1", "b=[1, 2]", "c=word", 'd="1"', "e=x=y", "f=NaN", "g=", "h=null")
    assert parsed_extra(given) == {
        "a": 1, "b": [1, 2], "c": "word", "d": "1", "e": "x=y", "f": "NaN", "g": "", "h": None
    }  # fmt: skip
    for wrong in (("a",), ("=1",), ("a=1", "a=2")):
        with pytest.raises(UsageError):
            parsed_extra(wrong)


def test_a_window_is_kept_to_before_anything_is_sent(server: Server, store: Path) -> None:
    result = run(server, store, "--window", "100")
    what, hint = errors(result)
    assert "has a window of 100 tokens" in what
    assert "nothing was sent" in hint
    assert server.calls == 0


def test_keep_prompts_keeps_them(server: Server, store: Path) -> None:
    assert run(server, store).exit_code == 0
    without = store.stat().st_size
    assert run(server, store, "--keep-prompts").exit_code == 0
    assert sql(store, "select count(*) from blobs where codec = 'zlib'")[0][0] > 0
    assert store.stat().st_size >= without


# -------------------------------------------------------------------------------------------------------- money


def test_tokens_are_limited_and_the_rest_can_be_asked_later(server: Server, store: Path) -> None:
    result = run(server, store, "--max-tokens-total", "1500", "-j", "1")
    assert result.exit_code == 3, result.stderr
    assert "stopped: the next call of openai/a-model may take about" in result.stderr
    assert "of --max-tokens-total 1,500 are used" in result.stderr
    assert json.loads(result.stdout)["rows"]  # the partial report
    used = sql(store, "select sum(input_tokens + output_tokens) from completions")[0][0]
    assert 1000 < used <= 1500
    done = server.calls
    assert run(server, store).exit_code == 0
    assert server.calls == sql(store, "select count(*) from run_trials")[0][0] > done


def test_money_is_not_spent_where_nobody_knows_the_price(server: Server, store: Path) -> None:
    what, hint = errors(run(server, store, "--max-cost", "1"))
    assert what == "error: nobody knows what openai/a-model costs, so --max-cost cannot be kept"
    assert "--allow-unpriced" in hint
    assert server.calls == 0
    result = run(server, store, "--max-cost", "1", "--allow-unpriced")
    assert result.exit_code == 0
    assert f"cost: unknown for {server.calls} calls" in result.stderr


def test_a_dry_run_asks_nobody_and_writes_nothing(server: Server, store: Path) -> None:
    result = run(server, store, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert server.calls == 0
    assert not store.exists()
    (total,) = [row for row in json.loads(result.stdout)["rows"] if row["table"] == "model"]
    assert total["trials"] > 5
    assert total["answered"] == 0
    assert run(server, store).exit_code == 0
    before = store.read_bytes()
    result = run(server, store, "--dry-run")
    (total,) = [row for row in json.loads(result.stdout)["rows"] if row["table"] == "model"]
    assert total["answered"] == server.calls
    assert store.read_bytes() == before


def test_two_served_models_in_one_run_are_told(store: Path, tmp_path: Path) -> None:
    with serving("sim/perfect") as server:
        run(server, store)
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute("update completions set served_model = 'a-model-2' where rowid = 1")
        result = run(server, store)
    assert "warning: openai/a-model was answered by 2 models: " in result.stderr
    assert "a-model-2 (1)" in result.stderr


# ----------------------------------------------------------------------------------------------------- nonsense


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--max-cost", "0"], "0 is no finite number above zero"),
        (["--max-cost", "nan"], "nan is no finite number above zero"),
        (["--max-cost", "five"], "'five' is no number"),
        (["--timeout", "-1"], "-1 is no finite number above zero"),
        (["--trial-timeout", "inf"], "inf is no finite number above zero"),
        (["--max-retries", "-1"], "--max-retries"),
        (["--max-tokens-total", "0"], "--max-tokens-total"),
        (["--window", "0"], "--window"),
        (["--threads", "0"], "--threads"),
        (["--form", "poem"], "--form"),
        (["-j", "0"], "--jobs"),
        (["--extra", "novalue"], "is not KEY=VALUE"),
        (["--base-url", "localhost:8000"], "a base URL is http:// or https:// and a host"),
        (["--form", "chat"], "--form and --threads are for local models"),
        (["--threads", "2"], "--form and --threads are for local models"),
        (["--base-url", "http://127.0.0.1:1/v1", "-m", "sim/perfect"], "--base-url is the address of one model"),
    ],
)
def test_nonsense_is_refused_with_a_way_out(store: Path, options: list[str], complaint: str) -> None:
    result = run(None, store, *options)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "hint: " in result.stderr or "Usage" in result.stderr or "Error" in result.stderr
    assert not store.exists()


def test_extra_fields_for_nobody_are_refused(store: Path) -> None:
    result = run(None, store, "--extra", "top_k=20", model="sim/perfect")
    assert result.exit_code == 2
    assert "no model here has one" in result.stderr


def test_progress_says_how_many_calls_there_are_at_once(server: Server, store: Path) -> None:
    lines = [line for line in run(server, store).stderr.splitlines() if line.startswith("probe needle: 50 %")]
    assert len(lines) == 1
    assert re.search(r" trials, .+/s, .* s left, \d+ in flight of \d+ at once", lines[0])


def test_an_experiment_file_takes_the_same_options(server: Server, tmp_path: Path, store: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('[[experiment]]\nprobe = "needle"\nblocks = 1\nlengths = [200]\n', encoding="utf-8")
    command = ["probe", "run", str(path), "-m", "openai/a-model", "--base-url", f"{server.url}/v1", "-d", str(store)]
    result = CliRunner().invoke(needlepoint, [*command, "--max-tokens-total", "1000", "-j", "1", "--json"])
    assert result.exit_code == 3, result.stderr
    assert "--max-tokens-total 1,000" in result.stderr


def test_a_command_that_is_refused_before_anything_is_sent_leaves_no_run(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(None, store, "--max-cost", "1").exit_code == 2  # nobody knows the price
    monkeypatch.delenv("OPENAI_API_KEY")
    assert run(None, store).exit_code == 1
    with Store.open(store) as opened:
        assert opened.runs() == []


def test_what_calls_failed_for_is_told(store: Path) -> None:
    told = run(None, store, "--max-retries", "0", model="sim/flaky?fail=1")
    assert told.exit_code == 3
    assert "failed: the simulated reader failed this call" in told.stderr
