"""Models and tasks of other installed packages, found by their entry points.

A package declares them in its pyproject.toml, here a provider of models named `acme`:

    [project.entry-points."needlepoint.models"]
    acme = "acme_models:make_model"
"""

from importlib import metadata
from typing import Any

from tokenizer.errors import UserError


def plugin(group: str, name: str) -> Any | None:
    """What an installed package offers under this name, imported; None where no package does.

    Raises:
        UserError: two packages offer the name, or the one that does cannot be imported.

    Example: plugin("needlepoint.models", "acme") -> <function make_model>
    """
    found = list(metadata.entry_points(group=group, name=name))
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in found))
        raise UserError(f"{packages} both bring {name!r} as one of {group}", hint="uninstall one of them")
    try:
        return found[0].load()
    except Exception as err:  # another package's code: whatever it raises, it is the one to blame
        raise UserError(
            f"{_package(found[0])} brings {name!r} but cannot be loaded: {type(err).__name__}: {err}",
            hint=f"reinstall {_package(found[0])}, or ask its authors",
        ) from err


def plugin_names(group: str) -> dict[str, str]:
    """Every name that installed packages offer, with the package it comes from; nothing is imported."""
    return {entry.name: _package(entry) for entry in sorted(metadata.entry_points(group=group))}


def _package(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
