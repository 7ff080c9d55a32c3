"""One HTML page about texts as tokenizers cut them; it needs nothing beside itself, as every page of ours.

    needlepoint tok report -> cli/token_report_command.py (the ids) -> render -> sections (words, tables, trees;
                              segments, pictures), from what is measured -> page.html.j2, in the frame of probes/pages/

What is shown is bounded, and says what it leaves out; what is counted is the whole text.
"""

from collections.abc import Sequence

from cli.token_page.measured import Cut as Cut
from cli.token_page.measured import Text as Text
from cli.token_page.sections import section, side_by_side, title
from cli.visible import visible
from probes.pages import need_libraries, page

NOTE = "These figures describe how a text is cut. None of them says that one tokenizer is better than another."


def render(cuts: Sequence[Cut], *, most_tokens: int) -> str:
    """The page about these cuts: the same texts and tokenizers give the same bytes.

    Of each cut the first `most_tokens` tokens are shown one by one.

    Raises:
        UserError: Jinja or matplotlib is not installed.
    """
    need_libraries()
    names = list(dict.fromkeys(title(cut.text) for cut in cuts))
    return page(
        "cli.token_page",
        "page.html.j2",
        visible=visible,
        title=" and ".join(names) if len(names) < 3 else f"{len(names)} texts",
        sections=[section(cut, most_tokens) for cut in cuts],
        compared=side_by_side(cuts) if len(cuts) > 1 else None,
        note=NOTE,
    )
