"""The options of `probe needle` that are its own.

Names and defaults are those of probes/experiments/needle_options.py; they are written out here because `--help` must
not load what the experiments need.
"""

import click

from cli.own_options import FILE, REPEAT, Command, Option, with_options

_OPTIONS: list[Option] = [
    click.option(
        "--task",
        default="multi-key",
        show_default=True,
        metavar="TASK",
        help="What is hidden and asked: single, one needle at each depth in turn; multi-key, a needle at each depth "
        "and a question for each; multi-value, several values of one name; kv, pairs of a JSON object; chain, "
        "variables that copy one another; count, how often a thing is recorded; paraphrase, a question in other words "
        "than its needle.",
    ),
    click.option(
        "--depths",
        metavar="N,N,...",
        help="Where needles stand, in percent of the text (50 is the middle): 0,25,50, or linear:11, or sigmoid:11, "
        "which crowd at both ends.  [default: 0,25,50,75,100]",
    ),
    click.option(
        "--layout",
        multiple=True,
        metavar="LAYOUT",
        help="spread: one of several needles at each depth; cluster@DEPTH: all of them at one depth, e.g. cluster@50. "
        f"{REPEAT}  [default: spread]",
    ),
    click.option(
        "--place",
        multiple=True,
        type=click.Choice(["before", "after", "bookend"]),
        help=f"Where the question stands: before the text, after it, or both. {REPEAT}  [default: after]",
    ),
    click.option(
        "--context",
        multiple=True,
        metavar="CONTEXT",
        help="whole: all of the text; focused: only the sentences around the needle; chunks:N: the text cut into N "
        f"numbered excerpts. {REPEAT}  [default: whole]",
    ),
    click.option(
        "--structure",
        multiple=True,
        type=click.Choice(["plain", "headings"]),
        help=f"headings: the text in sections with headings. {REPEAT}  [default: plain]",
    ),
    click.option(
        "--prompt-style",
        multiple=True,
        metavar="STYLE",
        help="ours, or in the order of a known benchmark: kamradt, ruler, litm, longbench, babilong. "
        f"{REPEAT}  [default: ours]",
    ),
    click.option(
        "--measure",
        multiple=True,
        type=click.Choice(["answer", "likelihood"]),
        help="answer: what the model says; likelihood: how likely it holds each value, for models that give "
        f"log-probabilities. {REPEAT}  [default: answer]",
    ),
    click.option(
        "--controls",
        multiple=True,
        type=click.Choice(["absent", "closed-book", "short"]),
        help="absent: ask for something that is not there; closed-book: ask without the text; short: ask about a text "
        f"of a few sentences. {REPEAT}  [default: all three]",
    ),
    click.option("--no-controls", is_flag=True, help="Leave the controls out."),
    click.option(
        "--distractors",
        type=click.IntRange(min=0),
        metavar="N",
        help="Statements of the same form about other names in each text.  "
        "[default: 0; multi-value and count 3, chain 4]",
    ),
    click.option(
        "--ids",
        type=click.Choice(["uuid", "short"]),
        help="Keys and values of the task kv: uuid, 36 characters as in Lost in the Middle, or short, eight of them.  "
        "[default: uuid]",
    ),
    click.option(
        "--needles",
        type=FILE,
        metavar="FILE",
        help="Hide your own statements: TOML or JSONL, each with needle, question and answer.",
    ),
    click.option(
        "--haystack",
        multiple=True,
        type=FILE,
        metavar="FILE",
        help=f"Hide the needles in your own text (UTF-8). {REPEAT}  [default: generated text]",
    ),
    click.option(
        "--haystack-style",
        type=click.Choice(["prose", "minutes", "repeat", "noise", "needles-only"]),
        help="The generated text: prose; minutes of meetings; one sentence again and again; words without meaning; "
        "nothing but statements like the needles.  [default: prose]",
    ),
    click.option(
        "--language",
        type=click.Choice(["en", "de"]),
        help="The language of generated texts, needles and questions.  [default: en]",
    ),
    click.option("--shuffle", is_flag=True, help="Put the sentences of the text in a drawn order."),
]


def needle_options(command: Command) -> Command:
    """Add what only `probe needle` can be told."""
    return with_options(command, _OPTIONS)
