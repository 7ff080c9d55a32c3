"""What a short command loads, and that it does so on odd machines, too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = [
    *("numpy", "numba", "scipy", "pydantic", "tiktoken", "tokenizers", "openai", "anthropic", "rich", "asyncio"),
    *("matplotlib", "jinja2"),
]
TEXT = "Wörter, some words 🌍"
COUNTS = {"gpt2": "9", "cl100k": "9", "o200k": "7"}  # tiktoken's

# Runs a command in this process and tells on stderr which heavy modules it loaded and which ranks it read whole.
PROBE = f"""
import sys
from cli.main import needlepoint
from tokenizer import packed, registry
seen = []
whole, read = packed.PackedVocabulary.whole, registry.ranks_from_member
packed.PackedVocabulary.whole = lambda self: (seen.append("whole"), whole(self))[1]
registry.ranks_from_member = lambda *arguments: (seen.append("read"), read(*arguments))[1]
needlepoint(sys.argv[1:], standalone_mode=False)
print([name for name in {HEAVY!r} if name in sys.modules], seen, file=sys.stderr)
"""


def run(*arguments: str, code: str = PROBE, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("name", COUNTS)
def test_from_the_second_use_on_a_short_text_needs_no_numpy_and_no_pass_over_the_vocabulary(name: str) -> None:
    first, second = (run("tok", "count", TEXT, "-t", name) for _ in range(2))
    assert first.stderr.splitlines()[-1] == "[] ['read']"
    assert second.stderr.splitlines()[-1] == "[] []"
    assert first.stdout.split() == second.stdout.split() == [COUNTS[name]]


def test_encode_and_decode_need_no_more() -> None:
    run("tok", "count", "x", "-t", "cl100k")
    encoded = run("tok", "encode", TEXT, "-t", "cl100k")
    assert encoded.stderr.splitlines()[-1] == "[] []"
    decoded = run("tok", "decode", encoded.stdout, "-t", "cl100k")
    assert decoded.stderr.splitlines()[-1] == "[] []"
    assert decoded.stdout == TEXT


def test_a_home_that_cannot_be_written_changes_no_answer(tmp_path: Path) -> None:
    no_directory = tmp_path / "file"
    no_directory.touch()
    for _ in range(2):
        done = run("tok", "count", TEXT, "-t", "cl100k", NEEDLEPOINT_HOME=str(no_directory))
        assert done.stdout.split() == [COUNTS["cl100k"]]
        assert done.stderr.splitlines()[-1] == "[] ['read']"


def test_news_of_the_engine_goes_to_stderr() -> None:
    code = PROBE + "from tokenizer import engines; engines.announce('compiling'); engines.regret('no luck')"
    done = run("tok", "count", "x", "-t", "small", code=code)
    assert done.stderr.splitlines()[-2:] == ["compiling", "warning: no luck"]
    assert done.stdout == "1\n"


@pytest.mark.skipif(os.name != "posix", reason="signals are another matter here")
@pytest.mark.parametrize("module", ["click", "importlib.metadata", "tokenizer"])
def test_an_interrupt_while_the_command_is_loaded_is_told_without_a_traceback(module: str) -> None:
    code = f"""
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
for name in [name for name in sys.modules if name.startswith({module!r})]:
    del sys.modules[name]
sys.meta_path.insert(0, Interrupting())
from cli.main import main
sys.argv = ["needlepoint", "--version"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in (-signal.SIGINT, 130)
    error, hint = done.stderr.splitlines()
    assert (error, hint[:6], done.stdout) == ("error: interrupted", "hint: ", "")
    broken = subprocess.run(
        [sys.executable, "-c", "import cli; 1 / 0"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "ZeroDivisionError" in broken.stderr
