"""The report in a real browser: Chromium at the widths of a phone and a desk, light and dark, by keyboard, and hostile.

Skipped where there is no Chromium, unless REQUIRE names `browser`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cli.visible import visible
from probes.report import render
from tests.pages import DESK, PHONE, assert_fits, in_browser, seen
from tests.probes.report_helpers import NEEDLE, hostile, hostile_comparison, simulated

pytestmark = pytest.mark.browser


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    """A page about an ordinary run and one in which everything is hostile."""
    path = tmp_path / "report.html"
    path.write_text(whole_page(), encoding="utf-8")
    return path


@cache
def whole_page() -> str:
    return render([simulated(NEEDLE), hostile()], [hostile_comparison()], visible=visible, most_exchanges=10)


@in_browser
def test_nothing_scrolls_sideways_complains_loads_or_runs(chromium: Any, page_file: Path) -> None:
    with seen(chromium, page_file, PHONE) as found:
        page = found.page
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert_fits(page)
        assert page.title() == "2 runs - needlepoint report"
        assert page.evaluate("window.hostile") is None
        assert found.requests == [page_file.as_uri()]
        assert found.complaints == []


@in_browser
def test_hostile_text_is_there_to_be_read(chromium: Any, page_file: Path) -> None:
    with seen(chromium, page_file, DESK) as found:
        text = found.page.evaluate("document.querySelector('#run-2').textContent")
        assert "<script>window.hostile = 1</script>" in text
        assert "{{ 7 * 7 }}" in text
        assert "\u202e" not in text
        inside = "script, iframe, img, object, embed, link, form, input, base, [onerror], [onload], [onfocus]"
        assert found.page.evaluate(f"document.querySelectorAll({inside!r}).length") == 0


@in_browser
def test_light_and_dark_are_two_and_print_is_light(chromium: Any, page_file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('svg text')).fill"
    with seen(chromium, page_file, DESK) as found:
        light = found.page.evaluate(ground), found.page.evaluate(ink)
        found.page.emulate_media(color_scheme="dark")
        dark = found.page.evaluate(ground), found.page.evaluate(ink)
        found.page.emulate_media(media="print")
        printed = found.page.evaluate(ground), found.page.evaluate(ink)
        assert not found.page.locator("nav").first.is_visible()
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    assert printed == light


@in_browser
def test_all_of_it_can_be_reached_by_keyboard(chromium: Any, page_file: Path) -> None:
    with seen(chromium, page_file, DESK) as found:
        keys = found.page.keyboard
        keys.press("Tab")
        focused = "document.activeElement"
        assert found.page.evaluate(f"{focused}.className") == "skip"
        assert found.page.locator(".skip").bounding_box()["x"] >= 0
        keys.press("Enter")
        keys.press("Tab")
        assert found.page.evaluate(f"!!{focused}.closest('main')")  # over the links to the runs
        found.page.locator("#run-1 details.exchange summary").first.focus()
        keys.press("Shift+Tab")
        keys.press("Tab")
        assert found.page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
        assert found.page.evaluate(f"{focused}.tagName") == "SUMMARY"
        keys.press("Enter")
        assert found.page.evaluate(f"{focused}.parentElement.open")
        keys.press("Tab")
        assert found.page.evaluate(f"{focused}.tagName") == "PRE"  # long answers are scrolled by keys, too
        unreachable = found.page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(each => each.tabIndex !== 0 || !each.ariaLabel).length"
        )
        assert unreachable == 0
