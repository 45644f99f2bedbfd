"""Background work other than messages: rows of `jobs`, inserted in the caller's transaction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.db.engine import Row, Tx
from heliograph.db.tables import jobs

LEASE = 120.0
"""Seconds for which a claimed job belongs to its process. After that the process counts as lost, and the job is due
again: so it is longer than a job may take (long ones call `hold`).
"""

NARROW, WIDE = 2, 8
"""Jobs of a lane that run at once: at first, and at most when its jobs end well."""

LOOK = 4 * WIDE
"""Due jobs that a claim reads first, the oldest: four times as many as one lane may run at once."""

REMEMBERED = 10_000
"""Lanes whose width is remembered. With more of them all begin narrow again, so that the memory is bounded."""

GIVEN_UP = -1.0
"""What a runner answers when its job failed and is not to be tried again: its lane is narrowed as after any failure."""

COLUMNS = ("kind", "lane", "due_at", "attempts", "payload")


class Job(msgspec.Struct, frozen=True):
    """A claimed job. `attempt` counts from 1; `payload` is what was enqueued."""

    job_id: int
    kind: str
    lane: str
    attempt: int
    payload: dict[str, Any]


def enqueue(tx: Tx, kind: str, payload: dict[str, Any], *, lane: str = "", after: float = 0.0) -> None:
    """Insert a job, due `after` seconds from now. Jobs of one `lane` share a limit of what runs at once."""
    enqueue_many(tx, kind, [(lane or kind, payload)], after=after)


def enqueue_many(tx: Tx, kind: str, work: Iterable[tuple[str, dict[str, Any]]], *, after: float = 0.0) -> None:
    """Insert jobs of one kind: rows of (lane, payload)."""
    due = tx.clock + after
    rows = [(kind, lane, due, 0, msgspec.json.encode(payload).decode()) for lane, payload in work]
    tx.insert_rows("jobs", COLUMNS, rows)
    tx.wake("jobs")


class Lanes:
    """How many jobs of each lane run, and how many more may.

    A lane begins narrow, widens with each job that ends well and shrinks to one at a time when a job has to be tried
    again: however many targets are dead, each of them holds only one of the places that all lanes share.
    """

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._width: dict[str, int] = {}

    def room(self) -> Mapping[str, int]:
        """Free places of each lane that has run jobs; any other lane has NARROW."""
        known = self._running.keys() | self._width.keys()
        return {lane: max(0, self._width.get(lane, NARROW) - self._running[lane]) for lane in known}

    def begin(self, lane: str) -> None:
        """Count a job that begins."""
        self._running[lane] += 1

    def end(self, lane: str, well: bool | None) -> None:
        """Count a job that has ended. `well` widens its lane, or narrows it; None leaves it as it is."""
        self._running[lane] -= 1
        width = self._width.get(lane, NARROW)
        if well is not None:
            width = min(2 * width, WIDE) if well else 1
        self._width[lane] = width
        if not self._running[lane]:
            del self._running[lane]
            if width >= NARROW:
                del self._width[lane]
        if len(self._width) > REMEMBERED:
            self._width.clear()


_LANES = """
WITH RECURSIVE lanes(lane) AS (
    SELECT MIN(lane) FROM jobs
    UNION ALL
    SELECT (SELECT MIN(lane) FROM jobs WHERE lane > lanes.lane) FROM lanes WHERE lane IS NOT NULL
)
SELECT lane FROM lanes WHERE EXISTS (SELECT 1 FROM jobs WHERE jobs.lane = lanes.lane AND due_at <= ?)
"""
"""Every lane with due jobs. The recursion looks up the next lane in the index, so it costs one look-up for each lane
and no scan of the jobs.
"""


def claim(tx: Tx, limit: int, room: Mapping[str, int]) -> list[Job]:
    """Claim due jobs, at most `room` of each lane. A claimed job is due again when its lease runs out.

    The LOOK oldest jobs are tried first. When the lanes of all of them are full, every other lane is looked through.
    """
    due = select(jobs).where(jobs.c.due_at <= tx.clock).order_by(jobs.c.due_at, jobs.c.job_id)
    oldest = tx.rows(due.limit(LOOK).with_for_update(skip_locked=True))
    taken = _taken(oldest, limit, room)
    if not taken and len(oldest) == LOOK:
        for (lane,) in tx.driver(_LANES, [tx.clock]).fetchall():
            free = min(limit - len(taken), room.get(lane, NARROW))
            if free > 0:
                mine = due.where(jobs.c.lane == lane).limit(free).with_for_update(skip_locked=True)
                taken += _taken(tx.rows(mine), free, room)
    if taken:
        tx.driver_in(
            "UPDATE jobs SET claimed = 1, attempts = attempts + 1, due_at = ? WHERE job_id IN ({})",
            [tx.clock + LEASE],
            [job.job_id for job in taken],
        )
    return taken


def free(tx: Tx) -> None:
    """Make due at once what another process has claimed. Only where that process is known to be gone (db/holder.py)."""
    tx.driver("UPDATE jobs SET due_at = ? WHERE claimed = 1 AND due_at > ?", [tx.clock, tx.clock])


def hold(tx: Tx, job_id: int, lease: float = LEASE) -> None:
    """Renew the lease of a long job, so that no other process claims it.

    A shorter `lease` (seconds) is for a job that renews it often, and that does no harm when it runs twice.
    """
    tx.execute(jobs.update().where(jobs.c.job_id == job_id).values(due_at=tx.clock + lease))


def progress(tx: Tx, job_id: int, lease: float) -> None:
    """Hold a job that has done a part of its work: its attempts, which failed or were lost, count from here."""
    tx.driver("UPDATE jobs SET due_at = ?, attempts = 1 WHERE job_id = ?", [tx.clock + lease, job_id])


def _taken(rows: Sequence[Row], limit: int, room: Mapping[str, int]) -> list[Job]:
    taken: list[Job] = []
    lanes: Counter[str] = Counter()
    for row in rows:
        lane = row["lane"]
        if len(taken) < limit and lanes[lane] < room.get(lane, NARROW):
            lanes[lane] += 1
            payload = msgspec.json.decode(row["payload"])
            taken.append(Job(row["job_id"], row["kind"], lane, row["attempts"] + 1, payload))
    return taken


def done(tx: Tx, job_id: int) -> None:
    """Remove a finished job."""
    tx.execute(jobs.delete().where(jobs.c.job_id == job_id))


def again(tx: Tx, job_id: int, after: float, why: str) -> None:
    """Put a job back, due `after` seconds from now, with the reason."""
    put_back = {"claimed": 0, "due_at": tx.clock + after, "last_error": why[:2000]}
    tx.execute(jobs.update().where(jobs.c.job_id == job_id).values(put_back))
    tx.wake("jobs")


def hurry(tx: Tx, kind: str, payloads: Iterable[dict[str, Any]]) -> None:
    """Make these jobs due now, but for those that a process has in hand.

    What another transaction has just in hand is left to it: nobody waits, so two of them cannot wait for each other.
    """
    texts = [msgspec.json.encode(payload).decode() for payload in payloads]
    sql = "SELECT job_id FROM jobs WHERE kind = ? AND claimed = 0 AND payload IN ({}) " + tx.dialect.skip_locked  # noqa: S608
    waiting = [row[0] for row in tx.driver_in(sql, [kind], texts)]
    tx.driver_in("UPDATE jobs SET due_at = ? WHERE job_id IN ({})", [tx.clock], waiting)
    tx.wake("jobs")


def next_due(tx: Tx) -> float | None:
    """When the next job is due, or None."""
    due = tx.scalar(select(jobs.c.due_at).order_by(jobs.c.due_at).limit(1))
    return None if due is None else float(due)
