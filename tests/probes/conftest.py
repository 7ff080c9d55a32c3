"""Where a test's run store lies, and the store itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.store import Store

KEY = "sk-sentinel-4Xb7Qm2ZpW9tLr5n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key in the environment for every endpoint that wants one; it must not appear anywhere else."""
    for name in ("ANTHROPIC", "OPENAI", "GEMINI", "OPENROUTER"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    return KEY
