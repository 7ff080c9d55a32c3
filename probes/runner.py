"""From a plan to answers: sends what is not answered yet, some calls at a time, and can be stopped at any moment.

    run_plan -> make_lanes -> check_lengths -> Gate.slot -> Budget.reserved -> Store.claim -> calls.call
             -> Store.finish | Store.fail

A call that failed in a way that may pass is tried again, and holds no slot while it waits. The first Ctrl-C lets the
calls in flight finish, the second cuts them off. A store that another program has locked is waited for, as long as it
takes, but not after the second Ctrl-C.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Coroutine, Iterable, Sequence
from contextlib import suppress

import stamina

from probes import store_rows
from probes.budget import NOTHING, Amount, Budget, Limits, Reservation
from probes.interrupts import interrupts
from probes.lanes import Lane, make_lanes
from probes.lengths import Fit, check_lengths, measure_by_one_call
from probes.models import check_access
from probes.models.base import AccessDenied, Completion, Model, ModelError, RateLimited, Request, Transient
from probes.models.calls import Patience, call, maybe_billed
from probes.plan import Plan
from probes.standing import Interrupted, Progress, Summary, Tally
from probes.store import LEASE_S, Run, Store
from probes.store_file import StoreLocked
from probes.writer import Writer
from tokenizer.errors import UsageError, UserError

RENEW_LEASE_S = LEASE_S / 6
HELD_POLL_S = 0.2
CUT_OFF_S = 1.5
LOCKED = "waiting for another program that has the run store {} locked; answers are held until then"


async def run_plan(
    store: Store,
    run: Run,
    plan: Plan,
    models: Sequence[Model],
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    blocks: Container[int] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
    retry_errors: bool = False,
    spent_before: Amount = NOTHING,
    clock: Callable[[], float] = time.monotonic,
) -> Summary:
    """Ask every model every trial of the plan that has no answer yet; `run` is what `store.begin_run` gave for both.

    As many calls at a time for each model as its server takes, up to `limits.jobs`, fewer where a model takes fewer;
    models run side by side. `spent_before` counts with the limits. `blocks` limits the run to some blocks. `say` gets
    a line for people when something is waited for or looks wrong.

    Raises ContextTooLong before anything is sent (after one trial, where only that can tell); UsageError for a limit of
    money on a model whose price is unknown; AccessDenied and bugs after the calls in flight are finished; Interrupted.
    Trials that failed are counted, not raised. The models are left open, except after a second Ctrl-C.
    """
    if limits.jobs < 1:
        raise UsageError(f"{limits.jobs} calls at a time would never end", hint="give --jobs 1 or more")
    writer = Writer(store, lambda: say and say(LOCKED.format(store.path)))
    work = _Work(store, writer, run, plan, models, limits, blocks=blocks, on_progress=on_progress, say=say, clock=clock)
    with interrupts(work.interrupt):
        try:
            work.fill_lanes(retry_errors)
            work.open_account(spent_before)
            await work.see_through(work.check_lengths(lane) for lane in work.lanes)
            await work.see_through(work.measure(lane) for lane in work.in_doubt)
            await work.see_through(work.work(lane) for lane in work.lanes for _ in range(lane.gate.ceiling))
        finally:
            await work.wind_up()
    if work.error:
        work.tell_unwritten()
        raise work.error
    summary = work.summary()
    if work.interrupted:
        raise Interrupted(summary, work.unwritten())
    return summary


class _Work:
    """One call of `run_plan` while it lasts."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        run: Run,
        plan: Plan,
        models: Sequence[Model],
        limits: Limits,
        *,
        blocks: Container[int] | None,
        on_progress: Callable[[Progress], None] | None,
        say: Callable[[str], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.store, self.writer, self.run, self.plan, self.models = store, writer, run, plan, models
        self.limits, self.on_progress, self.say, self.clock = limits, on_progress, say, clock
        self.lanes = make_lanes(models, plan.trials, limits.jobs, clock)
        self.in_doubt: list[Lane] = []  # whether their prompts fit is not known before one is answered
        self.budget = Budget(limits.max_cost_nano_usd, limits.max_tokens_total)
        self.selected = [
            position
            for position in range(len(run.trial_ids))
            if blocks is None or plan.trials[position % len(plan.trials)].block in blocks
        ]
        # One request may stand at several positions; it is sent once and counts for all of them.
        self.positions_of = Counter(run.trial_ids[position] for position in self.selected)
        self.tally = Tally(total=len(self.selected))
        self.answered: set[str] = set()  # trials whose answers are not known to be on the disk
        self.error: Exception | None = None
        self.stopped: str | None = None  # the words about a limit that is reached
        self.interrupted = False
        self.stop = asyncio.Event()  # send nothing more
        self.cut = asyncio.Event()  # and wait for nothing
        self.lease = asyncio.create_task(self._keep_lease())

    def fill_lanes(self, retry_errors: bool) -> None:
        """Give each model its unanswered trials, in the order in which it should get them."""
        states = self.store.states(self.run.id)  # read once: another process may be answering
        tally = self.tally
        tally.reused = tally.done = sum(states[position] == "answered" for position in self.selected)
        pending = set(store_rows.pending(states, retry_errors=retry_errors)).intersection(self.selected)
        tally.failed = sum(states[position] == "rejected" for position in self.selected if position not in pending)
        taken: set[str] = set()

        def is_pending(position: int) -> bool:
            trial_id = self.run.trial_ids[position]
            if position not in pending or trial_id in taken:
                return False
            taken.add(trial_id)
            return True

        for lane in self.lanes:
            last = lane.first + len(self.plan.trials)
            wanted = [position for position in self.selected if lane.first <= position < last]
            lane.fill(wanted, is_pending, self.plan.spec["seed"])
            if lane.waiting:
                check_access(lane.model)
            if self.limits.max_cost_nano_usd is not None and not self.limits.allow_unpriced:
                lane.check_price()

    def open_account(self, before: Amount) -> None:
        """Begin with what the run has cost in earlier starts, and others that count with it."""
        spent, budget = self.store.spent(self.run.id), self.budget
        budget.spent_nano_usd = (before.nano_usd or 0) + spent.known_nano_usd
        budget.maybe_nano_usd, budget.unpriced = spent.lost_at_most_nano_usd, spent.unknown_calls
        budget.tokens = before.tokens + spent.input_tokens + spent.output_tokens
        self._report()

    async def check_lengths(self, lane: Lane) -> None:
        """Refuse what cannot fit before anything is sent."""
        limited = self.budget.max_nano_usd is not None or self.budget.max_tokens is not None
        if await check_lengths(lane, lambda: not self.stop.is_set(), count=limited) is Fit.IN_DOUBT:
            self.in_doubt.append(lane)

    async def measure(self, lane: Lane) -> None:
        """Let the answer to one trial tell whether the others fit."""
        if not self.stop.is_set():
            await measure_by_one_call(lane, lambda position: self._trial(lane, position))

    async def work(self, lane: Lane) -> None:
        """One of the lane's calls at a time, until there is nothing left for this process to do."""
        while not self.stop.is_set():
            position = lane.take()
            if position is not None:
                try:
                    await self._trial(lane, position)
                finally:
                    lane.give_back(position)
            elif lane.held or lane.waiting:
                await self._pause(asyncio.sleep(HELD_POLL_S if lane.held else HELD_POLL_S / 10))
                lane.waiting.extend(lane.held)
                lane.held.clear()
            else:
                return

    # ------------------------------------------------------------------------------------------------ one trial

    async def _trial(self, lane: Lane, position: int) -> None:
        """Call until there is an answer, a failure that will not pass, or no patience left."""
        patience = lane.patience(self.limits, self.clock)
        attempts = aiter(patience.attempts())
        attempt: stamina.Attempt | None = await anext(attempts)
        try:
            while attempt is not None:
                with attempt:
                    await self._attempt(lane, position, patience)
                    return
                attempt = await self._next(attempts)
        except Transient:
            if patience.refusal:
                words = f"{lane.model.name}: a trial is left for a later run, as {patience.refusal}"
                lane.tell_once(self.say, "patience", words)
            self._report(failed=self.positions_of[self.run.trial_ids[position]])

    async def _next(self, attempts: AsyncIterator[stamina.Attempt]) -> stamina.Attempt | None:
        """The next attempt after its wait, or the failure again where that was the last; None when stopping."""
        waiting = asyncio.ensure_future(anext(attempts))
        await self._pause(waiting)
        if self.stop.is_set():
            return None
        self.tally.retries += waiting.exception() is None
        return waiting.result()

    async def _attempt(self, lane: Lane, position: int, patience: Patience) -> None:
        """One call, and what is written down before and after it. Raises Transient where another one may follow."""
        request = lane.request(position)
        most = lane.most(request)
        async with lane.gate.slot(), self.budget.reserved(most) as reservation:
            if reservation is None:
                self._stop_for_budget(lane, most)
                return
            attempt_id = await self._claimed(lane, position, most)
            if attempt_id is None:
                return
            answer = await self._call(lane, request, patience, reservation)
        if isinstance(answer, Completion):
            await self._keep_answer(lane, position, attempt_id, answer)
        else:
            await self._keep_failure(position, attempt_id, answer)

    async def _claimed(self, lane: Lane, position: int, most: Amount) -> int | None:
        """The attempt as written down; None where there is nothing to send, as it is answered or another one's."""
        trial_id = self.run.trial_ids[position]

        def claim() -> int | None:  # what waited for a locked store must not send a call after Ctrl-C
            if self.stop.is_set():
                return None
            return self.store.claim(self.run, trial_id, reserved_nano_usd=most.nano_usd)

        attempt_id = await self.writer.do(claim)
        if attempt_id is None and not self.stop.is_set():
            if await self.writer.do(lambda: self.store.is_answered(trial_id)):
                self._report(done=self.positions_of[trial_id])
            else:
                lane.held.append(position)
        return attempt_id

    async def _call(
        self, lane: Lane, request: Request, patience: Patience, reservation: Reservation
    ) -> Completion | Exception:
        """Send one request, and draw the conclusions for the next ones from what came of it."""
        self._report(in_flight=1)
        try:
            completion = await call(lane.model, request, patience.timeout_s())
        except Exception as err:  # noqa: BLE001 - whatever it was, the attempt says so; _keep_failure tells bugs apart
            if isinstance(err, RateLimited):
                lane.gate.rate_limited(err.retry_after)
            elif maybe_billed(err):
                reservation.leave_open()
            return err
        finally:
            self.tally.in_flight -= 1
        lane.gate.succeeded()
        lane.book(completion, reservation)
        lane.tell_once(self.say, "cut", lane.learn(request, completion))
        return completion

    async def _keep_answer(self, lane: Lane, position: int, attempt_id: int, completion: Completion) -> None:
        trial_id = self.run.trial_ids[position]
        cost, price = lane.cost(completion), lane.price_json
        self.answered.add(trial_id)
        await self.writer.do(lambda: self.store.finish(attempt_id, completion, cost_nano_usd=cost, price_json=price))
        self.answered.discard(trial_id)
        self._report(done=self.positions_of[trial_id])

    async def _keep_failure(self, position: int, attempt_id: int, error: Exception) -> None:
        """Write it down; raise it again where it may pass, stop the run where it will not for any other trial."""
        await self.writer.do(lambda: self.store.fail(attempt_id, error, maybe_billed=maybe_billed(error)))
        if isinstance(error, Transient):
            raise error
        if isinstance(error, AccessDenied) or not isinstance(error, ModelError):
            self._stop_for(error)
        self._report(failed=self.positions_of[self.run.trial_ids[position]])

    async def _pause(self, wait: Awaitable[object]) -> None:
        """Wait, but not when the run is stopping."""
        waits = [asyncio.ensure_future(wait), asyncio.ensure_future(self.stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
                if one.done() and not one.cancelled():
                    one.exception()  # looked at by who waits, or of no interest any more

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(RENEW_LEASE_S)
            await self._caught(self.writer.do(self.store.renew_lease))

    # ------------------------------------------------------------------------------------------------- stopping

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

    def _stop_for_budget(self, lane: Lane, most: Amount) -> None:
        if not self.stop.is_set():
            self.stopped = self.budget.refusal(lane.model.name, most)
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

    def tell_unwritten(self) -> None:
        """Say how many answers came that the store could not take; their calls stand there as lost."""
        with suppress(UserError):  # the file cannot be read either, and that is told as the error
            if self.say and (count := self.unwritten()):
                self.say(f"answered but not kept, as the run store could not be written: {count}")

    def summary(self) -> Summary:
        """The standing of the positions asked for, as the store has it."""
        states = self.store.states(self.run.id)
        count = Counter(states[position] for position in self.selected)
        return Summary(
            done=count["answered"],
            failed=count["failed"] + count["rejected"],
            missing=count["missing"],
            reused=self.tally.reused,
            lost=self.store.calls(self.run.id).lost,
            stopped=self.stopped,
        )

    def _report(self, *, done: int = 0, failed: int = 0, in_flight: int = 0) -> None:
        self.tally.done += done
        self.tally.failed += failed
        self.tally.in_flight += in_flight
        if self.on_progress is not None:
            limit = sum(gate.limit for gate in {lane.gate for lane in self.lanes})
            self.on_progress(self.tally.progress(stopping=self.interrupted, limit=limit, budget=self.budget))


async def _close(model: Model) -> None:
    with suppress(Exception):  # it is being given up; how it fails no longer matters
        await model.aclose()
