"""Models of other packages: the sample under samples/plugin, and packages that are broken."""

import asyncio
import sys
from pathlib import Path

import pytest

from probes.models import load_model
from probes.models.base import Message, Request
from probes.models.options import ModelOptions
from probes.plugins import plugin_names
from tokenizer.errors import UsageError, UserError

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "plugin"


def installed(folder: Path, entry: str, package: str = "needlepoint-parrot") -> None:
    """What an installer leaves behind: a directory of metadata beside the module."""
    metadata = folder / f"{package.replace('-', '_')}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[needlepoint.models]\n{entry}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_sample_answers(folder: Path) -> None:
    import tomllib

    project = tomllib.loads((SAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
    ((name, value),) = project["project"]["entry-points"]["needlepoint.models"].items()
    for module in project["tool"]["setuptools"]["py-modules"]:
        (folder / f"{module}.py").write_bytes((SAMPLE / f"{module}.py").read_bytes())
    installed(folder, f"{name} = {value}", project["project"]["name"])
    assert plugin_names("needlepoint.models") == {"parrot": "needlepoint-parrot"}
    model = load_model("parrot/grey", options=ModelOptions(window=100))
    assert (model.name, model.traits.window) == ("parrot/grey", 100)
    request = Request((Message("user", "Polly wants a cracker"),), max_tokens=2)
    assert asyncio.run(model.complete(request)).text == "a cracker"
    assert asyncio.run(model.count_prompt_tokens(request)) == 4
    with pytest.raises(UsageError, match="takes no base URL"):
        load_model("parrot/grey", base_url="http://127.0.0.1:1")
    sys.modules.pop("needlepoint_parrot")


def test_a_package_that_cannot_be_imported_is_named(folder: Path) -> None:
    installed(folder, "broken = no_such_module_here:make")
    with pytest.raises(UserError, match="needlepoint-parrot brings 'broken' but cannot be loaded") as caught:
        load_model("broken/x")
    assert "needlepoint-parrot" in caught.value.hint


def test_two_packages_with_one_name_are_told(folder: Path) -> None:
    installed(folder, "twice = math:sqrt")
    installed(folder, "twice = math:floor", "another-parrot")
    with pytest.raises(UserError, match="another-parrot and needlepoint-parrot both bring 'twice'"):
        load_model("twice/x")


def test_a_package_cannot_take_the_place_of_an_endpoint(folder: Path) -> None:
    installed(folder, "openai = math:sqrt")
    assert load_model("openai/m").identity["endpoint"] == "api.openai.com"
