"""What the run store knows of a model before a run: what it has answered of a plan, and how long its calls take.

The file is only read, and never made or brought up to date: looking must change nothing.
"""

import sqlite3
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from probes.identity import trial_id
from probes.models.base import Model, Usage, canonical_json
from probes.plan import Plan
from probes.store import plan_hash
from probes.store_file import translated
from probes.store_rows import SPENT, UNFINISHED, Spent

RECENT_CALLS = 500
AT_A_TIME = 500  # values in one statement

_ANSWERED = "select trial_id, input_tokens, output_tokens from completions where trial_id in ({})"
_RECENT = """
    select latency_s, json_extract(request_json, '$.continuation') is not null as is_continuation
    from attempts join trials on trials.id = attempts.trial_id
    where status = 'ok' and latency_s is not null and json_extract(request_json, '$.model') = ?
    order by attempts.id desc limit ?"""


@dataclass(frozen=True, slots=True)
class Experience:
    """What is known of one model. `answered`: the usage of each answer to a trial of the plan, by its index there.

    `seconds`: the mean time of a recent call, by whether it asked for a continuation; empty where there was none.
    """

    answered: Mapping[int, Usage] = field(default_factory=dict)
    seconds: Mapping[bool, float] = field(default_factory=dict)

    def seconds_of(self, *, continuation: bool) -> float | None:
        """How long a call takes; of the other kind where only that is known."""
        return self.seconds.get(continuation, self.seconds.get(not continuation))


def read_experience(path: Path | None, plan: Plan, models: Sequence[Model]) -> list[Experience]:
    """What the store at `path` knows of each model; nothing where there is no such file.

    Raises:
        UserError: the file cannot be read, or is no run store.
    """
    if path is None or not path.exists():
        return [Experience() for _ in models]
    with translated(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        is_store = connection.execute("select 1 from sqlite_master where name = 'completions'").fetchone()
        if is_store is None:  # an empty file is a store to be; what is no store is refused when the run begins
            return [Experience() for _ in models]
        return [Experience(_answered(connection, plan, model), _seconds(connection, model)) for model in models]


def spent_before(path: Path | None, plan: Plan, models: Sequence[Model]) -> Spent | None:
    """What the unfinished run has cost that the same experiment would go on with; None where there is none.

    Raises:
        UserError: the file cannot be read, or is no run store.
    """
    if path is None or not path.exists():
        return None
    with translated(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        if connection.execute("select 1 from sqlite_master where name = 'completions'").fetchone() is None:
            return None
        run = connection.execute(UNFINISHED, (plan_hash(plan, models),)).fetchone()
        return Spent(**dict(connection.execute(SPENT, (run["id"],)).fetchone())) if run else None


def _answered(connection: sqlite3.Connection, plan: Plan, model: Model) -> dict[int, Usage]:
    ids = [trial_id(model.identity, trial.request) for trial in plan.trials]
    found: dict[str, Usage] = {}
    for start in range(0, len(ids), AT_A_TIME):
        some = ids[start : start + AT_A_TIME]
        for row in connection.execute(_ANSWERED.format(", ".join("?" * len(some))), some):
            found[row[0]] = Usage(input_tokens=row[1], output_tokens=row[2])
    return {index: found[one] for index, one in enumerate(ids) if one in found}


def _seconds(connection: sqlite3.Connection, model: Model) -> dict[bool, float]:
    rows = connection.execute(_RECENT, (canonical_json(dict(model.identity)), RECENT_CALLS)).fetchall()
    kinds = {bool(row[1]) for row in rows}
    return {kind: statistics.fmean(row[0] for row in rows if bool(row[1]) == kind) for kind in kinds}
