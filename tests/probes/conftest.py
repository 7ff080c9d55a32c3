"""Where a test's run store lies, and the store itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened
