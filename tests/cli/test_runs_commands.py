"""`needlepoint runs`: every view of a run, for people, for pipes and for programs, and its errors."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.experiment_runs import plan_again
from cli.main import needlepoint
from probes.models import load_model
from probes.models.base import Completion
from probes.store import Run, Store
from tests.probes.store_helpers import rewrite_answers, sql

ROOT = Path(__file__).resolve().parents[2]
NEEDLE = ("probe", "needle", "-m", "sim/u-shape", "-n", "2", "--lengths", "150")
CELL = ["actual_depth", "asked", "depth", "haystack_tokens", "layout", "length_tokens", "name", "offset"]
LIST_KEYS = [
    *("run", "probe", "models", "texts", "created_utc", "trials", "answered", "failed", "lost"),
    *("cost_usd", "unknown_cost_calls", "task", "framing", "judged_run"),
]
VERDICT_KEYS = ["scorer", "outcome", "given", "lenient", "share"]
ANSWER_KEYS = [
    *("answer", "logprob_nats", "stop_reason", "served_model", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "prompt_tokens_evaluated", "latency_s", "first_token_s", "cost_usd"),
    *("calls", "answered_by", "dropped", "error_kind", "error_text"),
]
CALL_KEYS = [
    *("position", "trial", "model", "call", "status", "started_utc", "latency_s", "cost_usd", "reserved_usd"),
    *("error_kind", "error_text", "request_id"),
]
EXPORT_HEAD = ["schema", "run", "probe", "code_version", "created_utc", "position", "trial", "model", "block"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, arguments)


def done(*arguments: str) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def rows(*arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in done(*arguments, "--jsonl").stdout.splitlines()]


def without_cell(row: dict[str, object]) -> list[str]:
    return [key for key in row if not key.startswith("cell_")]


def begun(
    path: Path, answers: int | None, *, model: str = "sim/perfect", text: str = "kept from then", **spec: object
) -> Run:
    """A run that was left off after some answers; None for all of them."""
    plan = plan_again("needle", {"blocks": 2, "lengths": [150], **spec})
    with Store.open(path) as store:
        left_off = store.begin_run(plan, [load_model(model)])
        for trial_id in left_off.trial_ids[:answers]:
            attempt = store.claim(left_off, trial_id)
            assert attempt is not None
            store.finish(attempt, Completion(text, "stop"), cost_nano_usd=0)
    return left_off


# ---------------------------------------------------------------------------------------------------------- list


def test_no_store_is_an_empty_list_and_none_is_made(own_home: Path, tmp_path: Path) -> None:
    assert rows("runs", "list") == []
    assert "No run yet" in run("runs", "list").stderr
    for command in ("show", "resume", "export", "verify"):
        result = run("runs", command)
        assert result.exit_code == 1
        assert re.fullmatch(r"error: there is no run store .*\nhint: .*probe --help\n", result.stderr)
    assert "there is no run store" in run("runs", "list", "-d", str(tmp_path / "none.db")).stderr
    assert not (own_home / "data" / "runs.db").exists()
    assert not (tmp_path / "none.db").exists()


def test_a_list_says_what_runs_cost_and_what_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    begun(path, 3)
    [row] = rows("runs", "list", "-d", str(path))
    assert list(row) == LIST_KEYS
    assert (row["cost_usd"], row["unknown_cost_calls"], row["answered"]) == (0.0, 0, 3)
    sql(path, "update attempts set cost_nano_usd = 12345678 where id = 1")
    sql(path, "update attempts set cost_nano_usd = null where id = 2")
    [row] = rows("runs", "list", "-d", str(path))
    assert (row["cost_usd"], row["unknown_cost_calls"]) == (0.012345678, 1)
    assert "$0.0123 + ?" in on_terminal("runs", "list", "-d", str(path))
    sql(path, "update attempts set cost_nano_usd = null")
    [row] = rows("runs", "list", "-d", str(path))
    assert (row["cost_usd"], row["unknown_cost_calls"]) == (None, 3)


def test_the_list_loads_nothing_heavy(tmp_path: Path) -> None:
    begun(tmp_path / "runs.db", 1)
    code = (
        "import sys; from cli.main import needlepoint; needlepoint(sys.argv[1:], standalone_mode=False);"
        "print([name for name in ('numpy', 'scipy', 'pydantic', 'openai', 'anthropic', 'rich') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, "runs", "list", "-d", str(tmp_path / "runs.db")]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.endswith("[]\n")


# ---------------------------------------------------------------------------------------------------------- show


def test_answers_are_rows_with_the_keys_that_are_promised() -> None:
    done(*NEEDLE)
    found = rows("runs", "show", "--answers")
    assert len(found) == rows("runs", "list")[0]["trials"]
    assert without_cell(found[0]) == ["position", "trial", "model", "block", "state", *VERDICT_KEYS, *ANSWER_KEYS]
    assert {f"cell_{key}" for key in CELL} <= set(found[0])
    assert found[0]["given"] == [0]
    lines = done("runs", "show", "--answers").stdout.splitlines()  # a pipe
    assert lines[0].split("\t") == list(found[0])
    assert len(lines) == 1 + len(found)
    table = list(csv.DictReader(io.StringIO(done("runs", "show", "--answers", "--csv").stdout)))
    assert [row["answer"] for row in table] == [row["answer"] for row in found]


def test_prompts_are_those_that_were_sent() -> None:
    done(*NEEDLE)
    found = rows("runs", "show", "--prompts", "-n", "3")
    assert without_cell(found[0]) == ["position", "trial", "model", "block", "state", "outcome", "prompt", "messages"]
    assert [row["position"] for row in found] == [0, 1, 2]
    assert {row["prompt"] for row in found} == {"as sent"}
    [message] = found[0]["messages"]
    assert message["role"] == "user"
    assert f"passcode for {found[0]['cell_name']}" in message["content"]


def test_a_prompt_that_cannot_be_made_again_is_said_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 1)
    sql(path, "update runs set spec_json = replace(spec_json, '\"seed\":1', '\"seed\":2')")
    result = run("runs", "show", "--prompts", "--jsonl", "-d", str(path))
    assert {(row["prompt"], row["messages"]) for row in map(json.loads, result.stdout.splitlines())} == {
        ("changed", None)
    }
    assert f"{(count := len(left_off.trial_ids))} of {count} prompts cannot be shown" in result.stderr
    assert "cannot be made again as it was sent" in on_terminal("runs", "show", "--prompts", "-d", str(path))
    # The answers and the tables need no prompt.
    assert len(rows("runs", "show", "--answers", "-d", str(path))) == count


def test_calls_are_rows_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.sleep", _at_once)
    run("probe", "needle", "-m", "sim/flaky?fail=1", "-n", "1", "--lengths", "150", "--max-retries", "1")
    found = rows("runs", "show", "--attempts")
    assert list(found[0]) == CALL_KEYS
    assert [(row["call"], row["status"]) for row in found[:2]] == [(1, "error"), (2, "error")]
    assert found[0]["error_text"]
    both = rows("runs", "show", "--answers", "--attempts")
    trials, calls = ([row for row in both if row["table"] == table] for table in ("trial", "call"))
    assert both == trials + calls
    assert len(calls) == len(found) == 2 * len(trials)
    assert {row["outcome"] for row in trials} == {"error"}


async def _at_once(_seconds: float, result: object = None) -> object:
    return result


def test_trials_are_chosen_by_what_they_are() -> None:
    done(*NEEDLE, "-m", "sim/perfect")
    found = rows(
        "runs", "show", "--answers", "--where", "depth=50", "--where", "depth=100%", "--where", "model=SIM/perfect"
    )
    assert {(row["model"], row["cell_depth"]) for row in found} == {("sim/perfect", 0.5), ("sim/perfect", 1.0)}
    assert {row["cell_asked"] for row in rows("runs", "show", "--answers", "--where", "asked=null")} == {None}
    missed = rows("runs", "show", "--answers", "--where", "outcome=miss", "--where", "outcome=refusal")
    assert {row["outcome"] for row in missed} <= {"miss", "refusal"}
    tables = rows("runs", "show", "--where", "model=sim/perfect")
    assert {row["model"] for row in tables if row["table"] == "position"} == {"sim/perfect"}


def test_a_choice_that_parts_what_belongs_together_gives_no_wrong_figure(tmp_path: Path) -> None:
    path = str(tmp_path / "runs.db")
    done("probe", "placement", "-m", "sim/recency", "-n", "1", "--lengths", "120", "--place", "before", "-d", path)
    for condition in ("offered=3", "asked=0", "position=1", "measure=coverage"):
        arms = [row for row in rows("runs", "show", "--where", condition, "-d", path) if row["table"] == "arm"]
        assert {row["margin_nats"] for row in arms} <= {None}
    assert "add --answers" in run("runs", "show", "--where", "offered=3", "-d", path).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["--where", "dept=0.5"], 2, "no trial has a key 'dept'", "did you mean depth?"),
        (["--where", "depth=0.5"], 2, "no trial has depth=0.5", "depth, in percent of the text, is one of 0, 25, 50"),
        (["--where", "depth=half"], 2, "no trial has depth=half", "25"),
        (["--where", "depth"], 2, "not KEY=VALUE", "--where depth=50"),
        (["--where", "asked=1", "--where", "depth=100"], 2, "no trial meets all of asked=1, depth=100", "leave one"),
        (["-n", "3"], 2, "--limit is for single trials", "--answers"),
        (["zz"], 1, "no run 'zz'", "runs list"),
        (["rows.jsonl"], 1, "cannot read rows.jsonl", "exported rows"),
        (["rows.jsonl", "--answers"], 2, "shown as tables only", "any program"),
    ],
)
def test_nonsense_is_told_in_two_lines(arguments: list[str], code: int, error: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    begun(path, None)
    result = run("runs", "show", *arguments, "-d", str(path))
    assert result.exit_code == code
    lines = result.stderr.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert error in lines[0]
    assert hint in lines[1]


def test_an_id_that_fits_several_runs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    first, second = begun(path, None), begun(path, 0, seed=2)
    result = run("runs", "verify", first.id[:5], "-d", str(path))
    assert (result.exit_code, "2 runs begin with" in result.stderr) == (1, True)
    assert second.id in result.stderr


def on_terminal(*arguments: str, columns: int = 80) -> str:
    """What a person sees at a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments], cwd=ROOT, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() in (0, 1)
    return re.sub(r"\x1b\[[\d;]*m", "", shown.decode().replace("\r\n", "\n"))


