"""The page about tokens in a real browser: at the widths of a phone and a desk, light, dark and printed, by keyboard.

Skipped where there is no Chromium, unless REQUIRE names `browser`.
"""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.token_page_helpers import BYTES, SMALL, cut_by, hostile_cut, page_of
from tests.pages import DESK, PHONE, assert_fits, in_browser, seen
from tests.probes.report_helpers import HOSTILE

pytestmark = pytest.mark.browser
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
AWKWARD = ["東京, \U0001f469\u200d\U0001f467 and\tزيت", "x" * 400, "def f(a):\n    return a", *HOSTILE]
MIXED = "\n".join(AWKWARD).encode("utf-8", "replace") + b"\xff\xc3"


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    """A page about a text of everything that is awkward, one in Arabic, an empty one, and hostile tokens."""
    path = tmp_path / "tokens.html"
    path.write_text(whole_page(), encoding="utf-8")
    return path


@cache
def whole_page() -> str:
    mixed, arabic = cut_by(SMALL, MIXED), cut_by(BYTES, "زيت ab")
    return page_of(mixed, arabic, cut_by(SMALL, ""), hostile_cut(), figures=True)


@in_browser
def test_nothing_scrolls_sideways_complains_loads_or_runs(chromium: Any, page_file: Path) -> None:
    with seen(chromium, page_file, PHONE) as found:
        found.page.evaluate(OPEN_ALL)
        assert_fits(found.page)
        assert found.page.evaluate("window.hostile") is None
        assert "\u202e" not in found.page.evaluate("document.body.textContent")
        inside = "script, iframe, img, object, embed, link, form, input, base, [onerror], [onload], [onfocus]"
        assert found.page.evaluate(f"document.querySelectorAll({inside!r}).length") == 0
        assert found.requests == [page_file.as_uri()]
        assert found.complaints == []


@in_browser
def test_neighbours_are_told_apart_by_colour_and_by_a_line_on_screen_and_paper(chromium: Any, page_file: Path) -> None:
    tokens = (
        "[...document.querySelectorAll('#cut-1 .token')].map(each => getComputedStyle(each))"
        ".map(style => [style.backgroundColor, style.boxShadow, style.borderInlineStartWidth])"
    )
    with seen(chromium, page_file, DESK) as found:
        for scheme in ("light", "dark"):
            found.page.emulate_media(color_scheme=scheme)
            looks = found.page.evaluate(tokens)
            assert len(looks) == len(cut_by(SMALL, MIXED).ids)
            assert all(one[0] != other[0] for one, other in pairwise(looks))
            assert all("inset" in shadow for _, shadow, _ in looks)
        found.page.emulate_media(media="print")
        assert {width for _, _, width in found.page.evaluate(tokens)} == {"1px"}
        text = "#cut-1 .tokens"
        assert found.page.evaluate(f"getComputedStyle(document.querySelector({text!r})).maxHeight") == "none"


@in_browser
def test_bytes_of_a_character_stand_in_the_order_of_reading(chromium: Any, page_file: Path) -> None:
    chips = "[...document.querySelector('#cut-2 .split').querySelectorAll('.chip')]"
    with seen(chromium, page_file, DESK) as found:
        first, second = found.page.evaluate(f"{chips}.map(each => each.getBoundingClientRect().left)")
        assert second < first  # Arabic is read from the right
        words = found.page.evaluate("document.querySelector('#cut-2 .split').textContent")
        assert words == "ز⟨D8⟩216⟨B2⟩178"


@in_browser
def test_all_of_it_can_be_reached_by_keyboard(chromium: Any, page_file: Path) -> None:
    focused = "document.activeElement"
    with seen(chromium, page_file, DESK) as found:
        keys = found.page.keyboard
        keys.press("Tab")
        assert found.page.evaluate(f"{focused}.className") == "skip"
        found.page.locator("#cut-1 nav a").last.focus()
        keys.press("Tab")
        assert found.page.evaluate(f"{focused}.className") == "tokens"  # a long text is scrolled by keys, too
        keys.press("Tab")
        assert found.page.evaluate(f"{focused}.tagName") == "SUMMARY"
        keys.press("Enter")
        assert found.page.evaluate(f"{focused}.parentElement.open")
        nameless = "each => each.tabIndex !== 0 || !each.ariaLabel"
        unreachable = f"[...document.querySelectorAll('.scroll, .tokens')].filter({nameless}).length"
        assert found.page.evaluate(unreachable) == 0


@in_browser
def test_the_words_of_the_figures_have_room(chromium: Any, page_file: Path) -> None:
    names = "a" * 140_000 + "".join(letter * 2**power for power, letter in enumerate("bcdefghijklmnop"))
    page_file.write_text(page_of(cut_by(BYTES, names), cut_by(SMALL, MIXED), figures=True), encoding="utf-8")
    words = """[...document.querySelectorAll("svg")].map(svg => [svg, ...svg.querySelectorAll("text")].map(
        each => [each.textContent.trim(), ...["left", "top", "right", "bottom"].map(
            side => each.getBoundingClientRect()[side])]))"""
    labels = ("bytes in a token", "times in the text", "most frequent different tokens", "place in the text")
    with seen(chromium, page_file, DESK) as found:
        figures = found.page.evaluate(words)
    assert len(figures) == 8
    assert any(text == "131,073-262,144" for figure in figures for text, *_ in figure)
    for (_, left, top, right, bottom), *texts in figures:
        for text, *box in texts:
            assert left <= box[0] < box[2] <= right, text
            assert top <= box[1] < box[3] <= bottom, text
        ((_, *label),) = (each for each in texts if each[0] in labels)
        for text, *box in texts:
            beside = box[2] <= label[0] or label[2] <= box[0]
            above_or_below = box[3] <= label[1] or label[3] <= box[1]
            assert box == label or beside or above_or_below, text
