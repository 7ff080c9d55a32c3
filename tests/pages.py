"""What every HTML page of ours is held to, read as a file and seen in a browser."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

PHONE, DESK = 360, 1280
Browser = Callable[[Callable[[Any], None]], None]  # the fixture `chromium`
ELEMENTS = set(
    "html head meta title style body a header h1 nav ul li main section p h2 h3 h4 dl dt dd details summary div "
    "figure figcaption span table caption thead tbody tr th td pre mark sub wbr footer code svg g path defs use "
    "text clippath rect".split()
)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Reader(HTMLParser):
    """Everything of a page: its elements, attributes, and the text outside the style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.parts: list[str] = []
        self.styles: list[str] = []
        self.open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.open = tag

    def handle_data(self, data: str) -> None:
        (self.styles if self.open == "style" else self.parts).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.parts))


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def assert_loads_and_runs_nothing(page: str) -> None:
    reader = Reader(page)
    assert set(reader.elements) <= ELEMENTS, set(reader.elements) - ELEMENTS
    policy = next(value for tag, name, value in reader.attributes if tag == "meta" and name == "content")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script-src" not in policy
    for _, name, value in reader.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "srcset", "data", "action", "formaction", "poster", "ping", "srcdoc")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
        if name == "style":
            assert not re.search(r"url\((?!#)|expression|@import", value)
    assert "url(" not in "".join(reader.styles)
    assert "@import" not in "".join(reader.styles)


def contrast(first: str, second: str) -> float:
    """The contrast of two colours by WCAG 2.2, from 1 to 21."""
    lights = []
    for colour in (first, second):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def in_browser(test: Callable[[Any, Path], None]) -> Callable[[Browser, Path], None]:
    """A test whose body runs where the browser lives."""

    @wraps(test)
    def run(chromium: Browser, page_file: Path) -> None:
        chromium(lambda browser: test(browser, page_file))

    return run


class Seen:
    """A page in the browser, with everything that it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))


@contextmanager
def seen(chromium: Any, path: Path, width: int) -> Iterator[Seen]:
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme="light")
    found = Seen(context.new_page())
    try:
        found.page.goto(path.as_uri())
        yield found
    finally:
        context.close()


def assert_fits(page: Any) -> None:
    """At the widths of a phone and a desk, light and dark, nothing goes over the edge."""
    for width in (PHONE, DESK):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, scheme)
            overflowing = page.evaluate(
                "[...document.querySelectorAll('main *')].filter(each => !each.closest('.scroll, pre') &&"
                " each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"
            )
            assert overflowing == [], (width, scheme)
