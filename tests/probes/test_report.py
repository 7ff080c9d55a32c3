"""The report: what a page holds, that it is the same each time, and that nothing in it loads or runs."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.visible import visible
from probes.pages.figures import bars
from probes.pages.parts import WordTable
from probes.report import figures, render
from probes.report.data import Material
from probes.report.exchanges import excerpt, exchanges
from probes.report.pictures import pictures
from probes.report.words import findings, limits, question, reading
from probes.report.work import work_rows, work_table
from tests.pages import UNSEEN, Reader, assert_loads_and_runs_nothing, contrast, flat
from tests.probes.report_helpers import (
    HOSTILE,
    NEEDLE,
    PLACEMENT,
    POSITIONS,
    hostile,
    hostile_comparison,
    page_of,
    simulated,
    simulated_page,
)
from tokenizer.errors import UserError

# ---------------------------------------------------------------------------------------------------- what it holds


@pytest.mark.parametrize("command", [NEEDLE, POSITIONS, PLACEMENT])
def test_every_row_of_every_figure_and_table_is_on_the_page(command: str) -> None:
    material = simulated(command)
    shown = Reader(simulated_page(command)).text
    drawn = pictures(material.probe, material.rows)
    assert drawn
    for table in [*(picture.table for picture in drawn), *(table for table in material.tables if table.rows)]:
        assert flat(table.title) in shown
        for row in table.rows:
            assert flat(" ".join(row)) in flat(shown), row
        for note in table.notes:
            assert flat(note) in shown


def test_a_needle_run_shows_the_rates_that_its_rows_hold() -> None:
    material = simulated(NEEDLE)
    shown = Reader(simulated_page(NEEDLE)).text
    rows = [row for row in material.rows["retrieval"] if row["depth"] is not None]
    assert len(rows) == 6
    for row in rows:
        cell = f"{100 * row['rate']:.0f}% [{100 * row['low']:.0f}-{100 * row['high']:.0f}], n {row['n']}"
        assert cell in shown


def test_a_placement_run_has_a_curve_for_each_contrast_and_a_forest_for_each_outcome() -> None:
    material = simulated(PLACEMENT)
    margins = [{**row, "outcome": "margin_nats"} for row in material.rows["contrast"]]
    held = [{**row, "margin_nats": 1.0, "margin_low": 0.5, "margin_high": 1.5} for row in material.rows["decile"]]
    drawn = pictures("placement", {**material.rows, "contrast": margins, "decile": held})
    titles = [picture.title for picture in drawn]
    pairs = {(row["arm"], row["control"]) for row in material.rows["contrast"] if " " not in row["arm"]}
    assert pairs == {("before", "padded-before"), ("after", "before")}
    for kind in ("Coverage", "Margin"):
        assert sum(title.startswith(f"{kind} by tenth") for title in titles) == 2 * len(pairs)  # at two lengths
    assert any(title.startswith("Differences, margin") for title in titles)
    assert any(title.startswith("How differences change with the length, coverage") for title in titles)
    declared = [each.title for each in drawn if not each.exploratory]
    assert declared
    assert all("margin" in title or "coverage" in title for title in declared)


def test_several_runs_stand_on_one_page_each_with_its_question() -> None:
    materials = [simulated(NEEDLE), replace(simulated(PLACEMENT), rows={"cost": []})]
    reader = Reader(page_of(*materials))
    for material in materials:
        assert flat(question(material)) in reader.text
        assert material.id in reader.text
    assert reader.elements["h2"] == 2
    assert reader.elements["h1"] == reader.elements["main"] == 1


def test_what_is_not_there_has_no_heading() -> None:
    bare = replace(simulated(NEEDLE), rows={"cost": []}, tables=[], results=[], prompts={})
    reader = Reader(page_of(bare))
    assert "Figures" not in reader.text
    assert "Prompts and answers" not in reader.text
    assert reader.elements["table"] == reader.elements["svg"] == 0
    unknown = replace(bare, rows={"cost": [], "of_a_later_version": [{"what": 1}]})
    assert page_of(unknown) == page_of(bare)


def test_the_same_runs_give_the_same_bytes() -> None:
    material = simulated(NEEDLE)
    assert page_of(material) == simulated_page(NEEDLE)
    svg = bars([("a", 1.0, "1 s"), ("b", 2.0, "2 s")], unit="seconds")
    assert svg == bars([("a", 1.0, "1 s"), ("b", 2.0, "2 s")], unit="seconds")


def test_headings_go_down_by_one_and_figures_and_tables_are_named() -> None:
    reader = Reader(simulated_page(NEEDLE))
    levels = [int(level) for level in re.findall(r"<h(\d)", simulated_page(NEEDLE))]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    roles = Counter(value for _, name, value in reader.attributes if name == "role")
    assert roles["img"] == reader.elements["figure"] == reader.elements["svg"]
    assert reader.elements["caption"] == reader.elements["table"] == roles["region"]
    scopes = Counter(value for tag, name, value in reader.attributes if (tag, name) == ("th", "scope"))
    assert scopes.total() == reader.elements["th"]
    labels = [value for _, name, value in reader.attributes if name == "aria-label"]
    assert all(labels)


# ------------------------------------------------------------------------------------------- nothing loads or runs


@pytest.mark.parametrize(
    "make",
    [
        lambda: simulated_page(NEEDLE),
        lambda: simulated_page(PLACEMENT),
        lambda: render([hostile()], [hostile_comparison()], visible=visible),
    ],
)
def test_a_page_loads_nothing_and_runs_nothing(make: Callable[[], str]) -> None:
    page = make()
    assert_loads_and_runs_nothing(page)


def test_hostile_text_is_shown_as_the_text_it_is() -> None:
    page = page_of(hostile(), most_exchanges=20)
    assert not UNSEEN.search(page)
    page.encode("utf-8")
    shown = flat(Reader(page).text.replace(" ", ""))
    for text in HOSTILE:
        if not UNSEEN.search(text):
            assert shown.count(text.replace(" ", "")) >= 2, text  # prompt and answer at the least
    assert "{{7*7}}" in shown
    assert "␛[2J␀" in shown
    assert len(page) < 800_000  # 100 kB lines lose their middle


# -------------------------------------------------------------------------------------------- prompts and answers


@given(st.text(max_size=4000), st.sampled_from(["x", "4711", "", "ab"]), st.integers(100, 2000))
def test_an_excerpt_and_what_it_left_out_are_the_whole(text: str, value: str, most: int) -> None:
    pieces = excerpt(text, [value], most=most)
    rest, left_out = text, 0
    for piece in pieces:
        if piece.kind == "gap":
            gone = int(piece.text.split()[0].replace(",", ""))
            rest, left_out = rest[gone:], left_out + gone
        else:
            assert rest.startswith(piece.text)
            rest = rest[len(piece.text) :]
    assert rest == ""
    assert len(text) > most or not left_out


def test_a_planted_value_is_marked_and_never_left_out() -> None:
    text = "a b " * 5_000 + "The code is 4711. " + "c d " * 5_000
    pieces = excerpt(text, ["4711"])
    assert [piece.text for piece in pieces if piece.kind == "mark"] == ["4711"]
    assert sum(len(piece.text) for piece in pieces if piece.kind != "gap") < 4_000
    assert [piece.kind for piece in pieces if piece.kind == "gap"] == ["gap", "gap"]


def test_exchanges_are_one_of_each_kind_first_and_say_what_is_left_out() -> None:
    material = simulated(NEEDLE)
    shown, left_out = exchanges(material, 12)
    assert len(shown) == 12
    assert f"12 of {len(material.results)} are shown" in left_out
    assert f"needlepoint runs show {material.id} --prompts --answers" in left_out
    everything, nothing_left = exchanges(material, 10_000)
    assert len(everything) == len(material.results)
    assert nothing_left == ""
    assert exchanges(material, 0)[0] == []
    prompts = {message.content for messages in material.prompts.values() for message in messages}
    whole = "".join(piece.text for _, pieces in everything[0].messages for piece in pieces)
    assert whole in prompts  # short enough to be whole


# ------------------------------------------------------------------------------------------------- words and work


def test_limits_are_chosen_by_the_figures() -> None:
    material = simulated(NEEDLE)
    said = " ".join(limits(material))
    assert "6 texts of each length show large differences only" in said
    assert "sim/u-shape is a simulated reader" in said
    assert "trials" not in said
    few = " ".join(limits(replace(material, spec={**material.spec, "blocks": 3})))
    assert "3 texts of each length cannot tell a difference from chance: it takes 6 at least" in few
    results = [replace(each, completion=None, error_kind="transient") for each in material.results[:3]]
    results += [replace(material.results[3], completion=None), *material.results[4:]]
    assert "3 failed and 1 was not asked yet" in " ".join(limits(replace(material, results=results)))
    cut = [replace(each, completion=replace(each.completion, stop_reason="max_tokens")) for each in material.results]
    assert "were cut at the token limit" in " ".join(limits(replace(material, results=cut)))
    real = replace(material, identities={"openai/x": {}}, spec={**material.spec, "blocks": 50, "samples": 2})
    assert "simulated" not in " ".join(limits(real))
    assert "large differences only" not in " ".join(limits(real))


def test_what_the_answers_took_is_counted_from_them() -> None:
    material = simulated(POSITIONS)
    results = [
        replace(each, completion=replace(each.completion, latency_s=float(number)), cost_nano_usd=price)
        for number, (each, price) in enumerate(
            zip(material.results, [2_000_000_000, 1_000_000_000, None] + [None] * 100, strict=False)
        )
    ]
    (row,) = work_rows(results)
    assert row["latency_s"] == (len(results) - 1) / 2
    assert row["cost_usd"] == 1.5
    assert row["unpriced"] == len(results) - 2
    assert row["answers"] == len(results)
    table = work_table([row])
    assert table is not None
    assert "without a price" in table.headings
    assert work_table([]) is None


def test_every_table_says_what_its_figures_are() -> None:
    for command in (NEEDLE, POSITIONS, PLACEMENT):
        for table in simulated(command).tables:
            words = f"{reading(table)} {' '.join(table.notes)}".lower()
            assert re.search(r"\bn\b|blocks|texts|answers", words), table.title
            assert re.search(r"test|holm|p-value", words), table.title
    assert reading(WordTable("t", ("a", "p"), [("x", "0.1")])).endswith("p: two-sided test over texts, see the method.")


# ------------------------------------------------------------------------------------------------------- figures


def test_cells_of_few_texts_are_grey_and_all_have_their_figures() -> None:
    cells = [[figures.Cell(0.9, 0.6, 1.0, 10), figures.Cell(0.9, 0.2, 1.0, 4), figures.Cell(None, None, None, 0)]]
    svg = figures.heat_map(["0%"], ["100", "200", "300"], cells, axes=("depth", "tokens"))
    for words in ("60-100, n 10", "20-100, n 4", "none", "0%", "300", "depth", "tokens"):
        assert f">{words}</text>" in svg
    assert svg.count("fill: var(--line)") == 2
    assert svg.count("stroke-dasharray") == 2


@pytest.mark.parametrize(
    ("low", "high", "p", "is_clear"), [(5, 20, 0.01, True), (-5, 20, 0.01, False), (5, 20, 0.2, False)]
)
def test_only_a_clear_difference_is_filled(low: float, high: float, p: float, is_clear: bool) -> None:
    row = {"model": "m", "task": "single", "factor": "place", "level": "before", "base": "after", "declared": True}
    row |= {"difference": 0.1, "low": low / 100, "high": high / 100, "p_value": p, "p_holm": p, "blocks": 20}
    (picture,) = pictures("needle", {"contrast": [row]})
    assert ("1 of 1 differences are clear" in picture.alt) == is_clear
    assert picture.table.rows == [("before less after", "+10.00", f"{low:+.2f} to {high:+.2f}", f"{p:.3f}", "20")]
    assert not picture.exploratory
    assert ("fill-opacity: 0;" in picture.svg) != is_clear


def test_labels_are_text_and_no_mathematics() -> None:
    svg = bars([("a$x^2$b <i>", 1.0, "1")], unit="seconds")
    assert ">a$x^2$b &lt;i&gt;</text>" in svg
    assert "http" not in svg
    assert "<style" not in svg


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(scheme: int) -> None:
    style = page_of(replace(simulated(NEEDLE), rows={"cost": []}, tables=[], results=[], prompts={}))
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", style.split("prefers-color-scheme: dark")[scheme]))
    least = {"ink": 7, "soft": 4.5, "link": 4.5, "focus": 3} | {f"series-{number}": 3 for number in range(1, 7)}
    for name, ratio in least.items():
        for ground in ("page", "raised"):
            assert contrast(colours[name], colours[ground]) >= ratio, (name, ground)


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_an_absent_library_is_named_with_the_extra_that_brings_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    material: Material = simulated(NEEDLE)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=f"needs {library}") as caught:
        page_of(material)
    assert caught.value.hint == "pip install 'needlepoint[report]'"


def test_coverage_that_cannot_be_measured_is_said_to_be_so() -> None:
    material = simulated(PLACEMENT)
    rows = {**material.rows, "arm": [{**row, "measurable": False} for row in material.rows["arm"]]}
    rows["contrast"] = [{**row, "measurable": False} for row in material.rows["contrast"]]
    drawn = pictures("placement", rows)
    assert all("Not measurable on this model" in each.reading for each in drawn if each.title.startswith("Coverage"))
    assert not [each for each in drawn if each.title.startswith("Differences")]
    assert "Coverage is not measurable here" in " ".join(limits(replace(material, rows=rows)))
    assert "measurable" not in " ".join(limits(material))


def test_a_run_of_a_probe_of_later_makes_a_page_all_the_same() -> None:
    later = replace(simulated(NEEDLE), probe="of-later", rows={"of_later": [{"what": 1}]}, spec={"probe": "of-later"})
    page = page_of(later)
    assert "What did sim/u-shape answer in a run of the probe of-later?" in Reader(page).text
    assert page.count('<details class="exchange">') == 12


def test_clear_findings_are_kept_first_and_stand_under_their_table() -> None:
    unclear = [f"Number {number}: no clear difference." for number in range(20)]
    tables = [
        WordTable("Margin: short", ("contrast", "p"), [("a", "1")], [*unclear[:10], "Clear one.", "n: 3 blocks."]),
        WordTable("Exploratory: short", ("contrast", "p"), [("a", "1")], ["Not declared."]),
        WordTable("Margin: long", ("contrast", "p"), [("a", "1")], [*unclear[10:], "Clear two."]),
    ]
    found, left_out = findings(tables)
    assert [title for title, _ in found] == ["Margin: short", "Margin: long"]
    assert left_out == 22 - 12  # 20 unclear sentences and two clear ones, of which twelve are shown
    assert dict(found) == {"Margin: short": [*unclear[:10], "Clear one."], "Margin: long": ["Clear two."]}


def test_rows_of_a_file_are_said_to_be_so() -> None:
    material = replace(simulated(NEEDLE), read_from="kept.jsonl", left_out=3)
    said = " ".join(limits(material))
    assert "Read from exported rows in kept.jsonl, which hold no prompts" in said
    assert "3 trials of the plan are not in that file" in said
    assert "kept.jsonl, rows as `needlepoint runs export` writes them" in Reader(page_of(material)).text
    assert "exported" not in " ".join(limits(simulated(NEEDLE)))
