"""How fast the local model reads and writes, and what memory it holds, against the length of the prompt."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.experiment_runs import make_ruler
from cli.progress import say
from probes.haystack import generated_haystack
from probes.models import load_model
from probes.models.base import Message, Request
from probes.models.local import LocalModel
from probes.models.options import ModelOptions

SPEED = "speed"
LENGTHS = (250, 500, 1000, 2000, 4000, 7500)  # tokens of the ruler
REPEATS = 3
WRITTEN = 32
Row = dict[str, Any]


def measure_speed(
    name: str, kept: Path, output: Path, *, lengths: tuple[int, ...] = LENGTHS, repeats: int = REPEATS
) -> None:
    """Add the rows that are still missing to `kept`, and write all of them to `output`."""
    if not name.startswith("local/"):
        say(f"{name} does not run here: its speed is not measured")
        return
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []
    measured = {(row["length_tokens"], row["repeat"]) for row in rows}
    for length in lengths:
        for repeat in range(1, repeats + 1):
            if (length, repeat) not in measured:
                rows.append(asyncio.run(measured_row(name, length, repeat)))
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    rows.sort(key=lambda row: (row["length_tokens"], row["repeat"]))
    output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


async def measured_row(name: str, length: int, repeat: int) -> Row:
    """One prompt that shares nothing with any before, to a model that has just been started with a fitting window."""
    text = generated_haystack(f"speed/{length}/{repeat}", length, make_ruler("small").count).text
    request = Request(
        (Message("user", f"{text}\n\nSay in a few words what this is about."),),
        max_tokens=WRITTEN,
        temperature=0.0,
        extra={"ignore_eos": True},
    )
    counter = load_model(name)
    try:
        prompt_tokens = await counter.count_prompt_tokens(request)
    finally:
        await counter.aclose()
    assert prompt_tokens is not None
    model = load_model(name, options=ModelOptions(window=prompt_tokens + WRITTEN))
    assert isinstance(model, LocalModel)
    try:
        started = time.perf_counter()
        await model.count_prompt_tokens(request)
        load_s = time.perf_counter() - started
        timings = (await model.complete(request)).raw["timings"]
        resident_bytes = await model.resident_bytes()
    finally:
        await model.aclose()
    return {
        "length_tokens": length,
        "repeat": repeat,
        "prompt_tokens": prompt_tokens,
        "load_s": round(load_s, 2),
        **speeds(timings),
        "resident_bytes": resident_bytes,
        "expected_bytes": model.expected_bytes,
    }


def speeds(timings: Mapping[str, Any]) -> Row:
    """Tokens a second, from the runtime's own clock."""
    return {
        "prefill_tokens_per_s": round(1000 * timings["prompt_n"] / timings["prompt_ms"], 1),
        "decode_tokens_per_s": round(1000 * timings["predicted_n"] / timings["predicted_ms"], 1),
    }
