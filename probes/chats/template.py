"""Find a model's chat template, and fill it in with a conversation.

A template is a program in Jinja that turns a list of messages into the one text that a model reads. It comes with the
model's weights, from whoever made them, so it runs in a sandbox in a process of its own (`template_worker.py`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from probes.chats.conversation import Turn
from tokenizer.errors import UserError
from tokenizer.formats.files import brief, check_regular

WORKER = Path(__file__).with_name("template_worker.py")
MEMORY_BYTES = 1_000_000_000
PROCESSOR_S = 5
PATIENCE_S = 120  # by the clock, where the system knows no limit of processor time
LARGEST_FILE = 50_000_000  # bytes of a template by itself
_KEY = "tokenizer.chat_template"
_TOKENS = "tokenizer.ggml.tokens"
_WAY_OUT = "give the template by itself, as a .jinja file or a tokenizer_config.json, with -t for the tokenizer"


@dataclass(frozen=True)
class ChatTemplate:
    """A template, where it came from, what it knows besides the messages (`bos_token` and so on), and its tokenizer.

    `tokenizer` is the path of the tokenizer that belongs to it, where there is one.
    """

    source: str
    text: str
    variables: Mapping[str, str] = field(default_factory=dict)
    tokenizer: Path | None = None


@dataclass(frozen=True)
class Rendered:
    """What a model reads: the text, and one after the other whose stretches it has, as (owner, characters).

    An owner is the place of a turn in the conversation, from 0; None is the template.
    """

    text: str
    runs: Sequence[tuple[int | None, int]]


def read_template(path: Path) -> ChatTemplate:
    """The chat template of a model's .gguf file, of a tokenizer_config.json, or of a file that is the template itself.

    Raises:
        UserError: there is no such file, it cannot be read, or it holds no chat template.
    """
    if not path.is_file():
        raise UserError(
            f"there is no file {path}",
            hint="name a model's .gguf or fetched model, a tokenizer_config.json or a .jinja file",
        )
    if path.suffix.lower() == ".gguf":
        return _of_weights(path)
    check_regular(path)
    if path.stat().st_size > LARGEST_FILE:
        raise UserError(f"{path} is too large for a template", hint="weights end in .gguf")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise UserError(f"cannot read the template {path}: {err}", hint="it should be a text file in UTF-8") from err
    return _of_settings(path, text) if path.suffix.lower() == ".json" else ChatTemplate(str(path), text)


def _of_weights(path: Path) -> ChatTemplate:
    from tokenizer.formats.gguf import read_metadata

    ids = {"bos_token": "tokenizer.ggml.bos_token_id", "eos_token": "tokenizer.ggml.eos_token_id"}
    found = read_metadata(path, {_KEY, _TOKENS, *ids.values()}.__contains__)
    text, tokens = found.get(_KEY), found.get(_TOKENS)
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{path} has no chat template ({_KEY}); it is no model for chats", hint=_WAY_OUT)
    variables = dict.fromkeys(ids, "")
    for name, key in ids.items():
        one = found.get(key)
        if isinstance(tokens, list) and type(one) is int and 0 <= one < len(tokens) and isinstance(tokens[one], str):
            variables[name] = tokens[one]
    return ChatTemplate(str(path), text, variables, path)


def _of_settings(path: Path, text: str) -> ChatTemplate:
    """The template in a tokenizer_config.json, whose tokenizer.json stands beside it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise UserError(f"{path} is not JSON: {err}", hint=_WAY_OUT) from err
    template = found.get("chat_template") if isinstance(found, dict) else None
    if isinstance(template, list):
        named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
        template = named.get("default")
    if not isinstance(template, str) or not template.strip():
        raise UserError(f"{path} has no chat_template", hint="newer models keep it beside it, in chat_template.jinja")
    beside = path.with_name("tokenizer.json")
    return ChatTemplate(str(path), template, _special_tokens(found), beside if beside.is_file() else None)


def _special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """What the settings call bos_token, eos_token and so on: texts, or objects that hold one."""
    tokens = {"bos_token": "", "eos_token": ""}
    for key, value in settings.items():
        said = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(said, str):
            tokens[key] = said
    return tokens


def render(template: ChatTemplate, turns: Sequence[Turn]) -> Rendered:
    """The text that a model would read for this conversation, with whose its characters are.

    Where the last turn is not the assistant's, the template is asked for the beginning of an answer, as it is when a
    chat is sent.

    Raises:
        UserError: Jinja is not installed; the template refuses the conversation, fails, or takes too much.
    """
    if find_spec("jinja2") is None:
        raise UserError("a chat template needs jinja2", hint="pip install 'needlepoint[report]'")
    answered = turns[-1].role == "assistant"
    messages = [
        {"role": turn.role, "content": turn.content} | ({"name": turn.name} if turn.name is not None else {})
        for turn in turns
    ]
    asked = {
        "template": template.text,
        "messages": messages,
        "variables": {**template.variables, "add_generation_prompt": not answered},
        "path": [each for each in sys.path if each],
        "memory_bytes": MEMORY_BYTES,
        "processor_s": PROCESSOR_S,
    }
    answer = _run(asked, template.source)
    if answer.get("refused"):
        said = brief(answer["error"])
        raise UserError(
            f"the chat template of {template.source} refuses this conversation: {said}",
            hint="many templates want the user first, then turns that alternate, and some no system turn",
        )
    if "error" in answer:
        raise UserError(
            f"the chat template of {template.source} fails: {answer['error']}", hint="mend it, or take another one"
        )
    runs = [(None if owner < 0 else owner, size) for owner, size in answer["runs"]]
    return Rendered(answer["text"], runs)


def _run(asked: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What the child answers; one that dies was stopped by its limits."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TZ") if name in os.environ}  # and no key of anybody's
    too_much = UserError(
        f"the chat template of {source} takes too much time or memory; it was stopped",
        hint=f"it may have {PROCESSOR_S} seconds and {MEMORY_BYTES // 10**6:,} MB; {_WAY_OUT}",
    )
    try:
        done = subprocess.run(  # noqa: S603 - our own file
            [sys.executable, "-P", str(WORKER)],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
            timeout=PATIENCE_S,
            check=False,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError) as err:
        raise too_much from err
    if not isinstance(answer, dict):
        raise too_much
    return answer
