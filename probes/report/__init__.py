"""One HTML page about one or several runs, which needs nothing beside itself: no network, no script, no other file.

    needlepoint runs report -> cli/report_command.py (the rows) -> render -> pictures, words, exchanges -> page.html.j2
                                   cli/report_comparison.py (models side by side) -> comparison_pictures ->

The frame of the page, its policy and its style are those of every page of ours: probes/pages/.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from probes.pages import need_libraries, page
from probes.pages.parts import WordTable as WordTable
from probes.report import words
from probes.report.comparison_pictures import comparison_pictures
from probes.report.data import ComparisonView, Row, RunView
from probes.report.data import Material as Material
from probes.report.data import SideBySide as SideBySide
from probes.report.exchanges import exchanges
from probes.report.pictures import pictures
from probes.report.work import work_rows, work_table

EXCHANGES = 12


def render(
    materials: Sequence[Material],
    compared: Sequence[SideBySide] = (),
    *,
    visible: Callable[[str], str],
    most_exchanges: int = EXCHANGES,
) -> str:
    """The page about these runs, and their models side by side: the same runs give the same bytes.

    `visible` makes control characters of a text visible; every text of the page goes through it.

    Raises:
        UserError: Jinja or matplotlib is not installed.
    """
    need_libraries()
    comparisons = [comparison_view(each, visible) for each in compared]
    views = [view(material, visible, most_exchanges) for material in materials]
    return page("probes.report", "page.html.j2", visible=visible, runs=views, comparisons=comparisons)


def comparison_view(found: SideBySide, visible: Callable[[str], str]) -> ComparisonView:
    """What the page shows of models side by side."""
    filled = [table for table in found.tables if table.rows]
    findings, left_out = words.findings(filled)
    rows = _visible_rows({"difference": found.differences, "cost": found.costs}, visible)
    letters = {letter: visible(name) for letter, name in found.letters.items()}
    return ComparisonView(
        title=f"{found.probe.capitalize()} {'run' if len(found.runs) == 1 else 'runs'} {', '.join(found.runs)}",
        question=words.comparison_question(found),
        refused=found.refused,
        grounds=[words.compared_runs(found), *(filled[0].notes if filled else ())],
        findings=findings,
        findings_left_out=left_out,
        pictures=comparison_pictures(letters, rows["difference"], rows["cost"], found.outcomes),
        tables=[
            (
                replace(table, notes=()) if table is filled[0] else table,
                words.reading(table),
                words.is_exploratory(table),
            )
            for table in filled
        ],
    )


def view(material: Material, visible: Callable[[str], str], most_exchanges: int = EXCHANGES) -> RunView:
    """What the page shows of a run; the words of its figures go through `visible` before they are drawn."""
    if "cost" not in material.rows:
        rows = work_rows(material.results)
        table = work_table(rows)
        added = [table] if table else []
        material = replace(material, rows={**material.rows, "cost": rows}, tables=[*material.tables, *added])
    shown, left_out = exchanges(material, most_exchanges)
    filled = [table for table in material.tables if table.rows]
    findings, more = words.findings(filled)
    return RunView(
        id=material.id,
        title=f"{material.probe.capitalize()} run {material.id}",
        question=words.question(material),
        findings=findings,
        findings_left_out=more,
        method=words.method(material),
        plan=words.declared_plan(material),
        pictures=pictures(material.probe, _visible_rows(material.rows, visible)),
        tables=[(table, words.reading(table), words.is_exploratory(table)) for table in filled],
        exchanges=shown,
        exchanges_left_out=left_out,
        limits=words.limits(material),
        origins=words.origins(material),
    )


def _visible_rows(
    tables: Mapping[str, Sequence[Row]], visible: Callable[[str], str]
) -> dict[str, list[dict[str, object]]]:
    """The rows with every text in them made visible."""
    return {
        name: [{key: visible(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows]
        for name, rows in tables.items()
    }
