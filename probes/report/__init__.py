"""One HTML page about one or several runs, which needs nothing beside itself: no network, no script, no other file.

    needlepoint runs report -> cli/report_command.py (the rows) -> render -> pictures, words, exchanges -> page.html.j2

What a model, a file or a server said reaches the page through Jinja's autoescape only; the page's own policy lets a
browser load nothing and run nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

from probes.report import words
from probes.report.data import Material as Material
from probes.report.data import Row, RunView
from probes.report.data import WordTable as WordTable
from probes.report.exchanges import exchanges
from probes.report.figures import need_matplotlib
from probes.report.pictures import pictures
from probes.report.work import work_rows, work_table
from tokenizer.errors import UserError

EXCHANGES = 12


def render(materials: Sequence[Material], *, visible: Callable[[str], str], most_exchanges: int = EXCHANGES) -> str:
    """The page about these runs: the same runs give the same bytes.

    `visible` makes control characters of a text visible; every text of the page goes through it.

    Raises:
        UserError: Jinja or matplotlib is not installed.
    """
    need_matplotlib()
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise UserError("a report needs jinja2", hint="pip install 'needlepoint[report]'") from error

    def shown(value: Any) -> Any:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True, finalize=shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("probes.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    views = [view(material, visible, most_exchanges) for material in materials]
    drawn = {picture.svg: Markup(visible(picture.svg)) for each in views for picture in each.pictures}  # noqa: S704 - figures.py escapes what it draws
    return environment.from_string(source).render(runs=views, drawn=drawn)


def view(material: Material, visible: Callable[[str], str], most_exchanges: int = EXCHANGES) -> RunView:
    """What the page shows of a run; the words of its figures go through `visible` before they are drawn."""
    if "cost" not in material.rows:
        rows = work_rows(material.results)
        table = work_table(rows)
        added = [table] if table else []
        material = replace(material, rows={**material.rows, "cost": rows}, tables=[*material.tables, *added])
    shown, left_out = exchanges(material, most_exchanges)
    filled = [table for table in material.tables if table.rows]
    return RunView(
        id=material.id,
        title=f"{material.probe.capitalize()} run {material.id}",
        question=words.question(material),
        findings=words.findings(filled),
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
