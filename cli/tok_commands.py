"""`needlepoint tok`: train tokenizers, look at a text through them, encode, decode and count."""

import gc

import click

from cli.main import Lazy, LazyGroup

# In the order of the help: make, see, measure, use.
SUBCOMMANDS = {
    "train": Lazy("cli.train_commands", "train"),
    "convert": Lazy("cli.convert_commands", "convert"),
    "fetch": Lazy("cli.fetch_command", "fetch"),
    "show": Lazy("cli.show_command", "show"),
    "explain": Lazy("cli.explain_command", "explain"),
    "tree": Lazy("cli.tree_command", "tree"),
    "alt": Lazy("cli.alt_command", "alt"),
    "vocab": Lazy("cli.vocab_command", "vocab"),
    "count": Lazy("cli.count_command", "count"),
    "compare": Lazy("cli.tokenizer_compare_command", "compare"),
    "sweep": Lazy("cli.sweep_command", "sweep"),
    "lint": Lazy("cli.lint_command", "lint"),
    "report": Lazy("cli.token_report_command", "report"),
    "encode": Lazy("cli.ids_commands", "encode"),
    "decode": Lazy("cli.ids_commands", "decode"),
    "cut": Lazy("cli.cut_command", "cut"),
    "verify": Lazy("cli.convert_commands", "verify"),
}


@click.group(cls=LazyGroup, lazy=SUBCOMMANDS)
def tok() -> None:
    """Train tokenizers, look through them, and count with them.

    \b
    needlepoint tok show "How is this cut?"              a text and its tokens
    needlepoint tok explain disestablish                 why it is cut so
    needlepoint tok count -i notes.txt -t gpt2           how many tokens a file has
    needlepoint tok train texts/ -o mine.json            learn a tokenizer from texts
    """
    gc.set_threshold(1_000_000, 10, 100)  # what these commands make they keep: to look for garbage in it all is in vain
