"""`needlepoint tok`: train tokenizers, look at a text through them, encode, decode and count."""

import click

from cli.options import LateGroup

# In the order of the help: make, see, measure, use.
SUBCOMMANDS = {
    "train": "cli.train_commands:train",
    "convert": "cli.convert_commands:convert",
    "fetch": "cli.fetch_command:fetch",
    "show": "cli.show_command:show",
    "explain": "cli.explain_command:explain",
    "tree": "cli.tree_command:tree",
    "alt": "cli.alt_command:alt",
    "vocab": "cli.vocab_command:vocab",
    "count": "cli.count_command:count",
    "compare": "cli.tokenizer_compare_command:compare",
    "sweep": "cli.sweep_command:sweep",
    "lint": "cli.lint_command:lint",
    "report": "cli.token_report_command:report",
    "encode": "cli.ids_commands:encode",
    "decode": "cli.ids_commands:decode",
    "cut": "cli.cut_command:cut",
    "verify": "cli.convert_commands:verify",
}


@click.group(cls=LateGroup, late=SUBCOMMANDS)
def tok() -> None:
    """Train tokenizers, look through them, and count with them.

    \b
    needlepoint tok show "How is this cut?"              a text and its tokens
    needlepoint tok explain disestablish                 why it is cut so
    needlepoint tok count -i notes.txt -t gpt2           how many tokens a file has
    needlepoint tok train texts/ -o mine.json            learn a tokenizer from texts
    """
