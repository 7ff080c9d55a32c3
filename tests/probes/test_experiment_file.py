"""Experiment files are checked whole before anything runs, and every complaint names the place and a way out."""

from pathlib import Path

import pytest

from probes.experiment_file import read_experiment_file
from probes.experiments.needle import NeedleOptions
from probes.experiments.placement import PlacementOptions
from tokenizer.errors import UsageError

GOOD = """
models = ["sim/perfect"]
seed = 7
store = "kept/runs.db"

[[experiment]]
probe = "needle"
lengths = [200]
haystack = ["novel.txt"]

[[experiment]]
probe = "placement"
seed = 3
place = ["before", "after"]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file_is_read_with_paths_beside_it(tmp_path: Path) -> None:
    found = read_experiment_file(write(tmp_path, GOOD))
    assert found.models == ("sim/perfect",)
    assert found.store == tmp_path / "kept/runs.db"
    assert found.experiments == (
        ("needle", NeedleOptions(lengths=(200,), seed=7, haystack=(tmp_path / "novel.txt",))),
        ("placement", PlacementOptions(seed=3, place=("before", "after"))),
    )


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("model = 'sim/perfect'\n", "unknown key 'model'", "'models'"),
        ("[[experiment]]\nprobe = 'needle'\nblock = 3\n", "unknown key 'block'", "'blocks'"),
        ("[[experiment]]\nprobe = 'noodle'\n", "there is no probe 'noodle'", "needle, placement"),
        ("[[experiment]]\nblocks = 3\n", "probe is missing", "needle, placement"),
        (
            "[[experiment]]\nprobe = 'needle'\nmodels = ['sim/perfect']\n",
            "unknown key 'models'",
            "at the top of the file",
        ),
        ("[[experiment]]\nprobe = 'needle'\nblocks = 0\n", "blocks", "--help"),
        ("[[experiment]]\nprobe = 'needle'\nblocks = 'many'\n", "blocks", "--help"),
        ("seed = 'x'\n[[experiment]]\nprobe = 'needle'\n", "seed", "--help"),
        ("[[experiment]]\nprobe = 'placement'\nplace = ['beside']\n", "place", "--help"),
        ("models = ['sim/perfect']\n", "asks for nothing", "[[experiment]]"),
        ("models = 'sim/perfect'\n", "not a list", "models ="),
        ("models = [\n", "not TOML", "samples"),
    ],
)
def test_nonsense_is_refused_with_a_way_out(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_experiment_file(write(tmp_path, text))
    assert what in str(caught.value)
    assert hint in caught.value.hint


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not TOML"):
        read_experiment_file(path)
