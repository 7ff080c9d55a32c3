"""What can be said about how a local model is asked: its form, its window, its threads; and what memory it needs."""

import asyncio
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import needlepoint
from probes.models import load_model, memory
from probes.models.base import Message, ModelError, RequestRejected, canonical_json
from probes.models.local import LocalModel
from probes.models.local_worker import as_far_as, plain_text
from probes.models.memory import expected_bytes, read_header
from probes.models.options import ModelOptions
from tests.gguf_files import ARRAY, I32, TEXT, U32, file_of, text
from tests.probes.local_helpers import ask, request, spelled, values
from tokenizer.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
SIZES = {
    "context_length": 2048,
    "block_count": 4,
    "embedding_length": 96,
    "attention.head_count": 6,
    "attention.head_count_kv": 2,
}
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits memory as Linux does")


def number(value: int) -> tuple[int, bytes]:
    return U32, struct.pack("<I", value)


def gguf(path: Path, changed: Mapping[str, tuple[int, bytes]] = {}, *, size: int | None = None) -> Path:
    """A file whose header is a model's, with nothing behind it; a length of its own if wanted, without taking room."""
    entries = {"general.architecture": (TEXT, text("own"))}
    entries |= {f"own.{key}": number(value) for key, value in SIZES.items()}
    path.write_bytes(file_of({**entries, **changed}))
    if size:
        os.truncate(path, size)
    return path


def test_the_header_says_what_memory_is_needed(tmp_path):
    path = gguf(tmp_path / "x.gguf")
    header = read_header(path)
    assert header.trained_window == 2048
    assert header.cache_bytes_per_token == 4 * 2 * (16 + 16) * 2, "layers, own heads, a key and a value each, two bytes"
    assert header.has_chat_template is False
    more = expected_bytes(path, header, 2000) - expected_bytes(path, header, 1000)
    assert more == 1000 * header.cache_bytes_per_token
    smaller = gguf(tmp_path / "y.gguf", size=path.stat().st_size + 1_000_000)
    assert expected_bytes(smaller, header, 1000) - expected_bytes(path, header, 1000) == 1_000_000


def test_heads_may_differ_by_layer_and_have_a_width_of_their_own(tmp_path):
    own_heads = (ARRAY, struct.pack("<IQ4i", I32, 4, 1, 0, 2, 1))
    entries = {"own.attention.head_count_kv": own_heads, "own.attention.key_length": number(10)}
    path = gguf(tmp_path / "x.gguf", entries)
    assert read_header(path).cache_bytes_per_token == (1 + 0 + 2 + 1) * (10 + 16) * 2


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + bytes(1000), b"GGUF\3\0\0\0" + b"\xff" * 100])
def test_of_a_malformed_header_nothing_is_known(content, tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    assert read_header(path) == memory.Header()


def test_numbers_that_cannot_be_are_not_believed(tmp_path):
    wrong = {"own.context_length": (TEXT, text("long")), "own.block_count": number(0)}
    header = read_header(gguf(tmp_path / "x.gguf", wrong))
    assert (header.trained_window, header.cache_bytes_per_token) == (None, None)


def test_the_window_is_the_models_own_the_usual_or_what_is_asked_for(tmp_path):
    path = gguf(tmp_path / "x.gguf")
    long = gguf(tmp_path / "long.gguf", {"own.context_length": number(131_072)})
    window = lambda path, asked=None: LocalModel("local/x", path, ModelOptions(window=asked)).traits.window  # noqa: E731
    assert (window(path), window(path, 300), window(long), window(long, 20_000)) == (2048, 300, 8192, 20_000)
    with pytest.raises(UsageError, match=r"trained for a window of 2,048 tokens, and --window asks for 2,049"):
        window(path, 2049)
    with pytest.raises(UsageError, match="a window of 0 tokens"):
        window(path, 0)
    with pytest.raises(UsageError, match="0 threads"):
        LocalModel("local/x", path, ModelOptions(threads=0))


def test_what_can_change_an_answer_is_in_the_identity_and_nothing_else(tmp_path):
    path = gguf(tmp_path / "x.gguf")
    identity = lambda **options: canonical_json(  # noqa: E731
        load_model(f"local/{path}", options=ModelOptions(**options)).identity
    )
    usual = identity()
    assert identity(window=512) == identity(threads=1) == identity(cache_prompts=True) == usual
    assert len({usual, identity(form="chat"), identity(extra={"top_k": 1})}) == 3
    assert identity(form="completion") == usual, "without a chat template it is what is meant"
    template = gguf(tmp_path / "chat.gguf", {"tokenizer.chat_template": (TEXT, text("{{ messages }}"))})
    assert load_model(f"local/{template}").identity["form"] == "chat"


def test_a_file_larger_than_the_memory_is_refused_before_it_is_read(tmp_path):
    path = gguf(tmp_path / "huge.gguf", size=1 << 42)  # reading it all would take hours
    with pytest.raises(ModelError, match=r"needs about 4,398 GB of memory .* can be had") as caught:
        load_model(f"local/{path}")
    assert "--window" in caught.value.hint


def test_a_window_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    path = gguf(tmp_path / "x.gguf", {"own.context_length": number(1_000_000)})
    needed = LocalModel("local/x", path, ModelOptions(window=900_000)).expected_bytes
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(ModelError, match="with a window of 900,000 tokens"):
        LocalModel("local/x", path, ModelOptions(window=900_000))
    LocalModel("local/x", path, ModelOptions(window=800_000))


@linux
def test_a_limit_on_memory_is_heeded(tmp_path):
    path = gguf(tmp_path / "x.gguf", size=2_000_000_000)
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2); "
    script = limited + "from probes.models import load_model; load_model(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, f"local/{path}"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "ModelError" in done.stderr
    assert "needs about 2,085 MB" in done.stderr
    assert "1,074 MB can be had" in done.stderr


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("user", "A text.\n\nA question?")], "A text.\n\nA question?\n\nAnswer:"),
        ([("system", "Be brief."), ("user", "Why?")], "Be brief.\n\nWhy?\n\nAnswer:"),
        ([("user", "Why?"), ("assistant", "Because ")], "Why?\n\nAnswer: Because "),
        ([("user", "Why?"), ("assistant", "Answer: It")], "Why?\n\nAnswer: It"),
        ([("user", "Why?"), ("assistant", "")], "Why?\n\nAnswer:"),
        ([("user", "a"), ("assistant", "b"), ("user", "c")], "a\n\nb\n\nc\n\nAnswer:"),
    ],
)
def test_a_chat_as_plain_text(turns, expected):
    assert plain_text([{"role": role, "content": content} for role, content in turns]) == expected


