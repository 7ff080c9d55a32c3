"""The local model: real weights where marked, judged by the runtime asked in another way; real processes and kills.

Processes are looked at in /proc, so those tests run on Linux only.
"""

import asyncio
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.models import load_model, local
from probes.models.base import (
    Completion,
    ContextTooLong,
    ModelError,
    Request,
    RequestRejected,
    canonical_json,
)
from probes.models.local import WORKER, LocalModel
from probes.models.options import ModelOptions
from tests.probes.local_helpers import FACTS, ask, request, values
from tokenizer.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
LONG = "The tide table hung by the door, and no one in the house could read it without a lamp. " * 330  # > 6000 tokens

# The second way: this runtime itself, every token's probability looked up in the whole vocabulary while a grammar makes
# the model write a letter or a space. With `afresh` every call computes the whole prompt again, which rounds otherwise.
SECOND_WAY = """
import json, os, sys, urllib.request
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import xllamacpp as x
path, messages, continuation, afresh = json.loads(sys.argv[1])
p = x.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.verbosity, p.cache_ram_mib = path, 2048, 1, 0, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 2
s = x.Server(p)
def post(path, body):
    request = urllib.request.Request(s.listening_address + path, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    return json.load(urllib.request.urlopen(request))
text = post("/apply-template", {"messages": messages})["prompt"]
tokens = lambda content: post("/tokenize", {"content": content, "parse_special": True})["tokens"]
prompt, values = tokens(text), []
for token in tokens(text + continuation)[len(prompt):]:
    body = {"prompt": prompt, "n_predict": 1, "temperature": 0, "n_probs": 60000, "cache_prompt": not afresh}
    body["grammar"] = "root ::= [a-z ]+"
    seen = post("/completion", body)["completion_probabilities"][0]["top_logprobs"]
    values.append(next(entry["logprob"] for entry in seen if entry["id"] == token))
    prompt.append(token)
print(json.dumps({"text": text, "values": values}))
"""


def second_way(weights: Path, one: Request, *, afresh: bool) -> list[float]:
    messages = [{"role": turn.role, "content": turn.content} for turn in one.messages]
    argument = json.dumps([str(weights), messages, one.continuation, afresh])
    done = subprocess.run([sys.executable, "-c", SECOND_WAY, argument], capture_output=True, check=True)
    return json.loads(done.stdout)["values"]


def state(pid: int) -> str:
    """The process's state letter; "" when it is gone (a zombie is gone: nobody may be there to collect it)."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if letter == "Z" else letter


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


async def in_the_middle_of_a_prefill(model: LocalModel) -> tuple[int, asyncio.Task[Completion]]:
    """The child's id and a call in flight that would compute for many seconds."""
    await model.complete(request(max_tokens=1))
    assert model._child
    pid = model._child._process.pid
    before = cpu_s(pid)
    call = asyncio.create_task(model.complete(request(question=LONG, max_tokens=1)))
    while cpu_s(pid) < before + 0.4:
        assert not call.done()
        await asyncio.sleep(0.01)
    return pid, call


@pytest.mark.model
@pytest.mark.parametrize(("continuation", "afresh"), [(" 47", False), (" 47", True), (" 9é東", False)])
def test_a_continuations_probability_agrees_with_the_second_way(smollm2, monkeypatch, continuation, afresh):
    monkeypatch.setattr(local, "usable_processors", lambda: 2)
    one = request(continuation=continuation)
    (completion,) = ask(smollm2, one)
    assert completion.text == continuation
    assert completion.usage.output_tokens == 0
    expected = second_way(smollm2, one, afresh=afresh)
    if afresh:
        assert sum(values(completion)) / len(expected) == pytest.approx(sum(expected) / len(expected), abs=0.3)
    else:
        assert values(completion) == pytest.approx(expected, abs=1e-4)


@pytest.mark.model
def test_values_hardly_depend_on_what_was_asked_before(smollm2):
    first, second, other = (request(continuation=text) for text in (" 47", " 46", " 1912"))
    elsewhere = request(question="Where is the pier? " + FACTS, continuation=" 12")
    forward = ask(smollm2, first, second, other, elsewhere)
    repeated = ask(smollm2, first, second, other, elsewhere)
    assert [values(completion) for completion in forward] == [values(completion) for completion in repeated]
    backward = ask(smollm2, elsewhere, request(max_tokens=3), other, second, first)
    for one, another in zip(forward, (backward[index] for index in (4, 3, 2, 0)), strict=True):
        assert values(one) == pytest.approx(values(another), abs=0.5)


