"""The house stands as it is drawn: imports point one way, and the installed wheel works away from the clone."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {"tokenizer": {"tokenizer"}, "probes": {"probes", "tokenizer"}, "cli": {"cli", "probes", "tokenizer"}}
FILES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            assert top not in MAY_IMPORT or top in MAY_IMPORT[package], f"{path}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def test_nothing_else_stands_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "Makefile", ".gitignore", ".ci"}
    assert top <= allowed | {"cli", "tokenizer", "probes", "tests", "samples"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git knows, so that nothing is written into the clone."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                copy = source / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(target), str(source)], check=True)
    return next(target.glob("*.whl"))


def test_the_wheel_holds_the_three_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name.split("/")[0]}
    assert tops == set(MAY_IMPORT)
    data = [path for package in MAY_IMPORT for glob in ("data/*", "*.j2") for path in (ROOT / package).rglob(glob)]
    expected = {str(path.relative_to(ROOT)) for path in data if path.is_file()}
    assert expected <= set(names)
    assert {str(path.relative_to(ROOT)) for path in FILES} <= set(names)


def test_the_installed_wheel_works_outside_the_clone(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    environment = os.environ | {"PYTHONPATH": str(installed), "NEEDLEPOINT_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> str:
        code = "import sys; sys.path[:] = [p for p in sys.path if p != '']; from cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("tok", "count", "-t", "small", "a few words").strip().isdigit()
    assert "cli" in subprocess.run(
        [sys.executable, "-P", "-c", "import cli; print(cli.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    table = run("probe", "needle", "-m", "sim/perfect", "-n", "1", "--lengths", "150", "--jsonl")
    assert '"asked_rate": 1.0' in table
    assert run("runs", "report", "-n", "1").startswith("<!DOCTYPE html>")
