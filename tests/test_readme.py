"""The README shows what the commands print today, and every command and file that it names is there."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import commands, needlepoint

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("smollm2_if_here")
def test_the_outputs_and_the_reference_are_todays() -> None:
    command = [sys.executable, "-m", "cogapp", "-P", "--check", "--diff", "README.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make readme`\n{done.stdout}"


def test_every_command_has_its_help_and_its_real_output() -> None:
    for path, command in commands("needlepoint", needlepoint):
        assert f"<summary><code>{path}</code></summary>" in README
        if not hasattr(command, "commands") and path != "needlepoint quickstart":  # the quickstart is the picture
            assert re.search(rf"^\$ {path} ", README + " ", flags=re.MULTILINE) or f"$ {path}\n" in README, path


def test_the_python_examples_give_what_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        example = doctest.DocTestParser().get_doctest(block, {}, "README", "README.md", 0)
        assert doctest.DocTestRunner().run(example).failed == 0


def test_every_file_that_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target


def test_every_make_target_that_is_named_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
