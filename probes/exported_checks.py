"""Can a row be what `runs export` wrote? Its words must be known, its numbers possible, and no trial there twice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from probes.identity import identity_hash
from probes.models.base import StopReason, canonical_json
from probes.scoring import OUTCOMES
from probes.store_rows import TrialState
from probes.trial_rows import CELL, SCHEMA, flat_cell

WORDS: Mapping[str, tuple[Any, ...]] = {
    "schema": (SCHEMA,),
    "probe": ("needle", "placement", "judge"),
    "state": get_args(TrialState),
    "outcome": (*OUTCOMES, "read", "unreadable", None),  # two words are of judges
    "stop_reason": (*get_args(StopReason), None),
}
WHOLE = (
    *("position", "block", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "prompt_tokens_evaluated", "calls"),
)
MOST_SHOWN = 60  # characters of a value that is refused
SHARES = ("depth", "actual_depth")  # of a cell
_NONE = type(None)
# What a row, its cell and its spec hold under a key, where they have it; and what a list of theirs holds.
ROW_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("run", "created_utc", "model", "trial"), (str,)),
    **dict.fromkeys(("cell", "request", "spec"), (dict,)),
    **dict.fromkeys(("answer", "error_kind", "error_text", "served_model", "answered_by"), (str, _NONE)),
    **dict.fromkeys(("logprobs", "dropped"), (list, _NONE)),
}
CELL_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("arm", "layout", "place", "structure", "context", "prompt_style", "framing", "task"), (str,)),
    **dict.fromkeys(("measure", "answer", "name", "judged_model"), (str,)),
    **dict.fromkeys(("control", "document"), (str, _NONE)),
    **dict.fromkeys(("asked", "offered"), (int, _NONE)),
    **dict.fromkeys(("needles", "sample"), (int,)),
    **dict.fromkeys(("depth", "temperature"), (int, float, _NONE)),
    **dict.fromkeys(
        ("values", "names", "expected", "speakers", "kinds", "positions", "right", "kept", "order"), (list,)
    ),
    **dict.fromkeys(("constraints", "judged"), (dict,)),
}
SPEC_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("seed", "blocks"), (int,)),
    **dict.fromkeys(("lengths", "contrasts", "place", "measure", "depths", "document", "haystack"), (list,)),
    "declared": (dict, _NONE),
    "equivalence": (int, float),
}
HELD: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("values", "names", "expected", "speakers", "kinds", "place", "measure"), (str,)),
    **dict.fromkeys(("right", "kept", "order"), (int,)),
    **dict.fromkeys(("positions", "depths"), (int, float)),
    "lengths": (int, str),
    "contrasts": (list,),
}
# What no cell of a probe is without, in whatever version.
NEEDED = {
    "needle": ("asked", "depth", "layout"),
    "placement": ("arm", "block", "measure", "names", "values", "length_tokens"),
    "judge": ("arm", "block", "names", "values", "kept", "order", "judged", "judged_model", "sample", "length_tokens"),
}
COUNTS = ("length_tokens", "document_tokens", "haystack_tokens", "offset")


def check_row(row: Mapping[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError for a row that no run can have, or whose request was changed."""
    for key, known in WORDS.items():
        if row[key] not in known:
            raise ValueError(f"its {key} is {row[key]!r}, not {known[0]!r}" if len(known) == 1 else _unknown(key, row))
    _check_kinds("", row, ROW_KINDS)
    _check_kinds("spec ", row["spec"], SPEC_KINDS, needed=("seed",))
    _check_kinds("cell ", row["cell"], CELL_KINDS, needed=NEEDED[row["probe"]])
    if row["trial"] != identity_hash(canonical_json(row["request"])):
        raise ValueError("its trial id is not that of its request")
    for key in WHOLE:
        _check_number(key, row.get(key), whole=True)
    for key in ("latency_s", "first_token_s", "cost_usd"):
        _check_number(key, row.get(key))
    if (row["state"] == "answered") != isinstance(row["answer"], str):
        raise ValueError(f"its state is {row['state']}, and it has {'no' if row['answer'] is None else 'an'} answer")
    _check_cell(row)


def _check_kinds(
    whose: str, found: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]], *, needed: Sequence[str] = ()
) -> None:
    """Refuse what lacks a key that is needed, or holds a value of another kind than stands under that key."""
    for key in needed:
        if key not in found:
            raise ValueError(f"its {whose.strip()} has no {key}")
    for key in kinds.keys() & found.keys():
        value, held = found[key], HELD.get(key)
        is_known = type(value) in kinds[key]
        if not is_known or (isinstance(value, list) and held and any(type(each) not in held for each in value)):
            raise ValueError(f"its {whose}{key} is {_shortened(value)}, which no run has there")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _unknown(key: str, row: Mapping[str, Any]) -> str:
    words = ", ".join(str(word) for word in WORDS[key] if word is not None)
    return f"its {key} is {row[key]!r}, and known are {words}"


def _check_cell(row: Mapping[str, Any]) -> None:
    cell = row["cell"]
    for key, value in flat_cell(cell).items():
        if key in row and row[key] != value and str(row[key]) not in (str(value), str(value).lower()):
            raise ValueError(f"its {key} is {row[key]!r}, and its cell has {value!r} there")
    for key in SHARES:
        _check_number(f"{CELL}{key}", cell.get(key), most=1)
    for place in cell.get("positions") or ():
        _check_number("position in the document", place, most=1)
    for key in COUNTS:
        _check_number(f"{CELL}{key}", cell.get(key), whole=True)
    if cell.get("block", row["block"]) != row["block"]:
        raise ValueError(f"its block is {row['block']!r}, and its cell has {cell['block']!r} there")
    values = cell.get("values") or ()
    for number in (cell.get("asked"), cell.get("offered"), *(cell.get("right") or ())):
        if number is not None and not (type(number) is int and 0 <= number < len(values)):
            raise ValueError(f"its cell asks for value {number!r}, and there are {len(values)}")


def _check_number(key: str, value: object, *, whole: bool = False, most: float = math.inf) -> None:
    if value is None:
        return
    is_one = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_one or not 0 <= float(cast("float", value)) <= most or value == math.inf:
        limits = "from 0 to 1" if most == 1 else "from 0 on"
        raise ValueError(f"its {key} is {value!r}, and no {'whole ' if whole else ''}number {limits}")


class Together:
    """What rows of one run must agree in, told as they come: one spec, each position once, one answer to a trial."""

    def __init__(self) -> None:
        self._place_of: dict[int, str] = {}
        self._first: dict[str, tuple[str, Any]] = {}
        self._run: tuple[Any, ...] | None = None

    def check(self, row: Mapping[str, Any], place: str) -> None:
        """Raise ValueError where the row, which stands at `place`, cannot be there beside those before it."""
        run = tuple(canonical_json(row[key]) for key in ("probe", "spec", "created_utc"))
        self._run = self._run or run
        if run != self._run:
            raise ValueError(f"it says other things of run {row['run']} than the rows before it")
        if earlier := self._place_of.get(row["position"]):
            raise ValueError(f"position {row['position']} of run {row['run']} was there already, in {earlier}")
        self._place_of[row["position"]] = place
        said = (row["state"], row["answer"], row["stop_reason"])
        earlier, before = self._first.setdefault(row["trial"], (place, said))
        if said != before:
            raise ValueError(f"the same trial has another answer in {earlier}")