@pytest.mark.model
def test_candidates_after_one_stem_share_their_work(smollm2):
    first, same, sibling, longer = ask(
        smollm2,
        *(request(continuation=text) for text in (" 47", " 47", " 46", " 463")),
    )
    assert first.usage.prompt_tokens_evaluated == first.usage.input_tokens
    assert same.usage.prompt_tokens_evaluated == 0
    assert sibling.usage.prompt_tokens_evaluated == 0, "its distribution was read with the first"
    assert 1 <= longer.usage.prompt_tokens_evaluated <= 4
    for completion in (same, sibling, longer):
        usage = completion.usage
        assert usage.cache_read_tokens == usage.input_tokens - usage.prompt_tokens_evaluated
    assert values(same) == values(first)
    assert values(sibling)[:2] == values(first)[:2]


@pytest.mark.model
def test_the_likelier_continuation_is_the_one_in_the_text(smollm2):
    right, wrong = ask(smollm2, *(request(continuation=text) for text in (" 47", " 83")))
    assert sum(values(right)) > sum(values(wrong)) + 1
    assert all(value <= 0 and math.isfinite(value) for value in values(right) + values(wrong))


@pytest.mark.model
def test_answers(smollm2):
    plain, again, zero, short, stopped, drawn, drawn_again = ask(
        smollm2,
        request(max_tokens=24),
        request(max_tokens=24),
        request(max_tokens=24, temperature=0.0),
        request(max_tokens=2),
        request(max_tokens=24, stop=("7",)),
        request(max_tokens=24, temperature=1.5, seed=3),
        request(max_tokens=24, temperature=1.5, seed=3),
    )
    assert plain.text.lstrip().startswith("47"), "the given words are the beginning of the answer"
    assert plain.text == again.text == zero.text
    assert (plain.stop_reason, short.stop_reason, stopped.stop_reason) == ("stop", "max_tokens", "stop")
    assert stopped.text == plain.text.partition("7")[0]
    assert drawn.text == drawn_again.text
    assert short.usage.output_tokens == 2
    assert again.usage.input_tokens == plain.usage.input_tokens == plain.usage.prompt_tokens_evaluated
    assert again.usage.prompt_tokens_evaluated + again.usage.cache_read_tokens == again.usage.input_tokens
    assert again.usage.prompt_tokens_evaluated < 10 < plain.usage.prompt_tokens_evaluated
    assert 0 < plain.first_token_s <= plain.latency_s


@pytest.mark.model
def test_the_window_is_checked_before_anything_is_computed(smollm2):
    async def work() -> None:
        model = LocalModel("local/smollm2-135m", smollm2, ModelOptions(window=256))
        try:
            one = request(question="word " * 200, max_tokens=10)
            prompt = await model.count_prompt_tokens(one)
            assert 200 < prompt < 256
            fitting = await model.complete(request(question="word " * 200, max_tokens=256 - prompt))
            assert fitting.usage.input_tokens == prompt
            too_long = request(question="word " * 200, max_tokens=257 - prompt)
            with pytest.raises(ContextTooLong, match=rf"{prompt} tokens and {257 - prompt} .* window of 256"):
                await model.complete(too_long)
            with pytest.raises(ContextTooLong):
                await model.complete(request(question="word " * 300, continuation=" 47"))
        finally:
            await model.aclose()

    asyncio.run(work())


def test_requests_that_mean_nothing_are_rejected(tmp_path):
    model = LocalModel("local/x.gguf", gguf(tmp_path))
    for one in (request(), request(continuation="")):
        with pytest.raises(RequestRejected):
            asyncio.run(model.complete(one))


@linux
@pytest.mark.model
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_dying_child_is_an_error_and_the_next_call_gets_another(smollm2, name):
    async def work() -> None:
        model = LocalModel("local/smollm2-135m", smollm2)
        try:
            pid, call = await in_the_middle_of_a_prefill(model)
            os.kill(pid, signal.Signals[name])
            with pytest.raises(ModelError, match=name):
                await call
            assert (await model.complete(request(continuation=" 47"))).logprobs
        finally:
            await model.aclose()

    asyncio.run(work())


@linux
@pytest.mark.model
def test_cancelling_a_call_and_closing_end_a_prefill_at_once(smollm2):
    async def work() -> None:
        model = LocalModel("local/smollm2-135m", smollm2)
        try:
            pid, call = await in_the_middle_of_a_prefill(model)
            assert os.getsid(pid) == pid != os.getsid(0), "the terminal's Ctrl-C must not reach the child"
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert state(pid) == ""

            pid, call = await in_the_middle_of_a_prefill(model)
            started = time.monotonic()
            await model.aclose()
            assert time.monotonic() - started < 2
            assert state(pid) == ""
            with pytest.raises(ModelError, match="was closed"):
                await call
            await model.aclose()
        finally:
            await model.aclose()

    asyncio.run(work())


