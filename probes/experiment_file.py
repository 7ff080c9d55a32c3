"""Experiment files: TOML that says which probes to run on which models, with every key checked before anything runs.

models = ["local/smollm2-135m"]
seed = 1

[[experiment]]
probe = "needle"
blocks = 10
lengths = [500, 1000]
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from probes.experiments import common
from probes.experiments.needle_options import NeedleOptions, refuse_shares
from probes.experiments.placement_options import PlacementOptions
from probes.toml_files import parse_toml
from tokenizer.errors import UsageError

Options = TypeVar("Options", bound=BaseModel)
ExperimentOptions = NeedleOptions | PlacementOptions
OPTIONS: dict[str, type[NeedleOptions] | type[PlacementOptions]] = {
    "needle": NeedleOptions,
    "placement": PlacementOptions,
}
# What a run was whose spec has not yet a word for it, so that the same prompts are made again.
BEFORE: Mapping[str, Mapping[str, Any]] = {"needle": {"controls": ("absent",)}}


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """A whole experiment file, checked: each experiment is the name of its probe and its options."""

    models: tuple[str, ...]
    store: Path | None
    experiments: tuple[tuple[str, ExperimentOptions], ...]


def read_experiment_file(path: Path) -> ExperimentFile:
    """Read and check an experiment file; paths in it are relative to it.

    Raises:
        UsageError: not TOML, an unknown key (with the nearest known one), or a value out of its range.
    """
    raw = parse_toml(path.read_bytes(), path, hint="see samples/needle.toml for the shape")
    _refuse_unknown(raw, {"models", "seed", "store", "experiment"}, str(path))
    models, store, entries = raw.get("models", []), raw.get("store"), raw.get("experiment")
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        raise UsageError(f"{path}: models is not a list of names", hint='models = ["local/smollm2-135m"]')
    if store is not None and not isinstance(store, str):
        raise UsageError(f"{path}: store is not a path", hint='store = "runs.db"')
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path} asks for nothing", hint='add a table [[experiment]] with probe = "needle"')
    experiments = tuple(
        _read_entry(entry, raw.get("seed", 1), path.parent, f"{path}, experiment {number}")
        for number, entry in enumerate(entries, 1)
    )
    return ExperimentFile(tuple(models), _path(path.parent, store) if store else None, experiments)


def _read_entry(entry: Any, seed: Any, folder: Path, where: str) -> tuple[str, ExperimentOptions]:
    probe = entry.get("probe") if isinstance(entry, dict) else None
    if not isinstance(probe, str) or probe not in OPTIONS:
        what = "probe is missing" if probe is None else f"there is no probe {probe!r}"
        raise UsageError(f"{where}: {what}", hint=f"the probes are {', '.join(OPTIONS)}")
    values = {"seed": seed, **{key: value for key, value in entry.items() if key != "probe"}}
    _refuse_unknown(values, set(OPTIONS[probe].model_fields) | {"probe"}, where, above=("models", "store"))
    try:
        refuse_shares(values.get("depths"))
    except ValueError as err:
        raise UsageError(f"{where}: depths: {err}", hint="e.g. depths = [0, 50, 100]") from err
    return probe, checked(OPTIONS[probe], with_paths(values, folder), where=where)


def with_paths(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The values with every file's path made absolute, from a folder, so that the run can be shown from anywhere.

    A ruler is the name of a tokenizer unless there is such a file.
    """
    found = dict(values)
    for key in ("haystack", "needles", "document", "instruction_file"):
        if isinstance(found.get(key), str | Path):
            found[key] = _path(folder, found[key]).absolute()
        elif isinstance(found.get(key), list | tuple):
            found[key] = [_path(folder, each).absolute() for each in found[key]]
    if isinstance(found.get("ruler"), str) and _path(folder, found["ruler"]).is_file():
        found["ruler"] = str((folder / found["ruler"]).absolute())
    return found


def _path(folder: Path, name: object) -> Path:
    if "\0" in str(name):
        raise UsageError("a path holds a NUL character", hint="no file has such a name")
    return folder / str(name)


def options_of_spec(probe: str, spec: Mapping[str, Any]) -> ExperimentOptions:
    """The options of a run that is kept, also of one from before there were so many.

    Raises:
        UsageError: the spec is not one of ours.
    """
    kind = OPTIONS[probe]
    known = {key: value for key, value in spec.items() if key in kind.model_fields}
    return checked(kind, {**BEFORE.get(probe, {}), **known}, where="the run's spec")


def with_windows(options: ExperimentOptions, windows: Sequence[int | None]) -> ExperimentOptions:
    """The options with lengths that are shares of a window as tokens, by the smallest window of the models.

    Raises:
        UsageError: there is a share, and no model says how large its window is.
    """
    return common.with_windows(options, windows)


def checked(kind: type[Options], values: dict[str, Any], *, where: str) -> Options:
    """Make options from values, or say in one line which value cannot be and why.

    Raises:
        UsageError: for the first value that cannot be.
    """
    try:
        return kind(**values)
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        said = f"{place}: {message}" if place else message
        raise UsageError(f"{where}: {said}", hint="`--help` of the probe lists what it takes") from err


def _refuse_unknown(values: dict[str, Any], known: set[str], where: str, above: Sequence[str] = ()) -> None:
    for key in values:
        if key not in known:
            nearest = difflib.get_close_matches(key, sorted(known), n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(known))}"
            if key in above:
                hint = "it belongs at the top of the file, before the first [[experiment]]"
            raise UsageError(f"{where}: unknown key {key!r}", hint=hint)