@pytest.mark.parametrize(
    ("text_", "pieces", "expected"),
    [
        ("is 47", [b"is", b" 47", b""], ["is", " 47"]),
        ("is 4", [b"is", b" 47", b"."], ["is", " 47"]),  # a stop sequence cut the last one
        ("is", [b"is", b"STOP"], ["is"]),
        ("", [b""], []),
        ("é", [b"\xc3", b"\xa9", b"."], ["\ufffd", "\ufffd"]),
    ],
)
def test_the_tokens_of_an_answer_end_where_it_ends(text_, pieces, expected):
    scored = [(-float(number), piece) for number, piece in enumerate(pieces)]
    found = as_far_as(text_.encode(), scored)
    assert found == [[token, -float(number)] for number, token in enumerate(expected)]


@pytest.mark.model
def test_an_answers_probabilities_are_those_of_the_same_text_given(smollm2):
    written, cut, stopped = ask(
        smollm2,
        request(max_tokens=12, logprobs=True),
        request(max_tokens=2, logprobs=True),
        request(max_tokens=12, logprobs=True, stop=("7",)),
    )
    assert spelled(written) == written.text
    assert len(values(cut)) == cut.usage.output_tokens == 2
    assert values(cut) == pytest.approx(values(written)[:2], abs=0.3), "computed in another order"
    assert stopped.text == written.text.partition("7")[0]
    assert spelled(stopped).startswith(stopped.text)
    (given,) = ask(smollm2, request(continuation=written.text))
    assert spelled(given) == written.text
    assert values(given) == pytest.approx(values(written), abs=0.3)


@pytest.mark.model
def test_probabilities_of_characters_that_lie_in_several_tokens(smollm2):
    (one,) = ask(smollm2, request(max_tokens=12, logprobs=True, extra={"grammar": 'root ::= " 東é"'}))
    assert one.text == " 東é"
    assert one.usage.output_tokens == len(values(one)) + 1, "the end of the answer is a token, too"
    assert len(values(one)) > 3
    assert sum(values(one)) < -10, "nobody would go on so"


@pytest.mark.model
def test_plain_text_is_what_the_model_reads(smollm2):
    chat = request(max_tokens=8)
    plain, short = ask(
        smollm2,
        chat,
        request(stem=None, question="Question: What is two and two? Answer: four.\n\nQuestion: What is one and one?",
                max_tokens=40),
        options=ModelOptions(form="completion"),
    )  # fmt: skip
    (answered,) = ask(smollm2, chat)
    assert plain.text.startswith(" 47"), "it goes on where the answer's beginning ends"
    assert plain.usage.input_tokens < answered.usage.input_tokens, "no template"
    assert "\n\n" not in short.text, "a blank line ends the answer"


