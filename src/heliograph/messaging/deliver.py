"""Handing messages over: claim, the steps before the transport, and the record of what became of it.

The transport is called with no transaction open.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from heliograph.billing import commission, ledger, usage
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.messaging import message, receipts
from heliograph.messaging.receipts import Report
from heliograph.queue import claim, retry
from heliograph.queue.claim import Claimed
from heliograph.transports.base import Failed, MessageKey, Outgoing, Receipt, Retry, Sent

Compose = Callable[[dict[str, Any]], Any]
"""Makes a transport's content (SmsText, Mail) out of the row of a message. Given by the channel."""


SaidNo = Callable[[Tx, Sequence[dict[str, Any]]], set[tuple[int, str]]]
"""Which of these messages (user_id, message_id) must not go out, since their recipients opted out meanwhile."""


class Parcel(msgspec.Struct):
    """A claimed message on its way: its row, and what the transport gets."""

    claimed: Claimed
    row: dict[str, Any]
    outgoing: Outgoing


class Outcome(msgspec.Struct):
    """What a transport said of a parcel; `transport` is its name ("" when no route fits)."""

    parcel: Parcel
    transport: str
    said: Sent | Retry | Failed


def _nobody(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[tuple[int, str]]:
    return set()


def take(
    tx: Tx,
    channel: str,
    limit: int,
    lease: float,
    validity: float,
    compose: Compose,
    report: Report,
    said_no: SaidNo = _nobody,
) -> list[Parcel]:
    """Claim due messages and run the steps that need the database: still wanted, not opted out, not expired.

    `lease` and `validity` are in seconds; `report` runs the receipt rules for what expired.
    """
    claimed = claim.claim(tx, channel, limit, lease)
    rows = message.load(tx, [(work.user_id, work.message_id) for work in claimed])
    gone = said_no(tx, list(rows.values()))
    parcels = []
    for work in claimed:
        row = rows.get((work.user_id, work.message_id))
        if row is None:
            claim.done(tx, [work.queue_id])
        elif (
            _still_wanted(tx, work, row)
            and _not_opted_out(tx, work, row, gone, report)
            and _not_expired(tx, work, row, validity, report)
        ):
            if work.lost:
                note = "Claimed again: an earlier hand-over ended without an answer, so it may be sent twice."
                message.record(tx, [(work.user_id, work.message_id, row["status"], note)])
            parcels.append(Parcel(work, row, _outgoing(row, work.attempt, validity, compose)))
    return parcels


def _still_wanted(tx: Tx, work: Claimed, row: dict[str, Any]) -> bool:
    """A message that is final (a receipt came after a crash, or it was cancelled) leaves the queue."""
    if row["status"] in message.OPEN:
        return True
    claim.done(tx, [work.queue_id])
    return False


def _not_opted_out(tx: Tx, work: Claimed, row: dict[str, Any], gone: set[tuple[int, str]], report: Report) -> bool:
    if (work.user_id, work.message_id) not in gone:
        return True
    claim.done(tx, [work.queue_id])
    _fail(tx, [(row, None, "The recipient opted out before the message was sent.")], report)
    return False


def _not_expired(tx: Tx, work: Claimed, row: dict[str, Any], validity: float, report: Report) -> bool:
    if tx.clock <= _valid_until(row, validity):
        return True
    claim.done(tx, [work.queue_id])
    _fail(tx, [(row, None, "The message expired before a carrier took it.")], report)
    return False


def _valid_until(row: dict[str, Any], validity: float) -> int:
    return int(max(row["date"], row["schedule"]) + validity)


def _outgoing(row: dict[str, Any], attempt: int, validity: float, compose: Compose) -> Outgoing:
    return Outgoing(
        key=MessageKey(row["user_id"], row["channel"], row["message_id"]),
        sender=row["sender"],
        recipient=row["recipient"],
        content=compose(row),
        valid_until=_valid_until(row, validity),
        attempt=attempt,
    )


def settle(tx: Tx, outcomes: Sequence[Outcome], report: Report) -> None:
    """Record what became of parcels: sent, due again, or failed with a refund. `report` runs the receipt rules."""
    _settle_sent(tx, [(o.parcel, o.transport, o.said) for o in outcomes if isinstance(o.said, Sent)], report)
    events = []
    for outcome in outcomes:
        if isinstance(outcome.said, Retry):
            work, row = outcome.parcel.claimed, outcome.parcel.row
            after = retry.pause(work.attempt, outcome.said.after)
            claim.again(tx, work.queue_id, tx.clock + after)
            doubt = " The carrier may have taken it, so it may be sent twice." if outcome.said.maybe_sent else ""
            where = f" by {outcome.transport}" if outcome.transport else ""
            why = f"Not taken{where}: {outcome.said.why}. Next try in {after:.0f} s.{doubt}"
            events.append((row["user_id"], row["message_id"], row["status"], why))
    message.record(tx, events)
    failed = [(o.parcel, o.said) for o in outcomes if isinstance(o.said, Failed)]
    claim.done(tx, [parcel.claimed.queue_id for parcel, _ in failed])
    _fail(tx, [(parcel.row, said.code, said.why) for parcel, said in failed], report)


def _settle_sent(tx: Tx, sent: Sequence[tuple[Parcel, str, Sent]], report: Report) -> None:
    if not sent:
        return
    claim.done(tx, [parcel.claimed.queue_id for parcel, _, _ in sent])
    waiting = [(p.row["user_id"], p.row["message_id"]) for p, _, said in sent if said.remote_ids]
    final = [(p.row["user_id"], p.row["message_id"]) for p, _, said in sent if not said.remote_ids]
    message.move(tx, waiting, message.SENT, "200", message.SENT_TEXT)
    message.move(tx, final, message.COMPLETED, "201", "Accepted for delivery")
    done_now = set(final)
    events = []
    handed = {}
    for parcel, name, said in sent:
        row = parcel.row
        key = (row["user_id"], row["message_id"])
        status = message.COMPLETED if key in done_now else message.SENT
        events.append((*key, status, f"Taken by {name}{': ' + said.detail if said.detail else ''}."))
        for remote_id in said.remote_ids:
            handed[name, remote_id] = (name, remote_id, row["user_id"], row["channel"], row["message_id"], tx.now)
    message.record(tx, events)
    receipts.remember(tx, handed, report)
    for parcel, name, said in sent:
        if said.remote_ids and len(said.remote_ids) != parcel.row["parts"]:
            _expect(tx, parcel.row, name, said, report)


def _expect(tx: Tx, row: dict[str, Any], name: str, said: Sent, report: Report) -> None:
    """The carrier sends fewer (message_payload) receipts than the message has parts.

    Those that came already were taken for receipts of single parts: when they were all, the message is delivered.
    """
    key = (row["user_id"], row["message_id"])
    update = "UPDATE messages SET parts_left = parts_left + ? WHERE user_id = ? AND message_id = ? RETURNING parts_left"
    (left,) = tx.driver(update, [len(said.remote_ids) - row["parts"], *key]).fetchone()
    if left <= 0:
        whole = MessageKey(row["user_id"], row["channel"], row["message_id"])
        last = Receipt(transport=name, remote_id=said.remote_ids[-1], state="delivered", at=tx.now, key=whole)
        receipts.apply(tx, [last], report)


def _fail(tx: Tx, failed: Sequence[tuple[dict[str, Any], int | None, str]], report: Report) -> None:
    """Failed before the carrier took it: final, refunded, and reported like any other end."""
    reports = [
        Receipt(
            transport="",
            remote_id="",
            state="failed",
            at=tx.now,
            error=None if code is None else str(code),
            raw=why,
            key=MessageKey(row["user_id"], row["channel"], row["message_id"]),
        )
        for row, code, why in failed
    ]
    if not reports:
        return
    ended = receipts.apply(tx, reports, report)
    tally = usage.Tally()
    for row, _, _ in failed:
        if (row["user_id"], row["message_id"]) in ended:
            refund(tx, row, tally)
    tally.write(tx)


def refund(tx: Tx, row: dict[str, Any], tally: usage.Tally) -> None:
    """Give back what a message cost, and take back what others earned by it.

    `tally` takes it out of the day on which it was charged.
    """
    if row["price_micros"]:
        ledger.post(tx, row["user_id"], row["price_micros"], "refund", row["message_id"])
        commission.take_back(tx, row["user_id"], row["price_micros"], row["date"] // DAY)
        tally.of_message(row).micros -= row["price_micros"]