def test_people_see_blocks_that_fit_and_cannot_be_commanded(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, None, text="\x1b[2Jgone \u202eabc [bold]x[/bold] 猫")
    shown = on_terminal("runs", "show", "--prompts", "--answers", "--attempts", "-n", "2", "-d", str(path), columns=60)
    assert "\x1b[2J" not in shown
    assert "␛[2Jgone \\u202eabc [bold]x[/bold] 猫" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 60, shown
    assert shown.count("call 1: ok at ") == 2
    assert f"2 of {len(left_off.trial_ids)} trials; more with -n" in shown
    assert re.search(r"^trial 0: miss  sim/perfect, block 0$", shown, re.MULTILINE)
    assert re.search(r"given: none of the values; right: \d{5}", shown)


# -------------------------------------------------------------------------------------------------------- resume


def test_an_unfinished_run_goes_on_with_what_is_kept_of_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 5, seed=3)
    result = done("runs", "resume", left_off.id[:-1], "-d", str(path), "--jsonl")
    count = len(left_off.trial_ids)
    assert f"run {left_off.id}: {count} trials answered (5 of them kept from before)" in result.stderr
    assert json.loads(result.stdout.splitlines()[0])["table"] == "position"
    [row] = rows("runs", "list", "-d", str(path))
    assert (row["run"], row["answered"]) == (left_off.id, count)
    again = done("runs", "resume", "-d", str(path), "--jsonl")
    assert f"is finished: {count} of {count} trials are answered" in again.stderr
    assert again.stdout == done("runs", "show", "-d", str(path), "--jsonl").stdout


