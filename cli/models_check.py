"""What `needlepoint models check` looks at: everything that must hold for a model to answer, in order."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cli.progress import say, size
from probes.budget import MOST_ATTEMPTS
from probes.models import load_model
from probes.models.base import Completion, Message, Model, ModelError, RateLimited, Request, Transient
from probes.models.calls import Patience, call, never_reached
from probes.models.endpoints import Endpoint
from probes.models.hosted import HostedModel
from probes.models.local import RUNTIME, LocalModel, runtime_version
from probes.models.weights import EMBEDDED, check_weights, weights_path
from probes.prices import Price, cost_nano_usd, price_of

QUESTION = Request((Message("user", "Say yes."),), max_tokens=16)
PATIENCE_S = 120.0

Look = Callable[[], str]


@dataclass
class Live:
    """What one short call found out; the figures of the machine forms."""

    figures: dict[str, Any] = field(default_factory=dict)


def checks(name: str, base_url: str | None, live: Live | None) -> Iterator[tuple[str, Look]]:
    """The checks of a model: each finds a word about it or raises a UserError.

    A model on this machine is asked for a few tokens; a hosted one only with `live`, as that may cost something.
    """
    if name.startswith("local/"):
        yield "runtime", lambda: f"{RUNTIME} {runtime_version()}"
        yield "weights", lambda: _weights_found(name.removeprefix("local/"))
        yield "memory", lambda: _memory_found(load_model(name, base_url=base_url))
    model = load_model(name, base_url=base_url)
    if isinstance(model, HostedModel):
        endpoint = model.endpoint
        yield "endpoint", lambda: f"{endpoint.base_url}, kept as {endpoint.identity}"
        yield "key", lambda: _key_found(endpoint)
        yield "window", lambda: f"{model.traits.window:,} tokens" if model.traits.window else "unknown"
        yield "price", lambda: _price_found(price_of(model))
    if live is not None or not isinstance(model, HostedModel):
        yield "answer", lambda: asyncio.run(_answer_of(model, live or Live()))


def _weights_found(rest: str) -> str:
    if rest not in EMBEDDED and not rest.endswith(".gguf"):
        load_model(f"local/{rest}")  # raises, with the nearest name
    digest = check_weights(rest)
    path = weights_path(rest)
    return f"{path}, {size(path.stat().st_size)}, SHA-256 {digest[:12]}"


def _memory_found(model: Model) -> str:
    assert isinstance(model, LocalModel)
    return f"about {size(model.expected_bytes)} with a window of {model.traits.window:,} tokens"


def _key_found(endpoint: Endpoint) -> str:
    endpoint.key()  # raises where it is missing
    return f"{endpoint.key_env} is set" if endpoint.key_env else "none needed"


def _price_found(price: Price | None) -> str:
    if price is None:
        return 'unknown: put it under [prices."NAME"] in config.toml'
    if not price.input_usd and not price.output_usd:
        return price.source
    long = f", more above {price.long_above_tokens:,} tokens" if price.long_above_tokens else ""
    when = f" ({', '.join(part for part in (price.date, price.source) if part)})"
    return f"${price.input_usd} in, ${price.output_usd} out per million tokens{long}{when}"


async def _answer_of(model: Model, live: Live) -> str:
    """Have the model answer a few tokens, and say what that took."""
    started = time.perf_counter()
    try:
        completion = await _patient_call(model)
        resident = await model.resident_bytes() if isinstance(model, LocalModel) else None
    finally:
        await model.aclose()
    live.figures.update(_figures(model, completion), resident_bytes=resident)
    return f"{completion.text!r} after {time.perf_counter() - started:.1f} s{_told(live.figures)}"


async def _patient_call(model: Model) -> Completion:
    """One answer, after as many retries as a run makes for a trial; says when one is waited for.

    ModelError: there was none; in words about one call, as nothing is run or kept here.
    """
    patience, calls = Patience(MOST_ATTEMPTS, PATIENCE_S, PATIENCE_S), 0
    try:
        async for attempt in patience.attempts():
            calls += 1
            if calls > 1:
                say(f"{model.name} failed in a way that may pass; call {calls} of at the most {MOST_ATTEMPTS}")
            with attempt:
                try:
                    return await call(model, QUESTION, patience.timeout_s())
                except Transient as err:
                    if never_reached(err):  # nobody waits half a minute to hear that no server runs
                        raise ModelError(str(err), hint=_what_now(err)) from err
                    raise
    except Transient as err:
        why = f"; {patience.refusal}" if patience.refusal else ""
        times = "one call" if calls == 1 else f"{calls} calls"
        raise ModelError(f"{err} (after {times}{why})", hint=_what_now(err)) from err
    raise AssertionError("stamina ends with an answer or an error")


def _what_now(error: Transient) -> str:
    if isinstance(error, RateLimited):
        return "wait a while and check again; a run asks more slowly by itself, see also --jobs and --max-retries"
    return "check that the server runs and its address, --base-url, is right, and check again"


def _figures(model: Model, completion: Completion) -> dict[str, Any]:
    cost = cost_nano_usd(price_of(model), completion.usage)
    return {
        "served_model": completion.model,
        "stop_reason": completion.stop_reason,
        "input_tokens": completion.usage.input_tokens,
        "output_tokens": completion.usage.output_tokens,
        "latency_s": completion.latency_s,
        "first_token_s": completion.first_token_s,
        "cost_usd": None if cost is None else cost / 1e9,
        "dropped": list(completion.dropped),
    }


def _told(figures: dict[str, Any]) -> str:
    """The figures that are known, in words."""
    words = []
    if figures["first_token_s"] is not None:
        words.append(f"first token after {figures['first_token_s']:.2f} s")
    if figures["input_tokens"] is not None:
        words.append(f"{figures['input_tokens']} tokens in, {figures['output_tokens']} out")
    if figures["resident_bytes"]:
        words.append(f"{size(figures['resident_bytes'])} of memory")
    words.append("cost unknown" if figures["cost_usd"] is None else f"cost ${figures['cost_usd']:.6f}")
    if figures["served_model"]:
        words.append(f"served by {figures['served_model']}")
    if figures["dropped"]:
        words.append(f"without {', '.join(figures['dropped'])}")
    return "".join(f"; {word}" for word in words)
