"""From a plan to answers: sends what is not answered yet, a few calls at a time, and can be stopped at any moment.

    run_plan -> dispatch_order -> Store.claim -> calls.call -> Store.finish | Store.fail

The first Ctrl-C lets the calls in flight finish, the second cuts them off. A store that another program has locked is
waited for, as long as it takes, but not after the second Ctrl-C.
"""

import asyncio
import heapq
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from probes.dispatch import dispatch_order
from probes.interrupts import interrupts
from probes.models.base import (
    AccessDenied,
    Completion,
    ContextTooLong,
    Model,
    ModelError,
    Request,
    Transient,
)
from probes.models.calls import call, wait_before_next
from probes.plan import Plan
from probes.store import LEASE_S, Run, Store
from probes.store_file import StoreLocked
from probes.writer import Writer
from tokenizer.errors import UsageError, UserError

RENEW_LEASE_S = LEASE_S / 6
HELD_POLL_S = 0.2
CUT_OFF_S = 1.5
LONGEST_CHECKED = 3
LOCKED = "waiting for another program that has the run store {} locked; answers are held until then"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. All but `in_flight` count positions of the plan; `done` are answered, `reused` among them."""

    done: int
    total: int
    reused: int
    failed: int
    in_flight: int
    elapsed_s: float
    stopping: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the positions asked for: `done + failed + missing` is all of them.

    `reused`: answered before this start. `lost`: calls of the run, from its first start on, that were cut off in flight
    and may have been paid for.
    """

    done: int
    failed: int
    missing: int
    reused: int
    lost: int


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


