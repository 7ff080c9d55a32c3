"""`needlepoint tok show`: a text and its tokens, or a conversation as a model reads it."""

from pathlib import Path

import click

from cli.chosen_tokenizer import tokenizers_meta
from cli.options import Encode, encoding_options, tokenizers_option
from cli.output import OutputOptions, emit, output_options
from cli.text_input import Source, read_sources, text_options
from cli.token_view import Picture, print_pictures, token_table
from tokenizer.errors import UsageError


@click.command()
@text_options
@tokenizers_option
@click.option("--ids", is_flag=True, help="Show each token's id under it.")
@click.option(
    "--chat",
    metavar="FILE",
    help="Show a conversation as a model reads it: a JSON file with turns, - for stdin, e.g. --chat chat.json.",
)
@click.option(
    "--template",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --chat, whose chat template: a model's .gguf, or the name of one that `models fetch` got, such as "
    "smollm2-135m; a tokenizer_config.json; or a .jinja file.",
)
@encoding_options
@output_options
def show(
    text: tuple[str, ...],
    files: tuple[str, ...],
    tokenizers: tuple[str, ...],
    ids: bool,
    chat: str | None,
    template: Path | None,
    encode: Encode,
    output: OutputOptions,
) -> None:
    """Show how a text is cut into tokens.

    Tokens are the pieces that a model reads, from a single byte to a whole word. A space is shown as ·, a tab as →, a
    line end as ⏎. A character whose bytes lie in several tokens is followed by the bytes that each of them holds, as
    in é⟨C3⟩⟨A9⟩. Tokens stand on different colours, and every other one is underlined; in a pipe, or with NO_COLOR=1,
    there are bars between them.

    With --chat, a conversation: {"turns": [{"role": "user", "content": "..."}, ...]}. The model's chat template puts
    special tokens around the turns, shown as ⟦<|im_end|>⟧, and words of its own; that overhead is counted apart.

    \b
    needlepoint tok show "How is this cut?"
    needlepoint tok show "Grüße aus Zürich 🌍" --ids
    needlepoint tok show -i notes.txt -t gpt2 -t o200k
    needlepoint tok show --chat chat.json --template model.gguf
    """
    if chat is not None:
        if text or files:
            raise UsageError("--chat was given together with a text", hint="give one of the two")
        if encode != Encode():
            raise UsageError(
                "--allow-special and --special-as-text do not go with --chat",
                hint="there special tokens are read in the template and never in what the turns say",
            )
        from cli.chat_view import show_chat

        show_chat(chat, template, tokenizers, ids=ids, output=output)
        return
    if template is not None:
        raise UsageError("--template was given without --chat", hint="add the conversation: --chat FILE.json")
    _show_texts(read_sources(text, files), tokenizers, encode, output, ids=ids)


def _show_texts(
    sources: list[Source], tokenizers: tuple[str, ...], encode: Encode, output: OutputOptions, *, ids: bool
) -> None:
    from tokenizer.loading import load_tokenizers

    chosen = load_tokenizers(tokenizers or [None])
    pictures = []
    for source in sources:
        for tokenizer in chosen:
            found = encode(tokenizer, source.data)
            pictures.append(Picture(source.name, tokenizer.name, found, tokenizer.decode_tokens(found)))
    if output.format is None:
        print_pictures(pictures, ids=ids)
    else:
        emit(token_table(pictures, tokenizers_meta(chosen)), output)