@linux
@pytest.mark.model
def test_the_child_dies_with_its_parent_in_the_middle_of_a_prefill(smollm2):
    script = (
        "import asyncio, pathlib, sys\n"
        "from probes.models.base import Message, Request\n"
        "from probes.models.local import LocalModel\n"
        "async def work():\n"
        "    model = LocalModel('local/x', pathlib.Path(sys.argv[1]))\n"
        "    await model.complete(Request((Message('user', 'hi'),), max_tokens=1))\n"
        "    print(model._child._process.pid, flush=True)\n"
        "    await model.complete(Request((Message('user', sys.argv[2]),), max_tokens=1))\n"
        "asyncio.run(work())\n"
    )
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(smollm2), LONG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=settings) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        before = cpu_s(child)
        assert wait_until(lambda: cpu_s(child) > before + 0.4, 30)
        parent.kill()
        parent.wait()
        assert wait_until(lambda: state(child) == "", 2)


def gguf(folder: Path) -> Path:
    path = folder / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(1000))
    return path


@pytest.mark.skipif(not importlib.util.find_spec("xllamacpp"), reason="needs the local runtime")
def test_weights_that_cannot_be_loaded(tmp_path):
    model = LocalModel("local/broken.gguf", gguf(tmp_path))
    for _ in range(2):  # the first failure leaves nothing behind that the second call would meet
        with pytest.raises(ModelError, match=r"cannot load .*broken\.gguf: llama_model_loader"):
            asyncio.run(model.complete(request(max_tokens=1)))
    assert model._child is None


@pytest.mark.skipif(not importlib.util.find_spec("xllamacpp"), reason="needs the local runtime")
@pytest.mark.parametrize(("said", "starts", "reason"), [(1, 1, "so"), (2, 2, "so"), (9, 2, "no luck")])
def test_a_runtime_that_does_not_say_why_it_failed_is_started_once_more(tmp_path, monkeypatch, said, starts, reason):
    count, worker = tmp_path / "count", tmp_path / "worker.py"
    worker.write_text(
        "import sys\n"
        f"with open({str(count)!r}, 'a+') as file:\n"
        "    file.write('x'); file.seek(0); times = len(file.read())\n"
        f"if times >= {said}: print('loader: error loading model: so', file=sys.stderr, flush=True)\n"
        """print('{"error": {"kind": "not_loaded", "what": "no luck"}}', flush=True)\n""",
        encoding="utf-8",
    )
    monkeypatch.setattr(local, "WORKER", worker)
    with pytest.raises(ModelError, match=f"cannot load .*broken.gguf: {reason}"):
        asyncio.run(LocalModel("local/broken.gguf", gguf(tmp_path)).complete(request(max_tokens=1)))
    assert len(count.read_text(encoding="utf-8")) == starts


def test_without_the_runtime_the_extra_is_named(tmp_path, monkeypatch):
    def version(name: str) -> str:
        raise local.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(local.metadata, "version", version)
    with pytest.raises(ModelError, match="xllamacpp is not installed") as caught:
        load_model(f"local/{gguf(tmp_path)}")
    assert caught.value.hint == "pip install 'needlepoint[local]'"


def test_native_noise_cannot_reach_the_protocol():
    script = (
        f"import os, sys; sys.path.insert(0, {str(WORKER.parent)!r}); import local_worker\n"
        "protocol = local_worker.own_stdout()\n"
        "os.write(1, b'native noise'); protocol.write(b'{}\\n'); protocol.flush()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"{}\n", b"native noise")


def test_identity_is_the_files_content_and_not_its_name(tmp_path):
    path = gguf(tmp_path)
    copy = path.rename(tmp_path / "renamed.gguf")
    model = load_model(f"local/{copy}")
    first = canonical_json(model.identity)
    assert "renamed" not in first
    copy.write_bytes(b"GGUF" + bytes(999) + b"!")
    assert canonical_json(load_model(f"local/{copy}").identity) != first
    assert model.traits.continuations
    assert (model.traits.max_concurrency, model.traits.shares_prefixes, model.traits.window) == (1, True, 8192)


@pytest.mark.parametrize(
    "name", ["", "local", "local/", "smollm2-135m", "local/smolm2-135", "gpt-4", "sim/", "remote/x"]
)
def test_unknown_names_are_refused_with_the_forms(name):
    with pytest.raises(UsageError) as caught:
        load_model(name)
    assert "local/FILE.gguf" in caught.value.hint
    if "smol" in name:
        assert "did you mean local/smollm2-135m?" in caught.value.hint
