"""What the tests of the loopback server ask, and the clients that ask it: the real SDKs, as strict as can be."""

from typing import Any

import anthropic
import openai

from probes.serving.server import Server

TEXT = "It rained. The passcode for Brenmoor is 48213. We left early, and nobody minded."
PROMPT = f"{TEXT}\n\nWhat is the passcode for Brenmoor? Answer with the passcode only."
USER: Any = [{"role": "user", "content": PROMPT}]


def openai_client(server: Server, **options: Any) -> openai.OpenAI:
    options = {"max_retries": 0, "_strict_response_validation": True, **options}
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", **options)


def anthropic_client(server: Server, **options: Any) -> anthropic.Anthropic:
    options = {"max_retries": 0, "_strict_response_validation": True, **options}
    return anthropic.Anthropic(base_url=server.url, api_key="any", **options)


def ask_openai(server: Server, **options: Any) -> Any:
    with openai_client(server) as client:
        answer = client.chat.completions.create(model="sim", messages=USER, **options)
        return list(answer) if options.get("stream") else answer


def ask_anthropic(server: Server, **options: Any) -> Any:
    with anthropic_client(server) as client:
        answer = client.messages.create(**{"model": "sim", "messages": USER, "max_tokens": 20, **options})
        return list(answer) if options.get("stream") else answer
