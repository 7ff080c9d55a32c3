"""Where a run stands: while it lasts, and when it has ended."""

import time
from dataclasses import dataclass, field

from probes.budget import Budget
from tokenizer.errors import UserError


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. `done`, `total`, `reused` and `failed` count positions of the plan; `reused` are among the done.

    `in_flight`: calls, of which `limit` may be at once now; `retries`: calls that followed another one for their trial.
    `stopping`: after Ctrl-C, while the calls in flight are waited for. `spent_nano_usd` is the run's from its first
    start on; `unpriced` of its answers have no known price.
    """

    done: int
    total: int
    reused: int
    failed: int
    in_flight: int
    elapsed_s: float
    stopping: bool
    limit: int = 0
    retries: int = 0
    spent_nano_usd: int = 0
    unpriced: int = 0


@dataclass(slots=True)
class Tally:
    """What a run counts while it lasts; the fields mean what those of `Progress` do."""

    total: int
    done: int = 0
    reused: int = 0
    failed: int = 0
    in_flight: int = 0
    retries: int = 0
    started: float = field(default_factory=time.monotonic)

    def progress(self, *, stopping: bool, limit: int, budget: Budget) -> Progress:
        """Where the run is now."""
        return Progress(
            done=self.done,
            total=self.total,
            reused=self.reused,
            failed=self.failed,
            in_flight=self.in_flight,
            elapsed_s=time.monotonic() - self.started,
            stopping=stopping,
            limit=limit,
            retries=self.retries,
            spent_nano_usd=budget.spent_nano_usd,
            unpriced=budget.unpriced,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the positions asked for: `done + failed + missing` is all of them.

    `reused`: answered before this start. `lost`: calls of the run, from its first start on, that were cut off in flight
    and may have been paid for. `stopped`: why the run ended before its end, where a limit on cost or tokens ended it.
    """

    done: int
    failed: int
    missing: int
    reused: int
    lost: int
    stopped: str | None = None


class Interrupted(UserError):
    """Ctrl-C: what was answered is kept, but for `unwritten` answers that another program's lock kept out."""

    exit_code = 130

    def __init__(self, summary: Summary, unwritten: int = 0) -> None:
        total = summary.done + summary.failed + summary.missing
        locked_out = f"; answered but not kept, as another program has the store locked: {unwritten}"
        super().__init__(
            f"interrupted: {summary.done} of {total} trials are answered and kept{locked_out if unwritten else ''}",
            hint="run the same command again to go on from here",
        )
        self.summary = summary
