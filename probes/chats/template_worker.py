"""The child process that fills a chat template: JSON in on stdin, JSON out on stdout.

A template is a program that somebody else wrote. It runs in Jinja's sandbox, in a process of its own that may have so
much memory and processor time and no more:

    {"template": "...", "messages": [{"role": "user", "content": "..."}], "variables": {"bos_token": "<s>"},
     "path": [where Python looks for packages], "memory_bytes": 1000000000, "processor_s": 5}

Out comes `{"text": "...", "runs": [[owner, characters], ...]}`, where the owner is a message's number from 0 or -1 for
the template, or `{"error": "...", "refused": true}` where the template itself refuses the conversation.
"""

import contextlib
import importlib
import json
import sys
from typing import Any

MOST_CHARACTERS = 20_000_000


class Refused(Exception):
    """What a template says by `raise_exception`."""


def limit(memory_bytes: int, processor_s: int) -> None:
    """Let this process have so much and no more, where the system can do that."""
    try:
        import resource
    except ImportError:  # Windows; the parent waits only so long
        return
    for which, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CPU, processor_s)):
        hard = resource.getrlimit(which)[1]
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def render(asked: dict[str, Any]) -> dict[str, Any]:
    """Fill the template as `transformers` does; the text that comes of it, and whose each character is."""
    from probes.chats.chat_environment import environment
    from probes.chats.owned_text import Owned

    messages = [
        {key: value if key == "role" else Owned.by(value, number) for key, value in message.items()}
        for number, message in enumerate(asked["messages"])
    ]
    filled = environment(Refused).from_string(asked["template"])
    text = filled.render(messages=messages, tools=None, documents=None, **asked["variables"])
    if len(text) > MOST_CHARACTERS:
        raise OverflowError(f"it writes {len(text):,} characters, and {MOST_CHARACTERS:,} are the most")
    return {"text": text, "runs": Owned.joined([text]).runs()}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """What came of it, or what went wrong: of a stranger's program that can be anything."""
    try:
        return render(asked)
    except Refused as refused:
        return {"error": str(refused), "refused": True}
    except MemoryError:
        return {"error": "it needs too much memory"}
    except RecursionError:
        return {"error": "it is nested too deeply, or calls itself without end"}
    except Exception as err:  # noqa: BLE001 - whatever a template can raise
        line = getattr(err, "lineno", None)
        where = f" (line {line})" if isinstance(line, int) else ""
        return {"error": f"{type(err).__name__}: {err}{where}"[:500]}


def main() -> None:
    """Answer one request."""
    asked = json.load(sys.stdin)
    sys.path[:] = asked["path"]
    importlib.import_module("probes.chats.chat_environment")  # while there is room for it

    limit(asked["memory_bytes"], asked["processor_s"])
    json.dump(answer(asked), sys.stdout)


if __name__ == "__main__":
    main()
