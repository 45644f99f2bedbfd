"""The worker: claims messages while there is room in the transports, hands them over, records outcomes; runs jobs."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from heliograph.db.database import Database
from heliograph.queue import jobs

BATCH = 250
POLL = 1.0
"""Longest wait between two looks at a queue: work put in by another process is found by then."""

JOBS_AT_ONCE = 200
MOST_ATTEMPTS = 50
"""After as many failures (a day, with their pauses) a job that raises is given up: it has met a defect."""

log = structlog.get_logger(__name__)

JobResult = float | None
Runner = Callable[[jobs.Job], Awaitable[JobResult]]
"""Runs a job. None: done. Seconds: again after them. jobs.GIVEN_UP: done, but not well.

It raises only for bugs, which are tried again too.
"""


class Hands(Protocol):
    """What the loop of one channel works with. All calls come from the event loop; `carry` runs many times at once."""

    def room(self) -> int:
        """How many messages may be on their way at once, those that are already there included."""
        ...

    async def take(self, limit: int) -> Sequence[Sequence[Any]]:
        """Claim at most `limit` messages, in batches. The lease of a claim covers a process that is lost."""
        ...

    async def carry(self, batch: Sequence[Any]) -> None:
        """Hand a batch over and record what came of it. It raises only for defects: the lease then brings it back."""
        ...

    async def renew(self) -> None:
        """Hold what is being carried for longer, when it is time to. Called at least each POLL seconds."""
        ...

    async def next_due(self) -> float | None:
        """When the next message is due, in Unix seconds; None: there is none."""
        ...


class Loop(ABC):
    """A background loop that wakes at commits, at due times and at least each POLL seconds, and drains at the end."""

    def __init__(self, database: Database, wake_name: str) -> None:
        self._database = database
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        database.on_wake(wake_name, self._wake.set)

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._work())

    async def stop(self, grace: float = 10.0) -> None:
        """Claim nothing more and wait for what is under way, at most `grace` seconds; the lease covers the rest."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                busy = await self._step()
            except Exception as problem:  # noqa: BLE001 - the loop must survive a database that is away for a while
                log.error("worker.step_failed", error=repr(problem))
                await asyncio.sleep(POLL)
                continue
            if not busy and not self._stopping:
                await self._pause()

    async def _pause(self) -> None:
        """Wait until work is due, or the loop is woken. An idle loop only reads: to claim is to write."""
        while True:
            try:
                due = await self._due()
            except Exception as problem:  # noqa: BLE001 - the loop must survive a database that is away for a while
                log.error("worker.pause_failed", error=repr(problem))
                await asyncio.sleep(POLL)
                return
            wait = POLL if due is None else min(POLL, max(0.01, due - self._database.clock()))
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
                return
            except TimeoutError:
                if due is not None and due <= self._database.clock():
                    return

    @abstractmethod
    async def _step(self) -> bool:
        """Do some work; whether there may be more right now."""

    @abstractmethod
    async def _due(self) -> float | None:
        """When there is work again, in Unix seconds; None: when something wakes the loop."""

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("worker.batch_failed", exc_info=task.exception())


class ChannelLoop(Loop):
    """Hands over the messages of one channel."""

    def __init__(self, database: Database, channel: str, hands: Hands) -> None:
        super().__init__(database, "queue:" + channel)
        self._hands = hands
        self._flying = 0

    async def _step(self) -> bool:
        await self._hands.renew()
        room = min(BATCH, self._hands.room() - self._flying)
        if room <= 0:
            return False
        batches = await self._hands.take(room)
        for batch in batches:
            self._flying += len(batch)
            self._spawn(self._carry(batch))
        return bool(batches)

    async def _carry(self, batch: Sequence[Any]) -> None:
        try:
            await self._hands.carry(batch)
        finally:
            self._flying -= len(batch)

    async def _due(self) -> float | None:
        await self._hands.renew()
        full = self._hands.room() - self._flying <= 0
        return None if full else await self._hands.next_due()


class JobLoop(Loop):
    """Runs background jobs, a limited number of each lane at once, so that one slow target never delays another."""

    def __init__(self, database: Database, runners: Mapping[str, Runner]) -> None:
        super().__init__(database, "jobs")
        self._runners = runners
        self._lanes = jobs.Lanes()
        self._in_hand: set[int] = set()

    async def take_over(self) -> None:
        """Take up at once what a process that was lost had in hand, where no other one can have it. Called before the
        loop begins.
        """
        if self._database.alone:
            await self._database.write(jobs.free, slow=True)

    async def _step(self) -> bool:
        free = JOBS_AT_ONCE - len(self._running)
        if free <= 0:
            return False
        room = self._lanes.room()
        taken = await self._database.write(lambda tx: jobs.claim(tx, min(free, jobs.LOOK), room), urgent=False)
        fresh = [job for job in taken if job.job_id not in self._in_hand]  # after an outage a lease may be over
        for job in fresh:
            self._in_hand.add(job.job_id)
            self._lanes.begin(job.lane)
            self._spawn(self._run(job))
        return bool(fresh)

    async def _run(self, job: jobs.Job) -> None:
        well: bool | None = None
        try:
            try:
                again, why = await self._runners[job.kind](job), "tried again later"
            except Exception as problem:
                log.exception("job.failed", kind=job.kind, job=job.job_id, attempt=job.attempt)
                again, why = 60.0 * job.attempt if job.attempt < MOST_ATTEMPTS else jobs.GIVEN_UP, repr(problem)
            well = _went_well(again)
            if again is None or again == jobs.GIVEN_UP:
                await self._database.write_until_taken(lambda tx: jobs.done(tx, job.job_id))
            else:
                after = again
                await self._database.write_until_taken(lambda tx: jobs.again(tx, job.job_id, after, why))
        finally:
            self._in_hand.discard(job.job_id)
            self._lanes.end(job.lane, well)

    async def _due(self) -> float | None:
        if len(self._running) >= JOBS_AT_ONCE:
            return None  # what ends will wake us
        if 0 in self._lanes.room().values():
            return self._database.clock() + POLL  # what is due may be of a full lane: it would be looked at without end
        return await self._database.read(jobs.next_due)


def _went_well(result: JobResult) -> bool | None:
    """What a job's result tells of its lane: a job that goes on at once, slice by slice, tells nothing."""
    if result is None:
        return True
    return None if 0 <= result < 1 else False
