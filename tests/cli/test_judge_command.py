"""`needlepoint runs judge` from end to end: planned, priced, run, gone on with, shown, checked, exported, refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from probes.serving.server import serving
from probes.store import Store
from tests.probes.store_helpers import sql

PLACEMENT = (
    *("probe", "placement", "-m", "sim/recency", "-n", "2", "--lengths", "150", "--measure", "coverage"),
    *("--place", "before", "--place", "after", "--place", "padded-after"),
)
JUDGE = ("runs", "judge", "--judge", "sim/judge")
KEYS = {
    "arm": [
        *("model", "length_tokens", "arm", "judge", "answers", "read", "missing", "unreadable", "refusal", "truncated"),
        *("error", "blocks", "coverage_rate", "coverage_low", "coverage_high", "contradicted_rate", "contradicted_low"),
        *("contradicted_high", "rating", "rating_low", "rating_high", "score_rate", "coverage_worst_low"),
        *("coverage_worst_high", "framing", "task", "temperature", "measurable"),
    ],
    "agreement": [
        *("model", "length_tokens", "arm", "judge", "blocks", "answers", "facts", "both", "only_score", "only_judge"),
        *("neither", "agreement_rate", "agreement_low", "agreement_high", "kappa", "kappa_low", "kappa_high"),
        *("framing", "task", "temperature"),
    ],
    "contrast": [
        *("model", "length_tokens", "outcome", "arm", "control", "judge", "blocks", "difference", "low", "high"),
        *("p_value", "detectable", "p_holm", "score_difference", "missing", "worst_low", "worst_high", "declared"),
        *("unit", "test", "correction", "tests", "framing", "task", "temperature", "measurable"),
    ],
    "cost": [
        *("model", "length_tokens", "arm", "measure", "input_tokens", "output_tokens", "cache_read_tokens"),
        *("prompt_tokens_evaluated", "answers", "cost_usd", "unpriced", "latency_s", "first_token_s", "framing"),
        *("task", "temperature"),
    ],
}


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(needlepoint, arguments)
    assert result.exit_code == code, result.stderr
    return result


def rows(*arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in run(*arguments, "--jsonl").stdout.splitlines()]


@pytest.fixture(autouse=True)
def judged() -> str:
    """A placement run to be judged; its id."""
    run(*PLACEMENT)
    return str(rows("runs", "list")[0]["run"])


def test_a_judge_runs_and_every_view_of_its_run_says_the_same(judged: str, tmp_path: Path) -> None:
    document = json.loads(run(*JUDGE, "--json").stdout)
    assert document["schema"] == "needlepoint.runs.judge/1"
    meta = document["meta"]
    assert (meta["judged_run"], meta["prompt"], meta["not_judged"], meta["answers"]) == (judged, "judge@1", {}, 6)
    assert meta["models"]["sim/judge"]["accuracy"] == 0.95
    keys = {row["table"]: [key for key in row if key != "table"] for row in document["rows"]}
    assert keys == KEYS
    [everything] = [row for row in document["rows"] if row["table"] == "agreement" and row["arm"] is None]
    assert everything["facts"] == 60
    listed = rows("runs", "list")
    assert [(row["probe"], row["judged_run"]) for row in listed] == [("judge", judged), ("placement", None)]
    again = json.loads(run("runs", "show", "--json").stdout)
    assert again["rows"] == document["rows"]
    for kind in ("jsonl", "json", "csv"):
        file = tmp_path / f"run.{kind}"
        run("runs", "export", "-o", str(file))
        assert json.loads(run("runs", "show", str(file), "--json").stdout)["rows"] == document["rows"]
    assert "6 prompts made again, 6 answers" in run("runs", "verify").stdout
    assert "is finished" in run("runs", "resume").stderr
    shown = rows("runs", "show", "--answers", "--prompts", "-n", "1")[0]
    assert (shown["outcome"], shown["prompt"], shown["scorer"]) == ("read", "as sent", "judge@1")
    assert shown["rating"] in range(1, 6)
    assert set(shown["given"]) <= set(range(10))  # type: ignore[call-overload]


def test_only_cells_hold_the_answers_and_a_changed_one_is_found(own_home: Path) -> None:
    run(*JUDGE)
    run("runs", "verify")
    path = own_home / "data" / "runs.db"
    with Store.open(path) as store:
        found = store.find_run("latest")
    change = "update run_trials set cell_json = json_replace(cell_json, '$.judged.answer', 'other') where position = 1"
    sql(path, f"{change} and run_id = '{found.id}'")
    [finding] = [json.loads(line) for line in run("runs", "verify", "--jsonl", code=1).stdout.splitlines()]
    assert (finding["kind"], finding["position"]) == ("prompt", 1)


def test_it_is_priced_before_and_goes_on_where_it_stopped() -> None:
    planned = run(*JUDGE, "--dry-run", "--json")
    total = json.loads(planned.stdout)["rows"][-1]
    assert (total["table"], total["trials"], total["answered"]) == ("total", 6, 0)
    assert [row["probe"] for row in rows("runs", "list")] == ["placement"]  # nothing was kept
    stopped = run(*JUDGE, "--max-tokens-total", "2000", code=3)
    assert "stopped" in stopped.stderr
    begun = rows("runs", "list")[0]
    assert 0 < int(str(begun["answered"])) < 6
    assert "verdicts are missing" in stopped.stderr
    assert "not asked yet" in stopped.stderr
    run("runs", "resume")
    after = rows("runs", "list")
    assert [row["answered"] for row in after] == [6, 6]
    assert after[0]["run"] == begun["run"]
    again = run(*JUDGE, "--dry-run", "--json")  # `latest` is the newest placement, and all of it is answered
    assert json.loads(again.stdout)["rows"][-1]["answered"] == 6


def test_some_answers_may_be_chosen_and_verdicts_have_room() -> None:
    document = json.loads(run(*JUDGE, "--where", "arm=after", "--max-tokens", "9", "--json").stdout)
    arms = [row for row in document["rows"] if row["table"] == "arm"]
    assert [(row["arm"], row["answers"], row["truncated"]) for row in arms] == [("after", 2, 2)]
    assert (document["meta"]["where"], document["meta"]["max_tokens"]) == (["arm=after"], 9)


def test_verdicts_in_another_form_are_told_of_and_the_command_is_done() -> None:
    result = run("runs", "judge", "--judge", "sim/judge?unreadable=1")
    assert "6 of 6 verdicts are missing: they count in no rate (6 in another form)" in result.stderr
    assert "Not one verdict could be read" in result.stderr
    assert {row["outcome"] for row in rows("runs", "show", "--answers", "--where", "outcome=unreadable")} == {
        "unreadable"
    }


def test_a_model_does_not_judge_itself_unless_that_is_allowed() -> None:
    refused = run("runs", "judge", "--judge", "sim/recency?seed=4", code=2)
    assert "would judge answers that it wrote itself" in refused.stderr
    assert "--allow-own-answers" in refused.stderr
    allowed = run("runs", "judge", "--judge", "sim/recency?seed=4", "--allow-own-answers", "--json")
    assert json.loads(allowed.stdout)["meta"]["own_answers"] == "sim/recency?seed=4"
    assert "judges answers of its own here" in allowed.stderr


def test_nonsense_is_refused_in_two_lines() -> None:
    for arguments, code, words in (
        ((), 2, "--judge"),
        (("--judge", "sim/jude"), 2, "did you mean sim/judge?"),
        (("--judge", "sim/judge", "--max-tokens", "0"), 2, "--max-tokens"),
        (("--judge", "sim/judge", "--where", "arm=nowhere"), 2, "arm is one of"),
        (("--judge", "sim/judge", "nix"), 1, "no run 'nix'"),
        (("--judge", "sim/judge", "rows.jsonl"), 2, "a judge reads a run of the store"),
        (("--judge", "sim/judge", "-d", "none.db"), 1, "there is no run store"),
    ):
        stderr = run("runs", "judge", *arguments, code=code).stderr
        assert words in stderr
        assert [line.partition(":")[0] for line in stderr.splitlines()] == ["error", "hint"]


def test_runs_of_other_probes_are_refused_and_verdicts_are_no_contenders() -> None:
    run(*JUDGE)
    latest = str(rows("runs", "list")[0]["run"])
    assert "is a judge run" in run("runs", "judge", latest, "--judge", "sim/perfect", code=2).stderr
    assert "compare the runs that were judged" in run("runs", "compare", latest, code=1).stderr
    assert "is a judge run" in run("runs", "score", latest, "--scorer", "exact@1", code=2).stderr
    run("probe", "needle", "-m", "sim/perfect", "-n", "1", "--lengths", "150", "--task", "single", "--depths", "50")
    needles = str(rows("runs", "list")[0]["run"])
    assert "is a needle run" in run("runs", "judge", needles, "--judge", "sim/judge", code=2).stderr
    run("runs", "judge", "--judge", "sim/judge", "--fresh")  # the newest placement, past both


def test_a_hosted_judge_is_named_as_its_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    with serving("sim/judge?accuracy=1") as server:
        options = ("--judge", "anthropic/judge-7", "--base-url", server.url, "--json")
        result = run("runs", "judge", "--where", "arm=before", *options)
    document = json.loads(result.stdout)
    [agreed] = [row for row in document["rows"] if row["table"] == "agreement" and row["arm"] is None]
    assert (agreed["judge"], agreed["answers"], agreed["agreement_rate"]) == ("anthropic/judge-7", 2, 1)
    assert document["meta"]["models"]["anthropic/judge-7"]["model"] == "judge-7"
    assert {row["served_model"] for row in rows("runs", "show", "--answers")} == {"judge-7"}


def test_a_report_tells_of_a_judges_run(tmp_path: Path) -> None:
    run(*JUDGE)
    page = tmp_path / "judge.html"
    run("runs", "report", "-o", str(page))
    text = page.read_text(encoding="utf-8")
    assert "as a judge, find in the answers of run" in text
    assert "Judge against score" in text
    assert "You are the judge of a text" in text  # a prompt, made again from its cell