def test_a_dry_run_of_what_is_left_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    begun(path, 5)
    done("runs", "resume", "-d", str(path), "--dry-run")
    assert rows("runs", "list", "-d", str(path))[0]["answered"] == 5


def test_a_fresh_run_goes_on_with_its_own_samples(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    begun(path, None)
    plan = plan_again("needle", {"blocks": 2, "lengths": [150]})
    with Store.open(path) as store:
        fresh = store.begin_run(plan, [load_model("sim/perfect")], fresh=True)
    done("runs", "resume", "-d", str(path))
    with Store.open(path) as store:
        assert [trial.answered_by for trial in store.trials(fresh.id)] == [fresh.id] * len(fresh.trial_ids)
    assert run("runs", "resume", "--fresh", "-d", str(path)).exit_code == 2


def test_a_haystack_that_changed_is_named(tmp_path: Path) -> None:
    path, text = tmp_path / "runs.db", tmp_path / "own.txt"
    text.write_text(" ".join(f"Sentence {word} stands here." for word in "abcdefghij" * 20), encoding="utf-8")
    begun(path, 1, haystack=[str(text)])
    text.write_text(text.read_text(encoding="utf-8").replace("stands", "stood"), encoding="utf-8")
    os.utime(text, (4e9, 4e9))
    result = run("runs", "resume", "-d", str(path))
    assert result.exit_code == 1
    assert f"changed since then: {text}" in result.stderr
    assert "put the files back" in result.stderr
    text.unlink()
    assert str(text) in run("runs", "resume", "-d", str(path)).stderr
    assert run("runs", "verify", "-d", str(path)).exit_code == 1


def test_a_model_that_is_another_now_is_named(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 1)
    change = "replace({0}, 'sim/2', 'sim/1')"
    sql(path, f"update runs set models_json = {change.format('models_json')}")
    result = run("runs", "resume", "-d", str(path))
    assert result.exit_code == 1
    assert "cannot be made again" in result.stderr or "is not what it was" in result.stderr
    assert left_off.id in result.stderr


# --------------------------------------------------------------------------------------------------------- score


def test_another_scorer_reads_the_same_answers_and_both_verdicts_stay(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    done("probe", "needle", "-m", "sim/perfect", "-n", "1", "--lengths", "150", "-d", str(path))
    rewrite_answers(path, lambda text: f"{text} That is it.")
    result = done("runs", "score", "--scorer", "exact@1", "-d", str(path), "--json")
    found = json.loads(result.stdout)
    differing, verdicts = found["meta"]["differing"], found["meta"]["verdicts"]
    assert found["meta"]["scorer"] == "exact@1"
    assert 5 <= differing < verdicts == rows("runs", "list", "-d", str(path))[0]["trials"]
    assert f"{differing} of {verdicts} verdicts differ from those of value@2: {differing} hit -> miss" in result.stderr
    assert {row["asked_rate"] for row in found["rows"] if row["table"] == "position"} != {1.0}
    with Store.open(path) as store:
        latest = store.find_run("latest").id
        assert store.scorers(latest) == ["exact@1", "value@2"]
        kept = {
            name: [score.outcome for score in store.scores(latest, name).values()] for name in store.scorers(latest)
        }
    assert (kept["exact@1"].count("miss"), kept["value@2"].count("miss")) == (differing, 0)
    same = done("runs", "score", "--scorer", "regex:{value}", "-d", str(path), "--json")
    assert json.loads(same.stdout)["meta"]["differing"] == 0


def test_scorers_that_cannot_be_are_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    begun(path, 1)
    for scorer, error in (("exact", "there is no scorer 'exact'"), ("regex:(", "pattern cannot be read")):
        result = run("runs", "score", "--scorer", scorer, "-d", str(path))
        assert (result.exit_code, error in result.stderr) == (2, True)
    done("probe", "placement", "-m", "sim/recency", "-n", "1", "--lengths", "120", "--place", "before", "-d", str(path))
    result = run("runs", "score", "--scorer", "exact@1", "-d", str(path))
    assert (result.exit_code, "is a placement run" in result.stderr) == (2, True)


# ------------------------------------------------------------------------------------------------ export, verify


SMALL_PLACEMENT = ("placement", "--place", "before", "--place", "after", "--measure", "coverage")


@pytest.mark.parametrize(
    ("probe", "form"), [(("needle",), "jsonl"), (("needle",), "json"), (("needle",), "csv"), (SMALL_PLACEMENT, "csv")]
)
def test_the_tables_can_be_made_from_exported_rows_without_the_store(
    probe: tuple[str, ...], form: str, tmp_path: Path
) -> None:
    path, target = tmp_path / "runs.db", tmp_path / f"rows.{form}"
    done("probe", *probe, "-m", "sim/u-shape", "-n", "1", "--lengths", "150", "-d", str(path))
    done("runs", "export", "-d", str(path), "-o", str(target))
    shown = done("runs", "show", "-d", str(path), "--json").stdout
    path.unlink()
    assert done("runs", "show", str(target), "--json").stdout == shown


def test_an_export_is_lines_of_json_with_the_keys_that_are_promised(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 5)
    lines = done("runs", "export", "-d", str(path)).stdout.splitlines()
    row = json.loads(lines[0])
    assert len(lines) == len(left_off.trial_ids)
    expected = [*EXPORT_HEAD, "state", *VERDICT_KEYS, *ANSWER_KEYS, "cell", "request", "spec"]
    expected.insert(expected.index("stop_reason"), "logprobs")
    assert without_cell(row) == expected
    help_text = done("runs", "export", "--help").stdout
    assert all(re.search(rf"^  {key}\b", help_text, re.MULTILINE) for key in without_cell(row))


def test_a_run_that_is_whole_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 5)
    assert done("runs", "verify", "-d", str(path)).stdout == (
        f"Run {left_off.id} is what it says: {len(left_off.trial_ids)} prompts made again, 5 answers, and the file.\n"
    )
    assert json.loads(done("runs", "verify", "-d", str(path), "--json").stdout)["meta"]["ok"] is True


def test_what_is_wrong_is_listed_with_exit_1(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 5)
    sql(
        path, f"update trials set request_json = replace(request_json, '32', '33') where id = '{left_off.trial_ids[0]}'"
    )
    result = run("runs", "verify", "-d", str(path), "--jsonl")
    assert result.exit_code == 1
    [row] = map(json.loads, result.stdout.splitlines())
    assert list(row) == ["kind", "position", "trial", "what"]
    assert (row["kind"], row["position"], row["trial"]) == ("request", 0, left_off.trial_ids[0])
    assert run("runs", "verify", "-d", str(path)).stdout.splitlines()[0] == "kind\tposition\ttrial\twhat"
    assert "How often" in on_terminal("runs", "verify", "-d", str(path))


# ------------------------------------------------------------------------------------------------------- in all


@pytest.mark.parametrize("command", ["list", "show", "resume", "score", "export", "verify"])
def test_every_help_opens_with_a_sentence_and_examples(command: str) -> None:
    text = done("runs", command, "--help").stdout
    assert 2 <= len(re.findall(rf"^ +needlepoint runs {command}\b.*$", text, flags=re.MULTILINE)) <= 4


def test_the_shell_completes_the_ids_of_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    left_off = begun(path, 0)
    environment = os.environ | {
        "_NEEDLEPOINT_COMPLETE": "bash_complete",
        "COMP_CWORD": "3",
        "NEEDLEPOINT_STORE": str(path),
    }
    for begins, expected in (("", ["plain,latest", f"plain,{left_off.id}"]), ("20", [f"plain,{left_off.id}"])):
        environment["COMP_WORDS"] = f"needlepoint runs show {begins}"
        code = "from cli.main import needlepoint; needlepoint(prog_name='needlepoint')"
        finished = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert finished.stdout.split() == expected, finished.stderr