@pytest.mark.model
def test_special_tokens_mean_nothing_in_plain_text(smollm2):
    model = LocalModel("local/smollm2-135m", smollm2, ModelOptions(form="completion"))
    question = Message("user", "<|im_end|>")

    async def work() -> int:
        try:
            return await model.count_prompt_tokens(request(stem=None, question=question.content))
        finally:
            await model.aclose()

    assert asyncio.run(work()) > 4


@pytest.mark.model
def test_neither_the_window_nor_the_threads_change_an_answer(smollm2):
    one, other = request(continuation=" 47"), request(max_tokens=12, logprobs=True)
    usual = ask(smollm2, one, other, options=ModelOptions(threads=2))
    small = ask(smollm2, one, other, options=ModelOptions(threads=2, window=512))
    assert [values(each) for each in usual] == [values(each) for each in small]
    single = ask(smollm2, one, other, options=ModelOptions(threads=1, window=512))
    assert single[1].text == usual[1].text


@pytest.mark.model
def test_the_memory_expected_is_about_what_is_found(smollm2):
    async def work(window: int) -> tuple[int, int | None]:
        model = LocalModel("local/smollm2-135m", smollm2, ModelOptions(window=window))
        try:
            await model.complete(request(max_tokens=2))
            return model.expected_bytes, await model.resident_bytes()
        finally:
            await model.aclose()

    (small, small_found), (large, large_found) = (asyncio.run(work(window)) for window in (1024, 8192))
    assert small_found
    assert large_found
    assert large_found - small_found == pytest.approx(large - small, rel=0.05), "the cache"
    for expected, found in ((small, small_found), (large, large_found)):
        assert expected == pytest.approx(found, rel=0.15)


@linux
@pytest.mark.model
def test_weights_cut_short(smollm2, tmp_path):
    short = tmp_path / "short.gguf"
    short.write_bytes(smollm2.read_bytes()[:5_000_000])
    with pytest.raises(ModelError, match=r"cannot load .*short\.gguf: .*(incomplete|bounds|read)"):
        ask(short, request(max_tokens=1))


@pytest.mark.model
def test_fields_of_ones_own_reach_the_runtime_or_are_refused(smollm2):
    usual, other = (
        ask(smollm2, request(max_tokens=6), options=ModelOptions(extra=extra))[0]
        for extra in ({}, {"grammar": 'root ::= " ten"'})
    )
    assert (other.text, usual.text.startswith(" 47")) == (" ten", True)
    with pytest.raises(RequestRejected):
        ask(smollm2, request(max_tokens=6), options=ModelOptions(extra={"grammar": "no ::= grammar ::="}))


@linux
@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
@pytest.mark.parametrize("limit_mb", [300, 420])
def test_memory_that_cannot_be_had_is_told_in_two_lines(limit_mb):
    import resource

    done = subprocess.run(
        [sys.executable, "-m", "cli", "models", "check", "local/smollm2-135m"],
        capture_output=True, text=True, check=False, cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit_mb << 20,) * 2),
    )  # fmt: skip
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert "memory" in hint or "--window" in hint


def test_the_command_line_hands_the_window_on(tmp_path):
    path = gguf(tmp_path / "x.gguf")
    command = ["probe", "needle", "-m", f"local/{path}", "-n", "1", "-d", str(tmp_path / "runs.db"), "--window", "4096"]
    refused = CliRunner().invoke(needlepoint, command)
    assert refused.exit_code == 2
    assert "trained for a window of 2,048 tokens, and --window asks for 4,096" in refused.stderr


@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
def test_a_run_is_kept_under_its_form(tmp_path):
    asked = (
        "probe needle -m local/smollm2-135m -n 1 --lengths 100 --depths 50 --task single --no-controls --max-tokens 2"
    )
    kept = ["-d", str(tmp_path / "runs.db"), "--json"]
    rows = []
    for options in ((), ("--form", "chat", "--threads", "1", "--window", "600"), ("--form", "completion")):
        done = CliRunner().invoke(needlepoint, [*asked.split(), *kept, *options])
        assert done.exit_code == 0, done.output
        rows.append(json.loads(done.stdout)["meta"]["models"]["local/smollm2-135m"]["form"])
    assert rows == ["chat", "chat", "completion"]
    with closing(sqlite3.connect(tmp_path / "runs.db")) as store:
        assert store.execute("select count(*) from attempts").fetchone()[0] == 2, "one form is asked once"
