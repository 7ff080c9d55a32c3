"""Runs to make reports of: simulated ones kept in a store, and one in which everything that is said is hostile."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cli.main import needlepoint
from cli.read_runs import kept_run
from cli.report_materials import material_of
from cli.visible import visible
from probes.models.base import Completion, Message, Request, Usage
from probes.plan import PlannedTrial, Result
from probes.report import Material, SideBySide, WordTable, render
from probes.store import Store

NEEDLE = "probe needle -m sim/u-shape --task single -n 6 --lengths 150,300 --depths 0,50,100"
POSITIONS = "probe needle -m sim/u-shape -n 4 --lengths 150 --no-controls"
PLACEMENT = (
    "probe placement -m sim/recency -n 8 --lengths 300,400 --measure coverage --place before --place padded-before"
    " --place after"
)
# Everything that a model, a file or a server could say to get out of its place on the page.
HOSTILE = (
    "<script>window.hostile = 1</script>",
    "<img src=x onerror='window.hostile = 1'><svg onload=\"window.hostile = 1\"></svg>",
    "</pre></details></svg></style></title><script src='http://127.0.0.1:9/x.js'></script>",
    "{{ 7 * 7 }}{% for a in b %}{{ cycler.__init__.__globals__ }}",
    "\x1b[2J\x00\x07\x9b31m \u202e gnp.exe \u2066 \ufeff \ud800",
    "<a href='javascript:window.hostile=1' autofocus onfocus='window.hostile=1'>x</a><!--",
    '"><iframe src="https://example.org/"></iframe><meta http-equiv=refresh content="0;url=https://example.org/">',
    "$x^2$ & &lt;b&gt; var(--ink) url(https://example.org/x.png)",
)


@cache
def simulated(command: str) -> Material:
    """What a simulated run has found, kept in a store and read again."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "runs.db"
        done = CliRunner().invoke(needlepoint, [*command.split(), "-d", str(path), "--jsonl"])
        assert done.exit_code == 0, done.stderr
        with Store.open(path) as store:
            return material_of(kept_run(store, store.find_run("latest")))


@cache
def simulated_page(command: str) -> str:
    """The page of a simulated run."""
    return page_of(simulated(command))


def page_of(*materials: Material, **options: Any) -> str:
    return render(materials, visible=visible, **options)


def hostile() -> Material:
    """A run in which model, prompt, answer, error, plan, tables and figures all speak hostile text."""
    long_line = "a <b>bold</b> line " * 6_000  # over 100 kB
    answers = [*HOSTILE, long_line]
    cell = {
        "values": ["4711"],
        "asked": 0,
        "depth": 0.0,
        "length_tokens": 100,
        "name": HOSTILE[0],
        "layout": HOSTILE[2],
    }
    results = [
        Result(
            model=HOSTILE[1],
            trial_id=f"t{number}",
            trial=PlannedTrial(number, Request((), max_tokens=8), cell | {"depth": number / 10}),
            completion=Completion(text, "stop", Usage(10, 5), 0.5, None, HOSTILE[2]),
        )
        for number, text in enumerate(answers)
    ]
    failed = replace(results[0], trial_id="failed", completion=None, error_kind="transient", error_text=HOSTILE[6])
    rows = [
        {"model": HOSTILE[2], "task": HOSTILE[5], "length_tokens": length, "place": HOSTILE[7], "depth": depth}
        | {"rate": 0.5, "low": 0.2, "high": 0.8, "n": 9}
        for length in (100, 200)
        for depth in (0.0, 1.0)
    ]
    contrast = {"model": HOSTILE[2], "task": HOSTILE[0], "factor": HOSTILE[3], "level": HOSTILE[7], "base": HOSTILE[4]}
    contrast |= {"difference": 0.1, "low": -0.1, "high": 0.3, "p_holm": 0.4, "p_value": 0.2, "blocks": 9}
    return Material(
        id=HOSTILE[0],
        probe="needle",
        spec={"seed": 1, "blocks": 9, "lengths": [100, 200], "task": HOSTILE[0], "haystack": list(HOSTILE)},
        created_utc="2026-01-01T00:00:00Z",
        code_version=HOSTILE[1],
        identities={HOSTILE[1]: {"url": HOSTILE[6]}},
        results=[*results, failed],
        rows={"retrieval": rows, "contrast": [contrast | {"declared": False}]},
        tables=[WordTable(HOSTILE[0], ("depth", HOSTILE[1]), [(HOSTILE[2], HOSTILE[3])], HOSTILE)],
        prompts={f"t{number}": [Message("user", text)] for number, text in enumerate(answers)},
    )


def hostile_comparison() -> SideBySide:
    """Models with hostile names side by side, compared by hostile outcomes."""
    letters = {"A": HOSTILE[0], "B": HOSTILE[1]}
    row = {"pair": "A less B", "where": "", "factor": None, "outcome": "right_rate", "declared": True, "tests": 1}
    row |= {"difference": 0.1, "low": -0.1, "high": 0.3, "p_corrected": 0.4, "correction": "Holm", "blocks": 9}
    detail = row | {"where": HOSTILE[2], "factor": HOSTILE[3], "declared": False, "test": HOSTILE[6]}
    cost = {"figure": "latency_s", "low": None, "high": None, "blocks": 9}
    return SideBySide(
        "needle",
        [HOSTILE[5], HOSTILE[6]],
        letters=letters,
        differences=[row, detail],
        costs=[cost | {"contender": name, "median": 1.0 + number} for number, name in enumerate(letters.values())],
        outcomes={"right_rate": HOSTILE[4]},
        tables=[WordTable(HOSTILE[0], ("pair", "p (Holm)"), [(HOSTILE[2], HOSTILE[3])], HOSTILE)],
    )