async def run_plan(
    store: Store,
    run: Run,
    plan: Plan,
    models: Sequence[Model],
    *,
    jobs: int = 4,
    blocks: Container[int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
    retry_errors: bool = False,
    timeout_s: float | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Summary:
    """Ask every model every trial of the plan that has no answer yet; `run` is what `store.begin_run` gave for both.

    `jobs` calls at a time for each model, fewer where a model takes fewer; models run side by side. `blocks` limits the
    run to some blocks. `say` gets a line for people when something is waited for. `sleep` waits between the attempts of
    one trial.

    Raises ContextTooLong before anything is sent; AccessDenied and bugs after the calls in flight are finished;
    Interrupted. Trials that failed are counted, not raised. The models are left open, except after a second Ctrl-C.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} calls at a time would never end", hint="give --jobs 1 or more")
    writer = Writer(store, lambda: say and say(LOCKED.format(store.path)))
    work = _Work(
        store, writer, run, plan, models, blocks=blocks, on_progress=on_progress, timeout_s=timeout_s, sleep=sleep
    )
    with interrupts(work.interrupt):
        try:
            work.fill_lanes(jobs, retry_errors)
            await work.see_through(work.check_lengths(lane) for lane in work.lanes)
            await work.see_through(work.work(lane) for lane in work.lanes for _ in range(lane.limit))
        finally:
            await work.wind_up()
    summary = work.summary()
    if work.error:
        raise work.error
    if work.interrupted:
        raise Interrupted(summary, work.unwritten())
    return summary


@dataclass(slots=True)
class _Lane:
    """One model's share: positions to send in this order, and those for which another process has a call in flight."""

    model: Model
    limit: int
    waiting: deque[int] = field(default_factory=deque)
    held: list[int] = field(default_factory=list)


class _Work:
    """One call of `run_plan` while it lasts."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        run: Run,
        plan: Plan,
        models: Sequence[Model],
        *,
        blocks: Container[int] | None,
        on_progress: Callable[[Progress], None] | None,
        timeout_s: float | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.store, self.writer, self.run, self.plan, self.models = store, writer, run, plan, models
        self.on_progress, self.timeout_s, self.sleep = on_progress, timeout_s, sleep
        self.lanes: list[_Lane] = []
        self.selected = [
            position
            for position in range(len(run.trial_ids))
            if blocks is None or plan.trials[position % len(plan.trials)].block in blocks
        ]
        # One request may stand at several positions; it is sent once and counts for all of them.
        self.positions_of = Counter(run.trial_ids[position] for position in self.selected)
        self.started = time.monotonic()
        self.done = self.reused = self.failed = self.in_flight = 0
        self.answered: set[str] = set()  # trials whose answers are not known to be on the disk
        self.error: Exception | None = None
        self.interrupted = False
        self.stop = asyncio.Event()  # send nothing more
        self.cut = asyncio.Event()  # and wait for nothing
        self.lease = asyncio.create_task(self._caught(self._keep_lease()))

    def fill_lanes(self, jobs: int, retry_errors: bool) -> None:
        """Give each model its unanswered trials, in the order in which it should get them."""
        states = self.store.states(self.run.id)
        self.reused = self.done = sum(states[position] == "answered" for position in self.selected)
        pending = set(self.store.pending(self.run.id, retry_errors=retry_errors)).intersection(self.selected)
        self.failed = sum(states[position] == "rejected" for position in self.selected if position not in pending)
        taken: set[str] = set()
        for number, model in enumerate(self.models):
            lane = _Lane(model, min(jobs, model.traits.max_concurrency or jobs))
            first = number * len(self.plan.trials)
            wanted = [position - first for position in self.selected if 0 <= position - first < len(self.plan.trials)]
            trials = [self.plan.trials[index] for index in wanted]
            for place in dispatch_order(trials, model.traits, self.plan.spec["seed"]):
                position = first + wanted[place]
                if position in pending and self.run.trial_ids[position] not in taken:
                    taken.add(self.run.trial_ids[position])
                    lane.waiting.append(position)
            self.lanes.append(lane)
        self._report()

    def request(self, position: int) -> Request:
        """What is asked at this position, of whichever model."""
        return self.plan.trials[position % len(self.plan.trials)].request

    async def check_lengths(self, lane: _Lane) -> None:
        """Count the longest prompts before anything is sent: what cannot fit should cost nothing."""
        window = lane.model.traits.window
        if window is None:
            return
        for position in heapq.nlargest(LONGEST_CHECKED, lane.waiting, key=lambda one: _characters(self.request(one))):
            if self.stop.is_set():
                return
            request = self.request(position)
            tokens = await lane.model.count_prompt_tokens(request)
            if tokens is not None and tokens + request.max_tokens > window:
                raise ContextTooLong(
                    f"{lane.model.name} has a window of {window} tokens; the longest prompt has {tokens}"
                    f" and its answer may have {request.max_tokens}",
                    hint="choose shorter --lengths or a smaller --max-tokens; nothing was sent",
                )

    async def work(self, lane: _Lane) -> None:
        """One of the lane's calls at a time, until there is nothing left for this process to do."""
        while not self.stop.is_set():
            if lane.waiting:
                await self._trial(lane, lane.waiting.popleft())
            elif lane.held:
                await self._pause(asyncio.sleep(HELD_POLL_S))
                lane.waiting.extend(lane.held)
                lane.held.clear()
            else:
                return

    async def _trial(self, lane: _Lane, position: int) -> None:
        trial_id = self.run.trial_ids[position]
        positions = self.positions_of[trial_id]
        attempts = 0
        while not self.stop.is_set():
            attempt_id = await self.writer.do(lambda: self._claim(trial_id))
            if attempt_id is None:
                if await self.writer.do(lambda: self.store.is_answered(trial_id)):
                    self._report(done=positions)
                else:
                    lane.held.append(position)
                return
            attempts += 1
            try:
                completion = await self._call(lane.model, position)
            except Exception as err:  # noqa: BLE001 - whatever it was, the attempt says so; _keep_failure tells bugs apart
                await self._keep_failure(attempt_id, err)
                wait = wait_before_next(err, attempts) if isinstance(err, Transient) else None
                if wait is None:
                    self._report(failed=positions)
                    return
                await self._pause(self.sleep(wait))
            else:
                await self._keep_answer(trial_id, attempt_id, completion)
                self._report(done=positions)
                return

    def _claim(self, trial_id: str) -> int | None:
        """What waited for a locked store must not send a call after Ctrl-C."""
        return None if self.stop.is_set() else self.store.claim(self.run, trial_id)

    async def _call(self, model: Model, position: int) -> Completion:
        self._report(in_flight=1)
        try:
            return await call(model, self.request(position), self.timeout_s)
        finally:
            self.in_flight -= 1

    async def _keep_answer(self, trial_id: str, attempt_id: int, completion: Completion) -> None:
        self.answered.add(trial_id)
        await self.writer.do(lambda: self.store.finish(attempt_id, completion))
        self.answered.discard(trial_id)

    async def _keep_failure(self, attempt_id: int, error: Exception) -> None:
        await self.writer.do(lambda: self.store.fail(attempt_id, error))
        if isinstance(error, AccessDenied) or not isinstance(error, ModelError):
            self._stop_for(error)

    async def _pause(self, wait: Awaitable[None]) -> None:
        """Wait, but not when the run is stopping."""
        waits = [asyncio.ensure_future(wait), asyncio.ensure_future(self.stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(RENEW_LEASE_S)
            await self.writer.do(self.store.renew_lease)

    # ---------------------------------------------------------------------------------------------- stopping

    def interrupt(self, times: int) -> None:
        """Ctrl-C, for the first or the second time."""
        self.interrupted = True
        self.stop.set()
        if times > 1:
            self.cut.set()
            self.writer.give_up()
        self._report()

    def _stop_for(self, error: Exception) -> None:
        self.error = self.error or error
        self.stop.set()

    async def _caught(self, step: Coroutine[object, object, None]) -> None:
        """Whatever fails on our own side (a full disk, a bug) stops the run, after what is in flight."""
        try:
            await step
        except StoreLocked:  # after a second Ctrl-C; the summary says what that cost
            self.stop.set()
        except Exception as err:  # noqa: BLE001 - raised again at the end of run_plan
            self._stop_for(err)

    async def see_through(self, steps: Iterable[Coroutine[object, object, None]]) -> None:
        """Run the steps side by side to their end, or until they are cut off."""
        tasks = [asyncio.create_task(self._caught(step)) for step in steps]
        cut = asyncio.create_task(self.cut.wait())
        try:
            while (running := [task for task in tasks if not task.done()]) and not cut.done():
                await asyncio.wait([*running, cut], return_when=asyncio.FIRST_COMPLETED)
        finally:
            cut.cancel()
            running = [task for task in tasks if not task.done()]
            if running:  # a second Ctrl-C, or we are being cancelled ourselves
                await self._cut_off(running)

    async def _cut_off(self, running: Sequence[asyncio.Task[None]]) -> None:
        """Cancel the calls and close the models at once: closing also ends what hangs outside Python."""
        self.writer.give_up()
        for task in running:
            task.cancel()
        closing = [asyncio.create_task(_close(model)) for model in self.models]
        await asyncio.wait([*running, *closing], timeout=CUT_OFF_S)

    async def wind_up(self) -> None:
        """Leave no attempt open and no task behind."""
        self.lease.cancel()
        await asyncio.wait([self.lease])
        try:
            with suppress(StoreLocked):  # the next process will see that we are gone
                await self.writer.do(lambda: self.store.abandon_all(self.run))
        finally:
            self.writer.close()

    def unwritten(self) -> int:
        """How many answers were received and are not in the store."""
        return sum(not self.store.is_answered(trial_id) for trial_id in self.answered)

    def summary(self) -> Summary:
        """The standing of the positions asked for, as the store has it."""
        states = self.store.states(self.run.id)
        count = Counter(states[position] for position in self.selected)
        return Summary(
            done=count["answered"],
            failed=count["failed"] + count["rejected"],
            missing=count["missing"],
            reused=self.reused,
            lost=self.store.calls(self.run.id).lost,
        )

    def _report(self, *, done: int = 0, failed: int = 0, in_flight: int = 0) -> None:
        self.done += done
        self.failed += failed
        self.in_flight += in_flight
        if self.on_progress is None:
            return
        self.on_progress(
            Progress(
                done=self.done,
                total=len(self.selected),
                reused=self.reused,
                failed=self.failed,
                in_flight=self.in_flight,
                elapsed_s=time.monotonic() - self.started,
                stopping=self.stop.is_set(),
            )
        )


def _characters(request: Request) -> int:
    return sum(len(message.content) for message in request.messages) + len(request.continuation or "")


async def _close(model: Model) -> None:
    with suppress(Exception):  # it is being given up; how it fails no longer matters
        await model.aclose()
