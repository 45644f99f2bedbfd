"""Events pushed to customers' URLs: a delivery row and a job, in the transaction of what happened."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import users, webhook_attempts, webhook_deliveries
from heliograph.ids import new_ids
from heliograph.queue import jobs
from heliograph.webhooks.fetch import Answer, origin

JOB = "webhook"
WAITING, DELIVERED, GIVEN_UP = "waiting", "delivered", "given up"
SLICE = 500
"""Oldest deliveries that one run of `prune` looks at."""


class Delivery(msgspec.Struct, frozen=True):
    """What a job needs to push an event."""

    delivery_id: int
    event_id: str
    url: str
    webhook_type: str
    payload: dict[str, Any]
    secret: str
    created_at: int


def push(tx: Tx, user_id: int, url: str, webhook_type: str, payload: Mapping[str, Any]) -> int:
    """Push `payload` to a URL, as `post` (form), `get` (query) or `json`; the delivery_id."""
    made = webhook_deliveries.insert().values(
        user_id=user_id,
        event_id="evt_" + new_ids(1, tx.clock)[0].lower(),
        url=url,
        webhook_type=webhook_type,
        payload=msgspec.json.encode(payload).decode(),
        state=WAITING,
        created_at=tx.now,
    )
    key = int(tx.scalar(made.returning(webhook_deliveries.c.delivery_id)))
    jobs.enqueue(tx, JOB, {"delivery_id": key}, lane=_lane(user_id, url))
    return key


def _lane(user_id: int, url: str) -> str:
    """The lane of a delivery: the account and the server. Its jobs share a limit, so that a slow server delays only
    them.

    Not the server alone: many customers may have endpoints behind one host name (a gateway, a tunnel, a hosted
    automation), and the slow endpoint of one must not delay the others.
    """
    return f"webhook:{user_id}:{origin(url)}"[:300]


def load(tx: Tx, delivery_id: int) -> Delivery | None:
    """A delivery still to be made, with its account's signing secret; None: it has an outcome, or was pruned."""
    wanted = (
        select(webhook_deliveries, users.c.webhook_secret)
        .join_from(webhook_deliveries, users, webhook_deliveries.c.user_id == users.c.user_id)
        .where(webhook_deliveries.c.delivery_id == delivery_id, webhook_deliveries.c.state == WAITING)
    )
    row = tx.row(wanted)
    if row is None:
        return None
    return Delivery(
        delivery_id=delivery_id,
        event_id=row["event_id"],
        url=row["url"],
        webhook_type=row["webhook_type"],
        payload=msgspec.json.decode(row["payload"]),
        secret=row["webhook_secret"],
        created_at=row["created_at"],
    )


def attempted(tx: Tx, delivery_id: int, answer: Answer, *, last: bool) -> bool:
    """Record an attempt; whether the event is delivered (any 2xx)."""
    delivered = answer.status is not None and 200 <= answer.status < 300
    tx.execute(
        webhook_attempts.insert().values(
            delivery_id=delivery_id,
            at=tx.now,
            status=answer.status,
            seconds=answer.seconds,
            answer=answer.body.replace("\x00", "\ufffd"),  # PostgreSQL keeps no NUL in a text
            error=answer.error,
        )
    )
    if delivered or last:
        state = DELIVERED if delivered else GIVEN_UP
        mine = webhook_deliveries.c.delivery_id == delivery_id
        tx.execute(webhook_deliveries.update().where(mine).values(state=state))
    return delivered


def replay(tx: Tx, user_id: int, delivery_ids: Sequence[int] | None = None) -> int:
    """Push again what was given up (or just these deliveries, whatever became of them); how many.

    A delivery that still waits has a job already, which is made due now: a second job would push it twice.
    """
    mine = webhook_deliveries.c.user_id == user_id
    waiting: list[dict[str, int]] = []
    if delivery_ids is None:
        over = mine & (webhook_deliveries.c.state == GIVEN_UP)
    else:
        mine &= webhook_deliveries.c.delivery_id.in_(delivery_ids)
        over = mine & (webhook_deliveries.c.state != WAITING)
        keys = select(webhook_deliveries.c.delivery_id).where(mine, webhook_deliveries.c.state == WAITING)
        waiting = [{"delivery_id": row["delivery_id"]} for row in tx.rows(keys)]
        jobs.hurry(tx, JOB, waiting)
    changed = webhook_deliveries.update().where(over).values(state=WAITING)
    found = tx.rows(changed.returning(webhook_deliveries.c.delivery_id, webhook_deliveries.c.url))
    work = [(_lane(user_id, row["url"]), {"delivery_id": row["delivery_id"]}) for row in found]
    jobs.enqueue_many(tx, JOB, work)
    return len(found) + len(waiting)


def prune(tx: Tx, age: float) -> bool:
    """Forget deliveries (with their attempts) that were made more than `age` seconds ago; whether more may be left.

    Ids rise with time, so only the oldest are looked at.
    """
    oldest = select(webhook_deliveries.c.delivery_id, webhook_deliveries.c.created_at)
    found = tx.rows(oldest.order_by(webhook_deliveries.c.delivery_id).limit(SLICE))
    gone = [row["delivery_id"] for row in found if row["created_at"] < tx.clock - age]
    tx.driver_in("DELETE FROM webhook_attempts WHERE delivery_id IN ({})", [], gone)
    tx.driver_in("DELETE FROM webhook_deliveries WHERE delivery_id IN ({})", [], gone)
    return len(gone) == SLICE


def listing(tx: Tx, user_id: int, limit: int = 50) -> Sequence[Mapping[str, Any]]:
    """The newest deliveries of an account."""
    mine = select(webhook_deliveries).where(webhook_deliveries.c.user_id == user_id)
    return tx.rows(mine.order_by(webhook_deliveries.c.delivery_id.desc()).limit(limit))


def attempts(tx: Tx, delivery_id: int) -> Sequence[Mapping[str, Any]]:
    """Every attempt of a delivery, oldest first."""
    mine = select(webhook_attempts).where(webhook_attempts.c.delivery_id == delivery_id)
    return tx.rows(mine.order_by(webhook_attempts.c.attempt_id))
