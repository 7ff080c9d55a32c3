"""The pictures of reports in the README: `python -m tests.pictures` makes them from the rows in samples/study.

Each is the top of a page as `needlepoint runs report` writes it, photographed in the system's Chromium. The rows are
those of real runs of the small model; no model is asked.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "samples" / "pictures"
MOST_BYTES = 150_000
COLOURS = 256  # enough for text and a few figures


class Wanted(NamedTuple):
    """One picture: the rows it is made of, where on the page it begins, its size in CSS pixels, and the colours."""

    name: str
    rows: tuple[str, ...]
    begins_at: str
    width: int
    height: int
    scheme: str


PICTURES = (
    Wanted("report-figures.png", ("multi-key-spread",), "#run-1-figures", 1100, 1000, "light"),
    Wanted("report-phone.png", ("likelihood-chat", "likelihood-completion"), "#comparison-1 .pair", 390, 900, "dark"),
)


def pages(folder: Path) -> dict[tuple[str, ...], Path]:
    """The pages that are photographed, by their rows."""
    from cli.report_command import report_runs

    found = {}
    for rows in dict.fromkeys(each.rows for each in PICTURES):
        found[rows] = folder / f"{'-'.join(rows)}.html"
        report_runs(None, [str(ROOT / "samples" / "study" / f"{name}.jsonl.gz") for name in rows], path=found[rows])
    return found


def photograph(browser: Any, page: Path, wanted: Wanted) -> bytes:
    """A part of a page as PNG, from where it begins on, in few colours so that it is small."""
    from PIL import Image

    context = browser.new_context(
        viewport={"width": wanted.width, "height": wanted.height}, color_scheme=wanted.scheme, device_scale_factor=1
    )
    try:
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.evaluate("begins_at => document.querySelector(begins_at).scrollIntoView()", wanted.begins_at)
        picture = Image.open(io.BytesIO(tab.screenshot()))
    finally:
        context.close()
    small = io.BytesIO()
    picture.convert("RGB").quantize(COLOURS).save(small, format="PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        made = pages(Path(place))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for wanted in PICTURES:
            data = photograph(browser, made[wanted.rows], wanted)
            (FOLDER / wanted.name).write_bytes(data)
            sys.stdout.write(f"{wanted.name}: {len(data):,} bytes\n")
        browser.close()


if __name__ == "__main__":
    main()
