"""Models side by side on the page of `runs report`: the figures of `runs compare`, and why there are none."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

from click.testing import CliRunner, Result

from cli.main import needlepoint
from cli.report_comparison import side_by_side
from cli.visible import visible
from probes.comparison.contenders import asked_alike
from probes.report import SideBySide, comparison_view, render
from tests.probes.comparison_helpers import plan, run, some
from tests.probes.report_helpers import HOSTILE

NEEDLE = ("probe", "needle", "--task", "single", "-n", "6", "--depths", "0,50,100", "--no-controls")
READERS = ("sim/perfect", "sim/u-shape?edge=0.9&middle=0.1")


def invoke(*arguments: object) -> Result:
    done = CliRunner().invoke(needlepoint, [str(each) for each in arguments])
    assert done.exit_code == 0, done.stderr
    return done


class Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Text(page).words))


def page_of(*compared: SideBySide) -> str:
    return render([], compared, visible=visible)


def test_the_page_shows_what_runs_compare_prints(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    named = [part for model in READERS for part in ("-m", model)]
    invoke(*NEEDLE, *named, "--lengths", "150", "-o", tmp_path / "rows.json", "--report", page)
    rows = json.loads(invoke("runs", "compare", "--json").stdout)["rows"]
    shown = text_of(page.read_text(encoding="utf-8"))
    differences = [row for row in rows if row["table"] == "difference"]
    assert len(differences) == 5  # overall, at three depths, and the ends less the middle
    for row in differences:
        low, high = (f"{100 * row[end]:+.2f}" for end in ("low", "high"))
        assert f"{100 * row['difference']:+.2f} {low} to {high}" in shown
    assert "Do sim/perfect and sim/u-shape?edge=0.9&middle=0.1 differ in right answers" in shown
    assert "Compared on 18 trials of 6 blocks, the same bytes for both." in shown
    assert "the declared comparison n: 6 texts." in shown
    assert "p (Holm)" in shown
    assert "p (BH)" in shown
    assert shown.count("Needle run ") >= 2  # the run itself stands under its comparison
    assert invoke("runs", "report", "latest").stdout == page.read_text(encoding="utf-8")


def test_a_difference_that_is_none_is_said_to_be_none() -> None:
    (found,) = side_by_side([run(plan(blocks=8), "sim/perfect", "sim/perfect?seed=2")])
    view = comparison_view(found, visible)
    [(_, sentences)] = view.findings
    assert sentences[0].startswith("sim/perfect and sim/perfect?seed=2: not told apart in right answers")
    assert "0 of 1 differences are clear" in view.pictures[0].alt
    assert not view.pictures[0].exploratory
    assert all(picture.exploratory for picture in view.pictures[1:])


def test_only_runs_that_share_a_trial_are_compared() -> None:
    short, long = plan(blocks=3), plan(blocks=3, lengths=[250])
    one = run(short, "sim/perfect", id="one")
    other = run(short, "sim/guesser", id="other")
    apart = run(long, "sim/perfect", "sim/guesser", id="apart")
    assert [[each.id for each in group] for group in asked_alike([one, apart, other])] == [["one", "other"], ["apart"]]
    found = side_by_side([one, apart, other])
    assert [list(each.runs) for each in found] == [["one", "other"], ["apart"]]
    assert not any(each.refused for each in found)
    assert side_by_side([one, run(long, "sim/perfect", id="longer")]) == []  # one model, nobody to compare it with


def test_models_that_were_asked_nothing_alike_are_said_to_be_so() -> None:
    first = run(plan(blocks=3), "sim/perfect", id="first")
    second = run(plan(blocks=3, lengths=[250]), "sim/guesser", id="second")
    (found,) = side_by_side([first, second])
    assert "sim/perfect (run first); sim/guesser (run second)" in found.refused
    shown = text_of(page_of(found))
    assert "not one question is the same" in shown
    assert "Figures" not in shown
    chain = [
        some(run(plan(blocks=3), name, id=name), lambda trial, keep=keep: trial.block in keep)
        for name, keep in (("sim/perfect", (0, 1)), ("sim/guesser", (1, 2)), ("sim/refuser", (2,)))
    ]
    (refused,) = side_by_side(chain)  # each shares something with its neighbour, and nothing is common to all
    assert refused.refused.startswith("nothing was asked of all contenders alike")


def test_costs_are_drawn_where_they_are_known_and_not_all_nothing() -> None:
    slow, quick = (run(plan(blocks=8), name, id=name, latency_s=s) for name, s in zip(READERS, (2.0, 0.5), strict=True))
    view = comparison_view(side_by_side([slow, quick])[0], visible)
    (seconds,) = [picture for picture in view.pictures if picture.title.startswith("Seconds for an answer")]
    assert seconds.table.rows == [(f"A: {READERS[0]}", "2 s"), (f"B: {READERS[1]}", "0.5 s")]
    assert not [picture for picture in view.pictures if "first token" in picture.title]


def test_a_comparison_of_hostile_names_is_text() -> None:
    known = run(plan(blocks=3), *READERS)
    names = dict(zip(READERS, HOSTILE[:2], strict=True))
    trials = [replace(each, result=replace(each.result, model=names[each.result.model])) for each in known.trials]
    page = page_of(*side_by_side([replace(known, id=HOSTILE[4], trials=tuple(trials))]))
    assert "<script" not in page
    assert "onerror=" not in re.sub(r">[^<]*<", "><", re.sub(r'"[^"]*"', '""', page))
    assert "\x1b" not in page
    assert visible(HOSTILE[0]) in text_of(page)


def test_many_pairs_are_drawn_together_and_not_in_detail() -> None:
    models = [f"sim/u-shape?seed={number}" for number in range(4)]
    view = comparison_view(side_by_side([run(plan(blocks=2), *models)])[0], visible)
    assert [row[0] for row in view.pictures[0].table.rows] == [f"{a} less {b}" for a, b in combinations("ABCD", 2)]
    assert not [picture for picture in view.pictures if "in detail" in picture.title]
