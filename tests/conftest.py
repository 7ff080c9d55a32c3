"""What every test may rely on: a home of its own, no key, no network but loopback, the real weights on request."""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import settings

settings.register_profile("needlepoint", deadline=None)  # a busy machine is no defect
settings.load_profile("needlepoint")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the commands that tests start would compile every module each time

REAL_DATA = Path(os.environ.get("NEEDLEPOINT_HOME", "") or ".") / "data"
if "NEEDLEPOINT_HOME" not in os.environ:
    REAL_DATA = Path(platformdirs.user_data_dir("needlepoint"))
REQUIRED = set(filter(None, os.environ.get("REQUIRE", "").split(",")))


@pytest.fixture(autouse=True)
def own_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> Path:
    """Point needlepoint at an empty home, and take away everything that could spend money or change the output.

    Only compiled kernels are shared, by all tests and all runs of them: making them takes many seconds.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "cache").mkdir()
    (home / "cache" / "kernels").symlink_to(pytestconfig.cache.mkdir("kernels"), target_is_directory=True)
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith("NEEDLEPOINT_") or name in {"TIKTOKEN_CACHE_DIR", "COLUMNS"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("NEEDLEPOINT_HOME", str(home))
    return home


WEIGHTS = REAL_DATA / "models" / "smollm2-135m.gguf"
NO_WEIGHTS = f"no weights at {WEIGHTS}: run `make quickstart` or `needlepoint models fetch smollm2-135m`"


@pytest.fixture
def smollm2_if_here(own_home: Path) -> Path | None:
    """The small real model's weights, linked into the test's own home; with `REQUIRE=model` they must be there."""
    if not WEIGHTS.exists():
        if "model" in REQUIRED:
            pytest.fail(NO_WEIGHTS)
        return None
    target = own_home / "data" / "models" / WEIGHTS.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(WEIGHTS, target)
    except OSError:
        shutil.copyfile(WEIGHTS, target)
    return target


@pytest.fixture
def smollm2(smollm2_if_here: Path | None) -> Path:
    """The small real model's weights; a test that needs them is skipped where they are absent."""
    return smollm2_if_here or pytest.skip(NO_WEIGHTS)


BROWSER_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


class Chromium:
    """A browser in a thread of its own: playwright keeps an event loop running where it lives, and tests run others."""

    def __init__(self, path: str) -> None:
        from playwright.sync_api import sync_playwright

        self._thread = ThreadPoolExecutor(max_workers=1)
        self._playwright = self._thread.submit(sync_playwright().start).result()
        launch = partial(self._playwright.chromium.launch, executable_path=path, args=list(BROWSER_OPTIONS))
        self._browser = self._thread.submit(launch).result()

    def __call__(self, look: Callable[[Any], None]) -> None:
        """Do something with the browser, and wait for it."""
        self._thread.submit(look, self._browser).result()

    def close(self) -> None:
        self._thread.submit(self._browser.close).result()
        self._thread.submit(self._playwright.stop).result()
        self._thread.shutdown()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The system's Chromium, one for the session; with `REQUIRE=browser` it must be there."""
    path = shutil.which("chromium")
    if path is None:
        missing = "no chromium on the PATH: on Debian and Ubuntu, apt-get install chromium"
        if "browser" in REQUIRED:
            pytest.fail(missing)
        pytest.skip(missing)
    browser = Chromium(path)
    yield browser
    browser.close()
