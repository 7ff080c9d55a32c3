"""The study's table of predictions, on simulated readers with planted effects, and where there is nothing to tell."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import needlepoint
from tests import study_predictions
from tests.study import keep_rows
from tests.study_predictions import PREDICTIONS, finding_and_combining, place_and_length, predictions

STUDY = Path(__file__).resolve().parent.parent / "samples" / "study"
NEARER = "sim/distance-only?near=1&half=1500"  # noticed less, the farther from what is asked
# Each part with its reader, and what of its file is made small; the rest is the study's own.
PARTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ends-by-lift": ("sim/u-shape?edge=1&middle=0.1", {"lengths": "[150]", "measure": '["answer"]', "blocks": "8"}),
    "effective-single": (NEARER, {"lengths": "[150, 1200]", "blocks": "8", "controls": "[]"}),
    "single": ("sim/even?rate=0.9", {"lengths": "[150]", "blocks": "8"}),
    "chain": ("sim/even?rate=0.2", {"lengths": "[150]", "blocks": "8"}),
    "headings": ("sim/even?rate=0.7", {"lengths": "[200]", "blocks": "8", "controls": "[]"}),
    "placement-kinds-chat": ("sim/distance-only?near=0.95&half=500", {"lengths": "[160]", "blocks": "7"}),
    "placement-kinds-transcript": ("sim/even?rate=0.5", {"lengths": "[160]", "blocks": "7"}),
    "placement-arms": (
        NEARER,
        {
            "lengths": "[120, 960]",
            "measure": '["coverage"]',
            "place": '["none", "before", "after", "bookend"]',
            "blocks": "24",
        },
    ),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of every part that the predictions need, run as the study runs them."""
    place = tmp_path_factory.mktemp("predictions")
    for name, (reader, changes) in PARTS.items():
        text = (STUDY / f"{name}.toml").read_text(encoding="utf-8")
        for key, value in changes.items():
            text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
            text += "" if found else f"{key} = {value}\n"
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
        store = ["-d", str(place / "runs.db")]
        for command in (
            ["probe", "run", str(place / f"{name}.toml"), "-m", reader, *store, "-o", str(place / "tables.json")],
            ["runs", "export", "latest", *store, "-o", str(place / f"{name}.jsonl")],
        ):
            done = CliRunner().invoke(needlepoint, command)
            assert done.exit_code == 0, done.output
        keep_rows(place / f"{name}.jsonl", place / f"{name}.jsonl.gz")
    return place


def test_what_was_planted_is_what_is_said_of_each_prediction(rows: Path) -> None:
    lines = {line[0]: line[1:] for line in list(predictions(rows))[1:]}
    assert list(lines) == [each.said for each in PREDICTIONS]
    verdicts = {each.read: lines[each.said][0] for each in PREDICTIONS}
    assert list(verdicts.values()) == [
        "not told apart",  # both ends are as near to a question that moves from one to the other
        "not told apart",  # both ends of the text are noticed alike
        "as predicted",  # and more than its middle
        "as predicted",  # half is gone after so many characters
        "not measurable on this model",  # a chain needs every link, of which one in five is noticed
        "not told apart",  # the reader does not care for headings
        "in part",  # what is near the end is noticed more in the own turns; what kind it is is nothing to the reader
        "as predicted",  # two ends are nearer, the more so the longer the text is
    ]
    _, figures, blocks, part = lines["The middle is worse"]
    assert re.fullmatch(
        r"ends less middle, given for its question, points: \+\d+ \[\+\d+, \+\d+\], p = 0\.0\d\d", figures
    )
    assert (blocks, part) == ("8", "ends-by-lift")
    assert "recent +" in lines[PREDICTIONS[6].said][1]


@pytest.mark.parametrize(
    ("chain", "single", "verdict", "figures"),
    [
        ((1.0, 0.0), (1.0, 1.0), "as predicted", r".*, points: \+100 \[\+\d+, \+\d+\], p < 0\.001"),
        ((0.5, 0.5), (1.0, 0.0), "the opposite", r".*, points: -100 \[-\d+, -\d+\], p < 0\.001"),
        ((0.25, 0.0), (1.0, 1.0), "not measurable on this model", r"3 of 12 chains right in a few sentences"),
    ],
)
def test_combining_falls_more_where_it_can_fall(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chain: Any, single: Any, verdict: str, figures: str
) -> None:
    """Right in a few sentences and in the long text, the same in each of twelve blocks."""
    shares = {"chain": chain, "single": single}
    monkeypatch.setattr(
        study_predictions, "_right", lambda _rows, part: [dict.fromkeys(range(12), share) for share in shares[part]]
    )
    answer = finding_and_combining(tmp_path)
    assert answer.verdict == verdict
    assert re.fullmatch(figures, answer.figures)


def difference(length: int | None, value: float, p_holm: float, **more: Any) -> dict[str, Any]:
    row = {"outcome": "coverage_rate", "arm": "after", "control": "before", "measurable": True, "p_holm": p_holm}
    key = "per_doubling" if length is None else "difference"
    row |= {key: value, "low": value - 0.05, "high": value + 0.05, "blocks": 20}
    return row | ({} if length is None else {"length_tokens": length}) | more


@pytest.mark.parametrize(
    ("short", "long", "slope", "verdict"),
    [
        ((0.01, 0.9), (0.3, 0.001), (0.15, 0.001), "as predicted"),
        ((0.1, 0.01), (0.3, 0.001), (0.1, 0.001), "in part"),
        ((0.3, 0.001), (0.01, 0.9), (-0.15, 0.001), "the opposite"),
        ((0.01, 0.9), (0.3, 0.001), (0.04, 0.3), "not told apart"),
    ],
)
def test_long_prompts_care_more_only_where_the_difference_grows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short: Any, long: Any, slope: Any, verdict: str
) -> None:
    found = {
        "contrast": [difference(400, *short), difference(1600, *long)],
        "length_interaction": [difference(None, *slope)],
    }
    monkeypatch.setattr(study_predictions, "findings", lambda _rows, _part: found)
    answer = place_and_length(tmp_path)
    assert (answer.verdict, answer.blocks) == (verdict, 20)
    assert "400 tokens" in answer.figures
    assert "points" in answer.figures
    for rows in list(found.values()):
        rows += [row | {"outcome": "margin_nats", "p_holm": 0.9} for row in rows]
    answer = place_and_length(tmp_path)
    assert (answer.verdict, "nats" in answer.figures) == ("not told apart", True), "the margin is primary"


def test_what_has_not_been_measured_is_said(tmp_path: Path) -> None:
    lines = list(predictions(tmp_path))[1:]
    assert [line[1] for line in lines] == ["not measured yet"] * 8
    assert all(line[4] for line in lines)
