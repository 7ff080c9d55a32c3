"""`--where KEY=VALUE`: some trials of a run, by the facts of their cells and by what became of them."""

import difflib
from collections.abc import Sequence
from typing import Any

from probes.store_rows import TrialRow
from probes.trial_rows import CELL, judged
from tokenizer.errors import UsageError

NOTHING = ("", "null", "none")
MOST_SHOWN = 8
PERCENT = ("depth", "actual_depth")  # shares in a cell, but percent for people, as in --depths


def trials_where(probe: str, trials: Sequence[TrialRow], conditions: Sequence[str]) -> list[TrialRow]:
    """The trials that meet all conditions; several values of one key are alternatives.

    Numbers compare as numbers, depths in percent, words without regard to case, and `null` is what is not there.

    Raises:
        UsageError: a condition is not KEY=VALUE, there is no such key (with the nearest), or no trial has the value.

    Example: trials_where("needle", trials, ["depth=50", "outcome=miss", "outcome=refusal"])
    """
    wanted = _parsed(conditions)
    facts = [_facts(probe, trial) for trial in trials]
    known = list(dict.fromkeys(key for fact in facts for key in fact))
    for key, values in wanted.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            raise UsageError(f"no trial has a key {key!r}", hint=f"{hint}the keys are {', '.join(known)}")
        _check_values(key, values, [fact.get(key) for fact in facts])
    found = [
        trial
        for trial, fact in zip(trials, facts, strict=True)
        if all(any(_same(key, fact.get(key), value) for value in values) for key, values in wanted.items())
    ]
    if not found:
        raise UsageError(f"no trial meets all of {', '.join(conditions)}", hint="leave one of the conditions out")
    return found


def _parsed(conditions: Sequence[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for condition in conditions:
        key, sign, value = condition.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"--where {condition!r} is not KEY=VALUE", hint="e.g. --where depth=50")
        wanted.setdefault(key.strip().removeprefix(CELL), []).append(value.strip())
    return wanted


def _check_values(key: str, values: Sequence[str], there: Sequence[Any]) -> None:
    if any(_same(key, one, value) for one in there for value in values):
        return
    shown = list(dict.fromkeys(_written(key, one) for one in there))
    more = f" and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
    unit = ", in percent of the text," if key in PERCENT else ""
    hint = f"{key}{unit} is one of {', '.join(shown[:MOST_SHOWN])}{more}"
    raise UsageError(f"no trial has {key}={' or '.join(values)}", hint=hint)


def _facts(probe: str, trial: TrialRow) -> dict[str, Any]:
    """What a trial can be chosen by: its cell, and on top of it what names it and what became of it."""
    result = trial.result
    cell = {key: value for key, value in result.trial.cell.items() if not isinstance(value, list | dict)}
    return {
        **cell,
        "position": trial.position,
        "trial": result.trial_id,
        "model": result.model,
        "block": result.trial.block,
        "state": trial.state,
        "outcome": judged(probe, result).outcome,
        "stop_reason": result.completion.stop_reason if result.completion else None,
        "error_kind": result.error_kind,
    }


def _written(key: str, fact: Any) -> str:
    """A fact as it is to be written after --where."""
    if fact is None:
        return "null"
    return f"{100 * fact:g}" if key in PERCENT else str(fact)


def _same(key: str, fact: Any, value: str) -> bool:
    if fact is None:
        return value.lower() in NOTHING
    if isinstance(fact, bool):
        return value.lower() in (("true", "yes") if fact else ("false", "no"))
    if isinstance(fact, int | float):
        try:
            if key in PERCENT:
                return abs(float(value.removesuffix("%")) - 100 * fact) < 1e-6
            return float(value) == float(fact)
        except ValueError:
            return False
    return str(fact).lower() == value.lower()
