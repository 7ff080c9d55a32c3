"""How servers with OpenAI's protocol count a prompt's tokens: the protocol has no word for it, each has its own."""

from collections.abc import Mapping, Sequence
from typing import Any


async def server_count(client: Any, how: str, base_url: str, model: str, messages: Sequence[Mapping[str, str]]) -> int:
    """The prompt in the server's tokens: vLLM's in one step, llama.cpp's after it has filled its chat template.

    `client` is the SDK's, whose errors it raises; a reply of another form ends in a LookupError or TypeError.
    """
    root = base_url.removesuffix("/v1")

    async def post(path: str, body: Mapping[str, Any]) -> Any:
        return await client.post(f"{root}{path}", body=body, cast_to=object)

    if how == "vllm":
        counted = await post("/tokenize", {"model": model, "messages": messages, "add_generation_prompt": True})
        return int(counted["count"])
    prompt = (await post("/apply-template", {"messages": messages}))["prompt"]
    tokens = (await post("/tokenize", {"content": prompt, "add_special": True, "parse_special": True}))["tokens"]
    return len(tokens)
