"""What every HTML page of ours shares: its frame, its policy, its style, its tables and how its figures are drawn.

    probes/report (runs), cli/token_page (a text and its tokens) -> page -> base.html.j2, parts.html.j2

A page is one file that needs nothing beside itself: no network, no script. What a model, a file or a server said
reaches it through Jinja's autoescape only, and its policy lets a browser load nothing and run nothing.
"""

from collections.abc import Callable
from importlib import resources
from typing import Any

from probes.pages.figures import need_matplotlib
from tokenizer.errors import UserError

SHARED = ("base.html.j2", "parts.html.j2")


def need_jinja() -> None:
    """Raise a UserError that says how to get Jinja, where there is none."""
    try:
        import jinja2  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UserError("a report needs jinja2", hint="pip install 'needlepoint[report]'") from error


def need_libraries() -> None:
    """Raise a UserError that says how to get what a page takes, where it is absent: before anything long begins."""
    need_matplotlib()
    need_jinja()


def page(package: str, template: str, *, visible: Callable[[str], str], **values: Any) -> str:
    """The page that a package's template makes of these values; it extends `base.html.j2`.

    `visible` makes control characters of a text visible; every text of the page goes through it. In a template, the
    filter `drawn` lets SVG through that `figures.py` has drawn, and nothing else may.

    Example: page("probes.report", "page.html.j2", visible=visible, runs=[])

    Raises:
        UserError: Jinja is not installed.
    """
    need_jinja()
    from jinja2 import DictLoader, Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    def drawn(svg: str) -> Any:
        return Markup(visible(svg))  # noqa: S704 - matplotlib escapes the words that it draws

    homes = {**dict.fromkeys(SHARED, "probes.pages"), template: package}
    sources = {name: resources.files(home).joinpath(name).read_text(encoding="utf-8") for name, home in homes.items()}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = drawn
    return environment.get_template(template).render(values)
