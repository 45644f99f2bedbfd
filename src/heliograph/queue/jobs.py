"""Background work other than messages: rows of `jobs`, inserted in the caller's transaction."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import jobs

LEASE = 120.0


class Job(msgspec.Struct, frozen=True):
    """A claimed job. `attempt` counts from 1; `payload` is what was enqueued."""

    job_id: int
    kind: str
    lane: str
    attempt: int
    payload: dict[str, Any]


def enqueue(tx: Tx, kind: str, payload: dict[str, Any], *, lane: str = "", after: float = 0.0) -> None:
    """Insert a job, due `after` seconds from now. Jobs of one `lane` share a limit of what runs at once."""
    tx.execute(
        jobs.insert().values(
            kind=kind,
            lane=lane or kind,
            due_at=tx.clock + after,
            attempts=0,
            payload=msgspec.json.encode(payload).decode(),
        )
    )
    tx.wake("jobs")


def claim(tx: Tx, limit: int, full_lanes: Collection[str]) -> list[Job]:
    """Take due jobs outside the lanes that are full. A claimed job comes back by itself when its lease runs out."""
    wanted = (
        select(jobs)
        .where(jobs.c.due_at <= tx.clock, jobs.c.lane.not_in(list(full_lanes)))
        .order_by(jobs.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = [
        Job(row["job_id"], row["kind"], row["lane"], row["attempts"] + 1, msgspec.json.decode(row["payload"]))
        for row in tx.rows(wanted)
    ]
    if taken:
        tx.driver_in(
            "UPDATE jobs SET attempts = attempts + 1, due_at = ? WHERE job_id IN ({})",
            [tx.clock + LEASE],
            [job.job_id for job in taken],
        )
    return taken


def hold(tx: Tx, job_id: int) -> None:
    """Begin the lease of a long job anew, so that nobody else takes it up."""
    tx.execute(jobs.update().where(jobs.c.job_id == job_id).values(due_at=tx.clock + LEASE))


def done(tx: Tx, job_id: int) -> None:
    """Remove a finished job."""
    tx.execute(jobs.delete().where(jobs.c.job_id == job_id))


def again(tx: Tx, job_id: int, after: float, why: str) -> None:
    """Put a job back, due `after` seconds from now, with the reason."""
    tx.execute(jobs.update().where(jobs.c.job_id == job_id).values(due_at=tx.clock + after, last_error=why[:2000]))
    tx.wake("jobs")


def next_due(tx: Tx) -> float | None:
    """When the next job is due, or None."""
    due = tx.scalar(select(jobs.c.due_at).order_by(jobs.c.due_at).limit(1))
    return None if due is None else float(due)
