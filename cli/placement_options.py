"""The options of `probe placement` that are its own.

Names and defaults are those of probes/experiments/placement_options.py; they are written out here because `--help` must
not load what the experiments need.
"""

import click

from cli.own_options import FILE, REPEAT, Command, Option, with_options

_ARMS = [
    *("none", "padded-before", "irrelevant-before", "before", "padded-after", "irrelevant-after", "after", "bookend"),
    *("system", "reminder", "twice"),
]

_OPTIONS: list[Option] = [
    click.option(
        "--framing",
        type=click.Choice(["document", "transcript", "chat"]),
        default="document",
        show_default=True,
        help="document: the text is prose; transcript: it is a conversation, a line a turn, e.g. `Ana: ...`; chat: it "
        "is a conversation in real turns of user and assistant, with the instruction in the first or the last of them.",
    ),
    click.option(
        "--task",
        type=click.Choice(["summary", "focused", "format", "extraction"]),
        help="What the instruction asks for. summary: a summary; focused: a summary that keeps the facts; format: "
        "that, in bullets, in few words, with some words and without others; extraction: a list of all facts.  "
        "[default: focused]",
    ),
    click.option(
        "--instruction-file",
        type=FILE,
        metavar="FILE",
        help="Your own instruction, instead of a task's. It must not say where it stands (above, below, following).",
    ),
    click.option(
        "--place",
        multiple=True,
        type=click.Choice(_ARMS),
        metavar="PLACE",
        help="Where the instruction stands: before the text, after it, at both ends (bookend), as system message "
        "(system), before it with a reminder after it (reminder), or after the text twice (twice). Controls: no "
        "instruction (none), and neutral words or another instruction of the same length in its place (padded-before, "
        f"padded-after, irrelevant-before, irrelevant-after). {REPEAT}  "
        "[default: none, padded-before, before, padded-after, after, bookend]",
    ),
    click.option(
        "--measure",
        multiple=True,
        type=click.Choice(["coverage", "margin"]),
        help="coverage: which facts a written answer keeps; margin: how available each fact is, by log-probability. "
        f"{REPEAT}  [default: both]",
    ),
    click.option(
        "--facts",
        type=click.Choice(["plain", "typed"]),
        help="plain: all planted facts are said alike; typed: some as decisions, some as promises, some in passing.  "
        "[default: plain]",
    ),
    click.option(
        "--document",
        multiple=True,
        type=FILE,
        metavar="FILE",
        help="Your own text or conversation, as .txt, .json or .jsonl, whole, with facts of its own or with ours "
        f"planted in it; see samples/README.md. {REPEAT}  [default: generated text]",
    ),
]


def placement_options(command: Command) -> Command:
    """Add what only `probe placement` can be told."""
    return with_options(command, _OPTIONS)
