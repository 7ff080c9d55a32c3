"""Compiled code that is kept between processes: found again without Numba, and never run when it may be another's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

KERNEL = """
import sys
from tokenizer.kernels.compiling import kernel

@kernel("int64(int64)")
def twice(number: int) -> int:
    return 2 * number

print(twice(21), "numba" in sys.modules)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run(home: Path, code: str = KERNEL) -> str:
    environment = os.environ | {"NEEDLEPOINT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.splitlines()[-1]


def kept(home: Path) -> list[Path]:
    return [path for path in (home / "cache" / "kernels").rglob("*") if path.is_file()]


def test_the_second_process_needs_no_numba(home: Path) -> None:
    assert run(home) == "42 True"
    assert [path.name for path in kept(home)] == ["__main__.twice"]
    assert run(home) == "42 False"


def test_code_that_is_damaged_or_open_to_others_is_compiled_again(home: Path) -> None:
    run(home)
    (path,) = kept(home)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert run(home) == "42 True"
    assert kept(home) == [path]
    path.chmod(0o666)
    assert run(home) == "42 True"
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    os.mkfifo(path)
    assert run(home) == "42 True"
    assert run(home) == "42 False"


def test_whether_kernels_were_compiled_is_told_without_importing_what_compiles_them(home: Path) -> None:
    code = "import sys; from tokenizer import engines; print(engines.were_compiled(), 'llvmlite' in sys.modules)"
    assert run(home, code) == "False False"
    run(home)
    assert run(home, code) == "True False"
    home.rename(home.with_name("elsewhere"))
    home.write_text("a file where the directory should be", encoding="utf-8")
    assert run(home, code) == "False False"


def test_where_nothing_can_be_kept_it_is_compiled_each_time(home: Path) -> None:
    home.write_text("a file where the directory should be", encoding="utf-8")
    assert run(home) == run(home) == "42 True"


def test_a_missing_numba_is_told_by_the_import_as_long_as_nothing_is_kept(home: Path) -> None:
    assert "ModuleNotFoundError" in run(home, f"import sys; sys.modules['numba'] = None\n{KERNEL}")
    run(home)
    assert run(home, f"import sys; sys.modules['numba'] = None\n{KERNEL}") == "42 True"
